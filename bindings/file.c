/* SPDX-License-Identifier: MIT */
/* Files for responses: opening them waits for the pool, so that no disk holds
 * up the loop. What is pleasant about them is lua/dewar/files.lua. */
#include "bindings/file.h"

#include <stdio.h>

#include "app/static.h"
#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/task.h"
#include "runtime.h"

static const char FILE_TYPE[] = "dewar.file_body";

/* --- The object ------------------------------------------------------------*/

dw_lua_file *dw_lua_file_test(lua_State *L, int index) {
  return dw_type_test(L, index, FILE_TYPE);
}

static dw_lua_file *check(lua_State *L) {
  return dw_type_check(L, 1, FILE_TYPE);
}

static dw_lua_file *new_object(lua_State *L) {
  dw_lua_file *o = lua_newuserdatauv(L, sizeof *o, 0);
  *o = (dw_lua_file){.found = {.sibling = -1}};
  dw_type_set(L, FILE_TYPE);
  return o;
}

void dw_lua_file_push(lua_State *L, dw_file *file) {
  new_object(L)->found.file = dw_file_ref(file);
}

static int file_close(lua_State *L) {
  dw_lua_file *o = check(L);
  dw_file_unref(o->found.file);
  o->found.file = NULL;
  return 0;
}

static int file_index(lua_State *L) {
  const dw_file *file = check(L)->found.file;
  const char *name = luaL_checkstring(L, 2);
  if (strcmp(name, "close") == 0)
    lua_pushcfunction(L, file_close);
  else if (!file)
    return dw_misuse(L, "this file is closed");
  else if (strcmp(name, "size") == 0)
    lua_pushinteger(L, (lua_Integer)file->size);
  else if (strcmp(name, "modified") == 0)
    lua_pushinteger(L, (lua_Integer)file->modified);
  else
    return dw_misuse(L, "a file has size, modified and close; got '%s'", name);
  return 1;
}

static int file_tostring(lua_State *L) {
  const dw_file *file = check(L)->found.file;
  if (file)
    lua_pushfstring(L, "dewar.file_body: %I bytes", (LUAI_UACINT)file->size);
  else
    lua_pushliteral(L, "dewar.file_body (closed)");
  return 1;
}

/* --- Searching -------------------------------------------------------------*/

/* A wait for a search; the userdata owns what is found until Lua has it. */
typedef struct waiting {
  dw_lua_file *into;
  dw_file_search *search; /* NULL: over */
  dw_wake wake;
} waiting;

static void found_cb(void *data, dw_file_found *found) {
  waiting *w = data;
  w->search = NULL;
  w->into->found = *found;
  dw_wake_up(w->wake);
}

static void let_go(void *data) {
  waiting *w = data;
  if (w->search) dw_file_search_drop(w->search);
  w->search = NULL;
}

/* The object is at index ctx. */
static int searched_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  lua_settop(L, (int)ctx);
  const dw_lua_file *o = dw_lua_file_test(L, -1);
  if (o->found.file) return 1;
  lua_pushnil(L);
  if (o->found.code == 0)
    lua_pushliteral(L, "folder");
  else
    lua_pushstring(L, dw_error_name(o->found.code));
  lua_pushstring(L, dw_strerror(o->found.code));
  return 3;
}

static int search(lua_State *L, dw_script *s, const dw_file_query *query) {
  dw_wait_check(L, s);
  dw_lua_file *into = new_object(L);
  int object = lua_gettop(L);
  waiting *w = lua_newuserdatauv(L, sizeof *w, 0);
  *w = (waiting){.into = into};
  w->wake = dw_wait_begin(L, s, let_go, w);
  dw_file_found found;
  int code = dw_file_find(&w->search, s->loop, query, &found, found_cb, w);
  if (code != 0) dw_wait_abandon(w->wake);
  if (code < 0) return luaL_error(L, "not enough memory");
  if (code == 0) return dw_wait(L, w->wake, -1, searched_k, object);
  into->found = found;
  return searched_k(L, LUA_OK, object);
}

static dw_slice to_slice(lua_State *L, int index) {
  size_t len;
  const char *text = luaL_checklstring(L, index, &len);
  return dw_slice_of(text, len);
}

static bool has_nul(dw_slice s) { return memchr(s.ptr, '\0', s.len) != NULL; }

/* open_file(path) -> file, or nil, "ENOENT", "no such file or directory" */
static int open_file(lua_State *L) {
  dw_file_query query = {
      .root = DW_EMPTY, .path = to_slice(L, 1), .index = DW_EMPTY};
  if (has_nul(query.path)) return dw_misuse(L, "a path has no NUL in it");
  return search(L, dw_script_of(L), &query);
}

/* is_file(path): a regular file, found without waiting, for what may not wait */
static int is_file(lua_State *L) {
  uv_fs_t r;
  dw_slice path = to_slice(L, 1);
  bool is = !has_nul(path) && uv_fs_stat(NULL, &r, path.ptr, NULL) == 0 &&
            S_ISREG(r.statbuf.st_mode);
  if (!has_nul(path)) uv_fs_req_cleanup(&r);
  lua_pushboolean(L, is);
  return 1;
}

/* find_file(root, path [, index [, accept_encoding]]) -> as open_file; a path
 * that leaves the root, or tries to, is ENOENT; "folder": its index is below */
static int find_file(lua_State *L) {
  dw_file_query query = {
      .root = to_slice(L, 1), .path = to_slice(L, 2), .index = DW_EMPTY};
  if (!lua_isnoneornil(L, 3)) query.index = to_slice(L, 3);
  if (!lua_isnoneornil(L, 4)) {
    query.siblings = dw_sibling_suffixes;
    query.wanted = dw_siblings_wanted(to_slice(L, 4));
  }
  if (has_nul(query.root)) return dw_misuse(L, "a path has no NUL in it");
  if (dw_path_is_below(query.path)) return search(L, dw_script_of(L), &query);
  lua_pushnil(L);
  lua_pushstring(L, dw_error_name(UV_ENOENT));
  lua_pushstring(L, dw_strerror(UV_ENOENT));
  return 3;
}

/* adopt_file(handle) -> file: what io.open gives, from where it stands */
static int adopt_file(lua_State *L) {
  dw_script *s = dw_script_of(L);
  luaL_Stream *stream = luaL_checkudata(L, 1, LUA_FILEHANDLE);
  if (!stream->closef) return dw_misuse(L, "send_file: this file is closed");
  dw_lua_file *o = new_object(L);
  fflush(stream->f);
  long at = ftell(stream->f);
  int code = at < 0 ? UV_EINVAL
                    : dw_file_adopt(&o->found.file, s->alloc, fileno(stream->f),
                                    (uint64_t)at);
  if (code == UV_EINVAL)
    return dw_misuse(L, "send_file: this is no regular file; return an "
                        "iterator that reads it instead");
  if (code < 0) return dw_errors_raise_code(L, s, code, "send_file");
  return 1;
}

/* --- Types -----------------------------------------------------------------*/

static const char *find_type(lua_State *L) {
  dw_script *s = dw_script_of(L);
  if (lua_type(L, 1) != LUA_TSTRING)
    dw_misuse(L, "guess_type takes a file's name; got a %s",
              luaL_typename(L, 1));
  return s->runtime ? dw_mime_find(&s->runtime->mime, to_slice(L, 1)) : NULL;
}

/* content_type(name) -> "text/css; charset=utf-8" or nil */
static int content_type(lua_State *L) {
  lua_pushstring(L, find_type(L));
  return 1;
}

/* guess_type(name) -> "text/css" or nil */
static int guess_type(lua_State *L) {
  const char *type = find_type(L);
  if (type)
    lua_pushlstring(L, type, strcspn(type, ";"));
  else
    lua_pushnil(L);
  return 1;
}

/* --- Views of C's ----------------------------------------------------------*/

dw_handler *dw_static_view_new(lua_State *L, dw_script *s, int index) {
  dw_static_options o = {.mime = &s->runtime->mime};
  int top = lua_gettop(L);
  lua_getfield(L, index, "root");
  o.root = to_slice(L, -1);
  lua_getfield(L, index, "index");
  o.index = lua_isstring(L, -1) ? to_slice(L, -1) : DW_EMPTY;
  lua_getfield(L, index, "precompressed");
  o.precompressed = lua_toboolean(L, -1);
  lua_getfield(L, index, "max_age");
  o.max_age = lua_isnil(L, -1) ? DW_AGE_OF_APP : (int64_t)lua_tonumber(L, -1);
  dw_handler *h;
  if (dw_static_new(&h, s->alloc, &o) < 0) luaL_error(L, "not enough memory");
  lua_settop(L, top);
  return h;
}

/* --- Opening ---------------------------------------------------------------*/

void dw_files_open(lua_State *L, dw_script *s) {
  static const luaL_Reg metamethods[] = {{"__index", file_index},
                                         {"__tostring", file_tostring},
                                         {"__gc", file_close},
                                         {"__close", file_close},
                                         {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"open_file", open_file},   {"find_file", find_file},     {"is_file", is_file},
      {"adopt_file", adopt_file}, {"content_type", content_type},
      {"guess_type", guess_type}, {NULL, NULL}};
  dw_script_type(L, s, FILE_TYPE, NULL, metamethods);
  dw_script_register(L, s, functions);
}
