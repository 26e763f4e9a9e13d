/* SPDX-License-Identifier: MIT */
/* A supervisor: processes of one program, the workers, that serve from one
 * listening socket, which it holds. One that dies is replaced, later and later
 * where that happens again and again; all are replaced by new ones on demand,
 * while clients wait in the socket's backlog. It knows nothing of what a worker
 * is, but that it finds the socket at DW_WORKER_SOCKET and writes lines to
 * DW_WORKER_PIPE, of which "ready" says that it serves, and that SIGTERM stops
 * it gracefully, a second one at once. Owner: who made it. Thread: the loop's.
 */
#ifndef DW_APP_SUPERVISOR_H
#define DW_APP_SUPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/list.h"
#include "base/loop.h"

enum { DW_WORKER_SOCKET = 3, DW_WORKER_PIPE = 4 };
enum { DW_WORKERS_MAX = 1024, DW_WORKER_LINE_MAX = 64 * 1024 };

typedef struct dw_worker_end {
  int pid;
  int status; /* its exit code */
  int signal; /* or what killed it; 0 */
  bool ready; /* it has served */
  bool asked; /* it was told to end */
} dw_worker_end;

typedef struct dw_supervision {
  char *const *args; /* the program comes first; NULL-ended; borrowed */
  const char *file;  /* borrowed */
  int socket;        /* borrowed */
  unsigned workers;
  /* A worker that has ended is not replaced until the next reload: somebody has
   * to change something first. */
  bool patient;
  uint64_t
      grace; /* ms until SIGTERM is sent again; SIGKILL follows. 0: never */
  /* A line of a worker's, without its end; not "ready". */
  void (*line_cb)(void *data, int pid, dw_slice line);
  void (*ready_cb)(void *data, int pid);
  void (*end_cb)(void *data, const dw_worker_end *end);
  void (*idle_cb)(void *data); /* no worker is left after a stop; may be NULL */
  void *data;
} dw_supervision;

typedef struct dw_supervisor dw_supervisor;

int dw_supervisor_new(dw_supervisor **out, dw_loop *loop,
                      const dw_supervision *what);
/* Only when idle. NULL is a no-op. */
void dw_supervisor_free(dw_supervisor *s);
/* Starts the workers. A negative code: the program can't be started, and what
 * was is told to stop. Where the first of them ends before it is ready, all are
 * stopped: there is nothing that could be served. */
int dw_supervisor_start(dw_supervisor *s);
/* Replaces all workers by new ones. gently: an old one stops when a new one is
 * ready, and goes on if that fails; else they stop now. */
int dw_supervisor_reload(dw_supervisor *s, bool gently);
/* Sends a signal to those that are ready. */
void dw_supervisor_signal(dw_supervisor *s, int number);
/* Tells the workers to stop; a second call to stop at once, a third kills. */
void dw_supervisor_stop(dw_supervisor *s);
/* No worker is left, and no handle of the loop's. */
bool dw_supervisor_idle(const dw_supervisor *s);

#endif
