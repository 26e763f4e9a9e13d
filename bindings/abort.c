/* SPDX-License-Identifier: MIT */
/* dewar.errors, dewar.abort and dewar.is_cancelled: what the module offers
 * around the built-in error classes. Thread: the loop's. */
#include "bindings/errors.h"
#include "bindings/headers.h"

/* The class for the status at index, or NULL. */
static const dw_error_class *class_for(lua_State *L, int index) {
  int exact = 0;
  lua_Integer status = 0;
  if (lua_type(L, index) == LUA_TNUMBER)
    status = lua_tointegerx(L, index, &exact);
  if (!exact || status < 400 || status > 599) return NULL;
  return dw_error_for_status((int)status);
}

/* --- dewar.errors ----------------------------------------------------------*/

static int errors_index(lua_State *L) {
  const dw_error_class *cls = class_for(L, 2);
  if (!cls) return 0;
  dw_errors_push_class(L, dw_script_of(L), cls);
  return 1;
}

static int errors_newindex(lua_State *L) {
  return dw_misuse(L, "dewar.errors can't be assigned to; make a class of your "
                      "own with dewar.HTTPError:extend(name, fields)");
}

static int errors_next(lua_State *L) {
  lua_Integer status = luaL_optinteger(L, 2, 399);
  while (++status <= 599) {
    const dw_error_class *cls = dw_error_for_status((int)status);
    if (!cls) continue;
    lua_pushinteger(L, status);
    dw_errors_push_class(L, dw_script_of(L), cls);
    return 2;
  }
  return 0;
}

static int errors_pairs(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, errors_next, 1);
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

static const luaL_Reg errors_metamethods[] = {{"__index", errors_index},
                                              {"__newindex", errors_newindex},
                                              {"__pairs", errors_pairs},
                                              {NULL, NULL}};

/* --- dewar.abort -----------------------------------------------------------*/

static int misused_status(lua_State *L) {
  if (lua_type(L, 1) != LUA_TNUMBER)
    return dw_misuse(L,
                     "abort takes an error status such as 404, or a response, "
                     "not a %s",
                     luaL_typename(L, 1));
  lua_Number status = lua_tonumber(L, 1);
  const char *text = luaL_tolstring(L, 1, NULL);
  if (status >= 300 && status < 400)
    return dw_misuse(L,
                     "abort: %s is no error status; to redirect, use "
                     "dewar.abort(dewar.redirect(url, %s))",
                     text, text);
  return dw_misuse(L,
                   "abort: %s is no registered error status; use one such as "
                   "404, or dewar.abort(dewar.response(body, status))",
                   text);
}

/* abort(code [, description] [, headers]) or abort(response) */
static int abort_request(lua_State *L) {
  if (luaL_testudata(L, 1, "dewar.response")) {
    if (!lua_isnoneornil(L, 2) || !lua_isnoneornil(L, 3))
      return dw_misuse(L, "abort: a response comes alone; its headers are set "
                          "on itself");
    lua_settop(L, 1);
    return lua_error(L);
  }
  const dw_error_class *cls = class_for(L, 1);
  if (!cls) return misused_status(L);
  lua_settop(L, 3);
  bool headers_only = lua_istable(L, 2) || lua_isuserdata(L, 2);
  if (headers_only && lua_isnil(L, 3)) lua_rotate(L, 2, 1);
  if (!lua_isnil(L, 2) && lua_type(L, 2) != LUA_TSTRING)
    return dw_misuse(L, "abort: the description must be a string, not a %s",
                     luaL_typename(L, 2));
  if (!lua_isnil(L, 3)) dw_headers_from_table(L, 3, NULL);

  dw_errors_push(L, dw_script_of(L), cls, NULL);
  lua_insert(L, 2);
  lua_setfield(L, 2, "headers");
  lua_setfield(L, 2, "message");
  return lua_error(L);
}

static int is_cancelled(lua_State *L) {
  int status;
  lua_settop(L, 1);
  lua_pushboolean(L, dw_errors_class(L, dw_script_of(L), 1, &status) ==
                         &dw_error_cancelled);
  return 1;
}

static const luaL_Reg functions[] = {
    {"abort", abort_request}, {"is_cancelled", is_cancelled}, {NULL, NULL}};

void dw_abort_functions(lua_State *L, dw_script *s) {
  lua_newtable(L);
  lua_createtable(L, 0, 5);
  dw_script_register(L, s, errors_metamethods);
  lua_pushliteral(L, "dewar.errors");
  lua_setfield(L, -2, "__name");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "errors");
  dw_script_register(L, s, functions);
}
