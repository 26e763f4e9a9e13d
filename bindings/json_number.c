/* SPDX-License-Identifier: MIT */
/* Numbers as JSON text. printf and strtod follow the locale's decimal point, so
 * neither ever sees one here: only digits and an exponent pass between. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bindings/json_parts.h"

/* More significant digits than these never change how a double is rounded, as
 * long as it is known whether they are all zero. */
#define DIGITS_MAX 800

/* Powers of ten that a double holds exactly. */
static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static const char pairs[] = "00010203040506070809"
                            "10111213141516171819"
                            "20212223242526272829"
                            "30313233343536373839"
                            "40414243444546474849"
                            "50515253545556575859"
                            "60616263646566676869"
                            "70717273747576777879"
                            "80818283848586878889"
                            "90919293949596979899";

/* Writes backwards, ending before end; returns the first digit. */
static char *digits_before(char *end, uint64_t u) {
  while (u >= 100) {
    end -= 2;
    memcpy(end, pairs + 2 * (u % 100), 2);
    u /= 100;
  }
  if (u >= 10) {
    end -= 2;
    memcpy(end, pairs + 2 * u, 2);
  } else {
    *--end = (char)('0' + u);
  }
  return end;
}

size_t dw_json_write_integer(char *to, int64_t i) {
  char text[24];
  char *end = text + sizeof(text);
  char *p = digits_before(end, i < 0 ? 0 - (uint64_t)i : (uint64_t)i);
  if (i < 0) *--p = '-';
  memcpy(to, p, (size_t)(end - p));
  return (size_t)(end - p);
}

/* --- Reading ---------------------------------------------------------------*/

/* Up to 2^53 an integer is exact as a double, and so are the powers; one
 * multiplication or division of exact numbers rounds correctly. It wouldn't
 * where registers are wider than a double. */
static int read_short(uint64_t digits, int64_t exponent, double *out) {
  if (FLT_EVAL_METHOD != 0) return 0;
  if (digits > UINT64_C(1) << 53 || exponent < -22 || exponent > 22) return 0;
  if (exponent < 0)
    *out = (double)digits / powers[-exponent];
  else
    *out = (double)digits * powers[exponent];
  return 1;
}

/* digits * 10^exponent; behind the digits there is room for an exponent. */
static double read_digits(char *digits, size_t len, int64_t exponent) {
  if (exponent > 99999) exponent = 99999;
  if (exponent < -99999) exponent = -99999;
  digits[len] = 'e';
  size_t n = dw_json_write_integer(digits + len + 1, exponent);
  digits[len + 1 + n] = '\0';
  return strtod(digits, NULL);
}

/* Too large an exponent stays too large: no text is as long as the limit. */
static int64_t read_exponent(const char *p, const char *end) {
  const int64_t limit = INT64_C(1) << 56;
  int negative = *p == '-';
  if (*p == '-' || *p == '+') p++;
  int64_t e = 0;
  for (; p < end; p++)
    if (e < limit) e = e * 10 + (*p - '0');
  return negative ? -e : e;
}

/* Any number without its sign: leading zeros are dropped, and of very many
 * digits all but the knowledge that there were more. */
static double read_long(const char *p, const char *end) {
  char digits[DIGITS_MAX + 32];
  size_t len = 0;
  int64_t exponent = 0;
  int point = 0, more = 0;
  for (; p < end && *p != 'e' && *p != 'E'; p++) {
    if (*p == '.') {
      point = 1;
      continue;
    }
    exponent -= point;
    if (len == 0 && *p == '0') continue;
    if (len < DIGITS_MAX) {
      digits[len++] = *p;
      continue;
    }
    exponent++;
    if (*p != '0') more = 1;
  }
  if (p < end) exponent += read_exponent(p + 1, end);
  if (more) {
    digits[len++] = '1';
    exponent--;
  }
  if (len == 0) digits[len++] = '0';
  return read_digits(digits, len, exponent);
}

double dw_json_read_double(const char *p, const char *end, int exact,
                           uint64_t digits, int64_t exponent) {
  double x;
  int negative = *p == '-';
  if (!exact || (!read_short(digits, exponent, &x) &&
                 !dw_json_scale(digits, exponent, &x)))
    x = read_long(p + negative, end);
  return negative ? -x : x;
}

/* --- Writing ---------------------------------------------------------------*/

/* The decimal n * 10^exponent, as 1.25, 1250.0 or 1.25e+99. */
static size_t lay_out(char *to, uint64_t n, int exponent) {
  char text[24];
  char *end = text + sizeof(text);
  while (n % 10 == 0) {
    n /= 10;
    exponent++;
  }
  char *digits = digits_before(end, n), *p = to;
  int count = (int)(end - digits);
  int first = exponent + count - 1; /* what the first digit counts */
  if (first < -4 || first >= 16) {
    *p++ = digits[0];
    if (count > 1) *p++ = '.';
    memcpy(p, digits + 1, (size_t)count - 1);
    p += count - 1;
    *p++ = 'e';
    *p++ = first < 0 ? '-' : '+';
    if (abs(first) < 10) *p++ = '0';
    return (size_t)(p - to) + dw_json_write_integer(p, abs(first));
  }
  if (first < 0) {
    memcpy(p, "0.0000", 6);
    memcpy(p + 1 - first, digits, (size_t)count);
    return (size_t)(1 - first + count);
  }
  if (exponent >= 0) {
    memcpy(p, digits, (size_t)count);
    memset(p + count, '0', (size_t)exponent);
    memcpy(p + count + exponent, ".0", 2);
    return (size_t)(count + exponent + 2);
  }
  memcpy(p, digits, (size_t)first + 1);
  p[first + 1] = '.';
  memcpy(p + first + 2, digits + first + 1, (size_t)(count - first - 1));
  return (size_t)count + 1;
}

/* For the usual numbers, read_short backwards: where n / 10^k gives x again, n
 * with its point moved k places reads back as x. */
static int shorten(double x, uint64_t *digits, int *exponent) {
  if (FLT_EVAL_METHOD != 0 || x < 1e-4 || x >= 1e15) return 0;
  for (int k = 0; k <= 8; k++) {
    double scaled = x * powers[k];
    if (scaled >= 1e15) return 0;
    uint64_t n = (uint64_t)(scaled + 0.5);
    /* Spares the division where scaled is no integer but for rounding. */
    if (fabs(scaled - (double)n) > scaled * 4e-16) continue;
    if ((double)n / powers[k] != x) continue;
    *digits = n;
    *exponent = -k;
    return 1;
  }
  return 0;
}

/* With `count` digits; 0: it would read back as another double. */
static int round_to(double x, int count, uint64_t *digits, int *exponent) {
  char text[64], only_digits[64];
  snprintf(text, sizeof(text), "%.*e", count - 1, x);
  size_t n = 0;
  char *p = text;
  *digits = 0;
  /* Whatever stands between the digits is the locale's point. */
  for (; *p != 'e'; p++) {
    if (*p < '0' || *p > '9') continue;
    *digits = *digits * 10 + (uint64_t)(*p - '0');
    only_digits[n++] = *p;
  }
  *exponent = atoi(p + 1) - (count - 1);
  return read_digits(only_digits, n, *exponent) == x;
}

size_t dw_json_write_double(char *to, double x) {
  size_t sign = 0;
  if (signbit(x)) {
    to[sign++] = '-';
    x = -x;
  }
  if (x == 0) {
    memcpy(to + sign, "0.0", 3);
    return sign + 3;
  }
  uint64_t digits;
  int exponent;
  int done =
      shorten(x, &digits, &exponent) || dw_json_shorten(x, &digits, &exponent);
  /* 17 digits always do. */
  for (int count = 1; !done && count <= 17; count++)
    done = round_to(x, count, &digits, &exponent);
  return sign + lay_out(to + sign, digits, exponent);
}
