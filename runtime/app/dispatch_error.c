/* SPDX-License-Identifier: MIT */
/* Where an error leads: to a handler, to a default page, to the handler for
 * 500, or to the end of what has begun to be sent. The order of lookup is the
 * one of docs/errors.md. */
#include "app/dispatch.h"
#include "app/mount.h"

static const char too_long[] = "The request took too long.";

/* The first unhandled error is the one that teardown gets. */
static void keep_unhandled(dw_exchange *x) {
  if (x->unhandled.cls) return;
  x->unhandled = x->error;
  if (x->script && x->error.script) dw_dispatch_runner(x)->keep_error(x);
}

void dw_dispatch_hang_up(dw_exchange *x, bool failed) {
  dw_upgrade *u = x->http.connection->upgrade;
  u->type->finish(u, failed, x->error.status >= 400 && x->error.status < 500);
  dw_dispatch_go(x, DW_STAGE_CLOSE_BODY);
}

/* There will be no answer: what is left is the app's that would have made it.
 */
static void give_up(dw_exchange *x) {
  dw_mount_return(x);
  dw_dispatch_go(x, DW_STAGE_CLOSE_BODY);
}

/* The default page goes to the stage that x is in by now. */
static void answer_error(dw_exchange *x) {
  if (dw_dispatch_is_switched(x))
    dw_dispatch_hang_up(x, true);
  else if (dw_answer_error(x) < 0)
    give_up(x);
}

/* What no handler dealt with: the log has it, and the handler for 500 answers,
 * or a test gets it raised. */
static void answer_unhandled(dw_exchange *x) {
  if (x->app->testing && x->observer && x->observer->propagates) {
    x->propagated = true;
    if (dw_dispatch_is_switched(x))
      dw_dispatch_hang_up(x, true);
    else
      give_up(x);
    return;
  }
  dw_exchange_log(x, "Exception on");
  if (x->script) dw_dispatch_runner(x)->wrap_error(x);
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
  if (dw_dispatch_is_heard(x, DW_SIGNAL_EXCEPTION))
    x->stage = DW_STAGE_EXCEPTION; /* keeps an after hook's cursor */
  else
    answer_unhandled(x);
}

void dw_dispatch_cancelled(dw_exchange *x) {
  if (x->error.cls != &dw_error_cancelled)
    x->error = (dw_error){.cls = &dw_error_cancelled};
  keep_unhandled(x);
  give_up(x);
}

static bool is_overdue(const dw_exchange *x) {
  return x->error.cls == &dw_error_cancelled && x->timed_out;
}

/* An error of a view or a hook before it. */
static void route_error(dw_exchange *x) {
  if (is_overdue(x)) {
    if (x->script) dw_dispatch_runner(x)->uncancel(x);
    dw_exchange_fail(x, 503, too_long);
  }
  x->handler = dw_scope_find_error(x->scope, x->error.cls, x->error.status);
  if (x->handler) {
    dw_dispatch_go(x, DW_STAGE_ERROR);
  } else if (x->error.status && x->error.cls != &dw_error_cancelled) {
    dw_dispatch_go(x, DW_STAGE_AFTER_THIS);
    answer_error(x);
  } else if (dw_dispatch_is_switched(x) &&
             x->error.cls == &dw_error_websocket_closed) {
    dw_dispatch_hang_up(x,
                        false); /* it wrote to a client that had said goodbye */
  } else {
    server_error(x);
  }
}

/* Time or memory ran out where an answer was made or finished: that is a 503,
 * and no handler is asked. */
static bool ran_out(dw_exchange *x) {
  bool overdue = is_overdue(x);
  if (!overdue && (x->error.status != 503 || x->error.script)) return false;
  if (overdue) {
    if (x->script) dw_dispatch_runner(x)->uncancel(x);
    dw_exchange_fail(x, 503, too_long);
  }
  x->stage = x->after;
  answer_error(x);
  return true;
}

/* A handler for errors failed itself. */
static void handler_failed(dw_exchange *x) {
  if (ran_out(x)) return;
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
    if (last) dw_dispatch_go(x, DW_STAGE_SEND);
    return;
  }
  x->failed_after = true;
  x->after = last ? DW_STAGE_SEND : x->stage;
  if (!ran_out(x)) server_error(x);
}

static void stream_failed(dw_exchange *x) {
  bool told = x->error.cls != &dw_error_cancelled;
  keep_unhandled(x);
  if (told) dw_exchange_log(x, "Exception while streaming the body of");
  dw_reply_cut(&x->http);
  x->after = DW_STAGE_CLOSE_BODY;
  dw_dispatch_go(x, told && dw_dispatch_is_heard(x, DW_SIGNAL_EXCEPTION)
                        ? DW_STAGE_EXCEPTION
                        : DW_STAGE_CLOSE_BODY);
}

void dw_dispatch_too_short(dw_exchange *x) {
  x->error = (dw_error){.cls = &dw_error_base,
                        .message = "the body is shorter than its "
                                   "Content-Length"};
  stream_failed(x);
}

void dw_dispatch_exception_told(dw_exchange *x) {
  if (x->after == DW_STAGE_CLOSE_BODY)
    dw_dispatch_go(x, DW_STAGE_CLOSE_BODY);
  else
    answer_unhandled(x);
}

void dw_dispatch_failed(dw_exchange *x) {
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
    dw_dispatch_exception_told(x);
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
    dw_dispatch_go(x, DW_STAGE_REAP);
    break;
  case DW_STAGE_TEARDOWN:
    dw_exchange_log(x, "A teardown_request function failed on");
    break; /* all of them run */
  case DW_STAGE_TORN_DOWN:
    dw_exchange_log(x, "A receiver of request_tearing_down failed on");
    dw_dispatch_go(x, DW_STAGE_REAP_AGAIN);
    break;
  case DW_STAGE_SEND:
  case DW_STAGE_REAP:
  case DW_STAGE_REAP_AGAIN:
  case DW_STAGE_END:
    dw_dispatch_go(x, DW_STAGE_END);
    break;
  }
}
