/* SPDX-License-Identifier: MIT */
/* work(fn, ...): calls fn on a thread of the runtime's crew, in a Lua state of
 * that thread's, and waits for its results. A piece of work belongs to the
 * userdata on the stack of the call until that lets go, and then to the crew.
 * Thread: the loop's, but for what worker.c does. */
#include "bindings/work.h"

#include "base/crew.h"
#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/parcel.h"
#include "bindings/task_private.h"
#include "bindings/worker.h"

#define WORK_TYPE "dewar.work"

typedef struct piece {
  dw_job job;
  dw_call call;
  dw_loop *loop;
  dw_allocator *alloc;
  dw_buffer parcel, paths;
  dw_wake wake;
  struct box *box; /* NULL: nobody waits for it any more */
} piece;

typedef struct box {
  piece *piece;
  bool started;
} box;

struct dw_work_pool {
  dw_crew *crew; /* NULL: no work yet, or closed */
  unsigned threads;
  size_t memory; /* of a worker's Lua; 0: no limit */
};

/* --- The threads -----------------------------------------------------------*/

static void *open_cb(void *data) {
  (void)data;
  return dw_worker_new();
}

static void run_cb(void *worker, dw_job *job) {
  piece *p = DW_CONTAINER(job, piece, job);
  if (worker) {
    dw_worker_run(worker, &p->call);
    return;
  }
  p->call.failed = true;
  p->call.reason = "no memory for the worker's Lua";
}

static void rest_cb(void *worker) { dw_worker_rest(worker); }
static void close_cb(void *worker) { dw_worker_free(worker); }
static void stop_cb(void *worker) { dw_worker_stop(worker); }

static const dw_crew_type type = {.open = open_cb,
                                  .run = run_cb,
                                  .rest = rest_cb,
                                  .close = close_cb,
                                  .stop = stop_cb};

/* As many as the machine runs at once. */
static unsigned default_threads(void) {
  uv_cpu_info_t *cpus;
  int count;
  if (uv_cpu_info(&cpus, &count) != 0) return 1;
  uv_free_cpu_info(cpus, count);
  return count > 0 ? (unsigned)count : 1;
}

static int open_crew(dw_script *s) {
  dw_work_pool *pool = s->work;
  if (pool->crew) return 0;
  int code = dw_crew_new(&pool->crew, s->loop, &type, NULL);
  if (code < 0) return code;
  if (pool->threads == 0) pool->threads = default_threads();
  dw_crew_resize(pool->crew, pool->threads);
  return 0;
}

void dw_work_close(dw_script *s) {
  dw_work_pool *pool = s->work;
  if (!pool) return;
  s->work = NULL;
  dw_crew_free(pool->crew);
  dw_free(s->alloc, pool, sizeof *pool);
}

/* --- A piece of work -------------------------------------------------------*/

static void piece_free(piece *p) {
  dw_call_deinit(&p->call);
  dw_buffer_deinit(&p->parcel);
  dw_buffer_deinit(&p->paths);
  dw_free(p->alloc, p, sizeof *p);
}

static void done_cb(dw_job *job) {
  piece *p = DW_CONTAINER(job, piece, job);
  if (!p->box) {
    piece_free(p);
    return;
  }
  dw_loop_release(p->loop);
  p->box->started = false;
  dw_wake_up(p->wake);
}

static void drop(dw_script *s, box *b) {
  piece *p = b->piece;
  bool started = b->started;
  if (!p) return;
  b->piece = NULL;
  b->started = false;
  p->box = NULL;
  if (started) {
    dw_loop_release(p->loop);
    /* Without a crew, its posts are all that is left: done_cb comes yet. */
    if (!s->work || !dw_crew_cancel(s->work->crew, &p->job)) return;
  }
  piece_free(p);
}

/* The wait has ended in another way: the work is stopped. */
static void let_go(void *data) {
  box *b = data;
  if (b->piece) drop(b->piece->wake.task->script, b);
}

static int box_gc(lua_State *L) {
  drop(dw_script_of(L), lua_touserdata(L, 1));
  return 0;
}

static piece *new_piece(lua_State *L, dw_script *s, box *b) {
  piece *p = dw_zalloc(s->alloc, sizeof *p);
  if (!p) {
    dw_errors_raise_code(L, s, DW_ENOMEM, "work");
    return NULL;
  }
  p->loop = s->loop;
  p->alloc = s->alloc;
  p->job.done = done_cb;
  p->box = b;
  dw_buffer_init(&p->parcel, s->alloc, DW_PARCEL_MAX);
  dw_buffer_init(&p->paths, s->alloc, 0);
  dw_call_init(&p->call);
  p->call.limit = s->work->memory;
  b->piece = p;
  return p;
}

/* --- Results ---------------------------------------------------------------*/

static void push_trace(lua_State *L, const dw_call *call) {
  static const char heading[] = "\nstack traceback:";
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addlstring(&b, call->text.ptr ? call->text.ptr : "", call->text.len);
  luaL_addstring(&b, heading);
  if (call->trace.len) luaL_addlstring(&b, call->trace.ptr, call->trace.len);
  luaL_pushresult(&b);
}

/* The userdata stays at 1. */
static int finish(lua_State *L, int status, lua_KContext ctx) {
  dw_script *s = dw_script_of(L);
  box *b = lua_touserdata(L, 1);
  const dw_call *call = &b->piece->call;
  (void)status, (void)ctx;
  lua_settop(L, 1);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  if (call->reason) {
    const char *reason = call->reason;
    drop(s, b);
    return dw_misuse(L, "work: %s", reason);
  }
  int n = dw_parcel_unpack(L, dw_buffer_slice(&call->values));
  if (!call->failed) {
    drop(s, b);
    return n;
  }
  push_trace(L, call);
  drop(s, b);
  if (s->current)
    dw_traceback_note(L, s, -2, s->L, "work called by");
  else
    lua_pop(L, 1);
  return dw_rethrow(L, s);
}

/* --- work ------------------------------------------------------------------*/

static void add_path(lua_State *L, dw_buffer *to, const char *name) {
  size_t len = 0;
  const char *path = "";
  lua_getfield(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, LUA_LOADLIBNAME) == LUA_TTABLE &&
      lua_getfield(L, -1, name) == LUA_TSTRING)
    path = lua_tolstring(L, -1, &len);
  int code = dw_buffer_append(to, path, strlen(path));
  if (code == 0) code = dw_buffer_append_char(to, '\0');
  if (code < 0) luaL_error(L, "not enough memory");
}

/* box, fn, arguments */
static void pack(lua_State *L, piece *p) {
  int top = lua_gettop(L);
  if (!dw_parcel_pack(L, &p->parcel, top - 1, "argument", true))
    dw_misuse(L, "work: %s", lua_tostring(L, -1));
  add_path(L, &p->paths, "path");
  add_path(L, &p->paths, "cpath");
  lua_settop(L, top);
  p->call.parcel = dw_buffer_slice(&p->parcel);
  p->call.path = dw_buffer_slice(&p->paths);
}

static int work(lua_State *L) {
  dw_script *s = dw_script_of(L);
  if (!lua_isfunction(L, 1))
    return dw_misuse(L, "work: expected a function, got %s",
                     lua_isnone(L, 1) ? "nothing" : luaL_typename(L, 1));
  dw_wait_check(L, s);
  if (!s->work) return dw_misuse(L, "work: Dewar's runtime is being closed");
  box *b = lua_newuserdatauv(L, sizeof *b, 0);
  *b = (box){0};
  dw_type_set(L, WORK_TYPE);
  lua_insert(L, 1);
  piece *p = new_piece(L, s, b);
  pack(L, p);
  p->wake = dw_wait_begin(L, s, let_go, b);
  dw_wait_name(p->wake, "work");
  int code = open_crew(s);
  if (code == 0) code = dw_crew_push(s->work->crew, &p->job);
  if (code < 0) {
    dw_wait_abandon(p->wake);
    return dw_errors_raise_code(L, s, code, "work");
  }
  b->started = true;
  dw_loop_hold(s->loop);
  lua_settop(L, 1);
  return dw_wait(L, p->wake, -1, finish, 0);
}

/* --- Settings --------------------------------------------------------------*/

static lua_Integer check_count(lua_State *L, int index, const char *name) {
  int isint = 0;
  bool number = lua_type(L, index) == LUA_TNUMBER;
  lua_Integer n = number ? lua_tointegerx(L, index, &isint) : 0;
  if (lua_isnil(L, index)) return 0;
  if (!isint || n < 1)
    dw_misuse(L, "config.%s is a positive whole number, or nil; got %s", name,
              luaL_tolstring(L, index, NULL));
  return n;
}

void dw_work_set_threads(lua_State *L, dw_script *s, int index) {
  lua_Integer n = check_count(L, index, "WORK_THREADS");
  if (!s->work) return;
  s->work->threads = n > UINT16_MAX ? UINT16_MAX : (unsigned)n;
  if (n == 0) s->work->threads = default_threads();
  if (s->work->crew) dw_crew_resize(s->work->crew, s->work->threads);
}

void dw_work_set_memory(lua_State *L, dw_script *s, int index) {
  lua_Integer n = check_count(L, index, "WORK_MEMORY_LIMIT");
  if (s->work) s->work->memory = (size_t)n;
}

void dw_work_functions(lua_State *L, dw_script *s) {
  static const luaL_Reg functions[] = {{"work", work}, {NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", box_gc}, {NULL, NULL}};
  s->work = dw_zalloc(s->alloc, sizeof *s->work);
  if (!s->work) luaL_error(L, "not enough memory");
  dw_script_type(L, s, WORK_TYPE, NULL, metamethods);
  dw_script_register(L, s, functions);
}
