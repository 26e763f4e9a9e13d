/* SPDX-License-Identifier: MIT */
/* WebSockets on a connection: see websocket.h. */
#include "http/websocket.h"

#include "base/error.h"
#include "http/connection_private.h"
#include "http/ws_handshake.h"

enum ending { NOTHING, CLOSED_BY_PEER, FAILED };

enum {
  CLOSE_TIME = 5000,    /* ms for the other side's close */
  BYTES_MAX = 64 * 1024 /* in the queue, from which on reading pauses */
};

static dw_websocket *of(dw_upgrade *u) {
  return DW_CONTAINER(u, dw_websocket, base);
}

static dw_connection *connection_of(const dw_websocket *w) {
  return w->base.connection;
}

static const dw_limits *limits_of(const dw_websocket *w) {
  return connection_of(w)->limits;
}

/* Reads on where the queue was full: the codec may hold frames, too. */
static void go_on(dw_websocket *w);

static void tell(dw_websocket *w) {
  if (w->news_cb) w->news_cb(w);
}

/* --- Closing ---------------------------------------------------------------*/

/* Queues a close; without memory for it the connection is cut. */
static bool send_close(dw_websocket *w, uint16_t code, dw_slice reason) {
  dw_connection *c = connection_of(w);
  dw_connection_take_output(c);
  if (dw_ws_write_close(&w->ws, code, reason, &c->out) == 0) return true;
  dw_connection_cut(c);
  return false;
}

/* Both sides have said what they had to: the server ends the connection. */
static void finish(dw_websocket *w) {
  w->state = DW_WEBSOCKET_CLOSED;
  dw_connection_finish(connection_of(w));
}

/* Who isn't going to take the news by itself must hear it otherwise. */
static void tell_of_end(dw_websocket *w) {
  tell(w);
  if (!w->asked) dw_connection_gone(connection_of(w));
}

/* Answers the close, or tells what is wrong. */
static void conclude(dw_websocket *w) {
  bool closed = w->ending == CLOSED_BY_PEER;
  dw_slice reason = dw_buffer_slice(&w->reason);
  w->close_code = w->ws.code;
  w->ending = NOTHING;
  if (send_close(w, w->close_code, closed ? DW_EMPTY : reason)) finish(w);
  tell_of_end(w);
}

/* The other side has closed or broken the rules. While what it had sent before
 * is dealt with, or waits to be, that can wait. */
static void end_by_peer(dw_websocket *w, enum ending ending) {
  if (w->state != DW_WEBSOCKET_OPEN) {
    finish(w);
    return;
  }
  w->ending = (uint8_t)ending;
  dw_buffer_append_slice(&w->reason, w->ws.data);
  if (w->count == 0 && (!w->asked || w->waiting))
    conclude(w);
  else
    dw_connection_deadline(connection_of(w), CLOSE_TIME);
}

void dw_websocket_close(dw_websocket *w, uint16_t code, dw_slice reason) {
  if (w->state != DW_WEBSOCKET_OPEN) return;
  if (w->ending) {
    conclude(w);
    return;
  }
  w->by_us = true;
  w->close_code = code;
  dw_buffer_append_slice(&w->reason, reason); /* lost without memory */
  if (send_close(w, code, reason)) {
    w->state = DW_WEBSOCKET_CLOSING;
    dw_connection_deadline(connection_of(w), CLOSE_TIME);
    dw_connection_flush_soon(connection_of(w));
  }
  tell(w);
  go_on(w);
}

static void stop(dw_upgrade *u) {
  dw_websocket *w = of(u);
  if (w->state != DW_WEBSOCKET_OPEN) return;
  dw_websocket_close(w, DW_WS_GOING_AWAY, DW_EMPTY);
  if (!w->asked) dw_connection_gone(connection_of(w));
}

static void finish_cb(dw_upgrade *u, bool failed, bool refused) {
  uint16_t code = refused ? DW_WS_POLICY : DW_WS_ERROR;
  dw_websocket_close(of(u), failed ? code : DW_WS_NORMAL, DW_EMPTY);
}

/* --- Output ----------------------------------------------------------------*/

size_t dw_websocket_backlog(const dw_websocket *w) {
  const dw_connection *c = connection_of(w);
  return c->stream ? c->stream->queued + c->out.len : 0;
}

static int write_control(dw_websocket *w, dw_ws_opcode opcode,
                         dw_slice payload) {
  dw_connection *c = connection_of(w);
  dw_connection_take_output(c);
  int code = dw_ws_write_control(&w->ws, opcode, payload, &c->out);
  if (code == 0) dw_connection_flush_soon(c);
  return code;
}

/* While the client takes nothing, only the last of its pings is of interest
 * (RFC 6455, 5.5.3): its pongs must not pile up. */
static void pong(dw_websocket *w, dw_slice payload) {
  if (w->state != DW_WEBSOCKET_OPEN) return;
  if (dw_websocket_backlog(w) <= DW_WRITE_HIGH_WATER) {
    write_control(w, DW_WS_OPCODE_PONG, payload);
    return;
  }
  w->pong.len = 0;
  w->pong_due = dw_buffer_append_slice(&w->pong, payload) == 0;
}

static void written(dw_upgrade *u) {
  dw_websocket *w = of(u);
  if (!w->pong_due || w->state != DW_WEBSOCKET_OPEN) return;
  w->pong_due = false;
  write_control(w, DW_WS_OPCODE_PONG, dw_buffer_slice(&w->pong));
  dw_buffer_deinit(&w->pong);
}

int dw_websocket_ping(dw_websocket *w) {
  if (w->state != DW_WEBSOCKET_OPEN) return DEWAR_ECLOSED;
  return write_control(w, DW_WS_OPCODE_PING, DW_EMPTY);
}

/* A message that later ones refer to and that can't be sent: it is the last. */
static int check_written(dw_websocket *w, int code) {
  dw_connection *c = connection_of(w);
  if (code < 0 && w->ws.deflater) dw_connection_cut(c);
  return code;
}

int dw_websocket_send(dw_websocket *w, bool text, dw_slice message) {
  dw_connection *c = connection_of(w);
  if (w->state != DW_WEBSOCKET_OPEN) return DEWAR_ECLOSED;
  dw_connection_take_output(c);
  int code = dw_ws_write(&w->ws, text, message, &c->out);
  if (code < 0) return check_written(w, code);
  if (c->transaction) c->transaction->sent += message.len;
  dw_connection_flush_soon(c);
  return w->state == DW_WEBSOCKET_OPEN ? 0 : DEWAR_ECLOSED;
}

int dw_websocket_broadcast(dw_websocket *w, dw_ws_broadcast *b) {
  dw_connection *c = connection_of(w);
  if (w->state != DW_WEBSOCKET_OPEN) return DEWAR_ECLOSED;
  dw_slice frame;
  int code = dw_ws_broadcast_for(b, &w->ws, &frame);
  if (code == 0) return dw_websocket_send(w, b->text, b->message);
  if (code < 0) return code;
  if (c->transaction) c->transaction->sent += b->message.len;
  code = dw_connection_send(c, frame);
  if (code == 0) return 0;
  dw_connection_cut(c);
  return DEWAR_ECLOSED;
}

/* --- Input -----------------------------------------------------------------*/

static bool is_full(const dw_websocket *w) {
  return w->state == DW_WEBSOCKET_OPEN &&
         (w->count >= limits_of(w)->websocket_max_queue ||
          w->bytes >= BYTES_MAX);
}

static bool wants_bytes(const dw_upgrade *u) {
  return !is_full(DW_CONTAINER(u, dw_websocket, base));
}

/* Its close waits until the messages before have been dealt with. */
static bool stays(const dw_upgrade *u) {
  return DW_CONTAINER(u, dw_websocket, base)->ending;
}

static void queue_message(dw_websocket *w) {
  if (w->state != DW_WEBSOCKET_OPEN) return;
  dw_ws_message *m = dw_alloc(w->ws.pool->alloc, sizeof *m);
  if (!m) {
    w->ws.code = DW_WS_ERROR;
    w->ws.data = DW_LITERAL("out of memory");
    end_by_peer(w, FAILED);
    return;
  }
  m->data = w->ws.message;
  m->text = w->ws.text;
  dw_buffer_init(&w->ws.message, w->ws.pool->alloc, 0);
  dw_list_push(&w->received, &m->node);
  w->count++;
  w->bytes += m->data.len;
  tell(w);
}

static void handle(dw_websocket *w, dw_ws_event e) {
  switch (e) {
  case DW_WS_MESSAGE:
    queue_message(w);
    break;
  case DW_WS_PING:
    pong(w, w->ws.data);
    break;
  case DW_WS_CLOSED:
    end_by_peer(w, CLOSED_BY_PEER);
    break;
  case DW_WS_FAILED:
    end_by_peer(w, FAILED);
    break;
  case DW_WS_PONG:
  case DW_WS_MORE:
    break;
  }
}

static size_t input(dw_upgrade *u, dw_slice bytes) {
  dw_websocket *w = of(u);
  size_t len = bytes.len;
  if (len > 0) w->seen = dw_loop_now(connection_of(w)->http->loop);
  while (w->state != DW_WEBSOCKET_CLOSED && !is_full(w)) {
    dw_ws_event e = dw_ws_read(&w->ws, &bytes);
    if (e == DW_WS_MORE) break;
    handle(w, e);
  }
  return w->state == DW_WEBSOCKET_CLOSED ? len : len - bytes.len;
}

static void drop_first(dw_websocket *w) {
  dw_list *node = dw_list_shift(&w->received);
  dw_ws_message *m = DW_CONTAINER(node, dw_ws_message, node);
  dw_allocator *a = m->data.alloc;
  w->count--;
  w->bytes -= m->data.len;
  dw_buffer_deinit(&m->data);
  dw_free(a, m, sizeof *m);
}

static void go_on(dw_websocket *w) {
  dw_connection *c = connection_of(w);
  if (c->processing || c->state != DW_CONNECTION_SWITCHED) return;
  input(&w->base, DW_EMPTY);
  dw_connection_input(c);
}

const dw_ws_message *dw_websocket_next(dw_websocket *w) {
  w->asked = true;
  if (dw_list_empty(&w->received)) {
    if (w->ending) conclude(w);
    return NULL;
  }
  return DW_CONTAINER(w->received.next, dw_ws_message, node);
}

void dw_websocket_drop(dw_websocket *w) {
  bool was_full = is_full(w);
  drop_first(w);
  if (was_full && !is_full(w)) go_on(w);
}

/* --- Time ------------------------------------------------------------------*/

/* Nothing has come for an interval: is anybody there? A connection that we
 * don't read can't tell. */
static void check_alive(dw_websocket *w) {
  dw_connection *c = connection_of(w);
  const dw_limits *limits = limits_of(w);
  uint64_t now = dw_loop_now(c->http->loop);
  uint64_t interval = limits->websocket_ping_interval;
  uint64_t silent = now - w->seen;
  if (w->pinged && w->seen < w->pinged && c->reading) {
    dw_connection_cut(c);
    return;
  }
  w->pinged = 0;
  if (interval == 0) return;
  if (silent < interval || !c->reading) {
    dw_connection_deadline(c, silent < interval ? interval - silent : interval);
    return;
  }
  write_control(w, DW_WS_OPCODE_PING, DW_EMPTY);
  bool limited = limits->websocket_ping_timeout > 0;
  if (limited) w->pinged = now;
  dw_connection_deadline(c,
                         limited ? limits->websocket_ping_timeout : interval);
}

static void overdue(dw_upgrade *u) {
  dw_websocket *w = of(u);
  if (w->state == DW_WEBSOCKET_CLOSING)
    dw_connection_close(connection_of(w));
  else if (w->ending)
    conclude(w);
  else
    check_alive(w);
}

/* --- The end ---------------------------------------------------------------*/

/* A cancellation comes first: what is cancelled isn't woken with news. */
static void closed(dw_upgrade *u) {
  dw_websocket *w = of(u);
  bool open = w->state == DW_WEBSOCKET_OPEN && !w->close_code;
  w->state = DW_WEBSOCKET_CLOSED;
  dw_ws_deinit(&w->ws);
  dw_buffer_deinit(&w->pong);
  if (!open) return;
  bool ending = w->ending;
  w->ending = NOTHING;
  w->close_code = ending ? w->ws.code : DW_WS_ABNORMAL;
  if (!ending || !w->asked) dw_connection_gone(connection_of(w));
  tell(w);
}

static void drop_messages(dw_websocket *w) {
  while (!dw_list_empty(&w->received)) drop_first(w);
}

/* It was cancelled, or has forgotten to close. */
static void released(dw_upgrade *u) {
  dw_websocket *w = of(u);
  w->news_cb = NULL;
  drop_messages(w);
  dw_websocket_close(w, DW_WS_GOING_AWAY, DW_EMPTY);
}

static void free_cb(dw_upgrade *u) {
  dw_websocket *w = of(u);
  dw_allocator *a = w->ws.pool->alloc;
  drop_messages(w);
  dw_buffer_deinit(&w->reason);
  dw_buffer_deinit(&w->pong);
  dw_ws_deinit(&w->ws);
  dw_free(a, w, sizeof *w);
}

static const dw_upgrade_type type = {.input = input,
                                     .wants_bytes = wants_bytes,
                                     .stays = stays,
                                     .written = written,
                                     .overdue = overdue,
                                     .stop = stop,
                                     .finish = finish_cb,
                                     .closed = closed,
                                     .released = released,
                                     .free = free_cb};

/* --- The beginning ---------------------------------------------------------*/

static void free_pool(dw_http *h) {
  dw_ws_pool_deinit(h->shared);
  dw_free(h->alloc, h->shared, sizeof(dw_ws_pool));
}

static dw_ws_pool *pool_of(dw_http *h) {
  if (h->shared) return h->shared;
  dw_ws_pool *pool = dw_alloc(h->alloc, sizeof *pool);
  if (!pool) return NULL;
  dw_ws_pool_init(pool, h->alloc, false);
  h->shared = pool;
  h->free_shared = free_pool;
  return pool;
}

static int set(dw_response *r, dw_slice name, dw_slice value) {
  return dw_headers_set(&r->headers, name, value);
}

static int set_headers(dw_transaction *t, dw_response *r, dw_slice subprotocol,
                       dw_ws_terms *terms) {
  const dw_limits *limits = t->connection->limits;
  char accept[DW_WS_ACCEPT_LENGTH];
  int code = dw_ws_accept_key(
      dw_request_header(&t->request, "Sec-WebSocket-Key"), accept);
  if (code < 0) return code;
  dw_buffer answer;
  dw_buffer_init(&answer, t->connection->http->alloc, 0);
  code = dw_ws_negotiate(
      dw_request_header(&t->request, "Sec-WebSocket-Extensions"),
      (dw_ws_compress)limits->websocket_compress, terms, &answer);
  if (code == 0) code = set(r, DW_LITERAL("Upgrade"), DW_LITERAL("websocket"));
  if (code == 0) code = set(r, DW_LITERAL("Connection"), DW_LITERAL("Upgrade"));
  if (code == 0)
    code = set(r, DW_LITERAL("Sec-WebSocket-Accept"),
               dw_slice_of(accept, sizeof accept));
  if (code == 0 && subprotocol.len > 0)
    code = set(r, DW_LITERAL("Sec-WebSocket-Protocol"), subprotocol);
  if (code == 0 && terms->on)
    code = set(r, DW_LITERAL("Sec-WebSocket-Extensions"),
               dw_buffer_slice(&answer));
  dw_buffer_deinit(&answer);
  return code;
}

int dw_websocket_accept(dw_transaction *t, dw_response *r, dw_slice subprotocol,
                        dw_websocket **out) {
  dw_http *h = t->connection->http;
  const dw_limits *limits = t->connection->limits;
  dw_ws_terms terms;
  *out = NULL;
  r->status = 101;
  int code = set_headers(t, r, subprotocol, &terms);
  if (code < 0) return code;
  dw_ws_pool *pool = pool_of(h);
  dw_websocket *w = pool ? dw_zalloc(h->alloc, sizeof *w) : NULL;
  if (!w) return DW_ENOMEM;
  w->base.type = &type;
  dw_list_init(&w->received);
  dw_buffer_init(&w->reason, h->alloc, 0);
  dw_buffer_init(&w->pong, h->alloc, 0);
  dw_ws_init(&w->ws, pool, &terms, limits->websocket_max_message);
  code = dw_reply_upgrade(t, r, &w->base);
  if (code < 0) {
    free_cb(&w->base);
    return code;
  }
  w->seen = dw_loop_now(h->loop);
  dw_connection_deadline(t->connection, limits->websocket_ping_interval);
  if (h->stopping) stop(&w->base);
  *out = w;
  return 0;
}

dw_websocket *dw_websocket_of(const dw_transaction *t) {
  dw_upgrade *u = t->connection->upgrade;
  return u ? of(u) : NULL;
}
