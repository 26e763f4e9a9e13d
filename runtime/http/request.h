/* SPDX-License-Identifier: MIT */
/* A request's head, parsed and checked. All slices lie in its arena, so they
 * last as long as the request. Owner: the connection that made it. */
#ifndef DW_HTTP_REQUEST_H
#define DW_HTTP_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/memory.h"
#include "http/headers.h"
#include "http/tokens.h"

typedef struct dw_request {
  dw_arena arena;
  dw_method method;
  uint8_t minor;           /* HTTP/1.minor: 0 or 1 */
  bool keep_alive;         /* what the client wants */
  bool chunked;            /* the body comes in chunks */
  bool expects_continue;   /* Expect: 100-continue (1.1 only) */
  bool upgrade;            /* Connection: upgrade and an Upgrade header */
  bool asterisk;           /* OPTIONS *; raw_path is "*" */
  bool has_content_length;
  bool has_query;
  uint64_t content_length; /* 0 where there is none; without meaning if chunked */
  dw_slice target;         /* as sent */
  dw_slice raw_path;       /* still encoded; "/" for "http://host" */
  dw_slice query;          /* without the "?"; "" where there is none */
  dw_slice scheme;         /* of an absolute target, else "http" */
  dw_slice authority;      /* Host, or an absolute target's; may be "" in 1.0 */
  dw_slice host;           /* authority in lower case, without the port */
  dw_slice root; /* what URLs have before the path: a proxy's "/app" */
  dw_header *headers;      /* in the order of the lines, values trimmed */
  size_t nheaders;
  dw_header *trailers;     /* after the last chunk; never part of headers */
  size_t ntrailers;
} dw_request;

dw_slice dw_request_header(dw_request *r, const char *name); /* joined or "" */

#endif
