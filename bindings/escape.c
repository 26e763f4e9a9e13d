/* SPDX-License-Identifier: MIT */
/* Values as text of a template or a page: escape(value) for HTML, and
 * plain_text(value) as it is. A value whose metatable has __html is HTML
 * already, and __html(self), which may wait, says which. Thread: the loop's. */
#include "bindings/app.h"

#include "base/html.h"

/* The string on top, escaped; itself if there is nothing to escape. */
static int escape_string(lua_State *L) {
  dw_slice text;
  text.ptr = lua_tolstring(L, -1, &text.len);
  size_t len = dw_html_escaped_length(text);
  if (len == text.len) return 1;
  luaL_Buffer b;
  dw_html_escape(luaL_buffinitsize(L, &b, len), text);
  luaL_pushresultsize(&b, len);
  return 1;
}

static int html_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  if (lua_type(L, -1) != LUA_TSTRING)
    return luaL_error(L, "__html must return a string; it returned a %s",
                      luaL_typename(L, -1));
  return 1;
}

/* The name of the global that the value at 1 is, pushed; NULL: it is none. */
static const char *global_name(lua_State *L) {
  lua_pushglobaltable(L);
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING && lua_rawequal(L, -1, 1))
      return lua_tostring(L, -2);
  return NULL;
}

static int no_text(lua_State *L) {
  const char *name = global_name(L);
  if (name)
    return luaL_error(L,
                      "a %s has no text; this is Lua's own '%s': was no value "
                      "of that name given?",
                      luaL_typename(L, 1), name);
  if (lua_isfunction(L, 1))
    return luaL_error(L, "a function has no text; call it");
  return luaL_error(L,
                    "a %s has no text: give one of its fields, or a __tostring "
                    "to its metatable",
                    luaL_typename(L, 1));
}

/* Of a value that is more than a string or a number. */
static int convert(lua_State *L, int (*finish)(lua_State *L)) {
  if (luaL_getmetafield(L, 1, "__html") != LUA_TNIL) {
    lua_pushvalue(L, 1);
    lua_callk(L, 1, 1, 0, html_k);
    return html_k(L, LUA_OK, 0);
  }
  if (!lua_isboolean(L, 1)) {
    if (luaL_getmetafield(L, 1, "__tostring") == LUA_TNIL) return no_text(L);
    lua_pop(L, 1);
  }
  luaL_tolstring(L, 1, NULL);
  return finish(L);
}

static int push_empty(lua_State *L) {
  lua_pushliteral(L, "");
  return 1;
}

/* Numbers hold nothing to escape. */
static int push_number(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

/* escape(value) */
static int escape(lua_State *L) {
  int type = lua_type(L, 1);
  lua_settop(L, 1);
  if (type == LUA_TSTRING) return escape_string(L);
  if (type == LUA_TNUMBER) return push_number(L);
  if (type == LUA_TNIL || type == LUA_TNONE) return push_empty(L);
  return convert(L, escape_string);
}

static int as_it_is(lua_State *L) {
  (void)L;
  return 1;
}

/* plain_text(value) */
static int plain_text(lua_State *L) {
  int type = lua_type(L, 1);
  lua_settop(L, 1);
  if (type == LUA_TSTRING) return 1;
  if (type == LUA_TNUMBER) return push_number(L);
  if (type == LUA_TNIL || type == LUA_TNONE) return push_empty(L);
  return convert(L, as_it_is);
}

void dw_escape_open(lua_State *L, dw_script *s) {
  const luaL_Reg functions[] = {
      {"escape", escape}, {"plain_text", plain_text}, {NULL, NULL}};
  dw_script_register(L, s, functions);
}
