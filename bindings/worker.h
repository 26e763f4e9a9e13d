/* SPDX-License-Identifier: MIT */
/* What a thread of dewar.work keeps: a Lua state with the standard libraries,
 * made for its first job and used for all of them. It shares nothing with the
 * state that the work comes from, memory included. Thread: its own, but for
 * dw_worker_stop. */
#ifndef DW_BINDINGS_WORKER_H
#define DW_BINDINGS_WORKER_H

#include <stdbool.h>

#include "base/buffer.h"

typedef struct dw_worker dw_worker;

/* A call to be made, and what came of it. */
typedef struct dw_call {
  dw_allocator memory; /* of what the worker writes here */
  dw_slice path;       /* package.path, package.cpath, each with a NUL behind */
  size_t limit;        /* of the worker's memory, in bytes; 0: none */
  dw_slice parcel;     /* the function and its arguments */
  bool failed;
  const char *reason; /* static: no values, not even an error */
  dw_buffer values;   /* a parcel: results, or the error */
  dw_buffer text;     /* of the error, */
  dw_buffer trace;    /* and lines of its traceback */
} dw_call;

void dw_call_init(dw_call *call);
void dw_call_deinit(dw_call *call);

/* NULL without memory. */
dw_worker *dw_worker_new(void);
void dw_worker_free(dw_worker *w);
void dw_worker_run(dw_worker *w, dw_call *call);
/* Comes after a run, once nobody stops it any more: ready for the next one. */
void dw_worker_rest(dw_worker *w);
/* From another thread, between run and rest: makes what it runs end. */
void dw_worker_stop(dw_worker *w);

#endif
