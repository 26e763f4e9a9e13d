/* SPDX-License-Identifier: MIT */
/* Reading a request's body from Lua: all of it (body, text, json, form) or
 * piece by piece (chunks). Reading waits; the limit is checked as bytes come. */
#include "bindings/handler.h"

#include "base/error.h"
#include "base/utf8.h"
#include "bindings/errors.h"
#include "bindings/json.h"
#include "bindings/values.h"
#include "http/form.h"

/* In the request object's table of made values. */
#define BODY_KEY "\1body"
#define CHUNKS_KEY "\1chunks"

/* A form may have as many fields: each costs more than its bytes. */
enum { FORM_FIELDS_MAX = 10000 };

/* --- Waiting for bytes -----------------------------------------------------*/

static int raise_status(lua_State *L, dw_script *s, int status,
                        const char *text) {
  return dw_errors_raise(L, s, dw_error_for_status(status), "%s", text);
}

/* Raises why the body will never end, or is not allowed to. */
static void check_body(lua_State *L, dw_script *s, dw_exchange *x) {
  dw_request *r = &x->http.request;
  dw_body *b = &x->http.body;
  uint64_t announced = r->has_content_length ? r->content_length : 0;
  if (announced > x->max_content_length || b->received > x->max_content_length)
    raise_status(L, s, 413, "The request's body is larger than allowed.");
  if (b->failed > 0)
    raise_status(L, s, b->failed,
                 b->reason ? b->reason : "The request's body is malformed.");
  if (b->failed < 0)
    dw_errors_raise_code(L, s, b->failed, "reading the request's body");
}

typedef struct reader {
  dw_wake wake;
  bool whole;
} reader;

/* News of the body: for who wants all of it, only the end is news. */
static void body_cb(dw_exchange *x) {
  reader *r = x->body_data;
  dw_body *b = &x->http.body;
  if (r->whole && !b->ended && !b->failed &&
      b->received <= x->max_content_length) {
    x->body_cb = body_cb;
    dw_body_want(&x->http, true);
    return;
  }
  dw_wake_up(r->wake);
}

static void forget(void *data) {
  dw_exchange *x = data;
  x->body_cb = NULL;
  x->http.body.wanted = false;
}

/* Waits for news, then goes on with k. */
static int wait_body(lua_State *L, dw_exchange *x, bool whole,
                     lua_KFunction k) {
  dw_task *t = x->script;
  dw_script *s = t->script;
  if (x->body_cb)
    return luaL_error(L, "another task is reading this request's body");
  reader *r = x->body_data;
  if (!r && !(r = dw_arena_alloc(&x->http.request.arena, sizeof *r)))
    return luaL_error(L, "not enough memory");
  x->body_data = r;
  r->wake = dw_wait_begin(L, s, forget, x);
  dw_wait_name(r->wake, "request body");
  r->whole = whole;
  x->body_cb = body_cb;
  dw_body_want(&x->http, whole);
  return dw_wait(L, r->wake, -1, k, (lua_KContext)x);
}

/* --- All of it -------------------------------------------------------------*/

/* With the request object at 1: pushes the body as a string, or returns false
 * where it has to be waited for. */
static bool push_body(lua_State *L, dw_exchange *x) {
  dw_task *t = x->script;
  dw_body *b = &x->http.body;
  dw_request_push_cache(L, 1);
  if (lua_getfield(L, -1, BODY_KEY) == LUA_TSTRING) {
    lua_remove(L, -2);
    return true;
  }
  if (lua_getfield(L, -2, CHUNKS_KEY) != LUA_TNIL)
    luaL_error(L, "this body is read by chunks(), so it can't be had whole");
  check_body(L, t->script, x);
  if (!b->ended) {
    lua_pop(L, 3);
    return false;
  }
  lua_pop(L, 2);
  lua_pushlstring(L, b->data.ptr ? b->data.ptr : "", b->data.len);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, BODY_KEY);
  lua_remove(L, -2);
  b->touched = true;
  dw_body_take(&x->http, b->data.len);
  return true;
}

static int body_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  if (!push_body(L, (dw_exchange *)ctx))
    return wait_body(L, (dw_exchange *)ctx, true, body_k);
  return 1;
}

int dw_request_body(lua_State *L) {
  return body_k(L, LUA_OK, (lua_KContext)dw_request_check(L, 1));
}

static int text_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  size_t len;
  (void)status;
  if (!push_body(L, x)) return wait_body(L, x, true, text_k);
  const char *text = lua_tolstring(L, -1, &len);
  if (!dw_is_utf8(dw_slice_of(text, len)))
    return raise_status(L, ((dw_task *)x->script)->script, 400,
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
  if (!push_body(L, x)) return wait_body(L, x, true, json_k);
  const char *text = lua_tolstring(L, -1, &len);
  if (dw_json_try_decode(L, text, len, 0) == 0) return 1;
  if (json_option(L, "silent")) {
    lua_pushnil(L);
    return 1;
  }
  if (t->context.app->debug)
    return raise_status(L, t->script, 400, lua_tostring(L, -1));
  return raise_status(L, t->script, 400, "The request's body is not valid JSON.");
}

int dw_request_json(lua_State *L) {
  static const char *const options[] = {"force", "silent", NULL};
  dw_exchange *x = dw_request_check(L, 1);
  dw_task *t = x->script;
  lua_settop(L, 2);
  dw_check_options(L, 2, options);
  if (!json_option(L, "force") &&
      !is_json(dw_request_header(&x->http.request, "Content-Type"))) {
    if (json_option(L, "silent")) {
      lua_pushnil(L);
      return 1;
    }
    return raise_status(L, t->script, 415,
                        "The request's body must be JSON, with Content-Type: "
                        "application/json.");
  }
  return json_k(L, LUA_OK, (lua_KContext)x);
}

/* --- Forms -----------------------------------------------------------------*/

static int form_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  dw_task *t = x->script;
  size_t len;
  (void)status;
  if (!push_body(L, x)) return wait_body(L, x, true, form_k);
  const char *text = lua_tolstring(L, -1, &len);
  dw_pairs pairs;
  int code = dw_form_parse(dw_slice_of(text, len), &x->http.request.arena,
                           FORM_FIELDS_MAX, &pairs);
  if (code == DEWAR_ETOOBIG)
    return raise_status(L, t->script, 413, "The form has too many fields.");
  if (code < 0) return luaL_error(L, "not enough memory");
  dw_values_push(L, t->script, pairs.items, pairs.count, 0);
  dw_request_push_cache(L, 1);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "form");
  lua_pop(L, 1);
  return 1;
}

/* What isn't an urlencoded form is an empty one. */
int dw_request_form(lua_State *L) {
  dw_exchange *x = dw_request_check(L, 1);
  dw_task *t = x->script;
  dw_slice type = dw_request_header(&x->http.request, "Content-Type");
  const char *end = type.len ? memchr(type.ptr, ';', type.len) : NULL;
  if (end) type.len = (size_t)(end - type.ptr);
  if (dw_slice_equal_nocase(dw_slice_trim(type),
                            DW_LITERAL("application/x-www-form-urlencoded")))
    return form_k(L, LUA_OK, (lua_KContext)x);
  dw_values_push(L, t->script, NULL, 0, 0);
  return 1;
}

/* --- Piece by piece --------------------------------------------------------*/

/* Upvalue 1: the request object, which the waits need at 1. */
static int chunk_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  dw_task *t = x->script;
  dw_body *b = &x->http.body;
  (void)status;
  if (b->data.len == 0 || b->received > x->max_content_length)
    check_body(L, t->script, x);
  if (b->data.len > 0) {
    lua_pushlstring(L, b->data.ptr, b->data.len);
    dw_body_take(&x->http, b->data.len);
    return 1;
  }
  if (!b->ended) return wait_body(L, x, false, chunk_k);
  lua_pushnil(L);
  return 1;
}

static int next_chunk(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  return chunk_k(L, LUA_OK, (lua_KContext)dw_request_check(L, 1));
}

int dw_request_chunks(lua_State *L) {
  dw_exchange *x = dw_request_check(L, 1);
  dw_task *t = x->script;
  dw_request_push_cache(L, 1);
  if (lua_getfield(L, -1, BODY_KEY) != LUA_TNIL)
    return luaL_error(L, "the body has been read whole; use what body() gave");
  check_body(L, t->script, x);
  lua_pushboolean(L, 1);
  lua_setfield(L, -3, CHUNKS_KEY);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, next_chunk, 1);
  return 1;
}
