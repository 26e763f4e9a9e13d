/* SPDX-License-Identifier: MIT */
/* What streams of all forms have in common (stream.c), and event streams
 * (sse.c). Owner: the exchange. Thread: the loop's. */
#ifndef DW_BINDINGS_STREAM_H
#define DW_BINDINGS_STREAM_H

#include "bindings/handler.h"
#include "bindings/room.h"
#include "http/event_stream.h"

struct dw_events;

/* An exchange's writers, in its arena once there is one that waits. */
typedef struct dw_writers {
  dw_list line;             /* who waits for room */
  struct dw_events *events; /* NULL: no event stream */
} dw_writers;

/* Made if need be; raises. */
dw_writers *dw_stream_writers(lua_State *L, dw_exchange *x);
/* Writes; raises where that can't be: a client that is gone cancels the request
 * that works for it. */
void dw_stream_give(lua_State *L, dw_exchange *x, dw_slice bytes);
/* Behind a write: waits while the client has enough to read, then returns
 * nothing; as `return dw_stream_written(L, x)`. */
int dw_stream_written(lua_State *L, dw_exchange *x);
/* The exchange of a function that writes: raises unless the stream goes on. */
dw_exchange *dw_stream_check(lua_State *L, int request, const char *what);

/* --- Event streams (sse.c) -------------------------------------------------*/

void dw_sse_open(lua_State *L, dw_script *s);
/* Whether the value at index is the body of one, or one that has begun. */
bool dw_sse_test(lua_State *L, int index);
/* The next piece of that at 2; sets x->called. */
int dw_sse_piece(lua_State *L, dw_exchange *x);
/* Pushes the function that it at index is made from. */
void dw_sse_push_source(lua_State *L, int index);
/* An event for the room:send or the send of `what` at index: a text, or a table
 * of fields. Raises; leaves on the stack what its slices lie in. */
void dw_sse_read_event(lua_State *L, const dw_lua_app *app, int index,
                       const char *what, dw_event *e);
/* Whether there is a `send` at index, and then whom a room knows it as: who is
 * NULL where the stream has ended. */
bool dw_sse_member(lua_State *L, int index, dw_room_member *m);
/* Whether it has nothing to do but to be in rooms: the stage is pending, and
 * the task needs no coroutine. */
bool dw_sse_stays(const dw_exchange *x);
/* Ends that, in a later turn: the exchange is resumed. */
void dw_sse_leave(dw_exchange *x);
/* There are no more events; never raises. */
void dw_sse_end(dw_exchange *x);

#endif
