/* SPDX-License-Identifier: MIT */
/* dewar.h over the layers: making and freeing a runtime, loading, serving,
 * stopping. C views and what they see of a request are in view.c, requests
 * without a socket in local_request.c. */
#include "runtime.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"

/* --- Failures --------------------------------------------------------------*/

static void keep_text(dewar_runtime *rt, const char *format, va_list args) {
  va_list again;
  va_copy(again, args);
  int len = vsnprintf(NULL, 0, format, args);
  rt->error.len = 0;
  rt->error_static = NULL;
  if (len >= 0 && dw_buffer_reserve(&rt->error, (size_t)len + 1) == 0) {
    vsnprintf(rt->error.ptr, (size_t)len + 1, format, again);
    rt->error.len = (size_t)len;
  } else {
    rt->error_static = "out of memory for the text of an error";
  }
  va_end(again);
}

int dw_runtime_fail(dewar_runtime *rt, int code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  keep_text(rt, format, args);
  va_end(args);
  return code;
}

int dw_runtime_fail_code(dewar_runtime *rt, int code, const char *what) {
  return dw_runtime_fail(rt, code, "%s: %s", what, dw_strerror(code));
}

const char *dewar_error(const dewar_runtime *rt) {
  if (!rt) return "";
  if (rt->error_static) return rt->error_static;
  return rt->error.len ? rt->error.ptr : "";
}

const char *dewar_strerror(int code) { return dw_strerror(code); }

const char *dewar_version(void) { return DEWAR_VERSION; }

/* --- Making ----------------------------------------------------------------*/

void dewar_options_init(dewar_options *options) {
  if (options) *options = (dewar_options){.size = sizeof *options};
}

/* A host that was compiled with an older header has a shorter struct. */
static int read_options(dewar_options *to, const dewar_options *from) {
  dewar_options_init(to);
  if (!from) return 0;
  size_t size = from->size ? from->size : sizeof *from;
  if (size > sizeof *to || size < offsetof(dewar_options, loop))
    return DEWAR_EINVAL;
  memcpy(to, from, size);
  to->size = sizeof *to;
  return 0;
}

/* A host that waits for the backend's descriptor needs the handle behind
 * dewar_post to be known to it, and libuv sees to that in a turn only. */
static void first_turn(dewar_runtime *rt) {
  dw_loop_hold(&rt->loop);
  dw_loop_turn(&rt->loop, false);
  dw_loop_release(&rt->loop);
}

static int open_app(dewar_runtime *rt) {
  int code = dw_app_new(&rt->own_app, &rt->alloc);
  if (code < 0) return code;
  code = dw_server_new(&rt->own_server, &rt->loop, rt->own_app, NULL);
  if (code < 0) return code;
  rt->own_server->access_log = true;
  rt->app = rt->own_app;
  rt->server = rt->own_server;
  return 0;
}

static void stop_deadline_cb(dw_timer *timer);

static int runtime_new(dewar_runtime **out, const dewar_options *o) {
  dw_allocator a;
  dw_allocator_init(&a, o->alloc, o->alloc_data);
  dewar_runtime *rt = dw_zalloc(&a, sizeof *rt);
  *out = rt;
  if (!rt) return UV_ENOMEM;
  rt->alloc = a;
  rt->log = (dw_log){.sink = o->log,
                     .data = o->log_data,
                     .level = o->log_level ? o->log_level : DEWAR_INFO};
  rt->refs = 1;
  rt->state = DW_RUNTIME_CLOSED;
  dw_list_init(&rt->routes);
  dw_list_init(&rt->calls);
  dw_list_init(&rt->requests);
  dw_buffer_init(&rt->error, &rt->alloc, 0);
  dw_mime_init(&rt->mime, &rt->alloc);
  dw_timer_init(&rt->stop_deadline, stop_deadline_cb, rt);
  int code = dw_loop_init(&rt->loop, o->loop, &rt->alloc, &rt->log);
  if (code < 0) return code;
  rt->state = DW_RUNTIME_OPEN;
  if (rt->loop.owned) first_turn(rt);
  code = open_app(rt);
  return code < 0 ? code : dw_engine_open(rt, o->lua);
}

int dewar_new(dewar_runtime **out, const dewar_options *options) {
  if (!out) return DEWAR_EINVAL;
  *out = NULL;
  dewar_options o;
  int code = read_options(&o, options);
  if (code < 0) return code;
  dewar_runtime *rt;
  code = runtime_new(&rt, &o);
  if (code < 0) {
    dewar_free(rt);
    return code;
  }
  *out = rt;
  return 0;
}

void dw_runtime_release(dewar_runtime *rt) {
  if (--rt->refs > 0) return;
  dw_allocator a = rt->alloc;
  dw_allocator_trim(&a);
  dw_free(&a, rt, sizeof *rt);
}

/* --- Freeing ---------------------------------------------------------------*/

enum {
  CLOSE_GRACE = 10000
}; /* ms for what is shielded, before the app's end */

/* What the app wants to have run after it has served. */
static int shut_down(dewar_runtime *rt, bool at_once) {
  if (!rt->loaded) return 0;
  rt->busy++;
  int code = dw_engine_finish(rt->script, at_once);
  rt->busy--;
  dw_timer_stop(&rt->loop, &rt->stop_deadline);
  return code;
}

static bool is_idle(void *data) {
  dewar_runtime *rt = data;
  if (!dw_list_empty(&rt->requests)) return false;
  if (rt->own_server && !dw_server_idle(rt->own_server)) return false;
  return !rt->script || dw_engine_idle(rt->script);
}

/* What was posted is done first, as it may answer what is pending; then all
 * that runs is told to end, and nobody asks for more. */
static void cancel_all(dewar_runtime *rt) {
  dw_loop_turn(&rt->loop, false);
  while (rt->stops < 2) dw_runtime_stop(rt);
  dw_views_drop(rt);
  dw_loop_turn(&rt->loop, false);
}

typedef struct ending {
  dewar_runtime *runtime;
  dw_timer grace;
  bool over;
} ending;

static void grace_cb(dw_timer *timer) {
  ending *e = timer->data;
  e->over = true;
}

static bool has_calmed_down(void *data) {
  const ending *e = data;
  return e->over || (is_idle(e->runtime) && dw_engine_done(e->runtime->script));
}

/* When what was cancelled is over, the app has its end. */
static void end_app(dewar_runtime *rt) {
  ending e = {.runtime = rt};
  dw_timer_init(&e.grace, grace_cb, &e);
  dw_timer_start(&rt->loop, &e.grace, CLOSE_GRACE);
  dw_loop_run(&rt->loop, has_calmed_down, &e);
  dw_timer_stop(&rt->loop, &e.grace);
  dw_timer_stop(&rt->loop, &rt->stop_deadline);
  if (shut_down(rt, false) < 0)
    dw_log_write(&rt->log, DEWAR_ERROR, dewar_error(rt), NULL, 0);
}

int dw_runtime_close(dewar_runtime *rt) {
  if (rt->state == DW_RUNTIME_CLOSED) return 0;
  if (rt->state == DW_RUNTIME_CLOSING || rt->loop.running || rt->busy)
    return DEWAR_EREENTRY;
  rt->state = DW_RUNTIME_CLOSING;
  cancel_all(rt);
  if (rt->loaded) end_app(rt);
  if (rt->script) dw_engine_close(rt->script);
  rt->script = NULL;
  rt->app = NULL;
  rt->server = NULL;
  dw_loop_run(&rt->loop, is_idle, rt);
  dw_server_free(rt->own_server);
  dw_app_free(rt->own_app);
  dw_views_deinit(rt);
  dw_timer_stop(&rt->loop, &rt->stop_deadline);
  dw_loop_deinit(&rt->loop);
  dw_mime_deinit(&rt->mime);
  dw_buffer_deinit(&rt->error);
  rt->error_static = "the runtime has been freed";
  rt->state = DW_RUNTIME_CLOSED;
  return 0;
}

int dewar_free(dewar_runtime *rt) {
  if (!rt) return 0;
  int code = dw_runtime_close(rt);
  if (code < 0)
    return dw_runtime_fail(rt, code,
                           "dewar_free was called from inside a "
                           "callback of the runtime");
  dw_runtime_release(rt);
  return 0;
}

/* --- Loading ---------------------------------------------------------------*/

static int load(dewar_runtime *rt, const dw_source *source) {
  if (rt->state != DW_RUNTIME_OPEN)
    return dw_runtime_fail(rt, DEWAR_EMISUSE, "the runtime is being freed");
  if (rt->loaded)
    return dw_runtime_fail(rt, DEWAR_EMISUSE, "an app has been loaded already");
  if (rt->own_app->frozen)
    return dw_runtime_fail(rt, DEWAR_EMISUSE,
                           "an app can't be loaded after the first request");
  dw_app *app;
  dw_server *server;
  rt->busy++;
  int code = dw_engine_load(rt->script, source, &app, &server);
  rt->busy--;
  if (code == 0) code = dw_views_add_all(rt, app);
  if (code < 0) return code;
  rt->app = app;
  rt->server = server;
  rt->loaded = true;
  return 0;
}

int dewar_load_file(dewar_runtime *rt, const char *path) {
  if (!rt) return DEWAR_EINVAL;
  if (!path) return dw_runtime_fail(rt, DEWAR_EINVAL, "the path is NULL");
  return load(rt, &(dw_source){.path = path});
}

int dewar_load_string(dewar_runtime *rt, const char *text, size_t len,
                      const char *name) {
  if (!rt) return DEWAR_EINVAL;
  if (!text) return dw_runtime_fail(rt, DEWAR_EINVAL, "the text is NULL");
  return load(
      rt,
      &(dw_source){.text = text, .len = len, .name = name ? name : "string"});
}

/* --- Looking in ------------------------------------------------------------*/

void *dewar_lua(dewar_runtime *rt) {
  return rt && rt->script ? dw_engine_state(rt->script) : NULL;
}

void *dewar_loop(dewar_runtime *rt) { return rt ? rt->loop.uv : NULL; }

size_t dewar_memory(const dewar_runtime *rt) { return rt ? rt->alloc.used : 0; }

int dewar_port(const dewar_runtime *rt) { return rt ? rt->port : 0; }

/* --- Listening -------------------------------------------------------------*/

int dw_runtime_activate(dewar_runtime *rt) {
  return rt->loaded ? dw_engine_activate(rt->script) : 0;
}

/* What the app wants to have run before it serves. */
static int start_up(dewar_runtime *rt) {
  if (!rt->loaded) return 0;
  rt->busy++;
  int code = dw_engine_start(rt->script);
  rt->busy--;
  return code;
}

static int check_listen(dewar_runtime *rt) {
  if (rt->state != DW_RUNTIME_OPEN)
    return dw_runtime_fail(rt, DEWAR_EMISUSE, "the runtime is being freed");
  if (rt->server->stopping)
    return dw_runtime_fail(rt, DEWAR_EMISUSE, "the runtime has been stopped");
  if (rt->server->nlisteners == DW_LISTENERS_MAX)
    return dw_runtime_fail(rt, DEWAR_EMISUSE,
                           "%d sockets are open, and that is the most",
                           DW_LISTENERS_MAX);
  int code = dw_runtime_activate(rt);
  return code < 0 ? code : start_up(rt);
}

int dewar_listen(dewar_runtime *rt, const char *host, int port) {
  if (!rt) return DEWAR_EINVAL;
  if (!host) return dw_runtime_fail(rt, DEWAR_EINVAL, "the host is NULL");
  if (port < 0 || port > 65535)
    return dw_runtime_fail(rt, DEWAR_EINVAL,
                           "a port is a number from 0 to 65535, not %d", port);
  int code = check_listen(rt);
  if (code < 0) return code;
  int bound = 0;
  code = dw_server_listen(rt->server, host, port, &bound);
  if (code < 0)
    return dw_runtime_fail(rt, code, "cannot listen on %s, port %d: %s", host,
                           port, dw_strerror(code));
  rt->port = bound;
  return 0;
}

int dewar_listen_unix(dewar_runtime *rt, const char *path) {
  if (!rt) return DEWAR_EINVAL;
  if (!path || !*path)
    return dw_runtime_fail(rt, DEWAR_EINVAL, "the path is %s",
                           path ? "empty" : "NULL");
  int code = check_listen(rt);
  if (code < 0) return code;
  code = dw_server_listen_unix(rt->server, path);
  if (code < 0)
    return dw_runtime_fail(rt, code, "cannot listen on %s: %s", path,
                           dw_strerror(code));
  return 0;
}

/* --- Turning ---------------------------------------------------------------*/

static bool is_stopped(void *data) {
  dewar_runtime *rt = data;
  return rt->stops > 0 && is_idle(rt) && dw_engine_done(rt->script);
}

int dw_runtime_run(dewar_runtime *rt) {
  int code = dw_loop_run(&rt->loop, is_stopped, rt);
  if (code == DEWAR_EREENTRY)
    return dw_runtime_fail(rt, code,
                           "the loop is turning already: this is a "
                           "callback of it");
  dw_timer_stop(&rt->loop, &rt->stop_deadline);
  /* Where nothing is left that could happen, the work is done. */
  if (code == DEWAR_EDEADLOCK) code = 0;
  if (code == 0 && rt->stops > 0) code = shut_down(rt, rt->stops > 1);
  rt->stops = 0;
  return code;
}

int dewar_run(dewar_runtime *rt) {
  if (!rt) return DEWAR_EINVAL;
  if (rt->state != DW_RUNTIME_OPEN)
    return dw_runtime_fail(rt, DEWAR_EREENTRY, "the runtime is being freed");
  return dw_runtime_run(rt);
}

int dewar_poll(dewar_runtime *rt) {
  if (!rt) return DEWAR_EINVAL;
  int code = dw_loop_turn(&rt->loop, false);
  if (code < 0)
    return dw_runtime_fail(rt, code,
                           "the loop is turning already: this is a "
                           "callback of it");
  return code;
}

int dewar_backend_fd(const dewar_runtime *rt) {
  return rt ? uv_backend_fd(rt->loop.uv) : DEWAR_EINVAL;
}

double dewar_backend_timeout(const dewar_runtime *rt) {
  if (!rt) return -1;
  /* Where nothing is alive, libuv says 0, and the host would never sleep. */
  if (!uv_loop_alive(rt->loop.uv)) return -1;
  /* libuv counts from when it last looked at the clock. */
  uv_update_time(rt->loop.uv);
  int ms = uv_backend_timeout(rt->loop.uv);
  return ms < 0 ? -1 : ms / 1e3;
}

/* --- Stopping --------------------------------------------------------------*/

enum { STOP_CHECK = 50 }; /* ms between looks at what is left */

/* Requests have their server's deadline; this one is for other tasks. */
static void stop_deadline_cb(dw_timer *timer) {
  dewar_runtime *rt = timer->data;
  if (dw_engine_done(rt->script)) return;
  if (dw_loop_now(&rt->loop) >= rt->stop_due) dw_engine_cancel(rt->script);
  dw_timer_start(&rt->loop, timer, STOP_CHECK);
}

void dw_runtime_stop(dewar_runtime *rt) {
  if (rt->stops < 2) rt->stops++;
  if (rt->own_server) dw_server_stop(rt->own_server);
  if (!rt->script) return;
  dw_engine_stop(rt->script);
  if (rt->stops > 1) dw_engine_cancel(rt->script);
  rt->stop_due = dw_loop_now(&rt->loop) + rt->app->limits.shutdown_timeout;
  if (!dw_engine_done(rt->script))
    dw_timer_start(&rt->loop, &rt->stop_deadline, STOP_CHECK);
}

static void stop_post(void *data) {
  dewar_runtime *rt = data;
  if (rt->state == DW_RUNTIME_OPEN) dw_runtime_stop(rt);
}

int dewar_stop(dewar_runtime *rt) {
  return rt ? dw_loop_post(&rt->loop, stop_post, rt) : DEWAR_EINVAL;
}

int dewar_post(dewar_runtime *rt, void (*fn)(void *data), void *data) {
  return rt && fn ? dw_loop_post(&rt->loop, fn, data) : DEWAR_EINVAL;
}
