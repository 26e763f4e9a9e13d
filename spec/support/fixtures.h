/* SPDX-License-Identifier: MIT */
/* Reads fixtures of messages: text files of cases like
 *
 *     == the title of a case
 *     % max_headers 2
 *     > GET / HTTP/1.1\r\n
 *     > Host: a\r\n\r\n
 *     < ok
 *     < method GET
 *
 * Lines of ">" are the bytes that arrive, without the line's own end; \r \n \t
 * \\ \xHH mean what they do in C, and \{text*40} is the text 40 times. Lines of
 * "<" are what is expected, see transcript.h: a verdict (a status may stand
 * without its reason), then lines that must be among those of the message. "%"
 * sets a limit. "#" and blank lines are for the reader. Header-only. */
#ifndef DW_SPEC_FIXTURES_H
#define DW_SPEC_FIXTURES_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "http/limits.h"
#include "http/tokens.h"

typedef struct fixture {
  char title[128];
  dw_limits limits;
  dw_buffer bytes, expected;
} fixture;

typedef void (*fixture_cb)(const fixture *f, void *data);

static void fixture_fail(const char *path, int line, const char *what) {
  fprintf(stderr, "%s:%d: %s\n", path, line, what);
  exit(1);
}

static char fixture_char(dw_slice text, size_t *i) {
  char c = text.ptr[++*i];
  switch (c) {
  case 'r':
    return '\r';
  case 'n':
    return '\n';
  case 't':
    return '\t';
  case 'x':
    if (text.len - *i < 3) return 'x';
    c = (char)(dw_hex_digit((unsigned char)text.ptr[*i + 1]) << 4 |
               dw_hex_digit((unsigned char)text.ptr[*i + 2]));
    *i += 2;
    return c;
  default:
    return c;
  }
}

static void fixture_append(dw_buffer *out, dw_slice text);

/* The "{text*count}" at text, which is used up to its brace. */
static size_t fixture_repeat(dw_buffer *out, dw_slice text) {
  const char *close = memchr(text.ptr, '}', text.len);
  if (!close) return 0;
  const char *star = close;
  while (star > text.ptr && *star != '*') star--;
  dw_slice once = {text.ptr + 1, (size_t)(star - text.ptr) - 1};
  for (long n = strtol(star + 1, NULL, 10); n > 0; n--)
    fixture_append(out, once);
  return (size_t)(close - text.ptr);
}

static void fixture_append(dw_buffer *out, dw_slice text) {
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (c == '\\' && i + 1 < text.len && text.ptr[i + 1] == '{') {
      i++;
      i += fixture_repeat(out, dw_slice_of(text.ptr + i, text.len - i));
      continue;
    }
    if (c == '\\' && i + 1 < text.len) c = fixture_char(text, &i);
    if (dw_buffer_append_char(out, c) < 0) abort();
  }
}

static bool fixture_limit(fixture *f, const char *text) {
  char name[32];
  unsigned long value;
  if (sscanf(text, "%31s %lu", name, &value) != 2) return false;
  if (strcmp(name, "max_target_size") == 0)
    f->limits.max_target_size = value;
  else if (strcmp(name, "max_header_size") == 0)
    f->limits.max_header_size = value;
  else if (strcmp(name, "max_headers") == 0)
    f->limits.max_headers = value;
  else if (strcmp(name, "max_trailer_size") == 0)
    f->limits.max_trailer_size = value;
  else
    return false;
  return true;
}

static void fixture_begin(fixture *f, const char *title) {
  snprintf(f->title, sizeof f->title, "%.127s", title);
  dw_limits_init(&f->limits);
  f->bytes.len = f->expected.len = 0;
}

static void fixture_end(const fixture *f, const char *path, int line,
                        fixture_cb cb, void *data) {
  if (!*f->title) return;
  if (f->expected.len == 0) fixture_fail(path, line, "nothing is expected");
  cb(f, data);
}

static bool fixture_line(fixture *f, const char *text) {
  dw_slice rest = dw_slice_str(*text && text[1] == ' ' ? text + 2 : "");
  switch (*text) {
  case '>':
    fixture_append(&f->bytes, rest);
    return true;
  case '<':
    return dw_buffer_append_slice(&f->expected, rest) == 0 &&
           dw_buffer_append_char(&f->expected, '\n') == 0;
  case '%':
    return fixture_limit(f, rest.ptr);
  default:
    return *text == '\0' || *text == '#';
  }
}

/* Calls back with each case of a file. */
static void fixtures_read(const char *path, dw_allocator *a, fixture_cb cb,
                          void *data) {
  fixture f = {.title = ""};
  char text[4096];
  int line = 0;
  FILE *file = fopen(path, "r");
  if (!file) fixture_fail(path, 0, "can't be read");
  dw_buffer_init(&f.bytes, a, 0);
  dw_buffer_init(&f.expected, a, 0);
  while (fgets(text, sizeof text, file)) {
    line++;
    text[strcspn(text, "\n")] = '\0';
    if (strncmp(text, "== ", 3) == 0) {
      fixture_end(&f, path, line, cb, data);
      fixture_begin(&f, text + 3);
    } else if (!fixture_line(&f, text)) {
      fixture_fail(path, line, "not a line of a fixture");
    }
  }
  fixture_end(&f, path, line, cb, data);
  fclose(file);
  dw_buffer_deinit(&f.bytes);
  dw_buffer_deinit(&f.expected);
}

#endif
