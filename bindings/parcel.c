/* SPDX-License-Identifier: MIT */
/* Values as bytes. A letter says what comes: the layout is this machine's,
 * since a parcel never leaves the process. Tables and functions are numbered in
 * the order in which they are met, at both ends alike, and a number stands for
 * one that was met before. */
#include "bindings/parcel.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include <lauxlib.h>
#include <lualib.h>

#include "base/error.h"
#include "bindings/json.h"
#include "bindings/json_parts.h"

enum {
  TAG_NIL = 'n',
  TAG_FALSE = 'f',
  TAG_TRUE = 't',
  TAG_INTEGER = 'i',
  TAG_NUMBER = 'd',
  TAG_STRING = 's',
  TAG_NULL = 'z',
  TAG_TABLE = '{',
  TAG_ARRAY = '[', /* a table with the mark */
  TAG_END = '}',
  TAG_KNOWN = '=',
  TAG_FUNCTION = 'L',
  TAG_LIBRARY = 'C', /* a function of a standard library, by name */
  TAG_MODULE = 'M',
  TAG_GLOBALS = 'G',
  TAG_SHARED = 'J' /* an upvalue that a function before has, too */
};

/* How many upvalues of a function are told apart. */
enum { UPVALUES = 256 };

/* --- Packing ---------------------------------------------------------------*/

/* The way to a value, for messages. On the C stack, innermost first. */
typedef struct step {
  const struct step *up;
  const char *root; /* of the first step: "argument" */
  const char *upvalue;
  int number;
  int key; /* on the Lua stack; 0: another kind of step */
} step;

typedef struct packer {
  lua_State *L;
  dw_buffer *out;
  int known; /* the table of what has been met */
  lua_Integer met;
  bool code;
  int error; /* of the buffer */
} packer;

static void put(packer *p, const void *bytes, size_t len) {
  if (!p->error) p->error = dw_buffer_append(p->out, bytes, len);
}

static void put_tag(packer *p, char tag) { put(p, &tag, 1); }

static void put_integer(packer *p, char tag, lua_Integer n) {
  put_tag(p, tag);
  put(p, &n, sizeof n);
}

static void put_string(packer *p, char tag, int index) {
  size_t len;
  const char *text = lua_tolstring(p->L, index, &len);
  put_integer(p, tag, (lua_Integer)len);
  put(p, text, len);
}

static void add_key(luaL_Buffer *b, lua_State *L, int key) {
  if (lua_type(L, key) == LUA_TSTRING) {
    const char *text = lua_tostring(L, key);
    bool name = isalpha((unsigned char)*text) || *text == '_';
    for (const char *c = text; *c; c++)
      name = name && (isalnum((unsigned char)*c) || *c == '_');
    if (name)
      lua_pushfstring(L, ".%s", text);
    else
      lua_pushfstring(L, "[\"%s\"]", text);
  } else if (lua_type(L, key) == LUA_TNUMBER) {
    lua_pushvalue(L, key);
    lua_pushfstring(L, "[%s]", lua_tostring(L, -1));
    lua_remove(L, -2);
  } else {
    lua_pushfstring(L, "[a %s]", luaL_typename(L, key));
  }
  luaL_addvalue(b);
}

static void add_way(luaL_Buffer *b, lua_State *L, const step *s) {
  if (s->up) add_way(b, L, s->up);
  if (s->root) {
    lua_pushfstring(L, "%s %d", s->root, s->number);
    luaL_addvalue(b);
  } else if (s->upvalue) {
    bool first = luaL_bufflen(b) == 0;
    lua_pushfstring(L, first ? "the upvalue '%s'" : ": the upvalue '%s'",
                    s->upvalue);
    luaL_addvalue(b);
  } else if (s->key) {
    add_key(b, L, s->key);
  }
}

static bool refuse(packer *p, const step *way, const char *what) {
  lua_State *L = p->L;
  luaL_Buffer b;
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  luaL_buffinit(L, &b);
  add_way(&b, L, way);
  if (luaL_bufflen(&b) == 0) luaL_addstring(&b, "the function");
  luaL_addchar(&b, ' ');
  luaL_addstring(&b, what);
  luaL_pushresult(&b);
  return false;
}

static bool pack(packer *p, int index, const step *way, int depth);

/* Whether what is at index was met before, which is noted otherwise. */
static bool pack_known(packer *p, int index) {
  lua_State *L = p->L;
  lua_pushvalue(L, index);
  if (lua_rawget(L, p->known) != LUA_TNIL) {
    put_integer(p, TAG_KNOWN, lua_tointeger(L, -1));
    lua_pop(L, 1);
    return true;
  }
  lua_pop(L, 1);
  lua_pushvalue(L, index);
  lua_pushinteger(L, ++p->met);
  lua_rawset(L, p->known);
  return false;
}

/* --- Tables ----------------------------------------------------------------*/

/* By the name that it has among loaded modules: whoever takes one for a string,
 * the globals are no module. */
static bool pack_module(packer *p, int index) {
  lua_State *L = p->L;
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  bool globals = lua_rawequal(L, -1, index);
  lua_pop(L, 1);
  if (globals) {
    put_tag(p, TAG_GLOBALS);
    return true;
  }
  if (lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE) != LUA_TTABLE) {
    lua_pop(L, 1);
    return false;
  }
  for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING || !lua_rawequal(L, -1, index)) continue;
    put_string(p, TAG_MODULE, -2);
    lua_pop(L, 3);
    return true;
  }
  lua_pop(L, 1);
  return false;
}

/* The metatable that is on top. */
static bool is_array_mark(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &dw_json_array_key);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 2);
  return same;
}

static bool pack_table(packer *p, int index, const step *way, int depth) {
  lua_State *L = p->L;
  if (p->code && pack_module(p, index)) return true;
  if (pack_known(p, index)) return true;
  if (depth >= DW_PARCEL_DEPTH)
    return refuse(p, way, "is nested too deep: 200 levels can travel");
  bool array = false;
  if (lua_getmetatable(L, index)) {
    array = is_array_mark(L);
    if (!array)
      return refuse(p, way,
                    "has a metatable, which can't travel: pass a plain table");
  }
  put_tag(p, array ? TAG_ARRAY : TAG_TABLE);
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    int value = lua_gettop(L);
    step next = {.up = way, .key = value - 1};
    if (!pack(p, value - 1, &next, depth + 1)) return false;
    if (!pack(p, value, &next, depth + 1)) return false;
  }
  put_tag(p, TAG_END);
  return true;
}

/* --- Functions -------------------------------------------------------------*/

static int write_code(lua_State *L, const void *bytes, size_t len, void *data) {
  packer *p = data;
  (void)L;
  put(p, bytes, len);
  return p->error;
}

/* Of which of the standard libraries a C function is. */
static bool pack_library(packer *p, int index) {
  static const char *const libraries[] = {LUA_GNAME,       LUA_STRLIBNAME,
                                          LUA_TABLIBNAME,  LUA_MATHLIBNAME,
                                          LUA_UTF8LIBNAME, LUA_IOLIBNAME,
                                          LUA_OSLIBNAME,   LUA_COLIBNAME,
                                          LUA_DBLIBNAME,   NULL};
  lua_State *L = p->L;
  int top = lua_gettop(L);
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  for (const char *const *name = libraries; *name; name++) {
    if (lua_getfield(L, top + 1, *name) == LUA_TTABLE) {
      for (lua_pushnil(L); lua_next(L, top + 2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !lua_rawequal(L, -1, index))
          continue;
        lua_pushstring(L, *name);
        put_string(p, TAG_LIBRARY, -1);
        put_string(p, TAG_STRING, -3);
        lua_settop(L, top);
        return true;
      }
    }
    lua_settop(L, top + 1);
  }
  lua_settop(L, top);
  return false;
}

/* An upvalue that another function that travels has, too, stays one variable.
 */
static bool pack_shared(packer *p, int index, int n, lua_Integer function) {
  lua_State *L = p->L;
  void *id = lua_upvalueid(L, index, n);
  if (lua_rawgetp(L, p->known, id) == LUA_TNUMBER) {
    put_integer(p, TAG_SHARED, lua_tointeger(L, -1));
    lua_pop(L, 1);
    return true;
  }
  lua_pop(L, 1);
  lua_pushinteger(L, function * UPVALUES + n);
  lua_rawsetp(L, p->known, id);
  return false;
}

static bool pack_upvalues(packer *p, int index, const step *way, int depth) {
  lua_State *L = p->L;
  lua_Integer function = p->met;
  const char *name;
  for (int n = 1; (name = lua_getupvalue(L, index, n)); n++) {
    int value = lua_gettop(L);
    step next = {.up = way, .upvalue = *name ? name : "?"};
    if (strcmp(name, "_ENV") == 0)
      put_tag(p, TAG_GLOBALS);
    else if (!pack_shared(p, index, n, function) &&
             !pack(p, value, &next, depth + 1))
      return false;
    lua_settop(L, value - 1);
  }
  put_tag(p, TAG_END);
  return true;
}

static bool pack_function(packer *p, int index, const step *way, int depth) {
  lua_State *L = p->L;
  if (!p->code)
    return refuse(p, way,
                  "is a function, which can't travel: only the "
                  "function that works, and what it uses");
  if (lua_iscfunction(L, index)) {
    if (pack_library(p, index)) return true;
    return refuse(p, way,
                  "is a C function, which can't travel: require its "
                  "module inside of the function");
  }
  if (pack_known(p, index)) return true;
  if (depth >= DW_PARCEL_DEPTH)
    return refuse(p, way, "is nested too deep: 200 levels can travel");
  put_tag(p, TAG_FUNCTION);
  size_t at = p->out->len;
  lua_Integer len = 0;
  put(p, &len, sizeof len);
  lua_pushvalue(L, index);
  lua_dump(L, write_code, p, 0);
  lua_pop(L, 1);
  if (p->error) return true;
  len = (lua_Integer)(p->out->len - at - sizeof len);
  memcpy(p->out->ptr + at, &len, sizeof len);
  return pack_upvalues(p, index, way, depth);
}

/* --- Values ----------------------------------------------------------------*/

static bool pack_other(packer *p, int index, const step *way) {
  lua_State *L = p->L;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &dw_json_null_key);
  bool null = !lua_isnil(L, -1) && lua_rawequal(L, -1, index);
  lua_pop(L, 1);
  if (null) {
    put_tag(p, TAG_NULL);
    return true;
  }
  const char *what = lua_isthread(L, index)
                         ? "is a coroutine, which can't travel"
                         : "is a userdata, which can't travel";
  return refuse(p, way, what);
}

static bool pack(packer *p, int index, const step *way, int depth) {
  lua_State *L = p->L;
  luaL_checkstack(L, 8, NULL);
  switch (lua_type(L, index)) {
  case LUA_TNIL:
    put_tag(p, TAG_NIL);
    return true;
  case LUA_TBOOLEAN:
    put_tag(p, lua_toboolean(L, index) ? TAG_TRUE : TAG_FALSE);
    return true;
  case LUA_TNUMBER:
    if (lua_isinteger(L, index)) {
      put_integer(p, TAG_INTEGER, lua_tointeger(L, index));
    } else {
      lua_Number n = lua_tonumber(L, index);
      put_tag(p, TAG_NUMBER);
      put(p, &n, sizeof n);
    }
    return true;
  case LUA_TSTRING:
    put_string(p, TAG_STRING, index);
    return true;
  case LUA_TTABLE:
    return pack_table(p, index, way, depth);
  case LUA_TFUNCTION:
    return pack_function(p, index, way, depth);
  default:
    return pack_other(p, index, way);
  }
}

bool dw_parcel_pack(lua_State *L, dw_buffer *out, int n, const char *root,
                    bool code) {
  int top = lua_gettop(L);
  luaL_checkstack(L, 8, NULL);
  lua_newtable(L);
  packer p = {.L = L, .out = out, .known = top + 1, .code = code};
  put_integer(&p, TAG_TABLE, n);
  for (int i = 1; i <= n; i++) {
    step way = {.root = root, .number = code ? i - 1 : i};
    if (code && i == 1) way.root = NULL;
    if (!pack(&p, top - n + i, &way, 0)) return false;
    p.code = false;
  }
  lua_settop(L, top);
  if (p.error == DW_ETOOBIG) {
    lua_pushfstring(L, "the %ss are too large: 1 GiB can travel", root);
    return false;
  }
  if (p.error) {
    lua_pushliteral(L, "not enough memory");
    lua_error(L);
  }
  return true;
}

/* --- Unpacking -------------------------------------------------------------*/

typedef struct unpacker {
  lua_State *L;
  const char *at;
  int known;
  lua_Integer met;
} unpacker;

static lua_Integer take_integer(unpacker *u) {
  lua_Integer n;
  memcpy(&n, u->at, sizeof n);
  u->at += sizeof n;
  return n;
}

static dw_slice take_bytes(unpacker *u) {
  size_t len = (size_t)take_integer(u);
  dw_slice bytes = dw_slice_of(u->at, len);
  u->at += len;
  return bytes;
}

static void push_bytes(unpacker *u) {
  dw_slice bytes = take_bytes(u);
  lua_pushlstring(u->L, bytes.ptr, bytes.len);
}

static void unpack(unpacker *u);

static void note(unpacker *u) {
  lua_pushvalue(u->L, -1);
  lua_rawseti(u->L, u->known, ++u->met);
}

static void unpack_table(unpacker *u, bool array) {
  lua_State *L = u->L;
  lua_newtable(L);
  note(u);
  if (array) dw_json_mark_array(L);
  while (*u->at != TAG_END) {
    unpack(u);
    unpack(u);
    lua_rawset(L, -3);
  }
  u->at++;
}

static void unpack_function(unpacker *u) {
  lua_State *L = u->L;
  dw_slice code = take_bytes(u);
  if (luaL_loadbufferx(L, code.ptr, code.len, "=work", "b") != LUA_OK)
    lua_error(L);
  note(u);
  for (int n = 1; *u->at != TAG_END; n++) {
    if (*u->at == TAG_SHARED) {
      u->at++;
      lua_Integer shared = take_integer(u);
      lua_rawgeti(L, u->known, shared / UPVALUES);
      lua_upvaluejoin(L, -2, n, -1, (int)(shared % UPVALUES));
      lua_pop(L, 1);
    } else {
      unpack(u);
      lua_setupvalue(L, -2, n);
    }
  }
  u->at++;
}

/* library, name */
static void unpack_library(unpacker *u) {
  lua_State *L = u->L;
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  push_bytes(u);
  lua_rawget(L, -2);
  unpack(u);
  lua_rawget(L, -2);
  lua_replace(L, -3);
  lua_pop(L, 1);
}

static void unpack_module(unpacker *u) {
  lua_State *L = u->L;
  lua_getglobal(L, "require");
  push_bytes(u);
  lua_call(L, 1, 1);
}

static void unpack(unpacker *u) {
  lua_State *L = u->L;
  lua_Number n;
  luaL_checkstack(L, 8, NULL);
  char tag = *u->at++;
  switch (tag) {
  case TAG_FALSE:
  case TAG_TRUE:
    lua_pushboolean(L, tag == TAG_TRUE);
    break;
  case TAG_INTEGER:
    lua_pushinteger(L, take_integer(u));
    break;
  case TAG_NUMBER:
    memcpy(&n, u->at, sizeof n);
    u->at += sizeof n;
    lua_pushnumber(L, n);
    break;
  case TAG_STRING:
    push_bytes(u);
    break;
  case TAG_NULL:
    lua_rawgetp(L, LUA_REGISTRYINDEX, &dw_json_null_key);
    break;
  case TAG_TABLE:
  case TAG_ARRAY:
    unpack_table(u, tag == TAG_ARRAY);
    break;
  case TAG_KNOWN:
    lua_rawgeti(L, u->known, take_integer(u));
    break;
  case TAG_FUNCTION:
    unpack_function(u);
    break;
  case TAG_LIBRARY:
    unpack_library(u);
    break;
  case TAG_MODULE:
    unpack_module(u);
    break;
  case TAG_GLOBALS:
    lua_pushglobaltable(L);
    break;
  default:
    lua_pushnil(L);
  }
}

int dw_parcel_unpack(lua_State *L, dw_slice bytes) {
  unpacker u = {.L = L, .at = bytes.ptr + 1};
  lua_Integer n = take_integer(&u);
  luaL_checkstack(L, (int)n + 8, "too many values");
  lua_newtable(L);
  u.known = lua_gettop(L);
  for (lua_Integer i = 0; i < n; i++) unpack(&u);
  lua_remove(L, u.known);
  return (int)n;
}
