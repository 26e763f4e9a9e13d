/* SPDX-License-Identifier: MIT */
/* Matching: a walk down the tree, segment by segment, that turns back where it
 * leads nowhere. What keeps it short: a node knows how many segments the rules
 * below it take; a part that spans segments is not tried again from a place
 * that an earlier try has covered; and a budget of steps, which no honest path
 * comes near, ends what is left. A path that is a rule's own text is found at
 * once. Owner: the request, by its arena. */
#include "app/router_private.h"

enum { LOCAL_VALUES = 16 }; /* captured without memory of the arena */

/* What a rule must be good for. */
typedef enum wish {
  HANDLES_METHOD,
  ANSWERS_OPTIONS, /* by itself */
  NOTHING          /* only look what is there */
} wish;

typedef struct walker {
  const dw_router *router;
  const dw_match_query *query;
  dw_path path;
  wish wish;
  uint64_t method;        /* its bit */
  bool merging;           /* empty segments are stepped over */
  unsigned char *skipped; /* which ones, while merging */
  dw_captures captures;
  uint32_t *tried;     /* by number of a nested edge: lowest start, plus 1 */
  uint64_t allowed;    /* what the rules seen answer */
  bool other_kind;     /* a rule was for WebSocket, or was not */
  const dw_rule *rule; /* found */
  bool add_slash;      /* it is found with a slash more */
} walker;

static bool spend(walker *w) { return dw_captures_spend(&w->captures, 1); }

/* --- The end of a path -----------------------------------------------------*/

static bool suits(const walker *w, const dw_rule *rule, bool *at_need) {
  if (w->wish == NOTHING) return false;
  if (w->wish == ANSWERS_OPTIONS) return rule->automatic_options;
  if (rule->explicit_methods & w->method) return true;
  *at_need = rule->methods & w->method & DW_METHOD_BIT(DW_METHOD_HEAD);
  return false;
}

/* Which rules of a list are asked. */
typedef enum choice {
  ALL,
  LOOSE, /* those that don't care about a slash at the end */
  STRICT /* those that do: the path is another's, but could be corrected */
} choice;

/* The first rule of a list that will do; an automatic HEAD only where there is
 * no other. */
static bool pick(walker *w, const dw_rule *list, choice which) {
  const dw_rule *second = NULL;
  for (; list; list = list->next) {
    if (which != ALL && list->strict_slashes == (which == LOOSE)) continue;
    if (w->merging && !list->merge_slashes) continue;
    if (list->websocket != w->query->websocket) {
      w->other_kind |= which != STRICT;
      continue;
    }
    if (which != STRICT) w->allowed |= list->methods;
    bool at_need = false;
    if (suits(w, list, &at_need)) break;
    if (at_need && !second) second = list;
  }
  w->rule = list ? list : second;
  return w->rule != NULL;
}

static bool end_without_slash(walker *w, const dw_router_node *node) {
  if (pick(w, node->plain, ALL) || pick(w, node->slashed, LOOSE)) return true;
  w->add_slash = pick(w, node->slashed, STRICT);
  return w->add_slash;
}

/* --- The walk --------------------------------------------------------------*/

static bool walk(walker *w, const dw_router_node *node, size_t at);
static bool walk_span(walker *w, const dw_router_edge *edge, size_t at);

static bool is_empty(const walker *w, size_t at) {
  return w->path.segments[at].text.len == 0;
}

static bool walk_branch(walker *w, const dw_router_node *node, size_t at) {
  if (node->nbranches == 0) return false;
  const dw_router_node *to =
      dw_router_find_branch(node, w->path.segments[at].text);
  return to && walk(w, to, at + 1);
}

static bool walk_edge(walker *w, const dw_router_edge *edge, size_t at) {
  if (edge->part->slashes) return walk_span(w, edge, at);
  size_t mark = w->captures.count;
  if (!dw_captures_take(&w->captures, edge->part, w->path.segments[at].text,
                        false))
    return false;
  if (walk(w, edge->to, at + 1)) return true;
  dw_captures_drop(&w->captures, mark);
  return false;
}

static bool walk_from(walker *w, const dw_router_node *node, size_t at) {
  if (at == w->path.count) {
    if (!w->path.slash) return end_without_slash(w, node);
    return pick(w, node->slashed, ALL) || pick(w, node->plain, LOOSE);
  }
  if (walk_branch(w, node, at)) return true;
  for (uint32_t i = 0; i < node->nedges; i++)
    if (walk_edge(w, &node->edges[i], at)) return true;
  return false;
}

/* Steps over empty segments and goes on; forgets the steps if that failed. */
static bool walk_merging(walker *w, const dw_router_node *node, size_t at) {
  size_t next = at;
  for (; next < w->path.count && is_empty(w, next); next++)
    w->skipped[next] = 1;
  if (walk_from(w, node, next)) return true;
  memset(w->skipped + at, 0, next - at);
  return false;
}

/* Whether the segments from at on lead to a rule below node. */
static bool walk(walker *w, const dw_router_node *node, size_t at) {
  if (!spend(w)) return false;
  if (w->merging) return walk_merging(w, node, at);
  size_t left = w->path.count - at;
  if (left < node->least || left > node->most) return false;
  return walk_from(w, node, at);
}

/* --- Parts that span segments ----------------------------------------------*/

/* The form of the segments from at up to end. */
static dw_slice span(const walker *w, size_t at, size_t end) {
  const char *start = w->path.segments[at].form.ptr;
  const dw_slice last = w->path.segments[end - 1].form;
  return dw_slice_of(start, (size_t)(last.ptr + last.len - start));
}

/* The edge spans the segments up to end; what follows is a static segment, or
 * next. */
static bool walk_behind(walker *w, const dw_router_edge *edge, size_t at,
                        size_t end, const dw_router_edge *next) {
  const dw_router_node *to = edge->to;
  size_t mark = w->captures.count, follow = end;
  if (!spend(w)) return false;
  if (w->merging) {
    while (follow < w->path.count && is_empty(w, follow)) follow++;
    if (follow == w->path.count || is_empty(w, end - 1)) return false;
  }
  if (!next) to = dw_router_find_branch(to, w->path.segments[follow].text);
  dw_slice text = span(w, at, end);
  if (!to || !dw_captures_take(&w->captures, edge->part, text, true))
    return false;
  if (w->merging) memset(w->skipped + end, 1, follow - end);
  if (next ? walk_edge(w, next, follow) : walk(w, to, follow + 1)) return true;
  if (w->merging) memset(w->skipped + end, 0, follow - end);
  dw_captures_drop(&w->captures, mark);
  return false;
}

/* The edge spans what is left of the path, with the slash at its end or without
 * it. */
static bool walk_rest(walker *w, const dw_router_edge *edge, size_t at,
                      bool with_slash, const dw_rule *list, choice which) {
  size_t mark = w->captures.count;
  if (!list) return false;
  dw_slice text = span(w, at, w->path.count);
  if (with_slash) text.len = (size_t)(w->path.end - text.ptr);
  if (!spend(w) || !dw_captures_take(&w->captures, edge->part, text, true))
    return false;
  if (pick(w, list, which)) return true;
  dw_captures_drop(&w->captures, mark);
  return false;
}

static bool walk_to_end(walker *w, const dw_router_edge *edge, size_t at) {
  const dw_router_node *node = edge->to;
  if (w->path.slash)
    return walk_rest(w, edge, at, false, node->slashed, ALL) ||
           walk_rest(w, edge, at, true, node->plain, ALL) ||
           walk_rest(w, edge, at, false, node->plain, LOOSE);
  size_t mark = w->captures.count;
  if (!node->plain && !node->slashed) return false;
  if (!dw_captures_take(&w->captures, edge->part, span(w, at, w->path.count),
                        true))
    return false;
  if (end_without_slash(w, node)) return true;
  dw_captures_drop(&w->captures, mark);
  return false;
}

/* Where an edge below another that spans segments has been tried from `at` in
 * vain, a later start can only meet the same ends again. That needs a part
 * whose ends don't depend on its start: one variable that takes any path. */
static bool is_tried(const walker *w, const dw_router_edge *edge, size_t at) {
  if (!w->tried || !edge->nested) return false;
  uint32_t lowest = w->tried[edge->nested - 1];
  return lowest > 0 && lowest - 1 <= at;
}

static void note_tried(walker *w, const dw_router_edge *edge, size_t at) {
  const dw_rule_part *part = edge->part;
  if (!edge->nested || part->nvars != 1 || part->vars[0].kind != DW_VAR_PATH)
    return;
  dw_slice segment = w->path.segments[at].form;
  if (segment.len <= part->prefix.len ||
      !dw_slice_has(segment, 0, part->prefix))
    return;
  if (!w->tried)
    w->tried = dw_arena_zalloc(w->captures.arena,
                               w->router->nested * sizeof *w->tried);
  if (w->tried)
    w->tried[edge->nested - 1] = (uint32_t)at + 1;
  else
    w->captures.no_memory = true;
}

/* Shorter spans go first, but what follows decides: a static segment behind any
 * span goes before a variable behind any other, and that before the end. */
static bool walk_span(walker *w, const dw_router_edge *edge, size_t at) {
  const dw_router_node *node = edge->to;
  size_t count = w->path.count, first = at + 1, last = count - 1;
  if (is_empty(w, at) || is_tried(w, edge, at)) return false;
  if (!w->merging && node->most > 0) {
    if (node->most < count - first) first = count - node->most;
    if (node->least > 0) last = count > node->least ? count - node->least : 0;
  }
  for (size_t i = first; node->nbranches > 0 && i <= last; i++)
    if (walk_behind(w, edge, at, i, NULL)) return true;
  for (uint32_t e = 0; e < node->nedges; e++)
    for (size_t i = first; i <= last; i++)
      if (walk_behind(w, edge, at, i, &node->edges[e])) return true;
  if (walk_to_end(w, edge, at)) return true;
  note_tried(w, edge, at);
  return false;
}

/* --- Hosts -----------------------------------------------------------------*/

static bool walk_hosts(walker *w, const dw_router_node *hosts, dw_slice host) {
  if (host.len == 0) return false;
  const dw_router_node *node = dw_router_find_branch(hosts, host);
  if (node && walk(w, node, 0)) return true;
  for (uint32_t i = 0; i < hosts->nedges; i++) {
    if (!spend(w)) return false;
    bool fits =
        dw_captures_take(&w->captures, hosts->edges[i].part, host, false);
    if (fits && walk(w, hosts->edges[i].to, 0)) return true;
    dw_captures_drop(&w->captures, 0);
  }
  return false;
}

/* What stands in front of the server name; empty where it isn't behind. */
static dw_slice subdomain(const walker *w) {
  dw_slice host = w->query->host, name = w->router->server_name;
  if (name.len == 0 || host.len <= name.len + 1) return DW_EMPTY;
  size_t len = host.len - name.len - 1;
  bool below = host.ptr[len] == '.' && dw_slice_has(host, len + 1, name);
  return below ? dw_slice_of(host.ptr, len) : DW_EMPTY;
}

static bool search(walker *w, wish what) {
  const dw_router *r = w->router;
  w->wish = what;
  w->captures.steps = 0;
  w->tried = NULL;
  return walk_hosts(w, &r->on_host, w->query->host) ||
         walk_hosts(w, &r->on_subdomain, subdomain(w)) ||
         walk(w, &r->anywhere, 0);
}

/* --- The answer ------------------------------------------------------------*/

/* A rule that handles OPTIONS itself goes before any automatic answer, and
 * either wants to know all methods of the path. */
static bool find(walker *w) {
  if (w->query->method != DW_METHOD_OPTIONS) return search(w, HANDLES_METHOD);
  search(w, NOTHING);
  return search(w, HANDLES_METHOD) || search(w, ANSWERS_OPTIONS);
}

/* Once more, with empty segments stepped over. What it sees but can't use
 * doesn't count: such a path isn't that rule's. */
static bool find_merged(walker *w) {
  if (!w->path.empties || w->captures.code || w->captures.no_memory)
    return false;
  uint64_t allowed = w->allowed;
  bool other_kind = w->other_kind;
  w->skipped = dw_arena_zalloc(w->captures.arena, w->path.count);
  if (!w->skipped) w->captures.no_memory = true;
  w->merging = true;
  bool found = w->skipped && find(w);
  w->allowed = allowed;
  w->other_kind = other_kind;
  return found;
}

static bool has_rules(const dw_router_node *root) {
  return root->nbranches > 0 || root->nedges > 0;
}

/* A path that some rule without variables is written as. Static segments go
 * before variables, so that no walk could find another rule; with rules for
 * hosts, which go before both, it could. */
static bool find_whole(walker *w) {
  const dw_router *r = w->router;
  dw_slice path = w->query->raw_path;
  if (path.len > r->longest || path.len == 0) return false;
  if (has_rules(&r->on_host) || has_rules(&r->on_subdomain)) return false;
  if (w->query->method == DW_METHOD_OPTIONS) return false;
  const dw_router_node *node = dw_router_find_branch(&r->whole, path);
  if (!node) return false;
  bool slash = path.ptr[path.len - 1] == '/';
  w->wish = HANDLES_METHOD;
  if (pick(w, slash ? node->slashed : node->plain, ALL)) return true;
  w->allowed = 0;
  w->other_kind = false;
  return false;
}

/* From the order of capture (the host's first) to the order of the rule. */
static int order_values(walker *w, dw_match *out) {
  const dw_rule *rule = w->rule;
  size_t count = dw_rule_values(rule, NULL), hosts = rule->nhost_vars;
  if (count == 0) return 0;
  dw_value *values = dw_arena_alloc(w->captures.arena, count * sizeof *values);
  if (!values) return DW_ENOMEM;
  size_t vars = rule->nvars, extras = rule->nextras;
  if (vars) memcpy(values, w->captures.values + hosts, vars * sizeof *values);
  if (extras) memcpy(values + vars, rule->extras, extras * sizeof *values);
  if (hosts)
    memcpy(values + vars + extras, w->captures.values, hosts * sizeof *values);
  out->values = values;
  return 0;
}

static int answer_found(walker *w, dw_match *out) {
  out->rule = w->rule;
  out->allowed = w->allowed;
  out->kind = DW_MATCH_FOUND;
  int rc = order_values(w, out);
  if (rc < 0) return rc;
  if (w->wish == ANSWERS_OPTIONS) {
    out->kind = DW_MATCH_OPTIONS;
    return 0;
  }
  rc = dw_router_redirect(w->router, w->query, w->captures.arena, w->rule,
                          out->values, &out->location);
  if (rc == 0) return 0;
  if (rc < 0 && rc != DW_ENOMEM) w->captures.code = rc;
  if (rc > 0) out->kind = DW_MATCH_REDIRECT;
  return rc == DW_ENOMEM ? rc : 1;
}

static int answer_corrected(walker *w, dw_match *out) {
  out->kind = DW_MATCH_REDIRECT;
  int rc = dw_router_slash_location(w->query, w->captures.arena, w->skipped,
                                    w->add_slash, &out->location);
  return rc < 0 ? rc : 1;
}

static void answer_nothing(const walker *w, dw_match *out) {
  out->kind = DW_MATCH_NOT_FOUND;
  if (w->allowed) {
    out->kind = DW_MATCH_NOT_ALLOWED;
    out->allowed = w->allowed;
  } else if (w->other_kind) {
    out->kind = DW_MATCH_WEBSOCKET;
  }
}

/* Turns what the walk came to into a match. The captured values are the
 * match's, or are released. */
static int answer(walker *w, bool found, dw_match *out) {
  int rc = 1; /* values are left to release */
  if (w->captures.no_memory)
    rc = DW_ENOMEM;
  else if (!found)
    answer_nothing(w, out);
  else if (w->merging || w->add_slash)
    rc = answer_corrected(w, out);
  else
    rc = answer_found(w, out);
  if (rc == 0) return 0;
  dw_captures_drop(&w->captures, 0);
  *out = (dw_match){.kind = w->captures.code ? DW_MATCH_FAILED : out->kind,
                    .allowed = out->rule || w->captures.code ? 0 : out->allowed,
                    .location = out->location,
                    .code = w->captures.code};
  return rc < 0 ? rc : 0;
}

int dw_router_match(const dw_router *r, const dw_match_query *q,
                    dw_arena *arena, dw_match *out) {
  dw_path_segment segments[DW_PATH_LOCAL];
  dw_value values[LOCAL_VALUES];
  walker w = {.router = r,
              .query = q,
              .captures = {.arena = arena, .values = values},
              .method = DW_METHOD_BIT(q->method)};
  *out = (dw_match){.kind = DW_MATCH_BAD_PATH, .location = DW_EMPTY};
  if (find_whole(&w)) return answer(&w, true, out);
  int rc = dw_path_split(q->raw_path, arena, segments, &w.path);
  if (rc < 0) return rc == DEWAR_EPARSE ? 0 : rc;
  if (r->most_vars > LOCAL_VALUES)
    w.captures.values = dw_arena_alloc(arena, r->most_vars * sizeof *values);
  if (!w.captures.values) return DW_ENOMEM;
  bool found = find(&w);
  if (!found) found = find_merged(&w);
  return answer(&w, found, out);
}

void dw_match_release(dw_match *m) {
  if (m->rule && m->values) {
    /* Values that only defaults give belong to the rule. */
    size_t vars = m->rule->nvars, extras = m->rule->nextras;
    dw_values_release(m->values, vars);
    dw_values_release(m->values + vars + extras, m->rule->nhost_vars);
  }
  m->values = NULL;
}
