/* SPDX-License-Identifier: MIT */
/* Locations: where a path that was almost right, an alias, a value that is a
 * default, or a rule with redirect_to sends a request. A location never starts
 * with "//" or "/\": a browser would take what follows for a host. Memory: the
 * request's arena. */
#include "app/router_private.h"

#include "http/uri.h"

/* --- From a buffer to a location -------------------------------------------*/

/* Takes the text into the arena. Of several slashes at the start one is left.
 */
static int keep(dw_buffer *b, dw_arena *arena, dw_slice *location) {
  dw_slice text = dw_buffer_slice(b);
  size_t i = 1;
  while (i < text.len && (text.ptr[i] == '/' || text.ptr[i] == '\\')) i++;
  if (i > 1 && text.ptr[0] == '/') {
    b->ptr[i - 1] = '/';
    text = dw_slice_of(text.ptr + i - 1, text.len - i + 1);
  }
  char *copy = dw_arena_copy(arena, text.ptr, text.len);
  if (!copy) return DW_ENOMEM;
  *location = dw_slice_of(copy, text.len);
  return 0;
}

static int append_query(dw_buffer *b, const dw_match_query *q) {
  if (q->query.len == 0) return 0;
  int rc = dw_buffer_append_char(b, '?');
  return rc < 0 ? rc : dw_target_encode(b, q->query);
}

/* --- Slashes ---------------------------------------------------------------*/

/* The segments that aren't skipped, each behind a slash. */
static int append_segments(dw_buffer *b, dw_slice raw,
                           const unsigned char *skipped) {
  const char *p = raw.ptr, *end = raw.ptr + raw.len;
  int rc = 0;
  for (size_t i = 0; p < end && rc == 0; i++) {
    const char *next = memchr(p + 1, '/', (size_t)(end - p - 1));
    if (!next) next = end;
    bool last = next == end && next == p + 1; /* the slash at the end */
    if (last || !skipped[i])
      rc = dw_target_encode(b, dw_slice_of(p, (size_t)(next - p)));
    p = next;
  }
  return rc;
}

int dw_router_slash_location(const dw_match_query *q, dw_arena *arena,
                             const unsigned char *skipped, bool add_slash,
                             dw_slice *location) {
  dw_buffer b;
  dw_buffer_init(&b, arena->alloc, 0);
  int rc = skipped ? append_segments(&b, q->raw_path, skipped)
                   : dw_target_encode(&b, q->raw_path);
  if (rc == 0 && add_slash) rc = dw_buffer_append_char(&b, '/');
  if (rc == 0) rc = append_query(&b, q);
  if (rc == 0) rc = keep(&b, arena, location);
  dw_buffer_deinit(&b);
  return rc;
}

/* --- Other rules of the endpoint -------------------------------------------*/

/* A match's values by name. list NULL on failure. */
static dw_values by_name(const dw_rule *rule, const dw_value *values,
                         dw_arena *arena) {
  size_t count = dw_rule_values(rule, NULL);
  dw_named_value *list = dw_arena_alloc(arena, count * sizeof *list);
  for (size_t i = 0; list && i < count; i++)
    list[i] = (dw_named_value){rule->names[i], values[i]};
  return (dw_values){list, count};
}

static bool has_name(const dw_rule *rule, dw_slice name) {
  size_t count = dw_rule_values(rule, NULL);
  for (size_t i = 0; i < count; i++)
    if (dw_slice_equal(rule->names[i], name)) return true;
  return false;
}

static bool same_names(const dw_rule *a, const dw_rule *b) {
  size_t count = dw_rule_values(a, NULL);
  if (dw_rule_values(b, NULL) != count) return false;
  for (size_t i = 0; i < count; i++)
    if (!has_name(b, a->names[i])) return false;
  return true;
}

/* Whether `other` is where a request that matched rule should go. */
static bool is_better(const dw_rule *other, const dw_rule *rule) {
  if (other->alias || other->build_only || other->websocket != rule->websocket)
    return false;
  return rule->alias || (other->nextras > 0 && same_names(other, rule));
}

/* Appends the URL of another rule, if it leads to this host and not to where
 * the request is already: 1, 0, < 0. */
static int other_url(const dw_router *r, const dw_match_query *q,
                     const dw_rule *other, dw_values values, dw_buffer *b) {
  int rc = 1;
  b->len = 0;
  if (other->place != DW_RULE_ANYWHERE) {
    rc = dw_rule_build_host(other, values, r->server_name, b, NULL);
    if (rc > 0)
      rc = dw_slice_equal_nocase(dw_buffer_slice(b), dw_host_name(q->host));
    b->len = 0;
  }
  if (rc > 0) rc = dw_rule_build_path(other, values, b, NULL);
  if (rc > 0 && dw_slice_equal(dw_buffer_slice(b), q->raw_path)) rc = 0;
  if (rc > 0) {
    int failed = append_query(b, q);
    if (failed < 0) rc = failed;
  }
  return rc;
}

static int to_better_rule(const dw_router *r, const dw_match_query *q,
                          const dw_rule *rule, dw_values values, dw_buffer *b) {
  const dw_rule_group *group = rule->group;
  uint64_t method = DW_METHOD_BIT(q->method);
  int rc = 0;
  for (size_t i = 0; i < group->count && rc == 0; i++) {
    const dw_rule *other = group->rules[i];
    if (other == rule) break; /* what follows is no better */
    if (!is_better(other, rule) || !(other->methods & method)) continue;
    if (!dw_rule_fits(other, values)) continue;
    rc = other_url(r, q, other, values, b);
  }
  return rc;
}

/* --- redirect_to -----------------------------------------------------------*/

static size_t scheme_length(dw_slice url) {
  for (size_t i = 0; i < url.len; i++) {
    char c = url.ptr[i];
    if (c == ':') return i;
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (!letter && (i == 0 || !strchr("0123456789+-.", c))) return 0;
  }
  return 0;
}

static const dw_rule_var *find_var(const dw_rule_part *part, dw_slice name) {
  for (size_t i = 0; i < part->nvars; i++)
    if (dw_slice_equal(part->vars[i].name, name)) return &part->vars[i];
  return NULL;
}

static int value_text(const dw_rule *rule, dw_slice name, const dw_value *value,
                      dw_buffer *out, bool *path) {
  const dw_rule_var *v = find_var(&rule->host_part, name);
  for (size_t i = 0; i < rule->nparts && !v; i++)
    v = find_var(&rule->parts[i], name);
  *path = v && v->slashes;
  if (v) return dw_converter_to_text(v, value, out, NULL);
  int rc = dw_value_text(value, out);
  return rc < 0 ? rc : 1;
}

/* Appends the value of a name, encoded. In the authority of a URL, where a
 * path's slash or an "@" would change the host, nothing is spared. */
static int append_value(const dw_rule *rule, dw_slice name, dw_values values,
                        bool authority, dw_buffer *b) {
  dw_buffer text;
  dw_buffer_init(&text, b->alloc, 0);
  bool path = false;
  int rc = 0;
  for (size_t i = 0; i < values.count; i++)
    if (dw_slice_equal(values.list[i].name, name))
      rc = value_text(rule, name, &values.list[i].value, &text, &path);
  if (rc > 0)
    rc = authority ? dw_percent_encode(b, dw_buffer_slice(&text), "")
                   : dw_router_encode(b, dw_buffer_slice(&text), path);
  dw_buffer_deinit(&text);
  return rc;
}

/* Whether the text so far ends within a URL's authority. */
static bool in_authority(dw_slice url) {
  size_t colon = scheme_length(url);
  if (url.len < colon + 3) return true;
  dw_slice behind = dw_slice_of(url.ptr + colon + 3, url.len - colon - 3);
  if (url.ptr[colon + 1] != '/' || url.ptr[colon + 2] != '/') return true;
  for (size_t i = 0; i < behind.len; i++)
    if (strchr("/?#", behind.ptr[i])) return false;
  return true;
}

static int fill(const dw_rule *rule, dw_values values, dw_buffer *b) {
  dw_slice template = rule->redirect_to, before, name;
  /* Without a scheme of its own it is a path, whatever the values are. */
  bool is_path = scheme_length(template) == 0;
  int rc =
      is_path && template.ptr[0] != '/' ? dw_buffer_append_char(b, '/') : 0;
  size_t at = 0;
  bool more = true;
  while (more && rc >= 0) {
    more = dw_rule_next_name(template, &at, &before, &name);
    rc = dw_percent_encode(b, before, "!#$%&'()*+,/:;=?@[]");
    bool authority = !is_path && in_authority(dw_buffer_slice(b));
    if (rc >= 0 && more) rc = append_value(rule, name, values, authority, b);
  }
  return rc < 0 ? rc : 1;
}

/* --- All of them -----------------------------------------------------------*/

int dw_router_redirect(const dw_router *r, const dw_match_query *q,
                       dw_arena *arena, const dw_rule *rule,
                       const dw_value *values, dw_slice *location) {
  bool others = rule->alias || rule->group->defaults;
  if (!others && rule->redirect_to.len == 0) return 0;
  dw_values named = by_name(rule, values, arena);
  if (!named.list) return DW_ENOMEM;
  dw_buffer b;
  dw_buffer_init(&b, arena->alloc, 0);
  int rc = others ? to_better_rule(r, q, rule, named, &b) : 0;
  if (rc == 0 && rule->redirect_to.len > 0) {
    b.len = 0;
    rc = fill(rule, named, &b);
  }
  if (rc > 0 && keep(&b, arena, location) < 0) rc = DW_ENOMEM;
  dw_buffer_deinit(&b);
  return rc;
}
