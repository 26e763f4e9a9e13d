/* SPDX-License-Identifier: MIT */
/* Waiting: a task has at most one wait at a time, which ends exactly once, by a
 * wake, by its time limit or by a cancellation; then its token is stale. Inside
 * a task it is a yield of the mark to the scheduler, outside any it turns the
 * loop. Thread: the loop's. */
#include <math.h>

#include "bindings/task_private.h"

/* --- Seconds ---------------------------------------------------------------*/

double dw_check_seconds(lua_State *L, int index, const char *what) {
  if (lua_type(L, index) != LUA_TNUMBER)
    dw_misuse(L, "%s: the time must be a number of seconds, not a %s", what,
              luaL_typename(L, index));
  double seconds = lua_tonumber(L, index);
  if (!(seconds >= 0))
    dw_misuse(L, "%s: the time must be 0 or more seconds, not %s", what,
              isnan(seconds) ? "NaN" : lua_tostring(L, index));
  return seconds;
}

double dw_opt_seconds(lua_State *L, int index, const char *what) {
  return lua_isnoneornil(L, index) ? -1 : dw_check_seconds(L, index, what);
}

void dw_start_seconds(dw_loop *loop, dw_timer *timer, double seconds) {
  const double longest = 9007199254740992.0; /* 2^53 ms; infinity is more */
  /* A difference of two times may be off by its last digit. */
  double ms = ceil(seconds * 1000 - 1e-6);
  if (ms < longest) dw_timer_start(loop, timer, (uint64_t)ms);
}

/* --- The end of a wait -----------------------------------------------------*/

/* Settles how the wait ends. The task runs in the next drain. */
static void settle(dw_task *t, enum dw_outcome outcome) {
  void (*cancel)(void *) = t->cancel;
  t->outcome = (uint8_t)outcome;
  t->token++;
  t->cancel = NULL;
  dw_timer_stop(t->script->loop, &t->timer);
  if (cancel && outcome != DW_OUTCOME_WOKEN) cancel(t->cancel_data);
  if (t->wait == DW_WAIT_SUSPENDED) dw_task_ready(t);
}

static bool is_open(const dw_task *t) {
  return t->wait != DW_WAIT_NONE && t->outcome == DW_OUTCOME_OPEN;
}

bool dw_wake_up(dw_wake wake) {
  dw_task *t = wake.task;
  if (!t || t->token != wake.token || !is_open(t)) return false;
  settle(t, DW_OUTCOME_WOKEN);
  return true;
}

void dw_wait_timer_cb(dw_timer *timer) {
  dw_task *t = timer->data;
  if (is_open(t))
    settle(t, t->expires ? DW_OUTCOME_WOKEN : DW_OUTCOME_TIMED_OUT);
}

void dw_wait_interrupt(dw_task *t) {
  if (is_open(t) && !t->unbreakable && dw_task_interrupted(t))
    settle(t, DW_OUTCOME_CANCELLED);
}

void dw_wait_drop(dw_task *t) {
  bool open = is_open(t);
  t->wait = DW_WAIT_NONE;
  t->awaits = NULL;
  t->join = NULL;
  if (open) settle(t, DW_OUTCOME_CANCELLED);
}

void dw_wait_abandon(dw_wake wake) {
  dw_task *t = wake.task;
  if (!t || t->wait != DW_WAIT_BEGUN) return;
  if (t->token == wake.token) t->cancel = NULL;
  dw_wait_drop(t);
}

void dw_waiter_join(dw_list *list, dw_wake wake) {
  dw_waiter *w = &wake.task->waiter;
  w->wake = wake;
  dw_list_push(list, &w->node);
  wake.task->cancel = dw_waiter_leave;
  wake.task->cancel_data = w;
}

void dw_waiter_leave(void *waiter) {
  dw_waiter *w = waiter;
  dw_list_remove(&w->node);
}

/* --- The beginning ---------------------------------------------------------*/

/* One that was begun and never waited for (an error came between) is dropped.
 */
static dw_wake begin(dw_task *t) {
  dw_wait_drop(t);
  t->wait = DW_WAIT_BEGUN;
  t->outcome = DW_OUTCOME_OPEN;
  t->raw = t->unbreakable = t->expires = false;
  t->waits_for = NULL;
  t->describe = NULL;
  t->limit = -1;
  t->since = dw_loop_now(t->script->loop);
  return (dw_wake){t, ++t->token};
}

void dw_wait_refuse(lua_State *L, dw_script *s) {
  dw_wait_check(L, s);
  dw_task *t = dw_task_here(s);
  if (dw_task_interrupted(t)) dw_raise_cancelled(L, t);
}

dw_wake dw_wait_begin(lua_State *L, dw_script *s, void (*cancel)(void *data),
                      void *data) {
  dw_wait_refuse(L, s);
  dw_task *t = dw_task_here(s);
  dw_wake wake = begin(t);
  t->cancel = cancel;
  t->cancel_data = data;
  return wake;
}

dw_wake dw_wait_begin_raw(dw_script *s, bool unbreakable) {
  dw_task *t = dw_task_here(s);
  dw_wake wake = begin(t);
  t->raw = true;
  t->unbreakable = unbreakable;
  return wake;
}

/* --- Being in it -----------------------------------------------------------*/

static int killed_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  return luaL_error(L, "this coroutine belonged to a task that was closed");
}

int dw_raise_cancelled(lua_State *L, dw_task *t) {
  dw_scopes_delivered(t);
  t->refusals++;
  if (t->refusals > DW_REFUSALS && t != t->script->root && lua_isyieldable(L)) {
    t->killed = true;
    dw_mark_push(L);
    return lua_yieldk(L, 1, 0, killed_end);
  }
  return dw_errors_raise(L, t->script, &dw_error_cancelled,
                         "the task was cancelled");
}

int dw_wait_cancelled(lua_State *L, dw_script *s) {
  return dw_raise_cancelled(L, dw_task_here(s));
}

static int out_of_time(lua_State *L, dw_task *t) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (t->describe)
    t->describe(L);
  else
    lua_pushstring(L, t->waits_for ? t->waits_for : "a wait");
  return dw_raise_late(L, t->script, lua_tostring(L, -1), t->limit, NULL);
}

int dw_raise_late(lua_State *L, dw_script *s, const char *what, double seconds,
                  const char *during) {
  return dw_errors_raise(
      L, s, &dw_error_timeout, "%s took longer than %.3g s%s%s%s", what,
      seconds, during ? " (in: " : "", during ? during : "", during ? ")" : "");
}

/* After the wait: tells how it ended. */
static int conclude(lua_State *L, dw_task *t) {
  t->wait = DW_WAIT_NONE;
  if (t->raw || t->outcome == DW_OUTCOME_WOKEN)
    return t->k(L, LUA_YIELD, t->ctx);
  if (t->outcome == DW_OUTCOME_CANCELLED) return dw_raise_cancelled(L, t);
  return out_of_time(L, t);
}

static int resumed(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  dw_task *t = (dw_task *)ctx;
  bool in_order = t->script->current == t && t->wait == DW_WAIT_SUSPENDED &&
                  t->outcome != DW_OUTCOME_OPEN;
  if (!in_order)
    return luaL_error(L, "this coroutine was resumed while it waited, by other "
                         "code than Dewar's");
  return conclude(L, t);
}

static bool root_is_awake(void *data) {
  const dw_task *root = data;
  return root->outcome != DW_OUTCOME_OPEN;
}

/* Outside of tasks: turns the loop until the wait has ended, at least once. */
static int drive(lua_State *L, dw_task *root) {
  dw_script *s = root->script;
  dw_tasks *tasks = s->tasks;
  dw_frame *frame = tasks->frame;
  tasks->frame = NULL;
  tasks->driver = L;
  int result = root_is_awake(root) ? dw_loop_turn(s->loop, false)
                                   : dw_loop_run(s->loop, root_is_awake, root);
  tasks->driver = NULL;
  tasks->frame = frame;
  if (result >= 0) return conclude(L, root);
  bool stands = s->loop->virtual_clock && s->loop->timers > 0;
  dw_wait_drop(root);
  return dw_misuse(
      L, "this wait can never end: nothing else is running%s",
      stands ? ", and the clock is virtual: only clock:advance moves it" : "");
}

int dw_wait(lua_State *L, dw_wake wake, double seconds, lua_KFunction k,
            lua_KContext ctx) {
  dw_task *t = wake.task;
  if (t->wait != DW_WAIT_BEGUN || !lua_checkstack(L, 1)) {
    dw_wait_drop(t);
    return luaL_error(L, "this wait has been given up");
  }
  t->k = k;
  t->ctx = ctx;
  if (t->limit < 0) t->limit = seconds;
  t->wait = DW_WAIT_SUSPENDED;
  if (t == t->script->root) {
    if (is_open(t) && seconds >= 0)
      dw_start_seconds(t->script->loop, &t->timer, seconds);
    return drive(L, t);
  }
  if (!is_open(t))
    dw_task_ready(t);
  else if (seconds >= 0)
    dw_start_seconds(t->script->loop, &t->timer, seconds);
  dw_mark_push(L);
  return lua_yieldk(L, 1, (lua_KContext)t, resumed);
}

int dw_wait_expire(lua_State *L, dw_script *s, double seconds, lua_KFunction k,
                   lua_KContext ctx) {
  dw_wake wake = dw_wait_begin(L, s, NULL, NULL);
  dw_wait_name(wake, seconds == 0 ? "yield" : "sleep");
  wake.task->expires = true;
  if (seconds == 0) dw_wake_up(wake);
  return dw_wait(L, wake, seconds, k, ctx);
}
