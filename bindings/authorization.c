/* SPDX-License-Identifier: MIT */
/* What the Authorization header of a request says: req.authorization. */
#include "base/base64.h"
#include "bindings/request_fields.h"

/* Pushes the bytes behind a text in base 64, padded or not; false, and nothing
 * is pushed, where it is none. */
static bool push_decoded(lua_State *L, dw_slice text) {
  luaL_Buffer b;
  size_t len = 0;
  char *out = luaL_buffinitsize(L, &b, dw_base64_decoded_max(text.len));
  bool ok = dw_base64_decode(DW_BASE64, text, out, &len);
  luaL_pushresultsize(&b, len);
  if (!ok) lua_pop(L, 1);
  return ok;
}

/* { username=, password= } into the table on top. */
static bool set_user(lua_State *L, dw_slice credentials) {
  if (!push_decoded(L, credentials)) return false;
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  const char *colon = memchr(text, ':', len);
  if (!colon) return false;
  lua_pushlstring(L, text, (size_t)(colon - text));
  lua_setfield(L, -3, "username");
  lua_pushlstring(L, colon + 1, len - (size_t)(colon - text) - 1);
  lua_setfield(L, -3, "password");
  lua_pop(L, 1);
  return true;
}

static void push_lower(lua_State *L, dw_slice word) {
  luaL_Buffer b;
  char *to = luaL_buffinitsize(L, &b, word.len);
  for (size_t i = 0; i < word.len; i++)
    to[i] = (char)(word.ptr[i] >= 'A' && word.ptr[i] <= 'Z' ? word.ptr[i] + 32
                                                            : word.ptr[i]);
  luaL_pushresultsize(&b, word.len);
}

void dw_request_push_authorization(lua_State *L, dw_slice header) {
  header = dw_slice_trim(header);
  const char *space = header.len ? memchr(header.ptr, ' ', header.len) : NULL;
  if (!space) {
    lua_pushnil(L);
    return;
  }
  dw_slice type = dw_slice_of(header.ptr, (size_t)(space - header.ptr));
  dw_slice rest =
      dw_slice_trim(dw_slice_of(space, header.len - (size_t)type.len));
  int top = lua_gettop(L);
  lua_createtable(L, 0, 3);
  push_lower(L, type);
  lua_setfield(L, -2, "type");
  if (!dw_slice_equal_nocase(type, DW_LITERAL("Basic"))) {
    lua_pushlstring(L, rest.ptr, rest.len);
    lua_setfield(L, -2, "token");
  } else if (!set_user(L, rest)) {
    lua_settop(L, top);
    lua_pushnil(L);
  }
}
