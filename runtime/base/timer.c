/* SPDX-License-Identifier: MIT */
/* Timers in a pairing heap: the root is due next, and no node is due before its
 * parent. One uv_timer_t, `tick`, wakes the loop at the root's time or earlier;
 * what is due already waits for the next turn without it. Owner of a dw_timer:
 * who started it. Thread: the loop's. */
#include "base/loop.h"

/* --- The heap --------------------------------------------------------------*/

static bool before(const dw_timer *a, const dw_timer *b) {
  return a->due < b->due || (a->due == b->due && a->order < b->order);
}

/* Joins two heaps, either of which may be NULL. Roots have no siblings. */
static dw_timer *meld(dw_timer *a, dw_timer *b) {
  if (!a) return b;
  if (!b) return a;
  if (before(b, a)) {
    dw_timer *first = b;
    b = a;
    a = first;
  }
  b->prev = a; /* of a first child: the parent */
  b->next = a->child;
  if (a->child) a->child->prev = b;
  a->child = b;
  return a;
}

/* Takes the first heap off a row of siblings. */
static dw_timer *shift(dw_timer **row) {
  dw_timer *t = *row;
  if (!t) return NULL;
  *row = t->next;
  t->next = t->prev = NULL;
  return t;
}

/* Makes one heap of a row of siblings: in pairs from the left, then the pairs
 * from the right, which is what keeps the cost logarithmic. */
static dw_timer *meld_row(dw_timer *row) {
  dw_timer *pairs = NULL;
  while (row) {
    dw_timer *a = shift(&row);
    dw_timer *pair = meld(a, shift(&row));
    pair->next = pairs;
    pairs = pair;
  }
  dw_timer *heap = NULL;
  while (pairs) heap = meld(heap, shift(&pairs));
  return heap;
}

static void heap_remove(dw_loop *loop, dw_timer *t) {
  dw_timer *rest = meld_row(t->child);
  if (t == loop->heap) {
    loop->heap = rest;
  } else {
    if (t->prev->child == t)
      t->prev->child = t->next;
    else
      t->prev->next = t->next;
    if (t->next) t->next->prev = t->prev;
    loop->heap = meld(loop->heap, rest);
  }
  t->child = t->next = t->prev = NULL;
  t->order = 0;
  loop->timers--;
}

/* --- The clock -------------------------------------------------------------*/

uint64_t dw_loop_now(const dw_loop *loop) {
  return loop->virtual_clock ? loop->virtual_now : uv_now(loop->uv);
}

double dw_loop_seconds(const dw_loop *loop) {
  if (loop->virtual_clock) return (double)loop->virtual_now / 1e3;
  return (double)uv_hrtime() / 1e9;
}

double dw_loop_time(const dw_loop *loop) {
  if (loop->virtual_clock)
    return loop->virtual_epoch + (double)loop->virtual_now / 1e3;
  uv_timeval64_t now;
  uv_gettimeofday(&now);
  return (double)now.tv_sec + (double)now.tv_usec / 1e6;
}

bool dw_loop_timers_due(const dw_loop *loop) {
  return loop->heap && loop->heap->due <= dw_loop_now(loop);
}

static void tick_cb(uv_timer_t *tick) {
  dw_loop *loop = tick->data;
  loop->armed = 0;
  dw_loop_run_timers(loop);
}

/* Sees to it that the loop wakes in time for the root. Waking too early does no
 * harm, so a timer that is stopped leaves `tick` as it is. */
static void arm(dw_loop *loop) {
  if (!loop->heap) {
    uv_timer_stop(&loop->tick);
    loop->armed = 0;
    return;
  }
  uint64_t due = loop->heap->due;
  if (dw_loop_timers_due(loop)) {
    dw_loop_hurry(loop);
  } else if (!loop->virtual_clock && (!loop->armed || due < loop->armed)) {
    loop->armed = due;
    uv_timer_start(&loop->tick, tick_cb, due - uv_now(loop->uv), 0);
  }
}

void dw_loop_run_timers(dw_loop *loop) {
  if (!loop->heap) return;
  uint64_t now = dw_loop_now(loop);
  uint64_t last = loop->order; /* what is started from here on has to wait */
  dw_loop_enter(loop);
  while (loop->heap && loop->heap->due <= now && loop->heap->order <= last) {
    dw_timer *t = loop->heap;
    heap_remove(loop, t);
    loop->ran = true;
    loop->calls++;
    t->cb(t);
  }
  dw_loop_leave(loop);
  arm(loop);
}

void dw_loop_use_virtual_clock(dw_loop *loop) {
  if (loop->virtual_clock) return;
  uv_update_time(loop->uv);
  double now = dw_loop_time(loop);
  loop->virtual_now = uv_now(loop->uv);
  loop->virtual_epoch = now - (double)loop->virtual_now / 1e3;
  loop->virtual_clock = true;
  uv_timer_stop(&loop->tick);
  loop->armed = 0;
  arm(loop);
}

uint64_t dw_loop_advance(dw_loop *loop, uint64_t ms) {
  if (!loop->virtual_clock) return 0;
  uint64_t from = loop->virtual_now;
  uint64_t to = ms < UINT64_MAX - from ? from + ms : UINT64_MAX;
  if (loop->heap && loop->heap->due < to)
    to = loop->heap->due > from ? loop->heap->due : from;
  loop->virtual_now = to;
  dw_loop_run_timers(loop);
  return to - from;
}

/* --- Timers ----------------------------------------------------------------*/

void dw_timer_init(dw_timer *t, dw_timer_cb cb, void *data) {
  *t = (dw_timer){.cb = cb, .data = data};
}

/* The time to count a delay from. libuv's time is that of the turn's beginning,
 * and whole milliseconds: counting from it would make the delay too short. */
static uint64_t start_time(const dw_loop *loop, uint64_t delay) {
  if (loop->virtual_clock || delay == 0) return dw_loop_now(loop);
  return uv_hrtime() / 1000000 + 1;
}

void dw_timer_start(dw_loop *loop, dw_timer *t, uint64_t delay_ms) {
  if (dw_timer_active(t)) heap_remove(loop, t);
  uint64_t start = start_time(loop, delay_ms);
  t->due = delay_ms < UINT64_MAX - start ? start + delay_ms : UINT64_MAX;
  t->order = ++loop->order;
  loop->heap = meld(loop->heap, t);
  loop->timers++;
  arm(loop);
}

void dw_timer_stop(dw_loop *loop, dw_timer *t) {
  if (!dw_timer_active(t)) return;
  heap_remove(loop, t);
  if (!loop->heap) arm(loop);
}
