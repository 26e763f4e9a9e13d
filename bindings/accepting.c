/* SPDX-License-Identifier: MIT */
/* core.net.listen: sockets that accept. What has been accepted and not taken
 * waits in a list, through the streams' data; meanwhile accepting pauses, and
 * others wait in the system's backlog. Thread: the loop's. */
#include <string.h>

#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/offload.h"
#include "bindings/socket.h"

static const char LISTENER_TYPE[] = "dewar.listener";

typedef struct listener {
  dw_handle handle;
  dw_listener *l; /* NULL: closed */
  dw_stream *first, *last;
  dw_wake wake;
  bool waits;
} listener;

static listener *check(lua_State *L) {
  return dw_type_check(L, 1, LISTENER_TYPE);
}

static void accept_cb(dw_listener *l, dw_stream *stream) {
  listener *k = l->data;
  stream->data = NULL;
  if (k->first)
    k->last->data = stream;
  else
    k->first = stream;
  k->last = stream;
  dw_listener_pause(l);
  if (!k->waits) return;
  k->waits = false;
  dw_wake_up(k->wake);
}

static dw_stream *shift(listener *k) {
  dw_stream *stream = k->first;
  if (stream) k->first = stream->data;
  return stream;
}

static void close_cb(dw_handle *h) {
  listener *k = DW_CONTAINER(h, listener, handle);
  dw_stream *stream;
  while ((stream = shift(k))) dw_stream_close(stream, true, NULL);
  dw_listener_close(k->l, NULL, NULL);
  k->l = NULL;
  if (!k->waits) return;
  k->waits = false;
  dw_wake_up(k->wake);
}

static void stop_waiting(void *data) {
  listener *k = data;
  k->waits = false;
}

/* A socket, or nil where the listener is closed. */
static int accepted_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  listener *k = lua_touserdata(L, 1);
  dw_socket *socket = dw_socket_new(L);
  dw_stream *stream = shift(k);
  if (stream)
    dw_socket_take(dw_script_of(L), socket, stream);
  else
    lua_pushnil(L);
  if (k->l && !k->first) dw_listener_resume(k->l);
  return 1;
}

static int listener_accept(lua_State *L) {
  listener *k = check(L);
  double seconds = dw_opt_seconds(L, 2, "accept");
  lua_settop(L, 2);
  if (k->first || !k->l) return accepted_k(L, LUA_OK, 0);
  if (k->waits) return dw_misuse(L, "accept: another task is accepting here");
  k->wake = dw_wait_begin(L, dw_script_of(L), stop_waiting, k);
  dw_wait_name(k->wake, "accept");
  k->waits = true;
  return dw_wait(L, k->wake, seconds, accepted_k, 0);
}

static int listener_port(lua_State *L) {
  const listener *k = check(L);
  lua_pushinteger(L, k->l ? dw_listener_port(k->l) : 0);
  return 1;
}

static int listener_is_open(lua_State *L) {
  lua_pushboolean(L, check(L)->l != NULL);
  return 1;
}

static int listener_close(lua_State *L) {
  dw_handle_close(&check(L)->handle);
  return 0;
}

/* listen(address, port or -1 for a path, what) */
static int net_listen(lua_State *L) {
  dw_script *s = dw_script_of(L);
  lua_settop(L, 3);
  const char *address = luaL_checkstring(L, 1);
  int port = (int)luaL_checkinteger(L, 2);
  const char *what = luaL_checkstring(L, 3);
  if (!s->tasks) return dw_misuse(L, "listen: Dewar's runtime is closed");
  listener *k = lua_newuserdatauv(L, sizeof *k, 0);
  memset(k, 0, sizeof *k);
  dw_list_init(&k->handle.node);
  dw_type_set(L, LISTENER_TYPE);
  int code =
      port < 0
          ? dw_listener_open_unix(s->loop, address, accept_cb, k, &k->l)
          : dw_listener_open_tcp(s->loop, address, port, accept_cb, k, &k->l);
  if (code < 0) return dw_errors_raise_code(L, s, code, what);
  dw_handle_open(s, &k->handle, close_cb);
  return 1;
}

void dw_accepting_open(lua_State *L, dw_script *s) {
  static const luaL_Reg methods[] = {{"accept", listener_accept},
                                     {"port", listener_port},
                                     {"is_open", listener_is_open},
                                     {"close", listener_close},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__gc", listener_close}, {"__close", listener_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"listen", net_listen}, {NULL, NULL}};
  dw_script_type(L, s, LISTENER_TYPE, methods, metamethods);
  dw_script_register(L, s, functions);
}
