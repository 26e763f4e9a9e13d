/* SPDX-License-Identifier: MIT */
/* luv on the runtime's loop. luv is loaded when a script asks for it, so
 * nothing here needs its headers: of its C interface there are two functions,
 * and of its objects we use what the registry shows. There lies, under an
 * integer, every handle until its close callback has run, and every request
 * until it is done.
 *
 * luv's callbacks run on a coroutine of their own: luv pushes their arguments
 * before anything is protected, and must find room, whatever a script is in the
 * midst of. Owner: the registry. Thread: the loop's. */
#include "bindings/luv.h"

#include "bindings/app.h"

typedef int (*call_cb)(lua_State *L, int nargs, int nresults, int flags);
typedef void (*set_loop_fn)(lua_State *L, uv_loop_t *loop);
typedef void (*set_callback_fn)(lua_State *L, call_cb call);

/* User values. */
enum { COROUTINE = 1, MODULE, USER_VALUES = MODULE };

struct dw_luv {
  lua_CFunction open;
  set_loop_fn set_loop;
  set_callback_fn set_callback;
  lua_CFunction close_handle; /* luv's own */
  unsigned scans;             /* fs_scandir that are under way */
  bool stopped;               /* since uv.run has begun */
  bool silent;                /* callbacks aren't called any more */
};
typedef struct dw_luv dw_luv;

/* Keys in the registry: of ours, and of the module whose loop is luv's own. */
static const char luv_key, own_key;

/* --- Callbacks -------------------------------------------------------------*/

static int scanned(lua_State *L);

static int traceback(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

/* What luv calls instead of a pcall that ends the process: the function and its
 * arguments are on top. Returns the number of results, or what went wrong. */
static int call(lua_State *L, int nargs, int nresults, int flags) {
  dw_script *s = dw_script_find(L);
  (void)flags;
  if (!s || !s->luv || s->luv->silent) {
    if (s && s->luv && lua_tocfunction(L, -nargs - 1) == scanned)
      s->luv->scans--;
    lua_pop(L, nargs + 1);
    return -LUA_ERRRUN;
  }
  int base = lua_gettop(L) - nargs;
  lua_pushcfunction(L, traceback);
  lua_insert(L, base);
  dw_loop_enter(s->loop);
  int status = lua_pcall(L, nargs, nresults, base);
  if (status != LUA_OK) {
    const char *text = lua_tostring(L, -1);
    dw_logf(s->log, DEWAR_ERROR, "error in a callback of luv: %s",
            text ? text : "it is no string");
    lua_pop(L, 1);
  }
  dw_loop_leave(s->loop);
  lua_remove(L, base);
  return status == LUA_OK ? lua_gettop(L) - base + 1 : -status;
}

/* --- What is in the registry -----------------------------------------------*/

/* Whether the metatable on top is that of a type. */
static bool is_type(lua_State *L, const char *name) {
  lua_getfield(L, LUA_REGISTRYINDEX, name);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return same;
}

/* The registry's "uv_handle" has the metatables of all handles as keys. */
static bool is_handle_type(lua_State *L) {
  bool found = false;
  if (lua_getfield(L, LUA_REGISTRYINDEX, "uv_handle") == LUA_TTABLE) {
    lua_pushvalue(L, -2);
    lua_rawget(L, -2);
    found = lua_toboolean(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return found;
}

/* The handle that is on top, if it is one on our loop. */
static uv_handle_t *handle_of(lua_State *L, const dw_script *s) {
  uv_handle_t *const *box = lua_touserdata(L, -1);
  if (!box || !lua_getmetatable(L, -1)) return NULL;
  bool found = is_handle_type(L);
  lua_pop(L, 1);
  if (!found || !*box || !(*box)->data) return NULL;
  return uv_handle_get_loop(*box) == s->loop->uv ? *box : NULL;
}

/* Whether a request, or some work in the pool, is on top. */
static bool is_request(lua_State *L) {
  if (lua_type(L, -1) != LUA_TUSERDATA || !lua_getmetatable(L, -1))
    return false;
  bool found = is_type(L, "uv_req") || is_type(L, "luv_work_ctx");
  lua_pop(L, 1);
  return found;
}

/* --- The end ---------------------------------------------------------------*/

static bool is_busy(lua_State *L, const dw_script *s) {
  bool busy = s->luv->scans > 0;
  for (lua_pushnil(L); lua_next(L, LUA_REGISTRYINDEX); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TNUMBER) continue;
    if (handle_of(L, s) || is_request(L)) busy = true;
  }
  return busy;
}

/* Requests in the pool that haven't begun never will. */
static void cancel(lua_State *L) {
  if (luaL_getmetafield(L, -1, "__index") == LUA_TNIL) return;
  if (lua_getfield(L, -1, "cancel") == LUA_TFUNCTION) {
    lua_pushvalue(L, -3);
    lua_call(L, 1, 0);
    lua_pop(L, 1);
    return;
  }
  lua_pop(L, 2);
}

/* Allocates nothing, and leaves the registry's keys alone. */
static void close_all(lua_State *L, const dw_script *s) {
  for (lua_pushnil(L); lua_next(L, LUA_REGISTRYINDEX); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TNUMBER) continue;
    uv_handle_t *h = handle_of(L, s);
    if (h && !uv_is_closing(h)) {
      lua_pushcfunction(L, s->luv->close_handle);
      lua_pushvalue(L, -2);
      lua_call(L, 1, 0);
    } else if (!h && is_request(L)) {
      cancel(L);
    }
  }
}

enum { PATIENCE = 1000 }; /* turns of the loop */

/* A callback may open something new; at last none is called any more. */
static int close_main(lua_State *L) {
  dw_script *s = lua_touserdata(L, 1);
  for (int turn = 0; is_busy(L, s); turn++) {
    s->luv->silent = turn >= PATIENCE;
    close_all(L, s);
    if (dw_loop_turn(s->loop, true) <= 0) return 0;
  }
  return 0;
}

/* Sets a metamethod of all handles. */
static void set_in_handles(lua_State *L, const char *name, lua_CFunction fn) {
  int top = lua_gettop(L);
  if (lua_getfield(L, LUA_REGISTRYINDEX, "uv_handle") == LUA_TTABLE)
    for (lua_pushnil(L); lua_next(L, top + 1); lua_pop(L, 1)) {
      if (fn)
        lua_pushcfunction(L, fn);
      else
        lua_pushnil(L);
      lua_setfield(L, -3, name);
    }
  lua_settop(L, top);
}

/* Pushes the loop of luv's own, in which case that isn't NULL. */
static uv_loop_t *push_own_loop(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &own_key) == LUA_TTABLE)
    lua_getfield(L, -1, "_loop");
  return lua_touserdata(L, -1);
}

/* luv makes a loop when it is opened without one, which then stays as long as
 * the state: whoever has kept a function of the old module finds that loop. At
 * the end of the state there is no need for it, and nothing that would free
 * it. */
static int leave_main(lua_State *L) {
  dw_script *s = lua_touserdata(L, 1);
  const dw_luv *luv = s->luv;
  uv_loop_t *own = push_own_loop(L);
  if (!own && s->ending_lua) return 0;
  luv->set_callback(L, NULL);
  luv->set_loop(L, own);
  set_in_handles(L, "__close", NULL);
  lua_pushcfunction(L, luv->open);
  lua_call(L, 0, 1);
  if (!own) lua_rawsetp(L, LUA_REGISTRYINDEX, &own_key);
  return 0;
}

static void call_protected(dw_script *s, lua_CFunction fn) {
  lua_State *L = s->L;
  lua_pushcfunction(L, fn);
  lua_pushlightuserdata(L, s);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return;
  const char *text = lua_tostring(L, -1);
  dw_logf(s->log, DEWAR_ERROR, "closing luv failed: %s", text ? text : "");
  lua_pop(L, 1);
}

static int require_luv(lua_State *L);

/* Takes luv out of what `require` finds, where it is ours. */
static int forget_main(lua_State *L) {
  const dw_script *s = lua_touserdata(L, 1);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_getfield(L, -1, "luv");
  if (lua_tocfunction(L, -1) == require_luv) {
    lua_pushnil(L);
    lua_setfield(L, -3, "luv");
  }
  if (!s->luv) return 0;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &luv_key);
  lua_getiuservalue(L, -1, MODULE);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "luv");
  if (!lua_rawequal(L, -1, -3)) return 0;
  lua_pushnil(L);
  lua_setfield(L, -3, "luv");
  return 0;
}

void dw_luv_close(dw_script *s) {
  if (!lua_checkstack(s->L, LUA_MINSTACK)) return;
  if (s->luv) call_protected(s, close_main);
  call_protected(s, forget_main);
  if (s->luv) call_protected(s, leave_main);
  s->luv = NULL;
}

/* --- Objects at the end of the state ---------------------------------------*/

/* Calls what this function stands in for, with the same arguments. */
static int call_original(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(2));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  return lua_gettop(L);
}

/* Of a handle that is open, or whose close callback has yet to run: it is the
 * end of the state, and luv would free what the loop still has. luv keeps the
 * key of the handle's userdata in the first int of what its data points to. */
static int handle_gc(lua_State *L) {
  dw_script *s = dw_script_of(L);
  uv_handle_t *const *box = lua_touserdata(L, 1);
  if (s->luv && *box && (*box)->data) {
    lua_rawgeti(L, LUA_REGISTRYINDEX, *(const int *)(*box)->data);
    bool registered = lua_rawequal(L, 1, -1);
    lua_settop(L, 1);
    if (registered) dw_script_shutdown(s);
  }
  return call_original(L);
}

/* The same of what the pool works for. */
static int request_gc(lua_State *L) {
  dw_script *s = dw_script_of(L);
  bool pending = s->luv && s->luv->scans > 0;
  lua_settop(L, 1);
  if (s->luv && !pending)
    for (lua_pushnil(L); lua_next(L, LUA_REGISTRYINDEX); lua_pop(L, 1))
      if (lua_rawequal(L, 1, -1) && is_request(L)) pending = true;
  lua_settop(L, 1);
  if (pending) dw_script_shutdown(s);
  return call_original(L);
}

/* --- In place of luv's own functions ---------------------------------------*/

/* Puts fn in the place of the table's function of that name, which becomes its
 * second upvalue. */
static void replace(lua_State *L, dw_script *s, int table, const char *name,
                    lua_CFunction fn) {
  dw_script_push_self(L, s);
  lua_getfield(L, table, name);
  lua_pushcclosure(L, fn, 2);
  lua_setfield(L, table, name);
}

static bool is_stopped(void *data) {
  const dw_luv *luv = data;
  return luv->stopped;
}

/* run([mode]) -> whether something is left */
static int run(lua_State *L) {
  static const char *const modes[] = {"default", "once", "nowait", NULL};
  dw_script *s = dw_script_of(L);
  if (!s->luv) return call_original(L);
  int mode = luaL_checkoption(L, 1, "default", modes);
  if (s->current || s->loop->running)
    return dw_misuse(L, "uv.run: the loop is Dewar's, and is turning already; "
                        "wait by dewar.await_callback, or by returning");
  s->luv->stopped = false;
  int code = mode == 0 ? dw_loop_run(s->loop, is_stopped, s->luv)
                       : dw_loop_turn(s->loop, mode == 1);
  lua_pushboolean(L, mode == 0 ? code == 0 : code > 0);
  return 1;
}

/* stop(): ends uv.run. Who serves isn't stopped by a library. */
static int stop(lua_State *L) {
  dw_script *s = dw_script_of(L);
  if (!s->luv) return call_original(L);
  s->luv->stopped = true;
  return 0;
}

/* walk(fn): luv's own takes every handle of the loop for one of its own. */
static int walk(lua_State *L) {
  dw_script *s = dw_script_of(L);
  if (!s->luv) return call_original(L);
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  lua_newtable(L);
  int count = 0;
  for (lua_pushnil(L); lua_next(L, LUA_REGISTRYINDEX); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TNUMBER || !handle_of(L, s)) continue;
    lua_pushvalue(L, -1);
    lua_rawseti(L, 2, ++count);
  }
  for (int i = 1; i <= count; i++) {
    lua_pushvalue(L, 1);
    lua_rawgeti(L, 2, i);
    lua_call(L, 1, 0);
  }
  return 0;
}

/* The callback of a scandir, at upvalue 2. */
static int scanned(lua_State *L) {
  dw_script *s = dw_script_of(L);
  if (s->luv && s->luv->scans > 0) s->luv->scans--;
  return call_original(L);
}

/* fs_scandir(path [, callback]): the only request that stays in the registry
 * when it is done, so it has to be counted. */
static int scan_dir(lua_State *L) {
  dw_script *s = dw_script_of(L);
  lua_settop(L, 2);
  if (!s->luv || lua_isnil(L, 2)) return call_original(L);
  dw_script_push_self(L, s);
  lua_insert(L, 2);
  lua_pushcclosure(L, scanned, 2);
  int results = call_original(L);
  if (lua_toboolean(L, 1)) s->luv->scans++;
  return results;
}

/* Of a handle that is a to-be-closed variable. */
static int close_variable(lua_State *L) {
  uv_handle_t *const *box = lua_touserdata(L, 1);
  if (!*box || uv_is_closing(*box)) return 0;
  lua_getfield(L, 1, "close");
  lua_pushvalue(L, 1);
  lua_call(L, 1, 0);
  return 0;
}

static void replace_in_module(lua_State *L, dw_script *s, int module) {
  replace(L, s, module, "run", run);
  replace(L, s, module, "stop", stop);
  replace(L, s, module, "walk", walk);
  replace(L, s, module, "fs_scandir", scan_dir);
}

static void replace_in_types(lua_State *L, dw_script *s) {
  lua_getfield(L, LUA_REGISTRYINDEX, "uv_handle");
  int types = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, types); lua_pop(L, 1))
    replace(L, s, lua_gettop(L) - 1, "__gc", handle_gc);
  static const char *const requests[] = {"uv_fs", "luv_work_ctx", NULL};
  for (const char *const *name = requests; *name; name++)
    if (luaL_getmetatable(L, *name) == LUA_TTABLE)
      replace(L, s, lua_gettop(L), "__gc", request_gc);
  lua_settop(L, types - 1);
  set_in_handles(L, "__close", close_variable);
}

/* --- Opening ---------------------------------------------------------------*/

static lua_CFunction function_at(lua_State *L, int index) {
  lua_CFunction fn = lua_tocfunction(L, index);
  luaL_argcheck(L, fn, index, "a function of luv's library is needed");
  return fn;
}

static dw_luv *new_luv(lua_State *L) {
  dw_luv *luv = lua_newuserdatauv(L, sizeof *luv, USER_VALUES);
  *luv = (dw_luv){.open = function_at(L, 1)};
  luv->set_loop = (set_loop_fn)(void (*)(void))function_at(L, 2);
  luv->set_callback = (set_callback_fn)(void (*)(void))function_at(L, 3);
  return luv;
}

/* The one of all handles. */
static lua_CFunction find_close(lua_State *L) {
  int top = lua_gettop(L);
  if (luaL_getmetatable(L, "uv_timer") != LUA_TTABLE ||
      lua_getfield(L, -1, "__index") != LUA_TTABLE)
    luaL_error(L, "dewar.luv: this luv has no timers");
  lua_getfield(L, -1, "close");
  lua_CFunction fn = function_at(L, -1);
  lua_settop(L, top);
  return fn;
}

/* Pushes the module that is open, or nil. */
static int push_module(lua_State *L, const dw_script *s) {
  if (!s->luv || !s->luv->close_handle) {
    lua_pushnil(L);
    return 1;
  }
  lua_rawgetp(L, LUA_REGISTRYINDEX, &luv_key);
  lua_getiuservalue(L, -1, MODULE);
  return 1;
}

/* luv_open(open, set_loop, set_callback) -> the module; luv_open() -> the one
 * that is open, or nil */
static int luv_open(lua_State *L) {
  dw_script *s = dw_script_of(L);
  if (!s->tasks) luaL_error(L, "dewar.luv: Dewar's runtime has been closed");
  if (lua_isnone(L, 1)) return push_module(L, s);
  dw_luv *luv = new_luv(L);
  int top = lua_gettop(L);
  lua_State *co = lua_newthread(L);
  luaL_checkstack(co, 4 * LUA_MINSTACK, NULL);
  lua_setiuservalue(L, top, COROUTINE);
  lua_pushvalue(L, top);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &luv_key);
  s->luv = luv;
  luv->set_loop(L, s->loop->uv); /* makes what the next one finds */
  luv->set_loop(co, s->loop->uv);
  luv->set_callback(L, call);
  lua_pushcfunction(L, luv->open);
  lua_call(L, 0, 1);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, top, MODULE);
  replace_in_module(L, s, lua_gettop(L));
  replace_in_types(L, s);
  luv->close_handle = find_close(L);
  return 1;
}

/* In package.preload. */
static int require_luv(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "dewar.luv");
  lua_call(L, 1, 1);
  return 1;
}

void dw_luv_functions(lua_State *L, dw_script *s) {
  static const luaL_Reg functions[] = {{"luv_open", luv_open}, {NULL, NULL}};
  dw_script_register(L, s, functions);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  if (lua_getfield(L, -1, "luv") == LUA_TNIL) {
    lua_pushcfunction(L, require_luv);
    lua_setfield(L, -3, "luv");
  }
  lua_pop(L, 2);
}
