/* SPDX-License-Identifier: MIT */
/* What the files of a form have in them, one behind the other: in memory up to
 * a size, from then on in a temporary file that has no name, so that it goes
 * with its descriptor, whatever happens. Files are written, read and closed in
 * the pool of threads. Ends: append until it's full, finish, read. Owner: who
 * reads a form; a job under way keeps what it needs. Thread: the loop's. */
#ifndef DW_HTTP_SPOOL_H
#define DW_HTTP_SPOOL_H

#include "base/buffer.h"
#include "base/work.h"

typedef struct dw_spool dw_spool;

/* A range of a spool: the content of a file. */
typedef struct dw_extent {
  uint64_t at, len;
} dw_extent;

/* most: bytes to be kept in memory. 0 or DW_ENOMEM. */
int dw_spool_new(dw_spool **out, dw_loop *loop, uint64_t most);
/* Lets go of everything, now or as soon as a job has ended. NULL is a no-op. */
void dw_spool_free(dw_spool *s);

uint64_t dw_spool_size(const dw_spool *s);
/* Takes a copy. 0, DW_ENOMEM, or a code of what was written before. */
int dw_spool_append(dw_spool *s, dw_slice bytes);
/* Whether the writer should wait: the disk is slower than the network. */
bool dw_spool_full(const dw_spool *s);
/* Nothing will be appended any more. 1: wait, then call it again; 0, or a code.
 */
int dw_spool_finish(dw_spool *s);
/* Calls cb once, as soon as something was written, or can't be; NULL forgets
 * it. */
void dw_spool_wait(dw_spool *s, void (*cb)(void *data), void *data);

/* --- Of one that is finished -----------------------------------------------*/

/* Its bytes where they are in memory, else NULL. */
const char *dw_spool_bytes(const dw_spool *s, dw_extent extent);

/* Reading from a file, or making one. */
typedef struct dw_spool_job {
  int code;    /* 0, or why it failed */
  char *bytes; /* of a read: extent.len of them */
  dw_extent extent;
  /* Private from here on. */
  dw_work work;
  dw_spool *spool;
  void (*cb)(void *data);
  void *data;
  char *path; /* of a save */
  size_t path_size;
  bool may_link;
} dw_spool_job;

/* cb is called at its end; then the job is to be dropped. 0 or DW_ENOMEM. A
 * read of a spool that is in memory is no job. */
int dw_spool_read(dw_spool *s, dw_extent extent, void (*cb)(void *data),
                  void *data, dw_spool_job **out);
/* Makes a file of that name with the extent in it, or writes over the one that
 * is there. path ends in a NUL. */
int dw_spool_save(dw_spool *s, dw_extent extent, const char *path,
                  void (*cb)(void *data), void *data, dw_spool_job **out);
/* Forgets about the job, whose cb isn't called any more; it may be under way.
 * NULL is a no-op. */
void dw_spool_job_drop(dw_spool_job *j);

#endif
