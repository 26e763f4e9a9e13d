/* SPDX-License-Identifier: MIT */
/* Any value as a table that describes it, as large as a page has room for.
 * Nothing is called to find that out: tables are read raw, and of metatables
 * only __name is looked at. Thread: any that has the state. */
#include "bindings/snapshot.h"

#include "bindings/task_private.h"

enum {
  TEXT_MAX = 1000, /* bytes of a string */
  LABEL_MAX = 80,  /* and of a __name */
  ITEMS_MAX = 24,  /* of a table */
  DEPTH_MAX = 3    /* tables in tables */
};

static void set_text(lua_State *L, int node, const char *field,
                     const char *text, size_t len) {
  lua_pushlstring(L, text, len);
  lua_setfield(L, node, field);
}

static void describe_string(lua_State *L, int node, int index) {
  size_t len;
  const char *text = lua_tolstring(L, index, &len);
  set_text(L, node, "text", text, len < TEXT_MAX ? len : TEXT_MAX);
  lua_pushinteger(L, (lua_Integer)len);
  lua_setfield(L, node, "size");
}

static void describe_number(lua_State *L, int node, int index) {
  lua_pushvalue(L, index); /* a conversion in place would change the value */
  lua_tolstring(L, -1, NULL);
  lua_setfield(L, node, "text");
}

static void describe_function(lua_State *L, int node, int index) {
  lua_Debug ar;
  char name[DW_NAME_SIZE];
  lua_pushvalue(L, index);
  lua_getinfo(L, ">S", &ar);
  if (*ar.what != 'C')
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.linedefined);
  else
    lua_pushstring(L, dw_function_name(L, index, name) ? name : "[C]");
  lua_setfield(L, node, "text");
}

static void describe_name(lua_State *L, int node, int index) {
  if (!lua_getmetatable(L, index)) return;
  lua_pushliteral(L, "__name");
  if (lua_rawget(L, -2) == LUA_TSTRING) {
    size_t len;
    const char *name = lua_tolstring(L, -1, &len);
    set_text(L, node, "name", name, len < LABEL_MAX ? len : LABEL_MAX);
  }
  lua_pop(L, 2);
}

static void describe(lua_State *L, int index, int depth, int *left);

/* The first pairs of a table. */
static void describe_items(lua_State *L, int node, int index, int depth,
                           int *left) {
  lua_newtable(L);
  int items = lua_gettop(L), n = 0;
  lua_pushnil(L);
  while (lua_next(L, index)) {
    if (depth == 0 || n == ITEMS_MAX || *left <= 0) {
      lua_pop(L, 2);
      lua_pushboolean(L, true);
      lua_setfield(L, node, "more");
      break;
    }
    int key = lua_gettop(L) - 1;
    lua_createtable(L, 2, 0);
    describe(L, key, 0, left);
    lua_rawseti(L, -2, 1);
    describe(L, key + 1, depth - 1, left);
    lua_rawseti(L, -2, 2);
    lua_rawseti(L, items, ++n);
    lua_pop(L, 1);
  }
  lua_setfield(L, node, "items");
}

static void describe(lua_State *L, int index, int depth, int *left) {
  luaL_checkstack(L, 12, "too deep");
  lua_createtable(L, 0, 3);
  int node = lua_gettop(L), type = lua_type(L, index);
  (*left)--;
  lua_pushstring(L, lua_typename(L, type));
  lua_setfield(L, node, "type");
  if (type == LUA_TNIL) {
    set_text(L, node, "text", "nil", 3);
  } else if (type == LUA_TBOOLEAN) {
    bool yes = lua_toboolean(L, index);
    set_text(L, node, "text", yes ? "true" : "false", yes ? 4 : 5);
  } else if (type == LUA_TNUMBER) {
    describe_number(L, node, index);
  } else if (type == LUA_TSTRING) {
    describe_string(L, node, index);
  } else if (type == LUA_TFUNCTION) {
    describe_function(L, node, index);
  } else {
    lua_pushfstring(L, "%p", lua_topointer(L, index));
    lua_setfield(L, node, "text");
    if (type != LUA_TTHREAD) describe_name(L, node, index);
    if (type == LUA_TTABLE) describe_items(L, node, index, depth, left);
  }
}

void dw_snapshot_push(lua_State *L, int index, int *left) {
  enum { VALUE_MAX = 400 };
  int most = *left < VALUE_MAX ? *left : VALUE_MAX, rest = most;
  describe(L, lua_absindex(L, index), DEPTH_MAX, &rest);
  *left -= most - rest;
}

/* snapshot(value) */
static int snapshot(lua_State *L) {
  int left = 1000;
  luaL_checkany(L, 1);
  dw_snapshot_push(L, 1, &left);
  return 1;
}

void dw_snapshot_open(lua_State *L, dw_script *s) {
  static const luaL_Reg functions[] = {{"snapshot", snapshot}, {NULL, NULL}};
  dw_script_register(L, s, functions);
}
