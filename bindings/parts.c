/* SPDX-License-Identifier: MIT */
/* req:parts(): a form of multipart/form-data part by part, as it comes, without
 * keeping any of it. A part is read before the next one is asked for; then its
 * rest is skipped. Owner: the request's reader. Thread: the loop's. */
#include "bindings/reader.h"

#include "base/error.h"
#include "bindings/errors.h"

static const char PART_TYPE[] = "dewar.part";

typedef struct dw_parts {
  dw_multipart parser;
  dw_fault fault;  /* why nothing can be read any more */
  uint64_t number; /* of parts that have begun */
  uint64_t memory; /* bytes of fields that were read whole */
  size_t at;       /* of the body's data: what was fed to the parser */
  bool in_part;    /* the last one hasn't ended */
  bool is_file;    /* it is one */
  dw_buffer value; /* what was read of it */
} dw_parts;

typedef struct part {
  uint64_t number;
} part;

void dw_parts_free(dw_parts *p) {
  if (!p) return;
  dw_allocator *a = p->value.alloc;
  dw_multipart_deinit(&p->parser);
  dw_buffer_deinit(&p->value);
  dw_free(a, p, sizeof *p);
}

static dw_parts *parts_of(dw_exchange *x) {
  return ((dw_reader *)x->body_data)->parts;
}

/* --- Events ----------------------------------------------------------------*/

static int fail(lua_State *L, dw_exchange *x, int status, const char *reason) {
  dw_parts *p = parts_of(x);
  p->fault = dw_fault_make(status, reason);
  if (status == 503) return luaL_error(L, "not enough memory");
  return dw_reader_raise_fault(L, x, p->fault);
}

/* The next event of what has come; MORE where that must be waited for. The
 * caller takes what was used once it has used the data. */
static dw_multipart_event next_event(lua_State *L, dw_exchange *x, size_t *used,
                                     dw_slice *data) {
  dw_parts *p = parts_of(x);
  const dw_body *b = &x->http.body;
  dw_multipart_event event;
  *used = 0;
  if (p->fault.status != 0) fail(L, x, p->fault.status, p->fault.reason);
  if (b->data.len == 0 || b->received > x->max_content_length)
    dw_reader_check(L, x);
  if (b->data.len > 0)
    event = dw_multipart_feed(&p->parser, b->data.ptr + p->at,
                              b->data.len - p->at, used, data);
  else
    event = b->ended ? dw_multipart_finish(&p->parser) : DW_MULTIPART_MORE;
  if (event == DW_MULTIPART_ERROR)
    fail(L, x, p->parser.fault.status, p->parser.fault.reason);
  if (event == DW_MULTIPART_PART_END) p->in_part = false;
  return event;
}

/* The body gives way once all of it was used: small parts are many. */
static void take(dw_exchange *x, size_t used) {
  dw_parts *p = parts_of(x);
  p->at += used;
  if (p->at == 0 || p->at < x->http.body.data.len) return;
  p->at = 0;
  dw_body_take(&x->http, x->http.body.data.len);
}

/* Whether the body is at its end, and all was taken. */
static bool is_over(const dw_exchange *x) {
  return x->http.body.ended && x->http.body.data.len == 0;
}

/* --- A part ----------------------------------------------------------------*/

/* The exchange of the part at 1; raises where the loop has gone on. */
static dw_exchange *check_current(lua_State *L) {
  const part *it = dw_type_check(L, 1, PART_TYPE);
  dw_exchange *x = dw_part_exchange(L, 1);
  if (it->number != parts_of(x)->number)
    dw_misuse(L, "this part is over: parts() has gone on to the next one; read "
                 "it before");
  return x;
}

/* A Lua string of the bytes, and then they are taken. Where there is no memory
 * for it they are lost, and what follows makes no sense. */
static void push_taken(lua_State *L, dw_exchange *x, dw_slice bytes,
                       size_t used) {
  dw_parts *p = parts_of(x);
  p->fault = dw_fault_make(503, "out of memory");
  lua_pushlstring(L, bytes.ptr, bytes.len);
  p->fault = dw_fault_make(0, NULL);
  take(x, used);
}

static int chunk_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  (void)status;
  check_current(L);
  while (parts_of(x)->in_part) {
    size_t used;
    dw_slice data;
    dw_multipart_event event = next_event(L, x, &used, &data);
    if (event == DW_MULTIPART_DATA) {
      push_taken(L, x, data, used);
      return 1;
    }
    take(x, used);
    if (event == DW_MULTIPART_MORE && !is_over(x))
      return dw_reader_wait(L, x, 0, chunk_k);
  }
  lua_pushnil(L);
  return 1;
}

/* Upvalue 1: the part, which the waits need at 1. */
static int next_chunk(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  return chunk_k(L, LUA_OK, (lua_KContext)check_current(L));
}

static int part_chunks(lua_State *L) {
  check_current(L);
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, next_chunk, 1);
  return 1;
}

/* Fields count as those of req.form do; a file is limited by the body. */
static void gather(lua_State *L, dw_exchange *x, dw_slice data) {
  dw_parts *p = parts_of(x);
  uint64_t most = ((dw_reader *)x->body_data)->limits.memory;
  if (!p->is_file && (most < p->memory || data.len > most - p->memory))
    fail(L, x, 413, "its fields are larger than MAX_FORM_MEMORY_SIZE allows");
  if (!p->is_file) p->memory += data.len;
  if (dw_buffer_append_slice(&p->value, data) < 0)
    fail(L, x, 503, "out of memory");
}

static int read_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  dw_parts *p = parts_of(x);
  (void)status;
  check_current(L);
  while (p->in_part) {
    size_t used;
    dw_slice data;
    dw_multipart_event event = next_event(L, x, &used, &data);
    if (event == DW_MULTIPART_DATA) gather(L, x, data);
    take(x, used);
    if (event == DW_MULTIPART_MORE && !is_over(x))
      return dw_reader_wait(L, x, 0, read_k);
  }
  push_taken(L, x, dw_buffer_slice(&p->value), 0);
  dw_buffer_deinit(&p->value);
  return 1;
}

static int part_read(lua_State *L) {
  return read_k(L, LUA_OK, (lua_KContext)check_current(L));
}

static const luaL_Reg methods[] = {
    {"chunks", part_chunks}, {"read", part_read}, {NULL, NULL}};

static const char *const names[] = {
    "name", "filename", "content_type", "headers", "read", "chunks", NULL};

static const dw_part_type type = {PART_TYPE, "a part", names, methods, NULL};

/* --- All parts -------------------------------------------------------------*/

static void begin_part(lua_State *L, dw_exchange *x) {
  dw_parts *p = parts_of(x);
  const dw_part *head = &p->parser.part;
  if (p->number == ((dw_reader *)x->body_data)->limits.parts)
    fail(L, x, 413, "it has more parts than MAX_FORM_PARTS allows");
  p->number++;
  p->in_part = true;
  p->is_file = head->is_file;
  dw_buffer_deinit(&p->value);
  part *it = lua_newuserdatauv(L, sizeof *it, 2);
  it->number = p->number;
  dw_part_begin(L, &type);
  dw_part_set(L, "name", head->name);
  if (head->is_file) dw_part_set(L, "filename", head->filename);
  if (head->has_content_type)
    dw_part_set(L, "content_type", head->content_type);
  dw_part_set_headers(L, head->headers, head->nheaders);
  dw_part_end(L);
}

/* Skips what is left of the part before. */
static int part_k(lua_State *L, int status, lua_KContext ctx) {
  dw_exchange *x = (dw_exchange *)ctx;
  (void)status;
  for (;;) {
    size_t used;
    dw_slice data;
    bool over = is_over(x);
    dw_multipart_event event = next_event(L, x, &used, &data);
    take(x, used);
    if (event == DW_MULTIPART_PART) {
      begin_part(L, x);
      return 1;
    }
    if (over) break;
    if (event == DW_MULTIPART_MORE && !is_over(x))
      return dw_reader_wait(L, x, 0, part_k);
  }
  lua_pushnil(L);
  return 1;
}

/* Upvalue 1: the request, which the waits need at 1. */
static int next_part(lua_State *L) {
  lua_settop(L, 0);
  lua_pushvalue(L, lua_upvalueindex(1));
  dw_exchange *x = dw_request_check(L, 1);
  if (parts_of(x)) return part_k(L, LUA_OK, (lua_KContext)x);
  lua_pushnil(L); /* there is no body */
  return 1;
}

int dw_request_parts(lua_State *L) {
  dw_exchange *x = dw_request_check(L, 1);
  const dw_request *request = &x->http.request;
  dw_reader *r = dw_reader_of(L, x);
  dw_slice content_type = dw_request_header(&x->http.request, "Content-Type");
  if (!dw_multipart_is(content_type))
    return dw_reader_refuse(L, x, 415,
                            "The request's body must be a form, with "
                            "Content-Type: multipart/form-data.");
  dw_reader_check_coding(L, x);
  if (r->use == DW_READER_NEW) dw_reader_check(L, x);
  dw_reader_begin(L, r, DW_READER_PARTS);
  if (!r->parts && (request->chunked || request->content_length > 0)) {
    dw_allocator *a = ((dw_task *)x->script)->script->alloc;
    r->parts = dw_zalloc(a, sizeof *r->parts);
    if (!r->parts) return luaL_error(L, "not enough memory");
    dw_buffer_init(&r->parts->value, a, 0);
    dw_multipart_init(&r->parts->parser, a, content_type);
  }
  lua_pushvalue(L, 1);
  lua_pushcclosure(L, next_part, 1);
  return 1;
}

void dw_parts_open(lua_State *L, dw_script *s) { dw_part_open(L, s, &type); }
