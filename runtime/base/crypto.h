/* SPDX-License-Identifier: MIT */
/* What signing needs: digests and HMAC (OpenSSL's), comparing without telling
 * where the difference is, random bytes. Without DEWAR_WITH_OPENSSL, digests
 * are UV_ENOTSUP and the rest works. Pure functions. Thread: any. */
#ifndef DW_BASE_CRYPTO_H
#define DW_BASE_CRYPTO_H

#include "base/slice.h"

typedef enum dw_digest { DW_SHA1, DW_SHA256 } dw_digest;

enum { DW_DIGEST_MAX = 32 };

/* Bytes of a digest: 20, 32. */
size_t dw_digest_size(dw_digest digest);

/* Write dw_digest_size(digest) bytes. 0, UV_ENOTSUP or DW_ENOMEM. */
int dw_digest_of(dw_digest digest, dw_slice data, unsigned char *out);
int dw_hmac(dw_digest digest, dw_slice key, dw_slice data, unsigned char *out);

/* Whether they are the same; the time it takes depends on the lengths alone. */
bool dw_equal_in_constant_time(dw_slice a, dw_slice b);

/* From the system, fit for keys: 0 or a code of libuv's. */
int dw_random(void *out, size_t len);

#endif
