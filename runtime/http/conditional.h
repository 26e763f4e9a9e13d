/* SPDX-License-Identifier: MIT */
/* Conditional requests (RFC 9110, 13) and the ranges that depend on them: what
 * a request says it has or wants, against what a response is. */
#ifndef DW_HTTP_CONDITIONAL_H
#define DW_HTTP_CONDITIONAL_H

#include "http/range.h"
#include "http/request.h"
#include "http/response.h"

/* --- Entity tags -----------------------------------------------------------*/

typedef struct dw_etag {
  dw_slice opaque; /* between the quotes */
  bool weak;
} dw_etag;

/* Whether text can stand between an entity tag's quotes. */
bool dw_etag_is_opaque(dw_slice text);
/* Reads exactly one, "x" or W/"x"; false: it is none. */
bool dw_etag_read(dw_slice text, dw_etag *out);
/* Takes the next one off a list, which "*" must not be; what is malformed is
 * passed over. false: there is none left. */
bool dw_etag_next(dw_slice *rest, dw_etag *out);
/* Strongly, two tags are the same only if neither is weak. */
bool dw_etag_same(dw_etag a, dw_etag b, bool strongly);
/* Whether a list has the tag; "*" has any. */
bool dw_etags_have(dw_slice list, dw_etag tag, bool strongly);

/* --- Preconditions ---------------------------------------------------------*/

typedef struct dw_validators {
  dw_etag etag;
  int64_t modified; /* seconds since 1970 */
  bool has_etag, has_modified;
} dw_validators;

typedef enum dw_precondition {
  DW_PRECONDITION_HOLDS,        /* to be answered as if there were none */
  DW_PRECONDITION_NOT_MODIFIED, /* 304 */
  DW_PRECONDITION_FAILED        /* 412 */
} dw_precondition;

/* What the ETag and the Last-Modified of a response say; slices are borrowed
 * from its headers. */
dw_validators dw_response_validators(const dw_response *r);
/* If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since, in the
 * order of RFC 9110, 13.2.2. */
dw_precondition dw_preconditions(dw_request *request, const dw_validators *v);
/* Whether If-Range lets a Range count; true without one. */
bool dw_if_range(dw_request *request, const dw_validators *v);

/* --- Answers ---------------------------------------------------------------*/

typedef struct dw_conditional {
  bool ranges;     /* answers ranges, and says so */
  bool has_length; /* of a stream; of bytes and files it is known */
  uint64_t length;
} dw_conditional;

/* Makes what a GET or HEAD deserves of a 2xx response: a 304, a 412, a part.
 * 0; DW_ENOMEM; or 416, and then the response is as it was: its whole length is
 * *length. Other methods and responses are let be. */
int dw_response_condition(dw_response *r, dw_request *request,
                          const dw_conditional *options, uint64_t *length);
/* "bytes *" + "/12", of a 416. */
int dw_unsatisfiable(dw_headers *h, uint64_t length);

#endif
