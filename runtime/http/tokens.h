/* SPDX-License-Identifier: MIT */
/* The vocabulary of HTTP: character classes, methods, status codes. */
#ifndef DW_HTTP_TOKENS_H
#define DW_HTTP_TOKENS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* The methods Dewar knows (RFC 9110, WebDAV, and the IANA registry as far as
 * llhttp knows them). A method is a number below 64, so that a set of methods
 * is one uint64_t. */
#define DW_METHODS(X)                                                          \
  X(GET) X(HEAD) X(POST) X(PUT) X(PATCH) X(DELETE) X(OPTIONS) X(CONNECT)       \
  X(TRACE) X(COPY) X(LOCK) X(MKCOL) X(MOVE) X(PROPFIND) X(PROPPATCH)           \
  X(SEARCH) X(UNLOCK) X(BIND) X(REBIND) X(UNBIND) X(ACL) X(REPORT)             \
  X(MKACTIVITY) X(CHECKOUT) X(MERGE) X(SUBSCRIBE) X(UNSUBSCRIBE) X(NOTIFY)     \
  X(PURGE) X(MKCALENDAR) X(LINK) X(UNLINK) X(QUERY)

typedef enum dw_method {
#define DW_X(name) DW_METHOD_##name,
  DW_METHODS(DW_X)
#undef DW_X
  DW_METHOD_COUNT,
  DW_METHOD_UNKNOWN = 63
} dw_method;

#define DW_METHOD_BIT(m) (UINT64_C(1) << (m))

/* Methods are case-sensitive (RFC 9110, 9.1). */
dw_method dw_method_find(dw_slice name); /* DW_METHOD_UNKNOWN where it isn't */
dw_slice dw_method_name(dw_method m);

/* "Not Found"; "" for a code without a registered phrase. */
dw_slice dw_status_phrase(int status);
/* "HTTP/1.1 404 Not Found\r\n"; "" for a code without a registered phrase. */
dw_slice dw_status_line(int status);
/* Responses that never have a body: 1xx, 204, 304 (RFC 9110, 6.4.1). */
static inline bool dw_status_bodiless(int status) {
  return status < 200 || status == 204 || status == 304;
}

/* Classes of characters, as bits of dw_char_classes. */
enum {
  DW_CHAR_TCHAR = 1,  /* of tokens: RFC 9110, 5.6.2 */
  DW_CHAR_FIELD = 2,  /* of field values: HTAB, SP, VCHAR, obs-text */
  DW_CHAR_TARGET = 4, /* of request targets: VCHAR but "<>\# */
  DW_CHAR_HOST = 8,   /* of names and IPv4 addresses: unreserved */
  DW_CHAR_UNRESERVED = 8,
  DW_CHAR_HEX = 16
};
extern const unsigned char dw_char_classes[256];

static inline bool dw_is_tchar(unsigned char c) {
  return dw_char_classes[c] & DW_CHAR_TCHAR;
}
/* Whether all characters are of one of these classes; true for "". */
bool dw_is_all(dw_slice s, int classes);
bool dw_is_token(dw_slice s); /* not empty, tchars only */
static inline bool dw_is_field_value(dw_slice s) {
  return dw_is_all(s, DW_CHAR_FIELD);
}
int dw_hex_digit(unsigned char c); /* 0..15, or -1 */

#endif
