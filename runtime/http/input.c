/* SPDX-License-Identifier: MIT */
/* Input: what arrives becomes heads, bodies and, behind an answer, something to
 * be swallowed. All of one read is used before anything is sent, so that
 * pipelined requests are answered by one write. */
#include "http/connection_private.h"

#include "base/error.h"

enum {
  HOLD_MAX = 64 * 1024,   /* pipelined bytes kept behind a request */
  LINGER_MAX = 512 * 1024 /* bytes that a closed peer may go on sending */
};

static void body_failed(dw_transaction *t, int failed, const char *reason) {
  t->body.failed = failed;
  t->body.reason = reason;
  t->connection->keep_alive = false;
}

/* Feeds what is there of the body; the bytes used. Calls nobody: a transaction
 * may end in any callback. */
static size_t feed_body(dw_connection *c, const char *bytes, size_t len) {
  dw_transaction *t = c->transaction;
  dw_body *b = &t->body;
  size_t done = 0;
  while (!b->ended && !b->failed) {
    size_t used = 0;
    dw_slice data = DW_EMPTY;
    dw_parse r =
        dw_parser_body(&c->parser, bytes + done, len - done, &used, &data);
    done += used;
    if (r == DW_PARSE_DATA) {
      b->received += data.len;
      if (dw_buffer_append_slice(&b->data, data) < 0)
        body_failed(t, UV_ENOMEM, NULL);
    } else if (r == DW_PARSE_END) {
      b->ended = true;
    } else if (r == DW_PARSE_MORE) {
      break;
    } else {
      body_failed(t, c->parser.status, c->parser.reason);
    }
  }
  return done;
}

static void keep_head_deadline(dw_connection *c, bool started) {
  if (!started && dw_parser_started(&c->parser))
    dw_connection_deadline(c, c->http->limits->header_timeout);
}

/* A head: parses it and hands the request on. Returns the bytes used, all of
 * len where the head is incomplete. */
static size_t input_head(dw_connection *c, const char *bytes, size_t len) {
  size_t used = 0;
  bool started = dw_parser_started(&c->parser);
  dw_parse r =
      dw_parser_scan(&c->parser, bytes + c->scanned, len - c->scanned, &used);
  if (r == DW_PARSE_MORE) {
    c->scanned = len;
    keep_head_deadline(c, started);
    return 0;
  }
  if (r == DW_PARSE_ERROR) {
    dw_connection_reject(c, c->parser.status, c->parser.reason);
    return len;
  }
  used += c->scanned;
  c->scanned = 0;
  size_t fields = c->parser.message.guard.lines * sizeof(dw_header);
  dw_transaction *t = dw_transaction_new(c, used + fields);
  if (!t) {
    dw_connection_reject(c, 503, "out of memory");
    return len;
  }
  int code = dw_parser_head(&c->parser, bytes, used, &t->request);
  if (code < 0) {
    if (code == DW_ENOMEM)
      dw_connection_reject(c, 503, "out of memory");
    else
      dw_connection_reject(c, c->parser.status, c->parser.reason);
    return len;
  }
  c->state = DW_CONNECTION_BUSY;
  c->deadline = UINT64_MAX;
  c->keep_alive = t->request.keep_alive && !c->http->stopping;
  t->body.continue_due = t->request.expects_continue;
  used += feed_body(c, bytes + used, len - used);
  if (t->body.failed > 0) {
    dw_connection_reject(c, t->body.failed, t->body.reason);
    return len;
  }
  c->http->events->request_cb(t);
  return used;
}

/* What arrives behind an answered request until its body has ended. */
static size_t input_drain(dw_connection *c, const char *bytes, size_t len) {
  size_t done = 0;
  for (;;) {
    size_t used = 0;
    dw_slice data = DW_EMPTY;
    dw_parse r =
        dw_parser_body(&c->parser, bytes + done, len - done, &used, &data);
    done += used;
    c->drained += used;
    if (r == DW_PARSE_END) {
      dw_connection_drained(c);
      c->state = DW_CONNECTION_HEAD;
      dw_connection_idle(c);
      return done;
    }
    if (r == DW_PARSE_ERROR || c->drained > DW_DRAIN_MAX) {
      dw_connection_finish(c);
      return len;
    }
    if (r == DW_PARSE_MORE) return done;
  }
}

static size_t input_busy(dw_connection *c, const char *bytes, size_t len) {
  dw_transaction *t = c->transaction;
  dw_body *b = &t->body;
  if (b->ended || b->failed) return 0;
  size_t used = feed_body(c, bytes, len);
  if (!b->wanted) return used;
  if (b->ended || b->failed || b->data.len > 0) {
    b->wanted = false;
    c->http->events->body_cb(t);
  } else {
    dw_connection_deadline(c, c->limits->body_timeout);
  }
  return used;
}

static bool output_full(dw_connection *c) {
  return c->stream->queued + c->out.len > DW_WRITE_HIGH_WATER;
}

/* Uses as much of the bytes as it can: all of the loop on one read, so that
 * pipelined requests are answered by one write. */
static size_t input(dw_connection *c, const char *bytes, size_t len) {
  size_t done = 0;
  c->processing = true;
  while (done < len) {
    size_t used = 0;
    uint8_t before = c->state;
    if (c->state == DW_CONNECTION_HEAD) {
      if (output_full(c)) {
        if (dw_connection_flush(c) < 0) break;
        if (output_full(c)) break;
      }
      used = input_head(c, bytes + done, len - done);
    } else if (c->state == DW_CONNECTION_BUSY) {
      used = input_busy(c, bytes + done, len - done);
    } else if (c->state == DW_CONNECTION_SWITCHED) {
      used = c->upgrade->type->input(c->upgrade,
                                     dw_slice_of(bytes + done, len - done));
    } else if (c->state == DW_CONNECTION_DRAIN) {
      used = input_drain(c, bytes + done, len - done);
    } else {
      used = len - done;
    }
    done += used;
    if (used == 0 && c->state == before) break;
  }
  c->processing = false;
  return done;
}

static void hold_failed(dw_connection *c) {
  if (c->transaction)
    dw_connection_cut(c);
  else
    dw_connection_reject(c, 503, "out of memory");
}

void dw_connection_input(dw_connection *c) {
  if (c->processing || c->state == DW_CONNECTION_CLOSED) return;
  if (c->in.len) {
    size_t used = input(c, c->in.ptr, c->in.len);
    if (c->state == DW_CONNECTION_CLOSED) return;
    if (used >= c->in.len)
      dw_buffer_deinit(&c->in);
    else if (used)
      dw_buffer_consume(&c->in, used);
  }
  if (dw_connection_flush(c) < 0) return;
  dw_connection_update_reading(c);
}

static void peer_ended(dw_connection *c, ssize_t len) {
  c->ended = true;
  c->reading = false;
  if (len < 0) {
    dw_connection_cut(c);
  } else if (c->state == DW_CONNECTION_SWITCHED) {
    if (!c->upgrade->type->stays(c->upgrade)) dw_connection_close(c);
  } else if (c->state == DW_CONNECTION_LINGER) {
    dw_connection_close(c);
  } else if (c->state == DW_CONNECTION_HEAD ||
             c->state == DW_CONNECTION_DRAIN) {
    c->keep_alive = false;
    dw_connection_finish(c);
  } else if (c->state == DW_CONNECTION_BUSY &&
             c->limits->cancel_on_disconnect) {
    dw_connection_close(c);
  } else if (c->state == DW_CONNECTION_BUSY) {
    dw_transaction *t = c->transaction;
    c->keep_alive = false;
    if (!t->body.ended) dw_body_fail(t, UV_ECONNRESET, NULL);
  }
}

void dw_connection_read_cb(dw_stream *s, const char *bytes, ssize_t len) {
  dw_connection *c = s->data;
  if (len <= 0) {
    peer_ended(c, len);
    return;
  }
  if (c->state == DW_CONNECTION_LINGER || c->state == DW_CONNECTION_FLUSH) {
    c->drained += (uint64_t)len;
    dw_connection_update_reading(c);
    return;
  }
  size_t used = 0;
  if (c->in.len == 0) used = input(c, bytes, (size_t)len);
  if (c->state == DW_CONNECTION_CLOSED) return;
  if (used < (size_t)len &&
      dw_buffer_append(&c->in, bytes + used, (size_t)len - used) < 0) {
    hold_failed(c);
    return;
  }
  if (used == 0 && c->in.len > (size_t)len) {
    dw_connection_input(c);
    return;
  }
  if (dw_connection_flush(c) < 0) return;
  dw_connection_update_reading(c);
}

/* Somebody who waits for the whole body has an own limit for it. */
static bool body_full(const dw_body *b) {
  return !b->ended && b->data.len > DW_BODY_HIGH_WATER &&
         !(b->wanted && b->whole);
}

/* Whether bytes are welcome. While a view waits they are, up to a limit, since
 * reading is how a disconnect is noticed. */
static bool wants_bytes(dw_connection *c) {
  if (c->ended) return false;
  const dw_transaction *t = c->transaction;
  switch ((dw_connection_state)c->state) {
  case DW_CONNECTION_FLUSH:
  case DW_CONNECTION_LINGER:
    return c->drained <= LINGER_MAX;
  case DW_CONNECTION_HEAD:
    return !output_full(c); /* the parser limits a head that is held */
  case DW_CONNECTION_BUSY:
    return c->in.len <= HOLD_MAX && !body_full(&t->body);
  case DW_CONNECTION_SWITCHED:
    return c->in.len <= HOLD_MAX && c->upgrade->type->wants_bytes(c->upgrade);
  default:
    return c->state == DW_CONNECTION_DRAIN;
  }
}

void dw_connection_update_reading(dw_connection *c) {
  bool want = wants_bytes(c);
  if (want == c->reading) return;
  c->reading = want;
  if (!want) {
    dw_stream_read_stop(c->stream);
  } else if (dw_stream_read_start(c->stream) < 0) {
    c->reading = false;
    dw_connection_cut(c);
  }
}
