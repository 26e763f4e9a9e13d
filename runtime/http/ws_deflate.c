/* SPDX-License-Identifier: MIT */
/* permessage-deflate by zlib: see ws_deflate.h. */
#include "http/ws_deflate.h"

#include <limits.h>
#include <zlib.h>

#include "base/error.h"
#include "base/zlib_memory.h"

enum {
  SPARE_INFLATERS = 4,
  PIECE = 16 * 1024, /* inflated at a time, at the most */
  MEMORY_LEVEL = 8,
  SMALL_MEMORY_LEVEL = 5 /* of streams that are one connection's */
};

/* What a flush ends with, and a message leaves out. */
static const char tail[4] = "\0\0\xff\xff";

struct dw_ws_deflater {
  dw_allocator *alloc;
  z_stream z;
};

struct dw_ws_inflater {
  dw_allocator *alloc;
  z_stream z;
  dw_ws_inflater *next;
};

static z_stream stream_on(dw_allocator *a) {
  return (z_stream){
      .zalloc = dw_zlib_alloc, .zfree = dw_zlib_free, .opaque = a};
}

static void give(z_stream *z, dw_slice bytes) {
  z->next_in = (unsigned char *)(uintptr_t)bytes.ptr;
  z->avail_in = (unsigned)bytes.len;
}

/* --- Making small ----------------------------------------------------------*/

static dw_ws_deflater *deflater_new(dw_allocator *a, int bits, int memory) {
  dw_ws_deflater *d = dw_zalloc(a, sizeof *d);
  if (!d) return NULL;
  d->alloc = a;
  d->z = stream_on(a);
  if (deflateInit2(&d->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, -bits, memory,
                   Z_DEFAULT_STRATEGY) == Z_OK)
    return d;
  dw_free(a, d, sizeof *d);
  return NULL;
}

dw_ws_deflater *dw_ws_deflater_new(dw_allocator *a, int bits) {
  return deflater_new(a, bits, SMALL_MEMORY_LEVEL);
}

void dw_ws_deflater_free(dw_ws_deflater *d) {
  if (!d) return;
  deflateEnd(&d->z);
  dw_free(d->alloc, d, sizeof *d);
}

void dw_ws_deflater_reset(dw_ws_deflater *d) { deflateReset(&d->z); }

int dw_ws_deflate(dw_ws_deflater *d, dw_slice message, dw_buffer *out) {
  size_t before = out->len;
  if (message.len > UINT_MAX / 2) return DW_ETOOBIG;
  give(&d->z, message);
  size_t room = deflateBound(&d->z, message.len) + 16;
  do {
    int code = dw_buffer_reserve(out, room);
    if (code < 0) {
      out->len = before;
      return code;
    }
    d->z.next_out = (unsigned char *)out->ptr + out->len;
    d->z.avail_out = (unsigned)room;
    deflate(&d->z, Z_SYNC_FLUSH);
    out->len += room - d->z.avail_out;
  } while (d->z.avail_out == 0);
  out->len -= sizeof tail;
  return 0;
}

int dw_ws_deflate_alone(dw_ws_flate *f, dw_slice message, dw_buffer *out) {
  if (!f->deflater)
    f->deflater = deflater_new(f->alloc, DW_WS_BITS_MAX, MEMORY_LEVEL);
  if (!f->deflater) return DW_ENOMEM;
  dw_ws_deflater_reset(f->deflater);
  return dw_ws_deflate(f->deflater, message, out);
}

/* --- Making large again ----------------------------------------------------*/

dw_ws_inflater *dw_ws_inflater_new(dw_allocator *a, int bits) {
  dw_ws_inflater *i = dw_zalloc(a, sizeof *i);
  if (!i) return NULL;
  i->alloc = a;
  i->z = stream_on(a);
  if (inflateInit2(&i->z, -bits) == Z_OK) return i;
  dw_free(a, i, sizeof *i);
  return NULL;
}

void dw_ws_inflater_free(dw_ws_inflater *i) {
  if (!i) return;
  inflateEnd(&i->z);
  dw_free(i->alloc, i, sizeof *i);
}

/* A block may say that it is the last, and others follow it all the same (RFC
 * 7692, 7.2.3.4): the stream begins anew, with the window it has. To take that
 * out and put it back would cost 64 KiB of copying for each two bytes of a
 * message that is made of such blocks. */
static int restart(dw_ws_inflater *i) {
  return inflateResetKeep(&i->z) == Z_OK ? 0 : DEWAR_EPARSE;
}

static int code_of(int result) {
  switch (result) {
  case Z_OK:
  case Z_BUF_ERROR: /* no bytes or no room: not for good */
    return 0;
  case Z_MEM_ERROR:
    return DW_ENOMEM;
  default:
    return DEWAR_EPARSE;
  }
}

/* One byte more than max is asked for: that is how too much is noticed. */
static int inflate_bytes(dw_ws_inflater *i, dw_slice bytes, uint64_t max,
                         dw_buffer *out) {
  size_t piece = bytes.len < PIECE / 4 ? 64 + bytes.len * 3 : PIECE;
  give(&i->z, bytes);
  for (;;) {
    uint64_t left = max - out->len;
    size_t room = left < piece ? (size_t)left + 1 : piece;
    int code = dw_buffer_reserve(out, room);
    if (code < 0) return code;
    i->z.next_out = (unsigned char *)out->ptr + out->len;
    i->z.avail_out = (unsigned)room;
    int result = inflate(&i->z, Z_SYNC_FLUSH);
    out->len += room - i->z.avail_out;
    if (out->len > max) return DW_ETOOBIG;
    code = result == Z_STREAM_END ? restart(i) : code_of(result);
    if (code < 0) return code;
    if (i->z.avail_in == 0 && i->z.avail_out > 0) return 0;
  }
}

int dw_ws_inflate(dw_ws_inflater *i, dw_slice bytes, bool last, uint64_t max,
                  dw_buffer *out) {
  if (bytes.len > UINT_MAX) return DW_ETOOBIG;
  int code = inflate_bytes(i, bytes, max, out);
  if (code < 0 || !last) return code;
  return inflate_bytes(i, dw_slice_of(tail, sizeof tail), max, out);
}

/* --- The shared ones -------------------------------------------------------*/

dw_ws_inflater *dw_ws_inflater_take(dw_ws_flate *f) {
  dw_ws_inflater *i = f->inflaters;
  if (!i) return dw_ws_inflater_new(f->alloc, DW_WS_BITS_MAX);
  f->inflaters = i->next;
  f->spares--;
  return i;
}

void dw_ws_inflater_drop(dw_ws_flate *f, dw_ws_inflater *i) {
  if (!i) return;
  if (f->spares >= SPARE_INFLATERS || inflateReset(&i->z) != Z_OK) {
    dw_ws_inflater_free(i);
    return;
  }
  i->next = f->inflaters;
  f->inflaters = i;
  f->spares++;
}

void dw_ws_flate_init(dw_ws_flate *f, dw_allocator *a) {
  *f = (dw_ws_flate){.alloc = a};
}

void dw_ws_flate_deinit(dw_ws_flate *f) {
  while (f->inflaters) {
    dw_ws_inflater *i = f->inflaters;
    f->inflaters = i->next;
    dw_ws_inflater_free(i);
  }
  f->spares = 0;
  dw_ws_deflater_free(f->deflater);
  f->deflater = NULL;
}
