/* SPDX-License-Identifier: MIT */
/* The JSON codec as C code calls it: what it leaves on the stack and in the
 * buffer, and what it holds when memory runs out. */
#include "unit.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "base/buffer.h"
#include "base/error.h"
#include "bindings/json.h"

typedef struct fixture {
  dw_allocator alloc;
  dw_buffer out;
  lua_State *L;
} fixture;

static void set_up(fixture *f, size_t max) {
  dw_allocator_init(&f->alloc, NULL, NULL);
  dw_buffer_init(&f->out, &f->alloc, max);
  f->L = lua_newstate(dw_allocator_lua, &f->alloc);
  luaL_openlibs(f->L);
  dw_json_open(f->L);
  lua_setglobal(f->L, "json");
}

static void tear_down(fixture *f) {
  lua_close(f->L);
  dw_buffer_deinit(&f->out);
  CHECK_INT(f->alloc.used, 0);
}

/* Leaves the value of a Lua expression at 1. */
static void evaluate(fixture *f, const char *expression) {
  lua_settop(f->L, 0);
  lua_pushfstring(f->L, "return %s", expression);
  CHECK_INT(luaL_dostring(f->L, lua_tostring(f->L, 1)), LUA_OK);
  lua_remove(f->L, 1);
}

static int encode_protected(lua_State *L) {
  fixture *f = lua_touserdata(L, 2);
  dw_json_encode(L, 1, &f->out, (int)lua_tointeger(L, 3));
  CHECK_INT(lua_gettop(L), 3);
  return 0;
}

/* Encodes the value at 1 and leaves the message of an error there. */
static int encode(fixture *f, int flags) {
  lua_settop(f->L, 1);
  lua_pushcfunction(f->L, encode_protected);
  lua_insert(f->L, 1);
  lua_pushlightuserdata(f->L, f);
  lua_pushinteger(f->L, flags);
  return lua_pcall(f->L, 3, 0, 0);
}

TEST(appends_to_what_the_buffer_holds) {
  fixture f;
  set_up(&f, 0);
  dw_buffer_append(&f.out, "a=", 2);
  evaluate(&f, "{ list = { 1, 2.5, {} } }");
  CHECK_INT(encode(&f, 0), LUA_OK);
  CHECK_SLICE(dw_buffer_slice(&f.out), "a={\"list\":[1,2.5,{}]}");
  f.out.len = 0;
  evaluate(&f, "{ list = { 1, 2.5, {} } }");
  CHECK_INT(encode(&f, DW_JSON_EMPTY_ARRAY | DW_JSON_INDENT(1)), LUA_OK);
  CHECK_SLICE(dw_buffer_slice(&f.out),
              "{\n \"list\": [\n  1,\n  2.5,\n  []\n ]\n}");
  tear_down(&f);
}

TEST(leaves_the_buffer_as_it_was_when_a_value_is_refused) {
  fixture f;
  set_up(&f, 0);
  dw_buffer_append(&f.out, "a=", 2);
  evaluate(&f, "{ a = 'long enough to be seen', b = { 1, print } }");
  CHECK_INT(encode(&f, 0), LUA_ERRRUN);
  CHECK_STR(lua_tostring(f.L, -1),
            "cannot encode b[2]: a function has no JSON form");
  CHECK_SLICE(dw_buffer_slice(&f.out), "a=");
  tear_down(&f);
}

TEST(keeps_to_the_maximum_of_the_buffer) {
  for (size_t max = 1; max <= 26; max++) {
    fixture f;
    set_up(&f, max);
    evaluate(&f, "{ a = 'x\\n\\u{e9}', b = { 1.5, 77 } }"); /* 26 bytes */
    int code = encode(&f, 0);
    CHECK_INT(code, max < 26 ? LUA_ERRRUN : LUA_OK);
    CHECK_INT(f.out.len, max < 26 ? 0 : 26);
    if (code == LUA_ERRRUN && max == 25)
      CHECK_STR(lua_tostring(f.L, -1), "the JSON text is larger than 25 bytes");
    tear_down(&f);
  }
}

TEST(raises_a_memory_error_where_the_buffer_gets_no_memory) {
  fixture f;
  set_up(&f, 0);
  evaluate(&f, "('x'):rep(1000)");
  lua_gc(f.L, LUA_GCSTOP);
  lua_settop(f.L, 10);
  lua_settop(f.L, 1);
  dw_allocator small;
  dw_allocator_init(&small, NULL, NULL);
  small.fail_at = 1;
  f.out.alloc = &small;
  CHECK_INT(encode(&f, 0), LUA_ERRMEM);
  CHECK_STR(lua_tostring(f.L, -1), "not enough memory");
  CHECK_INT(f.out.len, 0);
  f.out.alloc = &f.alloc;
  tear_down(&f);
}

TEST(decodes_a_slice_without_a_nul) {
  fixture f;
  set_up(&f, 0);
  const char text[] = "[1,22,{\"a\":\"b\\n\"},true,null]";
  size_t len = strlen(text);
  for (size_t n = 0; n <= len; n++) {
    char *slice = malloc(n ? n : 1);
    REQUIRE(slice != NULL);
    memcpy(slice, text, n);
    int code = dw_json_try_decode(f.L, slice, n, 0);
    CHECK_INT(code, n < len ? DEWAR_EPARSE : 0);
    CHECK_INT(lua_gettop(f.L), 1);
    CHECK(n < len ? lua_type(f.L, 1) == LUA_TSTRING : lua_istable(f.L, 1));
    lua_settop(f.L, 0);
    free(slice);
  }
  CHECK_INT(dw_json_try_decode(f.L, NULL, 0, 0), DEWAR_EPARSE);
  tear_down(&f);
}

TEST(says_where_a_text_is_wrong) {
  fixture f;
  set_up(&f, 0);
  lua_pushboolean(f.L, 1);
  CHECK_INT(dw_json_try_decode(f.L, "{\"a\":1x}", 8, 0), DEWAR_EPARSE);
  CHECK_STR(lua_tostring(f.L, -1),
            "invalid JSON at line 1, column 7 (byte 7): expected ',' or '}', "
            "found 'x'");
  CHECK_INT(lua_gettop(f.L), 2);
  CHECK_INT(dw_json_try_decode(f.L, "[[1]]", 5, DW_JSON_DEPTH(1)),
            DEWAR_EPARSE);
  CHECK_STR(lua_tostring(f.L, -1),
            "invalid JSON at line 1, column 2 (byte 2): nested too deep");
  CHECK_INT(dw_json_try_decode(f.L, "[[1]]", 5, DW_JSON_DEPTH(2)), 0);
  tear_down(&f);
}

TEST(takes_the_same_buffer_again_once_it_is_put_back) {
  fixture f;
  set_up(&f, 0);
  dw_buffer *first = dw_json_take_buffer(f.L);
  dw_buffer *second = dw_json_take_buffer(f.L);
  CHECK(first != second);
  CHECK_INT(lua_gettop(f.L), 2);
  CHECK_INT(dw_buffer_append(second, "x", 1), 0);
  dw_json_put_buffer(f.L, 2);
  dw_json_put_buffer(f.L, 1);
  lua_settop(f.L, 0);
  lua_gc(f.L, LUA_GCCOLLECT);
  uint64_t calls = f.alloc.calls;
  CHECK(dw_json_take_buffer(f.L) == second);
  CHECK_INT(second->len, 0);
  CHECK_INT(f.alloc.calls, calls);
  tear_down(&f);
}

TEST(doesn_t_keep_a_very_large_buffer) {
  fixture f;
  set_up(&f, 0);
  dw_buffer *b = dw_json_take_buffer(f.L);
  CHECK_INT(dw_buffer_reserve(b, 3 << 20), 0);
  dw_json_put_buffer(f.L, 1);
  lua_settop(f.L, 0);
  CHECK_INT(b->cap, 0);
  tear_down(&f);
}

TEST(survives_errors_and_encoding_within_encoding) {
  fixture f;
  set_up(&f, 0);
  CHECK_INT(luaL_dostring(
                f.L, "local inner = setmetatable({}, { __tojson = function()\n"
                     "  pcall(json.encode, { a = ('x'):rep(500), b = print })\n"
                     "  return json.encode({ 1, 2 })\n"
                     "end })\n"
                     "for i = 1, 20 do\n"
                     "  assert(json.encode({ a = 1, i = inner, z = 2 }) ==\n"
                     "         '{\"a\":1,\"i\":\"[1,2]\",\"z\":2}')\n"
                     "  assert(not pcall(json.encode, { 'abc', print }))\n"
                     "  collectgarbage()\n"
                     "end"),
            LUA_OK);
  tear_down(&f);
}

TEST(leaks_nothing_through_finalizers_of_a_closing_state) {
  fixture f;
  set_up(&f, 0);
  CHECK_INT(luaL_dostring(f.L, "early = setmetatable({}, { __gc = function()\n"
                               "  ran = json.encode({ ('x'):rep(5000) })\n"
                               "  pcall(json.encode, ran)\n"
                               "end })\n"
                               "json.encode({})\n"
                               "late = setmetatable({}, getmetatable(early))"),
            LUA_OK);
  tear_down(&f);
}

/* --- Failing allocations ---------------------------------------------------*/

static const char script[] =
    "local keys = {} for i = 1, 100 do keys['key ' .. i] = i * 1.5 end\n"
    "local value = { keys = keys, text = ('\\n\\u{e9}'):rep(300),\n"
    "  list = json.array({ 1, 2, { {}, json.null } }), hole = true,\n"
    "  own = setmetatable({}, { __tojson = function() return 'own' end }) }\n"
    "for i = 1, 50 do value.list[3 + i] = { i = i } end\n"
    "local text = json.encode(value, { indent = 2 })\n"
    "local again = json.decode(text)\n"
    "assert(json.encode(again, { indent = 2 }) == text)\n";

static int open_and_run(lua_State *L) {
  luaL_requiref(L, "_G", luaopen_base, 1);
  luaL_requiref(L, "string", luaopen_string, 1);
  dw_json_open(L);
  lua_setglobal(L, "json");
  if (luaL_dostring(L, script) != LUA_OK) return lua_error(L);
  return 0;
}

static int run_script(dw_allocator *a, void *data) {
  (void)data;
  lua_State *L = lua_newstate(dw_allocator_lua, a);
  if (!L) return DW_ENOMEM;
  lua_pushcfunction(L, open_and_run);
  int code = lua_pcall(L, 0, 0, 0);
  if (code != LUA_OK && code != LUA_ERRMEM)
    CHECK_STR(lua_tostring(L, -1), "not enough memory");
  lua_close(L);
  return code == LUA_OK ? 0 : DW_ENOMEM;
}

TEST(leaks_nothing_when_an_allocation_fails) {
  unit_failing_allocations(run_script, NULL);
}

static int encode_many_keys(lua_State *L) {
  dw_buffer *out = lua_touserdata(L, 1);
  lua_newtable(L);
  for (int i = 1; i <= 200; i++) {
    lua_pushfstring(L, "key %d", i);
    lua_pushfstring(L, "text \"%d\"", i);
    lua_rawset(L, 2);
  }
  dw_json_encode(L, 2, out, 0);
  return 0;
}

static int fill_own_buffer(dw_allocator *a, void *data) {
  (void)data;
  dw_buffer out;
  dw_buffer_init(&out, a, 0);
  lua_State *L = lua_newstate(dw_allocator_lua, a);
  if (!L) return DW_ENOMEM;
  lua_pushcfunction(L, encode_many_keys);
  lua_pushlightuserdata(L, &out);
  int code = lua_pcall(L, 1, 0, 0);
  CHECK(code == LUA_OK || code == LUA_ERRMEM);
  lua_close(L);
  dw_buffer_deinit(&out);
  return code == LUA_OK ? 0 : DW_ENOMEM;
}

TEST(leaks_nothing_of_the_caller_s_buffer_when_an_allocation_fails) {
  unit_failing_allocations(fill_own_buffer, NULL);
}
