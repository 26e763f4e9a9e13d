/* SPDX-License-Identifier: MIT */
/* The loop. A turn goes: `tick` (timers), `prepare` (timers, deferred calls),
 * the poll for I/O, `check` (deferred calls). `idle` is active exactly while
 * the poll must not block. Owner: the runtime. Thread: its own, except
 * dw_loop_post. */
#include "base/loop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/error.h"

/* In dw_loop_deinit: enough for what was closed just before. */
enum { LAST_DRAINS = 8 };

/* --- Deferred calls --------------------------------------------------------*/

void dw_deferred_init(dw_deferred *d, dw_deferred_cb cb, void *data) {
  dw_list_init(&d->node);
  d->cb = cb;
  d->data = data;
}

void dw_loop_defer(dw_loop *loop, dw_deferred *d) {
  if (!dw_list_empty(&d->node)) return;
  dw_list_push(&loop->deferred, &d->node);
  dw_loop_hurry(loop);
}

void dw_deferred_cancel(dw_deferred *d) { dw_list_remove(&d->node); }

static void drain(dw_loop *loop) {
  if (dw_list_empty(&loop->deferred)) return;
  dw_list batch;
  dw_list_init(&batch);
  dw_list_splice(&batch, &loop->deferred);
  dw_loop_enter(loop);
  for (dw_list *node; (node = dw_list_shift(&batch));) {
    dw_deferred *d = DW_CONTAINER(node, dw_deferred, node);
    loop->ran = true;
    loop->calls++;
    d->cb(d);
  }
  dw_loop_leave(loop);
}

/* --- A turn ----------------------------------------------------------------*/

static void idle_cb(uv_idle_t *idle) { (void)idle; }

void dw_loop_hurry(dw_loop *loop) { uv_idle_start(&loop->idle, idle_cb); }

static void stop_hurrying(dw_loop *loop) {
  if (dw_list_empty(&loop->deferred) && !dw_loop_timers_due(loop))
    uv_idle_stop(&loop->idle);
}

/* What ran before the poll may be all that was waited for. */
static bool is_satisfied(dw_loop *loop) {
  if (loop->done) return loop->done(loop->done_data);
  return loop->eager && loop->ran;
}

static void prepare_cb(uv_prepare_t *prepare) {
  dw_loop *loop = prepare->data;
  dw_loop_run_timers(loop);
  drain(loop);
  stop_hurrying(loop);
  if (is_satisfied(loop)) dw_loop_hurry(loop);
}

static void check_cb(uv_check_t *check) {
  dw_loop *loop = check->data;
  drain(loop);
  stop_hurrying(loop);
}

/* --- Posts -----------------------------------------------------------------*/

/* Under the lock, so that dw_loop_deinit doesn't close `wake` meanwhile. */
static bool enqueue(dw_loop *loop, dw_post *p) {
  uv_mutex_lock(&loop->post_lock);
  bool closed = loop->posts_closed;
  if (!closed) {
    if (loop->posts)
      ((dw_post *)loop->posts_last)->next = p;
    else
      loop->posts = p;
    loop->posts_last = p;
    uv_async_send(&loop->wake);
  }
  uv_mutex_unlock(&loop->post_lock);
  return !closed;
}

int dw_loop_post(dw_loop *loop, void (*fn)(void *data), void *data) {
  dw_post *p = malloc(sizeof(*p));
  if (!p) return UV_ENOMEM;
  *p = (dw_post){.fn = fn, .data = data, .ours = true};
  if (enqueue(loop, p)) return 0;
  free(p);
  return DEWAR_ECLOSED;
}

void dw_loop_send(dw_loop *loop, dw_post *p) {
  p->next = NULL;
  p->ours = false;
  bool open = enqueue(loop, p);
  assert(open);
  (void)open;
}

static dw_post *take_posts(dw_loop *loop, bool close) {
  uv_mutex_lock(&loop->post_lock);
  dw_post *first = loop->posts;
  loop->posts = loop->posts_last = NULL;
  if (close) loop->posts_closed = true;
  uv_mutex_unlock(&loop->post_lock);
  return first;
}

/* A post that isn't ours may be gone once its fn is called. */
static void run_posts(dw_loop *loop, dw_post *p) {
  dw_loop_enter(loop);
  while (p) {
    dw_post *next = p->next;
    bool ours = p->ours;
    loop->ran = true;
    loop->calls++;
    p->fn(p->data);
    if (ours) free(p);
    p = next;
  }
  dw_loop_leave(loop);
}

static bool has_posts(dw_loop *loop) {
  uv_mutex_lock(&loop->post_lock);
  bool some = loop->posts != NULL;
  uv_mutex_unlock(&loop->post_lock);
  return some;
}

static void wake_cb(uv_async_t *wake) {
  dw_loop *loop = wake->data;
  run_posts(loop, take_posts(loop, false));
}

/* --- Opening and closing ---------------------------------------------------*/

static void init_handle(dw_loop *loop, uv_handle_t *handle, bool keeps_alive) {
  handle->data = loop;
  if (!keeps_alive) uv_unref(handle);
}

/* `wake` is there already, being the one whose init can fail. */
static void init_handles(dw_loop *loop) {
  uv_timer_init(loop->uv, &loop->tick);
  uv_prepare_init(loop->uv, &loop->prepare);
  uv_check_init(loop->uv, &loop->check);
  uv_idle_init(loop->uv, &loop->idle);
  init_handle(loop, (uv_handle_t *)&loop->wake, false);
  init_handle(loop, (uv_handle_t *)&loop->tick, true);
  init_handle(loop, (uv_handle_t *)&loop->prepare, false);
  init_handle(loop, (uv_handle_t *)&loop->check, false);
  init_handle(loop, (uv_handle_t *)&loop->idle, true);
  uv_prepare_start(&loop->prepare, prepare_cb);
  uv_check_start(&loop->check, check_cb);
}

int dw_loop_init(dw_loop *loop, uv_loop_t *uv, dw_allocator *a, dw_log *log) {
  *loop = (dw_loop){.uv = uv, .alloc = a, .log = log};
  dw_list_init(&loop->deferred);
  loop->read_buffer = dw_alloc(a, DW_READ_BUFFER);
  if (!loop->read_buffer) return DW_ENOMEM;
  int err = uv_mutex_init(&loop->post_lock);
  if (err) goto no_mutex;
  if (!uv) {
    err = uv_loop_init(&loop->own);
    if (err) goto no_loop;
    loop->uv = &loop->own;
    loop->owned = true;
  }
  err = uv_async_init(loop->uv, &loop->wake, wake_cb);
  if (err) goto no_wake;
  init_handles(loop);
  return 0;

no_wake:
  if (loop->owned) uv_loop_close(&loop->own);
no_loop:
  uv_mutex_destroy(&loop->post_lock);
no_mutex:
  dw_free(a, loop->read_buffer, DW_READ_BUFFER);
  return err;
}

static void closed_cb(uv_handle_t *handle) {
  dw_loop *loop = handle->data;
  loop->closing--;
}

static void close_handle(dw_loop *loop, uv_handle_t *handle) {
  loop->closing++;
  uv_close(handle, closed_cb);
}

static void count_open_cb(uv_handle_t *handle, void *count) {
  if (!uv_is_closing(handle)) ++*(unsigned *)count;
}

/* What others left on a loop of ours: closes and requests under way end by
 * themselves; an open handle never does. */
static void close_own(dw_loop *loop) {
  if (uv_loop_close(&loop->own) == 0) return;
  unsigned open = 0;
  uv_walk(&loop->own, count_open_cb, &open);
  if (open == 0) uv_run(&loop->own, UV_RUN_DEFAULT);
  if (uv_loop_close(&loop->own) == 0) return;
  dw_logf(loop->log, DEWAR_ERROR, "the loop was freed with %u handles open",
          open);
}

static bool turn(dw_loop *loop, uv_run_mode mode);

void dw_loop_deinit(dw_loop *loop) {
  assert(loop->running == 0);
  while (loop->working > 0) turn(loop, UV_RUN_ONCE);
  run_posts(loop, take_posts(loop, true));
  for (int i = 0; i < LAST_DRAINS; i++) drain(loop);
  close_handle(loop, (uv_handle_t *)&loop->wake);
  close_handle(loop, (uv_handle_t *)&loop->tick);
  close_handle(loop, (uv_handle_t *)&loop->prepare);
  close_handle(loop, (uv_handle_t *)&loop->check);
  close_handle(loop, (uv_handle_t *)&loop->idle);
  while (loop->closing > 0) uv_run(loop->uv, UV_RUN_NOWAIT);
  if (loop->owned) close_own(loop);
  uv_mutex_destroy(&loop->post_lock);
  dw_free(loop->alloc, loop->read_buffer, DW_READ_BUFFER);
  loop->read_buffer = NULL;
}

/* --- Turning ---------------------------------------------------------------*/

static bool turn(dw_loop *loop, uv_run_mode mode) {
  dw_loop_enter(loop);
  loop->ran = false;
  /* uv_run doesn't poll for what it doesn't take for alive. */
  if (!uv_loop_alive(loop->uv)) run_posts(loop, take_posts(loop, false));
  bool alive = uv_run(loop->uv, mode) != 0;
  dw_loop_leave(loop);
  return alive || has_posts(loop);
}

int dw_loop_turn(dw_loop *loop, bool wait) {
  if (loop->running) return DEWAR_EREENTRY;
  loop->eager = true;
  bool alive = turn(loop, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
  loop->eager = false;
  return alive ? 1 : 0;
}

int dw_loop_run(dw_loop *loop, bool (*done)(void *data), void *data) {
  if (loop->running) return DEWAR_EREENTRY;
  loop->done = done;
  loop->done_data = data;
  bool alive = true, finished = false;
  while (alive && !finished) {
    finished = done && done(data);
    if (!finished) alive = turn(loop, UV_RUN_ONCE);
  }
  loop->done = NULL;
  loop->done_data = NULL;
  if (!done || finished || done(data)) return 0;
  return DEWAR_EDEADLOCK;
}

void dw_loop_hold(dw_loop *loop) {
  if (loop->held++ == 0) uv_ref((uv_handle_t *)&loop->wake);
}

void dw_loop_release(dw_loop *loop) {
  assert(loop->held > 0);
  if (--loop->held == 0) uv_unref((uv_handle_t *)&loop->wake);
}

/* --- The date --------------------------------------------------------------*/

static void format_date(char *out, size_t size, time_t now) {
  static const char days[][4] = {"Sun", "Mon", "Tue", "Wed",
                                 "Thu", "Fri", "Sat"};
  static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  struct tm tm = {0};
  gmtime_r(&now, &tm);
  snprintf(out, size, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday],
           tm.tm_mday, months[tm.tm_mon], (tm.tm_year + 1900) % 10000,
           tm.tm_hour, tm.tm_min, tm.tm_sec);
}

dw_slice dw_loop_date(dw_loop *loop) {
  time_t now = time(NULL);
  if ((uint64_t)now != loop->date_second) {
    loop->date_second = (uint64_t)now;
    format_date(loop->date, sizeof(loop->date), now);
  }
  return dw_slice_of(loop->date, 29);
}
