/* SPDX-License-Identifier: MIT */
/* JSON: what decodes must encode, decode again to the same value, and encode to
 * the same text again. What doesn't decode must say where. */
#include <lauxlib.h>
#include <lua.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition) {
  if (!condition) abort();
}

static int same(lua_State *L, int a, int b);

static size_t count(lua_State *L, int t) {
  size_t n = 0;
  for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1)) n++;
  return n;
}

/* Every key of a is in b, with the same value. */
static int includes(lua_State *L, int a, int b) {
  for (lua_pushnil(L); lua_next(L, a); lua_pop(L, 2)) {
    lua_pushvalue(L, -2);
    lua_rawget(L, b);
    int top = lua_gettop(L);
    if (!same(L, top - 1, top)) return 0;
  }
  return 1;
}

static int is_marked(lua_State *L, int index) {
  int marked = lua_getmetatable(L, index);
  lua_pop(L, marked);
  return marked;
}

static int same(lua_State *L, int a, int b) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  int type = lua_type(L, a);
  if (type != lua_type(L, b)) return 0;
  if (type == LUA_TNUMBER && lua_isinteger(L, a) != lua_isinteger(L, b))
    return 0;
  if (type != LUA_TTABLE) return lua_rawequal(L, a, b);
  return is_marked(L, a) == is_marked(L, b) && count(L, a) == count(L, b) &&
         includes(L, a, b);
}

/* Pushes the text of the value at index. */
static const char *encode(lua_State *L, int index, int flags, size_t *len) {
  dw_buffer *out = dw_json_take_buffer(L);
  int owner = lua_gettop(L);
  dw_json_encode(L, index, out, flags);
  must(lua_gettop(L) == owner);
  lua_pushlstring(L, out->ptr, out->len);
  dw_json_put_buffer(L, owner);
  lua_replace(L, owner);
  return lua_tolstring(L, owner, len);
}

/* The value at 1 against what becomes of it by way of text. */
static void go_round(lua_State *L, int flags) {
  size_t len, len_again;
  const char *text = encode(L, 1, flags, &len);
  must(dw_json_try_decode(L, text, len, 0) == 0);
  must(lua_gettop(L) == 3 && same(L, 1, 3));
  const char *again = encode(L, 3, flags, &len_again);
  must(len == len_again && memcmp(text, again, len) == 0);
  lua_settop(L, 1);
}

static int run(lua_State *L) {
  const char *text = lua_touserdata(L, 1);
  size_t len = (size_t)lua_tointeger(L, 2);
  lua_settop(L, 0);
  dw_json_open(L);
  lua_settop(L, 0);
  int code = dw_json_try_decode(L, text, len, 0);
  must(lua_gettop(L) == 1);
  if (code == 0) {
    go_round(L, 0);
    go_round(L, DW_JSON_INDENT(2));
  } else {
    const char *start = "invalid JSON at line ";
    must(lua_type(L, 1) == LUA_TSTRING);
    must(strncmp(lua_tostring(L, 1), start, strlen(start)) == 0);
  }
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  lua_State *L = luaL_newstate();
  if (!L) return 0;
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, (void *)(uintptr_t)data);
  lua_pushinteger(L, (lua_Integer)size);
  must(lua_pcall(L, 2, 0, 0) == LUA_OK);
  lua_close(L);
  return 0;
}
