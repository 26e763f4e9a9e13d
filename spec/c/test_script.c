/* SPDX-License-Identifier: MIT */
/* The helpers of all bindings: finding the script, functions and types that
 * know it, misuse, options and the names that were meant. */
#include "unit.h"

#include "bindings/script.h"

static const char *const names[] = {"methods",     "endpoint", "defaults",
                                    "max_headers", "host",     "strict_slashes",
                                    "redirect_to", NULL};

TEST(finds_the_name_that_was_meant) {
  CHECK_STR(dw_nearest("methds", names), "methods");
  CHECK_STR(dw_nearest("method", names), "methods");
  CHECK_STR(dw_nearest("metohds", names), "methods");
  CHECK_STR(dw_nearest("hots", names), "host");
  CHECK_STR(dw_nearest("strict_slash", names), "strict_slashes");
  CHECK_STR(dw_nearest("redirectto", names), "redirect_to");
  CHECK_STR(dw_nearest("host", names), "host");
}

TEST(finds_no_name_where_none_is_near) {
  CHECK_STR(dw_nearest("", names), NULL);
  CHECK_STR(dw_nearest("x", names), NULL);
  CHECK_STR(dw_nearest("weight", names), NULL);
  CHECK_STR(dw_nearest("abcd", names), NULL);
  CHECK_STR(
      dw_nearest("a_very_long_word_that_no_option_would_ever_be_called_by",
                 names),
      NULL);
}

/* --- In Lua ----------------------------------------------------------------*/

static int take_options(lua_State *L) {
  dw_check_options(L, 1, names);
  return 0;
}

static int misused(lua_State *L) {
  return dw_misuse(L, "%s has %zu%%", "it", (size_t)50);
}

static int which_script(lua_State *L) {
  lua_pushboolean(L, dw_script_of(L) == dw_script_find(L));
  return 1;
}

static const luaL_Reg functions[] = {{"take_options", take_options},
                                     {"misused", misused},
                                     {"which_script", which_script},
                                     {NULL, NULL}};

static int make_thing(lua_State *L) {
  lua_newuserdatauv(L, 1, 0);
  luaL_setmetatable(L, "thing");
  return 1;
}

static lua_State *open_state(void) {
  static const luaL_Reg methods[] = {{"ask", which_script}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__len", which_script}, {NULL, NULL}};
  lua_State *L = luaL_newstate();
  luaL_openlibs(L);
  dw_script *s = dw_script_new(L);
  lua_pushglobaltable(L);
  dw_script_register(L, s, functions);
  dw_script_type(L, s, "thing", methods, meta);
  dw_script_push(L, s, make_thing);
  lua_setfield(L, -2, "make_thing");
  lua_settop(L, 0);
  return L;
}

/* What a chunk raises, or returns. */
static const char *result(lua_State *L, const char *text) {
  static char value[1024];
  lua_settop(L, 0);
  if (luaL_loadbuffer(L, text, strlen(text), "=chunk") == LUA_OK)
    lua_pcall(L, 0, 1, 0);
  snprintf(value, sizeof(value), "%s", luaL_tolstring(L, -1, NULL));
  lua_settop(L, 0);
  return value;
}

TEST(is_found_by_functions_and_types_and_on_every_thread) {
  lua_State *L = open_state();
  dw_script *s = dw_script_find(L);
  REQUIRE(s != NULL);
  CHECK(s->L == L);
  CHECK(dw_script_find(lua_newthread(L)) == s);
  CHECK_STR(result(L, "return which_script()"), "true");
  CHECK_STR(result(L, "return make_thing():ask()"), "true");
  CHECK_STR(result(L, "return #make_thing()"), "true");
  CHECK_STR(result(L, "return make_thing().other"), "nil");
  lua_State *other = luaL_newstate();
  CHECK(dw_script_find(other) == NULL);
  lua_close(other);
  lua_close(L);
}

TEST(knows_the_main_thread_where_another_one_makes_it) {
  lua_State *L = luaL_newstate();
  lua_State *co = lua_newthread(L);
  CHECK(dw_script_new(co)->L == L);
  lua_close(L);
}

TEST(reports_misuse_at_the_innermost_line_of_lua) {
  lua_State *L = open_state();
  CHECK_STR(result(L, "\nmisused()"), "chunk:2: it has 50%");
  CHECK_STR(result(L, "\n\nreturn select(2, pcall(misused))"),
            "chunk:3: it has 50%");
  lua_pushcfunction(L, misused);
  CHECK(lua_pcall(L, 0, 0, 0) == LUA_ERRRUN);
  CHECK_STR(lua_tostring(L, -1), "it has 50%");
  lua_close(L);
}

TEST(names_what_is_wrong_with_options) {
  lua_State *L = open_state();
  CHECK_STR(result(L, "take_options() take_options(nil) take_options({})"),
            "nil");
  CHECK_STR(result(L, "take_options({ host = 1, methods = false })"), "nil");
  CHECK_STR(result(L, "take_options({ methds = 1 })"),
            "chunk:1: unknown option 'methds'; did you mean 'methods'?");
  CHECK_STR(result(L, "take_options({ q = 1 })"),
            "chunk:1: unknown option 'q'; there are: methods, endpoint, "
            "defaults, max_headers, host, strict_slashes, redirect_to");
  CHECK_STR(result(L, "take_options({ 'host' })"),
            "chunk:1: the name of an option must be a string, not a number");
  CHECK_STR(result(L, "take_options('host')"),
            "chunk:1: the options must be a table, not a string");
  lua_close(L);
}
