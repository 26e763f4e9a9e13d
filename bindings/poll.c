/* SPDX-License-Identifier: MIT */
/* poll(fd, "r" | "w" | "rw" [, seconds]): waits until a file descriptor of
 * somebody else is ready, so that a library with a loop of its own can be
 * stepped without holding ours up. The handle lives from the beginning of a
 * wait to its end; the userdata on the stack of the call tells how it ended.
 * Thread: the loop's. */
#include "bindings/poll.h"

#include <limits.h>
#include <string.h>

#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/task.h"

typedef struct handle {
  uv_poll_t poll;
  dw_loop *loop;
  struct waiting *waiting; /* valid until it lets go */
} handle;

typedef struct waiting {
  handle *h; /* NULL: the wait is over */
  dw_wake wake;
  int events;
  int error;
} waiting;

static void closed_cb(uv_handle_t *poll) {
  handle *h = poll->data;
  dw_free(h->loop->alloc, h, sizeof *h);
}

/* Also what a wait calls that ends in another way. */
static void let_go(void *data) {
  waiting *w = data;
  handle *h = w->h;
  if (!h) return;
  w->h = NULL;
  uv_poll_stop(&h->poll);
  uv_close((uv_handle_t *)&h->poll, closed_cb);
}

static void ready_cb(uv_poll_t *poll, int status, int events) {
  handle *h = poll->data;
  waiting *w = h->waiting;
  dw_loop_enter(h->loop);
  w->error = status;
  w->events = events;
  let_go(w);
  dw_wake_up(w->wake);
  dw_loop_leave(h->loop);
}

static int start(waiting *w, dw_loop *loop, int fd, int events) {
  handle *h = dw_alloc(loop->alloc, sizeof *h);
  if (!h) return DW_ENOMEM;
  h->loop = loop;
  h->waiting = w;
  int code = uv_poll_init(loop->uv, &h->poll, fd);
  if (code < 0) {
    dw_free(loop->alloc, h, sizeof *h);
    return code;
  }
  h->poll.data = h;
  w->h = h;
  code = uv_poll_start(&h->poll, events, ready_cb);
  if (code < 0) let_go(w);
  return code;
}

static int finish(lua_State *L, int status, lua_KContext ctx) {
  const waiting *w = lua_touserdata(L, 4);
  (void)status, (void)ctx;
  if (w->error < 0)
    return dw_errors_raise_code(L, dw_script_of(L), w->error, "poll");
  bool r = w->events & UV_READABLE, o = w->events & UV_WRITABLE;
  lua_pushstring(L, r && o ? "rw" : (r ? "r" : "w"));
  return 1;
}

static int check_events(lua_State *L) {
  const char *mode = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(mode, "r") == 0) return UV_READABLE;
  if (strcmp(mode, "w") == 0) return UV_WRITABLE;
  if (strcmp(mode, "rw") == 0) return UV_READABLE | UV_WRITABLE;
  return dw_misuse(L, "poll: what to wait for must be \"r\", \"w\" or \"rw\"");
}

static int poll(lua_State *L) {
  dw_script *s = dw_script_of(L);
  lua_settop(L, 3);
  lua_Integer fd = lua_isinteger(L, 1) ? lua_tointeger(L, 1) : -1;
  if (fd < 0 || fd > INT_MAX)
    return dw_misuse(L, "poll: the number of a file descriptor comes first");
  int events = check_events(L);
  double seconds = dw_opt_seconds(L, 3, "poll");
  waiting *w = lua_newuserdatauv(L, sizeof *w, 0);
  memset(w, 0, sizeof *w);
  w->wake = dw_wait_begin(L, s, let_go, w);
  dw_wait_name(w->wake, "poll");
  int code = start(w, s->loop, (int)fd, events);
  if (code < 0) {
    dw_wait_abandon(w->wake);
    return dw_errors_raise_code(L, s, code, "poll");
  }
  return dw_wait(L, w->wake, seconds, finish, 0);
}

void dw_poll_functions(lua_State *L, dw_script *s) {
  static const luaL_Reg functions[] = {{"poll", poll}, {NULL, NULL}};
  dw_script_register(L, s, functions);
}
