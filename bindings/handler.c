/* SPDX-License-Identifier: MIT */
/* Lua functions as handlers. A call is one run of stage_main in the request's
 * task; what follows the function's return happens in stage_k, still inside. */
#include "bindings/handler.h"

#include "base/error.h"
#include "bindings/capture.h"
#include "bindings/errors.h"
#include "bindings/headers.h"
#include "bindings/response.h"
#include "bindings/stream.h"
#include "bindings/watchdog.h"
#include "bindings/websocket.h"

typedef struct lua_handler {
  dw_handler base;
  dw_lua_app *app;
  int ref;        /* in the refs table */
  bool wrapped;   /* ensure_sync has seen it */
  bool incurious; /* its function takes no arguments: none are made */
} lua_handler;

/* --- Calling ---------------------------------------------------------------*/

/* Whether a function has no parameters at all. */
static bool takes_nothing(lua_State *L, int index) {
  lua_Debug ar;
  if (!lua_isfunction(L, index)) return false;
  lua_pushvalue(L, index);
  lua_getinfo(L, ">u", &ar);
  return ar.nparams == 0 && !ar.isvararg;
}

/* Pushes the handler's function. The first time it passes through the app's
 * ensure_sync, which the app may have overridden (docs/async.md). */
static void push_function(lua_State *L, lua_handler *h) {
  dw_app_push_refs(L, h->app);
  lua_rawgeti(L, -1, h->ref);
  if (!h->wrapped) {
    lua_rawgeti(L, -2, DW_REF_SELF);
    lua_getfield(L, -1, "ensure_sync");
    lua_insert(L, -2);
    lua_pushvalue(L, -3);
    lua_call(L, 2, 1);
    if (lua_isnil(L, -1))
      luaL_error(L, "the app's ensure_sync returned nil; it must return a "
                    "function that can be called like the one it was given");
    lua_pushvalue(L, -1);
    lua_rawseti(L, -4, h->ref);
    lua_remove(L, -2);
    h->incurious = takes_nothing(L, -1);
    h->wrapped = true;
  }
  lua_replace(L, -2);
}

/* The error being handled as a Lua value: what was raised, or an object for
 * what C found (a 404). */
static void push_error(lua_State *L, dw_exchange *x, const dw_error *error,
                       enum dw_slot slot) {
  dw_task *t = x->script;
  if (!error->cls) {
    lua_pushnil(L);
    return;
  }
  if (error->script) {
    dw_slot_push(L, x, slot);
    return;
  }
  dw_errors_push(L, t->script, error->cls, error->message);
}

/* The headers of what C found, for the error object on top. */
static void set_own_headers(lua_State *L, dw_exchange *x) {
  dw_task *t = x->script;
  dw_buffer *text = &t->script->scratch;
  if (x->error.status == 405 && x->match.kind == DW_MATCH_NOT_ALLOWED) {
    text->len = 0;
    lua_createtable(L, 0, 1);
    if (dw_allow_text(x->match.allowed, text) == 0) {
      lua_pushlstring(L, text->ptr, text->len);
      lua_setfield(L, -2, "Allow");
    }
  } else if (x->error.status == 416 && x->has_whole) {
    lua_createtable(L, 0, 1);
    lua_pushfstring(L, "bytes */%I", (LUAI_UACINT)x->whole);
    lua_setfield(L, -2, "Content-Range");
  } else {
    return;
  }
  lua_setfield(L, -2, "headers");
}

/* What C found becomes an object once, so that each hook sees the same one. */
static void push_own_error(lua_State *L, dw_exchange *x) {
  if (!x->error.script) {
    push_error(L, x, &x->error, DW_SLOT_ERROR);
    set_own_headers(L, x);
    dw_slot_set(L, x, DW_SLOT_ERROR);
    x->error.script = true;
  }
  dw_slot_push(L, x, DW_SLOT_ERROR);
}

static int push_arguments(lua_State *L, dw_exchange *x) {
  dw_request_push(L, x);
  switch (x->stage) {
  case DW_STAGE_PREPROCESS: {
    int request = lua_gettop(L);
    lua_getfield(L, request, "endpoint");
    lua_getfield(L, request, "view_args");
    return 3;
  }
  case DW_STAGE_VIEW:
    return 1 + dw_request_push_args(L, x);
  case DW_STAGE_ERROR:
  case DW_STAGE_EXCEPTION:
  case DW_STAGE_SERVER_ERROR:
    push_own_error(L, x);
    return 2;
  case DW_STAGE_AFTER_THIS:
  case DW_STAGE_AFTER:
  case DW_STAGE_RESPONSE:
  case DW_STAGE_FINISHED: {
    dw_task *t = x->script;
    dw_response_push(L, t->script, x);
    return 2;
  }
  case DW_STAGE_TEARDOWN:
  case DW_STAGE_TORN_DOWN:
    push_error(L, x, &x->unhandled, DW_SLOT_UNHANDLED);
    return 2;
  default:
    return 1;
  }
}

const char *dw_stage_name(const dw_exchange *x) {
  switch (x->stage) {
  case DW_STAGE_REQUEST:
  case DW_STAGE_RESPONSE:
    return "middleware";
  case DW_STAGE_PREPROCESS:
    return "url_value_preprocessor";
  case DW_STAGE_BEFORE:
    return "before_request function";
  case DW_STAGE_TEARDOWN:
    return "teardown_request function";
  case DW_STAGE_ERROR:
  case DW_STAGE_SERVER_ERROR:
    return "error handler";
  case DW_STAGE_AFTER_THIS:
    return "after_this_request function";
  case DW_STAGE_AFTER:
    return "after_request function";
  default:
    return "view";
  }
}

/* Whether what is called in this stage has no say in what happens. */
static bool is_told_only(const dw_exchange *x) {
  switch (x->stage) {
  case DW_STAGE_STARTED:
  case DW_STAGE_PREPROCESS:
  case DW_STAGE_EXCEPTION:
  case DW_STAGE_FINISHED:
  case DW_STAGE_TEARDOWN:
  case DW_STAGE_TORN_DOWN:
    return true;
  default:
    return false;
  }
}

/* What the function returned, from index 2 on, becomes the verdict. */
static void finish_stage(lua_State *L, dw_exchange *x) {
  dw_task *t = x->script;
  x->called = DW_PASS;
  if (is_told_only(x)) return;
  if (x->websocket && dw_websocket_returned(L, x)) return;
  if (lua_isnoneornil(L, 2)) {
    if (x->stage == DW_STAGE_BEFORE || x->stage == DW_STAGE_REQUEST ||
        x->stage == DW_STAGE_RESPONSE)
      return;
    luaL_error(L,
               "the %s of '%s' returned nil; return a string, a table "
               "or a response",
               dw_stage_name(x), dw_endpoint_name(L, x));
  }
  dw_response_convert(L, t->script, x, 2);
  x->called = DW_DONE;
}

/* Whether there is another hook to be called in this run. */
static bool take_next(dw_exchange *x) {
  if (x->stage <= DW_STAGE_BEFORE && x->called == DW_DONE) return false;
  dw_handler *next = dw_exchange_next_hook(x, x->calling);
  if (!next) return false;
  x->calling = next;
  return true;
}

static int stage_k(lua_State *L, int status, lua_KContext ctx);

/* An awaitable that was returned has been awaited: its first result stands in
 * its place, or, where it stood alone, all of them. */
static int awaited_k(lua_State *L, int status, lua_KContext ctx) {
  int returned = (int)lua_tointeger(L, 2);
  if (lua_gettop(L) >= returned + 4 && lua_rawequal(L, 3, returned + 4))
    return luaL_error(L,
                      "the %s of '%s' returned an awaitable that gives itself",
                      dw_stage_name((dw_exchange *)ctx),
                      dw_endpoint_name(L, (dw_exchange *)ctx));
  if (returned == 1) {
    for (int i = 0; i < 3; i++) lua_remove(L, 2);
  } else {
    lua_settop(L, returned + 4);
    lua_replace(L, 3);
    lua_settop(L, returned + 2);
    lua_remove(L, 2);
  }
  return stage_k(L, status, ctx);
}

/* Calls the handler and, as long as they have nothing to say against it, the
 * hooks behind it. A wait leaves this frame; stage_k goes on in one of its own.
 */
static int call_handlers(lua_State *L, dw_exchange *x) {
  do {
    lua_handler *h = (lua_handler *)x->calling;
    lua_settop(L, 1);
    push_function(L, h);
    int n = h->incurious && !x->websocket ? 0 : push_arguments(L, x);
    lua_callk(L, n, LUA_MULTRET, (lua_KContext)x, stage_k);
    int returned = lua_gettop(L) - 1;
    if (returned > 0 && dw_is_awaitable(L, 2))
      return stage_k(L, LUA_OK, (lua_KContext)x);
    finish_stage(L, x);
  } while (take_next(x));
  return 0;
}

/* What was waited for has returned. */
static int stage_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  (void)status;
  int returned = lua_gettop(L) - 1;
  if (returned > 0 && dw_is_awaitable(L, 2)) {
    luaL_checkstack(L, 3, NULL);
    lua_pushinteger(L, returned);
    lua_insert(L, 2);
    lua_pushvalue(L, 3);
    return dw_await(L, lua_gettop(L), -1, awaited_k, ctx);
  }
  finish_stage(L, x);
  return take_next(x) ? call_handlers(L, x) : 0;
}

/* x, and the exchange's calling handler, to a verdict in x->called. */
static int stage_main(lua_State *L) {
  return call_handlers(L, lua_touserdata(L, 1));
}

/* The same for the next of the after_this_request functions. */
static int after_this_main(lua_State *L) {
  dw_exchange *x = lua_touserdata(L, 1);
  dw_request_next_after(L, x);
  int n = push_arguments(L, x);
  lua_callk(L, n, LUA_MULTRET, (lua_KContext)x, stage_k);
  return stage_k(L, LUA_OK, (lua_KContext)x);
}

/* --- Runs and their verdicts -----------------------------------------------*/

/* A request that the memory limit has stopped is a 503; the log is told now and
 * then. */
static void out_of_memory(dw_exchange *x) {
  dw_task *t = x->script;
  dw_watchdog *w = t->script->watchdog;
  if (!w || !dw_watchdog_limited(w)) return;
  x->error = (dw_error){.cls = dw_error_for_status(503), .status = 503};
  size_t used, limit;
  if (dw_watchdog_refused(w, &used, &limit))
    dw_logf(t->script->log, DEWAR_ERROR,
            "a request ran out of memory: Lua holds %zu bytes, and "
            "config.MEMORY_LIMIT is %zu",
            used, limit);
}

/* With DEBUG, a request keeps what it has met with, in this place of its
 * object's made values: see lua/dewar/debug.lua. */
#define REPORTS_KEY "\1reports"

static void add_report(lua_State *L, dw_exchange *x) {
  dw_task *t = x->script;
  dw_request_push(L, x);
  dw_request_push_cache(L, -1);
  if (lua_getfield(L, -1, REPORTS_KEY) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, REPORTS_KEY);
  }
  lua_createtable(L, 0, 4);
  dw_slot_push(L, x, DW_SLOT_ERROR);
  lua_setfield(L, -2, "value");
  dw_slot_push(L, x, DW_SLOT_TRACEBACK);
  dw_capture_push(L, t->script, lua_gettop(L));
  lua_setfield(L, -3, "frames");
  lua_setfield(L, -2, "traceback");
  lua_pushstring(L, dw_stage_name(x));
  lua_setfield(L, -2, "stage");
  lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
  lua_pop(L, 3);
}

/* Who catches an error of memory and raises another puts words before it. */
static bool tells_of_memory(lua_State *L, int index) {
  static const char words[] = "not enough memory";
  size_t len, n = sizeof words - 1;
  if (lua_type(L, index) != LUA_TSTRING) return false;
  const char *text = lua_tolstring(L, index, &len);
  return len >= n && memcmp(text + len - n, words, n) == 0;
}

/* Looks at what was raised: the class and status of an error, or a response. */
static int classify_main(lua_State *L) {
  dw_exchange *x = lua_touserdata(L, 1);
  dw_task *t = x->script;
  dw_slot_push(L, x, DW_SLOT_ERROR);
  x->called = DW_FAILED;
  if (dw_response_test(L, -1) && x->stage < DW_STAGE_SEND) {
    dw_response_convert(L, t->script, x, 2);
    x->called = DW_DONE;
    return 0;
  }
  int status;
  const dw_error_class *cls = dw_errors_class(L, t->script, -1, &status);
  x->error = (dw_error){.cls = cls, .status = status, .script = true};
  if (tells_of_memory(L, -1)) out_of_memory(x);
  if (t->context.app->debug && cls != &dw_error_cancelled) add_report(L, x);
  return 0;
}

static dw_verdict verdict_of(dw_exchange *x, dw_run run) {
  if (run == DW_RUN_WAITING) return DW_PENDING;
  if (run == DW_RUN_DONE) return (dw_verdict)x->called;
  x->called = DW_FAILED;
  if (dw_task_run(x->script, classify_main, x) != DW_RUN_DONE) {
    /* There was no memory even to look at it. */
    dw_exchange_fail(x, 503, "out of memory");
    out_of_memory(x);
  }
  return (dw_verdict)x->called;
}

/* A stream that stays in rooms may do so for hours, and runs no Lua. */
static dw_verdict rest(dw_exchange *x, dw_verdict verdict) {
  if (verdict == DW_PENDING && dw_sse_stays(x)) dw_task_rest(x->script);
  return verdict;
}

static void resumed_cb(dw_task *t, dw_run run) {
  dw_exchange *x = t->owner;
  dw_verdict verdict = rest(x, verdict_of(x, run));
  if (verdict != DW_PENDING) dw_exchange_resume(x, verdict);
}

/* The request's task, taken at its first Lua stage. */
static dw_task *begin(dw_exchange *x, dw_lua_app *app) {
  dw_context context = {x, app};
  dw_task *t;
  if (dw_task_open(app->script, &context, &t) < 0) return NULL;
  t->owner = x;
  t->resumed_cb = resumed_cb;
  x->script = t;
  if (x->cancelled) dw_task_cancel(t, false);
  if (x->stage >= DW_STAGE_TEARDOWN) dw_task_shield(t);
  return t;
}

static dw_verdict call(dw_handler *h, dw_exchange *x) {
  if (!x->script && !begin(x, ((lua_handler *)h)->app))
    return dw_exchange_fail(x, 503, "out of memory");
  x->calling = h;
  return verdict_of(x, dw_task_run(x->script, stage_main, x));
}

static void handler_free(dw_handler *h, dw_allocator *a) {
  dw_free(a, h, sizeof(lua_handler));
}

static lua_handler *handler_new(lua_State *L, int core_index, int index) {
  dw_lua_app *app = dw_app_check(L, core_index);
  lua_getiuservalue(L, core_index, 1);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, app->refs + 1);
  lua_pop(L, 1);
  lua_handler *h = dw_zalloc(app->script->alloc, sizeof *h);
  if (!h) luaL_error(L, "not enough memory");
  *h = (lua_handler){
      .base = {call, handler_free}, .app = app, .ref = ++app->refs};
  return h;
}

dw_handler *dw_handler_new(lua_State *L, int core_index, int index) {
  return &handler_new(L, core_index, index)->base;
}

dw_handler *dw_handler_new_own(lua_State *L, int core_index, int index) {
  lua_handler *h = handler_new(L, core_index, index);
  h->wrapped = true;
  return &h->base;
}

/* --- The runner ------------------------------------------------------------*/

static dw_verdict after_this(dw_exchange *x) {
  if (!dw_request_has_after(x)) return DW_PASS;
  return verdict_of(x, dw_task_run(x->script, after_this_main, x));
}

/* What an event stream waits in may wait for long, and there may be many. */
static void begin_events(dw_exchange *x) {
  dw_task *t = x->script;
  if (x->http.taken > 0 || x->drain_data) return;
  dw_slot_push(t->co, x, DW_SLOT_BODY);
  bool events = dw_sse_test(t->co, -1);
  lua_pop(t->co, 1);
  if (events) dw_task_renew(t);
}

static dw_verdict next_piece(dw_exchange *x) {
  begin_events(x);
  return rest(x, verdict_of(x, dw_task_run(x->script, dw_stream_piece, x)));
}

static dw_verdict close_body(dw_exchange *x) {
  if (x->response->kind != DW_BODY_STREAM) return DW_PASS;
  dw_task_shield(x->script);
  return verdict_of(x, dw_task_run(x->script, dw_stream_close_body, x));
}

static dw_verdict reap(dw_exchange *x) {
  x->called = DW_PASS;
  return dw_task_reap(x->script) ? DW_PASS : DW_PENDING;
}

static void cancel(dw_exchange *x, bool timeout) {
  dw_task_cancel(x->script, timeout);
  if (dw_sse_stays(x)) dw_sse_leave(x);
}

static void stop(dw_exchange *x) {
  if (dw_sse_stays(x)) dw_sse_leave(x);
}

static void uncancel(dw_exchange *x) { dw_task_uncancel(x->script); }

static void shield(dw_exchange *x) { dw_task_shield(x->script); }

/* What is called from now on has the mounted app, or has its own again. */
static void moved(dw_exchange *x) {
  dw_task *t = x->script;
  t->context.app = x->app->data;
}

typedef struct description {
  dw_exchange *x;
  dw_slice *text;
  dw_response *response;
} description;

static int describe_main(lua_State *L) {
  description *d = lua_touserdata(L, 1);
  size_t len;
  dw_slot_push(L, d->x, DW_SLOT_ERROR);
  if (!lua_istable(L, -1)) return 0;
  lua_getfield(L, -1, "message");
  const char *text =
      lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &len) : NULL;
  char *copy =
      text ? dw_arena_copy(&d->x->http.request.arena, text, len) : NULL;
  if (copy) *d->text = dw_slice_of(copy, len);
  lua_pop(L, 1);
  if (lua_getfield(L, -1, "headers") == LUA_TTABLE)
    dw_headers_from_table(L, lua_gettop(L), &d->response->headers);
  return 0;
}

static void describe(dw_exchange *x, dw_slice *text, dw_response *response) {
  description d = {x, text, response};
  dw_task_run(x->script, describe_main, &d);
}

/* --- The debug page --------------------------------------------------------*/

typedef struct page_call {
  dw_exchange *x;
  const dw_error_page *page;
  bool made;
} page_call;

static void set_info(lua_State *L, dw_exchange *x, const dw_error_page *page) {
  lua_createtable(L, 0, 8);
  lua_pushinteger(L, x->error.status);
  lua_setfield(L, -2, "status");
  lua_pushlstring(L, page->description.ptr ? page->description.ptr : "",
                  page->description.len);
  lua_setfield(L, -2, "description");
  lua_pushboolean(L, page->json);
  lua_setfield(L, -2, "json");
  lua_pushboolean(L, x->unhandled.cls != NULL);
  lua_setfield(L, -2, "unhandled");
  lua_pushboolean(L, x->match.kind == DW_MATCH_NOT_FOUND);
  lua_setfield(L, -2, "no_route");
  if (x->match.kind == DW_MATCH_NOT_ALLOWED) {
    dw_task *t = x->script;
    dw_buffer *text = &t->script->scratch;
    if (!text->alloc) dw_buffer_init(text, t->script->alloc, 0);
    text->len = 0;
    if (dw_allow_text(x->match.allowed, text) == 0) {
      lua_pushlstring(L, text->ptr ? text->ptr : "", text->len);
      lua_setfield(L, -2, "allowed");
    }
    text->len = 0;
  }
}

/* app:_error_page(req, info, made values) -> body, headers; it can't wait. */
static int call_page(lua_State *L) {
  page_call *call = lua_touserdata(L, 1);
  dw_exchange *x = call->x;
  dw_task *t = x->script;
  dw_app_push_self(L, t->context.app);
  lua_getfield(L, -1, "_error_page");
  lua_insert(L, -2);
  dw_request_push(L, x);
  set_info(L, x, call->page);
  dw_request_push_cache(L, -2);
  lua_call(L, 4, 2);
  if (lua_type(L, -2) != LUA_TSTRING) return 0;
  size_t len;
  const char *body = lua_tolstring(L, -2, &len);
  dw_headers_from_table(L, lua_gettop(L), &call->page->response->headers);
  call->made = dw_buffer_append(call->page->out, body, len) == 0;
  return 0;
}

static int page_main(lua_State *L) {
  page_call *call = lua_touserdata(L, 1);
  dw_task *t = call->x->script;
  lua_pushcfunction(L, call_page);
  lua_pushlightuserdata(L, call);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return 0;
  const char *text = lua_tostring(L, -1);
  dw_logf(t->script->log, DEWAR_WARN, "the debug page could not be made: %s",
          text ? text : "no text");
  return 0;
}

static bool error_page(dw_exchange *x, const dw_error_page *page) {
  dw_lua_app *app = x->app->data;
  if (!app->debug || (!x->script && !begin(x, app))) return false;
  page_call call = {.x = x, .page = page};
  return dw_task_run(x->script, page_main, &call) == DW_RUN_DONE && call.made;
}

/* --- What becomes of an error ----------------------------------------------*/

static int keep_main(lua_State *L) {
  dw_exchange *x = lua_touserdata(L, 1);
  dw_slot_push(L, x, DW_SLOT_ERROR);
  dw_slot_set(L, x, DW_SLOT_UNHANDLED);
  return 0;
}

static void keep_error(dw_exchange *x) { dw_task_run(x->script, keep_main, x); }

static int wrap_main(lua_State *L) {
  dw_exchange *x = lua_touserdata(L, 1);
  dw_task *t = x->script;
  dw_errors_push(L, t->script, dw_error_for_status(500), NULL);
  push_error(L, x, &x->error, DW_SLOT_ERROR);
  lua_setfield(L, -2, "original");
  dw_slot_set(L, x, DW_SLOT_ERROR);
  x->error.script = true;
  return 0;
}

static void wrap_error(dw_exchange *x) {
  if (dw_task_run(x->script, wrap_main, x) != DW_RUN_DONE)
    x->error.script = false;
}

typedef struct log_call {
  dw_exchange *x;
  const char *where;
} log_call;

/* Without a heading or a link that nothing follows: what C raised has no calls
 * to show. */
static size_t trim(const char *text, size_t len) {
  static const char *const ends[] = {"\n\t(a coroutine resumed by)",
                                     "\nstack traceback:"};
  for (size_t i = 0; i < 2; i++) {
    size_t n = strlen(ends[i]);
    if (len >= n && memcmp(text + len - n, ends[i], n) == 0) len -= n;
  }
  return len;
}

static int log_main(lua_State *L) {
  log_call *call = lua_touserdata(L, 1);
  dw_task *t = call->x->script;
  size_t len;
  dw_slot_push(L, call->x, DW_SLOT_TRACEBACK);
  if (!lua_isstring(L, -1)) {
    dw_slot_push(L, call->x, DW_SLOT_ERROR);
    luaL_tolstring(L, -1, NULL);
  }
  const char *text = lua_tolstring(L, -1, &len);
  lua_pushstring(L, call->where);
  lua_pushliteral(L, "\n");
  lua_pushlstring(L, text, trim(text, len));
  lua_concat(L, 3);
  dewar_log_field field;
  size_t n = dw_exchange_log_fields(call->x, &field);
  dw_log_write(t->script->log, DEWAR_ERROR, lua_tostring(L, -1), &field, n);
  return 0;
}

static void log_error(dw_exchange *x, const char *where) {
  dw_task *t = x->script;
  log_call call = {x, where};
  if (!dw_log_on(t->script->log, DEWAR_ERROR)) return;
  if (dw_task_run(t, log_main, &call) != DW_RUN_DONE)
    dw_log_write(t->script->log, DEWAR_ERROR, where, NULL, 0);
}

static void end(dw_exchange *x) {
  if (x->websocket) dw_websocket_end(x);
  dw_sse_end(x);
  dw_request_detach(x);
  dw_task_close(x->script);
  x->script = NULL;
}

const dw_runner dw_lua_runner = {
    .after_this = after_this,
    .next_piece = next_piece,
    .close_body = close_body,
    .reap = reap,
    .cancel = cancel,
    .stop = stop,
    .uncancel = uncancel,
    .shield = shield,
    .moved = moved,
    .describe = describe,
    .error_page = error_page,
    .log_error = log_error,
    .keep_error = keep_error,
    .wrap_error = wrap_error,
    .end = end,
};
