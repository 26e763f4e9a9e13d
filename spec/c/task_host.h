/* SPDX-License-Identifier: MIT */
/* For the units of tasks: a Lua state with a script, but without an app, and
 * stages to run in its tasks. `trail` tells what happened: each of the stages,
 * continuations and callbacks below leaves a letter, as scripts do by mark(c).
 * Include it behind unit.h. */
#ifndef DW_SPEC_TASK_HOST_H
#define DW_SPEC_TASK_HOST_H

#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/task.h"

/* --- A script --------------------------------------------------------------*/

typedef struct host {
  dw_allocator *alloc;
  dw_loop loop;
  dw_log log;
  lua_State *L;
  dw_script *s;
  unsigned records;
  char record[2048]; /* the last one */
  bool by_gc;        /* the script is closed by its finalizer */
  char trail[64];    /* what the scenario under test has gone through */
} host;

__attribute__((unused)) static void sink_cb(void *data, int level,
                                            const char *text,
                                            const dewar_log_field *fields,
                                            size_t count) {
  host *h = data;
  (void)level, (void)fields, (void)count;
  h->records++;
  snprintf(h->record, sizeof(h->record), "%s", text);
}

__attribute__((unused)) static void mark(host *h, char c) {
  size_t len = strlen(h->trail);
  if (len + 1 < sizeof(h->trail)) h->trail[len] = c, h->trail[len + 1] = '\0';
}

__attribute__((unused)) static int lua_mark(lua_State *L) {
  mark(lua_touserdata(L, lua_upvalueindex(1)), *luaL_checkstring(L, 1));
  return 0;
}

__attribute__((unused)) static int script_gc(lua_State *L) {
  dw_script *s = lua_touserdata(L, 1);
  dw_tasks_close(s);
  dw_buffer_deinit(&s->scratch);
  return 0;
}

/* Has the script closed by its finalizer, which is the last one that a closing
 * state calls. */
__attribute__((unused)) static void close_by_gc(lua_State *L) {
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, script_gc);
  lua_setfield(L, -2, "__gc");
  dw_script_push(L, dw_script_find(L), script_gc);
  lua_getupvalue(L, -1, 1);
  lua_pushvalue(L, -3);
  lua_setmetatable(L, -2);
  lua_pop(L, 3);
}

__attribute__((unused)) static int open_script(lua_State *L) {
  host *h = lua_touserdata(L, 1);
  luaL_openlibs(L);
  dw_script *s = h->s = dw_script_new(L);
  if (h->by_gc) close_by_gc(L);
  s->loop = &h->loop;
  s->alloc = h->alloc;
  s->log = &h->log;
  s->classes = LUA_NOREF;
  dw_buffer_init(&s->scratch, h->alloc, 0);
  dw_tasks_open(L, s);
  lua_newtable(L);
  dw_errors_open(L, s);
  dw_task_functions(L, s);
  dw_sync_functions(L, s);
  lua_setglobal(L, "dewar");
  lua_pushlightuserdata(L, h);
  lua_pushcclosure(L, lua_mark, 1);
  lua_setglobal(L, "mark");
  return 0;
}

__attribute__((unused)) static void close_host(host *h) {
  if (h->s && !h->by_gc) {
    dw_tasks_close(h->s);
    dw_buffer_deinit(&h->s->scratch);
  }
  if (h->L) lua_close(h->L);
  dw_loop_deinit(&h->loop);
}

__attribute__((unused)) static int open_host_as(host *h, dw_allocator *a,
                                                bool by_gc) {
  *h = (host){.alloc = a, .by_gc = by_gc};
  h->log = (dw_log){.sink = sink_cb, .data = h, .level = DEWAR_INFO};
  int err = dw_loop_init(&h->loop, NULL, a, &h->log);
  if (err) return err;
  h->L = lua_newstate(dw_allocator_lua, a);
  if (h->L) {
    lua_pushcfunction(h->L, open_script);
    lua_pushlightuserdata(h->L, h);
    if (lua_pcall(h->L, 1, 0, 0) == LUA_OK) return 0;
  }
  close_host(h);
  return DW_ENOMEM;
}

__attribute__((unused)) static int open_host(host *h, dw_allocator *a) {
  return open_host_as(h, a, false);
}

typedef struct fixture {
  dw_allocator alloc;
  host host;
} fixture;

__attribute__((unused)) static fixture *setup(void) {
  static fixture f;
  dw_allocator_init(&f.alloc, NULL, NULL);
  if (!CHECK(open_host(&f.host, &f.alloc) == 0)) exit(1);
  return &f;
}

__attribute__((unused)) static void teardown(fixture *f) {
  close_host(&f->host);
  CHECK_INT(f->alloc.used, 0);
}

/* Runs a chunk in the main thread; its error, or NULL. */
__attribute__((unused)) static const char *run_text(host *h, const char *text) {
  static char error[2048];
  lua_settop(h->L, 0);
  int status = luaL_loadstring(h->L, text);
  if (status == LUA_OK) status = lua_pcall(h->L, 0, 0, 0);
  if (status == LUA_OK) return NULL;
  snprintf(error, sizeof(error), "%s", luaL_tolstring(h->L, -1, NULL));
  lua_settop(h->L, 0);
  return error;
}

__attribute__((unused)) static void turn(host *h) {
  dw_loop_turn(&h->loop, false);
}

/* --- Stages ----------------------------------------------------------------*/

typedef struct stage {
  host *host;
  dw_wake wake;
  int cancels;
  bool wake_early;
  double seconds;
} stage;

__attribute__((unused)) static void cancel_cb(void *data) {
  stage *st = data;
  st->cancels++;
}

__attribute__((unused)) static int after_wait(lua_State *L, int status,
                                              lua_KContext ctx) {
  (void)L, (void)status;
  mark(((stage *)ctx)->host, 'k');
  return 0;
}

__attribute__((unused)) static int wait_stage(lua_State *L) {
  stage *st = lua_touserdata(L, 1);
  mark(st->host, 'w');
  st->wake = dw_wait_begin(L, st->host->s, cancel_cb, st);
  if (st->wake_early) dw_wake_up(st->wake);
  return dw_wait(L, st->wake, st->seconds, after_wait, (lua_KContext)st);
}

__attribute__((unused)) static int done_stage(lua_State *L) {
  stage *st = lua_touserdata(L, 1);
  mark(st->host, 'd');
  lua_pushliteral(L, "dropped");
  return 1;
}

__attribute__((unused)) static void fail_deep(lua_State *L) {
  if (luaL_dostring(L, "return function() error('deep', 0) end")) lua_error(L);
  lua_call(L, 0, 0);
}

__attribute__((unused)) static int fail_stage(lua_State *L) {
  fail_deep(L);
  return 0;
}

__attribute__((unused)) static int lua_stage_end(lua_State *L, int status,
                                                 lua_KContext ctx) {
  (void)L, (void)status, (void)ctx;
  return 0;
}

__attribute__((unused)) static int lua_waiting_stage(lua_State *L) {
  lua_getglobal(L, "stage");
  lua_callk(L, 0, 0, 0, lua_stage_end);
  return 0;
}

__attribute__((unused)) static void resumed_cb(dw_task *t, dw_run run) {
  stage *st = t->owner;
  mark(st->host, run == DW_RUN_DONE ? 'D' : run == DW_RUN_FAILED ? 'F' : '?');
}

__attribute__((unused)) static dw_task *open_stage(host *h, stage *st) {
  dw_task *t;
  *st = (stage){.host = h, .seconds = -1};
  if (!CHECK(dw_task_open(h->s, NULL, &t) == 0)) exit(1);
  t->owner = st;
  t->resumed_cb = resumed_cb;
  return t;
}

/* A slot as text. */
__attribute__((unused)) static const char *slot(dw_task *t,
                                                enum dw_slot which) {
  static char text[2048];
  lua_State *L = t->script->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->script->slots);
  lua_rawgeti(L, -1, t->slot + (int)which);
  snprintf(text, sizeof(text), "%s", luaL_tolstring(L, -1, NULL));
  lua_pop(L, 3);
  return text;
}

#endif
