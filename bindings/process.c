/* SPDX-License-Identifier: MIT */
/* core.processes: children of this process. Their standard streams are ends of
 * socket pairs, so that they are read and written like any connection. A child
 * whose object is collected, or is left at the runtime's end, is killed; it is
 * reaped in any case, by libuv. Thread: the loop's. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/offload.h"
#include "bindings/socket.h"
#include "bindings/task_private.h"
#include "net/uv_stream.h"

static const char PROCESS_TYPE[] = "dewar.child";

/* For as long as libuv looks after it. */
typedef struct child {
  uv_process_t process;
  dw_loop *loop;
  struct process *owner; /* NULL: gone; the child has been killed */
} child;

typedef struct process {
  dw_handle handle;
  child *child; /* NULL: it has ended */
  dw_list waiters;
  int pid;
  int64_t status;
  int signal;
} process;

static const struct {
  const char *name;
  int number;
} signals[] = {
    {"SIGHUP", SIGHUP},       {"SIGINT", SIGINT},   {"SIGQUIT", SIGQUIT},
    {"SIGILL", SIGILL},       {"SIGTRAP", SIGTRAP}, {"SIGABRT", SIGABRT},
    {"SIGBUS", SIGBUS},       {"SIGFPE", SIGFPE},   {"SIGKILL", SIGKILL},
    {"SIGUSR1", SIGUSR1},     {"SIGSEGV", SIGSEGV}, {"SIGUSR2", SIGUSR2},
    {"SIGPIPE", SIGPIPE},     {"SIGALRM", SIGALRM}, {"SIGTERM", SIGTERM},
    {"SIGCHLD", SIGCHLD},     {"SIGCONT", SIGCONT}, {"SIGSTOP", SIGSTOP},
    {"SIGTSTP", SIGTSTP},     {"SIGTTIN", SIGTTIN}, {"SIGTTOU", SIGTTOU},
    {"SIGURG", SIGURG},       {"SIGXCPU", SIGXCPU}, {"SIGXFSZ", SIGXFSZ},
    {"SIGVTALRM", SIGVTALRM}, {"SIGPROF", SIGPROF}, {"SIGWINCH", SIGWINCH},
    {"SIGIO", SIGIO},         {"SIGSYS", SIGSYS},   {NULL, 0},
};

static process *check(lua_State *L) {
  return dw_type_check(L, 1, PROCESS_TYPE);
}

/* --- Its end ---------------------------------------------------------------*/

static void closed_cb(uv_handle_t *h) {
  child *c = h->data;
  dw_free(c->loop->alloc, c, sizeof *c);
}

static void exit_cb(uv_process_t *handle, int64_t status, int signal) {
  child *c = handle->data;
  process *p = c->owner;
  dw_loop_enter(c->loop);
  if (p) {
    p->child = NULL;
    p->status = status;
    p->signal = signal;
    dw_list_remove(&p->handle.node);
    for (dw_list *node; (node = dw_list_shift(&p->waiters));)
      dw_wake_up(DW_CONTAINER(node, dw_waiter, node)->wake);
  } else {
    dw_loop_work_ended(c->loop);
  }
  uv_close((uv_handle_t *)handle, closed_cb);
  dw_loop_leave(c->loop);
}

/* It is killed, and the end of the loop waits until it has been reaped, which
 * doesn't take long then. */
static void close_cb(dw_handle *h) {
  process *p = DW_CONTAINER(h, process, handle);
  child *c = p->child;
  p->child = NULL;
  p->signal = SIGKILL;
  c->owner = NULL;
  dw_loop_work_begun(c->loop);
  uv_process_kill(&c->process, SIGKILL);
  for (dw_list *node; (node = dw_list_shift(&p->waiters));)
    dw_wake_up(DW_CONTAINER(node, dw_waiter, node)->wake);
}

/* --- Its beginning ---------------------------------------------------------*/

/* A NULL-ended array of the list's strings, which stay in the list. */
static char **to_strings(lua_State *L, int index, const char *what) {
  lua_Integer n = luaL_len(L, index);
  char **strings = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *strings, 0);
  for (lua_Integer i = 1; i <= n; i++) {
    size_t len;
    if (lua_rawgeti(L, index, i) != LUA_TSTRING)
      dw_misuse(L, "%s %d is a string; got a %s", what, (int)i,
                luaL_typename(L, -1));
    strings[i - 1] = (char *)lua_tolstring(L, -1, &len);
    if (strlen(strings[i - 1]) != len)
      dw_misuse(L, "%s %d has a NUL in it", what, (int)i);
    lua_pop(L, 1);
  }
  strings[n] = NULL;
  return strings;
}

typedef struct launch {
  uv_process_options_t options;
  uv_stdio_container_t stdio[3];
  dw_socket *sockets[3]; /* NULL: none */
  int theirs[3];         /* the child's ends, to be closed here */
  bool joined;           /* what is written to both goes to the second */
} launch;

/* Never raises. */
static int open_pair(dw_script *s, launch *l, int i) {
  int ends[2];
  dw_stream *stream;
  struct sockaddr peer = {.sa_family = AF_UNIX};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return uv_translate_sys_error(errno);
  int code = dw_uv_stream_open(&stream, s->loop, ends[0], &peer);
  if (code < 0) {
    close(ends[0]);
    close(ends[1]);
    return code;
  }
  dw_socket_take(s, l->sockets[i], stream);
  l->theirs[i] = ends[1];
  l->stdio[i].flags = UV_INHERIT_FD;
  l->stdio[i].data.fd = ends[1];
  return 0;
}

/* Never raises. */
static int start(dw_script *s, launch *l, process *p) {
  int code = 0;
  for (int i = 0; i < 3 && code == 0; i++)
    if (l->sockets[i]) code = open_pair(s, l, i);
  if (l->joined) l->stdio[2] = l->stdio[1];
  child *c = code == 0 ? dw_zalloc(s->alloc, sizeof *c) : NULL;
  if (code == 0 && !c) code = DW_ENOMEM;
  if (code == 0) {
    c->loop = s->loop;
    c->process.data = c;
    code = uv_spawn(s->loop->uv, &c->process, &l->options);
    if (code < 0) uv_close((uv_handle_t *)&c->process, closed_cb);
  }
  for (int i = 0; i < 3; i++)
    if (l->theirs[i] >= 0) close(l->theirs[i]);
  if (code < 0) return code;
  c->owner = p;
  p->child = c;
  p->pid = c->process.pid;
  dw_handle_open(s, &p->handle, close_cb);
  return 0;
}

/* "pipe", "null", "inherit", or for the last "stdout"; pushes a socket or nil.
 */
static void choose(lua_State *L, launch *l, int i, const char *mode) {
  l->theirs[i] = -1;
  l->sockets[i] = NULL;
  l->stdio[i].flags = UV_IGNORE;
  if (strcmp(mode, "pipe") == 0) {
    l->sockets[i] = dw_socket_new(L);
    return;
  }
  lua_pushnil(L);
  if (strcmp(mode, "null") == 0) return;
  l->stdio[i].flags = UV_INHERIT_FD;
  l->stdio[i].data.fd = i;
  l->joined = strcmp(mode, "stdout") == 0;
}

/* spawn(arguments, environment or nil, cwd or nil, stdin, stdout, stderr)
 * -> process, and a socket or nil for each */
static int spawn(lua_State *L) {
  dw_script *s = dw_script_of(L);
  launch l = {0};
  lua_settop(L, 6);
  luaL_checktype(L, 1, LUA_TTABLE);
  if (!s->tasks) return dw_misuse(L, "spawn: Dewar's runtime is closed");
  char **args = to_strings(L, 1, "spawn: argument");
  char **env = lua_isnil(L, 2) ? NULL : to_strings(L, 2, "spawn: variable");
  l.options.file = args[0];
  l.options.args = args;
  l.options.env = env;
  l.options.cwd = luaL_optstring(L, 3, NULL);
  l.options.exit_cb = exit_cb;
  l.options.stdio = l.stdio;
  l.options.stdio_count = 3;
  process *p = lua_newuserdatauv(L, sizeof *p, 0);
  memset(p, 0, sizeof *p);
  dw_list_init(&p->handle.node);
  dw_list_init(&p->waiters);
  dw_type_set(L, PROCESS_TYPE);
  for (int i = 0; i < 3; i++) choose(L, &l, i, luaL_checkstring(L, 4 + i));
  lua_pushfstring(L, l.options.cwd ? "spawn %s in %s" : "spawn %s", args[0],
                  l.options.cwd);
  int top = lua_gettop(L);
  int code = start(s, &l, p);
  if (code < 0) {
    for (int i = top - 3; i < top; i++)
      if (!lua_isnil(L, i)) luaL_callmeta(L, i, "__close");
    return dw_errors_raise_code(L, s, code, lua_tostring(L, top));
  }
  lua_pop(L, 1);
  return 4;
}

/* --- Methods ---------------------------------------------------------------*/

static const char *signal_name(int number) {
  for (int i = 0; signals[i].name; i++)
    if (signals[i].number == number) return signals[i].name;
  return NULL;
}

/* The status, or nil and the signal's name (a number where it has none). */
static int ended_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  const process *p = lua_touserdata(L, 1);
  if (p->signal == 0) {
    lua_pushinteger(L, p->status);
    return 1;
  }
  const char *name = signal_name(p->signal);
  lua_pushnil(L);
  if (name)
    lua_pushstring(L, name);
  else
    lua_pushinteger(L, p->signal);
  return 2;
}

static void describe_wait(lua_State *L) {
  const process *p = lua_touserdata(L, 1);
  lua_pushfstring(L, "wait for process %d", p->pid);
}

static int process_wait(lua_State *L) {
  process *p = check(L);
  double seconds = dw_opt_seconds(L, 2, "wait");
  if (!p->child) return ended_k(L, LUA_OK, 0);
  dw_wake wake = dw_wait_begin(L, dw_script_of(L), NULL, NULL);
  dw_wait_name(wake, "process");
  dw_wait_describe(wake, describe_wait);
  dw_waiter_join(&p->waiters, wake);
  return dw_wait(L, wake, seconds, ended_k, 0);
}

static int check_signal(lua_State *L, int index) {
  if (lua_isnoneornil(L, index)) return SIGTERM;
  if (lua_isinteger(L, index)) return (int)lua_tointeger(L, index);
  const char *name = luaL_checkstring(L, index);
  const char *bare = strncmp(name, "SIG", 3) == 0 ? name + 3 : name;
  for (int i = 0; signals[i].name; i++)
    if (strcmp(signals[i].name + 3, bare) == 0) return signals[i].number;
  return dw_misuse(L, "kill: there is no signal '%s'", name);
}

/* kill([signal]) -> whether it was there to be told */
static int process_kill(lua_State *L) {
  const process *p = check(L);
  int number = check_signal(L, 2);
  int code = p->child ? uv_process_kill(&p->child->process, number) : UV_ESRCH;
  if (code < 0 && code != UV_ESRCH)
    return dw_errors_raise_code(L, dw_script_of(L), code, "kill");
  lua_pushboolean(L, code == 0);
  return 1;
}

static int process_pid(lua_State *L) {
  lua_pushinteger(L, check(L)->pid);
  return 1;
}

static int process_is_running(lua_State *L) {
  lua_pushboolean(L, check(L)->child != NULL);
  return 1;
}

static int process_close(lua_State *L) {
  dw_handle_close(&check(L)->handle);
  return 0;
}

void dw_process_open(lua_State *L, dw_script *s) {
  static const luaL_Reg methods[] = {
      {"wait", process_wait},   {"kill", process_kill},
      {"pid", process_pid},     {"is_running", process_is_running},
      {"close", process_close}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__gc", process_close}, {"__close", process_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"spawn", spawn}, {NULL, NULL}};
  dw_script_type(L, s, PROCESS_TYPE, methods, metamethods);
  lua_newtable(L);
  dw_script_register(L, s, functions);
  lua_setfield(L, -2, "processes");
}
