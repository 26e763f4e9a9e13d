/* SPDX-License-Identifier: MIT */
/* Several tasks at once: gather, race and run. What settles the matter early,
 * such as an error of one or a cancellation of the caller, cancels the others,
 * and all have ended before the caller goes on. With a limit, functions become
 * tasks only when there is room. Thread: the loop's. */
#include <limits.h>

#include "bindings/json.h"
#include "bindings/task_private.h"

#define GATHER_TYPE "dewar.gather"

typedef enum gather_kind {
  GATHER,       /* the first error settles it */
  RACE,         /* the first end */
  RACE_SUCCESS, /* the first result; errors only if there is none */
  RUN           /* a single task, whose results are all wanted */
} gather_kind;

typedef struct gather_options {
  gather_kind kind;
  int limit; /* of functions that run at once */
  bool list; /* the results go into one */
} gather_options;

typedef struct item {
  dw_member member;
  bool ours; /* a function that has been made a task */
} item;

/* A userdata, at ctx on the stack of who waits. What is run lies above it:
 * tasks, and functions that have not become any. */
typedef struct gather {
  dw_join join;
  gather_options options;
  int count;
  int started; /* as many have been looked at by start_some */
  int active;  /* functions that run */
  int settled; /* by which one; 0: by none */
  int failed;  /* the first that failed */
  item items[];
} gather;

static const char *const names[] = {"gather", "race", "race", "run"};

/* --- What is waited for ----------------------------------------------------*/

static bool settles(const gather *g, bool failed) {
  switch (g->options.kind) {
  case RACE:
    return true;
  case RACE_SUCCESS:
    return !failed;
  default:
    return failed;
  }
}

static void note_end(gather *g, int number, bool failed) {
  if (failed && !g->failed) g->failed = number;
  if (!g->settled && settles(g, failed)) g->settled = number;
}

static void ended_cb(dw_member *m, const dw_task_object *o) {
  gather *g = DW_CONTAINER(m->join, gather, join);
  item *it = DW_CONTAINER(m, item, member);
  m->task = NULL;
  if (!o) return;
  if (it->ours) g->active--;
  note_end(g, (int)(it - g->items) + 1, o->status != DW_TASK_DONE);
  bool more = g->settled || g->started < g->count;
  if (g->join.running == 0 || (more && !g->join.ending))
    dw_wake_up(g->join.wake);
}

/* When the state is closed this comes before the end of who waits, who then
 * goes on without the tasks. */
static int gather_gc(lua_State *L) {
  gather *g = luaL_checkudata(L, 1, GATHER_TYPE);
  if (g->join.running > 0) dw_wake_up(g->join.wake);
  for (int i = 0; i < g->count; i++)
    if (g->items[i].member.task) dw_join_drop(&g->items[i].member);
  return 0;
}

/* Puts one at index, below what it runs. */
static gather *push_gather(lua_State *L, int index, gather_options options) {
  int count = lua_gettop(L) - index + 1;
  size_t size = sizeof(gather) + sizeof(item) * (size_t)count;
  gather *g = lua_newuserdatauv(L, size, 0);
  *g = (gather){.options = options, .count = count};
  dw_join_init(&g->join, ended_cb);
  for (int i = 0; i < count; i++) g->items[i] = (item){.ours = false};
  luaL_setmetatable(L, GATHER_TYPE);
  lua_insert(L, index);
  return g;
}

/* --- Starting --------------------------------------------------------------*/

/* Makes a task of the function or awaitable at index. */
static dw_task_object *make_task(lua_State *L, dw_script *s, int index) {
  dw_task *here = dw_task_here(s);
  if (dw_is_awaitable(L, index)) {
    dw_script_push(L, s, dw_await_function);
    lua_pushvalue(L, index);
    dw_spawn(L, s, 1, here, &here->context);
  } else {
    dw_check_callable(L, index, "gather");
    lua_pushvalue(L, index);
    dw_spawn(L, s, 0, here, &here->context);
  }
  lua_replace(L, index);
  return dw_task_object_test(L, index);
}

/* Those that are tasks already. */
static void watch_tasks(lua_State *L, gather *g, int index) {
  for (int i = 1; i <= g->count; i++) {
    const dw_task_object *o = dw_task_object_test(L, index + i);
    if (!o) continue;
    if (o->task)
      dw_join_add(&g->join, &g->items[i - 1].member, o->task);
    else
      note_end(g, i, o->status != DW_TASK_DONE);
  }
}

/* As many of the others as there is room for. */
static void start_some(lua_State *L, dw_script *s, gather *g, int index) {
  while (g->started < g->count && g->active < g->options.limit) {
    int i = ++g->started;
    if (dw_task_object_test(L, index + i)) continue;
    const dw_task_object *o = make_task(L, s, index + i);
    item *it = &g->items[i - 1];
    dw_join_add(&g->join, &it->member, o->task);
    it->ours = true;
    g->active++;
  }
}

/* --- Results ---------------------------------------------------------------*/

static int push_results(lua_State *L, dw_script *s, gather *g, int index) {
  bool list = g->options.list;
  luaL_checkstack(L, (list ? 1 : g->count) + 4, "too many tasks");
  int top = lua_gettop(L);
  if (list) {
    lua_createtable(L, g->count, 0);
    dw_json_mark_array(L); /* an empty one is a list, too */
  }
  for (int i = 1; i <= g->count; i++) {
    int base = lua_gettop(L);
    dw_task_object_results(L, s, index + i);
    lua_settop(L, base + 1);
    if (list) lua_rawseti(L, top + 1, i);
  }
  return list ? 1 : g->count;
}

/* Nobody needs to see the errors that a success has made up for. */
static void forgive(lua_State *L, gather *g, int index) {
  for (int i = 1; i <= g->count; i++) {
    dw_task_object *o = dw_task_object_test(L, index + i);
    if (o && !o->task) dw_task_object_seen(o);
  }
}

static int conclude(lua_State *L, dw_script *s, gather *g, int index) {
  if (g->join.interrupted) return dw_raise_cancelled(L, dw_task_here(s));
  if (g->settled) return dw_task_object_results(L, s, index + g->settled);
  if (g->options.kind == RUN) return dw_task_object_results(L, s, index + 1);
  if (g->options.kind == GATHER) return push_results(L, s, g, index);
  forgive(L, g, index);
  return dw_task_object_results(L, s, index + g->failed);
}

/* --- Waiting ---------------------------------------------------------------*/

static int proceed(lua_State *L, dw_script *s, int index);

static int woken(lua_State *L, int status, lua_KContext ctx) {
  (void)status;
  dw_script *s = dw_script_find(L);
  dw_task_here(s)->join = NULL;
  return proceed(L, s, (int)ctx);
}

static int proceed(lua_State *L, dw_script *s, int index) {
  gather *g = lua_touserdata(L, index);
  dw_join *j = &g->join;
  bool more = !g->settled && g->started < g->count;
  dw_join_notice(j, dw_task_here(s), more);
  if (!j->ending && (g->settled || j->interrupted)) {
    if (g->settled && g->options.kind == RACE_SUCCESS) forgive(L, g, index);
    dw_join_cancel(j, dw_task_here(s));
  }
  if (!j->ending) start_some(L, s, g, index);
  if (j->running > 0)
    return dw_join_wait(L, s, j, names[g->options.kind], woken, index);
  return conclude(L, s, g, index);
}

/* Runs what lies on the stack from index on. */
static int run_all(lua_State *L, dw_script *s, int index,
                   gather_options options) {
  luaL_checkstack(L, 10, NULL);
  gather *g = push_gather(L, index, options);
  for (int i = 1; i <= g->count; i++) {
    const dw_task_object *o = dw_task_object_test(L, index + i);
    if (o && o->task) dw_check_deadlock(L, dw_task_here(s), o->task);
  }
  watch_tasks(L, g, index);
  return proceed(L, s, index);
}

int dw_join_task(lua_State *L, dw_script *s, int index) {
  return run_all(L, s, index, (gather_options){RUN, INT_MAX, false});
}

/* --- Arguments -------------------------------------------------------------*/

bool dw_is_plain_table(lua_State *L, int index) {
  return lua_istable(L, index) && !dw_is_awaitable(L, index) &&
         !dw_is_callable(L, index);
}

static void check_items(lua_State *L, const char *what, const char *which) {
  for (int i = 1, n = lua_gettop(L); i <= n; i++)
    if (!dw_is_awaitable(L, i) && !dw_is_callable(L, i))
      dw_misuse(L,
                "%s: %s %d must be a function, a task or an awaitable, not a "
                "%s",
                what, which, i, luaL_typename(L, i));
}

/* What is to be done with the option whose value is on top. */
typedef void (*option_reader)(lua_State *L, gather_options *options);

static void read_limit(lua_State *L, gather_options *options) {
  int exact;
  lua_Integer n = lua_tointegerx(L, -1, &exact);
  if (lua_type(L, -1) != LUA_TNUMBER || !exact || n < 1)
    dw_misuse(L, "gather: limit is how many may run at once, an integer of at "
                 "least 1");
  if (n < options->limit) options->limit = (int)n;
}

static void read_success(lua_State *L, gather_options *options) {
  if (!lua_isboolean(L, -1))
    dw_misuse(L, "race: success is true (errors count only if all fail) or "
                 "false");
  if (lua_toboolean(L, -1)) options->kind = RACE_SUCCESS;
}

static void read_options(lua_State *L, int index, const char *const *known,
                         option_reader read, gather_options *options) {
  dw_check_options(L, index, known);
  if (lua_getfield(L, index, known[0]) != LUA_TNIL) read(L, options);
  lua_pop(L, 1);
}

static void check_keys(lua_State *L, const char *what) {
  for (lua_pushnil(L); lua_next(L, 1); lua_pop(L, 1))
    if (!lua_isinteger(L, -2))
      dw_misuse(L,
                "%s: a list has no field '%s'; options stand in a table of "
                "their own behind it",
                what, luaL_tolstring(L, -2, NULL));
}

/* Puts the items of the list at 1 in its place. */
static void unpack_list(lua_State *L, const char *what) {
  check_keys(L, what);
  lua_Unsigned n = lua_rawlen(L, 1);
  if (n > INT_MAX - LUA_MINSTACK || !lua_checkstack(L, (int)n + LUA_MINSTACK))
    dw_misuse(L, "%s: the list is too long", what);
  for (int i = 1; i <= (int)n; i++) lua_rawgeti(L, 1, i);
  lua_remove(L, 1);
}

/* (list [, options]) rather than (f1, f2, ...) with options on either side. */
static bool is_list_call(lua_State *L, int n) {
  if (n == 0 || !dw_is_plain_table(L, 1)) return false;
  return n == 1 || lua_rawlen(L, 1) > 0 || dw_is_plain_table(L, 2);
}

/* Leaves what is to be run. */
static void read_arguments(lua_State *L, const char *what,
                           const char *const *known, option_reader read,
                           gather_options *options) {
  int n = lua_gettop(L);
  luaL_checkstack(L, 10, NULL);
  if (n == 2 && lua_isnil(L, 2) && dw_is_plain_table(L, 1))
    lua_settop(L, n = 1); /* a list, and no options */
  if (is_list_call(L, n)) {
    if (n > 2)
      dw_misuse(L, "%s: behind a list there can only be options", what);
    if (n == 2) {
      read_options(L, 2, known, read, options);
      lua_settop(L, 1);
    }
    options->list = true;
    unpack_list(L, what);
    check_items(L, what, "item");
    return;
  }
  int at = n > 0 && dw_is_plain_table(L, 1) ? 1 : n;
  if (n > 0 && dw_is_plain_table(L, at)) {
    read_options(L, at, known, read, options);
    lua_remove(L, at);
  }
  check_items(L, what, "argument");
}

/* --- gather, race, run -----------------------------------------------------*/

/* gather(...) */
static int gather_call(lua_State *L) {
  static const char *const known[] = {"limit", NULL};
  dw_script *s = dw_script_of(L);
  gather_options options = {GATHER, INT_MAX, false};
  read_arguments(L, "gather", known, read_limit, &options);
  dw_wait_refuse(L, s);
  return run_all(L, s, 1, options);
}

/* race(...) */
static int race_call(lua_State *L) {
  static const char *const known[] = {"success", NULL};
  dw_script *s = dw_script_of(L);
  gather_options options = {RACE, INT_MAX, false};
  read_arguments(L, "race", known, read_success, &options);
  if (lua_gettop(L) == 0)
    return dw_misuse(L, "race: there is nobody who could win; it takes at "
                        "least one function, task or awaitable");
  dw_wait_refuse(L, s);
  return run_all(L, s, 1, options);
}

/* run(fn, ...) */
static int run(lua_State *L) {
  dw_script *s = dw_script_of(L);
  dw_check_callable(L, 1, "run");
  if (s->current)
    return dw_misuse(L, "run: this is inside a task already; call the function "
                        "as it is, or await dewar.spawn(fn, ...)");
  dw_wait_refuse(L, s);
  dw_spawn(L, s, lua_gettop(L) - 1, s->root, &s->root->context);
  return dw_join_task(L, s, 1);
}

static const luaL_Reg metamethods[] = {{"__gc", gather_gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {
    {"gather", gather_call}, {"race", race_call}, {"run", run}, {NULL, NULL}};

void dw_gather_open(lua_State *L, dw_script *s) {
  dw_script_type(L, s, GATHER_TYPE, NULL, metamethods);
}

void dw_gather_functions(lua_State *L, dw_script *s) {
  dw_script_register(L, s, functions);
}
