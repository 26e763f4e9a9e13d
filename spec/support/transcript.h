/* SPDX-License-Identifier: MIT */
/* Drives the request parser over bytes that arrive in pieces, as a connection
 * does, and writes down what came of them: one block of "key value" lines per
 * message, whose first line is the verdict: "ok", "more" (it isn't all there),
 * or a status and a reason. Every piece is handed over in memory of exactly its
 * size, so that sanitizers see a read past its end. Header-only: for the unit
 * test and the fuzzer. */
#ifndef DW_SPEC_TRANSCRIPT_H
#define DW_SPEC_TRANSCRIPT_H

#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/error.h"
#include "http/parser.h"

/* Where the piece that begins at `at` ends; > at, unless at is len. */
typedef size_t (*transcript_cut)(void *data, size_t at, size_t len);

typedef struct transcript {
  dw_buffer *out;
  dw_allocator *alloc; /* of the requests */
  const char *bytes;
  size_t len, at, end; /* the current piece is at..end */
  transcript_cut cut;
  void *data;
  dw_parser parser;
  dw_request request;
  dw_buffer message, body; /* lines and data of the current message */
  int err;                 /* DW_ENOMEM: a request found no memory */
} transcript;

static void transcript_bug(const char *what) {
  fprintf(stderr, "parser: %s\n", what);
  abort();
}

/* --- Writing ---------------------------------------------------------------*/

static void transcript_put(dw_buffer *b, dw_slice s) {
  if (dw_buffer_append_slice(b, s) < 0) abort();
}

static void transcript_escape(dw_buffer *b, dw_slice s) {
  for (size_t i = 0; i < s.len; i++) {
    unsigned char c = (unsigned char)s.ptr[i];
    char text[8];
    if (c == '\r' || c == '\n' || c == '\t')
      snprintf(text, sizeof text, "\\%c",
               c == '\r'   ? 'r'
               : c == '\n' ? 'n'
                           : 't');
    else if (c == '\\')
      snprintf(text, sizeof text, "\\\\");
    else
      snprintf(text, sizeof text, c >= 0x20 && c < 0x7f ? "%c" : "\\x%02x", c);
    transcript_put(b, dw_slice_str(text));
  }
}

static void transcript_line(transcript *t, const char *key, dw_slice value) {
  transcript_put(&t->message, dw_slice_str(key));
  transcript_put(&t->message, DW_LITERAL(" "));
  transcript_escape(&t->message, value);
  transcript_put(&t->message, DW_LITERAL("\n"));
}

static void transcript_number(transcript *t, const char *key, uint64_t n) {
  char text[24];
  snprintf(text, sizeof text, "%llu", (unsigned long long)n);
  transcript_line(t, key, dw_slice_str(text));
}

static void transcript_flag(transcript *t, const char *key, bool flag) {
  transcript_line(t, key, flag ? DW_LITERAL("yes") : DW_LITERAL("no"));
}

static void transcript_fields(transcript *t, const char *key,
                              const dw_header *list, size_t n) {
  char plural[16];
  for (size_t i = 0; i < n; i++) {
    transcript_put(&t->message, dw_slice_str(key));
    transcript_put(&t->message, DW_LITERAL(" "));
    transcript_escape(&t->message, list[i].name);
    transcript_put(&t->message, DW_LITERAL(": "));
    transcript_escape(&t->message, list[i].value);
    transcript_put(&t->message, DW_LITERAL("\n"));
  }
  snprintf(plural, sizeof plural, "%ss", key);
  transcript_number(t, plural, n);
}

/* What holds for every head that passed, whatever it was. */
static void transcript_check(const dw_request *r) {
  const dw_header *list = r->headers;
  size_t n = r->nheaders;
  size_t hosts = dw_header_count(list, n, DW_LITERAL("Host"));
  size_t lengths = dw_header_count(list, n, DW_LITERAL("Content-Length"));
  size_t codings = dw_header_count(list, n, DW_LITERAL("Transfer-Encoding"));
  if (hosts > 1 || hosts < r->minor) transcript_bug("none or too many Hosts");
  if (lengths != r->has_content_length || codings != r->chunked ||
      lengths + codings > 1)
    transcript_bug("the framing is not clear");
  if (r->minor && r->host.len == 0) transcript_bug("no host");
  for (size_t i = 0; i < n; i++) {
    dw_slice value = list[i].value;
    if (!dw_is_token(list[i].name) || !dw_is_field_value(value))
      transcript_bug("a malformed header passed");
    if (dw_slice_trim(value).len != value.len)
      transcript_bug("a value was not trimmed");
  }
  if (!dw_is_all(r->target, DW_CHAR_TARGET)) transcript_bug("a bad target");
}

static void transcript_head(transcript *t) {
  const dw_request *r = &t->request;
  transcript_check(r);
  const dw_slice none = DW_LITERAL("none");
  transcript_line(t, "method", dw_method_name(r->method));
  transcript_line(t, "target", r->target);
  transcript_line(t, "path", r->raw_path);
  transcript_line(t, "query", r->has_query ? r->query : none);
  transcript_line(t, "version",
                  r->minor ? DW_LITERAL("1.1") : DW_LITERAL("1.0"));
  transcript_line(t, "scheme", r->scheme);
  transcript_line(t, "authority", r->authority);
  transcript_line(t, "host", r->host);
  transcript_flag(t, "keep-alive", r->keep_alive);
  transcript_flag(t, "upgrade", r->upgrade);
  transcript_flag(t, "continue", r->expects_continue);
  transcript_flag(t, "asterisk", r->asterisk);
  transcript_flag(t, "chunked", r->chunked);
  if (r->has_content_length)
    transcript_number(t, "length", r->content_length);
  else
    transcript_line(t, "length", none);
  transcript_fields(t, "header", r->headers, r->nheaders);
}

/* Ends the block of a message and the request. */
static void transcript_end(transcript *t, const char *verdict) {
  transcript_put(t->out, dw_slice_str(verdict));
  transcript_put(t->out, DW_LITERAL("\n"));
  transcript_put(t->out, dw_buffer_slice(&t->message));
  if (t->body.len > 0) {
    transcript_put(t->out, DW_LITERAL("body "));
    transcript_escape(t->out, dw_buffer_slice(&t->body));
    transcript_put(t->out, DW_LITERAL("\n"));
  }
  t->message.len = t->body.len = 0;
  dw_arena_deinit(&t->request.arena);
  dw_arena_init(&t->request.arena, t->alloc, NULL, 0);
}

static bool transcript_refused(transcript *t) {
  char verdict[128];
  if (t->parser.status == 0 || !t->parser.reason || !*t->parser.reason)
    transcript_bug("an error without status and reason");
  if (t->parser.status == 503) t->err = DW_ENOMEM;
  snprintf(verdict, sizeof verdict, "%d %s", t->parser.status,
           t->parser.reason);
  transcript_end(t, verdict);
  return false;
}

/* --- Driving ---------------------------------------------------------------*/

static char *transcript_copy(const char *bytes, size_t len) {
  char *copy = malloc(len ? len : 1);
  if (!copy) abort();
  memcpy(copy, bytes, len);
  return copy;
}

/* Whether there is a further piece. */
static bool transcript_next_piece(transcript *t) {
  if (t->at < t->end) transcript_bug("MORE, but not all bytes were taken");
  if (t->end == t->len) return false;
  t->end = t->cut(t->data, t->at, t->len);
  return true;
}

/* Whether the head is there and in order. */
static bool transcript_scan(transcript *t) {
  size_t start = t->at;
  for (;;) {
    size_t len = t->end - t->at, used;
    char *piece = transcript_copy(t->bytes + t->at, len);
    dw_parse result = dw_parser_scan(&t->parser, piece, len, &used);
    free(piece);
    if (used > len) transcript_bug("scan used more than there was");
    t->at += used;
    if (result == DW_PARSE_ERROR) return transcript_refused(t);
    if (result == DW_PARSE_HEAD) break;
    if (result != DW_PARSE_MORE) transcript_bug("a strange verdict of scan");
    if (dw_parser_started(&t->parser) != (t->at > start))
      transcript_bug("started is wrong");
    if (transcript_next_piece(t)) continue;
    if (t->at > start) transcript_end(t, "more");
    return false;
  }
  size_t len = t->at - start;
  char *head = transcript_copy(t->bytes + start, len);
  int err = dw_parser_head(&t->parser, head, len, &t->request);
  free(head);
  if (err < 0 && err != DW_ENOMEM && err != DEWAR_EPARSE)
    transcript_bug("a strange code of head");
  if (err < 0) return transcript_refused(t);
  transcript_head(t);
  return true;
}

/* Whether the body is there and in order. */
static bool transcript_body(transcript *t) {
  for (;;) {
    size_t len = t->end - t->at, used;
    dw_slice data;
    char *piece = transcript_copy(t->bytes + t->at, len);
    dw_parse result = dw_parser_body(&t->parser, piece, len, &used, &data);
    if (used > len) transcript_bug("body used more than there was");
    if (result == DW_PARSE_DATA) {
      if (data.len == 0 || data.ptr < piece ||
          data.ptr + data.len > piece + used)
        transcript_bug("data outside of what was used");
      transcript_put(&t->body, data);
    }
    free(piece);
    t->at += used;
    if (result == DW_PARSE_ERROR) return transcript_refused(t);
    if (result == DW_PARSE_END) break;
    if (result == DW_PARSE_DATA) continue;
    if (result != DW_PARSE_MORE) transcript_bug("a strange verdict of body");
    if (transcript_next_piece(t)) continue;
    transcript_end(t, "more");
    return false;
  }
  transcript_fields(t, "trailer", t->request.trailers, t->request.ntrailers);
  transcript_end(t, "ok");
  return true;
}

/* Appends the transcript of bytes to out. 0, or DW_ENOMEM where a request found
 * no memory. */
static int transcript_write(dw_buffer *out, dw_allocator *alloc,
                            const dw_limits *limits, dw_slice bytes,
                            transcript_cut cut, void *data) {
  transcript t = {.out = out,
                  .alloc = alloc,
                  .bytes = bytes.ptr,
                  .len = bytes.len,
                  .cut = cut,
                  .data = data};
  dw_arena_init(&t.request.arena, alloc, NULL, 0);
  dw_buffer_init(&t.message, out->alloc, 0);
  dw_buffer_init(&t.body, out->alloc, 0);
  dw_parser_init(&t.parser, limits);
  while (transcript_scan(&t) && transcript_body(&t)) continue;
  dw_arena_deinit(&t.request.arena);
  dw_buffer_deinit(&t.message);
  dw_buffer_deinit(&t.body);
  return t.err;
}

#endif
