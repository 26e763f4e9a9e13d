/* SPDX-License-Identifier: MIT */
/* The supervisor: workers that are shells. */
#include "unit.h"

#include <fcntl.h>
#include <signal.h>

#include "app/supervisor.h"
#include "base/error.h"

static dw_allocator allocator;
static dw_loop loop;
static dw_log logger;
static int null_fd;

static struct {
  unsigned ready, ended, idle, lines;
  dw_worker_end last;
  char line[64];
  int pid;
} seen;

static void ready_cb(void *data, int pid) {
  (void)data;
  seen.ready++;
  seen.pid = pid;
}

static void line_cb(void *data, int pid, dw_slice line) {
  (void)data, (void)pid;
  seen.lines++;
  snprintf(seen.line, sizeof seen.line, "%.*s", (int)line.len, line.ptr);
}

static void end_cb(void *data, const dw_worker_end *end) {
  (void)data;
  seen.ended++;
  seen.last = *end;
}

static void idle_cb(void *data) {
  (void)data;
  seen.idle++;
}

static void open_loop(void) {
  dw_allocator_init(&allocator, NULL, NULL);
  logger = (dw_log){.level = DEWAR_ERROR};
  memset(&seen, 0, sizeof seen);
  null_fd = open("/dev/null", O_RDWR);
  if (dw_loop_init(&loop, NULL, &allocator, &logger) != 0) abort();
}

static void close_loop(void) {
  dw_loop_deinit(&loop);
  close(null_fd);
  CHECK_INT(allocator.used, 0);
}

static bool reached(void *data) { return *(unsigned *)data > 0; }

static void until(unsigned *count) { dw_loop_run(&loop, reached, count); }

static bool is_idle(void *data) { return dw_supervisor_idle(data); }

static dw_supervision shells(char **args, const char *script) {
  args[0] = (char *)"sh";
  args[1] = (char *)"-c";
  args[2] = (char *)script;
  args[3] = NULL;
  return (dw_supervision){.args = args,
                          .file = "/bin/sh",
                          .socket = null_fd,
                          .workers = 1,
                          .line_cb = line_cb,
                          .ready_cb = ready_cb,
                          .end_cb = end_cb,
                          .idle_cb = idle_cb};
}

static void finish(dw_supervisor *s) {
  dw_supervisor_stop(s);
  dw_loop_run(&loop, is_idle, s);
  CHECK_INT(seen.idle, 1);
  dw_supervisor_free(s);
  close_loop();
}

TEST(hears_when_a_worker_is_ready_and_what_it_says) {
  open_loop();
  char *args[4];
  dw_supervision what =
      shells(args, "echo hello >&4; echo ready >&4; exec sleep 100");
  dw_supervisor *s;
  REQUIRE(dw_supervisor_new(&s, &loop, &what) == 0);
  CHECK_INT(dw_supervisor_start(s), 0);
  until(&seen.ready);
  CHECK_INT(seen.lines, 1);
  CHECK(strcmp(seen.line, "hello") == 0);
  finish(s);
  CHECK_INT(seen.last.signal, SIGTERM);
  CHECK(seen.last.ready && seen.last.asked);
}

TEST(stops_where_the_first_worker_fails_before_it_is_ready) {
  open_loop();
  char *args[4];
  dw_supervision what = shells(args, "exit 7");
  dw_supervisor *s;
  REQUIRE(dw_supervisor_new(&s, &loop, &what) == 0);
  CHECK_INT(dw_supervisor_start(s), 0);
  until(&seen.idle);
  CHECK_INT(seen.ended, 1);
  CHECK_INT(seen.last.status, 7);
  CHECK(!seen.last.ready && !seen.last.asked);
  dw_supervisor_free(s);
  close_loop();
}

TEST(replaces_a_worker_that_dies) {
  open_loop();
  char *args[4];
  dw_supervision what = shells(args, "echo ready >&4; exec sleep 100");
  dw_supervisor *s;
  REQUIRE(dw_supervisor_new(&s, &loop, &what) == 0);
  CHECK_INT(dw_supervisor_start(s), 0);
  until(&seen.ready);
  int first = seen.pid;
  seen.ready = 0;
  kill(first, SIGKILL);
  until(&seen.ready);
  CHECK(seen.pid != first);
  CHECK_INT(seen.last.signal, SIGKILL);
  finish(s);
}

TEST(leaves_a_patient_one_without_workers_until_a_reload) {
  open_loop();
  char *args[4];
  dw_supervision what = shells(args, "exit 3");
  what.patient = true;
  dw_supervisor *s;
  REQUIRE(dw_supervisor_new(&s, &loop, &what) == 0);
  CHECK_INT(dw_supervisor_start(s), 0);
  dw_loop_run(&loop, is_idle, s);
  CHECK_INT(seen.ended, 1);
  CHECK_INT(seen.idle, 0);
  CHECK_INT(dw_supervisor_reload(s, false), 0);
  dw_loop_run(&loop, is_idle, s);
  CHECK_INT(seen.ended, 2);
  finish(s);
}

TEST(keeps_the_old_worker_until_a_new_one_is_ready) {
  open_loop();
  char *args[4];
  dw_supervision what = shells(args, "echo ready >&4; exec sleep 100");
  dw_supervisor *s;
  REQUIRE(dw_supervisor_new(&s, &loop, &what) == 0);
  CHECK_INT(dw_supervisor_start(s), 0);
  until(&seen.ready);
  int first = seen.pid;
  seen.ready = 0;
  CHECK_INT(dw_supervisor_reload(s, true), 0);
  CHECK_INT(kill(first, 0), 0);
  until(&seen.ready);
  until(&seen.ended);
  CHECK_INT(seen.last.pid, first);
  CHECK(seen.last.asked);
  finish(s);
}

TEST(kills_one_that_does_not_listen) {
  open_loop();
  char *args[4];
  dw_supervision what = shells(
      args, "trap '' TERM; echo ready >&4; while :; do sleep 0.05; done");
  what.grace = 10;
  dw_supervisor *s;
  REQUIRE(dw_supervisor_new(&s, &loop, &what) == 0);
  CHECK_INT(dw_supervisor_start(s), 0);
  until(&seen.ready);
  finish(s);
  CHECK_INT(seen.last.signal, SIGKILL);
}

TEST(tells_that_there_is_no_such_program) {
  open_loop();
  char *args[4];
  dw_supervision what = shells(args, "");
  what.file = "/no/such/program";
  dw_supervisor *s;
  REQUIRE(dw_supervisor_new(&s, &loop, &what) == 0);
  CHECK_INT(dw_supervisor_start(s), UV_ENOENT);
  dw_loop_run(&loop, is_idle, s);
  dw_supervisor_free(s);
  close_loop();
}

TEST(refuses_no_workers_and_too_many) {
  open_loop();
  char *args[4];
  dw_supervision what = shells(args, "");
  dw_supervisor *s;
  what.workers = 0;
  CHECK_INT(dw_supervisor_new(&s, &loop, &what), DEWAR_EINVAL);
  what.workers = DW_WORKERS_MAX + 1;
  CHECK_INT(dw_supervisor_new(&s, &loop, &what), DEWAR_EINVAL);
  close_loop();
}

/* --- Failing allocations ---------------------------------------------------*/

static int start_and_end(dw_allocator *a, void *data) {
  (void)data;
  dw_loop own;
  dw_log quiet = {.level = DEWAR_ERROR};
  int code = dw_loop_init(&own, NULL, a, &quiet);
  if (code < 0) return code;
  char *args[4];
  dw_supervision what = shells(args, "echo hello >&4");
  what.socket = 2;
  what.patient = true;
  dw_supervisor *s;
  code = dw_supervisor_new(&s, &own, &what);
  if (code == 0) code = dw_supervisor_start(s);
  if (s) dw_loop_run(&own, is_idle, s);
  dw_supervisor_free(s);
  dw_loop_deinit(&own);
  return code;
}

TEST(survives_failing_allocations) {
  unit_failing_allocations(start_and_end, NULL);
}
