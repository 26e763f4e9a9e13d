/* SPDX-License-Identifier: MIT */
/* Events, semaphores and locks. Waiters stand in line: what is released goes to
 * the one that has waited longest, directly, so that nobody can come between;
 * one that gives up has left the line before. The object is on the stack of
 * each call that waits, and so outlives it. Thread: the loop's. */
#include "bindings/task_private.h"

#define EVENT_TYPE "dewar.event"
#define SEMAPHORE_TYPE "dewar.semaphore"
#define PERMIT_TYPE "dewar.permit"

static int nothing(lua_State *L, int status, lua_KContext ctx) {
  (void)L, (void)status, (void)ctx;
  return 0;
}

/* Waits in the line; then k. */
static int stand_in_line(lua_State *L, dw_list *line, const char *name,
                         double seconds, lua_KFunction k) {
  dw_wake wake = dw_wait_begin(L, dw_script_of(L), NULL, NULL);
  dw_wait_name(wake, name);
  dw_waiter_join(line, wake);
  return dw_wait(L, wake, seconds, k, 0);
}

/* Lets the first in the line go; false: there is none. */
static bool serve(dw_list *line) {
  dw_list *node = dw_list_shift(line);
  if (!node) return false;
  dw_wake_up(DW_CONTAINER(node, dw_waiter, node)->wake);
  return true;
}

static void disband(dw_list *line) {
  while (dw_list_shift(line)) continue;
}

/* --- Events ----------------------------------------------------------------*/

typedef struct event {
  dw_list waiters;
  bool set;
} event;

static event *check_event(lua_State *L) {
  return luaL_checkudata(L, 1, EVENT_TYPE);
}

/* event() */
static int event_new(lua_State *L) {
  event *e = lua_newuserdatauv(L, sizeof(*e), 0);
  e->set = false;
  dw_list_init(&e->waiters);
  luaL_setmetatable(L, EVENT_TYPE);
  return 1;
}

static int event_set(lua_State *L) {
  event *e = check_event(L);
  e->set = true;
  while (serve(&e->waiters)) continue;
  return 0;
}

static int event_clear(lua_State *L) {
  check_event(L)->set = false;
  return 0;
}

static int event_is_set(lua_State *L) {
  lua_pushboolean(L, check_event(L)->set);
  return 1;
}

static int event_wait(lua_State *L) {
  event *e = check_event(L);
  double seconds = dw_opt_seconds(L, 2, "event:wait");
  if (e->set) return 0;
  return stand_in_line(L, &e->waiters, "event", seconds, nothing);
}

static int event_tostring(lua_State *L) {
  event *e = check_event(L);
  lua_pushfstring(L, "event: %p (%s)", (void *)e, e->set ? "set" : "not set");
  return 1;
}

static int event_gc(lua_State *L) {
  disband(&check_event(L)->waiters);
  return 0;
}

/* --- Semaphores and locks --------------------------------------------------*/

typedef struct semaphore {
  dw_list waiters; /* none while there are permits */
  lua_Integer permits;
  lua_Integer initial;
} semaphore;

static semaphore *check_semaphore(lua_State *L) {
  return luaL_checkudata(L, 1, SEMAPHORE_TYPE);
}

static int new_semaphore(lua_State *L, lua_Integer permits) {
  semaphore *sem = lua_newuserdatauv(L, sizeof(*sem), 0);
  sem->permits = sem->initial = permits;
  dw_list_init(&sem->waiters);
  luaL_setmetatable(L, SEMAPHORE_TYPE);
  return 1;
}

/* semaphore(permits) */
static int semaphore_new(lua_State *L) {
  if (!lua_isinteger(L, 1) || lua_tointeger(L, 1) < 1)
    return dw_misuse(L, "semaphore: expected how many may hold it at once, an "
                        "integer of at least 1");
  return new_semaphore(L, lua_tointeger(L, 1));
}

/* lock() */
static int lock_new(lua_State *L) { return new_semaphore(L, 1); }

static const char *name_of(const semaphore *sem) {
  return sem->initial == 1 ? "lock" : "semaphore";
}

static bool take(semaphore *sem) {
  if (sem->permits == 0) return false;
  sem->permits--;
  return true;
}

static void give(semaphore *sem) {
  if (!serve(&sem->waiters)) sem->permits++;
}

static int semaphore_acquire(lua_State *L) {
  semaphore *sem = check_semaphore(L);
  double seconds = dw_opt_seconds(L, 2, "acquire");
  if (take(sem)) return 0;
  return stand_in_line(L, &sem->waiters, name_of(sem), seconds, nothing);
}

static int semaphore_release(lua_State *L) {
  semaphore *sem = check_semaphore(L);
  if (sem->permits == sem->initial)
    return dw_misuse(L, "release: it is not held; each acquire is released "
                        "once");
  give(sem);
  return 0;
}

/* --- with ------------------------------------------------------------------*/

/* A permit that a call of `with` holds. It is a to-be-closed value, so that a
 * coroutine which is closed in the middle gives it back, too. */
typedef struct permit {
  semaphore *from; /* NULL: given back, or not there yet */
} permit;

static void give_back(permit *p) {
  semaphore *sem = p->from;
  p->from = NULL;
  if (sem) give(sem);
}

static int permit_close(lua_State *L) {
  give_back(luaL_checkudata(L, 1, PERMIT_TYPE));
  return 0;
}

/* Places on the stack of `with`. */
enum { SEMAPHORE = 1, PERMIT, HANDLER, FUNCTION };

static int with_end(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  give_back(lua_touserdata(L, PERMIT));
  if (status != LUA_OK && status != LUA_YIELD)
    return dw_rethrow(L, dw_script_of(L));
  return lua_gettop(L) - HANDLER;
}

static int with_permit(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  permit *p = lua_touserdata(L, PERMIT);
  p->from = lua_touserdata(L, SEMAPHORE);
  int nargs = lua_gettop(L) - FUNCTION;
  status = lua_pcallk(L, nargs, LUA_MULTRET, HANDLER, 0, with_end);
  return with_end(L, status, 0);
}

/* with(fn, ...) */
static int semaphore_with(lua_State *L) {
  semaphore *sem = check_semaphore(L);
  dw_check_callable(L, 2, "with");
  luaL_checkstack(L, 4, NULL);
  permit *p = lua_newuserdatauv(L, sizeof(*p), 1);
  p->from = NULL;
  luaL_setmetatable(L, PERMIT_TYPE);
  lua_pushvalue(L, SEMAPHORE);
  lua_setiuservalue(L, -2, 1);
  lua_insert(L, PERMIT);
  lua_pushcfunction(L, dw_traceback_handler);
  lua_insert(L, HANDLER);
  lua_toclose(L, PERMIT);
  if (take(sem)) return with_permit(L, LUA_OK, 0);
  return stand_in_line(L, &sem->waiters, name_of(sem), -1, with_permit);
}

static int semaphore_tostring(lua_State *L) {
  semaphore *sem = check_semaphore(L);
  lua_pushfstring(L, "%s: %p (%I of %I held)", name_of(sem), (void *)sem,
                  (LUAI_UACINT)(sem->initial - sem->permits),
                  (LUAI_UACINT)sem->initial);
  return 1;
}

static int semaphore_gc(lua_State *L) {
  disband(&check_semaphore(L)->waiters);
  return 0;
}

/* --- The tables ------------------------------------------------------------*/

static const luaL_Reg event_methods[] = {{"set", event_set},
                                         {"clear", event_clear},
                                         {"is_set", event_is_set},
                                         {"wait", event_wait},
                                         {NULL, NULL}};

static const luaL_Reg event_metamethods[] = {
    {"__tostring", event_tostring}, {"__gc", event_gc}, {NULL, NULL}};

static const luaL_Reg semaphore_methods[] = {{"acquire", semaphore_acquire},
                                             {"release", semaphore_release},
                                             {"with", semaphore_with},
                                             {NULL, NULL}};

static const luaL_Reg semaphore_metamethods[] = {
    {"__tostring", semaphore_tostring}, {"__gc", semaphore_gc}, {NULL, NULL}};

static const luaL_Reg permit_metamethods[] = {
    {"__close", permit_close}, {"__gc", permit_close}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"event", event_new},
                                     {"semaphore", semaphore_new},
                                     {"lock", lock_new},
                                     {NULL, NULL}};

void dw_sync_functions(lua_State *L, dw_script *s) {
  dw_script_type(L, s, EVENT_TYPE, event_methods, event_metamethods);
  dw_script_type(L, s, SEMAPHORE_TYPE, semaphore_methods,
                 semaphore_metamethods);
  dw_script_type(L, s, PERMIT_TYPE, NULL, permit_metamethods);
  dw_script_register(L, s, functions);
  dw_queue_functions(L, s);
}
