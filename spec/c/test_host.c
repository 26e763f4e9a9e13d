/* SPDX-License-Identifier: MIT */
/* A runtime in a host that has a loop and a lua_State of its own, and one whose
 * memory runs out: nothing leaks, nothing stays replaced. */
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
    "app:get('/nap', function() dewar.sleep(0.02) return 'woken' end)\n"
    "return app\n";

static int hello_view(dewar_exchange *x, void *data) {
  (void)data;
  return dewar_respond(x, 200, "text/plain", "hello", 5);
}

static int refused;

static int reentrant_view(dewar_exchange *x, void *data) {
  refused = dewar_run(dewar_exchange_runtime(x));
  return hello_view(x, data);
}

/* --- The host's loop -------------------------------------------------------*/

static void count_tick(uv_timer_t *timer) { ++*(int *)timer->data; }

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
  CHECK_INT(refused, DEWAR_EREENTRY); /* though the host turns the loop */
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

static bool posted;

static void note_post(void *data) {
  (void)data;
  posted = true;
}

static void post_soon(void *rt) {
  usleep(3000);
  dewar_post(rt, note_post, NULL);
}

TEST(a_post_makes_the_backend_readable_though_nothing_else_is_alive) {
  REQUIRE(host_open(&h));
  posted = false;
  CHECK(dewar_backend_timeout(h.rt) < 0);
  uv_thread_t thread;
  REQUIRE(uv_thread_create(&thread, post_soon, h.rt) == 0);
  struct pollfd fd = {.fd = dewar_backend_fd(h.rt), .events = POLLIN};
  CHECK_INT(poll(&fd, 1, 10000), 1);
  CHECK(dewar_poll(h.rt) >= 0);
  CHECK(posted);
  uv_thread_join(&thread);
  host_close(&h);
}

/* --- The host's lua_State --------------------------------------------------*/

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

TEST(a_state_without_libraries_can_have_a_runtime_that_serves_c_views) {
  lua_State *L = luaL_newstate();
  host_init(&h);
  h.options.lua = L;
  REQUIRE(dewar_new(&h.rt, &h.options) == 0);
  dewar_get(h.rt, "/", hello_view, NULL);
  CHECK_STR(ask(&h, "/").body, "hello");
  host_close(&h);
  lua_pushnil(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_pushnil(L);
  CHECK_INT(lua_next(L, -2), 0); /* no global was left behind */
  lua_close(L);
}

/* In Lua: the state that is given is a coroutine, in the midst of a call. */
static int live_in_lua(lua_State *L) {
  host_init(&h);
  h.options.lua = L;
  if (!CHECK(dewar_new(&h.rt, &h.options) == 0)) return 0;
  if (CHECK(host_load(&h, lua_app) == 0))
    CHECK_STR(ask(&h, "/nap").body, "woken");
  host_close(&h);
  return 0;
}

TEST(a_runtime_may_live_inside_a_call_from_lua) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  lua_register(L, "live", live_in_lua);
  run_lua(L, snapshot);
  CHECK_STR(run_lua(L, "live() return same()"), "same");
  CHECK_STR(run_lua(L, "coroutine.wrap(live)() return same()"), "same");
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
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
    run_lua(L, calls[i]);
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

/* --- Failing allocations ---------------------------------------------------*/

static lua_State *host_state; /* NULL: the runtime makes its own */
static size_t loaded;         /* allocations until the app was loaded */

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
      loaded = h.calls;
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

enum { FIRST = 1000, ROUNDS = 300 };

/* Loading Dewar's Lua files is thousands of allocations alike: of those behind
 * the first ones so many fail, in the second round others. */
static size_t next_failure(size_t n, bool after) {
  size_t stride = loaded > FIRST ? (loaded - FIRST) / ROUNDS + 1 : 1;
  if (n < FIRST || n + stride >= loaded) return n + 1;
  return n == FIRST && after ? n + (stride + 1) / 2 : n + stride;
}

static void live_with_every_failure(const char *app) {
  loaded = 0;
  live(app, UNIT_ALLOCATIONS, false); /* none fails */
  for (int after = 0; after < 2; after++) {
    size_t n = 1;
    while (live(app, n, after)) {
      n = next_failure(n, after);
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
