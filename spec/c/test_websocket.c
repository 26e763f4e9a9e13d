/* SPDX-License-Identifier: MIT */
/* WebSockets on connections: an app in C that accepts them, and a client that
 * sends bytes. Queues, back-pressure, pings, closing from both sides. */
#include "unit.h"

#include <stdio.h>

#include "app/client.h"
#include "base/error.h"
#include "http/websocket.h"

typedef struct bench {
  dw_allocator alloc;
  dw_log log;
  dw_loop loop;
  dw_app *app;
  dw_server *server;
  dw_client *client;
  dw_exchange *exchange; /* of the view, while it runs */
  dw_websocket *socket;
  char events[512];   /* what the view saw */
  dw_buffer received; /* by the client, behind the head */
  bool echoes;        /* messages are taken and sent back as they come */
  bool refuses;
  bool closed;
} bench;

static bench b;

static void note(const char *event) {
  size_t len = strlen(b.events);
  snprintf(b.events + len, sizeof b.events - len, "%s%s", len ? " " : "",
           event);
}

/* --- The view --------------------------------------------------------------*/

static void end_view(dw_verdict verdict) {
  dw_exchange *x = b.exchange;
  b.exchange = NULL;
  if (x) dw_exchange_resume(x, verdict);
}

static void take_all(dw_websocket *w) {
  const dw_ws_message *m;
  while ((m = dw_websocket_next(w))) {
    dw_buffer copy = {0};
    dw_buffer_init(&copy, &b.alloc, 0);
    bool text = m->text;
    int code = dw_buffer_append_slice(&copy, dw_buffer_slice(&m->data));
    dw_websocket_drop(w);
    if (code == 0) dw_websocket_send(w, text, dw_buffer_slice(&copy));
    dw_buffer_deinit(&copy);
  }
}

static void news_cb(dw_websocket *w) {
  char text[64];
  if (b.echoes && w->count > 0) {
    w->waiting = false;
    take_all(w);
    w->waiting = true;
  }
  if (!w->close_code) return;
  snprintf(text, sizeof text, "closed:%d", w->close_code);
  note(text);
  end_view(DW_PASS);
}

static void cancelled(dw_exchange *x, void *data) {
  (void)x, (void)data;
  note("cancelled");
  b.exchange = NULL;
}

static dw_verdict view(dw_handler *h, dw_exchange *x) {
  (void)h;
  if (b.refuses) return dw_exchange_fail(x, 403, NULL);
  int code = dw_websocket_accept(&x->http, &x->plain, DW_EMPTY, &b.socket);
  if (code < 0) return dw_exchange_fail(x, 503, "out of memory");
  b.exchange = x;
  b.socket->news_cb = news_cb;
  b.socket->asked = b.socket->waiting = b.echoes;
  x->cancel_cb = cancelled;
  return DW_PENDING;
}

static dw_verdict teardown(dw_handler *h, dw_exchange *x) {
  (void)h, (void)x;
  note("teardown");
  b.socket = NULL;
  return DW_PASS;
}

static void free_handler(dw_handler *h, dw_allocator *a) {
  dw_free(a, h, sizeof *h);
}

static dw_handler *new_handler(dw_verdict (*call)(dw_handler *,
                                                  dw_exchange *)) {
  dw_handler *h = dw_alloc(&b.alloc, sizeof *h);
  if (h) *h = (dw_handler){call, free_handler};
  return h;
}

static int add_route(void) {
  dw_rule_options options = {.rule = DW_LITERAL("/"),
                             .endpoint = DW_EMPTY,
                             .methods = DW_METHOD_BIT(DW_METHOD_GET),
                             .strict_slashes = -1,
                             .merge_slashes = -1,
                             .host = DW_EMPTY,
                             .subdomain = DW_EMPTY,
                             .redirect_to = DW_EMPTY,
                             .websocket = true};
  dw_handler *h = new_handler(view);
  if (!h) return DW_ENOMEM;
  dw_buffer message;
  dw_route *route;
  dw_buffer_init(&message, &b.alloc, 0);
  int code = dw_app_add_route(b.app, &options, h, NULL, &route, &message);
  dw_buffer_deinit(&message);
  if (code < 0) return code;
  h = new_handler(teardown);
  if (!h) return DW_ENOMEM;
  return dw_scope_add(b.app->scope, &b.alloc, DW_HOOK_TEARDOWN, h);
}

/* --- The client ------------------------------------------------------------*/

static void data_cb(dw_client *c, dw_slice bytes) {
  (void)c;
  dw_buffer_append_slice(&b.received, bytes);
}

static void closed_cb(dw_client *c) {
  (void)c;
  b.closed = true;
  b.client = NULL;
}

static const dw_client_events events = {.data_cb = data_cb,
                                        .closed_cb = closed_cb};

static bool is_closed(void *data) {
  (void)data;
  return !b.client && dw_server_idle(b.server);
}

static void close_bench(void) {
  dw_client_close(b.client, true);
  /* A connection that isn't read doesn't notice: twice stops it at once. */
  for (int i = 0; i < 2 && b.server; i++) dw_server_stop(b.server);
  if (b.server) dw_loop_run(&b.loop, is_closed, NULL);
  dw_server_free(b.server);
  dw_app_free(b.app);
  dw_buffer_deinit(&b.received);
  dw_loop_deinit(&b.loop);
}

/* In an allocator that is ready. A failure leaves nothing. */
static int open_bench(void) {
  int code = dw_loop_init(&b.loop, NULL, &b.alloc, &b.log);
  if (code < 0) return code;
  dw_loop_use_virtual_clock(&b.loop);
  dw_buffer_init(&b.received, &b.alloc, 0);
  code = dw_app_new(&b.app, &b.alloc);
  if (code == 0) code = add_route();
  if (code == 0) code = dw_server_new(&b.server, &b.loop, b.app, NULL);
  if (code == 0) code = dw_client_connect(&b.client, b.server, &events, NULL);
  if (code < 0) close_bench();
  return code;
}

static void open_checked(bool echoes) {
  memset(&b, 0, sizeof b);
  dw_allocator_init(&b.alloc, NULL, NULL);
  b.echoes = echoes;
  CHECK_INT(open_bench(), 0);
}

static void close_checked(void) {
  close_bench();
  CHECK_INT(b.alloc.used, 0);
}

static void settle(void) {
  for (int i = 0; i < 50; i++) dw_loop_turn(&b.loop, false);
}

static const char opening[] =
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
    "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static int send_bytes(dw_slice bytes) {
  return b.client ? dw_client_send(b.client, bytes) : DEWAR_ECLOSED;
}

/* A frame masked with zeros. */
static int send_frame(int first, dw_slice payload) {
  char head[8] = {(char)first, (char)(0x80 | payload.len)};
  size_t len = 2;
  if (payload.len >= 126) {
    head[1] = (char)(0x80 | 126);
    head[2] = (char)(payload.len >> 8);
    head[3] = (char)(payload.len & 0xff);
    len = 4;
  }
  memset(head + len, 0, 4);
  int code = send_bytes(dw_slice_of(head, len + 4));
  return code < 0 ? code : send_bytes(payload);
}

static int open_socket(void) {
  int code = send_bytes(DW_LITERAL(opening));
  settle();
  b.received.len = 0;
  return code;
}

/* The frames that came, "1:hello 8:1000"; empties the buffer. */
static const char *frames(void) {
  static char text[512];
  size_t at = 0;
  text[0] = '\0';
  while (at + 2 <= b.received.len) {
    const unsigned char *p = (const unsigned char *)b.received.ptr + at;
    size_t len = p[1], head = 2, used = strlen(text);
    if (len == 126) {
      len = (size_t)p[2] << 8 | p[3];
      head = 4;
    }
    int opcode = p[0] & 15;
    const char *gap = used ? " " : "";
    if (opcode == 8 && len >= 2)
      snprintf(text + used, sizeof text - used, "%s8:%d", gap,
               p[head] << 8 | p[head + 1]);
    else
      snprintf(text + used, sizeof text - used, "%s%d:%.*s", gap, opcode,
               len > 20 ? 20 : (int)len, (const char *)p + head);
    at += head + len;
  }
  b.received.len = 0;
  return text;
}

/* --- Talking ---------------------------------------------------------------*/

TEST(a_connection_is_handed_over_and_handed_back) {
  open_checked(true);
  CHECK_INT(open_socket(), 0);
  REQUIRE(b.socket);
  send_frame(0x81, DW_LITERAL("hello"));
  send_frame(0x89, DW_LITERAL("?"));
  settle();
  CHECK_STR(frames(), "1:hello 10:?");
  send_frame(0x88, DW_LITERAL("\x03\xe8"
                              "bye"));
  settle();
  CHECK_STR(frames(), "8:1000");
  CHECK_STR(b.events, "closed:1000 teardown");
  close_checked();
}

TEST(a_refusal_is_an_answer) {
  open_checked(true);
  b.refuses = true;
  send_bytes(DW_LITERAL(opening));
  settle();
  CHECK(b.received.len > 12 && memcmp(b.received.ptr + 9, "403", 3) == 0);
  CHECK_STR(b.events, "teardown");
  close_checked();
}

TEST(between_frames_a_socket_holds_no_buffer) {
  open_checked(true);
  open_socket();
  send_frame(0x81, DW_LITERAL("one for the pool"));
  settle();
  size_t before = b.alloc.used;
  CHECK(before > 0);
  b.received.len = 0;
  for (int i = 0; i < 10; i++) {
    send_frame(0x81, DW_LITERAL("hello"));
    settle();
  }
  CHECK_INT(b.alloc.used, before);
  close_checked();
}

/* --- The queue -------------------------------------------------------------*/

TEST(a_full_queue_stops_the_reading) {
  char text[2000];
  memset(text, 'x', sizeof text);
  open_checked(false);
  b.app->limits.websocket_max_queue = 4;
  open_socket();
  REQUIRE(b.socket);
  b.socket->asked = true;
  for (int i = 0; i < 200; i++)
    send_frame(0x82, dw_slice_of(text, sizeof text));
  settle();
  CHECK_INT(b.socket->count, 4);
  CHECK(b.client->stream->queued > 100000);
  /* Taking lets the rest come. */
  int taken = 0;
  for (int i = 0; i < 500 && taken < 200; i++) {
    while (dw_websocket_next(b.socket)) {
      dw_websocket_drop(b.socket);
      taken++;
    }
    CHECK(b.socket->count <= 4);
    dw_loop_turn(&b.loop, false);
  }
  CHECK_INT(taken, 200);
  CHECK_INT(b.client->stream->queued, 0);
  close_checked();
}

TEST(large_messages_fill_the_queue_sooner) {
  static char text[60000];
  open_checked(false);
  open_socket();
  REQUIRE(b.socket);
  b.socket->asked = true;
  for (int i = 0; i < 8; i++) send_frame(0x82, dw_slice_of(text, sizeof text));
  settle();
  CHECK_INT(b.socket->count, 2);
  close_checked();
}

TEST(a_close_waits_for_the_messages_before_it) {
  open_checked(false);
  open_socket();
  REQUIRE(b.socket);
  b.socket->asked = true;
  send_frame(0x81, DW_LITERAL("last words"));
  send_frame(0x88, DW_LITERAL("\x03\xe8"));
  settle();
  CHECK_STR(frames(), "");
  CHECK(dw_websocket_next(b.socket));
  dw_websocket_drop(b.socket);
  CHECK_INT(dw_websocket_send(b.socket, true, DW_LITERAL("I see")), 0);
  CHECK(!dw_websocket_next(b.socket));
  settle();
  CHECK_STR(frames(), "1:I see 8:1000");
  CHECK_STR(b.events, "closed:1000 teardown");
  close_checked();
}

TEST(but_not_for_ever) {
  open_checked(false);
  open_socket();
  REQUIRE(b.socket);
  b.socket->asked = true;
  send_frame(0x81, DW_LITERAL("last words"));
  send_frame(0x88, DW_LITERAL("\x03\xe8"));
  settle();
  dw_loop_advance(&b.loop, 4999);
  settle();
  CHECK_STR(frames(), "");
  dw_loop_advance(&b.loop, 1);
  settle();
  CHECK_STR(frames(), "8:1000");
  close_checked();
}

/* --- A client that reads nothing -------------------------------------------*/

TEST(pongs_do_not_pile_up) {
  static char text[60000];
  open_checked(false);
  open_socket();
  REQUIRE(b.socket);
  dw_client_pause(b.client);
  for (int i = 0; i < 4; i++)
    CHECK_INT(
        dw_websocket_send(b.socket, false, dw_slice_of(text, sizeof text)), 0);
  settle();
  size_t backlog = dw_websocket_backlog(b.socket);
  CHECK(backlog > 64 * 1024);
  for (int i = 0; i < 300; i++) send_frame(0x89, DW_LITERAL("an old ping"));
  send_frame(0x89, DW_LITERAL("the last"));
  settle();
  CHECK_INT(dw_websocket_backlog(b.socket), backlog);
  dw_client_resume(b.client);
  for (int i = 0; i < 20; i++) settle();
  CHECK_INT(dw_websocket_backlog(b.socket), 0);
  CHECK_STR(frames(), "2: 2: 2: 2: 10:the last");
  close_checked();
}

TEST(a_client_that_takes_nothing_is_cut_off) {
  static char text[60000];
  open_checked(false);
  b.app->limits.write_timeout = 1000;
  open_socket();
  REQUIRE(b.socket);
  b.socket->asked = true;
  dw_client_pause(b.client);
  for (int i = 0; i < 4; i++)
    dw_websocket_send(b.socket, false, dw_slice_of(text, sizeof text));
  settle();
  for (int i = 0; i < 4; i++) {
    dw_loop_advance(&b.loop, 1000);
    settle();
  }
  CHECK_STR(b.events, "cancelled teardown");
  close_checked();
}

/* --- Time ------------------------------------------------------------------*/

TEST(a_client_that_says_nothing_is_asked_and_given_up) {
  open_checked(true);
  b.app->limits.websocket_ping_interval = 100;
  b.app->limits.websocket_ping_timeout = 50;
  open_socket();
  dw_loop_advance(&b.loop, 100);
  settle();
  CHECK_STR(frames(), "9:");
  send_frame(0x8a, DW_EMPTY);
  settle();
  dw_loop_advance(&b.loop, 50);
  settle();
  CHECK_STR(frames(), "");
  dw_loop_advance(&b.loop, 50);
  settle();
  CHECK_STR(frames(), "9:");
  dw_loop_advance(&b.loop, 50);
  settle();
  CHECK_STR(b.events, "cancelled teardown");
  close_checked();
}

TEST(a_client_that_talks_is_not_asked) {
  open_checked(true);
  b.app->limits.websocket_ping_interval = 100;
  open_socket();
  for (int i = 0; i < 10; i++) {
    dw_loop_advance(&b.loop, 60);
    send_frame(0x81, DW_LITERAL("x"));
    settle();
    CHECK_STR(frames(), "1:x");
  }
  close_checked();
}

TEST(a_close_that_is_not_answered_ends_the_connection) {
  open_checked(true);
  open_socket();
  REQUIRE(b.socket);
  dw_websocket_close(b.socket, 4000, DW_LITERAL("go"));
  settle();
  CHECK_STR(frames(), "8:4000");
  CHECK_INT(b.server->http.count, 1);
  dw_loop_advance(&b.loop, 5000);
  settle();
  CHECK_INT(b.server->http.count, 0);
  CHECK_STR(b.events, "closed:4000 teardown");
  close_checked();
}

/* --- The server stops ------------------------------------------------------*/

TEST(a_server_that_stops_says_so) {
  open_checked(true);
  open_socket();
  dw_server_stop(b.server);
  settle();
  CHECK_STR(frames(), "8:1001");
  CHECK_STR(b.events, "closed:1001 teardown");
  send_frame(0x88, DW_LITERAL("\x03\xe9"));
  settle();
  close_checked();
}

TEST(who_never_asks_hears_of_the_end_by_a_cancellation) {
  open_checked(false);
  open_socket();
  send_frame(0x88, DW_LITERAL("\x03\xe8"));
  settle();
  CHECK_STR(frames(), "8:1000");
  CHECK_STR(b.events, "closed:1000 teardown");
  close_checked();
}

/* --- Without memory --------------------------------------------------------*/

static int talk(dw_allocator *a, void *data) {
  (void)data;
  memset(&b, 0, sizeof b);
  b.alloc = *a;
  b.echoes = true;
  int code = open_bench();
  if (code == 0) {
    char text[400];
    memset(text, 'x', sizeof text);
    open_socket();
    send_frame(0x81, DW_LITERAL("hello"));
    send_frame(0x01, DW_LITERAL("in "));
    send_frame(0x89, DW_LITERAL("ping"));
    send_frame(0x80, DW_LITERAL("two"));
    send_frame(0x82, dw_slice_of(text, sizeof text));
    settle();
    send_frame(0x88, DW_LITERAL("\x03\xe8"
                                "bye"));
    settle();
    close_bench();
  }
  CHECK(!b.exchange);
  *a = b.alloc;
  return code;
}

TEST(whatever_fails_nothing_stays_behind) {
  unit_failing_allocations(talk, NULL);
}
