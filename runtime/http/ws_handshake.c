/* SPDX-License-Identifier: MIT */
/* The opening handshake: see ws_handshake.h. */
#include "http/ws_handshake.h"

#include "base/base64.h"
#include "base/crypto.h"
#include "base/error.h"

enum { KEY_SIZE = 16, KEY_LENGTH = 24 };

bool dw_ws_next_token(dw_slice *list, dw_slice *token) {
  while (list->len > 0) {
    const char *comma = memchr(list->ptr, ',', list->len);
    size_t len = comma ? (size_t)(comma - list->ptr) : list->len;
    size_t skip = comma ? len + 1 : len;
    *token = dw_slice_trim(dw_slice_of(list->ptr, len));
    *list = dw_slice_of(list->ptr + skip, list->len - skip);
    if (token->len > 0) return true;
  }
  return false;
}

static bool names_websocket(dw_request *r) {
  dw_slice list = dw_request_header(r, "Upgrade"), token;
  while (dw_ws_next_token(&list, &token))
    if (dw_slice_equal_nocase(token, DW_LITERAL("websocket"))) return true;
  return false;
}

bool dw_ws_is_asked(dw_request *r) {
  return r->upgrade && r->method == DW_METHOD_GET && names_websocket(r);
}

bool dw_ws_is_attempt(dw_request *r) {
  return r->upgrade || names_websocket(r);
}

static bool is_key(dw_slice key) {
  char bytes[KEY_LENGTH];
  size_t len;
  return key.len == KEY_LENGTH && key.ptr[KEY_LENGTH - 1] == '=' &&
         dw_base64_decode(DW_BASE64, key, bytes, &len) && len == KEY_SIZE;
}

const char *dw_ws_problem(dw_request *r) {
  if (!dw_slice_equal(dw_request_header(r, "Sec-WebSocket-Version"),
                      DW_LITERAL("13")))
    return "This server speaks version 13 of the WebSocket protocol.";
  if (!is_key(dw_request_header(r, "Sec-WebSocket-Key")))
    return "A WebSocket's opening needs one Sec-WebSocket-Key: 16 bytes in "
           "base 64.";
  if (r->chunked || (r->has_content_length && r->content_length > 0))
    return "A WebSocket's opening has no body.";
  return NULL;
}

int dw_ws_accept_key(dw_slice key, char *out) {
  static const char salt[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  char text[KEY_LENGTH + sizeof salt - 1];
  unsigned char digest[DW_DIGEST_MAX];
  if (key.len != KEY_LENGTH) return UV_EINVAL;
  memcpy(text, key.ptr, KEY_LENGTH);
  memcpy(text + KEY_LENGTH, salt, sizeof salt - 1);
  int code = dw_digest_of(DW_SHA1, dw_slice_of(text, sizeof text), digest);
  if (code < 0) return code;
  dw_base64_encode(DW_BASE64,
                   dw_slice_of((const char *)digest, dw_digest_size(DW_SHA1)),
                   out);
  return 0;
}
