/* SPDX-License-Identifier: MIT */
/* The writer: heads and chunks as bytes. */
#include "unit.h"

#include "base/error.h"
#include "http/writer.h"

#define L DW_LITERAL

static dw_allocator memory;
static dw_response r;
static dw_buffer out;
static dw_head_options options;

static void begin(void) {
  dw_allocator_init(&memory, NULL, NULL);
  dw_response_init(&r, &memory);
  dw_buffer_init(&out, &memory, 0);
  options = (dw_head_options){.minor = 1, .keep_alive = true, .date = L("")};
}

static void end(void) {
  dw_response_deinit(&r);
  dw_buffer_deinit(&out);
  CHECK_INT(memory.used, 0);
}

static void check_head(const char *want) {
  out.len = 0;
  CHECK_INT(dw_writer_head(&out, &r, &options), 0);
  CHECK_SLICE(dw_buffer_slice(&out), want);
}

TEST(writes_a_plain_head) {
  begin();
  options.framing = DW_FRAMING_LENGTH;
  options.length = 12;
  options.date = L("Sun, 06 Nov 1994 08:49:37 GMT");
  r.type = "text/html; charset=utf-8";
  check_head("HTTP/1.1 200 OK\r\n"
             "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
             "Content-Type: text/html; charset=utf-8\r\n"
             "Content-Length: 12\r\n"
             "\r\n");
  end();
}

TEST(appends_to_what_is_there) {
  begin();
  dw_buffer_append(&out, "x", 1);
  CHECK_INT(dw_writer_head(&out, &r, &options), 0);
  CHECK_SLICE(dw_buffer_slice(&out), "xHTTP/1.1 200 OK\r\n\r\n");
  end();
}

TEST(says_how_the_answer_differs_from_the_response) {
  begin();
  dw_headers_add(&r.headers, L("ETag"), L("\"v1\""));
  dw_headers_add(&r.headers, L("Vary"), L("Cookie"));
  dw_headers_add(&r.headers, L("Accept-Ranges"), L("bytes"));
  options.vary = true;
  check_head("HTTP/1.1 200 OK\r\n"
             "ETag: \"v1\"\r\nVary: Cookie\r\nAccept-Ranges: bytes\r\n"
             "Vary: Accept-Encoding\r\n\r\n");
  options.weaken = true;
  options.coding = L("gzip");
  check_head("HTTP/1.1 200 OK\r\n"
             "ETag: W/\"v1\"\r\nVary: Cookie\r\n"
             "Vary: Accept-Encoding\r\nContent-Encoding: gzip\r\n\r\n");
  CHECK_SLICE(dw_headers_find(&r.headers, L("ETag"))->value, "\"v1\"");
  end();
}

TEST(weakens_tags_that_are_strong_and_tags_alone) {
  begin();
  for (int i = 0; i < 100; i++)
    dw_headers_add(&r.headers, L("etag"), L("\"\""));
  dw_headers_add(&r.headers, L("ETag"), L("W/\"w\""));
  dw_headers_add(&r.headers, L("Date"), L("\"d\""));
  dw_headers_add(&r.headers, L("ETag"), L(""));
  options.weaken = true;
  CHECK_INT(dw_writer_head(&out, &r, &options), 0);
  static const char ends[] = "ETag: W/\"\"\r\nETag: W/\"w\"\r\n"
                             "Date: \"d\"\r\nETag: \r\n\r\n";
  size_t len = sizeof ends - 1;
  CHECK(out.len > len && memcmp(out.ptr + out.len - len, ends, len) == 0);
  end();
}

TEST(writes_the_fields_of_the_response_in_order) {
  begin();
  dw_headers_add(&r.headers, L("Set-Cookie"), L("a=b"));
  dw_headers_add(&r.headers, L("X-Empty"), L(""));
  dw_headers_add(&r.headers, L("Set-Cookie"), L("c=d"));
  check_head("HTTP/1.1 200 OK\r\n"
             "Set-Cookie: a=b\r\n"
             "X-Empty: \r\n"
             "Set-Cookie: c=d\r\n"
             "\r\n");
  end();
}

TEST(writes_a_reason_of_ones_own_or_none) {
  begin();
  dw_response_set_status(&r, 418, L("Custom"));
  check_head("HTTP/1.1 418 Custom\r\n\r\n");
  dw_response_set_status(&r, 299, L(""));
  check_head("HTTP/1.1 299 \r\n\r\n");
  dw_response_set_status(&r, 200, L("Fine"));
  check_head("HTTP/1.1 200 Fine\r\n\r\n");
  end();
}

TEST(writes_the_framing) {
  begin();
  options.framing = DW_FRAMING_CHUNKED;
  check_head("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
  options.framing = DW_FRAMING_LENGTH;
  check_head("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  options.length = UINT64_MAX;
  check_head("HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n");
  options.framing = DW_FRAMING_CLOSE;
  options.keep_alive = false;
  check_head("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
  end();
}

TEST(says_whether_the_connection_stays) {
  begin();
  options.minor = 0;
  check_head("HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n");
  options.keep_alive = false;
  check_head("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
  options.minor = 1;
  check_head("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
  end();
}

TEST(leaves_out_fields_that_would_contradict_the_framing) {
  begin();
  dw_headers_add(&r.headers, L("content-length"), L("99"));
  dw_headers_add(&r.headers, L("Transfer-Encoding"), L("gzip"));
  dw_headers_add(&r.headers, L("CONNECTION"), L("close"));
  dw_headers_add(&r.headers, L("X"), L("y"));
  options.framing = DW_FRAMING_LENGTH;
  options.length = 1;
  check_head("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX: y\r\n\r\n");
  end();
}

TEST(keeps_fields_that_only_look_alike) {
  begin();
  dw_headers_add(&r.headers, L("content-lengtH2"), L("99"));
  dw_headers_add(&r.headers, L("Transfer-Encodinh"), L("gzip"));
  check_head("HTTP/1.1 200 OK\r\ncontent-lengtH2: 99\r\n"
             "Transfer-Encodinh: gzip\r\n\r\n");
  end();
}

TEST(lets_the_response_have_date_and_type_of_its_own) {
  begin();
  r.type = "text/plain";
  options.framing = DW_FRAMING_LENGTH;
  options.date = L("now");
  dw_headers_add(&r.headers, L("date"), L("then"));
  dw_headers_add(&r.headers, L("Content-type"), L("a/b"));
  check_head("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
             "date: then\r\nContent-type: a/b\r\n\r\n");
  end();
}

TEST(gives_no_type_to_what_has_no_body) {
  begin();
  r.type = "text/plain";
  dw_response_set_status(&r, 204, L(""));
  check_head("HTTP/1.1 204 No Content\r\n\r\n");
  end();
}

TEST(keeps_the_fields_of_an_upgrade) {
  begin();
  dw_response_set_status(&r, 101, L(""));
  dw_headers_add(&r.headers, L("Connection"), L("Upgrade"));
  dw_headers_add(&r.headers, L("Upgrade"), L("websocket"));
  check_head("HTTP/1.1 101 Switching Protocols\r\n"
             "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  end();
}

TEST(names_an_offered_upgrade_in_connection) {
  begin();
  dw_response_set_status(&r, 426, L(""));
  dw_headers_add(&r.headers, L("Upgrade"), L("websocket"));
  check_head("HTTP/1.1 426 Upgrade Required\r\n"
             "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  options.keep_alive = false;
  check_head("HTTP/1.1 426 Upgrade Required\r\n"
             "Connection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n");
  end();
}

TEST(has_room_for_the_longest_head_of_its_own) {
  begin();
  dw_response_set_status(&r, 511, L(""));
  dw_headers_add(&r.headers, L("Upgrade"), L("x"));
  options = (dw_head_options){.framing = DW_FRAMING_LENGTH,
                              .length = UINT64_MAX,
                              .date = L("Sun, 06 Nov 1994 08:49:37 GMT"),
                              .keep_alive = true};
  r.type = "application/octet-stream";
  check_head("HTTP/1.1 511 Network Authentication Required\r\n"
             "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
             "Content-Type: application/octet-stream\r\n"
             "Content-Length: 18446744073709551615\r\n"
             "Connection: keep-alive, Upgrade\r\n"
             "Upgrade: x\r\n\r\n");
  end();
}

TEST(reserves_once) {
  begin();
  r.type = "text/plain";
  options.framing = DW_FRAMING_LENGTH;
  uint64_t before = memory.calls;
  CHECK_INT(dw_writer_head(&out, &r, &options), 0);
  CHECK_INT(memory.calls - before, 1);
  end();
}

TEST(writes_chunks) {
  begin();
  CHECK_INT(dw_writer_chunk(&out, L("hello")), 0);
  CHECK_INT(dw_writer_chunk(&out, L("")), 0);
  CHECK_INT(dw_writer_chunk(&out, L("0123456789abcdef")), 0);
  CHECK_INT(dw_writer_last_chunk(&out, NULL), 0);
  CHECK_SLICE(dw_buffer_slice(&out),
              "5\r\nhello\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n");
  out.len = 0;
  CHECK_INT(dw_writer_chunk_line(&out, 0xabcdef), 0);
  CHECK_INT(dw_writer_chunk_line(&out, SIZE_MAX), 0);
  CHECK_SLICE(dw_buffer_slice(&out), "abcdef\r\nffffffffffffffff\r\n");
  end();
}

TEST(leaves_the_buffer_as_it_was_when_memory_is_short) {
  begin();
  dw_buffer_append(&out, "x", 1);
  memory.fail_at = memory.calls + 1;
  memory.fail_after = 1;
  CHECK_INT(dw_writer_head(&out, &r, &options), DW_ENOMEM);
  char large[1000];
  memset(large, 'y', sizeof large);
  CHECK_INT(dw_writer_chunk(&out, dw_slice_of(large, sizeof large)), DW_ENOMEM);
  CHECK_SLICE(dw_buffer_slice(&out), "x");
  end();
}
