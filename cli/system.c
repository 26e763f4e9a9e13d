/* SPDX-License-Identifier: MIT */
/* dewar.system: folders and files. What fails returns nil and why. Thread: the
 * loop's. */
#include "cli/system.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int failed(lua_State *L, const char *path) {
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s", path, strerror(errno));
  return 2;
}

/* mkdir(path) -> true */
static int make_folder(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  if (mkdir(path, 0777) != 0) return failed(L, path);
  lua_pushboolean(L, true);
  return 1;
}

/* kind(path) -> "file", "folder" or "other"; nil where there is nothing. A link
 * that leads nowhere is something. */
static int kind(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct stat st;
  if (stat(path, &st) != 0) {
    if (lstat(path, &st) != 0) return failed(L, path);
    lua_pushliteral(L, "other");
  } else {
    lua_pushstring(L, S_ISREG(st.st_mode)   ? "file"
                      : S_ISDIR(st.st_mode) ? "folder"
                                            : "other");
  }
  return 1;
}

/* is_terminal(fd) */
static int is_terminal(lua_State *L) {
  lua_pushboolean(L, isatty((int)luaL_checkinteger(L, 1)));
  return 1;
}

int dw_system_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"mkdir", make_folder},
                                       {"kind", kind},
                                       {"is_terminal", is_terminal},
                                       {NULL, NULL}};
  lua_newtable(L);
  dw_script_register(L, dw_script_of(L), functions);
  return 1;
}
