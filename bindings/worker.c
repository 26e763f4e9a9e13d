/* SPDX-License-Identifier: MIT */
/* The Lua state of a thread of dewar.work. */
#include "bindings/worker.h"

#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "bindings/brake.h"
#include "bindings/json.h"
#include "bindings/parcel.h"
#include "bindings/task_private.h"

struct dw_worker {
  dw_allocator memory;
  dw_brake brake;
  lua_State *L;
};

/* Garbage that is worth a collection between two jobs, in KiB. */
enum { GARBAGE = 1024 };

/* --- Calls -----------------------------------------------------------------*/

void dw_call_init(dw_call *call) {
  *call = (dw_call){0};
  dw_allocator_init(&call->memory, NULL, NULL);
  dw_buffer_init(&call->values, &call->memory, DW_PARCEL_MAX);
  dw_buffer_init(&call->text, &call->memory, 0);
  dw_buffer_init(&call->trace, &call->memory, 0);
}

void dw_call_deinit(dw_call *call) {
  dw_buffer_deinit(&call->values);
  dw_buffer_deinit(&call->text);
  dw_buffer_deinit(&call->trace);
}

/* --- Stopping --------------------------------------------------------------*/

/* At every instruction of what is to end: no pcall holds that up for long. */
static void stop_hook(lua_State *L, lua_Debug *ar) {
  dw_brake *b = dw_brake_of(L);
  (void)ar;
  if (!b || !atomic_load(&b->pulled)) {
    lua_sethook(L, NULL, 0, 0);
    return;
  }
  lua_pushliteral(L, "the work was cancelled");
  lua_error(L);
}

void dw_worker_stop(dw_worker *w) { dw_brake_pull(&w->brake); }

/* --- Coroutines ------------------------------------------------------------
 * As in stock Lua, but that the brake is told which one runs. */

enum { FAILED = -1 };

static int step(lua_State *L, lua_State *co, int nargs) {
  dw_brake *b = dw_brake_of(L);
  if (!lua_checkstack(co, nargs)) {
    lua_pushliteral(L, "too many arguments to resume");
    return FAILED;
  }
  lua_xmove(L, co, nargs);
  int values;
  dw_brake_enter(b, co);
  int status = lua_resume(co, L, nargs, &values);
  dw_brake_enter(b, L);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(co, L, 1);
    return FAILED;
  }
  if (!lua_checkstack(L, values + 1)) {
    lua_pop(co, values);
    lua_pushliteral(L, "too many results to resume");
    return FAILED;
  }
  lua_xmove(co, L, values);
  return values;
}

static int co_resume(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  luaL_argexpected(L, co, 1, "thread");
  int values = step(L, co, lua_gettop(L) - 1);
  int returned = values == FAILED ? 1 : values;
  lua_pushboolean(L, values != FAILED);
  lua_insert(L, -returned - 1);
  return returned + 1;
}

static int wrapped(lua_State *L) {
  lua_State *co = lua_tothread(L, lua_upvalueindex(1));
  int values = step(L, co, lua_gettop(L));
  if (values != FAILED) return values;
  int status = lua_status(co);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_xmove(L, co, 1);
    dw_thread_close(co, L);
    lua_xmove(co, L, 1);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

static int co_wrap(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State *co = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, co, 1);
  lua_pushcclosure(L, wrapped, 1);
  return 1;
}

/* --- What there is in it ---------------------------------------------------*/

static int refused(lua_State *L) {
  return luaL_error(L, "%s can't be used inside of dewar.work",
                    lua_tostring(L, lua_upvalueindex(1)));
}

/* What would reach beyond the thread, or take the brake off. */
static void refuse(lua_State *L, const char *library, const char *name) {
  lua_getglobal(L, library);
  lua_pushfstring(L, "%s.%s", library, name);
  lua_pushcclosure(L, refused, 1);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

/* __index of dewar */
static int no_field(lua_State *L) {
  return luaL_error(L,
                    "dewar.%s can't be used inside of dewar.work: there are "
                    "json, array and null",
                    luaL_tolstring(L, 2, NULL));
}

/* require "dewar" gives what needs no runtime. */
static void open_dewar(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_createtable(L, 0, 3);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, no_field);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  dw_json_open(L);
  lua_getfield(L, -1, "null");
  lua_setfield(L, -3, "null");
  lua_getfield(L, -1, "array");
  lua_setfield(L, -3, "array");
  lua_setfield(L, -2, "json");
  lua_setfield(L, -2, "dewar");
  lua_pop(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushliteral(L, "the runtime of Dewar");
  lua_pushcclosure(L, refused, 1);
  lua_setfield(L, -2, "dewar.core");
  lua_pop(L, 1);
}

static int open_main(lua_State *L) {
  static const luaL_Reg coroutines[] = {
      {"resume", co_resume}, {"wrap", co_wrap}, {NULL, NULL}};
  luaL_openlibs(L);
  lua_getglobal(L, LUA_COLIBNAME);
  luaL_setfuncs(L, coroutines, 0);
  refuse(L, LUA_OSLIBNAME, "exit");
  refuse(L, LUA_OSLIBNAME, "setlocale");
  refuse(L, LUA_DBLIBNAME, "sethook");
  open_dewar(L);
  return 0;
}

/* Plain malloc: allocators belong to one thread, and this is a new one. */
dw_worker *dw_worker_new(void) {
  dw_worker *w = malloc(sizeof *w);
  if (!w) return NULL;
  dw_allocator_init(&w->memory, NULL, NULL);
  if (dw_brake_init(&w->brake, dw_allocator_lua, &w->memory, stop_hook)) {
    free(w);
    return NULL;
  }
  w->L = lua_newstate(dw_brake_alloc, &w->brake);
  if (w->L) {
    lua_pushcfunction(w->L, open_main);
    if (lua_pcall(w->L, 0, 0, 0) == LUA_OK) return w;
  }
  dw_worker_free(w);
  return NULL;
}

void dw_worker_free(dw_worker *w) {
  if (w->L) lua_close(w->L);
  dw_allocator_trim(&w->memory);
  dw_brake_deinit(&w->brake);
  free(w);
}

/* --- A call ----------------------------------------------------------------*/

static int handler(lua_State *L) {
  dw_call *call = lua_touserdata(L, lua_upvalueindex(1));
  call->trace.len = 0;
  dw_traceback_append(&call->trace, L, 1);
  return 1;
}

static void set_path(lua_State *L, const char *name, const char *path) {
  if (!*path) return;
  lua_pushstring(L, path);
  lua_setfield(L, -2, name);
}

/* Modules are found as where the work comes from. */
static void set_paths(lua_State *L, const dw_call *call) {
  lua_getglobal(L, LUA_LOADLIBNAME);
  set_path(L, "path", call->path.ptr);
  set_path(L, "cpath", call->path.ptr + strlen(call->path.ptr) + 1);
  lua_pop(L, 1);
}

static int work(lua_State *L) {
  dw_call *call = lua_touserdata(L, 1);
  lua_settop(L, 0);
  int n = dw_parcel_unpack(L, call->parcel);
  lua_call(L, n - 1, LUA_MULTRET);
  n = lua_gettop(L);
  if (!dw_parcel_pack(L, &call->values, n, "result", false)) lua_error(L);
  return 0;
}

/* The error on top: as it is where it can travel, else as its text. */
static int keep_error(lua_State *L) {
  dw_call *call = lua_touserdata(L, 1);
  size_t len;
  call->values.len = 0;
  if (!dw_parcel_pack(L, &call->values, 1, "error", false)) {
    lua_settop(L, 2);
    luaL_tolstring(L, 2, NULL);
    call->values.len = 0;
    dw_parcel_pack(L, &call->values, 1, "error", false);
  }
  const char *text = luaL_tolstring(L, -1, &len);
  dw_buffer_append(&call->text, text, len);
  return 0;
}

static int call_main(lua_State *L) {
  dw_call *call = lua_touserdata(L, 1);
  set_paths(L, call);
  lua_pushlightuserdata(L, call);
  lua_pushcclosure(L, handler, 1);
  lua_pushcfunction(L, work);
  lua_pushvalue(L, 1);
  int status = lua_pcall(L, 1, 0, 2);
  if (status == LUA_OK) return 0;
  call->failed = true;
  if (status == LUA_ERRMEM) return lua_error(L);
  lua_pushcfunction(L, keep_error);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 3);
  lua_call(L, 2, 0);
  return 0;
}

void dw_worker_run(dw_worker *w, dw_call *call) {
  lua_State *L = w->L;
  w->brake.refused = false;
  w->brake.limit = call->limit;
  dw_brake_enter(&w->brake, L);
  lua_pushcfunction(L, call_main);
  lua_pushlightuserdata(L, call);
  int status = lua_pcall(L, 1, 0, 0);
  dw_brake_enter(&w->brake, NULL);
  if (status != LUA_OK) {
    call->failed = true;
    call->reason = w->brake.refused ? "the worker has reached its memory limit"
                                    : "not enough memory in the worker";
  }
  lua_settop(L, 0);
}

void dw_worker_rest(dw_worker *w) {
  dw_brake_release(&w->brake);
  w->brake.limit = 0;
  lua_sethook(w->L, NULL, 0, 0);
  if (lua_gc(w->L, LUA_GCCOUNT) > GARBAGE) lua_gc(w->L, LUA_GCCOLLECT);
}
