/* SPDX-License-Identifier: MIT */
/* A response before it is sent. */
#include "unit.h"

#include "base/error.h"
#include "http/response.h"

static dw_allocator memory;
static dw_response r;

static void begin(void) {
  dw_allocator_init(&memory, NULL, NULL);
  dw_response_init(&r, &memory);
}

static void end(void) {
  dw_response_deinit(&r);
  CHECK_INT(memory.used, 0);
}

TEST(begins_as_an_empty_200) {
  begin();
  CHECK_INT(r.status, 200);
  CHECK_INT(r.kind, DW_BODY_NONE);
  CHECK_SLICE(r.reason, "");
  CHECK_SLICE(r.body, "");
  CHECK_SLICE(dw_response_type(&r), "");
  CHECK_INT(memory.calls, 0);
  end();
}

TEST(copies_a_body) {
  char text[] = "hello";
  begin();
  CHECK_INT(dw_response_set_body(&r, dw_slice_str(text)), 0);
  text[0] = '!';
  CHECK_INT(r.kind, DW_BODY_BYTES);
  CHECK_SLICE(r.body, "hello");
  CHECK_INT(dw_response_set_body(&r, DW_LITERAL("other")), 0);
  CHECK_SLICE(r.body, "other");
  dw_response_clear_body(&r);
  CHECK_INT(r.kind, DW_BODY_NONE);
  CHECK_SLICE(r.body, "");
  CHECK_INT(memory.used, 0);
  end();
}

TEST(copies_its_own_body) {
  begin();
  CHECK_INT(dw_response_set_body(&r, DW_LITERAL("hello")), 0);
  CHECK_INT(dw_response_set_body(&r, dw_slice_of(r.body.ptr + 1, 3)), 0);
  CHECK_SLICE(r.body, "ell");
  end();
}

TEST(tells_an_empty_body_from_none) {
  begin();
  CHECK_INT(dw_response_set_body(&r, DW_EMPTY), 0);
  CHECK_INT(r.kind, DW_BODY_BYTES);
  CHECK_INT(memory.calls, 0);
  end();
}

TEST(keeps_its_body_when_there_is_no_memory_for_another) {
  begin();
  CHECK_INT(dw_response_set_body(&r, DW_LITERAL("hello")), 0);
  memory.fail_at = memory.calls + 1;
  CHECK_INT(dw_response_set_body(&r, DW_LITERAL("other")), DW_ENOMEM);
  CHECK_SLICE(r.body, "hello");
  end();
}

static int released;

static void count_release(dw_response *response) {
  released++;
  dw_response_clear_body(response); /* harmless in here */
}

TEST(releases_what_it_holds_once) {
  begin();
  released = 0;
  r.kind = DW_BODY_STREAM;
  r.release = count_release;
  dw_response_clear_body(&r);
  CHECK_INT(released, 1);
  CHECK_INT(r.kind, DW_BODY_NONE);
  r.kind = DW_BODY_BYTES;
  r.release = count_release;
  CHECK_INT(dw_response_set_body(&r, DW_LITERAL("x")), 0);
  CHECK_INT(released, 2);
  end();
  CHECK_INT(released, 2);
}

TEST(takes_a_status_with_a_reason) {
  begin();
  CHECK_INT(dw_response_set_status(&r, 418, DW_LITERAL("Custom")), 0);
  CHECK_INT(r.status, 418);
  CHECK_SLICE(r.reason, "Custom");
  CHECK_INT(dw_response_set_status(&r, 404, DW_EMPTY), 0);
  CHECK_SLICE(r.reason, "");
  CHECK_INT(memory.used, 0);
  CHECK_INT(dw_response_set_status(&r, 999, DW_EMPTY), 0);
  end();
}

TEST(refuses_a_bad_status_or_reason) {
  begin();
  CHECK_INT(dw_response_set_status(&r, 201, DW_LITERAL("Made")), 0);
  CHECK_INT(dw_response_set_status(&r, 99, DW_EMPTY), DEWAR_EINVAL);
  CHECK_INT(dw_response_set_status(&r, 1000, DW_EMPTY), DEWAR_EINVAL);
  CHECK_INT(dw_response_set_status(&r, -200, DW_EMPTY), DEWAR_EINVAL);
  CHECK_INT(dw_response_set_status(&r, 200, DW_LITERAL("a\r\nX: y")),
            DEWAR_EINVAL);
  CHECK_INT(dw_response_set_status(&r, 200, DW_LITERAL("a\0")), DEWAR_EINVAL);
  CHECK_INT(r.status, 201);
  CHECK_SLICE(r.reason, "Made");
  end();
}

TEST(lets_a_header_override_the_static_type) {
  begin();
  r.type = "text/plain";
  CHECK_SLICE(dw_response_type(&r), "text/plain");
  dw_headers_set(&r.headers, DW_LITERAL("content-type"), DW_LITERAL("a/b"));
  CHECK_SLICE(dw_response_type(&r), "a/b");
  end();
}

static int make(dw_allocator *a, void *data) {
  dw_response response;
  (void)data;
  dw_response_init(&response, a);
  int err = dw_response_set_body(&response, DW_LITERAL("hello"));
  if (err == 0)
    err = dw_response_set_status(&response, 200, DW_LITERAL("Fine"));
  if (err == 0)
    err = dw_headers_add(&response.headers, DW_LITERAL("X"), DW_LITERAL("y"));
  dw_response_deinit(&response);
  return err;
}

TEST(leaks_nothing_when_memory_is_short) {
  unit_failing_allocations(make, NULL);
}
