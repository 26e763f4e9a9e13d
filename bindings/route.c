/* SPDX-License-Identifier: MIT */
/* Routes from Lua: rules with their options, and the way back to URLs.
 * Everything that might leak when Lua raises lies in a userdata on the stack. */
#include "bindings/route.h"

#include <math.h>

#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/file.h"
#include "bindings/handler.h"

/* --- Options ---------------------------------------------------------------*/

static dw_slice to_slice(lua_State *L, int index) {
  size_t len;
  const char *text = lua_tolstring(L, index, &len);
  return dw_slice_of(text, len);
}

/* The field stays on the stack, so that its bytes stay where they are. */
static dw_slice opt_text(lua_State *L, int table, const char *name) {
  int type = lua_getfield(L, table, name);
  if (type == LUA_TNIL) return DW_EMPTY;
  if (type != LUA_TSTRING)
    dw_misuse(L, "the route's option '%s' is a string; got a %s", name,
              luaL_typename(L, -1));
  return to_slice(L, -1);
}

static bool opt_flag(lua_State *L, int table, const char *name) {
  lua_getfield(L, table, name);
  bool on = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return on;
}

static int opt_choice(lua_State *L, int table, const char *name) {
  int type = lua_getfield(L, table, name);
  int choice = type == LUA_TNIL ? -1 : lua_toboolean(L, -1);
  lua_pop(L, 1);
  return choice;
}

static uint64_t read_methods(lua_State *L, int table) {
  int type = lua_getfield(L, table, "methods");
  uint64_t methods = 0;
  if (type == LUA_TNIL) {
    lua_pop(L, 1);
    return DW_METHOD_BIT(DW_METHOD_GET);
  }
  if (type != LUA_TTABLE)
    dw_misuse(L, "the option 'methods' is a list such as { \"GET\", \"POST\" }; "
                 "got a %s",
              luaL_typename(L, -1));
  lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
  if (n == 0) dw_misuse(L, "the option 'methods' is an empty list");
  for (lua_Integer i = 1; i <= n; i++) {
    if (lua_rawgeti(L, -1, i) != LUA_TSTRING)
      dw_misuse(L, "methods[%d] is a %s; methods are strings", (int)i,
                luaL_typename(L, -1));
    luaL_Buffer upper;
    size_t len;
    const char *name = lua_tolstring(L, -1, &len);
    char *to = luaL_buffinitsize(L, &upper, len);
    for (size_t j = 0; j < len; j++)
      to[j] = (char)(name[j] >= 'a' && name[j] <= 'z' ? name[j] - 32 : name[j]);
    luaL_pushresultsize(&upper, len);
    dw_method m = dw_method_find(to_slice(L, -1));
    if (m == DW_METHOD_UNKNOWN)
      dw_misuse(L, "'%s' is no HTTP method that Dewar knows", name);
    if (m == DW_METHOD_CONNECT)
      dw_misuse(L, "CONNECT can't be routed: it is for proxies");
    methods |= DW_METHOD_BIT(m);
    lua_pop(L, 2);
  }
  lua_pop(L, 1);
  return methods;
}

/* Fills *options with the defaults; the array is a userdata on the stack. */
static void read_defaults(lua_State *L, int table, dw_rule_options *options) {
  if (lua_getfield(L, table, "defaults") == LUA_TNIL) {
    lua_pop(L, 1);
    return;
  }
  int defaults = lua_gettop(L);
  if (!lua_istable(L, defaults))
    dw_misuse(L, "the option 'defaults' is a table of values by name; got a %s",
              luaL_typename(L, defaults));
  size_t n = 0;
  for (lua_pushnil(L); lua_next(L, defaults); lua_pop(L, 1)) n++;
  dw_named_value *list = lua_newuserdatauv(L, (n + 1) * sizeof *list, 0);
  n = 0;
  for (lua_pushnil(L); lua_next(L, defaults); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      dw_misuse(L, "the option 'defaults' has values by name; got a %s as a "
                   "name",
                luaL_typename(L, -2));
    list[n].name = to_slice(L, -2);
    if (!dw_value_read(L, -1, &list[n].value))
      dw_misuse(L, "the default of '%s' is a string, a number or a boolean; "
                   "got a %s",
                lua_tostring(L, -2), luaL_typename(L, -1));
    n++;
  }
  options->defaults = list;
  options->ndefaults = n;
}

int dw_route_raise(lua_State *L, dw_script *s, int code) {
  if (code == DW_ENOMEM) return luaL_error(L, "not enough memory");
  lua_pushlstring(L, s->scratch.ptr ? s->scratch.ptr : "", s->scratch.len);
  return dw_misuse(L, "%s", lua_tostring(L, -1));
}

static void read_limits(lua_State *L, int table, dw_route *limits) {
  if (lua_getfield(L, table, "max_content_length") != LUA_TNIL) {
    int isint = 0;
    lua_Integer n = 0;
    if (lua_type(L, -1) == LUA_TNUMBER) n = lua_tointegerx(L, -1, &isint);
    if (!isint || n < 0)
      dw_misuse(L, "the option 'max_content_length' is a number of bytes");
    limits->max_content_length = (uint64_t)n;
    limits->has_max_content_length = true;
  }
  if (lua_getfield(L, table, "timeout") != LUA_TNIL) {
    lua_Number n = lua_tonumber(L, -1);
    if (lua_type(L, -1) != LUA_TNUMBER || !(n > 0) || n > 1e9)
      dw_misuse(L, "the option 'timeout' is a number of seconds above 0");
    limits->timeout = (uint64_t)ceil(n * 1000);
  }
  lua_pop(L, 2);
}

static const char *const route_options[] = {
    "rule",        "endpoint",     "methods",
    "view",        "scope",        "defaults",
    "host",        "subdomain",    "strict_slashes",
    "alias",       "redirect_to",  "merge_slashes",
    "build_only",  "websocket",    "provide_automatic_options",
    "timeout",     "max_content_length", "static",
    NULL};

int dw_app_add_lua_route(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  dw_script *s = a->script;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  luaL_checkstack(L, 24, NULL);
  dw_check_options(L, 2, route_options);
  dw_route limits = {.max_content_length = UINT64_MAX};
  dw_rule_options o = {.methods = read_methods(L, 2)};
  o.rule = opt_text(L, 2, "rule");
  o.endpoint = opt_text(L, 2, "endpoint");
  o.host = opt_text(L, 2, "host");
  o.subdomain = opt_text(L, 2, "subdomain");
  o.redirect_to = opt_text(L, 2, "redirect_to");
  o.strict_slashes = opt_choice(L, 2, "strict_slashes");
  o.merge_slashes = opt_choice(L, 2, "merge_slashes");
  o.alias = opt_flag(L, 2, "alias");
  o.build_only = opt_flag(L, 2, "build_only");
  o.websocket = opt_flag(L, 2, "websocket");
  o.automatic_options = opt_choice(L, 2, "provide_automatic_options") != 0;
  read_defaults(L, 2, &o);
  read_limits(L, 2, &limits);
  lua_getfield(L, 2, "scope");
  dw_scope *scope = dw_app_opt_scope(L, a, -1);
  dw_handler *view = NULL;
  if (lua_getfield(L, 2, "static") == LUA_TTABLE)
    view = dw_static_view_new(L, s, lua_gettop(L));
  else if (lua_getfield(L, 2, "view") != LUA_TNIL)
    view = dw_handler_new(L, 1, lua_gettop(L));
  dw_route *route;
  s->scratch.len = 0;
  int code = dw_app_add_route(a->app, &o, view, scope, &route, &s->scratch);
  if (code == DEWAR_EMISUSE)
    return dw_misuse(L, "the app has handled its first request; add routes "
                        "before");
  if (code < 0) return dw_route_raise(L, s, code);
  route->max_content_length = limits.max_content_length;
  route->has_max_content_length = limits.has_max_content_length;
  route->timeout = limits.timeout;
  return 0;
}

/* --- URLs ------------------------------------------------------------------*/

/* Values of { name = value | list } as an array in a userdata on the stack. */
static size_t read_values(lua_State *L, int table, dw_named_value **out) {
  size_t n = 0, cap = 0;
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1))
    cap += lua_istable(L, -1) ? lua_rawlen(L, -1) + 1 : 1;
  dw_named_value *list = lua_newuserdatauv(L, (cap + 1) * sizeof *list, 0);
  for (lua_pushnil(L); lua_next(L, table); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      dw_misuse(L, "a URL's values have names; got a %s as a name",
                luaL_typename(L, -2));
    dw_slice name = to_slice(L, -2);
    bool is_list = lua_istable(L, -1) && !luaL_getmetafield(L, -1, "__index");
    size_t count = is_list ? lua_rawlen(L, -1) : 0;
    for (size_t i = 1; is_list && i <= count && n < cap; i++) {
      lua_rawgeti(L, -1, (lua_Integer)i);
      list[n].name = name;
      if (!dw_value_read(L, -1, &list[n].value))
        dw_misuse(L, "the value of '%s' is a list that has a %s", name.ptr,
                  luaL_typename(L, -1));
      lua_pop(L, 1);
      n++;
    }
    if (is_list) continue;
    list[n].name = name;
    if (!dw_value_read(L, -1, &list[n].value)) {
      /* An object for a converter: by reference, until this call returns. */
      lua_pushvalue(L, -1);
      list[n].value.kind = DW_VALUE_HANDLE;
      list[n].value.as.integer = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    n++;
  }
  *out = list;
  return n;
}

static void unref_values(lua_State *L, dw_named_value *values, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (values[i].value.kind == DW_VALUE_HANDLE)
      luaL_unref(L, LUA_REGISTRYINDEX, (int)values[i].value.as.integer);
}

/* core:build(endpoint, values, options) -> url, or nil and a message */
int dw_app_build(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  dw_script *s = a->script;
  luaL_checkstring(L, 2);
  luaL_checktype(L, 3, LUA_TTABLE);
  luaL_checktype(L, 4, LUA_TTABLE);
  lua_settop(L, 4);
  luaL_checkstack(L, 16, NULL);
  dw_url_options o = {.endpoint = to_slice(L, 2),
                      .method = DW_METHOD_UNKNOWN,
                      .anchor = {NULL, 0},
                      .external = opt_choice(L, 4, "external")};
  dw_slice method = opt_text(L, 4, "method");
  if (method.len) o.method = dw_method_find(method);
  if (lua_getfield(L, 4, "anchor") != LUA_TNIL) {
    luaL_tolstring(L, -1, NULL);
    o.anchor = to_slice(L, -1);
  }
  o.scheme = opt_text(L, 4, "scheme");
  o.default_scheme = opt_text(L, 4, "default_scheme");
  o.host = opt_text(L, 4, "host");
  o.server_name = opt_text(L, 4, "server_name");
  o.root = opt_text(L, 4, "root");
  dw_named_value *values;
  o.nvalues = read_values(L, 3, &values);
  o.values = values;
  /* Converters are reached through an active app. */
  bool active = a->anchor != LUA_NOREF;
  dw_app_activate(L, 1);
  dw_buffer url;
  dw_buffer_init(&url, s->alloc, 0);
  s->scratch.len = 0;
  int code = dw_router_build(a->app->router, &o, &url, &s->scratch);
  if (code == 0) code = dw_buffer_append_slice(&s->scratch, dw_buffer_slice(&url));
  dw_buffer_deinit(&url);
  unref_values(L, values, o.nvalues);
  if (!active) dw_app_deactivate(L, a);
  if (code == DW_ENOMEM) return luaL_error(L, "not enough memory");
  if (code < 0) lua_pushnil(L);
  if (code < 0 && s->scratch.len == 0)
    lua_pushliteral(L, "a converter failed");
  else
    lua_pushlstring(L, s->scratch.ptr ? s->scratch.ptr : "", s->scratch.len);
  return code < 0 ? 2 : 1;
}

static void push_methods(lua_State *L, uint64_t methods) {
  lua_newtable(L);
  lua_Integer n = 0;
  for (int m = 0; m < DW_METHOD_COUNT; m++) {
    if (!(methods & DW_METHOD_BIT(m))) continue;
    dw_slice name = dw_method_name((dw_method)m);
    lua_pushlstring(L, name.ptr, name.len);
    lua_rawseti(L, -2, ++n);
  }
}

static void set_slice(lua_State *L, const char *field, dw_slice s) {
  lua_pushlstring(L, s.ptr ? s.ptr : "", s.len);
  lua_setfield(L, -2, field);
}

/* core:rules() -> a list of { rule, endpoint, methods, host }, as added */
int dw_app_rules(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  size_t n = dw_router_count(a->app->router);
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    const dw_rule *rule = dw_router_rule(a->app->router, i);
    lua_createtable(L, 0, 4);
    set_slice(L, "rule", dw_rule_text(rule));
    set_slice(L, "endpoint", dw_rule_endpoint(rule));
    set_slice(L, "host", dw_rule_host(rule));
    push_methods(L, dw_rule_methods(rule));
    lua_setfield(L, -2, "methods");
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}
