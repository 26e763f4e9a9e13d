/* SPDX-License-Identifier: MIT */
/* Errors, values and headers as bindings see them, and all of them with
 * failing allocations. What scripts see is in spec/bindings. */
#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/headers.h"
#include "bindings/values.h"
#include "unit.h"

/* --- A script with an owner of headers -------------------------------------*/

typedef struct owner {
  dw_headers headers;
} owner;

static int owner_gc(lua_State *L) {
  dw_headers_deinit(&((owner *)lua_touserdata(L, 1))->headers);
  return 0;
}

/* headers([table]) */
static int new_headers(lua_State *L) {
  dw_script *s = dw_script_of(L);
  lua_settop(L, 1);
  owner *o = lua_newuserdatauv(L, sizeof *o, 0);
  dw_headers_init(&o->headers, s->alloc);
  luaL_setmetatable(L, "owner");
  if (!lua_isnil(L, 1)) dw_headers_from_table(L, 1, &o->headers);
  dw_headers_push(L, s, &o->headers, 2);
  return 1;
}

/* values(): a=1, A=2 as header fields */
static int new_values(lua_State *L) {
  char text[] = "a1A2";
  dw_header items[] = {{{text, 1}, {text + 1, 1}},
                       {{text + 2, 1}, {text + 3, 1}}};
  dw_values_push_headers(L, dw_script_of(L), items, 2);
  memset(text, 'x', sizeof text);
  return 1;
}

/* objects(a, b): f=a, g=b */
static int new_objects(lua_State *L) {
  dw_pair items[] = {{DW_LITERAL("f"), {NULL, 0}},
                     {DW_LITERAL("g"), {NULL, 0}}};
  lua_settop(L, 2);
  lua_createtable(L, 2, 0);
  lua_insert(L, 1);
  lua_rawseti(L, 1, 2);
  lua_rawseti(L, 1, 1);
  dw_values_push(L, dw_script_of(L), items, 2, DW_VALUES_OBJECTS);
  return 1;
}

static int raise_code(lua_State *L) {
  int code = (int)luaL_optinteger(L, 1, UV_ECONNREFUSED);
  return dw_errors_raise_code(L, dw_script_of(L), code, "connect");
}

static const luaL_Reg functions[] = {{"headers", new_headers},
                                     {"values", new_values},
                                     {"objects", new_objects},
                                     {"raise_code", raise_code},
                                     {NULL, NULL}};
static const luaL_Reg of_owner[] = {{"__gc", owner_gc}, {NULL, NULL}};

/* The global `dewar`. */
static int open_script(lua_State *L) {
  void *alloc;
  lua_getallocf(L, &alloc);
  luaL_requiref(L, LUA_GNAME, luaopen_base, 1);
  luaL_requiref(L, LUA_STRLIBNAME, luaopen_string, 1);
  lua_pop(L, 2);
  dw_script *s = dw_script_new(L);
  s->alloc = alloc;
  dw_values_open(L, s);
  dw_headers_open(L, s);
  dw_script_type(L, s, "owner", NULL, of_owner);
  lua_newtable(L);
  dw_errors_open(L, s);
  dw_script_register(L, s, functions);
  lua_setglobal(L, "dewar");
  return 0;
}

/* --- Classes in C ----------------------------------------------------------*/

static dw_allocator allocator;
static lua_State *L;
static dw_script *s;

static bool setup(void) {
  dw_allocator_init(&allocator, NULL, NULL);
  L = lua_newstate(dw_allocator_lua, &allocator);
  if (!CHECK(L != NULL)) return false;
  lua_pushcfunction(L, open_script);
  if (!CHECK(lua_pcall(L, 0, 0, 0) == LUA_OK)) return false;
  s = dw_script_find(L);
  return true;
}

static void teardown(void) {
  lua_close(L);
  CHECK_INT(allocator.used, 0);
}

/* Leaves what the chunk returns, or raises, on the stack. */
static void run(const char *text) {
  if (luaL_loadstring(L, text) == LUA_OK) lua_pcall(L, 0, 1, 0);
}

TEST(knows_the_class_and_status_of_any_value) {
  static const struct {
    const char *text, *name;
    int status;
  } cases[] = {
      {"return 'plain'", "Error", 0},
      {"return nil", "Error", 0},
      {"return {status = 404}", "Error", 0},
      {"return setmetatable({}, {})", "Error", 0},
      {"return dewar.errors[404]", "Error", 0},
      {"return dewar.errors[404]()", "NotFound", 404},
      {"return dewar.errors[404]('', {status = 410})", "NotFound", 410},
      {"return dewar.Error('', {status = 409})", "Error", 409},
      {"local e = dewar.errors[404]() e.status = 7 return e", "NotFound", 404},
      {"return dewar.TimeoutError()", "TimeoutError", 0},
      {"return dewar.Cancelled()", "Cancelled", 0},
      {"return dewar.Error:extend('A', {status = 402}):extend('B')()", "B",
       402},
      {"local C = dewar.Error:extend('A') C.status = 402 return C()", "A", 402},
      {"dewar.abort(403, 'why')", "Forbidden", 403},
      {"error('raised')", "Error", 0},
  };
  if (!setup()) return;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    run(cases[i].text);
    uint64_t calls = allocator.calls;
    int status = -1, top = lua_gettop(L);
    const dw_error_class *cls = dw_errors_class(L, s, -1, &status);
    CHECK_STR(cls->name, cases[i].name);
    CHECK_INT(status, cases[i].status);
    CHECK_INT(lua_gettop(L), top);
    CHECK_INT(allocator.calls - calls, 0);
    lua_settop(L, 0);
  }
  teardown();
}

TEST(a_class_given_to_errorhandler_lives_on) {
  if (!setup()) return;
  run("return dewar.errors[404]:extend('Mine', {status = 410})");
  const dw_error_class *mine = dw_errors_check_class(L, -1);
  REQUIRE(mine != NULL);
  CHECK_INT(lua_gettop(L), 1);
  CHECK(mine == dw_errors_check_class(L, 1));
  lua_settop(L, 0);
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT);
  CHECK_STR(mine->name, "Mine");
  CHECK_INT(mine->status, 410);
  CHECK(mine->parent == dw_error_for_status(404));

  run("return dewar.errors[404]()");
  CHECK(dw_errors_check_class(L, -1) == NULL);
  lua_pushliteral(L, "NotFound");
  CHECK(dw_errors_check_class(L, -1) == NULL);
  run("return dewar.errors[404]");
  CHECK(dw_errors_check_class(L, -1) == dw_error_for_status(404));
  teardown();
}

static int push_some(lua_State *l) {
  dw_errors_push(l, s, dw_error_for_status(404), NULL);
  dw_errors_push(l, s, &dw_error_cancelled, "stop");
  return 2;
}

static int raise_formatted(lua_State *l) {
  return dw_errors_raise(l, s, dw_error_for_status(400), "field %s: %0600d",
                         "age", 7);
}

TEST(makes_objects_from_c) {
  if (!setup()) return;
  lua_pushcfunction(L, push_some);
  CHECK_INT(lua_pcall(L, 0, 2, 0), LUA_OK);
  lua_getfield(L, 1, "message");
  CHECK_STR(lua_tostring(L, -1), dw_error_description(404));
  CHECK_STR(luaL_tolstring(L, 2, NULL), "Cancelled: stop");
  lua_settop(L, 0);

  lua_pushcfunction(L, raise_formatted);
  CHECK_INT(lua_pcall(L, 0, 0, 0), LUA_ERRRUN);
  lua_getfield(L, 1, "message");
  CHECK_INT(lua_rawlen(L, -1), strlen("field age: ") + 600);
  lua_settop(L, 0);

  run("dewar.raise_code()");
  CHECK_STR(luaL_tolstring(L, 1, NULL), "Error: connect: connection refused");
  lua_getfield(L, 1, "code");
  CHECK_STR(lua_tostring(L, -1), "ECONNREFUSED");
  teardown();
}

TEST(raises_timeouts_and_a_lack_of_memory_as_what_they_are) {
  if (!setup()) return;
  lua_getglobal(L, "dewar");
  lua_getfield(L, -1, "raise_code");
  lua_pushinteger(L, UV_ETIMEDOUT);
  CHECK_INT(lua_pcall(L, 1, 0, 0), LUA_ERRRUN);
  CHECK_STR(luaL_tolstring(L, -1, NULL),
            "TimeoutError: connect: connection timed out");
  lua_getfield(L, -2, "code");
  CHECK_STR(lua_tostring(L, -1), "ETIMEDOUT");
  lua_getglobal(L, "dewar");
  lua_getfield(L, -1, "raise_code");
  lua_pushinteger(L, UV_ENOMEM);
  CHECK_INT(lua_pcall(L, 1, 0, 0), LUA_ERRMEM);
  teardown();
}

TEST(values_may_be_any_lua_values) {
  if (!setup()) return;
  run("local t = {} local v = dewar.objects(t, false)"
      "for name, value in pairs(v) do assert(name == 'f' or value == false) "
      "end "
      "assert(#v('f') == 1 and v('f')[1] == t and v.h == nil and #v == 2)"
      "assert(v.f == t and v.g == false and tostring(v):find('g = false'))"
      "return 'done'");
  CHECK_STR(luaL_tolstring(L, 1, NULL), "done");
  teardown();
}

/* --- Failing allocations ---------------------------------------------------*/

static const char everything[] =
    /* What isn't expected to fail may raise for lack of memory only. */
    "local function raised(fn, ...)"
    "  local ok, err = pcall(fn, ...)"
    "  assert(not ok)"
    "  if type(err) == 'string' then error(err, 0) end "
    "  return err "
    "end "
    "local A = dewar.Error:extend('A', {status = 402})"
    "local B = A:extend('B', {retry = true})"
    "assert(tostring(raised(error, B('x', {account = 7}))) == 'B: x')"
    "assert(A:is(B()) and dewar.HTTPError:is(B()))"
    "for _, class in pairs(dewar.errors) do assert(#tostring(class()) > 10) "
    "end "
    "local err = raised(dewar.abort, 404, 'why', {['X-A'] = {'1', 2}, X_B = 3})"
    "assert(err.headers.X_B == 3)"
    "raised(dewar.raise_code)"
    "local h = dewar.headers{['X-A'] = {'1', '2'}, X_B = 7, {'c', 'd'}}"
    "h.x_c = 'y' h.x_c = {'a', 2} h.x_a = nil h.a = 1.5 "
    "assert(h.x_c == 'a, 2' and #h('x-c') == 2 and #tostring(h) > 20)"
    "for name in pairs(h) do h[name] = nil end "
    "h = dewar.headers(dewar.headers{Vary = {'a', 'b'}})"
    "assert(h.vary == 'a, b')"
    "local v = dewar.values()"
    "assert(v.a == '1, 2' and #v('A') == 2 and #tostring(v) > 20)"
    "for name, value in pairs(v) do assert(name and value) end "
    "v = dewar.objects(v, h)"
    "assert(v.f and v.g == h and #tostring(v) > 20)";

static int run_everything(lua_State *l) {
  open_script(l);
  if (luaL_loadstring(l, everything) != LUA_OK) return lua_error(l);
  lua_call(l, 0, 0);
  return 0;
}

static int scenario(dw_allocator *a, void *data) {
  (void)data;
  lua_State *l = lua_newstate(dw_allocator_lua, a);
  if (!l) return DW_ENOMEM;
  lua_pushcfunction(l, run_everything);
  int result = lua_pcall(l, 0, 0, 0);
  a->fail_at = 0;
  if (result == LUA_ERRRUN) { /* an I/O error's object, or a bug */
    const char *text = luaL_tolstring(l, -1, NULL);
    CHECK_STR(strstr(text, "memory") ? "memory" : text, "memory");
  }
  lua_close(l);
  return result == LUA_OK ? 0 : DW_ENOMEM;
}

TEST(nothing_leaks_where_memory_runs_out) {
  unit_failing_allocations(scenario, NULL);
}
