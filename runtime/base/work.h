/* SPDX-License-Identifier: MIT */
/* Work for libuv's pool of threads, such as reading from a disk. The struct is
 * part of what the work is about; that must stay until done. Owner: who starts
 * it. Thread: the loop's, but for run. */
#ifndef DW_BASE_WORK_H
#define DW_BASE_WORK_H

#include <stdbool.h>

#include "base/loop.h"

typedef struct dw_work dw_work;
struct dw_work {
  uv_work_t req;
  dw_loop *loop;
  /* On a thread of the pool: may use what belongs to the work for as long as it
   * runs, and neither the allocator nor anything else of the loop's. */
  void (*run)(dw_work *w);
  /* On the loop's, inside of a turn, once run has returned: may free the work.
   */
  void (*done)(dw_work *w);
  bool busy; /* started, and not done */
};

/* Never fails. The loop is alive until the work is done, and dw_loop_deinit
 * waits for it. */
void dw_work_start(dw_loop *loop, dw_work *w, void (*run)(dw_work *w),
                   void (*done)(dw_work *w));

#endif
