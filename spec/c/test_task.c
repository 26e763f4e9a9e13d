/* SPDX-License-Identifier: MIT */
/* The scheduler from C: stage runs, wakes, cancellation, the tree, the pool,
 * closing, and everything with failing allocations. What scripts see is in
 * spec/bindings. */
#include "base/error.h"
#include "bindings/task.h"
#include "unit.h"

#include "bindings/errors.h"

/* --- A script -------------------------------------------------------------*/

typedef struct host {
  dw_allocator *alloc;
  dw_loop loop;
  dw_log log;
  lua_State *L;
  dw_script *s;
  unsigned records;
  char record[2048]; /* the last one */
  char trail[64];    /* what the scenario under test has gone through */
} host;

static void sink_cb(void *data, int level, const char *text,
                    const dewar_log_field *fields, size_t count) {
  host *h = data;
  (void)level, (void)fields, (void)count;
  h->records++;
  snprintf(h->record, sizeof(h->record), "%s", text);
}

static void mark(host *h, char c) {
  size_t len = strlen(h->trail);
  if (len + 1 < sizeof(h->trail)) h->trail[len] = c, h->trail[len + 1] = '\0';
}

static int lua_mark(lua_State *L) {
  mark(lua_touserdata(L, lua_upvalueindex(1)), *luaL_checkstring(L, 1));
  return 0;
}

static int open_script(lua_State *L) {
  host *h = lua_touserdata(L, 1);
  luaL_openlibs(L);
  dw_script *s = h->s = dw_script_new(L);
  s->loop = &h->loop;
  s->alloc = h->alloc;
  s->log = &h->log;
  s->classes = LUA_NOREF;
  dw_buffer_init(&s->scratch, h->alloc, 0);
  dw_tasks_open(L, s);
  lua_newtable(L);
  dw_errors_open(L, s);
  dw_task_functions(L, s);
  dw_sync_functions(L, s);
  lua_setglobal(L, "dewar");
  lua_pushlightuserdata(L, h);
  lua_pushcclosure(L, lua_mark, 1);
  lua_setglobal(L, "mark");
  return 0;
}

static void close_host(host *h) {
  if (h->s) {
    dw_tasks_close(h->s);
    dw_buffer_deinit(&h->s->scratch);
  }
  if (h->L) lua_close(h->L);
  dw_loop_deinit(&h->loop);
}

static int open_host(host *h, dw_allocator *a) {
  *h = (host){.alloc = a};
  h->log = (dw_log){.sink = sink_cb, .data = h, .level = DEWAR_INFO};
  int err = dw_loop_init(&h->loop, NULL, a, &h->log);
  if (err) return err;
  h->L = lua_newstate(dw_allocator_lua, a);
  if (h->L) {
    lua_pushcfunction(h->L, open_script);
    lua_pushlightuserdata(h->L, h);
    if (lua_pcall(h->L, 1, 0, 0) == LUA_OK) return 0;
  }
  close_host(h);
  return DW_ENOMEM;
}

typedef struct fixture {
  dw_allocator alloc;
  host host;
} fixture;

static fixture *setup(void) {
  static fixture f;
  dw_allocator_init(&f.alloc, NULL, NULL);
  if (!CHECK(open_host(&f.host, &f.alloc) == 0)) exit(1);
  return &f;
}

static void teardown(fixture *f) {
  close_host(&f->host);
  CHECK_INT(f->alloc.used, 0);
}

/* Runs a chunk in the main thread; its error, or NULL. */
static const char *run_text(host *h, const char *text) {
  static char error[2048];
  lua_settop(h->L, 0);
  int status = luaL_loadstring(h->L, text);
  if (status == LUA_OK) status = lua_pcall(h->L, 0, 0, 0);
  if (status == LUA_OK) return NULL;
  snprintf(error, sizeof(error), "%s", luaL_tolstring(h->L, -1, NULL));
  lua_settop(h->L, 0);
  return error;
}

static void turn(host *h) { dw_loop_turn(&h->loop, false); }

/* --- Stages ---------------------------------------------------------------*/

typedef struct stage {
  host *host;
  dw_wake wake;
  int cancels;
  bool wake_early;
  double seconds;
} stage;

static void cancel_cb(void *data) {
  stage *st = data;
  st->cancels++;
}

static int after_wait(lua_State *L, int status, lua_KContext ctx) {
  (void)L, (void)status;
  mark(((stage *)ctx)->host, 'k');
  return 0;
}

static int wait_stage(lua_State *L) {
  stage *st = lua_touserdata(L, 1);
  mark(st->host, 'w');
  st->wake = dw_wait_begin(L, st->host->s, cancel_cb, st);
  if (st->wake_early) dw_wake_up(st->wake);
  return dw_wait(L, st->wake, st->seconds, after_wait, (lua_KContext)st);
}

static int done_stage(lua_State *L) {
  stage *st = lua_touserdata(L, 1);
  mark(st->host, 'd');
  lua_pushliteral(L, "dropped");
  return 1;
}

static void fail_deep(lua_State *L) {
  if (luaL_dostring(L, "return function() error('deep', 0) end")) lua_error(L);
  lua_call(L, 0, 0);
}

static int fail_stage(lua_State *L) {
  fail_deep(L);
  return 0;
}

static int lua_stage(lua_State *L) {
  stage *st = lua_touserdata(L, 1);
  (void)st;
  lua_getglobal(L, "stage");
  lua_callk(L, 0, 0, 0, NULL);
  return 0;
}

static int lua_stage_end(lua_State *L, int status, lua_KContext ctx) {
  (void)L, (void)status, (void)ctx;
  return 0;
}

static int lua_waiting_stage(lua_State *L) {
  lua_getglobal(L, "stage");
  lua_callk(L, 0, 0, 0, lua_stage_end);
  return 0;
}

static void resumed_cb(dw_task *t, dw_run run) {
  stage *st = t->owner;
  mark(st->host, run == DW_RUN_DONE ? 'D' : run == DW_RUN_FAILED ? 'F' : '?');
}

static dw_task *open_stage(host *h, stage *st) {
  dw_task *t;
  *st = (stage){.host = h, .seconds = -1};
  if (!CHECK(dw_task_open(h->s, NULL, &t) == 0)) exit(1);
  t->owner = st;
  t->resumed_cb = resumed_cb;
  return t;
}

/* A slot as text. */
static const char *slot(dw_task *t, enum dw_slot which) {
  static char text[2048];
  lua_State *L = t->script->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->script->slots);
  lua_rawgeti(L, -1, t->slot + (int)which);
  snprintf(text, sizeof(text), "%s", luaL_tolstring(L, -1, NULL));
  lua_pop(L, 3);
  return text;
}

TEST(runs_a_stage_that_does_not_wait_at_once) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  CHECK(dw_task_run(t, done_stage, &st) == DW_RUN_DONE);
  CHECK(dw_task_run(t, done_stage, &st) == DW_RUN_DONE);
  CHECK_STR(f->host.trail, "dd");
  CHECK_INT(lua_gettop(t->co), 0);
  dw_task_close(t);
  teardown(f);
}

TEST(allocates_nothing_for_a_stage_that_does_not_wait) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  dw_task_run(t, done_stage, &st);
  dw_task_close(t);
  lua_gc(f->host.L, LUA_GCSTOP);
  uint64_t calls = f->alloc.calls;
  for (int i = 0; i < 100; i++) {
    t = open_stage(&f->host, &st);
    dw_task_run(t, done_stage, &st);
    dw_task_close(t);
  }
  CHECK_INT(f->alloc.calls - calls, 0);
  teardown(f);
}

TEST(suspends_a_stage_that_waits_and_calls_back_from_the_drain) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  CHECK(dw_task_run(t, wait_stage, &st) == DW_RUN_WAITING);
  turn(&f->host);
  CHECK_STR(f->host.trail, "w");
  CHECK(dw_wake_up(st.wake));
  CHECK_STR(f->host.trail, "w");
  turn(&f->host);
  CHECK_STR(f->host.trail, "wkD");
  CHECK_INT(st.cancels, 0);
  CHECK(dw_task_run(t, done_stage, &st) == DW_RUN_DONE);
  dw_task_close(t);
  teardown(f);
}

TEST(keeps_the_error_of_a_stage_and_its_traceback) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  CHECK(dw_task_run(t, fail_stage, &st) == DW_RUN_FAILED);
  CHECK_STR(slot(t, DW_SLOT_ERROR), "deep");
  CHECK(strncmp(slot(t, DW_SLOT_TRACEBACK), "deep\nstack traceback:\n", 22) ==
        0);
  CHECK(strstr(slot(t, DW_SLOT_TRACEBACK), "error('deep', 0)") != NULL);
  CHECK_INT(lua_gettop(t->co), 0);
  CHECK(dw_task_run(t, done_stage, &st) == DW_RUN_DONE);
  dw_task_close(t);
  teardown(f);
}

TEST(clears_the_slots_of_a_task_that_is_closed) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  dw_task_run(t, fail_stage, &st);
  dw_task_close(t);
  dw_task *again = open_stage(&f->host, &st);
  CHECK(again == t);
  CHECK_STR(slot(again, DW_SLOT_ERROR), "nil");
  CHECK_STR(slot(again, DW_SLOT_TRACEBACK), "nil");
  dw_task_close(again);
  teardown(f);
}

TEST(names_a_c_function_that_calls_without_a_continuation) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  CHECK_STR(run_text(&f->host, "function stage() dewar.sleep(1) end"), NULL);
  CHECK(dw_task_run(t, lua_stage, &st) == DW_RUN_FAILED);
  CHECK(strstr(slot(t, DW_SLOT_ERROR), "cannot wait across") != NULL);
  CHECK(dw_task_run(t, lua_waiting_stage, &st) == DW_RUN_WAITING);
  dw_task_cancel(t, false);
  turn(&f->host);
  CHECK_STR(f->host.trail, "F");
  dw_task_close(t);
  teardown(f);
}

/* --- Wakes ----------------------------------------------------------------*/

TEST(drops_a_stale_wake) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  dw_task_run(t, wait_stage, &st);
  dw_wake first = st.wake;
  CHECK(dw_wake_up(first));
  CHECK(!dw_wake_up(first));
  turn(&f->host);
  CHECK(!dw_wake_up(first));
  dw_task_run(t, wait_stage, &st);
  CHECK(!dw_wake_up(first));
  turn(&f->host);
  CHECK_STR(f->host.trail, "wkDw");
  CHECK(dw_wake_up(st.wake));
  turn(&f->host);
  dw_task_close(t);
  CHECK(!dw_wake_up(first));
  CHECK(!dw_wake_up(st.wake));
  CHECK(!dw_wake_up((dw_wake){NULL, 0}));
  teardown(f);
}

TEST(queues_a_wait_that_was_woken_before_it_was_entered) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  st.wake_early = true;
  CHECK(dw_task_run(t, wait_stage, &st) == DW_RUN_WAITING);
  CHECK_STR(f->host.trail, "w");
  turn(&f->host);
  CHECK_STR(f->host.trail, "wkD");
  dw_task_close(t);
  teardown(f);
}

TEST(tells_who_would_wake_when_time_runs_out) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  dw_loop_use_virtual_clock(&f->host.loop);
  st.seconds = 0.5;
  dw_task_run(t, wait_stage, &st);
  dw_loop_advance(&f->host.loop, 499);
  CHECK_INT(st.cancels, 0);
  dw_loop_advance(&f->host.loop, 1);
  CHECK_INT(st.cancels, 1);
  CHECK(!dw_wake_up(st.wake));
  turn(&f->host);
  CHECK_STR(f->host.trail, "wF");
  CHECK_STR(slot(t, DW_SLOT_ERROR), "TimeoutError: out of time");
  CHECK_INT(f->host.loop.timers, 0);
  dw_task_close(t);
  teardown(f);
}

static int abandon_stage(lua_State *L) {
  stage *st = lua_touserdata(L, 1);
  st->wake = dw_wait_begin(L, st->host->s, cancel_cb, st);
  dw_wait_abandon(st->wake);
  return 0;
}

/* An error comes between the beginning of a wait and the wait. */
static int broken_stage(lua_State *L) {
  stage *st = lua_touserdata(L, 1);
  st->wake = dw_wait_begin(L, st->host->s, cancel_cb, st);
  return luaL_error(L, "broken");
}

TEST(lets_a_wait_be_given_up_or_left_by_an_error) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  CHECK(dw_task_run(t, abandon_stage, &st) == DW_RUN_DONE);
  CHECK_INT(st.cancels, 0);
  CHECK(!dw_wake_up(st.wake));
  CHECK(dw_task_run(t, broken_stage, &st) == DW_RUN_FAILED);
  dw_wake broken = st.wake;
  CHECK(dw_task_run(t, wait_stage, &st) == DW_RUN_WAITING);
  CHECK_INT(st.cancels, 1);
  CHECK(!dw_wake_up(broken));
  CHECK(dw_wake_up(st.wake));
  turn(&f->host);
  CHECK(dw_task_run(t, broken_stage, &st) == DW_RUN_FAILED);
  dw_task_close(t);
  CHECK_INT(st.cancels, 2);
  teardown(f);
}

/* --- Cancellation ---------------------------------------------------------*/

TEST(cancels_a_wait) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  dw_task_run(t, wait_stage, &st);
  dw_task_cancel(t, false);
  dw_task_cancel(t, true);
  CHECK_INT(st.cancels, 1);
  CHECK(dw_task_cancelled(t));
  CHECK(!dw_task_timed_out(t));
  CHECK(!dw_wake_up(st.wake));
  turn(&f->host);
  CHECK_STR(f->host.trail, "wF");
  CHECK_STR(slot(t, DW_SLOT_ERROR), "Cancelled: the task was cancelled");
  CHECK_STR(slot(t, DW_SLOT_TRACEBACK), "nil");
  CHECK(dw_task_run(t, wait_stage, &st) == DW_RUN_FAILED);
  CHECK_INT(st.cancels, 1);
  dw_task_close(t);
  teardown(f);
}

TEST(lets_a_wake_that_came_first_win_over_a_cancellation) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  dw_task_run(t, wait_stage, &st);
  CHECK(dw_wake_up(st.wake));
  dw_task_cancel(t, false);
  turn(&f->host);
  CHECK_STR(f->host.trail, "wkD");
  CHECK_INT(st.cancels, 0);
  CHECK(dw_task_run(t, wait_stage, &st) == DW_RUN_FAILED);
  dw_task_close(t);
  teardown(f);
}

TEST(remembers_a_cancellation_while_shielded) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  dw_task_shield(t);
  dw_task_shield(t);
  dw_task_run(t, wait_stage, &st);
  dw_task_cancel(t, true);
  CHECK(dw_task_timed_out(t));
  dw_task_unshield(t);
  turn(&f->host);
  CHECK_STR(f->host.trail, "w");
  dw_task_unshield(t);
  turn(&f->host);
  CHECK_STR(f->host.trail, "wF");
  dw_task_close(t);
  teardown(f);
}

TEST(may_wait_again_after_a_cancellation_was_forgotten) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  dw_task_cancel(t, true);
  CHECK(dw_task_run(t, wait_stage, &st) == DW_RUN_FAILED);
  dw_task_uncancel(t);
  CHECK(!dw_task_cancelled(t));
  CHECK(dw_task_run(t, wait_stage, &st) == DW_RUN_WAITING);
  CHECK(dw_wake_up(st.wake));
  turn(&f->host);
  CHECK_STR(f->host.trail, "wwkD");
  dw_task_close(t);
  teardown(f);
}

TEST(closes_a_stage_that_swallows_its_cancellation) {
  fixture *f = setup();
  stage st;
  dw_task *t = open_stage(&f->host, &st);
  CHECK_STR(run_text(&f->host,
                     "function stage()\n"
                     "  local c <close> = setmetatable({}, { __close = "
                     "function() mark 'c' end })\n"
                     "  while true do pcall(dewar.sleep, 1) end\n"
                     "end"),
            NULL);
  CHECK(dw_task_run(t, lua_waiting_stage, &st) == DW_RUN_WAITING);
  dw_task_cancel(t, false);
  turn(&f->host);
  CHECK_STR(f->host.trail, "cF");
  CHECK(strncmp(slot(t, DW_SLOT_ERROR), "Cancelled", 9) == 0);
  CHECK_INT(f->host.records, 1);
  CHECK(strstr(f->host.record, "a task has been closed") != NULL);
  CHECK(strstr(f->host.record, ":3: in ") != NULL);
  CHECK(dw_task_run(t, done_stage, &st) == DW_RUN_DONE);
  dw_task_close(t);
  teardown(f);
}

/* --- The tree -------------------------------------------------------------*/

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

/* --- Growth ---------------------------------------------------------------*/

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

/* --- Closing --------------------------------------------------------------*/

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

/* --- Failing allocations --------------------------------------------------*/

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
