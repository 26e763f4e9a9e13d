/* SPDX-License-Identifier: MIT */
/* Files for sending: found and opened in the thread pool, read there too, so
 * that a slow disk holds up nobody. A dw_file is counted, as an operation in
 * the pool may outlive who asked for it. Thread: the loop's. */
#ifndef DW_BASE_FILE_H
#define DW_BASE_FILE_H

#include "base/work.h"

/* --- An open file ----------------------------------------------------------*/

typedef struct dw_file {
  dw_allocator *alloc;
  int fd;
  unsigned refs;
  uint64_t start;    /* where in the file its contents begin */
  uint64_t size;     /* of the contents, when it was opened */
  int64_t modified;  /* seconds since 1970 ... */
  uint32_t fraction; /* ... and nanoseconds */
  char *bytes;       /* the contents, where they are in memory; else NULL */
} dw_file;

/* A file of somebody who has it open: his descriptor is duplicated, and what
 * lies before start is left out. 0, DW_ENOMEM, UV_EINVAL (no regular file), or
 * another code. Reads what the system knows of the file already. */
int dw_file_adopt(dw_file **out, dw_allocator *a, int fd, uint64_t start);
dw_file *dw_file_ref(dw_file *f);
void dw_file_unref(dw_file *f); /* NULL is a no-op */

/* Fetches the contents into f->bytes if that takes neither much memory nor
 * waiting for a disk. A failure changes nothing. */
void dw_file_load(dw_file *f);

/* --- Finding ---------------------------------------------------------------*/

enum { DW_SIBLINGS_MAX = 4 };

/* What is looked for. Texts are copied. */
typedef struct dw_file_query {
  /* The folder that must hold it, links resolved; path is relative to it, and
   * has no segment that is empty, "." or "..". root "": path is any path. */
  dw_slice root, path;
  dw_slice index; /* what stands for a folder, "" for nothing */
  /* Suffixes of files that may be taken instead, best first, ended by NULL, and
   * which of them are wanted, a bit each. */
  const char *const *siblings;
  unsigned wanted;
} dw_file_query;

typedef struct dw_file_found {
  int code;      /* 0; UV_ENOENT (also for what leads out of the root) ... */
  dw_file *file; /* with code 0: the caller's; NULL: a folder with its index */
  int sibling;   /* the one that it is, or -1 */
  bool varies;   /* there are siblings */
} dw_file_found;

typedef struct dw_file_search dw_file_search;
typedef void (*dw_file_found_cb)(void *data, dw_file_found *found);

/* A path that is "" or ends in "/" is a folder whose index is looked for;
 * another one that turns out to be a folder with an index is told by file NULL.
 * 1: what it came to is in *found, as the system knew it without looking at a
 * disk. 0: cb will be told, in a later turn. Else DW_ENOMEM. */
int dw_file_find(dw_file_search **out, dw_loop *loop,
                 const dw_file_query *query, dw_file_found *found,
                 dw_file_found_cb cb, void *data);
/* cb won't be called. The search ends by itself. */
void dw_file_search_drop(dw_file_search *search);

/* --- Reading ---------------------------------------------------------------*/

typedef struct dw_file_read dw_file_read;
typedef void (*dw_file_read_cb)(void *data, dw_file_read *read);

struct dw_file_read {
  dw_work work;
  dw_file *file;
  dw_file_read_cb cb; /* NULL: dropped */
  void *data;
  uint64_t offset;
  size_t size;
  ssize_t len; /* the result: 0 at the end of the file, or a code */
  char bytes[];
};

/* Reads up to size bytes. After the callback it is the caller's to free. */
int dw_file_read_start(dw_file_read **out, dw_loop *loop, dw_file *file,
                       uint64_t offset, size_t size, dw_file_read_cb cb,
                       void *data);
void dw_file_read_drop(dw_file_read *read); /* cb won't be called */
void dw_file_read_free(dw_file_read *read);

#endif
