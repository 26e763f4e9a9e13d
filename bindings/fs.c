/* SPDX-License-Identifier: MIT */
/* core.disk: what is done with paths, each one call of the system's on a thread
 * of the pool. What is pleasant about it is lua/dewar/fs.lua. Thread: the
 * loop's, but for run. */
#include "bindings/fs.h"

#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "bindings/offload.h"

enum kind {
  STAT,
  LSTAT,
  SCAN,
  MKDIR,
  RMDIR,
  UNLINK,
  RENAME,
  COPY,
  MKDTEMP,
  REALPATH,
  SYMLINK,
  READLINK,
  CHMOD
};

static const char *const names[] = {
    "stat", "lstat",   "readdir",  "mkdir",   "rmdir",    "unlink", "rename",
    "copy", "mkdtemp", "realpath", "symlink", "readlink", "chmod",
};

typedef struct path_call {
  dw_offload base;
  uv_fs_t req;
  enum kind kind;
  int number; /* a mode, or flags */
  const char *path, *to;
  char text[];
} path_call;

static path_call *of(dw_offload *o) { return DW_CONTAINER(o, path_call, base); }

/* --- In the pool -----------------------------------------------------------*/

static int perform(path_call *c) {
  uv_fs_t *r = &c->req;
  switch (c->kind) {
  case STAT:
    return uv_fs_stat(NULL, r, c->path, NULL);
  case LSTAT:
    return uv_fs_lstat(NULL, r, c->path, NULL);
  case SCAN:
    return uv_fs_scandir(NULL, r, c->path, 0, NULL);
  case MKDIR:
    return uv_fs_mkdir(NULL, r, c->path, c->number, NULL);
  case RMDIR:
    return uv_fs_rmdir(NULL, r, c->path, NULL);
  case UNLINK:
    return uv_fs_unlink(NULL, r, c->path, NULL);
  case RENAME:
    return uv_fs_rename(NULL, r, c->path, c->to, NULL);
  case COPY:
    return uv_fs_copyfile(NULL, r, c->path, c->to, c->number, NULL);
  case MKDTEMP:
    return uv_fs_mkdtemp(NULL, r, c->path, NULL);
  case REALPATH:
    return uv_fs_realpath(NULL, r, c->path, NULL);
  case SYMLINK:
    return uv_fs_symlink(NULL, r, c->to, c->path, 0, NULL);
  case READLINK:
    return uv_fs_readlink(NULL, r, c->path, NULL);
  case CHMOD:
    return uv_fs_chmod(NULL, r, c->path, c->number, NULL);
  }
  return UV_EINVAL;
}

static void run(dw_offload *o) { o->code = perform(of(o)); }

static void deinit(dw_offload *o) { uv_fs_req_cleanup(&of(o)->req); }

/* --- Results ---------------------------------------------------------------*/

static const char *type_of_mode(uint64_t mode) {
  switch (mode & S_IFMT) {
  case S_IFREG:
    return "file";
  case S_IFDIR:
    return "directory";
  case S_IFLNK:
    return "link";
  case S_IFIFO:
    return "fifo";
  case S_IFSOCK:
    return "socket";
  case S_IFCHR:
    return "char";
  case S_IFBLK:
    return "block";
  default:
    return "unknown";
  }
}

static const char *type_of_entry(uv_dirent_type_t type) {
  switch (type) {
  case UV_DIRENT_FILE:
    return "file";
  case UV_DIRENT_DIR:
    return "directory";
  case UV_DIRENT_LINK:
    return "link";
  case UV_DIRENT_FIFO:
    return "fifo";
  case UV_DIRENT_SOCKET:
    return "socket";
  case UV_DIRENT_CHAR:
    return "char";
  case UV_DIRENT_BLOCK:
    return "block";
  default:
    return "unknown";
  }
}

static void set_integer(lua_State *L, const char *name, uint64_t n) {
  lua_pushinteger(L, (lua_Integer)n);
  lua_setfield(L, -2, name);
}

static void set_time(lua_State *L, const char *name, uv_timespec_t t) {
  lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
  lua_setfield(L, -2, name);
}

void dw_fs_push_stat(lua_State *L, const void *stat) {
  const uv_stat_t *st = stat;
  lua_createtable(L, 0, 12);
  lua_pushstring(L, type_of_mode(st->st_mode));
  lua_setfield(L, -2, "type");
  set_integer(L, "size", st->st_size);
  set_integer(L, "mode", st->st_mode & 07777);
  set_integer(L, "uid", st->st_uid);
  set_integer(L, "gid", st->st_gid);
  set_integer(L, "ino", st->st_ino);
  set_integer(L, "dev", st->st_dev);
  set_integer(L, "nlink", st->st_nlink);
  set_time(L, "mtime", st->st_mtim);
  set_time(L, "atime", st->st_atim);
  set_time(L, "ctime", st->st_ctim);
}

/* A list of names and types by turns. */
static void push_entries(lua_State *L, uv_fs_t *req) {
  uv_dirent_t entry;
  lua_createtable(L, req->result > 0 ? (int)req->result * 2 : 0, 0);
  for (lua_Integer i = 1; uv_fs_scandir_next(req, &entry) == 0; i += 2) {
    lua_pushstring(L, entry.name);
    lua_rawseti(L, -2, i);
    lua_pushstring(L, type_of_entry(entry.type));
    lua_rawseti(L, -2, i + 1);
  }
}

static int push(lua_State *L, dw_offload *o) {
  path_call *c = of(o);
  switch (c->kind) {
  case STAT:
  case LSTAT:
    dw_fs_push_stat(L, &c->req.statbuf);
    return 1;
  case SCAN:
    push_entries(L, &c->req);
    return 1;
  case MKDTEMP:
    lua_pushstring(L, c->req.path);
    return 1;
  case REALPATH:
  case READLINK:
    lua_pushstring(L, c->req.ptr);
    return 1;
  default:
    return 0;
  }
}

static void describe(lua_State *L, const dw_offload *o) {
  const path_call *c = DW_CONTAINER(o, const path_call, base);
  if (c->to)
    lua_pushfstring(L, "%s %s to %s", names[c->kind], c->path, c->to);
  else
    lua_pushfstring(L, "%s %s", names[c->kind], c->path);
}

/* --- Calls -----------------------------------------------------------------*/

const char *dw_check_path(lua_State *L, int index, const char *what) {
  size_t len;
  if (lua_type(L, index) != LUA_TSTRING)
    dw_misuse(L, "%s: a path is a string; got a %s", what,
              luaL_typename(L, index));
  const char *path = lua_tolstring(L, index, &len);
  if (strlen(path) != len) dw_misuse(L, "%s: a path has no NUL in it", what);
  if (len == 0) dw_misuse(L, "%s: the path is empty", what);
  return path;
}

static const dw_offload_type type = {
    .name = "file system",
    .run = run,
    .deinit = deinit,
    .push = push,
    .describe = describe,
};

/* path, to or nil, number or nil, seconds */
static int call(lua_State *L, enum kind kind) {
  dw_script *s = dw_script_of(L);
  const char *name = names[kind], *to = "";
  lua_settop(L, 4);
  const char *path = dw_check_path(L, 1, name);
  if (!lua_isnil(L, 2)) to = dw_check_path(L, 2, name);
  double seconds = dw_opt_seconds(L, 4, name);
  size_t len = strlen(path) + 1, to_len = strlen(to) + 1;
  path_call *c = dw_offload_new(L, s, &type, sizeof *c + len + to_len);
  c->kind = kind;
  c->number = (int)luaL_optinteger(L, 3, 0);
  c->path = memcpy(c->text, path, len);
  memcpy(c->text + len, to, to_len);
  if (*to) c->to = c->text + len;
  return dw_offload_start(L, s, &c->base, seconds);
}

static int fs_stat(lua_State *L) { return call(L, STAT); }
static int fs_lstat(lua_State *L) { return call(L, LSTAT); }
static int fs_scan(lua_State *L) { return call(L, SCAN); }
static int fs_mkdir(lua_State *L) { return call(L, MKDIR); }
static int fs_rmdir(lua_State *L) { return call(L, RMDIR); }
static int fs_unlink(lua_State *L) { return call(L, UNLINK); }
static int fs_rename(lua_State *L) { return call(L, RENAME); }
static int fs_copy(lua_State *L) { return call(L, COPY); }
static int fs_mkdtemp(lua_State *L) { return call(L, MKDTEMP); }
static int fs_realpath(lua_State *L) { return call(L, REALPATH); }
static int fs_symlink(lua_State *L) { return call(L, SYMLINK); }
static int fs_readlink(lua_State *L) { return call(L, READLINK); }
static int fs_chmod(lua_State *L) { return call(L, CHMOD); }

static const luaL_Reg functions[] = {
    {"stat", fs_stat},       {"lstat", fs_lstat},
    {"scan", fs_scan},       {"mkdir", fs_mkdir},
    {"rmdir", fs_rmdir},     {"unlink", fs_unlink},
    {"rename", fs_rename},   {"copy", fs_copy},
    {"mkdtemp", fs_mkdtemp}, {"realpath", fs_realpath},
    {"symlink", fs_symlink}, {"readlink", fs_readlink},
    {"chmod", fs_chmod},     {NULL, NULL},
};

void dw_fs_open(lua_State *L, dw_script *s) {
  dw_offload_open(L, s);
  lua_newtable(L);
  dw_script_register(L, s, functions);
  dw_fs_file_open(L, s);
  lua_setfield(L, -2, "disk");
}
