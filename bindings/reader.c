/* SPDX-License-Identifier: MIT */
/* Waiting for a request's body, and having it whole. The limit is checked as
 * bytes come. */
#include "bindings/reader.h"

#include "base/error.h"
#include "bindings/errors.h"

/* In the request object's table of made values. */
#define BODY_KEY "\1body"

/* --- Life ------------------------------------------------------------------*/

dw_reader *dw_reader_of(lua_State *L, dw_exchange *x) {
  const dw_limits *limits = &x->app->limits;
  dw_reader *r = x->body_data;
  if (r) return r;
  r = dw_arena_zalloc(&x->http.request.arena, sizeof *r);
  if (!r) luaL_error(L, "not enough memory");
  r->limits = (dw_form_limits){.memory = limits->max_form_memory_size,
                               .parts = limits->max_form_parts,
                               .spool = limits->form_spool_size};
  x->body_data = r;
  return r;
}

void dw_reader_release(dw_exchange *x) {
  dw_reader *r = x->body_data;
  dw_form_data_free(r->form);
  dw_spool_free(r->spool);
  dw_parts_free(r->parts);
  x->body_data = NULL;
}

void dw_reader_begin(lua_State *L, dw_reader *r, dw_reader_use use) {
  static const char *const why[] = {
      [DW_READER_WHOLE] = "the body has been read whole; use what body(), "
                          "text(), json() or form gave",
      [DW_READER_CHUNKS] =
          "this body is read by chunks(), so it can't be had in another way",
      [DW_READER_FORM] =
          "this body has been read as a form; use req.form and req.files",
      [DW_READER_PARTS] =
          "this body is read by parts(), so it can't be had in another way"};
  if (r->use != DW_READER_NEW && r->use != use) dw_misuse(L, "%s", why[r->use]);
  r->use = (uint8_t)use;
}

/* --- Waiting for bytes -----------------------------------------------------*/

int dw_reader_refuse(lua_State *L, dw_exchange *x, int status,
                     const char *format, ...) {
  dw_script *s = ((dw_task *)x->script)->script;
  va_list args;
  va_start(args, format);
  const char *text = lua_pushvfstring(L, format, args);
  va_end(args);
  return dw_errors_raise(L, s, dw_error_for_status(status), "%s", text);
}

void dw_reader_check(lua_State *L, dw_exchange *x) {
  dw_request *r = &x->http.request;
  dw_body *b = &x->http.body;
  uint64_t announced = r->has_content_length ? r->content_length : 0;
  if (announced > x->max_content_length || b->received > x->max_content_length)
    dw_reader_refuse(L, x, 413,
                     "The request's body is larger than MAX_CONTENT_LENGTH "
                     "allows.");
  if (b->failed > 0)
    dw_reader_refuse(L, x, b->failed, "%s",
                     b->reason ? b->reason
                               : "The request's body is malformed.");
  if (b->failed < 0)
    dw_errors_raise_code(L, ((dw_task *)x->script)->script, b->failed,
                         "reading the request's body");
}

bool dw_reader_is_coded(dw_exchange *x) {
  dw_slice coding = dw_request_header(&x->http.request, "Content-Encoding");
  return coding.len > 0 &&
         !dw_slice_equal_nocase(coding, DW_LITERAL("identity"));
}

/* RFC 9110, 15.5.16: Accept-Encoding says what would do. */
void dw_reader_check_coding(lua_State *L, dw_exchange *x) {
  if (!dw_reader_is_coded(x)) return;
  dw_errors_push(L, ((dw_task *)x->script)->script, dw_error_for_status(415),
                 "The request's body is encoded (Content-Encoding); it must be "
                 "sent as it is.");
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "identity");
  lua_setfield(L, -2, "Accept-Encoding");
  lua_setfield(L, -2, "headers");
  lua_error(L);
}

/* News of the body: for who wants all of it, only the end is news. */
static void body_cb(dw_exchange *x) {
  dw_reader *r = x->body_data;
  dw_body *b = &x->http.body;
  if (r->whole > 0 && !b->ended && !b->failed && b->received <= r->whole &&
      b->received <= x->max_content_length) {
    x->body_cb = body_cb;
    dw_body_want(&x->http, true);
    return;
  }
  dw_wake_up(r->wake);
}

static void forget(void *data) {
  dw_exchange *x = data;
  x->body_cb = NULL;
  x->http.body.wanted = false;
}

/* A task of somebody else could still wait when the request is over. */
dw_script *dw_reader_check_free(lua_State *L, dw_exchange *x) {
  dw_script *s = ((dw_task *)x->script)->script;
  if (dw_current_exchange(s) != x)
    dw_misuse(L, "this task doesn't belong to the request, so it can't wait "
                 "for its body; read it in the view, and pass it on");
  if (x->body_cb || dw_reader_of(L, x)->waiting)
    dw_misuse(L, "another task is reading this request's body");
  return s;
}

int dw_reader_wait(lua_State *L, dw_exchange *x, uint64_t whole,
                   lua_KFunction k) {
  dw_script *s = dw_reader_check_free(L, x);
  dw_reader *r = dw_reader_of(L, x);
  r->wake = dw_wait_begin(L, s, forget, x);
  dw_wait_name(r->wake, "request body");
  r->whole = whole;
  x->body_cb = body_cb;
  dw_body_want(&x->http, whole > 0);
  return dw_wait(L, r->wake, -1, k, (lua_KContext)x);
}

/* --- All of it -------------------------------------------------------------*/

bool dw_reader_push_body(lua_State *L, dw_exchange *x) {
  dw_reader *r = dw_reader_of(L, x);
  dw_body *b = &x->http.body;
  dw_request_push_cache(L, 1);
  if (lua_getfield(L, -1, BODY_KEY) == LUA_TSTRING) {
    lua_remove(L, -2);
    return true;
  }
  lua_pop(L, 1);
  if (r->use != DW_READER_NEW) dw_reader_begin(L, r, DW_READER_WHOLE);
  dw_reader_check_coding(L, x);
  dw_reader_check(L, x);
  if (!b->ended) {
    lua_pop(L, 1);
    return false;
  }
  lua_pushlstring(L, b->data.ptr ? b->data.ptr : "", b->data.len);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, BODY_KEY);
  lua_remove(L, -2);
  r->use = DW_READER_WHOLE;
  b->touched = true;
  dw_body_take(&x->http, b->data.len);
  return true;
}
