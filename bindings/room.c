/* SPDX-License-Identifier: MIT */
/* Rooms: see room.h. A message is encoded once for all members that take it in
 * the same form, and never waits: who has not taken too much of what came
 * before is dropped, or left out. */
#include "bindings/room.h"

#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/websocket.h"

static const char ROOM[] = "dewar.room";

enum { BACKLOG = 1024 * 1024 }; /* bytes that a member may be behind */

struct dw_room {
  dw_script *script;
  dw_list members; /* in the order of joining */
  size_t count;
  size_t backlog;
  bool skips; /* slow members miss messages; else they are dropped */
};

static dw_room *check(lua_State *L) { return dw_type_check(L, 1, ROOM); }

/* --- Memberships -----------------------------------------------------------*/

static void leave(dw_member *m) {
  dw_room *r = m->room;
  dw_list_remove(&m->of_room);
  dw_list_remove(&m->of_member);
  r->count--;
  dw_free(r->script->alloc, m, sizeof *m);
}

void dw_rooms_leave(dw_list *memberships) {
  while (!dw_list_empty(memberships))
    leave(DW_CONTAINER(memberships->next, dw_member, of_member));
}

static dw_member *find(const dw_room *r, const dw_list *memberships) {
  for (dw_list *n = memberships->next; n != memberships; n = n->next) {
    dw_member *m = DW_CONTAINER(n, dw_member, of_member);
    if (m->room == r) return m;
  }
  return NULL;
}

/* --- WebSockets as members -------------------------------------------------*/

static dw_websocket *socket_of(const dw_member *m) { return m->who; }

static size_t socket_backlog(const dw_member *m) {
  return dw_websocket_backlog(socket_of(m));
}

static int socket_send(dw_member *m, dw_ws_broadcast *b) {
  return dw_websocket_broadcast(socket_of(m), b);
}

static void socket_drop(dw_member *m) {
  dw_websocket_close(socket_of(m), DW_WS_TRY_LATER, DW_LITERAL("too slow"));
}

static void socket_push(lua_State *L, const dw_member *m) {
  const dw_lua_socket *s = socket_of(m)->data;
  dw_request_push(L, s->x);
}

static const dw_member_kind socket_kind = {.backlog = socket_backlog,
                                           .send = socket_send,
                                           .drop = socket_drop,
                                           .push = socket_push};

/* room:join(ws): accepts it if need be; again, it does nothing */
static int room_join(lua_State *L) {
  dw_room *r = check(L);
  dw_websocket *w = dw_websocket_check_open(L, 2);
  dw_lua_socket *s = w->data;
  if (find(r, &s->rooms)) return 0;
  dw_member *m = dw_alloc(r->script->alloc, sizeof *m);
  if (!m) return luaL_error(L, "not enough memory");
  *m = (dw_member){.room = r, .kind = &socket_kind, .who = w};
  dw_list_push(&r->members, &m->of_room);
  dw_list_push(&s->rooms, &m->of_member);
  r->count++;
  return 0;
}

/* The membership of the websocket at index, or NULL. */
static dw_member *member_at(lua_State *L, dw_room *r, int index) {
  dw_websocket *w = dw_websocket_check(L, index);
  if (!w) return NULL;
  const dw_lua_socket *s = w->data;
  return find(r, &s->rooms);
}

/* room:leave(ws): of one that isn't in it, it does nothing */
static int room_leave(lua_State *L) {
  dw_room *r = check(L);
  dw_member *m = member_at(L, r, 2);
  if (m) leave(m);
  return 0;
}

/* room:has(ws) */
static int room_has(lua_State *L) {
  dw_room *r = check(L);
  lua_pushboolean(L, member_at(L, r, 2) != NULL);
  return 1;
}

/* --- Sending ---------------------------------------------------------------*/

/* Whether it got the message. Anything may end the membership. */
static bool deliver(dw_room *r, dw_member *m, dw_ws_broadcast *b, int *code) {
  if (m->kind->backlog(m) > r->backlog) {
    if (!r->skips) m->kind->drop(m);
    return false;
  }
  int result = m->kind->send(m, b);
  if (result < 0 && result != DEWAR_ECLOSED) *code = result;
  return result == 0;
}

/* How many got it. No Lua runs meanwhile. */
static lua_Integer send_to_all(dw_room *r, const dw_member *except,
                               dw_ws_broadcast *b, int *code) {
  lua_Integer reached = 0;
  for (dw_list *n = r->members.next, *next; n != &r->members; n = next) {
    dw_member *m = DW_CONTAINER(n, dw_member, of_room);
    next = n->next;
    if (m != except && deliver(r, m, b, code)) reached++;
  }
  return reached;
}

static int send_message(lua_State *L, bool text, const char *what) {
  dw_room *r = check(L);
  dw_slice message = dw_websocket_check_message(L, 2, text, what);
  dw_member *except = lua_isnoneornil(L, 3) ? NULL : member_at(L, r, 3);
  dw_ws_broadcast b;
  int code = 0;
  dw_ws_broadcast_init(&b, r->script->alloc, text, message);
  lua_Integer reached = send_to_all(r, except, &b, &code);
  dw_ws_broadcast_deinit(&b);
  if (code < 0) return dw_errors_raise_code(L, r->script, code, what);
  lua_pushinteger(L, reached);
  return 1;
}

/* room:send(text [, except]) -> how many it went to */
static int room_send(lua_State *L) {
  return send_message(L, true, "room:send");
}

static int room_send_binary(lua_State *L) {
  return send_message(L, false, "room:send_binary");
}

/* --- Looking at it ---------------------------------------------------------*/

static int room_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L)->count);
  return 1;
}

/* Whether the object at index is still a member. */
static bool is_member(lua_State *L, const dw_room *r, int index) {
  const dw_exchange *x = dw_request_peek(L, index);
  const dw_websocket *w = x ? dw_websocket_of(&x->http) : NULL;
  const dw_lua_socket *s = w ? w->data : NULL;
  return s && find(r, &s->rooms);
}

/* Upvalue 2: a list of members, 3: how many of them were given, 4: the room.
 * Who has left since is passed over. */
static int next_member(lua_State *L) {
  const dw_room *r = lua_touserdata(L, lua_upvalueindex(4));
  lua_Integer i = lua_tointeger(L, lua_upvalueindex(3));
  lua_settop(L, 0);
  do {
    lua_settop(L, 0);
    lua_rawgeti(L, lua_upvalueindex(2), ++i);
  } while (!lua_isnil(L, 1) && !is_member(L, r, 1));
  lua_pushinteger(L, i);
  lua_replace(L, lua_upvalueindex(3));
  return 1;
}

/* for ws in room:members(): those that were in it when the loop began, and
 * still are */
static int room_members(lua_State *L) {
  dw_room *r = check(L);
  lua_settop(L, 1);
  luaL_checkstack(L, 8, NULL);
  dw_script_push_self(L, r->script);
  lua_createtable(L, (int)r->count, 0);
  lua_Integer i = 0;
  for (dw_list *n = r->members.next; n != &r->members; n = n->next) {
    const dw_member *m = DW_CONTAINER(n, dw_member, of_room);
    m->kind->push(L, m);
    lua_rawseti(L, -2, ++i);
  }
  lua_pushinteger(L, 0);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, next_member, 4);
  return 1;
}

static int room_tostring(lua_State *L) {
  const dw_room *r = check(L);
  lua_pushfstring(L, "%s: %p (%d members)", ROOM, (const void *)r,
                  (int)r->count);
  return 1;
}

static int room_gc(lua_State *L) {
  dw_room *r = check(L);
  while (!dw_list_empty(&r->members))
    leave(DW_CONTAINER(r->members.next, dw_member, of_room));
  return 0;
}

/* --- Making one ------------------------------------------------------------*/

static bool read_slow(lua_State *L, int index) {
  const char *slow =
      lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
  if (lua_isnil(L, index) || strcmp(slow, "close") == 0) return false;
  if (strcmp(slow, "skip") != 0)
    dw_misuse(L, "room: the option 'slow' is \"close\" or \"skip\"");
  return true;
}

static size_t read_backlog(lua_State *L, int index) {
  if (lua_isnil(L, index)) return BACKLOG;
  int isint = 0;
  lua_Integer n =
      lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &isint) : 0;
  if (!isint || n < 1)
    dw_misuse(L, "room: the option 'backlog' is a number of bytes above 0");
  return (size_t)n;
}

/* room([{ backlog =, slow = }]) */
static int room_new(lua_State *L) {
  static const char *const options[] = {"backlog", "slow", NULL};
  lua_settop(L, 1);
  dw_check_options(L, 1, options);
  if (lua_isnil(L, 1)) lua_newtable(L);
  lua_getfield(L, -1, "backlog");
  lua_getfield(L, -2, "slow");
  size_t backlog = read_backlog(L, lua_gettop(L) - 1);
  bool skips = read_slow(L, lua_gettop(L));
  dw_room *r = lua_newuserdatauv(L, sizeof *r, 0);
  *r = (dw_room){.script = dw_script_of(L), .backlog = backlog, .skips = skips};
  dw_list_init(&r->members);
  dw_type_set(L, ROOM);
  return 1;
}

static const luaL_Reg methods[] = {{"join", room_join},
                                   {"leave", room_leave},
                                   {"has", room_has},
                                   {"send", room_send},
                                   {"send_binary", room_send_binary},
                                   {"members", room_members},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__len", room_len},
                                       {"__tostring", room_tostring},
                                       {"__gc", room_gc},
                                       {NULL, NULL}};

static const luaL_Reg functions[] = {{"room", room_new}, {NULL, NULL}};

void dw_room_open(lua_State *L, dw_script *s) {
  dw_script_type(L, s, ROOM, methods, metamethods);
  dw_script_register(L, s, functions);
}
