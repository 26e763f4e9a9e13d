/* SPDX-License-Identifier: MIT */
/* An HTTP/1 connection and the transaction on it: one request and its answer.
 * The connection turns a stream's bytes into transactions, one after another,
 * and their answers into bytes; it keeps the deadlines. Above it, the server
 * sees transactions only (HTTP/2's would look the same).
 *
 *   input:  scan head -> parse -> feed what is there of the body -> request_cb
 *   answer: dw_reply* in any later turn, then dw_transaction_end
 *
 * Invariants: at most one transaction at a time; a connection without one
 * holds no buffer unless half a head has arrived; no callback runs after
 * dw_transaction_end. Owner: dw_http. Thread: the loop's. */
#ifndef DW_HTTP_CONNECTION_H
#define DW_HTTP_CONNECTION_H

#include "base/list.h"
#include "base/loop.h"
#include "http/encoder.h"
#include "http/limits.h"
#include "http/parser.h"
#include "http/request.h"
#include "http/response.h"
#include "http/writer.h"
#include "net/stream.h"

typedef struct dw_http dw_http;
typedef struct dw_connection dw_connection;
typedef struct dw_transaction dw_transaction;
typedef struct dw_upgrade dw_upgrade;

/* --- The body of a request -------------------------------------------------*/

typedef struct dw_body {
  dw_buffer data;     /* received and not yet taken */
  uint64_t received;  /* in all */
  bool ended;         /* the last byte is in data, or was taken */
  bool wanted;        /* somebody waits: body_cb is called at news */
  bool whole;         /* ... for all of it: no back-pressure below the limit */
  bool continue_due;  /* 100 Continue has not been sent */
  bool touched;       /* somebody has asked for it */
  int failed;         /* 0, or why it will never end: see dw_body_fail */
  const char *reason; /* of a failure with a status */
} dw_body;

/* --- A transaction ---------------------------------------------------------*/

typedef enum dw_reply_state {
  DW_REPLY_NONE,   /* nothing was sent */
  DW_REPLY_STREAM, /* the head was sent, the body follows */
  DW_REPLY_DONE,   /* all was given to the connection */
  DW_REPLY_CUT     /* the connection is to be closed in mid-answer */
} dw_reply_state;

typedef struct dw_transfer dw_transfer;

struct dw_transaction {
  dw_request request;
  dw_connection *connection;
  dw_body body;
  dw_reply_state reply;
  dw_framing framing;
  bool bodiless;   /* the answer's body is not sent: HEAD, 204, 304 */
  bool gone;       /* the client went away */
  bool ranged;     /* a stream of which length bytes are sent, no more */
  uint8_t burst;   /* pieces written since others had their turn */
  int status;      /* that was sent; 0 before */
  uint64_t length; /* promised by Content-Length; UINT64_MAX: nothing was */
  uint64_t taken;  /* body bytes, before they were encoded */
  uint64_t sent;   /* body bytes given to the connection */
  uint64_t skip;   /* of a ranged stream, before the first that is sent */
  const dw_headers *trailers; /* sent behind the last chunk; borrowed */
  dw_transfer *transfer; /* of a file: reply_file.c's own */
  size_t block_size;     /* of the memory that begins with it */
  /* How the answer differs from its response: set before it is sent. */
  uint8_t coding;  /* dw_coding of what is sent as the body */
  bool vary;       /* it depends on Accept-Encoding */
  bool weaken;     /* its ETag is a weak one */
  dw_encoder *encoder; /* of a stream: encodes what is written; ours */
};

/* A piece that goes into many streams. As a chunk it is made once. */
typedef struct dw_shared_piece {
  dw_slice bytes;
  dw_buffer chunk; /* empty at first */
} dw_shared_piece;

/* What a server does with transactions. None may be NULL. */
typedef struct dw_http_events {
  size_t size; /* of its own struct, which starts with a dw_transaction */
  /* A request whose head passed all guards; its body may still be coming. */
  void (*request_cb)(dw_transaction *t);
  /* body.wanted: there is more, or the end, or a failure. wanted is reset. */
  void (*body_cb)(dw_transaction *t);
  /* A stream that was full (dw_reply_full) may go on, or its client is gone. */
  void (*drain_cb)(dw_transaction *t);
  /* The client is gone: to be ended soon. At most once. */
  void (*gone_cb)(dw_transaction *t);
  /* A malformed request: fills in the answer. What was understood of it is in
   * *request. status is a 4xx or 5xx. */
  void (*reject_cb)(dw_http *h, const dw_request *request, int status,
                    const char *reason, dw_response *response);
  /* After the last use of a connection. */
  void (*closed_cb)(dw_connection *c);
} dw_http_events;

/* What all connections of a server share. */
struct dw_http {
  dw_loop *loop;
  dw_allocator *alloc;
  dw_limits *limits;
  const dw_http_events *events;
  void *data;          /* the server */
  dw_list connections; /* all */
  size_t count;        /* of them */
  size_t active;       /* transactions */
  void *blocks;        /* free blocks of transactions */
  size_t spare;        /* their number */
  dw_buffer output;    /* the output buffer that went out of use last */
  dw_buffer coded;     /* what an encoder made; empty between uses */
  void *shared;        /* what upgraded connections share; NULL: nothing */
  void (*free_shared)(dw_http *h);
  bool stopping; /* no keep-alive any more */
};

void dw_http_init(dw_http *h, dw_loop *loop, dw_limits *limits,
                  const dw_http_events *events, void *data);
void dw_http_deinit(dw_http *h); /* all connections must be closed */
/* From now on idle connections close, busy ones after their answer. */
void dw_http_stop(dw_http *h);
/* Cuts all that is left. */
void dw_http_cut(dw_http *h);

typedef enum dw_connection_state {
  DW_CONNECTION_HEAD,     /* between requests, or in the middle of a head */
  DW_CONNECTION_BUSY,     /* a transaction is under way */
  DW_CONNECTION_SWITCHED, /* it is another protocol's: see dw_upgrade */
  DW_CONNECTION_DRAIN,  /* it is answered; the rest of its body is swallowed */
  DW_CONNECTION_FLUSH,  /* closes once everything is sent */
  DW_CONNECTION_LINGER, /* our side has ended; the peer's rest is swallowed */
  DW_CONNECTION_CLOSED
} dw_connection_state;

struct dw_connection {
  dw_http *http;
  dw_stream *stream;
  dw_list node;
  dw_transaction *transaction;
  dw_transaction *draining; /* in DRAIN: answered, its body has not ended */
  dw_upgrade *upgrade;      /* the other protocol; NULL: HTTP */
  void *data;               /* the owner's; NULL at first */
  const dw_limits *limits;  /* while a transaction is under way: whose it is */
  /* Private from here on. */
  dw_parser parser;
  dw_buffer in;            /* what arrived and could not be used yet */
  dw_buffer out;           /* what is to be sent at the next flush */
  size_t scanned;          /* of in, by the parser */
  dw_timer timer;          /* for the earlier one of ... */
  uint64_t deadline;       /* what the state waits for; UINT64_MAX: none */
  uint64_t write_deadline; /* the peer takes bytes; UINT64_MAX: none queued */
  dw_deferred flusher;
  uint64_t drained; /* bytes swallowed behind an answer */
  size_t unsent;    /* of what is queued, when write_deadline was set */
  uint8_t state;
  bool keep_alive; /* after the current transaction */
  bool processing; /* the input loop is on the stack */
  bool reading;
  bool ended;         /* the peer has sent its last byte */
  bool waiting_drain; /* drain_cb is due */
  bool used;          /* a request has been answered on it */
  bool doomed;        /* cut at the end of the turn */
};

/* Takes over a stream, fails or not. 0 or DW_ENOMEM. */
int dw_connection_open(dw_http *h, dw_stream *s, dw_connection **out);
/* Cuts: RST or a bare close. A transaction under way gets gone_cb. */
void dw_connection_cut(dw_connection *c);

/* --- Using a transaction ---------------------------------------------------*/

/* Asks for more of the body than is in body.data (whole: for all of it):
 * body_cb is called in a later turn when there is news. Not if it has ended or
 * failed. */
void dw_body_want(dw_transaction *t, bool whole);
/* Takes len bytes from the front of body.data. */
void dw_body_take(dw_transaction *t, size_t len);

/* Answers with status, headers and what is in memory (or no body). 0, or
 * DW_ENOMEM: then nothing was sent, and a smaller answer may be tried. */
int dw_reply(dw_transaction *t, dw_response *response);
/* The same with a file, which it sends by itself: 0, or DW_ENOMEM as above. */
int dw_reply_file(dw_transaction *t, dw_response *response);
/* Then asked, and asked again after each drain_cb: 1 while it is being sent, 0
 * when all is given to the connection; DEWAR_ECLOSED, or why the file can't be
 * read to its end (UV_EOF: it has become shorter). */
int dw_reply_file_next(dw_transaction *t);
/* Starts a streamed answer. 0, or DW_ENOMEM as above. With an encoder, what is
 * written is encoded, and flushed at the end of the turn: whoever gets it can
 * decode all that was written before. Then: */
int dw_reply_start(dw_transaction *t, dw_response *response);
/* Sends a piece; it is copied. 0, DW_ENOMEM (an encoded answer is cut then),
 * DEWAR_ETOOBIG (more than was promised by Content-Length), or DEWAR_ECLOSED
 * (the client is gone). */
int dw_reply_write(dw_transaction *t, dw_slice bytes);
/* Sends a piece of many streams, uncopied where it goes at once. The same codes.
 * It never closes the connection within the call: what fails is cut at the end
 * of the turn, so that one walk can pass by all streams. */
int dw_reply_share(dw_transaction *t, dw_shared_piece *p);
/* Bytes that the client has not taken yet. */
size_t dw_reply_backlog(const dw_transaction *t);
/* Cuts the connection at the end of the turn. */
void dw_reply_drop(dw_transaction *t);
/* Whether the writer should wait for drain_cb before it writes more: ask once a
 * piece. The client reads slowly, or it is time to let others have their turn.
 */
bool dw_reply_full(dw_transaction *t);
/* Whether a ranged stream has given all that was asked for. */
static inline bool dw_reply_sated(const dw_transaction *t) {
  return t->ranged && t->sent == t->length;
}
/* Whether trailers can be sent behind a streamed answer, which then are set in
 * t->trailers: it has chunks, and the client wants them (RFC 9110, 6.5.1). */
bool dw_reply_trails(dw_transaction *t);
int dw_reply_finish(dw_transaction *t); /* 0 or DEWAR_EMISUSE: too short */
/* Cuts the answer off: the connection will close so that the client can tell
 * (RFC 9112, 8). */
void dw_reply_cut(dw_transaction *t);

/* The transaction is over: frees it; the connection goes on. An unfinished
 * answer is cut. */
void dw_transaction_end(dw_transaction *t);

/* --- Another protocol ------------------------------------------------------*/

/* What a connection calls once it is another protocol's. */
typedef struct dw_upgrade_type {
  /* Uses bytes that came, or what it left of them before ("" tells that it may
   * go on); how many it used. The rest is kept until then. */
  size_t (*input)(dw_upgrade *u, dw_slice bytes);
  bool (*wants_bytes)(const dw_upgrade *u);
  /* The other side sends nothing more: whether the connection has to stay, since
   * it has said goodbye and is to be answered. */
  bool (*stays)(const dw_upgrade *u);
  void (*written)(dw_upgrade *u); /* all that was queued has been sent */
  void (*overdue)(dw_upgrade *u); /* the state's deadline is over */
  void (*stop)(dw_upgrade *u);    /* the server stops: to end soon */
  /* The transaction's side is done: normally, or with an error that is its own
   * or (refused) the client's. */
  void (*finish)(dw_upgrade *u, bool failed, bool refused);
  /* The stream is closed: if the client went without a word, whoever works for
   * it is to be told, by dw_connection_gone. */
  void (*closed)(dw_upgrade *u);
  void (*released)(dw_upgrade *u); /* there is no transaction any more */
  void (*free)(dw_upgrade *u);     /* the last call */
} dw_upgrade_type;

struct dw_upgrade {
  const dw_upgrade_type *type;
  dw_connection *connection;
};

/* Answers with 101 and these headers; from then on the connection, which owns
 * it, belongs to u. 0; DW_ENOMEM, DEWAR_ECLOSED (the client is gone) or
 * DEWAR_EMISUSE (there was an answer): then u is still the caller's. */
int dw_reply_upgrade(dw_transaction *t, dw_response *response, dw_upgrade *u);

#endif
