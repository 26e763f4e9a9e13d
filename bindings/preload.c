/* SPDX-License-Identifier: MIT */
/* How `require` finds Dewar in a state that has a runtime: the module table of
 * C stands in package.loaded, and the embedded Lua files in package.preload.
 * What stood there before is kept in a table in the registry, and put back when
 * the runtime goes. Both tables are in the registry whether or not the state
 * has the package library. */
#include "bindings/embedded.h"
#include "bindings/init.h"

#define CORE "dewar.core"

/* In the table of what was replaced: nothing stood there. */
static const char nothing;

/* The two tables of the package library, as the saved one calls them. */
static const char *const tables[] = {LUA_LOADED_TABLE, LUA_PRELOAD_TABLE};
enum { LOADED, PRELOAD, TABLES };

/* --- Loading ---------------------------------------------------------------*/

/* Called by require with the module's name. */
static int load_embedded(lua_State *L) {
  const dw_embedded_module *m = lua_touserdata(L, lua_upvalueindex(1));
  lua_settop(L, 1);
  if (luaL_loadbufferx(L, (const char *)m->bytes, m->len, m->chunkname, "t"))
    return lua_error(L);
  lua_pushvalue(L, 1);
  lua_pushstring(L, m->chunkname + 1);
  lua_call(L, 2, 1);
  return 1;
}

/* --- Replacing -------------------------------------------------------------*/

/* Keeps what tables[which] has for a name. The saved tables are on top. */
static void save(lua_State *L, int which, const char *name) {
  lua_rawgeti(L, -1, which + 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, tables[which]);
  if (lua_getfield(L, -1, name) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushlightuserdata(L, (void *)&nothing);
  }
  lua_setfield(L, -3, name);
  lua_pop(L, 2);
}

/* Pops the value and puts it there. */
static void put(lua_State *L, int which, const char *name) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, tables[which]);
  lua_insert(L, -2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

void dw_preload_open(lua_State *L, dw_script *s) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  int module = lua_gettop(L);
  lua_createtable(L, TABLES, 0);
  for (int which = 0; which < TABLES; which++) {
    lua_newtable(L);
    lua_rawseti(L, -2, which + 1);
  }
  lua_pushvalue(L, -1);
  s->saved = luaL_ref(L, LUA_REGISTRYINDEX);
  save(L, LOADED, CORE);
  lua_pushvalue(L, module);
  put(L, LOADED, CORE);
  for (const dw_embedded_module *m = dw_embedded_modules; m->name; m++) {
    save(L, LOADED, m->name);
    lua_pushnil(L);
    put(L, LOADED, m->name);
    save(L, PRELOAD, m->name);
    lua_pushlightuserdata(L, (void *)m);
    lua_pushcclosure(L, load_embedded, 1);
    put(L, PRELOAD, m->name);
  }
  lua_settop(L, module);
}

/* --- Putting back ----------------------------------------------------------*/

/* The saved table, in which the names are keys, is on top. */
static void put_back(lua_State *L, int which) {
  if (lua_getfield(L, LUA_REGISTRYINDEX, tables[which]) != LUA_TTABLE) {
    lua_pop(L, 1);
    return;
  }
  int to = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, to - 1)) {
    if (lua_touserdata(L, -1) == &nothing) {
      lua_pop(L, 1);
      lua_pushnil(L);
    }
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, to);
  }
  lua_pop(L, 1);
}

void dw_preload_close(lua_State *L, dw_script *s) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (lua_rawgeti(L, LUA_REGISTRYINDEX, s->saved) == LUA_TTABLE) {
    for (int which = 0; which < TABLES; which++) {
      lua_rawgeti(L, -1, which + 1);
      put_back(L, which);
      lua_pop(L, 1);
    }
  }
  lua_pop(L, 1);
  luaL_unref(L, LUA_REGISTRYINDEX, s->saved);
  s->saved = LUA_NOREF;
}

/* --- Files -----------------------------------------------------------------*/

/* package.searchpath("dewar", package.path) */
static bool finds_files(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LUA_LOADLIBNAME) != LUA_TTABLE) return false;
  lua_getfield(L, -1, "searchpath");
  lua_pushliteral(L, "dewar");
  if (!lua_isfunction(L, -2) || lua_getfield(L, -3, "path") != LUA_TSTRING)
    return false;
  lua_call(L, 2, 1);
  return lua_isstring(L, -1);
}

void dw_preload_prefer_files(lua_State *L, dw_script *s) {
  int top = lua_gettop(L);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (finds_files(L)) dw_preload_close(L, s);
  lua_settop(L, top);
}
