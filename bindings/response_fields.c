/* SPDX-License-Identifier: MIT */
/* Fields of a response that are more than a number or a text: mimetype and
 * compress. Those that are headers are in lua/dewar/response.lua. */
#include "bindings/response.h"

#include "base/error.h"
#include "http/mime.h"

void dw_response_get_mimetype(lua_State *L, dw_response *r) {
  dw_slice type = dw_response_type(r);
  const char *end = memchr(type.ptr, ';', type.len);
  if (end) type.len = (size_t)(end - type.ptr);
  type = dw_slice_trim(type);
  lua_pushlstring(L, type.ptr, type.len);
}

/* text/… gets a charset, as in Flask. */
void dw_response_set_mimetype(lua_State *L, dw_response *r, int index) {
  if (lua_type(L, index) != LUA_TSTRING)
    dw_misuse(L, "mimetype is a string such as \"text/plain\"; got a %s",
              luaL_typename(L, index));
  const char *type = lua_tostring(L, index);
  if (!strchr(type, ';') && dw_mime_is_text(dw_slice_str(type)))
    type = lua_pushfstring(L, "%s; charset=utf-8", type);
  int code = dw_headers_set(&r->headers, DW_LITERAL("Content-Type"),
                            dw_slice_of(type, strlen(type)));
  if (*type == '\0') dw_misuse(L, "a mimetype is not empty");
  if (code == DEWAR_EINVAL || strlen(type) != lua_rawlen(L, -1))
    dw_misuse(L, "the mimetype can't be sent: it has a control character");
  if (code < 0) luaL_error(L, "not enough memory");
}

void dw_response_get_compress(lua_State *L, const dw_response *r) {
  if (r->compress)
    lua_pushboolean(L, r->compress > 0);
  else
    lua_pushnil(L);
}

void dw_response_set_compress(lua_State *L, dw_response *r, int index) {
  if (!lua_isnil(L, index) && !lua_isboolean(L, index))
    dw_misuse(L,
              "compress is true, false, or nil for what the app says; got "
              "a %s",
              luaL_typename(L, index));
  r->compress = lua_isnil(L, index) ? 0 : lua_toboolean(L, index) ? 1 : -1;
}
