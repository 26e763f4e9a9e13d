/* SPDX-License-Identifier: MIT */
/* Comparing and trimming borrowed bytes, by ASCII rules whatever the locale.
 * Nothing is owned here. Thread: any. */
#include "base/slice.h"

static unsigned char lower(char c) {
  return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool dw_slice_equal_nocase(dw_slice a, dw_slice b) {
  if (a.len != b.len) return false;
  for (size_t i = 0; i < a.len; i++)
    if (lower(a.ptr[i]) != lower(b.ptr[i])) return false;
  return true;
}

int dw_slice_compare(dw_slice a, dw_slice b) {
  size_t len = a.len < b.len ? a.len : b.len;
  int order = len ? memcmp(a.ptr, b.ptr, len) : 0;
  if (order != 0) return order < 0 ? -1 : 1;
  return (a.len > b.len) - (a.len < b.len);
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

dw_slice dw_slice_trim(dw_slice s) {
  while (s.len > 0 && is_blank(s.ptr[0])) s.ptr++, s.len--;
  while (s.len > 0 && is_blank(s.ptr[s.len - 1])) s.len--;
  return s;
}
