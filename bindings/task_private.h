/* SPDX-License-Identifier: MIT */
/* What the files of the scheduler share: task.c (running), task_pool.c, wait.c,
 * boundary.c, scope.c, traceback.c, coroutine.c, and on top of them
 * task_object.c, await.c, join.c, gather.c, group.c. Thread: the loop's. */
#ifndef DW_BINDINGS_TASK_PRIVATE_H
#define DW_BINDINGS_TASK_PRIVATE_H

#include "bindings/errors.h"
#include "bindings/task.h"

typedef struct dw_tasks dw_tasks;
typedef struct dw_frame dw_frame;
typedef struct dw_task_scope dw_task_scope;
typedef struct dw_scope_box dw_scope_box;
typedef struct dw_task_object dw_task_object;

enum dw_phase {
  DW_PHASE_IDLE,      /* in the pool, or a stage task between two runs */
  DW_PHASE_PENDING,   /* in the ready queue, not started */
  DW_PHASE_RUNNING,   /* on the C stack */
  DW_PHASE_SUSPENDED, /* in a wait; in the ready queue once that has ended */
  DW_PHASE_ENDING,    /* has returned, its children haven't */
  DW_PHASE_REAPING    /* a stage task that waits for its children's end */
};

enum dw_wait_state { DW_WAIT_NONE, DW_WAIT_BEGUN, DW_WAIT_SUSPENDED };

enum dw_outcome {
  DW_OUTCOME_OPEN,
  DW_OUTCOME_WOKEN,
  DW_OUTCOME_TIMED_OUT,
  DW_OUTCOME_CANCELLED
};

/* A user coroutine that one of our functions is resuming. On the C stack. */
struct dw_frame {
  lua_State *co, *from;
  bool driven; /* awaited: its yields await, as those of a task do */
  dw_frame *outer;
};

struct dw_tasks {
  dw_task root;
  dw_deferred drain;
  dw_list ready;
  dw_list pool; /* free tasks with a coroutine */
  dw_list bare; /* free tasks without */
  dw_task *newest;
  uint64_t ids;  /* that have been given */
  size_t live;   /* open ones */
  size_t pooled; /* in pool */
  int spares;    /* coroutines that no task has, anchored from DW_FIXED_SPARE on */
  unsigned busy; /* drains and resumes on the C stack */
  bool closed;   /* goes when the last task has */
  int made;      /* all there are */
  int room;      /* as many fit into the table of slots */
  dw_frame *frame;
  lua_State *driver; /* who turns the loop from outside of tasks */
  /* The last traceback that was made: of the error in DW_FIXED_ERROR. */
  lua_State *traced;       /* the innermost state it has whole; NULL: none */
  const char *trace_link;  /* how that was called from the next one */
  lua_CFunction rethrower; /* which of our functions raised it again */
  unsigned captures;       /* as many tracebacks had their frames taken */
};

/* Places in the table of slots that belong to no task. */
enum {
  DW_FIXED_ERROR = 1,
  DW_FIXED_TRACE,
  DW_FIXED_STOCK,
  DW_FIXED_FRAMES, /* capture.c's own */
  DW_FIXED_SPARE,  /* the first of the coroutines that no task has */
  DW_SPARE_MAX = 16,
  DW_FIXED_COUNT = DW_FIXED_SPARE + DW_SPARE_MAX
};

enum {
  DW_REFUSALS = 100,     /* a cancellation swallowed as often ends the task */
  DW_POOL_MAX = 1024,    /* coroutines that are kept for reuse */
  DW_CLOSE_GRACE = 10000 /* ms for shielded tasks when the runtime closes */
};

/* What a task's coroutine leaves on its stack: as many values. */
enum {
  DW_ENDED_EMPTY = 0,  /* no result */
  DW_ENDED_VALUE = 1,  /* one result */
  DW_ENDED_PACKED = 2, /* a table of results, their number */
  DW_ENDED_RAISED = 3, /* an error, nil, nil */
  DW_ENDED_UNSTARTED = -1
};

/* Who would wait: the running task, or the root outside any. */
static inline dw_task *dw_task_here(const dw_script *s) {
  return s->current ? s->current : s->root;
}

/* --- task.c ----------------------------------------------------------------*/

/* The function at the bottom of a spawned task's coroutine. */
int dw_task_main(lua_State *L);
/* Runs what is ready; what becomes so meanwhile runs in the next turn. */
void dw_task_drain_cb(dw_deferred *d);
/* Into the ready queue; nothing for the root, which looks for itself. */
void dw_task_ready(dw_task *t);
/* Queues a spawned task whose function and arguments are on its stack. */
void dw_task_start(dw_task *t, dw_task *parent, int values);
/* Closes a task that doesn't end by itself (at shutdown). */
void dw_task_abort(dw_task *t);
/* Between a coroutine and its resumer: the values on top of a suspended,
 * pending or ended coroutine of ours end in a mark, which means hands off. */
void dw_mark_push(lua_State *L);
bool dw_mark_there(lua_State *co);
/* lua_closethread, whatever it is called: runs what is to be closed. */
int dw_thread_close(lua_State *co, lua_State *from);

/* --- task_pool.c -----------------------------------------------------------*/

void dw_task_init(dw_script *s, dw_task *t);
/* A free task with a coroutine, or NULL without memory; never raises. */
dw_task *dw_task_take(dw_script *s);
void dw_task_give_back(dw_task *t);
/* One that rests gets a coroutine; false without memory. Never raises. */
bool dw_task_rouse(dw_task *t);
/* Frees the scheduler if it has been closed and nobody needs it any more. */
void dw_tasks_release(dw_script *s);

/* --- wait.c ----------------------------------------------------------------*/

/* Like dw_wait_begin without its checks; k gets every outcome, which is then in
 * task->outcome. unbreakable: only a wake ends it. */
dw_wake dw_wait_begin_raw(dw_script *s, bool unbreakable);
/* dw_wait_check, and dewar.Cancelled where the task has been cancelled. */
void dw_wait_refuse(lua_State *L, dw_script *s);
/* A wait of `seconds` that nothing else wakes. */
int dw_wait_expire(lua_State *L, dw_script *s, double seconds, lua_KFunction k,
                   lua_KContext ctx);
void dw_wait_timer_cb(dw_timer *timer);
/* math.huge starts nothing. */
void dw_start_seconds(dw_loop *loop, dw_timer *timer, double seconds);
/* Ends the wait that t is in if t is to notice a cancellation. */
void dw_wait_interrupt(dw_task *t);
/* Ends it without resuming: the coroutine is gone. */
void dw_wait_drop(dw_task *t);
/* Raises dewar.Cancelled in the task that L runs for. Where the task has
 * swallowed it too often, it doesn't return either. */
int dw_raise_cancelled(lua_State *L, dw_task *t);
/* Raises dewar.TimeoutError: "read took longer than 2 s", and which wait was
 * interrupted (NULL: nothing more is to be said). */
int dw_raise_late(lua_State *L, dw_script *s, const char *what, double seconds,
                  const char *during);
/* Puts a wait that has begun at the end of a list of waiters, which it leaves
 * by itself when it ends in another way than by a wake. */
void dw_waiter_join(dw_list *list, dw_wake wake);
void dw_waiter_leave(void *waiter);
void dw_waiter_init(dw_waiter *w);

/* --- boundary.c ------------------------------------------------------------*/

enum { DW_NAME_SIZE = 80 };
/* What the function at index is called in the loaded modules ("table.sort"),
 * the shortest such name. Neither raises nor allocates. */
bool dw_function_name(lua_State *L, int function, char *name);

/* --- scope.c ---------------------------------------------------------------*/

/* A stretch of a task that notices more, or less, than the task around it.
 * Owner: the task. A coroutine that is dropped inside of a scope leaves it to
 * the end of the task. */
struct dw_task_scope {
  dw_task *task;
  dw_scope_box *box; /* NULL: collected */
  dw_task_scope *outer, *inner;
  lua_State *L; /* the coroutine that opened it */
  dw_timer timer;
  bool shield;
  bool fired;         /* what is inside is to be cancelled */
  bool timed;         /* since the time is up */
  bool delivered;     /* and Cancelled has been raised since */
  double seconds;     /* its limit */
  const char *during; /* the wait that was interrupted when it was up */
  void (*fired_cb)(dw_task_scope *sc); /* may be NULL */
};

/* In a userdata on the stack of who opened the scope. */
struct dw_scope_box {
  dw_task_scope *scope; /* NULL: over */
};

void dw_scope_open_types(lua_State *L, dw_script *s);
void dw_scope_functions(lua_State *L, dw_script *s);
/* Opens a scope of the task that L runs for. Raises without memory. */
dw_task_scope *dw_scope_open(lua_State *L, dw_script *s, dw_scope_box *box,
                             bool shield);
void dw_scope_close(dw_task_scope *sc);
/* Cancels what is inside; idempotent. */
void dw_scope_fire(dw_task_scope *sc);
/* Whether a wait of t is to raise dewar.Cancelled now. */
bool dw_task_interrupted(const dw_task *t);
/* It has been raised. */
void dw_scopes_delivered(dw_task *t);
bool dw_scopes_limit(const dw_task *t); /* whether one may end the wait */
bool dw_scopes_hold(const dw_task *t, lua_State *L); /* whether L opened one */
void dw_scopes_forget(dw_task *t);
/* Its time, from now on; math.huge starts nothing. */
void dw_scope_limit(dw_task_scope *sc, double seconds);
/* limit(what, seconds, fn, ...): timeout, told by another name */
int dw_limit(lua_State *L);
/* Whether the value at index is dewar.Cancelled, or an instance of it. */
bool dw_is_cancelled(lua_State *L, dw_script *s, int index);

/* --- traceback.c -----------------------------------------------------------*/

/* How many calls of co are left out at `level` of a walk that began at `from`;
 * 0 mostly. */
int dw_traceback_skip(lua_State *co, int from, int level);
/* Appends lines for the calls of co, from level on. Never raises. */
void dw_traceback_append(dw_buffer *b, lua_State *co, int level);
/* Makes the traceback of the error at index, with the calls of co behind what
 * is known of it; link says how co is called from what comes next. Raises only
 * for want of memory. */
void dw_traceback_extend(lua_State *L, dw_script *s, int index, lua_State *co,
                         int level, const char *link);
/* Notes the value on top (a traceback, or a dead coroutine to take it from) as
 * that of the error at index; pops it. Never raises. */
void dw_traceback_note(lua_State *L, dw_script *s, int index, lua_State *co,
                       const char *link);
/* Whether the error at index, which the function at a level of co has raised,
 * is the one whose traceback is kept, on its way from one coroutine to the
 * next. */
bool dw_traceback_known(lua_State *L, dw_script *s, int index, lua_State *co,
                        int level);
/* It is that of the value at index from now on. */
void dw_traceback_rename(lua_State *L, dw_script *s, int index);
/* Pushes that of the error at index, or nil; forgets it. Never raises. */
void dw_traceback_take(lua_State *L, dw_script *s, int index);
void dw_traceback_forget(lua_State *L, dw_script *s);
/* A message handler that makes it and leaves the error as it is. */
int dw_traceback_handler(lua_State *L);
/* Raises the error on top again, which may have a traceback. */
int dw_rethrow(lua_State *L, dw_script *s);

/* --- coroutine.c -----------------------------------------------------------*/

void dw_coroutine_install(lua_State *L, dw_script *s);
void dw_coroutine_restore(lua_State *L, dw_script *s);
/* The coroutine that the suspended one is waiting for, being its resumer; NULL
 * where it waits itself. */
lua_State *dw_coroutine_inner(lua_State *co);
/* Runs the coroutine at base to its end with the nargs arguments on top; its
 * yields await. Then dw_await_end(L, base). */
int dw_coroutine_drive(lua_State *L, dw_script *s, int base, int nargs);

/* --- task_object.c ---------------------------------------------------------*/

/* A spawned task as Lua sees it. It outlives the dw_task: its user values are
 * then the result (a table where there are several) or the error, and the
 * traceback. A third one is its name. */
struct dw_task_object {
  dw_task *task; /* NULL: it has ended */
  dw_script *script;
  dw_list node; /* of the parent's failures, until somebody has seen it */
  dw_task_status status;
  bool background; /* once it has ended: it was one */
  uint64_t id;     /* the task's */
  int results;
  const char *trace; /* the bytes of the second user value */
  size_t trace_len;
};

void dw_task_object_open(lua_State *L, dw_script *s);
dw_task_object *dw_task_object_test(lua_State *L, int index);
/* The end of t: moves what is on its stack and in its slots into its object.
 * Never raises. */
void dw_task_object_settle(dw_task *t);
/* Logs a traceback, however long. */
void dw_task_log_trace(dw_script *s, const char *where, dw_slice trace);
/* Logs an error that nobody has seen, once. */
void dw_task_object_report(dw_task_object *o);
void dw_task_report_failures(dw_task *t);
/* Its error needs no report any more. */
void dw_task_object_seen(dw_task_object *o);
/* Whether the failed task at index has raised the value at error. */
bool dw_task_object_raised(lua_State *L, int index, int error);
/* Pushes the results of an ended task and returns their number, or raises. */
int dw_task_object_results(lua_State *L, dw_script *s, int index);
/* An async function becomes what it calls; raises if it can't be called. */
void dw_check_callable(lua_State *L, int index, const char *what);
bool dw_is_callable(lua_State *L, int index);
/* Pushes the name it was given, or nil. */
void dw_task_object_push_name(lua_State *L, int index);
/* spawn, async, is_async. */
void dw_spawn_functions(lua_State *L, dw_script *s);

/* --- await.c ---------------------------------------------------------------*/

/* What is awaited lies on the stack at base, with k and ctx above it. Calls k
 * with the results that are on top of these. */
int dw_await_end(lua_State *L, int base);
/* Awaits the coroutine at index, the nargs values on top being its arguments.
 */
int dw_await_coroutine(lua_State *L, int index, int nargs, lua_KFunction k,
                       lua_KContext ctx);
/* await(awaitable [, seconds]) */
int dw_await_function(lua_State *L);
/* sleep(0) */
int dw_yield_now(lua_State *L);
/* Raises if t's waiting for `other` could never end. */
void dw_check_deadlock(lua_State *L, const dw_task *t, const dw_task *other);
/* Whether the end of `from`, or of what is joined, needs that of t. The search
 * gives up (false) when its budget is spent; NULL is a new one. */
bool dw_task_reaches(const dw_task *from, const dw_task *t, int *budget);

/* --- join.c ----------------------------------------------------------------*/

typedef struct dw_join dw_join;
typedef struct dw_member dw_member;

/* A task that is waited for together with others. */
struct dw_member {
  dw_waiter waiter; /* of the task */
  dw_list node;     /* of the join, while the task runs */
  dw_join *join;
  dw_task *task; /* NULL: it has ended, or is waited for no more */
};

/* Tasks that somebody owns who waits for their end. */
struct dw_join {
  dw_wake wake; /* of the owner's wait, if it is in one */
  dw_list members;
  unsigned running;
  bool interrupted; /* the owner was cancelled before they had ended */
  bool ending;      /* all have been cancelled, their end is waited for */
  /* The task has ended, and its object is on top of its coroutine; or it is not
   * waited for any more, and o is NULL. Never raises, runs no Lua. */
  void (*ended_cb)(dw_member *m, const dw_task_object *o);
};

void dw_join_init(dw_join *j,
                  void (*ended_cb)(dw_member *m, const dw_task_object *o));
void dw_join_add(dw_join *j, dw_member *m, dw_task *task);
/* Is waited for no more. */
void dw_join_drop(dw_member *m);
/* Cancels all, once. Nothing interrupts the wait for their end from then on, so
 * those that wait for t, who waits, are dropped. */
void dw_join_cancel(dw_join *j, const dw_task *t);
/* Waits until the join is woken, or the owner is interrupted, which k has to
 * notice. As `return dw_join_wait(...)`; k sets the owner's join to NULL. */
int dw_join_wait(lua_State *L, dw_script *s, dw_join *j, const char *name,
                 lua_KFunction k, lua_KContext ctx);
/* Sees whether the owner was cancelled before they had ended, be it that it
 * waited for them or that it is about to. more: some have yet to be added. */
void dw_join_notice(dw_join *j, const dw_task *t, bool more);
bool dw_join_reaches(const dw_join *j, const dw_task *t, int *budget);

/* --- gather.c, group.c -----------------------------------------------------*/

void dw_gather_open(lua_State *L, dw_script *s);
/* gather, race, run. */
void dw_gather_functions(lua_State *L, dw_script *s);
/* Waits for the task object at index, which is on top, as its owner: a
 * cancellation cancels it, and it has ended before that is raised. Returns all
 * results. */
int dw_join_task(lua_State *L, dw_script *s, int index);
void dw_group_open(lua_State *L, dw_script *s);
/* scope. */
void dw_group_functions(lua_State *L, dw_script *s);
/* Whether the value at index is a table of options rather than something that
 * can be called or awaited. */
bool dw_is_plain_table(lua_State *L, int index);
/* Pushes where the function of a live task is defined, or what it is called; or
 * nil (task_list.c). */
void dw_task_push_function(lua_State *L, dw_task *t);
/* attempt (attempt.c). */
void dw_attempt_functions(lua_State *L, dw_script *s);
/* tasks (task_list.c). */
void dw_task_list_functions(lua_State *L, dw_script *s);
/* queue (queue.c). */
void dw_queue_functions(lua_State *L, dw_script *s);

#endif
