/* SPDX-License-Identifier: MIT */
/* Base 64 (RFC 4648): bytes as letters, in the plain alphabet and in the one
 * that URLs and cookies can carry. Pure functions. Thread: any. */
#ifndef DW_BASE_BASE64_H
#define DW_BASE_BASE64_H

#include "base/slice.h"

typedef enum dw_base64 {
  DW_BASE64,    /* + and /, padded by = */
  DW_BASE64_URL /* - and _, not padded */
} dw_base64;

/* Room that the coded form of len bytes needs, and the bytes of len letters. */
static inline size_t dw_base64_encoded_max(size_t len) {
  return (len + 2) / 3 * 4;
}
static inline size_t dw_base64_decoded_max(size_t len) {
  return len / 4 * 3 + 2;
}

/* Both return how many they wrote. */
size_t dw_base64_encode(dw_base64 kind, dw_slice bytes, char *out);
/* Padding may be missing, and is right where it isn't; *len is the number of
 * bytes. False: the text is none. */
bool dw_base64_decode(dw_base64 kind, dw_slice text, char *out, size_t *len);

#endif
