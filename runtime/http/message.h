/* SPDX-License-Identifier: MIT */
/* A message being parsed, request or answer: llhttp behind the guard. llhttp
 * sees only what the guard let pass, and both must agree on where data and the
 * message end; else the message is refused. Fields that it finds are slices of
 * the head, or of the trailers as they were collected in the arena. Owner: a
 * dw_parser or a dw_answer_parser. Thread: the loop's. */
#ifndef DW_HTTP_MESSAGE_H
#define DW_HTTP_MESSAGE_H

#include <llhttp.h>

#include "base/memory.h"
#include "http/guard.h"
#include "http/headers.h"

typedef enum dw_parse {
  DW_PARSE_MORE, /* all bytes were taken; the message goes on */
  DW_PARSE_HEAD, /* scan: the head ends behind *used bytes */
  DW_PARSE_DATA, /* body: *data is a run of body bytes, within the input */
  DW_PARSE_END,  /* body: the message ends behind *used bytes */
  DW_PARSE_ERROR /* the parser's status and reason tell why */
} dw_parse;

typedef struct dw_fields {
  dw_header *items; /* in the arena */
  size_t count;
} dw_fields;

typedef struct dw_message {
  dw_guard guard;
  dw_fault fault; /* why the message is refused: the guard's or llhttp's */
  dw_arena *arena;
  dw_fields fields; /* of the head, or of the trailers once there are any */
  size_t room;      /* in fields.items */
  char *trailers;   /* collected lines, in the arena */
  size_t trailers_len, trailers_cap;
  llhttp_t llhttp;
  dw_slice run;  /* the last data it saw */
  bool bodiless; /* answers: the head is all there is (HEAD, 204...) */
  bool complete; /* llhttp saw the end */
} dw_message;

/* Ready for the guard's scan of a head, until the next init or an error. */
void dw_message_init(dw_message *m, const dw_limits *limits);
/* Gives llhttp the head, in one or two parts that make a whole one (the first
 * may be "") and stay where they are. max is the greatest number of fields. The
 * head is in the arena or lasts as long. 0, DW_ENOMEM, DEWAR_EPARSE with fault.
 */
int dw_message_head(dw_message *m, llhttp_type_t type, dw_slice first,
                    dw_slice rest, size_t max, dw_arena *arena);
void dw_message_start_body(dw_message *m, dw_body_mode mode, uint64_t length);
/* MORE, DATA, END (m->fields are the trailers) or ERROR with fault; 503 is want
 * of memory. */
dw_parse dw_message_body(dw_message *m, const char *bytes, size_t len,
                         size_t *used, dw_slice *data);

#endif
