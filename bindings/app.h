/* SPDX-License-Identifier: MIT */
/* An app of Lua's: the C app, its server, and the Lua values it needs. The
 * userdata "dewar.core_app" is it; its user value is the refs table, which
 * holds the Lua app and every function. While the server has listeners or
 * connections, or a background task runs, the registry holds both by the app's
 * address (active means anchored, idle means collectable). */
#ifndef DW_BINDINGS_APP_H
#define DW_BINDINGS_APP_H

#include "app/server.h"
#include "bindings/script.h"

typedef struct dw_lua_app {
  dw_script *script;
  dw_app *app;       /* NULL: closed */
  dw_server *server;
  dw_list node;      /* of the script */
  int refs;          /* functions in the refs table */
  int anchor;        /* registry: the refs table, while the app is active */
  unsigned tasks;    /* background tasks, which keep it active */
  unsigned services; /* as does its service */
  unsigned held;     /* ... and each active app that it is mounted in */
  unsigned holds;    /* mounted apps that it keeps active */
  dw_list drained;   /* who waits for the end of all background tasks */
  bool debug;        /* DEBUG */
  bool cpu_limited; /* CPU_LIMIT has been set */
  bool empty_array;  /* JSON_EMPTY_TABLE = "array" */
  size_t max_cookie; /* MAX_COOKIE_SIZE; 0: none */
} dw_lua_app;

/* Fixed places in the refs table; functions follow. */
enum {
  DW_REF_SELF = 1,
  DW_REF_CORE,
  DW_REF_MOUNTED, /* see mount.c; nil: nothing is */
  DW_REF_COUNT = DW_REF_MOUNTED
};

#define DW_APP_TYPE "dewar.core_app"

/* Adds app_new to the module table on top, and the type. */
void dw_app_open(lua_State *L, dw_script *s);
dw_lua_app *dw_app_check(lua_State *L, int index);
/* Anchors the app at index, for as long as its server has something open. Call
 * it before a listener or a connection is opened; raises without memory. */
void dw_app_activate(lua_State *L, int index);
/* Lets go of it where nothing keeps it active; never raises. */
void dw_app_deactivate(lua_State *L, dw_lua_app *a);
/* Pushes the refs table of an active app; never raises. */
void dw_app_push_refs(lua_State *L, dw_lua_app *app);
/* Pushes the Lua app (the instance of dewar.App). */
void dw_app_push_self(lua_State *L, dw_lua_app *app);
/* Cuts every server of the script and turns the loop until they are idle. */
void dw_apps_close(dw_script *s);
/* Frees what C has of them all, when they are idle; their objects, which a
 * host's scripts may still hold, are closed. */
void dw_apps_free(dw_script *s);

/* Ends all that runs on the script, before its state or runtime goes (init.c);
 * idempotent. */
void dw_script_shutdown(dw_script *s);
/* The scope at index, nil being the app's own. */
dw_scope *dw_app_opt_scope(lua_State *L, dw_lua_app *a, int index);

/* config.TRUSTED_HOSTS = the value at 3; raises where it is none (hosts.c). */
void dw_app_set_hosts(lua_State *L, dw_lua_app *app);
/* core:trusts(req): whether the request's host is one of them. */
int dw_app_trusts(lua_State *L);
/* Sets the app's setting of that name to the value at index 3, if it is one of
 * compression (app_compress.c); raises where that is none. */
bool dw_app_configure_compression(lua_State *L, dw_lua_app *a,
                                  const char *name);
/* Methods of the core (background.c): tasks of the app, not of a request. */
int dw_app_background(lua_State *L);
int dw_app_service(lua_State *L);
int dw_app_end_service(lua_State *L);
int dw_app_drain(lua_State *L);
int dw_app_cancel_background(lua_State *L);
/* Mounted apps (mount.c): keeps them active as long as a is, whose refs table is
 * at the index, raising where there is no memory; lets go of them; methods of
 * the core; adds mounted_at. */
void dw_app_hold_mounted(lua_State *L, int refs, dw_lua_app *a);
void dw_app_release_mounted(lua_State *L, dw_lua_app *a);
int dw_app_mount_core(lua_State *L);
int dw_app_root(lua_State *L);
void dw_mount_open(lua_State *L, dw_script *s);
/* Adds environ (environ.c), which app.config reads. */
void dw_environ_open(lua_State *L, dw_script *s);
/* Adds escape and plain_text (escape.c). */
void dw_escape_open(lua_State *L, dw_script *s);
/* core:serve() (serve.c): turns the loop until the app has been stopped and its
 * requests are over. */
int dw_app_serve(lua_State *L);
/* core:watch(on_stop, on_dump [, worker]) (signals.c): until the result is
 * closed, SIGINT and SIGTERM stop the app, a worker's only the latter, and
 * SIGUSR1 logs what on_dump returns. */
int dw_app_watch(lua_State *L);
void dw_watch_open(lua_State *L, dw_script *s);

#endif
