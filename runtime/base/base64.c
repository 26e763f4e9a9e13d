/* SPDX-License-Identifier: MIT */
/* Base 64: see base64.h. */
#include "base/base64.h"

#include <stdint.h>

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                             "abcdefghijklmnopqrstuvwxyz"
                             "0123456789";

static char digit_of(dw_base64 kind, unsigned value) {
  if (value < 62) return digits[value];
  if (kind == DW_BASE64_URL) return value == 62 ? '-' : '_';
  return value == 62 ? '+' : '/';
}

/* The value of a digit, or -1. */
static int value_of(dw_base64 kind, char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  return c == digit_of(kind, 62) ? 62 : c == digit_of(kind, 63) ? 63 : -1;
}

size_t dw_base64_encode(dw_base64 kind, dw_slice bytes, char *out) {
  char *at = out;
  uint32_t bits = 0;
  for (size_t i = 0; i < bytes.len; i++) {
    bits = bits << 8 | (unsigned char)bytes.ptr[i];
    *at++ = digit_of(kind, bits >> (2 + i % 3 * 2) & 63);
    if (i % 3 == 2) *at++ = digit_of(kind, bits & 63);
  }
  if (bytes.len % 3 == 1) *at++ = digit_of(kind, bits << 4 & 63);
  if (bytes.len % 3 == 2) *at++ = digit_of(kind, bits << 2 & 63);
  while (kind == DW_BASE64 && (at - out) % 4 != 0) *at++ = '=';
  return (size_t)(at - out);
}

bool dw_base64_decode(dw_base64 kind, dw_slice text, char *out, size_t *len) {
  size_t n = text.len;
  while (n > 0 && text.len - n < 2 && text.ptr[n - 1] == '=') n--;
  if (n % 4 == 1 || (n < text.len && text.len % 4 != 0)) return false;
  char *at = out;
  uint32_t bits = 0;
  for (size_t i = 0; i < n; i++) {
    int value = value_of(kind, text.ptr[i]);
    if (value < 0) return false;
    bits = bits << 6 | (uint32_t)value;
    if (i % 4 != 0) *at++ = (char)(bits >> (6 - i % 4 * 2));
  }
  *len = (size_t)(at - out);
  return true;
}
