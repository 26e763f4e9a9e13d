/* SPDX-License-Identifier: MIT */
/* The app: owns its router, scopes and routes. */
#include "app/app.h"

#include "app/mount.h"
#include "base/error.h"

int dw_app_new(dw_app **out, dw_allocator *a) {
  dw_app *app = dw_zalloc(a, sizeof *app);
  *out = NULL;
  if (!app) return DW_ENOMEM;
  app->alloc = a;
  dw_list_init(&app->scopes);
  dw_list_init(&app->routes);
  dw_limits_init(&app->limits);
  app->file_max_age = -1;
  dw_compression_init(&app->compression);
  if (dw_router_new(&app->router, a) < 0 ||
      dw_scope_new(&app->scope, a, NULL, DW_EMPTY) < 0) {
    dw_app_free(app);
    return DW_ENOMEM;
  }
  *out = app;
  return 0;
}

static void mounts_free(dw_mounts *list, dw_allocator *a) {
  for (uint32_t i = 0; i < list->count; i++) {
    dw_buffer_deinit(&list->items[i].text);
    dw_hosts_deinit(&list->items[i].hosts, a);
  }
  dw_free(a, list->items, list->cap * sizeof *list->items);
}

static void route_free(dw_route *route, dw_allocator *a) {
  dw_list_remove(&route->node);
  if (route->view) route->view->free(route->view, a);
  dw_free(a, route, sizeof *route);
}

void dw_app_free(dw_app *app) {
  if (!app) return;
  dw_list *n;
  while ((n = dw_list_shift(&app->routes)))
    route_free(DW_CONTAINER(n, dw_route, node), app->alloc);
  while ((n = dw_list_shift(&app->scopes)))
    dw_scope_free(DW_CONTAINER(n, dw_scope, node), app->alloc);
  dw_scope_free(app->scope, app->alloc);
  for (int i = 0; i < DW_SIGNAL_COUNT; i++)
    if (app->signals[i]) app->signals[i]->free(app->signals[i], app->alloc);
  if (app->saver) app->saver->free(app->saver, app->alloc);
  dw_router_free(app->router);
  mounts_free(&app->mounts, app->alloc);
  dw_hosts_deinit(&app->hosts, app->alloc);
  dw_compression_deinit(&app->compression);
  dw_free(app->alloc, app, sizeof *app);
}

/* A rule that nothing would ever come to is a mistake. */
static int check_reach(const dw_app *app, const dw_rule_options *o,
                       dw_buffer *message) {
  const dw_mount *m = o->build_only ? NULL : dw_app_covers(app, o->rule);
  if (!m) return 0;
  const dw_slice parts[] = {DW_LITERAL("no request would come to '"), o->rule,
                            DW_LITERAL("': an app is mounted at '"),
                            m->prefix.len > 0 ? m->prefix : DW_LITERAL("/"),
                            DW_LITERAL("'")};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
    if (dw_buffer_append_slice(message, parts[i]) < 0) return DW_ENOMEM;
  return DEWAR_EEXIST;
}

int dw_app_add_route(dw_app *app, dw_rule_options *options, dw_handler *view,
                     dw_scope *scope, dw_route **out, dw_buffer *message) {
  dw_route *route = dw_zalloc(app->alloc, sizeof *route);
  *out = NULL;
  if (!route) {
    if (view) view->free(view, app->alloc);
    return DW_ENOMEM;
  }
  dw_list_init(&route->node);
  route->view = view;
  route->scope = scope ? scope : app->scope;
  options->data = route;
  const dw_rule *rule;
  int code = app->frozen ? DEWAR_EMISUSE : check_reach(app, options, message);
  if (code == 0) code = dw_router_add(app->router, options, &rule, message);
  if (code < 0) {
    route_free(route, app->alloc);
    return code;
  }
  dw_list_push(&app->routes, &route->node);
  *out = route;
  return 0;
}

int dw_app_add_scope(dw_app *app, dw_scope *parent, dw_slice name,
                     dw_scope **out) {
  *out = NULL;
  if (app->frozen) return DEWAR_EMISUSE;
  if (parent && parent->depth + 1 >= DW_SCOPES_MAX) return DEWAR_ETOOBIG;
  int code = dw_scope_new(out, app->alloc, parent ? parent : app->scope, name);
  if (code == 0) dw_list_push(&app->scopes, &(*out)->node);
  return code;
}
