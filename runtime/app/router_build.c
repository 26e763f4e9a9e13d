/* SPDX-License-Identifier: MIT */
/* The way back: from an endpoint and values to a URL. Of an endpoint's rules
 * the one that uses most of the values is taken; what is left becomes the
 * query. What would not match again is refused. Nothing is kept. */
#include "app/router_private.h"

#include "http/uri.h"

/* --- Values ----------------------------------------------------------------*/

/* The value of a name; *several: there is more than one. NULL: none. */
static const dw_value *find_value(dw_values values, dw_slice name,
                                  bool *several) {
  const dw_value *found = NULL;
  *several = false;
  for (size_t i = 0; i < values.count; i++) {
    if (values.list[i].value.kind == DW_VALUE_NONE ||
        !dw_slice_equal(values.list[i].name, name))
      continue;
    if (found) *several = true;
    if (!found) found = &values.list[i].value;
  }
  return found;
}

static const dw_value *find_default(const dw_rule *rule, dw_slice name) {
  for (size_t i = 0; i < rule->ndefaults; i++)
    if (dw_slice_equal(rule->defaults[i].name, name))
      return &rule->defaults[i].value;
  return NULL;
}

/* Whether a name of the rule's values is one that its defaults fix. */
static bool is_extra(const dw_rule *rule, size_t i) {
  return i >= rule->nvars && i < rule->nvars + rule->nextras;
}

bool dw_rule_lacks(const dw_rule *rule, size_t i, dw_values values) {
  bool several;
  return !find_value(values, rule->names[i], &several) &&
         !find_default(rule, rule->names[i]);
}

bool dw_rule_value_fits(const dw_rule *rule, size_t i, dw_values values) {
  bool several;
  const dw_value *given = find_value(values, rule->names[i], &several);
  if (!given) return find_default(rule, rule->names[i]) != NULL;
  return !is_extra(rule, i) ||
         (!several && dw_value_equal(given, &rule->extras[i - rule->nvars]));
}

bool dw_rule_fits(const dw_rule *rule, dw_values values) {
  size_t count = dw_rule_values(rule, NULL);
  for (size_t i = 0; i < count; i++)
    if (!dw_rule_value_fits(rule, i, values)) return false;
  return true;
}

/* --- Paths and hosts -------------------------------------------------------*/

#define SEGMENT_KEEPS "!$&'()*+,;=:@"

static bool is_kept_escape(dw_slice text, size_t at) {
  if (text.len - at < 3 || text.ptr[at] != '%' || text.ptr[at + 1] != '2')
    return false;
  char last = text.ptr[at + 2];
  return last == 'F' || last == 'f' || last == '5';
}

/* A path's value keeps its slashes, and the escapes that matching keeps. */
static int encode_path(dw_buffer *out, dw_slice text) {
  size_t start = 0;
  int rc = 0;
  for (size_t i = 0; i < text.len && rc == 0; i++) {
    if (!is_kept_escape(text, i)) continue;
    rc = dw_percent_encode(out, dw_slice_of(text.ptr + start, i - start),
                           SEGMENT_KEEPS "/");
    if (rc == 0) rc = dw_buffer_append(out, text.ptr + i, 3);
    start = i + 3;
    i += 2;
  }
  if (rc < 0) return rc;
  return dw_percent_encode(out, dw_slice_of(text.ptr + start, text.len - start),
                           SEGMENT_KEEPS "/");
}

int dw_router_encode(dw_buffer *out, dw_slice text, bool path) {
  return path ? encode_path(out, text)
              : dw_percent_encode(out, text, SEGMENT_KEEPS);
}

/* What one part is built from. */
typedef struct builder {
  const dw_rule *rule;
  dw_values values;
  dw_buffer *out;
  dw_buffer *why;
  dw_buffer text; /* a value before it is encoded */
} builder;

/* Puts which value was refused in front of why. */
static int refused(const builder *b, dw_slice name) {
  if (!b->why) return 0;
  dw_buffer text;
  dw_buffer_init(&text, b->why->alloc, 0);
  int rc =
      dw_buffer_printf(&text, "'%.*s' of '%.*s' %.*s", DW_FMT(name),
                       DW_FMT(b->rule->text), DW_FMT(dw_buffer_slice(b->why)));
  b->why->len = 0;
  if (rc == 0) rc = dw_buffer_append_slice(b->why, dw_buffer_slice(&text));
  dw_buffer_deinit(&text);
  return rc == DW_ENOMEM ? rc : 0;
}

/* Fills b->text with the text of a variable. */
static int var_text(builder *b, const dw_rule_var *v) {
  bool several;
  const dw_value *value = find_value(b->values, v->name, &several);
  if (!value) value = find_default(b->rule, v->name);
  b->text.len = 0;
  int rc = 0;
  if (!value)
    rc = DW_ROUTER_FAIL(b->why, 0, "is missing");
  else if (several)
    rc = DW_ROUTER_FAIL(b->why, 0, "has several values");
  else
    rc = dw_converter_to_text(v, value, &b->text, b->why);
  return rc ? rc : refused(b, v->name);
}

/* Whether some segment of an encoded text is "." or "..", which clients
 * resolve before they send a path. */
static bool has_dots(dw_slice text) {
  const char *p = text.ptr, *end = p + text.len;
  while (p <= end) {
    const char *next = memchr(p, '/', (size_t)(end - p));
    if (!next) next = end;
    size_t len = (size_t)(next - p);
    if ((len == 1 || len == 2) && p[0] == '.' && p[len - 1] == '.') return true;
    p = next + 1;
  }
  return false;
}

static int build_part(builder *b, const dw_rule_part *part) {
  int rc = dw_buffer_append_char(b->out, '/');
  size_t start = b->out->len;
  if (rc == 0) rc = dw_router_encode(b->out, part->prefix, part->slashes);
  for (size_t i = 0; i < part->nvars && rc >= 0; i++) {
    const dw_rule_var *v = &part->vars[i];
    rc = var_text(b, v);
    if (rc <= 0) return rc;
    rc = dw_router_encode(b->out, dw_buffer_slice(&b->text), v->slashes);
    if (rc == 0) rc = dw_router_encode(b->out, v->after, part->slashes);
  }
  if (rc < 0) return rc;
  dw_slice text = dw_slice_of(b->out->ptr + start, b->out->len - start);
  if (part->nvars == 0 || !has_dots(text)) return 1;
  DW_ROUTER_FAIL(b->why, 0,
                 "would make the segment '.' or '..', which clients "
                 "resolve");
  return refused(b, part->vars[0].name);
}

int dw_rule_build_path(const dw_rule *rule, dw_values values, dw_buffer *out,
                       dw_buffer *why) {
  builder b = {.rule = rule, .values = values, .out = out, .why = why};
  dw_buffer_init(&b.text, out->alloc, 0);
  int rc = 1;
  for (size_t i = 0; i < rule->nparts && rc > 0; i++)
    rc = build_part(&b, &rule->parts[i]);
  if (rc > 0 && rule->slash) {
    int failed = dw_buffer_append_char(out, '/');
    if (failed < 0) rc = failed;
  }
  dw_buffer_deinit(&b.text);
  return rc;
}

/* Appends b->text, which must be made of what names and addresses are. */
static int append_host_text(builder *b, dw_slice name) {
  for (size_t i = 0; i < b->text.len; i++) {
    char c = b->text.ptr[i];
    if (c >= 'A' && c <= 'Z') b->text.ptr[i] = (char)(c - 'A' + 'a');
    if (dw_char_classes[(unsigned char)c] & DW_CHAR_HOST) continue;
    DW_ROUTER_FAIL(b->why, 0, "can't stand in a host: '%.*s'",
                   DW_FMT(dw_buffer_slice(&b->text)));
    return refused(b, name);
  }
  int rc = dw_buffer_append_slice(b->out, dw_buffer_slice(&b->text));
  return rc < 0 ? rc : 1;
}

int dw_rule_build_host(const dw_rule *rule, dw_values values,
                       dw_slice server_name, dw_buffer *out, dw_buffer *why) {
  builder b = {.rule = rule, .values = values, .out = out, .why = why};
  dw_buffer_init(&b.text, out->alloc, 0);
  const dw_rule_part *part = &rule->host_part;
  int rc = dw_buffer_append_slice(out, part->prefix) < 0 ? DW_ENOMEM : 1;
  for (size_t i = 0; i < part->nvars && rc > 0; i++) {
    const dw_rule_var *v = &part->vars[i];
    rc = var_text(&b, v);
    if (rc > 0) rc = append_host_text(&b, v->name);
    if (rc > 0 && dw_buffer_append_slice(out, v->after) < 0) rc = DW_ENOMEM;
  }
  if (rc > 0 && rule->place == DW_RULE_ON_SUBDOMAIN &&
      (dw_buffer_append_char(out, '.') < 0 ||
       dw_buffer_append_slice(out, dw_host_name(server_name)) < 0))
    rc = DW_ENOMEM;
  dw_buffer_deinit(&b.text);
  return rc;
}
