/* SPDX-License-Identifier: MIT */
/* WebSockets for Lua: see websocket.h. A message goes from the queue into a Lua
 * string when it is received; a send waits where the client is slow. What talks
 * to the client accepts first. Thread: the loop's. */
#include "bindings/websocket.h"

#include "base/error.h"
#include "base/utf8.h"
#include "bindings/errors.h"
#include "bindings/headers.h"
#include "http/ws_handshake.h"

/* Its methods and fields lie in the type's own table. */
static const char WEBSOCKET_TYPE[] = "dewar.websocket";

enum { LATE_MAX = 100 }; /* uses of a closed one before its view is cancelled */

/* --- Accepting -------------------------------------------------------------*/

static dw_exchange *check(lua_State *L, int index) {
  dw_exchange *x = dw_request_check(L, index);
  if (!x->websocket) dw_misuse(L, "this request is no websocket");
  return x;
}

static dw_script *script_of(dw_exchange *x) {
  dw_task *t = x->script;
  return t->script;
}

static dw_lua_socket *ties_of(const dw_websocket *w) { return w->data; }

/* A message has come, or the end: whoever waits is woken, rooms are left. */
static void news_cb(dw_websocket *w) {
  dw_lua_socket *s = ties_of(w);
  if (w->waiting) dw_wake_up(s->receiver);
  if (w->close_code) dw_rooms_leave(&s->rooms);
}

static void check_stage(lua_State *L, dw_exchange *x) {
  if (x->stage == DW_STAGE_VIEW) return;
  if (x->stage < DW_STAGE_VIEW)
    dw_misuse(L, "a websocket is accepted in its view; what runs before can "
                 "refuse it by returning a response");
  dw_misuse(L, "this websocket was not accepted while its view ran");
}

static dw_websocket *accept_it(lua_State *L, dw_exchange *x,
                               dw_slice subprotocol) {
  dw_lua_socket *s = dw_arena_alloc(&x->http.request.arena, sizeof *s);
  dw_websocket *w = NULL;
  int code = DW_ENOMEM;
  if (s) code = dw_websocket_accept(&x->http, &x->plain, subprotocol, &w);
  if (code == DEWAR_ECLOSED)
    dw_errors_raise(L, script_of(x), &dw_error_websocket_closed,
                    "the client is gone");
  if (code < 0)
    dw_errors_raise_code(L, script_of(x), code, "accepting the websocket");
  *s = (dw_lua_socket){.x = x};
  dw_list_init(&s->rooms);
  w->data = s;
  w->news_cb = news_cb;
  dw_headers_deinit(&x->plain.headers); /* they are sent, and it may last */
  dw_exchange_unlimit_time(x);
  return w;
}

/* The response that carries the headers; nothing is left in it of before. */
static void fresh_response(dw_exchange *x) {
  dw_response_deinit(&x->plain);
  dw_response_init(&x->plain, x->server->http.alloc);
}

/* The WebSocket of x, accepted if it wasn't. */
static dw_websocket *accepted(lua_State *L, dw_exchange *x) {
  dw_websocket *w = dw_websocket_of(&x->http);
  if (w) return w;
  check_stage(L, x);
  fresh_response(x);
  return accept_it(L, x, DW_EMPTY);
}

static bool offers(dw_exchange *x, dw_slice name) {
  dw_slice list = dw_request_header(&x->http.request, "Sec-WebSocket-Protocol");
  for (dw_slice token; dw_ws_next_token(&list, &token);)
    if (dw_slice_equal(token, name)) return true;
  return false;
}

static dw_slice check_subprotocol(lua_State *L, dw_exchange *x, int index) {
  dw_slice name = DW_EMPTY;
  if (lua_isnil(L, index)) return name;
  if (lua_type(L, index) != LUA_TSTRING)
    dw_misuse(L, "accept: the option 'subprotocol' is a string; got a %s",
              luaL_typename(L, index));
  name.ptr = lua_tolstring(L, index, &name.len);
  if (!offers(x, name))
    dw_misuse(L,
              "accept: the client does not offer the subprotocol '%s'; "
              "ws.subprotocols has what it offers",
              name.ptr);
  return name;
}

static void check_headers(lua_State *L, const dw_headers *h) {
  static const char *const own[] = {"Upgrade",
                                    "Connection",
                                    "Sec-WebSocket-Accept",
                                    "Sec-WebSocket-Extensions",
                                    "Sec-WebSocket-Protocol",
                                    "Content-Length",
                                    "Transfer-Encoding",
                                    NULL};
  for (const char *const *name = own; *name; name++)
    if (dw_headers_find(h, dw_slice_str(*name)))
      dw_misuse(L, "accept: the header %s is the handshake's own%s", *name,
                strcmp(*name, "Sec-WebSocket-Protocol") == 0
                    ? "; use the option 'subprotocol'"
                    : "");
}

/* ws:accept([{ headers =, subprotocol = }]) */
static int ws_accept(lua_State *L) {
  static const char *const options[] = {"headers", "subprotocol", NULL};
  dw_exchange *x = check(L, 1);
  lua_settop(L, 2);
  dw_check_options(L, 2, options);
  if (dw_websocket_of(&x->http))
    return dw_misuse(L, "this websocket has been accepted already");
  check_stage(L, x);
  fresh_response(x);
  if (lua_isnil(L, 2)) lua_newtable(L);
  if (lua_getfield(L, -1, "headers") != LUA_TNIL)
    dw_headers_from_table(L, lua_gettop(L), &x->plain.headers);
  check_headers(L, &x->plain.headers);
  lua_getfield(L, -2, "subprotocol");
  accept_it(L, x, check_subprotocol(L, x, lua_gettop(L)));
  return 0;
}

/* --- The end ---------------------------------------------------------------*/

/* The client has vanished: where that cancels, what would have waited raises,
 * again and again, as every wait does. */
static void check_cancelled(lua_State *L, const dw_websocket *w) {
  if (w->close_code != DW_WS_ABNORMAL) return;
  dw_wait_abandon(dw_wait_begin(L, script_of(ties_of(w)->x), NULL, NULL));
}

/* What is used after its end says so without waiting. A loop that doesn't
 * listen would hold up the worker for good: its request is cancelled. */
static void check_over(lua_State *L, dw_exchange *x, const dw_websocket *w) {
  dw_script *s = script_of(x);
  check_cancelled(L, w);
  if (dw_current_exchange(s) != x || ++ties_of(w)->late <= LATE_MAX) return;
  if (!x->cancelled)
    dw_logf(s->log, DEWAR_ERROR,
            "the view of '%s' is cancelled, since it went on using its "
            "websocket %d times after that had closed",
            dw_endpoint_name(L, x), LATE_MAX);
  dw_exchange_cancel(x);
  dw_wait_cancelled(L, s);
}

/* --- Receiving -------------------------------------------------------------*/

static int receive_from(lua_State *L, dw_exchange *x, double seconds);

static void forget(void *data) {
  dw_websocket *w = data;
  w->waiting = false;
}

/* Pushes the oldest message and its kind, or nil, code and reason at the end;
 * their number, 0 where it has to be waited for. */
static int push_next(lua_State *L, dw_exchange *x, dw_websocket *w) {
  luaL_checkstack(L, 3, NULL);
  const dw_ws_message *m = dw_websocket_next(w);
  if (m) {
    dw_slice bytes = dw_buffer_slice(&m->data);
    lua_pushlstring(L, bytes.ptr, bytes.len);
    lua_pushstring(L, m->text ? "text" : "binary");
    dw_websocket_drop(w);
    return 2;
  }
  if (!w->close_code) return 0;
  check_over(L, x, w);
  dw_slice reason = dw_buffer_slice(&w->reason);
  lua_pushnil(L);
  lua_pushinteger(L, w->close_code);
  lua_pushlstring(L, reason.ptr, reason.len);
  return 3;
}

static int received_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  dw_websocket *w = dw_websocket_of(&x->http);
  (void)status;
  w->waiting = false;
  int n = push_next(L, x, w);
  return n ? n : receive_from(L, x, -1);
}

static int receive_from(lua_State *L, dw_exchange *x, double seconds) {
  dw_websocket *w = accepted(L, x);
  dw_lua_socket *s = ties_of(w);
  if (w->waiting)
    return dw_misuse(L, "another task is receiving from this websocket; only "
                        "one can");
  int n = push_next(L, x, w);
  if (n) return n;
  s->receiver = dw_wait_begin(L, script_of(x), forget, w);
  dw_wait_name(s->receiver, "websocket message");
  w->waiting = true;
  return dw_wait(L, s->receiver, seconds, received_k, (lua_KContext)x);
}

/* ws:receive([seconds]) -> message, kind; or nil, code, reason */
static int ws_receive(lua_State *L) {
  dw_exchange *x = check(L, 1);
  double seconds = dw_opt_seconds(L, 2, "receive");
  lua_settop(L, 1);
  return receive_from(L, x, seconds);
}

/* What messages gives: of (ws, the last message). */
static int next_message(lua_State *L) {
  dw_exchange *x = check(L, 1);
  lua_settop(L, 1);
  return receive_from(L, x, -1);
}

/* ws:messages() */
static int ws_messages(lua_State *L) {
  dw_exchange *x = check(L, 1);
  accepted(L, x);
  dw_script_push(L, script_of(x), next_message);
  lua_pushvalue(L, 1);
  return 2;
}

/* --- Sending ---------------------------------------------------------------*/

static int raise_closed(lua_State *L, dw_exchange *x, const dw_websocket *w) {
  check_over(L, x, w);
  if (w->by_us)
    return dw_misuse(L,
                     "this websocket was closed with %d; nothing can be "
                     "sent any more",
                     w->close_code);
  dw_slice reason = dw_buffer_slice(&w->reason);
  dw_errors_push(L, script_of(x), &dw_error_websocket_closed, NULL);
  lua_pushfstring(L, "the client has closed the websocket with %d%s",
                  w->close_code, reason.len ? ": " : "");
  lua_pushlstring(L, reason.ptr, reason.len);
  lua_pushvalue(L, -1);
  lua_setfield(L, -4, "reason");
  lua_concat(L, 2);
  lua_setfield(L, -2, "message");
  lua_pushinteger(L, w->close_code);
  lua_setfield(L, -2, "close_code");
  return lua_error(L);
}

dw_websocket *dw_websocket_check_open(lua_State *L, int index) {
  dw_exchange *x = check(L, index);
  dw_websocket *w = accepted(L, x);
  if (w->close_code) raise_closed(L, x, w);
  return w;
}

dw_websocket *dw_websocket_peek(lua_State *L, int index) {
  const dw_exchange *x = dw_request_peek(L, index);
  return x ? dw_websocket_of(&x->http) : NULL;
}

static int send_message(lua_State *L, bool text, const char *what) {
  dw_exchange *x = check(L, 1);
  dw_slice message = dw_check_message(L, 2, text, what);
  lua_settop(L, 2);
  dw_websocket *w = dw_websocket_check_open(L, 1);
  int code = dw_websocket_send(w, text, message);
  if (code == DEWAR_ECLOSED) return raise_closed(L, x, w);
  if (code < 0) return dw_errors_raise_code(L, script_of(x), code, what);
  return dw_reply_full(&x->http) ? dw_drain_wait(L, x) : 0;
}

/* ws:send(text) */
static int ws_send(lua_State *L) { return send_message(L, true, "send"); }

/* ws:send_binary(bytes) */
static int ws_send_binary(lua_State *L) {
  return send_message(L, false, "send_binary");
}

/* ws:ping() */
static int ws_ping(lua_State *L) {
  dw_exchange *x = check(L, 1);
  dw_websocket *w = dw_websocket_check_open(L, 1);
  int code = dw_websocket_ping(w);
  if (code < 0) return dw_errors_raise_code(L, script_of(x), code, "ping");
  return dw_reply_full(&x->http) ? dw_drain_wait(L, x) : 0;
}

/* --- Closing ---------------------------------------------------------------*/

static uint16_t check_code(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return DW_WS_NORMAL;
  int isint = 0;
  lua_Integer code =
      lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &isint) : 0;
  if (!isint)
    dw_misuse(L, "close: the code is a whole number such as 1000; got a %s",
              luaL_typename(L, index));
  if (code < 0 || code > UINT16_MAX || !dw_ws_is_code((uint16_t)code))
    dw_misuse(L,
              "close: %lld is no code that can be sent; use 1000, another "
              "registered one, or an own one of 4000 to 4999",
              (long long)code);
  return (uint16_t)code;
}

static dw_slice check_reason(lua_State *L, int index) {
  dw_slice reason = DW_EMPTY;
  if (lua_isnoneornil(L, index)) return reason;
  reason = dw_check_message(L, index, false, "close");
  if (!dw_is_utf8(reason)) dw_misuse(L, "close: the reason is not valid UTF-8");
  if (reason.len > DW_WS_REASON_MAX)
    dw_misuse(L, "close: the reason has %d bytes; %d fit", (int)reason.len,
              DW_WS_REASON_MAX);
  return reason;
}

/* ws:close([code [, reason]]): of a closed one it does nothing. */
static int ws_close(lua_State *L) {
  dw_exchange *x = check(L, 1);
  uint16_t code = check_code(L, 2);
  dw_slice reason = check_reason(L, 3);
  dw_websocket_close(accepted(L, x), code, reason);
  return 0;
}

/* --- What the view returned ------------------------------------------------*/

bool dw_websocket_returned(lua_State *L, dw_exchange *x) {
  bool view = x->stage == DW_STAGE_VIEW;
  if (!view && x->stage != DW_STAGE_ERROR && x->stage != DW_STAGE_SERVER_ERROR)
    return false;
  if (!dw_websocket_of(&x->http)) {
    if (!view || !lua_isnoneornil(L, 2)) return false;
    accepted(L, x);
  } else if (view && !lua_isnoneornil(L, 2)) {
    luaL_error(L,
               "the view of '%s' returned a %s after its websocket was "
               "accepted; send it, and return nothing",
               dw_endpoint_name(L, x), luaL_typename(L, 2));
  }
  x->called = DW_PASS;
  return true;
}

void dw_websocket_end(dw_exchange *x) {
  dw_websocket *w = dw_websocket_of(&x->http);
  if (w) dw_rooms_leave(&ties_of(w)->rooms);
}

/* --- Fields ----------------------------------------------------------------*/

static void get_subprotocols(lua_State *L, dw_exchange *x) {
  dw_slice list = dw_request_header(&x->http.request, "Sec-WebSocket-Protocol");
  lua_newtable(L);
  lua_Integer n = 0;
  for (dw_slice token; dw_ws_next_token(&list, &token);) {
    lua_pushlstring(L, token.ptr, token.len);
    lua_rawseti(L, -2, ++n);
  }
}

static void get_accepted(lua_State *L, dw_exchange *x) {
  lua_pushboolean(L, dw_websocket_of(&x->http) != NULL);
}

static void get_closed(lua_State *L, dw_exchange *x) {
  const dw_websocket *w = dw_websocket_of(&x->http);
  lua_pushboolean(L, w && w->close_code);
}

static void get_close_code(lua_State *L, dw_exchange *x) {
  const dw_websocket *w = dw_websocket_of(&x->http);
  if (w && w->close_code)
    lua_pushinteger(L, w->close_code);
  else
    lua_pushnil(L);
}

static void get_close_reason(lua_State *L, dw_exchange *x) {
  const dw_websocket *w = dw_websocket_of(&x->http);
  if (w && w->close_code)
    lua_pushlstring(L, w->reason.ptr ? w->reason.ptr : "", w->reason.len);
  else
    lua_pushnil(L);
}

typedef struct field {
  const char *name;
  void (*get)(lua_State *L, dw_exchange *x);
} field;

static const field fields[] = {
    {"subprotocols", get_subprotocols},
    {"accepted", get_accepted},
    {"closed", get_closed},
    {"close_code", get_close_code},
    {"close_reason", get_close_reason},
    {NULL, NULL},
};

static const luaL_Reg methods[] = {
    {"accept", ws_accept},
    {"receive", ws_receive},
    {"messages", ws_messages},
    {"send", ws_send},
    {"send_binary", ws_send_binary},
    {"ping", ws_ping},
    {"close", ws_close},
    {NULL, NULL},
};

const char *const dw_websocket_names[] = {
    "accept",      "receive", "messages",   "send",
    "send_binary", "ping",    "close",      "subprotocols",
    "accepted",    "closed",  "close_code", "close_reason",
    NULL};

bool dw_websocket_field(lua_State *L, dw_exchange *x) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, WEBSOCKET_TYPE);
  lua_pushvalue(L, 2);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  if (lua_isfunction(L, -1)) return true;
  const field *f = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (f) f->get(L, x);
  return f != NULL;
}

void dw_websocket_open(lua_State *L, dw_script *s) {
  luaL_newmetatable(L, WEBSOCKET_TYPE);
  dw_script_register(L, s, methods);
  for (const field *f = fields; f->name; f++) {
    lua_pushlightuserdata(L, (void *)f);
    lua_setfield(L, -2, f->name);
  }
  lua_rawsetp(L, LUA_REGISTRYINDEX, WEBSOCKET_TYPE);
  dw_websocket_codec_open(L, s);
}
