/* SPDX-License-Identifier: MIT */
/* What middleware may change of a request in DW_STAGE_REQUEST, before the route
 * is known: what a proxy in front has hidden, or what the path stands for. The
 * bytes are copied into the request's arena. Each returns 0, DW_ENOMEM, or
 * DEWAR_EINVAL for what no request can have; then nothing is changed. Thread:
 * the loop's. */
#ifndef DW_APP_REWRITE_H
#define DW_APP_REWRITE_H

#include "app/exchange.h"

/* A HEAD request stays one, and no other becomes one: whether the client waits
 * for a body isn't ours to say. */
int dw_rewrite_method(dw_exchange *x, dw_slice name);
/* With a port, or without. */
int dw_rewrite_host(dw_exchange *x, dw_slice authority);
int dw_rewrite_scheme(dw_exchange *x, dw_slice scheme);
/* The path as x->path has it: of its "%" only %2F and %25 are escapes. */
int dw_rewrite_path(dw_exchange *x, dw_slice path);
/* The path as a client would send it. */
int dw_rewrite_raw_path(dw_exchange *x, dw_slice path);
/* What URLs have before the path: "/app", or "". A slash at its end is dropped.
 */
int dw_rewrite_root(dw_exchange *x, dw_slice root);
int dw_rewrite_remote(dw_exchange *x, dw_slice address);
/* The name of the request in the log. */
int dw_rewrite_id(dw_exchange *x, dw_slice id);

#endif
