/* SPDX-License-Identifier: MIT */
/* Numbers in URLs, in the one notation that routes know: digits, a dot in
 * floats, never an exponent, whatever the host's locale says. Text to number to
 * text keeps the number. Pure functions. */
#include "app/router_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { FLOAT_TEXT = 512 }; /* longer than any text a double is written as */

static size_t digits(dw_slice text, size_t from) {
  size_t i = from;
  while (i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9') i++;
  return i - from;
}

bool dw_number_int(dw_slice text, bool is_signed, int64_t *out) {
  bool minus = is_signed && text.len > 0 && text.ptr[0] == '-';
  if (text.len == minus || digits(text, minus) != text.len - minus)
    return false;
  uint64_t limit = minus ? (uint64_t)INT64_MAX + 1 : INT64_MAX;
  uint64_t n = 0;
  for (size_t i = minus; i < text.len; i++) {
    uint64_t digit = (uint64_t)(text.ptr[i] - '0');
    if (n > (limit - digit) / 10) return false;
    n = n * 10 + digit;
  }
  *out = minus ? -(int64_t)(n - (n > 0)) - (n > 0) : (int64_t)n;
  return true;
}

/* strtod wants the locale's decimal point: what printf puts between two
 * digits. */
static size_t decimal_point(char point[8]) {
  char half[16];
  int len = snprintf(half, sizeof half, "%.1f", 0.5);
  if (len < 3 || len > 9) return 0;
  memcpy(point, half + 1, (size_t)len - 2);
  return (size_t)len - 2;
}

bool dw_number_float(dw_slice text, bool is_signed, double *out) {
  bool minus = is_signed && text.len > 0 && text.ptr[0] == '-';
  size_t whole = digits(text, minus), dot = minus + whole;
  if (whole == 0 || dot >= text.len || text.ptr[dot] != '.') return false;
  size_t fraction = digits(text, dot + 1);
  if (fraction == 0 || dot + 1 + fraction != text.len) return false;
  if (text.len > FLOAT_TEXT) return false;

  char copy[FLOAT_TEXT + 16], point[8];
  size_t len = decimal_point(point);
  memcpy(copy, text.ptr, dot);
  memcpy(copy + dot, point, len);
  memcpy(copy + dot + len, text.ptr + dot + 1, fraction);
  copy[dot + len + fraction] = '\0';
  *out = strtod(copy, NULL);
  return isfinite(*out);
}

/* The fewest digits that make the same double, without a point, and the power
 * of ten of the first one. */
static size_t shortest(double number, char out[24], int *power) {
  char text[48];
  for (int precision = 0; precision < 17; precision++) {
    snprintf(text, sizeof text, "%.*e", precision, number);
    if (strtod(text, NULL) == number) break;
  }
  size_t n = 0;
  const char *p = text;
  for (; *p && *p != 'e'; p++)
    if (*p >= '0' && *p <= '9' && n < 24) out[n++] = *p;
  *power = *p ? atoi(p + 1) : 0;
  return n;
}

static int append_zeros(dw_buffer *out, int count) {
  int rc = 0;
  while (count-- > 0 && rc == 0) rc = dw_buffer_append_char(out, '0');
  return rc;
}

int dw_number_append_float(dw_buffer *out, double number) {
  if (!isfinite(number))
    return dw_buffer_printf(out, "%s",
                            isnan(number) ? "nan"
                            : number < 0  ? "-inf"
                                          : "inf");
  char text[24];
  int power, rc = 0;
  size_t start = out->len, len = shortest(fabs(number), text, &power), at = 0;
  if (number < 0) rc = dw_buffer_append_char(out, '-');
  if (rc == 0 && power < 0) rc = dw_buffer_append_char(out, '0');
  if (rc == 0 && power >= 0) {
    at = (size_t)power + 1 < len ? (size_t)power + 1 : len;
    rc = dw_buffer_append(out, text, at);
    if (rc == 0) rc = append_zeros(out, power + 1 - (int)at);
  }
  if (rc == 0) rc = dw_buffer_append_char(out, '.');
  if (rc == 0 && power < 0) rc = append_zeros(out, -power - 1);
  if (rc == 0 && at == len) rc = append_zeros(out, 1);
  if (rc == 0) rc = dw_buffer_append(out, text + at, len - at);
  if (rc < 0) out->len = start;
  return rc;
}
