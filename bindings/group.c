/* SPDX-License-Identifier: MIT */
/* dewar.scope: a stretch of a task that owns tasks. Its function runs in place;
 * when that has ended, the scope waits for its tasks. An error of one, the time
 * that is up, and scope:cancel() cancel all that is inside, the function
 * included; a cancellation of the caller does so as well. The object is on the
 * stack of the call, and the registry has, by its address, the object of the
 * task that failed first, or false. Thread: the loop's. */
#include "bindings/task_private.h"

static const char GROUP_TYPE[] = "dewar.task_scope";

typedef struct group {
  dw_scope_box box; /* no scope: it is over */
  dw_join join;
  dw_script *script;
  dw_task *task; /* who opened it; valid until it is over */
  bool failed;   /* one of its tasks has */
  bool cut;      /* tasks were running when it was cancelled */
} group;

static group *check(lua_State *L) { return dw_type_check(L, 1, GROUP_TYPE); }

static group *group_of(dw_join *j) { return DW_CONTAINER(j, group, join); }

/* --- Its tasks: a dw_member each, from the allocator -----------------------*/

static void free_member(group *g, dw_member *m) {
  dw_free(g->script->alloc, m, sizeof(*m));
}

static void ended_cb(dw_member *m, const dw_task_object *o) {
  group *g = group_of(m->join);
  if (o && o->status == DW_TASK_FAILED && !g->failed && g->box.scope) {
    g->failed = true;
    lua_pushvalue(m->task->co, -1); /* its object */
    lua_rawsetp(m->task->co, LUA_REGISTRYINDEX, g);
    dw_scope_fire(g->box.scope);
  }
  free_member(g, m);
  if (g->join.running == 0) dw_wake_up(g->join.wake);
}

/* In whatever way it came to be cancelled: the tasks first, then the wait of
 * the function, which dw_scope_fire sees to. */
static void fired_cb(dw_task_scope *sc) {
  group *g = (group *)sc->box;
  if (!g) return;
  dw_list *all = &g->join.members;
  if (g->join.running > 0) g->cut = true;
  for (dw_list *n = all->next; n != all; n = n->next)
    dw_task_cancel(DW_CONTAINER(n, dw_member, node)->task, false);
}

/* A coroutine that was dropped inside of it leaves the tasks to the end of the
 * one that opened it. When the state is closed, that one goes on without. */
static int group_gc(lua_State *L) {
  group *g = check(L);
  if (g->box.scope) g->box.scope->box = NULL;
  if (g->join.running > 0) dw_wake_up(g->join.wake);
  while (!dw_list_empty(&g->join.members)) {
    dw_member *m = DW_CONTAINER(g->join.members.next, dw_member, node);
    dw_join_drop(m);
    free_member(g, m);
  }
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, g);
  return 0;
}

/* scope:spawn(fn, ...) */
static int group_spawn(lua_State *L) {
  group *g = check(L);
  dw_script *s = g->script;
  dw_check_callable(L, 2, "scope:spawn");
  if (!g->box.scope)
    return dw_misuse(L, "scope:spawn: this scope has ended, and all of its "
                        "tasks with it");
  dw_spawn(L, s, lua_gettop(L) - 2, g->task, &g->task->context);
  dw_task *t = dw_task_object_test(L, -1)->task;
  dw_member *m = dw_alloc(s->alloc, sizeof(*m));
  if (!m || g->box.scope->fired) dw_task_cancel(t, false);
  if (!m) return luaL_error(L, "not enough memory");
  dw_join_add(&g->join, m, t);
  return 1;
}

/* scope:cancel() */
static int group_cancel(lua_State *L) {
  group *g = check(L);
  if (g->box.scope) dw_scope_fire(g->box.scope);
  return 0;
}

static int group_tostring(lua_State *L) {
  group *g = check(L);
  const char *state = !g->box.scope         ? "ended"
                      : g->box.scope->fired ? "cancelled"
                                            : "open";
  lua_pushfstring(L, "scope: %p (%d tasks, %s)", (void *)g,
                  (int)g->join.running, state);
  return 1;
}

/* --- Its end ---------------------------------------------------------------
 * On the stack of the call: the object, the message handler, and what the
 * function has come to: its results; or its error and the traceback of that. */

enum { GROUP = 1, HANDLER, OUTCOME, TRACE };

typedef enum body_end { RETURNED, RAISED, WAS_CANCELLED } body_end;

static int rethrow(lua_State *L, dw_script *s) {
  lua_settop(L, TRACE);
  if (s->current && !lua_isnil(L, TRACE))
    dw_traceback_note(L, s, OUTCOME, L, NULL);
  lua_settop(L, OUTCOME);
  return dw_rethrow(L, s);
}

/* What the function raised on its way out, when a task's error had ended the
 * scope: it has no other way to be seen. */
static void log_second(lua_State *L, dw_script *s) {
  if (!dw_log_on(s->log, DEWAR_ERROR)) return;
  size_t len;
  const char *text = lua_tolstring(L, TRACE, &len);
  if (!text) text = luaL_tolstring(L, OUTCOME, &len);
  dw_task_log_trace(s,
                    "error in a scope that the error of a task had cancelled",
                    (dw_slice){text, len});
}

/* The object of the failed task is on top. */
static int raise_failure(lua_State *L, dw_script *s, body_end end) {
  int object = lua_gettop(L);
  bool same = end == RAISED && dw_task_object_raised(L, object, OUTCOME);
  if (end == RAISED && !same) log_second(L, s);
  return dw_task_object_results(L, s, object);
}

static int conclude(lua_State *L, dw_script *s, body_end end) {
  group *g = lua_touserdata(L, GROUP);
  dw_task_scope *sc = g->box.scope;
  bool fired = sc && sc->fired, timed = sc && sc->timed;
  bool noticed = (sc && sc->delivered) || g->cut;
  double seconds = sc ? sc->seconds : 0;
  if (sc) dw_scope_close(sc);
  luaL_checkstack(L, 8, NULL);
  lua_rawgetp(L, LUA_REGISTRYINDEX, g);
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, g);
  dw_task *t = dw_task_here(s);
  bool outside = dw_task_interrupted(t);
  bool cancelled = end == WAS_CANCELLED || g->join.interrupted || g->failed;
  if (outside && cancelled && end != RAISED) return dw_raise_cancelled(L, t);
  if (g->failed) return raise_failure(L, s, end);
  lua_pop(L, 1);
  if (end == RAISED || (end == WAS_CANCELLED && !fired)) return rethrow(L, s);
  if (timed && noticed)
    return dw_raise_late(L, s, "dewar.scope", seconds, NULL);
  return end == RETURNED ? lua_gettop(L) - HANDLER : 0;
}

static int proceed(lua_State *L, dw_script *s, body_end end);

static int woken(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  dw_script *s = dw_script_of(L);
  dw_task_here(s)->join = NULL;
  return proceed(L, s, (body_end)ctx);
}

static int proceed(lua_State *L, dw_script *s, body_end end) {
  group *g = lua_touserdata(L, GROUP);
  dw_join *j = &g->join;
  bool fired = g->box.scope && g->box.scope->fired;
  dw_join_notice(j, dw_task_here(s), false);
  if (end != RETURNED || fired || j->interrupted)
    dw_join_cancel(j, dw_task_here(s));
  if (j->running > 0)
    return dw_join_wait(L, s, j, "scope", woken, (lua_KContext)end);
  return conclude(L, s, end);
}

static int body_ended(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  dw_script *s = dw_script_of(L);
  if (!s->tasks) return lua_error(L);
  if (status == LUA_OK || status == LUA_YIELD) return proceed(L, s, RETURNED);
  luaL_checkstack(L, 8, NULL);
  dw_traceback_take(L, s, OUTCOME);
  bool cancelled = dw_is_cancelled(L, s, OUTCOME);
  return proceed(L, s, cancelled ? WAS_CANCELLED : RAISED);
}

/* --- scope([options,] fn, ...) ---------------------------------------------*/

static double read_options(lua_State *L) {
  static const char *const known[] = {"timeout", NULL};
  double seconds = -1;
  if (!dw_is_plain_table(L, 1)) return seconds;
  dw_check_options(L, 1, known);
  if (lua_getfield(L, 1, "timeout") != LUA_TNIL)
    seconds = dw_check_seconds(L, -1, "scope");
  lua_pop(L, 1);
  lua_remove(L, 1);
  return seconds;
}

/* Puts the object at GROUP and the message handler above it. */
static group *push_group(lua_State *L, dw_script *s) {
  group *g = lua_newuserdatauv(L, sizeof(*g), 0);
  *g = (group){.script = s, .task = dw_task_here(s)};
  dw_join_init(&g->join, ended_cb);
  dw_type_set(L, GROUP_TYPE);
  lua_insert(L, GROUP);
  lua_pushcfunction(L, dw_traceback_handler);
  lua_insert(L, HANDLER);
  lua_pushboolean(L, false); /* so that what is set later needs no memory */
  lua_rawsetp(L, LUA_REGISTRYINDEX, g);
  dw_scope_open(L, s, &g->box, false)->fired_cb = fired_cb;
  return g;
}

static int scope(lua_State *L) {
  dw_script *s = dw_script_of(L);
  luaL_checkstack(L, 8, NULL);
  double seconds = read_options(L);
  dw_check_callable(L, 1, "scope");
  dw_wait_check(L, s);
  group *g = push_group(L, s);
  if (seconds >= 0) dw_scope_limit(g->box.scope, seconds);
  lua_pushvalue(L, GROUP);
  lua_insert(L, OUTCOME + 1); /* the first argument */
  int nargs = lua_gettop(L) - OUTCOME;
  int status = lua_pcallk(L, nargs, LUA_MULTRET, HANDLER, 0, body_ended);
  return body_ended(L, status, 0);
}

static const luaL_Reg methods[] = {
    {"spawn", group_spawn}, {"cancel", group_cancel}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__tostring", group_tostring}, {"__gc", group_gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"scope", scope}, {NULL, NULL}};

void dw_group_open(lua_State *L, dw_script *s) {
  dw_script_type(L, s, GROUP_TYPE, methods, metamethods);
}

void dw_group_functions(lua_State *L, dw_script *s) {
  dw_script_register(L, s, functions);
}
