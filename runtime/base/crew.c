/* SPDX-License-Identifier: MIT */
/* Threads with a queue. A job is in the queue, or with one member, or posted to
 * the loop; all of that changes under the lock. */
#include "base/crew.h"

#include <pthread.h>
#include <signal.h>

#include "base/error.h"

enum { THREADS_MAX = 1024 };

typedef struct member {
  dw_crew *crew;
  struct member *next;
  uv_thread_t thread;
  void *own;   /* what open has made */
  dw_job *job; /* that it runs */
} member;

struct dw_crew {
  dw_loop *loop;
  const dw_crew_type *type;
  void *data;
  uv_mutex_t lock;
  uv_cond_t work;
  dw_list queue;
  unsigned queued, idle;
  bool closing;
  /* Of the loop's thread alone. */
  member *members;
  unsigned threads, max;
};

/* --- On the threads --------------------------------------------------------*/

/* Signals are the business of the threads that were there before. */
static void block_signals(void) {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, NULL);
}

/* Called with the lock. NULL: the crew closes. */
static dw_job *next_job(dw_crew *crew) {
  crew->idle++;
  while (!crew->closing && dw_list_empty(&crew->queue))
    uv_cond_wait(&crew->work, &crew->lock);
  crew->idle--;
  if (crew->closing) return NULL;
  crew->queued--;
  return DW_CONTAINER(dw_list_shift(&crew->queue), dw_job, node);
}

static void main_cb(void *data) {
  member *m = data;
  dw_crew *crew = m->crew;
  block_signals();
  void *own = crew->type->open(crew->data);
  uv_mutex_lock(&crew->lock);
  m->own = own;
  for (dw_job *job; (job = next_job(crew));) {
    m->job = job;
    job->member = m;
    uv_mutex_unlock(&crew->lock);
    crew->type->run(own, job);
    uv_mutex_lock(&crew->lock);
    m->job = NULL;
    job->ran = true;
    dw_loop_send(crew->loop, &job->post);
    if (!own) continue;
    uv_mutex_unlock(&crew->lock);
    crew->type->rest(own);
    uv_mutex_lock(&crew->lock);
  }
  uv_mutex_unlock(&crew->lock);
  if (own) crew->type->close(own);
}

/* --- The crew --------------------------------------------------------------*/

int dw_crew_new(dw_crew **out, dw_loop *loop, const dw_crew_type *type,
                void *data) {
  dw_crew *crew = dw_zalloc(loop->alloc, sizeof *crew);
  if (!crew) return DW_ENOMEM;
  *crew = (dw_crew){.loop = loop, .type = type, .data = data, .max = 1};
  dw_list_init(&crew->queue);
  int err = uv_mutex_init(&crew->lock);
  if (err) goto no_lock;
  err = uv_cond_init(&crew->work);
  if (err) goto no_cond;
  *out = crew;
  return 0;

no_cond:
  uv_mutex_destroy(&crew->lock);
no_lock:
  dw_free(loop->alloc, crew, sizeof *crew);
  return err;
}

void dw_crew_free(dw_crew *crew) {
  if (!crew) return;
  uv_mutex_lock(&crew->lock);
  crew->closing = true;
  for (member *m = crew->members; m; m = m->next)
    if (m->job && m->own) crew->type->stop(m->own);
  uv_cond_broadcast(&crew->work);
  uv_mutex_unlock(&crew->lock);
  for (member *m = crew->members, *next; m; m = next) {
    next = m->next;
    uv_thread_join(&m->thread);
    dw_free(crew->loop->alloc, m, sizeof *m);
  }
  for (dw_list *node; (node = dw_list_shift(&crew->queue));) {
    dw_job *job = DW_CONTAINER(node, dw_job, node);
    job->done(job);
  }
  uv_cond_destroy(&crew->work);
  uv_mutex_destroy(&crew->lock);
  dw_free(crew->loop->alloc, crew, sizeof *crew);
}

void dw_crew_resize(dw_crew *crew, unsigned threads) {
  crew->max = threads < 1 ? 1 : threads;
  if (crew->max > THREADS_MAX) crew->max = THREADS_MAX;
}

unsigned dw_crew_threads(const dw_crew *crew) { return crew->threads; }

static int add_thread(dw_crew *crew) {
  member *m = dw_zalloc(crew->loop->alloc, sizeof *m);
  if (!m) return DW_ENOMEM;
  m->crew = crew;
  int err = uv_thread_create(&m->thread, main_cb, m);
  if (err) {
    dw_free(crew->loop->alloc, m, sizeof *m);
    return err;
  }
  /* The thread itself doesn't look at the list. */
  m->next = crew->members;
  crew->members = m;
  crew->threads++;
  return 0;
}

static void done_cb(void *data) {
  dw_job *job = data;
  job->done(job);
}

int dw_crew_push(dw_crew *crew, dw_job *job) {
  job->post = (dw_post){.fn = done_cb, .data = job};
  job->member = NULL;
  job->ran = false;
  uv_mutex_lock(&crew->lock);
  bool busy = crew->queued >= crew->idle;
  uv_mutex_unlock(&crew->lock);
  if (busy && crew->threads < crew->max) {
    int err = add_thread(crew);
    if (err && crew->threads == 0) return err;
  }
  uv_mutex_lock(&crew->lock);
  dw_list_push(&crew->queue, &job->node);
  crew->queued++;
  uv_cond_signal(&crew->work);
  uv_mutex_unlock(&crew->lock);
  return 0;
}

bool dw_crew_cancel(dw_crew *crew, dw_job *job) {
  uv_mutex_lock(&crew->lock);
  member *m = job->member;
  bool queued = !m;
  if (queued) {
    dw_list_remove(&job->node);
    crew->queued--;
  } else if (m->job == job && m->own) {
    crew->type->stop(m->own);
  }
  uv_mutex_unlock(&crew->lock);
  return queued;
}
