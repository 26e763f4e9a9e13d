/* SPDX-License-Identifier: MIT */
/* The Lua side of a runtime: one per lua_State, found by every binding as its
 * first upvalue. Owner: the runtime; anchored in the registry. Thread: the
 * loop's. */
#ifndef DW_BINDINGS_SCRIPT_H
#define DW_BINDINGS_SCRIPT_H

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "base/buffer.h"
#include "base/list.h"
#include "base/loop.h"

typedef struct dw_script dw_script;
typedef struct dw_task dw_task;
typedef struct dw_work_pool dw_work_pool;

enum { DW_OWN_MAX = 512 };

struct dw_script {
  lua_State *L; /* the main thread */
  struct dewar_runtime *runtime;
  dw_loop *loop;
  dw_allocator *alloc;
  dw_log *log;
  dw_task *current; /* the running task, NULL outside any */
  dw_task *root;    /* stands for code outside any task */
  int slots;        /* registry: the anchors of tasks, see task.h */
  dw_list apps;     /* every dw_lua_app */
  dw_list clients;  /* client.c's own */
  dw_list handles;  /* what is open, see offload.h */
  int classes;      /* registry: class tables by dw_error_class pointer */
  dw_buffer scratch; /* for building text; empty between uses */
  struct dw_tasks *tasks; /* task.c's own */
  dw_work_pool *work;     /* work.c's own; NULL: closed */
  struct dw_watchdog *watchdog; /* NULL: no limits */
  lua_State *ending; /* the generator whose yield is to raise, see response.h */
  struct dw_lua_log *lua_log; /* log.c's own */
  struct dw_luv *luv;         /* luv.c's own; NULL: nobody has asked for it */
  struct dw_warnings *warnings; /* where lua_warning goes; NULL: the host's */
  int module; /* registry: the module table */
  int saved;  /* registry: what preload.c has replaced */
  int loaded; /* registry: the Lua app that was loaded */
  int request_type; /* registry: the metatable of requests */
  char own[DW_OWN_MAX]; /* what the chunks of our Lua files begin with, or "" */
  bool owns_lua;
  bool closing;
  bool ending_lua; /* the state is being closed by somebody else */
};

/* A script that is all zero but for L, the main thread. It is a full
 * userdata: the registry and every function made below keep it, so that one
 * which is called after the runtime has gone finds tasks NULL, not freed
 * memory. Raises. */
dw_script *dw_script_new(lua_State *L);
/* The registry lets go of it: from now on the state has no script. */
void dw_script_forget(dw_script *s);

/* In a C function that was registered by dw_script_register. */
#define dw_script_of(L) ((dw_script *)lua_touserdata(L, lua_upvalueindex(1)))
/* Anywhere else (a registry lookup); NULL without a runtime on this state. */
dw_script *dw_script_find(lua_State *L);

/* Pushes the script's userdata (a light one where the registry has let go). */
void dw_script_push_self(lua_State *L, dw_script *s);
/* Pushes a C function with the script as its upvalue 1. */
void dw_script_push(lua_State *L, dw_script *s, lua_CFunction fn);
/* luaL_setfuncs into the table on top, the script as upvalue 1 of each. */
void dw_script_register(lua_State *L, dw_script *s, const luaL_Reg *functions);
/* A new type: metatable `name` with the methods as __index (a table) and
 * metamethods; all have the script as upvalue 1. Leaves nothing. */
void dw_script_type(lua_State *L, dw_script *s, const char *name,
                    const luaL_Reg *methods, const luaL_Reg *metamethods);
/* The userdata at index if it is of a type, else NULL; a check raises instead.
 * The name is the very one that the type was made with: its address finds the
 * type quicker than its letters do. */
void *dw_type_test(lua_State *L, int index, const char *name);
void *dw_type_check(lua_State *L, int index, const char *name);
/* Makes the userdata on top one of the type. */
void dw_type_set(lua_State *L, const char *name);

/* own_files(), called by dewar/init.lua: where Dewar's own Lua files are. */
int dw_own_files(lua_State *L);
/* Whether a call, of which "S" is known, is one of a function in these. */
bool dw_is_own(const dw_script *s, const lua_Debug *ar);
/* Raises at the line of Lua that called the misused function, the first one on
 * the way out (a pcall in between is passed over) that is not Dewar's own. */
int dw_misuse(lua_State *L, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* For an option table: raises on a key that is not in the NULL-ended list,
 * naming the nearest one that is: "unknown option 'methds'; did you mean
 * 'methods'?". nil and none are allowed. */
void dw_check_options(lua_State *L, int index, const char *const *names);
/* The nearest of the names, or NULL if none is near. */
const char *dw_nearest(const char *word, const char *const *names);
/* The same among the names and the string keys of the table at index; pushes
 * a value. */
const char *dw_nearest_key(lua_State *L, int index, const char *word,
                           const char *const *names);

/* --- Fields that are written in Lua ----------------------------------------*/

/* A type's metatable keeps them in __fields, its table of methods: a field is a
 * table { get = f(object), set = f(object, value) }. Copies what the table at
 * index 1 has into that of the type; a function of the module. */
int dw_fields_define(lua_State *L, const char *type);
/* Calls set of the field whose name is at 2, with the object at 1 and the value
 * at 3; false: there is none. fields is the index of the type's table. */
bool dw_fields_set(lua_State *L, int fields);

#endif
