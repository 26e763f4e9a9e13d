/* SPDX-License-Identifier: MIT */
/* Small blocks: lists of free ones by size, in front of the allocator, for a
 * script that makes and drops objects all the time. A block of a class has the
 * size of its class, whatever was asked for. With AddressSanitizer there are no
 * lists, so that it sees each block die. Owner: the allocator. Thread: the
 * loop's. */
#include <string.h>

#include "base/memory.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITHOUT_LISTS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WITHOUT_LISTS 1
#endif

/* Bytes kept, of all classes together. A collection frees in one go what many
 * requests have dropped: what it gives back should all be found again. */
#ifdef WITHOUT_LISTS
static const size_t spare_max = 0;
#else
static const size_t spare_max = 1024 * 1024;
#endif

/* The bytes that a block of a size takes. */
static size_t rounded(size_t size) {
  if (size > DW_SMALL_MAX) return size;
  return (size + DW_SMALL_UNIT - 1) / DW_SMALL_UNIT * DW_SMALL_UNIT;
}

static size_t class_of(size_t size) { return (size - 1) / DW_SMALL_UNIT; }

static void *take(dw_allocator *a, size_t size) {
  if (size <= DW_SMALL_MAX) {
    size_t c = class_of(size);
    void **block = a->small[c];
    if (block) {
      a->small[c] = *block;
      a->spare -= rounded(size);
      return block;
    }
  }
  return a->fn(a->data, NULL, 0, rounded(size));
}

static void give(dw_allocator *a, void **block, size_t size) {
  if (size <= DW_SMALL_MAX && a->spare < spare_max) {
    size_t c = class_of(size);
    *block = a->small[c];
    a->small[c] = block;
    a->spare += rounded(size);
    return;
  }
  a->fn(a->data, block, rounded(size), 0);
}

static void *resize(dw_allocator *a, void *ptr, size_t osize, size_t nsize) {
  if (rounded(osize) == rounded(nsize)) return ptr;
  /* Shrinking, which must not fail, and large blocks are the allocator's. */
  if (nsize < osize || osize > DW_SMALL_MAX)
    return a->fn(a->data, ptr, rounded(osize), rounded(nsize));
  void *block = take(a, nsize);
  if (!block) return NULL;
  memcpy(block, ptr, osize);
  give(a, ptr, osize);
  return block;
}

void *dw_allocator_lua(void *data, void *ptr, size_t osize, size_t nsize) {
  dw_allocator *a = data;
  if (!ptr) osize = 0; /* for a new block Lua passes the kind of its object */
  if (nsize == 0) {
    if (ptr) give(a, ptr, osize);
    a->used -= osize;
    return NULL;
  }
  if (nsize > osize && dw_allocator_fails(a)) return NULL;
  void *block = ptr ? resize(a, ptr, osize, nsize) : take(a, nsize);
  if (!block) return NULL;
  a->used += nsize - osize;
  if (a->used > a->peak) a->peak = a->used;
  return block;
}

void dw_allocator_trim(dw_allocator *a) {
  for (size_t c = 0; c < DW_SMALL_CLASSES; c++) {
    while (a->small[c]) {
      void **block = a->small[c];
      a->small[c] = *block;
      a->fn(a->data, block, (c + 1) * DW_SMALL_UNIT, 0);
    }
  }
  a->spare = 0;
}
