/* SPDX-License-Identifier: MIT */
/* WebSocket frames (RFC 6455, 5): bytes to parts of payloads and back, by
 * wslay. What a frame means is ws_codec.c's matter.
 *
 * wslay's state of a connection is more than 4 KiB of buffer. A connection that
 * is between two frames has nothing in it, so it holds none: readers go from
 * hand to hand, and the pool keeps a few. (wslay's event layer would take twice
 * as much of each connection, all the time.)
 *
 * Owner: the pool belongs to a dw_http, or to whoever plays the client; a
 * reader to the connection that took it. Thread: the loop's. */
#ifndef DW_HTTP_WS_FRAME_H
#define DW_HTTP_WS_FRAME_H

#include "base/buffer.h"
#include "http/ws_deflate.h"

typedef struct dw_ws_pool dw_ws_pool;
typedef struct dw_ws_reader dw_ws_reader;
typedef struct dw_ws_writer dw_ws_writer;

typedef enum dw_ws_opcode {
  DW_WS_CONTINUATION = 0,
  DW_WS_TEXT = 1,
  DW_WS_BINARY = 2,
  DW_WS_OPCODE_CLOSE = 8,
  DW_WS_OPCODE_PING = 9,
  DW_WS_OPCODE_PONG = 10
} dw_ws_opcode;

enum {
  DW_WS_CONTROL_MAX = 125, /* bytes of a control frame's payload */
  DW_WS_RSV1 = 4           /* as in `rsv` below */
};

/* What the connections of one side share. */
struct dw_ws_pool {
  dw_allocator *alloc;
  bool client; /* its frames are masked */
  dw_ws_reader *spare;
  unsigned spares;
  dw_ws_writer *writer; /* NULL until it is needed */
  dw_ws_flate flate;
};

void dw_ws_pool_init(dw_ws_pool *pool, dw_allocator *a, bool client);
void dw_ws_pool_deinit(dw_ws_pool *pool);

/* A run of a frame's payload. A frame has one at least, which may be empty. */
typedef struct dw_ws_part {
  uint64_t length; /* of the whole payload */
  uint64_t offset; /* of data in it; 0: the frame begins here */
  dw_slice data;   /* unmasked; valid until the next call */
  uint8_t opcode, rsv;
  bool fin, masked;
} dw_ws_part;

static inline bool dw_ws_part_is_last(const dw_ws_part *p) {
  return p->offset + p->data.len == p->length;
}

/* NULL without memory. */
dw_ws_reader *dw_ws_reader_take(dw_ws_pool *pool);
void dw_ws_reader_drop(dw_ws_pool *pool, dw_ws_reader *r);
/* The next part, of bytes that were taken before or of these, which are moved
 * on. 1; 0: no more, and all bytes were taken; DEWAR_EPARSE: no frame. */
int dw_ws_reader_next(dw_ws_reader *r, dw_slice *bytes, dw_ws_part *part);
/* Whether it holds nothing: what comes next begins a frame. */
bool dw_ws_reader_idle(const dw_ws_reader *r);

/* Appends a whole frame to out. 0, DW_ENOMEM or DW_ETOOBIG, and then out is as
 * before. */
int dw_ws_frame_write(dw_ws_pool *pool, dw_ws_opcode opcode, uint8_t rsv,
                      dw_slice payload, dw_buffer *out);

#endif
