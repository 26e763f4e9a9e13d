/* SPDX-License-Identifier: MIT */
/* An exchange is one request in flight: the transaction with its arena, the
 * match, the response, the error if there is one, the stage it is in, and what
 * it waits for. dispatch.c moves it through its stages. Everything a request
 * needs is freed with it. Owner: its connection, until dw_transaction_end.
 * Thread: the loop's. */
#ifndef DW_APP_EXCHANGE_H
#define DW_APP_EXCHANGE_H

#include "app/app.h"
#include "app/hooks.h"
#include "app/router.h"
#include "http/connection.h"

/* The life of a request (docs/lifecycle.md). A session is opened where it
 * is first asked for, at the latest, if it is one of the app's own making, by the
 * last hook of REQUEST; it is saved in RESPONSE, before the hooks. */
typedef enum dw_stage {
  DW_STAGE_REQUEST,
  DW_STAGE_MATCH,
  DW_STAGE_STARTED, /* a signal, as are the other stages of that kind */
  DW_STAGE_PREPROCESS,
  DW_STAGE_BEFORE,
  DW_STAGE_VIEW,      /* raises a kept routing error first */
  DW_STAGE_ERROR,     /* the error's own handler */
  DW_STAGE_EXCEPTION, /* signal: nobody has handled the error */
  DW_STAGE_SERVER_ERROR, /* the handler for 500 */
  DW_STAGE_AFTER_THIS,
  DW_STAGE_AFTER,
  DW_STAGE_RESPONSE,
  DW_STAGE_FINISHED, /* signal */
  DW_STAGE_SEND,
  DW_STAGE_STREAM,
  DW_STAGE_CLOSE_BODY, /* a stream's generator is closed, finished or not */
  DW_STAGE_REAP,       /* tasks that the request left behind are cancelled */
  DW_STAGE_TEARDOWN,
  DW_STAGE_TORN_DOWN,  /* signal */
  DW_STAGE_REAP_AGAIN, /* ... and those that teardown left */
  DW_STAGE_END
} dw_stage;

typedef struct dw_error {
  const dw_error_class *cls; /* NULL: no error */
  const char *message;       /* of an error that C made: static or arena */
  int status;                /* effective; 0: no HTTP error */
  bool script;               /* the script holds its value */
} dw_error;

/* One of the apps that a request has come through: see mount.h. */
typedef struct dw_level dw_level;

/* Watches a connection from in-process: see client.h. It is set as the
 * connection's data and lives as long as that. ended_cb is called once for each
 * exchange, after teardown, while the exchange still exists; closed_cb after the
 * last use of the connection. */
typedef struct dw_observer dw_observer;
struct dw_observer {
  void (*ended_cb)(dw_observer *o, dw_exchange *x);
  void (*closed_cb)(dw_observer *o);
  bool propagates; /* unhandled errors go to it rather than into a 500 */
};

struct dewar_exchange {
  dw_transaction http; /* first: the connection allocates the whole */
  dw_app *app;
  dw_server *server;
  dw_observer *observer; /* NULL mostly */
  dw_slice path;         /* decoded: see dw_path_decode */
  dw_slice remote;       /* the client behind a proxy; "": the peer */
  const char *id;        /* its name in the log; NULL: none */
  dw_match match;
  const dw_route *route; /* of match.rule; NULL without one */
  dw_scope *scope;       /* the route's, else the app's */
  dw_level *level;       /* in mounted apps; NULL: in none */
  dw_response *response; /* &plain, or one the script holds */
  dw_response plain;
  dw_error error;        /* being handled */
  dw_error unhandled;    /* what teardown gets */
  dw_handler *handler;   /* of an ERROR stage */
  dw_hook_cursor cursor;
  uint8_t stage;
  uint8_t after;         /* the stage behind SERVER_ERROR */
  bool running;          /* dispatch is on the stack */
  bool pending;          /* dw_exchange_resume is awaited */
  bool resumed;          /* it came while dispatch was on the stack */
  uint8_t verdict;       /* that it came with */
  uint8_t called;        /* the runner's: the verdict of `calling` */
  bool draining;         /* ... by the stream, for room to write */
  bool cancelled;        /* the client went away, or the server stops */
  bool timed_out;        /* REQUEST_TIMEOUT, or the route's */
  bool websocket;        /* it asks for one, and its rule is for that */
  bool failed_after;     /* an after hook has failed: later ones are logged */
  bool session;          /* it has been opened and isn't saved yet */
  bool bare;             /* asks for a mount without its slash */
  bool propagated;       /* the observer gets the error, nothing is sent */
  bool has_whole;        /* of a range that can't be satisfied: */
  uint64_t whole;        /* the length of it all, which a 416 tells */
  uint64_t max_content_length;
  uint64_t started;      /* loop time, for the access log */
  dw_timer *timer;       /* of its time limit, in the arena; NULL: none yet */
  void (*body_cb)(dw_exchange *x); /* who reads the body: news of it */
  void *body_data;
  void (*drain_cb)(dw_exchange *x); /* of a writer that waits by itself */
  void *drain_data;
  dw_handler *calling;   /* the runner's: whom it calls */
  void *script;          /* the runner's: a dw_task, once there is one */
  void (*cancel_cb)(dw_exchange *x, void *data); /* of a pending C view */
  void *cancel_data;
  void *view;            /* what a C view that was called keeps: see view.c */
  void *request;         /* the runner's: its request object */
};

/* What a page of x->error is made of and goes to. */
typedef struct dw_error_page {
  dw_slice description;
  bool json; /* the client takes nothing else */
  dw_response *response;
  dw_buffer *out;
} dw_error_page;

/* What a script engine does for an exchange beside its handlers. Set once on
 * the server; called only while x->script is set. */
typedef struct dw_runner {
  /* The functions given to after_this_request, one a call; PASS when there are
   * no more. */
  dw_verdict (*after_this)(dw_exchange *x);
  /* The next piece of a streamed body: writes it with dw_reply_write; DONE:
   * there may be more, PASS: that was the end. */
  dw_verdict (*next_piece)(dw_exchange *x);
  /* Closes a streamed body: PASS, PENDING, or FAILED, which is logged. */
  dw_verdict (*close_body)(dw_exchange *x);
  /* Ends what the request left running: PASS, or PENDING. */
  dw_verdict (*reap)(dw_exchange *x);
  /* The running handler is to end soon: a cancellation, or (timeout) time is
   * up. A teardown handler is not disturbed. */
  void (*cancel)(dw_exchange *x, bool timeout);
  /* The server stops: a stream that only waits for news may end. */
  void (*stop)(dw_exchange *x);
  /* A cancellation has been dealt with: what follows may wait again. */
  void (*uncancel)(dw_exchange *x);
  /* From now on no cancellation is noticed. */
  void (*shield)(dw_exchange *x);
  /* The request is another app's now, x->app: see mount.h. */
  void (*moved)(dw_exchange *x);
  /* For an unhandled error: its description for the default page (in the arena)
   * and its headers into the response. */
  void (*describe)(dw_exchange *x, dw_slice *description,
                   dw_response *response);
  /* A page in place of the default one, for developers: appends it, and sets
   * headers; false: there is none. Called without x->script, too. */
  bool (*error_page)(dw_exchange *x, const dw_error_page *page);
  /* Logs "Exception on /path [GET]" with x->error's traceback. */
  void (*log_error)(dw_exchange *x, const char *where);
  /* x->error is the unhandled one, from now on kept apart for teardown. */
  void (*keep_error)(dw_exchange *x);
  /* x->error becomes an InternalServerError with .original. */
  void (*wrap_error)(dw_exchange *x);
  /* Lets go of everything; x->script is NULL afterwards. */
  void (*end)(dw_exchange *x);
} dw_runner;

/* A handler that had answered PENDING has ended. Never re-enters dispatch. */
void dw_exchange_resume(dw_exchange *x, dw_verdict verdict);
/* Sets x->error; the message is static or in the arena. Returns DW_FAILED. */
dw_verdict dw_exchange_fail(dw_exchange *x, int status, const char *message);
/* For a handler of a hook that has nothing against the next one: takes the next
 * hook of the stage if it is called as `like` is, else NULL. So a script calls
 * all of its hooks in a row without coming back in between. */
dw_handler *dw_exchange_next_hook(dw_exchange *x, const dw_handler *like);
/* The request must end soon: client gone, server stopping. */
void dw_exchange_cancel(dw_exchange *x);

/* Its time from now on, until it is sent: then it is interrupted, and answered
 * by a 503. 0 limits nothing and leaves an earlier limit. 0 or DW_ENOMEM. */
int dw_exchange_limit_time(dw_exchange *x, uint64_t milliseconds);
void dw_exchange_unlimit_time(dw_exchange *x);

/* Moves it on until it is pending or at its end. */
void dw_dispatch(dw_exchange *x);
/* The server's events (exchange.c). */
void dw_exchange_request(dw_transaction *t);
void dw_exchange_body(dw_transaction *t);
void dw_exchange_drain(dw_transaction *t);
void dw_exchange_gone(dw_transaction *t);
/* The last stage: tells the observer and the log, frees. */
void dw_exchange_end(dw_exchange *x);

/* Fails with a 416 that tells how long the whole is. */
dw_verdict dw_exchange_unsatisfiable(dw_exchange *x, uint64_t length);

/* A plain response; what the script made before is let go of. */
dw_response *dw_answer_fresh(dw_exchange *x, int status);
/* Answers that C makes (answer.c); 0 or DW_ENOMEM. */
int dw_answer_error(dw_exchange *x);    /* the default page of x->error */
int dw_answer_redirect(dw_exchange *x); /* match.location */
int dw_answer_options(dw_exchange *x);  /* match.allowed */
int dw_answer_allow(dw_exchange *x);    /* Allow, unless the answer has it */
int dw_answer_whole(dw_exchange *x); /* Content-Range of a 416, likewise */
int dw_answer_upgrade(dw_exchange *x);  /* what a 426 says: WebSocket 13 */
/* Sorted names of a set of methods, "GET, HEAD". */
int dw_allow_text(uint64_t methods, dw_buffer *out);
/* The fields that its records have in the log; their number: 0 or 1. */
size_t dw_exchange_log_fields(const dw_exchange *x, dewar_log_field *fields);
/* Logs an error that no handler dealt with. */
void dw_exchange_log(dw_exchange *x, const char *what);

static inline dw_exchange *dw_exchange_of(dw_transaction *t) {
  return (dw_exchange *)t;
}

#endif
