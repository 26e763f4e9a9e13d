/* SPDX-License-Identifier: MIT */
/* Tasks: coroutines that the runtime schedules. task.c is the only place that
 * calls lua_resume on a task, and dw_wait the only way to suspend one. Tasks
 * form a tree; a parent's end cancels its children and waits for them. A
 * dw_task is pooled and never freed before the script, so that a stale wake is
 * recognised by its token. Thread: the loop's. */
#ifndef DW_BINDINGS_TASK_H
#define DW_BINDINGS_TASK_H

#include "base/list.h"
#include "base/loop.h"
#include "bindings/script.h"

struct dw_task_object;

typedef enum dw_task_status {
  DW_TASK_FREE,    /* in the pool */
  DW_TASK_PENDING, /* not started */
  DW_TASK_RUNNING, /* started: running, ready or waiting */
  DW_TASK_DONE,
  DW_TASK_FAILED,
  DW_TASK_CANCELLED
} dw_task_status;

/* What a task works for; children inherit it. */
typedef struct dw_context {
  struct dewar_exchange *exchange; /* NULL: no request */
  struct dw_lua_app *app;          /* NULL: no app */
} dw_context;

/* A task's anchors: values kept alive for it, by lua_rawgeti on the slots table
 * at task->slot + one of these. */
enum dw_slot {
  DW_SLOT_THREAD,    /* its coroutine */
  DW_SLOT_REQUEST,   /* the request object */
  DW_SLOT_RESPONSE,  /* the response object, once Lua has seen it */
  DW_SLOT_ERROR,     /* the error being handled, or that ended the task */
  DW_SLOT_TRACEBACK, /* its traceback, a string that begins with the message;
                        nil for Cancelled and without memory */
  DW_SLOT_UNHANDLED, /* of a request: the error that teardown gets */
  DW_SLOT_BODY,      /* a body's string, iterator or generator */
  DW_SLOT_OBJECT,    /* its task object, of a spawned task */
  DW_SLOT_COUNT
};

typedef enum dw_run {
  DW_RUN_DONE,    /* fn returned */
  DW_RUN_WAITING, /* it waits; resumed_cb tells when it has ended */
  DW_RUN_FAILED   /* it raised: DW_SLOT_ERROR and DW_SLOT_TRACEBACK are set */
} dw_run;

/* Wakes one particular wait; a stale one does nothing. A plain value. */
typedef struct dw_wake {
  dw_task *task;
  uint64_t token;
} dw_wake;

/* A wait's place in somebody's list of waiters. */
typedef struct dw_waiter dw_waiter;
struct dw_waiter {
  dw_list node;
  dw_wake wake;
  /* Of one that waits for several tasks: called instead of waking. */
  void (*ended_cb)(dw_waiter *w, const struct dw_task_object *ended);
};

struct dw_task {
  /* What stays from life to life. Between two the lists are empty, and the
   * timer is stopped. */
  dw_script *script;
  lua_State *co;  /* NULL: it is free, or rests */
  int slot;       /* base of its anchors */
  uint64_t token; /* of the wait it is in */
  dw_task *older; /* of all tasks, newest first */
  dw_timer timer;
  dw_waiter waiter;
  dw_list ready;   /* of the ready queue, or of the pool */
  dw_list sibling; /* of the parent's children */
  dw_list children;
  dw_list waiters;  /* for its end */
  dw_list failures; /* task objects of children whose error nobody has seen */
  /* What is zero when a life begins. */
  dw_context context;
  void *owner; /* set by who made it */
  /* A stage that had waited has ended: called from the drain, not from within
   * dw_task_run. Or a spawned task has: it is there to be looked at, never
   * raises. */
  void (*resumed_cb)(dw_task *t, dw_run run);
  uint64_t id;     /* counted from 1 on, anew each time it is taken */
  uint32_t filled; /* which of them hold something, a bit each */
  dw_task_status status;
  /* Private from here on: see task_private.h. */
  uint8_t phase;
  bool stage;      /* from dw_task_open, not spawned */
  bool background; /* an error is logged at once if nobody awaits it then */
  bool service; /* dw_engine_cancel spares it, and nobody waits for its end */
  bool cancelled, timed_out;
  bool told;         /* of its cancellation, by dewar.Cancelled */
  bool killed;       /* has swallowed too many cancellations: to be closed */
  unsigned refusals; /* how often its cancellation has been raised */
  unsigned shields;  /* dw_task_shield minus dw_task_unshield */
  int values;        /* what lies on the stack of a pending or ended one */
  /* The wait it is in. */
  uint8_t wait, outcome;
  bool raw;              /* k is called whatever the outcome */
  bool unbreakable;      /* no cancellation, no dewar.timeout ends it */
  bool expires;          /* running out of time is what is waited for */
  bool foreign;          /* yielded past us; goes on without a continuation */
  const char *waits_for; /* see dw_wait_name */
  void (*describe)(lua_State *L); /* see dw_wait_describe */
  double limit;                   /* see dw_wait_limit */
  uint64_t since; /* on the loop's clock: of the wait, or the spawning */
  void (*cancel)(void *data);
  void *cancel_data;
  lua_KFunction k;
  lua_KContext ctx;
  dw_task *awaits;      /* the task it waits for without a limit */
  struct dw_join *join; /* the tasks it waits for */
  dw_task *parent;
  struct dw_task_object *object;
  struct dw_task_scope
      *scopes; /* dewar.timeout and dewar.shield, innermost first */
};

/* A script's scheduler. open_tasks raises Lua errors (call it protected). */
void dw_tasks_open(lua_State *L, dw_script *s);
/* Cancels every task and turns the loop until all have ended (shielded ones get
 * ten seconds); puts back what was replaced in the coroutine library. Stage
 * tasks that are open still, their owners close later, while the script is
 * there. */
void dw_tasks_close(dw_script *s);
size_t dw_tasks_count(const dw_script *s); /* live ones */

/* --- Stage tasks: the tasks of requests ------------------------------------*/

/* Takes a task from the pool; never raises. 0 or DW_ENOMEM. It belongs to the
 * root of the tree. */
int dw_task_open(dw_script *s, const dw_context *context, dw_task **out);
/* Runs fn in the task's coroutine with arg as its only argument, a light
 * userdata. fn runs protected, may raise, may wait; what it returns is dropped.
 * The coroutine is empty and ready for the next run when it has ended. Several
 * runs make the stages of one request. */
dw_run dw_task_run(dw_task *t, lua_CFunction fn, void *arg);
/* Between two runs, if the next one may be long in coming: gives its coroutine
 * up until then, for others to use. That run then fails where there is no memory
 * for another coroutine, without an error in the slots. */
void dw_task_rest(dw_task *t);
/* Between two runs, if the next one may last: goes on with a new coroutine, whose
 * stack has not grown, if there is memory for it. Never raises. */
void dw_task_renew(dw_task *t);
/* Cancels: dewar.Cancelled is raised at the wait it is in, and at each later
 * one. With timeout, what is raised is the same, but dw_task_timed_out tells
 * the difference. Idempotent; remembered while shielded or not waiting. */
void dw_task_cancel(dw_task *t, bool timeout);
bool dw_task_cancelled(const dw_task *t);
bool dw_task_timed_out(const dw_task *t);
/* Forgets a cancellation: what follows may wait (a 503's error handler). */
void dw_task_uncancel(dw_task *t);
/* A shielded task doesn't notice a cancellation until unshielded (nests). */
void dw_task_shield(dw_task *t);
void dw_task_unshield(dw_task *t);
/* Cancels all children. true: there are none (any more). false: resumed_cb is
 * called with DW_RUN_DONE when the last one has ended. Their errors that nobody
 * has seen are logged. A stage that runs afterwards may make new ones. */
bool dw_task_reap(dw_task *t);
/* Back into the pool; clears the anchors. It must not be running or waiting,
 * and have no children. */
void dw_task_close(dw_task *t);

/* Its anchors; setting pops the value. Never raises; needs three free places on
 * the stack. */
void dw_task_push_slot(lua_State *L, dw_task *t, enum dw_slot slot);
void dw_task_set_slot(lua_State *L, dw_task *t, enum dw_slot slot);
static inline bool dw_task_has_slot(const dw_task *t, enum dw_slot slot) {
  return t->filled & UINT32_C(1) << slot;
}

/* --- Waiting ---------------------------------------------------------------*/

/* Begins a wait of whoever runs L. Raises where it can't wait: at a C boundary
 * (naming it), inside a loop callback that is no task, when the task has been
 * cancelled (dewar.Cancelled). cancel(data) (may be NULL) is called if the wait
 * ends in another way than by dw_wake_up: it must forget the wake, and must not
 * call Lua. */
dw_wake dw_wait_begin(lua_State *L, dw_script *s, void (*cancel)(void *data),
                      void *data);
/* What a wait that has begun is for, in the list of tasks: "queue get". Static.
 * Without it, the name of the C function that waits is shown. */
static inline void dw_wait_name(dw_wake wake, const char *name) {
  wake.task->waits_for = name;
}
/* The same for who runs out of time, in more words: describe pushes "read from
 * 127.0.0.1:80". It finds the stack as dw_wait did. */
static inline void dw_wait_describe(dw_wake wake,
                                    void (*describe)(lua_State *L)) {
  wake.task->describe = describe;
}
/* The limit that is told then, where that of dw_wait is what is left of it;
 * < 0: that of dw_wait. */
static inline void dw_wait_limit(dw_wake wake, double seconds) {
  wake.task->limit = seconds;
}
/* Gives a begun wait up without suspending, without calling cancel. */
void dw_wait_abandon(dw_wake wake);
/* Raises dewar.Cancelled in the running task, as each wait of a cancelled one
 * does: swallowing it again and again ends the task. */
int dw_wait_cancelled(lua_State *L, dw_script *s);
/* Suspends until dw_wake_up, then calls k as lua_callk's continuation would be
 * (k(L, LUA_YIELD, ctx)): use as `return dw_wait(L, wake, seconds, k, ctx)`.
 * Outside a task it turns the loop instead. seconds < 0: for ever; running out
 * of time raises dewar.TimeoutError, cancellation dewar.Cancelled. Where it was
 * woken already, it still goes through the ready queue once. */
int dw_wait(lua_State *L, dw_wake wake, double seconds, lua_KFunction k,
            lua_KContext ctx);
/* From the loop's thread, from any callback. false: stale. Never runs Lua. */
bool dw_wake_up(dw_wake wake);

/* --- For Lua ---------------------------------------------------------------*/

/* Awaits the awaitable at index: as `return dw_await(L, index, seconds, k,
 * ctx)`; k finds its results on top of the stack, above what was there, and
 * their number by lua_gettop. Raises its error. Not an awaitable: an error. */
int dw_await(lua_State *L, int index, double seconds, lua_KFunction k,
             lua_KContext ctx);
/* A task, a coroutine, an async function's task, or a value with __await. */
bool dw_is_awaitable(lua_State *L, int index);
/* Function made by dewar.async (an async function, not yet called). */
bool dw_is_async(lua_State *L, int index);
/* Raises unless a wait could begin here. */
void dw_wait_check(lua_State *L, dw_script *s);

/* The number of seconds at index: >= 0, math.huge means for ever. Misuse is
 * raised in the name of `what`. opt: nil or none is -1, for ever. */
double dw_check_seconds(lua_State *L, int index, const char *what);
double dw_opt_seconds(lua_State *L, int index, const char *what);

/* The functions of the module table on top: sleep, yield, now, spawn, await,
 * gather, race, scope, async, is_async, timeout, shield, run, tasks. */
void dw_task_functions(lua_State *L, dw_script *s);
/* event, queue, semaphore, lock (sync.c). */
void dw_sync_functions(lua_State *L, dw_script *s);
/* ensure_sync(app, f) as a C function on the stack (ensure_sync.c). */
int dw_ensure_sync(lua_State *L);

/* Spawns the function and arguments on top of L (nargs + function) as a task
 * with this parent and context; leaves the task object in their place. parent
 * NULL: a background task, whose error is logged at its end. Otherwise an error
 * is logged if nobody has awaited it when the parent ends or the object is
 * collected. */
void dw_spawn(lua_State *L, dw_script *s, int nargs, dw_task *parent,
              const dw_context *context);

#endif
