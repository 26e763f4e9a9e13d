/* SPDX-License-Identifier: MIT */
/* Encoders: what they make can be decoded, up to each flush, and their memory
 * has a bound. Decoding is zlib's and curl's matter elsewhere; here it is
 * enough to undo gzip, and to see that br ends. */
#include "http/encoder.h"

#include "base/error.h"
#include "unit.h"

#ifdef DEWAR_WITH_ZLIB
#include <zlib.h>
#endif

static dw_allocator allocator;

TEST(codings_have_their_names) {
  CHECK_SLICE(dw_coding_name(DW_CODING_NONE), "");
  CHECK_SLICE(dw_coding_name(DW_CODING_GZIP), "gzip");
  CHECK_SLICE(dw_coding_name(DW_CODING_BROTLI), "br");
  CHECK(!dw_coding_is_built(DW_CODING_NONE));
}

TEST(a_coding_that_was_not_built_is_refused) {
  dw_encoder *e;
  dw_allocator_init(&allocator, NULL, NULL);
  CHECK_INT(dw_encoder_new(&e, &allocator, DW_CODING_NONE, 6, 1024),
            UV_ENOTSUP);
  CHECK(e == NULL);
  dw_encoder_free(e);
}

#ifdef DEWAR_WITH_ZLIB

static dw_encoder *make(dw_coding coding, size_t window) {
  dw_encoder *e = NULL;
  dw_allocator_init(&allocator, NULL, NULL);
  CHECK_INT(dw_encoder_new(&e, &allocator, coding, 6, window), 0);
  return e;
}

/* Decodes what is there of gzip; its length, or -1. */
static long decode(dw_slice coded, char *out, size_t size, bool *whole) {
  z_stream z = {.next_in = (unsigned char *)coded.ptr,
                .avail_in = (unsigned)coded.len,
                .next_out = (unsigned char *)out,
                .avail_out = (unsigned)size};
  if (inflateInit2(&z, 31) != Z_OK) return -1;
  int result = inflate(&z, Z_SYNC_FLUSH);
  inflateEnd(&z);
  *whole = result == Z_STREAM_END;
  return result == Z_OK || *whole ? (long)(size - z.avail_out) : -1;
}

TEST(a_flush_lets_everything_before_it_be_decoded) {
  static const char *const pieces[] = {"hello ", "world, ", "", "again", "."};
  dw_encoder *e = make(DW_CODING_GZIP, 4096);
  dw_buffer out;
  char text[64], want[64] = "";
  bool whole = false;
  dw_buffer_init(&out, &allocator, 0);
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
    dw_slice piece = dw_slice_str(pieces[i]);
    CHECK_INT(dw_encoder_write(e, piece, DW_ENCODE_FLUSH, &out), 0);
    strcat(want, pieces[i]);
    long len = decode(dw_buffer_slice(&out), text, sizeof text, &whole);
    CHECK_INT(len, strlen(want));
    CHECK(memcmp(text, want, strlen(want)) == 0 && !whole);
  }
  CHECK_INT(dw_encoder_write(e, DW_EMPTY, DW_ENCODE_END, &out), 0);
  CHECK_INT(decode(dw_buffer_slice(&out), text, sizeof text, &whole),
            strlen(want));
  CHECK(whole);
  dw_encoder_free(e);
  dw_buffer_deinit(&out);
  CHECK_INT(allocator.used, 0);
}

TEST(nothing_is_appended_where_there_is_nothing_to_flush) {
  dw_encoder *e = make(DW_CODING_GZIP, 4096);
  dw_buffer out;
  dw_buffer_init(&out, &allocator, 0);
  CHECK_INT(dw_encoder_write(e, DW_EMPTY, DW_ENCODE_FLUSH, &out), 0);
  CHECK_INT(dw_encoder_write(e, DW_EMPTY, DW_ENCODE_MORE, &out), 0);
  CHECK_INT(out.len, 0);
  CHECK_INT(dw_encoder_write(e, DW_LITERAL("x"), DW_ENCODE_MORE, &out), 0);
  CHECK_INT(dw_encoder_write(e, DW_EMPTY, DW_ENCODE_FLUSH, &out), 0);
  size_t len = out.len;
  CHECK(len > 0);
  CHECK_INT(dw_encoder_write(e, DW_EMPTY, DW_ENCODE_FLUSH, &out), 0);
  CHECK_INT(out.len, len);
  dw_encoder_free(e);
  dw_buffer_deinit(&out);
}

TEST(an_empty_body_has_an_end) {
  dw_encoder *e = make(DW_CODING_GZIP, 0);
  dw_buffer out;
  char text[8];
  bool whole = false;
  dw_buffer_init(&out, &allocator, 0);
  CHECK_INT(dw_encoder_write(e, DW_EMPTY, DW_ENCODE_END, &out), 0);
  CHECK_INT(decode(dw_buffer_slice(&out), text, sizeof text, &whole), 0);
  CHECK(whole);
  dw_encoder_free(e);
  dw_buffer_deinit(&out);
}

#endif

/* Bytes that no coding makes smaller. */
static void fill(char *bytes, size_t len, unsigned seed) {
  for (size_t i = 0; i < len; i++) {
    seed = seed * 1103515245u + 12345u;
    bytes[i] = (char)(seed >> 16);
  }
}

/* Pushes 4 MiB through, and drops what comes out; the most memory it held. */
static size_t peak_of(dw_coding coding, int level, size_t window) {
  static char noise[64 * 1024];
  dw_encoder *e;
  dw_buffer out;
  size_t peak = 0;
  dw_allocator_init(&allocator, NULL, NULL);
  if (dw_encoder_new(&e, &allocator, coding, level, window) < 0) return 0;
  for (int i = 0; i < 64; i++) {
    fill(noise, sizeof noise, (unsigned)i);
    if (i % 2) memset(noise, 'a', sizeof noise);
    dw_buffer_init(&out, &allocator, 0);
    CHECK_INT(dw_encoder_write(e, dw_slice_of(noise, sizeof noise),
                               i % 8 ? DW_ENCODE_MORE : DW_ENCODE_FLUSH, &out),
              0);
    dw_buffer_deinit(&out);
    if (allocator.used > peak) peak = allocator.used;
  }
  dw_encoder_free(e);
  CHECK_INT(allocator.used, 0);
  return peak;
}

TEST(its_memory_is_bounded_by_its_window) {
  if (dw_coding_is_built(DW_CODING_GZIP)) {
    CHECK(peak_of(DW_CODING_GZIP, 6, 4 * 1024) <= 40 * 1024);
    CHECK(peak_of(DW_CODING_GZIP, 9, 8 * 1024) <= 75 * 1024);
    CHECK(peak_of(DW_CODING_GZIP, 9, SIZE_MAX) <= 270 * 1024);
  }
  if (dw_coding_is_built(DW_CODING_BROTLI)) {
    for (int level = 1; level <= 9; level++) {
      size_t peak = peak_of(DW_CODING_BROTLI, level, SIZE_MAX);
      size_t bound = level <= 3 ? 1 : level <= 8 ? 2 : 3;
      CHECK(peak <= bound * 1024 * 1024);
    }
  }
}

typedef struct job {
  dw_coding coding;
  dw_encode how;
} job;

static int encode(dw_allocator *a, void *data) {
  static char text[20000];
  const job *j = data;
  dw_encoder *e;
  dw_buffer out;
  fill(text, sizeof text / 2, 1);
  dw_buffer_init(&out, a, 0);
  int err = dw_encoder_new(&e, a, j->coding, 4, sizeof text);
  for (int i = 0; i < 3 && err == 0; i++)
    err = dw_encoder_write(e, dw_slice_of(text, sizeof text), j->how, &out);
  if (err == 0) err = dw_encoder_write(e, DW_EMPTY, DW_ENCODE_END, &out);
  if (err < 0 && e)
    CHECK_INT(dw_encoder_write(e, DW_LITERAL("x"), DW_ENCODE_END, &out), err);
  dw_encoder_free(e);
  dw_buffer_deinit(&out);
  return err;
}

TEST(what_failed_once_fails_for_good_and_leaks_nothing) {
  static job jobs[] = {{DW_CODING_GZIP, DW_ENCODE_MORE},
                       {DW_CODING_GZIP, DW_ENCODE_FLUSH},
                       {DW_CODING_BROTLI, DW_ENCODE_MORE},
                       {DW_CODING_BROTLI, DW_ENCODE_FLUSH}};
  for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
    if (dw_coding_is_built(jobs[i].coding))
      unit_failing_allocations(encode, &jobs[i]);
}
