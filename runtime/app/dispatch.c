/* SPDX-License-Identifier: MIT */
/* Dispatch: a request's life as a state machine. Each stage is a function that
 * does the next piece of work and gives a verdict; move_on says where that
 * leads. A pending stage returns to the loop; dw_exchange_resume goes on with
 * its verdict. The order of stages is the one of docs/lifecycle.md.
 *
 *   request -> match -> preprocess -> before -> view -> after this -> after
 *     -> response -> send -> stream -> close body -> reap -> teardown
 *     -> reap again -> end
 *                 \-> error / server error -> after this ...
 *
 * Between them lie stages that are signals, passed by where nobody listens. */
#include "app/dispatch.h"
#include "app/mount.h"
#include "http/ws_handshake.h"

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
  if (x->app->mounts.count > 0) {
    dw_verdict entered = dw_mount_enter(x);
    if (entered != DW_PASS) return entered;
  }
  if (r->upgrade) query.websocket = dw_ws_is_asked(r);
  if (dw_router_match(x->app->router, &query, &r->arena, &x->match) < 0)
    return dw_exchange_fail(x, 503, "out of memory");
  if (x->bare && x->match.kind == DW_MATCH_FOUND && dw_mount_redirect(x) < 0)
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
  if (dw_exchange_limit_time(x, timeout) < 0)
    return dw_exchange_fail(x, 503, "out of memory");
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

static dw_verdict reap(dw_exchange *x) {
  return x->script ? dw_dispatch_runner(x)->reap(x) : DW_PASS;
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
    dw_verdict v = x->script ? dw_dispatch_runner(x)->after_this(x) : DW_PASS;
    *more = v != DW_PASS;
    return v;
  }
  case DW_STAGE_SEND:
    return dw_dispatch_send(x);
  case DW_STAGE_STREAM:
    return dw_dispatch_stream(x);
  case DW_STAGE_CLOSE_BODY:
    return x->script ? dw_dispatch_runner(x)->close_body(x) : DW_PASS;
  case DW_STAGE_REAP:
  case DW_STAGE_REAP_AGAIN:
    return reap(x);
  case DW_STAGE_END:
    break;
  }
  return DW_PASS;
}

static bool has_hooks(const dw_exchange *x, dw_hook hook) {
  for (const dw_scope *s = x->scope; s; s = s->parent)
    if (s->hooks[hook].count > 0) return true;
  return false;
}

/* Goes to a stage of hooks or a signal, or past it where there are none. */
static void go_to_hooks(dw_exchange *x, dw_stage stage) {
  if (stage == DW_STAGE_STARTED && !dw_dispatch_is_heard(x, DW_SIGNAL_STARTED))
    stage = DW_STAGE_PREPROCESS;
  if (stage == DW_STAGE_PREPROCESS && !has_hooks(x, DW_HOOK_PREPROCESS))
    stage = DW_STAGE_BEFORE;
  if (stage == DW_STAGE_BEFORE && !has_hooks(x, DW_HOOK_BEFORE))
    stage = DW_STAGE_VIEW;
  if (stage == DW_STAGE_AFTER && !has_hooks(x, DW_HOOK_AFTER))
    stage = DW_STAGE_RESPONSE;
  while (stage == DW_STAGE_RESPONSE && !x->session &&
         !has_hooks(x, DW_HOOK_RESPONSE))
    if (!dw_mount_leave(x)) stage = DW_STAGE_FINISHED;
  if (stage == DW_STAGE_FINISHED &&
      !dw_dispatch_is_heard(x, DW_SIGNAL_FINISHED))
    stage = DW_STAGE_SEND;
  if (stage == DW_STAGE_TEARDOWN && !has_hooks(x, DW_HOOK_TEARDOWN))
    stage = DW_STAGE_TORN_DOWN;
  if (stage == DW_STAGE_TORN_DOWN &&
      !dw_dispatch_is_heard(x, DW_SIGNAL_TEARDOWN))
    stage = DW_STAGE_END;
  dw_dispatch_go(x, stage);
}

/* A stage that is over: what follows it. */
static void move_on(dw_exchange *x, dw_verdict v) {
  switch ((dw_stage)x->stage) {
  case DW_STAGE_REQUEST:
    dw_dispatch_go(x, v == DW_DONE ? DW_STAGE_AFTER_THIS : DW_STAGE_MATCH);
    break;
  case DW_STAGE_MATCH: /* done: it has gone to a mounted app */
    if (v == DW_DONE)
      dw_dispatch_go(x, has_hooks(x, DW_HOOK_REQUEST) ? DW_STAGE_REQUEST
                                                      : DW_STAGE_MATCH);
    else
      go_to_hooks(x, DW_STAGE_STARTED);
    break;
  case DW_STAGE_STARTED:
    go_to_hooks(x, v == DW_DONE ? DW_STAGE_AFTER_THIS : DW_STAGE_PREPROCESS);
    break;
  case DW_STAGE_PREPROCESS: /* done: by an abort with a response */
    go_to_hooks(x, v == DW_DONE ? DW_STAGE_AFTER_THIS : DW_STAGE_BEFORE);
    break;
  case DW_STAGE_BEFORE:
    dw_dispatch_go(x, v == DW_DONE ? DW_STAGE_AFTER_THIS : DW_STAGE_VIEW);
    break;
  case DW_STAGE_VIEW:
  case DW_STAGE_ERROR:
    if (dw_dispatch_is_switched(x))
      dw_dispatch_hang_up(x, x->stage == DW_STAGE_ERROR);
    else
      dw_dispatch_go(x, DW_STAGE_AFTER_THIS);
    break;
  case DW_STAGE_EXCEPTION:
    dw_dispatch_exception_told(x);
    break;
  case DW_STAGE_SERVER_ERROR:
    x->stage = x->after; /* with the cursor it had */
    if (dw_dispatch_is_switched(x)) dw_dispatch_hang_up(x, true);
    break;
  case DW_STAGE_AFTER_THIS:
    go_to_hooks(x, DW_STAGE_AFTER);
    break;
  case DW_STAGE_AFTER:
    go_to_hooks(x, DW_STAGE_RESPONSE);
    break;
  case DW_STAGE_RESPONSE:
    go_to_hooks(x, dw_mount_leave(x) ? DW_STAGE_RESPONSE : DW_STAGE_FINISHED);
    break;
  case DW_STAGE_FINISHED:
    dw_dispatch_go(x, DW_STAGE_SEND);
    break;
  case DW_STAGE_SEND:
    if (v == DW_DONE)
      dw_dispatch_go(x, DW_STAGE_STREAM);
    else
      dw_dispatch_go(x, x->response->kind == DW_BODY_STREAM
                            ? DW_STAGE_CLOSE_BODY
                            : DW_STAGE_REAP);
    break;
  case DW_STAGE_STREAM:
    if (v == DW_DONE) break; /* there may be more */
    if (x->http.reply == DW_REPLY_STREAM && dw_reply_finish(&x->http) < 0)
      dw_dispatch_too_short(x);
    else
      dw_dispatch_go(x, DW_STAGE_CLOSE_BODY);
    break;
  case DW_STAGE_CLOSE_BODY:
    dw_dispatch_go(x, DW_STAGE_REAP);
    break;
  case DW_STAGE_REAP:
    go_to_hooks(x, DW_STAGE_TEARDOWN);
    if (x->script && x->stage != DW_STAGE_END) dw_dispatch_runner(x)->shield(x);
    break;
  case DW_STAGE_TEARDOWN:
    dw_dispatch_go(x, dw_dispatch_is_heard(x, DW_SIGNAL_TEARDOWN)
                          ? DW_STAGE_TORN_DOWN
                          : DW_STAGE_REAP_AGAIN);
    break;
  case DW_STAGE_TORN_DOWN:
    dw_dispatch_go(x, DW_STAGE_REAP_AGAIN);
    break;
  case DW_STAGE_REAP_AGAIN:
  case DW_STAGE_END:
    dw_dispatch_go(x, DW_STAGE_END);
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
      dw_dispatch_cancelled(x);
    else if (v == DW_FAILED)
      dw_dispatch_failed(x);
    else if (!(more && walks_on(x, v)))
      move_on(x, v);
  }
  x->running = false;
  if (x->stage == DW_STAGE_END) dw_exchange_end(x);
}
