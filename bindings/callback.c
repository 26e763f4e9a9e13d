/* SPDX-License-Identifier: MIT */
/* await_callback(start [, options]): calls start(done) and waits until somebody
 * calls done, whose arguments it returns. done may be called before start
 * returns, from a callback of any library, or from another task; only the first
 * call counts. It holds a ticket: when that is collected, nobody is left who
 * could call, and the wait ends with an error. The call is a userdata that the
 * waiting stack has, and so does the ticket. Thread: the loop's. */
#include "bindings/callback.h"

#include <string.h>

#include "bindings/errors.h"
#include "bindings/task_private.h"

static const char CALL_TYPE[] = "dewar.callback";
static const char TICKET_TYPE[] = "dewar.ticket";

typedef enum state {
  STARTING, /* start hasn't returned */
  WAITING,
  ANSWERED, /* done has been called */
  LOST,     /* nobody will ever call it */
  OVER      /* the wait has ended without it */
} state;

typedef struct call {
  dw_script *script;
  state state;
  dw_wake wake; /* of nobody before the wait begins */
  int results;
  double seconds;
  bool error_first;
} call;

/* On the stack of await_callback, and user values of its call. */
enum { START = 1, OPTIONS, CALL };
enum { RESULTS = 1, CANCEL, USER_VALUES = CANCEL };

/* --- done ------------------------------------------------------------------*/

static bool is_open(const call *c) { return c->state <= WAITING; }

static void settle(call *c, state how) {
  c->state = how;
  if (c->script->tasks) dw_wake_up(c->wake);
}

/* Keeps what is below the call, which is on top, as its results. */
static void keep(lua_State *L, call *c) {
  int n = lua_gettop(L) - 1;
  lua_insert(L, 1);
  if (n > 1) {
    lua_createtable(L, n, 0);
    lua_insert(L, 2);
    for (int i = n; i >= 1; i--) lua_rawseti(L, 2, i);
  }
  if (n > 0) lua_setiuservalue(L, 1, RESULTS);
  c->results = n;
}

/* done(...) -> whether it was the call that counts */
static int done(lua_State *L) {
  luaL_checkstack(L, 4, NULL);
  lua_getiuservalue(L, lua_upvalueindex(1), 1);
  call *c = lua_touserdata(L, -1);
  bool counts = is_open(c);
  if (counts) {
    keep(L, c);
    settle(c, ANSWERED);
  }
  lua_pushboolean(L, counts);
  return 1;
}

static int ticket_gc(lua_State *L) {
  if (lua_getiuservalue(L, 1, 1) != LUA_TUSERDATA) return 0;
  call *c = lua_touserdata(L, -1);
  if (is_open(c)) settle(c, LOST);
  return 0;
}

/* Pushes done, with a ticket for the call. */
static void push_done(lua_State *L) {
  lua_newuserdatauv(L, 0, 1);
  lua_pushvalue(L, CALL);
  lua_setiuservalue(L, -2, 1);
  dw_type_set(L, TICKET_TYPE);
  lua_pushcclosure(L, done, 1);
}

/* --- The end ---------------------------------------------------------------*/

static int cancel_end(lua_State *L, int status, lua_KContext ctx) {
  const call *c = lua_touserdata(L, 1);
  (void)ctx;
  if (status == LUA_OK || status == LUA_YIELD) return 0;
  int code;
  if (dw_errors_class(L, c->script, -1, &code) != &dw_error_cancelled)
    dw_logf(c->script->log, DEWAR_ERROR, "await_callback: cancel failed: %s",
            luaL_tolstring(L, -1, NULL));
  return 0;
}

/* __close, where there is a cancel. What has failed to start has nothing to be
 * ended. Whatever comes of it, the wait's own error goes on. */
static int call_cancel(lua_State *L) {
  call *c = lua_touserdata(L, 1);
  if (c->state == STARTING || c->state == ANSWERED) return 0;
  c->state = OVER;
  lua_getiuservalue(L, 1, CANCEL);
  return cancel_end(L, lua_pcallk(L, 0, 0, 0, 0, cancel_end), 0);
}

/* A text that begins with a code, such as libuv's, becomes an error with that
 * code. */
static int raise_first(lua_State *L, const call *c) {
  static const char *const capitals = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
  const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
  size_t len = strspn(text, capitals);
  if (*text != 'E' || len < 2 || (text[len] && text[len] != ':'))
    return lua_error(L);
  dw_errors_push(L, c->script, &dw_error_base, text);
  lua_pushlstring(L, text, len);
  lua_setfield(L, -2, "code");
  return lua_error(L);
}

static int give(lua_State *L, const call *c) {
  luaL_checkstack(L, c->results + 3, "too many results");
  int list = lua_gettop(L) + 1;
  lua_getiuservalue(L, CALL, RESULTS);
  if (c->results > 1)
    for (int i = 1; i <= c->results; i++) lua_rawgeti(L, list, i);
  if (c->results == 0 || !c->error_first) return c->results;
  lua_pushvalue(L, c->results > 1 ? list + 1 : list);
  if (lua_toboolean(L, -1)) return raise_first(L, c);
  lua_pop(L, 1);
  return c->results - 1;
}

static int finish(lua_State *L, int status, lua_KContext ctx) {
  const call *c = lua_touserdata(L, CALL);
  (void)status, (void)ctx;
  if (c->state == LOST)
    return dw_misuse(L, "await_callback: nobody will ever call back: the "
                        "function that was given for it has been dropped");
  return give(L, c);
}

/* --- The beginning ---------------------------------------------------------*/

static void let_go(void *data) {
  call *c = data;
  if (c->state == WAITING) c->state = OVER;
}

static int started(lua_State *L, int status, lua_KContext ctx) {
  call *c = lua_touserdata(L, CALL);
  (void)status, (void)ctx;
  if (!is_open(c)) return finish(L, 0, 0);
  c->state = WAITING;
  c->wake = dw_wait_begin(L, c->script, let_go, c);
  dw_wait_name(c->wake, "callback");
  return dw_wait(L, c->wake, c->seconds, finish, 0);
}

static void read_options(lua_State *L, call *c) {
  static const char *const names[] = {"timeout", "cancel", "error_first", NULL};
  dw_check_options(L, OPTIONS, names);
  if (lua_isnil(L, OPTIONS)) return;
  lua_getfield(L, OPTIONS, "timeout");
  c->seconds = dw_opt_seconds(L, -1, "await_callback");
  if (lua_getfield(L, OPTIONS, "error_first") > LUA_TBOOLEAN)
    dw_misuse(L, "await_callback: error_first is true (the callback's first "
                 "value is an error, or nil) or false");
  c->error_first = lua_toboolean(L, -1);
  if (lua_getfield(L, OPTIONS, "cancel") != LUA_TNIL) {
    if (!dw_is_callable(L, -1))
      dw_misuse(L,
                "await_callback: cancel is a function that ends what was "
                "begun, not a %s",
                luaL_typename(L, -1));
    lua_setiuservalue(L, CALL, CANCEL);
    lua_settop(L, CALL);
    lua_toclose(L, CALL);
  }
  lua_settop(L, CALL);
}

/* await_callback(start [, options]) -> what done was called with */
static int await_callback(lua_State *L) {
  dw_script *s = dw_script_of(L);
  lua_settop(L, OPTIONS);
  if (!dw_is_callable(L, START))
    return dw_misuse(L,
                     "await_callback: expected a function that begins "
                     "something, not a %s",
                     luaL_typename(L, START));
  call *c = lua_newuserdatauv(L, sizeof *c, USER_VALUES);
  *c = (call){.script = s, .seconds = -1};
  dw_type_set(L, CALL_TYPE);
  dw_wait_check(L, s);
  read_options(L, c);
  lua_pushvalue(L, START);
  push_done(L);
  lua_callk(L, 1, 0, 0, started);
  return started(L, LUA_OK, 0);
}

void dw_callback_open(lua_State *L, dw_script *s) {
  static const luaL_Reg call_functions[] = {{"__close", call_cancel},
                                            {NULL, NULL}};
  static const luaL_Reg ticket_functions[] = {{"__gc", ticket_gc},
                                              {NULL, NULL}};
  static const luaL_Reg functions[] = {{"await_callback", await_callback},
                                       {NULL, NULL}};
  dw_script_type(L, s, CALL_TYPE, NULL, call_functions);
  dw_script_type(L, s, TICKET_TYPE, NULL, ticket_functions);
  dw_script_register(L, s, functions);
}
