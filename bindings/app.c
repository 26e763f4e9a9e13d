/* SPDX-License-Identifier: MIT */
/* The core of an app for lua/dewar/app.lua: hooks, error handlers, settings,
 * listening. Its routes are in route.c, its serving in serve.c. */
#include "bindings/app.h"

#include <math.h>

#include "base/error.h"
#include "bindings/client.h"
#include "bindings/errors.h"
#include "bindings/handler.h"
#include "bindings/response.h"
#include "bindings/route.h"
#include "bindings/watchdog.h"
#include "bindings/work.h"
#include "http/ws_extension.h"

#define SCOPE_TYPE "dewar.app_scope"

/* --- The object ------------------------------------------------------------*/

dw_lua_app *dw_app_check(lua_State *L, int index) {
  dw_lua_app *a = luaL_checkudata(L, index, DW_APP_TYPE);
  if (!a->app) dw_misuse(L, "this app is closed");
  return a;
}

void dw_app_push_refs(lua_State *L, dw_lua_app *app) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, app->anchor);
}

void dw_app_push_self(lua_State *L, dw_lua_app *app) {
  dw_app_push_refs(L, app);
  lua_rawgeti(L, -1, DW_REF_SELF);
  lua_remove(L, -2);
}

void dw_app_activate(lua_State *L, int index) {
  dw_lua_app *a = dw_app_check(L, index);
  bool anchored = a->anchor != LUA_NOREF;
  if (anchored && a->holds == a->app->mounts.count) return;
  lua_getiuservalue(L, index, 1);
  if (!anchored) {
    lua_pushvalue(L, -1);
    a->anchor = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  if (a->app->mounts.count > 0) dw_app_hold_mounted(L, lua_gettop(L), a);
  lua_pop(L, 1);
}

static bool is_active(const dw_lua_app *a) {
  return a->tasks + a->services + a->held > 0 || !dw_server_idle(a->server);
}

/* The refs table holds the userdata, so it's enough to let go of that, which
 * raises nothing. */
void dw_app_deactivate(lua_State *L, dw_lua_app *a) {
  if (!a->server || a->anchor == LUA_NOREF || is_active(a)) return;
  luaL_unref(L, LUA_REGISTRYINDEX, a->anchor);
  a->anchor = LUA_NOREF;
  dw_app_release_mounted(L, a);
}

static void idle_cb(dw_server *server) {
  dw_lua_app *a = server->data;
  dw_app_deactivate(a->script->L, a);
}

static int app_new(lua_State *L) {
  dw_script *s = dw_script_of(L);
  if (s->closing) return dw_misuse(L, "Dewar's runtime has been closed");
  luaL_checktype(L, 1, LUA_TTABLE);
  dw_lua_app *a = lua_newuserdatauv(L, sizeof *a, 1);
  memset(a, 0, sizeof *a);
  a->script = s;
  a->refs = DW_REF_COUNT;
  a->anchor = LUA_NOREF;
  dw_list_init(&a->node);
  dw_list_init(&a->drained);
  luaL_setmetatable(L, DW_APP_TYPE);
  lua_createtable(L, 16, 0);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, DW_REF_SELF);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, DW_REF_CORE);
  lua_setiuservalue(L, -2, 1);
  int code = dw_app_new(&a->app, s->alloc);
  if (code == 0)
    code = dw_server_new(&a->server, s->loop, a->app, &dw_lua_runner);
  if (code < 0) return luaL_error(L, "not enough memory");
  a->app->data = a;
  a->server->data = a;
  a->server->idle_cb = idle_cb;
  a->server->access_log = true; /* at level info, which is off by default */
  dw_list_push(&s->apps, &a->node);
  return 1;
}

static void close_app(dw_lua_app *a) {
  dw_list_remove(&a->node);
  dw_server_free(a->server);
  dw_app_free(a->app);
  a->server = NULL;
  a->app = NULL;
}

/* Only idle apps are collected, but for a Lua state that is being closed. */
static int app_gc(lua_State *L) {
  dw_lua_app *a = luaL_checkudata(L, 1, DW_APP_TYPE);
  if (a->server && is_active(a)) dw_script_shutdown(a->script);
  close_app(a);
  return 0;
}

static bool all_idle(void *data) {
  dw_script *s = data;
  for (dw_list *n = s->apps.next; n != &s->apps; n = n->next)
    if (!dw_server_idle(DW_CONTAINER(n, dw_lua_app, node)->server)) return false;
  return dw_list_empty(&s->clients);
}

void dw_apps_close(dw_script *s) {
  dw_clients_close(s);
  for (dw_list *n = s->apps.next; n != &s->apps; n = n->next) {
    dw_server *server = DW_CONTAINER(n, dw_lua_app, node)->server;
    dw_server_stop(server);
    dw_http_cut(&server->http);
  }
  dw_loop_run(s->loop, all_idle, s);
}

void dw_apps_free(dw_script *s) {
  for (dw_list *n = s->apps.next; n != &s->apps; n = n->next) {
    dw_lua_app *a = DW_CONTAINER(n, dw_lua_app, node);
    if (a->server) idle_cb(a->server); /* it may have been activated in vain */
  }
  while (!dw_list_empty(&s->apps))
    close_app(DW_CONTAINER(s->apps.next, dw_lua_app, node));
}

/* --- Scopes, hooks, error handlers -----------------------------------------*/

static dw_scope *opt_scope(lua_State *L, dw_lua_app *a, int index) {
  if (lua_isnoneornil(L, index)) return a->app->scope;
  return *(dw_scope **)luaL_checkudata(L, index, SCOPE_TYPE);
}

dw_scope *dw_app_opt_scope(lua_State *L, dw_lua_app *a, int index) {
  return opt_scope(L, a, index);
}

static void check_open(lua_State *L, dw_lua_app *a) {
  if (a->app->frozen)
    dw_misuse(L, "the app has handled its first request; set it up before");
}

static int add_scope(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  size_t len;
  const char *name = luaL_checklstring(L, 2, &len);
  dw_scope *parent = opt_scope(L, a, 3), *scope;
  check_open(L, a);
  dw_scope **box = lua_newuserdatauv(L, sizeof *box, 0);
  luaL_setmetatable(L, SCOPE_TYPE);
  int code = dw_app_add_scope(a->app, parent, dw_slice_of(name, len), &scope);
  if (code == DEWAR_ETOOBIG)
    return dw_misuse(L, "blueprints can be nested %d deep at most",
                     DW_SCOPES_MAX - 1);
  if (code < 0) return luaL_error(L, "not enough memory");
  *box = scope;
  return 1;
}

static int add_hook(lua_State *L) {
  static const char *const kinds[] = {"request", "preprocess", "before",
                                      "after",   "response",   "teardown",
                                      NULL};
  dw_lua_app *a = dw_app_check(L, 1);
  dw_scope *scope = opt_scope(L, a, 2);
  dw_hook hook = (dw_hook)luaL_checkoption(L, 3, NULL, kinds);
  check_open(L, a);
  dw_handler *h = dw_handler_new(L, 1, 4);
  if (dw_scope_add(scope, a->app->alloc, hook, h) < 0)
    return luaL_error(L, "not enough memory");
  return 0;
}

/* core:save_sessions_by(f): f(req, res) saves a session that was opened. */
static int save_sessions_by(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  luaL_argcheck(L, !a->app->saver, 1, "there is one already");
  a->app->saver = dw_handler_new_own(L, 1, 2);
  return 0;
}

/* core:open_sessions_by(f): f(req), once all middleware has let it in. */
static int open_sessions_by(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  dw_scope *scope = a->app->scope;
  check_open(L, a);
  if (scope->hooks[DW_HOOK_REQUEST].last_stays) return 0;
  dw_handler *h = dw_handler_new_own(L, 1, 2);
  if (dw_scope_add_last(scope, a->app->alloc, DW_HOOK_REQUEST, h) < 0)
    return luaL_error(L, "not enough memory");
  return 0;
}

static int add_error_handler(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  dw_scope *scope = opt_scope(L, a, 2);
  const dw_error_class *cls = dw_errors_check_class(L, 3);
  luaL_argcheck(L, cls, 3, "error class expected");
  check_open(L, a);
  dw_handler *h = dw_handler_new(L, 1, 4);
  /* The class lives as long as the app. */
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, 3);
  lua_rawseti(L, -2, ++a->refs);
  if (dw_scope_add_error(scope, a->app->alloc, cls, h) < 0)
    return luaL_error(L, "not enough memory");
  return 0;
}

/* core:listen_to(signal, on [, f]): with the first call comes the function that
 * tells the listeners. It stays, as a request may be in it. */
static int listen_to(lua_State *L) {
  static const char *const names[] = {"request_started", "got_request_exception",
                                      "request_finished",
                                      "request_tearing_down", NULL};
  dw_lua_app *a = luaL_checkudata(L, 1, DW_APP_TYPE);
  int signal = luaL_checkoption(L, 2, NULL, names);
  bool on = lua_toboolean(L, 3);
  if (!a->app) return 0; /* closed: nothing will be sent */
  if (on && !a->app->signals[signal])
    a->app->signals[signal] = dw_handler_new_own(L, 1, 4);
  if (on)
    a->app->heard |= (uint8_t)(1u << signal);
  else
    a->app->heard &= (uint8_t)~(1u << signal);
  return 0;
}

/* --- Settings --------------------------------------------------------------*/

typedef enum setting_kind {
  SETTING_MS,    /* seconds in Lua; 0 and nil: none */
  SETTING_SIZE,  /* bytes */
  SETTING_MAX,   /* bytes, nil: no limit */
  SETTING_COUNT, /* nil: none */
  SETTING_FLAG
} setting_kind;

typedef struct setting {
  const char *name;
  setting_kind kind;
  size_t offset;
} setting;

#define LIMIT(name, kind, field) {name, kind, offsetof(dw_limits, field)}

static const setting settings[] = {
    LIMIT("HEADER_TIMEOUT", SETTING_MS, header_timeout),
    LIMIT("BODY_TIMEOUT", SETTING_MS, body_timeout),
    LIMIT("KEEP_ALIVE_TIMEOUT", SETTING_MS, keep_alive_timeout),
    LIMIT("WRITE_TIMEOUT", SETTING_MS, write_timeout),
    LIMIT("REQUEST_TIMEOUT", SETTING_MS, request_timeout),
    LIMIT("SHUTDOWN_TIMEOUT", SETTING_MS, shutdown_timeout),
    LIMIT("MAX_CONTENT_LENGTH", SETTING_MAX, max_content_length),
    LIMIT("MAX_FORM_MEMORY_SIZE", SETTING_MAX, max_form_memory_size),
    LIMIT("MAX_FORM_PARTS", SETTING_MAX, max_form_parts),
    LIMIT("FORM_SPOOL_SIZE", SETTING_MAX, form_spool_size),
    LIMIT("MAX_TARGET_SIZE", SETTING_SIZE, max_target_size),
    LIMIT("MAX_HEADER_SIZE", SETTING_SIZE, max_header_size),
    LIMIT("MAX_HEADERS", SETTING_SIZE, max_headers),
    LIMIT("MAX_TRAILER_SIZE", SETTING_SIZE, max_trailer_size),
    LIMIT("MAX_CONNECTIONS", SETTING_COUNT, max_connections),
    LIMIT("WEBSOCKET_PING_INTERVAL", SETTING_MS, websocket_ping_interval),
    LIMIT("WEBSOCKET_PING_TIMEOUT", SETTING_MS, websocket_ping_timeout),
    LIMIT("WEBSOCKET_MAX_MESSAGE_SIZE", SETTING_MAX, websocket_max_message),
    LIMIT("WEBSOCKET_MAX_QUEUE", SETTING_SIZE, websocket_max_queue),
    LIMIT("CANCEL_ON_DISCONNECT", SETTING_FLAG, cancel_on_disconnect),
};

/* Seconds, where CPU_LIMIT isn't set. */
enum { DEBUG_CPU_LIMIT = 5 };

static int bad_setting(lua_State *L, const char *name, const char *what) {
  return dw_misuse(L, "config.%s is %s; got %s", name, what,
                   luaL_tolstring(L, 3, NULL));
}

static void set_limit(lua_State *L, dw_limits *limits, const setting *m) {
  void *to = (char *)limits + m->offset;
  if (m->kind == SETTING_FLAG) {
    if (!lua_isboolean(L, 3)) bad_setting(L, m->name, "true or false");
    *(bool *)to = lua_toboolean(L, 3);
  } else if (m->kind == SETTING_MS) {
    lua_Number seconds = lua_isnil(L, 3) ? 0 : lua_tonumber(L, 3);
    bool number = lua_isnil(L, 3) || lua_type(L, 3) == LUA_TNUMBER;
    if (!number || !(seconds >= 0) || seconds > 1e9)
      bad_setting(L, m->name, "a number of seconds, or nil for none");
    *(uint64_t *)to = (uint64_t)ceil(seconds * 1000);
  } else {
    int isint = 0;
    lua_Integer n = lua_type(L, 3) == LUA_TNUMBER
                        ? lua_tointegerx(L, 3, &isint)
                        : 0;
    bool none = lua_isnil(L, 3) && m->kind != SETTING_SIZE;
    if (!none && (!isint || n < (m->kind == SETTING_MAX ? 0 : 1)))
      bad_setting(L, m->name,
                  m->kind == SETTING_SIZE ? "a positive whole number"
                                          : "a whole number, or nil for none");
    if (m->kind == SETTING_MAX)
      *(uint64_t *)to = none ? UINT64_MAX : (uint64_t)n;
    else
      *(size_t *)to = (size_t)n;
  }
}

/* A limit, or another setting that C looks at; true if it was one. */
static int configure(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  const char *name = luaL_checkstring(L, 2);
  lua_settop(L, 3);
  lua_pushboolean(L, true);
  for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
    if (strcmp(name, settings[i].name) != 0) continue;
    set_limit(L, &a->app->limits, &settings[i]);
    lua_pushboolean(L, true);
    return 1;
  }
  if (strcmp(name, "SEND_FILE_MAX_AGE_DEFAULT") == 0) {
    lua_Number n = lua_isnil(L, 3) ? -1 : lua_tonumber(L, 3);
    if (!lua_isnil(L, 3) &&
        (lua_type(L, 3) != LUA_TNUMBER || !(n >= 0 && n <= 1e12)))
      return bad_setting(L, name, "a number of seconds, or nil for none");
    a->app->file_max_age = (int64_t)n;
  } else if (strcmp(name, "PROPAGATE_EXCEPTIONS") == 0) {
    a->app->testing = lua_toboolean(L, 3);
  } else if (strcmp(name, "DEBUG") == 0) {
    a->debug = lua_toboolean(L, 3);
    if (!a->cpu_limited)
      dw_watchdog_limit_time(L, a->script, a->debug ? DEBUG_CPU_LIMIT : 0);
  } else if (strcmp(name, "ACCESS_LOG") == 0) {
    a->server->access_log = lua_toboolean(L, 3);
  } else if (strcmp(name, "JSON_EMPTY_TABLE") == 0) {
    const char *v = lua_type(L, 3) == LUA_TSTRING ? lua_tostring(L, 3) : "";
    if (strcmp(v, "array") != 0 && strcmp(v, "object") != 0)
      return bad_setting(L, name, "\"object\" or \"array\"");
    a->empty_array = strcmp(v, "array") == 0;
  } else if (strcmp(name, "CPU_LIMIT") == 0) {
    bool number = lua_type(L, 3) == LUA_TNUMBER;
    double seconds = number ? lua_tonumber(L, 3) : 0;
    if ((!number && !lua_isnil(L, 3)) || !(seconds >= 0) || seconds > 1e9)
      return bad_setting(L, name, "a number of seconds, or nil for none");
    a->cpu_limited = true;
    dw_watchdog_limit_time(L, a->script, seconds);
  } else if (strcmp(name, "MEMORY_LIMIT") == 0) {
    int isint = lua_isnil(L, 3);
    lua_Integer n = isint ? 0 : lua_tointegerx(L, 3, &isint);
    if (!isint || n < 0)
      return bad_setting(L, name, "a number of bytes, or nil for none");
    dw_watchdog_limit_memory(L, a->script, (size_t)n);
  } else if (strcmp(name, "WORK_THREADS") == 0) {
    dw_work_set_threads(L, a->script, 3);
  } else if (strcmp(name, "WORK_MEMORY_LIMIT") == 0) {
    dw_work_set_memory(L, a->script, 3);
  } else if (strcmp(name, "MAX_COOKIE_SIZE") == 0) {
    a->max_cookie = (size_t)lua_tointeger(L, 3);
  } else if (strcmp(name, "TRUSTED_HOSTS") == 0) {
    dw_app_set_hosts(L, a);
    lua_pushboolean(L, true);
  } else if (strcmp(name, "WEBSOCKET_COMPRESS") == 0) {
    bool context = lua_type(L, 3) == LUA_TSTRING &&
                   strcmp(lua_tostring(L, 3), "context") == 0;
    if (!context && !lua_isboolean(L, 3))
      return bad_setting(L, name, "true, false or \"context\"");
    a->app->limits.websocket_compress =
        context ? DW_WS_COMPRESS_CONTEXT
                : (lua_toboolean(L, 3) ? DW_WS_COMPRESS_ALONE
                                       : DW_WS_COMPRESS_NEVER);
  } else if (strcmp(name, "SERVER_NAME") == 0) {
    size_t len = 0;
    const char *v = "";
    if (!lua_isnil(L, 3)) {
      if (lua_type(L, 3) != LUA_TSTRING)
        return bad_setting(L, name, "a host name such as \"example.com:8000\"");
      v = lua_tolstring(L, 3, &len);
    }
    if (dw_router_set_server_name(a->app->router, dw_slice_of(v, len)) < 0)
      return luaL_error(L, "not enough memory");
  } else {
    lua_pushboolean(L, dw_app_configure_compression(L, a, name));
  }
  return 1;
}

static int frozen(lua_State *L) {
  lua_pushboolean(L, dw_app_check(L, 1)->app->frozen);
  return 1;
}

static int make_k(lua_State *L, int status, lua_KContext ctx);

/* core, what a view may return: an awaitable is awaited first. */
static int make(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  if (!dw_is_awaitable(L, 2)) {
    dw_response_make(L, a->script, 2, a->empty_array);
    return 1;
  }
  int values = lua_gettop(L) - 1;
  lua_pushvalue(L, 2);
  return dw_await(L, values + 2, -1, make_k, values);
}

/* core, ctx values, the awaitable, its results: the first of them takes its
 * place, or, where it stood alone, all of them. */
static int make_k(lua_State *L, int status, lua_KContext ctx) {
  int values = (int)ctx;
  (void)status;
  if (lua_gettop(L) > values + 2 && lua_rawequal(L, 2, values + 3))
    return luaL_error(L, "make_response got an awaitable that gives itself");
  if (values == 1) {
    if (lua_gettop(L) == 3) lua_pushnil(L);
    lua_remove(L, 2);
    lua_remove(L, 2);
  } else {
    lua_settop(L, values + 3);
    lua_replace(L, 2);
    lua_settop(L, values + 1);
  }
  return make(L);
}

/* make_response(app, ...): a method of dewar.App. */
static int make_response(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  if (lua_gettop(L) < 2)
    return dw_misuse(L, "make_response needs what a view may return");
  lua_getfield(L, 1, "_core");
  lua_replace(L, 1);
  return make(L);
}

/* --- Listening -------------------------------------------------------------*/

static int listen_failed(lua_State *L, dw_lua_app *a, int code,
                         const char *where) {
  return dw_errors_raise_code(L, a->script, code,
                              lua_pushfstring(L, "listen on %s", where));
}

static int app_listen(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  const char *host = luaL_checkstring(L, 2);
  lua_Integer port = luaL_checkinteger(L, 3);
  int bound = 0;
  if (port < 0 || port > 65535)
    return dw_misuse(L, "a port is 0 to 65535; got %d", (int)port);
  dw_app_activate(L, 1);
  int code = dw_server_listen(a->server, host, (int)port, &bound);
  if (code < 0)
    return listen_failed(L, a, code,
                         lua_pushfstring(L, "%s:%d", host, (int)port));
  lua_pushinteger(L, bound);
  return 1;
}

static int app_listen_unix(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  const char *path = luaL_checkstring(L, 2);
  dw_app_activate(L, 1);
  int code = dw_server_listen_unix(a->server, path);
  if (code < 0) return listen_failed(L, a, code, path);
  return 0;
}

/* core:listen_fd(fd): a listening socket, which is the app's from now on. */
static int app_listen_fd(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  int fd = (int)luaL_checkinteger(L, 2);
  dw_app_activate(L, 1);
  int code = dw_server_listen_fd(a->server, fd);
  if (code < 0)
    return listen_failed(L, a, code, lua_pushfstring(L, "descriptor %d", fd));
  return 0;
}

static int is_listening(lua_State *L) {
  lua_pushboolean(L, dw_app_check(L, 1)->server->nlisteners > 0);
  return 1;
}

/* hold(): clients wait in line until admit(). */
static int hold(lua_State *L) {
  dw_server_hold(dw_app_check(L, 1)->server);
  return 0;
}

static int admit(lua_State *L) {
  dw_server_admit(dw_app_check(L, 1)->server);
  return 0;
}

static int is_stopping(lua_State *L) {
  lua_pushboolean(L, dw_app_check(L, 1)->server->stopping);
  return 1;
}

static int stop(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  dw_server_stop(a->server);
  return 0;
}

/* --- Other functions --------------------------------------------------------*/

static int is_error_class(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, dw_errors_check_class(L, 1) != NULL);
  return 1;
}

/* --- Opening ---------------------------------------------------------------*/

void dw_app_open(lua_State *L, dw_script *s) {
  static const luaL_Reg methods[] = {
      {"add_route", dw_app_add_lua_route},
      {"add_scope", add_scope},
      {"add_hook", add_hook},
      {"add_error_handler", add_error_handler},
      {"open_sessions_by", open_sessions_by},
      {"save_sessions_by", save_sessions_by},
      {"listen_to", listen_to},
      {"add_converter", dw_app_add_converter},
      {"build", dw_app_build},
      {"rules", dw_app_rules},
      {"mount", dw_app_mount_core},
      {"root", dw_app_root},
      {"configure", configure},
      {"trusts", dw_app_trusts},
      {"frozen", frozen},
      {"background", dw_app_background},
      {"service", dw_app_service},
      {"end_service", dw_app_end_service},
      {"drain", dw_app_drain},
      {"cancel_background", dw_app_cancel_background},
      {"listen", app_listen},
      {"listen_unix", app_listen_unix},
      {"listen_fd", app_listen_fd},
      {"is_listening", is_listening},
      {"hold", hold},
      {"admit", admit},
      {"is_stopping", is_stopping},
      {"watch", dw_app_watch},
      {"serve", dw_app_serve},
      {"stop", stop},
      {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", app_gc}, {NULL, NULL}};
  const luaL_Reg functions[] = {{"app_new", app_new},
                                {"ensure_sync", dw_ensure_sync},
                                {"is_error_class", is_error_class},
                                {"make_response", make_response},
                                {NULL, NULL}};
  dw_script_type(L, s, DW_APP_TYPE, methods, metamethods);
  luaL_newmetatable(L, SCOPE_TYPE);
  lua_pop(L, 1);
  dw_script_register(L, s, functions);
}
