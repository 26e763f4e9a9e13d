/* SPDX-License-Identifier: MIT */
/* Opens Lua on a runtime and closes it; the module table `dewar.core` and the
 * order of its parts. Everything here that raises runs protected. Thread: the
 * loop's. */
#include "bindings/init.h"

#include "base/error.h"
#include "bindings/accept.h"
#include "bindings/app.h"
#include "bindings/callback.h"
#include "bindings/client.h"
#include "bindings/crypto.h"
#include "bindings/errors.h"
#include "bindings/file.h"
#include "bindings/fs.h"
#include "bindings/handler.h"
#include "bindings/headers.h"
#include "bindings/json.h"
#include "bindings/log.h"
#include "bindings/luv.h"
#include "bindings/offload.h"
#include "bindings/poll.h"
#include "bindings/response.h"
#include "bindings/room.h"
#include "bindings/snapshot.h"
#include "bindings/socket.h"
#include "bindings/task.h"
#include "bindings/values.h"
#include "bindings/watchdog.h"
#include "bindings/websocket.h"
#include "bindings/work.h"

/* --- The module table ------------------------------------------------------*/

static void open_json(lua_State *L) {
  dw_json_open(L);
  lua_getfield(L, -1, "null");
  lua_setfield(L, -3, "null");
  lua_getfield(L, -1, "array");
  lua_setfield(L, -3, "array");
  lua_setfield(L, -2, "json");
}

/* Each part adds to the table on top. */
static void open_parts(lua_State *L, dw_script *s) {
  static const luaL_Reg functions[] = {{"own_files", dw_own_files},
                                       {NULL, NULL}};
  dw_script_register(L, s, functions);
  dw_tasks_open(L, s);
  dw_errors_open(L, s);
  dw_task_functions(L, s);
  dw_sync_functions(L, s);
  dw_poll_functions(L, s);
  dw_callback_open(L, s);
  dw_work_functions(L, s);
  open_json(L);
  dw_values_open(L, s);
  dw_accept_open(L, s);
  dw_headers_open(L, s);
  dw_response_open(L, s);
  dw_stream_open(L, s);
  dw_room_open(L, s);
  dw_files_open(L, s);
  dw_fs_open(L, s);
  dw_net_open(L, s);
  dw_process_open(L, s);
  dw_request_open(L, s);
  dw_context_open(L, s);
  dw_app_open(L, s);
  dw_watch_open(L, s);
  dw_environ_open(L, s);
  dw_mount_open(L, s);
  dw_crypto_open(L, s);
  dw_escape_open(L, s);
  dw_snapshot_open(L, s);
  dw_client_open(L, s);
#ifdef DEWAR_WITH_WEBSOCKET
  dw_websocket_open(L, s);
#endif
  dw_log_open(L, s);
  dw_luv_functions(L, s);
  lua_pushliteral(L, DEWAR_VERSION);
  lua_setfield(L, -2, "version");
}

/* --- Opening ---------------------------------------------------------------*/

/* The runtime's struct outlives everything in Lua that may still refer to it:
 * every function of ours keeps the script. */
static int script_gc(lua_State *L) {
  dw_script *s = lua_touserdata(L, 1);
  dewar_runtime *rt = s->runtime;
  if (!rt) return 0;
  s->owns_lua = false; /* whoever closes the state, it isn't us any more */
  dw_script_shutdown(s);
  dw_watchdog_close(s);
  dw_work_close(s); /* the code of its threads may go with the state */
  /* os.exit from inside the loop closes the state and never comes back. */
  if (rt->state != DW_RUNTIME_CLOSED && !s->closing) return 0;
  s->runtime = NULL;
  dw_runtime_release(rt);
  return 0;
}

static dw_script *new_script(lua_State *L, dewar_runtime *rt) {
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, script_gc);
  lua_setfield(L, -2, "__gc");
  lua_pushliteral(L, "dewar.script");
  lua_setfield(L, -2, "__name");
  dw_script *s = dw_script_new(L);
  dw_script_push_self(L, s);
  lua_insert(L, -2);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
  s->runtime = rt;
  s->loop = &rt->loop;
  s->alloc = &rt->alloc;
  s->log = &rt->log;
  s->module = s->saved = s->loaded = s->classes = LUA_NOREF;
  s->request_type = LUA_NOREF;
  dw_buffer_init(&s->scratch, &rt->alloc, 0);
  rt->refs++;
  rt->script = s;
  return s;
}

static bool is_type_name(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TSTRING &&
         strncmp(lua_tostring(L, index), "dewar.", 6) == 0;
}

/* Whether the value on top is a type of ours that the registry has by its name;
 * the key below it may be that or, to find it quicker, the name's address. */
static bool is_type(lua_State *L) {
  if (!lua_istable(L, -1)) return false;
  if (is_type_name(L, -2)) return true;
  if (!lua_islightuserdata(L, -2)) return false;
  lua_pushliteral(L, "__name");
  lua_rawget(L, -2);
  bool ours = is_type_name(L, -1);
  if (ours) lua_rawget(L, LUA_REGISTRYINDEX);
  ours = ours && lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return ours;
}

static void forget_key(lua_State *L) {
  lua_pushvalue(L, -1);
  lua_pushnil(L);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

/* Takes our types out of the registry: a new script makes its own. Addresses
 * first, as they are told by the names. */
static void forget_types(lua_State *L) {
  for (lua_pushnil(L); lua_next(L, LUA_REGISTRYINDEX);) {
    bool forget = lua_islightuserdata(L, -2) && is_type(L);
    lua_pop(L, 1);
    if (forget) forget_key(L);
  }
  for (lua_pushnil(L); lua_next(L, LUA_REGISTRYINDEX);) {
    lua_pop(L, 1);
    if (is_type_name(L, -1)) forget_key(L);
  }
}

typedef struct opening {
  dewar_runtime *runtime;
  bool own; /* the state was made for the runtime */
} opening;

static int open_main(lua_State *L) {
  opening *o = lua_touserdata(L, 1);
  if (o->own) luaL_openlibs(L);
  forget_types(L);
  dw_script *s = new_script(L, o->runtime);
  s->owns_lua = o->own;
  if (o->own) dw_warnings_open(L, s);
  lua_newtable(L);
  open_parts(L, s);
  lua_pushvalue(L, -1);
  s->module = luaL_ref(L, LUA_REGISTRYINDEX);
  dw_preload_open(L, s);
  return 0;
}

int dw_engine_failed(dewar_runtime *rt, lua_State *L, int status) {
  int code = status == LUA_ERRMEM ? UV_ENOMEM : DEWAR_ELUA;
  const char *text = lua_tostring(L, -1);
  dw_runtime_fail(rt, code, "%s", text ? text : "an error that is no string");
  lua_pop(L, 1);
  return code;
}

int dw_engine_open(dewar_runtime *rt, void *state) {
  lua_State *L = state;
  if (L) {
    dw_script *there = dw_script_find(L);
    if (there)
      return dw_runtime_fail(rt, DEWAR_EEXIST,
                             "the lua_State has a runtime already");
  } else if (!(L = lua_newstate(dw_allocator_lua, &rt->alloc))) {
    return dw_runtime_fail_code(rt, UV_ENOMEM, "making a Lua state");
  }
  if (!lua_checkstack(L, 4)) return UV_ENOMEM;
  opening o = {rt, !state};
  lua_pushcfunction(L, open_main);
  lua_pushlightuserdata(L, &o);
  int status = lua_pcall(L, 1, 0, 0);
  if (status == LUA_OK) return 0;
  int code = dw_engine_failed(rt, L, status);
  if (rt->script)
    dw_engine_close(rt->script);
  else if (o.own)
    lua_close(L);
  rt->script = NULL;
  return code;
}

/* --- Closing ---------------------------------------------------------------*/

static void unref(dw_script *s, int *ref) {
  luaL_unref(s->L, LUA_REGISTRYINDEX, *ref);
  *ref = LUA_NOREF;
}

/* Moves our types from the registry to a new table with weak values, which is
 * pushed. */
static void take_types(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  int types = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, LUA_REGISTRYINDEX); lua_pop(L, 1)) {
    if (!is_type(L)) continue;
    lua_pushvalue(L, -2);
    lua_pushvalue(L, -2);
    lua_rawset(L, types);
  }
  forget_types(L);
}

static void put_types_back(lua_State *L) {
  int types = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, types);) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, LUA_REGISTRYINDEX);
  }
}

/* What the host's scripts don't hold goes at once. Objects need their types to
 * be finalized; types, which hold the script, go when they have no objects. */
static int collect(lua_State *L) {
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT);
  take_types(L);
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT);
  put_types_back(L);
  return 0;
}

static int put_back(lua_State *L) {
  dw_preload_close(L, lua_touserdata(L, 1));
  return 0;
}

static void call_protected(lua_State *L, lua_CFunction fn, dw_script *s) {
  if (!lua_checkstack(L, 4)) return;
  lua_pushcfunction(L, fn);
  lua_pushlightuserdata(L, s);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) lua_pop(L, 1);
}

/* Leaves a host's state as it was. */
static void leave(dw_script *s) {
  lua_State *L = s->L;
  call_protected(L, put_back, s);
  unref(s, &s->loaded);
  unref(s, &s->module);
  unref(s, &s->saved);
  unref(s, &s->classes);
  unref(s, &s->request_type);
  dw_script_forget(s);
  call_protected(L, collect, NULL);
}

void dw_engine_close(dw_script *s) {
  lua_State *L = s->L;
  bool own = s->owns_lua;
  s->closing = true;
  /* Requests first: their tasks have some time for their teardown. */
  dw_tasks_close(s);
  dw_watchdog_close(s);
  dw_work_close(s);
  dw_handles_close(s);
  dw_apps_close(s);
  dw_apps_free(s);
  dw_luv_close(s);
  dw_log_close(s);
  dw_buffer_deinit(&s->scratch);
  s->runtime->script = NULL;
  if (own) {
    dw_warnings *warnings = s->warnings;
    lua_close(L);
    dw_warnings_free(warnings);
    return;
  }
  leave(s);
}

void dw_script_shutdown(dw_script *s) {
  s->ending_lua = true;
  if (s->runtime && !s->closing) dw_runtime_close(s->runtime);
}

/* --- require "dewar.core" --------------------------------------------------*/

/* A lua5.4 starts in generational mode, in which 5.4.4 and 5.4.5 can free what
 * is still in use. */
static void avoid_generations(lua_State *L) {
#if LUA_VERSION_RELEASE_NUM < 50406
  lua_gc(L, LUA_GCINC, 0, 0, 0);
#else
  (void)L;
#endif
}

/* A runtime that belongs to the script: the registry has it, and the state's
 * end frees it. Whoever runs a script by hand wants to see what goes wrong. */
static dw_script *open_stock(lua_State *L) {
  dewar_options options;
  dewar_options_init(&options);
  options.lua = L;
  options.log = dw_stderr_sink;
  options.log_data = dw_stderr_log_new(L);
  options.log_level = DEWAR_WARN;
  dewar_runtime *rt;
  int code = dewar_new(&rt, &options);
  if (code < 0)
    luaL_error(L, "dewar can't start a runtime: %s", dewar_strerror(code));
  dw_script *s = rt->script;
  dw_runtime_release(rt);
  avoid_generations(L);
  dw_preload_prefer_files(L, s);
  return s;
}

int luaopen_dewar_core(lua_State *L) {
  luaL_checkversion(L);
  dw_script *s = dw_script_find(L);
  if (!s) s = open_stock(L);
  lua_rawgeti(L, LUA_REGISTRYINDEX, s->module);
  return 1;
}
