/* SPDX-License-Identifier: MIT */
/* dewar.room: those who get the same messages. A membership stands in the list
 * of its room and in that of its member, whoever goes first ends it; neither
 * keeps the other alive. What kind of connection a member has is its kind's
 * matter: websockets are room_socket.c's, event streams sse.c's. Thread: the
 * loop's. */
#ifndef DW_BINDINGS_ROOM_H
#define DW_BINDINGS_ROOM_H

#include "bindings/script.h"
#include "http/connection.h"
#include "http/event_stream.h"
#ifdef DEWAR_WITH_WEBSOCKET
#include "http/ws_codec.h"
#endif

typedef struct dw_room dw_room;

/* A message, in each form that a member takes, once one did. */
typedef struct dw_room_message {
  const dw_event *event; /* what event streams get; NULL: nothing */
  dw_buffer text;        /* that as text, once one needed it ... */
  dw_shared_piece piece; /* ... and as a piece of the stream */
  dw_slice bytes;        /* what websockets get; ptr NULL: nothing */
#ifdef DEWAR_WITH_WEBSOCKET
  dw_ws_broadcast frames; /* that as frames */
#endif
} dw_room_message;

/* None of these runs Lua, or ends another membership. */
typedef struct dw_room_kind {
  size_t (*backlog)(const void *who);          /* bytes not yet taken */
  int (*send)(void *who, dw_room_message *m);  /* 0, or a code */
  void (*drop)(void *who);                     /* it is too slow */
  void (*left)(void *who);                     /* may be NULL */
  void (*push)(lua_State *L, const void *who); /* as Lua knows it */
} dw_room_kind;

typedef struct dw_room_member {
  const dw_room_kind *kind;
  void *who;      /* NULL: it can't be in a room, or not any more */
  dw_list *rooms; /* its memberships */
} dw_room_member;

/* Adds room() to the module table on top. */
void dw_room_open(lua_State *L, dw_script *s);
/* Ends all memberships of a member's list. */
void dw_rooms_leave(dw_list *memberships);

/* A message at index, valid UTF-8 where it is text; raises in the name of what.
 */
dw_slice dw_check_message(lua_State *L, int index, bool text, const char *what);

/* Whether there is a websocket's object at index, and then its membership's
 * side; with `joins` it is accepted if need be, and raises where it is closed.
 */
#ifdef DEWAR_WITH_WEBSOCKET
bool dw_socket_member(lua_State *L, int index, bool joins, dw_room_member *m);
#else
static inline bool dw_socket_member(lua_State *L, int index, bool joins,
                                    dw_room_member *m) {
  (void)L, (void)index, (void)joins, (void)m;
  return false;
}
#endif

#endif
