/* SPDX-License-Identifier: MIT */
/* Apps in apps (app/mount.h) as Lua sees them: mounting, and where an app is.
 * An app's refs table holds the cores of what is mounted in it, by address;
 * while it is active, they are. Thread: the loop's. */
#include "app/mount.h"

#include "base/error.h"
#include "bindings/handler.h"
#include "bindings/route.h"

/* --- Who keeps whom --------------------------------------------------------*/

void dw_app_hold_mounted(lua_State *L, int refs, dw_lua_app *a) {
  dw_mounts *mounts = &a->app->mounts;
  luaL_checkstack(L, 8, "too many apps in apps");
  lua_rawgeti(L, refs, DW_REF_MOUNTED);
  for (uint32_t i = 0; i < mounts->count; i++) {
    dw_mount *m = &mounts->items[i];
    if (m->held) continue;
    dw_lua_app *inner = m->app->data;
    lua_rawgetp(L, -1, inner);
    dw_app_activate(L, lua_gettop(L));
    lua_pop(L, 1);
    m->held = true;
    inner->held++;
    a->holds++;
  }
  lua_pop(L, 1);
}

void dw_app_release_mounted(lua_State *L, dw_lua_app *a) {
  dw_mounts *mounts = &a->app->mounts;
  for (uint32_t i = 0; i < mounts->count && a->holds > 0; i++) {
    dw_mount *m = &mounts->items[i];
    if (!m->held) continue;
    dw_lua_app *inner = m->app->data;
    m->held = false;
    a->holds--;
    inner->held--;
    dw_app_deactivate(L, inner);
  }
}

/* --- Mounting --------------------------------------------------------------*/

/* Puts the core at 3 into the table of those that are mounted, and leaves that;
 * true: it is new there. */
static bool anchor(lua_State *L, dw_lua_app *inner) {
  lua_getiuservalue(L, 1, 1);
  if (lua_rawgeti(L, -1, DW_REF_MOUNTED) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, DW_REF_MOUNTED);
  }
  bool is_new = lua_rawgetp(L, -1, inner) == LUA_TNIL;
  lua_pop(L, 1);
  lua_pushvalue(L, 3);
  lua_rawsetp(L, -2, inner);
  return is_new;
}

/* The hosts in the list at index, in a userdata that is left on the stack. */
static const dw_slice *read_hosts(lua_State *L, int index, size_t *count) {
  *count = lua_rawlen(L, index);
  dw_slice *hosts = lua_newuserdatauv(L, (*count + 1) * sizeof *hosts, 0);
  for (size_t i = 0; i < *count; i++) {
    size_t len;
    lua_rawgeti(L, index, (lua_Integer)i + 1);
    const char *host = luaL_checklstring(L, -1, &len);
    hosts[i] = dw_slice_of(host, len);
    lua_pop(L, 1); /* the list has it */
  }
  return hosts;
}

/* core:mount(prefix, core, hosts) */
int dw_app_mount_core(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1), *inner = dw_app_check(L, 3);
  size_t len, nhosts;
  const char *prefix = luaL_checklstring(L, 2, &len);
  luaL_checktype(L, 4, LUA_TTABLE);
  if (inner->script != a->script)
    return dw_misuse(L, "an app of another runtime can't be mounted");
  lua_settop(L, 4);
  const dw_slice *hosts = read_hosts(L, 4, &nhosts);
  bool is_new = anchor(L, inner);
  dw_buffer *message = &a->script->scratch;
  message->len = 0;
  int code = dw_app_mount(a->app, dw_slice_of(prefix, len), hosts, nhosts,
                          inner->app, message);
  if (code == 0) {
    if (a->anchor != LUA_NOREF) dw_app_activate(L, 1);
    return 0;
  }
  if (is_new) {
    lua_pushnil(L);
    lua_rawsetp(L, -2, inner);
  }
  if (code == DEWAR_EMISUSE)
    return dw_misuse(L, "the app has handled its first request; mount before");
  return dw_route_raise(L, a->script, code);
}

/* --- Where an app is -------------------------------------------------------*/

/* core:root() -> what URLs of the app begin with in the current request; nil:
 * that has nothing to do with it */
int dw_app_root(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  const dw_exchange *x = dw_current_exchange(a->script);
  dw_buffer *text = &a->script->scratch;
  text->len = 0;
  int code = x ? dw_mount_root(x, a->app, text) : 0;
  if (code < 0) return luaL_error(L, "not enough memory");
  if (code == 0)
    lua_pushnil(L);
  else
    lua_pushlstring(L, text->ptr ? text->ptr : "", text->len);
  return 1;
}

/* mounted_at(req) -> the script_root of a request that is in a mounted app */
static int mounted_at(lua_State *L) {
  const dw_exchange *x = dw_request_check(L, 1);
  if (dw_mount_depth(x) == 0) return 0;
  dw_slice root = x->http.request.root;
  lua_pushlstring(L, root.len > 0 ? root.ptr : "/",
                  root.len > 0 ? root.len : 1);
  return 1;
}

void dw_mount_open(lua_State *L, dw_script *s) {
  const luaL_Reg functions[] = {{"mounted_at", mounted_at}, {NULL, NULL}};
  dw_script_register(L, s, functions);
}
