/* SPDX-License-Identifier: MIT */
/* Cookies (RFC 6265): what a client sends, and what it is told to keep. Pure
 * functions; what they make lies in the caller's arena or buffer. */
#ifndef DW_HTTP_COOKIE_H
#define DW_HTTP_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

#include "http/form.h"

/* A Cookie header's pairs: quotes and octal escapes undone as Flask does. */
int dw_cookie_parse(dw_slice text, dw_arena *arena, dw_pairs *out);

typedef struct dw_cookie {
  dw_slice name, value;
  dw_slice path;      /* ptr NULL: none; "/" is the binding's default */
  dw_slice domain;    /* ptr NULL: none */
  dw_slice same_site; /* "Strict", "Lax", "None", any case; ptr NULL: none */
  int64_t max_age;    /* seconds; INT64_MIN: none */
  int64_t expires;    /* seconds since 1970, UTC; INT64_MIN: none */
  bool secure, http_only;
  bool partitioned; /* implies secure */
} dw_cookie;

/* Appends a Set-Cookie header's value, quoted where needed. 0, DW_ENOMEM, or
 * DEWAR_EINVAL with *what ("name", "path", "samesite"...) saying which part;
 * then out is as before. */
int dw_cookie_format(dw_buffer *out, const dw_cookie *cookie,
                     const char **what);

#endif
