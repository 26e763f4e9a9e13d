/* SPDX-License-Identifier: MIT */
/* Server-sent events as bytes. */
#include "unit.h"

#include "base/error.h"
#include "http/event_stream.h"

static dw_allocator memory;
static dw_buffer out;

static void begin(void) {
  dw_allocator_init(&memory, NULL, NULL);
  dw_buffer_init(&out, &memory, 0);
}

static void end(void) {
  dw_buffer_deinit(&out);
  CHECK_INT(memory.used, 0);
}

static void check_data(const char *text, const char *lines) {
  begin();
  CHECK_INT(dw_event_write(&(dw_event){.data = dw_slice_str(text)}, &out), 0);
  CHECK_SLICE(dw_buffer_slice(&out), lines);
  end();
}

TEST(writes_all_fields) {
  dw_event e = {.name = DW_LITERAL("tick"),
                .data = DW_LITERAL("1"),
                .id = DW_LITERAL("7"),
                .retry = UINT64_MAX,
                .has_retry = true};
  begin();
  CHECK_INT(dw_event_write(&e, &out), 0);
  CHECK_SLICE(dw_buffer_slice(&out),
              "event: tick\ndata: 1\nid: 7\nretry: 18446744073709551615\n\n");
  end();
}

TEST(writes_a_line_of_data_for_each_line) {
  check_data("", "data: \n\n");
  check_data("a", "data: a\n\n");
  check_data("a\n", "data: a\ndata: \n\n");
  check_data("a\r\nb", "data: a\ndata: b\n\n");
  check_data("\r\r\n\n", "data: \ndata: \ndata: \ndata: \n\n");
}

TEST(gives_a_named_event_data) {
  begin();
  CHECK_INT(dw_event_write(&(dw_event){.name = DW_LITERAL("x")}, &out), 0);
  CHECK_INT(dw_event_comment(DW_LITERAL("a\nb"), &out), 0);
  CHECK_SLICE(dw_buffer_slice(&out), "event: x\ndata: \n\n: a\n: b\n\n");
  end();
}

TEST(knows_what_fits_in_a_line) {
  CHECK(dw_event_is_line(DW_LITERAL("a b:c")));
  CHECK(dw_event_is_line(DW_EMPTY));
  CHECK(!dw_event_is_line(DW_LITERAL("a\n")));
  CHECK(!dw_event_is_line(DW_LITERAL("\rb")));
  CHECK(!dw_event_is_line(DW_LITERAL("a\0b")));
}

static int write_two(dw_allocator *a, void *data) {
  dw_event e = {.name = DW_LITERAL("tick"),
                .data = DW_LITERAL("some text\nof two lines"),
                .retry = 1,
                .has_retry = true};
  dw_buffer b;
  (void)data;
  dw_buffer_init(&b, a, 0);
  int code = dw_event_write(&e, &b);
  size_t len = b.len;
  CHECK(code == 0 ? len > 0 : len == 0);
  if (code == 0 && (code = dw_event_comment(DW_LITERAL("c"), &b)) < 0)
    CHECK_INT(b.len, len);
  dw_buffer_deinit(&b);
  return code;
}

TEST(leaves_nothing_of_an_event_that_found_no_memory) {
  unit_failing_allocations(write_two, NULL);
}
