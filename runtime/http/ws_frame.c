/* SPDX-License-Identifier: MIT */
/* Frames by wslay's frame layer. wslay takes its contexts from malloc; all else
 * is the allocator's. */
#include "http/ws_frame.h"

#include <wslay/wslay.h>

#include "base/crypto.h"
#include "base/error.h"

enum { SPARE_READERS = 16, HEAD_MAX = 14 };

struct dw_ws_reader {
  wslay_frame_context_ptr frames;
  dw_slice *bytes; /* what may be taken, during a call */
  uint64_t taken;  /* bytes in all that were given to wslay ... */
  uint64_t used;   /* ... and that have become parts and heads */
  uint64_t left;   /* of the payload that has begun */
  dw_ws_reader *next;
};

static void reader_free(dw_ws_pool *pool, dw_ws_reader *r) {
  wslay_frame_context_free(r->frames);
  dw_free(pool->alloc, r, sizeof *r);
}

/* --- Reading ---------------------------------------------------------------*/

static ssize_t give(uint8_t *into, size_t room, int flags, void *data) {
  dw_ws_reader *r = data;
  (void)flags;
  size_t len = r->bytes->len < room ? r->bytes->len : room;
  if (len == 0) return -1;
  memcpy(into, r->bytes->ptr, len);
  r->bytes->ptr += len;
  r->bytes->len -= len;
  r->taken += len;
  return (ssize_t)len;
}

static dw_ws_reader *reader_new(dw_ws_pool *pool) {
  const struct wslay_frame_callbacks callbacks = {.recv_callback = give};
  dw_ws_reader *r = dw_zalloc(pool->alloc, sizeof *r);
  if (!r) return NULL;
  if (wslay_frame_context_init(&r->frames, &callbacks, r) == 0) return r;
  dw_free(pool->alloc, r, sizeof *r);
  return NULL;
}

dw_ws_reader *dw_ws_reader_take(dw_ws_pool *pool) {
  dw_ws_reader *r = pool->spare;
  if (!r) return reader_new(pool);
  pool->spare = r->next;
  pool->spares--;
  return r;
}

/* One in the middle of a frame would go on with it. */
void dw_ws_reader_drop(dw_ws_pool *pool, dw_ws_reader *r) {
  if (!r) return;
  if (!dw_ws_reader_idle(r) || pool->spares >= SPARE_READERS) {
    reader_free(pool, r);
    return;
  }
  r->next = pool->spare;
  pool->spare = r;
  pool->spares++;
}

bool dw_ws_reader_idle(const dw_ws_reader *r) {
  return r->taken == r->used && r->left == 0;
}

/* wslay refuses lengths that are not written the shortest way, so this is what
 * the head took. */
static uint64_t head_length(const struct wslay_frame_iocb *frame) {
  uint64_t more = frame->payload_length > UINT16_MAX ? 8 : 2;
  if (frame->payload_length < 126) more = 0;
  return 2 + more + (frame->mask ? 4 : 0);
}

int dw_ws_reader_next(dw_ws_reader *r, dw_slice *bytes, dw_ws_part *part) {
  struct wslay_frame_iocb frame;
  r->bytes = bytes;
  ssize_t len = wslay_frame_recv(r->frames, &frame);
  r->bytes = NULL;
  if (len == WSLAY_ERR_WANT_READ) return 0;
  if (len < 0) {
    r->left = UINT64_MAX; /* no use any more */
    return DEWAR_EPARSE;
  }
  if (r->left == 0) {
    r->left = frame.payload_length;
    r->used += head_length(&frame);
  }
  *part = (dw_ws_part){
      .length = frame.payload_length,
      .offset = frame.payload_length - r->left,
      .data = dw_slice_of((const char *)frame.data, frame.data_length),
      .opcode = frame.opcode,
      .rsv = frame.rsv,
      .fin = frame.fin,
      .masked = frame.mask};
  r->left -= frame.data_length;
  r->used += frame.data_length;
  return 1;
}

/* --- Writing ---------------------------------------------------------------*/

struct dw_ws_writer {
  wslay_frame_context_ptr frames;
  dw_buffer *out; /* during a call */
};

/* Room was made before. */
static ssize_t put(const uint8_t *bytes, size_t len, int flags, void *data) {
  dw_ws_writer *w = data;
  (void)flags;
  return dw_buffer_append(w->out, bytes, len) == 0 ? (ssize_t)len : -1;
}

static int make_mask(uint8_t *out, size_t len, void *data) {
  (void)data;
  return dw_random(out, len);
}

static void writer_free(dw_ws_pool *pool) {
  dw_ws_writer *w = pool->writer;
  if (!w) return;
  pool->writer = NULL;
  wslay_frame_context_free(w->frames);
  dw_free(pool->alloc, w, sizeof *w);
}

static dw_ws_writer *writer_of(dw_ws_pool *pool) {
  const struct wslay_frame_callbacks callbacks = {
      .send_callback = put, .genmask_callback = make_mask};
  if (pool->writer) return pool->writer;
  dw_ws_writer *w = dw_zalloc(pool->alloc, sizeof *w);
  if (!w) return NULL;
  pool->writer = w;
  if (wslay_frame_context_init(&w->frames, &callbacks, w) == 0) return w;
  pool->writer = NULL;
  dw_free(pool->alloc, w, sizeof *w);
  return NULL;
}

int dw_ws_frame_write(dw_ws_pool *pool, dw_ws_opcode opcode, uint8_t rsv,
                      dw_slice payload, dw_buffer *out) {
  size_t before = out->len;
  if (payload.len > SIZE_MAX / 2) return DW_ETOOBIG;
  int code = dw_buffer_reserve(out, HEAD_MAX + payload.len);
  if (code < 0) return code;
  dw_ws_writer *w = writer_of(pool);
  if (!w) return DW_ENOMEM;
  struct wslay_frame_iocb frame = {.fin = 1,
                                   .rsv = rsv,
                                   .opcode = (uint8_t)opcode,
                                   .payload_length = payload.len,
                                   .mask = pool->client,
                                   .data = (const uint8_t *)payload.ptr,
                                   .data_length = payload.len};
  w->out = out;
  ssize_t sent = wslay_frame_send(w->frames, &frame);
  w->out = NULL;
  if (sent == (ssize_t)payload.len) return 0;
  out->len = before; /* no mask: it can't go on from here */
  writer_free(pool);
  return DW_ENOMEM;
}

/* --- The pool --------------------------------------------------------------*/

void dw_ws_pool_init(dw_ws_pool *pool, dw_allocator *a, bool client) {
  *pool = (dw_ws_pool){.alloc = a, .client = client};
  dw_ws_flate_init(&pool->flate, a);
}

void dw_ws_pool_deinit(dw_ws_pool *pool) {
  while (pool->spare) {
    dw_ws_reader *r = pool->spare;
    pool->spare = r->next;
    reader_free(pool, r);
  }
  pool->spares = 0;
  writer_free(pool);
  dw_ws_flate_deinit(&pool->flate);
}
