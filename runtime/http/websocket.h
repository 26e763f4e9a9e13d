/* SPDX-License-Identifier: MIT */
/* A WebSocket of the server's side: a connection that was handed over to
 * ws_codec.h. Messages wait in a queue until somebody takes them; while it is
 * full the socket isn't read. Pings, pongs and the closing handshake are dealt
 * with here.
 *
 * Invariants: after close_code is set nothing is sent, and no message comes
 * into the queue; what is in it can be taken until the transaction ends. Owner:
 * the connection. Thread: the loop's. */
#ifndef DW_HTTP_WEBSOCKET_H
#define DW_HTTP_WEBSOCKET_H

#include "base/list.h"
#include "http/connection.h"
#include "http/ws_codec.h"

typedef struct dw_websocket dw_websocket;

typedef struct dw_ws_message {
  dw_list node;
  dw_buffer data;
  bool text;
} dw_ws_message;

typedef enum dw_websocket_state {
  DW_WEBSOCKET_OPEN,
  DW_WEBSOCKET_CLOSING, /* we have closed; the other side's close is due */
  DW_WEBSOCKET_CLOSED
} dw_websocket_state;

struct dw_websocket {
  dw_upgrade base;     /* first */
  uint16_t close_code; /* 0: it is open; DW_WS_ABNORMAL: the client vanished */
  uint8_t state;
  bool by_us; /* the close was ours */
  /* Somebody takes messages, and so will notice the end: who doesn't is told
   * that the client is gone when it closes. */
  bool asked;
  bool waiting; /* for a message or the end: set by who does */
  /* A message has come, or the end. May be NULL; not from within a call. */
  void (*news_cb)(dw_websocket *w);
  void *data;       /* the user's */
  size_t count;     /* messages that wait */
  dw_buffer reason; /* of the close */
  /* Private from here on. */
  uint8_t ending; /* a close, or a fault, waits to be dealt with */
  bool pong_due;
  size_t bytes; /* in the messages */
  dw_list received;
  dw_buffer pong;  /* to be sent when there is room */
  uint64_t seen;   /* when bytes came last */
  uint64_t pinged; /* when we asked whether it is alive; 0: there is no need */
  dw_ws ws;
};

/* Answers a request that asks for a WebSocket (ws_handshake.h) with 101 and the
 * headers of *response, to which it adds its own. subprotocol may be "". 0,
 * DW_ENOMEM, UV_ENOTSUP, DEWAR_ECLOSED or DEWAR_EMISUSE, and then the request
 * is as before. */
int dw_websocket_accept(dw_transaction *t, dw_response *response,
                        dw_slice subprotocol, dw_websocket **out);
/* The one that the transaction has become, or NULL. */
dw_websocket *dw_websocket_of(const dw_transaction *t);

/* The oldest message, or NULL: there is none now, and where close_code is set
 * there will be none. Who asks has dealt with the messages before: only now a
 * close that came behind them is answered, since what they lead to is to reach
 * the client. */
const dw_ws_message *dw_websocket_next(dw_websocket *w);
void dw_websocket_drop(dw_websocket *w); /* the oldest message */

/* 0, DEWAR_ECLOSED, DW_ENOMEM or DW_ETOOBIG; text is valid UTF-8. Whether it is
 * time to wait tells dw_reply_full. */
int dw_websocket_send(dw_websocket *w, bool text, dw_slice message);
/* The same of a message for many, at once. */
int dw_websocket_broadcast(dw_websocket *w, dw_ws_broadcast *b);
/* Bytes that the client has not taken yet. */
size_t dw_websocket_backlog(const dw_websocket *w);
int dw_websocket_ping(dw_websocket *w); /* 0, DEWAR_ECLOSED or DW_ENOMEM */
/* Closes: the client has a few seconds to answer. code is one that may be sent,
 * the reason up to DW_WS_REASON_MAX bytes of UTF-8. Idempotent. */
void dw_websocket_close(dw_websocket *w, uint16_t code, dw_slice reason);

#endif
