/* SPDX-License-Identifier: MIT */
/* The runtime behind dewar.h: one allocator, one log, one loop, one script, and
 * the app that serves. Below it are the layers, above it the bindings, which
 * fill in the seam of script_engine.h. Owner: who called dewar_new, together
 * with the script's userdata: the memory of the struct goes with the last of
 * them. Thread: the loop's, except what dewar.h says. */
#ifndef DW_RUNTIME_H
#define DW_RUNTIME_H

#include "app/server.h"
#include "base/buffer.h"
#include "base/loop.h"
#include "dewar.h"
#include "http/mime.h"
#include "script_engine.h"

typedef enum dw_runtime_state {
  DW_RUNTIME_OPEN,
  DW_RUNTIME_CLOSING, /* dewar_free turns the loop */
  DW_RUNTIME_CLOSED   /* only the struct is left */
} dw_runtime_state;

struct dewar_runtime {
  dw_allocator alloc;
  dw_log log;
  dw_loop loop;
  dw_mime mime; /* types of files */
  dw_script *script;
  /* What serves: an app of our own, until a script has loaded one, which
   * belongs to the script. */
  dw_app *own_app;
  dw_server *own_server;
  dw_app *app;
  dw_server *server;
  bool loaded;
  dw_list routes;   /* of C views, to be added to an app that is loaded */
  dw_list calls;    /* of C views that will answer later */
  dw_list requests; /* of the host, without a socket, that are not over */
  int port;         /* of the last dewar_listen */
  unsigned busy;    /* calls into the script that are on the stack */
  unsigned refs;    /* who keeps the struct */
  uint8_t state;
  uint8_t stops; /* asked for since the last dewar_run: 0, 1, 2 or more */
  dw_timer stop_deadline;
  uint64_t stop_due;        /* when tasks that are left are cancelled */
  dw_buffer error;          /* NUL-ended */
  const char *error_static; /* instead of it, where memory ran out */
};

/* Keeps a text for dewar_error; returns code. */
int dw_runtime_fail(dewar_runtime *rt, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with the text of the code behind it. */
int dw_runtime_fail_code(dewar_runtime *rt, int code, const char *what);

/* As dewar_new and dewar_free for a script that brings its lua_State along and
 * whose userdata will release the runtime. */
int dw_runtime_close(dewar_runtime *rt);
void dw_runtime_release(dewar_runtime *rt);

/* As dewar_run and dewar_stop, on the loop's thread. */
int dw_runtime_run(dewar_runtime *rt);
void dw_runtime_stop(dewar_runtime *rt);

/* Comes before the server gets a listener or a connection. */
int dw_runtime_activate(dewar_runtime *rt);

/* C views (view.c): adds those that were registered before to an app that was
 * loaded; the text of a failure goes to dewar_error. */
int dw_views_add_all(dewar_runtime *rt, dw_app *app);
/* Cancels the views that are pending and have no cancel function. */
void dw_views_drop(dewar_runtime *rt);
void dw_views_deinit(dewar_runtime *rt);

#endif
