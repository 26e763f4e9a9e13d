/* SPDX-License-Identifier: MIT */
/* Work for the pool of threads. */
#include "base/work.h"

#include <assert.h>

static void run_cb(uv_work_t *req) {
  dw_work *w = req->data;
  w->run(w);
}

/* Nobody cancels the request, so it has run. */
static void done_cb(uv_work_t *req, int status) {
  dw_work *w = req->data;
  dw_loop *loop = w->loop;
  (void)status;
  dw_loop_enter(loop);
  dw_loop_work_ended(loop);
  w->busy = false;
  w->done(w);
  dw_loop_leave(loop);
}

void dw_work_start(dw_loop *loop, dw_work *w, void (*run)(dw_work *w),
                   void (*done)(dw_work *w)) {
  assert(!w->busy);
  w->loop = loop;
  w->run = run;
  w->done = done;
  w->busy = true;
  w->req.data = w;
  dw_loop_work_begun(loop);
  uv_queue_work(loop->uv, &w->req, run_cb, done_cb);
}
