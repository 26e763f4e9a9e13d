/* SPDX-License-Identifier: MIT */
/* The client's parser of answers, each fed whole, byte by byte, and cut in two
 * everywhere. */
#include "unit.h"

#include "base/buffer.h"
#include "base/error.h"
#include "http/parser.h"

typedef struct reading {
  dw_allocator memory;
  dw_answer_parser *parser;
  dw_answer answer;
  dw_buffer body;
  int informational, heads;
  dw_parse result; /* END, MORE or ERROR */
  size_t used;     /* of the input */
} reading;

/* Feeds bytes[from..to) in memory of exactly that size. */
static void feed(reading *r, const char *bytes, size_t from, size_t to,
                 bool eof) {
  char *piece = malloc(to - from ? to - from : 1);
  memcpy(piece, bytes + from, to - from);
  size_t at = 0, used = 0;
  do {
    dw_slice data;
    r->result = dw_answer_parser_feed(r->parser, piece + at, to - from - at,
                                      eof, &used, &data);
    at += used;
    r->heads += r->result == DW_PARSE_HEAD;
    if (r->result == DW_PARSE_DATA) {
      CHECK(data.ptr >= piece && data.ptr + data.len <= piece + at);
      dw_buffer_append_slice(&r->body, data);
    }
  } while (r->result == DW_PARSE_HEAD || r->result == DW_PARSE_DATA);
  r->used += at;
  free(piece);
}

static void begin(reading *r, dw_method method) {
  memset(r, 0, sizeof *r);
  dw_allocator_init(&r->memory, NULL, NULL);
  dw_buffer_init(&r->body, &r->memory, 0);
  dw_arena_init(&r->answer.arena, &r->memory, NULL, 0);
  CHECK_INT(dw_answer_parser_new(&r->parser, &r->memory), 0);
  dw_answer_parser_start(r->parser, &r->answer, method, &r->informational);
}

static void end(reading *r) {
  dw_answer_parser_free(r->parser);
  dw_buffer_deinit(&r->body);
  dw_arena_deinit(&r->answer.arena);
  CHECK_INT(r->memory.used, 0);
}

/* Reads text in pieces: of 1 byte each (cut 0), or cut in two. */
static void read_cut(reading *r, const char *text, size_t cut, bool eof) {
  size_t len = strlen(text), at = 0;
  r->result = DW_PARSE_MORE;
  while (at < len && r->result == DW_PARSE_MORE) {
    size_t to = cut == 0 ? at + 1 : at < cut ? cut : len;
    feed(r, text, at, to, false);
    at = to;
  }
  if (eof && r->result == DW_PARSE_MORE) feed(r, text, len, len, true);
}

typedef struct expected {
  dw_method method;
  const char *text;
  bool eof;
  dw_parse result;
  int status;
  const char *reason, *body, *rest;
  bool keep_alive;
  int headers, trailers, informational;
} expected;

static void check(const expected *e) {
  size_t len = strlen(e->text);
  for (size_t cut = 0; cut <= len; cut++) {
    reading r;
    begin(&r, e->method);
    read_cut(&r, e->text, cut, e->eof);
    if (!CHECK(r.result == e->result))
      fprintf(stderr, "cut at %zu: %d of %s\n", cut, r.result, e->text);
    if (e->result == DW_PARSE_ERROR) {
      CHECK(*dw_answer_parser_reason(r.parser));
    } else {
      CHECK_INT(r.heads, e->status ? 1 : 0);
      CHECK_INT(r.answer.status, e->status);
      CHECK_SLICE(r.answer.reason, e->reason ? e->reason : "OK");
      CHECK_SLICE(dw_buffer_slice(&r.body), e->body ? e->body : "");
      CHECK_INT(r.answer.nheaders, e->headers);
      CHECK_INT(r.answer.ntrailers, e->trailers);
      CHECK_INT(r.informational, e->informational);
      CHECK(r.answer.keep_alive == e->keep_alive);
    }
    if (e->rest) CHECK_STR(e->text + r.used, e->rest);
    end(&r);
  }
}

#define READS(...) check(&(expected){.result = DW_PARSE_END, __VA_ARGS__})
#define REFUSES(...)                                                           \
  check(&(expected){.result = DW_PARSE_ERROR, .text = __VA_ARGS__})

TEST(reads_a_body_of_known_length) {
  READS(.text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1",
        .status = 200, .body = "hello", .headers = 1, .keep_alive = true,
        .rest = "HTTP/1.1");
}

TEST(reads_chunks_and_trailers) {
  READS(.text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nX: y\r\nZ: \r\n\r\n!",
        .status = 200, .body = "hello world", .headers = 1, .trailers = 2,
        .keep_alive = true, .rest = "!");
}

TEST(reads_until_the_connection_ends) {
  READS(.text = "HTTP/1.1 200 OK\r\nX: y\r\n\r\nhello", .eof = true,
        .status = 200, .body = "hello", .headers = 1);
  READS(.text = "HTTP/1.1 200 OK\r\n\r\n", .eof = true, .status = 200);
}

TEST(knows_who_has_no_body) {
  READS(.method = DW_METHOD_HEAD,
        .text = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n!", .status = 200,
        .headers = 1, .keep_alive = true, .rest = "!");
  READS(.method = DW_METHOD_HEAD,
        .text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n!",
        .status = 200, .headers = 1, .keep_alive = true, .rest = "!");
  READS(.text = "HTTP/1.1 204 No Content\r\n\r\n!", .status = 204,
        .reason = "No Content", .keep_alive = true, .rest = "!");
  READS(.text = "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n!",
        .status = 304, .reason = "Not Modified", .headers = 1,
        .keep_alive = true, .rest = "!");
  READS(.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n!", .status = 200,
        .headers = 1, .keep_alive = true, .rest = "!");
}

TEST(skips_informational_answers) {
  READS(.text = "HTTP/1.1 100 Continue\r\n\r\n"
                "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        .status = 200, .body = "hi", .headers = 1, .informational = 2,
        .keep_alive = true);
}

TEST(ends_behind_a_switch_of_protocols) {
  READS(.text = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                "Upgrade: x\r\n\r\n\x81\x01",
        .status = 101, .reason = "Switching Protocols", .headers = 2,
        .keep_alive = true, .rest = "\x81\x01");
}

TEST(tells_whether_the_connection_stays) {
  READS(.text = "HTTP/1.1 200 OK\r\nConnection: close\r\n"
                "Content-Length: 0\r\n\r\n",
        .status = 200, .headers = 2);
  READS(.text = "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", .status = 200,
        .headers = 1);
  READS(.text = "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n"
                "Content-Length: 0\r\n\r\n",
        .status = 200, .headers = 2, .keep_alive = true);
}

TEST(reads_reasons_of_any_kind) {
  READS(.text = "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", .status = 200,
        .reason = "", .headers = 1, .keep_alive = true);
  READS(.text = "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", .status = 200,
        .reason = "", .headers = 1, .keep_alive = true);
  READS(.text = "HTTP/1.1 418 I'm a teapot\r\nContent-Length: 0\r\n\r\n",
        .status = 418, .reason = "I'm a teapot", .headers = 1,
        .keep_alive = true);
}

TEST(waits_for_what_is_missing) {
  check(&(expected){
      .result = DW_PARSE_MORE, .text = "HTTP/1.1 200 OK\r\nX", .reason = ""});
  check(&(expected){.result = DW_PARSE_MORE,
                    .text = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi",
                    .status = 200,
                    .body = "hi",
                    .headers = 1,
                    .keep_alive = true});
}

TEST(refuses_answers_that_end_too_early) {
  REFUSES("", .eof = true);
  REFUSES("HTTP/1.1 200 OK\r\n", .eof = true);
  REFUSES("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi", .eof = true);
  REFUSES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
          .eof = true);
  REFUSES("HTTP/1.1 100 Continue\r\n\r\n", .eof = true);
}

TEST(refuses_malformed_answers) {
  REFUSES("GET / HTTP/1.1\r\n\r\n");
  REFUSES("HTTP/2.0 200 OK\r\n\r\n");
  REFUSES("HTTP/1.1 20 OK\r\n\r\n");
  REFUSES("HTTP/1.1 xyz OK\r\n\r\n");
  REFUSES("HTTP/1.1 099 OK\r\n\r\n");
  REFUSES("HTTP/1.1 2000 OK\r\n\r\n");
  REFUSES("HTTP/1.1 200 OK\r\nX y\r\n\r\n");
  REFUSES("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n");
  REFUSES("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
  REFUSES("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n");
  REFUSES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n");
  REFUSES("\r\n\r\n");
}

TEST(reads_one_answer_after_another) {
  const char *text = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
                     "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
  reading r;
  begin(&r, DW_METHOD_GET);
  feed(&r, text, 0, strlen(text), false);
  CHECK_INT(r.result, DW_PARSE_END);
  CHECK_INT(r.answer.status, 200);
  dw_answer_parser_start(r.parser, &r.answer, DW_METHOD_GET, NULL);
  CHECK_INT(r.answer.status, 0);
  feed(&r, text, r.used, strlen(text), false);
  CHECK_INT(r.result, DW_PARSE_END);
  CHECK_INT(r.answer.status, 404);
  end(&r);
}

TEST(refuses_a_head_without_end) {
  static char text[300 * 1024];
  reading r;
  begin(&r, DW_METHOD_GET);
  memset(text, 'x', sizeof text);
  memcpy(text, "HTTP/1.1 200 OK\r\nX: ", 20);
  feed(&r, text, 0, sizeof text, false);
  CHECK_INT(r.result, DW_PARSE_ERROR);
  end(&r);
}

static int read_with(dw_allocator *a, void *data) {
  const char *text = data;
  dw_answer_parser *p;
  dw_answer answer;
  dw_parse result;
  dw_slice run;
  size_t used, at = 0;
  int err = dw_answer_parser_new(&p, a);
  if (err < 0) return err;
  dw_arena_init(&answer.arena, a, NULL, 0);
  dw_answer_parser_start(p, &answer, DW_METHOD_GET, NULL);
  do {
    result = dw_answer_parser_feed(p, text + at, strlen(text + at), false,
                                   &used, &run);
    at += used;
  } while (result == DW_PARSE_HEAD || result == DW_PARSE_DATA);
  dw_arena_deinit(&answer.arena);
  dw_answer_parser_free(p);
  return result == DW_PARSE_END ? 0 : DW_ENOMEM;
}

TEST(leaks_nothing_when_memory_is_short) {
  char text[] = "HTTP/1.1 100 Continue\r\n\r\n"
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                "2\r\nhi\r\n0\r\nX: y\r\n\r\n";
  unit_failing_allocations(read_with, text);
}
