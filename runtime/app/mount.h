/* SPDX-License-Identifier: MIT */
/* Apps below a path of another one. A request that goes there becomes the
 * mounted app's, in the same exchange: its router, hooks, error handlers,
 * session and limits. The apps that it has come through are its levels; on its
 * way back, the middleware of each has a look at the answer, from the inside
 * out. Where nothing is mounted, an exchange has no levels and pays nothing.
 * Owner of levels: the request's arena. Thread: the loop's. */
#ifndef DW_APP_MOUNT_H
#define DW_APP_MOUNT_H

#include "app/exchange.h"

/* What differs between the apps of a request. Of the level that it is at, the
 * exchange has the values, and these are out of date. */
struct dw_level {
  dw_level *outer, *inner;
  unsigned depth; /* 0: the app that is served */
  bool session;
  dw_app *app;
  dw_scope *scope;
  dw_slice root, path, raw_path;
};

/* Mounts inner below prefix: "/admin", or "/" for whatever goes nowhere else;
 * for some hosts (as dw_hosts_set takes them), or, where there are none, for
 * all. One for a request's host goes before one for all; then the longest
 * prefix wins. 0; DW_ENOMEM; DEWAR_EMISUSE where app is frozen; DEWAR_EEXIST or
 * DEWAR_EINVAL with what is wrong in *message. inner must live as long as app
 * has requests. */
int dw_app_mount(dw_app *app, dw_slice prefix, const dw_slice *hosts,
                 size_t nhosts, dw_app *inner, dw_buffer *message);
/* Makes it, and what is mounted in it, final. */
void dw_app_freeze(dw_app *app);
/* The mount that takes all that a rule would match, or NULL. */
const dw_mount *dw_app_covers(const dw_app *app, dw_slice rule);

/* In MATCH: DONE: the request is the mounted app's now, and begins anew with
 * that one's middleware; PASS: it stays here; FAILED. */
dw_verdict dw_mount_enter(dw_exchange *x);
/* What asked for a mount without its slash, and would have been found with it,
 * is sent there, as a rule that ends in a slash would do. 0 or DW_ENOMEM. */
int dw_mount_redirect(dw_exchange *x);
/* Behind the middleware of an app: to the one outside of it. false: there is
 * none, and the exchange is back in the app that has answered. */
bool dw_mount_leave(dw_exchange *x);
/* Back there at once. */
void dw_mount_return(dw_exchange *x);

/* Where the app is, for URLs in x: what stands before its paths is appended.
 * 1; 0: it isn't reached by way of x's apps; DW_ENOMEM. */
int dw_mount_root(const dw_exchange *x, const dw_app *app, dw_buffer *out);

/* The session of the app at that depth is to be saved on the way back. */
void dw_mount_session_opened(dw_exchange *x, unsigned depth);
/* How deep in mounted apps the exchange is: what a level keeps by itself has
 * that number. */
static inline unsigned dw_mount_depth(const dw_exchange *x) {
  return x->level ? x->level->depth : 0;
}
/* The path that the client asked for, mounts included, for the log. */
dw_slice dw_mount_whole_path(const dw_exchange *x);
dw_slice dw_mount_whole_raw_path(const dw_exchange *x);

#endif
