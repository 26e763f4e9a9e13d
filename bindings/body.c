/* SPDX-License-Identifier: MIT */
/* Reading a request's body from Lua: all of it (body, text, json) or piece by
 * piece (chunks). */
#include "bindings/reader.h"

#include "base/error.h"
#include "base/utf8.h"
#include "bindings/errors.h"
#include "bindings/json.h"

/* --- All of it -------------------------------------------------------------*/

static int body_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  if (!dw_reader_push_body(L, (dw_exchange *)ctx))
    return dw_reader_wait(L, (dw_exchange *)ctx, UINT64_MAX, body_k);
  return 1;
}

int dw_request_body(lua_State *L) {
  return body_k(L, LUA_OK, (lua_KContext)dw_request_check(L, 1));
}

static int text_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  size_t len;
  (void)status;
  if (!dw_reader_push_body(L, x))
    return dw_reader_wait(L, x, UINT64_MAX, text_k);
  const char *text = lua_tolstring(L, -1, &len);
  if (!dw_is_utf8(dw_slice_of(text, len)))
    return dw_reader_refuse(L, x, 400,
                            "The request's body is not valid UTF-8.");
  return 1;
}

int dw_request_text(lua_State *L) {
  return text_k(L, LUA_OK, (lua_KContext)dw_request_check(L, 1));
}

/* --- JSON ------------------------------------------------------------------*/

/* "application/json", or "application/problem+json"; parameters are ignored. */
static bool is_json(dw_slice type) {
  const char *end = memchr(type.ptr, ';', type.len);
  if (end) type.len = (size_t)(end - type.ptr);
  type = dw_slice_trim(type);
  if (dw_slice_equal_nocase(type, DW_LITERAL("application/json"))) return true;
  dw_slice suffix = DW_LITERAL("+json");
  return type.len > suffix.len + 12 &&
         dw_slice_equal_nocase(dw_slice_of(type.ptr, 12),
                               DW_LITERAL("application/")) &&
         dw_slice_equal_nocase(
             dw_slice_of(type.ptr + type.len - suffix.len, suffix.len), suffix);
}

static bool json_option(lua_State *L, const char *name) {
  if (!lua_istable(L, 2)) return false;
  lua_getfield(L, 2, name);
  bool on = lua_toboolean(L, -1);
  lua_pop(L, 1);
  return on;
}

static int json_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  dw_task *t = x->script;
  size_t len;
  (void)status;
  if (!dw_reader_push_body(L, x))
    return dw_reader_wait(L, x, UINT64_MAX, json_k);
  const char *text = lua_tolstring(L, -1, &len);
  if (dw_json_try_decode(L, text, len, 0) == 0) return 1;
  if (json_option(L, "silent")) {
    lua_pushnil(L);
    return 1;
  }
  if (t->context.app->debug)
    return dw_reader_refuse(L, x, 400, "%s", lua_tostring(L, -1));
  return dw_reader_refuse(L, x, 400, "The request's body is not valid JSON.");
}

int dw_request_json(lua_State *L) {
  static const char *const options[] = {"force", "silent", NULL};
  dw_exchange *x = dw_request_check(L, 1);
  lua_settop(L, 2);
  dw_check_options(L, 2, options);
  if (!json_option(L, "force") &&
      !is_json(dw_request_header(&x->http.request, "Content-Type"))) {
    if (json_option(L, "silent")) {
      lua_pushnil(L);
      return 1;
    }
    return dw_reader_refuse(L, x, 415,
                            "The request's body must be JSON, with "
                            "Content-Type: application/json.");
  }
  if (json_option(L, "silent") && dw_reader_is_coded(x)) {
    lua_pushnil(L);
    return 1;
  }
  return json_k(L, LUA_OK, (lua_KContext)x);
}

/* --- Piece by piece --------------------------------------------------------*/

/* Upvalue 1: the request object, which the waits need at 1. */
static int chunk_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  dw_body *b = &x->http.body;
  (void)status;
  if (b->data.len == 0 || b->received > x->max_content_length)
    dw_reader_check(L, x);
  if (b->data.len > 0) {
    lua_pushlstring(L, b->data.ptr, b->data.len);
    dw_body_take(&x->http, b->data.len);
    return 1;
  }
  if (!b->ended) return dw_reader_wait(L, x, 0, chunk_k);
  lua_pushnil(L);
  return 1;
}

static int next_chunk(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  return chunk_k(L, LUA_OK, (lua_KContext)dw_request_check(L, 1));
}

/* The bytes as they were sent, whatever Content-Encoding says of them. */
int dw_request_chunks(lua_State *L) {
  dw_exchange *x = dw_request_check(L, 1);
  dw_reader *r = dw_reader_of(L, x);
  if (r->use == DW_READER_NEW) dw_reader_check(L, x);
  dw_reader_begin(L, r, DW_READER_CHUNKS);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, next_chunk, 1);
  return 1;
}
