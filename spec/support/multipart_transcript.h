/* SPDX-License-Identifier: MIT */
/* Drives the parser of multipart/form-data over a text that arrives in pieces:
 * a line with the Content-Type, then the body. What came of it is lines: "ok",
 * or a status and a reason, and before that what the parts are and have in
 * them. Every piece is handed over in memory of exactly its size, so that
 * sanitizers see a read past its end. Header-only: for the unit test and the
 * fuzzer. */
#ifndef DW_SPEC_MULTIPART_TRANSCRIPT_H
#define DW_SPEC_MULTIPART_TRANSCRIPT_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/error.h"
#include "http/multipart.h"
#include "http/tokens.h"

/* Where the piece that begins at `at` ends; > at, unless at is len. */
typedef size_t (*transcript_cut)(void *data, size_t at, size_t len);

typedef struct transcript {
  dw_buffer *out;
  dw_multipart parser;
  dw_buffer content; /* of the current part */
  bool in_part, ended;
} transcript;

static void transcript_bug(const char *what) {
  fprintf(stderr, "multipart: %s\n", what);
  abort();
}

/* --- Writing ---------------------------------------------------------------*/

static void transcript_put(dw_buffer *b, dw_slice s) {
  if (dw_buffer_append_slice(b, s) < 0) abort();
}

static void transcript_line(dw_buffer *b, const char *key, dw_slice value) {
  transcript_put(b, dw_slice_str(key));
  transcript_put(b, DW_LITERAL(" "));
  for (size_t i = 0; i < value.len; i++) {
    unsigned char c = (unsigned char)value.ptr[i];
    char text[8];
    if (c == '\r' || c == '\n')
      snprintf(text, sizeof text, c == '\r' ? "\\r" : "\\n");
    else if (c == '\\')
      snprintf(text, sizeof text, "\\\\");
    else
      snprintf(text, sizeof text, c >= 0x20 && c < 0x7f ? "%c" : "\\x%02x", c);
    transcript_put(b, dw_slice_str(text));
  }
  transcript_put(b, DW_LITERAL("\n"));
}

static void transcript_part(transcript *t) {
  const dw_part *part = &t->parser.part;
  if (t->in_part || t->ended) transcript_bug("a part begins in another one");
  if (part->nheaders == 0 || part->nheaders > DW_PART_HEADERS_MAX)
    transcript_bug("a strange number of headers");
  t->in_part = true;
  transcript_line(t->out, "name", part->name);
  if (part->is_file) transcript_line(t->out, "filename", part->filename);
  if (part->has_content_type)
    transcript_line(t->out, "type", part->content_type);
  for (size_t i = 0; i < part->nheaders; i++) {
    const dw_header *h = &part->headers[i];
    if (!dw_is_token(h->name) || !dw_is_field_value(h->value))
      transcript_bug("a malformed header passed");
    if (dw_slice_trim(h->value).len != h->value.len)
      transcript_bug("a value was not trimmed");
    transcript_line(t->out, "header", h->name);
    transcript_line(t->out, "value", h->value);
  }
}

static void transcript_part_end(transcript *t) {
  if (!t->in_part) transcript_bug("a part ends that did not begin");
  t->in_part = false;
  transcript_line(t->out, "content", dw_buffer_slice(&t->content));
  t->content.len = 0;
}

/* --- Driving ---------------------------------------------------------------*/

static void transcript_event(transcript *t, dw_multipart_event event,
                             dw_slice data) {
  switch (event) {
  case DW_MULTIPART_PART:
    transcript_part(t);
    break;
  case DW_MULTIPART_DATA:
    if (!t->in_part) transcript_bug("content outside of a part");
    if (data.len == 0) transcript_bug("no content");
    transcript_put(&t->content, data);
    break;
  case DW_MULTIPART_PART_END:
    transcript_part_end(t);
    break;
  case DW_MULTIPART_END:
    if (t->in_part || t->ended) transcript_bug("a strange end");
    t->ended = true;
    break;
  default:
    transcript_bug("a strange event");
  }
}

/* Whether all of the piece was taken. */
static bool transcript_feed(transcript *t, const char *bytes, size_t len) {
  char *piece = malloc(len ? len : 1);
  size_t at = 0, used;
  dw_multipart_event event;
  dw_slice data;
  if (!piece) abort();
  memcpy(piece, bytes, len);
  while ((event = dw_multipart_feed(&t->parser, piece + at, len - at, &used,
                                    &data)) != DW_MULTIPART_MORE) {
    if (used > len - at) transcript_bug("more was used than there was");
    if (event == DW_MULTIPART_ERROR) break;
    at += used;
    transcript_event(t, event, data);
  }
  if (event == DW_MULTIPART_MORE && used != len - at)
    transcript_bug("MORE, but not all bytes were taken");
  free(piece);
  return event == DW_MULTIPART_MORE;
}

/* Appends the transcript of the text to out. 0, or DW_ENOMEM. */
static int transcript_write(dw_buffer *out, dw_allocator *alloc, dw_slice text,
                            transcript_cut cut, void *data) {
  transcript t = {.out = out};
  const char *end = text.len ? memchr(text.ptr, '\n', text.len) : NULL;
  dw_slice type = {text.ptr, end ? (size_t)(end - text.ptr) : text.len};
  size_t at = end ? type.len + 1 : text.len, next;
  bool fine = true;
  dw_multipart_init(&t.parser, alloc, dw_slice_trim(type));
  dw_buffer_init(&t.content, out->alloc, 0);
  for (; fine && at < text.len; at = next) {
    next = cut(data, at, text.len);
    fine = transcript_feed(&t, text.ptr + at, next - at);
  }
  if (fine) fine = dw_multipart_finish(&t.parser) == DW_MULTIPART_END;
  dw_fault fault = t.parser.fault;
  if (fine && (!t.ended || fault.status != 0)) transcript_bug("a false end");
  if (!fine && (fault.status == 0 || !fault.reason || !*fault.reason))
    transcript_bug("an error without status and reason");
  char status[12];
  snprintf(status, sizeof status, "%d", fault.status);
  transcript_line(out, fine ? "ok" : status,
                  fine ? DW_EMPTY : dw_slice_str(fault.reason));
  dw_multipart_deinit(&t.parser);
  dw_buffer_deinit(&t.content);
  return fault.status == 503 ? DW_ENOMEM : 0;
}

#endif
