/* SPDX-License-Identifier: MIT */
/* The seam between the runtime and its script language, which bindings/
 * implements for Lua: nothing under runtime/ knows more of it than this. All
 * functions keep the language's errors to themselves; where one fails, they
 * leave the text for dewar_error. Thread: the loop's. */
#ifndef DW_SCRIPT_ENGINE_H
#define DW_SCRIPT_ENGINE_H

#include <stddef.h>

#include "app/server.h"

typedef struct dw_script dw_script;
typedef struct dewar_runtime dewar_runtime;

/* A script to be loaded. */
typedef struct dw_source {
  const char *path; /* of a file; or NULL, and then */
  const char *text;
  size_t len;
  const char *name; /* of the text, in messages */
} dw_source;

/* Opens the language on the runtime, in the host's state (a lua_State *) or,
 * where that is NULL, in a state of its own. On success rt->script is set and
 * has a reference to rt. On failure everything is as before. DEWAR_EEXIST: the
 * state has a runtime already. */
int dw_engine_open(dewar_runtime *rt, void *state);
/* Runs a script, which returns an app; the app and its server are the script's,
 * and stay until it is closed. */
int dw_engine_load(dw_script *s, const dw_source *source, dw_app **app,
                   dw_server **server);
/* Comes before the server of the app that was loaded gets a listener or a
 * connection: what the app needs is kept while it has one. 0 or DW_ENOMEM. */
int dw_engine_activate(dw_script *s);
/* Stops the servers of all of the script's apps, gracefully the first time. */
void dw_engine_stop(dw_script *s);
/* Runs what the app that was loaded wants to have run before it serves, unless
 * it has; turns the loop until that is done. */
int dw_engine_start(dw_script *s);
/* Runs what it wants to have run afterwards, if it was started: comes when
 * dw_engine_done. at_once: waits in it are cancelled, as they are by a
 * dw_engine_cancel meanwhile. */
int dw_engine_finish(dw_script *s, bool at_once);
/* Cancels the tasks that belong to no request. */
void dw_engine_cancel(dw_script *s);
/* Whether all of the script's servers are idle; whether, besides, no task is
 * left but what dw_engine_finish ends. */
bool dw_engine_idle(const dw_script *s);
bool dw_engine_done(const dw_script *s);
/* Cancels everything and turns the loop until it has ended; puts back what was
 * replaced in a host's state, closes an own one. The script's functions may
 * live on in a host's state; they find it closed. */
void dw_engine_close(dw_script *s);
/* The language's state (a lua_State *). */
void *dw_engine_state(const dw_script *s);

#endif
