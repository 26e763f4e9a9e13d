/* SPDX-License-Identifier: MIT */
/* Byte ranges (RFC 9110, 14). Pure functions over borrowed text. */
#ifndef DW_HTTP_RANGE_H
#define DW_HTTP_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* One element of a Range field: "first-last", "first-" (last is UINT64_MAX), or
 * "-last", the last so many bytes. Numbers beyond 64 bits become the greatest.
 */
typedef struct dw_range {
  uint64_t first, last;
  bool suffix;
} dw_range;

/* Splits "bytes=0-4,-1" at the "="; false: it is malformed. */
bool dw_range_split(dw_slice field, dw_slice *units, dw_slice *set);
/* Takes the next range off *set: 1, 0 at the end, -1 where it is malformed. */
int dw_range_next(dw_slice *set, dw_range *out);
/* Whether it takes something of `length` bytes; then first and last become the
 * positions of the first and the last byte. */
bool dw_range_resolve(dw_range *range, uint64_t length);

typedef enum dw_range_choice {
  DW_RANGE_WHOLE, /* none, several, malformed, of other units: all is sent */
  DW_RANGE_PART,
  DW_RANGE_UNSATISFIABLE
} dw_range_choice;

/* What a Range field asks of `length` bytes; with PART, resolved in *out. */
dw_range_choice dw_range_choose(dw_slice field, uint64_t length, dw_range *out);

#endif
