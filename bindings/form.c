/* SPDX-License-Identifier: MIT */
/* req.form and req.files. A form is read at the first of them, within its
 * limits; what isn't a form is an empty one. */
#include "bindings/reader.h"

#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/values.h"

/* An urlencoded form may have as many fields: each costs more than its bytes.
 */
enum { FIELDS_MAX = 10000 };

/* --- Limits ----------------------------------------------------------------*/

static uint64_t *limit_of(dw_reader *r, const char *name) {
  if (strcmp(name, "max_form_memory_size") == 0) return &r->limits.memory;
  if (strcmp(name, "max_form_parts") == 0) return &r->limits.parts;
  return NULL;
}

bool dw_reader_push_limit(lua_State *L, dw_exchange *x, const char *name) {
  uint64_t *limit = limit_of(dw_reader_of(L, x), name);
  if (!limit) return false;
  if (*limit == UINT64_MAX)
    lua_pushnil(L);
  else
    lua_pushinteger(L, (lua_Integer)*limit);
  return true;
}

bool dw_reader_set_limit(lua_State *L, dw_exchange *x, const char *name) {
  uint64_t *limit = limit_of(dw_reader_of(L, x), name);
  int isint = 0;
  lua_Integer n = 0;
  if (!limit) return false;
  if (lua_type(L, 3) == LUA_TNUMBER) n = lua_tointegerx(L, 3, &isint);
  if (!lua_isnil(L, 3) && (!isint || n < 0))
    dw_misuse(L, "%s is a number of %s or nil", name,
              strcmp(name, "max_form_parts") == 0 ? "parts" : "bytes");
  *limit = lua_isnil(L, 3) ? UINT64_MAX : (uint64_t)n;
  return true;
}

int dw_reader_raise_fault(lua_State *L, dw_exchange *x, dw_fault fault) {
  return dw_reader_refuse(L, x, fault.status, "The form is %s: %s.",
                          fault.status == 413 ? "too large" : "malformed",
                          fault.reason);
}

/* --- What was read ---------------------------------------------------------*/

/* Keeps the value on top as a field of the request at 1. */
static void keep(lua_State *L, const char *name) {
  dw_request_push_cache(L, 1);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, name);
  lua_pop(L, 1);
}

/* The field whose name is at 2, if it was made. */
static bool push_kept(lua_State *L) {
  dw_request_push_cache(L, 1);
  lua_pushvalue(L, 2);
  bool kept = lua_rawget(L, -2) != LUA_TNIL;
  lua_remove(L, -2);
  if (!kept) lua_pop(L, 1);
  return kept;
}

static int push_empty(lua_State *L, dw_script *s) {
  dw_values_push(L, s, NULL, 0, 0);
  return 1;
}

/* --- Urlencoded ------------------------------------------------------------*/

static void check_size(lua_State *L, dw_exchange *x, uint64_t size) {
  if (size > dw_reader_of(L, x)->limits.memory)
    dw_reader_refuse(L, x, 413,
                     "The form is too large: it is larger than "
                     "MAX_FORM_MEMORY_SIZE allows.");
}

static int urlencoded_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  dw_task *t = x->script;
  const dw_request *r = &x->http.request;
  size_t len;
  (void)status;
  check_size(L, x, r->has_content_length ? r->content_length : 0);
  check_size(L, x, x->http.body.received);
  if (!dw_reader_push_body(L, x)) {
    uint64_t most = dw_reader_of(L, x)->limits.memory;
    return dw_reader_wait(L, x, most, urlencoded_k);
  }
  const char *text = lua_tolstring(L, -1, &len);
  dw_pairs pairs;
  int code = dw_form_parse(dw_slice_of(text, len), &x->http.request.arena,
                           FIELDS_MAX, &pairs);
  if (code == DEWAR_ETOOBIG)
    return dw_reader_refuse(
        L, x, 413, "The form is too large: it has more than 10000 fields.");
  if (code < 0) return luaL_error(L, "not enough memory");
  dw_values_push(L, t->script, pairs.items, pairs.count, 0);
  keep(L, "form");
  return 1;
}

/* --- Multipart -------------------------------------------------------------*/

static void push_fields(lua_State *L, dw_script *s, const dw_form_data *f) {
  dw_pair *items = lua_newuserdatauv(L, (f->nfields + 1) * sizeof *items, 0);
  size_t n = 0;
  for (const dw_form_field *at = f->fields; at; at = at->next)
    items[n++] = at->pair;
  dw_values_push(L, s, items, n, 0);
  keep(L, "form");
}

static void push_files(lua_State *L, dw_script *s, const dw_form_data *f) {
  dw_pair *items = lua_newuserdatauv(L, (f->nuploads + 1) * sizeof *items, 0);
  size_t n = 0;
  lua_createtable(L, (int)f->nuploads, 0);
  for (const dw_upload *at = f->uploads; at; at = at->next) {
    items[n++] = (dw_pair){at->name, DW_EMPTY};
    dw_upload_push(L, at);
    lua_rawseti(L, -2, (lua_Integer)n);
  }
  dw_values_push(L, s, items, n, DW_VALUES_OBJECTS);
  keep(L, "files");
}

/* Where want of memory interrupts this, the next one begins anew. */
static int finish_form(lua_State *L, dw_exchange *x) {
  dw_reader *r = x->body_data;
  dw_script *s = ((dw_task *)x->script)->script;
  push_fields(L, s, r->form);
  push_files(L, s, r->form);
  r->spool = dw_form_data_take_spool(r->form);
  dw_form_data_free(r->form);
  r->form = NULL;
  push_kept(L);
  return 1;
}

static int fail_form(lua_State *L, dw_exchange *x, int code) {
  dw_reader *r = x->body_data;
  if (code == DEWAR_EPARSE) return dw_reader_raise_fault(L, x, r->form->fault);
  return dw_errors_raise_code(L, ((dw_task *)x->script)->script, code,
                              "keeping an uploaded file");
}

static void spool_cb(void *data) {
  dw_reader *r = data;
  r->waiting = false;
  dw_wake_up(r->wake);
}

static void forget_spool(void *data) {
  dw_reader *r = data;
  r->waiting = false;
  dw_spool_wait(r->form->spool, NULL, NULL);
}

static int wait_spool(lua_State *L, dw_exchange *x, lua_KFunction k) {
  dw_reader *r = x->body_data;
  dw_script *s = dw_reader_check_free(L, x);
  r->wake = dw_wait_begin(L, s, forget_spool, r);
  dw_wait_name(r->wake, "uploaded files");
  r->waiting = true;
  dw_spool_wait(r->form->spool, spool_cb, r);
  return dw_wait(L, r->wake, -1, k, (lua_KContext)x);
}

/* What is there to be fed: of the body as it comes, or as it was read. A string
 * that is pushed for it stays on the stack. */
static dw_slice source(lua_State *L, dw_exchange *x) {
  dw_reader *r = x->body_data;
  if (r->use != DW_READER_WHOLE) return dw_buffer_slice(&x->http.body.data);
  dw_slice all;
  dw_reader_push_body(L, x);
  all.ptr = lua_tolstring(L, -1, &all.len);
  return dw_slice_of(all.ptr + r->fed, all.len - r->fed);
}

/* Feeds what is there; 0 or a code. */
static int feed(lua_State *L, dw_exchange *x) {
  dw_reader *r = x->body_data;
  size_t used;
  int code = dw_form_data_feed(r->form, source(L, x), &used);
  if (r->use == DW_READER_WHOLE)
    r->fed += used;
  else if (used > 0)
    dw_body_take(&x->http, used);
  return code;
}

/* Whether there is nothing to be fed any more. */
static bool is_fed(const dw_exchange *x) {
  const dw_reader *r = x->body_data;
  return r->use == DW_READER_WHOLE ||
         (x->http.body.ended && x->http.body.data.len == 0);
}

static int multipart_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  dw_reader *r = x->body_data;
  const dw_body *b = &x->http.body;
  (void)status;
  lua_settop(L, 2);
  if (push_kept(L)) return 1; /* another task has read it meanwhile */
  if (r->use == DW_READER_FORM &&
      (b->data.len == 0 || b->received > x->max_content_length))
    dw_reader_check(L, x);
  int code = feed(L, x);
  if (code < 0) return fail_form(L, x, code);
  if (dw_spool_full(r->form->spool)) return wait_spool(L, x, multipart_k);
  if (!is_fed(x)) return dw_reader_wait(L, x, 0, multipart_k);
  code = dw_form_data_finish(r->form);
  if (code < 0) return fail_form(L, x, code);
  return code > 0 ? wait_spool(L, x, multipart_k) : finish_form(L, x);
}

static int multipart(lua_State *L, dw_exchange *x, dw_slice type) {
  dw_script *s = ((dw_task *)x->script)->script;
  dw_reader *r = dw_reader_of(L, x);
  const dw_request *request = &x->http.request;
  if (!request->chunked && request->content_length == 0)
    return push_empty(L, s);
  if (!r->form) {
    dw_reader_check_coding(L, x);
    if (r->use == DW_READER_NEW) dw_reader_check(L, x);
    if (r->use != DW_READER_WHOLE) dw_reader_begin(L, r, DW_READER_FORM);
    if (dw_form_data_new(&r->form, s->loop, type, &r->limits) < 0)
      return luaL_error(L, "not enough memory");
  }
  return multipart_k(L, LUA_OK, (lua_KContext)x);
}

int dw_request_form(lua_State *L) {
  dw_exchange *x = dw_request_check(L, 1);
  dw_slice type = dw_request_header(&x->http.request, "Content-Type");
  if (dw_multipart_is(type)) return multipart(L, x, type);
  bool form = strcmp(lua_tostring(L, 2), "form") == 0;
  if (form && dw_form_is(type)) return urlencoded_k(L, LUA_OK, (lua_KContext)x);
  return push_empty(L, ((dw_task *)x->script)->script);
}
