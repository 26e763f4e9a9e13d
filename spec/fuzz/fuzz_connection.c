/* SPDX-License-Identifier: MIT */
/* Fuzzes a server's connection through the in-memory pair: the first byte
 * chooses how the rest is cut, how it ends, and whether an allocation fails;
 * the next one which. Two more are skipped, so that seeds of fuzz_parser will
 * do. Whatever comes in, what goes out is a sequence of well-formed answers,
 * nothing follows one that closes, and nothing is left behind. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/client.h"
#include "base/error.h"

enum { PREFIX = 4 };

static void bug(const char *what) {
  fprintf(stderr, "%s\n", what);
  abort();
}

/* --- An app without a script -----------------------------------------------*/

/* Answers with the body, once it is there. */
static dw_verdict echo(dw_exchange *x) {
  dw_body *b = &x->http.body;
  if (b->failed > 0) return dw_exchange_fail(x, b->failed, b->reason);
  if (b->failed) return dw_exchange_fail(x, 500, "no body");
  if (dw_response_set_body(&x->plain, dw_buffer_slice(&b->data)) < 0)
    return dw_exchange_fail(x, 503, "no memory");
  x->plain.type = "text/plain";
  return DW_DONE;
}

static void body_cb(dw_exchange *x) {
  dw_body *b = &x->http.body;
  if (b->ended || b->failed) {
    dw_exchange_resume(x, echo(x));
    return;
  }
  x->body_cb = body_cb;
  dw_body_want(&x->http, true);
}

static void cancelled(dw_exchange *x, void *data) {
  (void)data;
  x->body_cb = NULL;
}

static dw_verdict call_echo(dw_handler *h, dw_exchange *x) {
  (void)h;
  dw_body *b = &x->http.body;
  if (b->ended || b->failed) return echo(x);
  x->body_cb = body_cb;
  x->cancel_cb = cancelled;
  dw_body_want(&x->http, true);
  return DW_PENDING;
}

/* Answers at once, whatever comes behind the head. */
static dw_verdict call_hello(dw_handler *h, dw_exchange *x) {
  (void)h;
  x->plain.kind = DW_BODY_BYTES;
  x->plain.body = DW_LITERAL("hello");
  x->plain.type = "text/plain";
  return DW_DONE;
}

static void keep(dw_handler *h, dw_allocator *a) { (void)h, (void)a; }

static dw_handler echo_handler = {call_echo, keep};
static dw_handler hello_handler = {call_hello, keep};

static void add(dw_app *app, const char *rule, uint64_t methods,
                dw_handler *view) {
  dw_buffer message;
  dw_route *route;
  dw_buffer_init(&message, app->alloc, 0);
  dw_rule_options o = {.rule = dw_slice_str(rule),
                       .methods = methods,
                       .strict_slashes = -1,
                       .merge_slashes = -1,
                       .automatic_options = true};
  if (dw_app_add_route(app, &o, view, NULL, &route, &message) < 0)
    bug("no route");
  dw_buffer_deinit(&message);
}

/* --- One run ---------------------------------------------------------------*/

typedef struct run {
  dw_buffer out; /* what the server sent */
  bool done, closed;
} run;

static void data_cb(dw_client *c, dw_slice bytes) {
  run *r = c->data;
  if (dw_buffer_append_slice(&r->out, bytes) < 0) bug("no memory for output");
}

static void done_cb(dw_client *c, int status) {
  (void)status;
  ((run *)c->data)->done = true;
}

static void closed_cb(dw_client *c) { ((run *)c->data)->closed = true; }

static const dw_client_events events = {
    .data_cb = data_cb, .done_cb = done_cb, .closed_cb = closed_cb};

static void turn(dw_loop *loop, int times) {
  while (times-- > 0) dw_loop_turn(loop, false);
}

/* What went out is answers, whole ones but for the last. HEAD can't be told
 * from here, so its answers end the check. */
static void check_answers(dw_allocator *a, dw_slice out, bool heads) {
  dw_answer_parser *p;
  if (heads || dw_answer_parser_new(&p, a) < 0) return;
  size_t at = 0;
  bool over = false;
  while (at < out.len && !over) {
    dw_answer answer;
    char block[512];
    memset(&answer, 0, sizeof answer);
    dw_arena_init(&answer.arena, a, block, sizeof block);
    dw_answer_parser_start(p, &answer, DW_METHOD_GET, NULL);
    for (;;) {
      size_t used = 0;
      dw_slice data;
      dw_parse r = dw_answer_parser_feed(p, out.ptr + at, out.len - at, false,
                                         &used, &data);
      at += used;
      if (r == DW_PARSE_ERROR) bug("a malformed answer");
      if (r == DW_PARSE_MORE) over = true;
      if (r == DW_PARSE_END && !answer.keep_alive && at < out.len)
        bug("something behind the last answer");
      if (r == DW_PARSE_END || r == DW_PARSE_MORE) break;
    }
    dw_arena_deinit(&answer.arena);
  }
  dw_answer_parser_free(p);
}

static void feed(dw_loop *loop, dw_client *c, dw_slice bytes, uint8_t choice) {
  static const size_t sizes[] = {1, 2, 7, 64, 1000, 100000};
  size_t piece = sizes[choice % 6], n = 0;
  for (size_t at = 0; at < bytes.len; at += piece) {
    size_t len = bytes.len - at < piece ? bytes.len - at : piece;
    if (dw_client_send(c, dw_slice_of(bytes.ptr + at, len)) < 0) return;
    if (n++ < 200) turn(loop, 2);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < PREFIX || size > 20000) return 0;
  dw_slice bytes = {(const char *)data + PREFIX, size - PREFIX};
  dw_log log = {0};
  dw_allocator a, system;
  dw_loop loop;
  dw_app *app;
  dw_server *server;
  dw_client *client;
  dw_allocator_init(&a, NULL, NULL);
  dw_allocator_init(&system, NULL, NULL);
  if (dw_loop_init(&loop, NULL, &a, &log) < 0) return 0;
  dw_loop_use_virtual_clock(&loop);
  if (dw_app_new(&app, &a) < 0) bug("no app");
  add(app, "/", DW_METHOD_BIT(DW_METHOD_GET) | DW_METHOD_BIT(DW_METHOD_POST),
      &hello_handler);
  add(app, "/<path:p>",
      DW_METHOD_BIT(DW_METHOD_GET) | DW_METHOD_BIT(DW_METHOD_POST) |
          DW_METHOD_BIT(DW_METHOD_PUT),
      &echo_handler);
  if (dw_server_new(&server, &loop, app, NULL) < 0) bug("no server");
  run r = {.done = false};
  dw_buffer_init(&r.out, &system, 0);
  if (dw_client_connect(&client, server, &events, &r) < 0) bug("no client");
  if (data[0] & 0x80) a.fail_at = a.calls + 1 + data[1] % 32;
  feed(&loop, client, bytes, data[0] & 0x0f);
  turn(&loop, 4);
  if (data[0] & 0x10) dw_client_shutdown(client);
  turn(&loop, 4);
  if (data[0] & 0x20) dw_loop_advance(&loop, 20000);
  turn(&loop, 4);
  a.fail_at = 0;
  bool heads = memmem(bytes.ptr, bytes.len, "HEAD", 4) != NULL;
  if (!(data[0] & 0x80)) check_answers(&a, dw_buffer_slice(&r.out), heads);
  dw_client_close(client, data[0] & 0x40);
  for (int i = 0; i < 100 && !(r.closed && dw_server_idle(server)); i++) {
    turn(&loop, 2);
    dw_loop_advance(&loop, 30000);
  }
  if (!r.closed || !dw_server_idle(server)) bug("a connection is left");
  if (server->http.active) bug("a transaction is left");
  dw_buffer_deinit(&r.out);
  dw_server_free(server);
  dw_app_free(app);
  dw_loop_deinit(&loop);
  if (a.used != 0) bug("memory was leaked");
  return 0;
}
