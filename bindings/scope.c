/* SPDX-License-Identifier: MIT */
/* Scopes: stretches of a task that notice more, or less, than the task around
 * them; and the two that are no more than that, dewar.timeout and dewar.shield.
 * Both run their function in place. A scope is linked to the task while that
 * lasts; its box is on the stack of the call.
 * When the time is up, waits inside raise dewar.Cancelled, and timeout turns it
 * into a TimeoutError at its end; so an inner timeout can't take an outer one's
 * for its own. Thread: the loop's. */
#include "bindings/task_private.h"

#define BOX_TYPE "dewar.scope"

/* --- What a task notices ---------------------------------------------------*/

bool dw_task_interrupted(const dw_task *t) {
  for (const dw_task_scope *sc = t->scopes; sc; sc = sc->outer) {
    if (sc->shield) return false;
    if (sc->fired) return true;
  }
  return t->cancelled && t->shields == 0;
}

/* Whether there is something to notice that has not been raised yet. */
static bool has_news(const dw_task *t) {
  for (const dw_task_scope *sc = t->scopes; sc; sc = sc->outer) {
    if (sc->shield) return false;
    if (sc->fired && !sc->delivered) return true;
  }
  return t->cancelled && t->shields == 0 && !t->told;
}

void dw_scopes_delivered(dw_task *t) {
  dw_task_scope *sc = t->scopes;
  for (; sc && !sc->shield; sc = sc->outer)
    if (sc->fired) sc->delivered = true;
  if (!sc && t->cancelled && t->shields == 0) t->told = true;
}

bool dw_scopes_limit(const dw_task *t) {
  for (const dw_task_scope *sc = t->scopes; sc; sc = sc->outer)
    if (!sc->shield) return true;
  return false;
}

bool dw_scopes_hold(const dw_task *t, lua_State *L) {
  for (const dw_task_scope *sc = t->scopes; sc; sc = sc->outer)
    if (sc->L == L) return true;
  return false;
}

/* --- Opening and closing ---------------------------------------------------*/

void dw_scope_fire(dw_task_scope *sc) {
  if (sc->fired) return;
  sc->fired = true;
  if (sc->fired_cb) sc->fired_cb(sc);
  dw_wait_interrupt(sc->task);
}

static void timer_cb(dw_timer *timer) {
  dw_task_scope *sc = timer->data;
  dw_task *t = sc->task;
  if (!sc->fired) {
    sc->timed = true;
    sc->during = t->wait == DW_WAIT_SUSPENDED ? t->waits_for : NULL;
  }
  dw_scope_fire(sc);
}

void dw_scope_limit(dw_task_scope *sc, double seconds) {
  sc->seconds = seconds;
  dw_start_seconds(sc->task->script->loop, &sc->timer, seconds);
}

void dw_scope_close(dw_task_scope *sc) {
  dw_task *t = sc->task;
  dw_timer_stop(t->script->loop, &sc->timer);
  if (sc->inner)
    sc->inner->outer = sc->outer;
  else
    t->scopes = sc->outer;
  if (sc->outer) sc->outer->inner = sc->inner;
  if (sc->box) sc->box->scope = NULL;
  dw_free(t->script->alloc, sc, sizeof(*sc));
  if (!dw_task_interrupted(t)) t->refusals = 0;
}

void dw_scopes_forget(dw_task *t) {
  while (t->scopes) dw_scope_close(t->scopes);
}

dw_task_scope *dw_scope_open(lua_State *L, dw_script *s, dw_scope_box *box,
                             bool shield) {
  dw_task *t = dw_task_here(s);
  dw_task_scope *sc = dw_alloc(s->alloc, sizeof(*sc));
  if (!sc) luaL_error(L, "not enough memory");
  *sc = (dw_task_scope){.task = t, .box = box, .L = L, .shield = shield};
  dw_timer_init(&sc->timer, timer_cb, sc);
  box->scope = sc;
  sc->outer = t->scopes;
  if (sc->outer) sc->outer->inner = sc;
  t->scopes = sc;
  return sc;
}

/* Puts a new scope's box, which has a user value for its name, at 1 and the
 * message handler at 2, below the function and its arguments. */
static dw_task_scope *open_scope(lua_State *L, dw_script *s, bool shield) {
  luaL_checkstack(L, 4, NULL);
  dw_scope_box *b = lua_newuserdatauv(L, sizeof(*b), 1);
  b->scope = NULL;
  luaL_setmetatable(L, BOX_TYPE);
  dw_task_scope *sc = dw_scope_open(L, s, b, shield);
  lua_insert(L, 1);
  lua_pushcfunction(L, dw_traceback_handler);
  lua_insert(L, 2);
  return sc;
}

static int box_gc(lua_State *L) {
  dw_scope_box *b = luaL_checkudata(L, 1, BOX_TYPE);
  if (b->scope) b->scope->box = NULL;
  return 0;
}

/* --- timeout ---------------------------------------------------------------*/

bool dw_is_cancelled(lua_State *L, dw_script *s, int index) {
  int status;
  return dw_errors_class(L, s, index, &status) == &dw_error_cancelled;
}

static int timeout_end(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  dw_script *s = dw_script_of(L);
  dw_task_scope *sc = ((dw_scope_box *)lua_touserdata(L, 1))->scope;
  dw_task *t = dw_task_here(s);
  bool returned = status == LUA_OK || status == LUA_YIELD;
  bool fired = sc && sc->fired, delivered = sc && sc->delivered;
  double seconds = sc ? sc->seconds : 0;
  const char *during = sc ? sc->during : NULL;
  if (sc) dw_scope_close(sc);
  luaL_checkstack(L, 8, NULL);
  if (!s->tasks) return returned ? lua_gettop(L) - 2 : lua_error(L);
  if (returned && !delivered) return lua_gettop(L) - 2;
  if (!returned && !(fired && dw_is_cancelled(L, s, -1)))
    return dw_rethrow(L, s);
  if (dw_task_interrupted(t)) return dw_raise_cancelled(L, t);
  if (lua_getiuservalue(L, 1, 1) == LUA_TSTRING)
    return dw_raise_late(L, s, lua_tostring(L, -1), seconds, NULL);
  return dw_raise_late(L, s, "the function of dewar.timeout", seconds, during);
}

/* name or nil, seconds, fn, ... */
static int run_limited(lua_State *L, const char *what) {
  dw_script *s = dw_script_of(L);
  double seconds = dw_check_seconds(L, 2, what);
  dw_check_callable(L, 3, what);
  if (!s->tasks) dw_wait_check(L, s);
  lua_remove(L, 2);
  lua_rotate(L, 1, -1);
  int name = lua_gettop(L);
  dw_task_scope *sc = open_scope(L, s, false);
  lua_pushvalue(L, name + 2);
  lua_setiuservalue(L, 1, 1);
  lua_remove(L, name + 2);
  dw_scope_limit(sc, seconds);
  int status = lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 2, 0, timeout_end);
  return timeout_end(L, status, 0);
}

int dw_limit(lua_State *L) { return run_limited(L, luaL_checkstring(L, 1)); }

/* timeout(seconds, fn, ...) */
static int timeout(lua_State *L) {
  luaL_checkstack(L, 2, NULL);
  lua_pushnil(L);
  lua_insert(L, 1);
  return run_limited(L, "timeout");
}

/* --- shield ----------------------------------------------------------------*/

static int shield_end(lua_State *L, int status, lua_KContext ctx) {
  (void)ctx;
  dw_script *s = dw_script_of(L);
  dw_task *t = dw_task_here(s);
  dw_task_scope *sc = ((dw_scope_box *)lua_touserdata(L, 1))->scope;
  if (sc) dw_scope_close(sc);
  if (status != LUA_OK && status != LUA_YIELD) return dw_rethrow(L, s);
  /* One that the caller knows of already doesn't keep it from cleaning up. */
  if (t && has_news(t)) return dw_raise_cancelled(L, t);
  return lua_gettop(L) - 2;
}

/* shield(fn, ...) */
static int shield(lua_State *L) {
  dw_script *s = dw_script_of(L);
  dw_check_callable(L, 1, "shield");
  if (!s->tasks) dw_wait_check(L, s);
  open_scope(L, s, true);
  int status = lua_pcallk(L, lua_gettop(L) - 3, LUA_MULTRET, 2, 0, shield_end);
  return shield_end(L, status, 0);
}

static const luaL_Reg metamethods[] = {{"__gc", box_gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"limit", dw_limit},
                                     {"timeout", timeout},
                                     {"shield", shield},
                                     {NULL, NULL}};

void dw_scope_open_types(lua_State *L, dw_script *s) {
  dw_script_type(L, s, BOX_TYPE, NULL, metamethods);
}

void dw_scope_functions(lua_State *L, dw_script *s) {
  dw_script_register(L, s, functions);
}
