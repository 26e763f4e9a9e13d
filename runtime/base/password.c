/* SPDX-License-Identifier: MIT */
/* Keys of passwords: see password.h. */
#include "base/password.h"

#include <limits.h>

#include "base/error.h"

#define ROUNDS_MAX UINT64_C(1000000000)
#define MEMORY_MAX (UINT64_C(1) << 30)

size_t dw_kdf_size(dw_kdf kind) {
  static const size_t sizes[] = {20, 32, 64, 64};
  return sizes[kind];
}

bool dw_kdf_valid(const dw_kdf_cost *cost) {
  if (cost->n < 1 || cost->n > ROUNDS_MAX) return false;
  if (cost->kind != DW_SCRYPT) return true;
  if (cost->n < 2 || (cost->n & (cost->n - 1)) != 0) return false;
  if (cost->r < 1 || cost->r > MEMORY_MAX || cost->p < 1) return false;
  if (cost->p > MEMORY_MAX / 128 / cost->r) return false;
  return cost->n <= MEMORY_MAX / 128 / cost->r / cost->p;
}

#ifdef DEWAR_WITH_OPENSSL
#include <openssl/evp.h>

static int pbkdf2(const dw_kdf_cost *cost, dw_slice password, dw_slice salt,
                  unsigned char *out) {
  static const char *const names[] = {"SHA1", "SHA256", "SHA512"};
  EVP_MD *digest = EVP_MD_fetch(NULL, names[cost->kind], NULL);
  if (!digest) return DW_ENOMEM;
  int ok = PKCS5_PBKDF2_HMAC(
      password.ptr, (int)password.len, (const unsigned char *)salt.ptr,
      (int)salt.len, (int)cost->n, digest, (int)dw_kdf_size(cost->kind), out);
  EVP_MD_free(digest);
  return ok ? 0 : DW_ENOMEM;
}

int dw_kdf_derive(const dw_kdf_cost *cost, dw_slice password, dw_slice salt,
                  unsigned char *out) {
  if (password.len > INT_MAX || salt.len > INT_MAX) return DW_ENOMEM;
  /* NULL would mean another thing than an empty one. */
  if (!password.ptr) password.ptr = "";
  if (!salt.ptr) salt.ptr = "";
  if (cost->kind != DW_SCRYPT) return pbkdf2(cost, password, salt, out);
  int ok = EVP_PBE_scrypt(
      password.ptr, password.len, (const unsigned char *)salt.ptr, salt.len,
      cost->n, cost->r, cost->p, 2 * MEMORY_MAX, out, dw_kdf_size(DW_SCRYPT));
  return ok ? 0 : DW_ENOMEM;
}

#else

int dw_kdf_derive(const dw_kdf_cost *cost, dw_slice password, dw_slice salt,
                  unsigned char *out) {
  (void)cost, (void)password, (void)salt, (void)out;
  return UV_ENOTSUP;
}

#endif
