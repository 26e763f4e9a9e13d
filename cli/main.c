/* SPDX-License-Identifier: MIT */
/* The command `dewar`: a Lua with Dewar in it that calls main of the embedded
 * module dewar.cli with its arguments, and exits with what that returns. Here
 * is only what has to be C: the process, the runtime, the log on stderr, the
 * last resort for errors. The signals that stop it are the business of serving
 * (bindings/serve.c), level and format of the log that of core.log
 * (bindings/log.h). */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bindings/log.h"
#include "cli/system.h"
#include "dewar.h"

enum { EXIT_FAILED = 1 };

typedef struct command {
  int argc;
  char **argv;
  int status;
} command;

/* Pushes the arguments; 0 is the program's name, as in lua5.4. */
static void push_arguments(lua_State *L, const command *c) {
  lua_createtable(L, c->argc, 1);
  for (int i = 0; i < c->argc; i++) {
    lua_pushstring(L, c->argv[i]);
    lua_rawseti(L, -2, i);
  }
  lua_pushvalue(L, -1);
  lua_setglobal(L, "arg");
}

/* Makes dewar.system known to require. */
static void preload_system(lua_State *L, const command *c) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  dw_script_push_self(L, dw_script_find(L));
  lua_pushlightuserdata(L, c->argv);
  lua_pushcclosure(L, dw_system_open, 2);
  lua_setfield(L, -2, "dewar.system");
  lua_pop(L, 1);
}

static void push_main(lua_State *L) {
  lua_getglobal(L, "require");
  lua_pushliteral(L, "dewar.cli");
  lua_call(L, 1, 1);
  lua_getfield(L, -1, "main");
}

static int run(lua_State *L) {
  command *c = lua_touserdata(L, 1);
  preload_system(L, c);
  push_main(L);
  push_arguments(L, c);
  lua_call(L, 1, 1);
  if (lua_isinteger(L, -1))
    c->status = (int)lua_tointeger(L, -1);
  else if (!lua_isnil(L, -1) && !lua_toboolean(L, -1))
    c->status = EXIT_FAILED;
  return 0;
}

/* The message handler: any value as text, with a traceback. */
static int describe(lua_State *L) {
  luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
  return 1;
}

static int run_protected(lua_State *L) {
  lua_pushcfunction(L, describe);
  lua_pushcfunction(L, run);
  lua_pushvalue(L, 1);
  if (lua_pcall(L, 1, 0, 2) != LUA_OK) return lua_error(L);
  return 0;
}

static void call(lua_State *L, command *c) {
  lua_pushcfunction(L, run_protected);
  lua_pushlightuserdata(L, c);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return;
  const char *text = lua_tostring(L, -1);
  fprintf(stderr, "dewar: %s\n", text ? text : "out of memory");
  lua_pop(L, 1);
  c->status = EXIT_FAILED;
}

static void survive(int number) { (void)number; }

/* A server outlives who reads its log. A handler rather than SIG_IGN, since
 * programs that a script starts would inherit that. */
static void ignore_sigpipe(void) {
  struct sigaction action = {.sa_handler = survive, .sa_flags = SA_RESTART};
  sigemptyset(&action.sa_mask);
  sigaction(SIGPIPE, &action, NULL);
}

/* Where stdin, stdout or stderr is closed, a descriptor of the loop's would
 * take its number, and what is meant for it. */
static void open_standard_files(void) {
  int fd;
  do {
    fd = open("/dev/null", O_RDWR);
  } while (fd >= 0 && fd <= 2);
  if (fd > 2) close(fd);
}

int main(int argc, char **argv) {
  open_standard_files();
  ignore_sigpipe();
  command c = {.argc = argc, .argv = argv};
  dw_stderr_log log;
  dw_stderr_log_init(&log);
  dewar_options options;
  dewar_options_init(&options);
  options.log = dw_stderr_sink;
  options.log_data = &log;
  dewar_runtime *rt;
  int code = dewar_new(&rt, &options);
  if (code < 0) {
    fprintf(stderr, "dewar: %s\n", dewar_strerror(code));
    return EXIT_FAILED;
  }
  call(dewar_lua(rt), &c);
  fflush(stdout);
  dewar_free(rt);
  return c.status;
}
