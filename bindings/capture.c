/* SPDX-License-Identifier: MIT */
/* Calls with their variables, read off a stack that an error is leaving, or has
 * left dead. They are found by their traceback: by the very string, which goes
 * with the error wherever it is told. Thread: the loop's. */
#include "bindings/capture.h"

#include "bindings/app.h"
#include "bindings/snapshot.h"
#include "bindings/task_private.h"

enum {
  KEPT = 32,           /* tracebacks whose frames are kept, at most */
  VARIABLES_MAX = 40,  /* of a call, of each kind */
  VALUES_MAX = 6000,   /* of a traceback, with what is in tables */
  SOURCE_MAX = 100000, /* of a chunk that was loaded from a text */
  STACK_NEEDED = 16
};

typedef struct capture {
  dw_script *script;
  lua_State *co;
  int level;
  bool known;
  int left; /* values that may still be described */
  int frames, count;
} capture;

bool dw_capture_wanted(const dw_script *s) {
  const dw_task *t = s->current;
  return t && t->context.app && t->context.app->debug;
}

/* --- One call --------------------------------------------------------------*/

static void set_string(lua_State *L, const char *field, const char *text) {
  if (!text) return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, field);
}

static void set_integer(lua_State *L, const char *field, int n) {
  lua_pushinteger(L, n);
  lua_setfield(L, -2, field);
}

/* The value on top becomes the n-th of the list below it. */
static void add_variable(lua_State *L, capture *c, const char *name, int n) {
  lua_createtable(L, 0, 2);
  set_string(L, "name", name);
  dw_snapshot_push(L, -2, &c->left);
  lua_setfield(L, -2, "value");
  lua_rawseti(L, -3, n);
  lua_pop(L, 1);
}

/* What is there by the debugger's count from `first` on, in steps. */
static int add_locals(lua_State *L, capture *c, lua_Debug *ar, int step,
                      int n) {
  for (int i = step; n < VARIABLES_MAX && c->left > 0; i += step) {
    if (!lua_checkstack(c->co, 1)) break;
    const char *name = lua_getlocal(c->co, ar, i);
    if (!name) break;
    lua_xmove(c->co, L, 1);
    bool own = *name != '(' || step < 0;
    char number[24];
    if (step < 0) snprintf(number, sizeof number, "... %d", -i);
    if (own)
      add_variable(L, c, step < 0 ? number : name, ++n);
    else
      lua_pop(L, 1);
  }
  return n;
}

static void set_locals(lua_State *L, capture *c, lua_Debug *ar) {
  lua_newtable(L);
  int n = add_locals(L, c, ar, 1, 0);
  if (ar->isvararg) add_locals(L, c, ar, -1, n);
  lua_setfield(L, -2, "locals");
}

static void set_upvalues(lua_State *L, capture *c, lua_Debug *ar) {
  if (!lua_checkstack(c->co, 1)) return;
  lua_getinfo(c->co, "f", ar);
  lua_xmove(c->co, L, 1);
  int function = lua_gettop(L), n = 0;
  lua_newtable(L);
  for (int i = 1; n < VARIABLES_MAX && c->left > 0; i++) {
    const char *name = lua_getupvalue(L, function, i);
    if (!name) break;
    if (*name && *name != '(' && strcmp(name, "_ENV") != 0)
      add_variable(L, c, name, ++n);
    else
      lua_pop(L, 1);
  }
  lua_remove(L, function);
  lua_setfield(L, -2, "upvalues");
}

static void set_function(lua_State *L, lua_State *co, lua_Debug *ar) {
  char name[DW_NAME_SIZE];
  set_string(L, "what", ar->what);
  set_string(L, "name", ar->name);
  set_string(L, "namewhat", ar->namewhat);
  if (*ar->what == 'C' && lua_checkstack(co, 1)) {
    lua_getinfo(co, "f", ar);
    lua_xmove(co, L, 1);
    bool found = dw_function_name(L, lua_gettop(L), name);
    lua_pop(L, 1);
    if (found) set_string(L, "name", name);
  }
  lua_pushlstring(L, ar->source,
                  ar->srclen < SOURCE_MAX ? ar->srclen : SOURCE_MAX);
  lua_setfield(L, -2, "source");
  set_string(L, "short", ar->short_src);
  set_integer(L, "line", ar->currentline);
  set_integer(L, "first", ar->linedefined);
  lua_pushboolean(L, ar->istailcall);
  lua_setfield(L, -2, "tail");
}

/* --- All of them -----------------------------------------------------------*/

/* The table on top becomes the next frame. */
static void add_frame(lua_State *L, capture *c) {
  lua_rawseti(L, c->frames, ++c->count);
}

static void add_calls(lua_State *L, capture *c) {
  lua_Debug ar;
  int skip, from = c->level;
  for (int level = from; lua_getstack(c->co, level, &ar); level++) {
    skip = dw_traceback_skip(c->co, from, level);
    lua_newtable(L);
    if (skip) {
      set_integer(L, "skipped", skip);
      add_frame(L, c);
      level += skip - 1;
      continue;
    }
    lua_getinfo(c->co, "Slntu", &ar);
    set_function(L, c->co, &ar);
    if (*ar.what != 'C') {
      set_locals(L, c, &ar);
      set_upvalues(L, c, &ar);
    }
    add_frame(L, c);
  }
}

static void add_text(lua_State *L, capture *c, const char *field, int index) {
  lua_newtable(L);
  lua_pushvalue(L, index);
  lua_setfield(L, -2, field);
  add_frame(L, c);
}

/* Those of the traceback that is kept; shared, as nobody changes them. */
static void add_known(lua_State *L, capture *c) {
  dw_script *s = c->script;
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->slots);
  lua_rawgeti(L, -1, DW_FIXED_TRACE);
  lua_remove(L, -2);
  int trace = lua_gettop(L);
  lua_State *dead = lua_tothread(L, trace);
  if (dead) {
    capture inner = *c;
    inner.co = dead, inner.level = 0;
    add_calls(L, &inner);
    c->left = inner.left, c->count = inner.count;
  } else if (lua_type(L, trace) == LUA_TSTRING) {
    dw_capture_push(L, s, trace);
    lua_Integer n = lua_istable(L, -1) ? (lua_Integer)lua_rawlen(L, -1) : 0;
    for (lua_Integer i = 1; i <= n; i++) {
      lua_rawgeti(L, -1, i);
      add_frame(L, c);
    }
    if (n == 0) add_text(L, c, "text", trace);
  }
  lua_settop(L, trace - 1);
  if (!s->tasks->trace_link) return;
  lua_pushstring(L, s->tasks->trace_link);
  add_text(L, c, "link", lua_gettop(L));
  lua_pop(L, 1);
}

/* Pushes the table that keeps them: tracebacks, and their frames behind. */
static void push_kept(lua_State *L, dw_script *s) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->slots);
  if (lua_rawgeti(L, -1, DW_FIXED_FRAMES) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_createtable(L, 2 * KEPT, 0);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, DW_FIXED_FRAMES);
  }
  lua_remove(L, -2);
}

/* capture, traceback */
static int take(lua_State *L) {
  capture *c = lua_touserdata(L, 1);
  dw_tasks *tasks = c->script->tasks;
  lua_newtable(L);
  c->frames = lua_gettop(L);
  if (c->known) add_known(L, c);
  add_calls(L, c);
  push_kept(L, c->script);
  int place = 1 + tasks->captures++ % KEPT;
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, place);
  lua_pushvalue(L, c->frames);
  lua_rawseti(L, -2, KEPT + place);
  return 0;
}

/* On the main thread, since the failing one may have no stack left. */
void dw_capture_take(lua_State *L, dw_script *s, lua_State *co, int level,
                     bool known) {
  lua_State *M = s->L;
  capture c = {.script = s,
               .co = co,
               .level = level,
               .known = known,
               .left = VALUES_MAX};
  if (!lua_checkstack(M, STACK_NEEDED) || !lua_checkstack(L, 1)) return;
  lua_pushcfunction(M, take);
  lua_pushlightuserdata(M, &c);
  lua_pushvalue(L, L == M ? -3 : -1);
  lua_xmove(L, M, 1);
  if (lua_pcall(M, 2, 0, 0) != LUA_OK) lua_pop(M, 1);
}

void dw_capture_push(lua_State *L, dw_script *s, int index) {
  const char *trace = lua_tostring(L, index);
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->slots);
  lua_rawgeti(L, -1, DW_FIXED_FRAMES);
  lua_remove(L, -2);
  int kept = lua_gettop(L), found = 0;
  for (int i = 1; trace && lua_istable(L, kept) && i <= KEPT && !found; i++) {
    lua_rawgeti(L, kept, i);
    if (lua_tostring(L, -1) == trace) found = KEPT + i;
    lua_pop(L, 1);
  }
  if (found)
    lua_rawgeti(L, kept, found);
  else
    lua_pushnil(L);
  lua_remove(L, kept);
}
