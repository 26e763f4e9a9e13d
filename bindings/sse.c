/* SPDX-License-Identifier: MIT */
/* Server-sent events: dewar.sse(function(send) ... end). The source is called
 * with `send`; what it returns is an event as well, and then it is called
 * again, so that an iterator or a generator of events is a source, too. Once
 * it has no more, the stream goes on for as long as it is in a room.
 * Invariant: the heartbeat, and memberships, are of the stage STREAM only.
 * Owner: the exchange, whose arena it lies in. Thread: the loop's. */
#include <math.h>

#include "base/error.h"
#include "base/utf8.h"
#include "bindings/errors.h"
#include "bindings/json.h"
#include "bindings/response.h"
#include "bindings/stream.h"

static const char SSE_TYPE[] = "dewar.sse"; /* user value 1: the source */
/* User value 1: the request object, 2: the source. */
static const char SEND_TYPE[] = "dewar.sse_send";

typedef struct sse_body {
  uint64_t heartbeat; /* ms; 0: none */
} sse_body;

struct dw_events {
  dw_exchange *x;
  dw_timer timer; /* of the heartbeat */
  uint64_t every; /* ms */
  uint64_t last;  /* when something was sent, on the loop's clock */
  dw_list rooms;  /* its memberships */
  bool stays; /* the source has no more; it ends with the last of them ... */
  dw_deferred leaver; /* ... by this */
};

/* --- Sending ---------------------------------------------------------------*/

/* A text of one line; name and value are on top, and the value is popped only
 * by the caller, as the slice is its. */
static dw_slice check_line(lua_State *L, const char *what, const char *field) {
  dw_slice text = {NULL, 0};
  int type = lua_type(L, -1);
  if (type == LUA_TNIL) return text;
  if (type != LUA_TSTRING && type != LUA_TNUMBER)
    dw_misuse(L, "%s: the %s is a string; got a %s", what, field,
              luaL_typename(L, -1));
  text.ptr = lua_tolstring(L, -1, &text.len);
  if (!dw_event_is_line(text) || !dw_is_utf8(text))
    dw_misuse(L,
              "%s: the %s is one line of UTF-8; it can't have a line break or "
              "a NUL",
              what, field);
  return text;
}

static dw_slice check_text(lua_State *L, int index, const char *what,
                           const char *field) {
  dw_slice text;
  text.ptr = lua_tolstring(L, index, &text.len);
  if (!dw_is_utf8(text))
    dw_misuse(L,
              "%s: the %s is not valid UTF-8, which is all that events can "
              "carry",
              what, field);
  return text;
}

/* Strings and numbers go as they are, all else as JSON; the value is on top. */
static dw_slice check_data(lua_State *L, const dw_lua_app *app,
                           const char *what) {
  int index = lua_gettop(L), type = lua_type(L, index);
  if (type == LUA_TNIL) return (dw_slice){NULL, 0};
  if (type == LUA_TSTRING || type == LUA_TNUMBER)
    return check_text(L, index, what, "data");
  dw_buffer *text = dw_json_take_buffer(L);
  bool empty_array = app && app->empty_array;
  dw_json_encode(L, index, text, empty_array ? DW_JSON_EMPTY_ARRAY : 0);
  lua_pushlstring(L, text->ptr, text->len);
  dw_json_put_buffer(L, index + 1);
  dw_slice data;
  data.ptr = lua_tolstring(L, -1, &data.len);
  return data;
}

static void check_retry(lua_State *L, const char *what, dw_event *e) {
  if (lua_isnil(L, -1)) return;
  double seconds = dw_check_seconds(L, lua_gettop(L), "retry");
  if (seconds > 1e9)
    dw_misuse(L, "%s: retry is a number of seconds that a client can wait",
              what);
  e->retry = (uint64_t)llround(seconds * 1000);
  e->has_retry = true;
}

void dw_sse_read_event(lua_State *L, const dw_lua_app *app, int index,
                       const char *what, dw_event *e) {
  static const char *const fields[] = {"event", "data", "id", "retry", NULL};
  luaL_checkstack(L, 8, NULL);
  *e = (dw_event){.has_retry = false};
  if (lua_type(L, index) == LUA_TSTRING || lua_type(L, index) == LUA_TNUMBER) {
    e->data = check_text(L, index, what, "data");
    return;
  }
  if (!lua_istable(L, index))
    dw_misuse(L,
              "an event is a string, or a table of event, data, id and "
              "retry; got a %s",
              luaL_typename(L, index));
  dw_check_options(L, index, fields);
  lua_getfield(L, index, "event");
  e->name = check_line(L, what, "event");
  lua_getfield(L, index, "id");
  e->id = check_line(L, what, "id");
  lua_getfield(L, index, "retry");
  check_retry(L, what, e);
  lua_getfield(L, index, "data");
  e->data = check_data(L, app, what);
  if (!e->name.ptr && !e->id.ptr && !e->data.ptr && !e->has_retry)
    dw_misuse(L, "an empty event can't be sent; it has event, data, id or "
                 "retry");
}

/* Writes what is in a buffer of json.c's that is on top. */
static void write_out(lua_State *L, dw_exchange *x, dw_buffer *text, int code) {
  const dw_task *t = x->script;
  dw_writers *w = x->drain_data;
  if (code < 0) luaL_error(L, "not enough memory");
  dw_stream_give(L, x, dw_buffer_slice(text));
  if (w->events) w->events->last = dw_loop_now(t->script->loop);
  dw_json_put_buffer(L, lua_gettop(L));
}

static void write_event(lua_State *L, dw_exchange *x, int index) {
  dw_event e;
  const dw_task *t = x->script;
  dw_sse_read_event(L, t->context.app, index, "send", &e);
  dw_buffer *text = dw_json_take_buffer(L);
  write_out(L, x, text, dw_event_write(&e, text));
}

/* Pushes the request object of the `send` at index. */
static dw_exchange *check_send(lua_State *L, int index) {
  dw_type_check(L, index, SEND_TYPE);
  lua_getiuservalue(L, index, 1);
  return dw_stream_check(L, lua_gettop(L), "send");
}

/* send(event) */
static int send_call(lua_State *L) {
  lua_settop(L, 2);
  dw_exchange *x = check_send(L, 1);
  write_event(L, x, 2);
  return dw_stream_written(L, x);
}

/* send.comment(text), upvalue 2 is `send`; or send:comment(text) */
static int send_comment(lua_State *L) {
  if (dw_type_test(L, 1, SEND_TYPE)) lua_remove(L, 1);
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(2));
  dw_exchange *x = check_send(L, 2);
  if (lua_type(L, 1) != LUA_TSTRING && lua_type(L, 1) != LUA_TNUMBER)
    return dw_misuse(L, "send.comment takes a string; got a %s",
                     luaL_typename(L, 1));
  dw_slice comment = check_text(L, 1, "send.comment", "text");
  dw_buffer *text = dw_json_take_buffer(L);
  write_out(L, x, text, dw_event_comment(comment, text));
  return dw_stream_written(L, x);
}

static int send_index(lua_State *L) {
  const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "?";
  if (strcmp(name, "request") == 0) {
    lua_getiuservalue(L, 1, 1);
    return 1;
  }
  if (strcmp(name, "comment") != 0)
    return dw_misuse(L,
                     "send has no field '%s'; there are send.comment and "
                     "send.request",
                     name);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, send_comment, 2);
  return 1;
}

/* --- The heartbeat ---------------------------------------------------------*/

/* An idle client gets a comment. One that doesn't read gets none: whether it is
 * there is WRITE_TIMEOUT's matter. The write may be the exchange's end. */
static void heartbeat_cb(dw_timer *timer) {
  struct dw_events *e = timer->data;
  dw_exchange *x = e->x;
  const dw_stream *stream = x->http.connection->stream;
  dw_loop *loop = x->server->http.loop;
  uint64_t now = dw_loop_now(loop), idle = now - e->last;
  if (idle < e->every) {
    dw_timer_start(loop, timer, e->every - idle);
    return;
  }
  e->last = now;
  dw_timer_start(loop, timer, e->every);
  if (stream && stream->queued == 0)
    dw_reply_write(&x->http, DW_LITERAL(":\n\n"));
}

/* The last room has been left, or the client has: see stay. */
static void leaver_cb(dw_deferred *d) {
  struct dw_events *e = d->data;
  e->stays = false;
  dw_exchange_resume(e->x, DW_PASS);
}

/* --- Pieces ----------------------------------------------------------------*/

/* There are many of these, which last long: what the head was made of goes. */
static void drop_head(lua_State *L, dw_exchange *x) {
  if (x->response == &x->plain) {
    dw_headers_deinit(&x->plain.headers);
    return;
  }
  dw_answer_fresh(x, x->http.status)->kind = DW_BODY_STREAM;
  lua_pushnil(L);
  dw_slot_set(L, x, DW_SLOT_RESPONSE);
}

/* Puts `send` in the place of the body at 2, in the slot, too. */
static void begin(lua_State *L, dw_exchange *x) {
  const sse_body *b = lua_touserdata(L, 2);
  dw_writers *w = dw_stream_writers(L, x);
  struct dw_events *e = dw_arena_zalloc(&x->http.request.arena, sizeof *e);
  dw_loop *loop = x->server->http.loop;
  if (!e) luaL_error(L, "not enough memory");
  lua_newuserdatauv(L, 0, 2);
  dw_request_push(L, x);
  lua_setiuservalue(L, -2, 1);
  lua_getiuservalue(L, 2, 1);
  lua_setiuservalue(L, -2, 2);
  dw_type_set(L, SEND_TYPE);
  lua_pushvalue(L, -1);
  dw_slot_set(L, x, DW_SLOT_BODY);
  *e = (struct dw_events){
      .x = x, .every = b->heartbeat, .last = dw_loop_now(loop)};
  lua_replace(L, 2);
  dw_list_init(&e->rooms);
  dw_deferred_init(&e->leaver, leaver_cb, e);
  dw_timer_init(&e->timer, heartbeat_cb, e);
  if (e->every) dw_timer_start(loop, &e->timer, e->every);
  w->events = e;
  drop_head(L, x);
}

void dw_sse_end(dw_exchange *x) {
  dw_writers *w = x->drain_data;
  if (!w || !w->events) return;
  w->events->stays = false;
  dw_timer_stop(x->server->http.loop, &w->events->timer);
  dw_rooms_leave(&w->events->rooms);
  dw_deferred_cancel(&w->events->leaver);
  w->events = NULL;
}

void dw_sse_leave(dw_exchange *x) {
  const dw_writers *w = x->drain_data;
  dw_loop_defer(x->server->http.loop, &w->events->leaver);
}

bool dw_sse_stays(const dw_exchange *x) {
  const dw_writers *w = x->stage == DW_STAGE_STREAM ? x->drain_data : NULL;
  return w && w->events && w->events->stays;
}

/* The source has no more. What it has to close is closed at the stream's end;
 * a plain function has nothing, and goes. A task that has been cancelled is
 * told so here. */
static int stay(lua_State *L, dw_exchange *x) {
  const dw_writers *w = x->drain_data;
  const dw_task *t = x->script;
  lua_settop(L, 2);
  lua_getiuservalue(L, 2, 2);
  if (lua_isfunction(L, 3) && !lua_iscfunction(L, 3)) {
    lua_pushnil(L);
    lua_setiuservalue(L, 2, 2);
  }
  dw_wait_abandon(dw_wait_begin(L, t->script, NULL, NULL));
  w->events->stays = true;
  x->called = DW_PENDING;
  return 0;
}

/* What the source gave is at 3. */
static int take(lua_State *L, dw_exchange *x) {
  const dw_writers *w = x->drain_data;
  bool listens = !dw_list_empty(&w->events->rooms);
  if (lua_isnil(L, 3) && listens && !x->server->stopping) return stay(L, x);
  x->called = lua_isnil(L, 3) ? DW_PASS : DW_DONE;
  if (x->called == DW_DONE) write_event(L, x, 3);
  return 0;
}

static int awaited_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  if (lua_gettop(L) < 4) lua_pushnil(L);
  lua_settop(L, 4);
  lua_replace(L, 3);
  return take(L, (dw_exchange *)ctx);
}

static int gave_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  if (dw_is_awaitable(L, 3)) return dw_await(L, 3, -1, awaited_k, ctx);
  return take(L, (dw_exchange *)ctx);
}

int dw_sse_piece(lua_State *L, dw_exchange *x) {
  if (dw_type_test(L, 2, SSE_TYPE)) begin(L, x);
  lua_getiuservalue(L, 2, 2);
  dw_generator_guard(L, 3);
  lua_pushvalue(L, 2);
  lua_callk(L, 1, 1, (lua_KContext)x, gave_k);
  return gave_k(L, LUA_OK, (lua_KContext)x);
}

bool dw_sse_test(lua_State *L, int index) {
  return dw_type_test(L, index, SSE_TYPE) || dw_type_test(L, index, SEND_TYPE);
}

void dw_sse_push_source(lua_State *L, int index) {
  lua_getiuservalue(L, index, dw_type_test(L, index, SSE_TYPE) ? 1 : 2);
}

/* --- In rooms --------------------------------------------------------------*/

static size_t member_backlog(const void *who) {
  const struct dw_events *e = who;
  return dw_reply_backlog(&e->x->http);
}

static int member_send(void *who, dw_room_message *m) {
  struct dw_events *e = who;
  if (!m->event) return DEWAR_EMISUSE;
  if (m->piece.bytes.len == 0) {
    int code = dw_event_write(m->event, &m->text);
    if (code < 0) return code;
    m->piece.bytes = dw_buffer_slice(&m->text);
  }
  int code = dw_reply_share(&e->x->http, &m->piece);
  if (code == 0) e->last = dw_loop_now(e->x->server->http.loop);
  return code;
}

/* Its client comes again by itself, and says what it has got. */
static void member_drop(void *who) {
  const struct dw_events *e = who;
  dw_reply_drop(&e->x->http);
}

static void member_left(void *who) {
  struct dw_events *e = who;
  if (e->stays && dw_list_empty(&e->rooms)) dw_sse_leave(e->x);
}

static void member_push(lua_State *L, const void *who) {
  const struct dw_events *e = who;
  dw_slot_push(L, e->x, DW_SLOT_BODY);
}

static const dw_room_kind member_kind = {.backlog = member_backlog,
                                         .send = member_send,
                                         .drop = member_drop,
                                         .left = member_left,
                                         .push = member_push};

bool dw_sse_member(lua_State *L, int index, dw_room_member *m) {
  if (!dw_type_test(L, index, SEND_TYPE)) return false;
  lua_getiuservalue(L, index, 1);
  const dw_exchange *x = dw_request_peek(L, lua_gettop(L));
  const dw_writers *w = x ? x->drain_data : NULL;
  struct dw_events *e = w ? w->events : NULL;
  *m = (dw_room_member){&member_kind, e, e ? &e->rooms : NULL};
  lua_pop(L, 1);
  return true;
}

/* --- The module ------------------------------------------------------------*/

/* event_stream(source, heartbeat): what sse.lua makes a response of */
static int event_stream(lua_State *L) {
  double seconds = lua_tonumber(L, 2);
  sse_body *b = lua_newuserdatauv(L, sizeof *b, 1);
  b->heartbeat = (uint64_t)ceil(seconds * 1000);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  dw_type_set(L, SSE_TYPE);
  return 1;
}

void dw_sse_open(lua_State *L, dw_script *s) {
  static const luaL_Reg metamethods[] = {
      {"__call", send_call}, {"__index", send_index}, {NULL, NULL}};
  const luaL_Reg functions[] = {{"event_stream", event_stream}, {NULL, NULL}};
  dw_script_type(L, s, SSE_TYPE, NULL, NULL);
  dw_script_type(L, s, SEND_TYPE, NULL, metamethods);
  dw_script_register(L, s, functions);
}
