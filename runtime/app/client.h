/* SPDX-License-Identifier: MIT */
/* The client inside the process: one end of an in-memory pair whose other end
 * is a connection of a server, so that what it sends takes the whole way
 * through parser, limits, router and dispatch. One request at a time; the next
 * one may use the same pair. A request is over when its answer is there and the
 * server's exchange has ended, teardown included. The struct outlives both ends
 * of its pair. Owner: who connected, until dw_client_close. Thread: the
 * loop's. */
#ifndef DW_APP_CLIENT_H
#define DW_APP_CLIENT_H

#include "app/server.h"

typedef struct dw_client dw_client;

/* Any may be NULL. Any may close the client or write to it. But for ended_cb,
 * none is called from within a call on the client or from dispatch. */
typedef struct dw_client_events {
  /* The answer's head is in c->answer. Not in raw mode. */
  void (*head_cb)(dw_client *c);
  /* A run of the answer's body, valid during the call. Raw: what came. */
  void (*data_cb)(dw_client *c, dw_slice bytes);
  /* All that was written has been taken by the server. */
  void (*drain_cb)(dw_client *c);
  /* The server's exchange has ended, after its teardown, and still exists:
   * x->propagated tells that x->unhandled is the client's to deal with. Comes
   * before done_cb; not at all where the server refused the request unseen.
   * Must not run scripts, nor touch the exchange but to look. */
  void (*ended_cb)(dw_client *c, dw_exchange *x);
  /* The request is over: 0 once the whole answer was read, else why there is
   * none or only a part (UV_ECONNRESET, DEWAR_EPARSE...; c->reason says more).
   * Raw: the server has sent its last byte, or reset. Once a request. */
  void (*done_cb)(dw_client *c, int status);
  /* Both ends are closed and no exchange is left; c is freed behind it. */
  void (*closed_cb)(dw_client *c);
} dw_client_events;

typedef enum dw_client_state {
  DW_CLIENT_IDLE,
  DW_CLIENT_BUSY, /* from dw_client_start to done_cb */
  DW_CLIENT_RAW,
  DW_CLIENT_CLOSED
} dw_client_state;

struct dw_client {
  dw_observer observer; /* first; set propagates at will */
  const dw_client_events *events;
  void *data;         /* the owner's */
  dw_answer answer;   /* from head_cb to the next start */
  const char *reason; /* of a failure; static or borrowed */
  /* Private from here on. */
  dw_loop *loop;
  dw_stream *stream;         /* NULL: closed at our end */
  dw_connection *connection; /* the server's end; NULL: it is gone */
  dw_answer_parser *parser;
  dw_deferred finisher; /* calls done_cb */
  int status;           /* that it will be called with */
  uint8_t state;
  bool chunked;    /* the request's body is sent in chunks */
  bool upgrades;   /* raw mode is to follow a 101 */
  bool answered;   /* the answer is whole, or failed */
  bool ended;      /* the exchange has ended */
  bool told;       /* done_cb has been called */
  bool at_end;     /* nothing comes any more */
  bool wrote_last; /* the request is complete */
};

/* Connects to a server. 0, DW_ENOMEM, or DEWAR_ECLOSED: it has been stopped. */
int dw_client_connect(dw_client **out, dw_server *server,
                      const dw_client_events *events, void *data);
/* Disconnects: what was not sent is dropped, the server sees the end of file,
 * or (reset) a connection reset. From now on only ended_cb and closed_cb are
 * called. Idempotent; NULL is a no-op. */
void dw_client_close(dw_client *c, bool reset);

/* Whether another request can be sent: the last one is over, and the server
 * keeps the connection. */
bool dw_client_reusable(const dw_client *c);

typedef struct dw_client_request {
  dw_slice method; /* "GET" */
  dw_slice target; /* "/path?query" */
  dw_slice fields; /* "Name: value\r\n" lines; Host: localhost is added unless
                      there is one */
  dw_slice body;   /* sent with a Content-Length unless fields has one */
  bool has_body;   /* ... if it is empty, too */
  bool chunked;    /* the body follows by dw_client_write */
  bool upgrades;   /* 101 is welcome: raw mode follows it */
} dw_client_request;

/* Sends a request; nothing of it is looked at. 0, DW_ENOMEM, DEWAR_EMISUSE (the
 * last one is not over), or DEWAR_ECLOSED: nothing was sent, and there is no
 * done_cb. */
int dw_client_start(dw_client *c, const dw_client_request *r);
/* A chunk of the body; "" is none. A failure (DEWAR_ECLOSED: the server takes
 * no more) leaves the answer to be read. */
int dw_client_write(dw_client *c, dw_slice bytes);
/* The last chunk. */
int dw_client_finish(dw_client *c);
/* Whether the writer should wait for drain_cb before it writes more. */
bool dw_client_full(const dw_client *c);
/* The answer is not read on until resumed: back-pressure. */
void dw_client_pause(dw_client *c);
void dw_client_resume(dw_client *c);

/* Raw mode, for good: bytes are sent as given, and data_cb gets all that comes.
 * 0, DW_ENOMEM, DEWAR_ECLOSED or DEWAR_EMISUSE (after dw_client_start). */
int dw_client_send(dw_client *c, dw_slice bytes);
/* Raw: ends our side once everything is sent; the server sees the end. */
int dw_client_shutdown(dw_client *c);
/* Raw: what the server's end does as far as it has seen our bytes. */
typedef enum dw_client_wait {
  DW_CLIENT_WORKING, /* a request is being dealt with */
  DW_CLIENT_BETWEEN, /* waits for a request */
  DW_CLIENT_WANTING, /* waits for the rest of a request */
  DW_CLIENT_OVER     /* it has gone */
} dw_client_wait;
dw_client_wait dw_client_peer(const dw_client *c);

#endif
