/* SPDX-License-Identifier: MIT */
/* Open files of scripts. The descriptor is counted: a call in the pool keeps it
 * open until it is done, whatever happens to the object meanwhile. Where in the
 * file something happens is said by who calls (lua/dewar/fs.lua), so that a
 * call that was given up changes nothing. Thread: the loop's, but for run. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/fs.h"
#include "bindings/offload.h"

static const char FILE_TYPE[] = "dewar.file_handle";

enum { READ_MAX = 16 * 1024 * 1024 };

typedef struct file file;

typedef struct descriptor {
  dw_handle handle;
  file *owner; /* while it is open */
  dw_allocator *alloc;
  int fd; /* -1: closed, or not open yet */
  unsigned refs;
  size_t size; /* of all this */
  char path[]; /* for messages */
} descriptor;

struct file {
  descriptor *d; /* NULL: closed */
};

static void unref(descriptor *d) {
  if (!d || --d->refs > 0) return;
  if (d->fd >= 0) close(d->fd);
  dw_free(d->alloc, d, d->size);
}

static void close_cb(dw_handle *h) {
  descriptor *d = DW_CONTAINER(h, descriptor, handle);
  d->owner->d = NULL;
  unref(d);
}

/* --- Calls -----------------------------------------------------------------*/

enum kind { OPEN, READ, WRITE, SYNC, STAT, TRUNCATE, CLOSE };

static const char *const names[] = {"open", "read",     "write", "sync",
                                    "stat", "truncate", "close"};

typedef struct file_call {
  dw_offload base;
  enum kind kind;
  descriptor *d;
  uv_fs_t req;
  int flags, mode;
  bool shared; /* others use the descriptor */
  int64_t at;  /* -1: where the system is */
  size_t len;
  char bytes[]; /* what is read, or what is to be written */
} file_call;

static file_call *of(dw_offload *o) { return DW_CONTAINER(o, file_call, base); }

static int open_file(file_call *c) {
  int code = uv_fs_open(NULL, &c->req, c->d->path, c->flags, c->mode, NULL);
  if (code < 0) return code;
  c->d->fd = code;
  uv_fs_req_cleanup(&c->req);
  return uv_fs_fstat(NULL, &c->req, c->d->fd, NULL);
}

static int read_some(file_call *c) {
  uv_buf_t buf = uv_buf_init(c->bytes, (unsigned)c->len);
  int n = uv_fs_read(NULL, &c->req, c->d->fd, &buf, 1, c->at, NULL);
  c->len = n > 0 ? (size_t)n : 0;
  return n;
}

static int write_all(file_call *c) {
  for (size_t sent = 0; sent < c->len;) {
    uv_buf_t buf = uv_buf_init(c->bytes + sent, (unsigned)(c->len - sent));
    int64_t at = c->at < 0 ? -1 : c->at + (int64_t)sent;
    int n = uv_fs_write(NULL, &c->req, c->d->fd, &buf, 1, at, NULL);
    uv_fs_req_cleanup(&c->req);
    if (n < 0) return n;
    sent += (size_t)n;
  }
  return 0;
}

static int close_file(file_call *c) {
  if (c->shared) return 0; /* goes with the last call */
  int fd = c->d->fd;
  c->d->fd = -1;
  return uv_fs_close(NULL, &c->req, fd, NULL);
}

static void run(dw_offload *o) {
  file_call *c = of(o);
  int fd = c->d->fd;
  switch (c->kind) {
  case OPEN:
    o->code = open_file(c);
    break;
  case READ:
    o->code = read_some(c);
    break;
  case WRITE:
    o->code = write_all(c);
    break;
  case SYNC:
    o->code = uv_fs_fsync(NULL, &c->req, fd, NULL);
    break;
  case STAT:
    o->code = uv_fs_fstat(NULL, &c->req, fd, NULL);
    break;
  case TRUNCATE:
    o->code = uv_fs_ftruncate(NULL, &c->req, fd, c->at, NULL);
    break;
  case CLOSE:
    o->code = close_file(c);
    break;
  }
}

static void deinit(dw_offload *o) {
  file_call *c = of(o);
  uv_fs_req_cleanup(&c->req);
  unref(c->d);
}

static int push_opened(lua_State *L, file_call *c) {
  file *f = lua_newuserdatauv(L, sizeof *f, 0);
  f->d = NULL;
  dw_type_set(L, FILE_TYPE);
  dw_fs_push_stat(L, &c->req.statbuf);
  f->d = c->d;
  f->d->owner = f;
  f->d->refs++;
  dw_handle_open(dw_script_of(L), &f->d->handle, close_cb);
  return 2;
}

static int push(lua_State *L, dw_offload *o) {
  file_call *c = of(o);
  switch (c->kind) {
  case OPEN:
    return push_opened(L, c);
  case READ:
    if (c->len > 0)
      lua_pushlstring(L, c->bytes, c->len);
    else
      lua_pushnil(L);
    return 1;
  case STAT:
    dw_fs_push_stat(L, &c->req.statbuf);
    return 1;
  default:
    return 0;
  }
}

static void describe(lua_State *L, const dw_offload *o) {
  const file_call *c = DW_CONTAINER(o, const file_call, base);
  lua_pushfstring(L, "%s %s", names[c->kind], c->d->path);
}

static const dw_offload_type type = {
    .name = "file",
    .run = run,
    .deinit = deinit,
    .push = push,
    .describe = describe,
};

/* --- Opening ---------------------------------------------------------------*/

static int check_mode(lua_State *L, int index) {
  const char *mode =
      lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "?";
  static const struct {
    const char *mode;
    int flags;
  } modes[] = {
      {"r", O_RDONLY},
      {"r+", O_RDWR},
      {"w", O_WRONLY | O_CREAT | O_TRUNC},
      {"w+", O_RDWR | O_CREAT | O_TRUNC},
      {"a", O_WRONLY | O_CREAT | O_APPEND},
      {"a+", O_RDWR | O_CREAT | O_APPEND},
      {"wx", O_WRONLY | O_CREAT | O_EXCL},
      {"w+x", O_RDWR | O_CREAT | O_EXCL},
      {NULL, 0},
  };
  for (int i = 0; modes[i].mode; i++)
    if (strcmp(mode, modes[i].mode) == 0) return modes[i].flags;
  return dw_misuse(L,
                   "open: the mode is one of r, r+, w, w+, a, a+, wx and "
                   "w+x; got '%s'",
                   mode);
}

/* open(path, mode, permissions, seconds) -> handle, stat */
static int file_open(lua_State *L) {
  dw_script *s = dw_script_of(L);
  lua_settop(L, 4);
  const char *path = dw_check_path(L, 1, "open");
  int flags = check_mode(L, 2);
  int mode = (int)luaL_optinteger(L, 3, 0666);
  double seconds = dw_opt_seconds(L, 4, "open");
  size_t len = strlen(path) + 1;
  file_call *c = dw_offload_new(L, s, &type, sizeof *c);
  c->d = dw_zalloc(s->alloc, sizeof *c->d + len);
  if (!c->d) return dw_errors_raise_code(L, s, DW_ENOMEM, "open");
  dw_list_init(&c->d->handle.node);
  c->d->alloc = s->alloc;
  c->d->fd = -1;
  c->d->refs = 1;
  c->d->size = sizeof *c->d + len;
  memcpy(c->d->path, path, len);
  c->kind = OPEN;
  c->flags = flags;
  c->mode = mode;
  return dw_offload_start(L, s, &c->base, seconds);
}

/* --- Methods ---------------------------------------------------------------*/

static file *check(lua_State *L) { return dw_type_check(L, 1, FILE_TYPE); }

static bool is_open(const file *f) { return f->d != NULL; }

static file *check_open(lua_State *L) {
  file *f = check(L);
  if (!is_open(f)) dw_misuse(L, "this file is closed");
  return f;
}

static file_call *new_call(lua_State *L, enum kind kind, size_t room) {
  file *f = check_open(L);
  file_call *c = dw_offload_new(L, dw_script_of(L), &type, sizeof *c + room);
  c->kind = kind;
  c->len = room;
  c->d = f->d;
  c->d->refs++;
  return c;
}

static int start(lua_State *L, file_call *c, double seconds) {
  return dw_offload_start(L, dw_script_of(L), &c->base, seconds);
}

/* read(size, at, seconds) -> bytes, or nil at the end */
static int file_read(lua_State *L) {
  lua_Integer size = luaL_checkinteger(L, 2), at = luaL_checkinteger(L, 3);
  double seconds = dw_opt_seconds(L, 4, "read");
  if (size < 1) size = 1;
  if (size > READ_MAX) size = READ_MAX;
  file_call *c = new_call(L, READ, (size_t)size);
  c->at = at;
  return start(L, c, seconds);
}

/* write(bytes, at, seconds) */
static int file_write(lua_State *L) {
  size_t len;
  const char *bytes = luaL_checklstring(L, 2, &len);
  lua_Integer at = luaL_checkinteger(L, 3);
  double seconds = dw_opt_seconds(L, 4, "write");
  file_call *c = new_call(L, WRITE, len);
  memcpy(c->bytes, bytes, len);
  c->at = at;
  return start(L, c, seconds);
}

static int file_sync(lua_State *L) {
  double seconds = dw_opt_seconds(L, 2, "sync");
  return start(L, new_call(L, SYNC, 0), seconds);
}

static int file_stat(lua_State *L) {
  double seconds = dw_opt_seconds(L, 2, "stat");
  return start(L, new_call(L, STAT, 0), seconds);
}

/* truncate(size, seconds) */
static int file_truncate(lua_State *L) {
  lua_Integer size = luaL_checkinteger(L, 2);
  double seconds = dw_opt_seconds(L, 3, "truncate");
  file_call *c = new_call(L, TRUNCATE, 0);
  c->at = size;
  return start(L, c, seconds);
}

static void forget(file *f) {
  if (f->d) dw_handle_close(&f->d->handle);
}

/* Closes in the pool, which tells what went wrong with what was written. */
static int file_finish(lua_State *L) {
  file *f = check_open(L);
  file_call *c = new_call(L, CLOSE, 0);
  forget(f);
  c->shared = c->d->refs > 1;
  return start(L, c, -1);
}

/* Closes at once; idempotent. */
static int file_close(lua_State *L) {
  forget(check(L));
  return 0;
}

static int file_is_open(lua_State *L) {
  lua_pushboolean(L, is_open(check(L)));
  return 1;
}

static const luaL_Reg methods[] = {
    {"read", file_read},   {"write", file_write},       {"sync", file_sync},
    {"stat", file_stat},   {"truncate", file_truncate}, {"finish", file_finish},
    {"close", file_close}, {"is_open", file_is_open},   {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", file_close}, {"__close", file_close}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"open", file_open}, {NULL, NULL}};

void dw_fs_file_open(lua_State *L, dw_script *s) {
  dw_script_type(L, s, FILE_TYPE, methods, metamethods);
  dw_script_register(L, s, functions);
}
