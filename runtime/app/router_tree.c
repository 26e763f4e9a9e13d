/* SPDX-License-Identifier: MIT */
/* The tree of rules: a node for each sequence of parts that some rule starts
 * with. Static segments are found by hash; parts with variables stand in the
 * order in which they are tried, equal ones once. Adding is planned first, in
 * memory of the pool, and then done without failing. */
#include "app/router_private.h"

/* --- Static segments -------------------------------------------------------*/

static dw_router_branch *branch_slot(dw_router_branch *slots, uint32_t cap,
                                     dw_slice text, uint32_t hash) {
  uint32_t i = hash & (cap - 1);
  while (slots[i].to &&
         !(slots[i].hash == hash && dw_slice_equal(slots[i].text, text)))
    i = (i + 1) & (cap - 1);
  return &slots[i];
}

dw_router_node *dw_router_find_branch(const dw_router_node *node,
                                      dw_slice text) {
  if (node->nbranches == 0) return NULL;
  return branch_slot(node->branches, node->branches_cap, text,
                     dw_router_hash(text))
      ->to;
}

/* A table with room for one more; *cap is its size. NULL on failure. */
static dw_router_branch *roomy_branches(dw_pool *p, const dw_router_node *node,
                                        uint32_t *cap) {
  *cap = node->branches_cap;
  if ((node->nbranches + 1) * 4 <= *cap * 3) return node->branches;
  *cap = *cap ? *cap * 2 : 2;
  dw_router_branch *slots = dw_pool_alloc(p, *cap * sizeof *slots);
  for (uint32_t i = 0; slots && i < node->branches_cap; i++) {
    const dw_router_branch *b = &node->branches[i];
    if (b->to) *branch_slot(slots, *cap, b->text, b->hash) = *b;
  }
  return slots;
}

static void put_branch(dw_router_node *node, dw_slice text,
                       dw_router_node *to) {
  uint32_t hash = dw_router_hash(text);
  *branch_slot(node->branches, node->branches_cap, text, hash) =
      (dw_router_branch){text, hash, to};
  node->nbranches++;
}

/* --- Parts with variables --------------------------------------------------*/

/* More static text first, then the lighter: by the heaviest variable, then one
 * by one. */
static bool goes_before(const dw_rule_part *a, const dw_rule_part *b) {
  if (a->fixed != b->fixed) return a->fixed > b->fixed;
  if (a->weight != b->weight) return a->weight < b->weight;
  for (size_t i = 0; i < a->nvars && i < b->nvars; i++)
    if (a->vars[i].weight != b->vars[i].weight)
      return a->vars[i].weight < b->vars[i].weight;
  return false;
}

static dw_router_edge *roomy_edges(dw_pool *p, const dw_router_node *node,
                                   uint32_t *cap) {
  *cap = node->edges_cap;
  if (node->nedges < *cap) return node->edges;
  *cap = *cap ? *cap * 2 : 1;
  dw_router_edge *edges = dw_pool_alloc(p, *cap * sizeof *edges);
  if (edges && node->nedges > 0)
    memcpy(edges, node->edges, node->nedges * sizeof *edges);
  return edges;
}

static void put_edge(dw_router_node *node, const dw_rule_part *part,
                     dw_router_node *to, uint32_t nested) {
  uint32_t i = node->nedges++;
  for (; i > 0 && goes_before(part, node->edges[i - 1].part); i--)
    node->edges[i] = node->edges[i - 1];
  node->edges[i] = (dw_router_edge){part, to, nested};
}

/* --- Rules -----------------------------------------------------------------*/

static size_t depth_of(const dw_rule *rule) {
  return rule->nparts + (rule->place != DW_RULE_ANYWHERE);
}

static const dw_rule_part *part_at(const dw_rule *rule, size_t depth) {
  if (rule->place == DW_RULE_ANYWHERE) return &rule->parts[depth];
  return depth == 0 ? &rule->host_part : &rule->parts[depth - 1];
}

static dw_router_node *follow(const dw_router_node *node,
                              const dw_rule_part *part) {
  if (part->nvars == 0) return dw_router_find_branch(node, part->prefix);
  for (uint32_t i = 0; i < node->nedges; i++)
    if (dw_rule_part_equal(node->edges[i].part, part)) return node->edges[i].to;
  return NULL;
}

/* The methods of a that b can't have, too. */
static uint64_t overlap(const dw_rule *a, const dw_rule *b) {
  if (a->websocket != b->websocket) return 0;
  return a->explicit_methods & b->explicit_methods;
}

static int check_taken(const dw_rule *list, const dw_rule *rule,
                       dw_buffer *message) {
  for (; list; list = list->next) {
    uint64_t both = overlap(list, rule);
    if (!both) continue;
    unsigned m = 0;
    while (!(both & DW_METHOD_BIT(m))) m++;
    dw_slice method = rule->websocket ? DW_LITERAL("WebSocket")
                                      : dw_method_name((dw_method)m);
    return DW_ROUTER_FAIL(
        message, DEWAR_EEXIST,
        "'%.*s' of endpoint '%.*s' is the same rule as '%.*s' of endpoint "
        "'%.*s', and both answer %.*s",
        DW_FMT(rule->text), DW_FMT(rule->endpoint), DW_FMT(list->text),
        DW_FMT(list->endpoint), DW_FMT(method));
  }
  return 0;
}

/* Puts a part and what it leads to into a node that has room. */
static void put(dw_router_node *node, const dw_rule_part *part,
                dw_router_node *to, uint32_t nested) {
  if (part->nvars == 0)
    put_branch(node, part->prefix, to);
  else
    put_edge(node, part, to, nested);
}

static int make_room(dw_pool *p, dw_router_node *node, const dw_rule_part *part,
                     dw_router_plan *plan) {
  if (part->nvars == 0)
    plan->branches = roomy_branches(p, node, &plan->branches_cap);
  else
    plan->edges = roomy_edges(p, node, &plan->edges_cap);
  return plan->branches || plan->edges ? 0 : DW_ENOMEM;
}

static void use_room(dw_router_node *node, const dw_router_plan *plan) {
  if (plan->branches) {
    node->branches = plan->branches;
    node->branches_cap = plan->branches_cap;
  }
  if (plan->edges) {
    node->edges = plan->edges;
    node->edges_cap = plan->edges_cap;
  }
}

static dw_router_node *new_node(dw_pool *p) {
  dw_router_node *node = dw_pool_alloc(p, sizeof *node);
  if (node) node->least = UINT32_MAX;
  return node;
}

/* The number for the edge at a depth: 0 where it spans no segments, or no edge
 * above it does. */
static uint32_t nested_number(const dw_rule *rule, size_t depth,
                              uint32_t *last) {
  if (!part_at(rule, depth)->slashes) return 0;
  for (size_t i = 0; i < depth; i++)
    if (part_at(rule, i)->slashes) return ++*last;
  return 0;
}

/* Makes the nodes behind the first new one and puts them together. */
static int make_chain(dw_router *r, dw_rule *rule, dw_router_plan *plan) {
  dw_router_node *last = plan->chain = new_node(&r->pool);
  if (!last) return DW_ENOMEM;
  for (size_t depth = plan->depth + 1; depth < depth_of(rule); depth++) {
    const dw_rule_part *part = part_at(rule, depth);
    dw_router_plan room = {0};
    dw_router_node *next = new_node(&r->pool);
    if (!next || make_room(&r->pool, last, part, &room) < 0) return DW_ENOMEM;
    use_room(last, &room);
    put(last, part, next, nested_number(rule, depth, &plan->nested));
    last = next;
  }
  return 0;
}

/* Whether a path can be the rule's text, letter by letter, and then leads to
 * its end. */
static bool is_spelled_out(const dw_rule *rule) {
  if (rule->nvars > 0 || rule->place != DW_RULE_ANYWHERE) return false;
  const char *p = rule->text.ptr, *end = p + rule->text.len;
  for (; p < end; p++)
    if (*p == '%' || (*p == '/' && p + 1 < end && p[1] == '/')) return false;
  return true;
}

static int plan_whole(dw_router *r, const dw_rule *rule,
                      dw_router_plan *plan) {
  if (!is_spelled_out(rule) || dw_router_find_branch(&r->whole, rule->text))
    return 0;
  plan->whole = roomy_branches(&r->pool, &r->whole, &plan->whole_cap);
  return plan->whole ? 0 : DW_ENOMEM;
}

static void place_whole(dw_router *r, const dw_rule *rule,
                        const dw_router_plan *plan, dw_router_node *end) {
  if (!plan->whole) return;
  r->whole.branches = plan->whole;
  r->whole.branches_cap = plan->whole_cap;
  put_branch(&r->whole, rule->text, end);
  if (rule->text.len > r->longest) r->longest = rule->text.len;
}

int dw_router_plan_rule(dw_router *r, dw_rule *rule, dw_router_plan *plan,
                        dw_buffer *message) {
  dw_router_node *node = dw_router_root(r, rule->place);
  size_t depth = 0, end = depth_of(rule);
  for (dw_router_node *next; depth < end; depth++, node = next)
    if (!(next = follow(node, part_at(rule, depth)))) break;
  *plan = (dw_router_plan){.at = node, .depth = depth, .nested = r->nested};
  if (plan_whole(r, rule, plan) < 0) return DW_ENOMEM;
  if (depth == end)
    return check_taken(rule->slash ? node->slashed : node->plain, rule,
                       message);
  /* The number of the first new edge comes first: numbers are not reused, and
   * which edge has which doesn't matter. */
  plan->first_nested = nested_number(rule, depth, &plan->nested);
  int rc = make_room(&r->pool, node, part_at(rule, depth), plan);
  return rc < 0 ? rc : make_chain(r, rule, plan);
}

/* Notes in the nodes along a rule how many segments it still takes there. */
static dw_router_node *note_lengths(dw_router *r, const dw_rule *rule) {
  dw_router_node *node = dw_router_root(r, rule->place);
  size_t end = depth_of(rule);
  size_t spans = 0; /* parts behind this node that span segments */
  for (size_t i = 0; i < end; i++) spans += part_at(rule, i)->slashes;
  for (size_t depth = 0;; depth++) {
    uint32_t left = (uint32_t)(end - depth);
    uint32_t most = spans > 0 ? UINT32_MAX : left;
    if (left < node->least) node->least = left;
    if (most > node->most) node->most = most;
    if (depth == end) return node;
    spans -= part_at(rule, depth)->slashes;
    node = follow(node, part_at(rule, depth));
  }
}

void dw_router_place_rule(dw_router *r, dw_rule *rule,
                          const dw_router_plan *plan) {
  if (plan->chain) {
    use_room(plan->at, plan);
    put(plan->at, part_at(rule, plan->depth), plan->chain, plan->first_nested);
    r->nested = plan->nested;
  }
  dw_router_node *node = note_lengths(r, rule);
  place_whole(r, rule, plan, node);
  dw_rule **list = rule->slash ? &node->slashed : &node->plain;
  while (*list) list = &(*list)->next;
  *list = rule;
}
