/* SPDX-License-Identifier: MIT */
/* What every binding needs: the script behind a lua_State, functions and types
 * that know it, and errors for misuse. Owner: the registry. Thread: the
 * loop's. */
#include "bindings/script.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Its address is the script's key in the registry. */
static const char script_key;

dw_script *dw_script_new(lua_State *L) {
  dw_script *s = lua_newuserdatauv(L, sizeof(*s), 0);
  *s = (dw_script){0};
  lua_rawsetp(L, LUA_REGISTRYINDEX, &script_key);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  s->L = lua_tothread(L, -1);
  lua_pop(L, 1);
  dw_list_init(&s->apps);
  dw_list_init(&s->clients);
  dw_list_init(&s->handles);
  return s;
}

void dw_script_forget(dw_script *s) {
  lua_State *L = s->L;
  if (dw_script_find(L) != s || !lua_checkstack(L, 1)) return;
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &script_key);
}

dw_script *dw_script_find(lua_State *L) {
  if (!lua_checkstack(L, 1)) return NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &script_key);
  dw_script *s = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return s;
}

/* --- Functions and types ---------------------------------------------------*/

void dw_script_push_self(lua_State *L, dw_script *s) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &script_key) == LUA_TUSERDATA &&
      lua_touserdata(L, -1) == s)
    return;
  lua_pop(L, 1);
  lua_pushlightuserdata(L, s);
}

void dw_script_push(lua_State *L, dw_script *s, lua_CFunction fn) {
  luaL_checkstack(L, 2, NULL);
  dw_script_push_self(L, s);
  lua_pushcclosure(L, fn, 1);
}

void dw_script_register(lua_State *L, dw_script *s, const luaL_Reg *functions) {
  luaL_checkstack(L, 4, NULL);
  dw_script_push_self(L, s);
  luaL_setfuncs(L, functions, 1);
}

void dw_script_type(lua_State *L, dw_script *s, const char *name,
                    const luaL_Reg *methods, const luaL_Reg *metamethods) {
  luaL_checkstack(L, 4, NULL);
  luaL_newmetatable(L, name);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, name);
  lua_newtable(L);
  if (methods) dw_script_register(L, s, methods);
  lua_setfield(L, -2, "__index");
  if (metamethods) dw_script_register(L, s, metamethods);
  lua_pop(L, 1);
}

void *dw_type_test(lua_State *L, int index, const char *name) {
  void *p = lua_touserdata(L, index);
  if (!p || !lua_getmetatable(L, index)) return NULL;
  lua_rawgetp(L, LUA_REGISTRYINDEX, name);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same ? p : NULL;
}

void *dw_type_check(lua_State *L, int index, const char *name) {
  void *p = dw_type_test(L, index, name);
  return p ? p : luaL_checkudata(L, index, name);
}

void dw_type_set(lua_State *L, const char *name) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, name);
  lua_setmetatable(L, -2);
}

/* --- Misuse ----------------------------------------------------------------*/

int dw_own_files(lua_State *L) {
  static const char last[] = "init.lua";
  dw_script *s = dw_script_of(L);
  lua_Debug ar;
  if (!lua_getstack(L, 1, &ar) || !lua_getinfo(L, "S", &ar)) return 0;
  size_t len = strlen(ar.source), tail = sizeof last - 1;
  if (len <= tail || strcmp(ar.source + len - tail, last) != 0) return 0;
  if (len - tail >= sizeof s->own) return 0;
  memcpy(s->own, ar.source, len - tail);
  s->own[len - tail] = '\0';
  return 0;
}

bool dw_is_own(const dw_script *s, const lua_Debug *ar) {
  return s && *s->own && strncmp(ar->source, s->own, strlen(s->own)) == 0;
}

/* Pushes "file:line: " of the innermost Lua function that isn't ours; of the
 * innermost one where all are; or "". */
static void push_where(lua_State *L) {
  const dw_script *s = dw_script_find(L);
  lua_Debug ar, found = {.currentline = 0};
  for (int level = 1; lua_getstack(L, level, &ar); level++) {
    lua_getinfo(L, "Sl", &ar);
    if (ar.currentline <= 0) continue;
    bool own = dw_is_own(s, &ar);
    if (!own || found.currentline == 0) found = ar;
    if (!own) break;
  }
  if (found.currentline > 0)
    lua_pushfstring(L, "%s:%d: ", found.short_src, found.currentline);
  else
    lua_pushliteral(L, "");
}

int dw_misuse(lua_State *L, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  luaL_checkstack(L, 4, NULL);
  push_where(L);
  lua_pushstring(L, text);
  lua_concat(L, 2);
  return lua_error(L);
}

/* --- Names -----------------------------------------------------------------*/

enum { MAX_WORD = 48 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* How many letters must be added, removed, replaced or swapped with their
 * neighbour to make b of a. Both are at most MAX_WORD long. */
static size_t distance(const char *a, size_t la, const char *b, size_t lb) {
  size_t rows[3][MAX_WORD + 1];
  for (size_t j = 0; j <= lb; j++) rows[0][j] = j;
  for (size_t i = 1; i <= la; i++) {
    size_t *row = rows[i % 3], *above = rows[(i + 2) % 3];
    const size_t *two_above = rows[(i + 1) % 3];
    row[0] = i;
    for (size_t j = 1; j <= lb; j++) {
      bool same = a[i - 1] == b[j - 1];
      row[j] = least(least(row[j - 1], above[j]) + 1, above[j - 1] + !same);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = least(row[j], two_above[j - 2] + 1);
    }
  }
  return rows[la % 3][lb];
}

/* The one name that begins with the word, if that says something. */
static const char *begun(const char *word, size_t len,
                         const char *const *names) {
  const char *found = NULL;
  for (; len >= 3 && *names; names++) {
    if (strncmp(*names, word, len) != 0) continue;
    if (found) return NULL;
    found = *names;
  }
  return found;
}

const char *dw_nearest(const char *word, const char *const *names) {
  const char *const *all = names;
  size_t len = strlen(word);
  if (len == 0 || len > MAX_WORD) return NULL;
  const char *nearest = NULL;
  size_t best = (len + 3) / 4 + 1; /* this far is not near any more */
  for (; *names; names++) {
    size_t name_len = strlen(*names);
    if (name_len > MAX_WORD) continue;
    size_t d = distance(word, len, *names, name_len);
    if (d < best && d < least(len, name_len)) {
      best = d;
      nearest = *names;
    }
  }
  return nearest ? nearest : begun(word, len, all);
}

const char *dw_nearest_key(lua_State *L, int index, const char *word,
                           const char *const *names) {
  size_t n = 0;
  index = lua_absindex(L, index);
  while (names[n]) n++;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) n++;
  const char **all = lua_newuserdatauv(L, (n + 1) * sizeof *all, 0);
  n = 0;
  for (; names[n]; n++) all[n] = names[n];
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING) all[n++] = lua_tostring(L, -2);
  all[n] = NULL;
  return dw_nearest(word, all);
}

static void append(char *text, size_t size, const char *piece) {
  size_t len = strlen(text);
  if (len + 1 < size) snprintf(text + len, size - len, "%s", piece);
}

static void unknown_option(lua_State *L, const char *key,
                           const char *const *names) {
  const char *nearest = dw_nearest(key, names);
  if (nearest)
    dw_misuse(L, "unknown option '%.64s'; did you mean '%s'?", key, nearest);
  char list[512] = "";
  for (const char *const *name = names; *name; name++) {
    if (name != names) append(list, sizeof(list), ", ");
    append(list, sizeof(list), *name);
  }
  dw_misuse(L, "unknown option '%.64s'; there are: %s", key, list);
}

void dw_check_options(lua_State *L, int index, const char *const *names) {
  if (lua_isnoneornil(L, index)) return;
  if (!lua_istable(L, index))
    dw_misuse(L, "the options must be a table, not a %s",
              luaL_typename(L, index));
  index = lua_absindex(L, index);
  luaL_checkstack(L, 4, NULL);
  lua_pushnil(L);
  while (lua_next(L, index)) {
    if (lua_type(L, -2) != LUA_TSTRING)
      dw_misuse(L, "the name of an option must be a string, not a %s",
                luaL_typename(L, -2));
    const char *key = lua_tostring(L, -2);
    const char *const *name = names;
    while (*name && strcmp(*name, key) != 0) name++;
    if (!*name) unknown_option(L, key, names);
    lua_pop(L, 1);
  }
}

/* --- Fields that are written in Lua ----------------------------------------*/

int dw_fields_define(lua_State *L, const char *type) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_getmetatable(L, type);
  lua_getfield(L, -1, "__fields");
  for (lua_pushnil(L); lua_next(L, 1);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  return 0;
}

bool dw_fields_set(lua_State *L, int fields) {
  int top = lua_gettop(L);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, fields) != LUA_TTABLE ||
      lua_getfield(L, -1, "set") == LUA_TNIL) {
    lua_settop(L, top);
    return false;
  }
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 3);
  lua_call(L, 2, 0);
  lua_settop(L, top);
  return true;
}
