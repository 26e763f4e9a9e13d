/* SPDX-License-Identifier: MIT */
/* Media types by a file name's last suffix: the system's list, and a short one
 * of our own for what it lacks. Read at the first question. Owner: the runtime;
 * what is returned lives as long. Thread: the loop's. */
#ifndef DW_HTTP_MIME_H
#define DW_HTTP_MIME_H

#include "base/memory.h"
#include "base/slice.h"

typedef struct dw_mime_entry dw_mime_entry;
typedef struct dw_mime {
  dw_arena arena;
  dw_mime_entry *slots; /* NULL: there is no system's list */
  size_t nslots;        /* a power of two */
  bool loaded;
} dw_mime;

void dw_mime_init(dw_mime *m, dw_allocator *a); /* allocates nothing */
void dw_mime_deinit(dw_mime *m);
/* Reads the system's list, unless that is done. Without memory it is as if
 * there were none, until the next call. path NULL: where systems have it. */
void dw_mime_load(dw_mime *m, const char *path);

/* "text/css; charset=utf-8", as it is sent; NULL where the suffix is unknown.
 */
const char *dw_mime_find(dw_mime *m, dw_slice name);
/* Whether a type without parameters gets a charset. */
bool dw_mime_is_text(dw_slice type);

#endif
