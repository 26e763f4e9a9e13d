/* SPDX-License-Identifier: MIT */
/* Tracebacks: one line for each call, from the coroutine that failed, through
 * those that resumed or awaited it, to the task's. The script keeps the last
 * one together with its error, so that an error which passes from one coroutine
 * to the next takes its traceback along. Thread: the loop's. */
#include <string.h>

#include "bindings/capture.h"
#include "bindings/task_private.h"

/* --- The lines -------------------------------------------------------------*/

static void append_name(dw_buffer *b, const lua_Debug *ar) {
  if (ar->name && *ar->namewhat) {
    bool plain = strcmp(ar->namewhat, "global") == 0 ||
                 strcmp(ar->namewhat, "local") == 0 ||
                 strcmp(ar->namewhat, "upvalue") == 0;
    dw_buffer_printf(b, "%s '%s'", plain ? "function" : ar->namewhat, ar->name);
  } else if (*ar->what == 'm') {
    dw_buffer_printf(b, "main chunk");
  } else {
    dw_buffer_printf(b, "function <%s:%d>", ar->short_src, ar->linedefined);
  }
}

/* A variable says little about a C function, so its own name is looked for. One
 * without any is at the bottom of a coroutine, and left out. */
static void append_c_call(dw_buffer *b, lua_State *co, lua_Debug *ar) {
  if (!ar->name) return;
  char name[DW_NAME_SIZE];
  bool variable = *ar->namewhat == 'l' || *ar->namewhat == 'u';
  bool found = false;
  if (variable && lua_checkstack(co, 1)) {
    lua_getinfo(co, "f", ar);
    found = dw_function_name(co, -1, name);
    lua_pop(co, 1);
  }
  dw_buffer_printf(b, "\n\t[C]: in function '%s'", found ? name : ar->name);
}

static void append_call(dw_buffer *b, lua_State *co, lua_Debug *ar) {
  if (*ar->what == 'C') {
    append_c_call(b, co, ar);
    return;
  }
  dw_buffer_printf(b, "\n\t%s:", ar->short_src);
  if (ar->currentline > 0) dw_buffer_printf(b, "%d:", ar->currentline);
  dw_buffer_printf(b, " in ");
  append_name(b, ar);
  if (ar->istailcall) dw_buffer_printf(b, "\n\t(...tail calls...)");
}

/* The number of levels of a stack. */
static int depth(lua_State *co) {
  lua_Debug ar;
  int low = 0, high = 1;
  while (lua_getstack(co, high, &ar)) low = high, high *= 2;
  while (low + 1 < high) {
    int middle = low + (high - low) / 2;
    if (lua_getstack(co, middle, &ar))
      low = middle;
    else
      high = middle;
  }
  return high;
}

int dw_traceback_skip(lua_State *co, int from, int level) {
  enum { FIRST = 12, LAST = 10 };
  if (level - from != FIRST) return 0;
  int left = depth(co) - level;
  return left > LAST ? left - LAST : 0;
}

void dw_traceback_append(dw_buffer *b, lua_State *co, int level) {
  lua_Debug ar;
  for (int from = level; lua_getstack(co, level, &ar); level++) {
    int skip = dw_traceback_skip(co, from, level);
    if (skip) {
      dw_buffer_printf(b, "\n\t... (%d calls more)", skip);
      level += skip - 1;
      continue;
    }
    lua_getinfo(co, "Slnt", &ar);
    append_call(b, co, &ar);
  }
}

/* --- The one that is kept --------------------------------------------------*/

static void push_fixed(lua_State *L, dw_script *s, int place) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->slots);
  lua_rawgeti(L, -1, place);
  lua_remove(L, -2);
}

static void set_fixed(lua_State *L, dw_script *s, int place) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->slots);
  lua_insert(L, -2);
  lua_rawseti(L, -2, place);
  lua_pop(L, 1);
}

/* Whether it belongs to the error at index, or an equal one. */
static bool matches(lua_State *L, dw_script *s, int index) {
  if (!s->tasks->traced) return false;
  index = lua_absindex(L, index);
  push_fixed(L, s, DW_FIXED_ERROR);
  bool same = lua_rawequal(L, index, -1);
  lua_pop(L, 1);
  return same;
}

/* The C function at a level of co, or NULL. */
static lua_CFunction function_at(lua_State *co, int level) {
  lua_Debug ar;
  if (!lua_getstack(co, level, &ar) || !lua_checkstack(co, 1)) return NULL;
  lua_getinfo(co, "f", &ar);
  lua_CFunction fn = lua_tocfunction(co, -1);
  lua_pop(co, 1);
  return fn;
}

/* An equal error may be a new one, so it must also be one of our functions that
 * raises it again; or a script has it from coroutine.resume. */
bool dw_traceback_known(lua_State *L, dw_script *s, int index, lua_State *co,
                        int level) {
  if (!matches(L, s, index)) return false;
  push_fixed(L, s, DW_FIXED_TRACE);
  bool from_resume = lua_isthread(L, -1);
  lua_pop(L, 1);
  lua_CFunction rethrower = s->tasks->rethrower;
  return from_resume || (rethrower && function_at(co, level) == rethrower);
}

void dw_traceback_note(lua_State *L, dw_script *s, int index, lua_State *co,
                       const char *link) {
  index = lua_absindex(L, index);
  set_fixed(L, s, DW_FIXED_TRACE);
  lua_pushvalue(L, index);
  set_fixed(L, s, DW_FIXED_ERROR);
  s->tasks->traced = co;
  s->tasks->trace_link = link;
}

void dw_traceback_rename(lua_State *L, dw_script *s, int index) {
  lua_pushvalue(L, index);
  set_fixed(L, s, DW_FIXED_ERROR);
}

void dw_traceback_forget(lua_State *L, dw_script *s) {
  if (!s->tasks->traced) return;
  lua_pushnil(L);
  lua_pushnil(L);
  dw_traceback_note(L, s, -2, NULL, NULL);
  lua_pop(L, 1);
  s->tasks->rethrower = NULL;
}

void dw_traceback_take(lua_State *L, dw_script *s, int index) {
  index = lua_absindex(L, index);
  lua_pushnil(L);
  if (matches(L, s, index)) {
    push_fixed(L, s, DW_FIXED_TRACE);
    if (lua_type(L, -1) == LUA_TSTRING)
      lua_replace(L, -2);
    else
      lua_pop(L, 1);
  }
  dw_traceback_forget(L, s);
}

/* --- Making it -------------------------------------------------------------*/

static int to_text(lua_State *L) {
  luaL_tolstring(L, 1, NULL);
  return 1;
}

/* Pushes the error at index as a text; its __tostring may fail. */
static void push_text(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TSTRING) { /* even where no call is possible */
    lua_pushvalue(L, index);
    return;
  }
  lua_pushcfunction(L, to_text);
  lua_pushvalue(L, index);
  if (lua_pcall(L, 1, 1, 0) == LUA_OK) return;
  lua_pop(L, 1);
  lua_pushfstring(L, "(the error is a %s that has no text)",
                  luaL_typename(L, index));
}

static void append_value(lua_State *L, dw_buffer *b) { /* pops a string */
  size_t len;
  const char *text = lua_tolstring(L, -1, &len);
  dw_buffer_append(b, text, len);
  lua_pop(L, 1);
}

static void append_start(lua_State *L, dw_buffer *b, int index) {
  push_text(L, index);
  append_value(L, b);
  dw_buffer_printf(b, "\nstack traceback:");
}

/* Appends what is known of the error at index. */
static void append_known(lua_State *L, dw_script *s, dw_buffer *b, int index) {
  push_fixed(L, s, DW_FIXED_TRACE);
  lua_State *dead = lua_tothread(L, -1);
  if (dead) {
    append_start(L, b, index);
    dw_traceback_append(b, dead, 0);
    lua_pop(L, 1);
  } else if (lua_type(L, -1) == LUA_TSTRING) {
    append_value(L, b);
  } else {
    append_start(L, b, index);
    lua_pop(L, 1);
  }
  if (s->tasks->trace_link)
    dw_buffer_printf(b, "\n\t(%s)", s->tasks->trace_link);
}

/* Whether it is so long that the calls of one more coroutine would help nobody;
 * that is said once. */
static bool is_full(dw_buffer *b) {
  enum { ENOUGH = 16 * 1024 };
  static const char more[] = "\n\t... (more)";
  size_t n = sizeof more - 1;
  if (b->len < ENOUGH) return false;
  if (memcmp(b->ptr + b->len - n, more, n) != 0) dw_buffer_append(b, more, n);
  return true;
}

void dw_traceback_extend(lua_State *L, dw_script *s, int index, lua_State *co,
                         int level, const char *link) {
  dw_buffer *b = &s->scratch;
  index = lua_absindex(L, index);
  luaL_checkstack(L, 8, NULL);
  if (!b->alloc) dw_buffer_init(b, s->alloc, 0);
  b->len = 0;
  bool known = dw_traceback_known(L, s, index, co, level);
  if (known)
    append_known(L, s, b, index);
  else
    append_start(L, b, index);
  if (known && is_full(b))
    link = NULL;
  else
    dw_traceback_append(b, co, level);
  lua_pushlstring(L, b->ptr ? b->ptr : "", b->len);
  b->len = 0;
  if (dw_capture_wanted(s)) dw_capture_take(L, s, co, level, known);
  dw_traceback_note(L, s, index, co, link);
}

int dw_traceback_handler(lua_State *L) {
  dw_script *s = dw_script_find(L);
  if (!s || !s->tasks || !s->current || !lua_checkstack(L, 12)) return 1;
  int status;
  if (dw_errors_class(L, s, 1, &status) == &dw_error_cancelled) return 1;
  bool whole = s->tasks->traced == L && dw_traceback_known(L, s, 1, L, 1);
  if (!whole) dw_traceback_extend(L, s, 1, L, 1, NULL);
  s->tasks->rethrower = NULL;
  return 1;
}

int dw_rethrow(lua_State *L, dw_script *s) {
  if (s->tasks) s->tasks->rethrower = function_at(L, 0);
  return lua_error(L);
}
