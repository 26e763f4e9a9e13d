/* SPDX-License-Identifier: MIT */
/* C views, as a host writes them: what they see of a request, how and when they
 * answer, and what every misuse comes to. */
#include "unit.h"

#include "support/host.h"

static host h;

static const char lua_app[] =
    "local dewar = require 'dewar'\n"
    "local app = dewar.app()\n"
    "app:get('/lua', function() return 'from Lua' end)\n"
    "return app\n";

static int say(dewar_exchange *x, const char *text) {
  return dewar_respond(x, 200, "text/plain", text, strlen(text));
}

static int hello_view(dewar_exchange *x, void *data) {
  return say(x, data ? data : "hello");
}

/* --- Routes ----------------------------------------------------------------*/

TEST(views_serve_without_any_lua_app) {
  REQUIRE(host_open(&h));
  CHECK_INT(dewar_get(h.rt, "/hello", hello_view, NULL), 0);
  reply r = ask(&h, "/hello");
  CHECK_INT(r.status, 200);
  CHECK_STR(r.body, "hello");
  CHECK(strstr(r.headers, "Content-Type: text/plain\r\n"));
  CHECK_INT(ask(&h, "/nope").status, 404);
  host_close(&h);
}

TEST(views_registered_before_and_after_loading_serve_beside_luas) {
  REQUIRE(host_open(&h));
  CHECK_INT(dewar_get(h.rt, "/before", hello_view, (void *)"before"), 0);
  REQUIRE(host_load(&h, lua_app) == 0);
  CHECK_INT(dewar_get(h.rt, "/after", hello_view, (void *)"after"), 0);
  CHECK_STR(ask(&h, "/before").body, "before");
  CHECK_STR(ask(&h, "/lua").body, "from Lua");
  CHECK_STR(ask(&h, "/after").body, "after");
  host_close(&h);
}

TEST(a_rule_that_lua_has_taken_is_refused_whichever_comes_first) {
  REQUIRE(host_open(&h));
  REQUIRE(host_load(&h, lua_app) == 0);
  CHECK_INT(dewar_get(h.rt, "/lua", hello_view, NULL), DEWAR_EEXIST);
  CHECK(strstr(dewar_error(h.rt), "/lua"));
  host_close(&h);

  REQUIRE(host_open(&h));
  CHECK_INT(dewar_get(h.rt, "/lua", hello_view, NULL), 0);
  CHECK_INT(dewar_load_string(h.rt, lua_app, strlen(lua_app), "app.lua"),
            DEWAR_EEXIST);
  CHECK(strstr(dewar_error(h.rt), "/lua"));
  CHECK_STR(ask(&h, "/lua").body, "hello");
  host_close(&h);
}

TEST(a_rule_can_be_registered_only_once) {
  REQUIRE(host_open(&h));
  CHECK_INT(dewar_get(h.rt, "/a/<int:id>", hello_view, NULL), 0);
  CHECK_INT(dewar_get(h.rt, "/a/<int:n>", hello_view, NULL), DEWAR_EEXIST);
  CHECK_INT(dewar_route(h.rt, "POST", "/a/<int:n>", hello_view, NULL), 0);
  host_close(&h);
}

TEST(a_bad_rule_is_refused_with_a_text_that_says_what_is_wrong) {
  REQUIRE(host_open(&h));
  CHECK_INT(dewar_get(h.rt, "/users/<itn:id>", hello_view, NULL), DEWAR_EINVAL);
  CHECK(strstr(dewar_error(h.rt), "itn"));
  CHECK(strstr(dewar_error(h.rt), "int"));
  CHECK_INT(dewar_get(h.rt, "users", hello_view, NULL), DEWAR_EINVAL);
  CHECK_INT(dewar_get(h.rt, "", hello_view, NULL), DEWAR_EINVAL);
  host_close(&h);
}

TEST(methods_are_a_list_and_bad_ones_are_named) {
  REQUIRE(host_open(&h));
  CHECK_INT(dewar_route(h.rt, "PUT, DELETE", "/x", hello_view, NULL), 0);
  CHECK_INT(dewar_route(h.rt, NULL, "/y", hello_view, NULL), 0);
  CHECK_INT(dewar_route(h.rt, "GET, put", "/z", hello_view, NULL),
            DEWAR_EINVAL);
  CHECK(strstr(dewar_error(h.rt), "'put'"));
  CHECK_INT(dewar_route(h.rt, "", "/z", hello_view, NULL), DEWAR_EINVAL);
  CHECK_INT(dewar_route(h.rt, "GET,", "/z", hello_view, NULL), DEWAR_EINVAL);
  CHECK_INT(ask_with(&h, "DELETE", "/x", NULL, NULL).status, 200);
  CHECK_INT(ask_with(&h, "GET", "/x", NULL, NULL).status, 405);
  CHECK_INT(ask_with(&h, "HEAD", "/y", NULL, NULL).status, 200);
  host_close(&h);
}

TEST(routes_come_before_the_first_request) {
  REQUIRE(host_open(&h));
  CHECK_INT(ask(&h, "/").status, 404);
  CHECK_INT(dewar_get(h.rt, "/late", hello_view, NULL), DEWAR_EMISUSE);
  CHECK(strstr(dewar_error(h.rt), "/late"));
  CHECK_INT(dewar_load_string(h.rt, lua_app, strlen(lua_app), "app.lua"),
            DEWAR_EMISUSE);
  host_close(&h);
}

TEST(arguments_of_a_route_that_are_null_are_refused) {
  REQUIRE(host_open(&h));
  CHECK_INT(dewar_get(NULL, "/", hello_view, NULL), DEWAR_EINVAL);
  CHECK_INT(dewar_get(h.rt, NULL, hello_view, NULL), DEWAR_EINVAL);
  CHECK_INT(dewar_get(h.rt, "/", NULL, NULL), DEWAR_EINVAL);
  host_close(&h);
}

/* --- What a view sees ------------------------------------------------------*/

static int look_view(dewar_exchange *x, void *data) {
  CHECK(data == &h);
  CHECK(dewar_exchange_runtime(x) == h.rt);
  CHECK_STR(dewar_exchange_method(x), "GET");
  CHECK_STR(dewar_exchange_path(x), "/see/7/caf\xc3\xa9/1.5/a/b");
  CHECK_STR(dewar_exchange_query(x), "q=%20&r");
  CHECK(dewar_exchange_query(x) == dewar_exchange_query(x));
  CHECK_STR(dewar_exchange_arg(x, "id"), "7");
  CHECK_STR(dewar_exchange_arg(x, "name"), "caf\xc3\xa9");
  CHECK_STR(dewar_exchange_arg(x, "ratio"), "1.5");
  CHECK_STR(dewar_exchange_arg(x, "rest"), "a/b");
  CHECK_STR(dewar_exchange_arg(x, "none"), NULL);
  CHECK_STR(dewar_exchange_arg(x, NULL), NULL);
  CHECK_STR(dewar_exchange_header(x, "x-tag"), "one, two");
  CHECK_STR(dewar_exchange_header(x, "Host"), "localhost");
  CHECK_STR(dewar_exchange_header(x, "X-None"), NULL);
  CHECK_STR(dewar_exchange_header(x, NULL), NULL);
  return say(x, "seen");
}

TEST(a_view_sees_method_path_query_variables_and_headers) {
  REQUIRE(host_open(&h));
  CHECK_INT(dewar_get(h.rt, "/see/<int:id>/<name>/<float:ratio>/<path:rest>",
                      look_view, &h),
            0);
  reply r = ask_with(&h, "GET", "/see/7/caf%C3%A9/1.5/a/b?q=%20&r",
                     "X-Tag: one\r\nX-Tag: two\r\n", NULL);
  CHECK_STR(r.body, "seen");
  host_close(&h);
}

static int headers_view(dewar_exchange *x, void *data) {
  (void)data;
  CHECK_INT(dewar_set_header(x, "X-One", "1"), 0);
  CHECK_INT(dewar_set_header(x, "X-One", "2"), 0);
  CHECK_INT(dewar_add_header(x, "Set-Cookie", "a=1"), 0);
  CHECK_INT(dewar_add_header(x, "Set-Cookie", "b=2"), 0);
  CHECK_INT(dewar_set_header(x, "X-Bad", "a\r\nb: c"), DEWAR_EINVAL);
  CHECK_INT(dewar_set_header(x, "X Bad", "a"), DEWAR_EINVAL);
  CHECK_INT(dewar_add_header(x, "", "a"), DEWAR_EINVAL);
  CHECK_INT(dewar_set_header(x, NULL, "a"), DEWAR_EINVAL);
  CHECK_INT(dewar_add_header(x, "A", NULL), DEWAR_EINVAL);
  return dewar_respond(x, 201, NULL, "{}", 2);
}

TEST(a_view_sets_headers_and_bad_ones_are_never_sent) {
  REQUIRE(host_open(&h));
  dewar_get(h.rt, "/", headers_view, NULL);
  reply r = ask(&h, "/");
  CHECK_INT(r.status, 201);
  CHECK(strstr(r.headers, "X-One: 2\r\n") && !strstr(r.headers, "X-One: 1"));
  CHECK(strstr(r.headers, "Set-Cookie: a=1\r\n"));
  CHECK(strstr(r.headers, "Set-Cookie: b=2\r\n"));
  CHECK(strstr(r.headers, "Content-Type: text/html; charset=utf-8\r\n"));
  CHECK(!strstr(r.headers, "Bad"));
  host_close(&h);
}

/* --- Answers that are wrong ------------------------------------------------*/

static int misuse_view(dewar_exchange *x, void *data) {
  (void)data;
  CHECK_INT(dewar_respond(x, 99, NULL, NULL, 0), DEWAR_EINVAL);
  CHECK_INT(dewar_respond(x, 101, NULL, NULL, 0), DEWAR_EINVAL);
  CHECK_INT(dewar_respond(x, 600, NULL, NULL, 0), DEWAR_EINVAL);
  CHECK_INT(dewar_respond(x, 200, NULL, NULL, 1), DEWAR_EINVAL);
  CHECK_INT(dewar_respond(x, 200, "text/plain\r\nX: y", "a", 1), DEWAR_EINVAL);
  CHECK_INT(dewar_respond(x, 204, NULL, NULL, 0), 0);
  CHECK_INT(say(x, "again"), DEWAR_EMISUSE);
  CHECK_INT(dewar_defer(x, NULL, NULL), DEWAR_EMISUSE);
  CHECK_INT(dewar_set_header(x, "A", "b"), DEWAR_EMISUSE);
  CHECK_INT(dewar_add_header(x, "A", "b"), DEWAR_EMISUSE);
  return 0;
}

TEST(a_request_is_answered_once_and_only_by_a_proper_answer) {
  REQUIRE(host_open(&h));
  dewar_get(h.rt, "/", misuse_view, NULL);
  reply r = ask(&h, "/");
  CHECK_INT(r.status, 204);
  CHECK_INT(r.body_len, 0);
  CHECK(!strstr(r.headers, "A: b"));
  CHECK_INT(dewar_respond(NULL, 200, NULL, NULL, 0), DEWAR_EINVAL);
  CHECK_INT(dewar_defer(NULL, NULL, NULL), DEWAR_EINVAL);
  CHECK_INT(dewar_set_header(NULL, "a", "b"), DEWAR_EINVAL);
  CHECK_INT(dewar_exchange_body(NULL, NULL, NULL), DEWAR_EINVAL);
  CHECK(!dewar_exchange_runtime(NULL) && !dewar_exchange_path(NULL));
  CHECK(!dewar_exchange_method(NULL) && !dewar_exchange_query(NULL));
  CHECK(!dewar_exchange_arg(NULL, "a") && !dewar_exchange_header(NULL, "a"));
  host_close(&h);
}

static int code_view(dewar_exchange *x, void *data) {
  dewar_set_header(x, "X-Leak", "1");
  return *(int *)data;
}

static int answer_and_fail_view(dewar_exchange *x, void *data) {
  (void)data;
  say(x, "never seen");
  return UV_EIO;
}

static int nothing_view(dewar_exchange *x, void *data) {
  (void)x, (void)data;
  return 0;
}

TEST(a_view_that_fails_answers_500_and_is_logged) {
  REQUIRE(host_open(&h));
  int bad = UV_EACCES, odd = 7;
  dewar_get(h.rt, "/bad", code_view, &bad);
  dewar_get(h.rt, "/odd", code_view, &odd);
  dewar_get(h.rt, "/both", answer_and_fail_view, NULL);
  dewar_get(h.rt, "/nothing", nothing_view, NULL);
  reply r = ask(&h, "/bad");
  CHECK_INT(r.status, 500);
  CHECK(!strstr(r.headers, "X-Leak"));
  CHECK(host_logged(&h, "Exception on /bad [GET]"));
  CHECK(host_logged(&h, "permission denied"));
  CHECK_INT(ask(&h, "/odd").status, 500);
  CHECK(host_logged(&h, "returned 7"));
  r = ask(&h, "/both");
  CHECK_INT(r.status, 500);
  CHECK(!strstr(r.body, "never seen"));
  CHECK_INT(ask(&h, "/nothing").status, 500);
  CHECK(host_logged(&h, "dewar_respond or dewar_defer"));
  host_close(&h);
}

/* --- Beside Lua ------------------------------------------------------------*/

TEST(hooks_and_error_handlers_of_the_lua_app_apply_to_c_views) {
  REQUIRE(host_open(&h));
  int bad = UV_EIO;
  dewar_get(h.rt, "/c", hello_view, NULL);
  dewar_get(h.rt, "/bad", code_view, &bad);
  REQUIRE(host_load(&h, "local dewar = require 'dewar'\n"
                        "local app = dewar.app()\n"
                        "app:before_request(function(req)\n"
                        "  dewar.sleep(0.001)\n"
                        "  if req.args.stop then return 'stopped' end\n"
                        "end)\n"
                        "app:after_request(function(req, res)\n"
                        "  res.headers['X-After'] = req.path\n"
                        "  return res\n"
                        "end)\n"
                        "app:errorhandler(500, function(req, err)\n"
                        "  return 'handled', 503\n"
                        "end)\n"
                        "return app\n") == 0);
  reply r = ask(&h, "/c");
  CHECK_STR(r.body, "hello");
  CHECK(strstr(r.headers, "X-After: /c\r\n"));
  CHECK_STR(ask(&h, "/c?stop=1").body, "stopped");
  r = ask(&h, "/bad");
  CHECK_INT(r.status, 503);
  CHECK_STR(r.body, "handled");
  CHECK(strstr(r.headers, "X-After: /bad\r\n"));
  host_close(&h);
}

/* --- Later -----------------------------------------------------------------*/

/* What a view that answers later leaves behind. */
static struct {
  dewar_exchange *x;
  bool pending, cancelled;
  int answered; /* what dewar_respond came to */
  int posted;   /* ... and dewar_post, in the thread */
  uv_thread_t thread;
} later;

static void later_cancel(dewar_exchange *x, void *data) {
  CHECK(x == later.x);
  CHECK(data == &later);
  CHECK_INT(say(x, "too late"), DEWAR_ECANCELED);
  CHECK_INT(dewar_set_header(x, "A", "b"), DEWAR_ECANCELED);
  CHECK(!later.cancelled);
  later.cancelled = true;
}

static int later_view(dewar_exchange *x, void *data) {
  memset(&later, 0, sizeof later);
  later.x = x;
  later.pending = true;
  CHECK_INT(dewar_defer(x, data ? NULL : later_cancel, &later), 0);
  CHECK_INT(dewar_defer(x, later_cancel, &later), DEWAR_EMISUSE);
  return 0;
}

static void later_answer(void *data) {
  (void)data;
  later.answered = say(later.x, "late");
  CHECK_INT(say(later.x, "later still"), DEWAR_EMISUSE);
}

static void later_thread(void *data) {
  usleep(2000);
  later.posted = dewar_post(data, later_answer, NULL);
}

static int thread_view(dewar_exchange *x, void *data) {
  int code = later_view(x, data);
  CHECK_INT(
      uv_thread_create(&later.thread, later_thread, dewar_exchange_runtime(x)),
      0);
  return code;
}

TEST(a_worker_thread_answers_a_pending_view) {
  REQUIRE(host_open(&h));
  dewar_get(h.rt, "/", thread_view, NULL);
  reply r = {0};
  CHECK_INT(dewar_request(h.rt, "GET", "/", NULL, NULL, 0, reply_cb, &r), 0);
  /* Nothing but the pending view keeps the loop alive. */
  CHECK_INT(dewar_run(h.rt), 0);
  uv_thread_join(&later.thread);
  CHECK(r.done);
  CHECK_STR(r.body, "late");
  CHECK_INT(later.posted, 0);
  CHECK_INT(later.answered, 0);
  CHECK(!later.cancelled);
  host_close(&h);
}

static int defer_and_respond_view(dewar_exchange *x, void *data) {
  (void)data;
  CHECK_INT(dewar_defer(x, later_cancel, NULL), 0);
  return say(x, "after all");
}

static int defer_and_fail_view(dewar_exchange *x, void *data) {
  (void)data;
  CHECK_INT(dewar_defer(x, later_cancel, NULL), 0);
  return UV_EIO;
}

TEST(a_view_may_defer_and_still_answer_or_fail_at_once) {
  REQUIRE(host_open(&h));
  dewar_get(h.rt, "/answer", defer_and_respond_view, NULL);
  dewar_get(h.rt, "/fail", defer_and_fail_view, NULL);
  CHECK_STR(ask(&h, "/answer").body, "after all");
  CHECK_INT(ask(&h, "/fail").status, 500);
  host_close(&h);
}

static void leave(int *fd) {
  close(*fd);
  *fd = -1;
}

TEST(a_client_that_goes_away_cancels_the_pending_view) {
  REQUIRE(host_open(&h));
  dewar_get(h.rt, "/", later_view, NULL);
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  later.pending = false;
  int fd = host_connect(&h, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  host_turn_until(&h, &later.pending);
  CHECK(!later.cancelled);
  leave(&fd);
  host_turn_until(&h, &later.cancelled);
  host_close(&h);
}

TEST(an_answer_nobody_waits_for_is_dropped_where_there_is_no_cancel) {
  REQUIRE(host_open(&h));
  dewar_get(h.rt, "/", later_view, (void *)"no cancel");
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  later.pending = false;
  int fd = host_connect(&h, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  host_turn_until(&h, &later.pending);
  leave(&fd);
  for (int i = 0; i < 20; i++) {
    dewar_poll(h.rt);
    usleep(500);
  }
  later_answer(NULL);
  CHECK_INT(later.answered, 0);
  for (int i = 0; i < 3; i++) dewar_poll(h.rt);
  host_close(&h);
}

TEST(a_request_out_of_time_is_cancelled_and_answered_503) {
  REQUIRE(host_open(&h));
  dewar_get(h.rt, "/", later_view, NULL);
  REQUIRE(host_load(&h, "local dewar = require 'dewar'\n"
                        "local app = dewar.app()\n"
                        "app.config.REQUEST_TIMEOUT = 0.02\n"
                        "return app\n") == 0);
  CHECK_INT(ask(&h, "/").status, 503);
  CHECK(later.cancelled);
  host_close(&h);
}

TEST(a_late_answer_to_a_request_out_of_time_is_a_503) {
  REQUIRE(host_open(&h));
  dewar_get(h.rt, "/", later_view, (void *)"no cancel");
  REQUIRE(host_load(&h, "local dewar = require 'dewar'\n"
                        "local app = dewar.app()\n"
                        "app.config.REQUEST_TIMEOUT = 0.01\n"
                        "return app\n") == 0);
  reply r = {0};
  CHECK_INT(dewar_request(h.rt, "GET", "/", NULL, NULL, 0, reply_cb, &r), 0);
  host_turn_until(&h, &later.pending);
  for (int i = 0; i < 20; i++) {
    dewar_poll(h.rt);
    usleep(2000);
  }
  CHECK(!r.done);
  later_answer(NULL);
  host_turn_until(&h, &r.done);
  CHECK_INT(r.status, 503);
  host_close(&h);
}

/* --- Bodies ----------------------------------------------------------------*/

static struct { int calls, status, again; } body;

static void body_cb(dewar_exchange *x, int status, const char *bytes,
                    size_t len, void *data) {
  CHECK(data == &body);
  body.calls++;
  body.status = status;
  if (status == 0)
    CHECK_INT(dewar_respond(x, 200, "text/plain", bytes, len), 0);
  else
    CHECK(dewar_respond(x, 200, NULL, NULL, 0) < 0);
}

static int body_view(dewar_exchange *x, void *data) {
  (void)data;
  memset(&body, 0, sizeof body);
  CHECK_INT(dewar_exchange_body(x, NULL, NULL), DEWAR_EINVAL);
  int code = dewar_exchange_body(x, body_cb, &body);
  body.again = dewar_exchange_body(x, body_cb, &body);
  return code;
}

TEST(a_view_gets_the_whole_body) {
  REQUIRE(host_open(&h));
  dewar_route(h.rt, "POST", "/", body_view, NULL);
  reply r = ask_with(&h, "POST", "/", NULL, "some bytes");
  CHECK_STR(r.body, "some bytes");
  CHECK_INT(body.calls, 1);
  CHECK_INT(body.again, DEWAR_EMISUSE);
  CHECK_INT(ask_with(&h, "POST", "/", NULL, NULL).status, 200);
  CHECK_INT(body.calls, 1);
  host_close(&h);
}

TEST(a_body_that_comes_in_pieces_is_waited_for) {
  REQUIRE(host_open(&h));
  dewar_route(h.rt, "POST", "/", body_view, NULL);
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  body.calls = 0;
  int fd = host_connect(&h, "POST / HTTP/1.1\r\nHost: a\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  for (int i = 0; i < 20; i++) {
    dewar_poll(h.rt);
    usleep(500);
  }
  CHECK_INT(body.calls, 0);
  const char rest[] = "3\r\ndef\r\n0\r\n\r\n";
  CHECK(send(fd, rest, sizeof rest - 1, MSG_NOSIGNAL) == sizeof rest - 1);
  char answer[1024] = "";
  ssize_t len = 0;
  for (int i = 0; i < 2000 && len <= 0; i++) {
    dewar_poll(h.rt);
    usleep(500);
    len = recv(fd, answer, sizeof answer - 1, MSG_DONTWAIT);
  }
  CHECK_INT(body.calls, 1);
  CHECK(strstr(answer, "\r\n\r\nabcdef"));
  close(fd);
  host_close(&h);
}

TEST(a_body_beyond_the_limit_is_a_413_and_the_view_is_told) {
  REQUIRE(host_open(&h));
  dewar_route(h.rt, "POST", "/", body_view, NULL);
  REQUIRE(host_load(&h, "local dewar = require 'dewar'\n"
                        "local app = dewar.app()\n"
                        "app.config.MAX_CONTENT_LENGTH = 4\n"
                        "return app\n") == 0);
  CHECK_INT(ask_with(&h, "POST", "/", NULL, "12345").status, 413);
  CHECK_INT(body.calls, 1);
  CHECK_INT(body.status, DEWAR_ETOOBIG);
  CHECK_STR(ask_with(&h, "POST", "/", NULL, "1234").body, "1234");
  host_close(&h);
}

TEST(a_client_that_goes_away_in_mid_body_ends_the_wait_for_it) {
  REQUIRE(host_open(&h));
  dewar_route(h.rt, "POST", "/", body_view, NULL);
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  body.calls = 0;
  int fd = host_connect(
      &h, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  for (int i = 0; i < 20; i++) {
    dewar_poll(h.rt);
    usleep(500);
  }
  leave(&fd);
  for (int i = 0; i < 2000 && body.calls == 0; i++) {
    dewar_poll(h.rt);
    usleep(500);
  }
  CHECK_INT(body.calls, 1);
  CHECK(body.status < 0);
  host_close(&h);
}

static int body_was_read_view(dewar_exchange *x, void *data) {
  (void)data;
  CHECK_INT(dewar_exchange_body(x, body_cb, &body), DEWAR_EMISUSE);
  return say(x, "refused");
}

TEST(a_body_that_a_lua_hook_has_read_is_not_there_for_a_c_view) {
  REQUIRE(host_open(&h));
  dewar_route(h.rt, "POST", "/", body_was_read_view, NULL);
  REQUIRE(host_load(&h, "local dewar = require 'dewar'\n"
                        "local app = dewar.app()\n"
                        "app:before_request(function(req) req:body() end)\n"
                        "return app\n") == 0);
  CHECK_STR(ask_with(&h, "POST", "/", NULL, "abc").body, "refused");
  host_close(&h);
}

TEST(a_body_that_a_c_view_has_read_is_there_for_a_lua_hook) {
  REQUIRE(host_open(&h));
  dewar_route(h.rt, "POST", "/", body_view, NULL);
  REQUIRE(host_load(&h, "local dewar = require 'dewar'\n"
                        "local app = dewar.app()\n"
                        "app:after_request(function(req, res)\n"
                        "  res.headers['X-Body'] = req:body()\n"
                        "  return res\n"
                        "end)\n"
                        "return app\n") == 0);
  reply r = ask_with(&h, "POST", "/", NULL, "abc");
  CHECK_STR(r.body, "abc");
  CHECK(strstr(r.headers, "X-Body: abc\r\n"));
  host_close(&h);
}
