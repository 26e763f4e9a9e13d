/* SPDX-License-Identifier: MIT */
/* An app's life in a C host: before_serving runs in dewar_listen, after_serving
 * in dewar_run or dewar_free. What hooks do among themselves is in
 * spec/app/lifespan_spec.lua. */
#include "unit.h"

#include "support/host.h"

static host h;

static const char lua_app[] =
    "local dewar = require 'dewar'\n"
    "local app = dewar.app { config = { SHUTDOWN_TIMEOUT = 20 } }\n"
    "local function say(what)\n"
    "  return function() dewar.sleep(0.001) dewar.log.info(what) end\n"
    "end\n"
    "app:before_serving(say 'begins')\n"
    "app:while_serving(function(serve) say 'in' () serve() say 'out' () end)\n"
    "app:every(3600, say 'never')\n"
    "app:after_serving(say 'ends')\n"
    "app:get('/', function() return 'Hello' end)\n"
    "app:get('/start', function()\n"
    "  app:add_background_task(function() dewar.sleep(0.02) say 'task' () "
    "end)\n"
    "  return 'started'\n"
    "end)\n";

/* Loads the app with more text behind it. */
static bool open_with(const char *more) {
  char text[4096];
  snprintf(text, sizeof text, "%s%s\nreturn app\n", lua_app, more);
  return host_open(&h) && CHECK(host_load(&h, text) == 0);
}

/* Where the words stand in the log, one behind the other. */
static bool in_order(const char *const *words) {
  const char *at = h.log;
  for (; *words; words++) {
    const char *found = strstr(at, *words);
    if (!found) fprintf(stderr, "no \"%s\" in:\n%s", *words, h.log);
    if (!found) return false;
    at = found + strlen(*words);
  }
  return true;
}

#define IN_ORDER(...) in_order((const char *const[]){__VA_ARGS__, NULL})

TEST(it_begins_before_the_first_socket_is_open_and_only_once) {
  REQUIRE(open_with(""));
  CHECK_STR(h.log, "");
  CHECK_INT(dewar_listen(h.rt, "127.0.0.1", 0), 0);
  CHECK_STR(h.log, "20 begins\n20 in\n");
  CHECK_INT(dewar_listen(h.rt, "127.0.0.1", 0), 0);
  CHECK_STR(h.log, "20 begins\n20 in\n");
  host_close(&h);
}

TEST(it_ends_in_dewar_run_when_all_else_is_over) {
  REQUIRE(open_with(""));
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  CHECK_STR(ask(&h, "/start").body, "started");
  CHECK_INT(dewar_stop(h.rt), 0);
  CHECK_INT(dewar_run(h.rt), 0);
  CHECK(IN_ORDER("begins", "in", "GET", "task", "out", "ends"));
  size_t len = strlen(h.log);
  host_close(&h);
  CHECK_INT(strlen(h.log), len);
}

TEST(it_ends_in_dewar_free_where_nobody_has_called_dewar_run) {
  REQUIRE(open_with(""));
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  CHECK_STR(ask(&h, "/").body, "Hello");
  host_close(&h);
  CHECK(IN_ORDER("begins", "in", "GET", "out", "ends"));
}

TEST(it_is_not_begun_by_requests_without_a_socket) {
  REQUIRE(open_with(""));
  CHECK_STR(ask(&h, "/").body, "Hello");
  CHECK_INT(dewar_run(h.rt), 0);
  CHECK(strstr(h.log, "begins") == NULL);
  host_close(&h);
  CHECK(strstr(h.log, "ends") == NULL);
}

TEST(it_keeps_dewar_listen_from_listening_when_its_start_fails) {
  REQUIRE(open_with("app:before_serving(function()\n"
                    "  local function connect() error 'no database' end\n"
                    "  connect()\n"
                    "end)"));
  CHECK_INT(dewar_listen(h.rt, "127.0.0.1", 0), DEWAR_ELUA);
  CHECK(strstr(dewar_error(h.rt), "before_serving failed: app.lua:") != NULL);
  CHECK(strstr(dewar_error(h.rt), ": no database\nstack traceback:") != NULL);
  CHECK(strstr(dewar_error(h.rt), "'connect'") != NULL);
  CHECK_INT(dewar_port(h.rt), 0);
  CHECK_INT(dewar_run(h.rt), 0); /* there is nothing to do */
  host_close(&h);
  CHECK(strstr(h.log, "ends") == NULL);
}

TEST(it_fails_in_dewar_run_when_its_end_does) {
  REQUIRE(open_with("app:after_serving(function() error 'oops' end)"));
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  dewar_stop(h.rt);
  CHECK_INT(dewar_run(h.rt), DEWAR_ELUA);
  CHECK(strstr(dewar_error(h.rt), "after_serving failed: app.lua:") != NULL);
  CHECK(IN_ORDER("out", "ends"));
  host_close(&h);
}

TEST(a_failure_in_dewar_free_goes_to_the_log) {
  REQUIRE(open_with("app:after_serving(function() error 'oops' end)"));
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  host_close(&h);
  CHECK(host_logged(&h, "after_serving failed: app.lua:"));
}

TEST(a_second_stop_cancels_what_waits_in_it) {
  REQUIRE(open_with("app:after_serving(function() dewar.sleep(1000) end)"));
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  dewar_stop(h.rt);
  dewar_stop(h.rt);
  CHECK_INT(dewar_run(h.rt), 0);
  host_close(&h);
}

static void stop_cb(void *data) { dewar_stop(data); }

static void thread_main(void *data) {
  usleep(50 * 1000);
  dewar_post(data, stop_cb, data);
}

TEST(a_second_stop_may_come_when_it_is_at_its_end) {
  REQUIRE(open_with("app:after_serving(function() dewar.sleep(1000) end)"));
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  uv_thread_t thread;
  REQUIRE(uv_thread_create(&thread, thread_main, h.rt) == 0);
  dewar_stop(h.rt);
  CHECK_INT(dewar_run(h.rt), 0);
  uv_thread_join(&thread);
  CHECK(IN_ORDER("out", "ends"));
  host_close(&h);
}

static int listened;

static void listen_cb(void *data) {
  listened = dewar_listen(data, "127.0.0.1", 0);
}

TEST(it_can_not_begin_inside_a_callback) {
  REQUIRE(open_with(""));
  REQUIRE(dewar_post(h.rt, listen_cb, h.rt) == 0);
  listened = 1;
  while (listened == 1) dewar_poll(h.rt);
  CHECK_INT(listened, DEWAR_ELUA);
  CHECK(strstr(dewar_error(h.rt), "inside a loop callback") != NULL);
  host_close(&h);
}

TEST(a_runtime_that_is_freed_in_the_midst_of_a_request_ends_it_first) {
  REQUIRE(open_with("app:get('/sleep', function() dewar.sleep(1000) end)\n"
                    "app:teardown_request(say 'teardown')"));
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  reply r = {0};
  CHECK_INT(dewar_request(h.rt, "GET", "/sleep", NULL, NULL, 0, reply_cb, &r),
            0);
  for (int i = 0; i < 3; i++) dewar_poll(h.rt);
  host_close(&h);
  CHECK(IN_ORDER("begins", "in", "teardown", "out", "ends"));
}

/* --- Failing allocations ---------------------------------------------------*/

static const char small_app[] =
    "local dewar = require 'dewar'\n"
    "local app = dewar.app()\n"
    "app:before_serving(function() dewar.sleep(0) end)\n"
    "app:while_serving(function(serve) serve() end)\n"
    "app:every(3600, { now = true }, function() dewar.sleep(0) end)\n"
    "app:after_serving(function() dewar.sleep(0) end)\n"
    "return app\n";

/* The n-th allocation from dewar_listen on fails; whether that was reached. */
static bool live(size_t n) {
  unit.failing = n;
  if (!host_open(&h) || !CHECK(host_load(&h, small_app) == 0)) return false;
  h.fail_at = h.calls + n;
  int code = dewar_listen(h.rt, "127.0.0.1", 0);
  if (code == 0) code = dewar_stop(h.rt);
  if (code == 0) code = dewar_run(h.rt);
  CHECK_INT(dewar_free(h.rt), 0);
  CHECK_INT(h.used, 0);
  bool reached = h.calls >= h.fail_at;
  if (!reached) CHECK_INT(code, 0);
  unit.failing = 0;
  return reached;
}

TEST(no_failing_allocation_leaks_or_hangs) {
  for (size_t n = 1; live(n) && n < UNIT_ALLOCATIONS; n++)
    if (unit.failures > 20) return;
}
