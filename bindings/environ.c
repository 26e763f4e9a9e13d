/* SPDX-License-Identifier: MIT */
/* The process's environment, which stock Lua gives only name by name. */
#include <stdlib.h>

#include "bindings/app.h"

extern char **environ;

/* environ() -> { [name] = value } */
static int get_environ(lua_State *L) {
  lua_newtable(L);
  for (char **entry = environ; entry && *entry; entry++) {
    const char *equals = strchr(*entry, '=');
    if (!equals) continue;
    lua_pushlstring(L, *entry, (size_t)(equals - *entry));
    lua_pushstring(L, equals + 1);
    lua_rawset(L, -3);
  }
  return 1;
}

/* setenv(name, value): for the command, which alone changes its process. */
static int set_environ(lua_State *L) {
  const char *name = luaL_checkstring(L, 1), *value = luaL_checkstring(L, 2);
  if (setenv(name, value, 1) != 0)
    return luaL_error(L, "the variable %s can't be set", name);
  return 0;
}

void dw_environ_open(lua_State *L, dw_script *s) {
  const luaL_Reg functions[] = {
      {"environ", get_environ}, {"setenv", set_environ}, {NULL, NULL}};
  dw_script_register(L, s, functions);
}
