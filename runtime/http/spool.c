/* SPDX-License-Identifier: MIT */
/* The spool: appended bytes wait in memory. Past the limit they go into the
 * file, a batch at a time, while the next batch is gathered. A write is its own
 * dw_work, and so is the close: neither needs memory to be had. */
#include "http/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/disk.h"
#include "base/error.h"

enum { BATCH = 128 * 1024 }; /* bytes that are worth a write */

struct dw_spool {
  dw_loop *loop;
  unsigned refs;   /* the owner's, and one for each job */
  uint64_t most;   /* in memory */
  uint64_t size;   /* appended */
  dw_buffer bytes; /* all of them, or those that no write has taken yet */
  bool on_disk;    /* past the limit */
  bool finishing, linked;
  int error; /* of a write, for good */
  void (*cb)(void *data);
  void *data;
  /* The file, and the write under way, whose own all of this is. */
  dw_work work;
  int fd; /* -1: not open yet */
  int code;
  bool nameable; /* the file can be given a name */
  char *folder;
  size_t folder_size;
  uint64_t written;
  dw_buffer batch;
};

/* --- Life ------------------------------------------------------------------*/

int dw_spool_new(dw_spool **out, dw_loop *loop, uint64_t most) {
  dw_spool *s = *out = dw_zalloc(loop->alloc, sizeof *s);
  if (!s) return DW_ENOMEM;
  s->loop = loop;
  s->refs = 1;
  s->most = most;
  s->fd = -1;
  dw_buffer_init(&s->bytes, loop->alloc, 0);
  dw_buffer_init(&s->batch, loop->alloc, 0);
  return 0;
}

static void destroy(dw_spool *s) {
  dw_allocator *a = s->loop->alloc;
  dw_buffer_deinit(&s->bytes);
  dw_buffer_deinit(&s->batch);
  dw_free(a, s->folder, s->folder_size);
  dw_free(a, s, sizeof *s);
}

static void close_run(dw_work *w) {
  close(DW_CONTAINER(w, dw_spool, work)->fd);
}

static void close_done(dw_work *w) { destroy(DW_CONTAINER(w, dw_spool, work)); }

/* The blocks of a large file are freed by its close, which may take a while. */
static void unref(dw_spool *s) {
  if (--s->refs > 0) return;
  if (s->fd >= 0)
    dw_work_start(s->loop, &s->work, close_run, close_done);
  else
    destroy(s);
}

void dw_spool_free(dw_spool *s) {
  if (!s) return;
  s->cb = NULL;
  s->error = UV_ECANCELED;
  unref(s);
}

uint64_t dw_spool_size(const dw_spool *s) { return s->size; }

/* --- Writing ---------------------------------------------------------------*/

static void write_run(dw_work *w) {
  dw_spool *s = DW_CONTAINER(w, dw_spool, work);
  if (s->fd < 0) {
    s->fd = dw_disk_temporary(s->folder, &s->nameable);
    if (s->fd < 0) {
      s->code = s->fd;
      s->fd = -1;
      return;
    }
  }
  s->code = dw_disk_write(s->fd, dw_buffer_slice(&s->batch), s->written);
}

static void start_write(dw_spool *s);

static void write_done(dw_work *w) {
  dw_spool *s = DW_CONTAINER(w, dw_spool, work);
  void (*cb)(void *) = s->cb;
  if (s->code < 0 && s->error == 0) s->error = s->code;
  s->written += s->batch.len;
  s->batch.len = 0;
  if (s->error == 0 && s->bytes.len > (s->finishing ? 0 : BATCH - 1))
    start_write(s);
  s->cb = NULL;
  if (cb) cb(s->data);
  unref(s);
}

static void start_write(dw_spool *s) {
  dw_buffer taken = s->bytes;
  s->bytes = s->batch;
  s->batch = taken;
  s->refs++;
  dw_work_start(s->loop, &s->work, write_run, write_done);
}

/* TMPDIR is looked up here, as the environment belongs to this thread. */
static int go_to_disk(dw_spool *s) {
  char folder[PATH_MAX];
  size_t len = sizeof folder;
  int code = uv_os_tmpdir(folder, &len);
  if (code < 0) return code;
  s->folder = dw_alloc(s->loop->alloc, len + 1);
  if (!s->folder) return DW_ENOMEM;
  s->folder_size = len + 1;
  memcpy(s->folder, folder, len + 1);
  s->on_disk = true;
  return 0;
}

int dw_spool_append(dw_spool *s, dw_slice bytes) {
  if (s->error < 0) return s->error;
  if (!s->on_disk && s->size + bytes.len > s->most) {
    int code = go_to_disk(s);
    if (code < 0) return code;
  }
  if (dw_buffer_append_slice(&s->bytes, bytes) < 0) return DW_ENOMEM;
  s->size += bytes.len;
  if (s->on_disk && !s->work.busy && s->bytes.len >= BATCH) start_write(s);
  return 0;
}

bool dw_spool_full(const dw_spool *s) {
  return s->work.busy && s->bytes.len >= BATCH;
}

int dw_spool_finish(dw_spool *s) {
  s->finishing = true;
  if (s->error < 0) return s->error;
  if (!s->on_disk) return 0;
  if (!s->work.busy && s->bytes.len > 0) start_write(s);
  if (s->work.busy) return 1;
  dw_buffer_deinit(&s->bytes);
  dw_buffer_deinit(&s->batch);
  return 0;
}

void dw_spool_wait(dw_spool *s, void (*cb)(void *data), void *data) {
  s->cb = cb;
  s->data = data;
}

/* --- Using what was written ------------------------------------------------*/

const char *dw_spool_bytes(const dw_spool *s, dw_extent extent) {
  if (s->on_disk) return NULL;
  return dw_buffer_slice(&s->bytes).ptr + extent.at;
}

static void job_free(dw_spool_job *j) {
  dw_allocator *a = j->spool->loop->alloc;
  dw_free(a, j->bytes, (size_t)j->extent.len);
  dw_free(a, j->path, j->path_size);
  unref(j->spool);
  dw_free(a, j, sizeof *j);
}

void dw_spool_job_drop(dw_spool_job *j) {
  if (!j) return;
  j->cb = NULL;
  if (!j->work.busy) job_free(j);
}

static void job_done(dw_work *w) {
  dw_spool_job *j = DW_CONTAINER(w, dw_spool_job, work);
  if (j->cb)
    j->cb(j->data);
  else
    job_free(j);
}

static void read_run(dw_work *w) {
  dw_spool_job *j = DW_CONTAINER(w, dw_spool_job, work);
  j->code =
      dw_disk_read(j->spool->fd, j->bytes, (size_t)j->extent.len, j->extent.at);
}

static void save_run(dw_work *w) {
  dw_spool_job *j = DW_CONTAINER(w, dw_spool_job, work);
  dw_spool *s = j->spool;
  const char *bytes = dw_spool_bytes(s, j->extent);
  if (bytes)
    j->code = dw_disk_make(j->path, dw_slice_of(bytes, (size_t)j->extent.len));
  else if (!j->may_link || dw_disk_link(s->fd, j->path) < 0)
    j->code = dw_disk_copy(s->fd, j->extent.at, j->extent.len, j->path);
}

static dw_spool_job *job_new(dw_spool *s, dw_extent extent,
                             void (*cb)(void *data), void *data) {
  dw_spool_job *j = dw_zalloc(s->loop->alloc, sizeof *j);
  if (!j) return NULL;
  j->spool = s;
  j->extent = extent;
  j->cb = cb;
  j->data = data;
  s->refs++;
  return j;
}

int dw_spool_read(dw_spool *s, dw_extent extent, void (*cb)(void *data),
                  void *data, dw_spool_job **out) {
  dw_spool_job *j = *out = job_new(s, extent, cb, data);
  if (!j) return DW_ENOMEM;
  if (extent.len <= SIZE_MAX && extent.len > 0)
    j->bytes = dw_alloc(s->loop->alloc, (size_t)extent.len);
  if (!j->bytes && extent.len > 0) {
    job_free(j);
    *out = NULL;
    return DW_ENOMEM;
  }
  dw_work_start(s->loop, &j->work, read_run, job_done);
  return 0;
}

/* The file may get a name where it is all there is in it; only once, as files
 * that were saved twice must be two. */
static bool take_link(dw_spool *s, dw_extent extent) {
  bool may =
      s->nameable && !s->linked && extent.at == 0 && extent.len == s->size;
  if (may) s->linked = true;
  return may;
}

int dw_spool_save(dw_spool *s, dw_extent extent, const char *path,
                  void (*cb)(void *data), void *data, dw_spool_job **out) {
  dw_spool_job *j = *out = job_new(s, extent, cb, data);
  if (!j) return DW_ENOMEM;
  size_t size = strlen(path) + 1;
  j->path = dw_alloc(s->loop->alloc, size);
  if (!j->path) {
    job_free(j);
    *out = NULL;
    return DW_ENOMEM;
  }
  memcpy(j->path, path, size);
  j->path_size = size;
  j->may_link = take_link(s, extent);
  dw_work_start(s->loop, &j->work, save_run, job_done);
  return 0;
}
