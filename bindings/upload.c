/* SPDX-License-Identifier: MIT */
/* A file of a form: what its part's head said, and its content, which lies in
 * the spool of the request's reader and goes with that. What has to wait for
 * the disk does so in the pool; its job is in a box on the coroutine's stack,
 * whose finalizer drops it whatever happens. Thread: the loop's. */
#include "bindings/reader.h"

#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/values.h"

static const char FILE_TYPE[] = "dewar.file";
static const char JOB_TYPE[] = "dewar.file_job";

enum { CHUNK = 64 * 1024 };

typedef struct file {
  dw_extent content;
} file;

/* --- Jobs ------------------------------------------------------------------*/

typedef struct box {
  dw_spool_job *job;
  dw_wake wake;
} box;

static void drop(void *data) {
  box *b = data;
  dw_spool_job_drop(b->job);
  b->job = NULL;
}

static void ended_cb(void *data) {
  box *b = data;
  dw_wake_up(b->wake);
}

static box *push_box(lua_State *L) {
  box *b = lua_newuserdatauv(L, sizeof *b, 0);
  b->job = NULL;
  dw_type_set(L, JOB_TYPE);
  return b;
}

static int box_gc(lua_State *L) {
  drop(lua_touserdata(L, 1));
  return 0;
}

/* Waits for the job that was started with that code. */
static int wait(lua_State *L, box *b, int code, lua_KFunction k) {
  if (code == 0) return dw_wait(L, b->wake, -1, k, (lua_KContext)b);
  dw_wait_abandon(b->wake);
  return luaL_error(L, "not enough memory");
}

/* --- The object ------------------------------------------------------------*/

static file *check(lua_State *L) { return dw_type_check(L, 1, FILE_TYPE); }

/* Its request's spool; raises where that is over. */
static dw_spool *check_spool(lua_State *L) {
  dw_exchange *x = dw_part_exchange(L, 1);
  return ((dw_reader *)x->body_data)->spool;
}

static dw_script *script_of(lua_State *L) {
  dw_exchange *x = dw_part_exchange(L, 1);
  return ((dw_task *)x->script)->script;
}

static int raise_read(lua_State *L, int code) {
  return dw_errors_raise_code(L, dw_script_find(L), code,
                              "reading an uploaded file");
}

/* --- Reading ---------------------------------------------------------------*/

static void start_read(lua_State *L, box *b, dw_extent extent, int *code) {
  b->wake = dw_wait_begin(L, script_of(L), drop, b);
  dw_wait_name(b->wake, "reading a file");
  *code = dw_spool_read(check_spool(L), extent, ended_cb, b, &b->job);
}

static int read_k(lua_State *L, int status, lua_KContext ctx) {
  box *b = (box *)ctx;
  (void)status;
  if (b->job->code < 0) return raise_read(L, b->job->code);
  lua_pushlstring(L, b->job->bytes ? b->job->bytes : "",
                  (size_t)b->job->extent.len);
  drop(b);
  return 1;
}

static int file_read(lua_State *L) {
  const file *f = check(L);
  const char *bytes = dw_spool_bytes(check_spool(L), f->content);
  int code;
  if (bytes || f->content.len == 0) {
    lua_pushlstring(L, bytes ? bytes : "", (size_t)f->content.len);
    return 1;
  }
  box *b = push_box(L);
  start_read(L, b, f->content, &code);
  return wait(L, b, code, read_k);
}

/* --- Piece by piece --------------------------------------------------------*/

/* Upvalues of the iterator: the file, the size of a piece, the place. */
static void advance(lua_State *L, size_t len) {
  lua_pushinteger(L, lua_tointeger(L, lua_upvalueindex(3)) + (lua_Integer)len);
  lua_replace(L, lua_upvalueindex(3));
}

static int chunk_k(lua_State *L, int status, lua_KContext ctx) {
  size_t len = (size_t)((box *)ctx)->job->extent.len;
  int n = read_k(L, status, ctx);
  advance(L, len);
  return n;
}

static int next_chunk(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  const file *f = check(L);
  dw_extent piece = {(uint64_t)lua_tointeger(L, lua_upvalueindex(2)), 0};
  uint64_t most = piece.at,
           at = (uint64_t)lua_tointeger(L, lua_upvalueindex(3));
  int code;
  if (at == f->content.len) {
    lua_pushnil(L);
    return 1;
  }
  piece.at = f->content.at + at;
  piece.len = f->content.len - at < most ? f->content.len - at : most;
  const char *bytes = dw_spool_bytes(check_spool(L), piece);
  if (bytes) {
    lua_pushlstring(L, bytes, (size_t)piece.len);
    advance(L, (size_t)piece.len);
    return 1;
  }
  box *b = push_box(L);
  start_read(L, b, piece, &code);
  return wait(L, b, code, chunk_k);
}

static int file_chunks(lua_State *L) {
  lua_Integer size = CHUNK;
  check(L);
  check_spool(L);
  if (!lua_isnoneornil(L, 2)) {
    size = lua_isinteger(L, 2) ? lua_tointeger(L, 2) : 0;
    if (size < 1)
      return dw_misuse(L, "chunks: the size of a piece is a positive whole "
                          "number of bytes");
  }
  lua_pushvalue(L, 1);
  lua_pushinteger(L, size);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_chunk, 3);
  return 1;
}

/* --- Saving ----------------------------------------------------------------*/

static int save_k(lua_State *L, int status, lua_KContext ctx) {
  box *b = (box *)ctx;
  int code = b->job->code;
  (void)status;
  drop(b);
  if (code == 0) return 0;
  lua_pushfstring(L, "saving a file as '%s'", lua_tostring(L, 2));
  return dw_errors_raise_code(L, dw_script_find(L), code, lua_tostring(L, -1));
}

static int file_save(lua_State *L) {
  const file *f = check(L);
  size_t len;
  lua_settop(L, 2);
  if (lua_type(L, 2) != LUA_TSTRING)
    return dw_misuse(L, "save takes the path of a file; got a %s",
                     luaL_typename(L, 2));
  const char *path = lua_tolstring(L, 2, &len);
  if (len == 0 || strlen(path) < len)
    return dw_misuse(L, "save: a path is not empty, and has no NUL in it");
  dw_spool *spool = check_spool(L);
  box *b = push_box(L);
  b->wake = dw_wait_begin(L, script_of(L), drop, b);
  dw_wait_name(b->wake, "saving a file");
  int code = dw_spool_save(spool, f->content, path, ended_cb, b, &b->job);
  return wait(L, b, code, save_k);
}

/* --- Opening ---------------------------------------------------------------*/

static int file_tostring(lua_State *L) {
  const file *f = check(L);
  size_t len;
  lua_getiuservalue(L, 1, 1);
  lua_getfield(L, -1, "filename");
  const char *name = lua_tolstring(L, -1, &len);
  lua_pushstring(L, FILE_TYPE);
  lua_pushliteral(L, ": ");
  dw_push_quoted(L, dw_slice_of(name, len));
  lua_pushfstring(L, ", %I bytes", (lua_Integer)f->content.len);
  lua_concat(L, 4);
  return 1;
}

static const luaL_Reg methods[] = {{"read", file_read},
                                   {"chunks", file_chunks},
                                   {"save", file_save},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__tostring", file_tostring},
                                       {NULL, NULL}};

static const char *const names[] = {"name",   "filename", "content_type",
                                    "size",   "headers",  "read",
                                    "chunks", "save",     NULL};

static const dw_part_type type = {FILE_TYPE, "a file", names, methods,
                                  metamethods};

void dw_upload_push(lua_State *L, const dw_upload *u) {
  file *f = lua_newuserdatauv(L, sizeof *f, 2);
  f->content = u->content;
  dw_part_begin(L, &type);
  dw_part_set(L, "name", u->name);
  dw_part_set(L, "filename", u->filename);
  if (u->has_content_type) dw_part_set(L, "content_type", u->content_type);
  dw_part_set_headers(L, u->headers, u->nheaders);
  lua_pushinteger(L, (lua_Integer)u->content.len);
  lua_setfield(L, -2, "size");
  dw_part_end(L);
}

void dw_upload_open(lua_State *L, dw_script *s) {
  static const luaL_Reg job[] = {{"__gc", box_gc}, {NULL, NULL}};
  dw_part_open(L, s, &type);
  dw_script_type(L, s, JOB_TYPE, NULL, job);
}
