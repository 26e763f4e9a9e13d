/* SPDX-License-Identifier: MIT */
/* Where tasks come from and go to: the pool, the table of slots, and the
 * script's scheduler as a whole. A dw_task lives as long as the script, so that
 * a stale wake finds it. The table of slots is made with room for all tasks
 * there are, so that setting a slot never allocates. Thread: the loop's. */
#include <assert.h>
#include <stddef.h>

#include "base/error.h"
#include "bindings/task_private.h"

enum { FIRST_ROOM = 16 }; /* tasks that the table of slots is made for */

/* --- Slots -----------------------------------------------------------------*/

void dw_task_push_slot(lua_State *L, dw_task *t, enum dw_slot slot) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->script->slots);
  lua_rawgeti(L, -1, t->slot + (int)slot);
  lua_replace(L, -2);
}

void dw_task_set_slot(lua_State *L, dw_task *t, enum dw_slot slot) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->script->slots);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, t->slot + (int)slot);
  lua_pop(L, 2);
  t->filled |= UINT32_C(1) << slot;
}

/* One that rests has no stack of its own. */
static void clear_slots(dw_task *t) {
  lua_State *L = t->co ? t->co : t->script->L;
  if (!t->filled || !lua_checkstack(L, 3)) return;
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->script->slots);
  for (int i = DW_SLOT_THREAD + 1; i < DW_SLOT_COUNT; i++) {
    if (!dw_task_has_slot(t, (enum dw_slot)i)) continue;
    lua_pushnil(L);
    lua_rawseti(L, -2, t->slot + i);
  }
  lua_pop(L, 1);
}

static int slots_for(int tasks) {
  return DW_FIXED_COUNT + tasks * DW_SLOT_COUNT;
}

/* Makes the table of slots anew, for so many tasks. */
static void make_room(lua_State *L, dw_script *s, int tasks) {
  dw_tasks *all = s->tasks;
  lua_createtable(L, slots_for(tasks), 0);
  if (s->slots) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, s->slots);
    for (int i = 1; i < slots_for(all->made); i++) {
      lua_rawgeti(L, -1, i);
      lua_rawseti(L, -3, i);
    }
    lua_pop(L, 1);
    lua_rawseti(L, LUA_REGISTRYINDEX, s->slots);
  } else {
    s->slots = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  all->room = tasks;
}

/* --- Coroutines without a task ---------------------------------------------*/

void dw_task_rest(dw_task *t) {
  dw_tasks *tasks = t->script->tasks;
  lua_State *co = t->co;
  assert(t->stage && t->phase == DW_PHASE_IDLE);
  if (tasks->spares < DW_SPARE_MAX) {
    lua_rawgeti(co, LUA_REGISTRYINDEX, t->script->slots);
    lua_pushthread(co);
    lua_rawseti(co, -2, DW_FIXED_SPARE + tasks->spares++);
    lua_pop(co, 1);
  }
  lua_pushnil(co);
  dw_task_set_slot(co, t, DW_SLOT_THREAD);
  t->co = NULL;
}

/* Needs three free places on the stack of L. */
static bool take_spare(lua_State *L, dw_task *t) {
  dw_tasks *tasks = t->script->tasks;
  if (tasks->spares == 0) return false;
  int place = DW_FIXED_SPARE + --tasks->spares;
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->script->slots);
  lua_rawgeti(L, -1, place);
  t->co = lua_tothread(L, -1);
  dw_task_set_slot(L, t, DW_SLOT_THREAD);
  lua_pushnil(L);
  lua_rawseti(L, -2, place);
  lua_pop(L, 1);
  return true;
}

static void give_coroutine(lua_State *L, dw_task *t) {
  if (take_spare(L, t)) return;
  lua_State *co = lua_newthread(L);
  dw_task_set_slot(L, t, DW_SLOT_THREAD);
  t->co = co;
}

static int rouse(lua_State *L) {
  give_coroutine(L, lua_touserdata(L, 1));
  return 0;
}

bool dw_task_rouse(dw_task *t) {
  lua_State *L = t->script->L;
  if (!lua_checkstack(L, LUA_MINSTACK)) return false;
  lua_pushcfunction(L, rouse);
  lua_pushlightuserdata(L, t);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return true;
  lua_pop(L, 1);
  return false;
}

static int renew(lua_State *L) {
  dw_task *t = lua_touserdata(L, 1);
  lua_State *co = lua_newthread(L);
  dw_task_rest(t);
  dw_task_set_slot(L, t, DW_SLOT_THREAD);
  t->co = co;
  return 0;
}

void dw_task_renew(dw_task *t) {
  lua_State *L = t->script->L;
  if (!lua_checkstack(L, LUA_MINSTACK)) return;
  lua_pushcfunction(L, renew);
  lua_pushlightuserdata(L, t);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* --- The pool --------------------------------------------------------------*/

void dw_waiter_init(dw_waiter *w) {
  *w = (dw_waiter){0};
  dw_list_init(&w->node);
}

void dw_task_init(dw_script *s, dw_task *t) {
  *t = (dw_task){.script = s};
  dw_timer_init(&t->timer, dw_wait_timer_cb, t);
  dw_waiter_init(&t->waiter);
  dw_list_init(&t->ready);
  dw_list_init(&t->sibling);
  dw_list_init(&t->children);
  dw_list_init(&t->waiters);
  dw_list_init(&t->failures);
}

/* From one life to the next. */
static void reset(dw_task *t) {
  size_t life = offsetof(dw_task, context);
  assert(dw_list_empty(&t->children) && dw_list_empty(&t->waiters));
  assert(dw_list_empty(&t->failures) && dw_list_empty(&t->waiter.node));
  assert(dw_list_empty(&t->ready) && dw_list_empty(&t->sibling));
  t->waiter.ended_cb = NULL;
  memset((char *)t + life, 0, sizeof *t - life);
  t->token++;
}

static void make_task(lua_State *L, dw_script *s) {
  dw_tasks *tasks = s->tasks;
  if (tasks->made == tasks->room)
    make_room(L, s, tasks->room + tasks->room / 4 + FIRST_ROOM);
  dw_task *t = dw_alloc(s->alloc, sizeof(*t));
  if (!t) luaL_error(L, "not enough memory");
  dw_task_init(s, t);
  t->slot = slots_for(tasks->made++);
  t->older = tasks->newest;
  tasks->newest = t;
  dw_list_push(&tasks->bare, &t->ready);
}

/* Protected: puts a task with a coroutine into the pool. */
static int refill(lua_State *L) {
  dw_script *s = lua_touserdata(L, 1);
  dw_tasks *tasks = s->tasks;
  if (dw_list_empty(&tasks->bare)) make_task(L, s);
  dw_task *t = DW_CONTAINER(tasks->bare.next, dw_task, ready);
  give_coroutine(L, t);
  dw_list_remove(&t->ready);
  dw_list_push(&tasks->pool, &t->ready);
  tasks->pooled++;
  return 0;
}

dw_task *dw_task_take(dw_script *s) {
  dw_tasks *tasks = s->tasks;
  if (!tasks) return NULL;
  if (tasks->pooled == 0) {
    lua_State *L = s->L;
    if (!lua_checkstack(L, 2)) return NULL;
    lua_pushcfunction(L, refill);
    lua_pushlightuserdata(L, s);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
      lua_pop(L, 1);
      return NULL;
    }
  }
  /* The one that was given back last: its stack is in the cache. */
  dw_task *t = DW_CONTAINER(tasks->pool.prev, dw_task, ready);
  dw_list_remove(&t->ready);
  tasks->pooled--;
  tasks->live++;
  t->id = ++tasks->ids;
  return t;
}

void dw_task_give_back(dw_task *t) {
  dw_tasks *tasks = t->script->tasks;
  dw_wait_drop(t);
  dw_scopes_forget(t);
  dw_task_report_failures(t);
  dw_list_remove(&t->sibling);
  clear_slots(t);
  reset(t);
  tasks->live--;
  if (t->co && tasks->pooled < DW_POOL_MAX) {
    dw_list_push(&tasks->pool, &t->ready);
    tasks->pooled++;
    return;
  }
  lua_State *co = t->co;
  t->co = NULL;
  dw_list_push(&tasks->bare, &t->ready);
  if (!co) return;
  lua_pushnil(co);
  dw_task_set_slot(co, t, DW_SLOT_THREAD);
}

size_t dw_tasks_count(const dw_script *s) {
  return s->tasks ? s->tasks->live : 0;
}

/* --- The scheduler ---------------------------------------------------------*/

enum { CLOSE_ROUNDS = 10 };

void dw_tasks_open(lua_State *L, dw_script *s) {
  dw_tasks *tasks = dw_zalloc(s->alloc, sizeof(*tasks));
  if (!tasks) luaL_error(L, "not enough memory");
  dw_list_init(&tasks->ready);
  dw_list_init(&tasks->pool);
  dw_list_init(&tasks->bare);
  dw_deferred_init(&tasks->drain, dw_task_drain_cb, tasks);
  dw_task_init(s, &tasks->root);
  tasks->root.phase = DW_PHASE_RUNNING;
  tasks->root.status = DW_TASK_RUNNING;
  s->slots = 0;
  s->tasks = tasks;
  s->root = &tasks->root;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  make_room(L, s, FIRST_ROOM);
  dw_task_object_open(L, s);
  dw_scope_open_types(L, s);
  dw_gather_open(L, s);
  dw_group_open(L, s);
  dw_coroutine_install(L, s);
}

typedef struct closing {
  dw_tasks *tasks;
  dw_timer grace;
  bool over;
} closing;

static void grace_cb(dw_timer *timer) {
  closing *c = timer->data;
  c->over = true;
}

static bool all_ended(void *data) {
  const closing *c = data;
  return c->tasks->live == 0 || (c->over && dw_list_empty(&c->tasks->ready));
}

/* Cancels everything and lets it end; what is shielded gets some time, but a
 * clock that stands still gives none. */
static void end_all(dw_script *s) {
  dw_tasks *tasks = s->tasks;
  for (dw_task *t = tasks->newest; t; t = t->older)
    if (t->status != DW_TASK_FREE) dw_task_cancel(t, false);
  closing c = {.tasks = tasks, .over = s->loop->virtual_clock};
  dw_timer_init(&c.grace, grace_cb, &c);
  dw_timer_start(s->loop, &c.grace, DW_CLOSE_GRACE);
  dw_loop_run(s->loop, all_ended, &c);
  dw_timer_stop(s->loop, &c.grace);
  /* What the aborted have to close may begin something new. */
  for (int round = 0; round < CLOSE_ROUNDS && tasks->live > 0; round++)
    for (dw_task *t = tasks->newest; t; t = t->older) dw_task_abort(t);
}

static int restore(lua_State *L) {
  dw_coroutine_restore(L, lua_touserdata(L, 1));
  return 0;
}

/* Puts things back in Lua; without a stack for it they stay as they are. */
static void leave_lua(dw_script *s) {
  lua_State *L = s->L;
  if (!lua_checkstack(L, 4)) return;
  lua_pushcfunction(L, restore);
  lua_pushlightuserdata(L, s);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
  if (s->slots) luaL_unref(L, LUA_REGISTRYINDEX, s->slots);
}

void dw_tasks_release(dw_script *s) {
  dw_tasks *tasks = s->tasks;
  if (!tasks->closed || tasks->live > 0 || tasks->busy > 0) return;
  dw_task_report_failures(s->root);
  dw_scopes_forget(s->root);
  dw_wait_drop(s->root);
  dw_deferred_cancel(&tasks->drain);
  leave_lua(s);
  for (dw_task *t = tasks->newest, *older; t; t = older) {
    older = t->older;
    dw_free(s->alloc, t, sizeof(*t));
  }
  dw_free(s->alloc, tasks, sizeof(*tasks));
  s->tasks = NULL;
  s->root = NULL;
  s->slots = 0;
}

void dw_tasks_close(dw_script *s) {
  if (!s->tasks) return;
  if (s->tasks->live > 0) end_all(s);
  s->tasks->closed = true;
  dw_tasks_release(s);
}
