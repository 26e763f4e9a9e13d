/* SPDX-License-Identifier: MIT */
/* Open files and reading them. Only read_run runs in the thread pool; it
 * touches its own block and the descriptor, which a reference keeps open.
 * Owner: see file.h. Thread: the loop's. */
#define _GNU_SOURCE /* preadv2 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/error.h"

enum { LOAD_MAX = 64 * 1024 }; /* contents that are worth having in memory */

static int last_error(void) { return uv_translate_sys_error(errno); }

/* --- An open file ----------------------------------------------------------*/

int dw_file_adopt(dw_file **out, dw_allocator *a, int fd, uint64_t start) {
  *out = NULL;
  struct stat st;
  if (fstat(fd, &st) != 0) return last_error();
  if (!S_ISREG(st.st_mode)) return UV_EINVAL;
  dw_file *f = dw_alloc(a, sizeof *f);
  if (!f) return DW_ENOMEM;
  uint64_t size = (uint64_t)st.st_size;
  *f = (dw_file){.alloc = a,
                 .fd = fcntl(fd, F_DUPFD_CLOEXEC, 0),
                 .refs = 1,
                 .start = start,
                 .size = size > start ? size - start : 0,
                 .modified = st.st_mtim.tv_sec,
                 .fraction = (uint32_t)st.st_mtim.tv_nsec};
  if (f->fd < 0) {
    int code = last_error();
    dw_free(a, f, sizeof *f);
    return code;
  }
  *out = f;
  return 0;
}

dw_file *dw_file_ref(dw_file *f) {
  f->refs++;
  return f;
}

void dw_file_unref(dw_file *f) {
  if (!f || --f->refs > 0) return;
  if (f->bytes) dw_free(f->alloc, f->bytes, (size_t)f->size);
  close(f->fd);
  dw_free(f->alloc, f, sizeof *f);
}

/* Reads only what the system has in memory; elsewhere nothing. */
static ssize_t read_cached(int fd, char *to, size_t len, uint64_t offset) {
#ifdef RWF_NOWAIT
  struct iovec vec = {.iov_base = to, .iov_len = len};
  return preadv2(fd, &vec, 1, (off_t)offset, RWF_NOWAIT);
#else
  (void)fd, (void)to, (void)len, (void)offset;
  return -1;
#endif
}

void dw_file_load(dw_file *f) {
  if (f->bytes || f->size == 0 || f->size > LOAD_MAX) return;
  size_t size = (size_t)f->size;
  char *bytes = dw_alloc(f->alloc, size);
  if (!bytes) return;
  if (read_cached(f->fd, bytes, size, f->start) == (ssize_t)size)
    f->bytes = bytes;
  else
    dw_free(f->alloc, bytes, size);
}

/* --- Reading ---------------------------------------------------------------*/

static void read_run(dw_work *work) {
  dw_file_read *r = DW_CONTAINER(work, dw_file_read, work);
  do r->len = pread(r->file->fd, r->bytes, r->size, (off_t)r->offset);
  while (r->len < 0 && errno == EINTR);
  if (r->len < 0) r->len = last_error();
}

static void read_done(dw_work *work) {
  dw_file_read *r = DW_CONTAINER(work, dw_file_read, work);
  if (r->cb)
    r->cb(r->data, r);
  else
    dw_file_read_free(r);
}

int dw_file_read_start(dw_file_read **out, dw_loop *loop, dw_file *file,
                       uint64_t offset, size_t size, dw_file_read_cb cb,
                       void *data) {
  dw_file_read *r = dw_alloc(loop->alloc, sizeof *r + size);
  *out = r;
  if (!r) return DW_ENOMEM;
  *r = (dw_file_read){.file = dw_file_ref(file),
                      .cb = cb,
                      .data = data,
                      .offset = file->start + offset,
                      .size = size};
  dw_work_start(loop, &r->work, read_run, read_done);
  return 0;
}

void dw_file_read_drop(dw_file_read *read) { read->cb = NULL; }

void dw_file_read_free(dw_file_read *read) {
  dw_allocator *a = read->work.loop->alloc;
  dw_file_unref(read->file);
  dw_free(a, read, sizeof *read + read->size);
}
