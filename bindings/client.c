/* SPDX-License-Identifier: MIT */
/* "dewar.client": one connection to an app inside the process, with the few
 * calls that lua/dewar/testing.lua is made of. Each of them waits as every wait
 * does. The userdata may be collected at any time, which disconnects; the tie
 * between it and the dw_client lives as long as the latter. What an exchange
 * could not deal with is kept in a table that the registry holds by the tie's
 * address, since ended_cb must not allocate. Thread: the loop's. */
#include "bindings/client.h"

#include "app/client.h"
#include "base/error.h"
#include "bindings/app.h"
#include "bindings/errors.h"
#include "bindings/handler.h"
#include "bindings/task.h"
#include "bindings/values.h"

#define CLIENT "dewar.client"

enum {
  UNREAD_MAX = 64 * 1024, /* of a body that nobody reads: back-pressure */
  QUIET_DRAINS = 8        /* bytes need less to get there and back */
};

/* What somebody waits for. */
typedef enum want {
  WANT_NOTHING,
  WANT_HEAD,  /* of the answer */
  WANT_DATA,  /* some of its body */
  WANT_WHOLE, /* the end of it all */
  WANT_ROOM,  /* to send more */
  WANT_REST,  /* raw: no answer comes without more bytes or time */
  WANT_TURNS, /* raw: what was sent has arrived */
  WANT_CLOSED /* both ends, and no exchange left */
} want;

typedef struct lua_client lua_client;

typedef struct tie {
  dw_script *script;
  dw_list node; /* of the script's clients */
  dw_client *client;
  lua_client *owner; /* NULL: it was collected */
  dw_deferred quiet; /* counts the drains without news */
} tie;

struct lua_client {
  dw_script *script;
  tie *tie; /* NULL: closed */
  dw_buffer data;
  dw_wake wake;
  uint8_t want;
  uint8_t drains; /* without news */
  bool head, done;
  int status; /* of a request that is done */
};

/* Places in the table of what an exchange left. */
enum { LEFT_KIND = 1, LEFT_ERROR, LEFT_TRACEBACK, LEFT_COUNT = LEFT_TRACEBACK };

static lua_client *check(lua_State *L) { return luaL_checkudata(L, 1, CLIENT); }

static lua_client *check_open(lua_State *L) {
  lua_client *c = check(L);
  if (!c->tie) dw_misuse(L, "this connection is closed");
  return c;
}

/* --- News -----------------------------------------------------------------*/

static bool is_quiet(const lua_client *c) { return c->drains >= QUIET_DRAINS; }

static bool is_at_rest(const lua_client *c) {
  dw_client_wait peer = dw_client_peer(c->tie->client);
  return is_quiet(c) &&
         (peer == DW_CLIENT_BETWEEN || peer == DW_CLIENT_WANTING);
}

static bool is_satisfied(const lua_client *c) {
  if (!c->tie) return true;
  switch ((want)c->want) {
  case WANT_NOTHING:
    return false;
  case WANT_HEAD:
    return c->head || c->done;
  case WANT_DATA:
    return c->data.len > 0 || c->done;
  case WANT_WHOLE:
    return c->done;
  case WANT_ROOM:
    return !dw_client_full(c->tie->client) || c->done;
  case WANT_REST:
    return c->done || is_at_rest(c);
  case WANT_TURNS:
    return c->done || is_quiet(c);
  case WANT_CLOSED:
    break;
  }
  return false;
}

static void wake_satisfied(lua_client *c) {
  if (is_satisfied(c)) dw_wake_up(c->wake);
}

static void quiet_cb(dw_deferred *d) {
  tie *t = d->data;
  lua_client *c = t->owner;
  if (!c || is_quiet(c)) return;
  c->drains++;
  if (is_quiet(c))
    wake_satisfied(c);
  else
    dw_loop_defer(t->script->loop, d);
}

/* Something has happened: who waits for quiet begins to count again. */
static void news(lua_client *c) {
  c->drains = 0;
  if (c->want == WANT_REST || c->want == WANT_TURNS)
    dw_loop_defer(c->script->loop, &c->tie->quiet);
  wake_satisfied(c);
}

static lua_client *owner_of(dw_client *client) {
  tie *t = client->data;
  return t->owner;
}

static void done_cb(dw_client *client, int status) {
  lua_client *c = owner_of(client);
  if (!c) return;
  c->done = true;
  if (c->status == 0) c->status = status;
  news(c);
}

static void head_cb(dw_client *client) {
  lua_client *c = owner_of(client);
  if (!c) return;
  c->head = true;
  news(c);
}

static void data_cb(dw_client *client, dw_slice bytes) {
  lua_client *c = owner_of(client);
  if (!c) return;
  int code = dw_buffer_append_slice(&c->data, bytes);
  if (code < 0) {
    c->status = code;
    c->done = true;
    dw_client_pause(client);
  } else if (c->want != WANT_WHOLE && c->want != WANT_REST &&
             c->data.len >= UNREAD_MAX) {
    dw_client_pause(client);
  }
  news(c);
}

static void drain_cb(dw_client *client) {
  lua_client *c = owner_of(client);
  if (c) news(c);
}

/* --- What an exchange left ------------------------------------------------*/

typedef struct leaving {
  tie *tie;
  dw_exchange *x;
} leaving;

/* Pushes the unhandled error and its traceback. That is kept with the last
 * error that was raised, which another one may have been since. */
static void push_unhandled(lua_State *L, dw_exchange *x) {
  const dw_error *error = &x->unhandled;
  if (!error->script || !x->script) {
    lua_pushstring(L, error->message ? error->message : error->cls->name);
    lua_pushnil(L);
    return;
  }
  dw_slot_push(L, x, DW_SLOT_UNHANDLED);
  dw_slot_push(L, x, DW_SLOT_ERROR);
  bool same = lua_rawequal(L, -1, -2);
  lua_pop(L, 1);
  if (same)
    dw_slot_push(L, x, DW_SLOT_TRACEBACK);
  else
    lua_pushnil(L);
}

static int leave_main(lua_State *L) {
  const leaving *l = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, l->tie);
  lua_pushboolean(L, true);
  lua_rawseti(L, -2, LEFT_KIND);
  push_unhandled(L, l->x);
  lua_rawseti(L, -3, LEFT_TRACEBACK);
  lua_rawseti(L, -2, LEFT_ERROR);
  return 0;
}

static void ended_cb(dw_client *client, dw_exchange *x) {
  lua_client *c = owner_of(client);
  if (!c) return;
  const dw_error_class *cls = x->unhandled.cls;
  if (cls && cls != &dw_error_cancelled && x->app->testing) {
    lua_State *L = c->script->L;
    leaving l = {client->data, x};
    int status = LUA_ERRMEM;
    if (lua_checkstack(L, 4)) {
      lua_pushcfunction(L, leave_main);
      lua_pushlightuserdata(L, &l);
      status = lua_pcall(L, 1, 0, 0);
      if (status != LUA_OK) lua_pop(L, 1);
    }
    c = owner_of(client); /* the collector may have run */
    if (c && status != LUA_OK) c->status = DW_ENOMEM;
  }
  if (c) news(c);
}

static void push_left(lua_State *L, const tie *t) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, t);
}

/* Forgets what the last exchange left; allocates nothing. */
static void clear_left(lua_State *L, const tie *t) {
  push_left(L, t);
  for (int i = 1; i <= LEFT_COUNT; i++) {
    lua_pushboolean(L, false);
    lua_rawseti(L, -2, i);
  }
  lua_pop(L, 1);
}

/* --- Opening and closing --------------------------------------------------*/

static void closed_cb(dw_client *client) {
  tie *t = client->data;
  lua_State *L = t->script->L;
  lua_client *c = t->owner;
  dw_list_remove(&t->node);
  dw_deferred_cancel(&t->quiet);
  if (lua_checkstack(L, 1)) {
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, t); /* the key is there: no memory */
  }
  if (c) {
    c->tie = NULL;
    c->done = true;
    wake_satisfied(c);
  }
  dw_free(t->script->alloc, t, sizeof *t);
}

static const dw_client_events events = {.head_cb = head_cb,
                                        .data_cb = data_cb,
                                        .drain_cb = drain_cb,
                                        .ended_cb = ended_cb,
                                        .done_cb = done_cb,
                                        .closed_cb = closed_cb};

static lua_client *push_client(lua_State *L, dw_script *s) {
  lua_client *c = lua_newuserdatauv(L, sizeof *c, 0);
  memset(c, 0, sizeof *c);
  c->script = s;
  dw_buffer_init(&c->data, s->alloc, 0);
  luaL_setmetatable(L, CLIENT);
  return c;
}

/* The table of what is left must be there before there is a connection. */
static tie *new_tie(lua_State *L, lua_client *c) {
  dw_script *s = c->script;
  tie *t = dw_zalloc(s->alloc, sizeof *t);
  if (!t) luaL_error(L, "not enough memory");
  *t = (tie){.script = s, .owner = c};
  dw_list_init(&t->node);
  dw_deferred_init(&t->quiet, quiet_cb, t);
  return t;
}

static int left_main(lua_State *L) {
  lua_createtable(L, LEFT_COUNT, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, lua_touserdata(L, 1));
  clear_left(L, lua_touserdata(L, 1));
  return 0;
}

static int open_connection(lua_State *L, tie *t, dw_lua_app *a) {
  lua_pushcfunction(L, left_main);
  lua_pushlightuserdata(L, t);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) return DW_ENOMEM;
  int code = dw_client_connect(&t->client, a->server, &events, t);
  if (code == 0) return 0;
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, t);
  if (dw_server_idle(a->server)) a->server->idle_cb(a->server);
  return code;
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
  lua_client *c = push_client(L, s);
  dw_app_activate(L, 1);
  tie *t = new_tie(L, c);
  int code = open_connection(L, t, a);
  if (code < 0) {
    dw_free(s->alloc, t, sizeof *t);
    return dw_errors_raise_code(L, s, code, "connecting to the app");
  }
  dw_list_push(&s->clients, &t->node);
  t->client->observer.propagates = propagates;
  c->tie = t;
  lua_settop(L, 3);
  return 1;
}

/* Disconnects without waiting. */
static void drop(lua_client *c, bool reset) {
  if (c->tie) dw_client_close(c->tie->client, reset);
}

static int client_gc(lua_State *L) {
  lua_client *c = check(L);
  drop(c, true);
  if (c->tie) c->tie->owner = NULL;
  c->tie = NULL;
  dw_buffer_deinit(&c->data);
  return 0;
}

static int client_drop(lua_State *L) {
  drop(check(L), lua_toboolean(L, 2));
  return 0;
}

void dw_clients_close(dw_script *s) {
  for (dw_list *n = s->clients.next; n != &s->clients; n = n->next)
    dw_client_close(DW_CONTAINER(n, tie, node)->client, true);
}

/* --- Waiting --------------------------------------------------------------*/

static void forget(void *data) {
  lua_client *c = data;
  c->want = WANT_NOTHING;
}

/* Waits until it is satisfied, or `seconds` have passed, then goes on with k,
 * whose ctx is the client; the userdata stays at index 1. */
static int await(lua_State *L, lua_client *c, want w, double seconds,
                 lua_KFunction k) {
  if (c->want != WANT_NOTHING)
    return dw_misuse(L, "another task is using this connection");
  c->want = (uint8_t)w;
  if (is_satisfied(c)) {
    c->want = WANT_NOTHING;
    return k(L, LUA_OK, (lua_KContext)c);
  }
  c->want = WANT_NOTHING;
  c->wake = dw_wait_begin(L, c->script, forget, c);
  c->want = (uint8_t)w;
  if (c->tie) news(c);
  return dw_wait(L, c->wake, seconds, k, (lua_KContext)c);
}

static lua_client *awoken(lua_KContext ctx) {
  lua_client *c = (lua_client *)ctx;
  c->want = WANT_NOTHING;
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
  lua_client *c = check(L);
  drop(c, lua_toboolean(L, 2));
  return c->tie ? await(L, c, WANT_CLOSED, -1, closed_k) : 0;
}

/* --- Requests -------------------------------------------------------------*/

static dw_slice check_slice(lua_State *L, int index) {
  dw_slice s;
  s.ptr = luaL_checklstring(L, index, &s.len);
  return s;
}

static int raise_code(lua_State *L, lua_client *c, int code, const char *what) {
  return dw_errors_raise_code(L, c->script, code, what);
}

static void start_over(lua_State *L, lua_client *c) {
  clear_left(L, c->tie);
  dw_buffer_deinit(&c->data);
  c->head = c->done = false;
  c->status = 0;
  dw_client_resume(c->tie->client);
}

/* start(method, target, fields, body or nil, chunked) */
static int client_start(lua_State *L) {
  lua_client *c = check_open(L);
  dw_client_request r = {.method = check_slice(L, 2),
                         .target = check_slice(L, 3),
                         .fields = check_slice(L, 4),
                         .has_body = !lua_isnoneornil(L, 5),
                         .chunked = lua_toboolean(L, 6)};
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

/* write(bytes): false: the server doesn't want the rest. */
static int client_write(lua_State *L) {
  lua_client *c = check_open(L);
  dw_slice bytes = check_slice(L, 2);
  int code = c->done ? DEWAR_ECLOSED : dw_client_write(c->tie->client, bytes);
  if (code == 0) return await(L, c, WANT_ROOM, -1, room_k);
  if (code != DEWAR_ECLOSED) return raise_code(L, c, code, "sending the body");
  lua_pushboolean(L, false);
  return 1;
}

static int client_finish(lua_State *L) {
  lua_client *c = check_open(L);
  int code = dw_client_finish(c->tie->client);
  if (code < 0 && code != DEWAR_ECLOSED)
    return raise_code(L, c, code, "sending the body");
  return 0;
}

static int head_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  lua_client *c = awoken(ctx);
  if (!c->head || !c->tie) return 0;
  const dw_answer *answer = &c->tie->client->answer;
  lua_pushinteger(L, answer->status);
  lua_pushlstring(L, answer->reason.ptr, answer->reason.len);
  dw_values_push_headers(L, c->script, answer->headers, answer->nheaders);
  return 3;
}

/* head() -> status, reason, headers; or nothing: see outcome. */
static int client_head(lua_State *L) {
  lua_client *c = check(L);
  return await(L, c, WANT_HEAD, -1, head_k);
}

/* Pushes what has come and makes room for more. */
static void push_data(lua_State *L, lua_client *c) {
  lua_pushlstring(L, c->data.ptr ? c->data.ptr : "", c->data.len);
  dw_buffer_deinit(&c->data);
  if (c->tie && !c->done) dw_client_resume(c->tie->client);
}

static int data_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  lua_client *c = awoken(ctx);
  if (c->data.len == 0) return 0;
  push_data(L, c);
  return 1;
}

/* read() -> bytes, or nothing at the end: see outcome. */
static int client_read(lua_State *L) {
  lua_client *c = check(L);
  return await(L, c, WANT_DATA, -1, data_k);
}

static int whole_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  push_data(L, awoken(ctx));
  return 1;
}

/* read_all() -> the rest of the body, once the request is over. */
static int client_read_all(lua_State *L) {
  lua_client *c = check(L);
  if (c->tie && !c->done) dw_client_resume(c->tie->client);
  return await(L, c, WANT_WHOLE, -1, whole_k);
}

/* outcome() of a request that is over -> true; or false, what its exchange
 * raised, and the traceback. Raises where there is no whole answer. */
static int client_outcome(lua_State *L) {
  lua_client *c = check(L);
  lua_settop(L, 1);
  if (c->tie) {
    push_left(L, c->tie);
    lua_rawgeti(L, -1, LEFT_KIND);
    if (lua_toboolean(L, -1)) {
      lua_pushboolean(L, false);
      lua_rawgeti(L, 2, LEFT_ERROR);
      lua_rawgeti(L, 2, LEFT_TRACEBACK);
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
  const lua_client *c = check(L);
  lua_pushboolean(L, c->tie && dw_client_reusable(c->tie->client));
  return 1;
}

/* --- Raw ------------------------------------------------------------------*/

static int turns_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  lua_client *c = awoken(ctx);
  lua_pushboolean(L, !c->done);
  return 1;
}

/* send(bytes): waits until they have been seen; false: they won't be. */
static int client_send(lua_State *L) {
  lua_client *c = check_open(L);
  dw_slice bytes = check_slice(L, 2);
  int code = c->done ? DEWAR_ECLOSED : dw_client_send(c->tie->client, bytes);
  if (code == 0) {
    c->drains = 0;
    return await(L, c, WANT_TURNS, -1, turns_k);
  }
  if (code != DEWAR_ECLOSED) return raise_code(L, c, code, "sending");
  lua_pushboolean(L, false);
  return 1;
}

/* shutdown(): nothing more will be sent. */
static int client_shutdown(lua_State *L) {
  lua_client *c = check_open(L);
  int code = dw_client_shutdown(c->tie->client);
  if (code < 0 && code != DEWAR_ECLOSED)
    return raise_code(L, c, code, "ending the connection");
  return 0;
}

static int rest_k(lua_State *L, int status, lua_KContext ctx) {
  static const char *const names[] = {"working", "idle", "waiting", "closed"};
  (void)status;
  lua_client *c = awoken(ctx);
  push_data(L, c);
  bool closed = c->done || !c->tie;
  dw_client_wait peer =
      closed ? DW_CLIENT_OVER : dw_client_peer(c->tie->client);
  lua_pushstring(L, names[peer]);
  return 2;
}

/* receive() -> what has come, and "closed", "idle" or "waiting". */
static int client_receive(lua_State *L) {
  lua_client *c = check(L);
  c->drains = 0;
  return await(L, c, WANT_REST, -1, rest_k);
}

/* --- The module -----------------------------------------------------------*/

static int client_tostring(lua_State *L) {
  const lua_client *c = check(L);
  lua_pushfstring(L, CLIENT ": %p%s", (const void *)c,
                  c->tie ? "" : " (closed)");
  return 1;
}

static const luaL_Reg methods[] = {
    {"start", client_start},     {"write", client_write},
    {"finish", client_finish},   {"head", client_head},
    {"read", client_read},       {"read_all", client_read_all},
    {"outcome", client_outcome}, {"reusable", client_reusable},
    {"send", client_send},       {"shutdown", client_shutdown},
    {"receive", client_receive}, {"close", client_close},
    {"drop", client_drop},       {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__gc", client_gc}, {"__tostring", client_tostring}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"client_open", client_open},
                                     {NULL, NULL}};

void dw_client_open(lua_State *L, dw_script *s) {
  dw_script_type(L, s, CLIENT, methods, metamethods);
  dw_script_register(L, s, functions);
  dw_clock_functions(L, s);
}
