/* SPDX-License-Identifier: MIT */
/* core.net.connect: a socket to one address. It is looked after by the loop
 * from the beginning of the wait to its end, and then belongs to a stream.
 * Thread: the loop's. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/socket.h"
#include "bindings/task.h"
#include "net/uv_stream.h"

typedef union address {
  struct sockaddr any;
  struct sockaddr_in in;
  struct sockaddr_in6 in6;
  struct sockaddr_un path;
} address;

typedef struct watch {
  uv_poll_t poll;
  dw_loop *loop;
  struct attempt *attempt;
} watch;

/* On the stack of the call. */
typedef struct attempt {
  watch *watch; /* NULL: over */
  dw_wake wake;
  address to;
  socklen_t to_len;
  int fd; /* -1: none, or the stream's */
  int code;
} attempt;

static int last_error(void) { return uv_translate_sys_error(errno); }

static void closed_cb(uv_handle_t *poll) {
  watch *w = poll->data;
  dw_free(w->loop->alloc, w, sizeof *w);
}

static void stop_watching(attempt *a) {
  watch *w = a->watch;
  if (!w) return;
  a->watch = NULL;
  uv_close((uv_handle_t *)&w->poll, closed_cb);
}

/* Also what a wait calls that ends in another way. */
static void let_go(void *data) {
  attempt *a = data;
  stop_watching(a);
  if (a->fd >= 0) close(a->fd);
  a->fd = -1;
}

static void ready_cb(uv_poll_t *poll, int status, int events) {
  watch *w = poll->data;
  attempt *a = w->attempt;
  int error = 0;
  socklen_t len = sizeof error;
  (void)status, (void)events;
  dw_loop_enter(w->loop);
  if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) error = errno;
  a->code = error ? uv_translate_sys_error(error) : 0;
  stop_watching(a);
  dw_wake_up(a->wake);
  dw_loop_leave(w->loop);
}

static int start_watching(attempt *a, dw_loop *loop) {
  watch *w = dw_alloc(loop->alloc, sizeof *w);
  if (!w) return DW_ENOMEM;
  w->loop = loop;
  w->attempt = a;
  int code = uv_poll_init(loop->uv, &w->poll, a->fd);
  if (code < 0) {
    dw_free(loop->alloc, w, sizeof *w);
    return code;
  }
  w->poll.data = w;
  a->watch = w;
  return uv_poll_start(&w->poll, UV_WRITABLE, ready_cb);
}

/* 0 or a code; the socket may have to be waited for. */
static int start(attempt *a, dw_loop *loop, bool nodelay) {
  int on = 1, family = a->to.any.sa_family;
  a->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (a->fd < 0) return last_error();
  if (family != AF_UNIX && nodelay)
    setsockopt(a->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  int result;
  do result = connect(a->fd, &a->to.any, a->to_len);
  while (result != 0 && errno == EINTR);
  if (result != 0 && errno != EINPROGRESS) return last_error();
  return start_watching(a, loop);
}

static int fail(lua_State *L, attempt *a, int code) {
  let_go(a);
  return dw_errors_raise_code(L, dw_script_of(L), code, lua_tostring(L, 5));
}

/* The attempt is at 6. */
static int finish(lua_State *L, int status, lua_KContext ctx) {
  dw_script *s = dw_script_of(L);
  attempt *a = lua_touserdata(L, 6);
  (void)status, (void)ctx;
  if (a->code < 0) return fail(L, a, a->code);
  dw_socket *k = dw_socket_new(L);
  dw_stream *stream;
  int code = dw_uv_stream_open(&stream, s->loop, a->fd, &a->to.any);
  if (code < 0) return fail(L, a, code);
  a->fd = -1;
  dw_socket_take(s, k, stream);
  return 1;
}

static void set_address(lua_State *L, attempt *a, const char *text, int port) {
  memset(&a->to, 0, sizeof a->to);
  if (port < 0) {
    if (strlen(text) >= sizeof a->to.path.sun_path)
      dw_misuse(L, "connect: the path of a socket is at most %d bytes long",
                (int)sizeof a->to.path.sun_path - 1);
    a->to.path.sun_family = AF_UNIX;
    strcpy(a->to.path.sun_path, text);
    a->to_len = sizeof a->to.path;
  } else if (uv_ip4_addr(text, port, &a->to.in) == 0) {
    a->to_len = sizeof a->to.in;
  } else if (uv_ip6_addr(text, port, &a->to.in6) == 0) {
    a->to_len = sizeof a->to.in6;
  } else {
    dw_misuse(L, "connect: '%s' is no address", text);
  }
}

static int attempt_gc(lua_State *L) {
  let_go(lua_touserdata(L, 1));
  return 0;
}

static void describe(lua_State *L) { lua_pushvalue(L, 5); }

static const char ATTEMPT_TYPE[] = "dewar.connect";

/* connect(address, port or -1 for a path, nodelay, seconds, what) */
static int net_connect(lua_State *L) {
  dw_script *s = dw_script_of(L);
  lua_settop(L, 5);
  const char *text = luaL_checkstring(L, 1);
  int port = (int)luaL_checkinteger(L, 2);
  double seconds = dw_opt_seconds(L, 4, "connect");
  luaL_checkstring(L, 5);
  attempt *a = lua_newuserdatauv(L, sizeof *a, 0);
  memset(a, 0, sizeof *a);
  a->fd = -1;
  dw_type_set(L, ATTEMPT_TYPE);
  set_address(L, a, text, port);
  a->wake = dw_wait_begin(L, s, let_go, a);
  dw_wait_name(a->wake, "connect");
  dw_wait_describe(a->wake, describe);
  int code = start(a, s->loop, lua_toboolean(L, 3));
  if (code < 0) {
    dw_wait_abandon(a->wake);
    return fail(L, a, code);
  }
  return dw_wait(L, a->wake, seconds, finish, 0);
}

void dw_connect_open(lua_State *L, dw_script *s) {
  static const luaL_Reg metamethods[] = {{"__gc", attempt_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"connect", net_connect}, {NULL, NULL}};
  dw_script_type(L, s, ATTEMPT_TYPE, NULL, metamethods);
  dw_script_register(L, s, functions);
}
