/* SPDX-License-Identifier: MIT */
/* A runtime in a host, but for C views (test_view.c): making and freeing,
 * loading, serving and stopping, threads, the host's own loop and lua_State, and
 * all of it with failing allocations. */
#include "unit.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <poll.h>

#include "support/host.h"

static host h;

static const char lua_app[] =
    "local dewar = require 'dewar'\n"
    "local app = dewar.app()\n"
    "app:get('/lua', function() return 'from Lua' end)\n"
    "app:get('/sleep', function() dewar.sleep(3600) return 'woken' end)\n"
    "app:get('/nap', function() dewar.sleep(0.02) return 'woken' end)\n"
    "return app\n";

static int hello_view(dewar_exchange *x, void *data) {
  const char *text = data ? data : "hello";
  return dewar_respond(x, 200, "text/plain", text, strlen(text));
}

/* --- Making and freeing ---------------------------------------------------*/

TEST(a_runtime_of_defaults_serves_and_gives_all_memory_back) {
  dewar_runtime *rt;
  REQUIRE(dewar_new(&rt, NULL) == 0);
  CHECK(dewar_memory(rt) > 0);
  CHECK_STR(dewar_error(rt), "");
  CHECK_INT(dewar_port(rt), 0);
  CHECK(dewar_lua(rt) && dewar_loop(rt));
  CHECK_INT(dewar_free(rt), 0);
}

TEST(options_may_be_zero_or_of_an_older_header) {
  dewar_runtime *rt;
  dewar_options options = {0};
  CHECK_INT(dewar_new(&rt, &options), 0);
  CHECK_INT(dewar_free(rt), 0);
  dewar_options_init(&options);
  CHECK_INT(options.size, sizeof options);
  options.size = offsetof(dewar_options, log);
  options.log_level = 77; /* beyond what this host knows */
  CHECK_INT(dewar_new(&rt, &options), 0);
  CHECK_INT(dewar_free(rt), 0);
}

TEST(a_runtime_that_can_not_be_made_is_null) {
  dewar_options options;
  dewar_options_init(&options);
  options.size = sizeof options + 8;
  dewar_runtime *rt = (dewar_runtime *)&options;
  CHECK_INT(dewar_new(&rt, &options), DEWAR_EINVAL);
  CHECK(rt == NULL);
  CHECK_INT(dewar_new(NULL, NULL), DEWAR_EINVAL);
  dewar_options_init(NULL);
}

TEST(freeing_null_is_fine_and_null_is_refused_elsewhere) {
  CHECK_INT(dewar_free(NULL), 0);
  CHECK_STR(dewar_error(NULL), "");
  CHECK_INT(dewar_load_file(NULL, "a"), DEWAR_EINVAL);
  CHECK_INT(dewar_load_string(NULL, "", 0, NULL), DEWAR_EINVAL);
  CHECK_INT(dewar_listen(NULL, "127.0.0.1", 0), DEWAR_EINVAL);
  CHECK_INT(dewar_listen_unix(NULL, "a"), DEWAR_EINVAL);
  CHECK_INT(dewar_run(NULL), DEWAR_EINVAL);
  CHECK_INT(dewar_poll(NULL), DEWAR_EINVAL);
  CHECK_INT(dewar_backend_fd(NULL), DEWAR_EINVAL);
  CHECK(dewar_backend_timeout(NULL) < 0);
  CHECK_INT(dewar_stop(NULL), DEWAR_EINVAL);
  CHECK_INT(dewar_post(NULL, free, NULL), DEWAR_EINVAL);
  CHECK_INT(dewar_request(NULL, "GET", "/", NULL, NULL, 0, reply_cb, NULL),
            DEWAR_EINVAL);
  CHECK(!dewar_lua(NULL) && !dewar_loop(NULL));
  CHECK_INT(dewar_memory(NULL), 0);
  CHECK_INT(dewar_port(NULL), 0);
}

TEST(every_code_is_explained_without_a_runtime) {
#define DEWAR_X(name, number, text) CHECK_STR(dewar_strerror(number), text);
  DEWAR_ERRORS(DEWAR_X)
#undef DEWAR_X
  CHECK_STR(dewar_strerror(UV_EADDRINUSE), "address already in use");
  CHECK(strlen(dewar_strerror(0)) > 0);
  CHECK(strlen(dewar_strerror(-999999)) > 0);
  CHECK_STR(dewar_version(), DEWAR_VERSION);
}

TEST(several_runtimes_live_side_by_side) {
  host a, b;
  REQUIRE(host_open(&a));
  REQUIRE(host_open(&b));
  dewar_get(a.rt, "/", hello_view, (void *)"a");
  dewar_get(b.rt, "/", hello_view, (void *)"b");
  REQUIRE(host_load(&a, lua_app) == 0);
  CHECK_STR(ask(&b, "/").body, "b");
  CHECK_STR(ask(&a, "/").body, "a");
  CHECK_INT(ask(&b, "/lua").status, 404);
  host_close(&a);
  CHECK_STR(ask(&b, "/").body, "b");
  host_close(&b);
}

static void live_in_a_thread(void *data) {
  host *own = data;
  host_init(own);
  if (dewar_new(&own->rt, &own->options) < 0) return;
  if (dewar_load_string(own->rt, lua_app, strlen(lua_app), "app.lua") < 0)
    return;
  reply r = {0};
  dewar_request(own->rt, "GET", "/nap", NULL, NULL, 0, reply_cb, &r);
  dewar_run(own->rt);
  dewar_free(own->rt);
  own->fail_at = (size_t)r.status; /* for the thread that joins */
}

TEST(runtimes_live_in_threads_of_their_own) {
  enum { THREADS = 4 };
  static host hosts[THREADS];
  uv_thread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    REQUIRE(uv_thread_create(&threads[i], live_in_a_thread, &hosts[i]) == 0);
  for (int i = 0; i < THREADS; i++) {
    uv_thread_join(&threads[i]);
    CHECK_INT(hosts[i].fail_at, 200);
    CHECK_INT(hosts[i].used, 0);
  }
}

/* --- Loading --------------------------------------------------------------*/

TEST(a_file_that_is_not_there_is_named) {
  REQUIRE(host_open(&h));
  CHECK_INT(dewar_load_file(h.rt, "/nowhere/app.lua"), UV_ENOENT);
  CHECK(strstr(dewar_error(h.rt), "/nowhere/app.lua"));
  CHECK_INT(dewar_load_file(h.rt, NULL), DEWAR_EINVAL);
  CHECK_INT(dewar_load_string(h.rt, NULL, 0, NULL), DEWAR_EINVAL);
  host_close(&h);
}

TEST(a_script_that_fails_leaves_its_text_with_line_and_traceback) {
  REQUIRE(host_open(&h));
  const char syntax[] = "local a =\nreturn";
  CHECK_INT(dewar_load_string(h.rt, syntax, strlen(syntax), "app.lua"),
            DEWAR_ELUA);
  CHECK(strstr(dewar_error(h.rt), "app.lua:2:"));
  CHECK(!strstr(dewar_error(h.rt), "traceback"));
  const char failing[] = "local function f() error('no disk') end\nf()\n";
  CHECK_INT(dewar_load_string(h.rt, failing, strlen(failing), "app.lua"),
            DEWAR_ELUA);
  CHECK(strstr(dewar_error(h.rt), "app.lua:1: no disk"));
  CHECK(strstr(dewar_error(h.rt), "stack traceback"));
  CHECK(strstr(dewar_error(h.rt), "app.lua:2: in main chunk"));
  const char object[] =
      "error(setmetatable({}, { __tostring = function() return 'odd' end }))";
  CHECK_INT(dewar_load_string(h.rt, object, strlen(object), NULL), DEWAR_ELUA);
  CHECK(strncmp(dewar_error(h.rt), "odd", 3) == 0);
  host_close(&h);
}

TEST(a_script_must_return_an_app) {
  REQUIRE(host_open(&h));
  const char *bad[] = {"", "return 1", "return {}", "return { _core = 1 }",
                       "return require 'dewar'"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    CHECK_INT(dewar_load_string(h.rt, bad[i], strlen(bad[i]), "app.lua"),
              DEWAR_EAPP);
    CHECK(strstr(dewar_error(h.rt), "return app"));
  }
  CHECK_INT(dewar_load_string(h.rt, "\033Lua", 4, "app.lua"), DEWAR_ELUA);
  host_close(&h);
}

TEST(after_a_failure_another_app_can_be_loaded_but_only_one_in_all) {
  REQUIRE(host_open(&h));
  CHECK_INT(dewar_load_string(h.rt, "x", 1, NULL), DEWAR_ELUA);
  CHECK_INT(host_load(&h, lua_app), 0);
  CHECK_INT(dewar_load_string(h.rt, lua_app, strlen(lua_app), NULL),
            DEWAR_EMISUSE);
  CHECK_STR(ask(&h, "/lua").body, "from Lua");
  host_close(&h);
}

TEST(a_script_may_wait_and_ask_its_own_app_while_it_is_loaded) {
  REQUIRE(host_open(&h));
  CHECK_INT(host_load(&h, "local dewar = require 'dewar'\n"
                          "local app = dewar.app()\n"
                          "dewar.sleep(0.001)\n"
                          "local a, b = dewar.gather(\n"
                          "  function() dewar.sleep(0.001) return 1 end,\n"
                          "  function() return 2 end)\n"
                          "assert(a == 1 and b == 2)\n"
                          "return app\n"),
            0);
  host_close(&h);
}

/* --- Serving --------------------------------------------------------------*/

TEST(a_port_in_use_is_an_error_that_names_the_address) {
  host other;
  REQUIRE(host_open(&h));
  REQUIRE(host_open(&other));
  CHECK_INT(dewar_listen(h.rt, "127.0.0.1", 0), 0);
  int port = dewar_port(h.rt);
  CHECK(port > 0);
  CHECK_INT(dewar_listen(other.rt, "127.0.0.1", port), UV_EADDRINUSE);
  CHECK(strstr(dewar_error(other.rt), "127.0.0.1"));
  CHECK(strstr(dewar_error(other.rt), "address already in use"));
  CHECK_INT(dewar_port(other.rt), 0);
  host_close(&other);
  host_close(&h);
}

TEST(addresses_that_make_no_sense_are_refused) {
  REQUIRE(host_open(&h));
  CHECK_INT(dewar_listen(h.rt, NULL, 0), DEWAR_EINVAL);
  CHECK_INT(dewar_listen(h.rt, "127.0.0.1", -1), DEWAR_EINVAL);
  CHECK_INT(dewar_listen(h.rt, "127.0.0.1", 65536), DEWAR_EINVAL);
  CHECK(strstr(dewar_error(h.rt), "65536"));
  CHECK_INT(dewar_listen_unix(h.rt, NULL), DEWAR_EINVAL);
  CHECK_INT(dewar_listen_unix(h.rt, ""), DEWAR_EINVAL);
  CHECK(dewar_listen_unix(h.rt, "/nowhere/socket") < 0);
  host_close(&h);
}

TEST(sockets_have_a_limit) {
  REQUIRE(host_open(&h));
  int code = 0, n = 0;
  for (; code == 0 && n < 100; n++) code = dewar_listen(h.rt, "127.0.0.1", 0);
  CHECK(n > 4 && n < 100);
  CHECK_INT(code, DEWAR_EMISUSE);
  host_close(&h);
}

static void read_all(int fd, char *out, size_t size) {
  size_t len = 0;
  ssize_t n;
  while (len + 1 < size && (n = recv(fd, out + len, size - 1 - len, 0)) > 0)
    len += (size_t)n;
  out[len] = '\0';
}

static void ask_and_stop(void *data) {
  host *own = data;
  char answer[1024];
  int fd = host_connect(
      own, "GET /nap HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  read_all(fd, answer, sizeof answer);
  close(fd);
  CHECK(strstr(answer, "\r\n\r\nwoken"));
  CHECK_INT(dewar_stop(own->rt), 0);
}

TEST(dewar_run_serves_until_another_thread_stops_it) {
  REQUIRE(host_open(&h));
  REQUIRE(host_load(&h, lua_app) == 0);
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  uv_thread_t thread;
  REQUIRE(uv_thread_create(&thread, ask_and_stop, &h) == 0);
  CHECK_INT(dewar_run(h.rt), 0);
  uv_thread_join(&thread);
  CHECK(host_logged(&h, "20 GET /nap 200"));
  CHECK(host_logged(&h, " method=GET path=/nap status=200 size=5 seconds="));
  CHECK(host_logged(&h, " remote=127.0.0.1"));
  CHECK_INT(dewar_listen(h.rt, "127.0.0.1", 0), DEWAR_EMISUSE);
  host_close(&h);
}

TEST(a_unix_socket_is_served_and_removed) {
  char path[64];
  snprintf(path, sizeof path, "/tmp/dewar-test-%d", (int)getpid());
  REQUIRE(host_open(&h));
  CHECK_INT(dewar_listen_unix(h.rt, path), 0);
  CHECK_INT(access(path, F_OK), 0);
  CHECK_INT(dewar_port(h.rt), 0);
  host_close(&h);
  CHECK(access(path, F_OK) != 0);
}

TEST(a_stop_that_comes_before_dewar_run_is_not_lost) {
  REQUIRE(host_open(&h));
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  CHECK_INT(dewar_stop(h.rt), 0);
  CHECK_INT(dewar_run(h.rt), 0);
  host_close(&h);
}

TEST(a_graceful_stop_lets_requests_finish) {
  REQUIRE(host_open(&h));
  REQUIRE(host_load(&h, lua_app) == 0);
  reply r = {0};
  CHECK_INT(dewar_request(h.rt, "GET", "/nap", NULL, NULL, 0, reply_cb, &r), 0);
  dewar_poll(h.rt);
  CHECK_INT(dewar_stop(h.rt), 0);
  CHECK_INT(dewar_run(h.rt), 0);
  CHECK_STR(r.body, "woken");
  host_close(&h);
}

TEST(a_second_stop_cancels_at_once) {
  REQUIRE(host_open(&h));
  REQUIRE(host_load(&h, lua_app) == 0);
  reply r = {0};
  CHECK_INT(dewar_request(h.rt, "GET", "/sleep", NULL, NULL, 0, reply_cb, &r),
            0);
  dewar_poll(h.rt);
  dewar_stop(h.rt);
  dewar_stop(h.rt);
  CHECK_INT(dewar_run(h.rt), 0);
  CHECK(r.done);
  CHECK(r.code < 0);
  host_close(&h);
}

TEST(what_outlives_the_shutdown_timeout_is_cancelled) {
  REQUIRE(host_open(&h));
  REQUIRE(host_load(&h,
                    "local dewar = require 'dewar'\n"
                    "local app = dewar.app()\n"
                    "app.config.SHUTDOWN_TIMEOUT = 0.02\n"
                    "app.config.CANCEL_ON_DISCONNECT = false\n"
                    "app:get('/sleep', function() dewar.sleep(3600) end)\n"
                    "dewar.spawn(function()\n"
                    "  local _ <close> = setmetatable({}, { __close =\n"
                    "    function() dewar.log.info('task closed') end })\n"
                    "  dewar.sleep(3600)\n"
                    "end)\n"
                    "return app\n") == 0);
  reply r = {0};
  CHECK_INT(dewar_request(h.rt, "GET", "/sleep", NULL, NULL, 0, reply_cb, &r),
            0);
  for (int i = 0; i < 3; i++) dewar_poll(h.rt);
  dewar_stop(h.rt);
  CHECK_INT(dewar_run(h.rt), 0);
  CHECK(r.done);
  CHECK(r.code < 0);
  CHECK(host_logged(&h, "task closed"));
  host_close(&h);
}

TEST(dewar_run_ends_where_nothing_is_left_to_do) {
  REQUIRE(host_open(&h));
  CHECK_INT(dewar_run(h.rt), 0);
  reply r = {0};
  CHECK_INT(dewar_request(h.rt, "GET", "/", NULL, NULL, 0, reply_cb, &r), 0);
  CHECK_INT(dewar_run(h.rt), 0);
  CHECK_INT(r.status, 404);
  host_close(&h);
}

/* --- Requests without a socket --------------------------------------------*/

TEST(requests_that_would_be_others_are_refused) {
  REQUIRE(host_open(&h));
  reply r = {0};
#define REFUSED(method, target, headers, bytes, len, cb)                       \
  CHECK_INT(dewar_request(h.rt, method, target, headers, bytes, len, cb, &r),  \
            DEWAR_EINVAL)
  REFUSED(NULL, "/", NULL, NULL, 0, reply_cb);
  REFUSED("GET", NULL, NULL, NULL, 0, reply_cb);
  REFUSED("GET", "/", NULL, NULL, 0, NULL);
  REFUSED("GET", "/", NULL, NULL, 1, reply_cb);
  REFUSED("", "/", NULL, NULL, 0, reply_cb);
  REFUSED("GET /x", "/", NULL, NULL, 0, reply_cb);
  REFUSED("GET", "", NULL, NULL, 0, reply_cb);
  REFUSED("GET", "/a b", NULL, NULL, 0, reply_cb);
  REFUSED("GET", "/ HTTP/1.1\r\nX: y", NULL, NULL, 0, reply_cb);
  REFUSED("GET", "/", "X: y", NULL, 0, reply_cb);
  REFUSED("GET", "/", "X: y\n", NULL, 0, reply_cb);
  REFUSED("GET", "/", "X: y\r\n\r\n", NULL, 0, reply_cb);
  REFUSED("GET", "/", "\r\n", NULL, 0, reply_cb);
#undef REFUSED
  CHECK(!r.done);
  CHECK_INT(ask_with(&h, "GET", "/", "bad header: y\r\n", NULL).status, 400);
  CHECK_INT(ask_with(&h, "BREW", "/", NULL, NULL).status, 501);
  host_close(&h);
}

static void ask_again_cb(void *data, int code, const dewar_response *response) {
  reply_cb(data, code, response);
  reply *next = (reply *)data + 1;
  CHECK_INT(dewar_free(h.rt), DEWAR_EREENTRY);
  CHECK_INT(
      dewar_request(h.rt, "GET", "/lua", NULL, NULL, 0, reply_cb, next), 0);
}

TEST(the_callback_of_a_request_may_send_another) {
  REQUIRE(host_open(&h));
  REQUIRE(host_load(&h, lua_app) == 0);
  reply r[2] = {{0}};
  CHECK_INT(dewar_request(h.rt, "GET", "/lua", NULL, NULL, 0, ask_again_cb, r),
            0);
  CHECK_INT(dewar_run(h.rt), 0);
  CHECK_STR(r[0].body, "from Lua");
  CHECK_STR(r[1].body, "from Lua");
  host_close(&h);
}

TEST(a_streamed_answer_is_collected_and_a_cut_one_is_a_failure) {
  REQUIRE(host_open(&h));
  REQUIRE(host_load(&h, "local dewar = require 'dewar'\n"
                        "local app = dewar.app()\n"
                        "app:get('/whole', function()\n"
                        "  return coroutine.wrap(function()\n"
                        "    for i = 1, 3 do\n"
                        "      dewar.sleep(0.001) coroutine.yield(i .. ' ')\n"
                        "    end\n"
                        "  end)\n"
                        "end)\n"
                        "app:get('/cut', function()\n"
                        "  return coroutine.wrap(function()\n"
                        "    coroutine.yield('a') error('cut')\n"
                        "  end)\n"
                        "end)\n"
                        "return app\n") == 0);
  CHECK_STR(ask(&h, "/whole").body, "1 2 3 ");
  reply r = ask(&h, "/cut");
  CHECK(r.code < 0);
  host_close(&h);
}

/* --- Re-entrance ----------------------------------------------------------*/

static struct {
  int run, poll, free;
} refused;

static void try_everything(void *data) {
  dewar_runtime *rt = data;
  refused.run = dewar_run(rt);
  refused.poll = dewar_poll(rt);
  refused.free = dewar_free(rt);
}

static int reentrant_view(dewar_exchange *x, void *data) {
  (void)data;
  try_everything(dewar_exchange_runtime(x));
  return hello_view(x, NULL);
}

static void check_refused(void) {
  CHECK_INT(refused.run, DEWAR_EREENTRY);
  CHECK_INT(refused.poll, DEWAR_EREENTRY);
  CHECK_INT(refused.free, DEWAR_EREENTRY);
  memset(&refused, 0, sizeof refused);
}

TEST(a_callback_can_neither_turn_the_loop_nor_free_the_runtime) {
  REQUIRE(host_open(&h));
  dewar_get(h.rt, "/", reentrant_view, NULL);
  CHECK_STR(ask(&h, "/").body, "hello");
  check_refused();
  CHECK_INT(dewar_post(h.rt, try_everything, h.rt), 0);
  CHECK_INT(dewar_run(h.rt), 0);
  check_refused();
  CHECK(strstr(dewar_error(h.rt), "callback"));
  host_close(&h);
}

static int free_from_lua(lua_State *L) {
  refused.free = dewar_free(lua_touserdata(L, lua_upvalueindex(1)));
  return 0;
}

TEST(a_script_that_is_being_loaded_can_not_free_the_runtime) {
  REQUIRE(host_open(&h));
  lua_State *L = dewar_lua(h.rt);
  lua_pushlightuserdata(L, h.rt);
  lua_pushcclosure(L, free_from_lua, 1);
  lua_setglobal(L, "free");
  CHECK_INT(dewar_load_string(h.rt, "free()", 6, NULL), DEWAR_EAPP);
  CHECK_INT(refused.free, DEWAR_EREENTRY);
  host_close(&h);
}

/* --- Posts ----------------------------------------------------------------*/

static struct {
  int next;
  bool in_order, all;
} posts;

enum { POSTS = 2000 };

static void count_post(void *data) {
  if ((intptr_t)data != posts.next++) posts.in_order = false;
  posts.all = posts.next == POSTS;
}

static void post_all(void *rt) {
  for (intptr_t i = 0; i < POSTS; i++)
    if (dewar_post(rt, count_post, (void *)i) != 0) abort();
}

TEST(posts_of_a_thread_run_in_order_on_the_loops_thread) {
  REQUIRE(host_open(&h));
  posts.next = 0;
  posts.in_order = true;
  uv_thread_t thread;
  REQUIRE(uv_thread_create(&thread, post_all, h.rt) == 0);
  host_turn_until(&h, &posts.all);
  uv_thread_join(&thread);
  CHECK(posts.in_order);
  CHECK_INT(dewar_post(h.rt, NULL, NULL), DEWAR_EINVAL);
  host_close(&h);
}

TEST(posts_that_are_left_run_when_the_runtime_is_freed) {
  REQUIRE(host_open(&h));
  posts.next = 0;
  posts.in_order = true;
  CHECK_INT(dewar_post(h.rt, count_post, (void *)0), 0);
  CHECK_INT(posts.next, 0);
  host_close(&h);
  CHECK_INT(posts.next, 1);
}

/* --- A runtime that is freed while it works --------------------------------*/

static bool cancelled;

static void note_cancel(dewar_exchange *x, void *data) {
  (void)x, (void)data;
  cancelled = true;
}

static int pending_view(dewar_exchange *x, void *data) {
  return dewar_defer(x, data ? note_cancel : NULL, NULL);
}

TEST(freeing_cancels_what_runs_and_its_teardown_still_happens) {
  REQUIRE(host_open(&h));
  dewar_get(h.rt, "/cancel", pending_view, (void *)"with cancel");
  dewar_get(h.rt, "/drop", pending_view, NULL);
  REQUIRE(host_load(&h,
                    "local dewar = require 'dewar'\n"
                    "local app = dewar.app()\n"
                    "app:get('/sleep', function() dewar.sleep(3600) end)\n"
                    "app:teardown_request(function(req)\n"
                    "  dewar.sleep(0.002)\n"
                    "  dewar.log.info('teardown of ' .. req.path)\n"
                    "end)\n"
                    "return app\n") == 0);
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  reply r[3] = {{0}};
  const char *targets[] = {"/cancel", "/drop", "/sleep"};
  for (int i = 0; i < 3; i++)
    dewar_request(h.rt, "GET", targets[i], NULL, NULL, 0, reply_cb, &r[i]);
  int fd = host_connect(&h, "GET /sleep HTTP/1.1\r\nHost: a\r\n\r\n");
  for (int i = 0; i < 10; i++) dewar_poll(h.rt);
  cancelled = false;
  host_close(&h);
  CHECK(cancelled);
  for (int i = 0; i < 3; i++) {
    char line[64];
    snprintf(line, sizeof line, "teardown of %s\n", targets[i]);
    CHECK(host_logged(&h, line));
    CHECK(r[i].done && r[i].code < 0);
  }
  close(fd);
}

TEST(freeing_ends_tasks_and_closes_what_they_hold) {
  REQUIRE(host_open(&h));
  REQUIRE(host_load(&h, "local dewar = require 'dewar'\n"
                        "dewar.spawn(function()\n"
                        "  local _ <close> = setmetatable({}, { __close =\n"
                        "    function() dewar.log.info('closed') end })\n"
                        "  dewar.sleep(3600)\n"
                        "end)\n"
                        "return dewar.app()\n") == 0);
  dewar_poll(h.rt);
  host_close(&h);
  CHECK(host_logged(&h, "closed"));
}

TEST(warnings_of_lua_go_to_the_log_and_nothing_to_stderr) {
  REQUIRE(host_open(&h));
  REQUIRE(host_load(&h, "warn('@on') warn('care', 'ful')\n"
                        "setmetatable({}, { __gc = function()\n"
                        "  error('in a finalizer', 0) end })\n"
                        "return require 'dewar'.app()\n") == 0);
  CHECK(host_logged(&h, "30 careful\n"));
  host_close(&h);
  CHECK(host_logged(&h, "in a finalizer"));
}

/* --- The host's loop ------------------------------------------------------*/

static void count_tick(uv_timer_t *timer) {
  ++*(int *)timer->data;
}

static void stop_loop_cb(void *data, int code, const dewar_response *response) {
  reply_cb(data, code, response);
  uv_stop(dewar_loop(h.rt));
}

TEST(a_host_runs_its_own_loop_and_keeps_it) {
  uv_loop_t loop;
  uv_timer_t timer;
  int ticks = 0;
  uv_loop_init(&loop);
  uv_timer_init(&loop, &timer);
  timer.data = &ticks;
  uv_timer_start(&timer, count_tick, 0, 1);
  host_init(&h);
  h.options.loop = &loop;
  REQUIRE(dewar_new(&h.rt, &h.options) == 0);
  CHECK(dewar_loop(h.rt) == &loop);
  REQUIRE(host_load(&h, lua_app) == 0);
  dewar_get(h.rt, "/free", reentrant_view, NULL);
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  reply r = {0}, again = {0};
  dewar_request(h.rt, "GET", "/nap", NULL, NULL, 0, stop_loop_cb, &r);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK_STR(r.body, "woken");
  CHECK(ticks > 0);
  dewar_request(h.rt, "GET", "/free", NULL, NULL, 0, stop_loop_cb, &again);
  uv_run(&loop, UV_RUN_DEFAULT);
  check_refused(); /* though it is the host that turns the loop */
  host_close(&h);
  ticks = 0;
  while (ticks == 0) uv_run(&loop, UV_RUN_ONCE);
  uv_close((uv_handle_t *)&timer, NULL);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK_INT(uv_loop_close(&loop), 0);
}

TEST(an_idle_runtime_does_not_keep_the_hosts_loop_alive) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  host_init(&h);
  h.options.loop = &loop;
  REQUIRE(dewar_new(&h.rt, &h.options) == 0);
  CHECK_INT(uv_run(&loop, UV_RUN_DEFAULT), 0);
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  CHECK(uv_run(&loop, UV_RUN_NOWAIT) != 0);
  CHECK_INT(dewar_stop(h.rt), 0);
  CHECK_INT(uv_run(&loop, UV_RUN_DEFAULT), 0);
  host_close(&h);
  CHECK_INT(uv_loop_close(&loop), 0);
}

TEST(a_host_with_another_kind_of_loop_waits_for_the_backend) {
  REQUIRE(host_open(&h));
  REQUIRE(host_load(&h, lua_app) == 0);
  reply r = {0};
  dewar_request(h.rt, "GET", "/nap", NULL, NULL, 0, reply_cb, &r);
  struct pollfd fd = {.fd = dewar_backend_fd(h.rt), .events = POLLIN};
  CHECK(fd.fd >= 0);
  int turns = 0;
  for (; !r.done && turns < 200; turns++) {
    double seconds = dewar_backend_timeout(h.rt);
    poll(&fd, 1, seconds < 0 ? -1 : (int)(seconds * 1000 + 0.999));
    CHECK(dewar_poll(h.rt) >= 0);
  }
  CHECK_STR(r.body, "woken");
  CHECK(turns < 200);
  host_close(&h);
}

static void post_soon(void *rt) {
  usleep(3000);
  dewar_post(rt, count_post, (void *)0);
}

TEST(a_post_makes_the_backend_readable_though_nothing_else_is_alive) {
  REQUIRE(host_open(&h));
  posts.next = 0;
  CHECK(dewar_backend_timeout(h.rt) < 0);
  uv_thread_t thread;
  REQUIRE(uv_thread_create(&thread, post_soon, h.rt) == 0);
  struct pollfd fd = {.fd = dewar_backend_fd(h.rt), .events = POLLIN};
  CHECK_INT(poll(&fd, 1, 10000), 1);
  CHECK(dewar_poll(h.rt) >= 0);
  CHECK_INT(posts.next, 1);
  uv_thread_join(&thread);
  host_close(&h);
}

/* --- The host's lua_State -------------------------------------------------*/

/* What a host's state must be again, once the runtime is gone. */
static const char snapshot[] =
    "local copy = {}\n"
    "for _, lib in ipairs { coroutine, package.loaded, package.preload, _G,\n"
    "                       table, string } do\n"
    "  local fields = {}\n"
    "  for k, v in pairs(lib) do fields[k] = v end\n"
    "  copy[#copy + 1] = { lib, fields }\n"
    "end\n"
    "function same()\n"
    "  for i, pair in ipairs(copy) do\n"
    "    local lib, fields = pair[1], pair[2]\n"
    "    for k, v in pairs(fields) do\n"
    "      if lib[k] ~= v then return i .. ' lost ' .. tostring(k) end\n"
    "    end\n"
    "    for k in pairs(lib) do\n"
    "      if fields[k] == nil and k ~= 'same' and k ~= 'kept' then\n"
    "        return i .. ' got ' .. tostring(k)\n"
    "      end\n"
    "    end\n"
    "  end\n"
    "  return 'same'\n"
    "end\n";

static const char *run_lua(lua_State *L, const char *text) {
  static char result[256];
  if (luaL_dostring(L, text))
    snprintf(result, sizeof result, "error: %s", lua_tostring(L, -1));
  else
    snprintf(result, sizeof result, "%s", luaL_tolstring(L, -1, NULL));
  lua_settop(L, 0);
  return result;
}

TEST(a_hosts_lua_state_is_put_back_and_stays_open) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  run_lua(L, "package.preload['dewar.app'] = function() return 'mine' end\n"
             "package.loaded.dewar = 'also mine'\n");
  run_lua(L, snapshot);
  for (int i = 0; i < 2; i++) { /* and can have another one */
    host_init(&h);
    h.options.lua = L;
    REQUIRE(dewar_new(&h.rt, &h.options) == 0);
    CHECK(dewar_lua(h.rt) == L);
    lua_settop(L, 0);
    REQUIRE(host_load(&h, lua_app) == 0);
    CHECK_INT(lua_gettop(L), 0);
    CHECK(strcmp(run_lua(L, "return same()"), "same") != 0);
    CHECK_STR(run_lua(L, "return type(require 'dewar'.sleep)"), "function");
    CHECK_STR(ask(&h, "/nap").body, "woken");
    CHECK_INT(lua_gettop(L), 0);
    host_close(&h);
    CHECK_STR(run_lua(L, "return same()"), "same");
    CHECK_STR(run_lua(L, "return coroutine.wrap(function(a)\n"
                         "  return coroutine.yield(a) end)(3)"),
              "3");
  }
  CHECK_STR(run_lua(L, "return (require 'dewar')"), "also mine");
  CHECK_STR(run_lua(L, "return (require 'dewar.app')"), "mine");
  lua_close(L);
}

TEST(a_lua_state_has_one_runtime_at_a_time) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  host_init(&h);
  h.options.lua = L;
  REQUIRE(dewar_new(&h.rt, &h.options) == 0);
  dewar_runtime *second;
  CHECK_INT(dewar_new(&second, &h.options), DEWAR_EEXIST);
  CHECK(second == NULL);
  CHECK_STR(run_lua(L, "return type(require 'dewar.core'.sleep)"), "function");
  host_close(&h);
  lua_close(L);
}

TEST(what_a_hosts_script_keeps_is_closed_but_safe_to_touch) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  host_init(&h);
  h.options.lua = L;
  REQUIRE(dewar_new(&h.rt, &h.options) == 0);
  REQUIRE(host_load(&h, "local dewar = require 'dewar'\n"
                        "local app = dewar.app()\n"
                        "kept = { dewar = dewar, app = app,\n"
                        "  res = dewar.response('a', 200, { a = 'b' }),\n"
                        "  task = dewar.spawn(dewar.sleep, 60) }\n"
                        "return app\n") == 0);
  dewar_poll(h.rt);
  CHECK_INT(dewar_free(h.rt), 0);
  const char *calls[] = {
      "kept.dewar.sleep(0)",
      "kept.dewar.spawn(print)",
      "kept.dewar.app()",
      "kept.app:get('/', print)",
      "kept.app._core:listen('127.0.0.1', 0)",
      "kept.dewar.log.info('x')",
      "kept.dewar.log.level = 'info'",
      "kept.task:cancel()",
      "return tostring(kept.task)",
      "return kept.res.status",
      "kept.res.status = 201",
      "kept.res.headers.x = 'y'",
      "return kept.dewar.json.encode { 1 }",
      "return kept.dewar.event():wait()",
      "return kept.dewar.request.path",
      "kept.dewar.run(print)",
      "return tostring(kept.dewar.Error('a'))",
  };
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) run_lua(L, calls[i]);
  CHECK(strstr(run_lua(L, "kept.dewar.sleep(0)"), "has been closed"));
  CHECK(strstr(run_lua(L, "kept.dewar.app()"), "has been closed"));
  lua_close(L);
  CHECK_INT(h.used, 0);
}

TEST(a_state_may_be_closed_before_its_leftovers_are_collected) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  host_init(&h);
  h.options.lua = L;
  REQUIRE(dewar_new(&h.rt, &h.options) == 0);
  REQUIRE(host_load(&h, "local dewar = require 'dewar'\n"
                        "kept = dewar.app()\n"
                        "return kept\n") == 0);
  CHECK_INT(dewar_free(h.rt), 0);
  lua_close(L);
  CHECK_INT(h.used, 0);
}

/* --- Failing allocations --------------------------------------------------*/

static lua_State *host_state; /* NULL: the runtime makes its own */

/* One life of a runtime with a request of each kind; whether the n-th
 * allocation was reached. */
static bool live(const char *app, size_t fail_at, bool fail_after) {
  host_init(&h);
  h.options.lua = host_state;
  h.fail_at = fail_at;
  h.fail_after = fail_after;
  unit.failing = fail_at;
  reply r = {0};
  int code = dewar_new(&h.rt, &h.options);
  if (code == 0) {
    code = dewar_get(h.rt, "/c/<name>", hello_view, NULL);
    if (code == 0 && app) code = host_load(&h, app);
    if (code == 0) {
      r = ask_with(&h, "GET", "/c/x", "A: b\r\n", NULL);
      code = r.code;
    }
    if (code == 0 && app) {
      r = ask_with(&h, "POST", "/lua?a=b", "A: b\r\n", "body");
      code = r.code;
    }
    CHECK_INT(dewar_free(h.rt), 0);
  }
  CHECK_INT(h.used, 0);
  bool reached = h.calls >= fail_at;
  if (!reached) CHECK_INT(r.status, 200);
  if (!reached) CHECK_INT(code, 0);
  unit.failing = 0;
  return reached;
}

static void live_with_every_failure(const char *app) {
  for (int after = 0; after < 2; after++) {
    size_t n = 1;
    while (live(app, n, after)) {
      n++;
      if (!CHECK(n < UNIT_ALLOCATIONS)) return;
      if (unit.failures > 20) return;
    }
  }
}

TEST(no_failing_allocation_leaks_or_crashes_a_host_without_lua) {
  live_with_every_failure(NULL);
}

static const char waiting_app[] =
    "local dewar = require 'dewar'\n"
    "local app = dewar.app()\n"
    "app:post('/lua', function(req)\n"
    "  dewar.sleep(0)\n"
    "  return { a = req.args.a, body = req:body() }\n"
    "end)\n"
    "return app\n";

TEST(no_failing_allocation_leaks_or_crashes_a_host_with_a_lua_app) {
  live_with_every_failure(waiting_app);
}

TEST(no_failing_allocation_leaks_in_a_hosts_lua_state) {
  host_state = luaL_newstate();
  luaL_openlibs(host_state);
  run_lua(host_state, snapshot);
  live_with_every_failure(waiting_app);
  CHECK_STR(run_lua(host_state, "return same()"), "same");
  lua_close(host_state);
  host_state = NULL;
}
