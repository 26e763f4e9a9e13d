/* SPDX-License-Identifier: MIT */
/* The life of tasks from C: their tree, what they leave behind, closing, and
 * everything with failing allocations. What scripts see is in spec/bindings. */
#include "unit.h"

#include "task_host.h"

/* --- The tree --------------------------------------------------------------*/

TEST(reaps_the_children_of_a_stage) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  CHECK(dw_task_reap(t));
  CHECK_STR(run_text(&f->host,
                     "function stage()\n"
                     "  dewar.spawn(function()\n"
                     "    pcall(dewar.sleep, 9)\n"
                     "    dewar.shield(function() dewar.sleep(0) end)\n"
                     "  end)\n"
                     "  dewar.spawn(function() error 'unseen' end)\n"
                     "  dewar.yield()\n"
                     "end"),
            NULL);
  CHECK(dw_task_run(t, lua_waiting_stage, &st) == DW_RUN_WAITING);
  while (!*f->host.trail) turn(&f->host);
  CHECK_STR(f->host.trail, "D");
  CHECK_INT(dw_tasks_count(f->host.s), 2);
  CHECK_INT(f->host.records, 0);
  CHECK(!dw_task_reap(t));
  CHECK_INT(dw_loop_run(&f->host.loop, NULL, NULL), 0);
  CHECK_STR(f->host.trail, "DD");
  CHECK_INT(dw_tasks_count(f->host.s), 1);
  CHECK_INT(f->host.records, 1);
  CHECK(strstr(f->host.record, "unseen\nstack traceback:") != NULL);
  CHECK(dw_task_reap(t));
  dw_task_close(t);
  teardown(f);
}

static int spawn_background(lua_State *L) {
  host *h = lua_touserdata(L, 1);
  if (luaL_loadstring(L, "dewar.yield() error('late', 0)")) return lua_error(L);
  dw_context context = {NULL, NULL};
  dw_spawn(L, h->s, 0, NULL, &context);
  return 0;
}

TEST(logs_the_error_of_a_background_task_at_its_end) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  lua_gc(f->host.L, LUA_GCSTOP);
  CHECK(dw_task_run(t, spawn_background, &f->host) == DW_RUN_DONE);
  CHECK(dw_task_reap(t));
  dw_task_close(t);
  CHECK_INT(dw_tasks_count(f->host.s), 1);
  CHECK_INT(dw_loop_run(&f->host.loop, NULL, NULL), 0);
  CHECK_INT(f->host.records, 1);
  CHECK(strstr(f->host.record, "late\nstack traceback:") != NULL);
  lua_gc(f->host.L, LUA_GCCOLLECT);
  CHECK_INT(f->host.records, 1);
  teardown(f);
  CHECK_INT(f->host.records, 1);
}

/* --- Growth ----------------------------------------------------------------*/

static const char many_sleepers[] =
    "local tasks = {}\n"
    "for i = 1, 10000 do tasks[i] = dewar.spawn(dewar.sleep, 1000) end\n"
    "dewar.yield()\n"
    "for i = 1, 10000 do tasks[i]:cancel() end\n"
    "for i = 1, 10000 do pcall(dewar.await, tasks[i]) end\n";

TEST(keeps_nothing_of_ten_thousand_cancelled_sleepers) {
  fixture *f = setup();
  host *h = &f->host;
  size_t used = 0, lua = 0;
  for (int round = 0; round < 4; round++) {
    CHECK_STR(run_text(h, many_sleepers), NULL);
    CHECK_INT(dw_tasks_count(h->s), 0);
    CHECK_INT(h->loop.timers, 0);
    for (int i = 0; i < 3; i++) lua_gc(h->L, LUA_GCCOLLECT);
    if (round > 1) {
      CHECK_INT(f->alloc.used, used);
      CHECK_INT(lua_gc(h->L, LUA_GCCOUNT), lua);
    }
    used = f->alloc.used;
    lua = (size_t)lua_gc(h->L, LUA_GCCOUNT);
  }
  teardown(f);
}

/* --- Closing ---------------------------------------------------------------*/

TEST(lets_tasks_clean_up_when_it_is_closed) {
  fixture *f = setup();
  CHECK_STR(run_text(&f->host,
                     "local function cleaner(c)\n"
                     "  return function()\n"
                     "    local x <close> = setmetatable({}, { __close = "
                     "function()\n"
                     "      for i = 1, 3 do dewar.shield(dewar.sleep, 0) end\n"
                     "      mark(c)\n"
                     "    end })\n"
                     "    dewar.sleep(1000)\n"
                     "  end\n"
                     "end\n"
                     "dewar.spawn(function() dewar.gather(cleaner 'a', cleaner "
                     "'b') end)\n"
                     "dewar.spawn(error, 'unseen')\n"
                     "dewar.yield() dewar.yield()\n"
                     "dewar.spawn(mark, 'never')\n"),
            NULL);
  CHECK_INT(dw_tasks_count(f->host.s), 4);
  dw_tasks_close(f->host.s);
  CHECK_INT(strlen(f->host.trail), 2);
  CHECK(strchr(f->host.trail, 'a') && strchr(f->host.trail, 'b'));
  CHECK_INT(f->host.records, 1);
  CHECK_INT(dw_tasks_count(f->host.s), 0);
  const char *error = run_text(&f->host, "dewar.sleep(1)");
  CHECK(error && strstr(error, "closed") != NULL);
  error = run_text(&f->host, "dewar.spawn(print)");
  CHECK(error && strstr(error, "closed") != NULL);
  error = run_text(&f->host, "dewar.timeout(1, print)");
  CHECK(error && strstr(error, "closed") != NULL);
  teardown(f);
}

static void closing_cb(dw_task *t, dw_run run) {
  resumed_cb(t, run);
  dw_task_close(t);
}

TEST(lets_the_owners_of_stage_tasks_close_them_later) {
  fixture *f = setup();
  stage idle, waiting;
  dw_loop_use_virtual_clock(&f->host.loop);
  dw_task *t = open_stage(&f->host, &idle);
  dw_task *other = open_stage(&f->host, &waiting);
  other->resumed_cb = closing_cb;
  CHECK(dw_task_run(other, wait_stage, &waiting) == DW_RUN_WAITING);
  dw_tasks_close(f->host.s);
  CHECK_STR(f->host.trail, "wF");
  CHECK_INT(waiting.cancels, 1);
  CHECK_INT(dw_tasks_count(f->host.s), 1);
  CHECK(dw_task_run(t, done_stage, &idle) == DW_RUN_DONE);
  dw_task_uncancel(t);
  t->resumed_cb = closing_cb;
  CHECK(dw_task_run(t, wait_stage, &idle) == DW_RUN_WAITING);
  CHECK(dw_wake_up(idle.wake));
  turn(&f->host);
  CHECK_STR(f->host.trail, "wFdwkD");
  CHECK(f->host.s->tasks == NULL);
  teardown(f);
}

TEST(does_not_wait_for_ever_for_a_shielded_task_when_it_is_closed) {
  fixture *f = setup();
  dw_loop_use_virtual_clock(&f->host.loop);
  CHECK_STR(run_text(&f->host,
                     "dewar.spawn(function()\n"
                     "  local x <close> = setmetatable({}, { __close = "
                     "function() mark 'c' end })\n"
                     "  dewar.shield(dewar.sleep, 1000)\n"
                     "end)\n"
                     "dewar.yield()"),
            NULL);
  dw_tasks_close(f->host.s);
  CHECK_STR(f->host.trail, "c");
  CHECK_INT(f->host.loop.timers, 0);
  teardown(f);
}

TEST(lets_tasks_end_when_the_state_is_closed) {
  dw_allocator a;
  host h;
  dw_allocator_init(&a, NULL, NULL);
  REQUIRE(open_host_as(&h, &a, true) == 0);
  CHECK_STR(run_text(&h, "local lock, queue = dewar.lock(), dewar.queue()\n"
                         "lock:acquire()\n"
                         "for name, fn in pairs {\n"
                         "  g = function() dewar.gather(function() "
                         "dewar.sleep(99) end) end,\n"
                         "  l = function() lock:with(print) end,\n"
                         "  q = function() queue:get() end,\n"
                         "  s = function() dewar.shield(dewar.sleep, 0.01) "
                         "dewar.sleep(99) end,\n"
                         "  t = function() dewar.timeout(99, dewar.sleep, 99) "
                         "end,\n"
                         "  c = function() local t <close> = "
                         "dewar.spawn(dewar.sleep, 99) dewar.sleep(99) end }\n"
                         "do\n"
                         "  dewar.spawn(function()\n"
                         "    local ok = pcall(fn)\n"
                         "    mark(ok and '!' or name)\n"
                         "  end)\n"
                         "end\n"
                         "dewar.yield() dewar.yield()\n"),
            NULL);
  CHECK_STR(h.trail, "");
  close_host(&h);
  CHECK_INT(strlen(h.trail), 6);
  for (const char *c = "glqstc"; *c; c++) CHECK(strchr(h.trail, *c) != NULL);
  CHECK_INT(a.used, 0);
}

TEST(puts_back_what_it_replaced_in_the_coroutine_library) {
  fixture *f = setup();
  CHECK_STR(run_text(&f->host, "ours, wrap = coroutine.resume, coroutine.wrap"
                               " coroutine.status = 'mine'"),
            NULL);
  dw_tasks_close(f->host.s);
  CHECK_STR(run_text(&f->host,
                     "assert(coroutine.resume ~= ours)\n"
                     "assert(coroutine.status == 'mine')\n"
                     "local co = coroutine.create(function(a)\n"
                     "  return a + coroutine.yield(a) end)\n"
                     "assert(select(2, ours(co, 1)) == 1)\n"
                     "assert(select(2, ours(co, 2)) == 3)\n"
                     "assert(wrap(function() return 7 end)() == 7)\n"),
            NULL);
  teardown(f);
}

/* --- Failing allocations ---------------------------------------------------*/

static const char everything[] =
    "local function work(n)\n"
    "  local c <close> = setmetatable({}, { __close = function() end })\n"
    "  dewar.yield()\n"
    "  for v in coroutine.wrap(function()\n"
    "    for i = 1, 3 do dewar.sleep(0) coroutine.yield(i) end end) do\n"
    "    n = n + v\n"
    "  end\n"
    "  return n, 'more', {}\n"
    "end\n"
    "local q, lock = dewar.queue(1), dewar.lock()\n"
    "dewar.run(function()\n"
    "  local a = dewar.spawn(work, 1)\n"
    "  local n, more = dewar.await(a)\n"
    "  assert(n == 7 and more == 'more')\n"
    "  local x, y = dewar.gather(function() return work(1) end,\n"
    "    coroutine.create(function() return coroutine.yield(dewar.spawn(work, "
    "2)) end))\n"
    "  assert(x == 7 and y == 8)\n"
    "  dewar.gather(function() for i = 1, 3 do q:put(i) end q:close() end,\n"
    "    function() for i in q:items() do lock:with(dewar.sleep, 0) end end)\n"
    "  assert(not pcall(dewar.timeout, 0, dewar.sleep, 1000))\n"
    "  dewar.shield(work, 1)\n"
    "  local t = dewar.spawn(dewar.sleep, 1000)\n"
    "  dewar.yield() t:cancel()\n"
    "  assert(not pcall(dewar.await, t))\n"
    "  assert(not pcall(dewar.gather, function() error {} end, function() "
    "dewar.sleep(1000) end))\n"
    "  local function one() return work(1) end\n"
    "  assert(#dewar.gather({ one, one, one }, { limit = 2 }) == 3)\n"
    "  assert(dewar.race(one, function() dewar.sleep(1000) end) == 7)\n"
    "  assert(dewar.scope({ timeout = 9 }, function(scope, n)\n"
    "    scope:spawn(work, 1)\n"
    "    scope:spawn(function() work(1) scope:cancel() end)\n"
    "    return n end, 3) == 3)\n"
    "  assert(not pcall(dewar.scope, function(scope)\n"
    "    scope:spawn(function() error {} end) dewar.sleep(1000) end))\n"
    "end)\n";

static int scenario(dw_allocator *a, void *data) {
  (void)data;
  host h;
  int err = open_host(&h, a);
  if (err) return err;
  stage st = {.host = &h, .seconds = -1};
  dw_task *t;
  err = dw_task_open(h.s, NULL, &t);
  if (!err) {
    err = dw_task_run(t, done_stage, &st) == DW_RUN_DONE ? 0 : DW_ENOMEM;
    dw_task_run(t, fail_stage, &st);
    dw_task_run(t, wait_stage, &st);
    dw_task_cancel(t, false);
    turn(&h);
    dw_task_close(t);
  }
  if (run_text(&h, everything)) err = DW_ENOMEM;
  close_host(&h);
  return err;
}

TEST(survives_every_failing_allocation) {
  unit_failing_allocations(scenario, NULL);
}
