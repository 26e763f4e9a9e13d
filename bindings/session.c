/* SPDX-License-Identifier: MIT */
/* req.session: opened where it is first asked for, by the app's session
 * interface in Lua (lua/dewar/session.lua), so that a request that never asks
 * pays nothing. From then on the request keeps it and the exchange knows that
 * there is something to save. */
#include "app/mount.h"
#include "bindings/handler.h"
#include "http/date.h"

/* The name under which the request object keeps it: each of the apps that the
 * request has come through has one of its own. */
static void push_key(lua_State *L, unsigned depth) {
  if (depth == 0)
    lua_pushliteral(L, "session");
  else
    lua_pushfstring(L, "\1session %d", (int)depth);
}

/* The session of that app, if it has been opened. */
static bool push_opened(lua_State *L, unsigned depth) {
  dw_request_push_cache(L, 1);
  push_key(L, depth);
  if (lua_rawget(L, -2) != LUA_TNIL) return true;
  lua_pop(L, 2);
  return false;
}

/* The interface has opened it. Meanwhile another task of the request may have
 * got one: then that is it. */
static int opened_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = dw_request_check(L, 1);
  unsigned depth = (unsigned)ctx;
  (void)status;
  if (push_opened(L, depth)) return 1;
  dw_request_push_cache(L, 1);
  push_key(L, depth);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
  dw_mount_session_opened(x, depth);
  return 1;
}

int dw_request_session(lua_State *L) {
  dw_exchange *x = dw_request_check(L, 1);
  dw_task *t = x->script;
  unsigned depth = dw_mount_depth(x);
  lua_settop(L, 1);
  if (push_opened(L, depth)) return 1;
  dw_app_push_self(L, t->context.app);
  lua_getfield(L, -1, "_open_session");
  lua_insert(L, -2);
  lua_pushvalue(L, 1);
  lua_callk(L, 2, 1, (lua_KContext)depth, opened_k);
  return opened_k(L, LUA_OK, (lua_KContext)depth);
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
