/* SPDX-License-Identifier: MIT */
/* The settings of an app that say which answers are compressed. */
#include "base/error.h"
#include "bindings/app.h"

static int bad(lua_State *L, const char *name, const char *what) {
  return dw_misuse(L, "config.%s is %s; got %s", name, what,
                   luaL_tolstring(L, 3, NULL));
}

static lua_Integer check_integer(lua_State *L, const char *name,
                                 lua_Integer least, lua_Integer most,
                                 const char *what) {
  int isint = 0;
  lua_Integer n =
      lua_type(L, 3) == LUA_TNUMBER ? lua_tointegerx(L, 3, &isint) : 0;
  if (!isint || n < least || n > most) bad(L, name, what);
  return n;
}

static uint8_t check_level(lua_State *L, const char *name) {
  return (uint8_t)check_integer(L, name, 1, 9, "a whole number from 1 to 9");
}

/* A list of types as one text with commas, on the stack. */
static dw_slice join_types(lua_State *L, const char *name) {
  static const char what[] = "a list of types such as { \"text/*\" }";
  dw_slice text;
  luaL_Buffer joined;
  if (!lua_istable(L, 3)) bad(L, name, what);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 3);
  luaL_buffinit(L, &joined);
  for (lua_Integer i = 1; i <= n; i++) {
    if (i > 1) luaL_addstring(&joined, ", ");
    if (lua_rawgeti(L, 3, i) != LUA_TSTRING || strchr(lua_tostring(L, -1), ','))
      bad(L, name, what);
    luaL_addvalue(&joined);
  }
  luaL_pushresult(&joined);
  text.ptr = lua_tolstring(L, -1, &text.len);
  return text;
}

static void set_types(lua_State *L, dw_lua_app *a, const char *name) {
  int code = dw_compression_set_types(&a->app->compression, a->app->alloc,
                                      join_types(L, name));
  if (code == DEWAR_EINVAL)
    dw_misuse(L,
              "config.%s is a list of types such as \"text/*\" or "
              "\"application/json\", with one * in each at most; got %s",
              name, lua_tostring(L, -1));
  if (code < 0) luaL_error(L, "not enough memory");
}

bool dw_app_configure_compression(lua_State *L, dw_lua_app *a,
                                  const char *name) {
  dw_compression *c = &a->app->compression;
  if (strcmp(name, "COMPRESS") == 0) {
    if (!lua_isboolean(L, 3)) bad(L, name, "true or false");
    c->on = lua_toboolean(L, 3);
  } else if (strcmp(name, "COMPRESS_LEVEL") == 0) {
    c->level = check_level(L, name);
  } else if (strcmp(name, "COMPRESS_BR_LEVEL") == 0) {
    c->brotli_level = check_level(L, name);
  } else if (strcmp(name, "COMPRESS_MIN_SIZE") == 0) {
    c->min_size =
        (size_t)check_integer(L, name, 0, LUA_MAXINTEGER, "a number of bytes");
  } else if (strcmp(name, "COMPRESS_TYPES") == 0) {
    set_types(L, a, name);
  } else {
    return false;
  }
  return true;
}
