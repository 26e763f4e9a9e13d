/* SPDX-License-Identifier: MIT */
/* dewar.queue: values handed from tasks to tasks, first in, first out, with a
 * limit that makes putting wait. A getter that is woken has an item promised to
 * it, and a putter a place; both count as taken until their tasks come to run,
 * so that nobody can come between. The items lie in a table, the user value.
 * Thread: the loop's. */
#include "bindings/task_private.h"

#define QUEUE_TYPE "dewar.queue"

typedef struct queue {
  dw_list getters;         /* none while there are items for them */
  dw_list putters;         /* none while there are places for them */
  lua_Integer first, last; /* the items' indices; first > last: none */
  lua_Integer limit;       /* 0: none */
  lua_Integer promised;    /* items, to getters that were woken */
  lua_Integer reserved;    /* places, for putters that were woken */
  bool closed;
} queue;

static queue *check(lua_State *L) { return luaL_checkudata(L, 1, QUEUE_TYPE); }

static lua_Integer length(const queue *q) { return q->last - q->first + 1; }

static bool has_item(const queue *q) { return length(q) > q->promised; }

static bool has_place(const queue *q) {
  return q->limit == 0 || length(q) + q->reserved < q->limit;
}

static bool wake_first(dw_list *line) {
  dw_list *node = dw_list_shift(line);
  if (!node) return false;
  dw_wake_up(DW_CONTAINER(node, dw_waiter, node)->wake);
  return true;
}

/* What there is now goes to those who have waited longest. */
static void serve(queue *q) {
  while (has_item(q) && wake_first(&q->getters)) q->promised++;
  while (has_place(q) && wake_first(&q->putters)) q->reserved++;
}

/* queue([limit]) */
static int queue_new(lua_State *L) {
  lua_Integer limit = 0;
  if (!lua_isnoneornil(L, 1)) {
    if (!lua_isinteger(L, 1) || lua_tointeger(L, 1) < 1)
      return dw_misuse(L, "queue: expected how many values it holds, an "
                          "integer of at least 1, or nothing for no limit");
    limit = lua_tointeger(L, 1);
  }
  queue *q = lua_newuserdatauv(L, sizeof(*q), 1);
  *q = (queue){.first = 1, .limit = limit};
  dw_list_init(&q->getters);
  dw_list_init(&q->putters);
  luaL_setmetatable(L, QUEUE_TYPE);
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

/* --- put -------------------------------------------------------------------*/

static int raise_closed(lua_State *L) {
  return dw_errors_raise(L, dw_script_of(L), &dw_error_base,
                         "the queue is closed: nothing can be put any more");
}

/* The value is at 2. */
static int add(lua_State *L, queue *q) {
  luaL_checkstack(L, 2, NULL);
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, q->last + 1); /* may raise, then nothing has changed */
  q->last++;
  serve(q);
  return 0;
}

static int place_came(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  queue *q = lua_touserdata(L, 1);
  if (q->closed) return raise_closed(L);
  q->reserved--;
  return add(L, q);
}

static int wait_in(lua_State *L, dw_list *line, const char *name,
                   double seconds, lua_KFunction k) {
  dw_wake wake = dw_wait_begin(L, dw_script_of(L), NULL, NULL);
  dw_wait_name(wake, name);
  dw_waiter_join(line, wake);
  return dw_wait(L, wake, seconds, k, 0);
}

/* put(value [, seconds]) */
static int put(lua_State *L) {
  queue *q = check(L);
  double seconds = dw_opt_seconds(L, 3, "queue:put");
  if (lua_isnoneornil(L, 2))
    return dw_misuse(L,
                     "queue:put: nil can't be put, since get returns it when "
                     "a closed queue is empty");
  if (q->closed) return raise_closed(L);
  if (has_place(q)) return add(L, q);
  return wait_in(L, &q->putters, "queue put", seconds, place_came);
}

/* --- get -------------------------------------------------------------------*/

static int remove_first(lua_State *L, queue *q) {
  luaL_checkstack(L, 3, NULL);
  lua_getiuservalue(L, 1, 1);
  lua_rawgeti(L, -1, q->first);
  lua_pushnil(L);
  lua_rawseti(L, -3, q->first);
  q->first++;
  if (q->first > q->last) {
    q->first = 1;
    q->last = 0;
  }
  serve(q);
  return 1;
}

static int nothing_left(lua_State *L) {
  lua_pushnil(L);
  return 1;
}

static int item_came(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  queue *q = lua_touserdata(L, 1);
  if (q->promised == 0) return nothing_left(L); /* woken by close */
  q->promised--;
  return remove_first(L, q);
}

static int get_in(lua_State *L, double seconds) {
  queue *q = check(L);
  if (has_item(q)) return remove_first(L, q);
  if (q->closed) return nothing_left(L);
  return wait_in(L, &q->getters, "queue get", seconds, item_came);
}

/* get([seconds]) */
static int get(lua_State *L) {
  check(L);
  return get_in(L, dw_opt_seconds(L, 2, "queue:get"));
}

/* The iterator that items gives: upvalue 2 is the queue. */
static int next_item(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(2));
  return get_in(L, -1);
}

/* items(): one value, so that it can be a body, or events, as it is */
static int items(lua_State *L) {
  check(L);
  dw_script_push_self(L, dw_script_of(L));
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, next_item, 2);
  return 1;
}

/* --- The rest --------------------------------------------------------------*/

/* Those who wait to put get an error; those who wait to get, nothing. */
static int close_queue(lua_State *L) {
  queue *q = check(L);
  q->closed = true;
  while (wake_first(&q->getters)) continue;
  while (wake_first(&q->putters)) continue;
  return 0;
}

static int len(lua_State *L) {
  lua_pushinteger(L, length(check(L)));
  return 1;
}

static int tostring(lua_State *L) {
  queue *q = check(L);
  lua_pushfstring(L, "queue: %p (%I waiting%s)", (void *)q,
                  (LUAI_UACINT)length(q), q->closed ? ", closed" : "");
  return 1;
}

static int gc(lua_State *L) {
  queue *q = check(L);
  while (dw_list_shift(&q->getters)) continue;
  while (dw_list_shift(&q->putters)) continue;
  return 0;
}

static const luaL_Reg methods[] = {{"put", put},
                                   {"get", get},
                                   {"items", items},
                                   {"close", close_queue},
                                   {NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__len", len}, {"__tostring", tostring}, {"__gc", gc}, {NULL, NULL}};

static const luaL_Reg functions[] = {{"queue", queue_new}, {NULL, NULL}};

void dw_queue_functions(lua_State *L, dw_script *s) {
  dw_script_type(L, s, QUEUE_TYPE, methods, metamethods);
  dw_script_register(L, s, functions);
}
