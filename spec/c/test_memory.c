/* SPDX-License-Identifier: MIT */
/* The allocator, the arena, slices and codes. */
#include "unit.h"

#include <stdalign.h>
#include <stdint.h>

#include "base/error.h"

TEST(counts_the_bytes_that_are_held) {
  dw_allocator a;
  dw_allocator_init(&a, NULL, NULL);
  char *p = dw_alloc(&a, 100);
  char *q = dw_zalloc(&a, 50);
  REQUIRE(p && q);
  CHECK_INT(a.used, 150);
  CHECK(q[0] == 0 && q[49] == 0);
  p = dw_realloc(&a, p, 100, 300);
  CHECK_INT(a.used, 350);
  p = dw_realloc(&a, p, 300, 10);
  CHECK_INT(a.used, 60);
  CHECK_INT(a.peak, 350);
  dw_free(&a, p, 10);
  dw_free(&a, q, 50);
  dw_free(&a, NULL, 50);
  CHECK_INT(a.used, 0);
  CHECK_INT(a.calls, 3);
}

TEST(gives_an_empty_block_an_address) {
  dw_allocator a;
  dw_allocator_init(&a, NULL, NULL);
  void *p = dw_alloc(&a, 0);
  CHECK(p != NULL);
  dw_free(&a, p, 0);
  CHECK_INT(a.used, 0);
}

TEST(fails_the_call_of_the_chosen_number_and_no_other) {
  dw_allocator a;
  dw_allocator_init(&a, NULL, NULL);
  a.fail_at = 2;
  void *p = dw_alloc(&a, 8);
  CHECK(p && !dw_alloc(&a, 8));
  CHECK_INT(a.used, 8);
  void *q = dw_alloc(&a, 8);
  CHECK(q != NULL);
  dw_free(&a, p, 8);
  dw_free(&a, q, 8);
  CHECK_INT(a.used, 0);
}

TEST(fails_all_later_calls_when_told_so_but_never_a_shrinking_one) {
  dw_allocator a;
  dw_allocator_init(&a, NULL, NULL);
  char *p = dw_alloc(&a, 8);
  REQUIRE(p);
  a.fail_at = 2;
  a.fail_after = 1;
  CHECK(!dw_alloc(&a, 1));
  CHECK(!dw_realloc(&a, p, 8, 16));
  CHECK_INT(a.used, 8);
  p = dw_realloc(&a, p, 8, 4);
  CHECK(p != NULL);
  dw_free(&a, p, 4);
}

TEST(serves_as_a_lua_allocator) {
  dw_allocator a;
  dw_allocator_init(&a, NULL, NULL);
  /* A new block comes with the kind of the object in place of its size. */
  void *p = dw_allocator_lua(&a, NULL, 5, 24);
  CHECK_INT(a.used, 24);
  p = dw_allocator_lua(&a, p, 24, 48);
  CHECK_INT(a.used, 48);
  CHECK(dw_allocator_lua(&a, p, 48, 0) == NULL);
  CHECK_INT(a.used, 0);
}

static void *counting_alloc(void *data, void *ptr, size_t osize, size_t nsize) {
  size_t *held = data;
  *held += nsize - osize;
  if (nsize > 0) return realloc(ptr, nsize);
  free(ptr);
  return NULL;
}

TEST(tells_a_hosts_allocator_the_true_sizes) {
  size_t held = 0;
  dw_allocator a;
  dw_allocator_init(&a, counting_alloc, &held);
  void *p = dw_alloc(&a, 0);
  void *q = dw_alloc(&a, 10);
  q = dw_realloc(&a, q, 10, 1000);
  CHECK_INT(held, a.used);
  dw_free(&a, p, 0);
  dw_free(&a, q, 1000);
  CHECK_INT(held, 0);
}

/* Blocks of a script may be kept for the next ones, or not; either way the
 * host's allocator gets each back with the size that it was asked for. */
TEST(keeps_small_blocks_of_a_script_until_trimmed) {
  size_t held = 0;
  dw_allocator a;
  dw_allocator_init(&a, counting_alloc, &held);
  void *blocks[1000];
  for (size_t round = 0; round < 3; round++) {
    for (size_t i = 0; i < 1000; i++) {
      size_t size = 1 + i % 300;
      blocks[i] = dw_allocator_lua(&a, NULL, 4, size);
      REQUIRE(blocks[i]);
      memset(blocks[i], (int)i, size);
    }
    for (size_t i = 0; i < 1000; i++) { /* grows and shrinks across classes */
      size_t from = 1 + i % 300, to = 1 + i * 7 % 600;
      char *p = dw_allocator_lua(&a, blocks[i], from, to);
      REQUIRE(p);
      for (size_t j = 0; j < (from < to ? from : to); j++)
        if (p[j] != (char)i) CHECK(!"the bytes were kept");
      blocks[i] = p;
    }
    for (size_t i = 0; i < 1000; i++)
      dw_allocator_lua(&a, blocks[i], 1 + i * 7 % 600, 0);
    CHECK_INT(a.used, 0);
  }
  dw_allocator_trim(&a);
  CHECK_INT(held, 0);
}

static bool is_aligned(const void *p) {
  return (uintptr_t)p % alignof(max_align_t) == 0;
}

TEST(arena_begins_in_the_callers_block) {
  dw_allocator a;
  dw_allocator_init(&a, NULL, NULL);
  alignas(max_align_t) char block[256];
  dw_arena arena;
  dw_arena_init(&arena, &a, block + 1, sizeof(block) - 1);
  char *p = dw_arena_alloc(&arena, 64);
  CHECK(p >= block && p + 64 <= block + sizeof(block));
  CHECK(is_aligned(p));
  CHECK_INT(a.calls, 0);
  dw_arena_deinit(&arena);
}

TEST(arena_goes_on_in_chunks_and_frees_them_all) {
  dw_allocator a;
  dw_allocator_init(&a, NULL, NULL);
  dw_arena arena;
  dw_arena_init(&arena, &a, NULL, 0);
  for (size_t i = 0; i < 1000; i++) {
    char *p = dw_arena_alloc(&arena, i);
    REQUIRE(p);
    CHECK(is_aligned(p));
    memset(p, (int)i, i);
  }
  CHECK(a.calls < 40);
  CHECK(a.used >= 1000 * 999 / 2);
  dw_arena_deinit(&arena);
  CHECK_INT(a.used, 0);
}

TEST(arena_keeps_its_block_when_something_large_comes_between) {
  dw_allocator a;
  dw_allocator_init(&a, NULL, NULL);
  char block[512];
  dw_arena arena;
  dw_arena_init(&arena, &a, block, sizeof(block));
  char *large = dw_arena_zalloc(&arena, 100000);
  REQUIRE(large);
  CHECK(large[0] == 0 && large[99999] == 0);
  char *small = dw_arena_alloc(&arena, 16);
  CHECK(small >= block && small < block + sizeof(block));
  dw_arena_deinit(&arena);
  CHECK_INT(a.used, 0);
}

TEST(arena_copies_text_with_a_nul_behind_it) {
  dw_allocator a;
  dw_allocator_init(&a, NULL, NULL);
  dw_arena arena;
  dw_arena_init(&arena, &a, NULL, 0);
  CHECK_STR(dw_arena_copy(&arena, "hello world", 5), "hello");
  CHECK_STR(dw_arena_copy(&arena, NULL, 0), "");
  CHECK(is_aligned(dw_arena_alloc(&arena, 1)));
  dw_arena_deinit(&arena);
}

TEST(arena_refuses_impossible_sizes) {
  dw_allocator a;
  dw_allocator_init(&a, NULL, NULL);
  dw_arena arena;
  dw_arena_init(&arena, &a, NULL, 0);
  CHECK(dw_arena_alloc(&arena, 10) != NULL);
  CHECK(dw_arena_alloc(&arena, SIZE_MAX) == NULL);
  CHECK(dw_arena_alloc(&arena, SIZE_MAX - 8) == NULL);
  CHECK(dw_arena_copy(&arena, "", SIZE_MAX) == NULL);
  dw_arena_deinit(&arena);
  CHECK_INT(a.used, 0);
}

static int fill_arena(dw_allocator *a, void *data) {
  char block[64];
  dw_arena arena;
  dw_arena_init(&arena, a, block, sizeof(block));
  int err = 0;
  for (size_t i = 0; i < 200 && !err; i++)
    if (!dw_arena_copy(&arena, data, i)) err = DW_ENOMEM;
  dw_arena_deinit(&arena);
  return err;
}

TEST(arena_survives_failing_allocations) {
  char text[200] = "";
  unit_failing_allocations(fill_arena, text);
}

TEST(slices_compare_and_trim) {
  CHECK(dw_slice_equal(DW_LITERAL("ab"), dw_slice_of("abc", 2)));
  CHECK(!dw_slice_equal(DW_LITERAL("ab"), DW_LITERAL("aB")));
  CHECK(dw_slice_equal(DW_EMPTY, dw_slice_of(NULL, 0)));
  CHECK(dw_slice_equal_nocase(DW_LITERAL("Content-Type"),
                              DW_LITERAL("cONTENT-tYPE")));
  CHECK(!dw_slice_equal_nocase(DW_LITERAL("a@"), DW_LITERAL("a`")));
  CHECK(!dw_slice_equal_nocase(DW_LITERAL("\xC4"), DW_LITERAL("\xE4")));
  CHECK(!dw_slice_equal_nocase(DW_LITERAL("a"), DW_LITERAL("ab")));
  CHECK(dw_slice_compare(DW_LITERAL("a"), DW_LITERAL("ab")) < 0);
  CHECK(dw_slice_compare(DW_LITERAL("b"), DW_LITERAL("ab")) > 0);
  CHECK(dw_slice_compare(DW_LITERAL("\xFF"), DW_LITERAL("a")) > 0);
  CHECK_INT(dw_slice_compare(DW_LITERAL("ab"), DW_LITERAL("ab")), 0);
  CHECK_SLICE(dw_slice_trim(DW_LITERAL(" \t a b \t")), "a b");
  CHECK_SLICE(dw_slice_trim(DW_LITERAL(" \t ")), "");
  CHECK_SLICE(dw_slice_trim(DW_LITERAL("\ra\v")), "\ra\v");
}

TEST(every_code_has_a_text_and_a_name) {
  CHECK_STR(dw_strerror(UV_EADDRINUSE), "address already in use");
  CHECK_STR(dw_error_name(UV_EADDRINUSE), "EADDRINUSE");
  CHECK_STR(dw_strerror(DEWAR_ETOOBIG), "too large");
  CHECK_STR(dw_error_name(DEWAR_ETOOBIG), "ETOOBIG");
  CHECK_STR(dw_strerror(0), "success");
  CHECK_STR(dw_strerror(-99999), "unknown error");
  CHECK_STR(dw_error_name(1), "UNKNOWN");
}
