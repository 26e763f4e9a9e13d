/* SPDX-License-Identifier: MIT */
/* zlib on whole byte strings: see deflate.h. */
#include "base/deflate.h"

#include <limits.h>

#include "base/error.h"

#ifdef DEWAR_WITH_ZLIB
#include <zlib.h>

#include "base/zlib_memory.h"

/* What is asked for at a time. */
enum { PIECE_MIN = 256, PIECE_MAX = 64 * 1024 };

/* zlib frees without a size: it stands in front of each block. */
enum { BLOCK_HEAD = 16 };

void *dw_zlib_alloc(void *data, unsigned count, unsigned size) {
  size_t bytes = (size_t)count * size + BLOCK_HEAD;
  char *block = dw_alloc(data, bytes);
  if (!block) return NULL;
  memcpy(block, &bytes, sizeof bytes);
  return block + BLOCK_HEAD;
}

void dw_zlib_free(void *data, void *ptr) {
  size_t bytes;
  char *block = (char *)ptr - BLOCK_HEAD;
  memcpy(&bytes, block, sizeof bytes);
  dw_free(data, block, bytes);
}

static int code_of(int result) {
  return result == Z_MEM_ERROR ? DW_ENOMEM : DEWAR_EPARSE;
}

static z_stream stream_of(dw_slice bytes, dw_buffer *out) {
  return (z_stream){.zalloc = dw_zlib_alloc,
                    .zfree = dw_zlib_free,
                    .opaque = out->alloc,
                    .next_in = (unsigned char *)(uintptr_t)bytes.ptr,
                    .avail_in = (unsigned)bytes.len};
}

/* Lets zlib write into room at the buffer's end; its result, or 1 with *err. */
static int step(z_stream *z, dw_buffer *out, size_t room, int flush,
                int (*work)(z_stream *, int), int *err) {
  *err = dw_buffer_reserve(out, room);
  if (*err < 0) return 1;
  z->next_out = (unsigned char *)out->ptr + out->len;
  z->avail_out = (unsigned)room;
  int result = work(z, flush);
  out->len += room - z->avail_out;
  return result;
}

int dw_deflate(dw_slice bytes, dw_buffer *out) {
  if (bytes.len > UINT_MAX / 2) return DW_ETOOBIG;
  size_t before = out->len;
  z_stream z = stream_of(bytes, out);
  int err, result = deflateInit(&z, Z_DEFAULT_COMPRESSION);
  if (result != Z_OK) return code_of(result);
  result = step(&z, out, deflateBound(&z, bytes.len), Z_FINISH, deflate, &err);
  if (result != Z_STREAM_END && err == 0) err = code_of(result);
  deflateEnd(&z);
  if (err < 0) out->len = before;
  return err;
}

/* One byte more than max is asked for: that is how too much is noticed. */
static int inflate_all(z_stream *z, size_t max, dw_buffer *out) {
  size_t before = out->len, room = PIECE_MIN;
  for (;;) {
    size_t left = max - (out->len - before) + 1;
    int err, result;
    result = step(z, out, room < left ? room : left, Z_NO_FLUSH, inflate, &err);
    if (err < 0) return err;
    if (out->len - before > max) return DW_ETOOBIG;
    if (result == Z_STREAM_END) return z->avail_in == 0 ? 0 : DEWAR_EPARSE;
    if (result != Z_OK || z->avail_out > 0) return code_of(result);
    if (room < PIECE_MAX) room *= 2;
  }
}

int dw_inflate(dw_slice bytes, size_t max, dw_buffer *out) {
  if (bytes.len > UINT_MAX) return DW_ETOOBIG;
  size_t before = out->len;
  z_stream z = stream_of(bytes, out);
  int result = inflateInit(&z);
  if (result != Z_OK) return code_of(result);
  int err = inflate_all(&z, max, out);
  inflateEnd(&z);
  if (err < 0) out->len = before;
  return err;
}

#else

int dw_deflate(dw_slice bytes, dw_buffer *out) {
  (void)bytes, (void)out;
  return UV_ENOTSUP;
}

int dw_inflate(dw_slice bytes, size_t max, dw_buffer *out) {
  (void)bytes, (void)max, (void)out;
  return UV_ENOTSUP;
}

#endif
