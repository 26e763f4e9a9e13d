/* SPDX-License-Identifier: MIT */
/* The server: listeners in front of an app, a limit of connections, a graceful
 * stop. */
#include "app/server.h"

#include "app/default_page.h"
#include "base/error.h"

/* The parser refused a request: no app is asked, since what it says can't be
 * trusted. */
static void reject_cb(dw_http *h, const dw_request *request, int status,
                      const char *reason, dw_response *response) {
  dw_server *s = h->data;
  dw_buffer page;
  dw_buffer_init(&page, h->alloc, 0);
  response->status = status;
  response->type = "text/html; charset=utf-8";
  if (dw_default_page(&page, status, dw_slice_str(reason), false) == 0)
    dw_response_set_body(response, dw_buffer_slice(&page));
  dw_buffer_deinit(&page);
  if (s->access_log)
    dw_logf(s->log, DEWAR_INFO, "refused a request: %d, %s%s%.*s", status,
            reason, request->target.len ? ", target " : "",
            request->target.len > 100 ? 100 : (int)request->target.len,
            request->target.ptr ? request->target.ptr : "");
}

/* All listeners wait while the server is held or MAX_CONNECTIONS are open. */
static void check_limit(dw_server *s) {
  size_t max = s->app->limits.max_connections;
  bool full = s->held || (max && s->http.count >= max);
  if (full == s->paused || s->stopping) return;
  s->paused = full;
  for (unsigned i = 0; i < s->nlisteners; i++) {
    if (full)
      dw_listener_pause(s->listeners[i]);
    else
      dw_listener_resume(s->listeners[i]);
  }
}

static void check_idle(dw_server *s) {
  if (!dw_server_idle(s)) return;
  dw_timer_stop(s->http.loop, &s->deadline);
  if (s->idle_cb) s->idle_cb(s);
}

static void closed_cb(dw_connection *c) {
  dw_server *s = c->http->data;
  dw_observer *o = c->data;
  if (o) o->closed_cb(o);
  check_limit(s);
  check_idle(s);
}

static const dw_http_events events = {
    .size = sizeof(dw_exchange),
    .request_cb = dw_exchange_request,
    .body_cb = dw_exchange_body,
    .drain_cb = dw_exchange_drain,
    .gone_cb = dw_exchange_gone,
    .reject_cb = reject_cb,
    .closed_cb = closed_cb,
};

/* Ends what runs, whether or not a client's end would (CANCEL_ON_DISCONNECT),
 * or has come before. */
static void cut(dw_server *s) {
  dw_list *all = &s->http.connections;
  for (dw_list *n = all->next, *next; n != all; n = next) {
    dw_connection *c = DW_CONTAINER(n, dw_connection, node);
    next = n->next;
    if (c->transaction) dw_exchange_cancel(dw_exchange_of(c->transaction));
  }
  dw_http_cut(&s->http);
}

/* SHUTDOWN_TIMEOUT is over. */
static void deadline_cb(dw_timer *timer) { cut(timer->data); }

int dw_server_new(dw_server **out, dw_loop *loop, dw_app *app,
                  const dw_runner *runner) {
  dw_server *s = dw_zalloc(loop->alloc, sizeof *s);
  *out = s;
  if (!s) return DW_ENOMEM;
  dw_http_init(&s->http, loop, &app->limits, &events, s);
  s->app = app;
  s->runner = runner;
  s->log = loop->log;
  dw_timer_init(&s->deadline, deadline_cb, s);
  return 0;
}

void dw_server_free(dw_server *s) {
  if (!s) return;
  dw_http_deinit(&s->http);
  dw_free(s->http.alloc, s, sizeof *s);
}

int dw_server_accept(dw_server *s, dw_stream *stream, dw_connection **out) {
  dw_connection *c;
  int code = dw_connection_open(&s->http, stream, &c);
  if (out) *out = c;
  if (code == 0) check_limit(s);
  return code;
}

void dw_server_hold(dw_server *s) {
  s->held = true;
  check_limit(s);
}

void dw_server_admit(dw_server *s) {
  s->held = false;
  check_limit(s);
}

static void accept_cb(dw_listener *l, dw_stream *stream) {
  dw_server *s = l->data;
  if (dw_server_accept(s, stream, NULL) < 0)
    dw_logf(s->log, DEWAR_ERROR, "refused a connection: out of memory");
}

static void add_listener(dw_server *s, dw_listener *l) {
  s->listeners[s->nlisteners++] = l;
  if (s->paused) dw_listener_pause(l);
}

int dw_server_listen(dw_server *s, const char *host, int port, int *bound) {
  if (s->stopping || s->nlisteners == DW_LISTENERS_MAX) return DEWAR_EMISUSE;
  dw_listener *l;
  int code = dw_listener_open_tcp(s->http.loop, host, port, accept_cb, s, &l);
  if (code < 0) return code;
  add_listener(s, l);
  if (bound) *bound = dw_listener_port(l);
  return 0;
}

int dw_server_listen_unix(dw_server *s, const char *path) {
  if (s->stopping || s->nlisteners == DW_LISTENERS_MAX) return DEWAR_EMISUSE;
  dw_listener *l;
  int code = dw_listener_open_unix(s->http.loop, path, accept_cb, s, &l);
  if (code < 0) return code;
  add_listener(s, l);
  return 0;
}

int dw_server_listen_fd(dw_server *s, int fd) {
  if (s->stopping || s->nlisteners == DW_LISTENERS_MAX) return DEWAR_EMISUSE;
  dw_listener *l;
  int code = dw_listener_open_fd(s->http.loop, fd, accept_cb, s, &l);
  if (code < 0) return code;
  s->listeners[s->nlisteners++] = l;
  return 0;
}

static void listener_closed_cb(void *data) {
  dw_server *s = data;
  s->closing--;
  check_idle(s);
}

bool dw_server_idle(const dw_server *s) {
  return s->nlisteners == 0 && s->closing == 0 && s->http.count == 0;
}

static void tell_streams(dw_server *s) {
  dw_list *all = &s->http.connections;
  for (dw_list *n = all->next; n != all; n = n->next) {
    const dw_connection *c = DW_CONTAINER(n, dw_connection, node);
    dw_exchange *x = c->transaction ? dw_exchange_of(c->transaction) : NULL;
    if (x && x->script) s->runner->stop(x);
  }
}

void dw_server_stop(dw_server *s) {
  if (s->stopping) {
    cut(s);
    return;
  }
  s->stopping = true;
  while (s->nlisteners > 0) {
    s->closing++;
    dw_listener_close(s->listeners[--s->nlisteners], listener_closed_cb, s);
  }
  tell_streams(s);
  dw_http_stop(&s->http);
  uint64_t limit = s->app->limits.shutdown_timeout;
  if (s->http.count > 0)
    dw_timer_start(s->http.loop, &s->deadline, limit ? limit : 1);
}
