/* SPDX-License-Identifier: MIT */
/* What the JSON encoder and decoder share: the scan over plain text, UTF-8,
 * numbers. Private to json*.c. */
#ifndef DW_BINDINGS_JSON_PARTS_H
#define DW_BINDINGS_JSON_PARTS_H

#include <stdint.h>
#include <string.h>

#include "base/utf8.h"
#include "bindings/json.h"

/* Their addresses are registry keys: the metatable that marks an array, and
 * dewar.null. */
extern const char dw_json_array_key;
extern const char dw_json_null_key;

static inline int dw_json_depth(int flags) {
  int levels = flags >> 8;
  return levels ? levels : DW_JSON_DEPTH_DEFAULT;
}

/* Raises Lua's own memory error: lua_error knows its message. */
static inline void dw_json_no_memory(lua_State *L) {
  lua_pushliteral(L, "not enough memory");
  lua_error(L);
}

/* The limit of Lua's stack is far off: if it doesn't grow, memory is short. */
static inline void dw_json_need_stack(lua_State *L, int slots) {
  if (!lua_checkstack(L, slots)) dw_json_no_memory(L);
}

/* Not to be copied as it is: a quote, a backslash, a control character, or the
 * start of something that must be checked to be UTF-8. */
static inline int dw_json_special(unsigned char c) {
  return c < 0x20 || c == '"' || c == '\\' || c >= 0x80;
}

/* The first special byte, or end. Eight bytes at a time: a subtraction sets the
 * top bit of a byte below the subtrahend. It may do so as well for bytes behind
 * a special one, which is why the eight are then looked at one by one. */
static inline const char *dw_json_plain(const char *p, const char *end) {
  const uint64_t ones = UINT64_C(0x0101010101010101);
  while (end - p >= 8) {
    uint64_t w;
    memcpy(&w, p, 8);
    uint64_t quote = w ^ (ones * '"');
    uint64_t backslash = w ^ (ones * '\\');
    uint64_t hits = (w - ones * 0x20) | (quote - ones) | (backslash - ones) | w;
    if (hits & (ones * 0x80)) break;
    p += 8;
  }
  while (p < end && !dw_json_special((unsigned char)*p)) p++;
  return p;
}

/* Room for any number. */
#define DW_JSON_NUMBER_SIZE 40
/* Both write to `to` and return the length, no NUL. The double is finite; it is
 * written with the fewest digits that read back as the same double, always with
 * a point or an exponent. */
size_t dw_json_write_integer(char *to, int64_t i);
size_t dw_json_write_double(char *to, double x);
/* The value of the well-formed JSON number from p to end, correctly rounded; an
 * infinity if it is too large. `digits` are all of its significant ones if
 * `exact`, its last one counts 10^exponent. */
double dw_json_read_double(const char *p, const char *end, int exact,
                           uint64_t digits, int64_t exponent);

/* 1, or 0 where it can't be told for sure. digits * 10^exponent as a double;
 * the fewest digits for a positive double. */
int dw_json_scale(uint64_t digits, int64_t exponent, double *out);
int dw_json_shorten(double x, uint64_t *digits, int *exponent);

#endif
