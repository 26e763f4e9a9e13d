/* SPDX-License-Identifier: MIT */
/* How a rule gets into the router: compiled, then planned into the tree and the
 * groups, then placed. A failed dw_router_add leaves everything as it was: what
 * can fail happens first, in memory that is rolled back. Owner: the app. */
#include "app/router_private.h"

/* --- Groups ----------------------------------------------------------------*/

/* What putting a rule into an index will change. */
typedef struct group_plan {
  dw_rule_group *group; /* new, where fresh */
  bool fresh;
  dw_rule **rules; /* the group's array, grown where it was full */
  size_t rules_cap;
  dw_rule_group **slots; /* likewise */
  size_t slots_cap;
} group_plan;

static int plan_slots(dw_pool *p, const dw_rule_index *index, group_plan *g) {
  g->slots = index->slots;
  g->slots_cap = index->cap;
  if (!g->fresh || (index->count + 1) * 2 <= index->cap) return 0;
  g->slots_cap = index->cap ? index->cap * 2 : 8;
  g->slots = dw_pool_alloc(p, g->slots_cap * sizeof(dw_rule_group *));
  if (!g->slots) return DW_ENOMEM;
  for (size_t i = 0; i < index->cap; i++) {
    dw_rule_group *old = index->slots[i];
    if (old) *dw_router_group_slot(g->slots, g->slots_cap, old->name) = old;
  }
  return 0;
}

static int plan_group(dw_pool *p, const dw_rule_index *index, dw_slice name,
                      group_plan *g) {
  g->group = dw_router_find_group(index, name);
  g->fresh = !g->group;
  if (g->fresh) g->group = dw_pool_alloc(p, sizeof *g->group);
  if (!g->group) return DW_ENOMEM;
  if (g->fresh) g->group->name = name;
  g->rules_cap = g->group->cap;
  g->rules = dw_pool_grown(p, g->group->rules, g->group->count, &g->rules_cap,
                           sizeof(dw_rule *));
  return g->rules ? plan_slots(p, index, g) : DW_ENOMEM;
}

/* Whether a is to be preferred to b for building: the one that uses more of the
 * values, then the one that fixes more of them. */
static bool prefer(const dw_rule *a, const dw_rule *b) {
  size_t a_values = a->nvars + a->nextras + a->nhost_vars;
  size_t b_values = b->nvars + b->nextras + b->nhost_vars;
  if (a->alias != b->alias) return b->alias;
  if (a_values != b_values) return a_values > b_values;
  return a->ndefaults > b->ndefaults;
}

static void place_in_group(dw_rule_index *index, group_plan *g, dw_rule *rule) {
  dw_rule_group *group = g->group;
  index->slots = g->slots;
  index->cap = g->slots_cap;
  if (g->fresh) {
    *dw_router_group_slot(index->slots, index->cap, group->name) = group;
    index->count++;
  }
  group->rules = g->rules;
  group->cap = g->rules_cap;
  group->defaults |= rule->ndefaults > 0;
  size_t i = group->count++;
  for (; i > 0 && prefer(rule, group->rules[i - 1]); i--)
    group->rules[i] = group->rules[i - 1];
  group->rules[i] = rule;
}

/* --- Adding a rule ---------------------------------------------------------*/

static int check_options(const dw_rule_options *o, dw_buffer *message) {
  if (o->host.len > 0 && o->subdomain.len > 0)
    return DW_ROUTER_FAIL(message, DEWAR_EINVAL,
                          "'%.*s' has both a host and a subdomain; give one",
                          DW_FMT(o->rule));
  uint64_t allowed = DW_METHOD_BIT(DW_METHOD_GET) |
                     DW_METHOD_BIT(DW_METHOD_HEAD) |
                     DW_METHOD_BIT(DW_METHOD_OPTIONS);
  if (o->websocket && (o->methods & ~allowed))
    return DW_ROUTER_FAIL(message, DEWAR_EINVAL,
                          "'%.*s' is a WebSocket rule: its method is GET",
                          DW_FMT(o->rule));
  return 0;
}

static void set_methods(dw_rule *rule, const dw_rule_options *o) {
  uint64_t get = DW_METHOD_BIT(DW_METHOD_GET);
  uint64_t known = DW_METHOD_BIT(DW_METHOD_COUNT) - 1;
  rule->explicit_methods = o->methods & known;
  if (o->websocket || !rule->explicit_methods) rule->explicit_methods = get;
  rule->methods = rule->explicit_methods;
  rule->automatic_options = o->automatic_options && !o->websocket;
  if (o->websocket) return;
  if (rule->methods & get) rule->methods |= DW_METHOD_BIT(DW_METHOD_HEAD);
  if (rule->automatic_options)
    rule->methods |= DW_METHOD_BIT(DW_METHOD_OPTIONS);
}

static int copy_defaults(dw_pool *p, dw_rule *rule, const dw_rule_options *o) {
  rule->ndefaults = o->ndefaults;
  rule->defaults = dw_pool_alloc(p, o->ndefaults * sizeof *rule->defaults);
  if (!rule->defaults) return DW_ENOMEM;
  for (size_t n = 0; n < o->ndefaults; n++) {
    dw_named_value copy = o->defaults[n];
    copy.name = dw_pool_copy(p, copy.name);
    if (!copy.name.ptr) return DW_ENOMEM;
    if (copy.value.kind == DW_VALUE_STRING) {
      copy.value.as.string = dw_pool_copy(p, copy.value.as.string);
      if (!copy.value.as.string.ptr) return DW_ENOMEM;
    }
    size_t i = n;
    for (; i > 0 && dw_slice_compare(copy.name, rule->defaults[i - 1].name) < 0;
         i--)
      rule->defaults[i] = rule->defaults[i - 1];
    rule->defaults[i] = copy;
  }
  return 0;
}

static void name_vars(dw_rule *rule, const dw_rule_part *part, size_t *n) {
  for (size_t i = 0; i < part->nvars; i++)
    rule->names[(*n)++] = part->vars[i].name;
}

static bool is_var_of(const dw_rule_part *part, dw_slice name) {
  for (size_t i = 0; i < part->nvars; i++)
    if (dw_slice_equal(part->vars[i].name, name)) return true;
  return false;
}

static bool is_var(const dw_rule *rule, dw_slice name) {
  for (size_t i = 0; i < rule->nparts; i++)
    if (is_var_of(&rule->parts[i], name)) return true;
  return is_var_of(&rule->host_part, name);
}

/* Names the values of a match: variables, what only defaults give, then the
 * host's variables. */
static int name_values(dw_pool *p, dw_rule *rule) {
  size_t most = rule->nvars + rule->ndefaults + rule->nhost_vars, n = 0;
  rule->names = dw_pool_alloc(p, most * sizeof *rule->names);
  rule->extras = dw_pool_alloc(p, rule->ndefaults * sizeof *rule->extras);
  if (!rule->names || !rule->extras) return DW_ENOMEM;
  for (size_t i = 0; i < rule->nparts; i++)
    name_vars(rule, &rule->parts[i], &n);
  for (size_t i = 0; i < rule->ndefaults; i++) {
    if (is_var(rule, rule->defaults[i].name)) continue;
    rule->names[n++] = rule->defaults[i].name;
    rule->extras[rule->nextras++] = rule->defaults[i].value;
  }
  name_vars(rule, &rule->host_part, &n);
  return 0;
}

static int parse(dw_router *r, dw_rule *rule, const dw_rule_options *o,
                 dw_buffer *message) {
  dw_rule_source s = {.router = r, .text = o->rule, .message = message};
  int rc = dw_rule_parse_path(&s, rule);
  if (rc == 0 && rule->place != DW_RULE_ANYWHERE) {
    s.text = rule->place == DW_RULE_ON_HOST ? o->host : o->subdomain;
    rc = dw_rule_parse_host(&s, rule);
  }
  if (rc == 0) rc = name_values(&r->pool, rule);
  if (rc == 0 && o->redirect_to.len > 0) {
    rule->redirect_to = dw_pool_copy(&r->pool, o->redirect_to);
    if (!rule->redirect_to.ptr) return DW_ENOMEM;
    s.text = rule->redirect_to;
    rc = dw_rule_check_redirect(&s, rule);
  }
  return rc;
}

static int compile(dw_router *r, dw_rule **out, const dw_rule_options *o,
                   dw_buffer *message) {
  dw_rule *rule = *out = dw_pool_alloc(&r->pool, sizeof *rule);
  if (!rule) return DW_ENOMEM;
  rule->strict_slashes = o->strict_slashes != 0;
  rule->merge_slashes = o->merge_slashes != 0;
  rule->alias = o->alias;
  rule->build_only = o->build_only;
  rule->websocket = o->websocket;
  rule->data = o->data;
  rule->host = rule->shown_host = DW_EMPTY;
  if (o->host.len > 0)
    rule->place = DW_RULE_ON_HOST;
  else if (o->subdomain.len > 0)
    rule->place = DW_RULE_ON_SUBDOMAIN;
  set_methods(rule, o);
  int rc = copy_defaults(&r->pool, rule, o);
  if (rc == 0) rc = parse(r, rule, o, message);
  if (rc < 0) return rc;
  rule->endpoint =
      o->endpoint.len > 0 ? dw_pool_copy(&r->pool, o->endpoint) : rule->text;
  if (!rule->endpoint.ptr) return DW_ENOMEM;
  if (rule->place != DW_RULE_ON_SUBDOMAIN || r->server_name.len == 0) return 0;
  rule->shown_host = dw_router_joined_host(r, rule->host, r->server_name);
  return rule->shown_host.ptr ? 0 : DW_ENOMEM;
}

/* Plans all changes, then makes them. */
static int place(dw_router *r, dw_rule *rule, dw_buffer *message) {
  dw_router_plan tree;
  group_plan endpoint, text;
  size_t cap = r->rules_cap;
  if (!rule->build_only) {
    int rc = dw_router_plan_rule(r, rule, &tree, message);
    if (rc < 0) return rc;
  }
  dw_rule **rules =
      dw_pool_grown(&r->pool, r->rules, r->nrules, &cap, sizeof(dw_rule *));
  if (!rules ||
      plan_group(&r->pool, &r->endpoints, rule->endpoint, &endpoint) < 0 ||
      plan_group(&r->pool, &r->texts, rule->text, &text) < 0)
    return DW_ENOMEM;

  if (!rule->build_only) dw_router_place_rule(r, rule, &tree);
  place_in_group(&r->endpoints, &endpoint, rule);
  place_in_group(&r->texts, &text, rule);
  rule->group = endpoint.group;
  r->rules = rules;
  r->rules_cap = cap;
  r->rules[r->nrules++] = rule;
  size_t vars = rule->nvars + rule->nhost_vars;
  if (vars > r->most_vars) r->most_vars = vars;
  return 0;
}

int dw_router_add(dw_router *r, const dw_rule_options *options,
                  const dw_rule **out, dw_buffer *message) {
  dw_rule *rule = NULL;
  int rc = check_options(options, message);
  if (rc < 0) return rc;
  dw_pool_mark mark = dw_pool_marked(&r->pool);
  rc = compile(r, &rule, options, message);
  if (rc == 0) rc = place(r, rule, message);
  if (rc < 0) {
    dw_pool_rollback(&r->pool, mark);
    return rc;
  }
  if (out) *out = rule;
  return 0;
}
