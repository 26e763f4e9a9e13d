/* SPDX-License-Identifier: MIT */
/* Which answers are sent encoded, and how (RFC 9110, 12.5.3). What is encoded
 * is a body of one of the types, long enough or streamed, for a client that
 * says it can decode it. The response itself stays as it is: it may be sent
 * again, to somebody else. Thread: the loop's. */
#ifndef DW_APP_COMPRESS_H
#define DW_APP_COMPRESS_H

#include <stdbool.h>

#include "base/memory.h"
#include "base/slice.h"
#include "http/conditional.h"

typedef struct dewar_exchange dw_exchange;

/* An app's settings. */
typedef struct dw_compression {
  bool on;
  uint8_t level;        /* of gzip: 1 to 9 */
  uint8_t brotli_level; /* 1 to 9 */
  size_t min_size;      /* of a whole body */
  dw_slice types;       /* "text/" and a star, "application/json": a list */
  dw_allocator *alloc;  /* of types, where they are owned; else NULL */
} dw_compression;

void dw_compression_init(dw_compression *c); /* the defaults */
void dw_compression_deinit(dw_compression *c);
/* Copies a list with commas, in each element one star at most. 0, DW_ENOMEM,
 * or DEWAR_EINVAL: there is something in it that is no pattern of a type. */
int dw_compression_set_types(dw_compression *c, dw_allocator *a,
                             dw_slice types);

/* dw_response_condition of an answer that may yet be encoded: what becomes of
 * it says so, as all of it would (RFC 9110, 15.3.7 and 15.4.5). */
int dw_compress_condition(const dw_compression *c, dw_response *r,
                          dw_request *request, const dw_conditional *options,
                          uint64_t *length);
/* Sends x->response encoded, if that is how it should be sent: true, and *code
 * is dw_reply's, or, with *stream, dw_reply_start's. A body that was whole may
 * have become a stream; dw_compress_piece goes on with it. false: nothing was
 * sent, and the transaction knows what its headers must say. */
bool dw_compress_reply(dw_exchange *x, bool *stream, int *code);
/* Writes the next piece of a whole body; 0, a negative code of dw_reply_write,
 * or 1: there is no more. */
int dw_compress_piece(dw_exchange *x);

#endif
