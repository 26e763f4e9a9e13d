/* SPDX-License-Identifier: MIT */
/* The writable headers of a response, and headers given as tables. The userdata
 * borrows the list; its user value keeps the list's owner alive. Thread: the
 * loop's. */
#include "bindings/headers.h"

#include <stdio.h>

#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/values.h"
#include "http/tokens.h"

static const char HEADERS[] = "dewar.headers";

typedef struct headers {
  dw_headers *list; /* in the userdata that is user value 1 */
} headers;

/* --- Checks ----------------------------------------------------------------*/

/* What to call a character in a message. */
static const char *describe(char c, char out[32]) {
  if (c == '\n') return "a line feed";
  if (c == '\r') return "a carriage return";
  if (c == '\0') return "a NUL byte";
  if (c == ' ') return "a space";
  if (c == '\t') return "a tab";
  snprintf(out, 32, c > 32 && c < 127 ? "'%c'" : "the byte 0x%02X",
           (unsigned char)c);
  return out;
}

/* Where the first character is that isn't of the class; text.len: nowhere. */
static size_t find_bad(dw_slice text, int class) {
  size_t i = 0;
  while (i < text.len && dw_char_classes[(unsigned char)text.ptr[i]] & class)
    i++;
  return i;
}

/* The name at index as it is sent; where that is another string, pushes it. */
static dw_slice check_name(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TSTRING)
    dw_misuse(L, "headers: a name must be a string, not a %s",
              luaL_typename(L, index));
  dw_slice name;
  name.ptr = lua_tolstring(L, index, &name.len);
  if (name.len == 0) dw_misuse(L, "headers: a name can't be empty");
  size_t bad = find_bad(name, DW_CHAR_TCHAR);
  if (bad < name.len) {
    char text[32];
    dw_push_quoted(L, name);
    dw_misuse(L,
              "headers: the name %s has %s as character %d; names are of "
              "letters, digits and !#$%%&'*+-.^_`|~",
              lua_tostring(L, -1), describe(name.ptr[bad], text), (int)bad + 1);
  }
  if (memchr(name.ptr, '_', name.len))
    name.ptr = luaL_gsub(L, name.ptr, "_", "-");
  return name;
}

/* Pushes the value at index as text. */
static dw_slice check_value(lua_State *L, dw_slice name, int index) {
  int exact = 0;
  lua_Integer number = 0;
  int type = lua_type(L, index);
  if (type == LUA_TNUMBER)
    number = lua_tointegerx(L, index, &exact);
  else if (type != LUA_TSTRING)
    dw_misuse(L,
              "header %s: a string, a number or a list of them expected, "
              "not a %s",
              name.ptr, luaL_typename(L, index));
  if (exact)
    lua_pushinteger(L, number); /* 10.0 is sent as 10 */
  else
    lua_pushvalue(L, index);

  dw_slice value;
  value.ptr = lua_tolstring(L, -1, &value.len);
  size_t bad = find_bad(value, DW_CHAR_FIELD);
  if (bad < value.len) {
    char text[32];
    dw_misuse(L,
              "header %s: the value has %s as character %d; values can't "
              "have line breaks or control characters",
              name.ptr, describe(value.ptr[bad], text), (int)bad + 1);
  }
  return value;
}

/* --- Changes ---------------------------------------------------------------*/

typedef enum change { CHECK, REMOVE, ADD } change;

static void add(lua_State *L, dw_headers *out, dw_slice name, int value) {
  int err = dw_headers_add(out, name, check_value(L, name, value));
  if (err < 0) dw_errors_raise_code(L, dw_script_find(L), err, name.ptr);
  lua_pop(L, 1);
}

/* One pass over the value or the list of values at index. */
static void change_field(lua_State *L, dw_headers *out, int key, int value,
                         change what) {
  int top = lua_gettop(L);
  dw_slice name = check_name(L, key);
  if (what == REMOVE) {
    dw_headers_remove(out, name);
  } else if (!lua_istable(L, value)) {
    if (what == CHECK)
      check_value(L, name, value);
    else
      add(L, out, name, value);
  } else {
    lua_Integer n = (lua_Integer)lua_rawlen(L, value);
    for (lua_Integer i = 1; i <= n; i++) {
      lua_rawgeti(L, value, i);
      int item = lua_gettop(L);
      if (what == CHECK)
        check_value(L, name, item);
      else
        add(L, out, name, item);
      lua_settop(L, item - 1);
    }
  }
  lua_settop(L, top);
}

/* One pass over a table of headers. */
static void change_all(lua_State *L, dw_headers *out, int table, change what) {
  lua_Integer n = (lua_Integer)lua_rawlen(L, table);
  for (lua_Integer i = 1; i <= n; i++) {
    if (lua_rawgeti(L, table, i) != LUA_TTABLE)
      dw_misuse(L,
                "headers are written { [name] = value } or as a list of "
                "{ name, value }; item %d of the list is a %s",
                (int)i, luaL_typename(L, -1));
    int pair = lua_gettop(L);
    lua_rawgeti(L, pair, 1);
    lua_rawgeti(L, pair, 2);
    change_field(L, out, pair + 1, pair + 2, what);
    lua_settop(L, pair - 1);
  }
  lua_pushnil(L);
  while (lua_next(L, table)) {
    int value = lua_gettop(L);
    lua_Integer place = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
    if (place < 1 || place > n) change_field(L, out, value - 1, value, what);
    lua_pop(L, 1);
  }
}

void dw_headers_from_table(lua_State *L, int index, dw_headers *out) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  index = lua_absindex(L, index);
  const headers *other = dw_type_test(L, index, HEADERS);
  if (other) {
    if (!out || out == other->list) return;
    int err = dw_headers_copy(out, other->list);
    if (err < 0) dw_errors_raise_code(L, dw_script_find(L), err, "headers");
    return;
  }
  if (!lua_istable(L, index))
    dw_misuse(L, "headers must be a table { [name] = value }, not a %s",
              luaL_typename(L, index));
  change_all(L, out, index, CHECK);
  if (!out) return;
  change_all(L, out, index, REMOVE);
  change_all(L, out, index, ADD);
}

void dw_headers_assign(lua_State *L, int index, dw_headers *to) {
  const headers *other = dw_type_test(L, index, HEADERS);
  if (other && other->list == to) return;
  dw_headers_from_table(L, index, NULL);
  dw_headers_deinit(to);
  dw_headers_from_table(L, index, to);
}

/* --- The userdata ----------------------------------------------------------*/

static dw_entries check(lua_State *L) {
  const headers *h = dw_type_check(L, 1, HEADERS);
  return (dw_entries){h->list->items, h->list->count, 0, true};
}

static int headers_index(lua_State *L) {
  dw_entries f = check(L);
  return dw_entries_index(L, &f, 2);
}

static int headers_call(lua_State *L) {
  lua_settop(L, 2);
  dw_entries f = check(L);
  return dw_entries_list(L, &f, 2);
}

/* headers[name] = nil, a string, a number, or a list of them */
static int headers_newindex(lua_State *L) {
  const headers *h = dw_type_check(L, 1, HEADERS);
  if (lua_isnil(L, 3) || lua_istable(L, 3)) {
    if (lua_istable(L, 3)) change_field(L, h->list, 2, 3, CHECK);
    change_field(L, h->list, 2, 3, REMOVE);
    if (lua_istable(L, 3)) change_field(L, h->list, 2, 3, ADD);
    return 0;
  }
  dw_slice name = check_name(L, 2);
  int err = dw_headers_set(h->list, name, check_value(L, name, 3));
  if (err < 0) return dw_errors_raise_code(L, dw_script_of(L), err, name.ptr);
  return 0;
}

/* Over a copy, so that the loop may change the headers. */
static int headers_pairs(lua_State *L) {
  dw_entries f = check(L);
  dw_values_push_headers(L, dw_script_of(L), f.items, f.count);
  lua_replace(L, 1);
  return dw_values_pairs(L);
}

static int headers_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L).count);
  return 1;
}

static int headers_tostring(lua_State *L) {
  dw_entries f = check(L);
  return dw_entries_tostring(L, &f, HEADERS);
}

static const luaL_Reg metamethods[] = {{"__index", headers_index},
                                       {"__newindex", headers_newindex},
                                       {"__call", headers_call},
                                       {"__pairs", headers_pairs},
                                       {"__len", headers_len},
                                       {"__tostring", headers_tostring},
                                       {NULL, NULL}};

void dw_headers_open(lua_State *L, dw_script *s) {
  dw_script_type(L, s, HEADERS, NULL, metamethods);
}

void dw_headers_push(lua_State *L, dw_script *s, dw_headers *list,
                     int owner_index) {
  (void)s;
  owner_index = lua_absindex(L, owner_index);
  headers *h = lua_newuserdatauv(L, sizeof *h, 1);
  h->list = list;
  lua_pushvalue(L, owner_index);
  lua_setiuservalue(L, -2, 1);
  dw_type_set(L, HEADERS);
}
