/* SPDX-License-Identifier: MIT */
/* Sec-WebSocket-Extensions: the terms on which two sides compress messages
 * (RFC 7692, 7.1). Pure functions. Thread: any. */
#ifndef DW_HTTP_WS_EXTENSION_H
#define DW_HTTP_WS_EXTENSION_H

#include "base/buffer.h"

typedef enum dw_ws_compress {
  DW_WS_COMPRESS_NEVER,
  DW_WS_COMPRESS_ALONE,  /* each message by itself: costs no memory between */
  DW_WS_COMPRESS_CONTEXT /* referring to earlier ones, where a client does */
} dw_ws_compress;

/* All zero: no compression. */
typedef struct dw_ws_terms {
  bool on;
  bool server_alone, client_alone;  /* that side keeps no context */
  uint8_t server_bits, client_bits; /* of that side's window */
} dw_ws_terms;

/* The server's part: takes the first of the offers that it can serve, and
 * appends what it answers; nothing where there is none. 0 or DW_ENOMEM. */
int dw_ws_negotiate(dw_slice offers, dw_ws_compress how, dw_ws_terms *terms,
                    dw_buffer *answer);

/* The client's part: what it offers, and whether the answer ("" is none) is one
 * to that. */
#define DW_WS_OFFER "permessage-deflate; client_max_window_bits"
bool dw_ws_agree(dw_slice answer, dw_ws_terms *terms);

#endif
