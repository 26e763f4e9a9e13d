/* SPDX-License-Identifier: MIT */
/* The vocabulary of HTTP. */
#include "unit.h"

#include "http/limits.h"
#include "http/tokens.h"

static bool in(const char *set, int c) { return c && strchr(set, c); }

static bool is_alnum(int c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
         (c >= 'a' && c <= 'z');
}

TEST(knows_the_characters_of_tokens) {
  for (int c = 0; c < 256; c++)
    CHECK(dw_is_tchar((unsigned char)c) ==
          (is_alnum(c) || in("!#$%&'*+-.^_`|~", c)));
}

TEST(knows_the_characters_of_values_targets_and_hosts) {
  for (int c = 0; c < 256; c++) {
    int classes = dw_char_classes[c];
    CHECK(!!(classes & DW_CHAR_FIELD) == (c == '\t' || (c >= 32 && c != 127)));
    CHECK(!!(classes & DW_CHAR_TARGET) ==
          (c > 32 && c < 127 && !in("\"<>\\#", c)));
    CHECK(!!(classes & DW_CHAR_UNRESERVED) == (is_alnum(c) || in("-._~", c)));
    CHECK(!!(classes & DW_CHAR_HEX) == (dw_hex_digit((unsigned char)c) >= 0));
  }
}

TEST(reads_hexadecimal_digits) {
  CHECK_INT(dw_hex_digit('0'), 0);
  CHECK_INT(dw_hex_digit('9'), 9);
  CHECK_INT(dw_hex_digit('a'), 10);
  CHECK_INT(dw_hex_digit('F'), 15);
  CHECK_INT(dw_hex_digit('g'), -1);
  CHECK_INT(dw_hex_digit('/'), -1);
  CHECK_INT(dw_hex_digit(':'), -1);
  CHECK_INT(dw_hex_digit('@'), -1);
  CHECK_INT(dw_hex_digit('\0'), -1);
  CHECK_INT(dw_hex_digit(0xe1), -1);
}

TEST(tells_tokens_from_other_text) {
  CHECK(dw_is_token(DW_LITERAL("X-Header")));
  CHECK(!dw_is_token(DW_LITERAL("")));
  CHECK(!dw_is_token(DW_LITERAL("a b")));
  CHECK(!dw_is_token(DW_LITERAL("a:")));
  CHECK(dw_is_field_value(DW_LITERAL("")));
  CHECK(dw_is_field_value(DW_LITERAL("a\tb \xe9")));
  CHECK(!dw_is_field_value(DW_LITERAL("a\r")));
  CHECK(!dw_is_field_value(DW_LITERAL("a\nb")));
  CHECK(!dw_is_field_value(DW_LITERAL("a\0b")));
  CHECK(!dw_is_field_value(DW_LITERAL("\x7f")));
}

TEST(finds_every_method_by_its_name) {
  for (int m = 0; m < DW_METHOD_COUNT; m++) {
    dw_slice name = dw_method_name((dw_method)m);
    CHECK(name.len > 0);
    CHECK_INT(dw_method_find(name), m);
  }
  CHECK(DW_METHOD_COUNT <= DW_METHOD_UNKNOWN);
}

TEST(finds_no_method_that_is_not_there) {
  CHECK_INT(dw_method_find(DW_LITERAL("")), DW_METHOD_UNKNOWN);
  CHECK_INT(dw_method_find(DW_LITERAL("get")), DW_METHOD_UNKNOWN);
  CHECK_INT(dw_method_find(DW_LITERAL("GE")), DW_METHOD_UNKNOWN);
  CHECK_INT(dw_method_find(DW_LITERAL("GETS")), DW_METHOD_UNKNOWN);
  CHECK_SLICE(dw_method_name(DW_METHOD_UNKNOWN), "");
}

TEST(has_a_line_and_a_phrase_per_status) {
  CHECK_SLICE(dw_status_line(200), "HTTP/1.1 200 OK\r\n");
  CHECK_SLICE(dw_status_phrase(200), "OK");
  CHECK_SLICE(dw_status_phrase(404), "Not Found");
  CHECK_SLICE(dw_status_phrase(418), "I'm a teapot");
  CHECK_SLICE(dw_status_line(299), "");
  CHECK_SLICE(dw_status_phrase(299), "");
  CHECK_SLICE(dw_status_phrase(-1), "");
  for (int status = 100; status < 600; status++) {
    char start[32];
    snprintf(start, sizeof start, "HTTP/1.1 %d ", status);
    dw_slice line = dw_status_line(status);
    CHECK(line.len == 0 || memcmp(line.ptr, start, strlen(start)) == 0);
  }
}

TEST(knows_which_statuses_have_no_body) {
  CHECK(dw_status_bodiless(100));
  CHECK(dw_status_bodiless(101));
  CHECK(dw_status_bodiless(204));
  CHECK(dw_status_bodiless(304));
  CHECK(!dw_status_bodiless(200));
  CHECK(!dw_status_bodiless(205));
  CHECK(!dw_status_bodiless(404));
}

TEST(has_limits_by_default) {
  dw_limits l;
  dw_limits_init(&l);
  CHECK_INT(l.header_timeout, 10000);
  CHECK_INT(l.body_timeout, 60000);
  CHECK_INT(l.keep_alive_timeout, 75000);
  CHECK_INT(l.write_timeout, 60000);
  CHECK_INT(l.request_timeout, 0);
  CHECK_INT(l.shutdown_timeout, 10000);
  CHECK_INT(l.max_content_length, 16 << 20);
  CHECK_INT(l.max_target_size, 8 << 10);
  CHECK_INT(l.max_header_size, 16 << 10);
  CHECK_INT(l.max_headers, 100);
  CHECK_INT(l.max_trailer_size, 4 << 10);
  CHECK_INT(l.max_connections, 0);
  CHECK(l.cancel_on_disconnect);
}
