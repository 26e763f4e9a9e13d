/* SPDX-License-Identifier: MIT */
/* The parser: llhttp in strict mode between two guards. The guard in front
 * walks the lines of the head, of chunk framing and of trailers, byte by byte if
 * need be, and vetoes what llhttp lets through (bare LF, obs-fold, sizes...);
 * the one behind checks what the head says as a whole (Host, Content-Length
 * against Transfer-Encoding, version...). Feeding a message whole or in pieces
 * gives the same verdict. Owner: the connection. Errors are HTTP statuses; the
 * connection answers and closes. */
#ifndef DW_HTTP_PARSER_H
#define DW_HTTP_PARSER_H

#include "http/limits.h"
#include "http/message.h"
#include "http/request.h"

/* The verdicts, DW_PARSE_*, are in message.h. */

typedef struct dw_parser {
  const dw_limits *limits;
  dw_request *request; /* the one being parsed; NULL between messages */
  int status;          /* of an error: 400, 414, 417, 431, 501, 505, or 503
                          where memory is short */
  const char *reason;  /* of an error: "bare LF in the request line" */
  /* Private from here on: keep it small, an idle connection holds it. */
  dw_message message;
} dw_parser;

void dw_parser_init(dw_parser *p, const dw_limits *limits);

/* Scans bytes for the end of a head, from where the last scan stopped (a head
 * may arrive in pieces; the caller keeps them together for dw_parser_head).
 * Empty lines in front are counted into the head. A TLS hello and other
 * nonsense is an error at the first wrong byte. MORE, HEAD or ERROR. */
dw_parse dw_parser_scan(dw_parser *p, const char *bytes, size_t len,
                        size_t *used);
/* Whether any byte of the next head has been seen by scan: the header timeout
 * runs, not the one for keep-alive. */
bool dw_parser_started(const dw_parser *p);

/* Parses the whole head that scan found into *request, whose arena is ready;
 * `head` is copied into it. 0, DW_ENOMEM, or DEWAR_EPARSE with status and
 * reason; *request then has what was understood, for the log. CONNECT is
 * refused with 501; OPTIONS * is let through. */
int dw_parser_head(dw_parser *p, const char *head, size_t len,
                   dw_request *request);

/* Takes bytes of the body, up to *used. DATA: *data has a run of them; call
 * again with the rest (which may be empty, since the end can be due). END: the
 * message is complete and p is ready for the next head. A request without a
 * body is at its END at once. Trailers are kept in request->trailers. After an
 * ERROR (of scan and head too) every call is one. */
dw_parse dw_parser_body(dw_parser *p, const char *bytes, size_t len,
                        size_t *used, dw_slice *data);

/* The same for the answer, as a client: how the in-process client reads what
 * the server sent. Lenient where RFC 9112 lets a client be. */
typedef struct dw_answer {
  dw_arena arena; /* ready before start; the caller ends it */
  int status;
  uint8_t minor;
  bool keep_alive, chunked, has_content_length;
  uint64_t content_length;
  dw_slice reason;
  dw_header *headers;
  size_t nheaders;
  dw_header *trailers;
  size_t ntrailers;
} dw_answer; /* all slices lie in its arena */

typedef struct dw_answer_parser dw_answer_parser;
int dw_answer_parser_new(dw_answer_parser **out, dw_allocator *a);
void dw_answer_parser_free(dw_answer_parser *p);
/* Before each answer: what it answers decides about a body (HEAD). 1xx answers
 * except 101 are skipped and counted in *informational (may be NULL). */
void dw_answer_parser_start(dw_answer_parser *p, dw_answer *answer,
                            dw_method method, int *informational);
/* HEAD (once), DATA, END, MORE, ERROR as above. len 0 with eof true says that
 * the connection has ended: END where that ends the body, else ERROR. Behind a
 * 101 the END comes at once: the rest is another protocol's. */
dw_parse dw_answer_parser_feed(dw_answer_parser *p, const char *bytes,
                               size_t len, bool eof, size_t *used,
                               dw_slice *data);
/* Why it was an ERROR. */
const char *dw_answer_parser_reason(const dw_answer_parser *p);

#endif
