/* SPDX-License-Identifier: MIT */
/* A thread that looks now and then whether the loop is still in the same run of
 * Lua, and pulls the brake when that has lasted too long. What it costs a run
 * is to say that it begins and ends. Owner: the registry of the Lua state. */
#include "bindings/watchdog.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "bindings/brake.h"
#include "bindings/errors.h"
#include "bindings/task_private.h"

/* What has been stopped may clean up: it is stopped again after so many
 * instructions; for the last time, at every one. */
enum { CLEANUP = 1000000, CHANCES = 5 };

struct dw_watchdog {
  dw_brake brake;
  dw_script *script;
  /* Of the thread. */
  uv_thread_t thread;
  uv_mutex_t lock;
  uv_cond_t wake;
  bool started, closing;
  _Atomic uint64_t limit;  /* nanoseconds; 0: none */
  _Atomic uint64_t run;    /* the number of the run of Lua */
  _Atomic uint64_t victim; /* of the one that is to end */
  unsigned raised;         /* how often that has been told */
  uint64_t refused_at;     /* when that was logged */
};

static const char watchdog_key;

/* --- The thread ------------------------------------------------------------*/

static uint64_t period(uint64_t limit) {
  const uint64_t least = 5 * 1000000, most = 250 * 1000000;
  if (limit == 0 || limit / 8 > most) return most;
  return limit / 8 < least ? least : limit / 8;
}

static void watch_cb(void *data) {
  dw_watchdog *w = data;
  uint64_t seen = 0, since = uv_hrtime();
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, NULL);
  uv_mutex_lock(&w->lock);
  while (!w->closing) {
    uint64_t limit = atomic_load(&w->limit);
    uv_cond_timedwait(&w->wake, &w->lock, period(limit));
    uint64_t run = atomic_load(&w->run), now = uv_hrtime();
    if (run != seen || !atomic_load(&w->brake.running) || limit == 0) {
      seen = run;
      since = now;
    } else if (now - since >= limit) {
      atomic_store(&w->victim, run);
      dw_brake_pull(&w->brake);
    }
  }
  uv_mutex_unlock(&w->lock);
}

/* At the first run, so that a process may fork before. Without a thread there
 * is no limit; the next run tries again. */
static void start(dw_watchdog *w) {
  w->started = uv_thread_create(&w->thread, watch_cb, w) == 0;
}

/* --- Stopping --------------------------------------------------------------*/

static void hook_all(dw_watchdog *w, int instructions) {
  dw_script *s = w->script;
  for (dw_frame *f = s->tasks->frame; f; f = f->outer) {
    dw_brake_hook(&w->brake, f->co, instructions);
    dw_brake_hook(&w->brake, f->from, instructions);
  }
  if (s->current) dw_brake_hook(&w->brake, s->current->co, instructions);
}

/* In the Lua that runs. Whoever only finds the hook there takes it off. */
static void hook(lua_State *L, lua_Debug *ar) {
  dw_brake *b = dw_brake_of(L);
  dw_watchdog *w = b ? b->owner : NULL;
  (void)ar;
  if (!w || !atomic_load(&b->pulled) || !w->script->current ||
      atomic_load(&w->victim) != atomic_load(&w->run)) {
    if (w && atomic_load(&b->pulled)) dw_brake_release(b);
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  int instructions = ++w->raised < CHANCES ? CLEANUP : 1;
  hook_all(w, instructions);
  dw_brake_hook(b, L, instructions);
  double seconds = (double)atomic_load(&w->limit) / 1e9;
  dw_errors_raise(L, w->script, &dw_error_cpu_limit,
                  "stopped after %.3g s without a wait (config.CPU_LIMIT): "
                  "compute in dewar.work, or dewar.yield now and then",
                  seconds);
}

lua_State *dw_watchdog_enter(dw_watchdog *w, lua_State *co) {
  lua_State *outer =
      atomic_load_explicit(&w->brake.running, memory_order_relaxed);
  if (!outer) atomic_fetch_add_explicit(&w->run, 1, memory_order_relaxed);
  if (!w->started && atomic_load_explicit(&w->limit, memory_order_relaxed))
    start(w);
  dw_brake_enter(&w->brake, co);
  return outer;
}

void dw_watchdog_leave(dw_watchdog *w, lua_State *outer) {
  dw_brake_enter(&w->brake, outer);
  if (outer || !atomic_load_explicit(&w->brake.pulled, memory_order_relaxed))
    return;
  w->raised = 0;
  dw_brake_release(&w->brake);
}

/* --- Opening and closing ---------------------------------------------------*/

/* A userdata that stays as long as the state: what was allocated through the
 * brake may be freed through it later. */
static dw_watchdog *open_watchdog(lua_State *L, dw_script *s) {
  if (s->watchdog) return s->watchdog;
  dw_watchdog *w = lua_newuserdatauv(L, sizeof *w, 0);
  void *data;
  lua_Alloc alloc = lua_getallocf(L, &data);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &watchdog_key);
  if (dw_brake_init(&w->brake, alloc, data, hook) < 0)
    luaL_error(L, "not enough memory");
  w->brake.owner = w;
  w->script = s;
  w->started = w->closing = false;
  w->raised = 0;
  w->refused_at = 0;
  atomic_init(&w->limit, 0);
  atomic_init(&w->run, 0);
  atomic_init(&w->victim, 0);
  if (uv_mutex_init(&w->lock) < 0) {
    dw_brake_deinit(&w->brake);
    luaL_error(L, "not enough memory");
  }
  if (uv_cond_init(&w->wake) < 0) {
    uv_mutex_destroy(&w->lock);
    dw_brake_deinit(&w->brake);
    luaL_error(L, "not enough memory");
  }
  w->brake.used =
      (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
  lua_setallocf(L, dw_brake_alloc, &w->brake);
  s->watchdog = w;
  return w;
}

void dw_watchdog_close(dw_script *s) {
  dw_watchdog *w = s->watchdog;
  if (!w) return;
  s->watchdog = NULL;
  w->brake.limit = 0;
  if (w->started) {
    uv_mutex_lock(&w->lock);
    w->closing = true;
    uv_cond_signal(&w->wake);
    uv_mutex_unlock(&w->lock);
    uv_thread_join(&w->thread);
  }
  dw_brake_release(&w->brake);
  if (dw_brake_of(s->L) == &w->brake)
    lua_setallocf(s->L, w->brake.alloc, w->brake.alloc_data);
  uv_cond_destroy(&w->wake);
  uv_mutex_destroy(&w->lock);
  dw_brake_deinit(&w->brake);
}

/* --- Limits ----------------------------------------------------------------*/

void dw_watchdog_limit_time(lua_State *L, dw_script *s, double seconds) {
  if (seconds == 0 && !s->watchdog) return;
  dw_watchdog *w = open_watchdog(L, s);
  atomic_store(&w->limit, (uint64_t)(seconds * 1e9));
  uv_cond_signal(&w->wake);
}

void dw_watchdog_limit_memory(lua_State *L, dw_script *s, size_t bytes) {
  if (bytes == 0 && !s->watchdog) return;
  dw_watchdog *w = open_watchdog(L, s);
  if (bytes && bytes < w->brake.used)
    dw_misuse(L,
              "config.MEMORY_LIMIT is less than what Lua holds already, which "
              "is %zu bytes",
              w->brake.used);
  w->brake.limit = bytes;
}

void dw_watchdog_relieve(dw_watchdog *w) {
  if (!w->brake.pressed) return;
  lua_gc(w->script->L, LUA_GCCOLLECT);
  size_t limit = w->brake.limit;
  w->brake.pressed = limit && w->brake.used > limit - limit / 8;
}

bool dw_watchdog_limited(const dw_watchdog *w) { return w->brake.limit > 0; }

bool dw_watchdog_refused(dw_watchdog *w, size_t *used, size_t *limit) {
  uint64_t now = uv_hrtime();
  if (!w || !w->brake.refused) return false;
  w->brake.refused = false;
  if (w->refused_at && now - w->refused_at < 1000000000) return false;
  w->refused_at = now;
  *used = w->brake.used;
  *limit = w->brake.limit;
  return true;
}
