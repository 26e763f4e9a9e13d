/* SPDX-License-Identifier: MIT */
/* The proxies dewar.request, dewar.g, dewar.session and dewar.current_app:
 * values that may be kept anywhere and stand for the running task's. The
 * context is found through the task, so it follows the task through every wait.
 */
#include "bindings/handler.h"

typedef enum proxy_kind {
  PROXY_REQUEST,
  PROXY_G,
  PROXY_SESSION,
  PROXY_APP
} proxy_kind;

typedef struct proxy {
  proxy_kind kind;
} proxy;

static const char *const proxy_names[] = {"dewar.request", "dewar.g",
                                          "dewar.session", "dewar.current_app"};

/* Beside the types of what they stand for. */
static const char *const proxy_types[] = {DW_REQUEST_PROXY, "dewar.proxy_g",
                                          "dewar.proxy_session",
                                          "dewar.proxy_app"};

/* Pushes what the proxy stands for (the request, of a session, which may have
 * to be waited for); false: there is none. */
static bool push_target(lua_State *L, dw_script *s, proxy_kind kind) {
  dw_exchange *x = dw_current_exchange(s);
  if (kind == PROXY_APP) {
    dw_lua_app *app = s->current ? s->current->context.app : NULL;
    if (!app) return false;
    dw_app_push_self(L, app);
    return true;
  }
  if (!x || !x->script) return false;
  dw_request_push(L, x);
  if (kind == PROXY_G) {
    lua_getfield(L, -1, "g");
    lua_remove(L, -2);
  }
  return true;
}

void dw_context_resolve(lua_State *L, dw_script *s, int index) {
  proxy *p = lua_touserdata(L, index);
  const char *what = p->kind == PROXY_APP ? "an app's task" : "a request";
  if (!push_target(L, s, p->kind))
    dw_misuse(L, "%s was used outside of %s", proxy_names[p->kind], what);
  lua_replace(L, index);
}

/* What is done with the target, which has taken the proxy's place at 1. */
typedef int (*operation)(lua_State *L);

static int opened_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  lua_replace(L, 1);
  return ((operation)ctx)(L);
}

static int on_target(lua_State *L, operation op) {
  proxy *p = lua_touserdata(L, 1);
  proxy_kind kind = p->kind;
  dw_context_resolve(L, dw_script_of(L), 1);
  if (kind != PROXY_SESSION) return op(L);
  lua_pushcfunction(L, dw_request_session);
  lua_pushvalue(L, 1);
  lua_callk(L, 1, 1, (lua_KContext)op, opened_k);
  return opened_k(L, LUA_OK, (lua_KContext)op);
}

static int return_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  (void)ctx;
  return lua_gettop(L);
}

/* A field may have to wait (req.form), so a function in __index is called as
 * such rather than through lua_gettable. */
static int index_target(lua_State *L) {
  if (lua_type(L, 1) == LUA_TUSERDATA && luaL_getmetafield(L, 1, "__index")) {
    lua_insert(L, 1);
    lua_callk(L, 2, LUA_MULTRET, 0, return_k);
    return lua_gettop(L);
  }
  lua_gettable(L, 1);
  return 1;
}

static int proxy_index(lua_State *L) { return on_target(L, index_target); }

static int set_in_target(lua_State *L) {
  lua_settable(L, 1);
  return 0;
}

static int proxy_newindex(lua_State *L) { return on_target(L, set_in_target); }

static int target_pairs(lua_State *L) {
  if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
    lua_pushvalue(L, 1);
    lua_call(L, 1, 3);
    return 3;
  }
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getglobal(L, "next");
  lua_pushvalue(L, 1);
  return 2;
}

static int proxy_pairs(lua_State *L) { return on_target(L, target_pairs); }

static int target_length(lua_State *L) {
  lua_pushinteger(L, luaL_len(L, 1));
  return 1;
}

static int proxy_len(lua_State *L) { return on_target(L, target_length); }

static int proxy_tostring(lua_State *L) {
  proxy *p = lua_touserdata(L, 1);
  if (!push_target(L, dw_script_of(L), p->kind))
    lua_pushfstring(L, "%s (none here)", proxy_names[p->kind]);
  else if (p->kind == PROXY_SESSION) /* printing one doesn't open it */
    lua_pushstring(L, proxy_names[p->kind]);
  else
    luaL_tolstring(L, -1, NULL);
  return 1;
}

static int target_itself(lua_State *L) {
  lua_settop(L, 1);
  return 1;
}

/* The thing itself rather than its stand-in, or nil. */
static int proxy_call(lua_State *L) {
  proxy *p = lua_touserdata(L, 1);
  bool there = push_target(L, dw_script_of(L), p->kind);
  if (there && p->kind == PROXY_SESSION) return on_target(L, target_itself);
  if (!there) lua_pushnil(L);
  return 1;
}

static int has_request(lua_State *L) {
  lua_pushboolean(L, dw_current_exchange(dw_script_of(L)) != NULL);
  return 1;
}

static void add_proxy(lua_State *L, dw_script *s, proxy_kind kind,
                      const char *name) {
  static const luaL_Reg metamethods[] = {{"__index", proxy_index},
                                         {"__newindex", proxy_newindex},
                                         {"__pairs", proxy_pairs},
                                         {"__tostring", proxy_tostring},
                                         {"__call", proxy_call},
                                         {"__len", proxy_len},
                                         {NULL, NULL}};
  proxy *p = lua_newuserdatauv(L, sizeof *p, 0);
  p->kind = kind;
  luaL_newmetatable(L, proxy_types[kind]);
  dw_script_register(L, s, metamethods);
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, name);
}

void dw_context_open(lua_State *L, dw_script *s) {
  const luaL_Reg functions[] = {{"has_request", has_request}, {NULL, NULL}};
  add_proxy(L, s, PROXY_REQUEST, "request");
  add_proxy(L, s, PROXY_G, "g");
  add_proxy(L, s, PROXY_SESSION, "session");
  add_proxy(L, s, PROXY_APP, "current_app");
  dw_script_register(L, s, functions);
}
