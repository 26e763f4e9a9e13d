/* SPDX-License-Identifier: MIT */
/* core:serve: turns the loop until the app has been stopped and what it ran is
 * over. Only meanwhile, and only when asked to, it listens to signals: the
 * first SIGINT or SIGTERM stops gracefully, the second at once, and after that
 * they kill the process as they always do. So does a second one where the first
 * can't be noticed because Lua computes without end: a handler is good for one
 * signal, and the loop makes it ready for the next. All of it lives on the C
 * stack of one call. Thread: the loop's, a main chunk. */
#include <signal.h>

#include "bindings/app.h"
#include "bindings/errors.h"
#include "script_engine.h"

enum { WATCHES = 2 };
enum { HINT = 250, CANCEL_AGAIN = 50 }; /* ms */

static const int numbers[WATCHES] = {SIGINT, SIGTERM};

typedef struct serving serving;

typedef struct watch {
  uv_signal_t handle;
  struct sigaction before; /* what the host had there */
  int number;
  bool open;
} watch;

struct serving {
  dw_lua_app *app;
  dw_loop *loop;
  watch watches[WATCHES];
  int first;           /* of the numbers: a worker leaves SIGINT alone */
  unsigned open;       /* watches that are not closed yet */
  unsigned signals;    /* that have arrived */
  dw_deferred rearm;   /* after the first one */
  dw_timer hint;       /* why the process is still there */
  dw_timer deadline;   /* of background tasks */
  uint64_t stopped_at; /* 0: it serves */
};

/* --- Signals ---------------------------------------------------------------*/

/* Puts back what was there before. libuv leaves the default, unless somebody
 * else watches the signal through it. */
static void unwatch(watch *w) {
  struct sigaction now;
  uv_signal_stop(&w->handle);
  if (sigaction(w->number, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
    sigaction(w->number, &w->before, NULL);
}

static void unwatch_all(serving *g) {
  for (int i = 0; i < WATCHES; i++)
    if (g->watches[i].open) unwatch(&g->watches[i]);
}

static void arrived_cb(uv_signal_t *handle, int number) {
  serving *g = handle->data;
  (void)number;
  dw_loop_enter(g->loop);
  dw_server_stop(g->app->server);
  if (++g->signals == 1) {
    dw_loop_defer(g->loop, &g->rearm);
    dw_timer_start(g->loop, &g->hint, HINT);
  } else {
    dw_engine_cancel(g->app->script);
    dw_timer_stop(g->loop, &g->hint);
    dw_deferred_cancel(&g->rearm);
    unwatch_all(g);
  }
  dw_loop_leave(g->loop);
}

static void hint_cb(dw_timer *timer) {
  serving *g = timer->data;
  dw_logf(g->loop->log, DEWAR_INFO,
          "Stopping: what runs may finish within %.3g s; a second signal stops "
          "at once",
          (double)g->app->app->limits.shutdown_timeout / 1000);
}

/* libuv has stopped the one that has fired, after its callback. */
static void rearm_cb(dw_deferred *d) {
  serving *g = d->data;
  for (int i = 0; i < WATCHES; i++) {
    watch *w = &g->watches[i];
    if (w->open) uv_signal_start_oneshot(&w->handle, arrived_cb, w->number);
  }
}

static int watch_all(serving *g) {
  for (int i = g->first; i < WATCHES; i++) {
    watch *w = &g->watches[i];
    w->number = numbers[i];
    if (sigaction(w->number, NULL, &w->before) != 0) return UV_EINVAL;
    int code = uv_signal_init(g->loop->uv, &w->handle);
    if (code < 0) return code;
    w->handle.data = g;
    w->open = true;
    g->open++;
    uv_unref((uv_handle_t *)&w->handle);
    code = uv_signal_start_oneshot(&w->handle, arrived_cb, w->number);
    if (code < 0) return code;
  }
  return 0;
}

static void closed_cb(uv_handle_t *handle) {
  serving *g = handle->data;
  g->open--;
}

static bool all_closed(void *data) {
  const serving *g = data;
  return g->open == 0;
}

static void close_watches(serving *g) {
  dw_deferred_cancel(&g->rearm);
  dw_timer_stop(g->loop, &g->hint);
  unwatch_all(g);
  for (int i = 0; i < WATCHES; i++)
    if (g->watches[i].open)
      uv_close((uv_handle_t *)&g->watches[i].handle, closed_cb);
  dw_loop_run(g->loop, all_closed, g);
}

/* --- Serving ---------------------------------------------------------------*/

/* Requests have their server's deadline. */
static bool requests_over(void *data) {
  serving *g = data;
  const dw_server *server = g->app->server;
  if (server->stopping && g->stopped_at == 0)
    g->stopped_at = dw_loop_now(g->loop) + 1;
  return server->stopping && dw_server_idle(server);
}

static bool tasks_over(void *data) {
  const serving *g = data;
  return g->app->tasks == 0;
}

static void deadline_cb(dw_timer *timer) {
  serving *g = timer->data;
  dw_engine_cancel(g->app->script);
  dw_timer_start(g->loop, timer, CANCEL_AGAIN);
}

/* Background tasks have what is left of SHUTDOWN_TIMEOUT. */
static int finish_tasks(serving *g) {
  if (g->app->tasks == 0) return 0;
  uint64_t due = g->stopped_at + g->app->app->limits.shutdown_timeout;
  uint64_t now = dw_loop_now(g->loop);
  dw_timer_start(g->loop, &g->deadline, due > now ? due - now : 0);
  int code = dw_loop_run(g->loop, tasks_over, g);
  dw_timer_stop(g->loop, &g->deadline);
  return code;
}

/* core:serve([signals [, worker]]): a worker's supervisor, which shares its
 * terminal, gets the SIGINT. */
int dw_app_serve(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  bool signals = lua_toboolean(L, 2);
  bool worker = lua_toboolean(L, 3);
  if (a->script->current)
    return dw_misuse(L, "serve is for a main chunk, not for a task");
  serving g = {.app = a, .loop = a->script->loop, .first = worker};
  if (g.loop->running)
    return dw_misuse(L, "the loop is turning already: serve was called from "
                        "inside of it");
  dw_deferred_init(&g.rearm, rearm_cb, &g);
  dw_timer_init(&g.hint, hint_cb, &g);
  dw_timer_init(&g.deadline, deadline_cb, &g);
  int code = signals ? watch_all(&g) : 0;
  if (code == 0) code = dw_loop_run(g.loop, requests_over, &g);
  if (code == 0) code = finish_tasks(&g);
  close_watches(&g);
  if (code < 0) return dw_errors_raise_code(L, a->script, code, "serve");
  return 0;
}
