/* SPDX-License-Identifier: MIT */
/* A request's body as its consumer sees it: bytes that were received and not
 * yet taken, an end, or a failure. Back-pressure: past DW_BODY_HIGH_WATER the
 * connection stops reading until some is taken. */
#include "http/connection_private.h"

#include "base/error.h"

/* RFC 9110, 10.1.1: the client is told to go on once somebody wants the body,
 * unless it has begun to send it already. */
static void send_continue(dw_transaction *t) {
  dw_connection *c = t->connection;
  t->body.continue_due = false;
  if (t->body.received || t->reply != DW_REPLY_NONE) return;
  if (dw_buffer_append_slice(&c->out,
                             DW_LITERAL("HTTP/1.1 100 Continue\r\n\r\n")) < 0)
    dw_body_fail(t, UV_ENOMEM, NULL);
  else
    dw_connection_flush(c);
}

void dw_body_want(dw_transaction *t, bool whole) {
  dw_connection *c = t->connection;
  dw_body *b = &t->body;
  b->touched = true;
  if (b->ended || b->failed) return;
  b->wanted = true;
  if (whole) b->whole = true;
  if (c->state == DW_CONNECTION_CLOSED) return;
  if (b->continue_due) send_continue(t);
  dw_connection_deadline(c, c->limits->body_timeout);
  dw_connection_update_reading(c);
}

/* What has arrived and was not taken is unread as well, so that the verdict
 * depends on what was sent and not on when it came. */
bool dw_body_allows_reuse(const dw_transaction *t) {
  const dw_body *b = &t->body;
  if (b->ended) return true;
  if (b->failed || b->continue_due) return false;
  uint64_t unread = b->data.len;
  if (t->request.has_content_length)
    unread += t->request.content_length - b->received;
  return unread <= DW_DRAIN_MAX;
}

void dw_body_take(dw_transaction *t, size_t len) {
  dw_buffer *data = &t->body.data;
  if (len >= data->len)
    dw_buffer_deinit(data);
  else
    dw_buffer_consume(data, len);
  if (!t->connection->processing && t->connection->state == DW_CONNECTION_BUSY)
    dw_connection_update_reading(t->connection);
}

void dw_body_fail(dw_transaction *t, int failed, const char *reason) {
  dw_body *b = &t->body;
  if (b->failed) return;
  b->failed = failed;
  b->reason = reason;
  t->connection->keep_alive = false;
  if (b->wanted) {
    b->wanted = false;
    t->connection->http->events->body_cb(t);
  }
}
