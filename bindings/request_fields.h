/* SPDX-License-Identifier: MIT */
/* What req.name means, for request.c. */
#ifndef DW_BINDINGS_REQUEST_FIELDS_H
#define DW_BINDINGS_REQUEST_FIELDS_H

#include "bindings/handler.h"

typedef struct dw_request_field {
  const char *name;
  void (*get)(lua_State *L, dw_exchange *x);
  bool kept; /* made once, and readable when the request is over */
} dw_request_field;

/* Ended by an empty name. */
extern const dw_request_field dw_request_fields[];
/* { type=, username=, password= } of Basic, { type=, token= } of others, or nil:
 * what the header says (authorization.c). */
void dw_request_push_authorization(lua_State *L, dw_slice header);
/* req.name = the value at 3, of the object at 1: false if it is no field that
 * middleware may set; raises where it isn't the time or the value is unfit
 * (request_rewrite.c). */
bool dw_request_rewrite(lua_State *L, dw_exchange *x, const char *name);
/* Conditions and ranges (request_conditional.c). */
void dw_request_conditional_open(lua_State *L, dw_script *s);
void dw_request_get_if_match(lua_State *L, dw_exchange *x);
void dw_request_get_if_none_match(lua_State *L, dw_exchange *x);
void dw_request_get_if_modified_since(lua_State *L, dw_exchange *x);
void dw_request_get_if_unmodified_since(lua_State *L, dw_exchange *x);
void dw_request_get_if_range(lua_State *L, dw_exchange *x);
void dw_request_get_range(lua_State *L, dw_exchange *x);
/* All that a request object has, methods included, for messages. */
extern const char *const dw_request_names[];

#endif
