/* SPDX-License-Identifier: MIT */
/* Sending the answer: in one piece, or its head and then piece by piece as the
 * socket takes them, the body as it is, encoded, or from a file. */
#include "app/dispatch.h"

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

dw_verdict dw_dispatch_send(dw_exchange *x) {
  dw_transaction *t = &x->http;
  bool stream;
  dw_exchange_unlimit_time(x);
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

dw_verdict dw_dispatch_stream(dw_exchange *x) {
  if (x->http.bodiless || dw_reply_sated(&x->http)) return DW_PASS;
  dw_body_kind kind = x->response->kind;
  bool whole = kind != DW_BODY_STREAM && dw_response_bytes(x->response).len > 0;
  if (kind == DW_BODY_FILE && !whole) return pump_file(x);
  if (dw_reply_full(&x->http)) {
    x->draining = true;
    return DW_PENDING;
  }
  return whole ? pump_whole(x) : dw_dispatch_runner(x)->next_piece(x);
}
