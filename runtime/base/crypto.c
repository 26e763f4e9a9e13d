/* SPDX-License-Identifier: MIT */
/* Digests, HMAC, comparison, random bytes: see crypto.h. */
#include "base/crypto.h"

#include "base/error.h"

size_t dw_digest_size(dw_digest digest) { return digest == DW_SHA1 ? 20 : 32; }

#ifdef DEWAR_WITH_OPENSSL
#include <openssl/evp.h>

static const char *name_of(dw_digest digest) {
  return digest == DW_SHA1 ? "SHA1" : "SHA256";
}

int dw_digest_of(dw_digest digest, dw_slice data, unsigned char *out) {
  size_t len;
  int ok =
      EVP_Q_digest(NULL, name_of(digest), NULL, data.ptr, data.len, out, &len);
  return ok ? 0 : DW_ENOMEM;
}

int dw_hmac(dw_digest digest, dw_slice key, dw_slice data, unsigned char *out) {
  size_t len;
  /* A NULL key would mean another thing than an empty one. */
  const unsigned char *ok = EVP_Q_mac(
      NULL, "HMAC", NULL, name_of(digest), NULL, key.len ? key.ptr : "",
      key.len, (const unsigned char *)(data.len ? data.ptr : ""), data.len, out,
      DW_DIGEST_MAX, &len);
  return ok ? 0 : DW_ENOMEM;
}

#else

int dw_digest_of(dw_digest digest, dw_slice data, unsigned char *out) {
  (void)digest, (void)data, (void)out;
  return UV_ENOTSUP;
}

int dw_hmac(dw_digest digest, dw_slice key, dw_slice data, unsigned char *out) {
  (void)digest, (void)key, (void)data, (void)out;
  return UV_ENOTSUP;
}

#endif

bool dw_equal_in_constant_time(dw_slice a, dw_slice b) {
  if (a.len != b.len) return false;
  volatile unsigned char different = 0; /* volatile: no early way out */
  for (size_t i = 0; i < a.len; i++)
    different = (unsigned char)(different | (a.ptr[i] ^ b.ptr[i]));
  return different == 0;
}

int dw_random(void *out, size_t len) {
  return uv_random(NULL, NULL, out, len, 0, NULL);
}
