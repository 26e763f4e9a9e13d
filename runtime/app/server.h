/* SPDX-License-Identifier: MIT */
/* A server: an app on listeners. It accepts, counts connections, stops
 * gracefully. Owner: the runtime. Thread: the loop's. */
#ifndef DW_APP_SERVER_H
#define DW_APP_SERVER_H

#include "app/exchange.h"

enum { DW_LISTENERS_MAX = 8 };

struct dw_server {
  dw_http http; /* first */
  dw_app *app;
  const dw_runner *runner; /* NULL: no script engine */
  dw_log *log;
  bool access_log;
  dw_listener *listeners[DW_LISTENERS_MAX];
  unsigned nlisteners;
  unsigned closing; /* listeners whose close is under way */
  bool stopping;
  bool held;        /* see dw_server_hold */
  bool paused;      /* held, or at MAX_CONNECTIONS */
  dw_timer deadline;
  /* Nothing is open any more, neither listener nor connection: called each time
   * that comes to be, from a later turn than the call that brought it about. */
  void (*idle_cb)(dw_server *s);
  void *data;
};

int dw_server_new(dw_server **out, dw_loop *loop, dw_app *app,
                  const dw_runner *runner);
/* Only when stopped (or never started). */
void dw_server_free(dw_server *s);
int dw_server_listen(dw_server *s, const char *host, int port, int *bound);
int dw_server_listen_unix(dw_server *s, const char *path);
/* On a listening socket that was opened elsewhere; after a failure it is still
 * the caller's. */
int dw_server_listen_fd(dw_server *s, int fd);
/* A connection that did not come through a listener: the in-memory pair's. */
int dw_server_accept(dw_server *s, dw_stream *stream, dw_connection **out);
/* Until dw_server_admit, clients of listeners wait in their line: what listens
 * has the port, but isn't ready. */
void dw_server_hold(dw_server *s);
void dw_server_admit(dw_server *s);
/* Gracefully; a second call cuts at once. idle_cb tells of the end, unless the
 * server is idle already. It doesn't serve again. */
void dw_server_stop(dw_server *s);
/* Neither listeners nor connections. */
bool dw_server_idle(const dw_server *s);

#endif
