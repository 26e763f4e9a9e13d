/* SPDX-License-Identifier: MIT */
/* What files (upload.c) and parts (parts.c) of a form have in common. */
#include "bindings/reader.h"
#include "bindings/values.h"

/* Upvalue 2: methods; 3: the dw_part_type. */
static int part_index(lua_State *L) {
  const dw_part_type *type = lua_touserdata(L, lua_upvalueindex(3));
  dw_type_check(L, 1, type->name);
  lua_settop(L, 2);
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, -2) != LUA_TNIL) return 1;
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) return 1;
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
  if (!name)
    return dw_misuse(L, "the fields of %s have names; got a %s", type->what,
                     luaL_typename(L, 2));
  for (const char *const *n = type->names; *n; n++)
    if (strcmp(*n, name) == 0) return 1;
  const char *near = dw_nearest(name, type->names);
  if (near)
    return dw_misuse(L, "%s has no field '%s'; did you mean '%s'?", type->what,
                     name, near);
  return dw_misuse(L, "%s has no field '%s'", type->what, name);
}

static int part_newindex(lua_State *L) {
  return dw_misuse(L, "what came with a request can't be changed");
}

void dw_part_open(lua_State *L, dw_script *s, const dw_part_type *type) {
  dw_script_type(L, s, type->name, type->methods, type->metamethods);
  luaL_getmetatable(L, type->name);
  lua_pushlightuserdata(L, s);
  lua_getfield(L, -2, "__index");
  lua_pushlightuserdata(L, (void *)type);
  lua_pushcclosure(L, part_index, 3);
  lua_setfield(L, -2, "__index");
  dw_script_push(L, s, part_newindex);
  lua_setfield(L, -2, "__newindex");
  lua_pop(L, 1);
}

void dw_part_begin(lua_State *L, const dw_part_type *type) {
  dw_type_set(L, type->name);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 2);
  lua_newtable(L);
}

void dw_part_set(lua_State *L, const char *name, dw_slice value) {
  lua_pushlstring(L, value.ptr, value.len);
  lua_setfield(L, -2, name);
}

void dw_part_set_headers(lua_State *L, const dw_header *list, size_t n) {
  dw_values_push_headers(L, dw_script_find(L), list, n);
  lua_setfield(L, -2, "headers");
}

void dw_part_end(lua_State *L) { lua_setiuservalue(L, -2, 1); }

dw_exchange *dw_part_exchange(lua_State *L, int index) {
  index = lua_absindex(L, index);
  lua_getiuservalue(L, index, 2);
  dw_exchange *x = dw_request_check(L, -1);
  lua_pop(L, 1);
  return x;
}
