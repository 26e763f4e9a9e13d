/* SPDX-License-Identifier: MIT */
/* Fuzzes the codec of WebSockets. The first byte chooses the side, what was
 * agreed on about compression, and a limit; the next three how the rest is cut:
 * what comes of it must be the same as of the whole. Or, with the highest bit,
 * the rest is an offer of extensions. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "http/ws_codec.h"

enum { PREFIX = 4, SMALL_LIMIT = 64, LARGE_LIMIT = 1 << 20 };

static void bug(const char *what) {
  fprintf(stderr, "websocket: %s\n", what);
  abort();
}

static dw_ws_terms terms_of(uint8_t choice) {
  bool on = choice & 2, alone = choice & 4;
  uint8_t bits = choice & 8 ? 9 : 15;
  return (dw_ws_terms){on, alone, alone, bits, bits};
}

/* --- Frames ----------------------------------------------------------------*/

/* Appends what happened; the code of a failure may depend on the cuts where
 * several things are wrong with what was inflated. */
static void note(dw_buffer *log, const dw_ws *w, dw_ws_event e) {
  int code = dw_buffer_printf(log, "%d", (int)e);
  bool coded = e == DW_WS_CLOSED || (e == DW_WS_FAILED && !w->terms.on);
  if (code == 0 && coded) code = dw_buffer_printf(log, ":%d", w->code);
  if (code == 0 && e != DW_WS_FAILED)
    code = dw_buffer_append_slice(log, w->data);
  if (code == 0) code = dw_buffer_append_char(log, '\n');
  if (code < 0) abort();
}

static void check_event(const dw_ws *w, dw_ws_event e, uint64_t max) {
  bool text = e == DW_WS_MESSAGE && w->text;
  if (e == DW_WS_MESSAGE && w->data.len > max) bug("a message above the limit");
  if ((text || e == DW_WS_CLOSED) && !dw_is_utf8(w->data)) bug("no UTF-8");
  if (e == DW_WS_CLOSED && w->code != DW_WS_NO_CODE && !dw_ws_is_code(w->code))
    bug("a close with a wrong code");
  if (e != DW_WS_MESSAGE && w->data.len > DW_WS_CONTROL_MAX)
    bug("a control frame that is too long");
}

/* Reads one piece, in memory of exactly its size. */
static void feed(dw_ws *w, dw_slice piece, uint64_t max, dw_buffer *log) {
  char *copy = malloc(piece.len ? piece.len : 1);
  if (!copy) abort();
  memcpy(copy, piece.ptr, piece.len);
  dw_slice rest = dw_slice_of(copy, piece.len);
  for (;;) {
    dw_ws_event e = dw_ws_read(w, &rest);
    if (e == DW_WS_MORE) break;
    check_event(w, e, max);
    note(log, w, e);
  }
  if (rest.len > 0) bug("MORE, but not all bytes were taken");
  free(copy);
}

static size_t next_piece(uint32_t *state, size_t left) {
  if (!state) return left;
  *state = *state * 1664525u + 1013904223u;
  size_t piece = 1 + (*state >> 24) % 24;
  return piece < left ? piece : left;
}

static void read_all(dw_slice bytes, uint8_t choice, uint32_t *state,
                     dw_buffer *log) {
  dw_allocator a;
  dw_ws_pool pool;
  dw_ws w;
  dw_ws_terms terms = terms_of(choice);
  uint64_t max = choice & 16 ? SMALL_LIMIT : LARGE_LIMIT;
  dw_allocator_init(&a, NULL, NULL);
  dw_ws_pool_init(&pool, &a, choice & 1);
  dw_ws_init(&w, &pool, &terms, max);
  for (size_t at = 0; at < bytes.len;) {
    size_t len = next_piece(state, bytes.len - at);
    feed(&w, dw_slice_of(bytes.ptr + at, len), max, log);
    at += len;
  }
  dw_ws_deinit(&w);
  dw_ws_pool_deinit(&pool);
  if (a.used != 0) bug("memory was leaked");
}

/* --- Terms -----------------------------------------------------------------*/

static void negotiate(dw_slice offers, dw_ws_compress how, dw_allocator *a) {
  dw_buffer answer;
  dw_ws_terms terms, theirs;
  dw_buffer_init(&answer, a, 0);
  if (dw_ws_negotiate(offers, how, &terms, &answer) < 0) abort();
  if (terms.on != (answer.len > 0)) bug("an answer without terms");
  if (!dw_ws_agree(dw_buffer_slice(&answer), &theirs))
    bug("an answer that no client takes");
  if (terms.on && (theirs.server_alone != terms.server_alone ||
                   theirs.client_alone != terms.client_alone ||
                   theirs.server_bits < terms.server_bits))
    bug("terms that are not those of the answer");
  dw_buffer_deinit(&answer);
}

/* --- Both ------------------------------------------------------------------*/

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < PREFIX) return 0;
  uint32_t state = data[1] | data[2] << 8 | data[3] << 16;
  dw_slice bytes = {(const char *)data + PREFIX, size - PREFIX};
  dw_allocator a;
  dw_buffer one, other;
  dw_allocator_init(&a, NULL, NULL);
  if (data[0] & 128) {
    negotiate(bytes, DW_WS_COMPRESS_ALONE, &a);
    negotiate(bytes, DW_WS_COMPRESS_CONTEXT, &a);
    return 0;
  }
  dw_buffer_init(&one, &a, 0);
  dw_buffer_init(&other, &a, 0);
  read_all(bytes, data[0], NULL, &one);
  read_all(bytes, data[0], &state, &other);
  if (!dw_slice_equal(dw_buffer_slice(&one), dw_buffer_slice(&other)))
    bug("the pieces changed the outcome");
  dw_buffer_deinit(&one);
  dw_buffer_deinit(&other);
  return 0;
}
