/* SPDX-License-Identifier: MIT */
/* Responses for Lua, and how what a view returns becomes one. On the plain path
 * (a string, no hooks) no object is made: the exchange's own response has a
 * copy of the string in the arena, or borrows it, and a slot of the task keeps
 * it. */
#include "bindings/response.h"

#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/file.h"
#include "bindings/handler.h"
#include "bindings/headers.h"
#include "bindings/json.h"

const char dw_response_type_name[] = "dewar.response";

enum { COPY_MAX = 256 };

static const char html[] = "text/html; charset=utf-8";
static const char json[] = "application/json";

/* --- The object ------------------------------------------------------------*/

dw_lua_response *dw_response_test(lua_State *L, int index) {
  return dw_type_test(L, index, dw_response_type_name);
}

static dw_lua_response *check(lua_State *L) {
  return dw_type_check(L, 1, dw_response_type_name);
}

static dw_lua_response *new_object(lua_State *L, dw_script *s) {
  dw_lua_response *o = lua_newuserdatauv(L, sizeof *o, 1);
  o->script = s;
  dw_response_init(&o->r, s->alloc);
  dw_type_set(L, dw_response_type_name);
  return o;
}

static int response_gc(lua_State *L) {
  dw_lua_response *o = check(L);
  dw_response_deinit(&o->r);
  return 0;
}

/* --- Bodies ----------------------------------------------------------------*/

/* Where a conversion writes: the response, and the value its body is kept by:
 * the object's user value, or a slot of the exchange. */
typedef struct target {
  dw_response *r;
  int object; /* index of the response object; 0: the plain response */
  dw_exchange *x;
} target;

/* Pops the value that keeps the body. */
static void keep_body(lua_State *L, const target *to) {
  if (to->object)
    lua_setiuservalue(L, to->object, 1);
  else
    dw_slot_set(L, to->x, DW_SLOT_BODY);
}

/* A short body of a plain response is copied, which costs less than keeping the
 * string. */
static bool copy_string(lua_State *L, const target *to, dw_slice text) {
  if (to->object || text.len > COPY_MAX) return false;
  char *copy = dw_arena_copy(&to->x->http.request.arena, text.ptr, text.len);
  if (!copy) return false;
  if (dw_task_has_slot(to->x->script, DW_SLOT_BODY)) {
    lua_pushnil(L);
    dw_slot_set(L, to->x, DW_SLOT_BODY);
  }
  to->r->kind = DW_BODY_BYTES;
  to->r->body = dw_slice_of(copy, text.len);
  return true;
}

static void set_string(lua_State *L, const target *to, int index) {
  size_t len;
  const char *text = lua_tolstring(L, index, &len);
  dw_response_clear_body(to->r);
  if (copy_string(L, to, dw_slice_of(text, len))) return;
  lua_pushvalue(L, index);
  keep_body(L, to);
  to->r->kind = DW_BODY_BYTES;
  to->r->body = dw_slice_of(text, len);
}

static void set_stream(lua_State *L, const target *to, int index) {
  dw_response_clear_body(to->r);
  lua_pushvalue(L, index);
  keep_body(L, to);
  to->r->kind = DW_BODY_STREAM;
}

static void set_file(lua_State *L, const target *to, int index) {
  dw_file *file = dw_lua_file_test(L, index)->found.file;
  if (!file) dw_misuse(L, "this file is closed");
  dw_response_set_file(to->r, dw_file_ref(file));
  lua_pushvalue(L, index);
  keep_body(L, to);
}

static void set_json(lua_State *L, const target *to, int index,
                     bool empty_array) {
  dw_buffer *text = dw_json_take_buffer(L);
  int owner = lua_gettop(L);
  dw_json_encode(L, index, text, empty_array ? DW_JSON_EMPTY_ARRAY : 0);
  if (dw_buffer_append_char(text, '\n') < 0 ||
      dw_response_set_body(to->r, dw_buffer_slice(text)) < 0)
    luaL_error(L, "not enough memory");
  dw_json_put_buffer(L, owner);
  lua_settop(L, owner - 1);
}

/* Whether a table is data, rather than something that can be called. */
static bool is_data(lua_State *L, int index) {
  if (lua_type(L, index) != LUA_TTABLE) return false;
  if (luaL_getmetafield(L, index, "__call") == LUA_TNIL) return true;
  lua_pop(L, 1);
  return false;
}

/* "the view of 'user'" for messages. */
static const char *whose(lua_State *L, dw_exchange *x) {
  return lua_pushfstring(L, "the %s of '%s'", dw_stage_name(x),
                         dw_endpoint_name(L, x));
}

static int bad_body(lua_State *L, dw_exchange *x, int index) {
  if (dw_is_async(L, index))
    return x ? luaL_error(L,
                          "%s returned an async function that was not called; "
                          "return f() rather than f",
                          whose(L, x))
             : dw_misuse(L, "a response can't be made of an async function "
                            "that was not called; give f() rather than f");
  return x ? luaL_error(L,
                        "%s returned a %s; return a string, a table, a "
                        "response or an iterator",
                        whose(L, x), luaL_typename(L, index))
           : dw_misuse(L,
                       "a response is made of a string, a table, a response "
                       "or an iterator; got a %s",
                       luaL_typename(L, index));
}

static void set_body(lua_State *L, const target *to, int index,
                     bool empty_array) {
  if (lua_type(L, index) == LUA_TSTRING) {
    set_string(L, to, index);
    to->r->type = html;
  } else if (is_data(L, index)) {
    set_json(L, to, index, empty_array);
    to->r->type = json;
  } else if (dw_lua_file_test(L, index)) {
    set_file(L, to, index);
    to->r->type = "application/octet-stream";
  } else if (!dw_is_async(L, index) && dw_is_stream(L, index)) {
    set_stream(L, to, index);
    to->r->type = html;
  } else {
    bad_body(L, to->x, index);
  }
}

/* --- Status and headers ----------------------------------------------------*/

static bool parse_status(dw_slice text, int *status, dw_slice *reason) {
  int n = 0;
  size_t i = 0;
  for (; i < text.len && i < 3 && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++)
    n = n * 10 + (text.ptr[i] - '0');
  if (i != 3 || (text.len > 3 && text.ptr[3] != ' ')) return false;
  *status = n;
  *reason = text.len > 4 ? dw_slice_of(text.ptr + 4, text.len - 4) : DW_EMPTY;
  return true;
}

static void set_status(lua_State *L, dw_response *r, int index) {
  int status = 0, isint = 0;
  dw_slice reason = DW_EMPTY;
  if (lua_type(L, index) == LUA_TSTRING) {
    size_t len;
    const char *text = lua_tolstring(L, index, &len);
    if (!parse_status(dw_slice_of(text, len), &status, &reason))
      dw_misuse(L, "'%s' is no status; write 418 or \"418 I'm a teapot\"",
                text);
  } else {
    lua_Integer n = lua_tointegerx(L, index, &isint);
    if (!isint)
      dw_misuse(L,
                "a status is a number or a string such as \"418 Custom\"; "
                "got a %s",
                luaL_typename(L, index));
    status = n < 0 || n > 999 ? 0 : (int)n;
  }
  int code = status < 200 || status > 999
                 ? DEWAR_EINVAL
                 : dw_response_set_status(r, status, reason);
  if (code == DEWAR_EINVAL)
    dw_misuse(L,
              "the status %s can't be sent: it is 200 to 999, and its "
              "reason has no line breaks",
              luaL_tolstring(L, index, NULL));
  if (code < 0) luaL_error(L, "not enough memory");
}

/* body, status, headers · body, status · body, headers: what follows the body,
 * from index `first` to `last`. */
static void set_rest(lua_State *L, dw_exchange *x, dw_response *r, int first,
                     int last) {
  if (last < first) return;
  if (last > first + 1 && !x)
    dw_misuse(L, "a response is made of body, status, headers; got %d values",
              last - first + 2);
  if (last > first + 1)
    luaL_error(L, "%s returned %d values; at most body, status, headers",
               whose(L, x), last - first + 2);
  bool headers_only = last == first && !lua_isnil(L, first) &&
                      lua_type(L, first) != LUA_TSTRING &&
                      lua_type(L, first) != LUA_TNUMBER;
  if (!headers_only && !lua_isnil(L, first)) set_status(L, r, first);
  int headers = headers_only ? first : first + 1;
  if (headers <= last && !lua_isnil(L, headers))
    dw_headers_from_table(L, headers, &r->headers);
}

/* --- Conversion ------------------------------------------------------------*/

/* Makes the object at index the response of x. */
static void use_object(lua_State *L, dw_exchange *x, int index) {
  dw_lua_response *o = dw_response_test(L, index);
  lua_pushvalue(L, index);
  dw_slot_set(L, x, DW_SLOT_RESPONSE);
  lua_getiuservalue(L, index, 1);
  dw_slot_set(L, x, DW_SLOT_BODY);
  x->response = &o->r;
}

void dw_response_convert(lua_State *L, dw_script *s, dw_exchange *x,
                         int first) {
  int last = lua_gettop(L);
  dw_lua_response *o = dw_response_test(L, first);
  if (o) {
    set_rest(L, x, &o->r, first + 1, last);
    if (x->response != &o->r) use_object(L, x, first);
    return;
  }
  dw_task *t = x->script;
  target to = {.r = &x->plain, .x = x};
  dw_response_deinit(&x->plain);
  dw_response_init(&x->plain, s->alloc);
  if (dw_task_has_slot(t, DW_SLOT_RESPONSE)) {
    lua_pushnil(L);
    dw_slot_set(L, x, DW_SLOT_RESPONSE);
  }
  set_body(L, &to, first, t->context.app->empty_array);
  set_rest(L, x, &x->plain, first + 1, last);
  x->response = &x->plain;
}

void dw_response_make(lua_State *L, dw_script *s, int first, bool empty_array) {
  int last = lua_gettop(L);
  dw_lua_response *o = dw_response_test(L, first);
  if (o) {
    set_rest(L, NULL, &o->r, first + 1, last);
    lua_pushvalue(L, first);
    return;
  }
  o = new_object(L, s);
  target to = {.r = &o->r, .object = lua_gettop(L)};
  set_body(L, &to, first, empty_array);
  set_rest(L, NULL, &o->r, first + 1, last);
  lua_settop(L, to.object);
}

void dw_response_push(lua_State *L, dw_script *s, dw_exchange *x) {
  dw_slot_push(L, x, DW_SLOT_RESPONSE);
  dw_lua_response *o = dw_response_test(L, -1);
  if (o && x->response == &o->r) return;
  lua_pop(L, 1);
  o = new_object(L, s);
  dw_slot_push(L, x, DW_SLOT_BODY);
  if (lua_isnil(L, -1) && x->plain.kind == DW_BODY_BYTES &&
      !x->plain.release) { /* it would die with the arena */
    lua_pop(L, 1);
    x->plain.body.ptr =
        lua_pushlstring(L, x->plain.body.ptr, x->plain.body.len);
  }
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, -1);
  dw_slot_set(L, x, DW_SLOT_RESPONSE);
  dw_response empty = o->r;
  o->r = x->plain; /* moved: the object owns it from here on */
  x->plain = empty;
  x->response = &o->r;
}

/* --- Fields ----------------------------------------------------------------*/

/* The content type as a header, so that Lua sees all headers in one place. */
static void settle_type(lua_State *L, dw_response *r) {
  if (!r->type) return;
  if (!dw_headers_find(&r->headers, DW_LITERAL("Content-Type")) &&
      dw_headers_set(&r->headers, DW_LITERAL("Content-Type"),
                     dw_slice_str(r->type)) < 0)
    luaL_error(L, "not enough memory");
  r->type = NULL;
}

/* What C knows of; the others are in lua/dewar/response.lua. */
static const char *const field_names[] = {
    "status",   "headers",       "body",    "mimetype",
    "compress", "last_modified", "expires", NULL};

static int no_field(lua_State *L, const char *name) {
  const char *near = dw_nearest_key(L, lua_upvalueindex(2), name, field_names);
  return near ? dw_misuse(L, "a response has no field '%s'; did you mean '%s'?",
                          name, near)
              : dw_misuse(L, "a response has no field '%s'", name);
}

/* Upvalue 2: methods, and fields that are written in Lua. */
static int response_index(lua_State *L) {
  dw_lua_response *o = check(L);
  const char *name = luaL_checkstring(L, 2);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  int type = lua_rawget(L, lua_upvalueindex(2));
  if (type == LUA_TTABLE) {
    lua_getfield(L, -1, "get");
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    return 1;
  }
  if (type != LUA_TNIL) return 1; /* a method */
  if (strcmp(name, "status") == 0) {
    lua_pushinteger(L, o->r.status);
  } else if (strcmp(name, "headers") == 0) {
    settle_type(L, &o->r);
    dw_headers_push(L, o->script, &o->r.headers, 1);
  } else if (strcmp(name, "body") == 0) {
    if (o->r.kind == DW_BODY_STREAM)
      lua_getiuservalue(L, 1, 1);
    else if (o->r.kind == DW_BODY_FILE)
      dw_lua_file_push(L, o->r.owner);
    else
      lua_pushlstring(L, o->r.body.ptr ? o->r.body.ptr : "", o->r.body.len);
  } else if (strcmp(name, "mimetype") == 0) {
    dw_response_get_mimetype(L, &o->r);
  } else if (strcmp(name, "compress") == 0) {
    dw_response_get_compress(L, &o->r);
  } else if (!dw_response_get_date(L, o, name)) {
    return no_field(L, name);
  }
  return 1;
}

/* Nothing of that name can be set. */
static int bad_field(lua_State *L, const char *name) {
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(2)) == LUA_TNIL) return no_field(L, name);
  return dw_misuse(L, "a response's field '%s' can't be set", name);
}

/* Upvalue 2: as above. */
static int response_newindex(lua_State *L) {
  dw_lua_response *o = check(L);
  const char *name = luaL_checkstring(L, 2);
  lua_settop(L, 3);
  if (strcmp(name, "status") == 0) {
    set_status(L, &o->r, 3);
  } else if (strcmp(name, "mimetype") == 0) {
    dw_response_set_mimetype(L, &o->r, 3);
  } else if (strcmp(name, "headers") == 0) {
    dw_headers_assign(L, 3, &o->r.headers);
  } else if (strcmp(name, "body") == 0) {
    target to = {.r = &o->r, .object = 1};
    dw_exchange *x = dw_current_exchange(o->script);
    if (lua_type(L, 3) == LUA_TSTRING)
      set_string(L, &to, 3);
    else if (dw_lua_file_test(L, 3))
      set_file(L, &to, 3);
    else if (!is_data(L, 3) && dw_is_stream(L, 3))
      set_stream(L, &to, 3);
    else
      return dw_misuse(L, "a body is a string or an iterator; got a %s",
                       luaL_typename(L, 3));
    if (x && x->response == &o->r) { /* being sent: its slot follows */
      lua_getiuservalue(L, 1, 1);
      dw_slot_set(L, x, DW_SLOT_BODY);
    }
  } else if (strcmp(name, "compress") == 0) {
    dw_response_set_compress(L, &o->r, 3);
  } else if (!dw_response_set_date(L, o, name, 3) &&
             !dw_fields_set(L, lua_upvalueindex(2))) {
    return bad_field(L, name);
  }
  return 0;
}

static int response_tostring(lua_State *L) {
  dw_lua_response *o = check(L);
  lua_pushfstring(L, "dewar.response: %d", o->r.status);
  return 1;
}

/* --- The module ------------------------------------------------------------*/

/* What the current app wants an empty table to be. */
static bool empty_is_array(const dw_script *s) {
  return s->current && s->current->context.app &&
         s->current->context.app->empty_array;
}

static int response_new(lua_State *L) {
  dw_script *s = dw_script_of(L);
  if (lua_gettop(L) == 0 || lua_isnil(L, 1)) {
    if (lua_gettop(L) == 0) lua_pushnil(L);
    lua_pushliteral(L, "");
    lua_replace(L, 1);
  }
  dw_response_make(L, s, 1, empty_is_array(s));
  return 1;
}

static int jsonify(lua_State *L) {
  dw_script *s = dw_script_of(L);
  luaL_checkany(L, 1);
  lua_settop(L, 1);
  bool empty_array = empty_is_array(s);
  dw_lua_response *o = new_object(L, s);
  target to = {.r = &o->r, .object = 2};
  set_json(L, &to, 1, empty_array);
  o->r.type = json;
  lua_settop(L, 2);
  return 1;
}

static int define_fields(lua_State *L) {
  return dw_fields_define(L, dw_response_type_name);
}

void dw_response_open(lua_State *L, dw_script *s) {
  static const luaL_Reg methods[] = {
      {"set_cookie", dw_response_set_cookie},
      {"delete_cookie", dw_response_delete_cookie},
      {"add_etag", dw_response_add_etag},
      {"set_etag", dw_response_set_etag},
      {"get_etag", dw_response_get_etag},
      {"make_conditional", dw_response_make_conditional},
      {NULL, NULL}};
  const luaL_Reg functions[] = {{"response", response_new},
                                {"jsonify", jsonify},
                                {"describe_file", dw_response_describe_file},
                                {"response_fields", define_fields},
                                {NULL, NULL}};
  luaL_newmetatable(L, dw_response_type_name);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, dw_response_type_name);
  lua_pushlightuserdata(L, s);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_setfield(L, -4, "__fields");
  lua_pushlightuserdata(L, s);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, response_newindex, 2);
  lua_setfield(L, -4, "__newindex");
  lua_pushcclosure(L, response_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, response_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pushcfunction(L, response_gc);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  dw_script_register(L, s, functions);
}
