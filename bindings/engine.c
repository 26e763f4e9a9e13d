/* SPDX-License-Identifier: MIT */
/* The script engine of the runtime, but for opening and closing (init.c):
 * loading an app, stopping, looking whether anything is left. Thread: the
 * loop's. */
#include <errno.h>

#include "base/error.h"
#include "bindings/app.h"
#include "bindings/init.h"
#include "bindings/task.h"

void *dw_engine_state(const dw_script *s) { return s->L; }

/* --- Loading ---------------------------------------------------------------*/

typedef struct loading {
  dw_script *script;
  const dw_source *source;
  dw_lua_app *app;
  bool running; /* the chunk has been compiled */
  int status;   /* of Lua */
  int code;     /* of a failure that isn't the script's */
} loading;

static const char *name_of(const dw_source *source) {
  return source->path ? source->path : source->name;
}

/* Pushes the function, or raises what is wrong with it. */
static void push_chunk(lua_State *L, loading *l) {
  const dw_source *source = l->source;
  int status;
  if (source->path) {
    errno = 0;
    status = luaL_loadfilex(L, source->path, NULL);
    if (status == LUA_ERRFILE) l->code = uv_translate_sys_error(errno);
  } else {
    lua_pushfstring(L, "=%s", source->name);
    status = luaL_loadbufferx(L, source->text, source->len, lua_tostring(L, -1),
                              "t");
  }
  if (status != LUA_OK) lua_error(L);
}

/* The core of the value on top, or NULL. */
static dw_lua_app *core_of(lua_State *L) {
  if (!lua_istable(L, -1)) return NULL;
  lua_getfield(L, -1, "_core");
  dw_lua_app *app = luaL_testudata(L, -1, DW_APP_TYPE);
  lua_pop(L, 1);
  return app && app->app ? app : NULL;
}

static int load_main(lua_State *L) {
  loading *l = lua_touserdata(L, 1);
  push_chunk(L, l);
  l->running = true;
  lua_pushstring(L, name_of(l->source));
  lua_call(L, 1, 1);
  l->app = core_of(L);
  if (!l->app) {
    l->code = DEWAR_EAPP;
    return luaL_error(L,
                      "%s must end in `return app`, with an app that "
                      "dewar.app() has made; what it returned is a %s",
                      name_of(l->source), luaL_typename(L, -1));
  }
  l->script->loaded = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* The message handler: any value as text, and where the script failed. */
static int describe(lua_State *L) {
  const loading *l = lua_touserdata(L, lua_upvalueindex(1));
  const char *text = luaL_tolstring(L, 1, NULL);
  if (l->running && l->code == 0) luaL_traceback(L, L, text, 1);
  return 1;
}

static int load_protected(lua_State *L) {
  loading *l = lua_touserdata(L, 1);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, describe, 1);
  lua_pushcfunction(L, load_main);
  lua_pushvalue(L, 1);
  l->status = lua_pcall(L, 1, 0, 2);
  return l->status == LUA_OK ? 0 : lua_error(L);
}

int dw_engine_load(dw_script *s, const dw_source *source, dw_app **app,
                   dw_server **server) {
  lua_State *L = s->L;
  if (!lua_checkstack(L, LUA_MINSTACK))
    return dw_runtime_fail_code(s->runtime, UV_ENOMEM, name_of(source));
  loading l = {.script = s, .source = source};
  lua_pushcfunction(L, load_protected);
  lua_pushlightuserdata(L, &l);
  int status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK) {
    int code = dw_engine_failed(s->runtime, L, l.status ? l.status : status);
    return l.code ? l.code : code;
  }
  *app = l.app->app;
  *server = l.app->server;
  return 0;
}

static int activate(lua_State *L) {
  dw_script *s = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->loaded);
  lua_getfield(L, -1, "_core");
  dw_app_activate(L, lua_gettop(L));
  return 0;
}

int dw_engine_activate(dw_script *s) {
  lua_State *L = s->L;
  if (!lua_checkstack(L, LUA_MINSTACK))
    return dw_runtime_fail_code(s->runtime, UV_ENOMEM, "the loaded app");
  lua_pushcfunction(L, activate);
  lua_pushlightuserdata(L, s);
  int status = lua_pcall(L, 1, 0, 0);
  return status == LUA_OK ? 0 : dw_engine_failed(s->runtime, L, status);
}

/* --- Stopping --------------------------------------------------------------*/

static dw_lua_app *app_at(dw_list *node) {
  return DW_CONTAINER(node, dw_lua_app, node);
}

void dw_engine_stop(dw_script *s) {
  for (dw_list *n = s->apps.next; n != &s->apps; n = n->next)
    dw_server_stop(app_at(n)->server);
}

/* The tasks of requests are their servers' business. */
void dw_engine_cancel(dw_script *s) {
  if (!s->root) return;
  dw_list *children = &s->root->children;
  for (dw_list *n = children->next; n != children; n = n->next) {
    dw_task *t = DW_CONTAINER(n, dw_task, sibling);
    if (!t->stage && !t->service) dw_task_cancel(t, false);
  }
}

bool dw_engine_idle(const dw_script *s) {
  for (dw_list *n = s->apps.next; n != &s->apps; n = n->next)
    if (!dw_server_idle(app_at(n)->server)) return false;
  return true;
}

bool dw_engine_done(const dw_script *s) {
  if (!dw_engine_idle(s)) return false;
  if (!s->root) return true;
  const dw_list *children = &s->root->children;
  for (const dw_list *n = children->next; n != children; n = n->next)
    if (!DW_CONTAINER(n, dw_task, sibling)->service) return false;
  return true;
}

/* --- Starting and ending ---------------------------------------------------*/

typedef struct phase {
  dw_script *script;
  const char *method; /* of the Lua app */
  bool at_once;
} phase;

static int call_method(lua_State *L) {
  const phase *p = lua_touserdata(L, 1);
  lua_rawgeti(L, LUA_REGISTRYINDEX, p->script->loaded);
  lua_getfield(L, -1, p->method);
  lua_insert(L, -2);
  lua_pushboolean(L, p->at_once);
  lua_call(L, 2, 0);
  return 0;
}

static int call_phase(dw_script *s, const char *method, bool at_once) {
  lua_State *L = s->L;
  phase p = {s, method, at_once};
  if (s->loaded == LUA_NOREF) return 0;
  if (!lua_checkstack(L, LUA_MINSTACK))
    return dw_runtime_fail_code(s->runtime, UV_ENOMEM, "the loaded app");
  lua_pushcfunction(L, call_method);
  lua_pushlightuserdata(L, &p);
  int status = lua_pcall(L, 1, 0, 0);
  return status == LUA_OK ? 0 : dw_engine_failed(s->runtime, L, status);
}

int dw_engine_start(dw_script *s) { return call_phase(s, "_start_up", false); }

int dw_engine_finish(dw_script *s, bool at_once) {
  return call_phase(s, "_shut_down", at_once);
}
