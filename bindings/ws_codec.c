/* SPDX-License-Identifier: MIT */
/* "dewar.websocket_codec": the client's part of a WebSocket as bytes, without a
 * connection; lua/dewar/testing/websocket.lua sends and reads them. Owner: Lua.
 * Thread: the loop's. */
#include "bindings/websocket.h"

#include "base/base64.h"
#include "base/crypto.h"
#include "base/error.h"
#include "bindings/errors.h"
#include "http/ws_handshake.h"

static const char CODEC[] = "dewar.websocket_codec";

enum { KEY_SIZE = 16, KEY_LENGTH = 24 };

typedef struct codec {
  dw_script *script;
  dw_ws_pool pool;
  dw_ws ws;
  dw_buffer out; /* what is encoded; Lua may raise before it has a copy */
  char key[KEY_LENGTH];
} codec;

static codec *check(lua_State *L) { return dw_type_check(L, 1, CODEC); }

static int raise_code(lua_State *L, int code, const char *what) {
  return dw_errors_raise_code(L, dw_script_of(L), code, what);
}

/* websocket_codec() */
static int codec_new(lua_State *L) {
  dw_script *s = dw_script_of(L);
  char bytes[KEY_SIZE];
  int code = dw_random(bytes, sizeof bytes);
  if (code < 0) return raise_code(L, code, "a websocket's key");
  codec *c = lua_newuserdatauv(L, sizeof *c, 0);
  *c = (codec){.script = s};
  dw_ws_pool_init(&c->pool, s->alloc, true);
  dw_ws_init(&c->ws, &c->pool, NULL, UINT64_MAX);
  dw_buffer_init(&c->out, s->alloc, 0);
  dw_base64_encode(DW_BASE64, dw_slice_of(bytes, sizeof bytes), c->key);
  dw_type_set(L, CODEC);
  return 1;
}

static int codec_gc(lua_State *L) {
  codec *c = check(L);
  dw_buffer_deinit(&c->out);
  dw_ws_deinit(&c->ws);
  dw_ws_pool_deinit(&c->pool);
  return 0;
}

/* codec:request() -> the key, and what is offered as extensions */
static int codec_request(lua_State *L) {
  const codec *c = check(L);
  lua_pushlstring(L, c->key, sizeof c->key);
  lua_pushliteral(L, DW_WS_OFFER);
  return 2;
}

/* codec:answered(accept, extensions): nil where that is right, or what isn't */
static int codec_answered(lua_State *L) {
  codec *c = check(L);
  char accept[DW_WS_ACCEPT_LENGTH];
  dw_slice got, extensions;
  got.ptr = luaL_optlstring(L, 2, "", &got.len);
  extensions.ptr = luaL_optlstring(L, 3, "", &extensions.len);
  int code = dw_ws_accept_key(dw_slice_of(c->key, sizeof c->key), accept);
  if (code < 0) return raise_code(L, code, "the answer to the key");
  dw_ws_terms terms;
  if (!dw_slice_equal(got, dw_slice_of(accept, sizeof accept)))
    lua_pushliteral(L, "its Sec-WebSocket-Accept doesn't answer the key");
  else if (!dw_ws_agree(extensions, &terms))
    lua_pushliteral(L, "it wants extensions that were not offered");
  else {
    c->ws.terms = terms;
    lua_pushnil(L);
  }
  return 1;
}

static int push_bytes(lua_State *L, codec *c, int code) {
  if (code < 0) return raise_code(L, code, "a websocket's frame");
  lua_pushlstring(L, c->out.ptr, c->out.len);
  return 1;
}

/* codec:encode("text" | "binary" | "ping" | "pong", data) -> bytes */
static int codec_encode(lua_State *L) {
  static const char *const kinds[] = {"text", "binary", "ping", "pong", NULL};
  codec *c = check(L);
  int kind = luaL_checkoption(L, 2, NULL, kinds);
  dw_slice data;
  data.ptr = luaL_checklstring(L, 3, &data.len);
  c->out.len = 0;
  int code;
  if (kind < 2)
    code = dw_ws_write(&c->ws, kind == 0, data, &c->out);
  else if (data.len > DW_WS_CONTROL_MAX)
    return luaL_error(L, "a %s takes up to %d bytes", kinds[kind],
                      DW_WS_CONTROL_MAX);
  else
    code = dw_ws_write_control(
        &c->ws, kind == 2 ? DW_WS_OPCODE_PING : DW_WS_OPCODE_PONG, data,
        &c->out);
  return push_bytes(L, c, code);
}

/* codec:close(code, reason) -> bytes */
static int codec_close(lua_State *L) {
  codec *c = check(L);
  lua_Integer code = luaL_checkinteger(L, 2);
  dw_slice reason;
  reason.ptr = luaL_optlstring(L, 3, "", &reason.len);
  luaL_argcheck(L, code >= 0 && code <= UINT16_MAX, 2, "no code");
  luaL_argcheck(L, reason.len <= DW_WS_REASON_MAX, 3, "the reason is too long");
  c->out.len = 0;
  return push_bytes(L, c,
                    dw_ws_write_close(&c->ws, (uint16_t)code, reason, &c->out));
}

static int push_event(lua_State *L, codec *c, dw_ws_event e) {
  static const char *const names[] = {
      [DW_WS_PING] = "ping",
      [DW_WS_PONG] = "pong",
      [DW_WS_CLOSED] = "close",
      [DW_WS_FAILED] = "failure",
  };
  const char *kind = c->ws.text ? "text" : "binary";
  lua_createtable(L, 0, 3);
  lua_pushstring(L, e == DW_WS_MESSAGE ? kind : names[e]);
  lua_setfield(L, -2, "kind");
  lua_pushlstring(L, c->ws.data.ptr, c->ws.data.len);
  lua_setfield(L, -2, "data");
  lua_pushinteger(L, c->ws.code);
  lua_setfield(L, -2, "code");
  return 1;
}

/* codec:decode(bytes) -> a list of { kind =, data =, code = } */
static int codec_decode(lua_State *L) {
  codec *c = check(L);
  dw_slice bytes;
  bytes.ptr = luaL_checklstring(L, 2, &bytes.len);
  lua_newtable(L);
  lua_Integer n = 0;
  for (;;) {
    dw_ws_event e = dw_ws_read(&c->ws, &bytes);
    if (e == DW_WS_MORE) return 1;
    push_event(L, c, e);
    lua_rawseti(L, -2, ++n);
  }
}

static const luaL_Reg methods[] = {
    {"request", codec_request}, {"answered", codec_answered},
    {"encode", codec_encode},   {"close", codec_close},
    {"decode", codec_decode},   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__gc", codec_gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"websocket_codec", codec_new},
                                     {NULL, NULL}};

void dw_websocket_codec_open(lua_State *L, dw_script *s) {
  dw_script_type(L, s, CODEC, methods, metamethods);
  dw_script_register(L, s, functions);
}
