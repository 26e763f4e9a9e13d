/* SPDX-License-Identifier: MIT */
/* Server-sent events as bytes: see event_stream.h. A line that a text has ends
 * at CR, LF or CRLF, as it would for the client. */
#include "http/event_stream.h"

#include <inttypes.h>

#include "base/error.h"

bool dw_event_is_line(dw_slice text) {
  for (size_t i = 0; i < text.len; i++)
    if (text.ptr[i] == '\r' || text.ptr[i] == '\n' || text.ptr[i] == '\0')
      return false;
  return true;
}

/* Takes the first line off; false: there is none left. */
static bool next_line(dw_slice *text, dw_slice *line, bool *more) {
  if (!*more) return false;
  size_t n = 0;
  while (n < text->len && text->ptr[n] != '\r' && text->ptr[n] != '\n') n++;
  *line = dw_slice_of(text->ptr, n);
  *more = n < text->len;
  if (n + 1 < text->len && text->ptr[n] == '\r' && text->ptr[n + 1] == '\n')
    n++;
  if (*more) n++;
  *text = dw_slice_of(text->ptr + n, text->len - n);
  return true;
}

static int put_line(dw_buffer *out, dw_slice label, dw_slice value) {
  int code = dw_buffer_reserve(out, label.len + value.len + 1);
  if (code < 0) return code;
  dw_buffer_append_slice(out, label);
  dw_buffer_append_slice(out, value);
  return dw_buffer_append_char(out, '\n');
}

static int put_lines(dw_buffer *out, dw_slice label, dw_slice text) {
  bool more = true;
  int code = 0;
  for (dw_slice line; code == 0 && next_line(&text, &line, &more);)
    code = put_line(out, label, line);
  return code;
}

static int put_event(const dw_event *e, dw_buffer *out) {
  int code = 0;
  if (e->name.ptr) code = put_line(out, DW_LITERAL("event: "), e->name);
  if (code == 0 && (e->data.ptr || e->name.ptr))
    code = put_lines(out, DW_LITERAL("data: "), e->data);
  if (code == 0 && e->id.ptr) code = put_line(out, DW_LITERAL("id: "), e->id);
  if (code == 0 && e->has_retry)
    code = dw_buffer_printf(out, "retry: %" PRIu64 "\n", e->retry);
  return code;
}

/* The empty line behind it; or nothing of it stays. */
static int finish(dw_buffer *out, size_t before, int code) {
  if (code == 0) code = dw_buffer_append_char(out, '\n');
  if (code < 0) out->len = before;
  return code;
}

int dw_event_write(const dw_event *e, dw_buffer *out) {
  size_t before = out->len;
  return finish(out, before, put_event(e, out));
}

int dw_event_comment(dw_slice text, dw_buffer *out) {
  size_t before = out->len;
  return finish(out, before, put_lines(out, DW_LITERAL(": "), text));
}
