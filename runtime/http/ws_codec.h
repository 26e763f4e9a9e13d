/* SPDX-License-Identifier: MIT */
/* The messages of a WebSocket (RFC 6455, 5.4 to 8), of either side: bytes come
 * in and become messages, pings and the close; what is to be sent becomes
 * bytes. It does no input or output. What is wrong with the bytes is told with
 * the code to close with, and from then on nothing is read any more.
 *
 *     for (;;) switch (dw_ws_read(w, &bytes)) ...   until DW_WS_MORE
 *
 * Invariants: between messages and frames it holds no memory, unless
 * compression keeps its context; a message is never longer than max_message,
 * inflated or not. Owner: the connection. Thread: the loop's. */
#ifndef DW_HTTP_WS_CODEC_H
#define DW_HTTP_WS_CODEC_H

#include "base/utf8.h"
#include "http/ws_extension.h"
#include "http/ws_frame.h"

enum {
  DW_WS_NORMAL = 1000,
  DW_WS_GOING_AWAY = 1001,
  DW_WS_PROTOCOL_ERROR = 1002,
  DW_WS_NO_CODE = 1005,  /* never sent: the close had none */
  DW_WS_ABNORMAL = 1006, /* never sent: there was no close */
  DW_WS_BAD_DATA = 1007,
  DW_WS_POLICY = 1008,
  DW_WS_TOO_BIG = 1009,
  DW_WS_ERROR = 1011,
  DW_WS_TRY_LATER = 1013
};

enum { DW_WS_REASON_MAX = DW_WS_CONTROL_MAX - 2 };

typedef enum dw_ws_event {
  DW_WS_MORE,    /* all bytes were taken */
  DW_WS_MESSAGE, /* it is in `message`, to be taken; see `text` */
  DW_WS_PING,    /* `data` is to be sent back as a pong */
  DW_WS_PONG,    /* `data` */
  DW_WS_CLOSED,  /* by the other side, with `code` and, in `data`, a reason */
  DW_WS_FAILED   /* close with `code` and, in `data`, a reason */
} dw_ws_event;

typedef struct dw_ws {
  dw_ws_pool *pool;
  uint64_t max_message;
  dw_ws_terms terms; /* of compression */
  dw_buffer message; /* the one under way, or that was told of */
  dw_slice data;     /* of the last event; valid until the next read */
  uint16_t code;
  bool text; /* of the message */
  /* Private from here on. */
  bool compressed; /* the message is */
  bool over;       /* closed or failed: nothing is read any more */
  uint8_t opcode;  /* of the message under way; 0: none */
  uint8_t held;    /* bytes in control */
  dw_utf8 utf8;
  dw_ws_reader *reader; /* while a frame is under way */
  char *control;        /* a control frame's payload, while it comes */
  dw_ws_inflater *inflater;
  dw_ws_deflater *deflater;
} dw_ws;

void dw_ws_init(dw_ws *w, dw_ws_pool *pool, const dw_ws_terms *terms,
                uint64_t max_message);
void dw_ws_deinit(dw_ws *w);

/* The next event in what was taken before and in these bytes, which are moved
 * on. */
dw_ws_event dw_ws_read(dw_ws *w, dw_slice *bytes);

/* Append to out what says this. 0, or a negative code and out is as before;
 * with a context of its own a message that fails is the last (DW_ENOMEM):
 * close. */
int dw_ws_write(dw_ws *w, bool text, dw_slice message, dw_buffer *out);
/* opcode is PING or PONG; payload is up to DW_WS_CONTROL_MAX bytes. */
int dw_ws_write_control(dw_ws *w, dw_ws_opcode opcode, dw_slice payload,
                        dw_buffer *out);
/* DW_WS_NO_CODE: without one. */
int dw_ws_write_close(dw_ws *w, uint16_t code, dw_slice reason, dw_buffer *out);

/* Whether a close may say this: of either side, and of a user's program. */
bool dw_ws_is_code(uint16_t code);

/* A message for many: each form that a receiver needs is made once. */
typedef struct dw_ws_broadcast {
  dw_slice message;
  bool text;
  dw_buffer plain, small; /* frames, once somebody needed them */
} dw_ws_broadcast;

void dw_ws_broadcast_init(dw_ws_broadcast *b, dw_allocator *a, bool text,
                          dw_slice message);
void dw_ws_broadcast_deinit(dw_ws_broadcast *b);
/* *frame is the message as w's other side takes it, in b. 1; 0: w packs what it
 * sends in a way of its own, use dw_ws_write; or DW_ENOMEM. */
int dw_ws_broadcast_for(dw_ws_broadcast *b, dw_ws *w, dw_slice *frame);

#endif
