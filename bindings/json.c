/* SPDX-License-Identifier: MIT */
/* dewar.json for Lua: encode and decode with their options, null, the mark of
 * arrays. The registry holds one null and one mark per Lua state, and a spare
 * buffer for encode. */
#include "bindings/json.h"

#include "bindings/json_parts.h"
#include "bindings/script.h"

const char dw_json_array_key = 'a';
const char dw_json_null_key = 'n';
static const char spare_key = 's';
static const char buffer_type_key = 'b';

/* A larger one isn't kept as the spare. */
#define SPARE_MAX ((size_t)1 << 20)

/* --- Buffers ---------------------------------------------------------------*/

/* The memory comes from where the Lua state has its own from. */
typedef struct text_buffer {
  dw_allocator alloc;
  dw_buffer buffer;
  int busy;   /* taken; after an error for ever */
  int closed; /* the Lua state is being closed: nothing more is collected */
} text_buffer;

static int buffer_gc(lua_State *L) {
  text_buffer *b = lua_touserdata(L, 1);
  dw_buffer_deinit(&b->buffer);
  b->busy = b->closed = 1;
  return 0;
}

/* Pushes a new one and makes it the spare; the one before belongs to whoever
 * has it on the stack, or to the collector. */
static text_buffer *new_buffer(lua_State *L, int closed) {
  text_buffer *b = lua_newuserdatauv(L, sizeof(*b), 0);
  void *data;
  lua_Alloc fn = lua_getallocf(L, &data);
  dw_allocator_init(&b->alloc, fn, data);
  dw_buffer_init(&b->buffer, &b->alloc, 0);
  b->closed = closed;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &buffer_type_key);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &spare_key);
  return b;
}

dw_buffer *dw_json_take_buffer(lua_State *L) {
  dw_json_need_stack(L, 4);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &spare_key);
  text_buffer *b = lua_touserdata(L, -1);
  if (!b || b->busy) {
    lua_pop(L, 1);
    b = new_buffer(L, b && b->closed);
  }
  b->busy = 1;
  b->buffer.len = 0;
  return &b->buffer;
}

void dw_json_put_buffer(lua_State *L, int index) {
  text_buffer *b = lua_touserdata(L, index);
  if (b->closed || b->buffer.cap > SPARE_MAX) dw_buffer_deinit(&b->buffer);
  b->busy = 0;
}

/* --- Options ---------------------------------------------------------------*/

static int check_integer(lua_State *L, int options, const char *name, int least,
                         int most) {
  int is_integer;
  if (lua_getfield(L, options, name) == LUA_TNIL) {
    lua_pop(L, 1);
    return 0;
  }
  lua_Integer i = lua_tointegerx(L, -1, &is_integer);
  if (!is_integer || lua_type(L, -1) != LUA_TNUMBER || i < least || i > most)
    dw_misuse(L, "option '%s' must be an integer from %d to %d", name, least,
              most);
  lua_pop(L, 1);
  return (int)i;
}

static int check_empty_table(lua_State *L, int options) {
  int flag = 0;
  if (lua_getfield(L, options, "empty_table") != LUA_TNIL) {
    const char *s = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    if (strcmp(s, "array") == 0)
      flag = DW_JSON_EMPTY_ARRAY;
    else if (strcmp(s, "object") != 0)
      dw_misuse(L, "option 'empty_table' must be \"object\" or \"array\"");
  }
  lua_pop(L, 1);
  return flag;
}

static int check_max_depth(lua_State *L, int options) {
  int levels = check_integer(L, options, "max_depth", 1, DW_JSON_DEPTH_MAX);
  return DW_JSON_DEPTH(levels);
}

static int check_indent(lua_State *L, int options) {
  int spaces = check_integer(L, options, "indent", 0, DW_JSON_INDENT_MAX);
  return DW_JSON_INDENT(spaces);
}

/* The options at index 2 as flags. */
static int encode_flags(lua_State *L) {
  static const char *const names[] = {"empty_table", "indent", "max_depth",
                                      NULL};
  if (lua_isnoneornil(L, 2)) return 0;
  luaL_checktype(L, 2, LUA_TTABLE);
  dw_check_options(L, 2, names);
  return check_empty_table(L, 2) | check_indent(L, 2) | check_max_depth(L, 2);
}

static int decode_flags(lua_State *L) {
  static const char *const names[] = {"max_depth", NULL};
  if (lua_isnoneornil(L, 2)) return 0;
  luaL_checktype(L, 2, LUA_TTABLE);
  dw_check_options(L, 2, names);
  return check_max_depth(L, 2);
}

/* --- Functions -------------------------------------------------------------*/

static int encode(lua_State *L) {
  luaL_checkany(L, 1);
  int flags = encode_flags(L);
  lua_settop(L, 1);
  dw_buffer *out = dw_json_take_buffer(L);
  dw_json_encode(L, 1, out, flags);
  lua_pushlstring(L, out->ptr, out->len);
  dw_json_put_buffer(L, 2);
  return 1;
}

static int decode(lua_State *L) {
  size_t len;
  luaL_checktype(L, 1, LUA_TSTRING);
  const char *text = lua_tolstring(L, 1, &len);
  dw_json_decode(L, text, len, decode_flags(L));
  return 1;
}

/* Pushes the mark and says whether the table at index 1 has it. */
static int push_mark(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &dw_json_array_key);
  if (!lua_getmetatable(L, 1)) return 0;
  int marked = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  return marked;
}

void dw_json_mark_array(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &dw_json_array_key);
  lua_setmetatable(L, -2);
}

static int array(lua_State *L) {
  if (lua_isnone(L, 1)) lua_newtable(L);
  luaL_checktype(L, 1, LUA_TTABLE);
  if (!push_mark(L)) {
    if (lua_getmetatable(L, 1))
      return dw_misuse(L, "a table that has a metatable can't be marked as an "
                          "array: mark a copy, or give it a __tojson");
    lua_setmetatable(L, 1);
  }
  lua_settop(L, 1);
  return 1;
}

static int is_array(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, lua_istable(L, 1) && push_mark(L));
  return 1;
}

static int null_tostring(lua_State *L) {
  lua_pushliteral(L, "null");
  return 1;
}

/* --- The module ------------------------------------------------------------*/

/* Pushes a new metatable with one metamethod, or none. */
static void push_type(lua_State *L, const char *name, const char *metamethod,
                      lua_CFunction fn) {
  lua_createtable(L, 0, 2);
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  if (!fn) return;
  lua_pushcfunction(L, fn);
  lua_setfield(L, -2, metamethod);
}

/* null comes last: where it is there, the others are. */
static void open_registry(lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &dw_json_null_key) != LUA_TNIL) return;
  push_type(L, "dewar.array", NULL, NULL);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &dw_json_array_key);
  push_type(L, "dewar.json.buffer", "__gc", buffer_gc);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &buffer_type_key);
  lua_newuserdatauv(L, 0, 0);
  push_type(L, "dewar.null", "__tostring", null_tostring);
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &dw_json_null_key);
}

int dw_json_open(lua_State *L) {
  static const luaL_Reg functions[] = {{"encode", encode},
                                       {"decode", decode},
                                       {"array", array},
                                       {"is_array", is_array},
                                       {NULL, NULL}};
  int top = lua_gettop(L);
  dw_json_need_stack(L, LUA_MINSTACK);
  open_registry(L);
  lua_settop(L, top);
  luaL_newlib(L, functions);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &dw_json_null_key);
  lua_setfield(L, -2, "null");
  return 1;
}
