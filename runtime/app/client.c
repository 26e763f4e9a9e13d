/* SPDX-License-Identifier: MIT */
/* The client inside the process. */
#include "app/client.h"

#include "base/error.h"

/* --- The end of a request --------------------------------------------------*/

static bool exchange_left(const dw_client *c) {
  return c->connection && c->connection->transaction && !c->ended;
}

/* Over are both: the answer, and the exchange where there was one. */
static void check_done(dw_client *c) {
  bool waits = c->state == DW_CLIENT_BUSY || c->state == DW_CLIENT_RAW;
  if (waits && c->answered && !exchange_left(c))
    dw_loop_defer(c->loop, &c->finisher);
}

static void finisher_cb(dw_deferred *d) {
  dw_client *c = d->data;
  if (c->told) return;
  c->told = true;
  if (c->state == DW_CLIENT_BUSY) c->state = DW_CLIENT_IDLE;
  if (c->events->done_cb) c->events->done_cb(c, c->status);
}

/* Nothing more will be read. */
static void answered(dw_client *c, int status, const char *reason) {
  if (status < 0) c->at_end = true;
  if (c->answered) return;
  c->answered = true;
  c->status = status;
  c->reason = reason;
  check_done(c);
}

static void exchange_ended_cb(dw_observer *o, dw_exchange *x) {
  dw_client *c = DW_CONTAINER(o, dw_client, observer);
  c->ended = true;
  if (c->events->ended_cb) c->events->ended_cb(c, x);
  /* There may be more, unless the server has sent its last byte. */
  if (c->state == DW_CLIENT_RAW && !c->answered) c->ended = false;
  check_done(c);
}

/* --- Reading ---------------------------------------------------------------*/

/* The server speaks another protocol from here on: raw mode, if that was asked
 * for; else there is nobody to speak it with. */
static void switch_over(dw_client *c, dw_slice rest) {
  if (c->state != DW_CLIENT_BUSY) return;
  if (!c->upgrades) {
    c->at_end = true;
    answered(c, 0, NULL);
    dw_stream_shutdown(c->stream);
    return;
  }
  c->state = DW_CLIENT_RAW;
  if (rest.len > 0 && c->events->data_cb) c->events->data_cb(c, rest);
}

/* Gives the parser what came; eof where that was the last. */
static void feed(dw_client *c, const char *bytes, size_t len, bool eof) {
  while (c->state == DW_CLIENT_BUSY && !c->answered) {
    size_t used;
    dw_slice data;
    dw_parse result =
        dw_answer_parser_feed(c->parser, bytes, len, eof, &used, &data);
    bytes += used;
    len -= used;
    switch (result) {
    case DW_PARSE_HEAD:
      if (c->events->head_cb) c->events->head_cb(c);
      if (c->answer.status == 101) {
        switch_over(c, dw_slice_of(bytes, len));
        return;
      }
      break;
    case DW_PARSE_DATA:
      if (c->events->data_cb) c->events->data_cb(c, data);
      break;
    case DW_PARSE_END:
      answered(c, 0, NULL);
      break;
    case DW_PARSE_ERROR:
      /* Who goes on answering must not wait for us. */
      if (!eof) dw_stream_shutdown(c->stream);
      answered(c, eof ? UV_ECONNRESET : DEWAR_EPARSE,
               dw_answer_parser_reason(c->parser));
      break;
    case DW_PARSE_MORE:
      return;
    }
  }
  /* What nobody has asked for makes the connection unfit for more. */
  if (len > 0) c->at_end = true;
}

static void raw_came(dw_client *c, const char *bytes, ssize_t len) {
  if (len <= 0)
    answered(c, (int)len, len < 0 ? dw_strerror((int)len) : NULL);
  else if (c->events->data_cb)
    c->events->data_cb(c, dw_slice_of(bytes, (size_t)len));
}

static void read_cb(dw_stream *s, const char *bytes, ssize_t len) {
  dw_client *c = s->data;
  if (len <= 0) c->at_end = true;
  if (c->state == DW_CLIENT_RAW)
    raw_came(c, bytes, len);
  else if (len >= 0)
    feed(c, bytes, (size_t)len, len == 0);
  else if (c->state == DW_CLIENT_BUSY)
    answered(c, (int)len, dw_strerror((int)len));
}

void dw_client_pause(dw_client *c) {
  if (c->state != DW_CLIENT_CLOSED) dw_stream_read_stop(c->stream);
}

void dw_client_resume(dw_client *c) {
  if (c->state != DW_CLIENT_CLOSED && !c->at_end)
    dw_stream_read_start(c->stream);
}

/* --- Opening and closing ---------------------------------------------------*/

/* A failure shows when reading. But of want of memory here the server knows
 * nothing, and would wait for the rest. */
static void write_cb(dw_stream *s, int status) {
  dw_client *c = s->data;
  if (status == DW_ENOMEM && c->connection) dw_connection_cut(c->connection);
  if (c->state != DW_CLIENT_CLOSED && s->queued == 0 && c->events->drain_cb)
    c->events->drain_cb(c);
}

static void release(dw_client *c) {
  dw_answer_parser_free(c->parser);
  dw_arena_deinit(&c->answer.arena);
  dw_free(c->loop->alloc, c, sizeof *c);
}

static void check_closed(dw_client *c) {
  if (c->stream || c->connection) return;
  if (c->events->closed_cb) c->events->closed_cb(c);
  release(c);
}

static void stream_closed_cb(dw_stream *s) {
  dw_client *c = s->data;
  c->stream = NULL;
  check_closed(c);
}

static void connection_closed_cb(dw_observer *o) {
  dw_client *c = DW_CONTAINER(o, dw_client, observer);
  c->connection = NULL;
  check_done(c);
  check_closed(c);
}

static dw_client *client_new(dw_server *server) {
  dw_loop *loop = server->http.loop;
  dw_client *c = dw_zalloc(loop->alloc, sizeof *c);
  if (!c) return NULL;
  c->loop = loop;
  c->observer.ended_cb = exchange_ended_cb;
  c->observer.closed_cb = connection_closed_cb;
  dw_arena_init(&c->answer.arena, loop->alloc, NULL, 0);
  dw_deferred_init(&c->finisher, finisher_cb, c);
  if (dw_answer_parser_new(&c->parser, loop->alloc) == 0) return c;
  release(c);
  return NULL;
}

/* The pair's ends: ours, and the server's, which it takes over. */
static int open_pair(dw_client *c, dw_server *server) {
  dw_stream *theirs;
  int code = dw_pair_open(c->loop, &c->stream, &theirs);
  if (code < 0) return code;
  c->stream->data = c;
  c->stream->read_cb = read_cb;
  c->stream->write_cb = write_cb;
  code = dw_server_accept(server, theirs, &c->connection);
  if (code == 0) code = dw_stream_read_start(c->stream);
  if (code < 0) dw_stream_close(c->stream, true, NULL);
  return code;
}

int dw_client_connect(dw_client **out, dw_server *server,
                      const dw_client_events *events, void *data) {
  *out = NULL;
  if (server->stopping) return DEWAR_ECLOSED;
  dw_client *c = client_new(server);
  if (!c) return DW_ENOMEM;
  int code = open_pair(c, server);
  if (code < 0) {
    release(c);
    return code;
  }
  c->connection->data = &c->observer;
  c->events = events;
  c->data = data;
  *out = c;
  return 0;
}

void dw_client_close(dw_client *c, bool reset) {
  if (!c || c->state == DW_CLIENT_CLOSED) return;
  c->state = DW_CLIENT_CLOSED;
  dw_deferred_cancel(&c->finisher);
  dw_stream_close(c->stream, reset, stream_closed_cb);
}

/* --- Sending ---------------------------------------------------------------*/

static int code_of_write(int code) {
  return code == UV_EPIPE || code == UV_ECONNRESET ? DEWAR_ECLOSED : code;
}

static int send_buffer(dw_client *c, dw_buffer *b) {
  uv_buf_t buf = uv_buf_init(b->ptr, (unsigned)b->len);
  int code = b->len > 0 ? dw_stream_write(c->stream, &buf, 1) : 0;
  return code_of_write(code);
}

/* Whether one of the lines "Name: value\r\n" has this name. */
static bool has_field(dw_slice lines, dw_slice name) {
  while (lines.len > 0) {
    const char *lf = memchr(lines.ptr, '\n', lines.len);
    size_t len = lf ? (size_t)(lf - lines.ptr) + 1 : lines.len;
    const char *colon = memchr(lines.ptr, ':', len);
    size_t name_len = colon ? (size_t)(colon - lines.ptr) : 0;
    if (dw_slice_equal_nocase(dw_slice_of(lines.ptr, name_len), name))
      return true;
    lines = dw_slice_of(lines.ptr + len, lines.len - len);
  }
  return false;
}

static int write_head(dw_buffer *b, const dw_client_request *r) {
  bool host = has_field(r->fields, DW_LITERAL("Host"));
  bool length = has_field(r->fields, DW_LITERAL("Content-Length"));
  int code = dw_buffer_append_slice(b, r->method);
  if (code == 0) code = dw_buffer_append_char(b, ' ');
  if (code == 0) code = dw_buffer_append_slice(b, r->target);
  if (code == 0)
    code = dw_buffer_printf(b, " HTTP/1.1\r\n%s",
                            host ? "" : "Host: localhost\r\n");
  if (code == 0) code = dw_buffer_append_slice(b, r->fields);
  if (code == 0 && r->chunked)
    code = dw_buffer_printf(b, "Transfer-Encoding: chunked\r\n");
  else if (code == 0 && r->has_body && !length)
    code = dw_buffer_printf(b, "Content-Length: %zu\r\n", r->body.len);
  if (code == 0) code = dw_buffer_printf(b, "\r\n");
  return code;
}

/* A request, or its head, goes out in one piece or not at all. */
static int send_request(dw_client *c, const dw_client_request *r) {
  dw_buffer b;
  dw_buffer_init(&b, c->loop->alloc, 0);
  int code = write_head(&b, r);
  if (code == 0 && r->has_body && !r->chunked)
    code = dw_buffer_append_slice(&b, r->body);
  if (code == 0) code = send_buffer(c, &b);
  dw_buffer_deinit(&b);
  return code;
}

static void expect_answer(dw_client *c, dw_method method) {
  dw_arena_deinit(&c->answer.arena);
  dw_arena_init(&c->answer.arena, c->loop->alloc, NULL, 0);
  dw_answer_parser_start(c->parser, &c->answer, method, NULL);
  c->answered = c->ended = c->told = false;
  c->status = 0;
  c->reason = NULL;
}

bool dw_client_reusable(const dw_client *c) {
  return c->state == DW_CLIENT_IDLE && !c->at_end && c->wrote_last &&
         c->answer.keep_alive && c->connection &&
         c->connection->state == DW_CONNECTION_HEAD;
}

int dw_client_start(dw_client *c, const dw_client_request *r) {
  if (c->state == DW_CLIENT_CLOSED || c->at_end) return DEWAR_ECLOSED;
  if (c->state != DW_CLIENT_IDLE) return DEWAR_EMISUSE;
  int code = send_request(c, r);
  if (code < 0) return code;
  expect_answer(c, dw_method_find(r->method));
  c->chunked = r->chunked;
  c->upgrades = r->upgrades;
  c->wrote_last = !r->chunked;
  c->state = DW_CLIENT_BUSY;
  return 0;
}

static int check_open_body(const dw_client *c) {
  if (c->state == DW_CLIENT_CLOSED) return DEWAR_ECLOSED;
  return c->chunked && !c->wrote_last ? 0 : DEWAR_EMISUSE;
}

int dw_client_write(dw_client *c, dw_slice bytes) {
  int code = check_open_body(c);
  if (code < 0 || bytes.len == 0) return code;
  dw_buffer b;
  dw_buffer_init(&b, c->loop->alloc, 0);
  code = dw_buffer_printf(&b, "%zx\r\n", bytes.len);
  if (code == 0) code = dw_buffer_append_slice(&b, bytes);
  if (code == 0) code = dw_buffer_printf(&b, "\r\n");
  if (code == 0) code = send_buffer(c, &b);
  dw_buffer_deinit(&b);
  return code;
}

int dw_client_finish(dw_client *c) {
  int code = check_open_body(c);
  if (code < 0) return code;
  uv_buf_t last = uv_buf_init((char *)"0\r\n\r\n", 5);
  code = code_of_write(dw_stream_write(c->stream, &last, 1));
  if (code == 0) c->wrote_last = true;
  return code;
}

bool dw_client_full(const dw_client *c) {
  return c->state != DW_CLIENT_CLOSED &&
         c->stream->queued > DW_WRITE_HIGH_WATER;
}

/* --- Raw -------------------------------------------------------------------*/

static int become_raw(dw_client *c) {
  if (c->state == DW_CLIENT_RAW) return 0;
  if (c->state == DW_CLIENT_CLOSED || c->at_end) return DEWAR_ECLOSED;
  if (c->state != DW_CLIENT_IDLE) return DEWAR_EMISUSE;
  c->state = DW_CLIENT_RAW;
  c->answered = c->ended = c->told = false;
  return 0;
}

int dw_client_send(dw_client *c, dw_slice bytes) {
  int code = become_raw(c);
  if (code < 0 || bytes.len == 0) return code;
  uv_buf_t buf = uv_buf_init((char *)bytes.ptr, (unsigned)bytes.len);
  return code_of_write(dw_stream_write(c->stream, &buf, 1));
}

int dw_client_shutdown(dw_client *c) {
  int code = become_raw(c);
  return code < 0 ? code : code_of_write(dw_stream_shutdown(c->stream));
}

dw_client_wait dw_client_peer(const dw_client *c) {
  const dw_connection *peer = c->connection;
  if (!peer) return DW_CLIENT_OVER;
  if (c->stream && c->stream->queued > 0) return DW_CLIENT_WORKING;
  const dw_transaction *t = peer->transaction;
  switch ((dw_connection_state)peer->state) {
  case DW_CONNECTION_HEAD:
    return dw_parser_started(&peer->parser) ? DW_CLIENT_WANTING
                                            : DW_CLIENT_BETWEEN;
  case DW_CONNECTION_BUSY:
    return t && t->body.wanted && !t->body.ended ? DW_CLIENT_WANTING
                                                 : DW_CLIENT_WORKING;
  case DW_CONNECTION_DRAIN:
    return DW_CLIENT_WANTING;
  case DW_CONNECTION_SWITCHED:
    return DW_CLIENT_WANTING;
  default:
    return DW_CLIENT_WORKING;
  }
}
