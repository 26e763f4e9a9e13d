/* SPDX-License-Identifier: MIT */
/* The task object: what dewar.spawn gives, and what is left of a task when it
 * has ended. While the task runs, the task anchors its object; afterwards
 * whoever holds it does. An error that nobody has seen by the end of the
 * parent, or of the object, is logged. Thread: the loop's. */
#include <string.h>

#include "bindings/task_private.h"

static const char TASK_TYPE[] = "dewar.task";

/* User values of the object. */
enum { RESULT = 1, TRACE, NAME, USER_VALUES = NAME };

dw_task_object *dw_task_object_test(lua_State *L, int index) {
  return dw_type_test(L, index, TASK_TYPE);
}

static dw_task_object *check(lua_State *L) {
  return dw_type_check(L, 1, TASK_TYPE);
}

static dw_task_status status_of(const dw_task_object *o) {
  return o->task ? o->task->phase == DW_PHASE_PENDING ? DW_TASK_PENDING
                                                      : DW_TASK_RUNNING
                 : o->status;
}

static const char *status_name(const dw_task_object *o) {
  static const char *const names[] = {
      [DW_TASK_FREE] = "cancelled",  [DW_TASK_PENDING] = "pending",
      [DW_TASK_RUNNING] = "running", [DW_TASK_DONE] = "done",
      [DW_TASK_FAILED] = "failed",   [DW_TASK_CANCELLED] = "cancelled"};
  return names[status_of(o)];
}

/* --- Errors that nobody has seen -------------------------------------------*/

void dw_task_log_trace(dw_script *s, const char *where, dw_slice trace) {
  dw_buffer text;
  dw_buffer_init(&text, s->alloc, 0);
  int code = dw_buffer_append(&text, where, strlen(where));
  if (code == 0) code = dw_buffer_append(&text, ": ", 2);
  if (code == 0) code = dw_buffer_append(&text, trace.ptr, trace.len);
  if (code == 0) code = dw_buffer_append_char(&text, '\0');
  if (code == 0)
    dw_log_write(s->log, DEWAR_ERROR, text.ptr, NULL, 0);
  else
    dw_logf(s->log, DEWAR_ERROR, "%s: %.*s", where, DW_FMT(trace));
  dw_buffer_deinit(&text);
}

void dw_task_object_report(dw_task_object *o) {
  static const char none[] = "not enough memory, nor for a traceback";
  dw_slice trace = {none, sizeof none - 1};
  dw_list_remove(&o->node);
  if (!dw_log_on(o->script->log, DEWAR_ERROR)) return;
  if (o->trace) trace = (dw_slice){o->trace, o->trace_len};
  dw_task_log_trace(o->script,
                    o->background ? "error in a background task"
                                  : "error in a task that nobody awaited",
                    trace);
}

void dw_task_report_failures(dw_task *t) {
  while (!dw_list_empty(&t->failures))
    dw_task_object_report(DW_CONTAINER(t->failures.next, dw_task_object, node));
}

void dw_task_object_seen(dw_task_object *o) { dw_list_remove(&o->node); }

bool dw_task_object_raised(lua_State *L, int index, int error) {
  error = lua_absindex(L, error);
  lua_getiuservalue(L, index, RESULT);
  bool same = lua_rawequal(L, -1, error);
  lua_pop(L, 1);
  return same;
}

/* --- The end of a task -----------------------------------------------------*/

static dw_task_status final_status(dw_task *t, lua_State *co) {
  if (t->values == DW_ENDED_UNSTARTED) return DW_TASK_CANCELLED;
  if (t->status != DW_TASK_FAILED) return DW_TASK_DONE;
  int status;
  dw_task_push_slot(co, t, DW_SLOT_ERROR);
  bool cancelled =
      dw_errors_class(co, t->script, -1, &status) == &dw_error_cancelled;
  lua_pop(co, 1);
  return cancelled ? DW_TASK_CANCELLED : DW_TASK_FAILED;
}

/* The object is on top of the coroutine, the results are below it. */
static void move_results(dw_task *t, dw_task_object *o, lua_State *co) {
  o->results = t->values;
  if (t->values == DW_ENDED_PACKED) {
    o->results = (int)lua_tointeger(co, 2);
    lua_remove(co, 2);
  }
  lua_insert(co, 1);
  lua_setiuservalue(co, 1, RESULT);
}

static void move_error(dw_task *t, dw_task_object *o, lua_State *co) {
  dw_task_push_slot(co, t, DW_SLOT_ERROR);
  lua_setiuservalue(co, -2, RESULT);
  dw_task_push_slot(co, t, DW_SLOT_TRACEBACK);
  if (lua_type(co, -1) == LUA_TSTRING)
    o->trace = lua_tolstring(co, -1, &o->trace_len);
  lua_setiuservalue(co, -2, TRACE);
}

static void tell_waiters(dw_task *t, dw_task_object *o) {
  for (dw_list *node; (node = dw_list_shift(&t->waiters));) {
    dw_waiter *w = DW_CONTAINER(node, dw_waiter, node);
    if (w->ended_cb)
      w->ended_cb(w, o);
    else
      dw_wake_up(w->wake);
  }
}

void dw_task_object_settle(dw_task *t) {
  lua_State *co = t->co;
  dw_task_object *o = t->object;
  o->status = final_status(t, co);
  o->background = t->background;
  o->task = NULL;
  t->object = NULL;
  dw_task_push_slot(co, t, DW_SLOT_OBJECT);
  if (o->status == DW_TASK_FAILED) {
    move_error(t, o, co);
    bool awaited = !dw_list_empty(&t->waiters);
    dw_list_push(&t->parent->failures, &o->node);
    if (t->background && !awaited) dw_task_object_report(o);
  } else if (o->status == DW_TASK_DONE && t->values > 0) {
    move_results(t, o, co);
  }
  tell_waiters(t, o);
  lua_settop(co, 0);
}

/* --- Spawning --------------------------------------------------------------*/

void dw_spawn(lua_State *L, dw_script *s, int nargs, dw_task *parent,
              const dw_context *context) {
  luaL_checkstack(L, 6, NULL);
  if (!s->tasks)
    luaL_error(L, "cannot make a task: Dewar's runtime has been closed");
  dw_task_object *o = lua_newuserdatauv(L, sizeof(*o), USER_VALUES);
  *o = (dw_task_object){.script = s};
  dw_list_init(&o->node);
  dw_type_set(L, TASK_TYPE);
  dw_task *t = dw_task_take(s);
  if (!t) luaL_error(L, "not enough memory");
  if (!lua_checkstack(t->co, nargs + 3)) {
    dw_task_give_back(t);
    luaL_error(L, "not enough memory");
  }
  lua_pushvalue(L, -1);
  dw_task_set_slot(L, t, DW_SLOT_OBJECT);
  lua_insert(L, -nargs - 2);
  lua_pushcfunction(t->co, dw_task_main);
  lua_xmove(L, t->co, nargs + 1);
  o->task = t;
  o->id = t->id;
  t->object = o;
  t->background = !parent;
  if (context) t->context = *context;
  dw_task_start(t, parent ? parent : s->root, nargs + 2);
}

/* --- Async functions -------------------------------------------------------*/

/* An async function; upvalue 2 is what a call of it runs. */
static int call_async(lua_State *L) {
  dw_script *s = dw_script_of(L);
  if (!s->tasks) dw_wait_check(L, s);
  dw_task *here = dw_task_here(s);
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  dw_spawn(L, s, lua_gettop(L) - 1, here, &here->context);
  return 1;
}

bool dw_is_async(lua_State *L, int index) {
  return lua_tocfunction(L, index) == call_async;
}

bool dw_is_callable(lua_State *L, int index) {
  if (lua_isfunction(L, index)) return true;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

void dw_check_callable(lua_State *L, int index, const char *what) {
  if (dw_is_async(L, index)) {
    lua_getupvalue(L, index, 2);
    lua_replace(L, index);
  } else if (!dw_is_callable(L, index)) {
    dw_misuse(L, "%s: expected a function, got %s", what,
              lua_isnone(L, index) ? "nothing" : luaL_typename(L, index));
  }
}

/* async(fn) */
static int async(lua_State *L) {
  lua_settop(L, 1);
  if (dw_is_async(L, 1)) return 1;
  dw_check_callable(L, 1, "async");
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_pushcclosure(L, call_async, 2);
  return 1;
}

/* is_async(value) */
static int is_async(lua_State *L) {
  lua_pushboolean(L, dw_is_async(L, 1));
  return 1;
}

/* spawn(fn, ...) */
static int spawn(lua_State *L) {
  dw_script *s = dw_script_of(L);
  dw_check_callable(L, 1, "spawn");
  if (!s->tasks) dw_wait_check(L, s);
  dw_task *here = dw_task_here(s);
  dw_spawn(L, s, lua_gettop(L) - 1, here, &here->context);
  return 1;
}

/* --- The object's own ------------------------------------------------------*/

static int raise_error(lua_State *L, dw_script *s, dw_task_object *o,
                       int object) {
  luaL_checkstack(L, 6, NULL);
  dw_task_object_seen(o);
  lua_getiuservalue(L, object, RESULT);
  if (s->current && o->trace) {
    lua_getiuservalue(L, object, TRACE);
    dw_traceback_note(L, s, -2, s->L, "a task awaited by");
  }
  return dw_rethrow(L, s);
}

int dw_task_object_results(lua_State *L, dw_script *s, int object) {
  dw_task_object *o = dw_task_object_test(L, object);
  object = lua_absindex(L, object);
  if (o->status == DW_TASK_FAILED) return raise_error(L, s, o, object);
  if (o->status != DW_TASK_DONE)
    return dw_errors_raise(L, s, &dw_error_cancelled,
                           "the awaited task was cancelled");
  luaL_checkstack(L, o->results + 2, "too many results");
  if (o->results > 0) lua_getiuservalue(L, object, RESULT);
  if (o->results <= 1) return o->results;
  int table = lua_gettop(L);
  for (int i = 1; i <= o->results; i++) lua_rawgeti(L, table, i);
  lua_remove(L, table);
  return o->results;
}

static int cancel_task(lua_State *L) {
  dw_task_object *o = check(L);
  if (o->task) dw_task_cancel(o->task, false);
  return 0;
}

static int get_field(lua_State *L) {
  dw_task_object *o = check(L);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "status") == 0) {
    lua_pushstring(L, status_name(o));
    return 1;
  }
  if (strcmp(key, "id") == 0) {
    lua_pushinteger(L, (lua_Integer)o->id);
    return 1;
  }
  if (strcmp(key, "name") == 0) {
    dw_task_object_push_name(L, 1);
    if (lua_isnil(L, -1) && o->task) dw_task_push_function(L, o->task);
    return 1;
  }
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  return 1;
}

static int set_field(lua_State *L) {
  check(L);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "name") != 0)
    return dw_misuse(L, "of a task only the name can be set, not '%s'",
                     luaL_tolstring(L, 2, NULL));
  if (lua_type(L, 3) != LUA_TSTRING)
    return dw_misuse(L, "a task's name is a string, not a %s",
                     luaL_typename(L, 3));
  lua_settop(L, 3);
  lua_setiuservalue(L, 1, NAME);
  return 0;
}

void dw_task_object_push_name(lua_State *L, int index) {
  lua_getiuservalue(L, index, NAME);
}

static int tostring(lua_State *L) {
  dw_task_object *o = check(L);
  lua_pushfstring(L, "task: %p (%s)", (void *)o, status_name(o));
  return 1;
}

static int gc(lua_State *L) {
  dw_task_object *o = check(L);
  if (o->script->tasks && !dw_list_empty(&o->node)) dw_task_object_report(o);
  dw_list_remove(&o->node);
  return 0;
}

static int closed(lua_State *L, int status, lua_KContext ctx) {
  (void)L, (void)status, (void)ctx;
  return 0;
}

/* local task <close> = dewar.spawn(...): cancels it and waits for its end. */
static int close_task(lua_State *L) {
  dw_task_object *o = check(L);
  dw_task *t = o->task;
  if (!t) return 0;
  dw_task_cancel(t, false);
  dw_script *s = dw_script_of(L);
  if (t == s->current) return 0;
  dw_wait_check(L, s);
  dw_check_deadlock(L, dw_task_here(s), t);
  /* A cancellation that comes meanwhile ends the wait: what is left is waited
   * for at the end of the parent. */
  dw_wake wake = dw_wait_begin_raw(s, false);
  dw_wait_name(wake, "task close");
  dw_waiter_join(&t->waiters, wake);
  return dw_wait(L, wake, -1, closed, 0);
}

static const luaL_Reg methods[] = {{"cancel", cancel_task}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__tostring", tostring},
                                       {"__newindex", set_field},
                                       {"__gc", gc},
                                       {"__close", close_task},
                                       {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"spawn", spawn}, {"async", async}, {"is_async", is_async}, {NULL, NULL}};

void dw_task_object_open(lua_State *L, dw_script *s) {
  dw_script_type(L, s, TASK_TYPE, methods, metamethods);
  luaL_getmetatable(L, TASK_TYPE);
  dw_script_push(L, s, tostring); /* for the script it has as an upvalue */
  lua_getupvalue(L, -1, 1);
  lua_getfield(L, -3, "__index");
  lua_pushcclosure(L, get_field, 2);
  lua_setfield(L, -3, "__index");
  lua_pop(L, 2);
}

void dw_spawn_functions(lua_State *L, dw_script *s) {
  dw_script_register(L, s, functions);
}
