/* SPDX-License-Identifier: MIT */
/* The parser of multipart/form-data against the fixtures in
 * spec/fixtures/forms: each body whole, byte by byte, in two pieces cut
 * everywhere, and without memory. In these, a "\n" ends the Content-Type; the
 * body follows. */
#include "unit.h"

#include <dirent.h>

#include "base/error.h"
#include "http/parameters.h"
#include "spec/support/fixtures.h"
#include "spec/support/multipart_transcript.h"

static const char folder[] = "spec/fixtures/forms";

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
  int err = transcript_write(out, &a, dw_buffer_slice(&f->bytes), cut, data);
  CHECK_INT(err, 0);
  CHECK_INT(a.used, 0);
}

static dw_slice take_line(dw_slice *text) {
  const char *end = memchr(text->ptr, '\n', text->len);
  dw_slice line = {text->ptr, (size_t)(end - text->ptr)};
  *text = dw_slice_of(end + 1, text->len - line.len - 1);
  while (line.len > 0 && line.ptr[line.len - 1] == ' ') line.len--;
  return line;
}

/* Takes all lines up to the one that is wanted: they come in this order. */
static bool skip_to(dw_slice *text, dw_slice want) {
  while (text->len > 0) {
    if (dw_slice_equal(take_line(text), want)) return true;
  }
  return false;
}

static bool compare(const fixture *f, const char *path, dw_slice got) {
  dw_slice expected = dw_buffer_slice(&f->expected), rest = got;
  unit.checks++;
  while (expected.len > 0) {
    dw_slice line = take_line(&expected);
    if (!skip_to(&rest, line))
      return unit_check(false, path, 0, "%s: expected \"%.*s\" in\n%.*s",
                        f->title, DW_FMT(line), DW_FMT(got));
  }
  return CHECK(rest.len == 0);
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
  return strstr(entry->d_name, ".form") != NULL;
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
  CHECK(e.cases > 60);
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

TEST(gives_the_same_verdict_however_a_body_is_cut) {
  for_each_fixture(check_pieces);
}

static int parse_with(dw_allocator *a, void *data) {
  const fixture *f = data;
  dw_buffer out;
  dw_buffer_init(&out, &system_memory, 0);
  int err = transcript_write(&out, a, dw_buffer_slice(&f->bytes), whole, NULL);
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
static dw_multipart parser;

static void begin(const char *type) {
  dw_allocator_init(&memory, NULL, NULL);
  dw_multipart_init(&parser, &memory, dw_slice_str(type));
}

static dw_multipart_event feed(const char *text, size_t *used, dw_slice *data) {
  return dw_multipart_feed(&parser, text, strlen(text), used, data);
}

static void end(void) {
  dw_multipart_deinit(&parser);
  CHECK_INT(memory.used, 0);
}

TEST(passes_content_on_in_place) {
  static const char text[] = "--b\r\nContent-Disposition: form-data; "
                             "name=a\r\n\r\nsome\rcontent\r\n--";
  size_t used, at;
  dw_slice data;
  begin("multipart/form-data; boundary=b");
  CHECK_INT(feed(text, &used, &data), DW_MULTIPART_PART);
  at = used;
  CHECK_INT(feed(text + at, &used, &data), DW_MULTIPART_DATA);
  CHECK(data.ptr == text + at);
  CHECK_SLICE(data, "some\rcontent");
  at += used;
  CHECK_INT(feed(text + at, &used, &data), DW_MULTIPART_MORE);
  CHECK_INT(used, 4);
  CHECK_INT(feed("c", &used, &data), DW_MULTIPART_DATA);
  CHECK_SLICE(data, "\r\n--");
  CHECK_INT(used, 0);
  CHECK_INT(feed("c", &used, &data), DW_MULTIPART_DATA);
  CHECK_SLICE(data, "c");
  end();
}

TEST(keeps_no_more_of_a_large_part_than_its_head) {
  static char chunk[64 * 1024];
  size_t used;
  dw_slice data;
  begin("multipart/form-data; boundary=b");
  CHECK_INT(feed("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n", &used,
                 &data),
            DW_MULTIPART_PART);
  for (int i = 0; i < 100; i++) {
    memset(chunk, i % 2 ? '\r' : 'x', sizeof chunk);
    size_t at = 0;
    while (dw_multipart_feed(&parser, chunk + at, sizeof chunk - at, &used,
                             &data) == DW_MULTIPART_DATA)
      at += used;
  }
  CHECK(memory.peak < 1024);
  end();
}

TEST(stays_failed) {
  size_t used;
  dw_slice data;
  begin("multipart/form-data; boundary=b");
  CHECK_INT(feed("--b\n", &used, &data), DW_MULTIPART_ERROR);
  CHECK_INT(feed("--b\r\n", &used, &data), DW_MULTIPART_ERROR);
  CHECK_INT(dw_multipart_finish(&parser), DW_MULTIPART_ERROR);
  CHECK_INT(parser.fault.status, 400);
  end();
}

TEST(tells_forms_by_their_content_type) {
  CHECK(dw_multipart_is(DW_LITERAL("multipart/form-data")));
  CHECK(dw_multipart_is(DW_LITERAL("Multipart/Form-Data ; boundary=x")));
  CHECK(!dw_multipart_is(DW_LITERAL("multipart/form-data2; boundary=x")));
  CHECK(!dw_multipart_is(DW_LITERAL("multipart/mixed; boundary=x")));
  CHECK(!dw_multipart_is(DW_EMPTY));
}
