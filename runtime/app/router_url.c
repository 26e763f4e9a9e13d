/* SPDX-License-Identifier: MIT */
/* url_for: picks the rule, puts scheme, host, path, query and anchor together,
 * and explains what is missing where no rule can be built. */
#include "app/router_private.h"

#include "http/uri.h"

/* --- Hosts -----------------------------------------------------------------*/

/* Where ":port" begins; the end where there is none. */
static size_t port_at(dw_slice host) {
  size_t i = host.len;
  while (i > 0 && host.ptr[i - 1] >= '0' && host.ptr[i - 1] <= '9') i--;
  return i > 0 && host.ptr[i - 1] == ':' ? i - 1 : host.len;
}

dw_slice dw_host_name(dw_slice host) {
  return dw_slice_of(host.ptr, port_at(host));
}

dw_slice dw_host_port(dw_slice host) {
  size_t at = port_at(host);
  if (at == host.len) return DW_EMPTY;
  return dw_slice_of(host.ptr + at, host.len - at);
}

/* --- Scheme and host of a URL ----------------------------------------------*/

typedef struct url {
  const dw_router *router;
  const dw_url_options *options;
  dw_values values;
  const dw_rule *rule;
  dw_buffer *out;
  dw_buffer *why; /* NULL: nobody asks */
} url;

static int no_server_name(const url *u) {
  return DW_ROUTER_FAIL(u->why, 0,
                        "the URL of '%.*s' needs a host: outside of a request "
                        "set SERVER_NAME in the config",
                        DW_FMT(u->rule->endpoint));
}

static dw_slice server_name(const url *u) {
  dw_slice given = u->options->server_name;
  return given.len > 0 ? given : u->router->server_name;
}

static int append_scheme(const url *u) {
  dw_slice scheme = u->options->scheme;
  if (scheme.len == 0) scheme = u->options->default_scheme;
  if (scheme.len == 0) scheme = DW_LITERAL("http");
  if (u->rule->websocket && dw_slice_equal(scheme, DW_LITERAL("http")))
    scheme = DW_LITERAL("ws");
  if (u->rule->websocket && dw_slice_equal(scheme, DW_LITERAL("https")))
    scheme = DW_LITERAL("wss");
  return dw_buffer_printf(u->out, "%.*s://", DW_FMT(scheme));
}

/* The host of the request, or the server's where there is none. */
static int append_common_host(const url *u) {
  dw_slice host = u->options->host;
  if (host.len == 0) host = server_name(u);
  if (host.len == 0) return no_server_name(u);
  int rc = append_scheme(u);
  if (rc == 0) rc = dw_buffer_append_slice(u->out, host);
  return rc < 0 ? rc : 1;
}

/* The host that the rule wants, unless the request is there already. */
static int append_own_host(const url *u, bool external) {
  const dw_url_options *o = u->options;
  dw_slice name = server_name(u);
  if (u->rule->place == DW_RULE_ON_SUBDOMAIN && name.len == 0)
    return no_server_name(u);
  dw_buffer host;
  dw_buffer_init(&host, u->out->alloc, 0);
  int rc = dw_rule_build_host(u->rule, u->values, name, &host, u->why);
  dw_slice built = dw_buffer_slice(&host);
  bool here = dw_slice_equal_nocase(built, dw_host_name(o->host));
  if (rc > 0 && (external || !here)) {
    dw_slice port = dw_host_port(o->host.len > 0 ? o->host : name);
    rc = append_scheme(u);
    if (rc == 0) rc = dw_buffer_append_slice(u->out, built);
    if (rc == 0) rc = dw_buffer_append_slice(u->out, port);
    if (rc == 0) rc = 1;
  }
  dw_buffer_deinit(&host);
  return rc;
}

static int append_host(const url *u) {
  const dw_url_options *o = u->options;
  bool external = o->external > 0 || o->scheme.len > 0;
  if (o->external == 0) return 1;
  if (u->rule->place != DW_RULE_ANYWHERE) return append_own_host(u, external);
  return external ? append_common_host(u) : 1;
}

/* --- The query -------------------------------------------------------------*/

static int append_form(dw_buffer *out, dw_slice text) {
  size_t start = out->len;
  int rc = dw_percent_encode(out, text, " ");
  if (rc < 0) return rc;
  for (size_t i = start; i < out->len; i++)
    if (out->ptr[i] == ' ') out->ptr[i] = '+';
  return 0;
}

static int append_pair(const url *u, const dw_named_value *pair, char before,
                       dw_buffer *scratch) {
  scratch->len = 0;
  int rc = dw_value_text(&pair->value, scratch);
  if (rc == DEWAR_EINVAL)
    return DW_ROUTER_FAIL(u->why, 0,
                          "'%.*s' is no variable of '%.*s', and only texts, "
                          "numbers and booleans can go into a query",
                          DW_FMT(pair->name), DW_FMT(u->rule->text));
  if (rc == 0) rc = dw_buffer_append_char(u->out, before);
  if (rc == 0) rc = append_form(u->out, pair->name);
  if (rc == 0) rc = dw_buffer_append_char(u->out, '=');
  if (rc == 0) rc = append_form(u->out, dw_buffer_slice(scratch));
  return rc < 0 ? rc : 1;
}

static bool is_used(const dw_rule *rule, dw_slice name) {
  size_t count = dw_rule_values(rule, NULL);
  for (size_t i = 0; i < count; i++)
    if (dw_slice_equal(rule->names[i], name)) return true;
  return false;
}

/* Collects what the rule doesn't use, by name, equal names in their order. */
static size_t left_over(const url *u, const dw_named_value **list) {
  size_t count = 0;
  for (size_t n = 0; n < u->values.count; n++) {
    const dw_named_value *one = &u->values.list[n];
    if (one->value.kind == DW_VALUE_NONE || is_used(u->rule, one->name))
      continue;
    size_t i = count++;
    for (; i > 0 && dw_slice_compare(one->name, list[i - 1]->name) < 0; i--)
      list[i] = list[i - 1];
    list[i] = one;
  }
  return count;
}

static int append_query(const url *u) {
  size_t most = u->values.count;
  if (most == 0) return 1;
  const dw_named_value **list =
      dw_alloc(u->out->alloc, most * sizeof(dw_named_value *));
  if (!list) return DW_ENOMEM;
  dw_buffer scratch;
  dw_buffer_init(&scratch, u->out->alloc, 0);
  size_t count = left_over(u, list);
  int rc = 1;
  for (size_t i = 0; i < count && rc > 0; i++)
    rc = append_pair(u, list[i], i == 0 ? '?' : '&', &scratch);
  dw_buffer_deinit(&scratch);
  dw_free(u->out->alloc, list, most * sizeof(dw_named_value *));
  return rc;
}

static int append_anchor(const url *u) {
  if (!u->options->anchor.ptr) return 1;
  int rc = dw_buffer_append_char(u->out, '#');
  if (rc == 0)
    rc = dw_percent_encode(u->out, u->options->anchor, "!$&'()*+,;=:@/?");
  return rc < 0 ? rc : 1;
}

/* --- Choosing a rule -------------------------------------------------------*/

/* Appends the URL of u->rule: 1; 0: a value is refused; < 0. */
static int append_url(const url *u) {
  size_t start = u->out->len;
  int rc = append_host(u);
  if (rc > 0 && dw_buffer_append_slice(u->out, u->options->root) < 0)
    rc = DW_ENOMEM;
  if (rc > 0) rc = dw_rule_build_path(u->rule, u->values, u->out, u->why);
  if (rc > 0) rc = append_query(u);
  if (rc > 0) rc = append_anchor(u);
  if (rc <= 0) u->out->len = start;
  return rc;
}

static bool has_method(const dw_rule *rule, dw_method m) {
  return m < DW_METHOD_COUNT && (rule->methods & DW_METHOD_BIT(m));
}

/* Whether the rule is for the host of the request: 1, 0, < 0. */
static int on_this_host(const url *u) {
  if (u->rule->place == DW_RULE_ANYWHERE) return 1;
  dw_buffer host;
  dw_buffer_init(&host, u->out->alloc, 0);
  int rc = dw_rule_build_host(u->rule, u->values, server_name(u), &host, NULL);
  if (rc > 0)
    rc = dw_slice_equal_nocase(dw_buffer_slice(&host),
                               dw_host_name(u->options->host));
  dw_buffer_deinit(&host);
  return rc;
}

/* What a rule must have in one round of the search; later rounds want less. */
typedef struct wanted {
  bool method;
  bool host;
} wanted;

static int try_rules(url *u, const dw_rule_group *group, wanted want) {
  int rc = 0;
  for (size_t i = 0; i < group->count && rc == 0; i++) {
    u->rule = group->rules[i];
    if (want.method && !has_method(u->rule, u->options->method)) continue;
    if (!dw_rule_fits(u->rule, u->values)) continue;
    rc = want.host ? on_this_host(u) : 1;
    if (rc > 0) rc = append_url(u);
  }
  return rc;
}

static bool has_places(const dw_rule_group *group) {
  for (size_t i = 0; i < group->count; i++)
    if (group->rules[i]->place != DW_RULE_ANYWHERE) return true;
  return false;
}

static int choose(url *u, const dw_rule_group *group) {
  bool hosts =
      group->count > 1 && u->options->host.len > 0 && has_places(group);
  bool methods = u->options->method < DW_METHOD_COUNT;
  int rc = 0;
  if (methods && hosts) rc = try_rules(u, group, (wanted){true, true});
  if (rc == 0 && methods) rc = try_rules(u, group, (wanted){true, false});
  if (rc == 0 && hosts) rc = try_rules(u, group, (wanted){false, true});
  if (rc == 0) rc = try_rules(u, group, (wanted){false, false});
  return rc;
}

/* --- Explaining a failure --------------------------------------------------*/

static size_t count_lacking(const dw_rule *rule, dw_values values) {
  size_t count = dw_rule_values(rule, NULL), lacking = 0;
  for (size_t i = 0; i < count; i++) lacking += dw_rule_lacks(rule, i, values);
  return lacking;
}

static int name_lacking(const url *u) {
  const dw_rule *rule = u->rule;
  size_t count = dw_rule_values(rule, NULL);
  const char *before = " needs a value for";
  int rc = dw_buffer_printf(u->why, "'%.*s'", DW_FMT(rule->text));
  for (size_t i = 0; i < count && rc == 0; i++) {
    if (!dw_rule_lacks(rule, i, u->values)) continue;
    rc = dw_buffer_printf(u->why, "%s '%.*s'", before, DW_FMT(rule->names[i]));
    before = ",";
  }
  return rc == DW_ENOMEM ? rc : DEWAR_EINVAL;
}

static int name_fixed(const url *u) {
  dw_buffer value;
  dw_buffer_init(&value, u->why->alloc, 0);
  int rc = DEWAR_EINVAL;
  for (size_t i = 0; i < u->rule->nextras && rc == DEWAR_EINVAL; i++) {
    size_t at = u->rule->nvars + i;
    if (dw_rule_value_fits(u->rule, at, u->values)) continue;
    if (dw_value_text(&u->rule->extras[i], &value) == DW_ENOMEM) rc = DW_ENOMEM;
    if (rc == DEWAR_EINVAL)
      rc = DW_ROUTER_FAIL(
          u->why, DEWAR_EINVAL, "'%.*s' is always '%.*s' in '%.*s'",
          DW_FMT(u->rule->names[at]), DW_FMT(dw_buffer_slice(&value)),
          DW_FMT(u->rule->text));
    break;
  }
  dw_buffer_deinit(&value);
  return rc;
}

/* Says why the rule that came nearest could not be built. */
static int explain(url *u, const dw_rule_group *group, dw_buffer *message) {
  size_t least = SIZE_MAX;
  if (!dw_router_clear(message)) return DEWAR_EINVAL;
  for (size_t i = 0; i < group->count; i++) {
    size_t lacking = count_lacking(group->rules[i], u->values);
    if (lacking >= least) continue;
    least = lacking;
    u->rule = group->rules[i];
  }
  /* One that would fit is better to talk about. */
  for (size_t i = group->count; i-- > 0;)
    if (dw_rule_fits(group->rules[i], u->values)) u->rule = group->rules[i];
  u->why = message;
  if (least > 0) return name_lacking(u);
  if (!dw_rule_fits(u->rule, u->values)) return name_fixed(u);
  int rc = append_url(u);
  return rc < 0 ? rc : DEWAR_EINVAL;
}

static bool ends_in(dw_slice endpoint, dw_slice name) {
  return endpoint.len > name.len &&
         endpoint.ptr[endpoint.len - name.len - 1] == '.' &&
         memcmp(endpoint.ptr + endpoint.len - name.len, name.ptr, name.len) ==
             0;
}

/* The name that was meant: a blueprint's, without which it was given, or one
 * that is spelt alike. */
static dw_slice meant(const dw_router *r, dw_slice name) {
  dw_text_guess guess = {.wanted = name};
  bool text = name.len > 0 && name.ptr[0] == '/';
  for (size_t i = 0; i < r->nrules; i++) {
    const dw_rule *rule = r->rules[i];
    if (!text && ends_in(rule->endpoint, name)) return rule->endpoint;
    dw_text_guess_offer(&guess, text ? rule->text : rule->endpoint);
  }
  return guess.best;
}

static int unknown(const dw_router *r, dw_slice name, dw_buffer *message) {
  dw_slice near = meant(r, name);
  return DW_ROUTER_FAIL(message, DEWAR_ENOTFOUND, "no endpoint '%.*s'%s%.*s%s",
                        DW_FMT(name), near.len ? "; did you mean '" : "",
                        DW_FMT(near), near.len ? "'?" : "");
}

/* --- The call --------------------------------------------------------------*/

static bool is_scheme(dw_slice s) {
  for (size_t i = 0; i < s.len; i++) {
    char c = s.ptr[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    bool other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
    if (!letter && (i == 0 || !other)) return false;
  }
  return true;
}

static int check_options(const dw_url_options *o, dw_buffer *message) {
  if (o->scheme.len > 0 && o->external == 0)
    return DW_ROUTER_FAIL(message, DEWAR_EINVAL,
                          "a URL with a scheme is external; it can't be asked "
                          "not to be");
  if (!is_scheme(o->scheme))
    return DW_ROUTER_FAIL(message, DEWAR_EINVAL, "'%.*s' is no scheme",
                          DW_FMT(o->scheme));
  return 0;
}

static const dw_rule_group *find_rules(const dw_router *r, dw_slice name) {
  const dw_rule_group *group = NULL;
  if (name.len > 0 && name.ptr[0] == '/')
    group = dw_router_find_group(&r->texts, name);
  if (group && group->rules[0]->alias) group = group->rules[0]->group;
  return group ? group : dw_router_find_group(&r->endpoints, name);
}

int dw_router_build(const dw_router *r, const dw_url_options *options,
                    dw_buffer *out, dw_buffer *message) {
  int rc = check_options(options, message);
  if (rc < 0) return rc;
  const dw_rule_group *group = find_rules(r, options->endpoint);
  if (!group) return unknown(r, options->endpoint, message);
  url u = {.router = r,
           .options = options,
           .values = {options->values, options->nvalues},
           .out = out};
  rc = choose(&u, group);
  if (rc == 0) return explain(&u, group, message);
  return rc < 0 ? rc : 0;
}
