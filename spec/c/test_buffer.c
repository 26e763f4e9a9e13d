/* SPDX-License-Identifier: MIT */
/* The growable buffer. */
#include "unit.h"

#include "base/buffer.h"
#include "base/error.h"

static dw_allocator allocator;

static void init(dw_buffer *b, size_t max) {
  dw_allocator_init(&allocator, NULL, NULL);
  dw_buffer_init(b, &allocator, max);
}

TEST(holds_nothing_until_something_is_appended) {
  dw_buffer b;
  init(&b, 0);
  CHECK_SLICE(dw_buffer_slice(&b), "");
  CHECK_INT(dw_buffer_append(&b, NULL, 0), 0);
  CHECK_INT(allocator.calls, 0);
  dw_buffer_deinit(&b);
}

TEST(appends_and_consumes) {
  dw_buffer b;
  init(&b, 0);
  CHECK_INT(dw_buffer_append_slice(&b, DW_LITERAL("hello ")), 0);
  CHECK_INT(dw_buffer_append(&b, "wor", 3), 0);
  CHECK_INT(dw_buffer_append_char(&b, 'l'), 0);
  CHECK_INT(dw_buffer_printf(&b, "%c%d", 'd', 42), 0);
  CHECK_SLICE(dw_buffer_slice(&b), "hello world42");
  dw_buffer_consume(&b, 6);
  CHECK_SLICE(dw_buffer_slice(&b), "world42");
  dw_buffer_consume(&b, 100);
  CHECK_SLICE(dw_buffer_slice(&b), "");
  dw_buffer_deinit(&b);
  CHECK_INT(allocator.used, 0);
  CHECK_INT(dw_buffer_append(&b, "again", 5), 0);
  CHECK_SLICE(dw_buffer_slice(&b), "again");
  dw_buffer_deinit(&b);
  CHECK_INT(allocator.used, 0);
}

TEST(grows_by_doubling) {
  dw_buffer b;
  init(&b, 0);
  for (int i = 0; i < 100000; i++) dw_buffer_append_char(&b, 'x');
  CHECK_INT(b.len, 100000);
  CHECK(allocator.calls < 20);
  dw_buffer_deinit(&b);
}

TEST(takes_its_maximum_and_not_a_byte_more) {
  dw_buffer b;
  init(&b, 100);
  CHECK_INT(dw_buffer_reserve(&b, 100), 0);
  CHECK_INT(dw_buffer_reserve(&b, 101), DW_ETOOBIG);
  CHECK_INT(dw_buffer_reserve(&b, SIZE_MAX), DW_ETOOBIG);
  for (int i = 0; i < 97; i++) CHECK_INT(dw_buffer_append_char(&b, 'x'), 0);
  CHECK_INT(dw_buffer_append(&b, "abcd", 4), DW_ETOOBIG);
  CHECK_INT(b.len, 97);
  CHECK_INT(dw_buffer_printf(&b, "%s", "abcd"), DW_ETOOBIG);
  CHECK_INT(b.len, 97);
  CHECK_INT(dw_buffer_printf(&b, "%s", "abc"), 0);
  CHECK_INT(b.len, 100);
  CHECK_INT(dw_buffer_append_char(&b, 'x'), DW_ETOOBIG);
  CHECK_INT(dw_buffer_append(&b, NULL, 0), 0);
  CHECK_INT(b.len, 100);
  dw_buffer_deinit(&b);
  CHECK_INT(allocator.used, 0);
}

TEST(refuses_sizes_that_overflow) {
  dw_buffer b;
  init(&b, 0);
  CHECK_INT(dw_buffer_append(&b, "abc", 3), 0);
  CHECK_INT(dw_buffer_reserve(&b, SIZE_MAX), DW_ETOOBIG);
  CHECK_INT(dw_buffer_reserve(&b, SIZE_MAX - 3), DW_ETOOBIG);
  CHECK_SLICE(dw_buffer_slice(&b), "abc");
  dw_buffer_deinit(&b);
}

TEST(prints_texts_of_any_length) {
  dw_buffer b;
  init(&b, 0);
  char text[1000];
  memset(text, 'y', sizeof(text));
  for (int len = 0; len < 1000; len++)
    CHECK_INT(dw_buffer_printf(&b, "%.*s", len, text), 0);
  CHECK_INT(b.len, 999 * 1000 / 2);
  CHECK(memchr(b.ptr, '\0', b.len) == NULL);
  dw_buffer_deinit(&b);
  CHECK_INT(allocator.used, 0);
}

static int append_all(dw_allocator *a, void *data) {
  (void)data;
  dw_buffer b;
  dw_buffer_init(&b, a, 0);
  int err = 0;
  size_t len = 0;
  for (int i = 0; i < 300 && !err; i++) {
    err = i % 2 ? dw_buffer_printf(&b, "%07d", i)
                : dw_buffer_append(&b, "0123456", 7);
    if (!err) len += 7;
    CHECK_INT(b.len, len);
  }
  dw_buffer_deinit(&b);
  return err;
}

TEST(holds_what_it_held_after_a_failed_allocation) {
  unit_failing_allocations(append_all, NULL);
}
