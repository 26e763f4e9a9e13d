/* SPDX-License-Identifier: MIT */
/* core.log: records from Lua, and a sink in Lua for all records, those of C
 * included. The sink runs on a coroutine of its own, since a record may come
 * from anywhere: from the midst of a request, from a callback of the loop, from
 * a finalizer. It can't wait. Where it fails, or logs itself, the sink that was
 * there before it gets the record. Thread: the loop's. */
#include "bindings/log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/exchange.h"
#include "base/error.h"
#include "bindings/task.h"

/* Anchored in the registry by its address. */
struct dw_lua_log {
  dw_log *log;
  dewar_log_cb sink; /* the one of C */
  void *sink_data;
  lua_State *co; /* the sink runs here; anchored as user value 1 */
  bool set;      /* there is a sink in Lua: user value 2 */
  bool inside;   /* it is running */
};
typedef struct dw_lua_log dw_lua_log;

/* --- Levels ----------------------------------------------------------------*/

static const char *const level_names[] = {"debug", "info", "warn", "error",
                                          NULL};
static const int levels[] = {DEWAR_DEBUG, DEWAR_INFO, DEWAR_WARN, DEWAR_ERROR};

static const char *level_name(int level) {
  int i = 3;
  while (i > 0 && level < levels[i]) i--;
  return level_names[i];
}

/* --- A sink in Lua ---------------------------------------------------------*/

typedef struct record {
  dw_lua_log *to;
  int level;
  const char *text;
  const dewar_log_field *fields;
  size_t count;
} record;

static void push_field(lua_State *L, const dewar_log_field *f) {
  if (f->is_number && strcmp(f->value, "true") == 0)
    lua_pushboolean(L, true);
  else if (f->is_number && strcmp(f->value, "false") == 0)
    lua_pushboolean(L, false);
  else if (!f->is_number || lua_stringtonumber(L, f->value) == 0)
    lua_pushstring(L, f->value);
}

static int call_sink(lua_State *L) {
  const record *r = lua_touserdata(L, 1);
  lua_rawgetp(L, LUA_REGISTRYINDEX, r->to);
  lua_getiuservalue(L, -1, 2);
  lua_pushstring(L, level_name(r->level));
  lua_pushstring(L, r->text);
  lua_createtable(L, 0, (int)r->count);
  for (size_t i = 0; i < r->count; i++) {
    push_field(L, &r->fields[i]);
    lua_setfield(L, -2, r->fields[i].name);
  }
  lua_call(L, 3, 0);
  return 0;
}

static void to_c(const dw_lua_log *to, const record *r) {
  if (to->sink) to->sink(to->sink_data, r->level, r->text, r->fields, r->count);
}

static void report_failure(const dw_lua_log *to, const char *why) {
  char text[512];
  snprintf(text, sizeof text, "log.sink failed: %s",
           why ? why : "with an error that is no string");
  to_c(to, &(record){.level = DEWAR_ERROR, .text = text});
}

static void lua_sink(void *data, int level, const char *text,
                     const dewar_log_field *fields, size_t count) {
  dw_lua_log *to = data;
  record r = {to, level, text, fields, count};
  if (to->inside || !lua_checkstack(to->co, 4)) {
    to_c(to, &r);
    return;
  }
  to->inside = true;
  lua_pushcfunction(to->co, call_sink);
  lua_pushlightuserdata(to->co, &r);
  if (lua_pcall(to->co, 1, 0, 0) != LUA_OK) {
    report_failure(to, lua_tostring(to->co, -1));
    to_c(to, &r);
  }
  lua_settop(to->co, 0);
  to->inside = false;
}

static void use_sink(dw_lua_log *to, bool lua) {
  to->set = lua;
  to->log->sink = lua ? lua_sink : to->sink;
  to->log->data = lua ? to : to->sink_data;
}

/* --- Records from Lua ------------------------------------------------------*/

static int by_name(const void *a, const void *b) {
  const dewar_log_field *x = a, *y = b;
  return strcmp(x->name, y->name);
}

/* The text of the value on top, which it replaces. */
static void read_value(lua_State *L, const char *function,
                       dewar_log_field *field) {
  int type = lua_type(L, -1);
  if (type != LUA_TSTRING && type != LUA_TNUMBER && type != LUA_TBOOLEAN)
    dw_misuse(L,
              "%s: the field '%.64s' is a %s; a field is a string, a number or "
              "a boolean",
              function, field->name, luaL_typename(L, -1));
  field->is_number = type == LUA_TBOOLEAN ||
                     (type == LUA_TNUMBER && isfinite(lua_tonumber(L, -1)));
  field->value = luaL_tolstring(L, -1, NULL);
  lua_remove(L, -2);
}

/* Pushes what the fields of the table at index live in. There is room for one
 * more. */
static dewar_log_field *read_fields(lua_State *L, const char *function,
                                    int index, size_t *count) {
  size_t room = 1;
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) room++;
  dewar_log_field *fields = lua_newuserdatauv(L, room * sizeof *fields + 1, 0);
  lua_createtable(L, (int)room, 0); /* keeps the texts of values */
  int texts = lua_gettop(L);
  size_t n = 0;
  for (lua_pushnil(L); lua_next(L, index);) {
    if (lua_type(L, -2) != LUA_TSTRING)
      dw_misuse(L, "%s: the name of a field must be a string, not a %s",
                function, luaL_typename(L, -2));
    fields[n].name = lua_tostring(L, -2);
    read_value(L, function, &fields[n++]);
    lua_rawseti(L, texts, (lua_Integer)n);
  }
  qsort(fields, n, sizeof *fields, by_name);
  *count = n;
  return fields;
}

/* Adds the name of the request that the running task works for, unless there
 * is a field of that name. */
static void add_id(const dw_script *s, dewar_log_field *fields, size_t *count) {
  const dw_exchange *x = s->current ? s->current->context.exchange : NULL;
  for (size_t i = 0; i < *count; i++)
    if (strcmp(fields[i].name, "request_id") == 0) return;
  if (x) *count += dw_exchange_log_fields(x, fields + *count);
}

static int write(lua_State *L, int level, const char *function) {
  dw_script *s = dw_script_of(L);
  lua_settop(L, 2);
  if (lua_isnil(L, 1))
    return dw_misuse(L, "%s: the text comes first, and is missing", function);
  if (!lua_isnil(L, 2) && !lua_istable(L, 2))
    return dw_misuse(L, "%s: the fields must be a table, not a %s", function,
                     luaL_typename(L, 2));
  if (!s->lua_log || !dw_log_on(s->log, level)) return 0;
  const char *text = luaL_tolstring(L, 1, NULL);
  size_t count = 0;
  dewar_log_field one, *fields = &one;
  if (!lua_isnil(L, 2)) fields = read_fields(L, function, 2, &count);
  add_id(s, fields, &count);
  dw_log_write(s->log, level, text, fields, count);
  return 0;
}

static int debug(lua_State *L) { return write(L, DEWAR_DEBUG, "log.debug"); }
static int info(lua_State *L) { return write(L, DEWAR_INFO, "log.info"); }
static int warn(lua_State *L) { return write(L, DEWAR_WARN, "log.warn"); }
static int error(lua_State *L) { return write(L, DEWAR_ERROR, "log.error"); }

/* --- Settings --------------------------------------------------------------*/

static int set_sink(lua_State *L, dw_lua_log *log) {
  if (!lua_isnil(L, 3) && !lua_isfunction(L, 3))
    return dw_misuse(L,
                     "log.sink must be a function(level, text, fields), or "
                     "nil, not a %s",
                     luaL_typename(L, 3));
  lua_rawgetp(L, LUA_REGISTRYINDEX, log);
  lua_pushvalue(L, 3);
  lua_setiuservalue(L, -2, 2);
  use_sink(log, !lua_isnil(L, 3));
  return 0;
}

/* The index of the string at 3 in a list of names; raises where it is none. */
static int check_choice(lua_State *L, const char *what,
                        const char *const *names, const char *list) {
  const char *text = lua_type(L, 3) == LUA_TSTRING ? lua_tostring(L, 3) : "";
  for (int i = 0; names[i]; i++)
    if (strcmp(text, names[i]) == 0) return i;
  return dw_misuse(L, "%s must be %s, not %s", what, list,
                   luaL_tolstring(L, 3, NULL));
}

static int set_format(lua_State *L, const dw_lua_log *log) {
  static const char *const names[] = {"text", "json", NULL};
  int i = check_choice(L, "log.format", names, "\"text\" or \"json\"");
  if (log->sink != dw_stderr_sink)
    return dw_misuse(L, "log.format can't be set here, as it is the host that "
                        "writes the log");
  dw_stderr_log *to = log->sink_data;
  to->json = i == 1;
  return 0;
}

static dw_lua_log *check_log(lua_State *L) {
  dw_lua_log *log = dw_script_of(L)->lua_log;
  if (!log) dw_misuse(L, "Dewar's runtime has been closed");
  return log;
}

static int log_newindex(lua_State *L) {
  dw_lua_log *log = check_log(L);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  if (strcmp(key, "sink") == 0) return set_sink(L, log);
  if (strcmp(key, "format") == 0) return set_format(L, log);
  if (strcmp(key, "level") == 0) {
    int i = check_choice(L, "log.level", level_names,
                         "\"debug\", \"info\", \"warn\" or \"error\"");
    log->log->level = levels[i];
    return 0;
  }
  return dw_misuse(L, "log has no setting '%s'; there are: sink, level, format",
                   luaL_tolstring(L, 2, NULL));
}

static int log_index(lua_State *L) {
  dw_lua_log *log = check_log(L);
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  bool own = log->sink == dw_stderr_sink;
  lua_pushnil(L);
  if (strcmp(key, "sink") == 0) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, log);
    lua_getiuservalue(L, -1, 2);
  } else if (strcmp(key, "level") == 0) {
    lua_pushstring(L, level_name(log->log->level));
  } else if (strcmp(key, "format") == 0 && own) {
    dw_stderr_log *to = log->sink_data;
    lua_pushstring(L, to->json ? "json" : "text");
  }
  return 1;
}

/* --- Opening ---------------------------------------------------------------*/

void dw_log_open(lua_State *L, dw_script *s) {
  static const luaL_Reg functions[] = {{"debug", debug},
                                       {"info", info},
                                       {"warn", warn},
                                       {"error", error},
                                       {NULL, NULL}};
  static const luaL_Reg metamethods[] = {
      {"__index", log_index}, {"__newindex", log_newindex}, {NULL, NULL}};
  dw_lua_log *log = lua_newuserdatauv(L, sizeof *log, 2);
  *log = (dw_lua_log){
      .log = s->log, .sink = s->log->sink, .sink_data = s->log->data};
  log->co = lua_newthread(L);
  lua_setiuservalue(L, -2, 1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, log);
  s->lua_log = log;
  lua_newtable(L);
  dw_script_register(L, s, functions);
  lua_newtable(L);
  dw_script_register(L, s, metamethods);
  lua_setmetatable(L, -2);
  lua_setfield(L, -2, "log");
}

void dw_log_close(dw_script *s) {
  dw_lua_log *log = s->lua_log;
  if (!log) return;
  use_sink(log, false);
  s->lua_log = NULL;
  if (!lua_checkstack(s->L, 1)) return;
  lua_pushnil(s->L);
  lua_rawsetp(s->L, LUA_REGISTRYINDEX, log);
}

/* --- To stderr -------------------------------------------------------------*/

void dw_stderr_log_init(dw_stderr_log *log) {
  *log = (dw_stderr_log){.json = false};
  dw_allocator_init(&log->alloc, NULL, NULL);
}

void dw_stderr_sink(void *data, int level, const char *text,
                    const dewar_log_field *fields, size_t count) {
  dw_stderr_log *log = data;
  dw_buffer line;
  dw_buffer_init(&line, &log->alloc, 0);
  int code = log->json ? dw_log_format_json(&line, level, text, fields, count)
                       : dw_log_format_text(&line, level, text, fields, count);
  if (code == 0) fwrite(line.ptr, 1, line.len, stderr);
  dw_buffer_deinit(&line);
}

dw_stderr_log *dw_stderr_log_new(lua_State *L) {
  dw_stderr_log *log = lua_newuserdatauv(L, sizeof *log, 0);
  dw_stderr_log_init(log);
  lua_rawsetp(L, LUA_REGISTRYINDEX, log);
  return log;
}

/* --- Lua's warnings --------------------------------------------------------*/

struct dw_warnings {
  dw_log *log;
  dw_buffer text; /* of a warning that comes in pieces */
};

enum { WARNING_MAX = 4096 };

static void warned(void *data, const char *piece, int more) {
  dw_warnings *w = data;
  bool first = w->text.len == 0;
  /* A control message, such as "@on". */
  if (first && !more && piece[0] == '@') return;
  dw_buffer_append(&w->text, piece, strlen(piece));
  if (more) return;
  dw_logf(w->log, DEWAR_WARN, "%.*s", DW_FMT(dw_buffer_slice(&w->text)));
  w->text.len = 0;
}

void dw_warnings_open(lua_State *L, dw_script *s) {
  dw_warnings *w = dw_alloc(s->alloc, sizeof *w);
  if (!w) luaL_error(L, "not enough memory");
  w->log = s->log;
  dw_buffer_init(&w->text, s->alloc, WARNING_MAX);
  s->warnings = w;
  lua_setwarnf(L, warned, w);
}

void dw_warnings_free(dw_warnings *w) {
  if (!w) return;
  dw_allocator *a = w->text.alloc;
  dw_buffer_deinit(&w->text);
  dw_free(a, w, sizeof *w);
}
