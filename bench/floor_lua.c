/* SPDX-License-Identifier: MIT */
/* The second floor: the least that answering from Lua takes. Per request, one
 * userdata is made, a coroutine that lies ready is resumed, and its result is
 * formatted into a response. There are no routes, no hooks, and nothing is
 * cleaned up after an error. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/floor.h"

typedef struct lua_floor {
  lua_State *L;
  lua_State *co; /* anchored in the registry; on its stack: the view */
  int metatable;
} lua_floor;

/* What a request would be: some state behind a metatable. */
typedef struct request {
  const void *owner;
  void *exchange;
} request;

static const char source[] = "return function(req) return 'Hello, World!' end";

void *floor_lua_new(void) {
  lua_floor *f = calloc(1, sizeof *f);
  if (!f) return NULL;
  f->L = luaL_newstate();
  if (!f->L) return NULL;
  luaL_openlibs(f->L);
  luaL_newmetatable(f->L, "request");
  f->metatable = luaL_ref(f->L, LUA_REGISTRYINDEX);
  f->co = lua_newthread(f->L);
  luaL_ref(f->L, LUA_REGISTRYINDEX);
  if (luaL_dostring(f->L, source) != LUA_OK) return NULL;
  lua_xmove(f->L, f->co, 1);
  return f;
}

#define PUT(at, literal)                                                       \
  (memcpy(at, literal, sizeof(literal) - 1), (at) + sizeof(literal) - 1)

static char *put_decimal(char *at, size_t n) {
  char digits[20];
  size_t i = sizeof digits;
  do digits[--i] = (char)('0' + n % 10);
  while (n /= 10);
  memcpy(at, digits + i, sizeof digits - i);
  return at + sizeof digits - i;
}

static char *put_response(char *at, const char *body, size_t len) {
  at = PUT(at, "HTTP/1.1 200 OK\r\n");
  at = PUT(at, "Date: ");
  at = PUT(at, "Thu, 01 Jan 2026 00:00:00 GMT");
  at = PUT(at, "\r\nContent-Type: ");
  at = PUT(at, "text/html; charset=utf-8");
  at = PUT(at, "\r\nContent-Length: ");
  at = put_decimal(at, len);
  at = PUT(at, "\r\n\r\n");
  memcpy(at, body, len);
  return at + len;
}

char *floor_lua_answer(void *data, char *out) {
  lua_floor *f = data;
  lua_pushvalue(f->co, 1);
  request *r = lua_newuserdatauv(f->co, sizeof *r, 0);
  *r = (request){.owner = f, .exchange = out};
  lua_rawgeti(f->co, LUA_REGISTRYINDEX, f->metatable);
  lua_setmetatable(f->co, -2);
  int results = 0;
  if (lua_resume(f->co, f->L, 1, &results) != LUA_OK) {
    fprintf(stderr, "floor: %s\n", lua_tostring(f->co, -1));
    exit(1);
  }
  size_t len = 0;
  const char *body = lua_tolstring(f->co, -1, &len);
  out = put_response(out, body, len);
  lua_settop(f->co, 1);
  return out;
}
