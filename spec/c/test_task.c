/* SPDX-License-Identifier: MIT */
/* Stage tasks from C: runs, wakes, cancellation. What scripts see is in
 * spec/bindings. */
#include "unit.h"

#include "task_host.h"

/* --- Stages ----------------------------------------------------------------*/

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

static int lua_stage(lua_State *L) {
  stage *st = lua_touserdata(L, 1);
  (void)st;
  lua_getglobal(L, "stage");
  lua_callk(L, 0, 0, 0, NULL);
  return 0;
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

/* --- Wakes -----------------------------------------------------------------*/

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
  CHECK_STR(slot(t, DW_SLOT_ERROR), "TimeoutError: a wait took longer than 0.5 s");
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

/* --- Cancellation ----------------------------------------------------------*/

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
