/* SPDX-License-Identifier: MIT */
/* Waits for callbacks, and luv, with failing allocations; and what is left of
 * luv in a host's state, and on a host's loop, when the runtime has gone. */
#include <lauxlib.h>
#include <lualib.h>

#include "unit.h"

#include "support/host.h"

static host h;

#define BEFORE                                                                 \
  "local dewar = require 'dewar'\n"                                            \
  "local app = dewar.app()\n"

static const char nothing[] = BEFORE "return app\n";

static const char callbacks[] =
    BEFORE "local a, b = dewar.await_callback(function(done) done(1, 2) end)\n"
           "assert(a == 1 and b == 2)\n"
           "local cancelled\n"
           "local ok, err = pcall(dewar.await_callback, function(done)\n"
           "  kept = done\n"
           "end, { timeout = 0, cancel = function() cancelled = true end })\n"
           "assert(not ok and dewar.TimeoutError:is(err) and cancelled or\n"
           "  err == 'not enough memory', err)\n"
           "local ok, err = pcall(dewar.await_callback, function(done)\n"
           "  dewar.spawn(done, 'ENOENT: gone')\n"
           "end, { error_first = true })\n"
           "assert(err == 'not enough memory' or err.code == 'ENOENT', err)\n"
           "dewar.spawn(dewar.await_callback, function(done) kept = done end)\n"
           "dewar.yield()\n"
           "return app\n";

/* No handles: luv itself loses one when Lua has no memory for it. */
static const char luv[] = BEFORE "local uv = require 'luv'\n"
                                 "assert(uv == require 'dewar.luv')\n"
                                 "uv.walk(function(handle) end)\n"
                                 "return app\n";

/* Loads it with the n-th allocation failing; the number of calls. */
static size_t load(const char *script, size_t fail_at, bool fail_after) {
  host_init(&h);
  h.fail_at = fail_at;
  h.fail_after = fail_after;
  unit.failing = fail_at;
  int code = dewar_new(&h.rt, &h.options);
  if (code == 0) {
    code = host_load(&h, script);
    h.fail_at = 0;
    CHECK_INT(dewar_free(h.rt), 0);
  }
  CHECK_INT(h.used, 0);
  if (h.calls < fail_at || fail_at == 0) CHECK_INT(code, 0);
  unit.failing = 0;
  return h.calls;
}

static void load_with_failures(const char *script, size_t step) {
  size_t from = load(nothing, 0, false);
  size_t to = load(script, 0, false);
  CHECK(to > from);
  for (int after = 0; after < 2; after++)
    for (size_t n = from; n <= to + 8; n += step) load(script, n, after);
}

TEST(waits_for_callbacks_that_run_out_of_memory_leave_nothing) {
  load_with_failures(callbacks, 1);
}

TEST(luv_without_memory_leaves_nothing) { load_with_failures(luv, 3); }

/* --- A host's state and loop -----------------------------------------------*/

static void run(lua_State *L, const char *script) {
  if (!CHECK(luaL_dostring(L, script) == LUA_OK))
    fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_settop(L, 0);
}

TEST(luv_is_on_its_own_when_the_runtime_has_gone) {
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  for (int round = 0; round < 2; round++) {
    dewar_options options;
    dewar_options_init(&options);
    options.lua = L;
    dewar_runtime *rt;
    CHECK_INT(dewar_new(&rt, &options), 0);
    run(L, "uv, closed = require 'luv', 0\n"
           "timer = uv.new_timer()\n"
           "timer:start(60000, 0, print)\n"
           "uv.new_timer():close(function() closed = closed + 1 end)\n"
           "uv.fs_scandir('/', function() closed = closed + 1 end)\n");
    CHECK_INT(dewar_free(rt), 0);
    run(L, "assert(closed == 2)\n"
           "assert(timer:is_closing())\n"
           "assert(not package.loaded.luv and not package.preload.luv)\n"
           "local again, calls = uv.new_timer(), 0\n"
           "again:start(1, 0, function() calls = calls + 1 again:close() end)\n"
           "uv.run()\n"
           "assert(calls == 1)\n"
           "local stock = require 'luv'\n"
           "assert(stock.loop_alive() == false and not stock.run())\n"
           "uv.walk(function() error 'something is open' end)\n"
           "package.loaded.luv, uv, timer = nil\n"
           "collectgarbage()\n");
  }
  lua_close(L);
}

TEST(luv_leaves_a_hosts_loop_as_it_was) {
  uv_loop_t loop;
  CHECK_INT(uv_loop_init(&loop), 0);
  host_init(&h);
  h.options.loop = &loop;
  CHECK_INT(dewar_new(&h.rt, &h.options), 0);
  CHECK_INT(host_load(&h, BEFORE "local uv = require 'luv'\n"
                                 "local timer = uv.new_timer()\n"
                                 "timer:start(1, 0, function()\n"
                                 "  dewar.log.info 'called'\n"
                                 "  dewar.spawn(function()\n"
                                 "    dewar.sleep(0)\n"
                                 "    dewar.log.info 'spawned'\n"
                                 "    timer:close()\n"
                                 "  end)\n"
                                 "end)\n"
                                 "other = uv.new_timer()\n"
                                 "return app\n"),
            0);
  uv_run(&loop, UV_RUN_DEFAULT);
  CHECK(strstr(h.log, "called\n"));
  CHECK(strstr(h.log, "spawned\n"));
  CHECK_INT(dewar_free(h.rt), 0);
  CHECK_INT(h.used, 0);
  CHECK_INT(uv_loop_close(&loop), 0);
}
