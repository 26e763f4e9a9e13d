/* SPDX-License-Identifier: MIT */
/* Bytes made small and large again, whole (zlib's format, RFC 1950). Without
 * DEWAR_WITH_ZLIB both are UV_ENOTSUP. Thread: any that may use the buffer. */
#ifndef DW_BASE_DEFLATE_H
#define DW_BASE_DEFLATE_H

#include "base/buffer.h"

/* Both append to out, with memory from its allocator. 0, DW_ENOMEM, UV_ENOTSUP;
 * out is as before where it isn't 0. */
int dw_deflate(dw_slice bytes, dw_buffer *out);
/* Also DEWAR_EPARSE, and DW_ETOOBIG as soon as there are more than max bytes.
 */
int dw_inflate(dw_slice bytes, size_t max, dw_buffer *out);

#endif
