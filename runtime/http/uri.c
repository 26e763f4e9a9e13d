/* SPDX-License-Identifier: MIT */
/* Percent-encoding and its reverse. */
#include "http/uri.h"

#include "base/error.h"
#include "http/tokens.h"

static void put_escape(dw_buffer *out, unsigned char c) {
  static const char hex[] = "0123456789ABCDEF";
  char *at = out->ptr + out->len;
  at[0] = '%';
  at[1] = hex[c >> 4];
  at[2] = hex[c & 15];
  out->len += 3;
}

/* Appends text; the characters for which keep is false are escaped. Room is
 * reserved for what is needed, not for three times the text. */
static int encode(dw_buffer *out, dw_slice text, const bool *keep) {
  size_t escapes = 0;
  for (size_t i = 0; i < text.len; i++)
    escapes += !keep[(unsigned char)text.ptr[i]];
  if (escapes > (SIZE_MAX - text.len) / 2) return DW_ENOMEM;
  int err = dw_buffer_reserve(out, text.len + 2 * escapes);
  if (err < 0) return err;
  for (size_t i = 0; i < text.len; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    if (keep[c])
      out->ptr[out->len++] = (char)c;
    else
      put_escape(out, c);
  }
  return 0;
}

int dw_percent_encode(dw_buffer *out, dw_slice text, const char *keep) {
  bool kept[256];
  for (int c = 0; c < 256; c++)
    kept[c] = dw_char_classes[c] & DW_CHAR_UNRESERVED;
  for (; keep && *keep; keep++) kept[(unsigned char)*keep] = true;
  return encode(out, text, kept);
}

int dw_target_encode(dw_buffer *out, dw_slice target) {
  bool kept[256];
  for (int c = 0; c < 256; c++) kept[c] = dw_char_classes[c] & DW_CHAR_TARGET;
  return encode(out, target, kept);
}

size_t dw_percent_decode(char *out, dw_slice text, bool plus) {
  char *at = out;
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (c == '+' && plus) {
      c = ' ';
    } else if (c == '%' && text.len - i > 2) {
      int high = dw_hex_digit((unsigned char)text.ptr[i + 1]);
      int low = dw_hex_digit((unsigned char)text.ptr[i + 2]);
      if (high >= 0 && low >= 0) {
        c = (char)(high << 4 | low);
        i += 2;
      }
    }
    *at++ = c;
  }
  return (size_t)(at - out);
}
