/* SPDX-License-Identifier: MIT */
/* The fields of a request object that need not wait, and how each is made. */
#include "bindings/request_fields.h"

#include "base/error.h"
#include "bindings/accept.h"
#include "bindings/reader.h"
#include "bindings/route.h"
#include "bindings/values.h"
#include "http/cookie.h"
#include "http/form.h"

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

static void get_script_root(lua_State *L, dw_exchange *x) {
  push_slice(L, x->http.request.root);
}

static void get_base_url(lua_State *L, dw_exchange *x) {
  dw_request *r = &x->http.request;
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  luaL_addlstring(&b, r->scheme.ptr, r->scheme.len);
  luaL_addstring(&b, "://");
  luaL_addlstring(&b, r->authority.ptr, r->authority.len);
  if (r->root.len > 0) luaL_addlstring(&b, r->root.ptr, r->root.len);
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

/* The pairs lie in the request's arena, which goes with the request. */
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

/* Not before all that they come behind was read. */
static void get_trailers(lua_State *L, dw_exchange *x) {
  dw_task *t = x->script;
  const dw_body *b = &x->http.body;
  if (!b->ended || b->data.len > 0)
    dw_misuse(L, "the trailers come behind the body; read that first");
  dw_values_push_headers(L, t->script, x->http.request.trailers,
                         x->http.request.ntrailers);
}

static void get_remote_addr(lua_State *L, dw_exchange *x) {
  if (x->remote.len > 0) {
    push_slice(L, x->remote);
    return;
  }
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

static void get_last_event_id(lua_State *L, dw_exchange *x) {
  push_header(L, x, "Last-Event-ID");
}

static void get_user_agent(lua_State *L, dw_exchange *x) {
  push_header(L, x, "User-Agent");
}

static void get_authorization(lua_State *L, dw_exchange *x) {
  dw_request_push_authorization(L, header(x, "Authorization"));
}

static void get_accept_mimetypes(lua_State *L, dw_exchange *x) {
  dw_accept_push(L, DW_ACCEPT_MEDIA, header(x, "Accept"));
}

static void get_accept_languages(lua_State *L, dw_exchange *x) {
  dw_accept_push(L, DW_ACCEPT_LANGUAGE, header(x, "Accept-Language"));
}

static void get_accept_encodings(lua_State *L, dw_exchange *x) {
  dw_accept_push(L, DW_ACCEPT_ENCODING, header(x, "Accept-Encoding"));
}

static void get_accept_charsets(lua_State *L, dw_exchange *x) {
  dw_accept_push(L, DW_ACCEPT_CHARSET, header(x, "Accept-Charset"));
}

/* What a middleware has set, or 128 random bits: nobody else's, neither here
 * nor on other machines. */
static void get_id(lua_State *L, dw_exchange *x) {
  static const char hex[] = "0123456789abcdef";
  unsigned char bytes[16];
  char text[2 * sizeof bytes];
  if (x->id) {
    lua_pushstring(L, x->id);
    return;
  }
  int code = uv_random(NULL, NULL, bytes, sizeof bytes, 0, NULL);
  if (code < 0) luaL_error(L, "no random bytes: %s", uv_strerror(code));
  for (size_t i = 0; i < sizeof bytes; i++) {
    text[2 * i] = hex[bytes[i] >> 4];
    text[2 * i + 1] = hex[bytes[i] & 15];
  }
  lua_pushlstring(L, text, sizeof text);
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

static void get_max_form_memory_size(lua_State *L, dw_exchange *x) {
  dw_reader_push_limit(L, x, "max_form_memory_size");
}

static void get_max_form_parts(lua_State *L, dw_exchange *x) {
  dw_reader_push_limit(L, x, "max_form_parts");
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
    dw_value_push(L, &x->match.values[i]);
    lua_rawset(L, -3);
  }
}

const dw_request_field dw_request_fields[] = {
    {"method", get_method, false},
    {"path", get_path, false},
    {"raw_path", get_raw_path, false},
    {"script_root", get_script_root, false},
    {"url", get_url, true},
    {"base_url", get_base_url, true},
    {"host", get_host, false},
    {"scheme", get_scheme, false},
    {"query_string", get_query_string, false},
    {"args", get_args, true},
    {"headers", get_headers, true},
    {"trailers", get_trailers, true},
    {"cookies", get_cookies, true},
    {"remote_addr", get_remote_addr, false},
    {"content_type", get_content_type, false},
    {"content_length", get_content_length, false},
    {"user_agent", get_user_agent, false},
    {"last_event_id", get_last_event_id, false},
    {"authorization", get_authorization, true},
    {"accept_mimetypes", get_accept_mimetypes, true},
    {"accept_languages", get_accept_languages, true},
    {"accept_encodings", get_accept_encodings, true},
    {"accept_charsets", get_accept_charsets, true},
    {"id", get_id, true},
    {"if_match", dw_request_get_if_match, true},
    {"if_none_match", dw_request_get_if_none_match, true},
    {"if_modified_since", dw_request_get_if_modified_since, true},
    {"if_unmodified_since", dw_request_get_if_unmodified_since, true},
    {"if_range", dw_request_get_if_range, true},
    {"range", dw_request_get_range, true},
    {"endpoint", get_endpoint, false},
    {"view_args", get_view_args, true},
    {"url_rule", get_url_rule, false},
    {"blueprint", get_blueprint, false},
    {"app", get_app, false},
    {"g", get_g, true},
    {"traceback", get_traceback, false},
    {"max_content_length", get_max_content_length, false},
    {"max_form_memory_size", get_max_form_memory_size, false},
    {"max_form_parts", get_max_form_parts, false},
    {NULL, NULL, false},
};

const char *const dw_request_names[] = {"method",
                                        "path",
                                        "raw_path",
                                        "url",
                                        "base_url",
                                        "host",
                                        "scheme",
                                        "query_string",
                                        "args",
                                        "headers",
                                        "trailers",
                                        "cookies",
                                        "remote_addr",
                                        "content_type",
                                        "content_length",
                                        "user_agent",
                                        "last_event_id",
                                        "endpoint",
                                        "view_args",
                                        "url_rule",
                                        "blueprint",
                                        "app",
                                        "authorization",
                                        "accept_mimetypes",
                                        "accept_languages",
                                        "accept_encodings",
                                        "accept_charsets",
                                        "id",
                                        "script_root",
                                        "if_match",
                                        "if_none_match",
                                        "if_modified_since",
                                        "if_unmodified_since",
                                        "if_range",
                                        "range",
                                        "g",
                                        "traceback",
                                        "max_content_length",
                                        "max_form_memory_size",
                                        "max_form_parts",
                                        "session",
                                        "form",
                                        "files",
                                        "body",
                                        "text",
                                        "json",
                                        "chunks",
                                        "parts",
                                        NULL};
