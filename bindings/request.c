/* SPDX-License-Identifier: MIT */
/* The request object: one small userdata whose fields are made when they are
 * asked for. It knows its exchange until that is over; what was made of it by
 * then stays readable. */
#include "bindings/handler.h"

#include "base/error.h"
#include "bindings/errors.h"
#include "bindings/values.h"
#include "http/cookie.h"
#include "http/form.h"

#define REQUEST_TYPE "dewar.request"

typedef struct lua_request {
  dw_exchange *x; /* NULL: over */
  dw_script *script;
  uint32_t after, nafter; /* after_this_request: called, given */
} lua_request;

/* In the object's table of made values, beside the fields by name. */
#define AFTER_KEY "\1after"

/* --- The object ----------------------------------------------------------------- */

static lua_request *check_request(lua_State *L, int index) {
  return luaL_checkudata(L, index, REQUEST_TYPE);
}

dw_exchange *dw_request_check(lua_State *L, int index) {
  lua_request *r = check_request(L, index);
  if (!r->x)
    dw_misuse(L, "this request is over; copy what you need of it before its "
                 "end");
  return r->x;
}

void dw_request_push(lua_State *L, dw_exchange *x) {
  dw_task *t = x->script;
  if (x->request) {
    dw_slot_push(L, x, DW_SLOT_REQUEST);
    return;
  }
  lua_request *r = lua_newuserdatauv(L, sizeof *r, 1);
  *r = (lua_request){.script = t->script};
  luaL_setmetatable(L, REQUEST_TYPE);
  lua_pushvalue(L, -1);
  dw_slot_set(L, x, DW_SLOT_REQUEST);
  r->x = x;
  x->request = r;
}

void dw_request_detach(dw_exchange *x) {
  lua_request *r = x->request;
  if (r) r->x = NULL;
  x->request = NULL;
}

void dw_request_push_cache(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (lua_getiuservalue(L, index, 1) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setiuservalue(L, index, 1);
}

/* --- Values of the rule -------------------------------------------------------- */

static void push_value(lua_State *L, const dw_value *v) {
  switch (v->kind) {
  case DW_VALUE_STRING:
    lua_pushlstring(L, v->as.string.ptr, v->as.string.len);
    break;
  case DW_VALUE_INT:
    lua_pushinteger(L, v->as.integer);
    break;
  case DW_VALUE_FLOAT:
    lua_pushnumber(L, v->as.number);
    break;
  case DW_VALUE_BOOL:
    lua_pushboolean(L, v->as.integer != 0);
    break;
  case DW_VALUE_HANDLE:
    lua_rawgeti(L, LUA_REGISTRYINDEX, v->as.integer);
    break;
  case DW_VALUE_NONE:
    lua_pushnil(L);
    break;
  }
}

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
    for (size_t i = 0; i < passed; i++) push_value(L, &x->match.values[i]);
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

static void get_view_args(lua_State *L, dw_exchange *x) {
  if (!x->route) {
    lua_pushnil(L);
    return;
  }
  size_t n = dw_rule_values(x->match.rule, NULL);
  lua_createtable(L, 0, (int)n);
  for (size_t i = 0; i < n; i++) {
    dw_slice name = dw_rule_value_name(x->match.rule, i);
    lua_pushlstring(L, name.ptr, name.len);
    push_value(L, &x->match.values[i]);
    lua_rawset(L, -3);
  }
}

/* --- Fields ---------------------------------------------------------------------- */

static void push_slice(lua_State *L, dw_slice s) {
  lua_pushlstring(L, s.ptr ? s.ptr : "", s.len);
}

static dw_slice header(dw_exchange *x, const char *name) {
  return dw_request_header(&x->http.request, name);
}

static void push_header(lua_State *L, dw_exchange *x, const char *name) {
  dw_request *r = &x->http.request;
  if (dw_header_find(r->headers, r->nheaders, dw_slice_str(name)))
    push_slice(L, header(x, name));
  else
    lua_pushnil(L);
}

static void get_method(lua_State *L, dw_exchange *x) {
  push_slice(L, dw_method_name(x->http.request.method));
}

static void get_path(lua_State *L, dw_exchange *x) { push_slice(L, x->path); }

static void get_raw_path(lua_State *L, dw_exchange *x) {
  push_slice(L, x->http.request.raw_path);
}

static void get_query_string(lua_State *L, dw_exchange *x) {
  push_slice(L, x->http.request.query);
}

static void get_scheme(lua_State *L, dw_exchange *x) {
  push_slice(L, x->http.request.scheme);
}

static void get_host(lua_State *L, dw_exchange *x) {
  push_slice(L, x->http.request.authority);
}

static void get_base_url(lua_State *L, dw_exchange *x) {
  dw_request *r = &x->http.request;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addlstring(&b, r->scheme.ptr, r->scheme.len);
  luaL_addstring(&b, "://");
  luaL_addlstring(&b, r->authority.ptr, r->authority.len);
  luaL_addlstring(&b, r->raw_path.ptr, r->raw_path.len);
  luaL_pushresult(&b);
}

static void get_url(lua_State *L, dw_exchange *x) {
  get_base_url(L, x);
  if (!x->http.request.has_query) return;
  lua_pushliteral(L, "?");
  push_slice(L, x->http.request.query);
  lua_concat(L, 3);
}

/* Pairs go into an arena that can't leak: its first block is on the Lua stack,
 * and what doesn't fit there is the request's. */
static void push_pairs(lua_State *L, dw_exchange *x, dw_slice text,
                       int (*parse)(dw_slice, dw_arena *, dw_pairs *)) {
  dw_task *t = x->script;
  dw_pairs pairs;
  if (parse(text, &x->http.request.arena, &pairs) < 0)
    luaL_error(L, "not enough memory");
  dw_values_push(L, t->script, pairs.items, pairs.count, 0);
}

static int parse_form(dw_slice text, dw_arena *arena, dw_pairs *out) {
  return dw_form_parse(text, arena, 0, out);
}

static void get_args(lua_State *L, dw_exchange *x) {
  push_pairs(L, x, x->http.request.query, parse_form);
}

static void get_cookies(lua_State *L, dw_exchange *x) {
  push_pairs(L, x, header(x, "Cookie"), dw_cookie_parse);
}

static void get_headers(lua_State *L, dw_exchange *x) {
  dw_task *t = x->script;
  dw_values_push_headers(L, t->script, x->http.request.headers,
                         x->http.request.nheaders);
}

static void get_remote_addr(lua_State *L, dw_exchange *x) {
  char text[64];
  int port;
  dw_stream *s = x->http.connection->stream;
  size_t len = s ? dw_stream_peer(s, text, sizeof text, &port) : 0;
  if (len > 0)
    lua_pushlstring(L, text, len);
  else
    lua_pushnil(L);
}

static void get_content_type(lua_State *L, dw_exchange *x) {
  push_header(L, x, "Content-Type");
}

static void get_user_agent(lua_State *L, dw_exchange *x) {
  push_header(L, x, "User-Agent");
}

static void get_content_length(lua_State *L, dw_exchange *x) {
  if (x->http.request.has_content_length)
    lua_pushinteger(L, (lua_Integer)x->http.request.content_length);
  else
    lua_pushnil(L);
}

static void get_endpoint(lua_State *L, dw_exchange *x) {
  if (x->route)
    push_slice(L, dw_rule_endpoint(x->match.rule));
  else
    lua_pushnil(L);
}

static void get_url_rule(lua_State *L, dw_exchange *x) {
  if (x->route)
    push_slice(L, dw_rule_text(x->match.rule));
  else
    lua_pushnil(L);
}

static void get_blueprint(lua_State *L, dw_exchange *x) {
  if (x->scope->depth > 0)
    push_slice(L, x->scope->name);
  else
    lua_pushnil(L);
}

static void get_app(lua_State *L, dw_exchange *x) {
  dw_task *t = x->script;
  dw_app_push_self(L, t->context.app);
}

static void get_g(lua_State *L, dw_exchange *x) {
  (void)x;
  lua_newtable(L);
}

static void get_traceback(lua_State *L, dw_exchange *x) {
  dw_slot_push(L, x, DW_SLOT_TRACEBACK);
}

static void get_max_content_length(lua_State *L, dw_exchange *x) {
  if (x->max_content_length == UINT64_MAX)
    lua_pushnil(L);
  else
    lua_pushinteger(L, (lua_Integer)x->max_content_length);
}

typedef struct field {
  const char *name;
  void (*get)(lua_State *L, dw_exchange *x);
  bool kept; /* made once, and readable when the request is over */
} field;

static const field fields[] = {
    {"method", get_method, false},
    {"path", get_path, false},
    {"raw_path", get_raw_path, false},
    {"url", get_url, true},
    {"base_url", get_base_url, true},
    {"host", get_host, false},
    {"scheme", get_scheme, false},
    {"query_string", get_query_string, false},
    {"args", get_args, true},
    {"headers", get_headers, true},
    {"cookies", get_cookies, true},
    {"remote_addr", get_remote_addr, false},
    {"content_type", get_content_type, false},
    {"content_length", get_content_length, false},
    {"user_agent", get_user_agent, false},
    {"endpoint", get_endpoint, false},
    {"view_args", get_view_args, true},
    {"url_rule", get_url_rule, false},
    {"blueprint", get_blueprint, false},
    {"app", get_app, false},
    {"g", get_g, true},
    {"traceback", get_traceback, false},
    {"max_content_length", get_max_content_length, false},
    {NULL, NULL, false},
};

static const luaL_Reg methods[] = {
    {"body", dw_request_body},
    {"text", dw_request_text},
    {"json", dw_request_json},
    {"chunks", dw_request_chunks},
    {NULL, NULL},
};

static const char *const names[] = {
    "method",       "path",           "raw_path",     "url",
    "base_url",     "host",           "scheme",       "query_string",
    "args",         "headers",        "cookies",      "remote_addr",
    "content_type", "content_length", "user_agent",   "endpoint",
    "view_args",    "url_rule",       "blueprint",    "app",
    "g",            "traceback",      "max_content_length",
    "form",         "body",           "text",         "json",
    "chunks",       NULL};

static int no_field(lua_State *L, const char *name) {
  const char *near = dw_nearest(name, names);
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

/* Upvalue 2: fields by name, as light userdata, and methods. */
static int request_index(lua_State *L) {
  lua_request *r = check_request(L, 1);
  lua_settop(L, 2);
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(2));
  if (lua_isfunction(L, -1)) return 1;
  const field *f = lua_touserdata(L, -1);
  lua_settop(L, 2);
  if (f && !f->kept) {
    f->get(L, dw_request_check(L, 1));
    return 1;
  }
  if (f || lua_type(L, 2) == LUA_TSTRING) {
    if (push_kept(L)) return 1;
    if (!f && strcmp(lua_tostring(L, 2), "form") == 0)
      return dw_request_form(L);
    if (!f) return no_field(L, lua_tostring(L, 2));
    dw_request_check(L, 1);
    f->get(L, r->x);
    dw_request_push_cache(L, 1);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    return 1;
  }
  return dw_misuse(L, "a request's fields have names; got a %s",
                   luaL_typename(L, 2));
}

static int request_newindex(lua_State *L) {
  dw_exchange *x = dw_request_check(L, 1);
  const char *name = luaL_checkstring(L, 2);
  if (strcmp(name, "max_content_length") != 0)
    return dw_misuse(L,
                     "a request's field '%s' can't be set; keep your own values "
                     "in req.g",
                     name);
  if (lua_isnil(L, 3)) {
    x->max_content_length = UINT64_MAX;
    return 0;
  }
  int isint;
  lua_Integer n = lua_tointegerx(L, 3, &isint);
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
  push_slice(L, method);
  lua_pushliteral(L, " ");
  push_slice(L, r->x->http.request.target);
  lua_concat(L, 4);
  return 1;
}

const char *dw_endpoint_name(lua_State *L, dw_exchange *x) {
  push_slice(L, x->route ? dw_rule_endpoint(x->match.rule) : x->path);
  return lua_tostring(L, -1);
}

/* --- after_this_request ------------------------------------------------------------ */

dw_exchange *dw_current_exchange(dw_script *s) {
  return s->current ? s->current->context.exchange : NULL;
}

static int after_this_request(lua_State *L) {
  dw_script *s = dw_script_of(L);
  dw_exchange *x = dw_current_exchange(s);
  if (!lua_isfunction(L, 1) && luaL_getmetafield(L, 1, "__call") == LUA_TNIL)
    return dw_misuse(L, "after_this_request takes a function(req, res); got a "
                        "%s",
                     luaL_typename(L, 1));
  if (!x)
    return dw_misuse(L, "after_this_request works inside a request only");
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

bool dw_request_next_after(lua_State *L, dw_exchange *x) {
  lua_request *r = x->request;
  if (!r || r->after == r->nafter) return false;
  dw_request_push(L, x);
  dw_request_push_cache(L, -1);
  lua_getfield(L, -1, AFTER_KEY);
  lua_rawgeti(L, -1, (lua_Integer)++r->after);
  lua_insert(L, -4);
  lua_pop(L, 3);
  return true;
}

/* --- Opening ------------------------------------------------------------------------ */

void dw_request_open(lua_State *L, dw_script *s) {
  luaL_newmetatable(L, REQUEST_TYPE);
  lua_pushlightuserdata(L, s);
  lua_newtable(L);
  for (const field *f = fields; f->name; f++) {
    lua_pushlightuserdata(L, (void *)f);
    lua_setfield(L, -2, f->name);
  }
  for (const luaL_Reg *m = methods; m->name; m++) {
    lua_pushlightuserdata(L, s);
    lua_pushcclosure(L, m->func, 1);
    lua_setfield(L, -2, m->name);
  }
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
  dw_context_open(L, s);
}
