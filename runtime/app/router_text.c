/* SPDX-License-Identifier: MIT */
/* Text services of the router: lengths in characters, and the nearest of
 * several names to one that was mistyped. Pure functions. */
#include "app/router_private.h"

#include "base/utf8.h"

size_t dw_text_length(dw_slice text) {
  const char *p = text.ptr, *end = p + text.len;
  size_t characters = 0;
  for (; p < end; characters++) {
    size_t len = dw_utf8_length(p, end);
    if (len == 0) return text.len;
    p += len;
  }
  return characters;
}

/* --- The nearest name ------------------------------------------------------*/

enum { NAME_MAX_LENGTH = 64 };

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

/* The number of letters to add, drop, change or swap with the next one to make
 * b of a. */
static size_t distance(dw_slice a, dw_slice b) {
  size_t rows[3][NAME_MAX_LENGTH + 1];
  size_t *before = rows[0], *last = rows[1], *row = rows[2];
  for (size_t j = 0; j <= b.len; j++) last[j] = j;
  for (size_t i = 1; i <= a.len; i++) {
    row[0] = i;
    for (size_t j = 1; j <= b.len; j++) {
      size_t change = a.ptr[i - 1] != b.ptr[j - 1];
      row[j] = smaller(last[j - 1] + change, smaller(last[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] &&
          a.ptr[i - 2] == b.ptr[j - 1])
        row[j] = smaller(row[j], before[j - 2] + 1);
    }
    size_t *free_row = before;
    before = last;
    last = row;
    row = free_row;
  }
  return last[b.len];
}

void dw_text_guess_offer(dw_text_guess *g, dw_slice candidate) {
  if (g->wanted.len > NAME_MAX_LENGTH || candidate.len > NAME_MAX_LENGTH)
    return;
  bool shorter = candidate.len < g->wanted.len;
  size_t longer = shorter ? g->wanted.len : candidate.len;
  size_t far = (longer + 2) / 3;
  if (longer - (shorter ? candidate.len : g->wanted.len) > far) return;
  size_t off = distance(g->wanted, candidate);
  if (off > far || (g->best.len > 0 && off >= g->distance)) return;
  g->best = candidate;
  g->distance = off;
}
