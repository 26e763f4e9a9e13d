/* SPDX-License-Identifier: MIT */
/* UTF-8 that comes in pieces: of an unfinished character it keeps how many
 * bytes are to come and which the next one may be. Thread: any. */
#include "base/utf8.h"

#include <stdint.h>

/* A first byte: what has to follow it. */
static bool begin(dw_utf8 *u, unsigned char c) {
  u->low = 0x80;
  u->high = 0xBF;
  if (c < 0xC2 || c > 0xF4) return false;
  u->left = c < 0xE0 ? 1 : (c < 0xF0 ? 2 : 3);
  if (c == 0xE0) u->low = 0xA0;
  if (c == 0xED) u->high = 0x9F;
  if (c == 0xF0) u->low = 0x90;
  if (c == 0xF4) u->high = 0x8F;
  return true;
}

/* How many bytes in front are ASCII, eight at a time. */
static size_t skip_ascii(const char *p, size_t len) {
  size_t i = 0;
  for (; i + 8 <= len; i += 8) {
    uint64_t eight;
    memcpy(&eight, p + i, sizeof eight);
    if (eight & UINT64_C(0x8080808080808080)) break;
  }
  while (i < len && (unsigned char)p[i] < 0x80) i++;
  return i;
}

bool dw_utf8_feed(dw_utf8 *u, dw_slice s) {
  for (size_t i = 0; i < s.len;) {
    if (u->left == 0) {
      i += skip_ascii(s.ptr + i, s.len - i);
      if (i < s.len && !begin(u, (unsigned char)s.ptr[i++])) return false;
      continue;
    }
    unsigned char c = (unsigned char)s.ptr[i++];
    if (c < u->low || c > u->high) return false;
    u->low = 0x80;
    u->high = 0xBF;
    u->left--;
  }
  return true;
}
