/* SPDX-License-Identifier: MIT */
/* The read-only "dewar.values": one block holds the items and all their bytes,
 * so it outlives the request that it came with. Owner: Lua. Thread: the loop's.
 */
#include "bindings/values.h"

static const char VALUES[] = "dewar.values";

enum {
  SHOWN_ITEMS = 20, /* by tostring */
  SHOWN_BYTES = 80
};

typedef struct values {
  size_t count;
  bool headers, objects;
  dw_header items[]; /* and the bytes behind them */
} values;

/* --- Entries ---------------------------------------------------------------*/

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

/* Whether a name that a script wrote means the field's name. Only the script's
 * "_" reads as "-": a client that sends X_Real_IP does not get to answer for
 * X-Real-IP. */
static bool matches(dw_slice key, dw_slice name, bool headers) {
  if (!headers) return dw_slice_equal(key, name);
  if (key.len != name.len) return false;
  for (size_t i = 0; i < key.len; i++) {
    char c = key.ptr[i] == '_' ? '-' : lower(key.ptr[i]);
    if (c != lower(name.ptr[i])) return false;
  }
  return true;
}

/* The first match from `from` on, or f->count. */
static size_t find(const dw_entries *f, dw_slice key, size_t from) {
  while (from < f->count && !matches(key, f->items[from].name, f->headers))
    from++;
  return from;
}

static void push_value(lua_State *L, const dw_entries *f, size_t i) {
  if (f->objects)
    lua_rawgeti(L, f->objects, (lua_Integer)i + 1);
  else
    lua_pushlstring(L, f->items[i].value.ptr, f->items[i].value.len);
}

/* RFC 9110, 5.3; Cookie has a separator of its own (RFC 9113, 8.2.3). */
static void push_joined(lua_State *L, const dw_entries *f, dw_slice key,
                        size_t i) {
  bool cookie = dw_slice_equal_nocase(f->items[i].name, DW_LITERAL("Cookie"));
  luaL_Buffer joined;
  luaL_buffinit(L, &joined);
  for (size_t next = i; next < f->count; next = find(f, key, next + 1)) {
    dw_slice value = f->items[next].value;
    if (next > i) luaL_addstring(&joined, cookie ? "; " : ", ");
    luaL_addlstring(&joined, value.ptr, value.len);
  }
  luaL_pushresult(&joined);
}

/* Set-Cookie is the one field whose lines can't be joined. */
static bool joins(const dw_entries *f, dw_slice key, size_t i) {
  return f->headers && find(f, key, i + 1) < f->count &&
         !dw_slice_equal_nocase(f->items[i].name, DW_LITERAL("Set-Cookie"));
}

int dw_entries_index(lua_State *L, const dw_entries *f, int key) {
  dw_slice name = {NULL, 0};
  size_t i = f->count;
  if (lua_type(L, key) == LUA_TSTRING) {
    name.ptr = lua_tolstring(L, key, &name.len);
    i = find(f, name, 0);
  }
  if (i == f->count)
    lua_pushnil(L);
  else if (joins(f, name, i))
    push_joined(L, f, name, i);
  else
    push_value(L, f, i);
  return 1;
}

int dw_entries_list(lua_State *L, const dw_entries *f, int key) {
  if (lua_type(L, key) != LUA_TSTRING)
    return dw_misuse(L, "the call takes a name, a string, not a %s",
                     luaL_typename(L, key));
  dw_slice name;
  name.ptr = lua_tolstring(L, key, &name.len);
  lua_Integer n = 0;
  lua_newtable(L);
  for (size_t i = find(f, name, 0); i < f->count; i = find(f, name, i + 1)) {
    push_value(L, f, i);
    lua_rawseti(L, -2, ++n);
  }
  return 1;
}

void dw_push_quoted(lua_State *L, dw_slice text) {
  size_t shown = text.len > SHOWN_BYTES ? SHOWN_BYTES : text.len;
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  luaL_addchar(&out, '"');
  for (size_t i = 0; i < shown; i++) {
    unsigned char c = (unsigned char)text.ptr[i];
    if (c < 32 || c == 127) {
      luaL_addchar(&out, '\\');
      luaL_addchar(&out, (char)('0' + c / 100));
      luaL_addchar(&out, (char)('0' + c / 10 % 10));
      c = '0' + c % 10;
    } else if (c == '"' || c == '\\') {
      luaL_addchar(&out, '\\');
    }
    luaL_addchar(&out, (char)c);
  }
  luaL_addstring(&out, shown < text.len ? "\"..." : "\"");
  luaL_pushresult(&out);
}

int dw_entries_tostring(lua_State *L, const dw_entries *f, const char *type) {
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  luaL_addstring(&out, type);
  luaL_addstring(&out, " {");
  for (size_t i = 0; i < f->count && i < SHOWN_ITEMS; i++) {
    luaL_addstring(&out, i ? ", " : " ");
    luaL_addlstring(&out, f->items[i].name.ptr, f->items[i].name.len);
    luaL_addstring(&out, " = ");
    if (f->objects) {
      lua_rawgeti(L, f->objects, (lua_Integer)i + 1);
      luaL_tolstring(L, -1, NULL);
      lua_remove(L, -2);
    } else {
      dw_push_quoted(L, f->items[i].value);
    }
    luaL_addvalue(&out);
  }
  luaL_addstring(&out, f->count > SHOWN_ITEMS ? ", ... }" : " }");
  luaL_pushresult(&out);
  return 1;
}

/* --- The userdata ----------------------------------------------------------*/

/* The fields of the argument; its list of objects, if any, is pushed. */
static dw_entries check(lua_State *L) {
  const values *v = dw_type_check(L, 1, VALUES);
  dw_entries f = {v->items, v->count, 0, v->headers};
  if (v->objects) {
    lua_getiuservalue(L, 1, 1);
    f.objects = lua_gettop(L);
  }
  return f;
}

static int values_index(lua_State *L) {
  dw_entries f = check(L);
  return dw_entries_index(L, &f, 2);
}

static int values_call(lua_State *L) {
  lua_settop(L, 2);
  dw_entries f = check(L);
  return dw_entries_list(L, &f, 2);
}

static int values_newindex(lua_State *L) {
  return dw_misuse(L, "what came with a request can't be changed; copy it into "
                      "a table with pairs");
}

/* Keeps its place in upvalue 2. */
static int values_next(lua_State *L) {
  lua_settop(L, 1);
  dw_entries f = check(L);
  size_t i = (size_t)lua_tointeger(L, lua_upvalueindex(2));
  if (i >= f.count) return 0;
  lua_pushinteger(L, (lua_Integer)i + 1);
  lua_replace(L, lua_upvalueindex(2));
  lua_pushlstring(L, f.items[i].name.ptr, f.items[i].name.len);
  push_value(L, &f, i);
  return 2;
}

int dw_values_pairs(lua_State *L) {
  dw_type_check(L, 1, VALUES);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, values_next, 2);
  lua_pushvalue(L, 1);
  return 2;
}

static int values_len(lua_State *L) {
  const values *v = dw_type_check(L, 1, VALUES);
  lua_pushinteger(L, (lua_Integer)v->count);
  return 1;
}

static int values_tostring(lua_State *L) {
  dw_entries f = check(L);
  return dw_entries_tostring(L, &f, VALUES);
}

static const luaL_Reg metamethods[] = {{"__index", values_index},
                                       {"__newindex", values_newindex},
                                       {"__call", values_call},
                                       {"__pairs", dw_values_pairs},
                                       {"__len", values_len},
                                       {"__tostring", values_tostring},
                                       {NULL, NULL}};

void dw_values_open(lua_State *L, dw_script *s) {
  dw_script_type(L, s, VALUES, NULL, metamethods);
}

/* --- Making one ------------------------------------------------------------*/

static dw_slice copy(char **at, dw_slice bytes) {
  dw_slice made = {*at, bytes.len};
  if (bytes.len > 0) memcpy(*at, bytes.ptr, bytes.len);
  *at += bytes.len;
  return made;
}

static values *push_values(lua_State *L, size_t count, size_t bytes,
                           int flags) {
  bool objects = flags & DW_VALUES_OBJECTS;
  size_t size = sizeof(values) + count * sizeof(dw_header) + bytes;
  values *v = lua_newuserdatauv(L, size, objects ? 1 : 0);
  v->count = count;
  v->headers = flags & DW_VALUES_HEADERS;
  v->objects = objects;
  dw_type_set(L, VALUES);
  if (objects) {
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1);
  }
  return v;
}

void dw_values_push(lua_State *L, dw_script *s, const dw_pair *items, size_t n,
                    int flags) {
  (void)s;
  bool objects = flags & DW_VALUES_OBJECTS;
  size_t bytes = 0;
  for (size_t i = 0; i < n; i++)
    bytes += items[i].name.len + (objects ? 0 : items[i].value.len);
  values *v = push_values(L, n, bytes, flags);
  char *at = (char *)&v->items[n];
  for (size_t i = 0; i < n; i++) {
    v->items[i].name = copy(&at, items[i].name);
    v->items[i].value = objects ? DW_EMPTY : copy(&at, items[i].value);
  }
}

void dw_values_push_headers(lua_State *L, dw_script *s, const dw_header *items,
                            size_t n) {
  (void)s;
  size_t bytes = 0;
  for (size_t i = 0; i < n; i++)
    bytes += items[i].name.len + items[i].value.len;
  values *v = push_values(L, n, bytes, DW_VALUES_HEADERS);
  char *at = (char *)&v->items[n];
  for (size_t i = 0; i < n; i++) {
    v->items[i].name = copy(&at, items[i].name);
    v->items[i].value = copy(&at, items[i].value);
  }
}
