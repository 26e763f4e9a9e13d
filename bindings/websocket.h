/* SPDX-License-Identifier: MIT */
/* WebSockets for Lua: what a request object has beside its own where it asks
 * for one (receive, send, close...). Without DEWAR_WITH_WEBSOCKET no rule can
 * be for WebSockets, and there is none of this. */
#ifndef DW_BINDINGS_WEBSOCKET_H
#define DW_BINDINGS_WEBSOCKET_H

#include "bindings/handler.h"

#ifdef DEWAR_WITH_WEBSOCKET

#include "bindings/room.h"
#include "http/websocket.h"

/* A WebSocket's ties to Lua, in the request's arena. */
typedef struct dw_lua_socket {
  dw_exchange *x;
  dw_wake receiver; /* while the socket is waiting */
  dw_list rooms;    /* its memberships, see room.h */
  unsigned late;    /* how often it was used after its end */
} dw_lua_socket;

void dw_websocket_open(lua_State *L, dw_script *s);
/* All that one has beside a request's fields, for messages. */
extern const char *const dw_websocket_names[];
/* With the request object at 1 and a name at 2: pushes the field or method, or
 * nothing and false. */
bool dw_websocket_field(lua_State *L, dw_exchange *x);
/* The view of a WebSocket, or an error's handler, has returned what is at 2:
 * whether that was dealt with (x->called is set) rather than an answer. */
bool dw_websocket_returned(lua_State *L, dw_exchange *x);
/* The exchange is over. */
void dw_websocket_end(dw_exchange *x);

/* The open WebSocket of the object at index, accepted if need be; raises where
 * it is none, or closed. */
dw_websocket *dw_websocket_check_open(lua_State *L, int index);
/* The one that has been accepted, open or not, or NULL. */
dw_websocket *dw_websocket_peek(lua_State *L, int index);
/* The client's framing, for specs (ws_codec.c). */
void dw_websocket_codec_open(lua_State *L, dw_script *s);

#else

static const char *const dw_websocket_names[] = {NULL};

static inline bool dw_websocket_field(lua_State *L, dw_exchange *x) {
  (void)L, (void)x;
  return false;
}

static inline bool dw_websocket_returned(lua_State *L, dw_exchange *x) {
  (void)L, (void)x;
  return false;
}

static inline void dw_websocket_end(dw_exchange *x) { (void)x; }

#endif

#endif
