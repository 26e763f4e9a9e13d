/* SPDX-License-Identifier: MIT */
/* The router's values, rules and converters between C and Lua. */
#ifndef DW_BINDINGS_ROUTE_H
#define DW_BINDINGS_ROUTE_H

#include "bindings/app.h"

/* Pushes a value; a handle is a reference in the registry. */
void dw_value_push(lua_State *L, const dw_value *v);
/* The value at index, borrowed; false where it is none of a string, a number, a
 * boolean and nil. */
bool dw_value_read(lua_State *L, int index, dw_value *out);
/* Raises what the router said of a failure, in the script's scratch buffer. */
int dw_route_raise(lua_State *L, dw_script *s, int code);

/* Methods of the core: routes (route.c), converters (converter.c). */
int dw_app_add_lua_route(lua_State *L);
int dw_app_add_converter(lua_State *L);
int dw_app_build(lua_State *L);
int dw_app_rules(lua_State *L);

#endif
