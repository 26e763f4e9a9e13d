/* SPDX-License-Identifier: MIT */
/* Streamed bodies: the pull form, a function that gives the next piece each
 * time it is called (an iterator, a coroutine.wrap generator, an object with
 * __call), and the push form, dewar.stream(function(write) ... end). Both wait
 * where the client reads slowly. */
#include "bindings/stream.h"

#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/headers.h"
#include "bindings/response.h"
#include "bindings/task_private.h"

static const char STREAM_TYPE[] = "dewar.stream";

bool dw_is_stream(lua_State *L, int index) {
  if (lua_isfunction(L, index) || dw_type_test(L, index, STREAM_TYPE) ||
      dw_sse_test(L, index))
    return true;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL) return false;
  lua_pop(L, 1);
  return true;
}

/* --- Writing ---------------------------------------------------------------*/

/* A client that is gone cancels the request, whose tasks are told so, or, where
 * the app doesn't want that, is written to in vain. To a task of somebody else
 * it is an error like others. A write that fails doesn't wait, so who swallows
 * the cancellation again and again is ended as by a wait. */
static void raise_gone(lua_State *L, dw_exchange *x) {
  dw_script *s = ((dw_task *)x->script)->script;
  if (!x->cancelled) return;
  if (dw_current_exchange(s) != x)
    dw_errors_raise_code(L, s, DEWAR_ECLOSED, "writing to the stream");
  dw_wait_cancelled(L, s);
}

void dw_stream_give(lua_State *L, dw_exchange *x, dw_slice bytes) {
  int code = dw_reply_write(&x->http, bytes);
  if (code == DEWAR_ECLOSED)
    raise_gone(L, x);
  else if (code == DEWAR_ETOOBIG)
    luaL_error(L, "the body is longer than its Content-Length");
  else if (code == DW_ENOMEM)
    luaL_error(L, "not enough memory");
}

static void write_piece(lua_State *L, dw_exchange *x, int index) {
  size_t len;
  const char *text = lua_tolstring(L, index, &len);
  dw_stream_give(L, x, dw_slice_of(text, len));
}

static void check_piece(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TSTRING) return;
  if (dw_is_awaitable(L, index))
    luaL_error(L, "a streamed body gave an awaitable as a piece; pass it to "
                  "dewar.await and give its result");
  luaL_error(L, "a streamed body consists of strings; it gave a %s",
             luaL_typename(L, index));
}

/* --- The pull form ---------------------------------------------------------*/

static int piece_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  (void)status;
  if (lua_isnil(L, -1)) {
    x->called = DW_PASS;
    return 0;
  }
  check_piece(L, -1);
  write_piece(L, x, -1);
  x->called = DW_DONE;
  return 0;
}

/* --- The push form ---------------------------------------------------------*/

/* Lets all go on that wait to write. */
static void drained_cb(dw_exchange *x) {
  dw_writers *w = x->drain_data;
  for (dw_list *n; (n = dw_list_shift(&w->line));)
    dw_wake_up(DW_CONTAINER(n, dw_waiter, node)->wake);
}

dw_writers *dw_stream_writers(lua_State *L, dw_exchange *x) {
  if (!x->drain_data) {
    dw_writers *w = dw_arena_zalloc(&x->http.request.arena, sizeof *w);
    if (!w) luaL_error(L, "not enough memory");
    dw_list_init(&w->line);
    x->drain_data = w;
  }
  return x->drain_data;
}

static int written_k(lua_State *L, int status, lua_KContext ctx) {
  (void)L;
  (void)status;
  (void)ctx;
  return 0;
}

int dw_drain_wait(lua_State *L, dw_exchange *x) {
  dw_task *t = x->script;
  dw_writers *w = dw_stream_writers(L, x);
  dw_wake wake = dw_wait_begin(L, t->script, NULL, NULL);
  dw_wait_name(wake, "socket write");
  dw_waiter_join(&w->line, wake);
  x->drain_cb = drained_cb;
  return dw_wait(L, wake, -1, written_k, 0);
}

int dw_stream_written(lua_State *L, dw_exchange *x) {
  return dw_reply_full(&x->http) ? dw_drain_wait(L, x) : 0;
}

/* A task that was left behind is cancelled when the stream is over. */
dw_exchange *dw_stream_check(lua_State *L, int request, const char *what) {
  dw_script *s = dw_script_of(L);
  dw_exchange *x = dw_request_peek(L, request);
  if (x && x->stage == DW_STAGE_STREAM) return x;
  if (dw_task_interrupted(dw_task_here(s))) dw_wait_cancelled(L, s);
  dw_misuse(L, "this stream has ended; %s works until its function returns",
            what);
  return NULL;
}

/* write(piece): upvalue 1 the script, 2 the request object. */
static int stream_write(lua_State *L) {
  lua_settop(L, 1);
  lua_pushvalue(L, lua_upvalueindex(2));
  dw_exchange *x = dw_stream_check(L, 2, "write");
  check_piece(L, 1);
  write_piece(L, x, 1);
  return dw_stream_written(L, x);
}

/* The function has given trailers. The head is gone, so what was to be in it
 * makes room for them. */
static void set_trailers(lua_State *L, dw_exchange *x) {
  dw_headers *h = &x->plain.headers;
  dw_headers_deinit(h);
  dw_headers_from_table(L, lua_gettop(L), h);
  for (uint32_t i = 0; i < h->count; i++)
    if (!dw_header_may_trail(h->items[i].name))
      luaL_error(
          L, "%s can't be a trailer; it goes into the response's headers",
          lua_pushlstring(L, h->items[i].name.ptr, h->items[i].name.len));
  if (dw_reply_trails(&x->http)) x->http.trailers = h;
}

static int pushed_end(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  (void)status;
  lua_settop(L, 3);
  if (lua_istable(L, -1))
    set_trailers(L, x);
  else if (!lua_isnil(L, -1))
    luaL_error(L,
               "the function of a stream returned a %s; its pieces go to "
               "write, and it returns nothing or a table of trailers",
               luaL_typename(L, -1));
  x->called = DW_PASS;
  return 0;
}

/* An async function has begun: the stream ends when it does. */
static int pushed_k(lua_State *L, int status, lua_KContext ctx) {
  if (dw_is_awaitable(L, -1)) {
    lua_replace(L, 2); /* so that what is above is its first result */
    lua_settop(L, 2);
    return dw_await(L, 2, -1, pushed_end, ctx);
  }
  return pushed_end(L, status, ctx);
}

static int push_all(lua_State *L, dw_exchange *x, int stream) {
  dw_task *t = x->script;
  lua_getiuservalue(L, stream, 1);
  lua_pushlightuserdata(L, t->script);
  dw_request_push(L, x);
  lua_pushcclosure(L, stream_write, 2);
  lua_callk(L, 1, 1, (lua_KContext)x, pushed_k);
  return pushed_k(L, LUA_OK, (lua_KContext)x);
}

static int stream_new(lua_State *L) {
  bool callable = lua_isfunction(L, 1);
  if (!callable) callable = luaL_getmetafield(L, 1, "__call") != LUA_TNIL;
  if (!callable)
    return dw_misuse(L, "dewar.stream takes a function(write); got a %s",
                     luaL_typename(L, 1));
  lua_newuserdatauv(L, 0, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  dw_type_set(L, STREAM_TYPE);
  return 1;
}

/* --- Stages ----------------------------------------------------------------*/

int dw_stream_piece(lua_State *L) {
  dw_exchange *x = lua_touserdata(L, 1);
  dw_slot_push(L, x, DW_SLOT_BODY);
  if (dw_type_test(L, 2, STREAM_TYPE)) return push_all(L, x, 2);
  if (dw_sse_test(L, 2)) return dw_sse_piece(L, x);
  dw_generator_guard(L, 2);
  lua_callk(L, 0, 1, (lua_KContext)x, piece_k);
  return piece_k(L, LUA_OK, (lua_KContext)x);
}

static int closed_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  (void)L, (void)status;
  x->called = DW_PASS;
  return 0;
}

/* Finished or not, a generator's <close> variables are closed, and an object's
 * __close is called with the error, if there is one. */
int dw_stream_close_body(lua_State *L) {
  dw_exchange *x = lua_touserdata(L, 1);
  dw_slot_push(L, x, DW_SLOT_BODY);
  x->called = DW_PASS;
  x->drain_cb = NULL;
  if (x->drain_data) drained_cb(x); /* a background task's write, at the most */
  dw_sse_end(x);
  if (dw_sse_test(L, 2)) {
    dw_sse_push_source(L, 2);
    lua_replace(L, 2);
  }
  if (luaL_getmetafield(L, 2, "__close") != LUA_TNIL) {
    lua_insert(L, 2);
    if (x->unhandled.script)
      dw_slot_push(L, x, DW_SLOT_UNHANDLED);
    else
      lua_pushnil(L);
    lua_callk(L, 2, 0, (lua_KContext)x, closed_k);
  } else if (dw_generator_test(L, 2)) {
    return dw_generator_close(L, x);
  } else {
    return 0;
  }
  return closed_k(L, LUA_OK, (lua_KContext)x);
}

void dw_stream_open(lua_State *L, dw_script *s) {
  const luaL_Reg functions[] = {{"stream", stream_new}, {NULL, NULL}};
  dw_script_type(L, s, STREAM_TYPE, NULL, NULL);
  dw_script_register(L, s, functions);
  dw_sse_open(L, s);
}
