/* SPDX-License-Identifier: MIT */
/* res:set_cookie and res:delete_cookie. */
#include "bindings/response.h"

#include "base/error.h"
#include "bindings/app.h"
#include "bindings/task.h"
#include "http/cookie.h"

enum { COOKIE_MAX = 4093 }; /* where no app says otherwise */

static dw_slice opt_text(lua_State *L, int table, const char *name) {
  int type = table ? lua_getfield(L, table, name) : LUA_TNIL;
  if (!table) lua_pushnil(L);
  if (type == LUA_TNIL || (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)))
    return (dw_slice){NULL, 0};
  if (type != LUA_TSTRING)
    dw_misuse(L, "the cookie's option '%s' is a string; got a %s", name,
              luaL_typename(L, -1));
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  return dw_slice_of(text, len); /* stays on the stack */
}

static int64_t opt_integer(lua_State *L, int table, const char *name) {
  int type = table ? lua_getfield(L, table, name) : LUA_TNIL;
  if (type == LUA_TNIL) return INT64_MIN;
  lua_Number n = lua_tonumber(L, -1);
  if (type != LUA_TNUMBER)
    dw_misuse(L, "the cookie's option '%s' is a number of seconds; got a %s",
              name, luaL_typename(L, -1));
  if (!(n >= -1e15 && n <= 1e15))
    dw_misuse(L, "the cookie's option '%s' is a number of seconds; got %s",
              name, luaL_tolstring(L, -1, NULL));
  return (int64_t)n;
}

static bool opt_flag(lua_State *L, int table, const char *name) {
  if (!table) return false;
  if (lua_getfield(L, table, name) > LUA_TBOOLEAN)
    dw_misuse(L, "the cookie's option '%s' is a boolean; got a %s", name,
              luaL_typename(L, -1));
  return lua_toboolean(L, -1);
}

/* What a part that can't be sent should be. */
static const char *rule_of(const char *what) {
  static const char *const rules[][2] = {
      {"name", "is made of letters, digits and !#$%&'*+-.^_`|~"},
      {"domain", "is a host in ASCII; other letters are written \"xn--...\""},
      {"samesite", "is one of Strict, Lax and None"}};
  for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
    if (strcmp(what, rules[i][0]) == 0) return rules[i][1];
  return "has a line break or a NUL in it";
}

static void add_cookie(lua_State *L, dw_lua_response *o,
                       const dw_cookie *cookie) {
  dw_script *s = o->script;
  const char *what = "";
  s->scratch.len = 0;
  int code = dw_cookie_format(&s->scratch, cookie, &what);
  if (code == DEWAR_EINVAL)
    dw_misuse(L, "the cookie's %s %s", what, rule_of(what));
  if (code == 0) {
    const dw_lua_app *app = s->current ? s->current->context.app : NULL;
    size_t max = app ? app->max_cookie : COOKIE_MAX;
    if (max > 0 && s->scratch.len > max)
      dw_logf(s->log, DEWAR_WARN,
              "the cookie '%.*s' has %zu bytes; browsers drop those over %zu",
              DW_FMT(cookie->name), s->scratch.len, max);
    code = dw_headers_add(&o->r.headers, DW_LITERAL("Set-Cookie"),
                          dw_buffer_slice(&s->scratch));
  }
  if (code < 0) luaL_error(L, "not enough memory");
}

static const char *const cookie_options[] = {
    "max_age",  "expires",  "path",        "domain", "secure",
    "httponly", "samesite", "partitioned", NULL};

static void read_cookie(lua_State *L, dw_cookie *c, int table) {
  size_t len;
  if (lua_type(L, 2) != LUA_TSTRING)
    dw_misuse(L, "a cookie's name is a string; got a %s", luaL_typename(L, 2));
  const char *text = lua_tolstring(L, 2, &len);
  *c = (dw_cookie){.name = dw_slice_of(text, len), .value = DW_EMPTY};
  c->path = opt_text(L, table, "path");
  if (lua_isnil(L, -1)) c->path = DW_LITERAL("/");
  c->domain = opt_text(L, table, "domain");
  c->same_site = opt_text(L, table, "samesite");
  c->max_age = opt_integer(L, table, "max_age");
  c->expires = opt_integer(L, table, "expires");
  c->secure = opt_flag(L, table, "secure");
  c->http_only = opt_flag(L, table, "httponly");
  c->partitioned = opt_flag(L, table, "partitioned");
}

int dw_response_set_cookie(lua_State *L) {
  dw_lua_response *o = dw_type_check(L, 1, dw_response_type_name);
  dw_cookie c;
  lua_settop(L, 4);
  dw_check_options(L, 4, cookie_options);
  if (lua_type(L, 3) != LUA_TSTRING && lua_type(L, 3) != LUA_TNUMBER)
    return dw_misuse(L, "a cookie's value is a string; got a %s",
                     luaL_typename(L, 3));
  read_cookie(L, &c, lua_istable(L, 4) ? 4 : 0);
  size_t len;
  const char *value = lua_tolstring(L, 3, &len);
  c.value = dw_slice_of(value, len);
  add_cookie(L, o, &c);
  return 0;
}

int dw_response_delete_cookie(lua_State *L) {
  dw_lua_response *o = dw_type_check(L, 1, dw_response_type_name);
  dw_cookie c;
  lua_settop(L, 3);
  dw_check_options(L, 3, cookie_options);
  read_cookie(L, &c, lua_istable(L, 3) ? 3 : 0);
  c.max_age = 0;
  c.expires = 0;
  add_cookie(L, o, &c);
  return 0;
}
