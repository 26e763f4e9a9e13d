/* SPDX-License-Identifier: MIT */
/* Files as bodies. Where the stream can, the system moves the bytes, and a slow
 * client costs no memory of ours; elsewhere, and where they are to be encoded,
 * pieces are read in the pool, the next one when the last has been taken. Its
 * waits are those of a stream: for drain_cb. Owner: the transaction, but a read
 * outlives it. */
#include "http/connection_private.h"

#include "base/error.h"

enum {
  PIECE_MAX = 64 * 1024,       /* read at once */
  RUN_MAX = 1024 * 1024 * 1024 /* given to the stream at once */
};

struct dw_transfer {
  dw_transaction *t;
  dw_file *file; /* the response's, which lives as long */
  uint64_t offset;
  dw_file_read *reading; /* under way */
  dw_file_read *piece;   /* that was read and not yet sent */
  uint64_t running;      /* bytes that the stream has */
  int failed;
};

int dw_reply_file(dw_transaction *t, dw_response *r) {
  if (t->reply != DW_REPLY_NONE) return DEWAR_EMISUSE;
  dw_transfer *f = dw_arena_zalloc(&t->request.arena, sizeof *f);
  if (!f) return DW_ENOMEM;
  f->t = t;
  f->file = r->owner;
  f->offset = r->offset;
  if (t->connection->state == DW_CONNECTION_CLOSED) {
    t->status = r->status;
  } else {
    dw_framing framing = DW_FRAMING_LENGTH;
    if (dw_status_bodiless(r->status))
      framing = DW_FRAMING_NONE;
    else if (t->coding)
      framing = t->request.minor ? DW_FRAMING_CHUNKED : DW_FRAMING_CLOSE;
    int code = dw_reply_head(t, r, framing, r->length);
    if (code < 0) return code;
  }
  t->length = t->bodiless ? 0 : r->length;
  t->transfer = f;
  t->reply = DW_REPLY_STREAM;
  return 0;
}

void dw_transfer_end(dw_transaction *t) {
  dw_transfer *f = t->transfer;
  const dw_stream *s = t->connection->stream;
  if (!f) return;
  t->transfer = NULL;
  if (f->running > 0 && s) t->sent += f->running - s->queued;
  if (f->reading) dw_file_read_drop(f->reading);
  if (f->piece) dw_file_read_free(f->piece);
}

/* --- By the stream ---------------------------------------------------------*/

/* 1: it has begun; or a code. */
static int run(dw_transfer *f) {
  dw_connection *c = f->t->connection;
  uint64_t left = f->t->length - f->t->sent;
  if (left > RUN_MAX) left = RUN_MAX;
  int code = dw_stream_write_file(c->stream, f->file, f->offset, left);
  if (code < 0) return code;
  dw_connection_queued(c, (size_t)left);
  f->running = left;
  f->offset += left;
  return 1;
}

/* Whether all is sent that the stream had. */
static bool ran(dw_transfer *f) {
  const dw_stream *s = f->t->connection->stream;
  if (s->queued > 0) return false;
  f->failed = s->file_error;
  if (!f->failed) f->t->sent = f->t->taken += f->running;
  f->running = 0;
  return true;
}

/* --- By pieces -------------------------------------------------------------*/

/* Sending it may end the transaction, so that is left to dw_reply_file_next. */
static void read_cb(void *data, dw_file_read *read) {
  dw_transfer *f = data;
  dw_connection *c = f->t->connection;
  f->reading = NULL;
  f->piece = read;
  if (c->waiting_drain) dw_connection_tell_drained(c);
}

/* 0 or a code. */
static int send_piece(dw_transfer *f) {
  dw_file_read *piece = f->piece;
  f->piece = NULL;
  int code = piece->len < 0 ? (int)piece->len : UV_EOF;
  if (piece->len > 0) {
    f->offset += (uint64_t)piece->len;
    code = dw_reply_write(f->t, dw_slice_of(piece->bytes, (size_t)piece->len));
  }
  dw_file_read_free(piece);
  return code;
}

static int read_piece(dw_transfer *f) {
  dw_transaction *t = f->t;
  uint64_t left = t->length - t->taken;
  size_t size = left < PIECE_MAX ? (size_t)left : PIECE_MAX;
  int code = dw_file_read_start(&f->reading, t->connection->http->loop, f->file,
                                f->offset, size, read_cb, f);
  return code < 0 ? code : 1;
}

/* --- Both ------------------------------------------------------------------*/

/* 1: it goes on by itself; 0: that was all; or a code. */
static int advance(dw_transfer *f) {
  dw_transaction *t = f->t;
  dw_connection *c = t->connection;
  if (f->reading || (f->running > 0 && !ran(f))) return 1;
  if (f->piece) f->failed = send_piece(f);
  if (f->failed) return f->failed;
  if (t->taken == t->length) return 0;
  if (t->encoder || !dw_stream_writes_files(c->stream))
    return dw_connection_backed_up(c) ? 1 : read_piece(f);
  int code = dw_connection_flush(c);
  return code < 0 ? code : run(f);
}

int dw_reply_file_next(dw_transaction *t) {
  dw_connection *c = t->connection;
  if (c->state == DW_CONNECTION_CLOSED || !t->transfer) {
    dw_reply_cut(t);
    return DEWAR_ECLOSED;
  }
  int code = advance(t->transfer);
  if (c->state == DW_CONNECTION_CLOSED) {
    dw_reply_cut(t);
    return DEWAR_ECLOSED;
  }
  if (code == 1) c->waiting_drain = true;
  return code;
}
