/* SPDX-License-Identifier: MIT */
/* For specs: turning the clock by hand, and counting what is there. */
#include <math.h>

#include "app/server.h"
#include "bindings/app.h"
#include "bindings/client.h"
#include "bindings/task.h"
#include "runtime.h"

/* --- The clock -------------------------------------------------------------*/

enum {
  QUIET_DRAINS = 3,     /* in which nothing else has run */
  RESTLESS = 100 * 1000 /* drains at one moment: something runs for ever */
};

/* Time goes on only once nothing is left to do at the moment it is at. */
typedef struct advance {
  dw_deferred step;
  dw_script *script;
  dw_wake wake;
  uint64_t left;  /* ms */
  uint64_t calls; /* the loop's at the last step */
  unsigned drains, quiet;
} advance;

static bool is_at_rest(advance *a) {
  const dw_loop *loop = a->script->loop;
  bool alone = loop->calls == a->calls + 1;
  a->calls = loop->calls;
  a->quiet = alone ? a->quiet + 1 : 0;
  return a->quiet >= QUIET_DRAINS || ++a->drains >= RESTLESS;
}

static void step_cb(dw_deferred *d) {
  advance *a = d->data;
  dw_loop *loop = a->script->loop;
  if (is_at_rest(a)) {
    if (a->left == 0) {
      dw_wake_up(a->wake);
      return;
    }
    a->left -= dw_loop_advance(loop, a->left);
    a->quiet = a->drains = 0;
  }
  dw_loop_defer(loop, d);
}

static void stop_advancing(void *data) {
  advance *a = data;
  dw_deferred_cancel(&a->step);
}

static int advanced_k(lua_State *L, int status, lua_KContext ctx) {
  (void)L, (void)status, (void)ctx;
  return 0;
}

static int advance_gc(lua_State *L) {
  stop_advancing(lua_touserdata(L, 1));
  return 0;
}

/* clock_advance(seconds): runs what falls due until then, in order. */
static int clock_advance(lua_State *L) {
  dw_script *s = dw_script_of(L);
  double seconds = dw_check_seconds(L, 1, "advance");
  if (!s->loop->virtual_clock)
    return dw_misuse(L, "advance: the clock is the real one; ask for the "
                        "virtual one by test_client{ clock = \"virtual\" }");
  if (seconds > 1e12)
    return dw_misuse(L, "advance: %g seconds are too many", seconds);
  lua_settop(L, 1);
  advance *a = lua_newuserdatauv(L, sizeof *a, 0);
  *a = (advance){.script = s,
                 .left = (uint64_t)ceil(seconds * 1000),
                 .calls = s->loop->calls};
  dw_deferred_init(&a->step, step_cb, a);
  lua_createtable(L, 0, 1);
  dw_script_push(L, s, advance_gc);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  a->wake = dw_wait_begin(L, s, stop_advancing, a);
  dw_wait_name(a->wake, "virtual clock");
  dw_loop_defer(s->loop, &a->step);
  return dw_wait(L, a->wake, -1, advanced_k, 0);
}

/* clock_virtual(): from now on time stands still until it is advanced. */
static int clock_virtual(lua_State *L) {
  dw_loop_use_virtual_clock(dw_script_of(L)->loop);
  return 0;
}

/* time() -> seconds since 1970, by the clock that is in use */
static int get_time(lua_State *L) {
  lua_pushnumber(L, dw_loop_time(dw_script_of(L)->loop));
  return 1;
}

/* --- Counting --------------------------------------------------------------*/

static void set_count(lua_State *L, const char *name, size_t count) {
  lua_pushinteger(L, (lua_Integer)count);
  lua_setfield(L, -2, name);
}

static size_t count_connections(const dw_script *s) {
  size_t count = 0;
  for (dw_list *n = s->apps.next; n != &s->apps; n = n->next)
    count += DW_CONTAINER(n, dw_lua_app, node)->server->http.count;
  return count;
}

static size_t count_clients(const dw_script *s) {
  size_t count = 0;
  for (dw_list *n = s->clients.next; n != &s->clients; n = n->next) count++;
  return count;
}

/* Bytes of Dewar and of Lua, which may have an allocator of its own. */
static size_t count_memory(lua_State *L, const dw_script *s) {
  size_t lua =
      (size_t)lua_gc(L, LUA_GCCOUNT) * 1024 + (size_t)lua_gc(L, LUA_GCCOUNTB);
  return s->alloc->used + (s->owns_lua ? 0 : lua);
}

/* debug_counts() -> { tasks=, timers=, connections=, clients=, memory=, peak= };
 * peak is the most memory so far, without Lua where that has its own. */
static int debug_counts(lua_State *L) {
  const dw_script *s = dw_script_of(L);
  lua_createtable(L, 0, 6);
  set_count(L, "tasks", dw_tasks_count(s));
  set_count(L, "timers", s->loop->timers);
  set_count(L, "connections", count_connections(s));
  set_count(L, "clients", count_clients(s));
  set_count(L, "memory", count_memory(L, s));
  set_count(L, "peak", s->alloc->peak);
  return 1;
}

static const luaL_Reg functions[] = {{"clock_advance", clock_advance},
                                     {"clock_virtual", clock_virtual},
                                     {"debug_counts", debug_counts},
                                     {"time", get_time},
                                     {NULL, NULL}};

void dw_clock_functions(lua_State *L, dw_script *s) {
  dw_script_register(L, s, functions);
}
