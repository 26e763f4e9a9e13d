/* SPDX-License-Identifier: MIT */
/* WebSockets as members of rooms. Owner of a member's memberships: the ties of
 * its WebSocket to Lua. Thread: the loop's. */
#include "base/error.h"
#include "bindings/websocket.h"

static size_t socket_backlog(const void *who) {
  return dw_websocket_backlog(who);
}

static int socket_send(void *who, dw_room_message *m) {
  if (!m->bytes.ptr) return DEWAR_EMISUSE;
  return dw_websocket_broadcast(who, &m->frames);
}

static void socket_drop(void *who) {
  dw_websocket_close(who, DW_WS_TRY_LATER, DW_LITERAL("too slow"));
}

static void socket_push(lua_State *L, const void *who) {
  const dw_websocket *w = who;
  const dw_lua_socket *s = w->data;
  dw_request_push(L, s->x);
}

static const dw_room_kind kind = {.backlog = socket_backlog,
                                  .send = socket_send,
                                  .drop = socket_drop,
                                  .push = socket_push};

bool dw_socket_member(lua_State *L, int index, bool joins, dw_room_member *m) {
  if (!dw_request_test(L, index)) return false;
  dw_websocket *w =
      joins ? dw_websocket_check_open(L, index) : dw_websocket_peek(L, index);
  dw_lua_socket *s = w ? w->data : NULL;
  *m = (dw_room_member){&kind, w, s ? &s->rooms : NULL};
  return true;
}
