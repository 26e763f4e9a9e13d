/* SPDX-License-Identifier: MIT */
/* Waiting for several tasks at once: gather and run, and what ensure_sync's
 * wrappers do. They own what they wait for: an error of one, or a cancellation,
 * cancels them all, and is raised when all have ended. Thread: the loop's. */
#include "bindings/task_private.h"

#define JOIN_TYPE "dewar.join"

typedef struct dw_join dw_join;

typedef struct join_item {
  dw_waiter waiter; /* in the task's list while that runs */
  dw_join *join;
  dw_task *task; /* NULL: it has ended */
} join_item;

/* A userdata, at ctx on the stack of who waits; the tasks lie above it. */
struct dw_join {
  dw_wake wake;
  int count;
  int running;
  int failed;     /* which one failed first; 0: none */
  bool cancelled; /* the waiting task was */
  bool ending;    /* they have been cancelled, their end is waited for */
  bool all;       /* of a single task all results are wanted */
  join_item items[];
};

/* --- What is waited for ----------------------------------------------------*/

bool dw_join_reaches(const dw_join *j, const dw_task *t, int *budget) {
  for (int i = 0; i < j->count; i++)
    if (j->items[i].task && dw_task_reaches(j->items[i].task, t, budget))
      return true;
  return false;
}

static void ended_cb(dw_waiter *w, const dw_task_object *o) {
  join_item *item = DW_CONTAINER(w, join_item, waiter);
  dw_join *j = item->join;
  item->task = NULL;
  j->running--;
  bool failed = o->status != DW_TASK_DONE;
  if (failed && !j->failed) j->failed = (int)(item - j->items) + 1;
  if (j->running == 0 || (failed && !j->ending)) dw_wake_up(j->wake);
}

/* Puts a join at index, below the tasks. */
static dw_join *push_join(lua_State *L, int index, bool all) {
  int count = lua_gettop(L) - index + 1;
  size_t size = sizeof(dw_join) + sizeof(join_item) * (size_t)count;
  dw_join *j = lua_newuserdatauv(L, size, 0);
  *j = (dw_join){.count = count, .all = all};
  for (int i = 0; i < count; i++) {
    j->items[i].join = j;
    j->items[i].task = NULL;
    dw_waiter_init(&j->items[i].waiter);
    j->items[i].waiter.ended_cb = ended_cb;
  }
  luaL_setmetatable(L, JOIN_TYPE);
  lua_insert(L, index);
  return j;
}

static void watch(lua_State *L, dw_join *j, int index) {
  for (int i = 0; i < j->count; i++) {
    join_item *item = &j->items[i];
    const dw_task_object *o = dw_task_object_test(L, index + 1 + i);
    item->task = o->task;
    if (o->task) {
      dw_list_push(&o->task->waiters, &item->waiter.node);
      j->running++;
    } else if (o->status != DW_TASK_DONE && !j->failed) {
      j->failed = i + 1;
    }
  }
}

static void drop(dw_join *j, join_item *item) {
  dw_list_remove(&item->waiter.node);
  item->task = NULL;
  j->running--;
}

/* When the state is closed this comes before the end of who waits, who then
 * goes on without the tasks. */
static int join_gc(lua_State *L) {
  dw_join *j = luaL_checkudata(L, 1, JOIN_TYPE);
  if (j->running > 0) dw_wake_up(j->wake);
  for (int i = 0; i < j->count; i++)
    if (j->items[i].task) drop(j, &j->items[i]);
  return 0;
}

/* --- Waiting ---------------------------------------------------------------*/

static int push_results(lua_State *L, dw_script *s, dw_join *j, int index) {
  if (j->all) return dw_task_object_results(L, s, index + 1);
  luaL_checkstack(L, j->count + 4, "too many tasks");
  int top = lua_gettop(L);
  for (int i = 1; i <= j->count; i++) {
    dw_task_object_results(L, s, index + i);
    lua_settop(L, top + i);
  }
  return j->count;
}

/* Nothing will interrupt the wait for their end, so it must come: one that is
 * waiting for t itself isn't waited for. */
static void cancel_all(dw_join *j, const dw_task *t) {
  j->ending = true;
  for (int i = 0; i < j->count; i++)
    if (j->items[i].task) dw_task_cancel(j->items[i].task, false);
  for (int i = 0; i < j->count; i++)
    if (j->items[i].task && dw_task_reaches(j->items[i].task, t, NULL))
      drop(j, &j->items[i]);
}

static int proceed(lua_State *L, dw_script *s, int index);

static int woken(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  dw_script *s = dw_script_find(L);
  dw_task *t = dw_task_here(s);
  dw_join *j = lua_touserdata(L, (int)ctx);
  t->join = NULL;
  if (t->outcome == DW_OUTCOME_CANCELLED) j->cancelled = true;
  return proceed(L, s, (int)ctx);
}

static int proceed(lua_State *L, dw_script *s, int index) {
  dw_join *j = lua_touserdata(L, index);
  dw_task *t = dw_task_here(s);
  if ((j->failed || j->cancelled) && !j->ending) cancel_all(j, t);
  if (j->running > 0) {
    j->wake = dw_wait_begin_raw(s, j->ending);
    t->join = dw_scopes_limit(t) && !j->ending ? NULL : j;
    return dw_wait(L, j->wake, -1, woken, index);
  }
  if (j->cancelled) return dw_raise_cancelled(L, t);
  if (j->failed) return dw_task_object_results(L, s, index + j->failed);
  return push_results(L, s, j, index);
}

int dw_join_tasks(lua_State *L, dw_script *s, int index, bool all) {
  luaL_checkstack(L, 10, NULL);
  dw_join *j = push_join(L, index, all);
  for (int i = 1; i <= j->count; i++) {
    const dw_task_object *o = dw_task_object_test(L, index + i);
    if (o->task) dw_check_deadlock(L, dw_task_here(s), o->task);
  }
  watch(L, j, index);
  return proceed(L, s, index);
}

/* --- gather and run --------------------------------------------------------*/

/* Makes a task of the function or awaitable at index. */
static void make_task(lua_State *L, dw_script *s, int index) {
  if (dw_task_object_test(L, index)) return;
  dw_task *here = dw_task_here(s);
  if (dw_is_awaitable(L, index)) {
    dw_script_push(L, s, dw_await_function);
    lua_pushvalue(L, index);
    dw_spawn(L, s, 1, here, &here->context);
  } else {
    dw_check_callable(L, index, "gather");
    lua_pushvalue(L, index);
    dw_spawn(L, s, 0, here, &here->context);
  }
  lua_replace(L, index);
}

/* gather(...) */
static int gather(lua_State *L) {
  dw_script *s = dw_script_of(L);
  int n = lua_gettop(L);
  luaL_checkstack(L, 10, NULL);
  for (int i = 1; i <= n; i++)
    if (!dw_is_awaitable(L, i) && !dw_is_callable(L, i))
      return dw_misuse(L,
                       "gather: argument %d must be a function, a task or an "
                       "awaitable, not a %s",
                       i, luaL_typename(L, i));
  dw_wait_refuse(L, s);
  for (int i = 1; i <= n; i++) make_task(L, s, i);
  return dw_join_tasks(L, s, 1, false);
}

/* run(fn, ...) */
static int run(lua_State *L) {
  dw_script *s = dw_script_of(L);
  dw_check_callable(L, 1, "run");
  if (s->current)
    return dw_misuse(L, "run: this is inside a task already; call the function "
                        "as it is, or await dewar.spawn(fn, ...)");
  dw_wait_refuse(L, s);
  dw_spawn(L, s, lua_gettop(L) - 1, s->root, &s->root->context);
  return dw_join_tasks(L, s, 1, true);
}

static const luaL_Reg metamethods[] = {{"__gc", join_gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"gather", gather}, {"run", run}, {NULL, NULL}};

void dw_join_open(lua_State *L, dw_script *s) {
  dw_script_type(L, s, JOIN_TYPE, NULL, metamethods);
}

void dw_join_functions(lua_State *L, dw_script *s) {
  dw_script_register(L, s, functions);
}
