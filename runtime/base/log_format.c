/* SPDX-License-Identifier: MIT */
/* A record as a line of text or of JSON. Whatever a text or a value holds, it
 * can't look like another record or field: control characters, line and
 * paragraph separators, marks that change the direction of writing, and bytes
 * that are not UTF-8 are escaped. A line of text always begins with the time,
 * and what continues it with white space. After a failure the buffer holds what
 * it held. Thread: the loop's. */
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "base/error.h"
#include "base/log.h"
#include "base/utf8.h"

static const char *level_name(int level) {
  if (level < DEWAR_INFO) return "DEBUG";
  if (level < DEWAR_WARN) return "INFO";
  if (level < DEWAR_ERROR) return "WARN";
  return "ERROR";
}

static int append_text(dw_buffer *out, const char *text) {
  return dw_buffer_append(out, text, strlen(text));
}

/* --- Characters ------------------------------------------------------------*/

/* The length of the character at p, 0 where there is none, and its number. */
static size_t decode(const char *p, const char *end, uint32_t *point) {
  size_t len = dw_utf8_length(p, end);
  unsigned char first = (unsigned char)*p;
  *point = len <= 1 ? first : first & (0x7Fu >> len);
  for (size_t i = 1; i < len; i++)
    *point = *point << 6 | ((unsigned char)p[i] & 0x3Fu);
  return len;
}

static bool is_unprintable(uint32_t point) {
  return point < 0x20 || (point >= 0x7F && point < 0xA0) /* C0, C1 */
         || (point >= 0x2028 && point <= 0x202E) /* separators, directions */
         || (point >= 0x2066 && point <= 0x2069) || point == 0x200E ||
         point == 0x200F || point == 0xFEFF;
}

/* Whether it is one of the ASCII characters in `set`. */
static bool is_one_of(uint32_t point, const char *set) {
  return point > 0 && point < 0x80 && strchr(set, (int)point);
}

static char short_escape(uint32_t point) {
  switch (point) {
  case '\n':
    return 'n';
  case '\r':
    return 'r';
  case '\t':
    return 't';
  default:
    return 0;
  }
}

static int append_escape(dw_buffer *out, uint32_t point) {
  char letter = short_escape(point);
  if (letter) return dw_buffer_printf(out, "\\%c", letter);
  return dw_buffer_printf(out, "\\u%04x", (unsigned)point);
}

typedef struct escaping {
  const char *keep;      /* unprintable characters that stay */
  const char *backslash; /* characters that get a backslash before them */
  const char *bad_byte;  /* how a byte that is not UTF-8 is written */
} escaping;

static const escaping in_message = {"\t", "", "\\x%02x"};
static const escaping in_quotes = {"", "\"\\", "\\x%02x"};
/* JSON has no escape for a byte: it reads back as the four characters \xNN. */
static const escaping in_json = {"", "\"\\", "\\\\x%02x"};

static int append_escaped(dw_buffer *out, const char *text, size_t len,
                          const escaping *how) {
  const char *end = text + len;
  int err = 0;
  while (!err && text < end) {
    uint32_t point = 0;
    size_t size = decode(text, end, &point);
    if (size == 0) {
      err = dw_buffer_printf(out, how->bad_byte, (unsigned char)*text);
      size = 1;
    } else if (is_unprintable(point) && !is_one_of(point, how->keep)) {
      err = append_escape(out, point);
    } else {
      if (is_one_of(point, how->backslash))
        err = dw_buffer_append_char(out, '\\');
      if (!err) err = dw_buffer_append(out, text, size);
    }
    text += size;
  }
  return err;
}

static size_t skip_digits(const char *p) { return strspn(p, "0123456789"); }

/* A number by the grammar of JSON, or a boolean: what only claims to be one is
 * quoted. */
static bool is_number(const char *p) {
  if (strcmp(p, "true") == 0 || strcmp(p, "false") == 0) return true;
  if (*p == '-') p++;
  size_t digits = skip_digits(p);
  if (digits == 0 || (*p == '0' && digits > 1)) return false;
  p += digits;
  if (*p == '.') {
    digits = skip_digits(++p);
    if (digits == 0) return false;
    p += digits;
  }
  if (*p == 'e' || *p == 'E') {
    p++;
    if (*p == '+' || *p == '-') p++;
    digits = skip_digits(p);
    if (digits == 0) return false;
    p += digits;
  }
  return *p == '\0';
}

/* --- Text ------------------------------------------------------------------*/

/* Whether it can stand without quotes, and be read back unmistakably. */
static bool is_plain(const char *text) {
  const char *end = text + strlen(text);
  if (text == end) return false;
  while (text < end) {
    uint32_t point = 0;
    size_t size = decode(text, end, &point);
    if (size == 0 || point <= ' ' || point == 0xA0 || is_unprintable(point) ||
        is_one_of(point, "\"\\="))
      return false;
    text += size;
  }
  return true;
}

static int append_value(dw_buffer *out, const char *value) {
  if (is_plain(value)) return append_text(out, value);
  int err = dw_buffer_append_char(out, '"');
  if (!err) err = append_escaped(out, value, strlen(value), &in_quotes);
  return err ? err : dw_buffer_append_char(out, '"');
}

static int append_text_fields(dw_buffer *out, const dewar_log_field *fields,
                              size_t count) {
  int err = 0;
  for (size_t i = 0; !err && i < count; i++) {
    err = dw_buffer_append_char(out, ' ');
    if (!err) err = append_value(out, fields[i].name);
    if (!err) err = dw_buffer_append_char(out, '=');
    if (!err) err = append_value(out, fields[i].value ? fields[i].value : "");
  }
  return err;
}

/* The lines after the first. One that doesn't begin with white space gets some,
 * so that it can't pass for a record. */
static int append_more_lines(dw_buffer *out, const char *text) {
  int err = 0;
  while (!err && *text) {
    size_t len = strcspn(text, "\n");
    err = dw_buffer_append_char(out, '\n');
    if (!err && len > 0 && *text != ' ' && *text != '\t')
      err = append_text(out, "  ");
    if (!err) err = append_escaped(out, text, len, &in_message);
    text += len;
    if (*text == '\n') text++;
  }
  return err;
}

static int append_time_of_day(dw_buffer *out) {
  time_t now = time(NULL);
  struct tm tm;
  if (!localtime_r(&now, &tm)) return DEWAR_EINVAL;
  return dw_buffer_printf(out, "%02d:%02d:%02d ", tm.tm_hour, tm.tm_min,
                          tm.tm_sec);
}

static int append_text_record(dw_buffer *out, int level, const char *text,
                              const dewar_log_field *fields, size_t count) {
  size_t first = strcspn(text, "\n");
  int err = append_time_of_day(out);
  if (!err) err = dw_buffer_printf(out, "%-5s ", level_name(level));
  if (!err) err = append_escaped(out, text, first, &in_message);
  if (!err) err = append_text_fields(out, fields, count);
  if (!err && text[first]) err = append_more_lines(out, text + first + 1);
  return err ? err : dw_buffer_append_char(out, '\n');
}

int dw_log_format_text(dw_buffer *out, int level, const char *text,
                       const dewar_log_field *fields, size_t count) {
  size_t start = out->len;
  int err = append_text_record(out, level, text, fields, count);
  if (err) out->len = start;
  return err;
}

/* --- JSON ------------------------------------------------------------------*/

static int append_string(dw_buffer *out, const char *text) {
  int err = dw_buffer_append_char(out, '"');
  if (!err) err = append_escaped(out, text, strlen(text), &in_json);
  return err ? err : dw_buffer_append_char(out, '"');
}

static int append_timestamp(dw_buffer *out) {
  struct timeval now;
  struct tm tm;
  if (gettimeofday(&now, NULL) != 0 || !gmtime_r(&now.tv_sec, &tm))
    return DEWAR_EINVAL;
  return dw_buffer_printf(out, "\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\"",
                          tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday,
                          tm.tm_hour, tm.tm_min, tm.tm_sec,
                          (int)(now.tv_usec / 1000));
}

/* A field must not stand in for what the record says of itself. */
static bool is_reserved(const char *name) {
  return strcmp(name, "time") == 0 || strcmp(name, "level") == 0 ||
         strcmp(name, "text") == 0;
}

static int append_json_field(dw_buffer *out, const dewar_log_field *field) {
  const char *value = field->value ? field->value : "";
  int err = append_text(out, is_reserved(field->name) ? ",\"_" : ",\"");
  if (!err)
    err = append_escaped(out, field->name, strlen(field->name), &in_json);
  if (!err) err = append_text(out, "\":");
  if (err) return err;
  if (field->is_number && is_number(value)) return append_text(out, value);
  return append_string(out, value);
}

static int append_json_record(dw_buffer *out, int level, const char *text,
                              const dewar_log_field *fields, size_t count) {
  int err = append_text(out, "{\"time\":");
  if (!err) err = append_timestamp(out);
  if (!err) err = append_text(out, ",\"level\":");
  if (!err) err = append_string(out, level_name(level));
  if (!err) err = append_text(out, ",\"text\":");
  if (!err) err = append_string(out, text);
  for (size_t i = 0; !err && i < count; i++)
    err = append_json_field(out, &fields[i]);
  return err ? err : append_text(out, "}\n");
}

int dw_log_format_json(dw_buffer *out, int level, const char *text,
                       const dewar_log_field *fields, size_t count) {
  size_t start = out->len;
  int err = append_json_record(out, level, text, fields, count);
  if (err) out->len = start;
  return err;
}
