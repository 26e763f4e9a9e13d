/* SPDX-License-Identifier: MIT */
/* ensure_sync(app, f): a function that, called like f, returns what f finally
 * returns. A plain function is that already, since any Lua function may wait;
 * an async function and a coroutine get a wrapper. Thread: the loop's. */
#include "bindings/task_private.h"

/* Upvalues of the wrappers. */
enum { SCRIPT = 1, TARGET, SELF };

/* The function to run is at 1, its arguments above it. */
static int run_task(lua_State *L) {
  dw_script *s = dw_script_of(L);
  dw_wait_refuse(L, s);
  dw_task *here = dw_task_here(s);
  dw_spawn(L, s, lua_gettop(L) - 1, here, &here->context);
  return dw_join_task(L, s, 1);
}

static int call_async_function(lua_State *L) {
  luaL_checkstack(L, 2, NULL);
  lua_pushvalue(L, lua_upvalueindex(TARGET));
  lua_insert(L, 1);
  return run_task(L);
}

/* Of an object whose __call is an async function. */
static int call_async_object(lua_State *L) {
  luaL_checkstack(L, 2, NULL);
  lua_pushvalue(L, lua_upvalueindex(TARGET));
  lua_insert(L, 1);
  lua_pushvalue(L, lua_upvalueindex(SELF));
  lua_insert(L, 2);
  return run_task(L);
}

static int coroutine_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return lua_gettop(L);
}

static int call_coroutine(lua_State *L) {
  dw_script *s = dw_script_of(L);
  dw_wait_refuse(L, s);
  if (lua_toboolean(L, lua_upvalueindex(SELF)))
    return dw_misuse(L, "this was made of a coroutine, which has run already "
                        "and can run only once; give ensure_sync the function");
  lua_pushboolean(L, 1);
  lua_replace(L, lua_upvalueindex(SELF));
  int nargs = lua_gettop(L);
  return dw_await_coroutine(L, lua_upvalueindex(TARGET), nargs, coroutine_end,
                            0);
}

static int wrap(lua_State *L, lua_CFunction fn) {
  dw_script *s = dw_script_find(L);
  dw_script_push(L, s, fn);
  lua_getupvalue(L, -1, SCRIPT);
  lua_replace(L, -2);
  lua_insert(L, 1);
  lua_pushcclosure(L, fn, lua_gettop(L));
  return 1;
}

int dw_ensure_sync(lua_State *L) {
  lua_settop(L, 2);
  lua_remove(L, 1);
  if (dw_is_async(L, 1)) {
    lua_getupvalue(L, 1, 2);
    lua_remove(L, 1);
    return wrap(L, call_async_function);
  }
  if (lua_isfunction(L, 1)) return 1;
  if (lua_isthread(L, 1)) {
    lua_pushboolean(L, 0);
    return wrap(L, call_coroutine);
  }
  if (luaL_getmetafield(L, 1, "__call") == LUA_TNIL)
    return dw_misuse(L,
                     "ensure_sync: expected a function, an async function, a "
                     "coroutine or a callable value, not a %s",
                     luaL_typename(L, 1));
  if (!dw_is_async(L, -1)) {
    lua_pop(L, 1);
    return 1;
  }
  lua_getupvalue(L, -1, 2);
  lua_replace(L, 2);
  lua_insert(L, 1);
  return wrap(L, call_async_object);
}
