/* SPDX-License-Identifier: MIT */
/* "dewar.client": one connection to an app inside the process, with the few
 * calls that lua/dewar/testing.lua is made of. Each of them waits as every wait
 * does. Owner: Lua, see client_tie.h. Thread: the loop's. */
#include "bindings/client.h"

#include "base/error.h"
#include "bindings/client_tie.h"
#include "bindings/errors.h"
#include "bindings/values.h"

#define CLIENT "dewar.client"

static dw_lua_client *check(lua_State *L) {
  return luaL_checkudata(L, 1, CLIENT);
}

static dw_lua_client *check_open(lua_State *L) {
  dw_lua_client *c = check(L);
  if (!c->tie) dw_misuse(L, "this connection is closed");
  return c;
}

/* --- Opening and closing ---------------------------------------------------*/

static dw_lua_client *push_client(lua_State *L, dw_script *s) {
  dw_lua_client *c = lua_newuserdatauv(L, sizeof *c, 0);
  memset(c, 0, sizeof *c);
  c->script = s;
  dw_buffer_init(&c->data, s->alloc, 0);
  luaL_setmetatable(L, CLIENT);
  return c;
}

/* client_open(core_app [, propagates]): errors that nobody handles go to the
 * client, unless propagates is false, where the app's settings allow it. */
static int client_open(lua_State *L) {
  dw_script *s = dw_script_of(L);
  dw_lua_app *a = dw_app_check(L, 1);
  if (a->server->stopping)
    return dw_misuse(L, "this app has been stopped; it takes no requests");
  dw_wait_check(L, s);
  lua_settop(L, 2);
  bool propagates = lua_isnil(L, 2) || lua_toboolean(L, 2);
  dw_lua_client *c = push_client(L, s);
  dw_app_activate(L, 1);
  int code = dw_tie_open(L, c, a);
  if (code < 0) {
    if (dw_server_idle(a->server)) a->server->idle_cb(a->server);
    return dw_errors_raise_code(L, s, code, "connecting to the app");
  }
  c->tie->client->observer.propagates = propagates;
  lua_settop(L, 3);
  return 1;
}

static int client_gc(lua_State *L) {
  dw_tie_cut(check(L));
  return 0;
}

static int client_drop(lua_State *L) {
  dw_tie_drop(check(L), lua_toboolean(L, 2));
  return 0;
}

/* --- Waiting ---------------------------------------------------------------*/

static void forget(void *data) {
  dw_lua_client *c = data;
  c->want = DW_WANT_NOTHING;
}

/* Waits until it is satisfied, then goes on with k, whose ctx is the client;
 * the userdata stays at index 1. */
static int await_for(lua_State *L, dw_lua_client *c, dw_want w, double seconds,
                     lua_KFunction k) {
  if (c->want != DW_WANT_NOTHING)
    return dw_misuse(L, "another task is using this connection");
  c->want = (uint8_t)w;
  if (dw_tie_satisfied(c)) {
    c->want = DW_WANT_NOTHING;
    return k(L, LUA_OK, (lua_KContext)c);
  }
  c->want = DW_WANT_NOTHING;
  c->wake = dw_wait_begin(L, c->script, forget, c);
  dw_wait_name(c->wake, "test client");
  c->want = (uint8_t)w;
  if (c->tie) dw_tie_news(c);
  return dw_wait(L, c->wake, seconds, k, (lua_KContext)c);
}

static int await(lua_State *L, dw_lua_client *c, dw_want w, lua_KFunction k) {
  return await_for(L, c, w, -1, k);
}

static dw_lua_client *awoken(lua_KContext ctx) {
  dw_lua_client *c = (dw_lua_client *)ctx;
  c->want = DW_WANT_NOTHING;
  return c;
}

static int closed_k(lua_State *L, int status, lua_KContext ctx) {
  (void)L, (void)status;
  awoken(ctx);
  return 0;
}

/* close([reset]): disconnects, and waits until the app has noticed and all
 * that belongs to it is over. */
static int client_close(lua_State *L) {
  dw_lua_client *c = check(L);
  dw_tie_drop(c, lua_toboolean(L, 2));
  return c->tie ? await(L, c, DW_WANT_CLOSED, closed_k) : 0;
}

/* --- Requests --------------------------------------------------------------*/

static dw_slice check_slice(lua_State *L, int index) {
  dw_slice s;
  s.ptr = luaL_checklstring(L, index, &s.len);
  return s;
}

static int raise_code(lua_State *L, dw_lua_client *c, int code,
                      const char *what) {
  return dw_errors_raise_code(L, c->script, code, what);
}

static void start_over(lua_State *L, dw_lua_client *c) {
  dw_tie_clear_left(L, c->tie);
  dw_buffer_deinit(&c->data);
  c->head = c->done = false;
  c->status = 0;
  dw_client_resume(c->tie->client);
}

/* start(method, target, fields, body or nil, chunked, upgrades) */
static int client_start(lua_State *L) {
  dw_lua_client *c = check_open(L);
  dw_client_request r = {.method = check_slice(L, 2),
                         .target = check_slice(L, 3),
                         .fields = check_slice(L, 4),
                         .has_body = !lua_isnoneornil(L, 5),
                         .chunked = lua_toboolean(L, 6),
                         .upgrades = lua_toboolean(L, 7)};
  if (r.has_body) r.body = check_slice(L, 5);
  start_over(L, c);
  int code = dw_client_start(c->tie->client, &r);
  if (code < 0) return raise_code(L, c, code, "sending the request");
  return 0;
}

static int room_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  lua_pushboolean(L, !awoken(ctx)->done);
  return 1;
}

/* write(bytes): false: the server doesn't want the rest. Takes what comes
 * meanwhile, since an app may not read on before its answer is read. */
static int client_write(lua_State *L) {
  dw_lua_client *c = check_open(L);
  dw_slice bytes = check_slice(L, 2);
  if (!c->done) dw_client_resume(c->tie->client);
  int code = c->done ? DEWAR_ECLOSED : dw_client_write(c->tie->client, bytes);
  if (code == 0) return await(L, c, DW_WANT_ROOM, room_k);
  if (code != DEWAR_ECLOSED) return raise_code(L, c, code, "sending the body");
  lua_pushboolean(L, false);
  return 1;
}

static int client_finish(lua_State *L) {
  dw_lua_client *c = check_open(L);
  int code = dw_client_finish(c->tie->client);
  if (code < 0 && code != DEWAR_ECLOSED)
    return raise_code(L, c, code, "sending the body");
  return 0;
}

static int head_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  dw_lua_client *c = awoken(ctx);
  if (!c->head || !c->tie) return 0;
  const dw_answer *answer = &c->tie->client->answer;
  lua_pushinteger(L, answer->status);
  lua_pushlstring(L, answer->reason.ptr, answer->reason.len);
  dw_values_push_headers(L, c->script, answer->headers, answer->nheaders);
  return 3;
}

/* head() -> status, reason, headers; or nothing: see outcome. */
static int client_head(lua_State *L) {
  dw_lua_client *c = check(L);
  return await(L, c, DW_WANT_HEAD, head_k);
}

/* trailers() -> those of the answer that was read to its end */
static int client_trailers(lua_State *L) {
  dw_lua_client *c = check(L);
  const dw_answer *answer = c->tie ? &c->tie->client->answer : NULL;
  dw_values_push_headers(L, c->script, answer ? answer->trailers : NULL,
                         answer ? answer->ntrailers : 0);
  return 1;
}

/* Pushes what has come and makes room for more. */
static void push_data(lua_State *L, dw_lua_client *c) {
  lua_pushlstring(L, c->data.ptr ? c->data.ptr : "", c->data.len);
  dw_buffer_deinit(&c->data);
  if (c->tie && !c->done) dw_client_resume(c->tie->client);
}

static int data_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  dw_lua_client *c = awoken(ctx);
  if (c->data.len == 0) return 0;
  push_data(L, c);
  return 1;
}

/* read([seconds]) -> bytes, or nothing at the end: see outcome. */
static int client_read(lua_State *L) {
  dw_lua_client *c = check(L);
  double seconds = dw_opt_seconds(L, 2, "receive");
  return await_for(L, c, DW_WANT_DATA, seconds, data_k);
}

static int whole_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  push_data(L, awoken(ctx));
  return 1;
}

/* read_all() -> the rest of the body, once the request is over. */
static int client_read_all(lua_State *L) {
  dw_lua_client *c = check(L);
  if (c->tie && !c->done) dw_client_resume(c->tie->client);
  return await(L, c, DW_WANT_WHOLE, whole_k);
}

/* outcome() of a request that is over -> true; or false, what its exchange
 * raised, and the traceback. Raises where there is no whole answer. */
static int client_outcome(lua_State *L) {
  dw_lua_client *c = check(L);
  lua_settop(L, 1);
  if (c->tie) {
    dw_tie_push_left(L, c->tie);
    lua_rawgeti(L, -1, DW_LEFT_KIND);
    if (lua_toboolean(L, -1)) {
      lua_pushboolean(L, false);
      lua_rawgeti(L, 2, DW_LEFT_ERROR);
      lua_rawgeti(L, 2, DW_LEFT_TRACEBACK);
      return 3;
    }
  }
  if (!c->tie && !c->done)
    return raise_code(L, c, DEWAR_ECLOSED, "the connection");
  if (c->status < 0) {
    const char *reason = c->tie ? c->tie->client->reason : NULL;
    return raise_code(L, c, c->status,
                      lua_pushfstring(L, "reading the answer%s%s",
                                      reason ? ": " : "",
                                      reason ? reason : ""));
  }
  lua_pushboolean(L, true);
  return 1;
}

static int client_reusable(lua_State *L) {
  const dw_lua_client *c = check(L);
  lua_pushboolean(L, c->tie && dw_client_reusable(c->tie->client));
  return 1;
}

/* --- Raw -------------------------------------------------------------------*/

static int turns_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  dw_lua_client *c = awoken(ctx);
  lua_pushboolean(L, !c->done);
  return 1;
}

/* send(bytes): waits until they have been seen, unless another task waits for
 * an answer meanwhile; false: they won't be. */
static int client_send(lua_State *L) {
  dw_lua_client *c = check_open(L);
  dw_slice bytes = check_slice(L, 2);
  int code = c->done ? DEWAR_ECLOSED : dw_client_send(c->tie->client, bytes);
  if (code == 0) {
    c->drains = 0;
    if (c->want == DW_WANT_NOTHING) return await(L, c, DW_WANT_TURNS, turns_k);
    lua_pushboolean(L, true);
    return 1;
  }
  if (code != DEWAR_ECLOSED) return raise_code(L, c, code, "sending");
  lua_pushboolean(L, false);
  return 1;
}

/* shutdown(): nothing more will be sent. */
static int client_shutdown(lua_State *L) {
  dw_lua_client *c = check_open(L);
  int code = dw_client_shutdown(c->tie->client);
  if (code < 0 && code != DEWAR_ECLOSED)
    return raise_code(L, c, code, "ending the connection");
  return 0;
}

static int rest_k(lua_State *L, int status, lua_KContext ctx) {
  static const char *const names[] = {"working", "idle", "waiting", "closed"};
  (void)status;
  dw_lua_client *c = awoken(ctx);
  push_data(L, c);
  bool closed = c->done || !c->tie;
  dw_client_wait peer =
      closed ? DW_CLIENT_OVER : dw_client_peer(c->tie->client);
  lua_pushstring(L, names[peer]);
  if (!c->done || c->status == 0) return 2;
  lua_pushstring(L, dw_error_name(c->status));
  return 3;
}

/* receive() -> what has come, and "closed", "idle" or "waiting"; the code of an
 * end that was a failure. */
static int client_receive(lua_State *L) {
  dw_lua_client *c = check(L);
  c->drains = 0;
  if (c->tie && !c->done) dw_client_resume(c->tie->client);
  return await(L, c, DW_WANT_REST, rest_k);
}

/* --- The module ------------------------------------------------------------*/

static int client_tostring(lua_State *L) {
  const dw_lua_client *c = check(L);
  lua_pushfstring(L, CLIENT ": %p%s", (const void *)c,
                  c->tie ? "" : " (closed)");
  return 1;
}

static const luaL_Reg methods[] = {{"start", client_start},
                                   {"write", client_write},
                                   {"finish", client_finish},
                                   {"head", client_head},
                                   {"trailers", client_trailers},
                                   {"read", client_read},
                                   {"read_all", client_read_all},
                                   {"outcome", client_outcome},
                                   {"reusable", client_reusable},
                                   {"send", client_send},
                                   {"shutdown", client_shutdown},
                                   {"receive", client_receive},
                                   {"close", client_close},
                                   {"drop", client_drop},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__gc", client_gc}, {"__tostring", client_tostring}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"client_open", client_open},
                                     {NULL, NULL}};

void dw_client_open(lua_State *L, dw_script *s) {
  dw_script_type(L, s, CLIENT, methods, metamethods);
  dw_script_register(L, s, functions);
  dw_clock_functions(L, s);
}
