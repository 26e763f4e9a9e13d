/* SPDX-License-Identifier: MIT */
/* The opening handshake of a WebSocket (RFC 6455, 4.2), the server's part, and
 * the key's answer for both. Pure functions. Thread: any. */
#ifndef DW_HTTP_WS_HANDSHAKE_H
#define DW_HTTP_WS_HANDSHAKE_H

#include "http/request.h"

enum { DW_WS_ACCEPT_LENGTH = 28 }; /* of Sec-WebSocket-Accept */

/* Whether a request asks for a WebSocket, rightly or not. What asks for it in
 * another way than by GET and Connection: Upgrade is an HTTP request. */
bool dw_ws_is_asked(dw_request *r);
/* Whether an HTTP request looks as if it had wanted one, or another protocol.
 */
bool dw_ws_is_attempt(dw_request *r);
/* What is wrong with one that asks, in words for its sender; NULL: nothing. */
const char *dw_ws_problem(dw_request *r);

/* The answer to a key: 28 letters. 0, UV_ENOTSUP or DW_ENOMEM. */
int dw_ws_accept_key(dw_slice key, char *out);

/* The next of a list's elements, "a, b"; false: there are no more. */
bool dw_ws_next_token(dw_slice *list, dw_slice *token);

#endif
