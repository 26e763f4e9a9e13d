/* SPDX-License-Identifier: MIT */
/* The scheduler: the ready queue, the only lua_resume of a task, the tree of
 * tasks, and the end of one. A coroutine never ends with an error, since its
 * bottom function protects what it calls: so <close> variables may wait, and
 * the coroutine can be used again. Owner: the script. Thread: the loop's. */
#include "bindings/task.h"

#include "base/error.h"
#include "bindings/task_private.h"
#include "bindings/watchdog.h"

/* --- The bottom of a coroutine ---------------------------------------------*/

/* What is below the function is the message handler, at 1. */
static int call_protected(lua_State *L, int results, lua_KFunction k) {
  lua_pushcfunction(L, dw_traceback_handler);
  lua_insert(L, 1);
  return lua_pcallk(L, lua_gettop(L) - 2, results, 1, 0, k);
}

static int raised(lua_State *L) {
  lua_settop(L, lua_gettop(L) + 2);
  return DW_ENDED_RAISED;
}

static int stage_end(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  return status == LUA_OK || status == LUA_YIELD ? DW_ENDED_EMPTY : raised(L);
}

static int stage_main(lua_State *L) {
  return stage_end(L, call_protected(L, 0, stage_end), 0);
}

static int task_end(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  if (status != LUA_OK && status != LUA_YIELD) return raised(L);
  int n = lua_gettop(L) - 1;
  if (n <= DW_ENDED_VALUE) return n;
  lua_createtable(L, n, 0);
  lua_insert(L, 2);
  for (int i = n; i >= 1; i--) lua_rawseti(L, 2, i);
  lua_pushinteger(L, n);
  return DW_ENDED_PACKED;
}

int dw_task_main(lua_State *L) {
  return task_end(L, call_protected(L, LUA_MULTRET, task_end), 0);
}

/* --- Hands off -------------------------------------------------------------*/

static const char mark;

void dw_mark_push(lua_State *L) { lua_pushlightuserdata(L, (void *)&mark); }

bool dw_mark_there(lua_State *co) {
  return lua_gettop(co) > 0 && lua_touserdata(co, -1) == &mark;
}

int dw_thread_close(lua_State *co, lua_State *from) {
#if LUA_VERSION_RELEASE_NUM >= 50406
  return lua_closethread(co, from);
#else
  (void)from;
  return lua_resetthread(co);
#endif
}

/* --- The end of a task -----------------------------------------------------*/

static void cancel_children(dw_task *t) {
  for (dw_list *n = t->children.next; n != &t->children; n = n->next)
    dw_task_cancel(DW_CONTAINER(n, dw_task, sibling), false);
}

/* Ends a spawned task without children, and the tasks above it that only its
 * end was missing to. Not recursive: chains of tasks may be long. */
static void finish(dw_task *t) {
  while (t) {
    dw_task *parent = t->parent;
    lua_settop(t->co, t->values > 0 ? t->values : 0); /* no mark */
    dw_task_object_settle(t);
    if (t->resumed_cb) t->resumed_cb(t, DW_RUN_DONE);
    dw_task_give_back(t);
    if (!dw_list_empty(&parent->children)) return;
    t = parent->phase == DW_PHASE_ENDING ? parent : NULL;
    if (parent->phase == DW_PHASE_REAPING) {
      parent->phase = DW_PHASE_IDLE;
      dw_task_report_failures(parent);
      if (parent->resumed_cb) parent->resumed_cb(parent, DW_RUN_DONE);
    }
  }
}

/* The error on top of the coroutine goes to the slots, with its traceback. */
static void keep_error(dw_task *t) {
  lua_State *co = t->co;
  dw_traceback_take(co, t->script, lua_gettop(co));
  dw_task_set_slot(co, t, DW_SLOT_TRACEBACK);
  dw_task_set_slot(co, t, DW_SLOT_ERROR);
}

/* The coroutine has ended, with so many values on its stack. */
static dw_run ended(dw_task *t, int values) {
  bool failed = values == DW_ENDED_RAISED;
  lua_State *co = t->co;
  if (failed) {
    lua_settop(co, 1);
    keep_error(t);
  }
  dw_traceback_forget(co, t->script);
  dw_scopes_forget(t);
  t->status = failed ? DW_TASK_FAILED : DW_TASK_DONE;
  t->killed = false;
  if (t->stage) {
    lua_settop(co, 0);
    t->phase = DW_PHASE_IDLE;
    return failed ? DW_RUN_FAILED : DW_RUN_DONE;
  }
  t->values = failed ? 0 : values;
  if (dw_list_empty(&t->children)) {
    finish(t);
  } else {
    dw_mark_push(co);
    t->phase = DW_PHASE_ENDING;
    cancel_children(t);
  }
  return DW_RUN_DONE;
}

/* --- Coroutines that end in another way ------------------------------------*/

typedef struct death {
  dw_task *task;
  const char *message; /* NULL: the error is on the stack */
  bool cancelled;      /* or it is dewar.Cancelled */
} death;

/* Protected, in the main thread: leaves error and traceback in the slots. */
static int describe(lua_State *L) {
  const death *d = lua_touserdata(L, 1);
  dw_task *t = d->task;
  if (d->message) lua_pushstring(L, d->message);
  if (d->cancelled) dw_errors_push(L, t->script, &dw_error_cancelled, NULL);
  lua_pushvalue(L, -1);
  dw_task_set_slot(L, t, DW_SLOT_ERROR);
  if (!d->cancelled)
    dw_traceback_extend(L, t->script, lua_gettop(L), t->co, 0, NULL);
  return 0;
}

/* Calls describe; if there is no memory for it, then that is the error. */
static void bury(death *d) {
  lua_State *L = d->task->script->L;
  if (!lua_checkstack(L, 8)) return;
  lua_pushcfunction(L, describe);
  lua_pushlightuserdata(L, d);
  bool there = !d->message && !d->cancelled;
  if (there) lua_xmove(d->task->co, L, 1);
  if (lua_pcall(L, there ? 2 : 1, 0, 0) == LUA_OK) return;
  dw_task_set_slot(L, d->task, DW_SLOT_ERROR);
}

/* Runs what the coroutine has to close; it can be used again then. */
static void close_coroutine(dw_task *t) {
  dw_script *s = t->script;
  dw_task *current = s->current;
  dw_wait_drop(t);
  s->current = t;
  t->phase = DW_PHASE_RUNNING;
  dw_thread_close(t->co, s->L);
  s->current = current;
  lua_settop(t->co, 0);
  t->foreign = t->killed = false;
}

/* Ends a task by an error which its coroutine has not raised itself. */
static dw_run die(death d) {
  dw_task *t = d.task;
  bury(&d);
  close_coroutine(t);
  dw_task_push_slot(t->co, t, DW_SLOT_ERROR);
  return ended(t, DW_ENDED_RAISED);
}

static dw_run close_stubborn(dw_task *t) {
  dw_log *log = t->script->log;
  if (dw_log_on(log, DEWAR_ERROR)) {
    dw_buffer text;
    dw_buffer_init(&text, t->script->alloc, 0);
    dw_buffer_printf(&text,
                     "a task has been closed, since it went on after its "
                     "cancellation had been raised %d times\nstack traceback:",
                     DW_REFUSALS);
    dw_traceback_append(&text, t->co, 0);
    dw_logf(log, DEWAR_ERROR, "%.*s", DW_FMT(dw_buffer_slice(&text)));
    dw_buffer_deinit(&text);
  }
  return die((death){.task = t, .cancelled = true});
}

/* --- Running ---------------------------------------------------------------*/

/* The innermost state that runs, as far as we know. */
static lua_State *resumer(const dw_script *s) {
  const dw_tasks *tasks = s->tasks;
  if (tasks->frame) return tasks->frame->co;
  if (s->current) return s->current->co;
  return tasks->driver ? tasks->driver : s->L;
}

static int resume(dw_task *t, int nargs, int *values) {
  dw_script *s = t->script;
  lua_State *from = resumer(s);
  dw_task *current = s->current;
  dw_frame *frame = s->tasks->frame;
  s->current = t;
  s->tasks->frame = NULL;
  t->phase = DW_PHASE_RUNNING;
  s->tasks->busy++;
  dw_watchdog *w = s->watchdog;
  lua_State *outer = w ? dw_watchdog_enter(w, t->co) : NULL;
  int status = lua_resume(t->co, from, nargs, values);
  if (w && s->watchdog) dw_watchdog_leave(w, outer);
  s->tasks->busy--;
  s->current = current;
  s->tasks->frame = frame;
  return status;
}

/* A yield that did not come through dw_wait: by a coroutine.yield from before
 * Dewar, or by other C code. With nothing it is as good as dewar.yield(). */
static dw_run yielded(dw_task *t, int values) {
  if (values > 0 || !lua_checkstack(t->co, 1))
    return die((death){
        .task = t,
        .message = "a task yielded a value past Dewar; give it back with "
                   "return, or wait by dewar.await (coroutine.yield can be "
                   "used, if it is taken after dewar has been loaded)"});
  if (dw_task_interrupted(t) && ++t->refusals > DW_REFUSALS)
    return close_stubborn(t);
  dw_mark_push(t->co);
  t->wait = DW_WAIT_SUSPENDED;
  t->outcome = DW_OUTCOME_WOKEN;
  t->foreign = true;
  dw_task_ready(t);
  return DW_RUN_WAITING;
}

static dw_run run(dw_task *t, int nargs) {
  int values;
  int status = resume(t, nargs, &values);
  if (status == LUA_OK) return ended(t, values);
  if (status != LUA_YIELD) return die((death){.task = t});
  if (t->killed) return close_stubborn(t);
  t->phase = DW_PHASE_SUSPENDED;
  bool ours = t->wait == DW_WAIT_SUSPENDED && dw_mark_there(t->co);
  return ours ? DW_RUN_WAITING : yielded(t, values);
}

/* Somebody else has resumed or closed its coroutine meanwhile. */
static dw_run tampered(dw_task *t) {
  return die((death){.task = t,
                     .message = "the coroutine of a task was resumed or closed "
                                "by other code than Dewar's"});
}

static dw_run start(dw_task *t) {
  lua_State *co = t->co;
  if (dw_task_interrupted(t)) {
    lua_settop(co, 0);
    return ended(t, DW_ENDED_UNSTARTED);
  }
  if (lua_status(co) != LUA_OK || lua_gettop(co) != t->values + 1)
    return tampered(t);
  lua_pop(co, 1);
  t->status = DW_TASK_RUNNING;
  return run(t, t->values - 1);
}

static dw_run carry_on(dw_task *t) {
  lua_State *co = t->co;
  if (lua_status(co) != LUA_YIELD || !dw_mark_there(co)) return tampered(t);
  lua_pop(co, 1);
  if (t->foreign) {
    t->foreign = false;
    t->wait = DW_WAIT_NONE;
  }
  return run(t, 0);
}

/* Tasks that become ready meanwhile run in the next turn. */
void dw_task_drain_cb(dw_deferred *d) {
  dw_tasks *tasks = d->data;
  dw_list batch;
  dw_list_init(&batch);
  dw_list_splice(&batch, &tasks->ready);
  tasks->busy++;
  for (dw_list *node; (node = dw_list_shift(&batch));) {
    dw_task *t = DW_CONTAINER(node, dw_task, ready);
    bool stage = t->stage;
    dw_run end = t->phase == DW_PHASE_PENDING ? start(t) : carry_on(t);
    if (stage && end != DW_RUN_WAITING && t->resumed_cb) t->resumed_cb(t, end);
  }
  tasks->busy--;
  dw_tasks_release(tasks->root.script);
}

void dw_task_ready(dw_task *t) {
  dw_tasks *tasks = t->script->tasks;
  if (t == &tasks->root) return;
  dw_list_push(&tasks->ready, &t->ready);
  dw_loop_defer(t->script->loop, &tasks->drain);
}

void dw_task_start(dw_task *t, dw_task *parent, int values) {
  dw_mark_push(t->co);
  t->values = values;
  t->parent = parent;
  dw_list_push(&parent->children, &t->sibling);
  t->status = DW_TASK_PENDING;
  t->phase = DW_PHASE_PENDING;
  t->since = dw_loop_now(t->script->loop);
  if (parent->phase == DW_PHASE_ENDING || parent->phase == DW_PHASE_REAPING)
    t->cancelled = true;
  dw_task_ready(t);
}

void dw_task_abort(dw_task *t) {
  if (t->phase != DW_PHASE_PENDING && t->phase != DW_PHASE_SUSPENDED) return;
  bool stage = t->stage;
  dw_list_remove(&t->ready);
  dw_run end = die((death){.task = t, .cancelled = true});
  if (stage && t->resumed_cb) t->resumed_cb(t, end);
}

/* --- Stage tasks -----------------------------------------------------------*/

int dw_task_open(dw_script *s, const dw_context *context, dw_task **out) {
  if (s->watchdog) dw_watchdog_relieve(s->watchdog);
  dw_task *t = dw_task_take(s);
  *out = t;
  if (!t) return DW_ENOMEM;
  t->stage = true;
  if (context) t->context = *context;
  t->parent = s->root;
  dw_list_push(&s->root->children, &t->sibling);
  t->status = DW_TASK_PENDING;
  return 0;
}

dw_run dw_task_run(dw_task *t, lua_CFunction fn, void *arg) {
  if (!t->co && !dw_task_rouse(t)) return DW_RUN_FAILED;
  lua_pushcfunction(t->co, stage_main);
  lua_pushcfunction(t->co, fn);
  lua_pushlightuserdata(t->co, arg);
  t->status = DW_TASK_RUNNING;
  return run(t, 2);
}

void dw_task_close(dw_task *t) {
  dw_script *s = t->script;
  dw_task_give_back(t);
  dw_tasks_release(s);
}

bool dw_task_reap(dw_task *t) {
  if (dw_list_empty(&t->children)) {
    dw_task_report_failures(t);
    return true;
  }
  t->phase = DW_PHASE_REAPING;
  cancel_children(t);
  return false;
}

/* --- Cancellation ----------------------------------------------------------*/

void dw_task_cancel(dw_task *t, bool timeout) {
  if (t->cancelled || t->phase == DW_PHASE_ENDING) return;
  t->cancelled = true;
  t->timed_out = timeout;
  t->told = false;
  t->refusals = 0;
  dw_wait_interrupt(t);
}

bool dw_task_cancelled(const dw_task *t) { return t->cancelled; }

bool dw_task_timed_out(const dw_task *t) {
  return t->cancelled && t->timed_out;
}

void dw_task_uncancel(dw_task *t) {
  t->cancelled = t->timed_out = false;
  t->refusals = 0;
}

void dw_task_shield(dw_task *t) { t->shields++; }

void dw_task_unshield(dw_task *t) {
  if (t->shields > 0 && --t->shields == 0) dw_wait_interrupt(t);
}
