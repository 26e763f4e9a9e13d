/* SPDX-License-Identifier: MIT */
/* The loop: timers on both clocks, deferred calls, posts, re-entrance. */
#define _GNU_SOURCE /* strptime */
#include "unit.h"

#include <time.h>

#include "base/error.h"
#include "base/loop.h"
#include "base/work.h"

/* --- A loop for each test, and a trace of what ran -------------------------*/

static dw_allocator allocator;
static dw_loop loop;
static char trace[256];

static void open_loop(void) {
  dw_allocator_init(&allocator, NULL, NULL);
  if (dw_loop_init(&loop, NULL, &allocator, NULL) != 0) abort();
  trace[0] = '\0';
}

static void close_loop(void) {
  dw_loop_deinit(&loop);
  CHECK_INT(allocator.used, 0);
}

/* A text as the data of a callback. */
static void *named(const char *text) { return (void *)(uintptr_t)text; }

static void add_trace(const char *what) {
  strncat(trace, what, sizeof(trace) - strlen(trace) - 1);
}

static void trace_timer_cb(dw_timer *t) { add_trace(t->data); }

static void trace_deferred_cb(dw_deferred *d) { add_trace(d->data); }

static bool is_set(void *data) { return *(bool *)data; }

static bool has_traced(void *data) { return strcmp(trace, data) == 0; }

/* --- Timers ----------------------------------------------------------------*/

TEST(fires_in_order_of_due_time_then_of_starting) {
  open_loop();
  dw_loop_use_virtual_clock(&loop);
  dw_timer a, b, c, d;
  dw_timer_init(&a, trace_timer_cb, named("a"));
  dw_timer_init(&b, trace_timer_cb, named("b"));
  dw_timer_init(&c, trace_timer_cb, named("c"));
  dw_timer_init(&d, trace_timer_cb, named("d"));
  dw_timer_start(&loop, &d, 30);
  dw_timer_start(&loop, &b, 20);
  dw_timer_start(&loop, &c, 20);
  dw_timer_start(&loop, &a, 10);
  CHECK_INT(dw_loop_advance(&loop, 9), 9);
  CHECK_STR(trace, "");
  CHECK_INT(dw_loop_advance(&loop, 100), 1);
  CHECK_STR(trace, "a");
  CHECK_INT(dw_loop_advance(&loop, 100), 10);
  CHECK_STR(trace, "abc");
  CHECK_INT(dw_loop_advance(&loop, 100), 10);
  CHECK_STR(trace, "abcd");
  CHECK_INT(dw_loop_advance(&loop, 100), 100);
  close_loop();
}

TEST(restarting_a_timer_moves_it_and_stopping_is_idempotent) {
  open_loop();
  dw_loop_use_virtual_clock(&loop);
  dw_timer a, b;
  dw_timer_init(&a, trace_timer_cb, named("a"));
  dw_timer_init(&b, trace_timer_cb, named("b"));
  dw_timer_start(&loop, &a, 10);
  dw_timer_start(&loop, &b, 10);
  dw_timer_start(&loop, &a, 10); /* now behind b */
  CHECK(dw_timer_active(&a));
  dw_loop_advance(&loop, 10);
  CHECK_STR(trace, "ba");
  CHECK(!dw_timer_active(&a));
  dw_timer_start(&loop, &a, 5);
  dw_timer_stop(&loop, &a);
  dw_timer_stop(&loop, &a);
  CHECK(!dw_timer_active(&a));
  CHECK_INT(dw_loop_advance(&loop, 10), 10);
  CHECK_STR(trace, "ba");
  close_loop();
}

enum { MANY = 2000 };

typedef struct ordered {
  dw_timer timer;
  uint64_t due;
  bool stopped;
} ordered;

static uint64_t last_due;
static unsigned fired;

static void check_order_cb(dw_timer *t) {
  ordered *o = t->data;
  CHECK(!o->stopped);
  CHECK(o->due >= last_due);
  CHECK_INT(o->due, dw_loop_now(&loop));
  last_due = o->due;
  fired++;
}

TEST(keeps_order_among_thousands_that_start_stop_and_restart) {
  open_loop();
  dw_loop_use_virtual_clock(&loop);
  static ordered many[MANY];
  uint32_t random = 12345;
  unsigned expected = 0;
  last_due = fired = 0;
  for (int i = 0; i < MANY; i++)
    dw_timer_init(&many[i].timer, check_order_cb, &many[i]);
  for (int step = 0; step < 5 * MANY; step++) {
    random = random * 1664525 + 1013904223;
    ordered *o = &many[(random >> 8) % MANY];
    uint64_t delay = (random >> 4) % 5000 + 1;
    o->stopped = step % 5 == 0;
    if (o->stopped) {
      dw_timer_stop(&loop, &o->timer);
    } else {
      o->due = dw_loop_now(&loop) + delay;
      dw_timer_start(&loop, &o->timer, delay);
    }
  }
  for (int i = 0; i < MANY; i++) expected += dw_timer_active(&many[i].timer);
  while (loop.timers > 0) dw_loop_advance(&loop, 10000);
  CHECK_INT(fired, expected);
  CHECK(expected > MANY / 2);
  close_loop();
}

static dw_timer other;

static void stop_other_cb(dw_timer *t) {
  add_trace(t->data);
  dw_timer_stop(&loop, &other);
}

TEST(a_timer_may_stop_another_that_is_due_too) {
  open_loop();
  dw_loop_use_virtual_clock(&loop);
  dw_timer t;
  dw_timer_init(&t, stop_other_cb, named("t"));
  dw_timer_init(&other, trace_timer_cb, named("o"));
  dw_timer_start(&loop, &t, 1);
  dw_timer_start(&loop, &other, 1);
  dw_loop_advance(&loop, 5);
  CHECK_STR(trace, "t");
  close_loop();
}

static void restart_cb(dw_timer *t) {
  add_trace(t->data);
  if (strlen(trace) < 4) dw_timer_start(&loop, t, 0);
}

TEST(a_timer_that_restarts_at_once_waits_for_the_next_turn) {
  for (int virtual = 0; virtual <= 1; virtual ++) {
    open_loop();
    if (virtual) dw_loop_use_virtual_clock(&loop);
    dw_timer t;
    dw_timer_init(&t, restart_cb, named("x"));
    dw_timer_start(&loop, &t, 0);
    CHECK_STR(trace, "");
    size_t before = 0;
    while (dw_loop_turn(&loop, false) > 0) {
      CHECK(strlen(trace) - before <= 1);
      before = strlen(trace);
    }
    CHECK_STR(trace, "xxxx");
    close_loop();
  }
}

static void delay_loop(unsigned ms) {
  uint64_t until = uv_hrtime() + ms * 1000000ull;
  while (uv_hrtime() < until) continue;
}

typedef struct measured {
  dw_timer timer;
  double started, delay;
} measured;

static void check_not_early_cb(dw_timer *t) {
  measured *m = t->data;
  CHECK(dw_loop_seconds(&loop) >= m->started + m->delay);
}

TEST(never_fires_early_even_where_the_loops_time_is_old) {
  open_loop();
  measured many[20];
  for (int i = 0; i < 20; i++) {
    delay_loop(1); /* libuv's time falls behind */
    measured *m = &many[i];
    m->delay = i * 0.001;
    m->started = dw_loop_seconds(&loop);
    dw_timer_init(&m->timer, check_not_early_cb, m);
    dw_timer_start(&loop, &m->timer, (uint64_t)i);
  }
  CHECK_INT(dw_loop_run(&loop, NULL, NULL), 0);
  CHECK_INT(loop.timers, 0);
  close_loop();
}

TEST(a_stopped_timer_does_not_keep_the_loop_alive) {
  open_loop();
  dw_timer t;
  dw_timer_init(&t, trace_timer_cb, named("t"));
  dw_timer_start(&loop, &t, 3600 * 1000);
  CHECK_INT(dw_loop_turn(&loop, false), 1);
  dw_timer_stop(&loop, &t);
  CHECK_INT(dw_loop_turn(&loop, false), 0);
  CHECK_INT(dw_loop_run(&loop, NULL, NULL), 0);
  close_loop();
}

TEST(the_longest_delay_does_not_wrap_around) {
  open_loop();
  dw_timer t;
  dw_timer_init(&t, trace_timer_cb, named("t"));
  dw_timer_start(&loop, &t, UINT64_MAX);
  CHECK_INT(dw_loop_turn(&loop, false), 1);
  CHECK_STR(trace, "");
  dw_loop_use_virtual_clock(&loop);
  dw_timer_start(&loop, &t, UINT64_MAX);
  dw_loop_advance(&loop, 1000);
  CHECK_STR(trace, "");
  dw_timer_stop(&loop, &t);
  close_loop();
}

/* --- The virtual clock -----------------------------------------------------*/

TEST(virtual_time_stands_still_until_advanced) {
  open_loop();
  dw_loop_use_virtual_clock(&loop);
  dw_loop_use_virtual_clock(&loop);
  uint64_t now = dw_loop_now(&loop);
  double seconds = dw_loop_seconds(&loop);
  delay_loop(5);
  dw_loop_turn(&loop, false);
  CHECK_INT(dw_loop_now(&loop), now);
  CHECK(dw_loop_seconds(&loop) == seconds);
  CHECK_INT(dw_loop_advance(&loop, 1500), 1500);
  CHECK_INT(dw_loop_now(&loop), now + 1500);
  CHECK(dw_loop_seconds(&loop) == (double)(now + 1500) / 1e3);
  close_loop();
}

TEST(running_timers_keep_their_distance_when_the_clock_becomes_virtual) {
  open_loop();
  dw_timer t;
  dw_timer_init(&t, trace_timer_cb, named("t"));
  dw_timer_start(&loop, &t, 60000);
  dw_loop_use_virtual_clock(&loop);
  CHECK_INT(dw_loop_advance(&loop, 50000), 50000);
  CHECK_STR(trace, "");
  uint64_t rest = dw_loop_advance(&loop, 20000);
  CHECK(rest >= 9000 && rest <= 10001);
  CHECK_STR(trace, "t");
  close_loop();
}

TEST(waiting_for_a_virtual_timer_that_nobody_advances_is_a_deadlock) {
  open_loop();
  dw_loop_use_virtual_clock(&loop);
  bool never = false;
  dw_timer t;
  dw_timer_init(&t, trace_timer_cb, named("t"));
  dw_timer_start(&loop, &t, 1);
  CHECK_INT(dw_loop_run(&loop, is_set, &never), DEWAR_EDEADLOCK);
  dw_timer_start(&loop, &t, 0); /* due without advancing */
  CHECK_INT(dw_loop_run(&loop, has_traced, named("t")), 0);
  close_loop();
}

TEST(advancing_a_real_clock_does_nothing) {
  open_loop();
  CHECK_INT(dw_loop_advance(&loop, 100), 0);
  close_loop();
}

/* --- Deferred calls --------------------------------------------------------*/

TEST(deferred_calls_run_in_order_once_and_not_at_once) {
  open_loop();
  dw_deferred a, b, c;
  dw_deferred_init(&a, trace_deferred_cb, named("a"));
  dw_deferred_init(&b, trace_deferred_cb, named("b"));
  dw_deferred_init(&c, trace_deferred_cb, named("c"));
  dw_loop_defer(&loop, &a);
  dw_loop_defer(&loop, &b);
  dw_loop_defer(&loop, &a);
  dw_loop_defer(&loop, &c);
  dw_deferred_cancel(&c);
  dw_deferred_cancel(&c);
  CHECK_STR(trace, "");
  CHECK_INT(dw_loop_run(&loop, NULL, NULL), 0);
  CHECK_STR(trace, "ab");
  close_loop();
}

static dw_deferred victim;

static void cancel_victim_cb(dw_deferred *d) {
  add_trace(d->data);
  dw_deferred_cancel(&victim);
}

TEST(a_deferred_call_may_cancel_one_of_the_same_batch) {
  open_loop();
  dw_deferred a;
  dw_deferred_init(&a, cancel_victim_cb, named("a"));
  dw_deferred_init(&victim, trace_deferred_cb, named("v"));
  dw_loop_defer(&loop, &a);
  dw_loop_defer(&loop, &victim);
  CHECK_INT(dw_loop_run(&loop, NULL, NULL), 0);
  CHECK_STR(trace, "a");
  close_loop();
}

static unsigned rounds;

static void defer_again_cb(dw_deferred *d) {
  rounds++;
  dw_loop_defer(&loop, d);
}

static void timer_sets_cb(dw_timer *t) { *(bool *)t->data = true; }

TEST(a_call_that_defers_itself_starves_nobody) {
  open_loop();
  bool fired_in_time = false;
  dw_deferred d;
  dw_timer t;
  dw_deferred_init(&d, defer_again_cb, NULL);
  dw_timer_init(&t, timer_sets_cb, &fired_in_time);
  rounds = 0;
  dw_loop_defer(&loop, &d);
  dw_loop_turn(&loop, false);
  CHECK(rounds >= 1 && rounds <= 2); /* before polling, and after it */
  dw_timer_start(&loop, &t, 3);
  CHECK_INT(dw_loop_run(&loop, is_set, &fired_in_time), 0);
  CHECK(rounds > 2);
  dw_deferred_cancel(&d);
  close_loop();
}

static void free_cb(dw_deferred *d) { dw_free(&allocator, d, sizeof(*d)); }

TEST(a_deferred_call_may_free_itself) {
  open_loop();
  dw_deferred *d = dw_alloc(&allocator, sizeof(*d));
  REQUIRE(d);
  dw_deferred_init(d, free_cb, NULL);
  dw_loop_defer(&loop, d);
  CHECK_INT(dw_loop_run(&loop, NULL, NULL), 0);
  close_loop();
}

static void set_cb(dw_deferred *d) { *(bool *)d->data = true; }

TEST(does_not_block_when_what_ran_before_the_poll_was_all_it_waited_for) {
  open_loop();
  bool done = false;
  dw_timer far;
  dw_timer_init(&far, trace_timer_cb, named("far"));
  dw_timer_start(&loop, &far, 3600 * 1000);
  dw_deferred d;
  dw_deferred_init(&d, set_cb, &done);
  dw_loop_defer(&loop, &d);
  CHECK_INT(dw_loop_run(&loop, is_set, &done), 0);
  dw_loop_defer(&loop, &d);
  CHECK_INT(dw_loop_turn(&loop, true), 1);
  dw_timer_stop(&loop, &far);
  close_loop();
}

/* --- Posts -----------------------------------------------------------------*/

static void trace_post(void *data) { add_trace(data); }

TEST(runs_posts_in_order_though_nothing_else_is_alive) {
  open_loop();
  CHECK_INT(dw_loop_post(&loop, trace_post, named("a")), 0);
  CHECK_INT(dw_loop_post(&loop, trace_post, named("b")), 0);
  CHECK_STR(trace, "");
  CHECK_INT(dw_loop_run(&loop, has_traced, named("ab")), 0);
  CHECK_STR(trace, "ab");
  close_loop();
}

enum { POSTS = 10000 };

typedef struct counting {
  int next;
  bool in_order, finished;
  uv_thread_t thread, loop_thread;
} counting;

static counting count;

static void count_post(void *data) {
  uv_thread_t self = uv_thread_self();
  if (*(int *)data != count.next++ ||
      !uv_thread_equal(&self, &count.loop_thread))
    count.in_order = false;
  free(data);
  if (count.next == POSTS) count.finished = true;
}

static void post_many(void *data) {
  (void)data;
  for (int i = 0; i < POSTS; i++) {
    int *number = malloc(sizeof(*number));
    if (!number) abort();
    *number = i;
    if (dw_loop_post(&loop, count_post, number) != 0) abort();
  }
}

TEST(runs_posts_of_another_thread_on_the_loops_in_order) {
  open_loop();
  count = (counting){.in_order = true, .loop_thread = uv_thread_self()};
  dw_loop_hold(&loop);
  REQUIRE(uv_thread_create(&count.thread, post_many, NULL) == 0);
  CHECK_INT(dw_loop_run(&loop, is_set, &count.finished), 0);
  uv_thread_join(&count.thread);
  dw_loop_release(&loop);
  CHECK(count.in_order);
  CHECK_INT(count.next, POSTS);
  CHECK_INT(dw_loop_turn(&loop, false), 0);
  close_loop();
}

static void post_from_post(void *data) {
  add_trace(data);
  CHECK_INT(dw_loop_post(&loop, trace_post, named("never")), DEWAR_ECLOSED);
}

TEST(runs_posts_that_are_left_when_it_is_closed) {
  open_loop();
  CHECK_INT(dw_loop_post(&loop, post_from_post, named("left")), 0);
  close_loop();
  CHECK_STR(trace, "left");
}

/* --- Turning ---------------------------------------------------------------*/

TEST(reports_a_deadlock_only_when_nothing_is_alive) {
  open_loop();
  bool done = false;
  CHECK_INT(dw_loop_run(&loop, is_set, &done), DEWAR_EDEADLOCK);
  dw_timer t;
  dw_timer_init(&t, timer_sets_cb, &done);
  dw_timer_start(&loop, &t, 2);
  CHECK_INT(dw_loop_run(&loop, is_set, &done), 0);
  CHECK_INT(dw_loop_run(&loop, is_set, &done), 0);
  CHECK_INT(dw_loop_run(&loop, NULL, NULL), 0);
  close_loop();
}

static int reentry[3];

static void try_reentry(void) {
  reentry[0] = dw_loop_run(&loop, NULL, NULL);
  reentry[1] = dw_loop_turn(&loop, false);
  reentry[2] = dw_loop_turn(&loop, true);
}

static void check_refused(void) {
  for (int i = 0; i < 3; i++) {
    CHECK_INT(reentry[i], DEWAR_EREENTRY);
    reentry[i] = 0;
  }
}

static void reenter_deferred_cb(dw_deferred *d) {
  (void)d;
  try_reentry();
}

static void reenter_timer_cb(dw_timer *t) {
  (void)t;
  try_reentry();
}

static void reenter_post(void *data) {
  (void)data;
  try_reentry();
}

TEST(refuses_to_be_turned_from_inside_a_turn) {
  open_loop();
  dw_deferred d;
  dw_timer t;
  dw_deferred_init(&d, reenter_deferred_cb, NULL);
  dw_timer_init(&t, reenter_timer_cb, NULL);
  dw_loop_defer(&loop, &d);
  CHECK_INT(dw_loop_run(&loop, NULL, NULL), 0);
  check_refused();
  dw_timer_start(&loop, &t, 1);
  CHECK_INT(dw_loop_run(&loop, NULL, NULL), 0);
  check_refused();
  dw_loop_post(&loop, reenter_post, NULL);
  CHECK_INT(dw_loop_run(&loop, NULL, NULL), 0);
  check_refused();
  dw_loop_use_virtual_clock(&loop);
  dw_timer_start(&loop, &t, 1);
  dw_loop_advance(&loop, 1);
  check_refused();
  CHECK_INT(loop.running, 0);
  close_loop();
}

/* --- A host's loop ---------------------------------------------------------*/

static unsigned host_ticks;

static void host_timer_cb(uv_timer_t *t) {
  (void)t;
  host_ticks++;
}

TEST(leaves_a_hosts_loop_open_and_its_handles_alone) {
  uv_loop_t host;
  uv_timer_t timer;
  REQUIRE(uv_loop_init(&host) == 0);
  uv_timer_init(&host, &timer);
  uv_timer_start(&timer, host_timer_cb, 0, 1);
  dw_allocator_init(&allocator, NULL, NULL);
  CHECK_INT(dw_loop_init(&loop, &host, &allocator, NULL), 0);
  dw_loop_deinit(&loop);
  CHECK_INT(allocator.used, 0);
  CHECK(uv_is_active((uv_handle_t *)&timer));
  host_ticks = 0;
  while (host_ticks == 0) uv_run(&host, UV_RUN_ONCE);
  uv_close((uv_handle_t *)&timer, NULL);
  uv_run(&host, UV_RUN_DEFAULT);
  CHECK_INT(uv_loop_close(&host), 0);
}

TEST(serves_while_a_host_turns_its_loop_and_keeps_it_alive_only_for_work) {
  uv_loop_t host;
  REQUIRE(uv_loop_init(&host) == 0);
  dw_allocator_init(&allocator, NULL, NULL);
  CHECK_INT(dw_loop_init(&loop, &host, &allocator, NULL), 0);
  CHECK_INT(uv_run(&host, UV_RUN_DEFAULT), 0);
  trace[0] = '\0';
  dw_deferred d;
  dw_timer t;
  dw_deferred_init(&d, reenter_deferred_cb, NULL);
  dw_timer_init(&t, trace_timer_cb, named("t"));
  dw_loop_defer(&loop, &d);
  dw_timer_start(&loop, &t, 3);
  CHECK_INT(uv_run(&host, UV_RUN_DEFAULT), 0);
  CHECK_STR(trace, "t");
  check_refused(); /* though it was the host that turned it */
  dw_loop_deinit(&loop);
  CHECK_INT(uv_loop_close(&host), 0);
  CHECK_INT(allocator.used, 0);
}

static int open_and_close(dw_allocator *a, void *data) {
  dw_loop l;
  int err = dw_loop_init(&l, data, a, NULL);
  if (!err) dw_loop_deinit(&l);
  return err;
}

TEST(opening_survives_failing_allocations) {
  unit_failing_allocations(open_and_close, NULL);
}

/* --- Work for the pool -----------------------------------------------------*/

typedef struct job {
  dw_work work;
  uv_thread_t thread;
  unsigned runs;
} job;

static void job_run(dw_work *w) {
  job *j = DW_CONTAINER(w, job, work);
  j->thread = uv_thread_self();
  j->runs++;
}

static void job_done(dw_work *w) {
  job *j = DW_CONTAINER(w, job, work);
  uv_thread_t here = uv_thread_self();
  CHECK_INT(j->runs, 1);
  CHECK(!uv_thread_equal(&j->thread, &here));
  CHECK(!w->busy);
  CHECK_INT(dw_loop_turn(&loop, false), DEWAR_EREENTRY);
  strcat(trace, "d");
}

static bool job_is_done(void *data) { return !((job *)data)->work.busy; }

TEST(does_work_on_another_thread_and_tells_it_on_its_own) {
  job j = {.runs = 0};
  open_loop();
  dw_work_start(&loop, &j.work, job_run, job_done);
  CHECK(j.work.busy);
  CHECK_INT(dw_loop_run(&loop, job_is_done, &j), 0);
  CHECK_STR(trace, "d");
  close_loop();
}

TEST(waits_for_work_before_it_closes) {
  uv_loop_t host;
  CHECK_INT(uv_loop_init(&host), 0);
  dw_allocator_init(&allocator, NULL, NULL);
  CHECK_INT(dw_loop_init(&loop, &host, &allocator, NULL), 0);
  job jobs[8] = {{.runs = 0}};
  trace[0] = '\0';
  for (int i = 0; i < 8; i++)
    dw_work_start(&loop, &jobs[i].work, job_run, job_done);
  dw_loop_deinit(&loop);
  CHECK_STR(trace, "dddddddd");
  CHECK_INT(uv_loop_close(&host), 0);
}

/* --- The date --------------------------------------------------------------*/

TEST(formats_the_date_as_http_wants_it) {
  open_loop();
  dw_slice date = dw_loop_date(&loop);
  char text[32];
  snprintf(text, sizeof(text), "%.*s", DW_FMT(date));
  struct tm tm = {0};
  char *rest = strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm);
  CHECK(rest && *rest == '\0');
  long long distance = (long long)(time(NULL) - timegm(&tm));
  CHECK(distance >= 0 && distance < 60);
  CHECK_INT(date.len, 29);
  CHECK(dw_loop_date(&loop).ptr == date.ptr);
  close_loop();
}
