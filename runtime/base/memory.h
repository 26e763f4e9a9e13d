/* SPDX-License-Identifier: MIT */
/* Counted, failable memory: every byte Dewar holds, Lua's included, comes from
 * one dw_allocator. Blocks are freed with their size, as in Lua, so counting
 * costs nothing. Owner: the runtime. Thread: the loop's. */
#ifndef DW_BASE_MEMORY_H
#define DW_BASE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Like lua_Alloc: nsize 0 frees and returns NULL; NULL otherwise means failure
 * and leaves ptr as it was. */
typedef void *(*dw_alloc_fn)(void *data, void *ptr, size_t osize, size_t nsize);

/* Sizes of small blocks are rounded up to a multiple of 16 bytes. */
enum { DW_SMALL_UNIT = 16, DW_SMALL_MAX = 256 };
#define DW_SMALL_CLASSES (DW_SMALL_MAX / DW_SMALL_UNIT)

typedef struct dw_allocator {
  dw_alloc_fn fn;
  void *data;
  size_t used;      /* bytes held now */
  size_t peak;      /* the most bytes ever held */
  uint64_t calls;   /* allocations and growths asked for, failed ones too */
  uint64_t fail_at; /* tests: the call of this number fails; 0 is never */
  int fail_after;   /* tests: with fail_at, all later calls fail too */
  /* Free small blocks of dw_allocator_lua, by size (small.c). */
  void *small[DW_SMALL_CLASSES];
  size_t spare; /* bytes of them */
} dw_allocator;

/* With fn NULL the C library's realloc and free are used. */
void dw_allocator_init(dw_allocator *a, dw_alloc_fn fn, void *data);

void *dw_alloc(dw_allocator *a, size_t size);  /* NULL on failure */
void *dw_zalloc(dw_allocator *a, size_t size); /* zeroed */
void *dw_realloc(dw_allocator *a, void *ptr, size_t osize, size_t nsize);
void dw_free(dw_allocator *a, void *ptr, size_t size); /* NULL is a no-op */

/* A lua_Alloc whose data is a dw_allocator. A script makes and drops small
 * objects all the time, so some of their blocks are kept for the next ones. */
void *dw_allocator_lua(void *data, void *ptr, size_t osize, size_t nsize);
/* Gives back what is kept, once the script is closed. */
void dw_allocator_trim(dw_allocator *a);
/* For the files of base/ only: whether tests want this call to fail. */
int dw_allocator_fails(dw_allocator *a);

/* The arena: memory freed all at once. It starts in a block of the caller's
 * (no allocation) and grows by chunks from the allocator. */
typedef struct dw_chunk dw_chunk;
typedef struct dw_arena {
  dw_allocator *alloc;
  char *next, *end; /* what is free in the current block */
  dw_chunk *chunks; /* further blocks, newest first */
} dw_arena;

void dw_arena_init(dw_arena *arena, dw_allocator *a, void *block, size_t size);
void dw_arena_deinit(dw_arena *arena);
/* Aligned for any type, not zeroed; NULL on failure. */
void *dw_arena_alloc(dw_arena *arena, size_t size);
void *dw_arena_zalloc(dw_arena *arena, size_t size);
/* A copy with a NUL behind it (not counted); NULL on failure. */
char *dw_arena_copy(dw_arena *arena, const void *bytes, size_t size);

#endif
