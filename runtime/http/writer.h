/* SPDX-License-Identifier: MIT */
/* The writer: a response's head and chunk framing as bytes (RFC 9112). It only
 * appends to a buffer; the connection sends. */
#ifndef DW_HTTP_WRITER_H
#define DW_HTTP_WRITER_H

#include "base/buffer.h"
#include "http/response.h"

typedef enum dw_framing {
  DW_FRAMING_NONE,   /* no body and no length: 1xx, 204, 304 */
  DW_FRAMING_LENGTH, /* Content-Length: length */
  DW_FRAMING_CHUNKED,
  DW_FRAMING_CLOSE   /* HTTP/1.0 stream: the close ends the body */
} dw_framing;

typedef struct dw_head_options {
  dw_framing framing;
  uint64_t length; /* with DW_FRAMING_LENGTH */
  uint8_t minor;   /* the client's version: 1.0 is answered as 1.1, but ... */
  bool keep_alive; /* ... gets "Connection: keep-alive" where it is kept */
  dw_slice date;   /* an IMF-fixdate; "" for none */
  dw_slice coding; /* Content-Encoding; "" for none: then no ranges, either */
  bool vary;       /* a line more of Vary: Accept-Encoding */
  bool weaken;     /* a strong ETag becomes a weak one */
} dw_head_options;

/* Content-Length, Transfer-Encoding and Connection come from the options
 * alone; headers of these names in the response are left out (but a response
 * header "Connection: close" must have been turned into keep_alive = false, and
 * an Upgrade's headers are kept with status 101). 0 or DW_ENOMEM. */
int dw_writer_head(dw_buffer *out, const dw_response *response,
                   const dw_head_options *options);
int dw_writer_chunk(dw_buffer *out, dw_slice bytes); /* "" appends nothing */
/* The framing around a chunk that is sent without being copied: its line. */
int dw_writer_chunk_line(dw_buffer *out, size_t len);
/* With trailers behind it, unless that is NULL. */
int dw_writer_last_chunk(dw_buffer *out, const dw_headers *trailers);

#endif
