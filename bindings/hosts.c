/* SPDX-License-Identifier: MIT */
/* config.TRUSTED_HOSTS, and the question whether a request's host is one of
 * them. Thread: the loop's. */
#include "base/error.h"
#include "bindings/handler.h"

static int refuse(lua_State *L, int index) {
  return dw_misuse(
      L,
      "config.TRUSTED_HOSTS is a list of hosts without ports, "
      "\".example.com\" being example.com and all below it, or nil "
      "for any; got %s",
      luaL_tolstring(L, index, NULL));
}

/* The list at 3 as slices of its strings, in a userdata that is pushed. */
static dw_slice *read_names(lua_State *L, size_t count) {
  dw_slice *names = lua_newuserdatauv(L, (count + 1) * sizeof *names, 0);
  for (size_t i = 0; i < count; i++) {
    size_t len;
    if (lua_rawgeti(L, 3, (lua_Integer)i + 1) != LUA_TSTRING)
      refuse(L, lua_gettop(L));
    const char *text = lua_tolstring(L, -1, &len);
    names[i] = dw_slice_of(text, len); /* the list holds it */
    lua_pop(L, 1);
  }
  return names;
}

void dw_app_set_hosts(lua_State *L, dw_lua_app *a) {
  size_t count = lua_istable(L, 3) ? lua_rawlen(L, 3) : 0, bad = 0;
  if (!lua_isnil(L, 3) && count == 0) refuse(L, 3);
  dw_slice *names = read_names(L, count);
  int code = dw_hosts_set(&a->app->hosts, a->app->alloc, names, count, &bad);
  if (code == DW_ENOMEM) luaL_error(L, "not enough memory");
  if (code == 0) return;
  lua_rawgeti(L, 3, (lua_Integer)bad + 1);
  refuse(L, lua_gettop(L));
}

int dw_app_trusts(lua_State *L) {
  dw_lua_app *a = dw_app_check(L, 1);
  const dw_exchange *x = dw_request_check(L, 2);
  lua_pushboolean(L, dw_hosts_trust(&a->app->hosts, x->http.request.host));
  return 1;
}
