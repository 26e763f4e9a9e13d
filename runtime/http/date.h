/* SPDX-License-Identifier: MIT */
/* Dates as HTTP writes them (RFC 9110, 5.6.7). No clock, no locale, no zone. */
#ifndef DW_HTTP_DATE_H
#define DW_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"

/* Seconds since 1970 as an IMF-fixdate, "Sun, 06 Nov 1994 08:49:37 GMT", and a
 * NUL; years beyond 0..9999 are clamped. out has room for 32 bytes. Returns
 * the length without the NUL. */
size_t dw_http_date(int64_t seconds, char *out);
/* Reads an IMF-fixdate or one of the two obsolete forms; false: none of them. */
bool dw_http_date_parse(dw_slice text, int64_t *seconds);

#endif
