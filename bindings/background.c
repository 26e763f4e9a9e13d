/* SPDX-License-Identifier: MIT */
/* Tasks of an app that belong to no request, and keep it active until they end,
 * in whatever way: background tasks, which its stopping waits for, and the
 * service, which is there from its start to its end (lua/dewar/lifespan.lua).
 * Thread: the loop's. */
#include "bindings/app.h"
#include "bindings/task_private.h"

/* Who waits for the end of all background tasks. */
static void tell_drained(dw_lua_app *a) {
  for (dw_list *node; (node = dw_list_shift(&a->drained));)
    dw_wake_up(DW_CONTAINER(node, dw_waiter, node)->wake);
}

static void background_ended_cb(dw_task *t, dw_run run) {
  dw_lua_app *a = t->owner;
  (void)run;
  if (--a->tasks == 0) tell_drained(a);
  dw_app_deactivate(t->co, a);
}

static void service_ended_cb(dw_task *t, dw_run run) {
  dw_lua_app *a = t->owner;
  (void)run;
  a->services--;
  dw_app_deactivate(t->co, a);
}

/* core, function, arguments: leaves the task's object in place of the latter.
 */
static dw_task *spawn_for_app(lua_State *L, dw_lua_app *a, dw_task *parent) {
  dw_context context = {NULL, a};
  dw_app_activate(L, 1);
  dw_spawn(L, a->script, lua_gettop(L) - 2, parent, &context);
  dw_task *t = dw_task_object_test(L, -1)->task;
  t->owner = a;
  return t;
}

/* core:background(f, ...) -> task */
int dw_app_background(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  dw_task *t = spawn_for_app(L, a, NULL);
  t->resumed_cb = background_ended_cb;
  a->tasks++;
  return 1;
}

/* core:service(f, ...) -> task, whose end nobody waits for who stops, until it
 * has called end_service */
int dw_app_service(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  dw_task *t = spawn_for_app(L, a, a->script->root);
  t->resumed_cb = service_ended_cb;
  t->service = true;
  a->services++;
  return 1;
}

/* core:end_service(): from now on the running task is one like any other. */
int dw_app_end_service(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  if (a->script->current) a->script->current->service = false;
  return 0;
}

static int drained_k(lua_State *L, int status, lua_KContext ctx) {
  (void)L, (void)status, (void)ctx;
  return 0;
}

/* core:drain([seconds]): waits until no background task runs. */
int dw_app_drain(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  double seconds = dw_opt_seconds(L, 2, "drain");
  if (a->tasks == 0) return 0;
  dw_wake wake = dw_wait_begin(L, a->script, NULL, NULL);
  dw_wait_name(wake, "background tasks");
  dw_waiter_join(&a->drained, wake);
  return dw_wait(L, wake, seconds, drained_k, 0);
}

/* core:cancel_background() -> how many there are */
int dw_app_cancel_background(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  const dw_list *all = &a->script->root->children;
  lua_Integer count = 0;
  for (dw_list *n = all->next; n != all; n = n->next) {
    dw_task *t = DW_CONTAINER(n, dw_task, sibling);
    if (!t->background || t->context.app != a) continue;
    dw_task_cancel(t, false);
    count++;
  }
  lua_pushinteger(L, count);
  return 1;
}
