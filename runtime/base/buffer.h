/* SPDX-License-Identifier: MIT */
/* A growable run of bytes with a maximum. After a failed append the contents
 * are as before. Owner: whoever holds the struct. */
#ifndef DW_BASE_BUFFER_H
#define DW_BASE_BUFFER_H

#include "base/memory.h"
#include "base/slice.h"

typedef struct dw_buffer {
  dw_allocator *alloc;
  char *ptr;
  size_t len;
  size_t cap;
  size_t max; /* 0: none */
} dw_buffer;

void dw_buffer_init(dw_buffer *b, dw_allocator *a, size_t max);
void dw_buffer_deinit(dw_buffer *b); /* frees; the buffer may be used again */

/* 0, DW_ENOMEM, or DW_ETOOBIG when max would be passed. */
int dw_buffer_reserve(dw_buffer *b, size_t more);
int dw_buffer_append(dw_buffer *b, const void *bytes, size_t len);
int dw_buffer_append_char(dw_buffer *b, char c);
int dw_buffer_printf(dw_buffer *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Drops len bytes from the front. */
void dw_buffer_consume(dw_buffer *b, size_t len);

static inline int dw_buffer_append_slice(dw_buffer *b, dw_slice s) {
  return dw_buffer_append(b, s.ptr, s.len);
}

static inline dw_slice dw_buffer_slice(const dw_buffer *b) {
  return (dw_slice){b->ptr ? b->ptr : "", b->len};
}

#endif
