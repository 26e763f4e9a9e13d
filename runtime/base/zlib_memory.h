/* SPDX-License-Identifier: MIT */
/* zlib on our memory: what z_stream's zalloc and zfree are set to, its opaque
 * being the dw_allocator. Only where DEWAR_WITH_ZLIB is defined (deflate.c). */
#ifndef DW_BASE_ZLIB_MEMORY_H
#define DW_BASE_ZLIB_MEMORY_H

void *dw_zlib_alloc(void *data, unsigned count, unsigned size);
void dw_zlib_free(void *data, void *ptr);

#endif
