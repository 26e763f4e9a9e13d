/* SPDX-License-Identifier: MIT */
/* Authorities. */
#include "http/authority.h"

#include <uv.h>

#include "http/tokens.h"

enum { IPV6_MAX = 45, HOST_MAX = 255, PORT_MAX = 65535 };

/* The length of "[...]" at the front if it holds an IPv6 address, else 0. */
static size_t bracketed(dw_slice s) {
  const char *close = memchr(s.ptr, ']', s.len);
  size_t len = close ? (size_t)(close - s.ptr) - 1 : 0;
  if (len == 0 || len > IPV6_MAX) return 0;
  char text[IPV6_MAX + 1];
  struct in6_addr address;
  memcpy(text, s.ptr + 1, len);
  text[len] = '\0';
  if (memchr(text, '\0', len) || memchr(text, '%', len)) return 0;
  return uv_inet_pton(AF_INET6, text, &address) == 0 ? len + 2 : 0;
}

static size_t named(dw_slice s) {
  size_t len = 0;
  while (len < s.len &&
         (dw_char_classes[(unsigned char)s.ptr[len]] & DW_CHAR_HOST))
    len++;
  return len <= HOST_MAX ? len : 0;
}

static bool is_port(dw_slice s) {
  unsigned port = 0;
  if (s.len > 5) return false;
  for (size_t i = 0; i < s.len; i++) {
    if (s.ptr[i] < '0' || s.ptr[i] > '9') return false;
    port = port * 10 + (unsigned)(s.ptr[i] - '0');
  }
  return port <= PORT_MAX;
}

bool dw_authority_split(dw_slice authority, dw_slice *host, dw_slice *port) {
  *host = *port = DW_EMPTY;
  if (authority.len == 0) return false;
  size_t len = *authority.ptr == '[' ? bracketed(authority) : named(authority);
  if (len == 0) return false;
  *host = dw_slice_of(authority.ptr, len);
  if (len == authority.len) return true;
  if (authority.ptr[len] != ':') return false;
  *port = dw_slice_of(authority.ptr + len + 1, authority.len - len - 1);
  return is_port(*port);
}
