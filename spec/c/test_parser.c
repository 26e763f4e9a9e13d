/* SPDX-License-Identifier: MIT */
/* The parser against the fixtures in spec/fixtures/http: each message whole,
 * byte by byte, in two pieces cut everywhere, and without memory. */
#include "unit.h"

#include <dirent.h>

#include "base/error.h"
#include "http/parser.h"
#include "spec/support/fixtures.h"
#include "spec/support/transcript.h"

static const char folder[] = "spec/fixtures/http";

/* --- Cutting ---------------------------------------------------------------*/

static size_t whole(void *data, size_t at, size_t len) {
  (void)data, (void)at;
  return len;
}

static size_t byte_by_byte(void *data, size_t at, size_t len) {
  (void)data, (void)len;
  return at + 1;
}

static size_t at_position(void *data, size_t at, size_t len) {
  size_t position = *(size_t *)data;
  return at < position && position < len ? position : len;
}

/* --- Comparing -------------------------------------------------------------*/

static dw_allocator system_memory; /* of transcripts */

static void write_transcript(dw_buffer *out, const fixture *f,
                             transcript_cut cut, void *data) {
  dw_allocator a;
  dw_allocator_init(&a, NULL, NULL);
  out->len = 0;
  int err = transcript_write(out, &a, &f->limits, dw_buffer_slice(&f->bytes),
                             cut, data);
  CHECK_INT(err, 0);
  CHECK_INT(a.used, 0);
}

static dw_slice take_line(dw_slice *text) {
  const char *end = memchr(text->ptr, '\n', text->len);
  size_t len = end ? (size_t)(end - text->ptr) : text->len;
  dw_slice line = {text->ptr, len};
  if (end) len++;
  *text = dw_slice_of(text->ptr + len, text->len - len);
  return line;
}

static bool is_verdict(dw_slice line) {
  return dw_slice_equal(line, DW_LITERAL("ok")) ||
         dw_slice_equal(line, DW_LITERAL("more")) ||
         (line.len >= 3 && line.ptr[0] >= '1' && line.ptr[0] <= '9');
}

/* The block of lines at the front, with its verdict. */
static dw_slice take_block(dw_slice *text) {
  dw_slice block = *text, rest = *text;
  take_line(&rest);
  for (;;) {
    dw_slice next = rest;
    if (rest.len == 0 || is_verdict(take_line(&next))) break;
    rest = next;
  }
  block.len = text->len - rest.len;
  *text = rest;
  return block;
}

/* "400" stands for any reason. */
static bool same_verdict(dw_slice want, dw_slice got) {
  if (want.len == 3 && got.len > 3) got.len = 3;
  return dw_slice_equal(want, got);
}

static bool has_line(dw_slice block, dw_slice line) {
  while (block.len > 0) {
    if (dw_slice_equal(take_line(&block), line)) return true;
  }
  return false;
}

static bool complain(const fixture *f, const char *path, dw_slice line,
                     dw_slice got) {
  return unit_check(false, path, 0, "%s: expected \"%.*s\" in\n%.*s", f->title,
                    DW_FMT(line), DW_FMT(got));
}

static bool compare(const fixture *f, const char *path, dw_slice got) {
  dw_slice expected = dw_buffer_slice(&f->expected), rest = got;
  unit.checks++;
  while (expected.len > 0 || rest.len > 0) {
    dw_slice want = take_block(&expected), block = take_block(&rest);
    if (!same_verdict(take_line(&want), take_line(&block)))
      return complain(f, path, dw_buffer_slice(&f->expected), got);
    while (want.len > 0) {
      dw_slice line = take_line(&want);
      if (!has_line(block, line)) return complain(f, path, line, got);
    }
  }
  return true;
}

/* --- Every fixture ---------------------------------------------------------*/

typedef struct each {
  const char *path;
  unsigned cases;
  fixture_cb cb;
} each;

static void count_case(const fixture *f, void *data) {
  each *e = data;
  e->cases++;
  e->cb(f, e);
}

static int is_fixture(const struct dirent *entry) {
  return strstr(entry->d_name, ".http") != NULL;
}

static void for_each_fixture(fixture_cb cb) {
  struct dirent **entries = NULL;
  each e = {.cb = cb};
  dw_allocator_init(&system_memory, NULL, NULL);
  int n = scandir(folder, &entries, is_fixture, alphasort);
  REQUIRE(n > 0);
  for (int i = 0; i < n; i++) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
    e.path = path;
    fixtures_read(path, &system_memory, count_case, &e);
    free(entries[i]);
  }
  free(entries);
  CHECK(e.cases > 200);
  CHECK_INT(system_memory.used, 0);
}

static void check_whole(const fixture *f, void *data) {
  each *e = data;
  dw_buffer got;
  dw_buffer_init(&got, &system_memory, 0);
  write_transcript(&got, f, whole, NULL);
  compare(f, e->path, dw_buffer_slice(&got));
  dw_buffer_deinit(&got);
}

TEST(gives_each_fixture_its_verdict) { for_each_fixture(check_whole); }

static void check_same(const fixture *f, const char *path, dw_buffer *want,
                       transcript_cut cut, size_t *position) {
  dw_buffer got;
  dw_buffer_init(&got, &system_memory, 0);
  write_transcript(&got, f, cut, position);
  if (!dw_slice_equal(dw_buffer_slice(&got), dw_buffer_slice(want)))
    unit_check(false, path, 0, "%s: cut at %zu\n%.*s\nwhole:\n%.*s", f->title,
               position ? *position : 1, (int)got.len, got.ptr, (int)want->len,
               want->ptr);
  unit.checks++;
  dw_buffer_deinit(&got);
}

static void check_pieces(const fixture *f, void *data) {
  each *e = data;
  dw_buffer want;
  size_t step = 1 + f->bytes.len / 1024;
  dw_buffer_init(&want, &system_memory, 0);
  write_transcript(&want, f, whole, NULL);
  check_same(f, e->path, &want, byte_by_byte, NULL);
  for (size_t at = 1; at < f->bytes.len; at += step)
    check_same(f, e->path, &want, at_position, &at);
  dw_buffer_deinit(&want);
}

TEST(gives_the_same_verdict_however_a_message_is_cut) {
  for_each_fixture(check_pieces);
}

static int parse_with(dw_allocator *a, void *data) {
  const fixture *f = data;
  dw_buffer out;
  dw_buffer_init(&out, &system_memory, 0);
  int err = transcript_write(&out, a, &f->limits, dw_buffer_slice(&f->bytes),
                             whole, NULL);
  dw_buffer_deinit(&out);
  return err;
}

static void check_memory(const fixture *f, void *data) {
  (void)data;
  fixture copy = *f;
  unit_failing_allocations(parse_with, &copy);
}

TEST(leaks_nothing_when_memory_is_short) { for_each_fixture(check_memory); }

/* --- What fixtures can't say -----------------------------------------------*/

static dw_allocator memory;
static dw_limits limits;
static dw_request request;
static dw_parser parser;

static void begin(void) {
  dw_allocator_init(&memory, NULL, NULL);
  dw_limits_init(&limits);
  dw_parser_init(&parser, &limits);
  dw_arena_init(&request.arena, &memory, NULL, 0);
}

static void end(void) {
  dw_arena_deinit(&request.arena);
  CHECK_INT(memory.used, 0);
}

static dw_parse scan(const char *text, size_t *used) {
  return dw_parser_scan(&parser, text, strlen(text), used);
}

TEST(starts_with_the_first_byte_of_a_head) {
  size_t used;
  begin();
  CHECK(!dw_parser_started(&parser));
  CHECK_INT(scan("", &used), DW_PARSE_MORE);
  CHECK(!dw_parser_started(&parser));
  CHECK_INT(scan("\r", &used), DW_PARSE_MORE);
  CHECK(dw_parser_started(&parser));
  CHECK_INT(scan("\n", &used), DW_PARSE_MORE);
  CHECK(dw_parser_started(&parser));
  CHECK_INT(scan("G", &used), DW_PARSE_MORE);
  CHECK(dw_parser_started(&parser));
  end();
}

TEST(stops_scanning_behind_the_head) {
  const char *text = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET";
  size_t used;
  begin();
  CHECK_INT(scan(text, &used), DW_PARSE_HEAD);
  CHECK_INT(used, strlen(text) - 3);
  end();
}

TEST(is_not_started_again_until_the_next_head_begins) {
  const char *text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  size_t used;
  dw_slice data;
  begin();
  CHECK_INT(scan(text, &used), DW_PARSE_HEAD);
  CHECK_INT(dw_parser_head(&parser, text, used, &request), 0);
  CHECK(parser.request == &request);
  CHECK_INT(dw_parser_body(&parser, "GET", 3, &used, &data), DW_PARSE_END);
  CHECK_INT(used, 0);
  CHECK(parser.request == NULL);
  CHECK(!dw_parser_started(&parser));
  end();
}

TEST(stays_refused) {
  size_t used;
  dw_slice data;
  begin();
  CHECK_INT(scan("GET\n", &used), DW_PARSE_ERROR);
  CHECK_INT(parser.status, 400);
  CHECK_INT(scan("GET / HTTP/1.1\r\nHost: a\r\n\r\n", &used), DW_PARSE_ERROR);
  CHECK_INT(dw_parser_head(&parser, "x", 1, &request), DEWAR_EPARSE);
  CHECK_INT(dw_parser_body(&parser, "x", 1, &used, &data), DW_PARSE_ERROR);
  CHECK_INT(parser.status, 400);
  CHECK_STR(parser.reason, "bad character in the method");
  end();
}

TEST(tells_what_was_understood_of_a_refused_head) {
  const char *text = "POST /x?y HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n";
  size_t used;
  begin();
  CHECK_INT(scan(text, &used), DW_PARSE_HEAD);
  CHECK_INT(dw_parser_head(&parser, text, used, &request), DEWAR_EPARSE);
  CHECK_INT(parser.status, 417);
  CHECK_INT(request.method, DW_METHOD_POST);
  CHECK_SLICE(request.target, "/x?y");
  CHECK_SLICE(request.raw_path, "/x");
  CHECK_SLICE(dw_request_header(&request, "expect"), "x");
  end();
}

TEST(keeps_its_slices_when_the_input_is_gone) {
  char text[] = "\r\nPOST /x HTTP/1.1\r\nHost: A\r\nX: y\r\nx: z\r\n\r\n";
  size_t used;
  begin();
  CHECK_INT(scan(text, &used), DW_PARSE_HEAD);
  CHECK_INT(dw_parser_head(&parser, text, used, &request), 0);
  memset(text, '!', sizeof text - 1);
  CHECK_SLICE(request.target, "/x");
  CHECK_SLICE(request.host, "a");
  CHECK_SLICE(dw_request_header(&request, "HOST"), "A");
  CHECK_SLICE(dw_request_header(&request, "x"), "y, z");
  CHECK_SLICE(dw_request_header(&request, "Y"), "");
  end();
}

TEST(takes_no_memory_but_the_arenas_block) {
  const char *text = "GET /x HTTP/1.1\r\nHost: A\r\nX: y\r\n\r\n";
  char block[1024];
  size_t used;
  begin();
  dw_arena_init(&request.arena, &memory, block, sizeof block);
  CHECK_INT(scan(text, &used), DW_PARSE_HEAD);
  CHECK_INT(dw_parser_head(&parser, text, used, &request), 0);
  CHECK_INT(memory.calls, 0);
  end();
}

TEST(gives_the_end_of_a_body_with_its_last_byte_or_after_it) {
  const char *text = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n";
  size_t used;
  dw_slice data;
  begin();
  CHECK_INT(scan(text, &used), DW_PARSE_HEAD);
  CHECK_INT(dw_parser_head(&parser, text, used, &request), 0);
  CHECK_INT(dw_parser_body(&parser, "hi!", 3, &used, &data), DW_PARSE_DATA);
  CHECK_INT(used, 2);
  CHECK_SLICE(data, "hi");
  CHECK_INT(dw_parser_body(&parser, NULL, 0, &used, &data), DW_PARSE_END);
  end();
}

TEST(follows_limits_that_change) {
  size_t used;
  begin();
  CHECK_INT(scan("GET / HTTP/1.1\r\nHost: abcdef", &used), DW_PARSE_MORE);
  limits.max_header_size = 4;
  CHECK_INT(scan("g", &used), DW_PARSE_ERROR);
  CHECK_INT(parser.status, 431);
  end();
}
