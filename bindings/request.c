/* SPDX-License-Identifier: MIT */
/* The request object: one small userdata whose fields are made when they are
 * asked for. It knows its exchange until that is over; what was made of it by
 * then stays readable. */
#include "bindings/reader.h"
#include "bindings/request_fields.h"
#include "bindings/route.h"
#include "bindings/websocket.h"

static const char REQUEST_TYPE[] = "dewar.request";

typedef struct lua_request {
  dw_exchange *x; /* NULL: over */
  dw_script *script;
  uint32_t after, nafter; /* after_this_request: called, given */
} lua_request;

/* In the object's table of made values, beside the fields by name. */
#define AFTER_KEY "\1after"

/* --- The object ------------------------------------------------------------*/

static lua_request *check_request(lua_State *L, int index) {
  return dw_type_check(L, index, REQUEST_TYPE);
}

/* Also of the proxy, whose methods are the request's. */
dw_exchange *dw_request_check(lua_State *L, int index) {
  lua_request *r = dw_type_test(L, index, REQUEST_TYPE);
  if (!r && luaL_testudata(L, index, DW_REQUEST_PROXY))
    dw_context_resolve(L, dw_script_find(L), index);
  if (!r) r = check_request(L, index);
  if (!r->x)
    dw_misuse(L, "this request is over; copy what you need of it before its "
                 "end");
  return r->x;
}

bool dw_request_test(lua_State *L, int index) {
  if (luaL_testudata(L, index, DW_REQUEST_PROXY))
    dw_context_resolve(L, dw_script_find(L), index);
  return dw_type_test(L, index, REQUEST_TYPE) != NULL;
}

dw_exchange *dw_request_peek(lua_State *L, int index) {
  const lua_request *r = dw_type_test(L, index, REQUEST_TYPE);
  return r ? r->x : NULL;
}

void dw_request_push(lua_State *L, dw_exchange *x) {
  dw_task *t = x->script;
  if (x->request) {
    dw_slot_push(L, x, DW_SLOT_REQUEST);
    return;
  }
  lua_request *r = lua_newuserdatauv(L, sizeof *r, 1);
  *r = (lua_request){.script = t->script};
  lua_rawgeti(L, LUA_REGISTRYINDEX, t->script->request_type);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  dw_slot_set(L, x, DW_SLOT_REQUEST);
  r->x = x;
  x->request = r;
}

void dw_request_detach(dw_exchange *x) {
  lua_request *r = x->request;
  if (r) r->x = NULL;
  x->request = NULL;
  if (x->body_data) dw_reader_release(x);
}

void dw_request_push_cache(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (lua_getiuservalue(L, index, 1) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, index, 1);
}

/* --- Values of the rule ----------------------------------------------------*/

/* The view_args table, if somebody has asked for it: then a preprocessor may
 * have changed it, and the view is called with what is left. */
static bool push_made_args(lua_State *L, dw_exchange *x) {
  if (!x->request) return false;
  dw_request_push(L, x);
  bool made = lua_getiuservalue(L, -1, 1) == LUA_TTABLE &&
              lua_getfield(L, -1, "view_args") == LUA_TTABLE;
  if (made) {
    lua_insert(L, -3);
    lua_pop(L, 2);
  } else {
    lua_pop(L, lua_istable(L, -2) ? 3 : 2);
  }
  return made;
}

int dw_request_push_args(lua_State *L, dw_exchange *x) {
  size_t passed;
  dw_rule_values(x->match.rule, &passed);
  if (passed == 0) return 0;
  luaL_checkstack(L, (int)passed + 4, "too many variables");
  if (!push_made_args(L, x)) {
    for (size_t i = 0; i < passed; i++) dw_value_push(L, &x->match.values[i]);
    return (int)passed;
  }
  int table = lua_gettop(L), n = 0;
  for (size_t i = 0; i < passed; i++) {
    dw_slice name = dw_rule_value_name(x->match.rule, i);
    lua_pushlstring(L, name.ptr, name.len);
    if (lua_rawget(L, table) == LUA_TNIL)
      lua_pop(L, 1);
    else
      n++;
  }
  lua_remove(L, table);
  return n;
}

static const luaL_Reg methods[] = {
    {"body", dw_request_body},
    {"text", dw_request_text},
    {"json", dw_request_json},
    {"chunks", dw_request_chunks},
    {"parts", dw_request_parts},
    {NULL, NULL},
};

static int no_field(lua_State *L, const char *name) {
  const dw_exchange *x = dw_request_check(L, 1);
  const char *near =
      dw_nearest_key(L, lua_upvalueindex(2), name, dw_request_names);
  if (x->websocket && !near) near = dw_nearest(name, dw_websocket_names);
  if (near)
    return dw_misuse(L, "a request has no field '%s'; did you mean '%s'?", name,
                     near);
  return dw_misuse(L,
                   "a request has no field '%s'; keep your own values in "
                   "req.g",
                   name);
}

/* The kept value of a field, if it was made. */
static bool push_kept(lua_State *L) {
  if (lua_getiuservalue(L, 1, 1) != LUA_TTABLE) {
    lua_pop(L, 1);
    return false;
  }
  lua_pushvalue(L, 2);
  if (lua_rawget(L, -2) != LUA_TNIL) return true;
  lua_pop(L, 2);
  return false;
}

/* What is read, and so may wait. */
static bool is_form(const char *name) {
  return strcmp(name, "form") == 0 || strcmp(name, "files") == 0;
}

static bool is_session(const char *name) {
  return strcmp(name, "session") == 0;
}

/* Keeps the value on top under the name at 2. */
static void keep(lua_State *L) {
  dw_request_push_cache(L, 1);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, -3);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* 1 the request, 2 the name, 3 the field, 4 its value. */
static int made_k(lua_State *L, int status, lua_KContext ctx) {
  (void)status, (void)ctx;
  lua_getfield(L, 3, "kept");
  bool kept = lua_toboolean(L, -1);
  lua_pop(L, 1);
  if (kept && !lua_isnil(L, 4)) keep(L);
  return 1;
}

/* A field that is written in Lua: { get = f(req), kept = true }; it may wait.
 */
static int make_field(lua_State *L) {
  if (push_kept(L)) return 1;
  lua_getfield(L, 3, "get");
  lua_pushvalue(L, 1);
  lua_callk(L, 1, 1, 0, made_k);
  return made_k(L, LUA_OK, 0);
}

/* Upvalue 2: fields by name, as light userdata or tables, and methods. */
static int request_index(lua_State *L) {
  lua_request *r = check_request(L, 1);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  if (lua_isfunction(L, -1)) return 1;
  if (lua_istable(L, -1)) return make_field(L);
  const dw_request_field *f = lua_touserdata(L, -1);
  lua_settop(L, 2);
  if (f && !f->kept) {
    f->get(L, dw_request_check(L, 1));
    return 1;
  }
  if (f || lua_type(L, 2) == LUA_TSTRING) {
    if (!f && r->x && r->x->websocket && dw_websocket_field(L, r->x)) return 1;
    if (!f && r->x && is_session(lua_tostring(L, 2)))
      return dw_request_session(L);
    if (push_kept(L)) return 1;
    if (!f && is_form(lua_tostring(L, 2))) return dw_request_form(L);
    if (!f) return no_field(L, lua_tostring(L, 2));
    dw_request_check(L, 1);
    f->get(L, r->x);
    keep(L);
    return 1;
  }
  return dw_misuse(L, "a request's fields have names; got a %s",
                   luaL_typename(L, 2));
}

static int request_newindex(lua_State *L) {
  dw_exchange *x = dw_request_check(L, 1);
  const char *name = luaL_checkstring(L, 2);
  if (dw_request_rewrite(L, x, name)) return 0;
  if (dw_reader_set_limit(L, x, name)) return 0;
  if (strcmp(name, "max_content_length") != 0)
    return dw_misuse(
        L,
        "a request's field '%s' can't be set; keep your own values "
        "in req.g",
        name);
  if (lua_isnil(L, 3)) {
    x->max_content_length = UINT64_MAX;
    return 0;
  }
  int isint = 0;
  lua_Integer n = 0;
  if (lua_type(L, 3) == LUA_TNUMBER) n = lua_tointegerx(L, 3, &isint);
  if (!isint || n < 0)
    return dw_misuse(L, "max_content_length is a number of bytes or nil");
  x->max_content_length = (uint64_t)n;
  return 0;
}

static int request_tostring(lua_State *L) {
  lua_request *r = check_request(L, 1);
  if (!r->x) {
    lua_pushliteral(L, "dewar.request (over)");
    return 1;
  }
  dw_slice method = dw_method_name(r->x->http.request.method);
  lua_pushliteral(L, "dewar.request: ");
  dw_slice target = r->x->http.request.target;
  lua_pushlstring(L, method.ptr, method.len);
  lua_pushliteral(L, " ");
  lua_pushlstring(L, target.ptr, target.len);
  lua_concat(L, 4);
  return 1;
}

const char *dw_endpoint_name(lua_State *L, dw_exchange *x) {
  dw_slice name = x->route ? dw_rule_endpoint(x->match.rule) : x->path;
  lua_pushlstring(L, name.ptr, name.len);
  return lua_tostring(L, -1);
}

/* --- after_this_request ----------------------------------------------------*/

dw_exchange *dw_current_exchange(dw_script *s) {
  return s->current ? s->current->context.exchange : NULL;
}

static int after_this_request(lua_State *L) {
  dw_script *s = dw_script_of(L);
  dw_exchange *x = dw_current_exchange(s);
  if (!lua_isfunction(L, 1) && luaL_getmetafield(L, 1, "__call") == LUA_TNIL)
    return dw_misuse(L,
                     "after_this_request takes a function(req, res); got a "
                     "%s",
                     luaL_typename(L, 1));
  if (!x) return dw_misuse(L, "after_this_request works inside a request only");
  if (x->stage >= DW_STAGE_AFTER)
    return dw_misuse(L, "it is too late for after_this_request: the response "
                        "is on its way");
  lua_settop(L, 1);
  dw_request_push(L, x);
  dw_request_push_cache(L, 2);
  if (lua_getfield(L, 3, AFTER_KEY) != LUA_TTABLE) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setfield(L, 3, AFTER_KEY);
  }
  lua_request *r = x->request;
  dw_app_push_self(L, s->current->context.app);
  lua_getfield(L, -1, "ensure_sync");
  lua_insert(L, -2);
  lua_pushvalue(L, 1);
  lua_call(L, 2, 1);
  lua_rawseti(L, -2, (lua_Integer)r->nafter + 1);
  r->nafter++;
  lua_pushvalue(L, 1);
  return 1;
}

bool dw_request_has_after(const dw_exchange *x) {
  const lua_request *r = x->request;
  return r && r->after < r->nafter;
}

bool dw_request_next_after(lua_State *L, dw_exchange *x) {
  lua_request *r = x->request;
  if (!dw_request_has_after(x)) return false;
  dw_request_push(L, x);
  dw_request_push_cache(L, -1);
  lua_getfield(L, -1, AFTER_KEY);
  lua_rawgeti(L, -1, (lua_Integer)++r->after);
  lua_insert(L, -4);
  lua_pop(L, 3);
  return true;
}

/* --- Opening ---------------------------------------------------------------*/

static int define_fields(lua_State *L) {
  return dw_fields_define(L, REQUEST_TYPE);
}

void dw_request_open(lua_State *L, dw_script *s) {
  luaL_newmetatable(L, REQUEST_TYPE);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, REQUEST_TYPE);
  /* A request is made for each request: a number finds its type sooner. */
  lua_pushvalue(L, -1);
  s->request_type = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pushlightuserdata(L, s);
  lua_newtable(L);
  for (const dw_request_field *f = dw_request_fields; f->name; f++) {
    lua_pushlightuserdata(L, (void *)f);
    lua_setfield(L, -2, f->name);
  }
  for (const luaL_Reg *m = methods; m->name; m++) {
    lua_pushlightuserdata(L, s);
    lua_pushcclosure(L, m->func, 1);
    lua_setfield(L, -2, m->name);
  }
  lua_pushvalue(L, -1);
  lua_setfield(L, -4, "__fields");
  lua_pushcclosure(L, request_index, 2);
  lua_setfield(L, -2, "__index");
  lua_pushlightuserdata(L, s);
  lua_pushcclosure(L, request_newindex, 1);
  lua_setfield(L, -2, "__newindex");
  lua_pushcfunction(L, request_tostring);
  lua_setfield(L, -2, "__tostring");
  lua_pop(L, 1);
  const luaL_Reg functions[] = {{"after_this_request", after_this_request},
                                {NULL, NULL}};
  dw_script_register(L, s, functions);
  dw_upload_open(L, s);
  dw_parts_open(L, s);
  dw_request_conditional_open(L, s);
  dw_script_push(L, s, define_fields);
  lua_setfield(L, -2, "request_fields");
  dw_context_open(L, s);
  dw_session_open(L, s);
}
