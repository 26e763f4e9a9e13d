/* SPDX-License-Identifier: MIT */
/* Dates in HTTP. The calendar is the proleptic Gregorian one; leap seconds are
 * read (":60") as the next minute's first. */
#include "http/date.h"

static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char long_days[][10] = {"Sunday",    "Monday",   "Tuesday",
                                     "Wednesday", "Thursday", "Friday",
                                     "Saturday"};
static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

enum { DAY = 24 * 60 * 60 };

#define FIRST INT64_C(-62167219200) /* the year 0 begins */
#define LAST INT64_C(253402300799)  /* the year 9999 ends */

typedef struct civil {
  int year, month, day; /* month 1..12 */
  int hour, minute, second;
} civil;

/* --- The calendar ----------------------------------------------------------*/

/* Years are counted from March here, so that the leap day is the last one;
 * the days before month m of such a year are (153 m + 2) / 5. */
static int64_t days_of(int year, int month, int day) {
  int64_t y = (int64_t)year - (month <= 2) + 400; /* keeps all terms positive */
  int64_t m = (month + 9) % 12;
  int64_t since_march_0 = y * 365 + y / 4 - y / 100 + y / 400;
  const int64_t epoch = INT64_C(719468) + 146097; /* 1970-01-01, so counted */
  return since_march_0 + (153 * m + 2) / 5 + day - 1 - epoch;
}

static bool leap(int year) {
  return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_length(int year, int month) {
  static const signed char length[] = {31, 28, 31, 30, 31, 30,
                                       31, 31, 30, 31, 30, 31};
  return length[month - 1] + (month == 2 && leap(year));
}

static void year_and_month(int64_t day_number, civil *c) {
  int year = (int)(1970 + day_number / 366); /* at most some years too early */
  if (day_number < 0) year = (int)(1970 + day_number / 365 - 1);
  while (days_of(year + 1, 1, 1) <= day_number) year++;
  int month = 1;
  int64_t left = day_number - days_of(year, 1, 1);
  while (left >= month_length(year, month)) left -= month_length(year, month++);
  c->year = year;
  c->month = month;
  c->day = (int)left + 1;
}

/* --- Writing ---------------------------------------------------------------*/

static char *put_number(char *at, int n, int digits) {
  for (int i = digits - 1; i >= 0; i--, n /= 10) at[i] = (char)('0' + n % 10);
  return at + digits;
}

static char *put_text(char *at, const char *text, size_t len) {
  memcpy(at, text, len);
  return at + len;
}

size_t dw_http_date(int64_t seconds, char *out) {
  if (seconds < FIRST) seconds = FIRST;
  if (seconds > LAST) seconds = LAST;
  int64_t day = seconds / DAY - (seconds % DAY < 0);
  int rest = (int)(seconds - day * DAY);
  civil c;
  year_and_month(day, &c);
  int weekday = (int)((day % 7 + 7 + 4) % 7); /* 1970 began on a Thursday */

  char *at = put_text(out, days[weekday], 3);
  at = put_text(at, ", ", 2);
  at = put_number(at, c.day, 2);
  *at++ = ' ';
  at = put_text(at, months[c.month - 1], 3);
  *at++ = ' ';
  at = put_number(at, c.year, 4);
  *at++ = ' ';
  at = put_number(at, rest / 3600, 2);
  *at++ = ':';
  at = put_number(at, rest / 60 % 60, 2);
  *at++ = ':';
  at = put_number(at, rest % 60, 2);
  at = put_text(at, " GMT", 5); /* and its NUL */
  return (size_t)(at - out) - 1;
}

/* --- Reading ---------------------------------------------------------------*/

/* A pattern: D a digit of the day, Y year, h, m, s, N a letter of the month,
 * "_" a digit of the day or a space; anything else stands for itself. */
typedef struct reader {
  civil c;
  char month[3];
  int letters;
} reader;

static bool read_digit(int *number, char c) {
  if (c < '0' || c > '9') return false;
  *number = *number * 10 + (c - '0');
  return true;
}

static bool read_char(reader *r, char pattern, char c) {
  switch (pattern) {
  case '_':
    return c == ' ' || read_digit(&r->c.day, c);
  case 'D':
    return read_digit(&r->c.day, c);
  case 'Y':
    return read_digit(&r->c.year, c);
  case 'h':
    return read_digit(&r->c.hour, c);
  case 'm':
    return read_digit(&r->c.minute, c);
  case 's':
    return read_digit(&r->c.second, c);
  case 'N':
    r->month[r->letters++] = c;
    return true;
  default:
    return c == pattern;
  }
}

static bool read_pattern(reader *r, dw_slice text, const char *pattern) {
  *r = (reader){0};
  if (text.len != strlen(pattern)) return false;
  for (size_t i = 0; i < text.len; i++) {
    if (!read_char(r, pattern[i], text.ptr[i])) return false;
  }
  for (int i = 0; i < 12 && r->c.month == 0; i++) {
    if (memcmp(months[i], r->month, 3) == 0) r->c.month = i + 1;
  }
  return r->c.month > 0;
}

static bool to_seconds(const civil *c, int64_t *seconds) {
  if (c->day < 1 || c->day > month_length(c->year, c->month)) return false;
  if (c->hour > 23 || c->minute > 59 || c->second > 60) return false;
  *seconds = days_of(c->year, c->month, c->day) * DAY +
             c->hour * INT64_C(3600) + c->minute * INT64_C(60) + c->second;
  return true;
}

/* The weekday at the front: its length, or 0. */
static size_t weekday(dw_slice text, bool whole) {
  for (size_t i = 0; i < 7; i++) {
    const char *name = whole ? long_days[i] : days[i];
    size_t len = whole ? strlen(name) : 3;
    if (text.len > len && memcmp(text.ptr, name, len) == 0) return len;
  }
  return 0;
}

static dw_slice skip(dw_slice text, size_t len) {
  return dw_slice_of(text.ptr + len, text.len - len);
}

bool dw_http_date_parse(dw_slice text, int64_t *seconds) {
  reader r;
  text = dw_slice_trim(text);
  if (weekday(text, false)) {
    dw_slice rest = skip(text, 3);
    if (read_pattern(&r, rest, ", DD NNN YYYY hh:mm:ss GMT") ||
        read_pattern(&r, rest, " NNN _D hh:mm:ss YYYY"))
      return to_seconds(&r.c, seconds);
  }
  size_t len = weekday(text, true);
  if (!len || !read_pattern(&r, skip(text, len), ", DD-NNN-YY hh:mm:ss GMT"))
    return false;
  r.c.year += r.c.year < 70 ? 2000 : 1900;
  return to_seconds(&r.c, seconds);
}
