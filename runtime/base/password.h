/* SPDX-License-Identifier: MIT */
/* Keys made of passwords, slowly on purpose (OpenSSL's; without
 * DEWAR_WITH_OPENSSL, UV_ENOTSUP). Pure functions that take a tenth of a second
 * and, for scrypt, 128 * n * r bytes of OpenSSL's own memory: for the pool of
 * threads. Thread: any. */
#ifndef DW_BASE_PASSWORD_H
#define DW_BASE_PASSWORD_H

#include <stdint.h>

#include "base/slice.h"

enum { DW_KEY_MAX = 64 };

typedef enum dw_kdf {
  DW_PBKDF2_SHA1,
  DW_PBKDF2_SHA256,
  DW_PBKDF2_SHA512,
  DW_SCRYPT
} dw_kdf;

typedef struct dw_kdf_cost {
  dw_kdf kind;
  uint64_t n;    /* rounds; of scrypt a power of two, from 2 on */
  uint64_t r, p; /* of scrypt alone */
} dw_kdf_cost;

/* Bytes of its key: 20, 32, 64, 64. */
size_t dw_kdf_size(dw_kdf kind);

/* Whether it has a meaning, and takes neither more than a gibibyte nor more
 * than a billion rounds. */
bool dw_kdf_valid(const dw_kdf_cost *cost);

/* Writes dw_kdf_size(cost->kind) bytes, for a valid cost. 0, UV_ENOTSUP or
 * DW_ENOMEM. */
int dw_kdf_derive(const dw_kdf_cost *cost, dw_slice password, dw_slice salt,
                  unsigned char *out);

#endif
