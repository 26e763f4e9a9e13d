/* SPDX-License-Identifier: MIT */
/* A crew: threads of our own for work that may take long, so that libuv's pool,
 * which files and names wait for, stays free. Threads start when there is work
 * for them, keep what they have opened, and take jobs in the order they came.
 * Owner: who made it. Thread: the loop's, but for what is marked. */
#ifndef DW_BASE_CREW_H
#define DW_BASE_CREW_H

#include "base/list.h"
#include "base/loop.h"

typedef struct dw_crew dw_crew;
typedef struct dw_job dw_job;

/* The struct is part of what the job is about; that stays until done. */
struct dw_job {
  dw_list node; /* of the queue */
  dw_post post;
  void *member; /* of whose thread runs it */
  /* Inside of a turn, or from dw_crew_free for one that has not been run: may
   * free the job, and not use the crew. */
  void (*done)(dw_job *job);
  bool ran;
};

/* What the threads do. */
typedef struct dw_crew_type {
  /* On the new thread: what it keeps, or NULL. */
  void *(*open)(void *data);
  /* On the thread: member is NULL where open has failed. */
  void (*run)(void *member, dw_job *job);
  /* On the thread, after a run: no stop for it comes any more. */
  void (*rest)(void *member);
  /* On the thread, at its end. */
  void (*close)(void *member);
  /* Makes a run of the member's end soon. On the loop's thread, while it runs.
   */
  void (*stop)(void *member);
} dw_crew_type;

/* data must stay as it is. 0 or a negative code. */
int dw_crew_new(dw_crew **out, dw_loop *loop, const dw_crew_type *type,
                void *data);
/* Stops what runs, and returns when every thread has ended. */
void dw_crew_free(dw_crew *crew);
/* How many threads there may be, at least one; those there are stay. */
void dw_crew_resize(dw_crew *crew, unsigned threads);
unsigned dw_crew_threads(const dw_crew *crew); /* that have been started */

/* 0, or a negative code where there is not even one thread. Doesn't keep the
 * loop alive. */
int dw_crew_push(dw_crew *crew, dw_job *job);
/* true: it was still in the queue, and done won't be called. false: it has been
 * told to stop, if it hasn't ended already. */
bool dw_crew_cancel(dw_crew *crew, dw_job *job);

#endif
