/* SPDX-License-Identifier: MIT */
/* core.attempt: a pcall that also gives the traceback, through all coroutines
 * between here and the failure. For what runs somebody's function and goes on
 * whatever that comes to. Thread: the loop's. */
#include "bindings/task_private.h"

enum { OUTCOME = 1 }; /* the message handler at first */

static int attempt_end(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  dw_script *s = dw_script_of(L);
  bool returned = status == LUA_OK || status == LUA_YIELD;
  lua_pushboolean(L, returned);
  lua_replace(L, OUTCOME);
  if (returned) return lua_gettop(L);
  luaL_checkstack(L, 6, NULL);
  if (s->tasks)
    dw_traceback_take(L, s, -1);
  else
    lua_pushnil(L);
  return 3;
}

/* attempt(f, ...) -> true, results... | false, error, traceback or nil */
static int attempt(lua_State *L) {
  dw_check_callable(L, 1, "attempt");
  luaL_checkstack(L, 2, NULL);
  lua_pushcfunction(L, dw_traceback_handler);
  lua_insert(L, OUTCOME);
  int nargs = lua_gettop(L) - 2;
  int status = lua_pcallk(L, nargs, LUA_MULTRET, OUTCOME, 0, attempt_end);
  return attempt_end(L, status, 0);
}

static const luaL_Reg functions[] = {{"attempt", attempt}, {NULL, NULL}};

void dw_attempt_functions(lua_State *L, dw_script *s) {
  dw_script_register(L, s, functions);
}
