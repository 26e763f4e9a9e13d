/* SPDX-License-Identifier: MIT */
/* What the router's files share: compiled rules, the tree they stand in, and
 * small services. A rule is compiled by router_rule.c and router_convert.c,
 * placed by router_tree.c, walked by router_match.c, turned into URLs by
 * router_build.c; router_redirect.c makes the locations. Everything that a rule
 * needs lies in the router's pool and lives as long as the router. */
#ifndef DW_APP_ROUTER_PRIVATE_H
#define DW_APP_ROUTER_PRIVATE_H

#include "app/router.h"
#include "base/error.h"

enum {
  DW_RULE_SEGMENTS = 256, /* the most a rule may have */
  DW_RULE_VARIABLES = 64
};

/* --- Compiled rules --------------------------------------------------------*/

typedef enum dw_var_kind {
  DW_VAR_STRING,
  DW_VAR_INT,
  DW_VAR_FLOAT,
  DW_VAR_PATH,
  DW_VAR_UUID,
  DW_VAR_ANY,
  DW_VAR_CUSTOM
} dw_var_kind;

/* A variable of a rule, its converter's arguments compiled. Two variables that
 * accept the same texts are equal field by field, name and after apart. */
typedef struct dw_rule_var {
  dw_slice name;
  dw_slice after; /* static text up to the next variable or the part's end */
  dw_var_kind kind;
  bool slashes;
  bool is_signed;
  int weight;
  int64_t least, most;   /* of a string's characters, or of an int */
  double floor, ceiling; /* of a float */
  size_t digits;         /* of an int with fixed_digits, else 0 */
  dw_slice *items;       /* of any: sorted, each once */
  size_t nitems;
  const dw_converter *converter; /* custom */
  dw_converter_arg *args;
  size_t nargs;
} dw_rule_var;

/* What stands between two slashes of a rule, or a whole host pattern. Where a
 * variable takes slashes the part spans segments, and its static texts have the
 * form that dw_path_decode gives. */
typedef struct dw_rule_part {
  dw_slice prefix; /* static text before the first variable, or all of it */
  dw_rule_var *vars;
  size_t nvars;
  size_t fixed; /* bytes of static text as written */
  int weight;   /* the heaviest variable's */
  bool slashes;
} dw_rule_part;

typedef enum dw_rule_place {
  DW_RULE_ANYWHERE, /* on any host */
  DW_RULE_ON_HOST,
  DW_RULE_ON_SUBDOMAIN
} dw_rule_place;

typedef struct dw_rule_group dw_rule_group;

struct dw_rule {
  dw_slice text;
  dw_slice endpoint;
  dw_slice host; /* pattern in lower case; of a subdomain its left part */
  dw_slice shown_host;
  dw_slice redirect_to;
  dw_rule_part host_part; /* unless place is DW_RULE_ANYWHERE */
  dw_rule_part *parts;    /* of the path */
  size_t nparts;
  dw_rule_place place;
  bool slash; /* ends in "/" */
  bool strict_slashes, merge_slashes;
  bool alias, build_only, websocket, automatic_options;
  uint64_t explicit_methods;
  uint64_t methods;         /* with HEAD and the automatic OPTIONS */
  dw_named_value *defaults; /* by name */
  size_t ndefaults;
  dw_slice *names; /* of the values, in their order */
  size_t nvars, nextras, nhost_vars;
  dw_value *extras; /* values that only defaults give */
  void *data;
  dw_rule_group *group; /* of the endpoint */
  dw_rule *next;        /* at the same end of the tree */
};

/* The rules of one endpoint, or of one text, the one to prefer when a URL is
 * built first. */
struct dw_rule_group {
  dw_slice name;
  dw_rule **rules;
  size_t count, cap;
  bool defaults; /* some rule has any */
};

/* Groups by name: open addressing, cap is 0 or a power of two. */
typedef struct dw_rule_index {
  dw_rule_group **slots;
  size_t count, cap;
} dw_rule_index;

/* --- The tree --------------------------------------------------------------*/

typedef struct dw_router_node dw_router_node;

typedef struct dw_router_branch { /* a static segment */
  dw_slice text;
  uint32_t hash;
  dw_router_node *to; /* NULL: the slot is free */
} dw_router_branch;

typedef struct dw_router_edge { /* a part with variables */
  const dw_rule_part *part;
  dw_router_node *to;
  /* Counts the edges that span segments below another such edge: from 1. */
  uint32_t nested;
} dw_router_edge;

struct dw_router_node {
  dw_router_branch *branches; /* open addressing, a power of two of them */
  uint32_t nbranches, branches_cap;
  dw_router_edge *edges; /* the one to try first first */
  uint32_t nedges, edges_cap;
  dw_rule *plain;       /* rules that end here, */
  dw_rule *slashed;     /* and those that end here with a slash */
  uint32_t least, most; /* segments that the rules below still take */
};

/* --- The router ------------------------------------------------------------*/

/* Memory that is only freed all at once, or back to a mark. */
typedef struct dw_pool_chunk dw_pool_chunk;
typedef struct dw_pool {
  dw_allocator *alloc;
  dw_pool_chunk *chunks; /* newest first; the newest has the free room */
} dw_pool;
typedef struct dw_pool_mark {
  dw_pool_chunk *chunk;
  size_t used;
} dw_pool_mark;

void *dw_pool_alloc(dw_pool *p, size_t size); /* zeroed; NULL on failure */
/* A copy; ptr NULL on failure. */
dw_slice dw_pool_copy(dw_pool *p, dw_slice text);
/* A longer copy of an array where it is full, else the array itself; NULL on
 * failure. *cap becomes the new capacity. */
void *dw_pool_grown(dw_pool *p, void *array, size_t count, size_t *cap,
                    size_t item);
dw_pool_mark dw_pool_marked(const dw_pool *p);
void dw_pool_rollback(dw_pool *p, dw_pool_mark mark);

struct dw_router {
  dw_allocator *alloc;
  dw_pool pool;
  const dw_converter **converters; /* the ones users added, in order */
  size_t nconverters, converters_cap;
  dw_rule **rules;
  size_t nrules, rules_cap;
  dw_rule_index endpoints, texts;
  /* Three trees; the first two have host patterns in their roots. */
  dw_router_node on_host, on_subdomain, anywhere;
  /* And one branch per text of a rule without variables: to its end in the
   * last tree. A path that is such a text needs no walk. */
  dw_router_node whole;
  size_t longest; /* of those texts */
  uint32_t nested;      /* edges with such a number */
  size_t most_vars;     /* of any rule, host variables included */
  dw_slice server_name; /* without port, lower case; "" where there is none */
};

static inline dw_router_node *dw_router_root(dw_router *r,
                                             dw_rule_place place) {
  if (place == DW_RULE_ON_HOST) return &r->on_host;
  return place == DW_RULE_ON_SUBDOMAIN ? &r->on_subdomain : &r->anywhere;
}

/* --- Rules (router_rule.c) -------------------------------------------------*/

/* A text being compiled; for messages. */
typedef struct dw_rule_source {
  dw_router *router;
  dw_slice text;
  dw_buffer *message; /* may be NULL */
} dw_rule_source;

/* "<what> in '<text>', column <n>; did you mean '<nearest>'?". at is a byte's
 * index, or NO_COLUMN; nearest may be empty. Returns DEWAR_EINVAL, or
 * DW_ENOMEM. */
enum { DW_NO_COLUMN = -1 };
int dw_rule_error(const dw_rule_source *s, ptrdiff_t at, dw_slice nearest,
                  const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Both copy the text and fill in what concerns it. */
int dw_rule_parse_path(dw_rule_source *s, dw_rule *rule);
int dw_rule_parse_host(dw_rule_source *s, dw_rule *rule);
/* Checks redirect_to against the names of the values. */
int dw_rule_check_redirect(dw_rule_source *s, const dw_rule *rule);
bool dw_rule_part_equal(const dw_rule_part *a, const dw_rule_part *b);
/* The length of the Lua name at the start of text; 0 where there is none. */
size_t dw_rule_name_length(dw_slice text);
/* The next "<name>" of a redirect_to from *at on: *before is the text in front
 * of it. False at the end, when *before is the rest. */
bool dw_rule_next_name(dw_slice text, size_t *at, dw_slice *before,
                       dw_slice *name);

/* --- Converters (router_convert.c, router_number.c) ------------------------*/

/* An argument as it stands in a rule. */
typedef struct dw_rule_arg {
  dw_slice name; /* empty: positional */
  dw_slice text;
  bool quoted;
  size_t at; /* its index in the source */
} dw_rule_arg;

/* Finds the converter and compiles its arguments into v. */
int dw_converter_compile(dw_rule_source *s, dw_rule_var *v, dw_slice name,
                         size_t name_at, const dw_rule_arg *args, size_t nargs);
/* 1 and *out; 0: refused; < 0: a custom converter's code, or DW_ENOMEM. */
int dw_converter_to_value(const dw_rule_var *v, dw_slice text, dw_arena *arena,
                          dw_value *out);
/* Appends the text, not yet percent-encoded: 1; 0: refused, why in *why (may be
 * NULL); < 0. */
int dw_converter_to_text(const dw_rule_var *v, const dw_value *value,
                         dw_buffer *out, dw_buffer *why);
/* A value as text without a converter; a handle is DEWAR_EINVAL. */
int dw_value_text(const dw_value *value, dw_buffer *out);
bool dw_value_equal(const dw_value *a, const dw_value *b);

/* Decimal text to numbers and back. Digits only, a sign only where allowed; a
 * float is digits, a dot, digits, in any locale. */
bool dw_number_int(dw_slice text, bool is_signed, int64_t *out);
bool dw_number_float(dw_slice text, bool is_signed, double *out);
int dw_number_append_float(dw_buffer *out, double number);

/* --- The tree (router_tree.c) ----------------------------------------------*/

/* What adding a rule will change; made while failing is still possible. */
typedef struct dw_router_plan {
  dw_router_node *at;         /* the last node that exists */
  size_t depth;               /* parts that led there, the host's included */
  dw_router_node *chain;      /* new nodes for the rest, or NULL */
  dw_router_branch *branches; /* a grown table for at, or NULL */
  uint32_t branches_cap;
  dw_router_edge *edges; /* likewise */
  uint32_t edges_cap;
  dw_router_branch *whole; /* the table for r->whole if there is a new text */
  uint32_t whole_cap;
  uint32_t first_nested; /* the number of the edge from at to chain */
  uint32_t nested;       /* the router's count */
} dw_router_plan;

int dw_router_plan_rule(dw_router *r, dw_rule *rule, dw_router_plan *plan,
                        dw_buffer *message);
void dw_router_place_rule(dw_router *r, dw_rule *rule,
                          const dw_router_plan *plan); /* can't fail */
dw_router_node *dw_router_find_branch(const dw_router_node *node,
                                      dw_slice text);

/* --- Paths (router_path.c) -------------------------------------------------*/

/* Between two slashes: decoded, and in the form of dw_path_decode, where "%2F"
 * and "%25" stay and the segments of a path lie behind one another. */
typedef struct dw_path_segment {
  dw_slice text;
  dw_slice form;
} dw_path_segment;

typedef struct dw_path {
  dw_path_segment *segments;
  size_t count;
  bool slash;      /* one at the end, which is no segment */
  bool empties;    /* some segment is empty */
  const char *end; /* of the form, that slash included */
} dw_path;

enum { DW_PATH_LOCAL = 24 }; /* segments that need no memory */

/* Splits and decodes; local has room for DW_PATH_LOCAL. 0, DW_ENOMEM, or
 * DEWAR_EPARSE: an invalid escape, a NUL, or no "/" at the start. */
int dw_path_split(dw_slice raw, dw_arena *arena, dw_path_segment *local,
                  dw_path *out);
/* Undoes "%2F" and "%25" in text of that form: itself where it has none. ptr
 * NULL on failure. */
dw_slice dw_path_plain(dw_slice form, dw_arena *arena);

/* --- Captures (router_part.c) ----------------------------------------------*/

typedef struct dw_captures {
  dw_arena *arena;
  dw_value *values; /* room for all variables of a rule */
  size_t count;
  size_t steps; /* spent */
  int code;     /* a custom converter's failure */
  bool no_memory;
} dw_captures;

/* Pays; false where the budget is used up or something has failed. */
bool dw_captures_spend(dw_captures *c, size_t steps);
/* Whether the part matches the whole text; captures its values. form: the text
 * still has its "%2F" and "%25". */
bool dw_captures_take(dw_captures *c, const dw_rule_part *part, dw_slice text,
                      bool form);
/* Releases what was captured behind the first `mark`. */
void dw_captures_drop(dw_captures *c, size_t mark);
void dw_values_release(dw_value *values, size_t count);
/* Whether piece stands at text[at]; at is not behind its end. */
bool dw_slice_has(dw_slice text, size_t at, dw_slice piece);

/* --- Groups (router.c) -----------------------------------------------------*/

uint32_t dw_router_hash(dw_slice text);
dw_rule_group *dw_router_find_group(const dw_rule_index *index, dw_slice name);
/* Where a name is, or would be put; there is a free slot. */
dw_rule_group **dw_router_group_slot(dw_rule_group **slots, size_t cap,
                                     dw_slice name);
/* "subdomain.name" in the pool; ptr NULL on failure. */
dw_slice dw_router_joined_host(dw_router *r, dw_slice subdomain, dw_slice name);

/* --- Redirects (router_redirect.c) -----------------------------------------*/

/* Where a match that stands is sent to instead: defaults, alias, redirect_to.
 * 1 and *location; 0: nowhere; < 0: a converter's code, or DW_ENOMEM. */
int dw_router_redirect(const dw_router *r, const dw_match_query *q,
                       dw_arena *arena, const dw_rule *rule,
                       const dw_value *values, dw_slice *location);
/* The path as it was sent, without the segments that are marked in skipped (may
 * be NULL), and with a slash at its end if add_slash. 0 or DW_ENOMEM. */
int dw_router_slash_location(const dw_match_query *q, dw_arena *arena,
                             const unsigned char *skipped, bool add_slash,
                             dw_slice *location);

/* --- Building (router_build.c, router_url.c) -------------------------------*/

typedef struct dw_values {
  const dw_named_value *list;
  size_t count;
} dw_values;

/* Whether the rule's variables are all given, and what its defaults fix is not
 * given otherwise. */
bool dw_rule_fits(const dw_rule *rule, dw_values values);
/* The same of value i alone; and whether it is neither given nor a default. */
bool dw_rule_value_fits(const dw_rule *rule, size_t i, dw_values values);
bool dw_rule_lacks(const dw_rule *rule, size_t i, dw_values values);
/* Append the path, or the host, that a rule gives with values: 1; 0: a value is
 * refused, see *why (may be NULL); < 0. */
int dw_rule_build_path(const dw_rule *rule, dw_values values, dw_buffer *out,
                       dw_buffer *why);
int dw_rule_build_host(const dw_rule *rule, dw_values values,
                       dw_slice server_name, dw_buffer *out, dw_buffer *why);
/* Appends a value as it stands in a segment, percent-encoded; for a path "/"
 * stays. */
int dw_router_encode(dw_buffer *out, dw_slice text, bool path);
/* host without its port, and ":port" or "". */
dw_slice dw_host_name(dw_slice host);
dw_slice dw_host_port(dw_slice host);

/* --- Text (router_text.c) --------------------------------------------------*/

/* UTF-8 characters, or bytes where the text isn't UTF-8. */
size_t dw_text_length(dw_slice text);
/* Collects the candidate nearest to a mistyped name. */
typedef struct dw_text_guess {
  dw_slice wanted;
  dw_slice best; /* empty: nothing is near */
  size_t distance;
} dw_text_guess;
void dw_text_guess_offer(dw_text_guess *g, dw_slice candidate);

/* Sets *message (may be NULL) and gives the code that goes with it. */
#define DW_ROUTER_FAIL(message, code, ...)                                     \
  dw_router_failed(                                                            \
      dw_router_clear(message) ? dw_buffer_printf((message), __VA_ARGS__) : 0, \
      (code))

static inline bool dw_router_clear(dw_buffer *message) {
  if (message) message->len = 0;
  return message != NULL;
}

static inline int dw_router_failed(int printed, int code) {
  return printed == DW_ENOMEM ? DW_ENOMEM : code;
}

#endif
