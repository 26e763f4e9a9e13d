/* SPDX-License-Identifier: MIT */
/* The connection: its life, its transactions and its deadlines. What arrives is
 * input.c's matter, answers are reply.c's, bodies body.c's. */
#include "http/connection_private.h"

#include "base/error.h"

enum {
  OUTPUT_MAX = 64 * 1024, /* bytes of a spare output buffer */
  LINGER_TIME = 2000,     /* ms that a closed peer may go on sending */
  FIRST_HEAD = 200,       /* ms for one that is on its way at a stop */
  SPARE_BLOCKS = 64,      /* of transactions, kept for the next ones */
  BLOCK_SLACK = 112,      /* of an arena: two values of a route, a time limit */
  BLOCK_UNIT = 32
};

/* A block that is free: a transaction and the first part of its arena. */
typedef struct block {
  struct block *next;
  size_t size;
} block;

/* --- What connections share ------------------------------------------------*/

void dw_http_init(dw_http *h, dw_loop *loop, dw_limits *limits,
                  const dw_http_events *events, void *data) {
  memset(h, 0, sizeof *h);
  h->loop = loop;
  h->alloc = loop->alloc;
  h->limits = limits;
  h->events = events;
  h->data = data;
  dw_buffer_init(&h->output, h->alloc, 0);
  dw_buffer_init(&h->coded, h->alloc, 0);
  dw_list_init(&h->connections);
}

void dw_http_deinit(dw_http *h) {
  while (h->blocks) {
    block *b = h->blocks;
    h->blocks = b->next;
    dw_free(h->alloc, b, b->size);
  }
  h->spare = 0;
  if (h->shared) h->free_shared(h);
  h->shared = NULL;
  dw_buffer_deinit(&h->output);
  dw_buffer_deinit(&h->coded);
}

void dw_connection_take_output(dw_connection *c) {
  dw_buffer *spare = &c->http->output;
  if (c->out.ptr || !spare->ptr) return;
  c->out = *spare;
  dw_buffer_init(spare, c->http->alloc, 0);
}

void dw_connection_drop_output(dw_connection *c) {
  dw_buffer *spare = &c->http->output;
  if (spare->ptr || c->out.cap > OUTPUT_MAX) {
    dw_buffer_deinit(&c->out);
    return;
  }
  *spare = c->out;
  spare->len = 0;
  dw_buffer_init(&c->out, c->http->alloc, 0);
}

/* --- Transactions ----------------------------------------------------------*/

/* A block of at least so many bytes, and not of many more: a spare one, or one
 * in its place. *size is what it has. */
static block *take_block(dw_http *h, size_t *size) {
  block *b = h->blocks;
  if (b) {
    h->blocks = b->next;
    h->spare--;
    if (b->size >= *size && b->size <= 2 * *size) {
      *size = b->size;
      return b;
    }
    dw_free(h->alloc, b, b->size);
  }
  *size = (*size + BLOCK_UNIT - 1) / BLOCK_UNIT * BLOCK_UNIT;
  return dw_alloc(h->alloc, *size);
}

dw_transaction *dw_transaction_new(dw_connection *c, size_t room) {
  dw_http *h = c->http;
  size_t own = h->events->size, size = own + room + BLOCK_SLACK;
  block *b = take_block(h, &size);
  if (!b) return NULL;
  dw_transaction *t = (dw_transaction *)b;
  memset(t, 0, own);
  t->block_size = size;
  dw_arena_init(&t->request.arena, h->alloc, (char *)b + own, size - own);
  dw_buffer_init(&t->body.data, h->alloc, 0);
  t->connection = c;
  c->transaction = t;
  h->active++;
  return t;
}

void dw_transaction_free(dw_transaction *t) {
  dw_http *h = t->connection->http;
  block *b = (block *)t;
  t->connection->transaction = NULL;
  if (t->transfer) dw_transfer_end(t);
  if (t->encoder) dw_encoder_free(t->encoder);
  dw_buffer_deinit(&t->body.data);
  dw_arena_deinit(&t->request.arena);
  h->active--;
  size_t size = t->block_size;
  if (h->spare < SPARE_BLOCKS) {
    *b = (block){h->blocks, size};
    h->blocks = b;
    h->spare++;
  } else {
    dw_free(h->alloc, b, size);
  }
}

/* --- Deadlines -------------------------------------------------------------*/

/* A later deadline only stores a number: the timer notices when it fires. */
static void arm(dw_connection *c) {
  dw_loop *loop = c->http->loop;
  uint64_t now = dw_loop_now(loop);
  uint64_t due =
      c->deadline < c->write_deadline ? c->deadline : c->write_deadline;
  if (due == UINT64_MAX || c->state == DW_CONNECTION_CLOSED) return;
  if (!dw_timer_active(&c->timer) || c->timer.due > due)
    dw_timer_start(loop, &c->timer, due > now ? due - now : 0);
}

static uint64_t after(dw_connection *c, uint64_t ms) {
  return ms ? dw_loop_now(c->http->loop) + ms : UINT64_MAX;
}

void dw_connection_deadline(dw_connection *c, uint64_t ms) {
  c->deadline = after(c, ms);
  arm(c);
}

void dw_connection_idle(dw_connection *c) {
  dw_connection_deadline(c, c->http->limits->keep_alive_timeout);
}

/* Only what the peer takes counts, so what is queued behind the first bytes
 * gives it no more time. */
void dw_connection_queued(dw_connection *c, size_t more) {
  if (c->stream->queued > more) {
    c->unsent += more;
    return;
  }
  c->unsent = more;
  c->write_deadline = after(c, c->limits->write_timeout);
  arm(c);
}

/* --- Closing ---------------------------------------------------------------*/

static void connection_free(dw_connection *c) {
  dw_http *h = c->http;
  dw_deferred_cancel(&c->flusher);
  dw_list_remove(&c->node);
  h->count--;
  h->events->closed_cb(c);
  if (c->upgrade) c->upgrade->type->free(c->upgrade);
  dw_free(h->alloc, c, sizeof *c);
}

/* A transaction may outlive the stream: its teardown may still wait. */
static void closed_cb(dw_stream *s) {
  dw_connection *c = s->data;
  c->stream = NULL;
  if (!c->transaction) connection_free(c);
}

/* What is left of a body belongs to its transaction, which the parser writes
 * trailers into: it goes when the body has ended, or nobody reads on. */
void dw_connection_drained(dw_connection *c) {
  dw_transaction *t = c->draining;
  c->draining = NULL;
  if (t) dw_transaction_free(t);
}

static void close_stream(dw_connection *c, bool reset) {
  if (c->state == DW_CONNECTION_CLOSED) return;
  c->state = DW_CONNECTION_CLOSED;
  if (c->transaction) dw_transfer_end(c->transaction);
  dw_connection_drained(c);
  c->reading = false;
  dw_timer_stop(c->http->loop, &c->timer);
  dw_deferred_cancel(&c->flusher);
  dw_buffer_deinit(&c->in);
  dw_buffer_deinit(&c->out);
  dw_stream_close(c->stream, reset, closed_cb);
}

/* The client is gone: whoever works for it is told once, and ends the
 * transaction, in this call or later. */
void dw_connection_gone(dw_connection *c) {
  dw_transaction *t = c->transaction;
  if (!t || t->gone) return;
  t->gone = true;
  c->http->events->gone_cb(t);
  if (c->transaction == t && !t->body.ended && !t->body.failed)
    dw_body_fail(t, UV_ECONNRESET, NULL);
}

static void gone(dw_connection *c) {
  if (c->upgrade)
    c->upgrade->type->closed(c->upgrade);
  else
    dw_connection_gone(c);
  /* Nothing will ever be sent that somebody could wait for. */
  if (c->waiting_drain) dw_loop_defer(c->http->loop, &c->flusher);
}

void dw_connection_cut(dw_connection *c) {
  if (c->state == DW_CONNECTION_CLOSED) return;
  close_stream(c, true);
  gone(c);
}

/* What the system has taken of earlier answers still goes out. An answer that
 * the close would seem to complete must not get one. */
void dw_connection_close(dw_connection *c) {
  const dw_transaction *t = c->transaction;
  if (c->state == DW_CONNECTION_CLOSED) return;
  close_stream(c, t && t->reply != DW_REPLY_DONE &&
                      t->framing == DW_FRAMING_CLOSE);
  gone(c);
}

void dw_connection_finish(dw_connection *c) {
  if (c->state == DW_CONNECTION_CLOSED || c->state == DW_CONNECTION_LINGER)
    return;
  c->state = DW_CONNECTION_FLUSH;
  c->deadline = UINT64_MAX;
  c->drained = 0;
  dw_connection_drained(c);
  dw_buffer_deinit(&c->in);
  if (dw_connection_flush(c) < 0) return;
  if (c->stream->queued) {
    dw_connection_update_reading(c);
    return;
  }
  if (c->ended || dw_stream_shutdown(c->stream) < 0) {
    dw_connection_close(c);
    return;
  }
  c->state = DW_CONNECTION_LINGER;
  dw_connection_deadline(c, LINGER_TIME);
  dw_connection_update_reading(c);
}

void dw_connection_reject(dw_connection *c, int status, const char *reason) {
  static const dw_request nothing;
  dw_transaction *t = c->transaction;
  dw_response response;
  dw_response_init(&response, c->http->alloc);
  c->keep_alive = false;
  c->http->events->reject_cb(c->http, t ? &t->request : &nothing, status,
                             reason, &response);
  dw_head_options options = {.framing = DW_FRAMING_LENGTH,
                             .length = response.body.len,
                             .minor = 1,
                             .date = dw_loop_date(c->http->loop)};
  if (dw_writer_head(&c->out, &response, &options) == 0 &&
      !(t && t->request.method == DW_METHOD_HEAD))
    dw_buffer_append_slice(&c->out, response.body);
  dw_response_deinit(&response);
  if (t) dw_transaction_free(t);
  dw_connection_finish(c);
}

/* The state's deadline is over. */
static void overdue(dw_connection *c) {
  dw_transaction *t = c->transaction;
  switch ((dw_connection_state)c->state) {
  case DW_CONNECTION_HEAD:
    if (dw_parser_started(&c->parser))
      dw_connection_reject(c, 408, "the request's head did not arrive in time");
    else if (c->stream->queued == 0)
      dw_connection_close(c); /* idle: silently */
    break;
  case DW_CONNECTION_BUSY:
    if (t->body.wanted)
      dw_body_fail(t, 408, "the request's body did not arrive in time");
    break;
  case DW_CONNECTION_SWITCHED:
    c->upgrade->type->overdue(c->upgrade);
    break;
  case DW_CONNECTION_DRAIN:
    dw_connection_finish(c);
    break;
  case DW_CONNECTION_LINGER:
    dw_connection_close(c); /* who reads slowly still gets it all */
    break;
  case DW_CONNECTION_FLUSH:
  case DW_CONNECTION_CLOSED:
    break;
  }
}

/* The peer had its time to take some of what is queued. */
static void write_overdue(dw_connection *c) {
  if (c->stream->queued == 0) return;
  if (c->stream->queued >= c->unsent) {
    dw_connection_cut(c);
    return;
  }
  c->unsent = c->stream->queued; /* slow, but it gets on */
  c->write_deadline = after(c, c->limits->write_timeout);
}

static void deadline_cb(dw_timer *timer) {
  dw_connection *c = timer->data;
  uint64_t now = dw_loop_now(c->http->loop);
  if (c->write_deadline <= now) {
    c->write_deadline = UINT64_MAX;
    write_overdue(c);
  }
  if (c->state != DW_CONNECTION_CLOSED && c->deadline <= now) {
    c->deadline = UINT64_MAX;
    overdue(c);
  }
  arm(c);
}

/* --- The life of a connection ----------------------------------------------*/

void dw_connection_tell_drained(dw_connection *c) {
  dw_transaction *t = c->transaction;
  c->waiting_drain = false;
  if (t) c->http->events->drain_cb(t);
}

/* The turn of a stream is over, and the next one begins. */
static void flusher_cb(dw_deferred *d) {
  dw_connection *c = d->data;
  if (c->doomed && c->state != DW_CONNECTION_CLOSED) {
    dw_connection_cut(c); /* and once more, for who waits for it to be read */
    return;
  }
  if (c->transaction) {
    c->transaction->burst = 0;
    dw_reply_settle(c->transaction);
  }
  if (c->state != DW_CONNECTION_CLOSED) {
    if (dw_connection_flush(c) < 0 || c->stream->queued > 0) return;
  }
  if (c->waiting_drain) dw_connection_tell_drained(c);
}

/* Everything that was queued has been sent, or never will be. */
static void write_cb(dw_stream *s, int status) {
  dw_connection *c = s->data;
  if (status < 0) {
    dw_connection_cut(c);
    return;
  }
  if (s->queued > 0) return;
  c->write_deadline = UINT64_MAX;
  if (c->state == DW_CONNECTION_FLUSH) {
    dw_connection_finish(c);
    return;
  }
  if (c->state == DW_CONNECTION_HEAD && !dw_parser_started(&c->parser))
    dw_connection_idle(c);
  if (c->state == DW_CONNECTION_SWITCHED) c->upgrade->type->written(c->upgrade);
  if (c->waiting_drain)
    dw_connection_tell_drained(c);
  else
    dw_connection_input(c);
}

int dw_connection_open(dw_http *h, dw_stream *s, dw_connection **out) {
  dw_connection *c = dw_zalloc(h->alloc, sizeof *c);
  *out = c;
  if (!c) {
    dw_stream_close(s, true, NULL);
    return DW_ENOMEM;
  }
  c->http = h;
  c->limits = h->limits;
  c->stream = s;
  s->data = c;
  s->read_cb = dw_connection_read_cb;
  s->write_cb = write_cb;
  dw_parser_init(&c->parser, h->limits);
  dw_buffer_init(&c->in, h->alloc, 0);
  dw_buffer_init(&c->out, h->alloc, 0);
  c->write_deadline = UINT64_MAX;
  dw_timer_init(&c->timer, deadline_cb, c);
  dw_deferred_init(&c->flusher, flusher_cb, c);
  dw_list_push(&h->connections, &c->node);
  h->count++;
  /* The first head is due as soon as a connection is there. */
  dw_connection_deadline(c, h->limits->header_timeout);
  dw_connection_update_reading(c);
  return 0;
}

/* The connection is as good as new, but for what the body may leave behind. */
static void go_on(dw_connection *c, dw_transaction *t) {
  c->used = true;
  if (t->body.ended) {
    dw_transaction_free(t);
    c->state = DW_CONNECTION_HEAD;
    dw_connection_idle(c);
  } else {
    c->drained = t->body.data.len;
    dw_buffer_deinit(&t->body.data);
    c->transaction = NULL;
    c->draining = t;
    c->state = DW_CONNECTION_DRAIN;
    dw_connection_deadline(c, c->http->limits->body_timeout);
  }
  if (!c->processing) dw_connection_input(c);
}

void dw_transaction_end(dw_transaction *t) {
  dw_connection *c = t->connection;
  c->limits = c->http->limits;
  c->waiting_drain = false;
  if (c->upgrade) {
    dw_transaction_free(t);
    c->upgrade->type->released(c->upgrade);
    if (c->state == DW_CONNECTION_CLOSED && !c->stream) connection_free(c);
    return;
  }
  bool done = t->reply == DW_REPLY_DONE;
  /* Without its last chunk or its full length an answer is seen to be cut; one
   * that the close would end needs a reset. */
  bool cut = t->reply == DW_REPLY_CUT && t->framing != DW_FRAMING_CLOSE;
  if (c->state != DW_CONNECTION_CLOSED && done && !c->ended && c->keep_alive &&
      !c->http->stopping && dw_body_allows_reuse(t)) {
    go_on(c, t);
    return;
  }
  dw_transaction_free(t);
  if (c->state != DW_CONNECTION_CLOSED) {
    if (done || cut)
      dw_connection_finish(c);
    else
      dw_connection_cut(c);
  } else if (!c->stream) {
    connection_free(c);
  }
}

/* --- The end of them all ---------------------------------------------------*/

/* A head that has begun to arrive was sent by somebody who didn't know. So is
 * one that is on its way on a new connection, which has a moment to arrive. */
void dw_http_stop(dw_http *h) {
  h->stopping = true;
  for (dw_list *n = h->connections.next, *next; n != &h->connections;
       n = next) {
    dw_connection *c = DW_CONTAINER(n, dw_connection, node);
    next = n->next;
    bool waits =
        c->state == DW_CONNECTION_HEAD && !dw_parser_started(&c->parser);
    if (waits && !c->used)
      dw_connection_deadline(c, FIRST_HEAD);
    else if (waits && c->stream->queued == 0)
      dw_connection_close(c);
    else if (c->state == DW_CONNECTION_DRAIN ||
             waits)
      dw_connection_finish(c);
    else if (c->state == DW_CONNECTION_SWITCHED)
      c->upgrade->type->stop(c->upgrade);
  }
}

void dw_http_cut(dw_http *h) {
  for (dw_list *n = h->connections.next, *next; n != &h->connections;
       n = next) {
    next = n->next;
    dw_connection_cut(DW_CONTAINER(n, dw_connection, node));
  }
}
