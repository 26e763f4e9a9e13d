/* SPDX-License-Identifier: MIT */
/* floor PORT [lua]: a bare server on libuv and llhttp. It keeps connections
 * alive, takes pipelined requests, and answers all that one read brought by one
 * write; every answer is the same. It is no example of a server: there are no
 * limits and no timeouts. One loop, one thread; a signal ends the process. */
#include <llhttp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "bench/floor.h"

enum { BACKLOG = 16384, READ_SIZE = 64 * 1024, OUT_SIZE = 512 * 1024 };

typedef struct server {
  uv_loop_t loop;
  uv_tcp_t listener;
  llhttp_settings_t settings;
  floor_answer_cb answer;
  void *data;
  size_t used; /* of out */
  char in[READ_SIZE];
  char out[OUT_SIZE];
} server;

typedef struct connection {
  uv_tcp_t tcp;
  llhttp_t parser;
  bool over; /* to be closed once the answer is written */
} connection;

typedef struct rest {
  uv_write_t request;
  char bytes[];
} rest;

/* --- Writing ---------------------------------------------------------------*/

static server *server_of(connection *c) { return c->tcp.loop->data; }

static void closed_cb(uv_handle_t *handle) { free(handle->data); }

static void drop(connection *c) {
  if (!uv_is_closing((uv_handle_t *)&c->tcp))
    uv_close((uv_handle_t *)&c->tcp, closed_cb);
}

static void written_cb(uv_write_t *request, int status) {
  connection *c = request->handle->data;
  free(request->data);
  if (status < 0 || c->over) drop(c);
}

static int write_later(connection *c, const char *bytes, size_t len) {
  rest *r = malloc(sizeof *r + len);
  if (!r) return UV_ENOMEM;
  memcpy(r->bytes, bytes, len);
  r->request.data = r;
  uv_buf_t buf = uv_buf_init(r->bytes, (unsigned)len);
  int code = uv_write(&r->request, (uv_stream_t *)&c->tcp, &buf, 1, written_cb);
  if (code < 0) free(r);
  return code;
}

static void flush(connection *c) {
  server *s = server_of(c);
  size_t len = s->used;
  s->used = 0;
  if (len == 0) return;
  uv_buf_t buf = uv_buf_init(s->out, (unsigned)len);
  int sent = uv_try_write((uv_stream_t *)&c->tcp, &buf, 1);
  if (sent == UV_EAGAIN) sent = 0;
  if (sent < 0) {
    drop(c);
  } else if ((size_t)sent < len) {
    if (write_later(c, s->out + sent, len - (size_t)sent) < 0) drop(c);
  } else if (c->over) {
    drop(c);
  }
}

/* --- Reading ---------------------------------------------------------------*/

static int message_complete_cb(llhttp_t *parser) {
  connection *c = parser->data;
  server *s = server_of(c);
  if (OUT_SIZE - s->used < FLOOR_ANSWER_MAX) flush(c);
  s->used = (size_t)(s->answer(s->data, s->out + s->used) - s->out);
  if (llhttp_should_keep_alive(parser)) return 0;
  c->over = true;
  return HPE_PAUSED;
}

static void alloc_cb(uv_handle_t *handle, size_t size, uv_buf_t *buf) {
  server *s = handle->loop->data;
  (void)size;
  *buf = uv_buf_init(s->in, READ_SIZE);
}

static void read_cb(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf) {
  connection *c = stream->data;
  if (len < 0) {
    drop(c);
  } else if (len > 0) {
    if (llhttp_execute(&c->parser, buf->base, (size_t)len) != HPE_OK)
      c->over = true;
    flush(c);
    if (c->over) uv_read_stop(stream);
  }
}

static void connection_cb(uv_stream_t *listener, int status) {
  server *s = listener->loop->data;
  connection *c = status == 0 ? calloc(1, sizeof *c) : NULL;
  if (!c) return;
  uv_tcp_init(&s->loop, &c->tcp);
  c->tcp.data = c;
  llhttp_init(&c->parser, HTTP_REQUEST, &s->settings);
  c->parser.data = c;
  uv_stream_t *stream = (uv_stream_t *)&c->tcp;
  if (uv_accept(listener, stream) < 0 ||
      uv_read_start(stream, alloc_cb, read_cb) < 0)
    drop(c);
  else
    uv_tcp_nodelay(&c->tcp, 1);
}

/* --- The constant answer ---------------------------------------------------*/

static char *constant_answer(void *data, char *out) {
  static const char answer[] = "HTTP/1.1 200 OK\r\n"
                               "Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
                               "Content-Type: text/html; charset=utf-8\r\n"
                               "Content-Length: 13\r\n\r\n"
                               "Hello, World!";
  (void)data;
  memcpy(out, answer, sizeof answer - 1);
  return out + sizeof answer - 1;
}

static int listen_on(server *s, int port) {
  struct sockaddr_in address;
  int code = uv_ip4_addr("127.0.0.1", port, &address);
  if (code == 0) code = uv_tcp_init(&s->loop, &s->listener);
  if (code == 0)
    code = uv_tcp_bind(&s->listener, (const struct sockaddr *)&address, 0);
  if (code == 0)
    code = uv_listen((uv_stream_t *)&s->listener, BACKLOG, connection_cb);
  return code;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    fprintf(stderr, "usage: floor PORT [lua]\n");
    return 2;
  }
  server *s = calloc(1, sizeof *s);
  if (!s || uv_loop_init(&s->loop) < 0) return 1;
  s->loop.data = s;
  llhttp_settings_init(&s->settings);
  s->settings.on_message_complete = message_complete_cb;
  s->answer = constant_answer;
  if (argc > 2 && strcmp(argv[2], "lua") == 0) {
    s->answer = floor_lua_answer;
    s->data = floor_lua_new();
    if (!s->data) return 1;
  }
  int code = listen_on(s, atoi(argv[1]));
  if (code < 0) {
    fprintf(stderr, "floor: port %s: %s\n", argv[1], uv_strerror(code));
    return 1;
  }
  return uv_run(&s->loop, UV_RUN_DEFAULT);
}
