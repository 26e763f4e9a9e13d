/* SPDX-License-Identifier: MIT */
/* Fuzzes the parser of multipart/form-data. The first byte lets an allocation
 * fail where it is odd, the next three choose how the rest is cut, which is a
 * line with the Content-Type and a body; the transcript must be the same as
 * that of the whole. */
#include <stdint.h>

#include "spec/support/multipart_transcript.h"

enum { PREFIX = 4 };

static size_t whole(void *data, size_t at, size_t len) {
  (void)data, (void)at;
  return len;
}

/* Pieces of 1 to 16 bytes, now and then of more. */
static size_t random_cut(void *data, size_t at, size_t len) {
  uint32_t *state = data;
  *state = *state * 1664525u + 1013904223u;
  size_t piece = 1 + (*state >> 24) % 16;
  if ((*state >> 16) % 8 == 0) piece *= 32;
  return len - at < piece ? len : at + piece;
}

/* Without memory a body may fail anywhere, but nothing may be left. */
static void starve(dw_slice text, uint32_t n) {
  dw_allocator system, a;
  dw_buffer out;
  dw_allocator_init(&system, NULL, NULL);
  dw_allocator_init(&a, NULL, NULL);
  a.fail_at = 1 + n % 16;
  dw_buffer_init(&out, &system, 0);
  int err = transcript_write(&out, &a, text, random_cut, &n);
  if (err != 0 && a.calls < a.fail_at) transcript_bug("no memory, for nothing");
  if (a.used != 0) transcript_bug("memory was leaked");
  dw_buffer_deinit(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < PREFIX) return 0;
  uint32_t state = data[1] | data[2] << 8 | data[3] << 16, seed = state;
  dw_slice text = {(const char *)data + PREFIX, size - PREFIX};

  dw_allocator system, a;
  dw_buffer one, other;
  dw_allocator_init(&system, NULL, NULL);
  dw_allocator_init(&a, NULL, NULL);
  dw_buffer_init(&one, &system, 0);
  dw_buffer_init(&other, &system, 0);
  transcript_write(&one, &a, text, whole, NULL);
  transcript_write(&other, &a, text, random_cut, &state);
  if (!dw_slice_equal(dw_buffer_slice(&one), dw_buffer_slice(&other))) {
    fprintf(stderr, "whole:\n%.*s\nin pieces:\n%.*s\n", (int)one.len, one.ptr,
            (int)other.len, other.ptr);
    transcript_bug("the pieces changed the verdict");
  }
  if (a.used != 0) transcript_bug("memory was leaked");
  dw_buffer_deinit(&one);
  dw_buffer_deinit(&other);
  if (data[0] & 1) starve(text, seed);
  return 0;
}
