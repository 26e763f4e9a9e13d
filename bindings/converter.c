/* SPDX-License-Identifier: MIT */
/* Converters of routes that are written in Lua. They are called while a path is
 * matched or a URL is built, so they may not wait. */
#include "bindings/route.h"

#include "base/error.h"
#include "bindings/handler.h"

typedef struct lua_converter {
  dw_lua_app *app;
  int ref; /* of { to_lua=, to_url= } in the refs table */
} lua_converter;

/* Arguments as a table: positional ones in its list, others by name. */
static void push_args(lua_State *L, const dw_converter_arg *args, size_t n) {
  lua_Integer position = 0;
  lua_createtable(L, (int)n, 0);
  for (size_t i = 0; i < n; i++) {
    if (args[i].name.len == 0) {
      dw_value_push(L, &args[i].value);
      lua_rawseti(L, -2, ++position);
    } else {
      lua_pushlstring(L, args[i].name.ptr, args[i].name.len);
      dw_value_push(L, &args[i].value);
      lua_rawset(L, -3);
    }
  }
}

typedef struct conversion {
  const lua_converter *c;
  dw_slice text;
  const dw_value *value;
  const dw_converter_arg *args;
  size_t nargs;
  dw_value *out;
  dw_buffer *to;
  int verdict;
} conversion;

static void push_converter(lua_State *L, const lua_converter *c,
                           const char *function) {
  dw_app_push_refs(L, c->app);
  if (lua_isnil(L, -1)) luaL_error(L, "the app is not active");
  lua_rawgeti(L, -1, c->ref);
  lua_getfield(L, -1, function);
}

static int to_value_main(lua_State *L) {
  conversion *v = lua_touserdata(L, 1);
  push_converter(L, v->c, "to_lua");
  lua_pushlstring(L, v->text.ptr, v->text.len);
  push_args(L, v->args, v->nargs);
  lua_call(L, 2, 1);
  v->verdict = !lua_isnil(L, -1);
  if (!v->verdict) return 0;
  v->out->kind = DW_VALUE_HANDLE;
  v->out->as.integer = luaL_ref(L, LUA_REGISTRYINDEX);
  return 0;
}

/* Protected; the error is logged, since the router can't carry it. */
static int convert(conversion *v, lua_CFunction fn) {
  dw_script *s = v->c->app->script;
  lua_State *L = s->L;
  if (!lua_checkstack(L, 4)) return DW_ENOMEM;
  lua_pushcfunction(L, fn);
  lua_pushlightuserdata(L, v);
  int status = lua_pcall(L, 1, 0, 0);
  if (status == LUA_OK) return v->verdict;
  const char *text = lua_tostring(L, -1);
  dw_logf(s->log, DEWAR_ERROR, "a route's converter failed: %s",
          text ? text : luaL_typename(L, -1));
  lua_pop(L, 1);
  return status == LUA_ERRMEM ? DW_ENOMEM : DEWAR_ELUA;
}

static int converter_to_value(const dw_converter *c, dw_slice text,
                              const dw_converter_arg *args, size_t nargs,
                              dw_value *out) {
  conversion v = {.c = c->data, .text = text, .args = args, .nargs = nargs,
                  .out = out};
  int code = convert(&v, to_value_main);
  out->converter = c;
  return code;
}

static int to_text_main(lua_State *L) {
  conversion *v = lua_touserdata(L, 1);
  push_converter(L, v->c, "to_url");
  if (lua_isnil(L, -1)) {
    dw_value_push(L, v->value);
    luaL_tolstring(L, -1, NULL);
  } else {
    dw_value_push(L, v->value);
    push_args(L, v->args, v->nargs);
    lua_call(L, 2, 1);
  }
  if (lua_isnil(L, -1)) return 0;
  if (!lua_isstring(L, -1))
    return luaL_error(L, "to_url must return a string; it returned a %s",
                      luaL_typename(L, -1));
  size_t len;
  const char *text = luaL_tolstring(L, -1, &len);
  v->verdict = 1;
  if (dw_buffer_append(v->to, text, len) < 0) v->verdict = DW_ENOMEM;
  return 0;
}

static int converter_to_text(const dw_converter *c, const dw_value *value,
                             const dw_converter_arg *args, size_t nargs,
                             dw_buffer *out) {
  conversion v = {.c = c->data, .value = value, .args = args, .nargs = nargs,
                  .to = out};
  return convert(&v, to_text_main);
}

static void converter_release(const dw_converter *c, dw_value *value) {
  const lua_converter *lc = c->data;
  luaL_unref(lc->app->script->L, LUA_REGISTRYINDEX, (int)value->as.integer);
}

/* core:add_converter(name, { weight=, slashes=, to_lua=, to_url= }) */
int dw_app_add_converter(lua_State *L) {
  static const char *const options[] = {"weight", "slashes", "to_lua", "to_url",
                                        NULL};
  dw_lua_app *a = dw_app_check(L, 1);
  dw_script *s = a->script;
  luaL_checkstring(L, 2);
  lua_settop(L, 3);
  if (!lua_istable(L, 3))
    return dw_misuse(L, "a converter is a table { to_lua=, to_url= }; got a %s",
                     luaL_typename(L, 3));
  dw_check_options(L, 3, options);
  if (lua_getfield(L, 3, "to_lua") != LUA_TFUNCTION)
    return dw_misuse(L, "the converter '%s' needs to_lua, a function(text, "
                        "args) that returns a value, or nil to refuse",
                     lua_tostring(L, 2));
  int to_url = lua_getfield(L, 3, "to_url");
  if (to_url != LUA_TNIL && to_url != LUA_TFUNCTION)
    return dw_misuse(L, "the converter '%s': to_url is a function(value, args) "
                        "that returns a text; got a %s",
                     lua_tostring(L, 2), luaL_typename(L, -1));
  lua_getfield(L, 3, "slashes");
  bool slashes = lua_toboolean(L, -1);
  size_t len;
  const char *name = lua_tolstring(L, 2, &len);
  dw_converter c = {.name = dw_slice_of(name, len),
                    .weight = 100,
                    .slashes = slashes,
                    .to_value = converter_to_value,
                    .to_text = converter_to_text,
                    .release = converter_release};
  if (lua_getfield(L, 3, "weight") != LUA_TNIL) {
    int isint;
    c.weight = (int)lua_tointegerx(L, -1, &isint);
    if (!isint)
      return dw_misuse(L, "a converter's weight is a whole number");
  }
  lua_getiuservalue(L, 1, 1);
  lua_converter *data = lua_newuserdatauv(L, sizeof *data, 0);
  lua_rawseti(L, -2, ++a->refs); /* lives as long as the app */
  lua_pushvalue(L, 3);
  lua_rawseti(L, -2, ++a->refs);
  *data = (lua_converter){a, a->refs};
  c.data = data;
  s->scratch.len = 0;
  int code = dw_router_add_converter(a->app->router, &c, &s->scratch);
  return code < 0 ? dw_route_raise(L, s, code) : 0;
}
