/* SPDX-License-Identifier: MIT */
/* The router's values as Lua's. */
#include "bindings/route.h"

void dw_value_push(lua_State *L, const dw_value *v) {
  switch (v->kind) {
  case DW_VALUE_STRING:
    lua_pushlstring(L, v->as.string.ptr, v->as.string.len);
    break;
  case DW_VALUE_INT:
    lua_pushinteger(L, v->as.integer);
    break;
  case DW_VALUE_FLOAT:
    lua_pushnumber(L, v->as.number);
    break;
  case DW_VALUE_BOOL:
    lua_pushboolean(L, v->as.integer != 0);
    break;
  case DW_VALUE_HANDLE:
    lua_rawgeti(L, LUA_REGISTRYINDEX, v->as.integer);
    break;
  case DW_VALUE_NONE:
    lua_pushnil(L);
    break;
  }
}

bool dw_value_read(lua_State *L, int index, dw_value *out) {
  size_t len;
  const char *text;
  memset(out, 0, sizeof *out);
  switch (lua_type(L, index)) {
  case LUA_TSTRING:
    text = lua_tolstring(L, index, &len);
    out->kind = DW_VALUE_STRING;
    out->as.string = dw_slice_of(text, len);
    return true;
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) {
      out->kind = DW_VALUE_INT;
      out->as.integer = lua_tointeger(L, index);
    } else {
      out->kind = DW_VALUE_FLOAT;
      out->as.number = lua_tonumber(L, index);
    }
    return true;
  case LUA_TBOOLEAN:
    out->kind = DW_VALUE_BOOL;
    out->as.integer = lua_toboolean(L, index);
    return true;
  case LUA_TNIL:
    return true;
  default:
    return false;
  }
}
