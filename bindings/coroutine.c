/* SPDX-License-Identifier: MIT */
/* coroutine.resume, wrap, yield, status and close as scripts see them while a
 * runtime is open: as in stock Lua, but a wait inside a coroutine passes
 * through whoever resumed it, up to the scheduler. A coroutine with a wait on
 * its way through it is "normal", like one that has resumed another: nobody
 * else can resume or close it. Thread: the loop's. */
#include "bindings/response.h"
#include "bindings/task_private.h"
#include "bindings/watchdog.h"

/* What a step of a coroutine came to, if not a number of values. */
enum { FAILED = -1, WAITS = -2 };

static lua_State *check_coroutine(lua_State *L, int index) {
  lua_State *co = lua_tothread(L, index);
  luaL_argexpected(L, co, index, "thread");
  return co;
}

/* --- A step ----------------------------------------------------------------*/

static int enter(lua_State *L, dw_script *s, lua_State *co, int nargs,
                 bool driven, int *values) {
  dw_tasks *tasks = s->tasks;
  if (!tasks) return lua_resume(co, L, nargs, values);
  dw_frame frame = {co, L, driven, tasks->frame};
  tasks->frame = &frame;
  dw_watchdog *w = s->current ? s->watchdog : NULL;
  lua_State *outer = w ? dw_watchdog_enter(w, co) : NULL;
  int status = lua_resume(co, L, nargs, values);
  if (w && s->watchdog) dw_watchdog_leave(w, outer);
  tasks->frame = frame.outer;
  return status;
}

/* Moves results, or an error, from co to L. */
static int hand_over(lua_State *L, lua_State *co, int status, int values) {
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    return FAILED;
  }
  if (!lua_checkstack(L, values + 1)) {
    lua_pop(co, values);
    lua_pushliteral(L, "too many results to resume");
    return FAILED;
  }
  lua_xmove(co, L, values);
  return values;
}

/* Lets co run, with the arguments on top of L. */
static int step(lua_State *L, dw_script *s, lua_State *co, int nargs,
                bool driven) {
  if (!lua_checkstack(co, nargs)) {
    lua_pushliteral(L, "too many arguments to resume");
    return FAILED;
  }
  lua_xmove(L, co, nargs);
  int values;
  int status = enter(L, s, co, nargs, driven, &values);
  if (status != LUA_YIELD || !dw_mark_there(co))
    return hand_over(L, co, status, values);
  /* A task that is killed: from the innermost coroutine outwards. */
  if (s->current && s->current->killed) dw_thread_close(co, L);
  return WAITS;
}

static int first_step(lua_State *L, dw_script *s, lua_State *co, int nargs,
                      bool driven) {
  if (co != L && dw_mark_there(co)) {
    lua_pushliteral(L,
                    "cannot resume a coroutine that is in a wait of Dewar's");
    return FAILED;
  }
  return step(L, s, co, nargs, driven);
}

/* The wait is over; the coroutine takes its outcome itself. */
static int next_step(lua_State *L, dw_script *s, lua_State *co, bool driven) {
  if (dw_mark_there(co)) lua_pop(co, 1);
  return step(L, s, co, 0, driven);
}

static int pass_wait(lua_State *L, lua_KContext ctx, lua_KFunction k) {
  luaL_checkstack(L, 1, NULL);
  dw_mark_push(L);
  return lua_yieldk(L, 1, ctx, k);
}

/* --- resume ----------------------------------------------------------------*/

static int resume_next(lua_State *L, int status, lua_KContext ctx);

static int resume_end(lua_State *L, dw_script *s, lua_State *co, int values) {
  if (values == WAITS) return pass_wait(L, 0, resume_next);
  int returned = values == FAILED ? 1 : values;
  lua_pushboolean(L, values != FAILED);
  lua_insert(L, -returned - 1);
  /* Its calls are still there; they are read if the error goes on. */
  if (values == FAILED && s->current && s->tasks && lua_status(co) != LUA_OK &&
      lua_status(co) != LUA_YIELD) {
    if (dw_traceback_known(L, s, -1, co, 0)) {
      dw_traceback_extend(L, s, -1, co, 0, "a coroutine resumed by");
    } else {
      lua_pushvalue(L, 1);
      dw_traceback_note(L, s, -2, co, "a coroutine resumed by");
    }
  }
  return returned + 1;
}

static int resume_next(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  dw_script *s = dw_script_of(L);
  lua_State *co = lua_tothread(L, 1);
  return resume_end(L, s, co, next_step(L, s, co, false));
}

static int resume(lua_State *L) {
  dw_script *s = dw_script_of(L);
  lua_State *co = check_coroutine(L, 1);
  int values = first_step(L, s, co, lua_gettop(L) - 1, false);
  return resume_end(L, s, co, values);
}

/* --- wrap ------------------------------------------------------------------*/

/* Closes a coroutine that has died of the error on top of L, which makes room
 * for what closing it raises instead. */
static void close_dead(lua_State *L, dw_script *s, lua_State *co,
                       const char *link) {
  int status;
  if (s->tasks && s->current &&
      dw_errors_class(L, s, -1, &status) != &dw_error_cancelled)
    dw_traceback_extend(L, s, -1, co, 0, link);
  lua_xmove(L, co, 1);
  dw_thread_close(co, L);
  lua_xmove(co, L, 1);
}

/* The place of the call in front of the message on top, which co died of. */
static void add_position(lua_State *L, dw_script *s, lua_State *co) {
  bool known = s->tasks && s->tasks->traced == co;
  luaL_where(L, 1);
  lua_insert(L, -2);
  lua_concat(L, 2);
  if (known) dw_traceback_rename(L, s, -1);
}

static int wrap_next(lua_State *L, int status, lua_KContext ctx);

static int wrap_end(lua_State *L, dw_script *s, lua_State *co, int values) {
  if (values >= 0) return values;
  if (values == WAITS) return pass_wait(L, 0, wrap_next);
  int status = lua_status(co);
  luaL_checkstack(L, 8, NULL);
  if (status != LUA_OK && status != LUA_YIELD)
    close_dead(L, s, co, "a coroutine resumed by");
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING)
    add_position(L, s, co);
  return dw_rethrow(L, s);
}

static int wrap_next(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  dw_script *s = dw_script_of(L);
  lua_State *co = lua_tothread(L, lua_upvalueindex(2));
  return wrap_end(L, s, co, next_step(L, s, co, false));
}

static int wrapped(lua_State *L) {
  dw_script *s = dw_script_of(L);
  lua_State *co = lua_tothread(L, lua_upvalueindex(2));
  return wrap_end(L, s, co, first_step(L, s, co, lua_gettop(L), false));
}

static int wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, wrapped, 2);
  return 1;
}

/* --- Awaiting one ----------------------------------------------------------*/

static int drive_next(lua_State *L, int status, lua_KContext ctx);

static int drive_end(lua_State *L, dw_script *s, int base, int values) {
  lua_State *co = lua_tothread(L, base);
  if (values == WAITS) return pass_wait(L, base, drive_next);
  luaL_checkstack(L, 8, NULL);
  int status = lua_status(co);
  if (values >= 0 && status == LUA_YIELD) {
    dw_thread_close(co, L);
    return luaL_error(L, "a coroutine that is awaited can only yield "
                         "awaitables, and by a coroutine.yield that was taken "
                         "after dewar was loaded");
  }
  if (values >= 0) return dw_await_end(L, base);
  if (status != LUA_OK && status != LUA_YIELD)
    close_dead(L, s, co, "a coroutine awaited by");
  return dw_rethrow(L, s);
}

static int drive_next(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  dw_script *s = dw_script_find(L);
  lua_State *co = lua_tothread(L, (int)ctx);
  return drive_end(L, s, (int)ctx, next_step(L, s, co, true));
}

int dw_coroutine_drive(lua_State *L, dw_script *s, int base, int nargs) {
  lua_State *co = lua_tothread(L, base);
  lua_Debug ar;
  bool fresh = lua_status(co) == LUA_OK && !lua_getstack(co, 0, &ar);
  if (co == L || (lua_status(co) != LUA_YIELD && !fresh) ||
      (fresh && lua_gettop(co) == 0))
    return dw_misuse(L, "cannot await a coroutine that is running or dead; it "
                        "can run only once (pass the function instead)");
  return drive_end(L, s, base, first_step(L, s, co, nargs, true));
}

/* --- yield -----------------------------------------------------------------*/

/* In a task's own coroutine, or one that is awaited, a yield awaits. */
static bool yields_to_us(lua_State *L, const dw_script *s) {
  const dw_frame *frame = s->tasks->frame;
  if (frame && frame->co == L) return frame->driven;
  return s->current && s->current->co == L;
}

static int yield_end(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  return lua_gettop(L) - (int)ctx;
}

static int yield(lua_State *L) {
  dw_script *s = dw_script_of(L);
  int n = lua_gettop(L);
  if (s->tasks && yields_to_us(L, s)) {
    if (n == 0) return dw_yield_now(L);
    if (n == 1 && dw_is_awaitable(L, 1))
      return dw_await(L, 1, -1, yield_end, n);
    return dw_misuse(L,
                     "a task can only yield an awaitable; got %s%s: return the "
                     "value, or use a generator (coroutine.wrap)",
                     n == 1 ? "a " : "several values",
                     n == 1 ? luaL_typename(L, 1) : "");
  }
  if (s->tasks && dw_scopes_hold(dw_task_here(s), L))
    return dw_misuse(L, "cannot yield out of dewar.timeout, dewar.shield or "
                        "dewar.scope: its function has to end first");
  return lua_yieldk(L, n, 0, dw_generator_yielded);
}

/* --- Who waits for whom ----------------------------------------------------*/

/* Of a function that drives a coroutine: that lies where dw_await_end expects
 * it. */
static lua_State *find_driven(lua_State *co, lua_Debug *ar) {
  lua_State *found = NULL;
  for (int i = 1; lua_getlocal(co, ar, i); i++) {
    if (found && lua_islightuserdata(co, -1)) {
      lua_pop(co, 1);
      return found;
    }
    found = lua_tothread(co, -1);
    lua_pop(co, 1);
  }
  return NULL;
}

lua_State *dw_coroutine_inner(lua_State *co) {
  lua_Debug ar;
  lua_State *inner = NULL;
  if (!lua_getstack(co, 0, &ar) || !lua_checkstack(co, 3)) return NULL;
  lua_getinfo(co, "f", &ar);
  lua_CFunction fn = lua_tocfunction(co, -1);
  if (fn == wrapped) {
    lua_getupvalue(co, -1, 2);
    inner = lua_tothread(co, -1);
    lua_pop(co, 1);
  } else if (fn == resume) {
    if (lua_getlocal(co, &ar, 1)) {
      inner = lua_tothread(co, -1);
      lua_pop(co, 1);
    }
  } else if (fn) {
    inner = find_driven(co, &ar);
  }
  lua_pop(co, 1);
  return inner && inner != co && dw_mark_there(inner) ? inner : NULL;
}

/* --- status and close ------------------------------------------------------*/

static const char *status_of(lua_State *L, lua_State *co) {
  if (L == co) return "running";
  if (dw_mark_there(co)) return "normal"; /* a wait is on its way through */
  lua_Debug ar;
  switch (lua_status(co)) {
  case LUA_YIELD:
    return "suspended";
  case LUA_OK:
    if (lua_getstack(co, 0, &ar)) return "normal";
    return lua_gettop(co) == 0 ? "dead" : "suspended";
  default:
    return "dead";
  }
}

static int status(lua_State *L) {
  lua_pushstring(L, status_of(L, check_coroutine(L, 1)));
  return 1;
}

static int close_coroutine(lua_State *L) {
  lua_State *co = check_coroutine(L, 1);
  if (co != L && dw_mark_there(co))
    return luaL_error(L, "cannot close a coroutine that is in a wait of "
                         "Dewar's; cancel its task");
  const char *state = status_of(L, co);
  if (*state == 'r' || *state == 'n')
    return luaL_error(L, "cannot close a %s coroutine", state);
  bool closed = dw_thread_close(co, L) == LUA_OK;
  lua_pushboolean(L, closed);
  if (closed) return 1;
  lua_xmove(co, L, 1);
  return 2;
}

/* --- In place of the stock ones --------------------------------------------*/

static const luaL_Reg functions[] = {
    {"resume", resume},         {"wrap", wrap},
    {"yield", yield},           {"status", status},
    {"close", close_coroutine}, {NULL, NULL}};

/* Pushes the library's table and that of what it held before us. */
static bool push_tables(lua_State *L, dw_script *s) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LUA_COLIBNAME) != LUA_TTABLE) return false;
  lua_remove(L, -2);
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->slots);
  lua_rawgeti(L, -1, DW_FIXED_STOCK);
  lua_remove(L, -2);
  return lua_istable(L, -1);
}

void dw_coroutine_install(lua_State *L, dw_script *s) {
  int top = lua_gettop(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->slots);
  lua_newtable(L);
  lua_rawseti(L, -2, DW_FIXED_STOCK);
  lua_settop(L, top);
  if (push_tables(L, s)) {
    for (const luaL_Reg *f = functions; f->name; f++) {
      lua_getfield(L, -2, f->name);
      lua_setfield(L, -2, f->name);
    }
    lua_pop(L, 1);
    dw_script_register(L, s, functions);
  }
  lua_settop(L, top);
}

/* Leaves alone what somebody else has replaced since. */
void dw_coroutine_restore(lua_State *L, dw_script *s) {
  int top = lua_gettop(L);
  if (s->slots && push_tables(L, s)) {
    for (const luaL_Reg *f = functions; f->name; f++) {
      lua_getfield(L, -2, f->name);
      bool ours = lua_tocfunction(L, -1) == f->func;
      lua_pop(L, 1);
      if (!ours) continue;
      lua_getfield(L, -1, f->name);
      lua_setfield(L, -3, f->name);
    }
  }
  lua_settop(L, top);
}
