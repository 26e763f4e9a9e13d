/* SPDX-License-Identifier: MIT */
/* UTF-8 (RFC 3629): what is well-formed. Overlong forms, surrogates and what
 * lies beyond U+10FFFF are not. */
#ifndef DW_BASE_UTF8_H
#define DW_BASE_UTF8_H

#include "base/slice.h"

/* The length of the well-formed sequence at p < end, 1 to 4; 0: none. */
static inline size_t dw_utf8_length(const char *p, const char *end) {
  const unsigned char *s = (const unsigned char *)p;
  size_t room = (size_t)(end - p);
  unsigned char c = s[0];
  if (c < 0x80) return 1;
  if (c < 0xC2 || c > 0xF4) return 0;
  if (room < 2 || (s[1] & 0xC0) != 0x80) return 0;
  if (c < 0xE0) return 2;
  if (room < 3 || (s[2] & 0xC0) != 0x80) return 0;
  if (c < 0xF0) {
    if ((c == 0xE0 && s[1] < 0xA0) || (c == 0xED && s[1] > 0x9F)) return 0;
    return 3;
  }
  if (room < 4 || (s[3] & 0xC0) != 0x80) return 0;
  if ((c == 0xF0 && s[1] < 0x90) || (c == 0xF4 && s[1] > 0x8F)) return 0;
  return 4;
}

static inline bool dw_is_utf8(dw_slice s) {
  const char *p = s.ptr, *end = s.ptr + s.len;
  while (p < end) {
    size_t n = dw_utf8_length(p, end);
    if (n == 0) return false;
    p += n;
  }
  return true;
}

/* The same for text that comes in pieces: a wrong byte is noticed as soon as it
 * comes. All zero: between two characters. */
typedef struct dw_utf8 {
  unsigned char left;      /* bytes of a character that are still to come */
  unsigned char low, high; /* what the next of them may be */
} dw_utf8;

/* False: not well-formed, however it may go on. */
bool dw_utf8_feed(dw_utf8 *u, dw_slice s);

/* Whether the text may end here. */
static inline bool dw_utf8_complete(const dw_utf8 *u) { return u->left == 0; }

#endif
