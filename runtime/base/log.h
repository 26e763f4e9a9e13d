/* SPDX-License-Identifier: MIT */
/* Log records: a level, a text, and named fields; what becomes of them is the
 * sink's business. Without a sink nothing is printed. Thread: the loop's. */
#ifndef DW_BASE_LOG_H
#define DW_BASE_LOG_H

#include "base/buffer.h"
#include "dewar.h"

typedef struct dw_log {
  dewar_log_cb sink;
  void *data;
  int level; /* records below it are dropped before they are formatted */
} dw_log;

static inline bool dw_log_on(const dw_log *log, int level) {
  return log->sink && level >= log->level;
}

void dw_log_write(dw_log *log, int level, const char *text,
                  const dewar_log_field *fields, size_t count);
void dw_logf(dw_log *log, int level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends a record as one line of text ("12:00:01 INFO  text key=value") or of
 * JSON; a multi-line text stays multi-line in the first, is escaped in the
 * second. 0 or a negative code. */
int dw_log_format_text(dw_buffer *out, int level, const char *text,
                       const dewar_log_field *fields, size_t count);
int dw_log_format_json(dw_buffer *out, int level, const char *text,
                       const dewar_log_field *fields, size_t count);

#endif
