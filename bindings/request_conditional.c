/* SPDX-License-Identifier: MIT */
/* What a request says it has or wants: req.if_match and its like, req.range.
 * Sets of tags and ranges are tables with methods. */
#include "bindings/request_fields.h"

#include "http/conditional.h"
#include "http/date.h"

static const char ETAGS_TYPE[] = "dewar.etags";
static const char RANGE_TYPE[] = "dewar.range";

static dw_slice header(dw_exchange *x, const char *name) {
  return dw_request_header(&x->http.request, name);
}

/* --- Sets of tags ----------------------------------------------------------*/

static dw_slice to_slice(lua_State *L, int index) {
  size_t len;
  const char *text = lua_tolstring(L, index, &len);
  return dw_slice_of(text, len);
}

/* The tag in question: abc, "abc" or W/"abc". */
static dw_etag check_tag(lua_State *L) {
  dw_etag tag = {.weak = false};
  if (lua_type(L, 2) != LUA_TSTRING)
    dw_misuse(L, "a tag is a string; got a %s", luaL_typename(L, 2));
  if (!dw_etag_read(to_slice(L, 2), &tag)) tag.opaque = to_slice(L, 2);
  return tag;
}

static int etags_have(lua_State *L, bool strongly) {
  if (lua_type(L, 1) != LUA_TTABLE)
    return dw_misuse(L, "call it as req.if_match:contains(tag)");
  dw_etag tag = check_tag(L), one;
  lua_getfield(L, 1, "star");
  bool found = lua_toboolean(L, -1);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
  for (lua_Integer i = 1; i <= n && !found; i++) {
    found = lua_rawgeti(L, 1, i) == LUA_TSTRING &&
            dw_etag_read(to_slice(L, -1), &one) &&
            dw_etag_same(one, tag, strongly);
    lua_pop(L, 1);
  }
  lua_pushboolean(L, found);
  return 1;
}

static int etags_contains(lua_State *L) { return etags_have(L, true); }

static int etags_contains_weak(lua_State *L) { return etags_have(L, false); }

static void push_etags(lua_State *L, dw_exchange *x, const char *name) {
  dw_slice list = header(x, name);
  dw_etag tag;
  lua_Integer n = 0;
  lua_createtable(L, 1, 2);
  lua_pushboolean(L, list.len > 0);
  lua_setfield(L, -2, "present");
  lua_pushboolean(L, dw_slice_equal(list, DW_LITERAL("*")));
  lua_setfield(L, -2, "star");
  while (dw_etag_next(&list, &tag)) {
    lua_pushstring(L, tag.weak ? "W/\"" : "\"");
    lua_pushlstring(L, tag.opaque.ptr, tag.opaque.len);
    lua_pushliteral(L, "\"");
    lua_concat(L, 3);
    lua_rawseti(L, -2, ++n);
  }
  luaL_setmetatable(L, ETAGS_TYPE);
}

void dw_request_get_if_match(lua_State *L, dw_exchange *x) {
  push_etags(L, x, "If-Match");
}

void dw_request_get_if_none_match(lua_State *L, dw_exchange *x) {
  push_etags(L, x, "If-None-Match");
}

/* --- Dates -----------------------------------------------------------------*/

static void push_date(lua_State *L, dw_slice text) {
  int64_t seconds;
  if (dw_http_date_parse(text, &seconds))
    lua_pushinteger(L, (lua_Integer)seconds);
  else
    lua_pushnil(L);
}

void dw_request_get_if_modified_since(lua_State *L, dw_exchange *x) {
  push_date(L, header(x, "If-Modified-Since"));
}

void dw_request_get_if_unmodified_since(lua_State *L, dw_exchange *x) {
  push_date(L, header(x, "If-Unmodified-Since"));
}

/* { etag =, weak = } or { date = } */
void dw_request_get_if_range(lua_State *L, dw_exchange *x) {
  dw_slice text = header(x, "If-Range");
  dw_etag tag;
  int64_t seconds;
  if (dw_etag_read(text, &tag)) {
    lua_createtable(L, 0, 2);
    lua_pushlstring(L, tag.opaque.ptr, tag.opaque.len);
    lua_setfield(L, -2, "etag");
    lua_pushboolean(L, tag.weak);
    lua_setfield(L, -2, "weak");
  } else if (dw_http_date_parse(text, &seconds)) {
    lua_createtable(L, 0, 1);
    lua_pushinteger(L, (lua_Integer)seconds);
    lua_setfield(L, -2, "date");
  } else {
    lua_pushnil(L);
  }
}

/* --- Ranges ----------------------------------------------------------------*/

static void set_position(lua_State *L, const char *field, uint64_t n) {
  lua_pushinteger(L, n > INT64_MAX ? LUA_MAXINTEGER : (lua_Integer)n);
  lua_setfield(L, -2, field);
}

/* { first =, last = }, { first = }, or { suffix = } of the last bytes */
static void push_range(lua_State *L, const dw_range *range) {
  lua_createtable(L, 0, 2);
  if (range->suffix) {
    set_position(L, "suffix", range->last);
    return;
  }
  set_position(L, "first", range->first);
  if (range->last != UINT64_MAX) set_position(L, "last", range->last);
}

/* { units =, ranges = { ... }, text = }; nil where none can be read. */
void dw_request_get_range(lua_State *L, dw_exchange *x) {
  dw_slice text = header(x, "Range"), units, set;
  dw_range range;
  lua_Integer n = 0;
  int found;
  if (!dw_range_split(text, &units, &set)) {
    lua_pushnil(L);
    return;
  }
  lua_createtable(L, 0, 3);
  lua_pushlstring(L, units.ptr, units.len);
  lua_setfield(L, -2, "units");
  lua_pushlstring(L, text.ptr, text.len);
  lua_setfield(L, -2, "text");
  lua_newtable(L);
  while ((found = dw_range_next(&set, &range)) > 0) {
    push_range(L, &range);
    lua_rawseti(L, -2, ++n);
  }
  lua_setfield(L, -2, "ranges");
  luaL_setmetatable(L, RANGE_TYPE);
  if (found == 0 && n > 0) return;
  lua_pop(L, 1);
  lua_pushnil(L);
}

/* range:for_length(n) -> first, last of the one range of bytes that n of them
 * have; nil, "whole" or "unsatisfiable" */
static int range_for_length(lua_State *L) {
  int isint = 0;
  lua_Integer length = lua_tointegerx(L, 2, &isint);
  if (lua_type(L, 1) != LUA_TTABLE)
    return dw_misuse(L, "call it as req.range:for_length(n)");
  if (!isint || length < 0)
    return dw_misuse(L, "for_length takes a number of bytes");
  if (lua_getfield(L, 1, "text") != LUA_TSTRING)
    return dw_misuse(L, "call it as req.range:for_length(n)");
  dw_range range;
  switch (dw_range_choose(to_slice(L, -1), (uint64_t)length, &range)) {
  case DW_RANGE_PART:
    lua_pushinteger(L, (lua_Integer)range.first);
    lua_pushinteger(L, (lua_Integer)range.last);
    return 2;
  case DW_RANGE_UNSATISFIABLE:
    lua_pushnil(L);
    lua_pushliteral(L, "unsatisfiable");
    return 2;
  case DW_RANGE_WHOLE:
    break;
  }
  lua_pushnil(L);
  lua_pushliteral(L, "whole");
  return 2;
}

/* --- Opening ---------------------------------------------------------------*/

void dw_request_conditional_open(lua_State *L, dw_script *s) {
  static const luaL_Reg etags[] = {{"contains", etags_contains},
                                   {"contains_weak", etags_contains_weak},
                                   {NULL, NULL}};
  static const luaL_Reg range[] = {{"for_length", range_for_length},
                                   {NULL, NULL}};
  dw_script_type(L, s, ETAGS_TYPE, etags, NULL);
  dw_script_type(L, s, RANGE_TYPE, range, NULL);
}
