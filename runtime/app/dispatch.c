/* SPDX-License-Identifier: MIT */
/* Dispatch: a request's life as a state machine. Each stage is a function that
 * does the next piece of work and gives a verdict; `moves` says where that
 * leads. A pending stage returns to the loop; dw_exchange_resume goes on with
 * its verdict. The order of stages is the one of docs/lifecycle.md.
 *
 *   request -> match -> preprocess -> before -> view -> after this -> after
 *     -> response -> send -> stream -> close body -> reap -> teardown
 *     -> reap again -> end
 *                 \-> error / server error -> after this ...
 *
 * Between them lie stages that are signals, passed by where nobody listens. */
#include "app/exchange.h"

#include "app/server.h"
#include "base/error.h"
#include "http/ws_handshake.h"

static const dw_hook_cursor at_start;
static const char too_long[] = "The request took too long.";

static const dw_runner *runner(dw_exchange *x) { return x->server->runner; }

static void go(dw_exchange *x, dw_stage stage) {
  x->stage = stage;
  x->cursor = at_start;
}

/* Whether the request has become a WebSocket, which has no answer any more. */
static bool is_switched(const dw_exchange *x) {
  return x->http.connection->upgrade != NULL;
}

/* --- Before the answer -----------------------------------------------------*/

static dw_verdict match(dw_exchange *x) {
  dw_request *r = &x->http.request;
  dw_match_query query = {.method = r->method,
                          .host = r->host,
                          .raw_path = r->raw_path,
                          .query = r->query};
  if (x->app->hosts.names && !dw_hosts_trust(&x->app->hosts, r->host))
    return dw_exchange_fail(x, 400, "This host is none of ours.");
  if (r->asterisk) {
    x->match.kind = DW_MATCH_OPTIONS;
    x->match.allowed = DW_METHOD_BIT(DW_METHOD_OPTIONS);
    return DW_PASS;
  }
  if (r->upgrade) query.websocket = dw_ws_is_asked(r);
  if (dw_router_match(x->app->router, &query, &r->arena, &x->match) < 0)
    return dw_exchange_fail(x, 503, "out of memory");
  if (x->match.kind == DW_MATCH_FOUND) {
    x->route = dw_rule_data(x->match.rule);
    x->scope = x->route->scope;
    x->websocket = query.websocket;
    if (x->route->has_max_content_length)
      x->max_content_length = x->route->max_content_length;
  }
  uint64_t timeout = x->route && x->route->timeout
                         ? x->route->timeout
                         : x->app->limits.request_timeout;
  if (timeout) dw_timer_start(x->server->http.loop, &x->timer, timeout);
  return DW_PASS;
}

/* The signal that a stage is; COUNT: it is none. */
static dw_signal signal_of(dw_stage stage) {
  switch (stage) {
  case DW_STAGE_STARTED:
    return DW_SIGNAL_STARTED;
  case DW_STAGE_EXCEPTION:
    return DW_SIGNAL_EXCEPTION;
  case DW_STAGE_FINISHED:
    return DW_SIGNAL_FINISHED;
  case DW_STAGE_TORN_DOWN:
    return DW_SIGNAL_TEARDOWN;
  default:
    return DW_SIGNAL_COUNT;
  }
}

static bool is_heard(const dw_exchange *x, dw_signal signal) {
  return x->app->heard & 1u << signal;
}

static dw_verdict send_signal(dw_exchange *x) {
  dw_handler *h = x->app->signals[signal_of((dw_stage)x->stage)];
  return h->call(h, x);
}

/* The list that a stage walks, and which way; false: it walks none. */
static bool hooks_of(dw_exchange *x, dw_hook *hook, bool *reverse) {
  *reverse = x->stage >= DW_STAGE_AFTER;
  switch (x->stage) {
  case DW_STAGE_REQUEST:
    *hook = DW_HOOK_REQUEST;
    return true;
  case DW_STAGE_PREPROCESS:
    *hook = DW_HOOK_PREPROCESS;
    return true;
  case DW_STAGE_BEFORE:
    *hook = DW_HOOK_BEFORE;
    return true;
  case DW_STAGE_AFTER:
    *hook = DW_HOOK_AFTER;
    return true;
  case DW_STAGE_RESPONSE:
    *hook = DW_HOOK_RESPONSE;
    return true;
  case DW_STAGE_TEARDOWN:
    *hook = DW_HOOK_TEARDOWN;
    return true;
  default:
    return false;
  }
}

/* The next hook, or PASS when there are no more: `more` tells them apart. */
static dw_verdict call_next(dw_exchange *x, bool *more) {
  dw_hook hook;
  bool reverse;
  if (!hooks_of(x, &hook, &reverse)) return DW_PASS;
  dw_handler *h = dw_hook_next(x->scope, hook, reverse, &x->cursor);
  *more = h != NULL;
  return h ? h->call(h, x) : DW_PASS;
}

dw_handler *dw_exchange_next_hook(dw_exchange *x, const dw_handler *like) {
  dw_hook hook;
  bool reverse;
  if (!hooks_of(x, &hook, &reverse)) return NULL;
  if (x->cancelled && x->stage <= DW_STAGE_STREAM) return NULL;
  dw_hook_cursor cursor = x->cursor;
  dw_handler *h = dw_hook_next(x->scope, hook, reverse, &cursor);
  if (!h || h->call != like->call) return NULL;
  x->cursor = cursor;
  return h;
}

/* The session goes first. One that a hook here opens is saved behind that. */
static dw_verdict call_response(dw_exchange *x, bool *more) {
  if (!x->session) return call_next(x, more);
  x->session = false;
  return x->app->saver->call(x->app->saver, x);
}

static dw_verdict answer(dw_exchange *x, int code) {
  return code < 0 ? dw_exchange_fail(x, 503, "out of memory") : DW_DONE;
}

/* There are rules for this path, but all of the other kind. */
static dw_verdict wrong_protocol(dw_exchange *x) {
  dw_request *r = &x->http.request;
  if (dw_ws_is_asked(r))
    return dw_exchange_fail(x, 400, "This address doesn't speak WebSocket.");
  return dw_exchange_fail(x, dw_ws_is_attempt(r) ? 426 : 400,
                          "This address speaks WebSocket only.");
}

static dw_verdict view(dw_exchange *x) {
  const char *problem;
  switch (x->match.kind) {
  case DW_MATCH_FOUND:
    if (x->websocket && (problem = dw_ws_problem(&x->http.request)))
      return dw_exchange_fail(x, 426, problem);
    return x->route->view->call(x->route->view, x);
  case DW_MATCH_OPTIONS:
    return answer(x, dw_answer_options(x));
  case DW_MATCH_REDIRECT:
    return answer(x, dw_answer_redirect(x));
  case DW_MATCH_NOT_FOUND:
    return dw_exchange_fail(x, 404, NULL);
  case DW_MATCH_NOT_ALLOWED:
    return dw_exchange_fail(x, 405, NULL);
  case DW_MATCH_BAD_PATH:
    return dw_exchange_fail(x, 400, "The path has an invalid escape.");
  case DW_MATCH_WEBSOCKET:
    return wrong_protocol(x);
  case DW_MATCH_FAILED:
    break;
  }
  return dw_exchange_fail(x, 500, "A converter of the route failed.");
}

/* --- Errors ----------------------------------------------------------------*/

/* The first unhandled error is the one that teardown gets. */
static void keep_unhandled(dw_exchange *x) {
  if (x->unhandled.cls) return;
  x->unhandled = x->error;
  if (x->script && x->error.script) runner(x)->keep_error(x);
}

/* Ends a WebSocket: its view is over, or an error is its end. */
static void hang_up(dw_exchange *x, bool failed) {
  dw_upgrade *u = x->http.connection->upgrade;
  u->type->finish(u, failed, x->error.status >= 400 && x->error.status < 500);
  go(x, DW_STAGE_CLOSE_BODY);
}

/* The default page goes to the stage that x is in by now. */
static void answer_error(dw_exchange *x) {
  if (is_switched(x))
    hang_up(x, true);
  else if (dw_answer_error(x) < 0)
    go(x, DW_STAGE_CLOSE_BODY);
}

/* What no handler dealt with: the log has it, and the handler for 500 answers,
 * or a test gets it raised. */
static void answer_unhandled(dw_exchange *x) {
  if (x->app->testing && x->observer && x->observer->propagates) {
    x->propagated = true;
    if (is_switched(x))
      hang_up(x, true);
    else
      go(x, DW_STAGE_CLOSE_BODY);
    return;
  }
  dw_exchange_log(x, "Exception on");
  if (x->script) runner(x)->wrap_error(x);
  x->error.cls = dw_error_for_status(500);
  x->error.status = 500;
  x->error.message = NULL;
  x->handler = dw_scope_find_error(x->scope, x->error.cls, 500);
  if (x->handler) {
    x->stage = DW_STAGE_SERVER_ERROR; /* keeps an after hook's cursor */
    return;
  }
  x->stage = x->after;
  answer_error(x);
}

/* The same, once teardown will get it and listeners know. */
static void server_error(dw_exchange *x) {
  keep_unhandled(x);
  if (is_heard(x, DW_SIGNAL_EXCEPTION))
    x->stage = DW_STAGE_EXCEPTION; /* keeps an after hook's cursor */
  else
    answer_unhandled(x);
}

/* Nobody is left to answer: neither error handlers nor after hooks run. */
static void cancelled(dw_exchange *x) {
  if (x->error.cls != &dw_error_cancelled)
    x->error = (dw_error){.cls = &dw_error_cancelled};
  keep_unhandled(x);
  go(x, DW_STAGE_CLOSE_BODY);
}

static bool is_overdue(const dw_exchange *x) {
  return x->error.cls == &dw_error_cancelled && x->timed_out;
}

/* An error of a view or a hook before it. */
static void route_error(dw_exchange *x) {
  if (is_overdue(x)) {
    if (x->script) runner(x)->uncancel(x);
    dw_exchange_fail(x, 503, too_long);
  }
  x->handler = dw_scope_find_error(x->scope, x->error.cls, x->error.status);
  if (x->handler) {
    go(x, DW_STAGE_ERROR);
  } else if (x->error.status && x->error.cls != &dw_error_cancelled) {
    go(x, DW_STAGE_AFTER_THIS);
    answer_error(x);
  } else if (is_switched(x) && x->error.cls == &dw_error_websocket_closed) {
    hang_up(x, false); /* it wrote to a client that had said goodbye */
  } else {
    server_error(x);
  }
}

/* Time ran out where an answer was made or finished: no handler is asked. */
static void out_of_time(dw_exchange *x) {
  if (x->script) runner(x)->uncancel(x);
  dw_exchange_fail(x, 503, too_long);
  x->stage = x->after;
  answer_error(x);
}

/* A handler for errors failed itself. */
static void handler_failed(dw_exchange *x) {
  if (is_overdue(x)) {
    out_of_time(x);
    return;
  }
  if (x->stage == DW_STAGE_ERROR) {
    server_error(x);
    return;
  }
  dw_exchange_log(x, "The handler for 500 failed on");
  x->error = (dw_error){.cls = dw_error_for_status(500), .status = 500};
  x->stage = x->after;
  answer_error(x);
}

/* An after hook failed: the answer becomes a 500, once, and passes the hooks
 * that have not run yet. */
static void after_failed(dw_exchange *x) {
  bool last = x->stage == DW_STAGE_FINISHED; /* it is called once */
  if (x->failed_after) {
    dw_exchange_log(x, "An after_request function failed on");
    if (last) go(x, DW_STAGE_SEND);
    return;
  }
  x->failed_after = true;
  x->after = last ? DW_STAGE_SEND : x->stage;
  if (is_overdue(x))
    out_of_time(x);
  else
    server_error(x);
}

/* --- Sending ---------------------------------------------------------------*/

/* A file that isn't in memory is sent as a stream is, in its own time. */
static int reply(dw_exchange *x, bool *stream) {
  dw_transaction *t = &x->http;
  dw_response *r = x->response;
  *stream = true;
  if (r->kind == DW_BODY_STREAM) return dw_reply_start(t, r);
  if (r->kind == DW_BODY_FILE && r->length > 0 && !dw_response_bytes(r).len)
    return dw_reply_file(t, r);
  *stream = false;
  return dw_reply(t, r);
}

/* Most answers are: not worth the question how to encode them. */
static bool is_short(const dw_exchange *x) {
  const dw_response *r = x->response;
  return r->kind == DW_BODY_BYTES && !r->compress && r->status != 304 &&
         r->body.len < x->app->compression.min_size;
}

static dw_verdict transmit(dw_exchange *x) {
  dw_transaction *t = &x->http;
  bool stream;
  dw_timer_stop(x->server->http.loop, &x->timer);
  if (x->response->status == 405 && x->match.kind == DW_MATCH_NOT_ALLOWED)
    dw_answer_allow(x);
  if (x->has_whole && x->response->status == 416) dw_answer_whole(x);
  if (x->response->status == 426 &&
      (x->websocket || x->match.kind == DW_MATCH_WEBSOCKET))
    dw_answer_upgrade(x);
  int code;
  if (is_short(x) || !dw_compress_reply(x, &stream, &code))
    code = reply(x, &stream);
  if (code == DW_ENOMEM) {
    t->coding = DW_CODING_NONE;
    dw_response_clear_body(x->response);
    dw_headers_deinit(&x->response->headers);
    dw_response_set_status(x->response, 503, DW_EMPTY);
    code = dw_reply(t, x->response);
    stream = false;
  }
  if (code < 0) dw_reply_cut(t);
  return stream && code == 0 ? DW_DONE : DW_PASS;
}

static dw_verdict pump_file(dw_exchange *x) {
  int code = dw_reply_file_next(&x->http);
  if (code == 1) {
    x->draining = true;
    return DW_PENDING;
  }
  if (code == 0 || code == DEWAR_ECLOSED) return DW_PASS;
  x->error = (dw_error){.cls = &dw_error_base,
                        .message = code == UV_EOF
                                       ? "the file has become shorter while "
                                         "it was sent"
                                       : dw_strerror(code)};
  return DW_FAILED;
}

/* The next piece of a body that is whole, and encoded slice by slice. */
static dw_verdict pump_whole(dw_exchange *x) {
  int code = dw_compress_piece(x);
  if (code == DW_ENOMEM) return dw_exchange_fail(x, 503, "out of memory");
  return code == 0 ? DW_DONE : DW_PASS;
}

static dw_verdict pump(dw_exchange *x) {
  if (x->http.bodiless || dw_reply_sated(&x->http)) return DW_PASS;
  dw_body_kind kind = x->response->kind;
  bool whole = kind != DW_BODY_STREAM && dw_response_bytes(x->response).len > 0;
  if (kind == DW_BODY_FILE && !whole) return pump_file(x);
  if (dw_reply_full(&x->http)) {
    x->draining = true;
    return DW_PENDING;
  }
  return whole ? pump_whole(x) : runner(x)->next_piece(x);
}

static void stream_failed(dw_exchange *x) {
  bool told = x->error.cls != &dw_error_cancelled;
  keep_unhandled(x);
  if (told) dw_exchange_log(x, "Exception while streaming the body of");
  dw_reply_cut(&x->http);
  x->after = DW_STAGE_CLOSE_BODY;
  go(x, told && is_heard(x, DW_SIGNAL_EXCEPTION) ? DW_STAGE_EXCEPTION
                                                 : DW_STAGE_CLOSE_BODY);
}

/* A body that ended before its Content-Length has been cut off. */
static void stream_too_short(dw_exchange *x) {
  x->error = (dw_error){.cls = &dw_error_base,
                        .message = "the body is shorter than its "
                                   "Content-Length"};
  stream_failed(x);
}

static dw_verdict reap(dw_exchange *x) {
  return x->script ? runner(x)->reap(x) : DW_PASS;
}

/* Listeners know of an error: it goes where it went. */
static void exception_told(dw_exchange *x) {
  if (x->after == DW_STAGE_CLOSE_BODY)
    go(x, DW_STAGE_CLOSE_BODY);
  else
    answer_unhandled(x);
}

/* --- The machine -----------------------------------------------------------*/

/* Does the stage's next piece of work. *more: the stage goes on after it. */
static dw_verdict work(dw_exchange *x, bool *more) {
  switch ((dw_stage)x->stage) {
  case DW_STAGE_MATCH:
    return match(x);
  case DW_STAGE_REQUEST:
  case DW_STAGE_PREPROCESS:
  case DW_STAGE_BEFORE:
  case DW_STAGE_AFTER:
  case DW_STAGE_TEARDOWN:
    return call_next(x, more);
  case DW_STAGE_RESPONSE:
    return call_response(x, more);
  case DW_STAGE_STARTED:
  case DW_STAGE_EXCEPTION:
  case DW_STAGE_FINISHED:
  case DW_STAGE_TORN_DOWN:
    return send_signal(x);
  case DW_STAGE_VIEW:
    return view(x);
  case DW_STAGE_ERROR:
  case DW_STAGE_SERVER_ERROR:
    return x->handler->call(x->handler, x);
  case DW_STAGE_AFTER_THIS: {
    dw_verdict v = x->script ? runner(x)->after_this(x) : DW_PASS;
    *more = v != DW_PASS;
    return v;
  }
  case DW_STAGE_SEND:
    return transmit(x);
  case DW_STAGE_STREAM:
    return pump(x);
  case DW_STAGE_CLOSE_BODY:
    return x->script ? runner(x)->close_body(x) : DW_PASS;
  case DW_STAGE_REAP:
  case DW_STAGE_REAP_AGAIN:
    return reap(x);
  case DW_STAGE_END:
    break;
  }
  return DW_PASS;
}

/* A stage that failed: where the error goes. */
static void move_failed(dw_exchange *x) {
  switch ((dw_stage)x->stage) {
  case DW_STAGE_REQUEST:
  case DW_STAGE_MATCH:
  case DW_STAGE_STARTED:
  case DW_STAGE_PREPROCESS:
  case DW_STAGE_BEFORE:
  case DW_STAGE_VIEW:
    route_error(x);
    break;
  case DW_STAGE_EXCEPTION:
    exception_told(x);
    break;
  case DW_STAGE_ERROR:
  case DW_STAGE_SERVER_ERROR:
    handler_failed(x);
    break;
  case DW_STAGE_AFTER_THIS:
  case DW_STAGE_AFTER:
  case DW_STAGE_RESPONSE:
  case DW_STAGE_FINISHED:
    after_failed(x);
    break;
  case DW_STAGE_STREAM:
    stream_failed(x);
    break;
  case DW_STAGE_CLOSE_BODY:
    dw_exchange_log(x, "Closing the body failed on");
    go(x, DW_STAGE_REAP);
    break;
  case DW_STAGE_TEARDOWN:
    dw_exchange_log(x, "A teardown_request function failed on");
    break; /* all of them run */
  case DW_STAGE_TORN_DOWN:
    dw_exchange_log(x, "A receiver of request_tearing_down failed on");
    go(x, DW_STAGE_REAP_AGAIN);
    break;
  case DW_STAGE_SEND:
  case DW_STAGE_REAP:
  case DW_STAGE_REAP_AGAIN:
  case DW_STAGE_END:
    go(x, DW_STAGE_END);
    break;
  }
}

static bool has_hooks(const dw_exchange *x, dw_hook hook) {
  for (const dw_scope *s = x->scope; s; s = s->parent)
    if (s->hooks[hook].count > 0) return true;
  return false;
}

/* Goes to a stage of hooks or a signal, or past it where there are none. */
static void go_to_hooks(dw_exchange *x, dw_stage stage) {
  if (stage == DW_STAGE_STARTED && !is_heard(x, DW_SIGNAL_STARTED))
    stage = DW_STAGE_PREPROCESS;
  if (stage == DW_STAGE_PREPROCESS && !has_hooks(x, DW_HOOK_PREPROCESS))
    stage = DW_STAGE_BEFORE;
  if (stage == DW_STAGE_BEFORE && !has_hooks(x, DW_HOOK_BEFORE))
    stage = DW_STAGE_VIEW;
  if (stage == DW_STAGE_AFTER && !has_hooks(x, DW_HOOK_AFTER))
    stage = DW_STAGE_RESPONSE;
  if (stage == DW_STAGE_RESPONSE && !x->session &&
      !has_hooks(x, DW_HOOK_RESPONSE))
    stage = DW_STAGE_FINISHED;
  if (stage == DW_STAGE_FINISHED && !is_heard(x, DW_SIGNAL_FINISHED))
    stage = DW_STAGE_SEND;
  if (stage == DW_STAGE_TEARDOWN && !has_hooks(x, DW_HOOK_TEARDOWN))
    stage = DW_STAGE_TORN_DOWN;
  if (stage == DW_STAGE_TORN_DOWN && !is_heard(x, DW_SIGNAL_TEARDOWN))
    stage = DW_STAGE_END;
  go(x, stage);
}

/* A stage that is over: what follows it. */
static void move_on(dw_exchange *x, dw_verdict v) {
  switch ((dw_stage)x->stage) {
  case DW_STAGE_REQUEST:
    go(x, v == DW_DONE ? DW_STAGE_AFTER_THIS : DW_STAGE_MATCH);
    break;
  case DW_STAGE_MATCH:
    go_to_hooks(x, DW_STAGE_STARTED);
    break;
  case DW_STAGE_STARTED:
    go_to_hooks(x, v == DW_DONE ? DW_STAGE_AFTER_THIS : DW_STAGE_PREPROCESS);
    break;
  case DW_STAGE_PREPROCESS: /* done: by an abort with a response */
    go_to_hooks(x, v == DW_DONE ? DW_STAGE_AFTER_THIS : DW_STAGE_BEFORE);
    break;
  case DW_STAGE_BEFORE:
    go(x, v == DW_DONE ? DW_STAGE_AFTER_THIS : DW_STAGE_VIEW);
    break;
  case DW_STAGE_VIEW:
  case DW_STAGE_ERROR:
    if (is_switched(x))
      hang_up(x, x->stage == DW_STAGE_ERROR);
    else
      go(x, DW_STAGE_AFTER_THIS);
    break;
  case DW_STAGE_EXCEPTION:
    exception_told(x);
    break;
  case DW_STAGE_SERVER_ERROR:
    x->stage = x->after; /* with the cursor it had */
    if (is_switched(x)) hang_up(x, true);
    break;
  case DW_STAGE_AFTER_THIS:
    go_to_hooks(x, DW_STAGE_AFTER);
    break;
  case DW_STAGE_AFTER:
    go_to_hooks(x, DW_STAGE_RESPONSE);
    break;
  case DW_STAGE_RESPONSE:
    go_to_hooks(x, DW_STAGE_FINISHED);
    break;
  case DW_STAGE_FINISHED:
    go(x, DW_STAGE_SEND);
    break;
  case DW_STAGE_SEND:
    if (v == DW_DONE)
      go(x, DW_STAGE_STREAM);
    else
      go(x, x->response->kind == DW_BODY_STREAM ? DW_STAGE_CLOSE_BODY
                                                : DW_STAGE_REAP);
    break;
  case DW_STAGE_STREAM:
    if (v == DW_DONE) break; /* there may be more */
    if (x->http.reply == DW_REPLY_STREAM && dw_reply_finish(&x->http) < 0)
      stream_too_short(x);
    else
      go(x, DW_STAGE_CLOSE_BODY);
    break;
  case DW_STAGE_CLOSE_BODY:
    go(x, DW_STAGE_REAP);
    break;
  case DW_STAGE_REAP:
    go_to_hooks(x, DW_STAGE_TEARDOWN);
    if (x->script && x->stage != DW_STAGE_END) runner(x)->shield(x);
    break;
  case DW_STAGE_TEARDOWN:
    go(x, is_heard(x, DW_SIGNAL_TEARDOWN) ? DW_STAGE_TORN_DOWN
                                          : DW_STAGE_REAP_AGAIN);
    break;
  case DW_STAGE_TORN_DOWN:
    go(x, DW_STAGE_REAP_AGAIN);
    break;
  case DW_STAGE_REAP_AGAIN:
  case DW_STAGE_END:
    go(x, DW_STAGE_END);
    break;
  }
}

/* Whether the stage is one of a walk through hooks that goes on with the next
 * one after this verdict. */
static bool walks_on(dw_exchange *x, dw_verdict v) {
  switch ((dw_stage)x->stage) {
  case DW_STAGE_AFTER_THIS:
  case DW_STAGE_AFTER:
  case DW_STAGE_RESPONSE:
  case DW_STAGE_TEARDOWN:
    return true;
  case DW_STAGE_REQUEST:
  case DW_STAGE_PREPROCESS:
  case DW_STAGE_BEFORE:
    return v != DW_DONE;
  default:
    return false;
  }
}

void dw_dispatch(dw_exchange *x) {
  x->running = true;
  while (x->stage != DW_STAGE_END) {
    bool more = true;
    dw_verdict v;
    if (x->resumed) {
      v = (dw_verdict)x->verdict;
      x->resumed = false;
    } else {
      v = work(x, &more);
      if (v == DW_PENDING) {
        x->pending = true;
        if (!x->resumed) break;
        continue;
      }
    }
    x->pending = false;
    if (x->cancelled && x->stage <= DW_STAGE_STREAM)
      cancelled(x);
    else if (v == DW_FAILED)
      move_failed(x);
    else if (!(more && walks_on(x, v)))
      move_on(x, v);
  }
  x->running = false;
  if (x->stage == DW_STAGE_END) dw_exchange_end(x);
}
