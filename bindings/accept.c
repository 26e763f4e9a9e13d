/* SPDX-License-Identifier: MIT */
/* "dewar.accept": what a request accepts, req.accept_mimetypes and its like. It
 * has a copy of the header, so it outlives the request. Owner: Lua. Thread: the
 * loop's. */
#include "bindings/accept.h"

#include <stdlib.h>

#include "bindings/values.h"

static const char ACCEPT[] = "dewar.accept";

typedef struct accepted {
  dw_accept_kind kind;
  size_t count; /* of its ranges */
  size_t len;
  char text[];
} accepted;

static const char *const examples[] = {"\"text/html\"", "\"en-GB\"", "\"gzip\"",
                                       "\"utf-8\""};

static dw_slice header_of(const accepted *a) {
  return dw_slice_of(a->text, a->len);
}

static accepted *check(lua_State *L) { return dw_type_check(L, 1, ACCEPT); }

/* The value at index, which must be one that can be asked for. */
static dw_slice check_value(lua_State *L, const accepted *a, int index) {
  dw_slice value = DW_EMPTY;
  if (lua_type(L, index) != LUA_TSTRING)
    dw_misuse(L, "a string such as %s is needed; got a %s", examples[a->kind],
              luaL_typename(L, index));
  value.ptr = lua_tolstring(L, index, &value.len);
  if (!dw_accept_is_value(a->kind, value)) {
    dw_push_quoted(L, value);
    dw_misuse(L, "a value such as %s is needed; got %s", examples[a->kind],
              lua_tostring(L, -1));
  }
  return value;
}

/* --- In order of preference ------------------------------------------------*/

typedef struct ranked {
  dw_accept_range range;
  int specificity;
  size_t place; /* in the header */
} ranked;

static int compare(const void *left, const void *right) {
  const ranked *a = left, *b = right;
  if (a->range.quality != b->range.quality)
    return b->range.quality - a->range.quality;
  if (a->specificity != b->specificity) return b->specificity - a->specificity;
  return a->place < b->place ? -1 : 1;
}

/* Pushes a userdata with all ranges, sorted. */
static const ranked *push_ranked(lua_State *L, const accepted *a) {
  ranked *list = lua_newuserdatauv(L, (a->count + 1) * sizeof *list, 0);
  dw_slice rest = header_of(a);
  for (size_t i = 0; i < a->count; i++) {
    dw_accept_next(a->kind, &rest, &list[i].range);
    list[i].specificity = dw_accept_specificity(a->kind, &list[i].range);
    list[i].place = i;
  }
  qsort(list, a->count, sizeof *list, compare);
  return list;
}

/* "text/html;level=1": the weight is left out. */
static void push_range(lua_State *L, const dw_accept_range *r) {
  dw_slice rest = r->parameters, parameter;
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  luaL_addlstring(&text, r->value.ptr, r->value.len);
  while (dw_accept_parameter(&rest, &parameter)) {
    luaL_addchar(&text, ';');
    luaL_addlstring(&text, parameter.ptr, parameter.len);
  }
  luaL_pushresult(&text);
}

static void push_quality(lua_State *L, int quality) {
  lua_pushnumber(L, (lua_Number)quality / DW_QUALITY_MAX);
}

static int accept_values(lua_State *L) {
  const accepted *a = check(L);
  const ranked *list = push_ranked(L, a);
  lua_createtable(L, (int)a->count, 0);
  for (size_t i = 0; i < a->count; i++) {
    push_range(L, &list[i].range);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  return 1;
}

/* Upvalues: the accept, the sorted ranges, the place. */
static int next_range(lua_State *L) {
  const accepted *a = lua_touserdata(L, lua_upvalueindex(1));
  const ranked *list = lua_touserdata(L, lua_upvalueindex(2));
  size_t i = (size_t)lua_tointeger(L, lua_upvalueindex(3));
  if (i >= a->count) return 0;
  lua_pushinteger(L, (lua_Integer)i + 1);
  lua_replace(L, lua_upvalueindex(3));
  push_range(L, &list[i].range);
  push_quality(L, list[i].range.quality);
  return 2;
}

static int accept_pairs(lua_State *L) {
  const accepted *a = check(L);
  lua_pushvalue(L, 1);
  push_ranked(L, a);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_range, 3);
  return 1;
}

/* --- Questions -------------------------------------------------------------*/

static int accept_quality(lua_State *L) {
  const accepted *a = check(L);
  lua_settop(L, 2);
  dw_slice value = check_value(L, a, 2);
  push_quality(L, dw_accept_find(a->kind, header_of(a), value).quality);
  return 1;
}

static int accept_contains(lua_State *L) {
  const accepted *a = check(L);
  lua_settop(L, 2);
  dw_slice value = check_value(L, a, 2);
  lua_pushboolean(L, dw_accept_find(a->kind, header_of(a), value).quality > 0);
  return 1;
}

/* The most preferred range, or nil. */
static int push_first(lua_State *L, const accepted *a) {
  if (a->count == 0)
    lua_pushnil(L);
  else
    push_range(L, &push_ranked(L, a)->range);
  return 1;
}

/* Whether the table at 2 has nothing but a list of n and a default. */
static void check_offers(lua_State *L, lua_Integer n) {
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    lua_pop(L, 1);
    lua_Integer place = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    if (place >= 1 && place <= n) continue;
    if (lua_type(L, -1) == LUA_TSTRING &&
        strcmp(lua_tostring(L, -1), "default") == 0)
      continue;
    dw_misuse(L, "best takes a list of values and a default; got the key '%s'",
              luaL_tolstring(L, -1, NULL));
  }
}

/* best{ "application/json", "text/html", default = "text/html" } */
static int accept_best(lua_State *L) {
  const accepted *a = check(L);
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) return push_first(L, a);
  if (!lua_istable(L, 2))
    return dw_misuse(L, "best takes a list such as { %s }; got a %s",
                     examples[a->kind], luaL_typename(L, 2));
  lua_Integer n = (lua_Integer)lua_rawlen(L, 2);
  if (n > INT16_MAX) return dw_misuse(L, "best got too many values");
  check_offers(L, n);
  dw_slice *offers = lua_newuserdatauv(L, ((size_t)n + 1) * sizeof *offers, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, 2, i);
    offers[i - 1] = check_value(L, a, -1); /* the table keeps it */
    lua_pop(L, 1);
  }
  lua_getfield(L, 2, "default");
  if (a->count == 0 && !lua_isnil(L, -1)) return 1; /* nothing was asked for */
  int best = dw_accept_best(a->kind, header_of(a), offers, (int)n);
  if (best >= 0) lua_rawgeti(L, 2, best + 1);
  return 1;
}

/* --- The userdata ----------------------------------------------------------*/

/* Short for contains. */
static const struct {
  const char *name, *value;
} short_names[] = {{"accept_html", "text/html"},
                   {"accept_json", "application/json"},
                   {"accept_xhtml", "application/xhtml+xml"}};

static int no_field(lua_State *L, const char *name) {
  static const char *const names[] = {
      "best",        "contains",    "quality",      "values",
      "accept_html", "accept_json", "accept_xhtml", NULL};
  const char *near = dw_nearest(name, names);
  return near ? dw_misuse(L, "there is no '%s' here; did you mean '%s'?", name,
                          near)
              : dw_misuse(L, "there is no '%s' here", name);
}

/* Upvalue 2: the methods. */
static int accept_index(lua_State *L) {
  const accepted *a = check(L);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) != LUA_TNIL) return 1;
  const char *name = luaL_tolstring(L, 2, NULL);
  for (size_t i = 0; i < sizeof short_names / sizeof *short_names; i++) {
    if (a->kind != DW_ACCEPT_MEDIA || strcmp(name, short_names[i].name) != 0)
      continue;
    dw_slice value = dw_slice_str(short_names[i].value);
    lua_pushboolean(L,
                    dw_accept_find(a->kind, header_of(a), value).quality > 0);
    return 1;
  }
  return no_field(L, name);
}

static int accept_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L)->count);
  return 1;
}

static int accept_tostring(lua_State *L) {
  const accepted *a = check(L);
  lua_pushlstring(L, a->text, a->len);
  return 1;
}

void dw_accept_open(lua_State *L, dw_script *s) {
  static const luaL_Reg methods[] = {{"best", accept_best},
                                     {"contains", accept_contains},
                                     {"quality", accept_quality},
                                     {"values", accept_values},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__len", accept_len},
                                         {"__pairs", accept_pairs},
                                         {"__tostring", accept_tostring},
                                         {NULL, NULL}};
  dw_script_type(L, s, ACCEPT, methods, metamethods);
  luaL_getmetatable(L, ACCEPT);
  dw_script_push_self(L, s);
  lua_getfield(L, -2, "__index");
  lua_pushcclosure(L, accept_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
}

void dw_accept_push(lua_State *L, dw_accept_kind kind, dw_slice header) {
  dw_accept_range r;
  accepted *a = lua_newuserdatauv(L, sizeof *a + header.len, 0);
  *a = (accepted){.kind = kind, .len = header.len};
  if (header.len > 0) memcpy(a->text, header.ptr, header.len);
  for (dw_slice rest = header_of(a); dw_accept_next(kind, &rest, &r);)
    a->count++;
  dw_type_set(L, ACCEPT);
}
