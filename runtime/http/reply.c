/* SPDX-License-Identifier: MIT */
/* Answers: heads, bodies and streams into the connection's output, and from
 * there into the stream. In the input loop nothing is sent before its end, so
 * that pipelined requests are answered by one write. */
#include "http/connection_private.h"

#include "base/error.h"

enum {
  COPY_MAX = 16 * 1024,   /* bodies up to this are copied behind their head */
  GATHER_MAX = 64 * 1024, /* output kept back while the input loop runs */
  BURST_MAX = 16,         /* pieces that a stream may write in one turn */
  ENCODED_PIECE = 4096,   /* bytes whose encoding counts as a piece */
  CODED_MAX = 64 * 1024   /* what is kept for the next encoded piece */
};

/* --- Sending ---------------------------------------------------------------*/

int dw_connection_send(dw_connection *c, dw_slice more) {
  uv_buf_t bufs[2] = {uv_buf_init(c->out.ptr, (unsigned)c->out.len),
                      uv_buf_init((char *)more.ptr, (unsigned)more.len)};
  unsigned n = more.len ? 2 : 1;
  ssize_t sent = dw_stream_try_write(c->stream, bufs, n);
  if (sent < 0) return (int)sent;
  size_t left = c->out.len + more.len - (size_t)sent;
  if (left > 0) {
    for (unsigned i = 0; i < n; i++) {
      size_t part = (size_t)sent < bufs[i].len ? (size_t)sent : bufs[i].len;
      bufs[i].base += part;
      bufs[i].len -= part;
      sent -= (ssize_t)part;
    }
    int code = dw_stream_write(c->stream, bufs, n);
    if (code < 0) return code;
    dw_connection_queued(c, left);
  }
  dw_connection_drop_output(c);
  return 0;
}

/* 0, or a negative code: then the connection is closed. */
int dw_connection_flush(dw_connection *c) {
  if (c->state == DW_CONNECTION_CLOSED || c->doomed) return DEWAR_ECLOSED;
  if (c->out.len == 0) return 0;
  int code = dw_connection_send(c, DW_EMPTY);
  if (code < 0) dw_connection_cut(c);
  return code;
}

/* To be cut at the end of the turn. A write may be another request's doing,
 * which a request that ended at once would be resumed in the middle of. */
static void doom(dw_connection *c) {
  c->doomed = true;
  c->keep_alive = false;
  dw_loop_defer(c->http->loop, &c->flusher);
}

/* The same as a flush, but for the end of a connection that fails. */
static int send_or_doom(dw_connection *c) {
  if (c->state == DW_CONNECTION_CLOSED || c->doomed) return DEWAR_ECLOSED;
  if (c->out.len == 0) return 0;
  int code = dw_connection_send(c, DW_EMPTY);
  if (code < 0) doom(c);
  return code;
}

/* --- Heads -----------------------------------------------------------------*/

/* What the answer's own Connection header wants. */
static bool says_close(const dw_response *r) {
  const dw_header *h = dw_headers_find(&r->headers, DW_LITERAL("Connection"));
  return h && dw_slice_equal_nocase(h->value, DW_LITERAL("close"));
}

int dw_reply_head(dw_transaction *t, dw_response *r, dw_framing framing,
                  uint64_t length) {
  dw_connection *c = t->connection;
  bool keep = c->keep_alive && !c->http->stopping && !says_close(r) &&
              framing != DW_FRAMING_CLOSE && dw_body_allows_reuse(t);
  dw_head_options options = {.framing = framing,
                             .length = length,
                             .minor = t->request.minor,
                             .keep_alive = keep,
                             .date = dw_loop_date(c->http->loop),
                             .vary = t->vary,
                             .weaken = t->weaken};
  if (t->coding) options.coding = dw_coding_name((dw_coding)t->coding);
  dw_connection_take_output(c);
  size_t before = c->out.len;
  int code = dw_writer_head(&c->out, r, &options);
  if (code < 0) {
    c->out.len = before;
    return code;
  }
  c->keep_alive = keep;
  t->status = r->status;
  t->framing = framing;
  t->bodiless =
      t->request.method == DW_METHOD_HEAD || dw_status_bodiless(r->status);
  return 0;
}

int dw_reply(dw_transaction *t, dw_response *r) {
  dw_connection *c = t->connection;
  if (t->reply != DW_REPLY_NONE) return DEWAR_EMISUSE;
  dw_slice body = r->kind == DW_BODY_BYTES ? r->body : dw_response_bytes(r);
  dw_framing framing =
      dw_status_bodiless(r->status) ? DW_FRAMING_NONE : DW_FRAMING_LENGTH;
  if (c->state == DW_CONNECTION_CLOSED) {
    t->reply = DW_REPLY_DONE;
    t->status = r->status;
    return 0;
  }
  size_t before = c->out.len;
  int code = dw_reply_head(t, r, framing, body.len);
  if (code < 0) return code;
  if (t->bodiless) body = DW_EMPTY;
  t->length = t->taken = t->sent = body.len;
  if (body.len <= COPY_MAX) {
    code = dw_buffer_append_slice(&c->out, body);
    if (code < 0) {
      c->out.len = before;
      t->status = 0;
      return code;
    }
    t->reply = DW_REPLY_DONE;
    if (!c->processing || c->out.len > GATHER_MAX) dw_connection_flush(c);
    return 0;
  }
  t->reply = DW_REPLY_DONE;
  if (dw_connection_send(c, body) < 0) dw_connection_cut(c);
  return 0;
}

int dw_reply_upgrade(dw_transaction *t, dw_response *r, dw_upgrade *u) {
  dw_connection *c = t->connection;
  if (t->reply != DW_REPLY_NONE) return DEWAR_EMISUSE;
  if (c->state == DW_CONNECTION_CLOSED || c->ended) return DEWAR_ECLOSED;
  int code = dw_reply_head(t, r, DW_FRAMING_NONE, 0);
  if (code < 0) return code;
  t->reply = DW_REPLY_DONE;
  c->state = DW_CONNECTION_SWITCHED;
  c->upgrade = u;
  u->connection = c;
  dw_connection_flush_soon(c);
  return 0;
}

/* --- Streams ---------------------------------------------------------------*/

static bool find_length(const dw_response *r, uint64_t *out) {
  const dw_header *h =
      dw_headers_find(&r->headers, DW_LITERAL("Content-Length"));
  if (!h || h->value.len == 0 || h->value.len > 18) return false;
  uint64_t n = 0;
  for (size_t i = 0; i < h->value.len; i++) {
    char digit = h->value.ptr[i];
    if (digit < '0' || digit > '9') return false;
    n = n * 10 + (uint64_t)(digit - '0');
  }
  *out = n;
  return true;
}

int dw_reply_start(dw_transaction *t, dw_response *r) {
  if (t->reply != DW_REPLY_NONE) return DEWAR_EMISUSE;
  dw_framing framing = t->request.minor ? DW_FRAMING_CHUNKED : DW_FRAMING_CLOSE;
  uint64_t length = UINT64_MAX;
  if (dw_status_bodiless(r->status)) {
    framing = DW_FRAMING_NONE;
  } else if (r->ranged) {
    framing = DW_FRAMING_LENGTH;
    length = r->length;
    t->skip = r->offset;
    t->ranged = true;
  } else if (find_length(r, &length) && !t->coding) {
    framing = DW_FRAMING_LENGTH;
  }
  if (t->connection->state == DW_CONNECTION_CLOSED) {
    t->status = r->status;
  } else {
    int code = dw_reply_head(t, r, framing, length);
    if (code < 0) return code;
    /* The first piece may be long in coming. */
    dw_connection *c = t->connection;
    if (!c->processing) dw_loop_defer(c->http->loop, &c->flusher);
  }
  t->length = length;
  t->reply = DW_REPLY_STREAM;
  return 0;
}

/* Pieces of one turn leave together, at its end at the latest. */
void dw_connection_flush_soon(dw_connection *c) {
  dw_loop_defer(c->http->loop, &c->flusher);
  if (c->out.len > GATHER_MAX / 4) (void)send_or_doom(c);
}

/* What of a piece lies in the range that is sent. */
static dw_slice in_range(dw_transaction *t, dw_slice bytes) {
  size_t skip = t->skip < bytes.len ? (size_t)t->skip : bytes.len;
  uint64_t room = t->length - t->sent;
  t->skip -= skip;
  bytes = dw_slice_of(bytes.ptr + skip, bytes.len - skip);
  if (bytes.len > room) bytes.len = (size_t)room;
  return bytes;
}

static int put_piece(dw_transaction *t, dw_slice bytes) {
  dw_connection *c = t->connection;
  size_t before = c->out.len;
  int code = t->framing == DW_FRAMING_CHUNKED
                 ? dw_writer_chunk(&c->out, bytes)
                 : dw_buffer_append_slice(&c->out, bytes);
  if (code < 0)
    c->out.len = before;
  else
    t->sent += bytes.len;
  return code;
}

/* What is in the output still goes out; then the connection closes without the
 * final chunk. */
static void cut(dw_transaction *t) {
  t->reply = DW_REPLY_CUT;
  t->connection->keep_alive = false;
  (void)send_or_doom(t->connection);
}

/* A piece through the encoder, which may keep it back for a while. After a
 * failure the answer can't go on: it is to be cut, and what the encoder still
 * has is lost. */
static int put_encoded(dw_transaction *t, dw_slice bytes, dw_encode how) {
  dw_buffer *coded = &t->connection->http->coded;
  size_t work = t->burst + bytes.len / ENCODED_PIECE;
  t->burst = work < BURST_MAX ? (uint8_t)work : BURST_MAX;
  int code = dw_encoder_write(t->encoder, bytes, how, coded);
  if (code == 0 && coded->len > 0) code = put_piece(t, dw_buffer_slice(coded));
  coded->len = 0;
  if (coded->cap > CODED_MAX) dw_buffer_deinit(coded);
  return code;
}

void dw_reply_settle(dw_transaction *t) {
  if (!t->encoder || t->reply != DW_REPLY_STREAM) return;
  if (t->connection->state == DW_CONNECTION_CLOSED || t->bodiless) return;
  if (put_encoded(t, DW_EMPTY, DW_ENCODE_FLUSH) < 0) cut(t);
}

/* Puts what of the bytes is to be sent into the output. */
static int put(dw_transaction *t, dw_slice bytes) {
  if (t->ranged) bytes = in_range(t, bytes);
  if (t->bodiless || bytes.len == 0) return 0;
  if (bytes.len > t->length - t->taken) return DEWAR_ETOOBIG;
  int code =
      t->encoder ? put_encoded(t, bytes, DW_ENCODE_MORE) : put_piece(t, bytes);
  if (code == 0) t->taken += bytes.len;
  return code;
}

int dw_reply_write(dw_transaction *t, dw_slice bytes) {
  dw_connection *c = t->connection;
  if (t->reply != DW_REPLY_STREAM) return DEWAR_EMISUSE;
  if (c->state == DW_CONNECTION_CLOSED || c->doomed) return DEWAR_ECLOSED;
  uint64_t before = t->taken;
  int code = put(t, bytes);
  if (code < 0 && code != DEWAR_ETOOBIG && t->encoder) cut(t);
  if (code < 0 || t->taken == before) return code;
  dw_connection_flush_soon(c);
  return c->doomed ? DEWAR_ECLOSED : 0;
}

/* --- Streams that many share -----------------------------------------------*/

size_t dw_reply_backlog(const dw_transaction *t) {
  const dw_connection *c = t->connection;
  return c->state == DW_CONNECTION_CLOSED ? 0 : c->stream->queued + c->out.len;
}

void dw_reply_drop(dw_transaction *t) {
  dw_connection *c = t->connection;
  if (c->state != DW_CONNECTION_CLOSED) doom(c);
}

/* As the chunk that others get, too. */
static int send_chunk(dw_transaction *t, dw_shared_piece *p) {
  dw_connection *c = t->connection;
  int code = 0;
  if (p->chunk.len == 0) code = dw_writer_chunk(&p->chunk, p->bytes);
  if (code < 0) return code;
  if (dw_connection_send(c, dw_buffer_slice(&p->chunk)) < 0) {
    dw_reply_drop(t);
    return DEWAR_ECLOSED;
  }
  t->taken += p->bytes.len;
  t->sent += p->bytes.len;
  return 0;
}

int dw_reply_share(dw_transaction *t, dw_shared_piece *p) {
  dw_connection *c = t->connection;
  if (t->reply != DW_REPLY_STREAM) return DEWAR_EMISUSE;
  if (c->state == DW_CONNECTION_CLOSED || c->doomed) return DEWAR_ECLOSED;
  if (t->framing == DW_FRAMING_CHUNKED && !t->encoder && !t->bodiless)
    return send_chunk(t, p);
  int code = put(t, p->bytes);
  if (code < 0 && code != DEWAR_ETOOBIG && t->encoder) dw_reply_drop(t);
  if (code == 0) dw_loop_defer(c->http->loop, &c->flusher);
  return code;
}

bool dw_connection_backed_up(dw_connection *c) {
  if (c->state == DW_CONNECTION_CLOSED) return false;
  if (c->stream->queued + c->out.len <= DW_WRITE_HIGH_WATER) return c->doomed;
  return send_or_doom(c) < 0 || c->stream->queued > 0;
}

bool dw_reply_full(dw_transaction *t) {
  dw_connection *c = t->connection;
  bool full = dw_connection_backed_up(c);
  if (!full) {
    if (++t->burst < BURST_MAX) return false;
    dw_loop_defer(c->http->loop, &c->flusher);
  }
  c->waiting_drain = true;
  return true;
}

bool dw_reply_trails(dw_transaction *t) {
  if (t->framing != DW_FRAMING_CHUNKED || t->bodiless) return false;
  dw_slice list = dw_request_header(&t->request, "TE");
  for (dw_slice token; dw_list_next(&list, &token);)
    if (dw_slice_equal_nocase(token, DW_LITERAL("trailers"))) return true;
  return false;
}

int dw_reply_finish(dw_transaction *t) {
  dw_connection *c = t->connection;
  if (t->reply != DW_REPLY_STREAM) return DEWAR_EMISUSE;
  bool promised = t->framing != DW_FRAMING_NONE && t->length != UINT64_MAX;
  if (promised && t->taken < t->length && !t->bodiless) {
    dw_reply_cut(t);
    return DEWAR_EMISUSE;
  }
  bool closed = c->state == DW_CONNECTION_CLOSED;
  if (t->encoder && !t->bodiless && !closed &&
      put_encoded(t, DW_EMPTY, DW_ENCODE_END) < 0) {
    cut(t);
    return 0;
  }
  t->reply = DW_REPLY_DONE;
  if (closed) return 0;
  if (t->framing == DW_FRAMING_CHUNKED && !t->bodiless &&
      dw_writer_last_chunk(&c->out, t->trailers) < 0)
    dw_reply_cut(t);
  else if (!c->processing || c->out.len > GATHER_MAX)
    dw_connection_flush(c);
  return 0;
}

/* What was given before still goes out, be it in the encoder. */
void dw_reply_cut(dw_transaction *t) {
  dw_reply_settle(t);
  if (t->reply != DW_REPLY_CUT) cut(t);
}
