/* SPDX-License-Identifier: MIT */
/* Messages made small (permessage-deflate, RFC 7692, 7.2): raw deflate without
 * the four bytes that every message would end with. A side that keeps its
 * context refers to earlier messages and has a stream of its own; without,
 * streams go from message to message, whosesoever they are. Owner: a dw_ws_pool
 * has the shared ones. Thread: the loop's. */
#ifndef DW_HTTP_WS_DEFLATE_H
#define DW_HTTP_WS_DEFLATE_H

#include "base/buffer.h"

typedef struct dw_ws_deflater dw_ws_deflater;
typedef struct dw_ws_inflater dw_ws_inflater;

/* The streams that are shared. */
typedef struct dw_ws_flate {
  dw_allocator *alloc;
  dw_ws_deflater *deflater;
  dw_ws_inflater *inflaters; /* spare ones */
  unsigned spares;
} dw_ws_flate;

enum { DW_WS_BITS_MIN = 9, DW_WS_BITS_MAX = 15 }; /* of a window's size */

void dw_ws_flate_init(dw_ws_flate *f, dw_allocator *a);
void dw_ws_flate_deinit(dw_ws_flate *f);

/* bits: the window's. NULL without memory; free(NULL) is a no-op. */
dw_ws_deflater *dw_ws_deflater_new(dw_allocator *a, int bits);
void dw_ws_deflater_free(dw_ws_deflater *d);
void dw_ws_deflater_reset(dw_ws_deflater *d); /* forgets earlier messages */
/* Appends a message's bytes, made small. 0, DW_ENOMEM (what it knows of earlier
 * messages is wrong then) or DW_ETOOBIG; out is as before where it isn't 0. */
int dw_ws_deflate(dw_ws_deflater *d, dw_slice message, dw_buffer *out);
/* The same without a context, by the shared one. */
int dw_ws_deflate_alone(dw_ws_flate *f, dw_slice message, dw_buffer *out);

dw_ws_inflater *dw_ws_inflater_new(dw_allocator *a, int bits);
void dw_ws_inflater_free(dw_ws_inflater *i);
/* One of the shared ones, with the largest window, for one message. */
dw_ws_inflater *dw_ws_inflater_take(dw_ws_flate *f);
void dw_ws_inflater_drop(dw_ws_flate *f, dw_ws_inflater *i);
/* Appends what the next bytes of a message come to; last: they are the end of
 * it. 0, DW_ENOMEM, DEWAR_EPARSE, or DW_ETOOBIG as soon as out is longer than
 * max. */
int dw_ws_inflate(dw_ws_inflater *i, dw_slice bytes, bool last, uint64_t max,
                  dw_buffer *out);

#endif
