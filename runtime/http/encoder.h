/* SPDX-License-Identifier: MIT */
/* An encoder: bytes made smaller, as a whole or piece by piece, in a content
 * coding that HTTP knows (RFC 9110, 8.4.1). It holds memory that is bounded by
 * its window, whatever goes through it:
 *
 *   gzip with a window of   4 KiB    40 KiB
 *                           8 KiB    75 KiB
 *                          32 KiB   270 KiB
 *   br at levels            1 to 3     1 MiB
 *                           4 to 8     2 MiB
 *                                9     3 MiB
 *
 * Owner: who made it. Thread: the loop's. */
#ifndef DW_HTTP_ENCODER_H
#define DW_HTTP_ENCODER_H

#include <stdbool.h>

#include "base/buffer.h"

typedef enum dw_coding {
  DW_CODING_NONE,
  DW_CODING_GZIP,  /* DEWAR_WITH_ZLIB; levels 1 to 9 */
  DW_CODING_BROTLI /* DEWAR_WITH_BROTLI; levels 1 to 9 */
} dw_coding;

dw_slice dw_coding_name(dw_coding coding); /* "gzip", "br", "" */
bool dw_coding_is_built(dw_coding coding);

typedef enum dw_encode {
  DW_ENCODE_MORE,  /* there is more to come: some of it may be kept back */
  DW_ENCODE_FLUSH, /* who gets this can decode all that was written */
  DW_ENCODE_END
} dw_encode;

typedef struct dw_encoder dw_encoder;

/* The window is how many bytes back repetitions are found: for a body that is
 * known its length will do. 0, DW_ENOMEM, UV_ENOTSUP. */
int dw_encoder_new(dw_encoder **out, dw_allocator *a, dw_coding coding,
                   int level, size_t window);
void dw_encoder_free(dw_encoder *e);
/* Appends to out. 0, DW_ENOMEM, DW_ETOOBIG (out is full): then what was written
 * is lost, and so will be all that follows. A flush with nothing to flush
 * appends nothing. */
int dw_encoder_write(dw_encoder *e, dw_slice bytes, dw_encode how,
                     dw_buffer *out);

#endif
