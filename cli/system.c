/* SPDX-License-Identifier: MIT */
/* dewar.system: folders and files. What fails returns nil and why. Thread: the
 * loop's. */
#define _GNU_SOURCE /* sched_getaffinity */

#include "cli/system.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LISTING "dewar.listing"

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

/* mark(path) -> a text that is another one when the file is; nil: there is
 * none, or it isn't to be seen. */
static int mark(lua_State *L) {
  struct stat st;
  if (stat(luaL_checkstring(L, 1), &st) != 0) return 0;
  lua_pushfstring(L, "%I.%I.%I.%I.%d", (LUAI_UACINT)st.st_ino,
                  (LUAI_UACINT)st.st_size, (LUAI_UACINT)st.st_mtim.tv_sec,
                  (LUAI_UACINT)st.st_mtim.tv_nsec, S_ISDIR(st.st_mode) != 0);
  return 1;
}

typedef struct listing {
  DIR *dir; /* NULL: closed */
} listing;

static int listing_close(lua_State *L) {
  listing *l = lua_touserdata(L, 1);
  if (l->dir) closedir(l->dir);
  l->dir = NULL;
  return 0;
}

/* list(path) -> the names in a folder, sorted by nobody; nil and why. */
static int list(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  listing *l = lua_newuserdatauv(L, sizeof *l, 0);
  l->dir = NULL;
  luaL_setmetatable(L, LISTING);
  l->dir = opendir(path);
  if (!l->dir) return failed(L, path);
  lua_toclose(L, -1);
  lua_newtable(L);
  lua_Integer n = 0;
  for (struct dirent *entry; (entry = readdir(l->dir));) {
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
      continue;
    lua_pushstring(L, entry->d_name);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

/* processors() -> how many this process may use */
static int processors(lua_State *L) {
  long n = sysconf(_SC_NPROCESSORS_ONLN);
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) n = CPU_COUNT(&set);
#endif
  lua_pushinteger(L, n > 0 ? n : 1);
  return 1;
}

static void make_listing_type(lua_State *L) {
  luaL_newmetatable(L, LISTING);
  lua_pushcfunction(L, listing_close);
  lua_setfield(L, -2, "__close");
  lua_pushcfunction(L, listing_close);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}

int dw_system_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"mkdir", make_folder},
                                       {"kind", kind},
                                       {"is_terminal", is_terminal},
                                       {"list", list},
                                       {"mark", mark},
                                       {"processors", processors},
                                       {NULL, NULL}};
  dw_script *s = dw_script_of(L);
  char **args = lua_touserdata(L, lua_upvalueindex(2));
  make_listing_type(L);
  lua_newtable(L);
  dw_script_register(L, s, functions);
  dw_supervise_open(L, s, args);
  dw_editor_open(L, s);
  return 1;
}
