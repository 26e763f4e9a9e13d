/* SPDX-License-Identifier: MIT */
/* Awaiting: tasks, coroutines and values with __await; and the simplest waits,
 * sleep and yield. An await keeps what it awaits, its continuation and that
 * one's context on the Lua stack, since others may be awaited in the middle of
 * it. Thread: the loop's. */
#include "bindings/task_private.h"

/* --- Deadlocks ------------------------------------------------------------
 * A task's end may need that of those it waits for without a limit, and, when
 * it has returned, that of its children. */

enum { SEARCH_BUDGET = 1000 };

static bool reaches(const dw_task *from, const dw_task *t, int *budget) {
  for (; from && *budget > 0; from = from->awaits) {
    --*budget;
    if (from == t) return true;
    if (from->join && dw_join_reaches(from->join, t, budget)) return true;
    if (from->phase != DW_PHASE_ENDING) continue;
    const dw_list *n = from->children.next;
    for (; n != &from->children && *budget > 0; n = n->next)
      if (reaches(DW_CONTAINER(n, dw_task, sibling), t, budget)) return true;
  }
  return false;
}

bool dw_task_reaches(const dw_task *from, const dw_task *t, int *budget) {
  int all = SEARCH_BUDGET;
  return reaches(from, t, budget ? budget : &all);
}

void dw_check_deadlock(lua_State *L, const dw_task *t, const dw_task *other) {
  if (t == other) dw_misuse(L, "deadlock: a task cannot wait for its own end");
  for (const dw_task *p = t->parent; p; p = p->parent)
    if (p == other)
      dw_misuse(L, "deadlock: a task cannot wait for the task that it belongs "
                   "to, which ends after it");
  if (dw_task_reaches(other, t, NULL))
    dw_misuse(L, "deadlock: the awaited task is waiting for this one");
}

/* --- Await -----------------------------------------------------------------*/

int dw_await_end(lua_State *L, int base) {
  lua_KFunction k = (lua_KFunction)lua_touserdata(L, base + 1);
  lua_KContext ctx = (lua_KContext)lua_tointeger(L, base + 2);
  lua_rotate(L, base, -3);
  lua_pop(L, 3);
  return k(L, LUA_YIELD, ctx);
}

static int called(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return dw_await_end(L, (int)ctx);
}

static void leave_task(void *data) {
  dw_task *t = data;
  dw_list_remove(&t->waiter.node);
  t->awaits = NULL;
}

static int task_ended(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  dw_script *s = dw_script_find(L);
  dw_task_here(s)->awaits = NULL;
  dw_task_object_results(L, s, (int)ctx);
  return dw_await_end(L, (int)ctx);
}

static int await_task(lua_State *L, dw_script *s, dw_task *other,
                      double seconds, int base) {
  dw_wait_refuse(L, s);
  dw_task *t = dw_task_here(s);
  dw_check_deadlock(L, t, other);
  dw_wake wake = dw_wait_begin(L, s, NULL, NULL);
  dw_wait_name(wake, "await");
  dw_waiter_join(&other->waiters, wake);
  t->cancel = leave_task;
  t->cancel_data = t;
  t->awaits = seconds < 0 && !dw_scopes_limit(t) ? other : NULL;
  return dw_wait(L, wake, seconds, task_ended, base);
}

/* limit("await", seconds, await, awaitable) */
static int await_in_time(lua_State *L, dw_script *s, double seconds, int base) {
  dw_script_push(L, s, dw_limit);
  lua_pushliteral(L, "await");
  lua_pushnumber(L, seconds);
  dw_script_push(L, s, dw_await_function);
  lua_pushvalue(L, base);
  lua_callk(L, 4, LUA_MULTRET, base, called);
  return dw_await_end(L, base);
}

/* Puts k and ctx above what is awaited, at index; below the nargs on top. */
static int prepare(lua_State *L, int index, int nargs, lua_KFunction k,
                   lua_KContext ctx) {
  luaL_checkstack(L, 10, NULL);
  lua_pushvalue(L, index);
  lua_pushlightuserdata(L, (void *)k);
  lua_pushinteger(L, (lua_Integer)ctx);
  lua_rotate(L, -nargs - 3, 3);
  return lua_gettop(L) - nargs - 2;
}

int dw_await_coroutine(lua_State *L, int index, int nargs, lua_KFunction k,
                       lua_KContext ctx) {
  dw_script *s = dw_script_find(L);
  dw_wait_check(L, s);
  int base = prepare(L, index, nargs, k, ctx);
  return dw_coroutine_drive(L, s, base, nargs);
}

int dw_await(lua_State *L, int index, double seconds, lua_KFunction k,
             lua_KContext ctx) {
  dw_script *s = dw_script_find(L);
  if (!s->tasks) dw_wait_check(L, s);
  int base = prepare(L, index, 0, k, ctx);
  dw_task_object *o = dw_task_object_test(L, base);
  if (o) {
    if (o->task) return await_task(L, s, o->task, seconds, base);
    dw_task_object_results(L, s, base);
    return dw_await_end(L, base);
  }
  if (!dw_is_awaitable(L, base))
    return dw_misuse(L,
                     "cannot await a %s: expected a task, a coroutine or a "
                     "value with __await",
                     luaL_typename(L, base));
  if (seconds >= 0) return await_in_time(L, s, seconds, base);
  dw_wait_check(L, s);
  if (lua_isthread(L, base)) return dw_coroutine_drive(L, s, base, 0);
  luaL_getmetafield(L, base, "__await");
  lua_pushvalue(L, base);
  lua_callk(L, 1, LUA_MULTRET, base, called);
  return dw_await_end(L, base);
}

bool dw_is_awaitable(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TSTRING) return false; /* the usual answer */
  if (lua_isthread(L, index) || dw_task_object_test(L, index)) return true;
  if (luaL_getmetafield(L, index, "__await") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

static int await_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return lua_gettop(L) - 1;
}

int dw_await_function(lua_State *L) {
  double seconds = dw_opt_seconds(L, 2, "await");
  if (lua_isnone(L, 1))
    return dw_misuse(L, "await: expected an awaitable, got nothing");
  if (dw_is_async(L, 1))
    return dw_misuse(L, "cannot await an async function: call it, and await "
                        "the task that it returns");
  lua_settop(L, 1);
  return dw_await(L, 1, seconds, await_end, 0);
}

/* --- sleep, yield, now -----------------------------------------------------*/

static int nothing(lua_State *L, int status, lua_KContext ctx) {
  (void)L, (void)status, (void)ctx;
  return 0;
}

int dw_yield_now(lua_State *L) {
  return dw_wait_expire(L, dw_script_find(L), 0, nothing, 0);
}

/* sleep(seconds) */
static int sleep_for(lua_State *L) {
  double seconds = dw_check_seconds(L, 1, "sleep");
  return dw_wait_expire(L, dw_script_of(L), seconds, nothing, 0);
}

/* yield() */
static int yield_turn(lua_State *L) {
  return dw_wait_expire(L, dw_script_of(L), 0, nothing, 0);
}

/* now() */
static int now(lua_State *L) {
  dw_script *s = dw_script_of(L);
  if (!s->tasks) luaL_error(L, "now: Dewar's runtime has been closed");
  lua_pushnumber(L, dw_loop_seconds(s->loop));
  return 1;
}

static const luaL_Reg functions[] = {{"sleep", sleep_for},
                                     {"yield", yield_turn},
                                     {"now", now},
                                     {"await", dw_await_function},
                                     {NULL, NULL}};

void dw_task_functions(lua_State *L, dw_script *s) {
  dw_script_register(L, s, functions);
  dw_spawn_functions(L, s);
  dw_scope_functions(L, s);
  dw_gather_functions(L, s);
  dw_group_functions(L, s);
  dw_task_list_functions(L, s);
  dw_attempt_functions(L, s);
}
