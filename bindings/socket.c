/* SPDX-License-Identifier: MIT */
/* core.net: connected sockets. One task reads at a time, and one writes. A
 * piece that arrives while nobody waits any more stays for the next read, and
 * nothing more is taken from the system until then. What lines are is known to
 * lua/dewar/reader.lua. Thread: the loop's. */
#include "bindings/socket.h"

#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/offload.h"

static const char SOCKET_TYPE[] = "dewar.socket";

struct dw_socket {
  dw_handle handle;
  dw_stream *stream; /* NULL: closed */
  dw_buffer piece;   /* arrived and not read */
  int ended;         /* UV_EOF, or another code, behind the piece */
  int broken;        /* the code that writing failed with */
  dw_wake reader, writer;
  bool reading, writing; /* somebody waits */
};

static dw_socket *check(lua_State *L) {
  return dw_type_check(L, 1, SOCKET_TYPE);
}

static dw_socket *check_open(lua_State *L) {
  dw_socket *k = check(L);
  if (!k->stream) dw_misuse(L, "this connection is closed");
  return k;
}

/* --- What happens ----------------------------------------------------------*/

static void wake(bool *waits, dw_wake *who) {
  if (!*waits) return;
  *waits = false;
  dw_wake_up(*who);
}

static void read_cb(dw_stream *stream, const char *bytes, ssize_t len) {
  dw_socket *k = stream->data;
  int code = len > 0 ? dw_buffer_append(&k->piece, bytes, (size_t)len) : 0;
  if (len <= 0) code = len == 0 ? UV_EOF : (int)len;
  if (code < 0) k->ended = code;
  dw_stream_read_stop(stream);
  wake(&k->reading, &k->reader);
}

static void write_cb(dw_stream *stream, int status) {
  dw_socket *k = stream->data;
  if (status < 0) k->broken = status;
  if (status < 0 || stream->queued == 0) wake(&k->writing, &k->writer);
}

static void close_cb(dw_handle *h) {
  dw_socket *k = DW_CONTAINER(h, dw_socket, handle);
  dw_stream_close(k->stream, false, NULL);
  k->stream = NULL;
  dw_buffer_deinit(&k->piece);
  k->ended = UV_ECANCELED;
  k->broken = UV_ECANCELED;
  wake(&k->reading, &k->reader);
  wake(&k->writing, &k->writer);
}

/* --- Making ----------------------------------------------------------------*/

dw_socket *dw_socket_new(lua_State *L) {
  dw_socket *k = lua_newuserdatauv(L, sizeof *k, 0);
  memset(k, 0, sizeof *k);
  dw_list_init(&k->handle.node);
  dw_type_set(L, SOCKET_TYPE);
  return k;
}

void dw_socket_take(dw_script *s, dw_socket *k, dw_stream *stream) {
  k->stream = stream;
  stream->data = k;
  stream->read_cb = read_cb;
  stream->write_cb = write_cb;
  dw_buffer_init(&k->piece, s->alloc, 0);
  dw_handle_open(s, &k->handle, close_cb);
}

/* "read from 127.0.0.1:80"; "read" of a Unix socket and of a closed one. */
static void push_what(lua_State *L, const dw_socket *k, const char *verb,
                      const char *direction) {
  char address[64];
  int port = 0;
  size_t len =
      k->stream ? dw_stream_peer(k->stream, address, sizeof address, &port) : 0;
  if (len == 0)
    lua_pushstring(L, verb);
  else
    lua_pushfstring(L, strchr(address, ':') ? "%s %s [%s]:%d" : "%s %s %s:%d",
                    verb, direction, address, port);
}

static void push_read(lua_State *L) {
  push_what(L, lua_touserdata(L, 1), "read", "from");
}

static void push_write(lua_State *L) {
  push_what(L, lua_touserdata(L, 1), "write", "to");
}

static int raise_read(lua_State *L, int code) {
  push_read(L);
  return dw_errors_raise_code(L, dw_script_of(L), code, lua_tostring(L, -1));
}

static int raise_write(lua_State *L, int code) {
  push_write(L);
  return dw_errors_raise_code(L, dw_script_of(L), code, lua_tostring(L, -1));
}

/* --- Reading ---------------------------------------------------------------*/

static void stop_reading(void *data) {
  dw_socket *k = data;
  k->reading = false;
  if (k->stream) dw_stream_read_stop(k->stream);
}

/* The piece, nil at the end, or an error. */
static int read_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  dw_socket *k = lua_touserdata(L, 1);
  if (k->piece.len > 0) {
    lua_pushlstring(L, k->piece.ptr, k->piece.len);
    dw_buffer_deinit(&k->piece);
    return 1;
  }
  if (k->ended != UV_EOF) return raise_read(L, k->ended);
  lua_pushnil(L);
  return 1;
}

/* read([seconds [, limit]]) -> bytes, or nil at the end; of the limit, seconds
 * are left */
static int socket_read(lua_State *L) {
  dw_script *s = dw_script_of(L);
  dw_socket *k = check_open(L);
  double seconds = dw_opt_seconds(L, 2, "read");
  double limit = dw_opt_seconds(L, 3, "read");
  if (k->piece.len > 0 || k->ended) return read_k(L, LUA_OK, 0);
  if (k->reading) return dw_misuse(L, "read: another task is reading here");
  k->reader = dw_wait_begin(L, s, stop_reading, k);
  dw_wait_name(k->reader, "socket read");
  dw_wait_describe(k->reader, push_read);
  dw_wait_limit(k->reader, limit);
  k->reading = true;
  int code = dw_stream_read_start(k->stream);
  if (code < 0) {
    k->reading = false;
    dw_wait_abandon(k->reader);
    return raise_read(L, code);
  }
  return dw_wait(L, k->reader, seconds, read_k, 0);
}

/* --- Writing ---------------------------------------------------------------*/

static void stop_writing(void *data) {
  dw_socket *k = data;
  k->writing = false;
}

static int written_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  const dw_socket *k = lua_touserdata(L, 1);
  if (!k->broken) return 0;
  return raise_write(L, k->broken);
}

/* What can't be sent at once is queued. How much waits, or a code. */
static ssize_t send_bytes(dw_socket *k, const char *bytes, size_t len) {
  uv_buf_t buf = uv_buf_init((char *)bytes, (unsigned)len);
  ssize_t sent = dw_stream_try_write(k->stream, &buf, 1);
  if (sent < 0) return sent;
  buf.base += sent;
  buf.len -= (size_t)sent;
  int code = buf.len > 0 ? dw_stream_write(k->stream, &buf, 1) : 0;
  return code < 0 ? code : (ssize_t)buf.len;
}

/* write(bytes [, seconds]): until the system has them */
static int socket_write(lua_State *L) {
  dw_script *s = dw_script_of(L);
  dw_socket *k = check_open(L);
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  double seconds = dw_opt_seconds(L, 3, "write");
  if (k->writing) return dw_misuse(L, "write: another task is writing here");
  dw_wait_check(L, s);
  ssize_t left = k->broken ? k->broken : (len ? send_bytes(k, bytes, len) : 0);
  if (left < 0) return raise_write(L, (int)left);
  if (left == 0) return 0;
  k->writer = dw_wait_begin(L, s, stop_writing, k);
  dw_wait_name(k->writer, "socket write");
  dw_wait_describe(k->writer, push_write);
  k->writing = true;
  return dw_wait(L, k->writer, seconds, written_k, 0);
}

/* --- The rest --------------------------------------------------------------*/

static int socket_shutdown(lua_State *L) {
  int code = dw_stream_shutdown(check_open(L)->stream);
  if (code < 0)
    return dw_errors_raise_code(L, dw_script_of(L), code, "shutdown");
  return 0;
}

/* peer() -> "127.0.0.1", 80; or "", 0 */
static int socket_peer(lua_State *L) {
  char address[64];
  int port = 0;
  size_t len =
      dw_stream_peer(check_open(L)->stream, address, sizeof address, &port);
  lua_pushlstring(L, address, len);
  lua_pushinteger(L, port);
  return 2;
}

static int socket_close(lua_State *L) {
  dw_handle_close(&check(L)->handle);
  return 0;
}

static int socket_is_open(lua_State *L) {
  lua_pushboolean(L, check(L)->stream != NULL);
  return 1;
}

static const luaL_Reg methods[] = {
    {"read", socket_read},
    {"write", socket_write},
    {"shutdown", socket_shutdown},
    {"peer", socket_peer},
    {"close", socket_close},
    {"is_open", socket_is_open},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", socket_close}, {"__close", socket_close}, {NULL, NULL}};

void dw_net_open(lua_State *L, dw_script *s) {
  dw_script_type(L, s, SOCKET_TYPE, methods, metamethods);
  lua_newtable(L);
  dw_connect_open(L, s);
  dw_accepting_open(L, s);
  dw_dns_open(L, s);
  lua_setfield(L, -2, "net");
}
