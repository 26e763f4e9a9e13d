/* SPDX-License-Identifier: MIT */
/* Whether a wait is possible here, and if not, which call on the stack is in
 * its way. A wait suspends every coroutine from the innermost one up to the
 * task's; each must be able to yield, and have been resumed by us.
 * Thread: the loop's. */
#include <stdio.h>
#include <string.h>

#include "bindings/task_private.h"

/* --- Names of C functions -------------------------------------------------*/

/* Pushes "module.name" for the function at index, or pushes nothing. */
static bool push_name_in(lua_State *L, int module, const char *module_name,
                         int function) {
  lua_pushnil(L);
  while (lua_next(L, module)) {
    if (lua_type(L, -2) == LUA_TSTRING && lua_rawequal(L, -1, function)) {
      bool global = strcmp(module_name, LUA_GNAME) == 0;
      lua_pop(L, 1);
      if (!global) {
        lua_pushfstring(L, "%s.%s", module_name, lua_tostring(L, -1));
        lua_remove(L, -2);
      }
      return true;
    }
    lua_pop(L, 1);
  }
  return false;
}

static bool push_global_name(lua_State *L, int function) {
  function = lua_absindex(L, function);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  int loaded = lua_gettop(L);
  lua_pushnil(L);
  while (lua_next(L, loaded)) {
    if (lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1) &&
        push_name_in(L, lua_gettop(L), lua_tostring(L, -2), function)) {
      lua_replace(L, loaded);
      lua_settop(L, loaded);
      return true;
    }
    lua_pop(L, 1);
  }
  lua_settop(L, loaded - 1);
  return false;
}

/* C functions that can be suspended themselves. */
static bool lets_through(const char *name) {
  static const char *const names[] = {"pcall", "xpcall", "dofile", NULL};
  for (const char *const *n = names; *n; n++)
    if (strcmp(*n, name) == 0) return true;
  return strncmp(name, "coroutine.", 10) == 0 ||
         strncmp(name, "dewar.", 6) == 0;
}

/* --- Finding the boundary -------------------------------------------------*/

enum { NAME_SIZE = 128 };

/* The name of the function at a level of `in`, if it is a C function that may
 * be in the way. */
static bool in_the_way(lua_State *L, lua_State *in, lua_Debug *ar, char *name) {
  if (*ar->what != 'C' || !lua_checkstack(in, 1)) return false;
  lua_getinfo(in, "f", ar);
  lua_xmove(in, L, 1);
  bool found = push_global_name(L, -1);
  if (found) {
    found = !lets_through(lua_tostring(L, -1));
    if (found) snprintf(name, NAME_SIZE, "'%s'", lua_tostring(L, -1));
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return found;
}

/* Fills in the name of what keeps `in` from yielding. */
static void find_boundary(lua_State *L, lua_State *in, char *name) {
  lua_Debug ar;
  snprintf(name, NAME_SIZE, "a C function");
  bool guessed = false;
  for (int level = 1; lua_getstack(in, level, &ar); level++) {
    lua_getinfo(in, "Sn", &ar);
    if (strcmp(ar.namewhat, "metamethod") == 0 && ar.name &&
        (strcmp(ar.name, "__gc") == 0 || strcmp(ar.name, "gc") == 0)) {
      snprintf(name, NAME_SIZE, "a __gc metamethod");
      return;
    }
    if (in_the_way(L, in, &ar, name)) return;
    if (!guessed && *ar.what == 'C' && ar.name && !lets_through(ar.name)) {
      snprintf(name, NAME_SIZE, "the C function '%s'", ar.name);
      guessed = true;
    }
  }
}

static const char *advice(const char *name) {
  static const char *const advices[][2] = {
      {"'require'",
       "wait in a function that is called once the module has been "
       "loaded"},
      {"'table.sort'", "find out what it compares first, and then sort"},
      {"'string.gsub'", "collect the matches first, and wait outside"},
      {"a __gc metamethod", "dewar.spawn a task that does it"},
      {NULL, "collect what it needs first, and wait outside"}};
  int i = 0;
  while (advices[i][0] && strcmp(advices[i][0], name) != 0) i++;
  return advices[i][1];
}

static void refuse(lua_State *L, lua_State *in) {
  char name[NAME_SIZE];
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  find_boundary(L, in, name);
  dw_misuse(L, "cannot wait across %s: %s", name, advice(name));
}

/* --- The check ------------------------------------------------------------*/

/* Inside a user's coroutine, or where L can't yield. */
static void check_chain(lua_State *L, dw_script *s) {
  dw_frame *frame = s->tasks->frame;
  lua_State *in = L;
  for (;; in = frame->from, frame = frame->outer) {
    if (!lua_isyieldable(in)) refuse(L, in);
    if (in == s->current->co) return;
    if (!frame || frame->co != in)
      dw_misuse(L,
                "cannot wait in this coroutine: what resumed it doesn't know "
                "Dewar (C code, or a coroutine.resume or coroutine.wrap "
                "that was taken before dewar was loaded)");
  }
}

void dw_wait_check(lua_State *L, dw_script *s) {
  if (!s->tasks) luaL_error(L, "cannot wait: Dewar's runtime has been closed");
  const dw_task *t = s->current;
  if (t) {
    if (L != t->co || !lua_isyieldable(L)) check_chain(L, s);
  } else if (s->loop->running) {
    dw_misuse(L, "cannot wait inside a loop callback that is no task; "
                 "dewar.spawn a task that waits");
  }
}
