/* SPDX-License-Identifier: MIT */
/* core.crypto, for Dewar's own Lua files: what a signed cookie is made of. */
#include "bindings/crypto.h"

#include "base/base64.h"
#include "base/crypto.h"
#include "base/deflate.h"
#include "base/error.h"

/* A larger scratch buffer isn't kept. */
enum { SCRATCH_KEPT = 16 * 1024, RANDOM_MAX = 1024 };

static dw_slice check_slice(lua_State *L, int index) {
  size_t len;
  const char *text = luaL_checklstring(L, index, &len);
  return dw_slice_of(text, len);
}

static dw_digest check_digest(lua_State *L, int index) {
  static const char *const names[] = {"sha1", "sha256", NULL};
  return (dw_digest)luaL_checkoption(L, index, NULL, names);
}

static int fail(lua_State *L, int code, const char *library) {
  if (code == UV_ENOTSUP)
    return luaL_error(L,
                      "this Dewar was built without %s: install its headers "
                      "and build with DEWAR_WITH_%s=ON",
                      strcmp(library, "ZLIB") == 0 ? "zlib" : "OpenSSL",
                      library);
  return luaL_error(L, code == DW_ENOMEM ? "not enough memory"
                                         : dw_strerror(code));
}

/* --- Digests ---------------------------------------------------------------*/

static int push_digest(lua_State *L, dw_digest digest, int code,
                       const unsigned char *bytes) {
  if (code < 0) return fail(L, code, "OPENSSL");
  lua_pushlstring(L, (const char *)bytes, dw_digest_size(digest));
  return 1;
}

/* digest("sha1" | "sha256", data) -> bytes */
static int digest(lua_State *L) {
  unsigned char bytes[DW_DIGEST_MAX];
  dw_digest kind = check_digest(L, 1);
  int code = dw_digest_of(kind, check_slice(L, 2), bytes);
  return push_digest(L, kind, code, bytes);
}

/* hmac("sha1" | "sha256", key, data) -> bytes */
static int hmac(lua_State *L) {
  unsigned char bytes[DW_DIGEST_MAX];
  dw_digest kind = check_digest(L, 1);
  int code = dw_hmac(kind, check_slice(L, 2), check_slice(L, 3), bytes);
  return push_digest(L, kind, code, bytes);
}

/* equal(a, b): in constant time */
static int equal(lua_State *L) {
  dw_slice a = check_slice(L, 1), b = check_slice(L, 2);
  lua_pushboolean(L, dw_equal_in_constant_time(a, b));
  return 1;
}

/* random(n) -> n bytes */
static int random_bytes(lua_State *L) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 0 && n <= RANDOM_MAX, 1, "0 to 1024 expected");
  unsigned char bytes[RANDOM_MAX];
  int code = dw_random(bytes, (size_t)n);
  if (code < 0) return luaL_error(L, "no random bytes: %s", dw_strerror(code));
  lua_pushlstring(L, (const char *)bytes, (size_t)n);
  return 1;
}

/* --- Base 64 ---------------------------------------------------------------*/

static int encode(lua_State *L, dw_base64 kind) {
  dw_slice bytes = check_slice(L, 1);
  luaL_argcheck(L, bytes.len < SIZE_MAX / 4, 1, "too long");
  luaL_Buffer b;
  char *out = luaL_buffinitsize(L, &b, dw_base64_encoded_max(bytes.len));
  luaL_pushresultsize(&b, dw_base64_encode(kind, bytes, out));
  return 1;
}

/* nil where the text is none. */
static int decode(lua_State *L, dw_base64 kind) {
  dw_slice text = check_slice(L, 1);
  luaL_Buffer b;
  size_t len = 0;
  char *out = luaL_buffinitsize(L, &b, dw_base64_decoded_max(text.len));
  bool ok = dw_base64_decode(kind, text, out, &len);
  luaL_pushresultsize(&b, len);
  if (!ok) lua_pushnil(L);
  return 1;
}

static int base64_encode(lua_State *L) { return encode(L, DW_BASE64); }
static int base64_decode(lua_State *L) { return decode(L, DW_BASE64); }
static int base64url_encode(lua_State *L) { return encode(L, DW_BASE64_URL); }
static int base64url_decode(lua_State *L) { return decode(L, DW_BASE64_URL); }

/* --- zlib ------------------------------------------------------------------*/

/* Pushes what the scratch buffer has, and lets go of it if it is large. */
static int push_scratch(lua_State *L, dw_script *s) {
  lua_pushlstring(L, s->scratch.ptr, s->scratch.len);
  if (s->scratch.cap > SCRATCH_KEPT) dw_buffer_deinit(&s->scratch);
  s->scratch.len = 0;
  return 1;
}

/* deflate(bytes) -> zlib's format */
static int deflate_bytes(lua_State *L) {
  dw_script *s = dw_script_of(L);
  s->scratch.len = 0;
  int code = dw_deflate(check_slice(L, 1), &s->scratch);
  return code < 0 ? fail(L, code, "ZLIB") : push_scratch(L, s);
}

/* inflate(bytes, max) -> bytes, or nil where they are none or more than max */
static int inflate_bytes(lua_State *L) {
  dw_script *s = dw_script_of(L);
  dw_slice bytes = check_slice(L, 1);
  lua_Integer max = luaL_checkinteger(L, 2);
  luaL_argcheck(L, max >= 0, 2, "a size expected");
  s->scratch.len = 0;
  int code = dw_inflate(bytes, (size_t)max, &s->scratch);
  if (code == 0) return push_scratch(L, s);
  if (s->scratch.cap > SCRATCH_KEPT) dw_buffer_deinit(&s->scratch);
  if (code != DEWAR_EPARSE && code != DW_ETOOBIG) return fail(L, code, "ZLIB");
  lua_pushnil(L);
  lua_pushstring(L, code == DW_ETOOBIG ? "too large" : "malformed");
  return 2;
}

/* --- The module ------------------------------------------------------------*/

void dw_crypto_open(lua_State *L, dw_script *s) {
  const luaL_Reg functions[] = {{"digest", digest},
                                {"hmac", hmac},
                                {"equal", equal},
                                {"random", random_bytes},
                                {"base64_encode", base64_encode},
                                {"base64_decode", base64_decode},
                                {"base64url_encode", base64url_encode},
                                {"base64url_decode", base64url_decode},
                                {"deflate", deflate_bytes},
                                {"inflate", inflate_bytes},
                                {NULL, NULL}};
  lua_newtable(L);
  dw_script_register(L, s, functions);
  dw_password_open(L, s);
#ifdef DEWAR_WITH_ZLIB
  lua_pushboolean(L, true);
#else
  lua_pushboolean(L, false);
#endif
  lua_setfield(L, -2, "can_deflate");
  lua_setfield(L, -2, "crypto");
}
