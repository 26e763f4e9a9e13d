/* SPDX-License-Identifier: MIT */
/* Borrowed bytes: a pointer and a length, no owner, no NUL behind them. */
#ifndef DW_BASE_SLICE_H
#define DW_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef struct dw_slice {
  const char *ptr;
  size_t len;
} dw_slice;

/* A slice of a string literal. */
#define DW_LITERAL(text) ((dw_slice){(text), sizeof(text) - 1})
#define DW_EMPTY ((dw_slice){"", 0})
/* For printf's "%.*s". */
#define DW_FMT(s) (int)(s).len, (s).ptr

static inline dw_slice dw_slice_of(const char *ptr, size_t len) {
  return (dw_slice){ptr, len};
}

static inline dw_slice dw_slice_str(const char *text) {
  return (dw_slice){text, strlen(text)};
}

static inline bool dw_slice_equal(dw_slice a, dw_slice b) {
  return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII case is ignored, as in header names. */
bool dw_slice_equal_nocase(dw_slice a, dw_slice b);
/* Orders like strcmp, bytes unsigned, a prefix first. */
int dw_slice_compare(dw_slice a, dw_slice b);
/* Without the SP and HTAB at both ends. */
dw_slice dw_slice_trim(dw_slice s);

#endif
