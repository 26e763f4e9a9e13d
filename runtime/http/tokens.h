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
/* Responses that never have a body: 1xx, 204, 304 (RFC 9110, 6.4.1). */
static inline bool dw_status_bodiless(int status) {
  return status < 200 || status == 204 || status == 304;
}

/* tchar: RFC 9110, 5.6.2. */
bool dw_is_token(dw_slice s); /* not empty, tchars only */
bool dw_is_tchar(unsigned char c);
/* A header's value may hold: HTAB, SP, VCHAR, obs-text. */
bool dw_is_field_value(dw_slice s);
int dw_hex_digit(unsigned char c); /* 0..15, or -1 */

#endif
