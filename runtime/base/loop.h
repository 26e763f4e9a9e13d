/* SPDX-License-Identifier: MIT */
/* The loop: one uv_loop_t (the host's or our own), and beside it what Dewar
 * wants of it in one place: timers on a clock that tests can turn by hand, the
 * deferred queue (drained once per turn), posts from other threads, the shared
 * read buffer and the Date header. Owner: the runtime. Thread: its own, except
 * dw_loop_post. */
#ifndef DW_BASE_LOOP_H
#define DW_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/slice.h"

typedef struct dw_loop dw_loop;

/* Timers: an intrusive pairing heap, so that starting one can't fail. Equal
 * due times fire in the order of starting. Milliseconds of dw_loop_now. */
typedef struct dw_timer dw_timer;
typedef void (*dw_timer_cb)(dw_timer *timer);
struct dw_timer {
  dw_timer_cb cb;
  void *data;
  uint64_t due;
  uint64_t order; /* 0 while stopped */
  dw_timer *child, *next, *prev;
};

void dw_timer_init(dw_timer *t, dw_timer_cb cb, void *data);
/* (Re)starts; fires once, never from within this call. */
void dw_timer_start(dw_loop *loop, dw_timer *t, uint64_t delay_ms);
void dw_timer_stop(dw_loop *loop, dw_timer *t); /* idempotent */
static inline bool dw_timer_active(const dw_timer *t) { return t->order != 0; }

/* Deferred calls: an intrusive queue drained once per turn, before and after
 * polling. What is deferred during a drain runs in the next one, so nothing
 * starves I/O. */
typedef struct dw_deferred dw_deferred;
typedef void (*dw_deferred_cb)(dw_deferred *d);
struct dw_deferred {
  dw_list node; /* in no list: not queued */
  dw_deferred_cb cb;
  void *data;
};

void dw_deferred_init(dw_deferred *d, dw_deferred_cb cb, void *data);
void dw_loop_defer(dw_loop *loop, dw_deferred *d); /* idempotent */
void dw_deferred_cancel(dw_deferred *d);           /* idempotent */

enum { DW_READ_BUFFER = 64 * 1024 };

struct dw_loop {
  uv_loop_t *uv;
  dw_allocator *alloc;
  dw_log *log;
  /* Private from here on. */
  uv_loop_t own; /* the loop itself where the host gave none */
  bool owned;
  uint8_t running; /* depth of turns and callbacks: refuses re-entrance */
  bool eager;      /* this turn must not block once something has run in it */
  bool ran;        /* a timer, a deferred call or a post has run in this turn */
  uint64_t calls;  /* of these, so far */
  bool (*done)(void *data); /* dw_loop_run's, while it runs */
  void *done_data;
  unsigned held;    /* dw_loop_hold minus dw_loop_release */
  unsigned closing; /* internal handles whose close is under way */
  unsigned working; /* dw_loop_work_begun minus dw_loop_work_ended */
  uv_timer_t tick;
  uv_prepare_t prepare;
  uv_check_t check;
  uv_idle_t idle;
  uv_async_t wake;
  dw_timer *heap;
  uint64_t armed; /* when tick is due; 0: not armed */
  uint64_t order;
  size_t timers; /* active ones */
  bool virtual_clock;
  uint64_t virtual_now;
  double virtual_epoch; /* when that was 0, in seconds since 1970 */
  dw_list deferred;
  uv_mutex_t post_lock;
  void *posts; /* locked: a FIFO of posts */
  void *posts_last;
  bool posts_closed; /* locked: dw_loop_deinit has begun */
  char *read_buffer; /* DW_READ_BUFFER bytes, shared by all reads */
  uint64_t date_second;
  char date[32];
};

/* uv NULL: a loop of its own. 0 or a negative code. Internal handles are
 * unreferenced: they don't keep a host's uv_run alive. But an active dw_timer
 * or a queued deferred does (tick and idle are referenced while needed). */
int dw_loop_init(dw_loop *loop, uv_loop_t *uv, dw_allocator *a, dw_log *log);
/* Waits for work that is under way, closes the internal handles and turns the
 * loop until they are closed. What is deferred still runs (the end of an
 * in-memory stream's close, say); all timers must be stopped. A host's loop is
 * left open. */
void dw_loop_deinit(dw_loop *loop);

/* Milliseconds on the loop's clock: uv_now, or the virtual one. */
uint64_t dw_loop_now(const dw_loop *loop);
/* Seconds, monotonic, as fine as the machine has them (virtual: exact ms). */
double dw_loop_seconds(const dw_loop *loop);
/* Seconds since 1970; with the virtual clock, since it is, by that. */
double dw_loop_time(const dw_loop *loop);
/* From now on time stands still until advanced. Timers keep their distance; one
 * that is not due yet doesn't keep the loop alive, as only advancing helps. */
void dw_loop_use_virtual_clock(dw_loop *loop);
/* Moves a virtual clock to the next due timer, but not past now + ms, and runs
 * what is due there. Returns the milliseconds actually advanced. */
uint64_t dw_loop_advance(dw_loop *loop, uint64_t ms);

/* Turns the loop until done(data) or until nothing is left that could happen.
 * Returns 0; DEWAR_EREENTRY from inside a turn; DEWAR_EDEADLOCK when nothing is
 * alive but done() is still false. */
int dw_loop_run(dw_loop *loop, bool (*done)(void *data), void *data);
/* One turn. wait false: doesn't block. Returns >0 while something is alive, 0
 * when nothing is, DEWAR_EREENTRY from inside a turn. */
int dw_loop_turn(dw_loop *loop, bool wait);

/* Every callback that libuv makes into Dewar runs between these two, so that
 * "inside a turn" is known on a host's loop too, which the host may turn. */
static inline void dw_loop_enter(dw_loop *loop) { loop->running++; }
static inline void dw_loop_leave(dw_loop *loop) { loop->running--; }

/* Keeps the loop alive while something is awaited that no handle stands for,
 * such as a post from another thread. Calls are counted. */
void dw_loop_hold(dw_loop *loop);
void dw_loop_release(dw_loop *loop);

/* What must not be left behind, such as a call in the pool or a child that has
 * been killed: dw_loop_deinit turns the loop until it has ended. Counted. */
static inline void dw_loop_work_begun(dw_loop *loop) { loop->working++; }
static inline void dw_loop_work_ended(dw_loop *loop) { loop->working--; }

/* Runs fn(data) on the loop's thread soon; from any thread; 0 or UV_ENOMEM, or
 * DEWAR_ECLOSED from a post that dw_loop_deinit runs. In order. Posts that are
 * left run in dw_loop_deinit. Uses plain malloc, since allocators are
 * single-threaded. */
int dw_loop_post(dw_loop *loop, void (*fn)(void *data), void *data);

/* A post whose memory is the caller's, up to the call of fn: never fails. Not
 * after dw_loop_deinit has begun. */
typedef struct dw_post dw_post;
struct dw_post {
  dw_post *next;
  void (*fn)(void *data);
  void *data;
  bool ours; /* made by dw_loop_post */
};
void dw_loop_send(dw_loop *loop, dw_post *post);

/* "Sun, 06 Nov 1994 08:49:37 GMT", made once a second (RFC 9110, 5.6.7). */
dw_slice dw_loop_date(dw_loop *loop);

/* Between loop.c and timer.c: runs the timers that are due; whether one is; the
 * turn under way, or the next one, doesn't block. */
void dw_loop_run_timers(dw_loop *loop);
bool dw_loop_timers_due(const dw_loop *loop);
void dw_loop_hurry(dw_loop *loop);

#endif
