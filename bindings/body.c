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

/* The size of a piece at the index; 0: none is given. */
static lua_Integer check_size(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return 0;
  int isint = 0;
  lua_Integer size =
      lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &isint) : 0;
  if (!isint || size < 1)
    dw_misuse(L,
              "chunks: the size of a piece is a positive whole number of "
              "bytes; got %s",
              luaL_tolstring(L, index, NULL));
  return size;
}

/* What was given of the buffer is only taken where its rest doesn't do, so that
 * small pieces of a large one don't move it each time. */
static void take_given(dw_exchange *x, dw_reader *r) {
  if (r->given > 0) dw_body_take(&x->http, r->given);
  r->given = 0;
}

/* Upvalues: 1 the request object, which the waits need at 1; 2 how large each
 * piece is to be but for the last, 0: as they come. */
static int chunk_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  dw_reader *r = x->body_data;
  dw_body *b = &x->http.body;
  uint64_t size = (uint64_t)lua_tointeger(L, lua_upvalueindex(2));
  uint64_t least = size ? size : 1;
  (void)status;
  if (b->data.len - r->given < least) take_given(x, r);
  if (b->data.len < least || b->received > x->max_content_length)
    dw_reader_check(L, x);
  if (b->data.len < least && !b->ended) {
    uint64_t taken = b->received - b->data.len;
    return dw_reader_wait(L, x, size ? taken + size - 1 : 0, chunk_k);
  }
  size_t rest = b->data.len - r->given;
  size_t len = size && size < rest ? (size_t)size : rest;
  if (len == 0) {
    lua_pushnil(L);
    return 1;
  }
  lua_pushlstring(L, b->data.ptr + r->given, len);
  r->given += len;
  if (r->given == b->data.len) take_given(x, r);
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
  lua_settop(L, 2);
  lua_Integer size = check_size(L, 2);
  dw_reader *r = dw_reader_of(L, x);
  if (r->use == DW_READER_NEW) dw_reader_check(L, x);
  dw_reader_begin(L, r, DW_READER_CHUNKS);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, size);
  lua_pushcclosure(L, next_chunk, 2);
  return 1;
}
