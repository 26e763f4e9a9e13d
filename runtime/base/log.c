/* SPDX-License-Identifier: MIT */
/* Hands records to the sink; a record nobody wants costs a comparison. A log
 * that is NULL has no sink. Owner: the runtime. Thread: the loop's. */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Longer texts come through dw_log_write, which takes any length. */
enum { TEXT_MAX = 2048 };

void dw_log_write(dw_log *log, int level, const char *text,
                  const dewar_log_field *fields, size_t count) {
  if (!log || !dw_log_on(log, level)) return;
  log->sink(log->data, level, text, fields, count);
}

/* Marks a text that was cut, without leaving half a character before it. */
static void mark_cut(char *text, size_t size) {
  static const char mark[] = "...";
  size_t len = size - sizeof(mark);
  while (len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80) len--;
  memcpy(text + len, mark, sizeof(mark));
}

void dw_logf(dw_log *log, int level, const char *format, ...) {
  if (!log || !dw_log_on(log, level)) return;
  char text[TEXT_MAX];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  if (len < 0) return;
  if ((size_t)len >= sizeof(text)) mark_cut(text, sizeof(text));
  dw_log_write(log, level, text, NULL, 0);
}
