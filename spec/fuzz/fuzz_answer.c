/* SPDX-License-Identifier: MIT */
/* Fuzzes the client's parser of answers. The first byte chooses what was asked
 * for and whether the connection ends, the next three how the rest is cut; what
 * comes of it must be the same as of the whole. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "http/parser.h"

enum { PREFIX = 4 };

typedef struct outcome {
  dw_parse result;
  int status, informational;
  size_t used, headers, trailers;
  bool keep_alive;
} outcome;

static void bug(const char *what) {
  fprintf(stderr, "answer: %s\n", what);
  abort();
}

/* Feeds one piece, in memory of exactly its size, as far as it goes. */
static void feed(dw_answer_parser *p, dw_slice piece, bool eof, dw_buffer *body,
                 outcome *out) {
  char *copy = malloc(piece.len ? piece.len : 1);
  size_t at = 0, used = 0;
  dw_slice data;
  if (!copy) abort();
  memcpy(copy, piece.ptr, piece.len);
  do {
    out->result =
        dw_answer_parser_feed(p, copy + at, piece.len - at, eof, &used, &data);
    if (used > piece.len - at) bug("used more than there was");
    at += used;
    if (out->result == DW_PARSE_DATA) {
      if (data.ptr < copy || data.ptr + data.len > copy + at)
        bug("data outside of what was used");
      if (dw_buffer_append_slice(body, data) < 0) abort();
    }
  } while (out->result == DW_PARSE_HEAD || out->result == DW_PARSE_DATA);
  if (out->result == DW_PARSE_MORE && at < piece.len)
    bug("MORE, but not all bytes were taken");
  out->used += at;
  free(copy);
}

static size_t next_piece(uint32_t *state, size_t left) {
  if (!state) return left;
  *state = *state * 1664525u + 1013904223u;
  size_t piece = 1 + (*state >> 24) % 24;
  return piece < left ? piece : left;
}

static outcome parse(dw_slice bytes, uint8_t choice, uint32_t *state,
                     dw_buffer *body) {
  dw_allocator a;
  dw_answer_parser *p;
  dw_answer answer;
  outcome out = {.result = DW_PARSE_MORE};
  dw_allocator_init(&a, NULL, NULL);
  if (dw_answer_parser_new(&p, &a) < 0) abort();
  dw_arena_init(&answer.arena, &a, NULL, 0);
  dw_answer_parser_start(p, &answer,
                         choice & 1 ? DW_METHOD_HEAD : DW_METHOD_GET,
                         &out.informational);
  for (size_t at = 0; at < bytes.len && out.result == DW_PARSE_MORE;) {
    size_t len = next_piece(state, bytes.len - at);
    feed(p, dw_slice_of(bytes.ptr + at, len), false, body, &out);
    at += len;
  }
  if (out.result == DW_PARSE_MORE && choice & 2)
    feed(p, DW_EMPTY, true, body, &out);
  if (out.result == DW_PARSE_MORE && choice & 2) bug("MORE behind the end");
  out.status = answer.status;
  out.headers = answer.nheaders;
  out.trailers = answer.ntrailers;
  out.keep_alive = answer.keep_alive;
  dw_arena_deinit(&answer.arena);
  dw_answer_parser_free(p);
  if (a.used != 0) bug("memory was leaked");
  return out;
}

static bool same(const outcome *a, const outcome *b) {
  if (a->result != b->result) return false;
  if (a->result == DW_PARSE_ERROR) return true;
  return a->status == b->status && a->informational == b->informational &&
         a->used == b->used && a->headers == b->headers &&
         a->trailers == b->trailers && a->keep_alive == b->keep_alive;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < PREFIX) return 0;
  uint32_t state = data[1] | data[2] << 8 | data[3] << 16;
  dw_slice bytes = {(const char *)data + PREFIX, size - PREFIX};
  dw_allocator system;
  dw_buffer one, other;
  dw_allocator_init(&system, NULL, NULL);
  dw_buffer_init(&one, &system, 0);
  dw_buffer_init(&other, &system, 0);
  outcome whole = parse(bytes, data[0], NULL, &one);
  outcome pieces = parse(bytes, data[0], &state, &other);
  if (!same(&whole, &pieces)) bug("the pieces changed the outcome");
  if (!dw_slice_equal(dw_buffer_slice(&one), dw_buffer_slice(&other)))
    bug("the pieces changed the body");
  dw_buffer_deinit(&one);
  dw_buffer_deinit(&other);
  return 0;
}
