/* SPDX-License-Identifier: MIT */
/* Byte ranges. A field that can't be read is as good as none, so nothing here
 * fails. No state; any thread. */
#include "http/range.h"

#include "http/headers.h"
#include "http/tokens.h"

bool dw_range_split(dw_slice field, dw_slice *units, dw_slice *set) {
  const char *equals = memchr(field.ptr, '=', field.len);
  if (!equals) return false;
  size_t n = (size_t)(equals - field.ptr);
  *units = dw_slice_of(field.ptr, n);
  *set = dw_slice_of(equals + 1, field.len - n - 1);
  return dw_is_token(*units);
}

/* Digits at the front of *s; false where there are none. */
static bool take_number(dw_slice *s, uint64_t *out) {
  uint64_t n = 0;
  size_t i = 0;
  for (; i < s->len && s->ptr[i] >= '0' && s->ptr[i] <= '9'; i++) {
    uint64_t digit = (uint64_t)(s->ptr[i] - '0');
    n = n > (UINT64_MAX - digit) / 10 ? UINT64_MAX : n * 10 + digit;
  }
  *s = dw_slice_of(s->ptr + i, s->len - i);
  *out = n;
  return i > 0;
}

static bool read_range(dw_slice text, dw_range *out) {
  *out = (dw_range){.last = UINT64_MAX};
  bool from = take_number(&text, &out->first);
  if (text.len == 0 || *text.ptr != '-') return false;
  text = dw_slice_of(text.ptr + 1, text.len - 1);
  bool to = take_number(&text, &out->last);
  if (!to) out->last = UINT64_MAX;
  out->suffix = !from;
  return text.len == 0 && (from || to) && (!from || out->first <= out->last);
}

int dw_range_next(dw_slice *set, dw_range *out) {
  dw_slice element;
  while (dw_list_next(set, &element))
    if (element.len > 0) return read_range(element, out) ? 1 : -1;
  return 0;
}

bool dw_range_resolve(dw_range *range, uint64_t length) {
  if (length == 0) return false;
  if (range->suffix) {
    uint64_t wanted = range->last;
    if (wanted == 0) return false;
    range->first = wanted < length ? length - wanted : 0;
    range->last = length - 1;
    range->suffix = false;
    return true;
  }
  if (range->first >= length) return false;
  if (range->last >= length) range->last = length - 1;
  return true;
}

/* The end of nothing is all of it, which no Content-Range can say. */
static bool is_end_of_nothing(const dw_range *range, uint64_t length) {
  return length == 0 && range->suffix && range->last > 0;
}

dw_range_choice dw_range_choose(dw_slice field, uint64_t length,
                                dw_range *out) {
  dw_slice units, set;
  dw_range second;
  if (!dw_range_split(field, &units, &set) ||
      !dw_slice_equal_nocase(units, DW_LITERAL("bytes")) ||
      dw_range_next(&set, out) != 1 || dw_range_next(&set, &second) != 0 ||
      is_end_of_nothing(out, length))
    return DW_RANGE_WHOLE;
  return dw_range_resolve(out, length) ? DW_RANGE_PART : DW_RANGE_UNSATISFIABLE;
}
