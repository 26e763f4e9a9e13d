/* SPDX-License-Identifier: MIT */
/* Generators (coroutine.wrap) as bodies of answers. Lua closes the <close>
 * variables of a coroutine from outside, where nothing can wait. A generator
 * that gives a body is closed from inside instead: by an error that the place
 * where it stands raises, below a pcall of ours. So its cleanup may wait.
 * Thread: the loop's. */
#include "bindings/errors.h"
#include "bindings/handler.h"
#include "bindings/response.h"
#include "bindings/task_private.h"

/* The coroutine behind a coroutine.wrap function. */
static lua_State *generator_of(lua_State *L, int index) {
  if (!lua_iscfunction(L, index)) return NULL;
  for (int i = 1; lua_getupvalue(L, index, i); i++) {
    lua_State *co = lua_tothread(L, -1);
    lua_pop(L, 1);
    if (co) return co;
  }
  return NULL;
}

/* --- The bottom of its coroutine -------------------------------------------*/

static int guarded_k(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 1;
  dw_script *s = dw_script_find(L);
  return s ? dw_rethrow(L, s) : lua_error(L);
}

/* Upvalue 1: the generator's function. */
static int guarded(lua_State *L) {
  luaL_checkstack(L, 2, NULL);
  lua_pushcfunction(L, dw_traceback_handler);
  lua_insert(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 2);
  int status = lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 1, 0, guarded_k);
  return guarded_k(L, status, 0);
}

void dw_generator_guard(lua_State *L, int index) {
  lua_State *co = generator_of(L, index);
  lua_Debug ar;
  if (!co || lua_status(co) != LUA_OK || lua_gettop(co) != 1 ||
      lua_tocfunction(co, 1) == guarded)
    return;
  if (lua_getstack(co, 0, &ar) || !lua_checkstack(co, 1)) return;
  lua_pushvalue(co, 1);
  lua_xmove(co, L, 1);
  lua_pushcclosure(L, guarded, 1);
  lua_xmove(L, co, 1);
  lua_replace(co, 1);
}

/* --- Closing it ------------------------------------------------------------*/

/* What the error has left: a generator that has caught it, or whose yield is
 * not ours, is closed from outside. */
static int ended_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  dw_script *s = ((dw_task *)x->script)->script;
  lua_State *co = generator_of(L, 2);
  s->ending = NULL;
  if (status != LUA_OK && status != LUA_YIELD && !dw_is_cancelled(L, s, -1))
    return dw_rethrow(L, s);
  if (dw_mark_there(co))
    return luaL_error(L, "cannot close a coroutine that another task waits in");
  if (dw_thread_close(co, L) != LUA_OK) {
    lua_xmove(co, L, 1);
    return lua_error(L);
  }
  x->called = DW_PASS;
  return 0;
}

bool dw_generator_test(lua_State *L, int index) {
  return generator_of(L, index) != NULL;
}

int dw_generator_close(lua_State *L, dw_exchange *x) {
  dw_script *s = ((dw_task *)x->script)->script;
  lua_State *co = generator_of(L, 2);
  int status = LUA_OK;
  lua_settop(L, 2);
  if (lua_status(co) == LUA_YIELD && !dw_mark_there(co)) {
    s->ending = co;
    lua_pushvalue(L, 2);
    status = lua_pcallk(L, 0, 0, 0, (lua_KContext)x, ended_k);
  }
  return ended_k(L, status, (lua_KContext)x);
}

int dw_generator_yielded(lua_State *L, int status, lua_KContext ctx) {
  dw_script *s = dw_script_of(L);
  (void)status, (void)ctx;
  if (s->ending != L) return lua_gettop(L);
  s->ending = NULL;
  return dw_errors_raise(L, s, &dw_error_cancelled, "the stream is over");
}
