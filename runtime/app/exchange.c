/* SPDX-License-Identifier: MIT */
/* An exchange's beginning and end, and what happens to it from outside: news of
 * its body, room to write, cancellation, running out of time. */
#include "app/exchange.h"

#include <stdio.h>

#include "app/mount.h"
#include "app/server.h"
#include "base/error.h"

void dw_exchange_request(dw_transaction *t) {
  dw_exchange *x = dw_exchange_of(t);
  dw_server *s = t->connection->http->data;
  x->server = s;
  x->app = s->app;
  if (!x->app->frozen) dw_app_freeze(x->app);
  x->observer = t->connection->data;
  x->scope = x->app->scope;
  x->max_content_length = x->app->limits.max_content_length;
  if (s->access_log && dw_log_on(s->log, DEWAR_INFO)) x->started = uv_hrtime();
  x->path = t->request.raw_path;
  if (memchr(x->path.ptr, '%', x->path.len))
    dw_path_decode(t->request.raw_path, &t->request.arena, &x->path);
  x->after = DW_STAGE_AFTER_THIS;
  dw_response_init(&x->plain, s->http.alloc);
  x->response = &x->plain;
  /* At MATCH the time is limited. Middleware in front of it has that of the
   * app; without memory for it the route has. */
  if (x->scope->hooks[DW_HOOK_REQUEST].count == 0)
    x->stage = DW_STAGE_MATCH;
  else
    (void)dw_exchange_limit_time(x, x->app->limits.request_timeout);
  dw_dispatch(x);
}

void dw_exchange_resume(dw_exchange *x, dw_verdict verdict) {
  x->resumed = true;
  x->verdict = (uint8_t)verdict;
  x->cancel_cb = NULL;
  if (!x->running) dw_dispatch(x);
}

dw_verdict dw_exchange_fail(dw_exchange *x, int status, const char *message) {
  x->error = (dw_error){
      .cls = dw_error_for_status(status), .status = status, .message = message};
  return DW_FAILED;
}

/* --- From outside ----------------------------------------------------------*/

void dw_exchange_body(dw_transaction *t) {
  dw_exchange *x = dw_exchange_of(t);
  void (*cb)(dw_exchange *) = x->body_cb;
  x->body_cb = NULL;
  if (cb) cb(x);
}

void dw_exchange_drain(dw_transaction *t) {
  dw_exchange *x = dw_exchange_of(t);
  void (*cb)(dw_exchange *) = x->drain_cb;
  x->drain_cb = NULL;
  if (cb) {
    cb(x);
  } else if (x->draining) {
    x->draining = false;
    dw_exchange_resume(x, DW_DONE);
  }
}

/* Ends what is pending, as soon as that can be. */
static void interrupt(dw_exchange *x, bool timeout) {
  if (x->cancel_cb) {
    void (*cb)(dw_exchange *, void *) = x->cancel_cb;
    x->cancel_cb = NULL;
    cb(x, x->cancel_data);
    x->error = (dw_error){.cls = &dw_error_cancelled};
    dw_exchange_resume(x, DW_FAILED);
  } else if (x->script) {
    x->server->runner->cancel(x, timeout);
  }
}

void dw_exchange_cancel(dw_exchange *x) {
  if (x->cancelled || x->stage > DW_STAGE_STREAM) return;
  x->cancelled = true;
  dw_exchange_unlimit_time(x);
  if (x->draining) {
    x->draining = false;
    dw_exchange_resume(x, DW_DONE);
    return;
  }
  interrupt(x, false);
}

void dw_exchange_gone(dw_transaction *t) {
  dw_exchange *x = dw_exchange_of(t);
  if (x->app->limits.cancel_on_disconnect) dw_exchange_cancel(x);
}

static void timeout_cb(dw_timer *timer) {
  dw_exchange *x = timer->data;
  if (x->stage >= DW_STAGE_SEND || x->cancelled) return;
  x->timed_out = true;
  interrupt(x, true);
}

int dw_exchange_limit_time(dw_exchange *x, uint64_t milliseconds) {
  if (milliseconds == 0) return 0;
  if (!x->timer) {
    x->timer = dw_arena_alloc(&x->http.request.arena, sizeof *x->timer);
    if (!x->timer) return DW_ENOMEM;
    dw_timer_init(x->timer, timeout_cb, x);
  }
  dw_timer_start(x->server->http.loop, x->timer, milliseconds);
  return 0;
}

void dw_exchange_unlimit_time(dw_exchange *x) {
  if (x->timer) dw_timer_stop(x->server->http.loop, x->timer);
}

/* --- The log ---------------------------------------------------------------*/

void dw_exchange_log(dw_exchange *x, const char *what) {
  dw_slice method = dw_method_name(x->http.request.method);
  dw_slice asked = dw_mount_whole_path(x);
  char where[512];
  snprintf(where, sizeof where, "%s %.*s [%.*s]", what, DW_FMT(asked),
           DW_FMT(method));
  if (x->script && x->error.script) {
    x->server->runner->log_error(x, where);
    return;
  }
  char text[1024];
  dewar_log_field field;
  snprintf(text, sizeof text, "%s: %s", where,
           x->error.message ? x->error.message
                            : (x->error.cls ? x->error.cls->name : "error"));
  size_t n = dw_exchange_log_fields(x, &field);
  dw_log_write(x->server->log, DEWAR_ERROR, text, &field, n);
}

size_t dw_exchange_log_fields(const dw_exchange *x, dewar_log_field *fields) {
  if (!x->id) return 0;
  *fields = (dewar_log_field){"request_id", x->id, 0};
  return 1;
}

/* Who the client is, for the log. */
static void remote_of(const dw_exchange *x, char *out, size_t size) {
  dw_stream *stream = x->http.connection->stream;
  int port;
  out[0] = '\0';
  if (x->remote.len > 0)
    snprintf(out, size, "%.*s", DW_FMT(x->remote));
  else if (stream)
    dw_stream_peer(stream, out, size, &port);
}

static void log_access(dw_exchange *x) {
  dw_log *log = x->server->log;
  if (!x->server->access_log || !dw_log_on(log, DEWAR_INFO)) return;
  dw_request *r = &x->http.request;
  char status[12], size[24], seconds[24], remote[64], path[256], text[384];
  double took = (double)(uv_hrtime() - x->started) / 1e9;
  dw_slice method = dw_method_name(r->method);
  remote_of(x, remote, sizeof remote);
  snprintf(status, sizeof status, "%d", x->http.status);
  snprintf(size, sizeof size, "%llu", (unsigned long long)x->http.sent);
  snprintf(seconds, sizeof seconds, "%.6f", took);
  dw_slice asked = dw_mount_whole_raw_path(x);
  snprintf(path, sizeof path, "%.*s", DW_FMT(asked));
  snprintf(text, sizeof text, "%.*s %s %s %sB %.1fms", DW_FMT(method), path,
           x->http.status ? status : "-", size, took * 1e3);
  char name[24];
  snprintf(name, sizeof name, "%.*s", DW_FMT(method));
  dewar_log_field fields[7] = {{"method", name, 0},     {"path", path, 0},
                               {"status", status, 1},   {"size", size, 1},
                               {"seconds", seconds, 1}, {"remote", remote, 0}};
  size_t n = 6 + dw_exchange_log_fields(x, fields + 6);
  dw_log_write(log, DEWAR_INFO, text, fields, n);
}

/* --- The end ---------------------------------------------------------------*/

void dw_exchange_end(dw_exchange *x) {
  dw_exchange_unlimit_time(x);
  log_access(x);
  if (x->observer) x->observer->ended_cb(x->observer, x);
  if (x->script) x->server->runner->end(x);
  dw_match_release(&x->match);
  dw_response_deinit(&x->plain);
  dw_transaction_end(&x->http);
}
