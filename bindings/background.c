/* SPDX-License-Identifier: MIT */
/* Background tasks: they outlive the request that starts them, and keep their
 * app active until they end, in whatever way. Thread: the loop's. */
#include "bindings/app.h"
#include "bindings/task.h"

#define HOLD_TYPE "dewar.background"

/* An argument of the task, and closed by its coroutine's end; where it never
 * starts, the collector comes for both. */
typedef struct hold {
  dw_lua_app *app; /* NULL: released */
} hold;

static int hold_release(lua_State *L) {
  hold *h = luaL_checkudata(L, 1, HOLD_TYPE);
  dw_lua_app *a = h->app;
  if (!a) return 0;
  h->app = NULL;
  a->tasks--;
  dw_app_deactivate(L, a);
  return 0;
}

static int background_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return lua_gettop(L) - 2;
}

/* core, hold, function, arguments. The error of the function goes through, so
 * that its traceback is there. */
static int background_main(lua_State *L) {
  lua_toclose(L, 2);
  lua_callk(L, lua_gettop(L) - 3, LUA_MULTRET, 0, background_k);
  return background_k(L, LUA_OK, 0);
}

/* core:background(f, ...) -> task */
int dw_app_background(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  dw_context context = {NULL, a};
  hold *h = lua_newuserdatauv(L, sizeof *h, 0);
  h->app = NULL;
  luaL_setmetatable(L, HOLD_TYPE);
  lua_insert(L, 2);
  dw_app_activate(L, 1);
  a->tasks++;
  h->app = a;
  lua_pushcfunction(L, background_main);
  lua_insert(L, 1);
  dw_spawn(L, a->script, lua_gettop(L) - 1, NULL, &context);
  return 1;
}

void dw_background_open(lua_State *L, dw_script *s) {
  (void)s;
  luaL_newmetatable(L, HOLD_TYPE);
  lua_pushcfunction(L, hold_release);
  lua_setfield(L, -2, "__close");
  lua_pushcfunction(L, hold_release);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
