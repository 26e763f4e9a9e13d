/* SPDX-License-Identifier: MIT */
/* JSON text to Lua values. Bad text is no Lua error in here: a function returns
 * where the text goes on, or NULL, with what is wrong noted in the decoder. A
 * container collects its first members on the Lua stack, so that its table is
 * made in the right size. Read from the bottom up. */
#include <math.h>

#include "base/error.h"
#include "bindings/json_parts.h"
#include "bindings/script.h"

/* Members that are collected before the table is made. */
#define PAIRS 16
#define ITEMS 32

typedef struct decoder {
  lua_State *L;
  const char *text;
  const char *end;
  int array; /* on the stack: the mark's metatable, nil until it is needed */
  int null;  /* likewise */
  int depth;
  int max_depth;
  const char *error;    /* what is wrong, */
  const char *expected; /* or what should have been there instead, */
  const char *at;       /* here */
} decoder;

static const char *read_value(decoder *d, const char *p);

/* --- Errors ----------------------------------------------------------------*/

static const char *fail(decoder *d, const char *at, const char *error) {
  d->error = error;
  d->at = at;
  return NULL;
}

static const char *expected(decoder *d, const char *at, const char *what) {
  d->expected = what;
  d->at = at;
  return NULL;
}

static void push_found(const decoder *d) {
  lua_State *L = d->L;
  unsigned char c = d->at < d->end ? (unsigned char)*d->at : 0;
  size_t n;
  if (d->at == d->end)
    lua_pushliteral(L, "the end of the text");
  else if (d->at == d->text && d->end - d->at >= 3 &&
           memcmp(d->at, "\xEF\xBB\xBF", 3) == 0)
    lua_pushliteral(L, "a byte order mark");
  else if (c > 0x20 && c < 0x7F)
    lua_pushfstring(L, "'%c'", c);
  else if (c >= 0x80 && (n = dw_utf8_length(d->at, d->end)) > 0)
    lua_pushfstring(L, "'%s'", lua_pushlstring(L, d->at, n));
  else
    lua_pushfstring(L, "byte %d", c);
}

/* Columns are characters, bytes are bytes; all begin at 1. */
static void push_error(const decoder *d) {
  lua_State *L = d->L;
  lua_Integer line = 1, column = 1;
  for (const char *p = d->text; p < d->at; p++) {
    if (*p == '\n') {
      line++;
      column = 1;
    } else if (((unsigned char)*p & 0xC0) != 0x80) {
      column++;
    }
  }
  if (d->expected) {
    push_found(d);
    lua_pushfstring(L, "expected %s, found %s", d->expected,
                    lua_tostring(L, -1));
  } else {
    lua_pushstring(L, d->error);
  }
  lua_pushfstring(L, "invalid JSON at line %I, column %I (byte %I): %s",
                  (LUAI_UACINT)line, (LUAI_UACINT)column,
                  (LUAI_UACINT)(d->at - d->text) + 1, lua_tostring(L, -1));
}

/* --- Strings ---------------------------------------------------------------*/

/* The four hexadecimal digits behind \u, or -1. */
static int read_hex(const char *p, const char *end) {
  int code = 0;
  if (end - p < 4) return -1;
  for (int i = 0; i < 4; i++) {
    int c = (unsigned char)p[i], lower = c | 0x20;
    if (c >= '0' && c <= '9')
      code = code * 16 + (c - '0');
    else if (lower >= 'a' && lower <= 'f')
      code = code * 16 + (lower - 'a' + 10);
    else
      return -1;
  }
  return code;
}

/* Checks the escape at p and returns its end. */
static const char *skip_escape(decoder *d, const char *p) {
  const char *end = d->end;
  if (p + 1 == end) return p + 1;
  if (p[1] && strchr("\"\\/bfnrt", p[1])) return p + 2;
  if (p[1] != 'u') return fail(d, p, "there is no such escape");
  int code = read_hex(p + 2, end);
  if (code < 0) return fail(d, p, "\\u needs four hexadecimal digits");
  if (code < 0xD800 || code > 0xDFFF) return p + 6;
  int low = -1;
  if (code < 0xDC00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u')
    low = read_hex(p + 8, end);
  if (low < 0xDC00 || low > 0xDFFF)
    return fail(d, p, "half of a surrogate pair stands alone");
  return p + 12;
}

static char *put_utf8(char *to, int code) {
  if (code < 0x80) {
    *to++ = (char)code;
    return to;
  }
  if (code < 0x800) {
    *to++ = (char)(0xC0 | code >> 6);
  } else {
    if (code < 0x10000) {
      *to++ = (char)(0xE0 | code >> 12);
    } else {
      *to++ = (char)(0xF0 | code >> 18);
      *to++ = (char)(0x80 | (code >> 12 & 0x3F));
    }
    *to++ = (char)(0x80 | (code >> 6 & 0x3F));
  }
  *to++ = (char)(0x80 | (code & 0x3F));
  return to;
}

/* Writes what the escape at *from stands for, moves *from behind it. */
static char *put_escape(char *to, const char **from, const char *end) {
  const char *p = *from;
  *from += 2;
  switch (p[1]) {
  case 'b':
    *to = '\b';
    return to + 1;
  case 'f':
    *to = '\f';
    return to + 1;
  case 'n':
    *to = '\n';
    return to + 1;
  case 'r':
    *to = '\r';
    return to + 1;
  case 't':
    *to = '\t';
    return to + 1;
  case 'u':
    break;
  default:
    *to = p[1];
    return to + 1;
  }
  int code = read_hex(p + 2, end);
  *from += 4;
  if (code >= 0xD800 && code <= 0xDFFF) {
    code = 0x10000 + ((code - 0xD800) << 10) + (read_hex(p + 8, end) - 0xDC00);
    *from += 6;
  }
  return put_utf8(to, code);
}

/* Pushes a checked string, without its escapes. No escape is shorter than what
 * it stands for. The buffer is Lua's own, safe from its errors. */
static void push_unescaped(lua_State *L, const char *p, const char *end) {
  luaL_Buffer b;
  char *start = luaL_buffinitsize(L, &b, (size_t)(end - p));
  char *to = start;
  for (;;) {
    const char *escape = memchr(p, '\\', (size_t)(end - p));
    size_t plain = (size_t)((escape ? escape : end) - p);
    memcpy(to, p, plain);
    to += plain;
    if (!escape) break;
    p = escape;
    to = put_escape(to, &p, end);
  }
  luaL_pushresultsize(&b, (size_t)(to - start));
}

static const char *read_string(decoder *d, const char *p) {
  const char *start = p + 1;
  int escapes = 0;
  for (p = start;;) {
    p = dw_json_plain(p, d->end);
    if (p == d->end) return fail(d, start - 1, "this string has no end");
    unsigned char c = (unsigned char)*p;
    if (c == '"') break;
    if (c >= 0x80) {
      do {
        size_t n = dw_utf8_length(p, d->end);
        if (n == 0) return fail(d, p, "this is not valid UTF-8");
        p += n;
      } while (p < d->end && (unsigned char)*p >= 0x80);
    } else if (c == '\\') {
      escapes = 1;
      p = skip_escape(d, p);
      if (!p) return NULL;
    } else {
      return fail(d, p, "a control character in a string must be escaped");
    }
  }
  if (escapes)
    push_unescaped(d->L, start, p);
  else
    lua_pushlstring(d->L, start, (size_t)(p - start));
  return p + 1;
}

/* --- Numbers ---------------------------------------------------------------*/

typedef struct number {
  uint64_t digits; /* as an integer, exact while count <= 19 */
  int64_t count;   /* of them, without leading zeros */
} number;

static inline int is_digit(const decoder *d, const char *p) {
  return p < d->end && *p >= '0' && *p <= '9';
}

static inline const char *read_digits(const decoder *d, const char *p,
                                      number *n) {
  for (; is_digit(d, p); p++) {
    n->digits = n->digits * 10 + (uint64_t)(*p - '0');
    n->count += n->count != 0 || n->digits != 0;
  }
  return p;
}

/* Returns where the exponent ends and adds it to *value. Too large a one stays
 * too large: no text is as long as the limit. */
static const char *read_exponent(decoder *d, const char *p, int64_t *value) {
  const int64_t limit = INT64_C(1) << 56;
  int negative = 0;
  int64_t e = 0;
  p++;
  if (p < d->end && (*p == '+' || *p == '-')) negative = *p++ == '-';
  if (!is_digit(d, p)) return expected(d, p, "a digit");
  for (; is_digit(d, p); p++)
    if (e < limit) e = e * 10 + (*p - '0');
  *value += negative ? -e : e;
  return p;
}

static const char *push_float(decoder *d, const char *start, const char *p,
                              const number *n, int64_t exponent) {
  double x = dw_json_read_double(start, p, n->count <= 19, n->digits, exponent);
  if (isinf(x)) return fail(d, start, "this number is too large");
  lua_pushnumber(d->L, x);
  return p;
}

static const char *read_number(decoder *d, const char *p) {
  const char *start = p, *point;
  int negative = *p == '-';
  number n = {0, 0};
  int64_t exponent = 0;
  if (negative) p++;
  if (!is_digit(d, p)) return expected(d, p, "a digit");
  if (*p == '0' && is_digit(d, p + 1))
    return fail(d, p, "a number can't begin with 0");
  p = read_digits(d, p, &n);
  if (p == d->end || (*p != '.' && (*p | 0x20) != 'e')) {
    uint64_t most = (uint64_t)LUA_MAXINTEGER + (uint64_t)negative;
    if (n.count > 19 || n.digits > most) return push_float(d, start, p, &n, 0);
    n.digits = negative ? 0 - n.digits : n.digits;
    lua_pushinteger(d->L, (lua_Integer)n.digits);
    return p;
  }
  if (*p == '.') {
    point = ++p;
    if (!is_digit(d, p)) return expected(d, p, "a digit");
    p = read_digits(d, p, &n);
    exponent = point - p;
  }
  if (p < d->end && (*p | 0x20) == 'e') {
    p = read_exponent(d, p, &exponent);
    if (!p) return NULL;
  }
  return push_float(d, start, p, &n, exponent);
}

/* --- Containers ------------------------------------------------------------*/

static inline const char *skip_space(const decoder *d, const char *p) {
  while (p < d->end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
    p++;
  return p;
}

static inline int is_next(const decoder *d, const char *p, char c) {
  return p < d->end && *p == c;
}

static const char *enter(decoder *d, const char *p) {
  if (++d->depth > d->max_depth) return fail(d, p, "nested too deep");
  dw_json_need_stack(d->L, LUA_MINSTACK);
  return skip_space(d, p + 1);
}

/* Puts the pairs that lie above base into a new table, in order: of equal keys
 * the last one counts. */
static void collect_pairs(lua_State *L, int base, int n, int room) {
  lua_createtable(L, 0, room);
  for (int i = 0; i < n; i++) {
    lua_pushvalue(L, base + 2 * i + 1);
    lua_pushvalue(L, base + 2 * i + 2);
    lua_rawset(L, -3);
  }
  if (n == 0) return;
  lua_replace(L, base + 1);
  lua_settop(L, base + 1);
}

/* The key, the colon, the value. */
static const char *read_pair(decoder *d, const char *p) {
  if (!is_next(d, p, '"')) return expected(d, p, "a key in quotes");
  p = read_string(d, p);
  if (!p) return NULL;
  p = skip_space(d, p);
  if (!is_next(d, p, ':')) return expected(d, p, "':'");
  return read_value(d, skip_space(d, p + 1));
}

static const char *read_object(decoder *d, const char *p) {
  lua_State *L = d->L;
  int base = lua_gettop(L), n = 0;
  p = enter(d, p);
  if (!p) return NULL;
  if (!is_next(d, p, '}')) {
    for (;;) {
      p = read_pair(d, p);
      if (!p) return NULL;
      if (++n > PAIRS) lua_rawset(L, base + 1);
      p = skip_space(d, p);
      if (!is_next(d, p, ',')) break;
      if (n == PAIRS) collect_pairs(L, base, n, 2 * PAIRS);
      if (n % 4 == 0) dw_json_need_stack(L, LUA_MINSTACK);
      p = skip_space(d, p + 1);
    }
    if (!is_next(d, p, '}')) return expected(d, p, "',' or '}'");
  }
  if (n <= PAIRS) collect_pairs(L, base, n, n);
  d->depth--;
  return p + 1;
}

/* Pushes what is at the index, fetches it the first time. */
static void push_registered(lua_State *L, int index, const char *key) {
  lua_pushvalue(L, index);
  if (!lua_isnil(L, -1)) return;
  lua_pop(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, key);
  lua_copy(L, -1, index);
}

/* Puts the items that lie above base, after a nil, into a new array. */
static void collect_items(const decoder *d, int base, int n, int room) {
  lua_State *L = d->L;
  lua_createtable(L, room, 0);
  push_registered(L, d->array, &dw_json_array_key);
  lua_setmetatable(L, -2);
  lua_replace(L, base + 1);
  for (; n > 0; n--) lua_rawseti(L, base + 1, n);
}

static const char *read_array(decoder *d, const char *p) {
  lua_State *L = d->L;
  int base = lua_gettop(L);
  lua_Integer n = 0;
  p = enter(d, p);
  if (!p) return NULL;
  lua_pushnil(L);
  if (!is_next(d, p, ']')) {
    for (;;) {
      p = read_value(d, p);
      if (!p) return NULL;
      if (++n > ITEMS) lua_rawseti(L, base + 1, n);
      p = skip_space(d, p);
      if (!is_next(d, p, ',')) break;
      if (n == ITEMS) collect_items(d, base, ITEMS, 2 * ITEMS);
      if (n % 8 == 0) dw_json_need_stack(L, LUA_MINSTACK);
      p = skip_space(d, p + 1);
    }
    if (!is_next(d, p, ']')) return expected(d, p, "',' or ']'");
  }
  if (n <= ITEMS) collect_items(d, base, (int)n, (int)n);
  d->depth--;
  return p + 1;
}

/* --- Values ----------------------------------------------------------------*/

static const char *read_word(decoder *d, const char *p, const char *word) {
  for (const char *w = word; *w; w++, p++)
    if (!is_next(d, p, *w)) return expected(d, p, word);
  return p;
}

static const char *read_value(decoder *d, const char *p) {
  if (p == d->end) return expected(d, p, "a value");
  switch (*p) {
  case '"':
    return read_string(d, p);
  case '{':
    return read_object(d, p);
  case '[':
    return read_array(d, p);
  case 't':
    lua_pushboolean(d->L, 1);
    return read_word(d, p, "true");
  case 'f':
    lua_pushboolean(d->L, 0);
    return read_word(d, p, "false");
  case 'n':
    push_registered(d->L, d->null, &dw_json_null_key);
    return read_word(d, p, "null");
  case '-':
  case '0':
  case '1':
  case '2':
  case '3':
  case '4':
  case '5':
  case '6':
  case '7':
  case '8':
  case '9':
    return read_number(d, p);
  default:
    return expected(d, p, "a value");
  }
}

int dw_json_try_decode(lua_State *L, const char *text, size_t len, int flags) {
  int top = lua_gettop(L);
  dw_json_need_stack(L, LUA_MINSTACK);
  lua_settop(L, top + 2);
  if (len == 0) text = "";
  decoder d = {.L = L,
               .text = text,
               .end = text + len,
               .array = top + 1,
               .null = top + 2,
               .max_depth = dw_json_depth(flags)};
  const char *p = read_value(&d, skip_space(&d, text));
  if (p) {
    p = skip_space(&d, p);
    if (p != d.end) p = expected(&d, p, "the end of the text");
  }
  if (!p) {
    lua_settop(L, top);
    push_error(&d);
  }
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return p ? 0 : DEWAR_EPARSE;
}

void dw_json_decode(lua_State *L, const char *text, size_t len, int flags) {
  if (dw_json_try_decode(L, text, len, flags) < 0)
    dw_misuse(L, "%s", lua_tostring(L, -1));
}
