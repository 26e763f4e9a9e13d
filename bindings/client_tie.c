/* SPDX-License-Identifier: MIT */
/* The tie between a "dewar.client" and its dw_client: what comes from below,
 * who is woken by it, and what an exchange left. Thread: the loop's. */
#include "bindings/client_tie.h"

#include "base/error.h"
#include "bindings/client.h"
#include "bindings/handler.h"

enum {
  UNREAD_MAX = 64 * 1024, /* of a body that nobody reads: back-pressure */
  QUIET_DRAINS = 8        /* bytes need less to get there and back */
};

/* --- News ------------------------------------------------------------------*/

static bool is_quiet(const dw_lua_client *c) {
  return c->drains >= QUIET_DRAINS;
}

static bool is_at_rest(const dw_lua_client *c) {
  dw_client_wait peer = dw_client_peer(c->tie->client);
  return is_quiet(c) &&
         (peer == DW_CLIENT_BETWEEN || peer == DW_CLIENT_WANTING);
}

bool dw_tie_satisfied(const dw_lua_client *c) {
  if (!c->tie) return true;
  switch ((dw_want)c->want) {
  case DW_WANT_NOTHING:
    return false;
  case DW_WANT_HEAD:
    return c->head || c->done;
  case DW_WANT_DATA:
    return c->data.len > 0 || c->done;
  case DW_WANT_WHOLE:
    return c->done;
  case DW_WANT_ROOM:
    return !dw_client_full(c->tie->client) || c->done;
  case DW_WANT_REST:
    return c->done || is_at_rest(c);
  case DW_WANT_TURNS:
    return c->done || is_quiet(c);
  case DW_WANT_CLOSED:
    break;
  }
  return false;
}

/* A wake that nobody waits for may be of a task that is gone. */
static void wake_satisfied(dw_lua_client *c) {
  if (c->want != DW_WANT_NOTHING && dw_tie_satisfied(c)) dw_wake_up(c->wake);
}

static void quiet_cb(dw_deferred *d) {
  dw_tie *t = d->data;
  dw_lua_client *c = t->owner;
  if (!c || is_quiet(c)) return;
  c->drains++;
  if (is_quiet(c))
    wake_satisfied(c);
  else
    dw_loop_defer(t->script->loop, d);
}

/* Something has happened: who waits for quiet begins to count again. */
void dw_tie_news(dw_lua_client *c) {
  c->drains = 0;
  if (c->want == DW_WANT_REST || c->want == DW_WANT_TURNS)
    dw_loop_defer(c->script->loop, &c->tie->quiet);
  wake_satisfied(c);
}

static dw_lua_client *owner_of(dw_client *client) {
  dw_tie *t = client->data;
  return t->owner;
}

static void done_cb(dw_client *client, int status) {
  dw_lua_client *c = owner_of(client);
  if (!c) return;
  c->done = true;
  if (c->status == 0) c->status = status;
  dw_tie_news(c);
}

static void head_cb(dw_client *client) {
  dw_lua_client *c = owner_of(client);
  if (!c) return;
  c->head = true;
  dw_tie_news(c);
}

static void data_cb(dw_client *client, dw_slice bytes) {
  dw_lua_client *c = owner_of(client);
  if (!c) return;
  int code = dw_buffer_append_slice(&c->data, bytes);
  if (code < 0) {
    c->status = code;
    c->done = true;
    dw_client_pause(client);
  } else if (c->want != DW_WANT_WHOLE && c->want != DW_WANT_REST &&
             c->want != DW_WANT_ROOM && c->data.len >= UNREAD_MAX) {
    dw_client_pause(client);
  }
  dw_tie_news(c);
}

static void drain_cb(dw_client *client) {
  dw_lua_client *c = owner_of(client);
  if (c) dw_tie_news(c);
}

/* --- What an exchange left -------------------------------------------------*/

typedef struct leaving {
  dw_tie *tie;
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
  lua_rawseti(L, -2, DW_LEFT_KIND);
  push_unhandled(L, l->x);
  lua_rawseti(L, -3, DW_LEFT_TRACEBACK);
  lua_rawseti(L, -2, DW_LEFT_ERROR);
  return 0;
}

static void ended_cb(dw_client *client, dw_exchange *x) {
  dw_lua_client *c = owner_of(client);
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
  if (c) dw_tie_news(c);
}

void dw_tie_push_left(lua_State *L, const dw_tie *t) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, t);
}

void dw_tie_clear_left(lua_State *L, const dw_tie *t) {
  dw_tie_push_left(L, t);
  for (int i = 1; i <= DW_LEFT_COUNT; i++) {
    lua_pushboolean(L, false);
    lua_rawseti(L, -2, i);
  }
  lua_pop(L, 1);
}

/* --- Opening and closing ---------------------------------------------------*/

static void closed_cb(dw_client *client) {
  dw_tie *t = client->data;
  lua_State *L = t->script->L;
  dw_lua_client *c = t->owner;
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

static int left_main(lua_State *L) {
  lua_createtable(L, DW_LEFT_COUNT, 0);
  lua_rawsetp(L, LUA_REGISTRYINDEX, lua_touserdata(L, 1));
  dw_tie_clear_left(L, lua_touserdata(L, 1));
  return 0;
}

/* The table of what is left must be there before there is a connection. */
static int connect_tie(lua_State *L, dw_tie *t, dw_lua_app *app) {
  lua_pushcfunction(L, left_main);
  lua_pushlightuserdata(L, t);
  if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
    lua_pop(L, 1);
    return DW_ENOMEM;
  }
  int code = dw_client_connect(&t->client, app->server, &events, t);
  if (code == 0) return 0;
  lua_pushnil(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, t);
  return code;
}

int dw_tie_open(lua_State *L, dw_lua_client *c, dw_lua_app *app) {
  dw_script *s = c->script;
  dw_tie *t = dw_zalloc(s->alloc, sizeof *t);
  if (!t) return DW_ENOMEM;
  *t = (dw_tie){.script = s, .owner = c};
  dw_list_init(&t->node);
  dw_deferred_init(&t->quiet, quiet_cb, t);
  int code = connect_tie(L, t, app);
  if (code < 0) {
    dw_free(s->alloc, t, sizeof *t);
    return code;
  }
  dw_list_push(&s->clients, &t->node);
  c->tie = t;
  return 0;
}

void dw_tie_drop(dw_lua_client *c, bool reset) {
  if (c->tie) dw_client_close(c->tie->client, reset);
}

void dw_tie_cut(dw_lua_client *c) {
  dw_tie_drop(c, true);
  if (c->tie) c->tie->owner = NULL;
  c->tie = NULL;
  dw_buffer_deinit(&c->data);
}

void dw_clients_close(dw_script *s) {
  for (dw_list *n = s->clients.next; n != &s->clients; n = n->next)
    dw_client_close(DW_CONTAINER(n, dw_tie, node)->client, true);
}
