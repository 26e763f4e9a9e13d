/* SPDX-License-Identifier: MIT */
/* req.session: opened where it is first asked for, by the app's session
 * interface in Lua (lua/dewar/session.lua), so that a request that never asks
 * pays nothing. From then on the request keeps it and the exchange knows that
 * there is something to save. */
#include "bindings/handler.h"
#include "http/date.h"

/* The interface has opened it. Meanwhile another task of the request may have
 * got one: then that is it. */
static int opened_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = dw_request_check(L, 1);
  (void)status, (void)ctx;
  dw_request_push_cache(L, 1);
  if (lua_getfield(L, -1, "session") != LUA_TNIL) return 1;
  lua_pop(L, 1);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "session");
  lua_pop(L, 1);
  x->session = true;
  return 1;
}

int dw_request_session(lua_State *L) {
  dw_exchange *x = dw_request_check(L, 1);
  dw_task *t = x->script;
  lua_settop(L, 1);
  dw_app_push_self(L, t->context.app);
  lua_getfield(L, -1, "_open_session");
  lua_insert(L, -2);
  lua_pushvalue(L, 1);
  lua_callk(L, 2, 1, 0, opened_k);
  return opened_k(L, LUA_OK, 0);
}

/* Upvalue 2: why. */
static int refuse(lua_State *L) {
  return dw_misuse(L, "%s", lua_tostring(L, lua_upvalueindex(2)));
}

/* read_only(message) -> an empty table; who writes to it gets the message */
static int read_only(lua_State *L) {
  luaL_checkstring(L, 1);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, refuse, 2);
  lua_setfield(L, -2, "__newindex");
  lua_setmetatable(L, -2);
  return 1;
}

/* http_date(text) -> seconds since 1970, or nil where it is no date */
static int http_date(lua_State *L) {
  size_t len;
  int64_t seconds;
  const char *text = luaL_checklstring(L, 1, &len);
  if (dw_http_date_parse(dw_slice_of(text, len), &seconds))
    lua_pushinteger(L, (lua_Integer)seconds);
  else
    lua_pushnil(L);
  return 1;
}

void dw_session_open(lua_State *L, dw_script *s) {
  const luaL_Reg functions[] = {
      {"http_date", http_date}, {"read_only", read_only}, {NULL, NULL}};
  dw_script_register(L, s, functions);
}
