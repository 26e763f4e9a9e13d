/* SPDX-License-Identifier: MIT */
/* Rooms: see room.h. A message is encoded once for all members that take it in
 * the same form, and never waits: who has not taken too much of what came
 * before is dropped, or left out. */
#include "bindings/room.h"

#include "base/error.h"
#include "base/utf8.h"
#include "bindings/errors.h"
#include "bindings/stream.h"

static const char ROOM[] = "dewar.room";

enum { BACKLOG = 1024 * 1024 }; /* bytes that a member may be behind */

struct dw_room {
  dw_script *script;
  dw_list memberships; /* in the order of joining */
  size_t count;
  size_t backlog;
  bool skips; /* slow members miss messages; else they are dropped */
};

typedef struct membership {
  dw_list of_room, of_member;
  dw_room *room;
  dw_room_member member;
} membership;

static dw_room *check(lua_State *L) { return dw_type_check(L, 1, ROOM); }

/* --- Memberships -----------------------------------------------------------*/

static void leave(membership *m) {
  dw_room_member member = m->member;
  dw_room *r = m->room;
  dw_list_remove(&m->of_room);
  dw_list_remove(&m->of_member);
  r->count--;
  dw_free(r->script->alloc, m, sizeof *m);
  if (member.kind->left) member.kind->left(member.who);
}

void dw_rooms_leave(dw_list *memberships) {
  while (!dw_list_empty(memberships))
    leave(DW_CONTAINER(memberships->next, membership, of_member));
}

static membership *find(const dw_room *r, const dw_room_member *member) {
  if (!member->who) return NULL;
  for (dw_list *n = member->rooms->next; n != member->rooms; n = n->next) {
    membership *m = DW_CONTAINER(n, membership, of_member);
    if (m->room == r) return m;
  }
  return NULL;
}

static dw_room_member check_member(lua_State *L, int index, bool joins) {
  dw_room_member m = {0};
  if (!dw_sse_member(L, index, &m) && !dw_socket_member(L, index, joins, &m))
    dw_misuse(L,
              "the member of a room is a websocket, or the send of an event "
              "stream; got a %s",
              luaL_typename(L, index));
  return m;
}

/* room:join(member): a websocket is accepted if need be; again, it does
 * nothing */
static int room_join(lua_State *L) {
  dw_room *r = check(L);
  dw_room_member member = check_member(L, 2, true);
  if (!member.who)
    return dw_misuse(L, "this stream has ended; it can't join a room");
  if (find(r, &member)) return 0;
  membership *m = dw_alloc(r->script->alloc, sizeof *m);
  if (!m) return luaL_error(L, "not enough memory");
  *m = (membership){.room = r, .member = member};
  dw_list_push(&r->memberships, &m->of_room);
  dw_list_push(member.rooms, &m->of_member);
  r->count++;
  return 0;
}

/* The membership of whoever is at index, or NULL. */
static membership *membership_at(lua_State *L, dw_room *r, int index) {
  dw_room_member member = check_member(L, index, false);
  return find(r, &member);
}

/* room:leave(member): of one that isn't in it, it does nothing */
static int room_leave(lua_State *L) {
  dw_room *r = check(L);
  membership *m = membership_at(L, r, 2);
  if (m) leave(m);
  return 0;
}

/* room:has(member) */
static int room_has(lua_State *L) {
  dw_room *r = check(L);
  lua_pushboolean(L, membership_at(L, r, 2) != NULL);
  return 1;
}

/* --- Messages --------------------------------------------------------------*/

dw_slice dw_check_message(lua_State *L, int index, bool text,
                          const char *what) {
  dw_slice message;
  dw_utf8 utf8 = {0};
  if (lua_type(L, index) != LUA_TSTRING && lua_type(L, index) != LUA_TNUMBER)
    dw_misuse(L, "%s takes a string; got a %s%s", what,
              lua_isnone(L, index) ? "nil" : luaL_typename(L, index),
              lua_istable(L, index) ? " (dewar.json.encode makes one of it)"
                                    : "");
  message.ptr = lua_tolstring(L, index, &message.len);
  if (text && !(dw_utf8_feed(&utf8, message) && dw_utf8_complete(&utf8)))
    dw_misuse(L, "%s: the text is not valid UTF-8; send bytes with send_binary",
              what);
  return message;
}

static void message_init(dw_room_message *m, dw_allocator *a, bool text,
                         dw_slice bytes, const dw_event *event) {
  *m = (dw_room_message){.event = event, .bytes = bytes};
  dw_buffer_init(&m->text, a, 0);
  dw_buffer_init(&m->piece.chunk, a, 0);
#ifdef DEWAR_WITH_WEBSOCKET
  dw_ws_broadcast_init(&m->frames, a, text, bytes);
#else
  (void)text;
#endif
}

static void message_deinit(dw_room_message *m) {
  dw_buffer_deinit(&m->text);
  dw_buffer_deinit(&m->piece.chunk);
#ifdef DEWAR_WITH_WEBSOCKET
  dw_ws_broadcast_deinit(&m->frames);
#endif
}

/* --- Sending ---------------------------------------------------------------*/

/* Whether it got the message; nothing else of it can be told. Of what there is
 * no form for, a member hears nothing. Where it is gone, its membership ends.
 */
static bool deliver(dw_room *r, membership *m, dw_room_message *message,
                    int *code) {
  const dw_room_member member = m->member;
  if (member.kind->backlog(member.who) > r->backlog) {
    if (r->skips) return false;
    member.kind->drop(member.who);
    dw_rooms_leave(member.rooms);
    return false;
  }
  int result = member.kind->send(member.who, message);
  if (result == DEWAR_ECLOSED)
    dw_rooms_leave(member.rooms);
  else if (result < 0 && result != DEWAR_EMISUSE)
    *code = result;
  return result == 0;
}

/* How many got it. No Lua runs meanwhile; a member may leave. */
static lua_Integer send_to_all(dw_room *r, const membership *except,
                               dw_room_message *message, int *code) {
  lua_Integer reached = 0;
  for (dw_list *n = r->memberships.next, *next; n != &r->memberships;
       n = next) {
    membership *m = DW_CONTAINER(n, membership, of_room);
    next = n->next;
    if (m != except && deliver(r, m, message, code)) reached++;
  }
  return reached;
}

static int send_message(lua_State *L, bool text, dw_slice bytes,
                        const dw_event *event, const char *what) {
  dw_room *r = check(L);
  const membership *except =
      lua_isnoneornil(L, 3) ? NULL : membership_at(L, r, 3);
  dw_room_message message;
  int code = 0;
  message_init(&message, r->script->alloc, text, bytes, event);
  lua_Integer reached = send_to_all(r, except, &message, &code);
  message_deinit(&message);
  if (code < 0) return dw_errors_raise_code(L, r->script, code, what);
  lua_pushinteger(L, reached);
  return 1;
}

/* room:send(text or event [, except]) -> how many it went to */
static int room_send(lua_State *L) {
  const dw_room *r = check(L);
  const dw_task *t = r->script->current;
  dw_event event = {.has_retry = false};
  lua_settop(L, 3);
  if (lua_istable(L, 2))
    dw_sse_read_event(L, t ? t->context.app : NULL, 2, "room:send", &event);
  else
    event.data = dw_check_message(L, 2, true, "room:send");
  return send_message(L, true, event.data, &event, "room:send");
}

/* room:send_binary(bytes [, except]): event streams can't carry that */
static int room_send_binary(lua_State *L) {
  dw_slice bytes = dw_check_message(L, 2, false, "room:send_binary");
  return send_message(L, false, bytes, NULL, "room:send_binary");
}

/* --- Looking at it ---------------------------------------------------------*/

static int room_len(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)check(L)->count);
  return 1;
}

/* Whether the object at index is still a member. */
static bool is_member(lua_State *L, const dw_room *r, int index) {
  dw_room_member member = {0};
  if (!dw_sse_member(L, index, &member))
    dw_socket_member(L, index, false, &member);
  return find(r, &member);
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

/* for member in room:members(): those that were in it when the loop began, and
 * still are */
static int room_members(lua_State *L) {
  dw_room *r = check(L);
  lua_settop(L, 1);
  luaL_checkstack(L, 8, NULL);
  dw_script_push_self(L, r->script);
  lua_createtable(L, (int)r->count, 0);
  lua_Integer i = 0;
  for (dw_list *n = r->memberships.next; n != &r->memberships; n = n->next) {
    const membership *m = DW_CONTAINER(n, membership, of_room);
    m->member.kind->push(L, m->member.who);
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
  while (!dw_list_empty(&r->memberships))
    leave(DW_CONTAINER(r->memberships.next, membership, of_room));
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
  dw_list_init(&r->memberships);
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

/* is_room(value) */
static int is_room(lua_State *L) {
  lua_pushboolean(L, dw_type_test(L, 1, ROOM) != NULL);
  return 1;
}

static const luaL_Reg functions[] = {
    {"room", room_new}, {"is_room", is_room}, {NULL, NULL}};

void dw_room_open(lua_State *L, dw_script *s) {
  dw_script_type(L, s, ROOM, methods, metamethods);
  dw_script_register(L, s, functions);
}
