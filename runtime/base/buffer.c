/* SPDX-License-Identifier: MIT */
/* The growable buffer: its memory doubles, so appending n bytes one by one
 * costs O(n), and never passes the maximum by more than the NUL that printf
 * needs. Owner: whoever holds the struct. Thread: the loop's. */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

enum { CAP_MIN = 64 };

void dw_buffer_init(dw_buffer *b, dw_allocator *a, size_t max) {
  *b = (dw_buffer){.alloc = a, .max = max};
}

void dw_buffer_deinit(dw_buffer *b) {
  dw_free(b->alloc, b->ptr, b->cap);
  b->ptr = NULL;
  b->len = b->cap = 0;
}

static int grow(dw_buffer *b, size_t need) {
  if (need <= b->cap) return 0;
  size_t cap = b->cap <= SIZE_MAX / 2 ? b->cap * 2 : need;
  if (cap < CAP_MIN) cap = CAP_MIN;
  if (b->max && cap > b->max) cap = b->max;
  if (cap < need) cap = need;
  char *ptr = dw_realloc(b->alloc, b->ptr, b->cap, cap);
  if (!ptr) return DW_ENOMEM;
  b->ptr = ptr;
  b->cap = cap;
  return 0;
}

static int check_room(const dw_buffer *b, size_t more) {
  size_t max = b->max ? b->max : SIZE_MAX - 1;
  return b->len > max || more > max - b->len ? DW_ETOOBIG : 0;
}

int dw_buffer_reserve(dw_buffer *b, size_t more) {
  int err = check_room(b, more);
  return err ? err : grow(b, b->len + more);
}

int dw_buffer_append(dw_buffer *b, const void *bytes, size_t len) {
  if (len == 0) return 0;
  int err = dw_buffer_reserve(b, len);
  if (err) return err;
  memcpy(b->ptr + b->len, bytes, len);
  b->len += len;
  return 0;
}

int dw_buffer_append_char(dw_buffer *b, char c) {
  return dw_buffer_append(b, &c, 1);
}

int dw_buffer_printf(dw_buffer *b, const char *format, ...) {
  /* The first attempt uses what room there is; its result says how much a
   * second one needs. */
  for (;;) {
    size_t room = b->cap - b->len;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(room ? b->ptr + b->len : NULL, room, format, args);
    va_end(args);
    if (len < 0) return DEWAR_EINVAL;

    int err = check_room(b, (size_t)len);
    if (err) return err;
    if ((size_t)len < room) {
      b->len += (size_t)len;
      return 0;
    }
    err = grow(b, b->len + (size_t)len + 1);
    if (err) return err;
  }
}

void dw_buffer_consume(dw_buffer *b, size_t len) {
  if (len >= b->len) {
    b->len = 0;
    return;
  }
  b->len -= len;
  memmove(b->ptr, b->ptr + len, b->len);
}
