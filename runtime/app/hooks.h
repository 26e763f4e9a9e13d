/* SPDX-License-Identifier: MIT */
/* Handlers and where they are registered. A handler is the seam between
 * dispatch and languages: a Lua coroutine is one way of answering it, a C view
 * another. A scope is the app or a registered blueprint; scopes form chains
 * from inner to outer. Owner: the app. Changed only before the first request. */
#ifndef DW_APP_HOOKS_H
#define DW_APP_HOOKS_H

#include "app/errors.h"
#include "base/list.h"
#include "base/memory.h"
#include "base/slice.h"

typedef struct dewar_exchange dw_exchange; /* the same as outside */
typedef struct dw_handler dw_handler;
typedef struct dw_scope dw_scope;

/* What calling a handler came to. */
typedef enum dw_verdict {
  DW_DONE,   /* it answered: x->response is set */
  DW_PASS,   /* it has nothing to say */
  DW_FAILED, /* x->error says why */
  DW_PENDING /* dw_exchange_resume will tell */
} dw_verdict;

/* A language's (or the host's) way of calling. What the handler is called as is
 * in x->stage. */
struct dw_handler {
  dw_verdict (*call)(dw_handler *h, dw_exchange *x);
  void (*free)(dw_handler *h, dw_allocator *a); /* frees h itself, too */
};

typedef enum dw_hook {
  DW_HOOK_REQUEST,    /* a middleware's way in, before the match: app only */
  DW_HOOK_PREPROCESS, /* url_value_preprocessor */
  DW_HOOK_BEFORE,     /* before_request */
  DW_HOOK_AFTER,      /* after_request */
  DW_HOOK_RESPONSE,   /* ... and its way out, behind after_request */
  DW_HOOK_TEARDOWN,   /* teardown_request */
  DW_HOOK_COUNT
} dw_hook;

/* Moments that are told to listeners, who come and go at any time. */
typedef enum dw_signal {
  DW_SIGNAL_STARTED,   /* the route is known */
  DW_SIGNAL_EXCEPTION, /* nobody has handled an error */
  DW_SIGNAL_FINISHED,  /* the response is as it will be sent */
  DW_SIGNAL_TEARDOWN,  /* behind the teardown functions */
  DW_SIGNAL_COUNT
} dw_signal;

typedef struct dw_handlers {
  dw_handler **items;
  uint32_t count, cap;
  bool last_stays; /* what is added goes in front of the last one */
} dw_handlers;

typedef struct dw_error_handler {
  const dw_error_class *cls;
  dw_handler *handler;
} dw_error_handler;

enum { DW_SCOPES_MAX = 16 }; /* app and nested blueprints */

struct dw_scope {
  dw_scope *parent; /* the outer blueprint's, then the app's, then NULL */
  uint8_t depth;    /* 0: the app */
  dw_slice name;    /* the blueprint's full name "outer.inner"; "" of the app */
  dw_handlers hooks[DW_HOOK_COUNT];
  dw_error_handler *errors;
  uint32_t nerrors, errors_cap;
  dw_list node; /* of the app */
};

int dw_scope_new(dw_scope **out, dw_allocator *a, dw_scope *parent,
                 dw_slice name);
void dw_scope_free(dw_scope *s, dw_allocator *a);
/* Takes the handler (also when it fails: then it is freed). 0 or DW_ENOMEM. */
int dw_scope_add(dw_scope *s, dw_allocator *a, dw_hook hook, dw_handler *h);
/* The same for one that stays behind all others; there is one such at most. */
int dw_scope_add_last(dw_scope *s, dw_allocator *a, dw_hook hook,
                      dw_handler *h);
/* A second handler for the same class replaces the first, as in Flask. */
int dw_scope_add_error(dw_scope *s, dw_allocator *a, const dw_error_class *cls,
                       dw_handler *h);

/* The handler for an error of a class with an effective status (0: none), or
 * NULL: first those for its status, from the inner scope outwards, in each the
 * nearest class; then those for classes without a status, in the same way. */
dw_handler *dw_scope_find_error(const dw_scope *s, const dw_error_class *cls,
                                int status);

/* Walks the hooks of a chain: outer to inner in the order of registration, or
 * (reverse) inner to outer, last registered first. Start with all zero. */
typedef struct dw_hook_cursor {
  uint8_t level;
  bool started;
  uint32_t index;
} dw_hook_cursor;

dw_handler *dw_hook_next(dw_scope *scope, dw_hook hook, bool reverse,
                         dw_hook_cursor *cursor);

#endif
