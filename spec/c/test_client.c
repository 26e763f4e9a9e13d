/* SPDX-License-Identifier: MIT */
/* The client inside the process, against an app of C handlers. */
#include "app/client.h"

#include <stdio.h>

#include "base/error.h"
#include "unit.h"

/* An app with a loop of its own, one client, and what has happened to it. */
typedef struct bench {
  dw_allocator alloc;
  dw_log log;
  dw_loop loop;
  dw_app *app;
  dw_server *server;
  dw_client *client;
  dw_timer timer; /* of a handler that answers later */
  dw_exchange *waiting;
  char events[256];
  char body[2048];
  size_t body_len;
  int status; /* of done_cb */
  bool done, closed;
  bool torn_down; /* before done_cb */
} bench;

static bench b;

static void note(const char *event) {
  size_t len = strlen(b.events);
  snprintf(b.events + len, sizeof b.events - len, "%s%s", len ? " " : "",
           event);
}

/* --- The app ---------------------------------------------------------------*/

static dw_verdict hello(dw_handler *h, dw_exchange *x) {
  (void)h;
  int code = dw_response_set_body(x->response, DW_LITERAL("hello"));
  return code < 0 ? dw_exchange_fail(x, 503, "out of memory") : DW_DONE;
}

static void later_cb(dw_timer *t) {
  (void)t;
  dw_exchange *x = b.waiting;
  b.waiting = NULL;
  dw_exchange_resume(x, hello(NULL, x));
}

static void cancel_later(dw_exchange *x, void *data) {
  (void)x, (void)data;
  note("cancelled");
  dw_timer_stop(&b.loop, &b.timer);
}

static dw_verdict later(dw_handler *h, dw_exchange *x) {
  (void)h;
  b.waiting = x;
  x->cancel_cb = cancel_later;
  dw_timer_start(&b.loop, &b.timer, 1);
  return DW_PENDING;
}

static dw_verdict never(dw_handler *h, dw_exchange *x) {
  later(h, x);
  dw_timer_stop(&b.loop, &b.timer);
  return DW_PENDING;
}

static dw_verdict fail(dw_handler *h, dw_exchange *x) {
  (void)h;
  x->error = (dw_error){.cls = &dw_error_base, .message = "broken"};
  return DW_FAILED;
}

static dw_verdict teardown(dw_handler *h, dw_exchange *x) {
  (void)h, (void)x;
  b.torn_down = true;
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

static int add(const char *rule,
               dw_verdict (*call)(dw_handler *, dw_exchange *)) {
  dw_rule_options options = {.rule = dw_slice_str(rule),
                             .endpoint = DW_EMPTY,
                             .methods = DW_METHOD_BIT(DW_METHOD_GET) |
                                        DW_METHOD_BIT(DW_METHOD_POST),
                             .strict_slashes = -1,
                             .merge_slashes = -1,
                             .host = DW_EMPTY,
                             .subdomain = DW_EMPTY,
                             .redirect_to = DW_EMPTY,
                             .automatic_options = true};
  dw_handler *h = new_handler(call);
  if (!h) return DW_ENOMEM;
  dw_buffer message;
  dw_route *route;
  dw_buffer_init(&message, &b.alloc, 0);
  int code = dw_app_add_route(b.app, &options, h, NULL, &route, &message);
  dw_buffer_deinit(&message);
  return code;
}

static int add_all(void) {
  int code = dw_app_new(&b.app, &b.alloc);
  if (code == 0) code = add("/hello", hello);
  if (code == 0) code = add("/later", later);
  if (code == 0) code = add("/never", never);
  if (code == 0) code = add("/fail", fail);
  dw_handler *h = code == 0 ? new_handler(teardown) : NULL;
  if (code == 0 && !h) code = DW_ENOMEM;
  if (code == 0)
    code = dw_scope_add(b.app->scope, &b.alloc, DW_HOOK_TEARDOWN, h);
  return code;
}

/* --- The client ------------------------------------------------------------*/

static void head_cb(dw_client *c) {
  char text[16];
  snprintf(text, sizeof text, "head:%d", c->answer.status);
  note(text);
}

static void data_cb(dw_client *c, dw_slice bytes) {
  (void)c;
  size_t room = sizeof b.body - 1 - b.body_len;
  size_t len = bytes.len < room ? bytes.len : room;
  memcpy(b.body + b.body_len, bytes.ptr, len);
  b.body_len += len;
  b.body[b.body_len] = '\0';
}

static void ended_cb(dw_client *c, dw_exchange *x) {
  (void)c;
  note(x->propagated ? "propagated" : "ended");
  if (x->propagated) note(x->unhandled.message);
}

static void done_cb(dw_client *c, int status) {
  (void)c;
  b.done = true;
  b.status = status;
  note(b.torn_down ? "done" : "done without teardown");
}

static void closed_cb(dw_client *c) {
  (void)c;
  b.closed = true;
  b.client = NULL;
}

static const dw_client_events events = {.head_cb = head_cb,
                                        .data_cb = data_cb,
                                        .ended_cb = ended_cb,
                                        .done_cb = done_cb,
                                        .closed_cb = closed_cb};

static bool is_done(void *data) {
  (void)data;
  return b.done;
}

static bool is_closed(void *data) {
  (void)data;
  return !b.client && dw_server_idle(b.server);
}

static void close_bench(void) {
  dw_client_close(b.client, true);
  if (b.server) dw_loop_run(&b.loop, is_closed, NULL);
  dw_server_free(b.server);
  dw_app_free(b.app);
  dw_loop_deinit(&b.loop);
}

/* In an allocator that is ready. A failure leaves nothing. */
static int open_bench(void) {
  int code = dw_loop_init(&b.loop, NULL, &b.alloc, &b.log);
  if (code < 0) return code;
  dw_timer_init(&b.timer, later_cb, NULL);
  code = add_all();
  if (code == 0) code = dw_server_new(&b.server, &b.loop, b.app, NULL);
  if (code == 0) code = dw_client_connect(&b.client, b.server, &events, NULL);
  if (code < 0) close_bench();
  return code;
}

static void open_checked(void) {
  memset(&b, 0, sizeof b);
  dw_allocator_init(&b.alloc, NULL, NULL);
  CHECK_INT(open_bench(), 0);
}

static void close_checked(void) {
  close_bench();
  CHECK_INT(b.alloc.used, 0);
}

static void start_over(void) {
  b.events[0] = b.body[0] = '\0';
  b.body_len = 0;
  b.done = b.torn_down = false;
  b.status = 0;
}

static int start(const char *target, const char *body) {
  dw_client_request r = {.method =
                             body ? DW_LITERAL("POST") : DW_LITERAL("GET"),
                         .target = dw_slice_str(target),
                         .fields = DW_EMPTY,
                         .body = dw_slice_str(body ? body : ""),
                         .has_body = body != NULL};
  start_over();
  return dw_client_start(b.client, &r);
}

static void request(const char *target) {
  CHECK_INT(start(target, NULL), 0);
  CHECK_INT(dw_loop_run(&b.loop, is_done, NULL), 0);
}

/* --- Requests --------------------------------------------------------------*/

TEST(a_request_is_over_when_its_exchange_has_been_torn_down) {
  open_checked();
  request("/hello");
  CHECK_STR(b.events, "ended head:200 done");
  CHECK_STR(b.body, "hello");
  CHECK_INT(b.status, 0);
  close_checked();
}

TEST(a_connection_takes_one_request_after_another) {
  open_checked();
  for (int i = 0; i < 3; i++) {
    request(i == 1 ? "/later" : "/hello");
    CHECK_STR(b.body, "hello");
    CHECK(dw_client_reusable(b.client));
  }
  CHECK_INT(b.server->http.count, 1);
  close_checked();
}

TEST(a_second_request_has_to_wait_for_the_end_of_the_first) {
  open_checked();
  CHECK_INT(start("/later", NULL), 0);
  CHECK(!dw_client_reusable(b.client));
  dw_client_request r = {.method = DW_LITERAL("GET"),
                         .target = DW_LITERAL("/hello"),
                         .fields = DW_EMPTY,
                         .body = DW_EMPTY};
  CHECK_INT(dw_client_start(b.client, &r), DEWAR_EMISUSE);
  CHECK_INT(dw_client_write(b.client, DW_LITERAL("x")), DEWAR_EMISUSE);
  CHECK_INT(dw_client_send(b.client, DW_LITERAL("x")), DEWAR_EMISUSE);
  CHECK_INT(dw_loop_run(&b.loop, is_done, NULL), 0);
  CHECK_STR(b.events, "ended head:200 done");
  close_checked();
}

TEST(fields_may_bring_host_and_length_along) {
  open_checked();
  dw_client_request r = {.method = DW_LITERAL("POST"),
                         .target = DW_LITERAL("/hello"),
                         .fields = DW_LITERAL("X-A: Host: b\r\nhost: c\r\n"
                                              "CONTENT-LENGTH: 2\r\n"),
                         .body = DW_LITERAL("ab"),
                         .has_body = true};
  start_over();
  CHECK_INT(dw_client_start(b.client, &r), 0);
  CHECK_INT(dw_loop_run(&b.loop, is_done, NULL), 0);
  CHECK_STR(b.events, "ended head:200 done");
  close_checked();
}

TEST(a_body_may_be_sent_in_chunks) {
  open_checked();
  dw_client_request r = {.method = DW_LITERAL("POST"),
                         .target = DW_LITERAL("/hello"),
                         .fields = DW_EMPTY,
                         .body = DW_EMPTY,
                         .chunked = true};
  start_over();
  CHECK_INT(dw_client_start(b.client, &r), 0);
  CHECK_INT(dw_client_write(b.client, DW_LITERAL("some")), 0);
  CHECK_INT(dw_client_write(b.client, DW_EMPTY), 0);
  CHECK_INT(dw_client_finish(b.client), 0);
  CHECK_INT(dw_client_finish(b.client), DEWAR_EMISUSE);
  CHECK_INT(dw_loop_run(&b.loop, is_done, NULL), 0);
  CHECK_STR(b.events, "ended head:200 done");
  CHECK(dw_client_reusable(b.client));
  close_checked();
}

TEST(an_unhandled_error_is_the_clients_where_it_wants_it) {
  open_checked();
  b.app->testing = true;
  request("/fail");
  CHECK_STR(b.events, "ended head:500 done");
  b.client->observer.propagates = true;
  request("/fail");
  CHECK_STR(b.events, "propagated broken done");
  CHECK_INT(b.status, UV_ECONNRESET);
  CHECK(!dw_client_reusable(b.client));
  close_checked();
}

TEST(a_request_that_is_refused_has_no_exchange) {
  open_checked();
  request("/no|such\"target");
  CHECK_STR(b.events, "head:400 done without teardown");
  CHECK_INT(b.status, 0);
  CHECK(!dw_client_reusable(b.client));
  close_checked();
}

/* --- Closing ---------------------------------------------------------------*/

TEST(closing_cancels_and_waits_for_the_exchange) {
  for (int reset = 0; reset <= 1; reset++) {
    open_checked();
    CHECK_INT(start("/never", NULL), 0);
    while (!b.waiting) dw_loop_turn(&b.loop, false);
    dw_client_close(b.client, reset);
    dw_client_close(b.client, !reset);
    CHECK_INT(dw_client_send(b.client, DW_LITERAL("x")), DEWAR_ECLOSED);
    CHECK_INT(dw_loop_run(&b.loop, is_closed, NULL), 0);
    CHECK_STR(b.events, "cancelled ended");
    CHECK(b.torn_down && b.closed && !b.done);
    close_checked();
  }
}

TEST(the_servers_end_fails_the_request) {
  open_checked();
  CHECK_INT(start("/never", NULL), 0);
  while (!b.waiting) dw_loop_turn(&b.loop, false);
  dw_http_cut(&b.server->http);
  CHECK_INT(dw_loop_run(&b.loop, is_done, NULL), 0);
  CHECK_INT(b.status, UV_ECONNRESET);
  CHECK_STR(b.events, "cancelled ended done");
  CHECK_INT(dw_client_peer(b.client), DW_CLIENT_OVER);
  close_checked();
}

TEST(a_stopped_server_is_not_connected_to) {
  open_checked();
  dw_server_stop(b.server);
  dw_client *other = b.client;
  CHECK_INT(dw_client_connect(&other, b.server, &events, NULL), DEWAR_ECLOSED);
  CHECK(other == NULL);
  close_checked();
}

TEST(null_may_be_closed) { dw_client_close(NULL, true); }

/* --- Raw -------------------------------------------------------------------*/

static void turn(int times) {
  while (times-- > 0) dw_loop_turn(&b.loop, false);
}

TEST(raw_bytes_go_and_come_as_they_are) {
  open_checked();
  CHECK_INT(dw_client_peer(b.client), DW_CLIENT_BETWEEN);
  CHECK_INT(dw_client_send(b.client, DW_LITERAL("GET /hello HTTP/1.1\r\n")), 0);
  turn(4);
  CHECK_INT(dw_client_peer(b.client), DW_CLIENT_WANTING);
  CHECK_INT(dw_client_send(b.client, DW_LITERAL("Host: a\r\n\r\n")), 0);
  turn(4);
  CHECK_INT(dw_client_peer(b.client), DW_CLIENT_BETWEEN);
  CHECK(strncmp(b.body, "HTTP/1.1 200 OK\r\n", 17) == 0);
  CHECK(strstr(b.body, "\r\n\r\nhello") != NULL);
  CHECK(!b.done);
  CHECK_INT(dw_client_shutdown(b.client), 0);
  CHECK_INT(dw_loop_run(&b.loop, is_done, NULL), 0);
  CHECK_INT(b.status, 0);
  turn(4);
  CHECK_STR(b.events, "ended done");
  CHECK_INT(dw_client_peer(b.client), DW_CLIENT_OVER);
  close_checked();
}

/* --- Without memory --------------------------------------------------------*/

/* What goes out and what comes in may fail; nothing may stay behind. */
static int scenario(dw_allocator *a, void *data) {
  const char *target = data;
  memset(&b, 0, sizeof b);
  b.alloc = *a;
  int code = open_bench();
  if (code == 0) {
    code = start(target, "some body");
    if (code == 0) {
      CHECK_INT(dw_loop_run(&b.loop, is_done, NULL), 0);
      code = b.status;
      if (code == 0 && strncmp(b.events, "ended head:200", 14) != 0)
        code = DW_ENOMEM; /* a 503, or no teardown for want of an exchange */
    }
    close_bench();
  }
  *a = b.alloc;
  return code;
}

TEST(nothing_is_left_where_memory_runs_out) {
  unit_failing_allocations(scenario, (void *)"/hello");
  unit_failing_allocations(scenario, (void *)"/later");
}
