/* SPDX-License-Identifier: MIT */
/* Log records, and their two forms. */
#include "unit.h"

#include "base/error.h"
#include "base/log.h"

/* --- The sink --------------------------------------------------------------*/

typedef struct record {
  unsigned count;
  int level;
  size_t len;
  char end[8];
  const dewar_log_field *fields;
  size_t field_count;
} record;

static void record_cb(void *data, int level, const char *text,
                      const dewar_log_field *fields, size_t count) {
  record *r = data;
  r->count++;
  r->level = level;
  r->len = strlen(text);
  size_t from = r->len > 5 ? r->len - 5 : 0;
  snprintf(r->end, sizeof(r->end), "%s", text + from);
  r->fields = fields;
  r->field_count = count;
}

TEST(drops_records_below_the_level_and_prints_nothing_without_a_sink) {
  record r = {0};
  dw_log log = {.sink = record_cb, .data = &r, .level = DEWAR_WARN};
  CHECK(!dw_log_on(&log, DEWAR_INFO));
  dw_log_write(&log, DEWAR_INFO, "quiet", NULL, 0);
  dw_logf(&log, DEWAR_INFO, "quiet");
  CHECK_INT(r.count, 0);
  dw_logf(&log, DEWAR_WARN, "%s %d", "loud", 1);
  CHECK_INT(r.count, 1);
  CHECK_INT(r.level, DEWAR_WARN);
  CHECK_STR(r.end, "oud 1");
  dw_log none = {.level = DEWAR_DEBUG};
  dw_logf(&none, DEWAR_ERROR, "nobody");
  dw_log_write(NULL, DEWAR_ERROR, "nobody", NULL, 0);
  dw_logf(NULL, DEWAR_ERROR, "nobody");
}

TEST(passes_fields_on_as_they_are) {
  record r = {0};
  dw_log log = {.sink = record_cb, .data = &r};
  const dewar_log_field fields[] = {{"a", "1", 1}, {"b", "x", 0}};
  dw_log_write(&log, DEWAR_ERROR, "text", fields, 2);
  CHECK(r.fields == fields);
  CHECK_INT(r.field_count, 2);
}

TEST(marks_a_formatted_text_that_it_had_to_cut) {
  record r = {0};
  dw_log log = {.sink = record_cb, .data = &r};
  char text[8000];
  /* Whatever the alignment, no half of the two bytes stays before the mark. */
  for (size_t skip = 0; skip < 2; skip++) {
    for (size_t i = 0; i + 1 < sizeof(text); i += 2)
      memcpy(text + i, "\xC3\xA9", 2);
    text[sizeof(text) - 1] = '\0';
    memset(text, 'x', skip);
    if (skip) text[1] = 'x';
    dw_logf(&log, DEWAR_INFO, "%s%s", skip ? "y" : "", text);
    CHECK(r.len > 1000 && r.len < 3000);
    CHECK_STR(r.end, "\xC3\xA9...");
  }
}

/* --- The forms -------------------------------------------------------------*/

static dw_allocator allocator;
static dw_buffer out;

typedef int (*form)(dw_buffer *b, int level, const char *text,
                    const dewar_log_field *fields, size_t count);

static const char *format(form f, int level, const char *text,
                          const dewar_log_field *fields, size_t count) {
  dw_allocator_init(&allocator, NULL, NULL);
  dw_buffer_init(&out, &allocator, 0);
  CHECK_INT(f(&out, level, text, fields, count), 0);
  CHECK_INT(dw_buffer_append_char(&out, '\0'), 0);
  return out.ptr ? out.ptr : "";
}

static void done(void) {
  dw_buffer_deinit(&out);
  CHECK_INT(allocator.used, 0);
}

/* What follows the time, which begins every line of text. */
static const char *after_time(const char *line) {
  int hour, minute, second, len = 0;
  sscanf(line, "%2d:%2d:%2d %n", &hour, &minute, &second, &len);
  CHECK_INT(len, 9);
  return line + len;
}

/* One record with one field, in text. */
static void check_text(const char *text, const char *value, const char *want) {
  const dewar_log_field field = {"k", value, 0};
  const char *line =
      format(dw_log_format_text, DEWAR_INFO, text, &field, value ? 1 : 0);
  CHECK_STR(after_time(line), want);
  done();
}

static const char *after_json_time(const char *line) {
  int part[6], ms, len = 0;
  sscanf(line, "{\"time\":\"%4d-%2d-%2dT%2d:%2d:%2d.%3dZ\"%n", &part[0],
         &part[1], &part[2], &part[3], &part[4], &part[5], &ms, &len);
  CHECK_INT(len, 34);
  return line + len;
}

static void check_json(const char *text, const char *value, int is_number,
                       const char *want) {
  const dewar_log_field field = {"k", value, is_number};
  const char *line =
      format(dw_log_format_json, DEWAR_INFO, text, &field, value ? 1 : 0);
  CHECK_STR(after_json_time(line), want);
  done();
}

TEST(writes_a_line_of_text) {
  const dewar_log_field fields[] = {
      {"method", "GET", 0}, {"path", "/a?b", 0}, {"seconds", "0.001", 1}};
  const char *line =
      format(dw_log_format_text, DEWAR_ERROR, "request", fields, 3);
  CHECK_STR(after_time(line),
            "ERROR request method=GET path=/a?b seconds=0.001\n");
  done();
}

TEST(names_every_level) {
  static const struct {
    int level;
    const char *text, *json;
  } levels[] = {
      {0, "DEBUG x\n", "DEBUG"},           {DEWAR_DEBUG, "DEBUG x\n", "DEBUG"},
      {DEWAR_INFO, "INFO  x\n", "INFO"},   {DEWAR_WARN, "WARN  x\n", "WARN"},
      {DEWAR_ERROR, "ERROR x\n", "ERROR"}, {99, "ERROR x\n", "ERROR"}};
  for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
    int level = levels[i].level;
    CHECK_STR(after_time(format(dw_log_format_text, level, "x", NULL, 0)),
              levels[i].text);
    done();
    char want[64];
    snprintf(want, sizeof(want), ",\"level\":\"%s\",\"text\":\"x\"}\n",
             levels[i].json);
    CHECK_STR(after_json_time(format(dw_log_format_json, level, "x", NULL, 0)),
              want);
    done();
  }
}

TEST(a_multi_line_text_stays_so_but_never_looks_like_a_record) {
  check_text("one\ntwo\n\tthree", NULL, "INFO  one\n  two\n\tthree\n");
  check_text("one\n\ntwo\n", NULL, "INFO  one\n\n  two\n");
  check_text("one\n12:00:00 ERROR forged", NULL,
             "INFO  one\n  12:00:00 ERROR forged\n");
  check_text("one\ntwo", "v", "INFO  one k=v\n  two\n");
}

TEST(a_value_never_looks_like_a_line_or_a_field) {
  check_text("x", "a\n12:00:00 ERROR forged",
             "INFO  x k=\"a\\n12:00:00 ERROR forged\"\n");
  check_text("x", "a b=c", "INFO  x k=\"a b=c\"\n");
  check_text("x", "", "INFO  x k=\"\"\n");
  check_text("x", "say \"\\\"", "INFO  x k=\"say \\\"\\\\\\\"\"\n");
  check_text("x", "b=c", "INFO  x k=\"b=c\"\n");
  check_text("x", "\t\r", "INFO  x k=\"\\t\\r\"\n");
  check_text("x", "a\xC2\xA0z", "INFO  x k=\"a\xC2\xA0z\"\n");
}

TEST(escapes_what_a_terminal_would_obey) {
  check_text("\x1b[2J\x7f\r\b", NULL, "INFO  \\u001b[2J\\u007f\\r\\u0008\n");
  check_text("\xC2\x9B", NULL, "INFO  \\u009b\n");
  check_text("\xE2\x80\xAE\xE2\x80\xA8\xE2\x81\xA6", NULL,
             "INFO  \\u202e\\u2028\\u2066\n");
  check_text("tab\tstays", NULL, "INFO  tab\tstays\n");
}

TEST(keeps_utf8_and_escapes_what_is_none) {
  check_text("h\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", NULL,
             "INFO  h\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\n");
  check_text("\xFF\x80 \xC3", NULL, "INFO  \\xff\\x80 \\xc3\n");
  check_text("\xC0\xAF \xE0\x80\x8A", NULL,
             "INFO  \\xc0\\xaf \\xe0\\x80\\x8a\n");            /* overlong */
  check_text("\xED\xA0\x80", NULL, "INFO  \\xed\\xa0\\x80\n"); /* surrogate */
  check_text("\xF4\x90\x80\x80", NULL, "INFO  \\xf4\\x90\\x80\\x80\n");
  check_text("\xF8\x88\x80\x80\x80", NULL, "INFO  \\xf8\\x88\\x80\\x80\\x80\n");
  check_json("\xFF h\xC3\xA9", NULL, 0,
             ",\"level\":\"INFO\",\"text\":\"\\\\xff h\xC3\xA9\"}\n");
}

TEST(writes_a_line_of_json_whatever_it_holds) {
  check_json("a\nb\t\"\\\x1b", "x\ny", 0,
             ",\"level\":\"INFO\",\"text\":\"a\\nb\\t\\\"\\\\\\u001b\","
             "\"k\":\"x\\ny\"}\n");
}

TEST(writes_only_numbers_bare_in_json) {
  static const char *const good[] = {"0", "-1", "12.5", "1e9", "1.0E-7"};
  static const char *const bad[] = {"",   "nan", "-inf", "0x10", "01", "1.",
                                    ".5", "1e",  "-",    "1,2",  "1 "};
  char want[64];
  for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
    snprintf(want, sizeof(want),
             ",\"level\":\"INFO\",\"text\":\"\",\"k\":%s}\n", good[i]);
    check_json("", good[i], 1, want);
  }
  for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
    snprintf(want, sizeof(want),
             ",\"level\":\"INFO\",\"text\":\"\",\"k\":\"%s\"}\n", bad[i]);
    check_json("", bad[i], 1, want);
  }
  check_json("", "5", 0, ",\"level\":\"INFO\",\"text\":\"\",\"k\":\"5\"}\n");
}

TEST(a_field_can_not_replace_what_the_record_says_of_itself) {
  const dewar_log_field fields[] = {{"level", "ERROR", 0},
                                    {"time", "0", 1},
                                    {"text", NULL, 0},
                                    {"q\"", "", 0}};
  const char *line = format(dw_log_format_json, DEWAR_INFO, "x", fields, 4);
  CHECK_STR(after_json_time(line),
            ",\"level\":\"INFO\",\"text\":\"x\",\"_level\":\"ERROR\","
            "\"_time\":0,\"_text\":\"\",\"q\\\"\":\"\"}\n");
  done();
}

static int format_twice(dw_allocator *a, void *data) {
  const dewar_log_field fields[] = {{"path", "/a b", 0}, {"n", "1", 1}};
  form f = *(form *)data;
  dw_buffer b;
  dw_buffer_init(&b, a, 0);
  int err = f(&b, DEWAR_INFO, "one\ntwo", fields, 2);
  size_t len = b.len;
  if (!err) err = f(&b, DEWAR_INFO, "a longer text than the first", fields, 2);
  if (err) CHECK(b.len == len || b.len == 0);
  dw_buffer_deinit(&b);
  return err;
}

TEST(a_record_that_can_not_be_written_leaves_nothing_behind) {
  form text = dw_log_format_text, json = dw_log_format_json;
  unit_failing_allocations(format_twice, &text);
  unit_failing_allocations(format_twice, &json);
}
