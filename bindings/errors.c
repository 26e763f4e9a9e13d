/* SPDX-License-Identifier: MIT */
/* Error classes and objects for Lua. A class is a table that is its own
 * __index and the metatable of its objects. The class's own metatable, which
 * scripts can't get at, leads to its parent and holds its dw_error_class: a
 * light userdata for a built-in one, a full userdata for one that a script
 * made. Built-in classes get their tables when they are first asked for. Owner:
 * the script. Thread: the loop's. */
#include "bindings/errors.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "http/tokens.h"

/* Keys in the metatable of a class, by address: its dw_error_class, and its
 * parent's table. */
static const char class_key, parent_key;

/* In the script's table of classes, beside the class tables. */
enum { STATUS_NAME = 1 };

/* A class that a script made. */
typedef struct script_class {
  dw_error_class cls;
  char name[];
} script_class;

/* --- What a value is -------------------------------------------------------
 * None of this allocates: dispatch asks when memory may have run out. */

/* Pushes what the metatable of the table at index has for the key, or pushes
 * nothing where there is no such thing. */
static bool push_private(lua_State *L, int index, const void *key) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return false;
  int type = lua_rawgetp(L, -1, key);
  lua_remove(L, -2);
  if (type == LUA_TNIL) lua_pop(L, 1);
  return type != LUA_TNIL;
}

/* The class behind a class table; NULL: it is none. */
static const dw_error_class *class_at(lua_State *L, int index) {
  if (!push_private(L, index, &class_key)) return NULL;
  const dw_error_class *cls = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return cls;
}

/* Pushes the class table of an error object, or nothing where it is none. */
static bool push_class_of(lua_State *L, int index) {
  if (!lua_istable(L, index) || !lua_getmetatable(L, index)) return false;
  if (class_at(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

static bool is_status(lua_State *L, int index) {
  if (!lua_isinteger(L, index)) return false;
  lua_Integer status = lua_tointeger(L, index);
  return status >= 400 && status <= 599;
}

/* Only what a host's scripts have kept of a runtime that is gone finds none. */
static void push_classes(lua_State *L, const dw_script *s) {
  if (lua_rawgeti(L, LUA_REGISTRYINDEX, s->classes) != LUA_TTABLE)
    luaL_error(L, "Dewar's runtime has been closed");
}

/* Pushes the raw field `status` of the table at index. */
static void push_status(lua_State *L, const dw_script *s, int index) {
  index = lua_absindex(L, index);
  push_classes(L, s);
  lua_rawgeti(L, -1, STATUS_NAME);
  lua_remove(L, -2);
  lua_rawget(L, index);
}

/* What the class table at index and its parents say about the status now: a
 * script may have set it after extend. */
static int status_by_now(lua_State *L, const dw_script *s, int index) {
  int status = 0;
  lua_pushvalue(L, index);
  do {
    push_private(L, -1, &class_key);
    const dw_error_class *cls = lua_touserdata(L, -1);
    bool builtin = lua_islightuserdata(L, -1);
    lua_pop(L, 1);
    if (builtin) {
      status = cls->status;
      break;
    }
    push_status(L, s, -1);
    bool own = !lua_isnil(L, -1);
    if (own && is_status(L, -1)) status = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    if (own || !push_private(L, -1, &parent_key)) break;
    lua_remove(L, -2);
  } while (true);
  lua_pop(L, 1);
  return status;
}

/* The class behind a class table, brought up to date. */
static const dw_error_class *refresh(lua_State *L, const dw_script *s,
                                     int index) {
  push_private(L, index, &class_key);
  bool builtin = lua_islightuserdata(L, -1);
  dw_error_class *cls = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (!builtin) cls->status = status_by_now(L, s, index);
  return cls;
}

const dw_error_class *dw_errors_class(lua_State *L, dw_script *s, int index,
                                      int *status) {
  *status = 0;
  index = lua_absindex(L, index);
  if (!push_class_of(L, index)) return &dw_error_base;
  const dw_error_class *cls = refresh(L, s, lua_gettop(L));
  push_status(L, s, index);
  *status = is_status(L, -1) ? (int)lua_tointeger(L, -1) : cls->status;
  lua_pop(L, 2);
  return cls;
}

const dw_error_class *dw_errors_check_class(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (!class_at(L, index)) return NULL;
  dw_script *s = dw_script_find(L);
  const dw_error_class *cls = refresh(L, s, index);
  push_classes(L, s);
  lua_pushvalue(L, index);
  lua_rawsetp(L, -2, cls);
  lua_pop(L, 1);
  return cls;
}

/* --- Error objects ---------------------------------------------------------*/

/* Raises unless the fields (a table, or nil for none) fit an error. */
static void check_fields(lua_State *L, int index, const char *name) {
  if (lua_isnil(L, index)) return;
  if (!lua_istable(L, index))
    dw_misuse(L, "%s: the fields must be a table, not a %s", name,
              luaL_typename(L, index));
  lua_pushliteral(L, "status");
  if (lua_rawget(L, index) != LUA_TNIL && !is_status(L, -1))
    dw_misuse(L,
              "%s: the status of an error is an integer from 400 to 599, "
              "not %s",
              name, luaL_tolstring(L, -1, NULL));
  lua_pushliteral(L, "message");
  if (lua_rawget(L, index) != LUA_TNIL && lua_type(L, -1) != LUA_TSTRING)
    dw_misuse(L, "%s: the message must be a string, not a %s", name,
              luaL_typename(L, -1));
  lua_pop(L, 2);
}

/* Copies the fields of the table at `from` (nil has none) to that at `to`. */
static void copy_fields(lua_State *L, int from, int to) {
  if (!lua_istable(L, from)) return;
  lua_pushnil(L);
  while (lua_next(L, from)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, to);
  }
}

/* Class(message, fields) */
static int error_new(lua_State *L) {
  const char *name = class_at(L, 1)->name;
  lua_settop(L, 3);
  if (!lua_isnil(L, 2) && lua_type(L, 2) != LUA_TSTRING)
    return dw_misuse(L, "%s: the message must be a string, not a %s", name,
                     luaL_typename(L, 2));
  check_fields(L, 3, name);
  lua_createtable(L, 0, 2);
  copy_fields(L, 3, 4);
  if (!lua_isnil(L, 2)) {
    lua_pushvalue(L, 2);
    lua_setfield(L, 4, "message");
  }
  lua_pushvalue(L, 1);
  lua_setmetatable(L, 4);
  return 1;
}

/* "404 Not Found" for the classes that come with Dewar, as the status says more
 * than their names; "PaymentError" for others. */
static void push_title(lua_State *L, const dw_error_class *cls, int status) {
  dw_slice phrase = dw_status_phrase(status);
  bool builtin = cls == &dw_error_http || cls == dw_error_for_status(status);
  if (builtin && phrase.len > 0) {
    lua_pushfstring(L, "%d ", status);
    lua_pushlstring(L, phrase.ptr, phrase.len);
    lua_concat(L, 2);
  } else {
    lua_pushstring(L, cls->name);
  }
}

static int error_tostring(lua_State *L) {
  int status;
  lua_settop(L, 1);
  const dw_error_class *cls = dw_errors_class(L, dw_script_of(L), 1, &status);
  push_title(L, cls, status);
  size_t len = 0;
  lua_pushliteral(L, ": ");
  if (lua_istable(L, 1) && lua_getfield(L, 1, "message") != LUA_TNIL)
    luaL_tolstring(L, -1, &len);
  if (len == 0) {
    lua_settop(L, 2);
    return 1;
  }
  lua_remove(L, -2);
  lua_concat(L, 3);
  return 1;
}

/* Pushes an object of a built-in class without fields. */
static void push_object(lua_State *L, dw_script *s, const dw_error_class *cls) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_createtable(L, 0, 2);
  dw_errors_push_class(L, s, cls);
  lua_setmetatable(L, -2);
}

void dw_errors_push(lua_State *L, dw_script *s, const dw_error_class *cls,
                    const char *message) {
  push_object(L, s, cls);
  if (!message) return;
  lua_pushstring(L, message);
  lua_setfield(L, -2, "message");
}

int dw_errors_raise(lua_State *L, dw_script *s, const dw_error_class *cls,
                    const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int len = vsnprintf(NULL, 0, format, args);
  va_end(args);
  push_object(L, s, cls);
  if (len >= 0) {
    luaL_Buffer text;
    char *room = luaL_buffinitsize(L, &text, (size_t)len + 1);
    vsnprintf(room, (size_t)len + 1, format, again);
    luaL_pushresultsize(&text, (size_t)len);
    lua_setfield(L, -2, "message");
  }
  va_end(again);
  return lua_error(L);
}

int dw_errors_raise_code(lua_State *L, dw_script *s, int code,
                         const char *what) {
  if (code == DW_ENOMEM) { /* lua_error makes it Lua's own memory error */
    lua_pushliteral(L, "not enough memory");
    return lua_error(L);
  }
  bool late = code == UV_ETIMEDOUT || code == DEWAR_ETIMEOUT;
  push_object(L, s, late ? &dw_error_timeout : &dw_error_base);
  lua_pushfstring(L, "%s: %s", what, dw_strerror(code));
  lua_setfield(L, -2, "message");
  lua_pushstring(L, dw_error_name(code));
  lua_setfield(L, -2, "code");
  return lua_error(L);
}

/* --- Classes ---------------------------------------------------------------*/

static int class_tostring(lua_State *L) {
  lua_pushfstring(L, "error class %s", class_at(L, 1)->name);
  return 1;
}

/* Metamethods are found raw, so a class needs its parent's as its own. */
static void copy_metamethods(lua_State *L, int from, int to) {
  lua_pushnil(L);
  while (lua_next(L, from)) {
    const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    if (strncmp(key, "__", 2) == 0) {
      lua_pushvalue(L, -2);
      lua_insert(L, -2);
      lua_rawset(L, to);
    } else {
      lua_pop(L, 1);
    }
  }
}

/* Makes the table on top a class. Its dw_error_class, a userdata, is below it
 * and is taken away. parent: the index of its table, or 0. */
static void finish_class(lua_State *L, dw_script *s, int parent,
                         const char *name) {
  static const luaL_Reg metamethods[] = {
      {"__call", error_new}, {"__tostring", class_tostring}, {NULL, NULL}};
  int table = lua_gettop(L);
  lua_pushvalue(L, table);
  lua_setfield(L, table, "__index");
  lua_pushstring(L, name);
  lua_setfield(L, table, "__name");

  lua_createtable(L, 0, 8);
  dw_script_register(L, s, metamethods);
  lua_pushliteral(L, "error class");
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__name");
  lua_setfield(L, -2, "__metatable");
  lua_pushvalue(L, table - 1);
  lua_rawsetp(L, -2, &class_key);
  if (parent) {
    lua_pushvalue(L, parent);
    lua_setfield(L, -2, "__index");
    lua_pushvalue(L, parent);
    lua_rawsetp(L, -2, &parent_key);
  }
  lua_setmetatable(L, table);
  lua_remove(L, table - 1);
}

/* What a visitor reads goes with the status, unless the script says more. The
 * class table is on top. */
static void adapt_message(lua_State *L, const dw_error_class *parent,
                          int status) {
  if (status == parent->status) return;
  const char *inherited =
      parent->status ? dw_error_description(parent->status) : "";
  lua_getfield(L, -1, "message");
  const char *message = lua_tostring(L, -1);
  if (!message || strcmp(message, inherited) == 0) {
    lua_pushstring(L, status ? dw_error_description(status) : "");
    lua_setfield(L, -3, "message");
  }
  lua_pop(L, 1);
}

/* Class:extend(name, fields) */
static int class_extend(lua_State *L) {
  dw_script *s = dw_script_of(L);
  if (!class_at(L, 1))
    return dw_misuse(L, "extend is called on an error class, with a colon: "
                        "dewar.Error:extend(name, fields)");
  if (lua_type(L, 2) != LUA_TSTRING || lua_rawlen(L, 2) == 0)
    return dw_misuse(L, "extend: the name of the class comes first, and is a "
                        "string that isn't empty");
  const char *name = lua_tostring(L, 2);
  lua_settop(L, 3);
  check_fields(L, 3, name);

  const dw_error_class *parent = refresh(L, s, 1);
  size_t size = strlen(name) + 1;
  script_class *made = lua_newuserdatauv(L, sizeof *made + size, 0);
  memcpy(made->name, name, size);
  made->cls = (dw_error_class){parent, made->name, parent->status};
  lua_newtable(L);
  copy_metamethods(L, 1, 5);
  lua_pushvalue(L, 2);
  lua_setfield(L, 5, "name");
  copy_fields(L, 3, 5);
  finish_class(L, s, 1, name);
  adapt_message(L, parent, refresh(L, s, 4)->status);
  return 1;
}

/* Class:is(value): whatever has a status is an HTTP error, and one of its
 * status's class, as it is for errorhandler. */
static int class_is(lua_State *L) {
  const dw_error_class *of = class_at(L, 1);
  if (!of)
    return dw_misuse(L, "is is called on an error class, with a colon: "
                        "Class:is(value)");
  lua_settop(L, 2);
  bool is = false;
  if (push_class_of(L, 2)) {
    int status;
    const dw_error_class *cls = dw_errors_class(L, dw_script_of(L), 2, &status);
    is = dw_error_class_is(cls, of);
    if (status && (of == &dw_error_http || of == dw_error_for_status(status)))
      is = true;
  }
  lua_pushboolean(L, is);
  return 1;
}

/* --- The built-in classes --------------------------------------------------*/

static const luaL_Reg of_error[] = {{"__tostring", error_tostring},
                                    {"extend", class_extend},
                                    {"is", class_is},
                                    {NULL, NULL}};

/* Nothing extends Cancelled: it is a message to a task, not a failure. */
static const luaL_Reg of_cancelled[] = {
    {"__tostring", error_tostring}, {"is", class_is}, {NULL, NULL}};

static const char *default_message(const dw_error_class *cls) {
  if (cls->status) return dw_error_description(cls->status);
  if (cls == &dw_error_timeout) return "out of time";
  if (cls == &dw_error_cpu_limit) return "stopped after too long";
  if (cls == &dw_error_cancelled) return "cancelled";
  if (cls == &dw_error_websocket_closed) return "the websocket is closed";
  return "";
}

static void push_new_builtin(lua_State *L, dw_script *s,
                             const dw_error_class *cls) {
  int parent = 0;
  if (cls->parent) {
    dw_errors_push_class(L, s, cls->parent);
    parent = lua_gettop(L);
  }
  lua_pushlightuserdata(L, (void *)(uintptr_t)cls);
  lua_newtable(L);
  if (parent)
    copy_metamethods(L, parent, parent + 2);
  else
    dw_script_register(L, s,
                       cls == &dw_error_cancelled ? of_cancelled : of_error);
  lua_pushstring(L, cls->name);
  lua_setfield(L, -2, "name");
  lua_pushstring(L, default_message(cls));
  lua_setfield(L, -2, "message");
  if (cls->status) {
    lua_pushinteger(L, cls->status);
    lua_setfield(L, -2, "status");
  }
  finish_class(L, s, parent, cls->name);
  if (parent) lua_remove(L, parent);
}

void dw_errors_push_class(lua_State *L, dw_script *s,
                          const dw_error_class *cls) {
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  push_classes(L, s);
  if (lua_rawgetp(L, -1, cls) == LUA_TNIL) {
    lua_pop(L, 1);
    push_new_builtin(L, s, cls);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, -3, cls);
  }
  lua_remove(L, -2);
}

void dw_errors_open(lua_State *L, dw_script *s) {
  static const dw_error_class *const named[] = {&dw_error_base, &dw_error_http,
                                                &dw_error_timeout, &dw_error_cpu_limit,
                                                &dw_error_websocket_closed,
                                                &dw_error_cancelled, NULL};
  lua_newtable(L);
  lua_pushliteral(L, "status");
  lua_rawseti(L, -2, STATUS_NAME);
  s->classes = luaL_ref(L, LUA_REGISTRYINDEX);
  for (const dw_error_class *const *cls = named; *cls; cls++) {
    dw_errors_push_class(L, s, *cls);
    lua_setfield(L, -2, (*cls)->name);
  }
  dw_abort_functions(L, s);
}
