/* SPDX-License-Identifier: MIT */
/* What of a response conditions are about: its entity tag, its dates, and
 * res:make_conditional(req). */
#include "bindings/response.h"

#include "app/compress.h"
#include "app/static.h"
#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/file.h"
#include "bindings/handler.h"
#include "http/date.h"

static dw_lua_response *check(lua_State *L) {
  return dw_type_check(L, 1, dw_response_type_name);
}

static int check_code(lua_State *L, int code) {
  return code < 0 ? luaL_error(L, "not enough memory") : 0;
}

/* --- Entity tags -----------------------------------------------------------*/

/* FNV-1a of 128 bits: who shares a tag with whom is decided by its length, not
 * by a secret. */
static void hash(dw_slice body, char *out) {
  static const char hex[] = "0123456789abcdef";
  __extension__ typedef unsigned __int128 wide;
  const wide prime = (wide)1 << 88 | 0x13b;
  wide h =
      (wide)UINT64_C(0x6c62272e07bb0142) << 64 | UINT64_C(0x62b821756295c58d);
  for (size_t i = 0; i < body.len; i++)
    h = (h ^ (unsigned char)body.ptr[i]) * prime;
  for (int i = 0; i < 32; i++) out[i] = hex[h >> (124 - 4 * i) & 15];
}

static int set_tag(lua_State *L, dw_lua_response *o, dw_slice tag, bool weak) {
  lua_pushfstring(L, "%s\"%s\"", weak ? "W/" : "", tag.ptr);
  return check_code(
      L, dw_headers_set(&o->r.headers, DW_LITERAL("ETag"),
                        dw_slice_of(lua_tostring(L, -1), lua_rawlen(L, -1))));
}

static void make_weak(lua_State *L, dw_lua_response *o) {
  dw_validators v = dw_response_validators(&o->r);
  if (!v.has_etag || v.etag.weak) return;
  lua_pushlstring(L, v.etag.opaque.ptr, v.etag.opaque.len);
  set_tag(L, o, dw_slice_of(lua_tostring(L, -1), v.etag.opaque.len), true);
}

/* res:add_etag([overwrite [, weak]]) */
int dw_response_add_etag(lua_State *L) {
  dw_lua_response *o = check(L);
  bool weak = lua_toboolean(L, 3);
  if (!lua_toboolean(L, 2) &&
      dw_headers_find(&o->r.headers, DW_LITERAL("ETag")))
    return 0;
  if (o->r.kind == DW_BODY_STREAM)
    return dw_misuse(L, "add_etag: a streamed body isn't there yet to make a "
                        "tag of; use set_etag");
  if (o->r.kind == DW_BODY_FILE) {
    check_code(L, dw_describe_etag(&o->r.headers, o->r.owner, -1));
    if (weak) make_weak(L, o);
    return 0;
  }
  char text[33] = "";
  hash(o->r.body, text);
  return set_tag(L, o, dw_slice_of(text, 32), weak);
}

/* res:set_etag(tag [, weak]) */
int dw_response_set_etag(lua_State *L) {
  dw_lua_response *o = check(L);
  size_t len;
  lua_settop(L, 3);
  if (lua_type(L, 2) != LUA_TSTRING)
    return dw_misuse(L, "set_etag takes a tag; got a %s", luaL_typename(L, 2));
  const char *tag = lua_tolstring(L, 2, &len);
  if (!dw_etag_is_opaque(dw_slice_of(tag, len)))
    return dw_misuse(L, "set_etag: a tag has no quotes, spaces or controls in "
                        "it; the quotes around it are added");
  return set_tag(L, o, dw_slice_of(tag, len), lua_toboolean(L, 3));
}

/* res:get_etag() -> tag, weak; or nil */
int dw_response_get_etag(lua_State *L) {
  dw_validators v = dw_response_validators(&check(L)->r);
  if (!v.has_etag) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushlstring(L, v.etag.opaque.ptr, v.etag.opaque.len);
  lua_pushboolean(L, v.etag.weak);
  return 2;
}

/* --- Dates -----------------------------------------------------------------*/

/* The header of a field that is a date, or "". */
static dw_slice date_header(const char *field) {
  if (strcmp(field, "last_modified") == 0) return DW_LITERAL("Last-Modified");
  if (strcmp(field, "expires") == 0) return DW_LITERAL("Expires");
  return DW_EMPTY;
}

bool dw_response_get_date(lua_State *L, dw_lua_response *o, const char *field) {
  dw_slice name = date_header(field);
  int64_t seconds;
  if (name.len == 0) return false;
  const dw_header *h = dw_headers_find(&o->r.headers, name);
  if (h && dw_http_date_parse(h->value, &seconds))
    lua_pushinteger(L, (lua_Integer)seconds);
  else
    lua_pushnil(L);
  return true;
}

bool dw_response_set_date(lua_State *L, dw_lua_response *o, const char *field,
                          int index) {
  dw_slice name = date_header(field);
  if (name.len == 0) return false;
  if (lua_isnil(L, index)) {
    dw_headers_remove(&o->r.headers, name);
    return true;
  }
  lua_Number n = lua_tonumber(L, index);
  if (lua_type(L, index) != LUA_TNUMBER || !(n > -1e14 && n < 1e14))
    dw_misuse(L, "%s is a time in seconds since 1970, or nil for none; got %s",
              field, luaL_tolstring(L, index, NULL));
  check_code(L, dw_describe_date(&o->r.headers, name, (int64_t)n));
  return true;
}

/* --- Conditions ------------------------------------------------------------*/

static void read_options(lua_State *L, int index, dw_conditional *options) {
  static const char *const names[] = {"accept_ranges", "complete_length", NULL};
  dw_check_options(L, index, names);
  if (lua_isnoneornil(L, index)) return;
  int type = lua_getfield(L, index, "accept_ranges");
  bool bytes = type == LUA_TSTRING && strcmp(lua_tostring(L, -1), "bytes") == 0;
  if (type != LUA_TNIL && type != LUA_TBOOLEAN && !bytes)
    dw_misuse(L, "make_conditional: accept_ranges is true, false or \"bytes\"");
  options->ranges = lua_toboolean(L, -1);
  if (lua_getfield(L, index, "complete_length") != LUA_TNIL) {
    int isint = 0;
    lua_Integer n = lua_tointegerx(L, -1, &isint);
    if (!isint || lua_type(L, -1) != LUA_TNUMBER || n < 0)
      dw_misuse(L, "make_conditional: complete_length is a number of bytes");
    options->has_length = true;
    options->length = (uint64_t)n;
  }
  lua_pop(L, 2);
}

static int raise_unsatisfiable(lua_State *L, dw_script *s, uint64_t length) {
  dw_errors_push(L, s, dw_error_for_status(416), NULL);
  lua_createtable(L, 0, 1);
  lua_pushfstring(L, "bytes */%I", (LUAI_UACINT)length);
  lua_setfield(L, -2, "Content-Range");
  lua_setfield(L, -2, "headers");
  return lua_error(L);
}

/* The Lua value that is the body, gone or another than before. */
static void follow_body(lua_State *L, dw_lua_response *o) {
  dw_exchange *x = dw_current_exchange(o->script);
  if (o->r.kind != DW_BODY_NONE) return;
  lua_pushnil(L);
  lua_setiuservalue(L, 1, 1);
  if (x && x->response == &o->r) {
    lua_pushnil(L);
    dw_slot_set(L, x, DW_SLOT_BODY);
  }
}

/* res:make_conditional(req [, { accept_ranges=, complete_length= }]) -> res */
int dw_response_make_conditional(lua_State *L) {
  dw_lua_response *o = check(L);
  dw_conditional options = {.ranges = false};
  uint64_t length;
  lua_settop(L, 3);
  dw_exchange *x = dw_request_check(L, 2);
  read_options(L, 3, &options);
  int code = dw_compress_condition(&x->app->compression, &o->r,
                                   &x->http.request, &options, &length);
  if (code == 416) return raise_unsatisfiable(L, o->script, length);
  check_code(L, code);
  follow_body(L, o);
  lua_settop(L, 1);
  return 1;
}

/* describe_file(res, file): ETag, Last-Modified and what else it says; the
 * caller's own stay. */
int dw_response_describe_file(lua_State *L) {
  dw_lua_response *o = check(L);
  const dw_lua_file *file = dw_lua_file_test(L, 2);
  luaL_argcheck(L, file && file->found.file, 2, "file expected");
  return check_code(L, dw_describe_file(&o->r.headers, &file->found));
}
