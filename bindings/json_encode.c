/* SPDX-License-Identifier: MIT */
/* Lua values to JSON text, appended to the caller's buffer. Lua errors may
 * leave at any call, so nothing is held here that isn't on the Lua stack, in
 * the buffer or on the C stack. Keys of a small object are sorted on the C
 * stack, those of a large one in a userdata. Each value goes through
 * write_value, which leaves the Lua stack as it was. Read from the bottom up.
 */
#include <math.h>

#include "base/error.h"
#include "bindings/json_parts.h"
#include "bindings/script.h"

/* An object of up to SMALL keys keeps them, and their values, on the Lua stack.
 * All objects that are open at one time share KEYS entries. */
#define SMALL 32
#define KEYS 128

/* A key to be sorted. Its text is kept alive by the Lua stack or by a table,
 * not by the object alone: a finalizer may change that one. */
typedef struct entry {
  uint64_t prefix; /* the first 8 bytes: what orders most keys */
  const char *text;
  size_t len;
  int index; /* on the stack, or in the table of keys */
} entry;

/* Where a value is, for messages: by key, or by index where that is NULL. */
typedef struct level {
  const struct level *up;
  const char *key;
  size_t len;
  lua_Integer index;
} level;

typedef struct encoder {
  lua_State *L;
  dw_buffer *out;
  size_t start; /* out's length at first */
  int flags;
  int indent;
  int max_depth;
  const void *array; /* the mark's metatable, NULL until it is looked for */
  const void *null;
  int used; /* of keys */
  entry keys[KEYS];
} encoder;

static void write_value(encoder *e, int index, const level *at, int depth);

/* --- Errors ----------------------------------------------------------------*/

static int is_name(const char *s, size_t len) {
  if (len == 0 || len > 40) return 0;
  for (size_t i = 0; i < len; i++) {
    unsigned char c = (unsigned char)s[i] | 0x20;
    if (!((c >= 'a' && c <= 'z') || s[i] == '_' ||
          (i > 0 && s[i] >= '0' && s[i] <= '9')))
      return 0;
  }
  return 1;
}

static void add_quoted(luaL_Buffer *b, const char *s, size_t len) {
  static const char hex[] = "0123456789abcdef";
  size_t shown = len > 24 ? 24 : len;
  while (shown < len && shown > 20 && ((unsigned char)s[shown] & 0xC0) == 0x80)
    shown--;
  for (const char *p = s, *end = s + shown; p < end;) {
    unsigned char c = (unsigned char)*p;
    size_t n = c >= 0x80 ? dw_utf8_length(p, end) : !dw_json_special(c);
    if (n > 0) {
      luaL_addlstring(b, p, n);
      p += n;
      continue;
    }
    luaL_addchar(b, '\\');
    if (c == '"' || c == '\\') {
      luaL_addchar(b, (char)c);
    } else {
      luaL_addchar(b, 'x');
      luaL_addchar(b, hex[c >> 4]);
      luaL_addchar(b, hex[c & 15]);
    }
    p++;
  }
  if (shown < len) luaL_addstring(b, "...");
}

static void add_level(luaL_Buffer *b, const level *at, int first) {
  char digits[DW_JSON_NUMBER_SIZE];
  if (!at->key) {
    luaL_addchar(b, '[');
    luaL_addlstring(b, digits, dw_json_write_integer(digits, at->index));
    luaL_addchar(b, ']');
  } else if (is_name(at->key, at->len)) {
    if (!first) luaL_addchar(b, '.');
    luaL_addlstring(b, at->key, at->len);
  } else {
    luaL_addstring(b, "[\"");
    add_quoted(b, at->key, at->len);
    luaL_addstring(b, "\"]");
  }
}

/* Pushes the way to a value: user.tags[3]. Of a long one the middle is left
 * out. */
static void push_path(lua_State *L, const level *at) {
  const int ends = 4;
  int count = 0;
  for (const level *l = at; l; l = l->up) count++;
  if (count == 0) {
    lua_pushliteral(L, "the value");
    return;
  }
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 0; i < count; i++) {
    int skip = count > 2 * ends && i == ends;
    if (skip) {
      luaL_addstring(&b, " ... ");
      i = count - ends;
    }
    const level *l = at;
    for (int up = count - 1; up > i; up--) l = l->up;
    add_level(&b, l, i == 0 || skip);
  }
  luaL_pushresult(&b);
}

/* Raises; the message is on top of the stack. */
__attribute__((noreturn)) static void fail(encoder *e, const level *at) {
  lua_State *L = e->L;
  e->out->len = e->start;
  dw_json_need_stack(L, LUA_MINSTACK);
  push_path(L, at);
  dw_misuse(L, "cannot encode %s: %s", lua_tostring(L, -1),
            lua_tostring(L, -2));
  __builtin_unreachable();
}

__attribute__((noreturn)) static void fail_with(encoder *e, const level *at,
                                                const char *message) {
  dw_json_need_stack(e->L, LUA_MINSTACK);
  lua_pushstring(e->L, message);
  fail(e, at);
}

static void fail_depth(encoder *e, const level *at) {
  dw_json_need_stack(e->L, LUA_MINSTACK);
  lua_pushfstring(e->L, "nested deeper than %d (a cycle?)", e->max_depth);
  fail(e, at);
}

static void fail_type(encoder *e, const level *at, int index) {
  lua_State *L = e->L;
  dw_json_need_stack(L, LUA_MINSTACK);
  const char *type = luaL_typename(L, index);
  if (lua_isnil(L, index)) {
    lua_pushliteral(L, "nil has no JSON form (dewar.null is null)");
  } else {
    if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING)
      type = lua_tostring(L, -1);
    lua_pushfstring(L, "a %s has no JSON form", type);
  }
  fail(e, at);
}

static void fail_room(encoder *e, int code) {
  lua_State *L = e->L;
  e->out->len = e->start;
  dw_json_need_stack(L, 4);
  if (code != DW_ENOMEM)
    dw_misuse(L, "the JSON text is larger than %zu bytes", e->out->max);
  dw_json_no_memory(L);
}

/* --- Text ------------------------------------------------------------------*/

/* Where the next n bytes go; what was written is added to out->len. */
static inline char *room(encoder *e, size_t n) {
  dw_buffer *out = e->out;
  if (out->cap - out->len < n) {
    int code = dw_buffer_reserve(out, n);
    if (code < 0) fail_room(e, code);
  }
  return out->ptr + out->len;
}

static inline void put(encoder *e, const char *bytes, size_t n) {
  memcpy(room(e, n), bytes, n);
  e->out->len += n;
}

static inline void put_char(encoder *e, char c) {
  *room(e, 1) = c;
  e->out->len++;
}

static void put_escape(encoder *e, unsigned char c) {
  static const char hex[] = "0123456789abcdef";
  static const char letters[] = "btn?fr"; /* from \b on */
  char text[6] = {'\\', (char)c, '0', '0', hex[c >> 4], hex[c & 15]};
  if (c == '"' || c == '\\') {
    put(e, text, 2);
  } else if (c >= '\b' && c <= '\r' && c != '\v') {
    text[1] = letters[c - '\b'];
    put(e, text, 2);
  } else {
    text[1] = 'u';
    put(e, text, 6);
  }
}

/* `what` is for the message: the string, or its key. */
static void write_string(encoder *e, const char *s, size_t len, const level *at,
                         const char *what) {
  const char *end = s + len, *from = s;
  char *to = room(e, len + 2);
  const char *p = dw_json_plain(s, end);
  *to++ = '"';
  if (p == end) {
    memcpy(to, s, len);
    to[len] = '"';
    e->out->len += len + 2;
    return;
  }
  e->out->len++;
  while (p < end) {
    unsigned char c = (unsigned char)*p;
    if (c >= 0x80) {
      size_t n = dw_utf8_length(p, end);
      if (n == 0) {
        dw_json_need_stack(e->L, LUA_MINSTACK);
        lua_pushfstring(e->L, "the %s is not valid UTF-8 (byte %I)", what,
                        (LUAI_UACINT)(p - s) + 1);
        fail(e, at);
      }
      p += n;
      if (p < end && (unsigned char)*p >= 0x80) continue;
    } else {
      put(e, from, (size_t)(p - from));
      put_escape(e, c);
      from = ++p;
    }
    p = dw_json_plain(p, end);
  }
  to = room(e, (size_t)(end - from) + 1);
  memcpy(to, from, (size_t)(end - from));
  to[end - from] = '"';
  e->out->len += (size_t)(end - from) + 1;
}

static void write_number(encoder *e, int index, const level *at) {
  char text[DW_JSON_NUMBER_SIZE];
  lua_State *L = e->L;
  if (lua_isinteger(L, index)) {
    put(e, text, dw_json_write_integer(text, lua_tointeger(L, index)));
    return;
  }
  lua_Number x = lua_tonumber(L, index);
  if (!isfinite(x))
    fail_with(e, at,
              isnan(x) ? "NaN has no JSON form"
                       : "an infinite number has no JSON form");
  put(e, text, dw_json_write_double(text, x));
}

static void new_line(encoder *e, int depth) {
  size_t n = (size_t)(e->indent * depth) + 1;
  char *to = room(e, n);
  to[0] = '\n';
  memset(to + 1, ' ', n - 1);
  e->out->len += n;
}

/* What comes before a member: the bracket before the first, a comma before the
 * others. */
static inline void separate(encoder *e, char c, int depth) {
  put_char(e, c);
  if (e->indent) new_line(e, depth);
}

static inline void finish(encoder *e, char c, int depth) {
  if (e->indent) new_line(e, depth - 1);
  put_char(e, c);
}

static void write_key(encoder *e, const level *at) {
  write_string(e, at->key, at->len, at, "key");
  put_char(e, ':');
  if (e->indent) put_char(e, ' ');
}

/* --- Tables that can't be encoded ------------------------------------------*/

typedef struct key_kinds {
  const char *string; /* the first in order */
  size_t len;
  lua_Integer number; /* the least */
  lua_Integer count;  /* of numbers */
} key_kinds;

/* For a key that is never allowed. */
static void fail_key(encoder *e, const level *up, int key) {
  lua_State *L = e->L;
  const char *type = luaL_typename(L, key);
  if (lua_isnumber(L, key) || lua_isboolean(L, key))
    lua_pushfstring(L, "a key must be a string, not a %s (%s)", type,
                    luaL_tolstring(L, key, NULL));
  else
    lua_pushfstring(L, "a key must be a string, not a %s", type);
  fail(e, up);
}

/* Leaves a value on the stack: it keeps the string alive. */
static key_kinds look_at_keys(encoder *e, int t, const level *up) {
  lua_State *L = e->L;
  key_kinds k = {NULL, 0, 0, 0};
  lua_pushnil(L);
  int first = lua_gettop(L);
  for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1)) {
    if (lua_type(L, -2) == LUA_TSTRING) {
      size_t len;
      const char *s = lua_tolstring(L, -2, &len);
      int order =
          k.string ? memcmp(s, k.string, len < k.len ? len : k.len) : -1;
      if (order > 0 || (order == 0 && len > k.len)) continue;
      k.string = s;
      k.len = len;
      lua_copy(L, -2, first);
    } else if (lua_isinteger(L, -2)) {
      lua_Integer i = lua_tointeger(L, -2);
      if (k.count++ == 0 || i < k.number) k.number = i;
    } else {
      fail_key(e, up, -2);
    }
  }
  return k;
}

/* Raises, naming the least key above the hole. */
static void fail_hole(encoder *e, int t, const level *up, lua_Integer hole) {
  lua_State *L = e->L;
  level at = {up, NULL, 0, 0};
  for (lua_pushnil(L); lua_next(L, t); lua_pop(L, 1)) {
    lua_Integer i = lua_tointeger(L, -2);
    if (i > hole && (at.index == 0 || i < at.index)) at.index = i;
  }
  lua_pushfstring(L,
                  "the list has no item %I (numbers as the keys of an object "
                  "must be made strings)",
                  (LUAI_UACINT)hole);
  fail(e, &at);
}

/* The number of items where the keys are the integers from 1 on. Else raises,
 * naming the key that is the exception: a string in a list, a number in an
 * object, what comes behind a hole. */
static lua_Integer check_list(encoder *e, int t, const level *up, int marked) {
  lua_State *L = e->L;
  int top = lua_gettop(L);
  dw_json_need_stack(L, LUA_MINSTACK);
  key_kinds k = look_at_keys(e, t, up);
  level at = {up, NULL, 0, k.number};
  if (k.string && (marked || (k.count > 0 && k.number == 1))) {
    at.key = k.string;
    at.len = k.len;
    fail_with(e, &at,
              marked ? "a table marked as an array can't have this key"
                     : "a list can't have string keys as well");
  }
  if (k.string)
    fail_with(e, &at, "a table with string keys can't have numbers as keys");
  if (k.number < 1) fail_with(e, &at, "the keys of a list begin at 1");
  for (lua_Integer i = 1; i <= k.count; i++) {
    if (lua_rawgeti(L, t, i) == LUA_TNIL) fail_hole(e, t, up, i);
    lua_pop(L, 1);
  }
  lua_settop(L, top);
  return k.count;
}

/* For an object that has a key other than strings. */
static void fail_object(encoder *e, int t, const level *up) {
  check_list(e, t, up, 0);
  fail_with(e, up, "it was changed while it was being encoded");
}

/* --- Lists -----------------------------------------------------------------*/

/* The rest of a list that lua_next doesn't give in order, after `done` items.
 */
static void write_rest(encoder *e, int t, lua_Integer done, level *at,
                       int depth, int marked) {
  lua_State *L = e->L;
  lua_Integer count = check_list(e, t, at->up, marked);
  while (done < count) {
    separate(e, done ? ',' : '[', depth);
    at->index = ++done;
    lua_rawgeti(L, t, done);
    write_value(e, lua_gettop(L), at, depth);
    lua_pop(L, 1);
  }
}

/* The first key and value are on top of the stack. Most lists come in order, so
 * that one pass both writes and checks them. */
static void write_list(encoder *e, int t, const level *up, int depth,
                       int marked) {
  lua_State *L = e->L;
  level at = {up, NULL, 0, 0};
  int value = lua_gettop(L);
  do {
    if (!lua_isinteger(L, value - 1) ||
        lua_tointeger(L, value - 1) != at.index + 1) {
      lua_pop(L, 2);
      write_rest(e, t, at.index, &at, depth, marked);
      break;
    }
    separate(e, at.index ? ',' : '[', depth);
    at.index++;
    write_value(e, value, &at, depth);
    lua_pop(L, 1);
  } while (lua_next(L, t));
  finish(e, ']', depth);
}

/* --- Objects ---------------------------------------------------------------*/

static inline int precedes(const entry *a, const entry *b) {
  if (a->prefix != b->prefix) return a->prefix < b->prefix;
  int order = memcmp(a->text, b->text, a->len < b->len ? a->len : b->len);
  return order ? order < 0 : a->len < b->len;
}

static void set_entry(lua_State *L, entry *k, int key, int index) {
  const unsigned char *s =
      (const unsigned char *)lua_tolstring(L, key, &k->len);
  k->text = (const char *)s;
  k->index = index;
  if (k->len >= 8) {
    k->prefix = (uint64_t)s[0] << 56 | (uint64_t)s[1] << 48 |
                (uint64_t)s[2] << 40 | (uint64_t)s[3] << 32 |
                (uint64_t)s[4] << 24 | (uint64_t)s[5] << 16 |
                (uint64_t)s[6] << 8 | (uint64_t)s[7];
    return;
  }
  k->prefix = 0;
  for (size_t i = 0; i < k->len; i++)
    k->prefix |= (uint64_t)s[i] << (56 - 8 * i);
}

static void sort_few(entry *keys, size_t n) {
  for (size_t i = 1; i < n; i++) {
    entry k = keys[i];
    size_t j = i;
    for (; j > 0 && precedes(&k, &keys[j - 1]); j--) keys[j] = keys[j - 1];
    keys[j] = k;
  }
}

/* Merges sorted halves; spare holds n / 2 entries. */
static void sort_keys(entry *keys, size_t n, entry *spare) {
  if (n <= 16) {
    sort_few(keys, n);
    return;
  }
  size_t half = n / 2, i = 0, j = half, to = 0;
  sort_keys(keys, half, spare);
  sort_keys(keys + half, n - half, spare);
  memcpy(spare, keys, half * sizeof(*keys));
  while (i < half)
    keys[to++] =
        j < n && precedes(&keys[j], &spare[i]) ? keys[j++] : spare[i++];
}

/* Goes on where write_object has `count` pairs on the stack from base on, the
 * last of which isn't among its entries. From here on the keys are in a table,
 * the values are looked up. */
static void write_large(encoder *e, int t, int base, int count, const level *up,
                        int depth) {
  lua_State *L = e->L;
  dw_json_need_stack(L, LUA_MINSTACK);
  lua_createtable(L, 4 * SMALL, 0);
  for (int i = 0; i < count; i++) {
    lua_pushvalue(L, base + 2 * i);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushvalue(L, -3);
  lua_copy(L, -2, base);
  lua_replace(L, base + 1);
  lua_settop(L, base + 1);
  while (lua_next(L, t)) {
    if (lua_type(L, -2) != LUA_TSTRING) fail_object(e, t, up);
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
    lua_rawseti(L, base, ++count);
  }

  size_t n = (size_t)count;
  entry *keys = lua_newuserdatauv(L, (n + n / 2) * sizeof(entry), 0);
  for (int i = 0; i < count; i++) {
    lua_rawgeti(L, base, i + 1);
    set_entry(L, &keys[i], -1, i + 1);
    lua_pop(L, 1);
  }
  sort_keys(keys, n, keys + n);
  for (size_t i = 0; i < n; i++) {
    level at = {up, keys[i].text, keys[i].len, 0};
    separate(e, i ? ',' : '{', depth);
    write_key(e, &at);
    lua_rawgeti(L, base, keys[i].index);
    lua_rawget(L, t);
    write_value(e, base + 2, &at, depth);
    lua_pop(L, 1);
  }
  finish(e, '}', depth);
}

/* The first key and value are on top of the stack. */
static void write_object(encoder *e, int t, const level *up, int depth) {
  lua_State *L = e->L;
  int base = lua_gettop(L) - 1, n = 0;
  entry *keys = e->keys + e->used;
  do {
    int key = base + 2 * n;
    if (lua_type(L, key) != LUA_TSTRING) fail_object(e, t, up);
    if (n == SMALL || e->used + n == KEYS) {
      write_large(e, t, base, n + 1, up, depth);
      return;
    }
    set_entry(L, &keys[n++], key, key);
    if (n % 4 == 0) dw_json_need_stack(L, 16);
    lua_pushvalue(L, key);
  } while (lua_next(L, t));

  sort_few(keys, (size_t)n);
  e->used += n;
  for (int i = 0; i < n; i++) {
    level at = {up, keys[i].text, keys[i].len, 0};
    separate(e, i ? ',' : '{', depth);
    write_key(e, &at);
    write_value(e, keys[i].index + 1, &at, depth);
  }
  e->used -= n;
  finish(e, '}', depth);
}

/* --- Tables ----------------------------------------------------------------*/

/* Calls the __tojson on top of the stack and writes what it returns. */
static void write_tojson(encoder *e, int index, const level *at, int depth) {
  lua_State *L = e->L;
  size_t len = e->out->len;
  lua_pushvalue(L, index);
  lua_call(L, 1, 1);
  e->out->len = len;
  if (depth >= e->max_depth) fail_depth(e, at);
  write_value(e, lua_gettop(L), at, depth + 1);
}

/* For a value with a metatable, which is on top of the stack: pushes its
 * __tojson and returns 1, or 0. */
static int find_tojson(encoder *e) {
  lua_pushliteral(e->L, "__tojson");
  if (lua_rawget(e->L, -2) != LUA_TNIL) return 1;
  lua_pop(e->L, 1);
  return 0;
}

static const void *registered(encoder *e, const char *key) {
  lua_rawgetp(e->L, LUA_REGISTRYINDEX, key);
  const void *p = lua_topointer(e->L, -1);
  lua_pop(e->L, 1);
  return p;
}

static void write_members(encoder *e, int t, const level *at, int depth,
                          int marked) {
  lua_State *L = e->L;
  if (depth > e->max_depth) fail_depth(e, at);
  lua_pushnil(L);
  if (!lua_next(L, t)) {
    int list = marked || (e->flags & DW_JSON_EMPTY_ARRAY);
    put(e, list ? "[]" : "{}", 2);
  } else if (marked || lua_type(L, -2) == LUA_TNUMBER) {
    write_list(e, t, at, depth, marked);
  } else {
    write_object(e, t, at, depth);
  }
}

static void write_table(encoder *e, int index, const level *at, int depth) {
  lua_State *L = e->L;
  int top = lua_gettop(L), marked = 0;
  dw_json_need_stack(L, 16);
  if (lua_getmetatable(L, index)) {
    if (!e->array) e->array = registered(e, &dw_json_array_key);
    marked = lua_topointer(L, -1) == e->array;
    if (!marked && find_tojson(e)) {
      write_tojson(e, index, at, depth);
      lua_settop(L, top);
      return;
    }
    lua_settop(L, top);
  }
  write_members(e, index, at, depth + 1, marked);
  lua_settop(L, top);
}

static void write_userdata(encoder *e, int index, const level *at, int depth) {
  lua_State *L = e->L;
  int top = lua_gettop(L);
  dw_json_need_stack(L, 16);
  if (!e->null) e->null = registered(e, &dw_json_null_key);
  if (lua_touserdata(L, index) == e->null) {
    put(e, "null", 4);
  } else if (lua_getmetatable(L, index) && find_tojson(e)) {
    write_tojson(e, index, at, depth);
  } else {
    fail_type(e, at, index);
  }
  lua_settop(L, top);
}

/* --- Values ----------------------------------------------------------------*/

static void write_value(encoder *e, int index, const level *at, int depth) {
  lua_State *L = e->L;
  switch (lua_type(L, index)) {
  case LUA_TSTRING: {
    size_t len;
    const char *s = lua_tolstring(L, index, &len);
    write_string(e, s, len, at, "string");
    return;
  }
  case LUA_TNUMBER:
    write_number(e, index, at);
    return;
  case LUA_TBOOLEAN:
    if (lua_toboolean(L, index))
      put(e, "true", 4);
    else
      put(e, "false", 5);
    return;
  case LUA_TTABLE:
    write_table(e, index, at, depth);
    return;
  case LUA_TUSERDATA:
    write_userdata(e, index, at, depth);
    return;
  default:
    fail_type(e, at, index);
  }
}

void dw_json_encode(lua_State *L, int index, dw_buffer *out, int flags) {
  encoder e;
  e.L = L;
  e.out = out;
  e.start = out->len;
  e.flags = flags;
  e.indent = (flags >> 4) & 15;
  e.max_depth = dw_json_depth(flags);
  e.array = NULL;
  e.null = NULL;
  e.used = 0;
  write_value(&e, lua_absindex(L, index), NULL, 0);
}
