/* SPDX-License-Identifier: MIT */
/* Encoders over zlib and brotli: see encoder.h. Both libraries take their
 * memory from the allocator, and a failure of it is sticky: a coded stream that
 * lost some of its bytes must not look whole. */
#include "http/encoder.h"

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#ifdef DEWAR_WITH_ZLIB
#include <zlib.h>

#include "base/zlib_memory.h"
#endif
#ifdef DEWAR_WITH_BROTLI
#include <brotli/encode.h>
#include <setjmp.h>

#include "base/list.h"

/* brotli ends the process where memory is out, unless it was built otherwise.
 * So the allocating function doesn't return to it then: it jumps over brotli's
 * frames, and only those, back to who called. What brotli holds is in a list,
 * so that all of it can be freed without its help. */
typedef struct brotli_state {
  BrotliEncoderState *encoder;
  dw_allocator *alloc;
  dw_list blocks;
  jmp_buf out_of_memory;
} brotli_state;
#endif

/* What a coding consists of. */
typedef struct method {
  int (*open)(dw_encoder *e, int level, size_t window);
  void (*close)(dw_encoder *e);
  int (*write)(dw_encoder *e, dw_slice bytes, dw_encode how, dw_buffer *out);
} method;

struct dw_encoder {
  dw_allocator *alloc;
  const method *method;
  int failed; /* for good */
  bool dirty; /* bytes were written and not flushed */
  union {
#ifdef DEWAR_WITH_ZLIB
    z_stream zlib;
#endif
#ifdef DEWAR_WITH_BROTLI
    brotli_state brotli;
#endif
    char none;
  } as;
};

/* The least exponent of 2 whose power is at least n, within limits. */
__attribute__((unused)) static int bits_of(size_t n, int min, int max) {
  int bits = min;
  while (bits < max && (size_t)1 << bits < n) bits++;
  return bits;
}

/* --- gzip ------------------------------------------------------------------*/

#ifdef DEWAR_WITH_ZLIB

enum { ROOM_MIN = 512, ROOM_MAX = 32 * 1024 }; /* asked for at a time */

/* zlib needs 2^(bits + 2) bytes for the window and 2^(memory + 9) for the rest;
 * 16 more bits ask for gzip's format. Windows of 2^8 bytes are broken. */
static int gzip_open(dw_encoder *e, int level, size_t window) {
  int bits = bits_of(window, 9, 15);
  int memory = bits - 7;
  e->as.zlib = (z_stream){
      .zalloc = dw_zlib_alloc, .zfree = dw_zlib_free, .opaque = e->alloc};
  int result = deflateInit2(&e->as.zlib, level, Z_DEFLATED, bits + 16, memory,
                            Z_DEFAULT_STRATEGY);
  return result == Z_OK ? 0 : DW_ENOMEM;
}

static void gzip_close(dw_encoder *e) { deflateEnd(&e->as.zlib); }

/* One run of zlib into what is reserved for it; *full: it wants more room. */
static int gzip_step(z_stream *z, int flush, size_t room, dw_buffer *out,
                     bool *full) {
  int err = dw_buffer_reserve(out, room);
  if (err < 0) return err;
  z->next_out = (unsigned char *)out->ptr + out->len;
  z->avail_out = (unsigned)room;
  int result = deflate(z, flush);
  out->len += room - z->avail_out;
  *full = z->avail_out == 0;
  return result == Z_STREAM_ERROR ? DW_ENOMEM : 0;
}

static int gzip_write(dw_encoder *e, dw_slice bytes, dw_encode how,
                      dw_buffer *out) {
  static const int flushes[] = {Z_NO_FLUSH, Z_SYNC_FLUSH, Z_FINISH};
  z_stream *z = &e->as.zlib;
  bool full = false;
  do {
    size_t taken = bytes.len < UINT_MAX ? bytes.len : UINT_MAX;
    bool last = taken == bytes.len;
    size_t room = bytes.len / 4 + ROOM_MIN;
    z->next_in = (unsigned char *)(uintptr_t)bytes.ptr;
    z->avail_in = (unsigned)taken;
    int err = gzip_step(z, last ? flushes[how] : Z_NO_FLUSH,
                        room < ROOM_MAX ? room : ROOM_MAX, out, &full);
    if (err < 0) return err;
    taken -= z->avail_in;
    bytes = dw_slice_of(bytes.ptr + taken, bytes.len - taken);
  } while (full || bytes.len > 0);
  return 0;
}

static const method gzip = {gzip_open, gzip_close, gzip_write};

#endif

/* --- br --------------------------------------------------------------------*/

#ifdef DEWAR_WITH_BROTLI

/* Up to this window, the tables of all levels that there are stay small. */
enum { BROTLI_WINDOW_BITS_MAX = 16 };

typedef struct block {
  dw_list node;
  size_t size;
  max_align_t bytes[];
} block;

static void *brotli_alloc(void *data, size_t size) {
  brotli_state *s = data;
  block *b =
      size < SIZE_MAX - sizeof *b ? dw_alloc(s->alloc, sizeof *b + size) : NULL;
  if (!b) longjmp(s->out_of_memory, 1);
  b->size = sizeof *b + size;
  dw_list_push(&s->blocks, &b->node);
  return b->bytes;
}

static void free_block(brotli_state *s, block *b) {
  dw_list_remove(&b->node);
  dw_free(s->alloc, b, b->size);
}

static void brotli_free(void *data, void *ptr) {
  if (ptr) free_block(data, DW_CONTAINER(ptr, block, bytes));
}

static void brotli_close(dw_encoder *e) {
  brotli_state *s = &e->as.brotli;
  while (!dw_list_empty(&s->blocks))
    free_block(s, DW_CONTAINER(s->blocks.next, block, node));
}

static bool brotli_create(brotli_state *s) {
  if (setjmp(s->out_of_memory)) return false;
  s->encoder = BrotliEncoderCreateInstance(brotli_alloc, brotli_free, s);
  return s->encoder != NULL;
}

static int brotli_open(dw_encoder *e, int level, size_t window) {
  brotli_state *s = &e->as.brotli;
  int bits = bits_of(window, BROTLI_MIN_WINDOW_BITS, BROTLI_WINDOW_BITS_MAX);
  s->alloc = e->alloc;
  dw_list_init(&s->blocks);
  if (!brotli_create(s)) {
    brotli_close(e);
    return DW_ENOMEM;
  }
  BrotliEncoderSetParameter(s->encoder, BROTLI_PARAM_QUALITY, (uint32_t)level);
  BrotliEncoderSetParameter(s->encoder, BROTLI_PARAM_LGWIN, (uint32_t)bits);
  return 0;
}

static int brotli_step(brotli_state *s, BrotliEncoderOperation operation,
                       size_t *left, const uint8_t **next) {
  size_t room = 0;
  if (setjmp(s->out_of_memory)) return DW_ENOMEM;
  return BrotliEncoderCompressStream(s->encoder, operation, left, next, &room,
                                     NULL, NULL)
             ? 0
             : DW_ENOMEM;
}

static int brotli_write(dw_encoder *e, dw_slice bytes, dw_encode how,
                        dw_buffer *out) {
  static const BrotliEncoderOperation operations[] = {BROTLI_OPERATION_PROCESS,
                                                      BROTLI_OPERATION_FLUSH,
                                                      BROTLI_OPERATION_FINISH};
  brotli_state *s = &e->as.brotli;
  const uint8_t *next = (const uint8_t *)bytes.ptr;
  size_t left = bytes.len;
  do {
    int err = brotli_step(s, operations[how], &left, &next);
    if (err < 0) return err;
    size_t len = 0;
    const uint8_t *made = BrotliEncoderTakeOutput(s->encoder, &len);
    if (len > 0) err = dw_buffer_append(out, made, len);
    if (err < 0) return err;
  } while (left > 0 || BrotliEncoderHasMoreOutput(s->encoder));
  return 0;
}

static const method brotli = {brotli_open, brotli_close, brotli_write};

#endif

/* --- Both ------------------------------------------------------------------*/

static const method *method_of(dw_coding coding) {
  switch (coding) {
#ifdef DEWAR_WITH_ZLIB
  case DW_CODING_GZIP:
    return &gzip;
#endif
#ifdef DEWAR_WITH_BROTLI
  case DW_CODING_BROTLI:
    return &brotli;
#endif
  default:
    return NULL;
  }
}

dw_slice dw_coding_name(dw_coding coding) {
  switch (coding) {
  case DW_CODING_GZIP:
    return DW_LITERAL("gzip");
  case DW_CODING_BROTLI:
    return DW_LITERAL("br");
  default:
    return DW_EMPTY;
  }
}

bool dw_coding_is_built(dw_coding coding) { return method_of(coding) != NULL; }

int dw_encoder_new(dw_encoder **out, dw_allocator *a, dw_coding coding,
                   int level, size_t window) {
  const method *m = method_of(coding);
  *out = NULL;
  if (!m) return UV_ENOTSUP;
  dw_encoder *e = dw_zalloc(a, sizeof *e);
  if (!e) return DW_ENOMEM;
  e->alloc = a;
  e->method = m;
  int err = m->open(e, level, window);
  if (err < 0)
    dw_free(a, e, sizeof *e);
  else
    *out = e;
  return err;
}

void dw_encoder_free(dw_encoder *e) {
  if (!e) return;
  e->method->close(e);
  dw_free(e->alloc, e, sizeof *e);
}

int dw_encoder_write(dw_encoder *e, dw_slice bytes, dw_encode how,
                     dw_buffer *out) {
  if (e->failed) return e->failed;
  if (bytes.len == 0 &&
      (how == DW_ENCODE_MORE || (how == DW_ENCODE_FLUSH && !e->dirty)))
    return 0;
  if (bytes.len == 0) bytes = DW_EMPTY;
  e->failed = e->method->write(e, bytes, how, out);
  e->dirty = how == DW_ENCODE_MORE;
  return e->failed;
}
