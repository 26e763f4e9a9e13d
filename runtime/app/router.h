/* SPDX-License-Identifier: MIT */
/* The router: rules in, a match or the reason for none out, and the way back
 * from an endpoint to a URL. Behaviour: docs/routing.md. A tree of path
 * segments; cost grows with the depth of a path, not with the number of rules.
 * Rules are added before the first match and never removed. Owner: the app.
 * Memory of a match lies in the request's arena. */
#ifndef DW_APP_ROUTER_H
#define DW_APP_ROUTER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "base/slice.h"
#include "http/tokens.h"

typedef struct dw_router dw_router;
typedef struct dw_rule dw_rule;
typedef struct dw_converter dw_converter;

/* A value of a variable, in a match, in defaults, or given to build a URL. */
typedef enum dw_value_kind {
  DW_VALUE_NONE,
  DW_VALUE_STRING,
  DW_VALUE_INT,
  DW_VALUE_FLOAT,
  DW_VALUE_BOOL,
  DW_VALUE_HANDLE /* what a custom converter made, e.g. a Lua reference */
} dw_value_kind;

typedef struct dw_value {
  dw_value_kind kind;
  union {
    dw_slice string;
    int64_t integer; /* a bool and a handle, too */
    double number;
  } as;
  const dw_converter *converter; /* who releases a handle */
} dw_value;

typedef struct dw_named_value {
  dw_slice name;
  dw_value value;
} dw_named_value;

/* One argument of a converter in a rule: <int(min=1):n>, <any(a,b):x>. name is
 * empty for a positional one. */
typedef struct dw_named_value dw_converter_arg;

/* A converter a user added. Callbacks may fail but not wait. */
struct dw_converter {
  dw_slice name;
  int weight;   /* lower goes first: int 50, string 100, path 200 */
  bool slashes; /* takes the rest of the path, as `path` does */
  void *data;
  /* text -> value: 1 and *out; 0 refuses; a negative code is a failure whose
   * report the callee keeps. text is decoded and never empty; with slashes it
   * doesn't start with one, and its "%2F" and "%25" are kept. A string in *out
   * lies in text, or outlives the match. */
  int (*to_value)(const dw_converter *c, dw_slice text,
                  const dw_converter_arg *args, size_t nargs, dw_value *out);
  /* value -> text, appended, not yet percent-encoded: 1; 0 refuses; < 0. */
  int (*to_text)(const dw_converter *c, const dw_value *value,
                 const dw_converter_arg *args, size_t nargs, dw_buffer *out);
  void (*release)(const dw_converter *c, dw_value *value); /* of a handle */
};

/* All borrowed for the call of dw_router_add. */
typedef struct dw_rule_options {
  dw_slice rule;     /* "/users/<int:id>" */
  dw_slice endpoint; /* may be empty: then rule is the endpoint */
  uint64_t methods;  /* HEAD is added to GET, OPTIONS as below */
  const dw_named_value *defaults;
  size_t ndefaults;
  int strict_slashes;     /* -1: the router's default (true) */
  int merge_slashes;      /* -1: the router's default (true) */
  dw_slice host;          /* a pattern for the whole host, may be empty */
  dw_slice subdomain;     /* in front of the server name, may be empty */
  bool alias;             /* matches; URLs are built from the main rule */
  bool build_only;        /* never matches */
  bool websocket;         /* matches only websocket requests */
  bool automatic_options; /* OPTIONS is answered by the dispatcher */
  dw_slice redirect_to;   /* URL with <name>s; empty: none */
  void *data;             /* the route: handler, limits; see dispatch */
} dw_rule_options;

int dw_router_new(dw_router **out, dw_allocator *a);
void dw_router_free(dw_router *r);

/* Copied; the name must be a Lua name, not one of the built-in ones unless it
 * replaces it. 0, DW_ENOMEM, DEWAR_EINVAL with text in *message. */
int dw_router_add_converter(dw_router *r, const dw_converter *c,
                            dw_buffer *message);

/* Compiles and adds. 0 and *out (borrowed), DW_ENOMEM, DEWAR_EEXIST or
 * DEWAR_EINVAL with a text in message that says what is wrong where and what
 * to do: "unknown converter 'itn' in '/users/<itn:id>'; did you mean 'int'?" */
int dw_router_add(dw_router *r, const dw_rule_options *options,
                  const dw_rule **out, dw_buffer *message);
/* What subdomain rules stand in front of: config SERVER_NAME, port dropped. */
int dw_router_set_server_name(dw_router *r, dw_slice name);

size_t dw_router_count(const dw_router *r);
const dw_rule *dw_router_rule(const dw_router *r, size_t i); /* as added */
dw_slice dw_rule_text(const dw_rule *rule);
dw_slice dw_rule_endpoint(const dw_rule *rule);
dw_slice dw_rule_host(const dw_rule *rule); /* pattern, "" where any */
uint64_t dw_rule_methods(const dw_rule *rule);
bool dw_rule_is_build_only(const dw_rule *rule);
void *dw_rule_data(const dw_rule *rule);
/* How many values a match of this rule has: variables in the order of the
 * rule, then values that only defaults give, by name, then host variables.
 * The first *passed of them are passed to the view. */
size_t dw_rule_values(const dw_rule *rule, size_t *passed);
dw_slice dw_rule_value_name(const dw_rule *rule, size_t i);

typedef enum dw_match_kind {
  DW_MATCH_FOUND,
  DW_MATCH_OPTIONS,     /* found, to be answered automatically: see allowed */
  DW_MATCH_REDIRECT,    /* 308 to location (path and query, encoded) */
  DW_MATCH_NOT_FOUND,   /* 404 */
  DW_MATCH_NOT_ALLOWED, /* 405: see allowed */
  DW_MATCH_BAD_PATH,    /* 400: invalid escape or NUL */
  DW_MATCH_WEBSOCKET,   /* rules only for WebSocket, or only for others: 400 */
  DW_MATCH_FAILED       /* a converter failed: see code */
} dw_match_kind;

typedef struct dw_match {
  dw_match_kind kind;
  int code;            /* FAILED */
  const dw_rule *rule; /* FOUND and OPTIONS */
  dw_value *values;    /* dw_rule_values(rule) of them, in the arena */
  uint64_t allowed;    /* OPTIONS, NOT_ALLOWED, and FOUND if the method was
                          OPTIONS: union over the path's rules */
  dw_slice location;   /* REDIRECT, in the arena */
} dw_match;

typedef struct dw_match_query {
  dw_method method;
  bool websocket;
  dw_slice host;     /* without port, lower case; may be empty */
  dw_slice raw_path; /* as sent, still encoded, starts with "/" */
  dw_slice query;    /* kept by redirects; without the "?" */
} dw_match_query;

/* 0, or DW_ENOMEM. All strings in *out lie in the arena, or in raw_path. */
int dw_router_match(const dw_router *r, const dw_match_query *q,
                    dw_arena *arena, dw_match *out);
/* Releases handles of custom converters. */
void dw_match_release(dw_match *m);

/* The path as handlers see it: decoded, but %2F and %25 as they are. In the
 * arena, or raw itself where nothing changes. 0, DW_ENOMEM, DEWAR_EPARSE. */
int dw_path_decode(dw_slice raw, dw_arena *arena, dw_slice *out);

/* The way back. */
typedef struct dw_url_options {
  dw_slice endpoint;            /* or a rule's text, which starts with "/" */
  const dw_named_value *values; /* a list is the same name several times */
  size_t nvalues;
  dw_method method; /* prefers a rule with it; DW_METHOD_UNKNOWN: any */
  dw_slice anchor;  /* not yet encoded; ptr NULL: none */
  int external;     /* 1: with scheme and host; 0: never; -1: where needed */
  dw_slice scheme;  /* "" : the default_scheme */
  dw_slice default_scheme;
  dw_slice host; /* the current request's, with port; "" outside of one */
  dw_slice server_name; /* config SERVER_NAME */
  dw_slice root;        /* stands before the path: "/app", or "" */
} dw_url_options;

/* Appends the URL. 0, DW_ENOMEM, a converter's code, or DEWAR_ENOTFOUND /
 * DEWAR_EINVAL with a text in message: what is missing, or which endpoint was
 * meant. */
int dw_router_build(const dw_router *r, const dw_url_options *options,
                    dw_buffer *out, dw_buffer *message);

#endif
