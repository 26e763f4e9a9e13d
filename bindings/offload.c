/* SPDX-License-Identifier: MIT */
/* Waiting for calls in the pool, and the list of what is open. Thread: the
 * loop's, but for run_cb. */
#include "bindings/offload.h"

#include "base/error.h"
#include "bindings/errors.h"

static const char BOX_TYPE[] = "dewar.offload";

typedef struct dw_offload_box {
  dw_offload *call; /* NULL: over, or left to the pool */
} box;

static dw_offload *of(dw_work *w) { return DW_CONTAINER(w, dw_offload, work); }

static void free_call(dw_offload *o) {
  if (o->type->deinit) o->type->deinit(o);
  dw_free(o->alloc, o, o->size);
}

static void drop(box *b) {
  dw_offload *o = b->call;
  if (!o) return;
  b->call = NULL;
  o->box = NULL;
  if (!o->work.busy) free_call(o);
}

static void let_go(void *data) { drop(data); }

static int box_gc(lua_State *L) {
  drop(lua_touserdata(L, 1));
  return 0;
}

void *dw_offload_new(lua_State *L, dw_script *s, const dw_offload_type *type,
                     size_t size) {
  dw_wait_check(L, s);
  box *b = lua_newuserdatauv(L, sizeof *b, 0);
  b->call = NULL;
  dw_type_set(L, BOX_TYPE);
  dw_offload *o = dw_zalloc(s->alloc, size);
  if (!o) {
    dw_errors_raise_code(L, s, DW_ENOMEM, type->name);
    return NULL;
  }
  o->type = type;
  o->alloc = s->alloc;
  o->size = size;
  o->box = b;
  b->call = o;
  return o;
}

static void run_cb(dw_work *w) { of(w)->type->run(of(w)); }

static void done_cb(dw_work *w) {
  dw_offload *o = of(w);
  if (o->box)
    dw_wake_up(o->wake);
  else
    free_call(o);
}

/* The userdata is at index ctx. */
static int finish(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  lua_settop(L, (int)ctx);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  box *b = lua_touserdata(L, (int)ctx);
  dw_offload *o = b->call;
  int code = o->code;
  if (code >= 0) {
    int n = o->type->push(L, o);
    drop(b);
    return n;
  }
  o->type->describe(L, o);
  drop(b);
  return dw_errors_raise_code(L, dw_script_of(L), code, lua_tostring(L, -1));
}

/* It is on top, since the call may be over by then. */
static void describe(lua_State *L) { lua_pushvalue(L, -1); }

int dw_offload_start(lua_State *L, dw_script *s, dw_offload *o,
                     double seconds) {
  int at = lua_gettop(L);
  if (seconds >= 0) o->type->describe(L, o);
  o->wake = dw_wait_begin(L, s, let_go, o->box);
  dw_wait_name(o->wake, o->type->name);
  if (seconds >= 0) dw_wait_describe(o->wake, describe);
  dw_work_start(s->loop, &o->work, run_cb, done_cb);
  return dw_wait(L, o->wake, seconds, finish, at);
}

void dw_offload_open(lua_State *L, dw_script *s) {
  static const luaL_Reg metamethods[] = {{"__gc", box_gc}, {NULL, NULL}};
  dw_script_type(L, s, BOX_TYPE, NULL, metamethods);
}

/* --- What is open ----------------------------------------------------------*/

void dw_handle_open(dw_script *s, dw_handle *h, void (*close)(dw_handle *h)) {
  h->close = close;
  dw_list_push(&s->handles, &h->node);
}

void dw_handle_close(dw_handle *h) {
  if (dw_list_empty(&h->node)) return;
  dw_list_remove(&h->node);
  h->close(h);
}

void dw_handles_close(dw_script *s) {
  while (!dw_list_empty(&s->handles))
    dw_handle_close(DW_CONTAINER(s->handles.next, dw_handle, node));
}
