/* SPDX-License-Identifier: MIT */
/* The fields of a request that middleware may assign, before the route is
 * known: what app:use puts in front. Thread: the loop's. */
#include "app/rewrite.h"
#include "base/error.h"
#include "bindings/request_fields.h"

typedef struct rewrite {
  const char *name;
  int (*set)(dw_exchange *x, dw_slice value);
  const char *what;
} rewrite;

static const rewrite rewrites[] = {
    {"method", dw_rewrite_method,
     "the name of a method that Dewar knows; HEAD stays HEAD, and nothing "
     "becomes it"},
    {"host", dw_rewrite_host, "a host such as \"example.com:8000\""},
    {"scheme", dw_rewrite_scheme, "\"http\" or \"https\""},
    {"path", dw_rewrite_path, "a path that starts with '/'"},
    {"raw_path", dw_rewrite_raw_path,
     "a path as it is sent: it starts with '/', is percent-encoded and has no "
     "query"},
    {"script_root", dw_rewrite_root,
     "a path that starts with one '/', percent-encoded, or \"\""},
    {"remote_addr", dw_rewrite_remote,
     "an address, 1 to 255 visible ASCII characters"},
    {"id", dw_rewrite_id, "1 to 255 visible ASCII characters"},
    {NULL, NULL, NULL},
};

/* What was made of the request before and kept. */
static void forget(lua_State *L, const char *name) {
  if (lua_getiuservalue(L, 1, 1) == LUA_TTABLE) {
    lua_pushnil(L);
    lua_setfield(L, -2, name);
  }
  lua_pop(L, 1);
}

static int refuse(lua_State *L, const rewrite *field) {
  return dw_misuse(L, "req.%s is %s; got %s%s", field->name, field->what,
                   lua_type(L, 3) == LUA_TSTRING ? "" : "a ",
                   lua_type(L, 3) == LUA_TSTRING ? lua_tostring(L, 3)
                                                 : luaL_typename(L, 3));
}

bool dw_request_rewrite(lua_State *L, dw_exchange *x, const char *name) {
  const rewrite *field = rewrites;
  while (field->name && strcmp(field->name, name) != 0) field++;
  if (!field->name) return false;
  if (x->stage != DW_STAGE_REQUEST)
    dw_misuse(
        L,
        "req.%s can't be set here; the `request` function of a middleware "
        "(app:use) can, before the route is looked for",
        name);
  size_t len;
  if (lua_type(L, 3) != LUA_TSTRING) refuse(L, field);
  const char *text = lua_tolstring(L, 3, &len);
  int code = field->set(x, dw_slice_of(text, len));
  if (code == DW_ENOMEM) luaL_error(L, "not enough memory");
  if (code < 0) refuse(L, field);
  forget(L, name);
  forget(L, "url");
  forget(L, "base_url");
  return true;
}
