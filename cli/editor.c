/* SPDX-License-Identifier: MIT */
/* Lines of a terminal for `dewar shell`: libedit where the command is built
 * with it. Also Ctrl-C, which interrupts what a line has started. What is
 * static here belongs to the process, as its one terminal and its signals do.
 * Thread: the loop's. */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/system.h"

/* --- Ctrl-C ----------------------------------------------------------------*/

static volatile sig_atomic_t interrupted;
static int interrupt_pipe[2] = {-1, -1};

static void interrupt(int number) {
  int before = errno;
  (void)number;
  interrupted = 1;
  if (write(interrupt_pipe[1], "", 1) < 0) { /* full: it is readable anyway */
  }
  errno = before;
}

/* interrupts([once]) -> a descriptor that is readable when Ctrl-C was pressed,
 * or nil and why. once: the second time ends the process. */
static int interrupts(lua_State *L) {
  if (interrupt_pipe[0] < 0 && pipe(interrupt_pipe) != 0) {
    lua_pushnil(L);
    lua_pushstring(L, strerror(errno));
    return 2;
  }
  for (int i = 0; i < 2; i++) {
    fcntl(interrupt_pipe[i], F_SETFD, FD_CLOEXEC);
    fcntl(interrupt_pipe[i], F_SETFL, O_NONBLOCK);
  }
  struct sigaction action = {.sa_handler = interrupt, .sa_flags = SA_RESTART};
  if (lua_toboolean(L, 1)) action.sa_flags |= (int)SA_RESETHAND;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  lua_pushinteger(L, interrupt_pipe[0]);
  return 1;
}

/* interrupted() -> whether it was, since the last forget() */
static int was_interrupted(lua_State *L) {
  lua_pushboolean(L, interrupted);
  return 1;
}

/* forget(): what was pressed before a line is no interruption of it. */
static int forget(lua_State *L) {
  char bytes[64];
  (void)L;
  interrupted = 0;
  while (read(interrupt_pipe[0], bytes, sizeof bytes) > 0) continue;
  return 0;
}

/* --- Editing ---------------------------------------------------------------*/

#if DEWAR_WITH_LIBEDIT

#include <histedit.h>

#define TYPE "dewar.editor"

enum { HISTORY_MAX = 1000 };
enum { COMPLETE = 1, PATH }; /* user values */

typedef struct editor {
  EditLine *el; /* NULL: closed */
  History *history;
  lua_State *L; /* while a line is read */
  const char *prompt;
  bool interrupted;
} editor;

static editor *editor_of(EditLine *el) {
  void *data = NULL;
  el_get(el, EL_CLIENTDATA, &data);
  return data;
}

static char *prompt_of(EditLine *el) { return (char *)editor_of(el)->prompt; }

static unsigned char interrupt_line(EditLine *el, int key) {
  (void)key;
  editor_of(el)->interrupted = true;
  return CC_NEWLINE;
}

/* complete(text) -> what to insert, or nil, and a text that lists the
 * possibilities, or nil. It stands on the stack, with its argument. */
static unsigned char complete(EditLine *el, int key) {
  editor *e = editor_of(el);
  lua_State *L = e->L;
  const LineInfo *line = el_line(el);
  (void)key;
  int top = lua_gettop(L);
  unsigned char result = CC_ERROR;
  lua_pushvalue(L, 3);
  lua_pushlstring(L, line->buffer, (size_t)(line->cursor - line->buffer));
  if (lua_pcall(L, 1, 2, 0) == LUA_OK) {
    if (lua_type(L, -1) == LUA_TSTRING) {
      printf("\n%s\n", lua_tostring(L, -1));
      fflush(stdout);
      result = CC_REDISPLAY;
    }
    if (lua_type(L, -2) == LUA_TSTRING &&
        el_insertstr(el, lua_tostring(L, -2)) == 0)
      result = result == CC_REDISPLAY ? CC_REDISPLAY : CC_REFRESH;
  }
  lua_settop(L, top);
  return result;
}

static int editor_close(lua_State *L) {
  editor *e = luaL_checkudata(L, 1, TYPE);
  if (e->el) el_end(e->el);
  if (e->history) history_end(e->history);
  e->el = NULL;
  e->history = NULL;
  return 0;
}

static bool open_line(editor *e) {
  HistEvent event;
  e->el = el_init("dewar", stdin, stdout, stderr);
  e->history = history_init();
  if (!e->el || !e->history) return false;
  history(e->history, &event, H_SETSIZE, HISTORY_MAX);
  history(e->history, &event, H_SETUNIQUE, 1);
  el_set(e->el, EL_CLIENTDATA, e);
  el_set(e->el, EL_PROMPT, prompt_of);
  el_set(e->el, EL_EDITOR, "emacs");
  el_set(e->el, EL_HIST, history, e->history);
  el_set(e->el, EL_ADDFN, "dewar-complete", "complete a name", complete);
  el_set(e->el, EL_ADDFN, "dewar-interrupt", "drop the line", interrupt_line);
  el_set(e->el, EL_BIND, "^I", "dewar-complete", NULL);
  el_set(e->el, EL_BIND, "^R", "em-inc-search-prev", NULL);
  el_source(e->el, NULL);
  el_set(e->el, EL_BIND, "^C", "dewar-interrupt", NULL);
  el_set(e->el, EL_SETTY, "-d", "-isig", NULL);
  return true;
}

/* editor(complete, path of the history or nil) */
static int editor_new(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 2);
  editor *e = lua_newuserdatauv(L, sizeof *e, 2);
  memset(e, 0, sizeof *e);
  luaL_setmetatable(L, TYPE);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, COMPLETE);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, PATH);
  setlocale(LC_CTYPE, "");
  if (!open_line(e)) return luaL_error(L, "the terminal can't be used");
  HistEvent event;
  if (lua_isstring(L, 2))
    history(e->history, &event, H_LOAD, lua_tostring(L, 2));
  return 1;
}

/* editor:read(prompt) -> a line without its end; nil at the end of input;
 * false: it was interrupted */
static int editor_read(lua_State *L) {
  editor *e = luaL_checkudata(L, 1, TYPE);
  luaL_checkstring(L, 2);
  if (!e->el) return luaL_error(L, "the editor is closed");
  lua_settop(L, 2);
  lua_getiuservalue(L, 1, COMPLETE);
  luaL_checkstack(L, 8, NULL);
  e->L = L;
  e->prompt = lua_tostring(L, 2);
  e->interrupted = false;
  int len = 0;
  const char *line = el_gets(e->el, &len);
  e->L = NULL;
  if (e->interrupted) {
    el_reset(e->el);
    lua_pushboolean(L, false);
  } else if (!line || len <= 0) {
    lua_pushnil(L);
  } else {
    lua_pushlstring(L, line, (size_t)len - (line[len - 1] == '\n'));
  }
  return 1;
}

/* editor:add(text): to the history, and its file */
static int editor_add(lua_State *L) {
  editor *e = luaL_checkudata(L, 1, TYPE);
  const char *text = luaL_checkstring(L, 2);
  HistEvent event;
  if (!e->history) return 0;
  history(e->history, &event, H_ENTER, text);
  lua_getiuservalue(L, 1, PATH);
  if (lua_isstring(L, -1))
    history(e->history, &event, H_SAVE, lua_tostring(L, -1));
  return 0;
}

static void open_editor(lua_State *L, dw_script *s) {
  static const luaL_Reg methods[] = {{"read", editor_read},
                                     {"add", editor_add},
                                     {"close", editor_close},
                                     {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__close", editor_close}, {"__gc", editor_close}, {NULL, NULL}};
  static const luaL_Reg functions[] = {{"editor", editor_new}, {NULL, NULL}};
  dw_script_type(L, s, TYPE, methods, metamethods);
  dw_script_register(L, s, functions);
}

#else

static void open_editor(lua_State *L, dw_script *s) { (void)L, (void)s; }

#endif

void dw_editor_open(lua_State *L, dw_script *s) {
  static const luaL_Reg functions[] = {{"interrupts", interrupts},
                                       {"interrupted", was_interrupted},
                                       {"forget", forget},
                                       {NULL, NULL}};
  dw_script_register(L, s, functions);
  open_editor(L, s);
}
