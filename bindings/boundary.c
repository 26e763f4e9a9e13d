/* SPDX-License-Identifier: MIT */
/* Whether a wait is possible here, and if not, which call on the stack is in
 * its way. A wait suspends every coroutine from the innermost one up to the
 * task's; each must be able to yield, and have been resumed by us.
 * Thread: the loop's. */
#include <stdio.h>
#include <string.h>

#include "bindings/task_private.h"

/* --- Names of C functions --------------------------------------------------*/

/* Writes the shorter of name and what the table at `module` calls the function;
 * the name is empty as long as there is none. */
static void look_in(lua_State *L, int module, const char *module_name,
                    int function, char *name) {
  bool global = strcmp(module_name, LUA_GNAME) == 0;
  lua_pushnil(L);
  for (; lua_next(L, module); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || !lua_rawequal(L, -1, function))
      continue;
    const char *key = lua_tostring(L, -2);
    size_t len = strlen(key) + (global ? 0 : strlen(module_name) + 1);
    if (len >= DW_NAME_SIZE || (*name && len >= strlen(name))) continue;
    snprintf(name, DW_NAME_SIZE, "%s%s%s", global ? "" : module_name,
             global ? "" : ".", key);
  }
}

bool dw_function_name(lua_State *L, int function, char *name) {
  *name = '\0';
  if (!lua_checkstack(L, 8)) return false;
  function = lua_absindex(L, function);
  int top = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_istable(L, -1)) {
    lua_pushnil(L);
    for (; lua_next(L, top + 1); lua_pop(L, 1))
      if (lua_type(L, -2) == LUA_TSTRING && lua_istable(L, -1))
        look_in(L, top + 3, lua_tostring(L, -2), function, name);
  }
  lua_settop(L, top);
  return *name != '\0';
}

/* C functions that can be suspended themselves. */
static bool lets_through(const char *name) {
  static const char *const names[] = {"pcall", "xpcall", "dofile", NULL};
  for (const char *const *n = names; *n; n++)
    if (strcmp(*n, name) == 0) return true;
  return strncmp(name, "coroutine.", 10) == 0 ||
         strncmp(name, "dewar.", 6) == 0;
}

/* --- Finding the boundary --------------------------------------------------*/

enum { QUOTED_SIZE = DW_NAME_SIZE + 20 };

/* The name of the function at a level of `in`, if it is a C function that may
 * be in the way. */
static bool in_the_way(lua_State *in, lua_Debug *ar, char *name) {
  if (*ar->what != 'C' || !lua_checkstack(in, 1)) return false;
  lua_getinfo(in, "f", ar);
  char found[DW_NAME_SIZE];
  bool named = dw_function_name(in, -1, found) && !lets_through(found);
  lua_pop(in, 1);
  if (named) snprintf(name, QUOTED_SIZE, "'%s'", found);
  return named;
}

static bool is_finalizer(const lua_Debug *ar) {
  return strcmp(ar->namewhat, "metamethod") == 0 && ar->name &&
         (strcmp(ar->name, "__gc") == 0 || strcmp(ar->name, "gc") == 0);
}

/* Fills in the name of what keeps `in` from yielding. */
static void find_boundary(lua_State *in, char *name) {
  lua_Debug ar;
  snprintf(name, QUOTED_SIZE, "a C function");
  bool guessed = false;
  for (int level = 1; lua_getstack(in, level, &ar); level++) {
    lua_getinfo(in, "Sn", &ar);
    if (is_finalizer(&ar)) {
      snprintf(name, QUOTED_SIZE, "a __gc metamethod");
      return;
    }
    if (in_the_way(in, &ar, name)) return;
    if (!guessed && *ar.what == 'C' && ar.name && !lets_through(ar.name)) {
      snprintf(name, QUOTED_SIZE, "the C function '%.60s'", ar.name);
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
  char name[QUOTED_SIZE];
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  find_boundary(in, name);
  dw_misuse(L, "cannot wait across %s: %s", name, advice(name));
}

/* --- The check -------------------------------------------------------------*/

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

/* Turning the loop is no yield, but a finalizer may run in the midst of
 * anything. */
static void check_outside(lua_State *L, dw_script *s) {
  lua_Debug ar;
  if (s->loop->running)
    dw_misuse(L, "cannot wait inside a loop callback that is no task; "
                 "dewar.spawn a task that waits");
  for (int level = 0; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "n", &ar);
    if (is_finalizer(&ar)) refuse(L, L);
  }
}

void dw_wait_check(lua_State *L, dw_script *s) {
  if (!s->tasks) luaL_error(L, "cannot wait: Dewar's runtime has been closed");
  const dw_task *t = s->current;
  if (!t)
    check_outside(L, s);
  else if (L != t->co || !lua_isyieldable(L))
    check_chain(L, s);
}
