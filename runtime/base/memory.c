/* SPDX-License-Identifier: MIT */
/* The counted allocator and the arena. `used` is the sum of the sizes of all
 * live blocks; a failed call changes nothing but `calls`. Owner: the runtime.
 * Thread: the loop's. */
#include "base/memory.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* --- The allocator ---------------------------------------------------------*/

static void *system_alloc(void *data, void *ptr, size_t osize, size_t nsize) {
  (void)data;
  if (nsize == 0) {
    free(ptr);
    return NULL;
  }
  void *block = realloc(ptr, nsize);
  /* A block that could not be moved to a smaller place stays where it is: Lua
   * relies on shrinking to succeed. */
  if (!block && ptr && nsize <= osize) return ptr;
  return block;
}

void dw_allocator_init(dw_allocator *a, dw_alloc_fn fn, void *data) {
  *a = (dw_allocator){.fn = fn ? fn : system_alloc, .data = data};
}

int dw_allocator_fails(dw_allocator *a) {
  a->calls++;
  if (a->fail_at == 0) return 0;
  return a->calls == a->fail_at || (a->fail_after && a->calls > a->fail_at);
}

void *dw_realloc(dw_allocator *a, void *ptr, size_t osize, size_t nsize) {
  if (!ptr) osize = 0;
  if (nsize == 0) {
    dw_free(a, ptr, osize);
    return NULL;
  }
  if (nsize > osize && dw_allocator_fails(a)) return NULL;
  void *block = a->fn(a->data, ptr, osize, nsize);
  if (!block) return NULL;
  a->used += nsize - osize;
  if (a->used > a->peak) a->peak = a->used;
  return block;
}

void *dw_alloc(dw_allocator *a, size_t size) {
  /* An empty block is a block, so that NULL always means failure; dw_free
   * knows that it holds a byte. */
  return dw_realloc(a, NULL, 0, size ? size : 1);
}

void *dw_zalloc(dw_allocator *a, size_t size) {
  void *block = dw_alloc(a, size);
  if (block) memset(block, 0, size);
  return block;
}

void dw_free(dw_allocator *a, void *ptr, size_t size) {
  if (!ptr) return;
  if (size == 0) size = 1;
  a->used -= size;
  a->fn(a->data, ptr, size, 0);
}

/* --- The arena -------------------------------------------------------------*/

/* Chunks double from the first size to the last, so that a large request makes
 * few of them and a small one wastes little. */
enum { CHUNK_MIN = 2 * 1024, CHUNK_MAX = 64 * 1024 };

struct dw_chunk {
  dw_chunk *next;
  size_t size; /* of the whole block */
};

static size_t padding(const char *at, size_t align) {
  return -(uintptr_t)at & (align - 1);
}

/* What lies before the bytes of a chunk. */
static size_t chunk_header(void) {
  size_t align = alignof(max_align_t);
  return (sizeof(dw_chunk) + align - 1) & ~(align - 1);
}

void dw_arena_init(dw_arena *arena, dw_allocator *a, void *block, size_t size) {
  arena->alloc = a;
  arena->next = block;
  arena->end = block ? (char *)block + size : NULL;
  arena->chunks = NULL;
}

void dw_arena_deinit(dw_arena *arena) {
  dw_chunk *chunk = arena->chunks;
  while (chunk) {
    dw_chunk *next = chunk->next;
    dw_free(arena->alloc, chunk, chunk->size);
    chunk = next;
  }
  arena->chunks = NULL;
  arena->next = arena->end = NULL;
}

static char *add_chunk(dw_arena *arena, size_t size) {
  dw_chunk *chunk = dw_alloc(arena->alloc, size);
  if (!chunk) return NULL;
  *chunk = (dw_chunk){.next = arena->chunks, .size = size};
  arena->chunks = chunk;
  return (char *)chunk + chunk_header();
}

static size_t next_chunk_size(const dw_arena *arena) {
  size_t size = arena->chunks ? arena->chunks->size * 2 : CHUNK_MIN;
  if (size < CHUNK_MIN) return CHUNK_MIN;
  return size < CHUNK_MAX ? size : CHUNK_MAX;
}

/* The slow path: the current block is full. */
static char *take_from_new_chunk(dw_arena *arena, size_t size) {
  if (size > SIZE_MAX - chunk_header()) return NULL;
  size_t whole = size + chunk_header();
  size_t usual = next_chunk_size(arena);
  /* Something large gets a block of its own; the current one stays in use. */
  if (whole > usual / 2) return add_chunk(arena, whole);

  char *block = add_chunk(arena, usual);
  if (!block) return NULL;
  arena->next = block + size;
  arena->end = block + usual - chunk_header();
  return block;
}

static char *take(dw_arena *arena, size_t size, size_t align) {
  if (!arena->next) return take_from_new_chunk(arena, size);
  size_t pad = padding(arena->next, align);
  size_t room = (size_t)(arena->end - arena->next);
  if (room < pad || room - pad < size) return take_from_new_chunk(arena, size);
  char *bytes = arena->next + pad;
  arena->next = bytes + size;
  return bytes;
}

void *dw_arena_alloc(dw_arena *arena, size_t size) {
  return take(arena, size, alignof(max_align_t));
}

void *dw_arena_zalloc(dw_arena *arena, size_t size) {
  void *block = dw_arena_alloc(arena, size);
  if (block) memset(block, 0, size);
  return block;
}

char *dw_arena_copy(dw_arena *arena, const void *bytes, size_t size) {
  if (size == SIZE_MAX) return NULL;
  char *copy = take(arena, size + 1, 1); /* text needs no alignment */
  if (!copy) return NULL;
  if (size > 0) memcpy(copy, bytes, size);
  copy[size] = '\0';
  return copy;
}
