/* SPDX-License-Identifier: MIT */
/* The supervisor for Lua (lua/dewar/cli/supervise.lua), and a worker's side of
 * it. What happens is kept in a queue of events, for which a main chunk waits:
 * nothing here calls Lua. Thread: the loop's. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "app/supervisor.h"
#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/task.h"
#include "cli/system.h"
#include "cli/watch.h"
#include "net/stream.h"

#define TYPE "dewar.supervisor"
#define WORKER_VARIABLE "DEWAR_WORKER"

enum { SIGNALS = 4 };
static const int numbers[SIGNALS] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
static const char *const names[SIGNALS] = {"INT", "TERM", "HUP", "USR1"};

typedef enum event_kind { LINE, READY, END, SIGNAL, CHANGE, IDLE } event_kind;

typedef struct event {
  dw_list node;
  event_kind kind;
  dw_worker_end end; /* END; its pid is every worker's */
  const char *name;  /* SIGNAL */
  size_t len;
  char line[];
} event;

typedef struct supervisor {
  dw_script *script;
  dw_loop *loop; /* NULL: closed */
  dw_supervisor *core;
  dw_listener *listener;
  dw_watch watch;
  uv_signal_t signals[SIGNALS];
  unsigned open; /* of the signals, and the listener */
  dw_list events;
  bool changed; /* a CHANGE is in the queue */
} supervisor;

/* --- Events ----------------------------------------------------------------*/

static void push_event(supervisor *s, event_kind kind, const dw_worker_end *end,
                       const char *text, size_t len) {
  event *e = dw_zalloc(s->loop->alloc, sizeof *e + len);
  if (!e) return; /* what can't be told is lost */
  e->kind = kind;
  if (end) e->end = *end;
  e->len = len;
  if (len > 0) memcpy(e->line, text, len);
  dw_list_push(&s->events, &e->node);
}

static void line_cb(void *data, int pid, dw_slice line) {
  const dw_worker_end end = {.pid = pid};
  push_event(data, LINE, &end, line.ptr, line.len);
}

static void ready_cb(void *data, int pid) {
  const dw_worker_end end = {.pid = pid};
  push_event(data, READY, &end, NULL, 0);
}

static void end_cb(void *data, const dw_worker_end *end) {
  push_event(data, END, end, NULL, 0);
}

static void idle_cb(void *data) { push_event(data, IDLE, NULL, NULL, 0); }

static void change_cb(void *data) {
  supervisor *s = data;
  if (s->changed) return;
  s->changed = true;
  push_event(s, CHANGE, NULL, NULL, 0);
}

static void signal_cb(uv_signal_t *handle, int number) {
  supervisor *s = handle->data;
  dw_loop_enter(s->loop);
  for (int i = 0; i < SIGNALS; i++)
    if (numbers[i] == number)
      push_event(s, SIGNAL, NULL, names[i], strlen(names[i]));
  dw_loop_leave(s->loop);
}

/* --- Opening and closing ---------------------------------------------------*/

static supervisor *check(lua_State *L) {
  supervisor *s = luaL_checkudata(L, 1, TYPE);
  if (!s->loop) dw_misuse(L, "the supervisor is closed");
  return s;
}

static void accept_cb(dw_listener *l, dw_stream *stream) {
  (void)l; /* it is paused: workers accept */
  dw_stream_close(stream, true, NULL);
}

static void closed_cb(uv_handle_t *handle) {
  ((supervisor *)handle->data)->open--;
}

static void listener_closed_cb(void *data) { ((supervisor *)data)->open--; }

static bool all_closed(void *data) {
  const supervisor *s = data;
  return s->open == 0 && s->watch.open == 0 &&
         (!s->core || dw_supervisor_idle(s->core));
}

/* Ends at once what is left. */
static int supervisor_close(lua_State *L) {
  supervisor *s = luaL_checkudata(L, 1, TYPE);
  if (!s->loop) return 0;
  for (int i = 0; i < 3 && s->core && !dw_supervisor_idle(s->core); i++)
    dw_supervisor_stop(s->core);
  if (s->listener) dw_listener_close(s->listener, listener_closed_cb, s);
  for (int i = 0; i < SIGNALS; i++)
    if (s->signals[i].data) uv_close((uv_handle_t *)&s->signals[i], closed_cb);
  dw_watch_close(&s->watch);
  dw_loop_run(s->loop, all_closed, s);
  dw_supervisor_free(s->core);
  for (dw_list *n; (n = dw_list_shift(&s->events));) {
    event *e = DW_CONTAINER(n, event, node);
    dw_free(s->loop->alloc, e, sizeof *e + e->len);
  }
  s->loop = NULL;
  return 0;
}

static int watch_signals(supervisor *s) {
  for (int i = 0; i < SIGNALS; i++) {
    uv_signal_t *handle = &s->signals[i];
    int code = uv_signal_init(s->loop->uv, handle);
    if (code < 0) return code;
    handle->data = s;
    s->open++;
    uv_unref((uv_handle_t *)handle);
    code = uv_signal_start(handle, signal_cb, numbers[i]);
    if (code < 0) return code;
  }
  return 0;
}

/* listen(host, port) or listen(path) -> supervisor, port. Raises. */
static int listen_for_workers(lua_State *L) {
  dw_script *script = dw_script_of(L);
  const char *where = luaL_checkstring(L, 1);
  bool tcp = !lua_isnoneornil(L, 2);
  int port = (int)luaL_optinteger(L, 2, 0);
  supervisor *s = lua_newuserdatauv(L, sizeof *s, 0);
  memset(s, 0, sizeof *s);
  dw_list_init(&s->events);
  luaL_setmetatable(L, TYPE);
  s->script = script;
  s->loop = script->loop;
  dw_watch_init(&s->watch, s->loop, change_cb, s);
  int code =
      tcp ? dw_listener_open_tcp(s->loop, where, port, accept_cb, s,
                                 &s->listener)
          : dw_listener_open_unix(s->loop, where, accept_cb, s, &s->listener);
  if (code == 0) {
    s->open++;
    dw_listener_pause(s->listener);
    code = watch_signals(s);
  }
  if (code < 0) {
    lua_pushfstring(L, tcp ? "listen on %s:%d" : "listen on %s", where, port);
    return dw_errors_raise_code(L, script, code, lua_tostring(L, -1));
  }
  lua_pushinteger(L, dw_listener_port(s->listener));
  return 2;
}

/* --- Methods ---------------------------------------------------------------*/

/* supervisor:start(workers, patient, grace): grace in seconds. Raises. */
static int start(lua_State *L) {
  supervisor *s = check(L);
  char **args = lua_touserdata(L, lua_upvalueindex(2));
  static char program[4096]; /* of this process, always the same */
  size_t size = sizeof program;
  int code = uv_exepath(program, &size);
  dw_supervision what = {.args = args,
                         .file = program,
                         .socket = dw_listener_fd(s->listener),
                         .workers = (unsigned)luaL_checkinteger(L, 2),
                         .patient = lua_toboolean(L, 3),
                         .grace = (uint64_t)(luaL_checknumber(L, 4) * 1000),
                         .line_cb = line_cb,
                         .ready_cb = ready_cb,
                         .end_cb = end_cb,
                         .idle_cb = idle_cb,
                         .data = s};
  if (s->core) return dw_misuse(L, "the supervisor has been started");
  if (code == 0) code = dw_supervisor_new(&s->core, s->loop, &what);
  if (code == 0) code = dw_supervisor_start(s->core);
  if (code < 0)
    return dw_errors_raise_code(L, s->script, code, "start a worker");
  return 0;
}

/* supervisor:reload(gently). Raises. */
static int reload(lua_State *L) {
  supervisor *s = check(L);
  int code = dw_supervisor_reload(s->core, lua_toboolean(L, 2));
  if (code < 0)
    return dw_errors_raise_code(L, s->script, code, "start a worker");
  return 0;
}

/* supervisor:stop() */
static int stop(lua_State *L) {
  supervisor *s = check(L);
  dw_supervisor_stop(s->core);
  return 0;
}

/* supervisor:dump(): asks those that serve what they are doing. */
static int dump(lua_State *L) {
  supervisor *s = check(L);
  if (s->core) dw_supervisor_signal(s->core, SIGUSR1);
  return 0;
}

/* supervisor:watch(path) -> true, or nil and why not */
static int watch(lua_State *L) {
  supervisor *s = check(L);
  int code = dw_watch_add(&s->watch, luaL_checkstring(L, 2));
  if (code < 0) {
    lua_pushnil(L);
    lua_pushstring(L, dw_strerror(code));
    return 2;
  }
  lua_pushboolean(L, true);
  return 1;
}

static int push_end(lua_State *L, const dw_worker_end *end) {
  lua_pushliteral(L, "end");
  lua_createtable(L, 0, 5);
  lua_pushinteger(L, end->pid);
  lua_setfield(L, -2, "pid");
  lua_pushinteger(L, end->status);
  lua_setfield(L, -2, "status");
  lua_pushinteger(L, end->signal);
  lua_setfield(L, -2, "signal");
  lua_pushboolean(L, end->ready);
  lua_setfield(L, -2, "ready");
  lua_pushboolean(L, end->asked);
  lua_setfield(L, -2, "asked");
  return 2;
}

/* Takes the first event out of the queue. */
static int take_event(lua_State *L, supervisor *s) {
  static const char *const kinds[] = {"line",   "ready",  "end",
                                      "signal", "change", "idle"};
  dw_list *n = s->events.next;
  if (n == &s->events) {
    lua_pushnil(L);
    return 1;
  }
  event *e = DW_CONTAINER(n, event, node);
  int results;
  if (e->kind == END) {
    results = push_end(L, &e->end);
  } else {
    lua_pushstring(L, kinds[e->kind]);
    lua_pushlstring(L, e->line, e->len);
    lua_pushinteger(L, e->end.pid);
    results = 3;
  }
  if (e->kind == CHANGE) s->changed = false;
  dw_list_remove(&e->node);
  dw_free(s->loop->alloc, e, sizeof *e + e->len);
  return results;
}

typedef struct limit {
  supervisor *supervisor;
  dw_timer timer;
  bool over;
} limit;

static void over_cb(dw_timer *timer) {
  limit *p = timer->data;
  p->over = true;
}

static bool something(void *data) {
  const limit *p = data;
  return p->over || !dw_list_empty(&p->supervisor->events);
}

/* supervisor:next([seconds]) -> kind, text, pid | "end", what; nil: time is up.
 * For a main chunk: the signals and the socket alone don't keep a loop alive.
 */
static int next(lua_State *L) {
  supervisor *s = check(L);
  double seconds = dw_opt_seconds(L, 2, "next");
  if (s->script->current)
    return dw_misuse(L, "next is for a main chunk, not for a task");
  limit p = {.supervisor = s};
  dw_timer_init(&p.timer, over_cb, &p);
  if (seconds >= 0 && seconds < 1e6)
    dw_timer_start(s->loop, &p.timer, (uint64_t)(seconds * 1000));
  dw_loop_hold(s->loop);
  int code = dw_loop_run(s->loop, something, &p);
  dw_loop_release(s->loop);
  dw_timer_stop(s->loop, &p.timer);
  if (code < 0) return dw_errors_raise_code(L, s->script, code, "next");
  return take_event(L, s);
}

/* --- A worker --------------------------------------------------------------*/

static void pass_over(int number) { (void)number; }

/* Ctrl-C goes to all processes of a terminal; the supervisor says what that
 * means. A handler rather than SIG_IGN, which programs would inherit. */
static void leave_sigint(void) {
  struct sigaction action = {.sa_handler = pass_over, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
}

/* The end of the supervisor, in whatever way, is the worker's. */
static void follow_parent(bool at_once) {
#ifdef __linux__
  prctl(PR_SET_PDEATHSIG, at_once ? SIGKILL : SIGTERM);
#else
  (void)at_once;
#endif
}

/* worker() -> what DEWAR_WORKER says and the socket, if this is one. Once. */
static int worker(lua_State *L) {
  const char *value = getenv(WORKER_VARIABLE);
  if (!value) return 0;
  lua_pushstring(L, value);
  unsetenv(WORKER_VARIABLE);
  for (int fd = DW_WORKER_SOCKET; fd <= DW_WORKER_PIPE; fd++)
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return 0;
  leave_sigint();
  follow_parent(strncmp(lua_tostring(L, -1), "reload", 6) == 0);
  if (getppid() == 1) return luaL_error(L, "the supervisor has gone");
  lua_pushinteger(L, DW_WORKER_SOCKET);
  return 2;
}

/* tell(line): to the supervisor. It reads all the time. */
static int tell(lua_State *L) {
  size_t len;
  luaL_checkstring(L, 1);
  lua_pushvalue(L, 1);
  lua_pushliteral(L, "\n");
  lua_concat(L, 2);
  const char *text = lua_tolstring(L, -1, &len);
  while (len > 0) {
    ssize_t sent = write(DW_WORKER_PIPE, text, len);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) break;
    text += sent;
    len -= (size_t)sent;
  }
  return 0;
}

/* --- Opening ---------------------------------------------------------------*/

void dw_supervise_open(lua_State *L, dw_script *s, char **args) {
  static const luaL_Reg functions[] = {{"listen", listen_for_workers},
                                       {"worker", worker},
                                       {"tell", tell},
                                       {NULL, NULL}};
  static const luaL_Reg methods[] = {
      {"reload", reload}, {"stop", stop}, {"dump", dump},
      {"watch", watch},   {"next", next}, {"close", supervisor_close},
      {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", supervisor_close}, {"__gc", supervisor_close}, {NULL, NULL}};
  dw_script_type(L, s, TYPE, methods, metamethods);
  luaL_getmetatable(L, TYPE);
  lua_getfield(L, -1, "__index");
  dw_script_push_self(L, s);
  lua_pushlightuserdata(L, args);
  lua_pushcclosure(L, start, 2);
  lua_setfield(L, -2, "start");
  lua_pop(L, 2);
  dw_script_register(L, s, functions);
}
