/* SPDX-License-Identifier: MIT */
/* The in-memory pair. What one end sends goes straight into the other's inbox
 * while there is room; each end's pump, a deferred call, sends what is queued
 * and delivers what is in the inbox. An end with nothing unread and nothing
 * queued holds no buffer. Owner: see stream.h. Thread: the loop's. */
#include <assert.h>
#include <string.h>

#include "base/buffer.h"
#include "net/stream.h"
#include "net/write_queue.h"

static_assert((size_t)DW_PAIR_BUFFER <= (size_t)DW_READ_BUFFER,
              "an inbox is delivered through the loop's read buffer");

typedef struct pair_end pair_end;
struct pair_end {
  dw_stream base;
  pair_end *peer; /* NULL once the other end is closed */
  dw_buffer inbox;
  dw_write_queue queue;
  dw_deferred pump;
  int broken; /* the code that everything fails with, or 0 */
  bool reading;
  bool ended; /* nothing follows what is in the inbox */
  bool shut;  /* our side ends, or will after the queue */
  bool closing;
};

static pair_end *of(dw_stream *s) { return DW_CONTAINER(s, pair_end, base); }

static void wake(pair_end *e) { dw_loop_defer(e->base.loop, &e->pump); }

/* --- Reading ---------------------------------------------------------------*/

static bool has_news(const pair_end *e) {
  return e->broken || e->inbox.len > 0 || e->ended;
}

static int read_start(dw_stream *base) {
  pair_end *e = of(base);
  e->reading = true;
  if (has_news(e)) wake(e);
  return 0;
}

static void read_stop(dw_stream *base) { of(base)->reading = false; }

static void deliver_inbox(pair_end *e) {
  /* Out of the inbox first: the reader may make the other end write. */
  char *bytes = e->base.loop->read_buffer;
  size_t len = e->inbox.len;
  memcpy(bytes, e->inbox.ptr, len);
  dw_buffer_deinit(&e->inbox);
  if (e->peer && !dw_write_queue_empty(&e->peer->queue)) wake(e->peer);
  if (e->ended) wake(e);
  e->base.read_cb(&e->base, bytes, (ssize_t)len);
}

static void deliver_end(pair_end *e, int status) {
  e->reading = false;
  e->base.read_cb(&e->base, "", status);
}

static void deliver(pair_end *e) {
  if (!e->reading) return;
  if (e->broken)
    deliver_end(e, e->broken);
  else if (e->inbox.len > 0)
    deliver_inbox(e);
  else if (e->ended)
    deliver_end(e, 0);
}

/* --- Writing ---------------------------------------------------------------*/

/* 0, or why nothing can be sent any more. */
static int check_writable(const pair_end *e) {
  if (e->broken) return e->broken;
  return e->shut || !e->peer ? UV_EPIPE : 0;
}

static size_t room(const pair_end *e) {
  return DW_PAIR_BUFFER - e->peer->inbox.len;
}

/* Appends to the other's inbox what fits; how much did, or a negative code. */
static ssize_t send_some(pair_end *e, const uv_buf_t *bufs, unsigned n) {
  size_t len = dw_bufs_len(bufs, n);
  if (len > room(e)) len = room(e);
  if (len == 0) return 0;
  int err = dw_buffer_reserve(&e->peer->inbox, len);
  if (err) return err;
  size_t rest = len;
  for (unsigned i = 0; rest > 0; i++) {
    size_t part = bufs[i].len < rest ? bufs[i].len : rest;
    dw_buffer_append(&e->peer->inbox, bufs[i].base, part); /* has room */
    rest -= part;
  }
  wake(e->peer);
  return (ssize_t)len;
}

static ssize_t try_write(dw_stream *base, const uv_buf_t *bufs, unsigned n) {
  pair_end *e = of(base);
  int err = check_writable(e);
  if (err) return err;
  return dw_write_queue_empty(&e->queue) ? send_some(e, bufs, n) : 0;
}

static int queue_write(dw_stream *base, const uv_buf_t *bufs, unsigned n) {
  pair_end *e = of(base);
  size_t len = dw_bufs_len(bufs, n);
  int err = check_writable(e);
  if (!err)
    err = dw_write_queue_push(&e->queue, base->loop->alloc, bufs, n, len);
  if (err) return err;
  base->queued += len;
  wake(e);
  return 0;
}

static void tell_written(pair_end *e, int status) {
  if (e->base.write_cb) e->base.write_cb(&e->base, status);
}

static void fail_queue(pair_end *e, int err) {
  e->broken = err;
  e->base.queued = 0;
  while (dw_write_queue_pop(&e->queue, e->base.loop->alloc))
    tell_written(e, err);
}

static void tell_end(pair_end *e) {
  if (!e->peer) return;
  e->peer->ended = true;
  wake(e->peer);
}

static void flush(pair_end *e) {
  dw_allocator *alloc = e->base.loop->alloc;
  /* A callback may close either end; closing empties the queue. */
  while (!dw_write_queue_empty(&e->queue)) {
    if (dw_write_queue_pop_sent(&e->queue, alloc)) {
      tell_written(e, 0);
      continue;
    }
    uv_buf_t next;
    dw_write_queue_peek(&e->queue, &next, 1);
    ssize_t len = e->broken ? e->broken : UV_EPIPE;
    if (!e->broken && e->peer) len = send_some(e, &next, 1);
    if (len == 0) return; /* until the reader has made room */
    if (len < 0) {
      fail_queue(e, (int)len);
      return;
    }
    dw_write_queue_sent(&e->queue, (size_t)len);
    e->base.queued -= (size_t)len;
  }
  if (e->shut && !e->closing) tell_end(e);
}

static int shut_down(dw_stream *base) {
  pair_end *e = of(base);
  if (e->broken) return e->broken;
  if (e->shut) return 0;
  e->shut = true;
  if (dw_write_queue_empty(&e->queue)) tell_end(e);
  return 0;
}

/* --- The pump, opening and closing -----------------------------------------*/

static void pump_cb(dw_deferred *pump) {
  pair_end *e = DW_CONTAINER(pump, pair_end, pump);
  if (e->closing) {
    if (e->base.close_cb) e->base.close_cb(&e->base);
    dw_free(e->base.loop->alloc, e, sizeof(*e));
    return;
  }
  if (!dw_write_queue_empty(&e->queue)) flush(e);
  if (!e->closing) deliver(e);
}

static void close_stream(dw_stream *base, bool reset) {
  pair_end *e = of(base);
  pair_end *peer = e->peer;
  e->closing = true;
  e->reading = false;
  base->queued = 0;
  while (dw_write_queue_pop(&e->queue, base->loop->alloc)) continue;
  dw_buffer_deinit(&e->inbox);
  if (peer) {
    peer->peer = NULL;
    e->peer = NULL;
    peer->ended = true;
    if (reset && !peer->broken) peer->broken = UV_ECONNRESET;
    wake(peer);
  }
  wake(e);
}

/* The other end is on this machine: who asks for a client gets one. */
static size_t peer_address(dw_stream *base, char *out, size_t size, int *port) {
  static const char loopback[] = "127.0.0.1";
  (void)base;
  *port = 0;
  if (size < sizeof loopback) {
    if (size > 0) out[0] = '\0';
    return 0;
  }
  memcpy(out, loopback, sizeof loopback);
  return sizeof loopback - 1;
}

static const dw_stream_type memory_type = {.name = "memory",
                                           .read_start = read_start,
                                           .read_stop = read_stop,
                                           .try_write = try_write,
                                           .write = queue_write,
                                           .shutdown = shut_down,
                                           .close = close_stream,
                                           .peer = peer_address};

static void init_end(pair_end *e, dw_loop *loop, pair_end *peer) {
  e->base.type = &memory_type;
  e->base.loop = loop;
  e->peer = peer;
  dw_buffer_init(&e->inbox, loop->alloc, DW_PAIR_BUFFER);
  dw_deferred_init(&e->pump, pump_cb, NULL);
}

int dw_pair_open(dw_loop *loop, dw_stream **a, dw_stream **b) {
  *a = *b = NULL;
  pair_end *left = dw_zalloc(loop->alloc, sizeof(*left));
  pair_end *right = dw_zalloc(loop->alloc, sizeof(*right));
  if (!left || !right) {
    dw_free(loop->alloc, left, sizeof(*left));
    dw_free(loop->alloc, right, sizeof(*right));
    return UV_ENOMEM;
  }
  init_end(left, loop, right);
  init_end(right, loop, left);
  *a = &left->base;
  *b = &right->base;
  return 0;
}
