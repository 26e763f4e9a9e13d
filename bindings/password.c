/* SPDX-License-Identifier: MIT */
/* core.crypto.derive, for lua/dewar/password.lua: a key made of a password, on
 * a thread of the pool, since that takes a while on purpose. The job belongs to
 * the wait, and to itself where that has ended before; a password in it is
 * wiped. Thread: the loop's. */
#include "base/password.h"

#include <string.h>

#include "base/error.h"
#include "base/work.h"
#include "bindings/crypto.h"
#include "bindings/errors.h"
#include "bindings/task.h"

static const char JOB_TYPE[] = "dewar.password_job";

typedef struct job {
  dw_work work;
  dw_allocator *alloc;
  struct waiting *waiting; /* NULL: nobody waits any more */
  dw_kdf_cost cost;
  int code;
  size_t password_len, salt_len;
  unsigned char key[DW_KEY_MAX];
  char text[]; /* the password, then the salt */
} job;

/* The userdata on the stack of the call. */
typedef struct waiting {
  job *job; /* NULL: dropped */
  dw_wake wake;
} waiting;

/* --- The job ---------------------------------------------------------------*/

static void job_free(job *j) {
  volatile char *text = j->text; /* volatile: done though nobody reads it */
  for (size_t i = 0; i < j->password_len; i++) text[i] = 0;
  dw_free(j->alloc, j, sizeof *j + j->password_len + j->salt_len);
}

static void run(dw_work *work) {
  job *j = (job *)work;
  j->code = dw_kdf_derive(&j->cost, dw_slice_of(j->text, j->password_len),
                          dw_slice_of(j->text + j->password_len, j->salt_len),
                          j->key);
}

static void done(dw_work *work) {
  job *j = (job *)work;
  if (j->waiting)
    dw_wake_up(j->waiting->wake);
  else
    job_free(j);
}

/* Also what a wait calls that ends in another way, and the collector. */
static void drop(void *data) {
  waiting *w = data;
  job *j = w->job;
  w->job = NULL;
  if (!j) return;
  j->waiting = NULL;
  if (!j->work.busy) job_free(j);
}

static int waiting_gc(lua_State *L) {
  drop(lua_touserdata(L, 1));
  return 0;
}

static job *job_new(dw_allocator *alloc, dw_slice password, dw_slice salt) {
  job *j = dw_alloc(alloc, sizeof *j + password.len + salt.len);
  if (!j) return NULL;
  memset(j, 0, sizeof *j);
  j->alloc = alloc;
  j->password_len = password.len;
  j->salt_len = salt.len;
  if (password.len) memcpy(j->text, password.ptr, password.len);
  if (salt.len) memcpy(j->text + password.len, salt.ptr, salt.len);
  return j;
}

/* --- For Lua ---------------------------------------------------------------*/

static int fail(lua_State *L, int code) {
  if (code != UV_ENOTSUP) return luaL_error(L, "not enough memory");
  return luaL_error(L, "this Dewar was built without OpenSSL: install its "
                       "headers and build with DEWAR_WITH_OPENSSL=ON");
}

static int derived_k(lua_State *L, int status, lua_KContext ctx) {
  waiting *w = (waiting *)ctx;
  const job *j = w->job;
  (void)status;
  if (j->code < 0) return fail(L, j->code);
  lua_pushlstring(L, (const char *)j->key, dw_kdf_size(j->cost.kind));
  drop(w);
  return 1;
}

static dw_slice check_slice(lua_State *L, int index) {
  size_t len;
  const char *text = luaL_checklstring(L, index, &len);
  luaL_argcheck(L, len < SIZE_MAX / 4, index, "too long");
  return dw_slice_of(text, len);
}

static uint64_t check_number(lua_State *L, int index) {
  lua_Integer n = luaL_optinteger(L, index, 1);
  return n < 0 ? 0 : (uint64_t)n;
}

/* derive(kind, password, salt, n [, r, p]) -> bytes; or nil for a cost that
 * makes no sense. */
static int derive(lua_State *L) {
  static const char *const kinds[] = {"sha1", "sha256", "sha512", "scrypt",
                                      NULL};
  dw_script *s = dw_script_of(L);
  dw_kdf_cost cost = {.kind = (dw_kdf)luaL_checkoption(L, 1, NULL, kinds)};
  dw_slice password = check_slice(L, 2), salt = check_slice(L, 3);
  cost.n = check_number(L, 4);
  cost.r = check_number(L, 5);
  cost.p = check_number(L, 6);
  if (!dw_kdf_valid(&cost)) {
    lua_pushnil(L);
    return 1;
  }
  waiting *w = lua_newuserdatauv(L, sizeof *w, 0);
  w->job = NULL;
  dw_type_set(L, JOB_TYPE);
  w->wake = dw_wait_begin(L, s, drop, w);
  dw_wait_name(w->wake, "hashing a password");
  w->job = job_new(s->loop->alloc, password, salt);
  if (!w->job) {
    dw_wait_abandon(w->wake);
    return fail(L, DW_ENOMEM);
  }
  w->job->waiting = w;
  w->job->cost = cost;
  dw_work_start(s->loop, &w->job->work, run, done);
  return dw_wait(L, w->wake, -1, derived_k, (lua_KContext)w);
}

void dw_password_open(lua_State *L, dw_script *s) {
  static const luaL_Reg functions[] = {{"derive", derive}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", waiting_gc}, {NULL, NULL}};
  dw_script_type(L, s, JOB_TYPE, NULL, metamethods);
  dw_script_register(L, s, functions);
}
