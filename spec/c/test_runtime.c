/* SPDX-License-Identifier: MIT */
/* A runtime: making and freeing, loading, serving and stopping, threads, what
 * callbacks can't do. C views are in test_view.c, what the host may bring along
 * in test_host.c. */
#include "unit.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

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

/* --- Making and freeing ----------------------------------------------------*/

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

/* In threads, where nothing is checked: the result is left for who joins. */
typedef struct resident {
  host host;
  int status;
  uv_thread_t thread;
} resident;

static void note_status(void *data, int code, const dewar_response *response) {
  resident *r = data;
  r->status = code < 0 ? code : response->status;
}

static void live_in_a_thread(void *data) {
  resident *r = data;
  host_init(&r->host);
  dewar_runtime *rt;
  if (dewar_new(&rt, &r->host.options) < 0) return;
  if (dewar_load_string(rt, lua_app, strlen(lua_app), "app.lua") == 0 &&
      dewar_request(rt, "GET", "/nap", NULL, NULL, 0, note_status, r) == 0)
    dewar_run(rt);
  dewar_free(rt);
}

TEST(runtimes_live_in_threads_of_their_own) {
  enum { THREADS = 4 };
  static resident all[THREADS];
  for (int i = 0; i < THREADS; i++)
    REQUIRE(uv_thread_create(&all[i].thread, live_in_a_thread, &all[i]) == 0);
  for (int i = 0; i < THREADS; i++) {
    uv_thread_join(&all[i].thread);
    CHECK_INT(all[i].status, 200);
    CHECK_INT(all[i].host.used, 0);
  }
}

/* --- Loading ---------------------------------------------------------------*/

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

/* --- Serving ---------------------------------------------------------------*/

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

/* In a thread: a request that naps, then the end. */
typedef struct visitor {
  int fd;
  char answer[1024];
  int stopped; /* what dewar_stop came to */
} visitor;

static void visit_and_stop(void *data) {
  visitor *v = data;
  size_t len = 0, room = sizeof v->answer - 1;
  ssize_t n;
  while (len < room && (n = recv(v->fd, v->answer + len, room - len, 0)) > 0)
    len += (size_t)n;
  v->stopped = dewar_stop(h.rt);
}

TEST(dewar_run_serves_until_another_thread_stops_it) {
  REQUIRE(host_open(&h));
  REQUIRE(host_load(&h, lua_app) == 0);
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  visitor v = {.fd = host_connect(&h, "GET /nap HTTP/1.1\r\nHost: a\r\n"
                                      "Connection: close\r\n\r\n")};
  uv_thread_t thread;
  REQUIRE(uv_thread_create(&thread, visit_and_stop, &v) == 0);
  CHECK_INT(dewar_run(h.rt), 0);
  uv_thread_join(&thread);
  close(v.fd);
  CHECK(strstr(v.answer, "\r\n\r\nwoken"));
  CHECK_INT(v.stopped, 0);
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
  REQUIRE(host_load(&h, "local dewar = require 'dewar'\n"
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

static bool answered;

static int large_view(dewar_exchange *x, void *data) {
  enum { SIZE = 4 * 1024 * 1024 };
  char *bytes = calloc(1, SIZE);
  if (!bytes) return UV_ENOMEM;
  int code = dewar_respond(x, 200, data, bytes, SIZE);
  free(bytes);
  answered = true;
  return code;
}

TEST(a_client_that_resets_in_mid_answer_does_not_kill_the_host) {
  REQUIRE(host_open(&h));
  dewar_get(h.rt, "/", large_view, (void *)"text/plain");
  REQUIRE(dewar_listen(h.rt, "127.0.0.1", 0) == 0);
  for (int i = 0; i < 20; i++) {
    answered = false;
    int fd = host_connect(&h, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
                              "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    host_turn_until(&h, &answered);
    struct linger hard = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    for (int turn = 0; turn < 5; turn++) dewar_poll(h.rt);
  }
  CHECK_INT(ask(&h, "/nope").status, 404);
  host_close(&h);
}

/* --- Requests without a socket ---------------------------------------------*/

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
  CHECK_INT(dewar_request(h.rt, "GET", "/lua", NULL, NULL, 0, reply_cb, next),
            0);
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

/* --- Re-entrance -----------------------------------------------------------*/

static struct { int run, poll, free; } refused;

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

/* --- Posts -----------------------------------------------------------------*/

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
  REQUIRE(host_load(&h, "local dewar = require 'dewar'\n"
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
