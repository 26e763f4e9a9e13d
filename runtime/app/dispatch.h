/* SPDX-License-Identifier: MIT */
/* What the files of dispatch share: dispatch.c moves an exchange through its
 * stages, dispatch_error.c says where an error leads, dispatch_send.c sends the
 * answer. Thread: the loop's. */
#ifndef DW_APP_DISPATCH_H
#define DW_APP_DISPATCH_H

#include "app/exchange.h"
#include "app/server.h"
#include "base/error.h"

static inline const dw_runner *dw_dispatch_runner(const dw_exchange *x) {
  return x->server->runner;
}

static inline void dw_dispatch_go(dw_exchange *x, dw_stage stage) {
  x->stage = stage;
  x->cursor = (dw_hook_cursor){0};
}

/* Whether the request has become a WebSocket, which has no answer any more. */
static inline bool dw_dispatch_is_switched(const dw_exchange *x) {
  return x->http.connection->upgrade != NULL;
}

static inline bool dw_dispatch_is_heard(const dw_exchange *x,
                                        dw_signal signal) {
  return x->app->heard & 1u << signal;
}

/* --- Errors (dispatch_error.c) ---------------------------------------------*/

/* The stage has failed with x->error: goes where that leads. */
void dw_dispatch_failed(dw_exchange *x);
/* Nobody is left to answer: neither error handlers nor after hooks run. */
void dw_dispatch_cancelled(dw_exchange *x);
/* The listeners know of an error: it goes where it went. */
void dw_dispatch_exception_told(dw_exchange *x);
/* A body that ended before its Content-Length has been cut off. */
void dw_dispatch_too_short(dw_exchange *x);
/* Ends a WebSocket: its view is over, or an error is its end. */
void dw_dispatch_hang_up(dw_exchange *x, bool failed);

/* --- The answer (dispatch_send.c) ------------------------------------------*/

/* Sends the answer, or its head: DONE where a body has to follow. */
dw_verdict dw_dispatch_send(dw_exchange *x);
/* The next piece of that body; PASS: it is complete. */
dw_verdict dw_dispatch_stream(dw_exchange *x);

#endif
