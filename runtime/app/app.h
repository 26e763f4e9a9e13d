/* SPDX-License-Identifier: MIT */
/* An app: its rules, hooks, error handlers and settings, in C. What is pleasant
 * about an app is Lua (lua/dewar/app.lua). Owner: who made it (a binding, or the
 * runtime). Frozen by its first request, but for signals. */
#ifndef DW_APP_APP_H
#define DW_APP_APP_H

#include "app/compress.h"
#include "app/hooks.h"
#include "app/hosts.h"
#include "app/router.h"
#include "http/limits.h"

typedef struct dw_server dw_server;
typedef struct dw_app dw_app;

/* What a rule leads to. */
typedef struct dw_route {
  dw_handler *view;
  dw_scope *scope;
  uint64_t max_content_length; /* UINT64_MAX: the app's */
  uint64_t timeout;            /* ms; 0: the app's */
  bool has_max_content_length;
  dw_list node; /* of the app */
} dw_route;

/* Another app below a path of this one: see mount.h. */
typedef struct dw_mount {
  dw_buffer text;  /* of both: */
  dw_slice prefix; /* "/admin", decoded; "": everything */
  dw_slice root;   /* the same in a URL */
  dw_hosts hosts;  /* that it is for */
  dw_app *app;
  bool held; /* the binding's */
} dw_mount;

typedef struct dw_mounts {
  dw_mount *items; /* those for hosts, then the longest prefix, first */
  uint32_t count, cap;
} dw_mounts;

struct dw_app {
  dw_allocator *alloc;
  dw_router *router;
  dw_scope *scope;  /* its own hooks */
  dw_list scopes;   /* of blueprints */
  dw_list routes;
  dw_mounts mounts;
  dw_limits limits;
  dw_hosts hosts;   /* TRUSTED_HOSTS */
  dw_compression compression;
  dw_handler *signals[DW_SIGNAL_COUNT]; /* made once, kept to the end */
  dw_handler *saver; /* of the session of a request that has opened it */
  uint8_t heard;    /* bits: the signals that somebody listens to now */
  int64_t file_max_age; /* seconds that files may be kept; -1: to be asked */
  bool frozen;      /* the first request has come */
  bool testing;     /* TESTING, or PROPAGATE_EXCEPTIONS: see dispatch.c */
  void *data;       /* the binding's */
};

int dw_app_new(dw_app **out, dw_allocator *a);
void dw_app_free(dw_app *app);
/* Takes the view (also when it fails). options->data is set to the route. 0, or
 * what dw_router_add says; DEWAR_EMISUSE after the first request. */
int dw_app_add_route(dw_app *app, dw_rule_options *options, dw_handler *view,
                     dw_scope *scope, dw_route **out, dw_buffer *message);
int dw_app_add_scope(dw_app *app, dw_scope *parent, dw_slice name,
                     dw_scope **out);

#endif
