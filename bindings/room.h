/* SPDX-License-Identifier: MIT */
/* dewar.room: those who get the same messages. A membership stands in the list
 * of its room and in that of its member, whoever goes first ends it; neither
 * keeps the other alive. What kind of connection a member has is its kind's
 * matter. Thread: the loop's. */
#ifndef DW_BINDINGS_ROOM_H
#define DW_BINDINGS_ROOM_H

#include "bindings/script.h"
#include "http/ws_codec.h"

typedef struct dw_room dw_room;
typedef struct dw_member dw_member;

typedef struct dw_member_kind {
  size_t (*backlog)(const dw_member *m);         /* bytes not yet taken */
  int (*send)(dw_member *m, dw_ws_broadcast *b); /* 0 or a code */
  void (*drop)(dw_member *m); /* it is too slow; ends the membership */
  void (*push)(lua_State *L, const dw_member *m); /* as Lua knows it */
} dw_member_kind;

struct dw_member {
  dw_list of_room, of_member;
  dw_room *room;
  const dw_member_kind *kind;
  void *who;
};

/* Adds room() to the module table on top. */
void dw_room_open(lua_State *L, dw_script *s);
/* Ends all memberships of a member's list. */
void dw_rooms_leave(dw_list *memberships);

#endif
