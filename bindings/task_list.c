/* SPDX-License-Identifier: MIT */
/* dewar.tasks: what every live task is doing. It looks at what is there anyway,
 * the stacks of suspended coroutines above all, so that nothing needs to be
 * written down for it. Thread: the loop's. */
#include <stdlib.h>

#include "app/exchange.h"
#include "bindings/task_private.h"

enum { NESTED_MAX = 200 }; /* more coroutines can't resume one another */

/* The coroutines of a task, from the innermost one to its own. */
typedef struct chain {
  lua_State *states[NESTED_MAX];
  int count;
} chain;

static void push_state(chain *c, lua_State *co) {
  if (c->count < NESTED_MAX) c->states[c->count++] = co;
}

/* Of the running task the frames are on the C stack; of another one, each
 * coroutine has the next. */
static void find_chain(chain *c, const dw_task *t) {
  const dw_script *s = t->script;
  c->count = 0;
  if (t == s->current) {
    for (dw_frame *f = s->tasks->frame; f; f = f->outer) push_state(c, f->co);
    push_state(c, t->co);
    return;
  }
  for (lua_State *co = t->co; co; co = dw_coroutine_inner(co))
    push_state(c, co);
  for (int i = 0, k = c->count - 1; i < k; i++, k--) {
    lua_State *co = c->states[i];
    c->states[i] = c->states[k];
    c->states[k] = co;
  }
}

/* --- Places ----------------------------------------------------------------*/

/* Finds the innermost Lua function that is not Dewar's own; the innermost one
 * where all are. false: there is none. */
static bool find_where(const dw_script *s, const chain *c, lua_Debug *found) {
  lua_Debug ar;
  found->currentline = 0;
  for (int i = 0; i < c->count; i++) {
    for (int level = 0; lua_getstack(c->states[i], level, &ar); level++) {
      lua_getinfo(c->states[i], "Sl", &ar);
      if (ar.currentline <= 0) continue;
      bool own = dw_is_own(s, &ar);
      if (!own || found->currentline == 0) *found = ar;
      if (!own) return true;
    }
  }
  return found->currentline > 0;
}

/* Pushes its "file:line", or nil. */
static void push_where(lua_State *L, const dw_script *s, const chain *c) {
  lua_Debug found;
  if (find_where(s, c, &found))
    lua_pushfstring(L, "%s:%d", found.short_src, found.currentline);
  else
    lua_pushnil(L);
}

/* Pushes what the function on top of co, which it pops, is called: where it is
 * defined, or a name of a C function; else nil. */
static void push_function(lua_State *L, lua_State *co) {
  lua_Debug ar;
  char name[DW_NAME_SIZE];
  bool named = lua_iscfunction(co, -1) && dw_function_name(co, -1, name);
  if (!lua_isfunction(co, -1)) {
    lua_pop(co, 1);
    lua_pushnil(L);
    return;
  }
  lua_getinfo(co, ">S", &ar);
  if (ar.linedefined > 0)
    lua_pushfstring(L, "%s:%d", ar.short_src, ar.linedefined);
  else if (*ar.what == 'm')
    lua_pushstring(L, ar.short_src);
  else if (named)
    lua_pushstring(L, name);
  else
    lua_pushnil(L);
}

/* The outermost function of the task's own coroutine that is no part of Dewar:
 * in Lua if there is one. */
static int find_outermost(lua_State *co) {
  lua_Debug ar;
  int found = -1, last = -1;
  for (int level = 0; lua_getstack(co, level, &ar); level++) {
    lua_getinfo(co, "S", &ar);
    if (*ar.what != 'C') found = level;
    last = level;
  }
  return found >= 0 ? found : last - 1; /* the last one is task.c's */
}

static void push_outermost(lua_State *L, lua_State *co) {
  lua_Debug ar;
  if (!co) {
    lua_pushnil(L);
    return;
  }
  luaL_checkstack(co, 10, NULL);
  int level = find_outermost(co);
  if (level < 0 || !lua_getstack(co, level, &ar)) {
    lua_pushnil(L);
    return;
  }
  lua_getinfo(co, "f", &ar);
  push_function(L, co);
}

void dw_task_push_function(lua_State *L, dw_task *t) {
  if (t->phase != DW_PHASE_PENDING) {
    push_outermost(L, t->co);
    return;
  }
  luaL_checkstack(t->co, 10, NULL);
  lua_pushvalue(t->co, 2);
  push_function(L, t->co);
}

/* The name that it was given, or that; of a body that is streamed, its
 * generator. */
static void push_name(lua_State *L, dw_task *t, const chain *c) {
  if (t->object) {
    dw_task_push_slot(L, t, DW_SLOT_OBJECT);
    dw_task_object_push_name(L, -1);
    lua_remove(L, -2);
    if (!lua_isnil(L, -1)) return;
    lua_pop(L, 1);
  }
  dw_task_push_function(L, t);
  for (int i = c->count - 2; i >= 0 && lua_isnil(L, -1); i--) {
    lua_pop(L, 1);
    push_outermost(L, c->states[i]);
  }
}

static void push_traceback(lua_State *L, dw_script *s, const chain *c) {
  dw_buffer *b = &s->scratch;
  if (!b->alloc) dw_buffer_init(b, s->alloc, 0);
  b->len = 0;
  dw_buffer_printf(b, "stack traceback:");
  for (int i = 0; i < c->count; i++) {
    dw_traceback_append(b, c->states[i], 0);
    if (i + 1 < c->count) dw_buffer_printf(b, "\n\t(a coroutine resumed by)");
  }
  lua_pushlstring(L, b->ptr ? b->ptr : "", b->len);
  b->len = 0;
}

/* --- Waits -----------------------------------------------------------------*/

/* Of a task that waits for something that Lua doesn't see. */
static const char *wait_of_stage(const dw_task *t) {
  const dw_exchange *x = t->context.exchange;
  if (!t->co) return "room";
  if (!x) return NULL;
  return x->stage >= DW_STAGE_SEND ? "socket write" : "C view";
}

/* Pushes what it waits for, or nil. */
static void push_wait(lua_State *L, const dw_task *t, const chain *c) {
  lua_Debug ar;
  const char *name = t->foreign ? "yield" : t->waits_for;
  bool ending = t->phase == DW_PHASE_ENDING || t->phase == DW_PHASE_REAPING;
  if (ending) name = "end of its tasks";
  if (t->phase == DW_PHASE_IDLE) name = wait_of_stage(t);
  if (t->phase == DW_PHASE_PENDING || t->phase == DW_PHASE_RUNNING) name = NULL;
  if (name || t->phase != DW_PHASE_SUSPENDED ||
      !lua_getstack(c->states[0], 0, &ar)) {
    lua_pushstring(L, name);
    return;
  }
  lua_getinfo(c->states[0], "n", &ar); /* it has no name of its own */
  lua_pushstring(L, ar.name ? ar.name : "something");
}

/* When it came to be in this state, on the clock of dewar.now. */
static double since(const dw_task *t) {
  const dw_loop *loop = t->script->loop;
  const dw_exchange *x = t->context.exchange;
  uint64_t now = dw_loop_now(loop), then = t->since;
  if (t->phase == DW_PHASE_RUNNING) then = now;
  if (t->phase == DW_PHASE_IDLE && x) then = x->started;
  return dw_loop_seconds(loop) - (double)(now > then ? now - then : 0) / 1e3;
}

/* --- The list --------------------------------------------------------------*/

static void set_string(lua_State *L, const char *key, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, key);
}

static void set_request(lua_State *L, const dw_exchange *x) {
  dw_slice method = dw_method_name(x->http.request.method);
  dw_slice path = x->path.len ? x->path : x->http.request.raw_path;
  lua_pushlstring(L, method.ptr, method.len);
  lua_pushliteral(L, " ");
  lua_pushlstring(L, path.ptr ? path.ptr : "", path.len);
  lua_concat(L, 3);
  lua_setfield(L, -2, "request");
  if (x->id) set_string(L, "request_id", x->id);
}

static void push_task(lua_State *L, dw_task *t) {
  chain c;
  find_chain(&c, t);
  lua_createtable(L, 0, 10);
  lua_pushinteger(L, (lua_Integer)t->id);
  lua_setfield(L, -2, "id");
  push_name(L, t, &c);
  lua_setfield(L, -2, "name");
  set_string(L, "status", t->phase == DW_PHASE_PENDING ? "pending" : "running");
  push_wait(L, t, &c);
  lua_setfield(L, -2, "wait");
  push_where(L, t->script, &c);
  lua_setfield(L, -2, "where");
  push_traceback(L, t->script, &c);
  lua_setfield(L, -2, "traceback");
  lua_pushnumber(L, since(t));
  lua_setfield(L, -2, "since");
  if (t->parent && t->parent != t->script->root) {
    lua_pushinteger(L, (lua_Integer)t->parent->id);
    lua_setfield(L, -2, "parent");
  }
  if (t->context.exchange) set_request(L, t->context.exchange);
  if (t->background) {
    lua_pushboolean(L, true);
    lua_setfield(L, -2, "background");
  }
  if (t->cancelled) {
    lua_pushboolean(L, true);
    lua_setfield(L, -2, "cancelled");
  }
}

static int by_id(const void *a, const void *b) {
  const dw_task *x = *(dw_task *const *)a, *y = *(dw_task *const *)b;
  return x->id < y->id ? -1 : x->id > y->id;
}

/* tasks() */
static int tasks(lua_State *L) {
  dw_script *s = dw_script_of(L);
  if (!s->tasks) return luaL_error(L, "tasks: Dewar's runtime has been closed");
  size_t live = s->tasks->live, n = 0;
  dw_task **list = lua_newuserdatauv(L, live * sizeof *list + 1, 0);
  for (dw_task *t = s->tasks->newest; t && n < live; t = t->older)
    if (t->status != DW_TASK_FREE) list[n++] = t;
  qsort(list, n, sizeof *list, by_id);
  lua_createtable(L, (int)n, 0);
  luaL_checkstack(L, 10, NULL);
  /* A finalizer may end one meanwhile. */
  for (size_t i = 0, k = 0; i < n; i++) {
    if (list[i]->status == DW_TASK_FREE) continue;
    push_task(L, list[i]);
    lua_rawseti(L, -2, (lua_Integer)++k);
  }
  return 1;
}

static const luaL_Reg functions[] = {{"tasks", tasks}, {NULL, NULL}};

void dw_task_list_functions(lua_State *L, dw_script *s) {
  dw_script_register(L, s, functions);
}
