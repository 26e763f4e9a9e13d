/* SPDX-License-Identifier: MIT */
/* An authority: what stands in Host and in an absolute target. Stricter than
 * RFC 3986: a host is an IPv6 address in brackets, or made of letters, digits
 * and "-._~"; no user, no escapes, no delimiters that could end up in a page or
 * split a list. Pure functions. */
#ifndef DW_HTTP_AUTHORITY_H
#define DW_HTTP_AUTHORITY_H

#include <stdbool.h>

#include "base/slice.h"

/* Splits "host:port" and checks both; host keeps an address's brackets, port is
 * "" where there is none. false: not an authority. */
bool dw_authority_split(dw_slice authority, dw_slice *host, dw_slice *port);

#endif
