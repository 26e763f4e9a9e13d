/* SPDX-License-Identifier: MIT */
/* The guard in front: walks the bytes of a head, of chunk framing and of
 * trailers before llhttp sees them, counts what has a limit, and vetoes what
 * llhttp lets through: bare LF, obs-fold, empty names, loose chunk lines. It
 * holds no bytes, so input may come in any pieces; faults are found in the
 * order of the bytes, so the pieces never change a verdict. Owner: a
 * dw_message. */
#ifndef DW_HTTP_GUARD_H
#define DW_HTTP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http/limits.h"

/* Why a message is refused; status 0: it isn't. Reasons are static texts. */
typedef struct dw_fault {
  int status;
  const char *reason;
} dw_fault;

static inline dw_fault dw_fault_make(int status, const char *reason) {
  return (dw_fault){status, reason};
}

typedef struct dw_guard {
  const dw_limits *limits;
  dw_fault fault;
  uint8_t state;
  uint8_t empty;  /* empty lines in front */
  uint8_t digits; /* of the chunk size */
  bool cr;        /* the last piece ended in a CR, within a line */
  bool trailing;  /* past the last chunk */
  uint32_t lines; /* of fields */
  size_t line;    /* bytes of the current part of the request line */
  size_t size;    /* bytes of fields */
  size_t extensions;
  uint64_t left; /* bytes of the chunk or of the body */
} dw_guard;

typedef enum dw_piece {
  DW_PIECE_MORE,    /* there is no further input */
  DW_PIECE_FRAMING, /* chunk sizes and line ends */
  DW_PIECE_SKIP,    /* chunk extensions: checked, and of no use to anybody */
  DW_PIECE_DATA,
  DW_PIECE_FIELDS, /* lines of trailers, and the empty one at the end */
  DW_PIECE_END,    /* nothing was taken: the message is complete */
  DW_PIECE_FAULT
} dw_piece;

typedef enum dw_body_mode {
  DW_BODY_MODE_NONE,
  DW_BODY_MODE_LENGTH,
  DW_BODY_MODE_CHUNKED,
  DW_BODY_MODE_REST /* until the connection ends */
} dw_body_mode;

/* Ready for a head. */
void dw_guard_init(dw_guard *g, const dw_limits *limits);
bool dw_guard_started(const dw_guard *g);
/* MORE; END: the head ends behind *used bytes; FAULT. */
dw_piece dw_guard_head(dw_guard *g, const char *bytes, size_t len,
                       size_t *used);
/* Ready for the body. */
void dw_guard_start_body(dw_guard *g, dw_body_mode mode, uint64_t length);
/* Whether the end of the connection ends the body. */
bool dw_guard_ends_at_eof(const dw_guard *g);
/* Takes one piece, *used bytes from the front. */
dw_piece dw_guard_body(dw_guard *g, const char *bytes, size_t len,
                       size_t *used);

#endif
