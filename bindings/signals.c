/* SPDX-License-Identifier: MIT */
/* core:watch: the signals of a process that serves. The first SIGINT or SIGTERM
 * stops gracefully, the second at once, and after that they kill the process as
 * they always do. So does a second one where the first can't be noticed because
 * Lua computes without end: a handler is good for one signal, and the loop
 * makes it ready for the next. SIGUSR1 writes to the log what its function
 * says. When the object is closed, there is again what was there before. Owner
 * of the struct: the object; once that is gone, the handles that are being
 * closed. Thread: the loop's. */
#include <signal.h>

#include "bindings/app.h"
#include "bindings/errors.h"
#include "script_engine.h"

#define WATCH_TYPE "dewar.watch"

enum {
  STOPPING = 2,
  NUMBERS
};                   /* of the numbers; the last one is for the dump */
enum { HINT = 250 }; /* ms */
enum { ON_STOP = 1, ON_DUMP }; /* user values of the object */

static const int numbers[NUMBERS] = {SIGINT, SIGTERM, SIGUSR1};

typedef struct one {
  uv_signal_t handle;
  struct sigaction before; /* what the host had there */
  int number;
  bool open;
} one;

typedef struct watch {
  dw_lua_app *app;
  dw_script *script;
  one signals[NUMBERS];
  unsigned open;     /* handles that are not closed yet */
  unsigned arrived;  /* signals that stop */
  bool orphan;       /* the object is gone */
  dw_deferred rearm; /* after the first one */
  dw_timer hint;     /* why the process is still there */
} watch;

/* The object: the registry has it by the watch's address, while that is open.
 */
typedef struct box {
  watch *watch;
} box;

/* --- Calling Lua -----------------------------------------------------------*/

typedef struct call {
  watch *watch;
  int function; /* ON_STOP: it gets the number of signals; ON_DUMP: its text is
                   logged, whatever the level */
} call;

static int call_function(lua_State *L) {
  const call *c = lua_touserdata(L, 1);
  const dw_log *log = c->watch->script->log;
  lua_rawgetp(L, LUA_REGISTRYINDEX, c->watch);
  lua_getiuservalue(L, -1, c->function);
  lua_pushinteger(L, c->watch->arrived);
  lua_call(L, 1, 1);
  const char *text = lua_tostring(L, -1);
  if (text && log->sink) log->sink(log->data, DEWAR_INFO, text, NULL, 0);
  return 0;
}

static void call_lua(watch *w, int function) {
  lua_State *L = w->script->L;
  call c = {w, function};
  if (!lua_checkstack(L, 4)) return;
  lua_pushcfunction(L, call_function);
  lua_pushlightuserdata(L, &c);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return;
  const char *why = lua_tostring(L, -1);
  dw_logf(w->script->log, DEWAR_ERROR, "after a signal: %s",
          why ? why : "an error that is no string");
  lua_pop(L, 1);
}

/* --- Signals ---------------------------------------------------------------*/

/* Puts back what was there before. libuv leaves the default, unless somebody
 * else watches the signal through it. */
static void unwatch(one *o) {
  struct sigaction now;
  uv_signal_stop(&o->handle);
  if (sigaction(o->number, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
    sigaction(o->number, &o->before, NULL);
}

static void unwatch_some(watch *w, int count) {
  for (int i = 0; i < count; i++)
    if (w->signals[i].open) unwatch(&w->signals[i]);
}

static void stop_cb(uv_signal_t *handle, int number) {
  watch *w = handle->data;
  dw_loop *loop = w->script->loop;
  (void)number;
  dw_loop_enter(loop);
  dw_server_stop(w->app->server);
  if (++w->arrived == 1) {
    dw_loop_defer(loop, &w->rearm);
    dw_timer_start(loop, &w->hint, HINT);
  } else {
    dw_engine_cancel(w->script);
    dw_timer_stop(loop, &w->hint);
    dw_deferred_cancel(&w->rearm);
    unwatch_some(w, STOPPING);
  }
  call_lua(w, ON_STOP);
  dw_loop_leave(loop);
}

static void dump_cb(uv_signal_t *handle, int number) {
  watch *w = handle->data;
  (void)number;
  dw_loop_enter(w->script->loop);
  call_lua(w, ON_DUMP);
  dw_loop_leave(w->script->loop);
}

static void hint_cb(dw_timer *timer) {
  const watch *w = timer->data;
  dw_logf(w->script->log, DEWAR_INFO,
          "Stopping: what runs may finish within %.3g s; a second signal stops "
          "at once",
          (double)w->app->app->limits.shutdown_timeout / 1000);
}

/* libuv has stopped the one that has fired, after its callback. */
static void rearm_cb(dw_deferred *d) {
  watch *w = d->data;
  for (int i = 0; i < STOPPING; i++) {
    one *o = &w->signals[i];
    if (o->open) uv_signal_start_oneshot(&o->handle, stop_cb, o->number);
  }
}

static int start(watch *w, int i) {
  one *o = &w->signals[i];
  o->number = numbers[i];
  if (sigaction(o->number, NULL, &o->before) != 0) return UV_EINVAL;
  int code = uv_signal_init(w->script->loop->uv, &o->handle);
  if (code < 0) return code;
  o->handle.data = w;
  o->open = true;
  w->open++;
  uv_unref((uv_handle_t *)&o->handle);
  if (i >= STOPPING) return uv_signal_start(&o->handle, dump_cb, o->number);
  return uv_signal_start_oneshot(&o->handle, stop_cb, o->number);
}

/* --- The object ------------------------------------------------------------*/

static void free_watch(watch *w) { dw_free(w->script->alloc, w, sizeof *w); }

static void closed_cb(uv_handle_t *handle) {
  watch *w = handle->data;
  if (--w->open == 0 && w->orphan) free_watch(w);
}

static void stop_all(watch *w) {
  dw_deferred_cancel(&w->rearm);
  dw_timer_stop(w->script->loop, &w->hint);
  unwatch_some(w, NUMBERS);
  for (int i = 0; i < NUMBERS; i++) {
    one *o = &w->signals[i];
    if (o->open) uv_close((uv_handle_t *)&o->handle, closed_cb);
    o->open = false;
  }
}

static bool all_closed(void *data) {
  const watch *w = data;
  return w->open == 0;
}

/* Without turning the loop: the struct goes with its last handle. */
static int watch_gc(lua_State *L) {
  box *b = luaL_checkudata(L, 1, WATCH_TYPE);
  watch *w = b->watch;
  if (!w) return 0;
  b->watch = NULL;
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, w);
  stop_all(w);
  w->orphan = true;
  if (w->open == 0) free_watch(w);
  return 0;
}

static int watch_close(lua_State *L) {
  box *b = luaL_checkudata(L, 1, WATCH_TYPE);
  watch *w = b->watch;
  if (w && !w->script->loop->running) {
    stop_all(w);
    dw_loop_run(w->script->loop, all_closed, w);
  }
  return watch_gc(L);
}

/* core:watch(on_stop, on_dump [, worker]): on_stop(n) at the n-th signal that
 * stops. A worker leaves SIGINT to its supervisor, who shares its terminal. */
int dw_app_watch(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  luaL_checktype(L, 2, LUA_TFUNCTION);
  luaL_checktype(L, 3, LUA_TFUNCTION);
  box *b = lua_newuserdatauv(L, sizeof *b, 3);
  b->watch = NULL;
  luaL_setmetatable(L, WATCH_TYPE);
  for (int i = ON_STOP; i <= ON_DUMP + 1; i++) {
    lua_pushvalue(L, i <= ON_DUMP ? i + 1 : 1);
    lua_setiuservalue(L, -2, i);
  }
  watch *w = dw_zalloc(a->script->alloc, sizeof *w);
  if (!w) return luaL_error(L, "not enough memory");
  w->app = a;
  w->script = a->script;
  dw_deferred_init(&w->rearm, rearm_cb, w);
  dw_timer_init(&w->hint, hint_cb, w);
  b->watch = w;
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, w);
  int code = 0;
  for (int i = lua_toboolean(L, 4); i < NUMBERS && code == 0; i++)
    code = start(w, i);
  if (code == 0) return 1;
  lua_replace(L, 1);
  watch_close(L);
  return dw_errors_raise_code(L, a->script, code, "watching signals");
}

void dw_watch_open(lua_State *L, dw_script *s) {
  static const luaL_Reg metamethods[] = {
      {"__close", watch_close}, {"__gc", watch_gc}, {NULL, NULL}};
  dw_script_type(L, s, WATCH_TYPE, NULL, metamethods);
}
