/* SPDX-License-Identifier: MIT */
/* Responses for Lua, and the conversion of what views return. */
#ifndef DW_BINDINGS_RESPONSE_H
#define DW_BINDINGS_RESPONSE_H

#include "bindings/app.h"
#include "http/response.h"

/* "dewar.response" */
extern const char dw_response_type_name[];

/* The userdata; its user value is the body's Lua value: the string, or what a
 * stream is made from. */
typedef struct dw_lua_response {
  dw_response r;
  dw_script *script;
} dw_lua_response;

void dw_response_open(lua_State *L, dw_script *s);
/* NULL where the value is no response. */
dw_lua_response *dw_response_test(lua_State *L, int index);

/* Converts the values from index first to the top to the response of x; raises
 * where they are none. Awaitables must have been awaited. */
void dw_response_convert(lua_State *L, dw_script *s, dw_exchange *x,
                         int first);
/* The same into a new response object, which is left on the stack. */
void dw_response_make(lua_State *L, dw_script *s, int first,
                      bool empty_array);
/* The response of x as an object on the stack, for after hooks. */
void dw_response_push(lua_State *L, dw_script *s, dw_exchange *x);

/* Fields (response_fields.c): push the value; set that at index, or raise. */
void dw_response_get_mimetype(lua_State *L, dw_response *r);
void dw_response_set_mimetype(lua_State *L, dw_response *r, int index);
void dw_response_get_compress(lua_State *L, const dw_response *r);
void dw_response_set_compress(lua_State *L, dw_response *r, int index);

/* Methods: set_cookie(name, value, options), delete_cookie(name, options). */
int dw_response_set_cookie(lua_State *L);
int dw_response_delete_cookie(lua_State *L);

/* Methods of response_conditional.c. */
int dw_response_add_etag(lua_State *L);
int dw_response_set_etag(lua_State *L);
int dw_response_get_etag(lua_State *L);
int dw_response_make_conditional(lua_State *L);
int dw_response_describe_file(lua_State *L); /* a function, for files.lua */
/* last_modified and expires; false: the field is another one. */
bool dw_response_get_date(lua_State *L, dw_lua_response *o, const char *field);
bool dw_response_set_date(lua_State *L, dw_lua_response *o, const char *field,
                          int index);

/* Bodies that are streams (stream.c). Whether the value at index is one. */
bool dw_is_stream(lua_State *L, int index);
void dw_stream_open(lua_State *L, dw_script *s);
/* Stages: the next piece, and the end. They set x->called. */
int dw_stream_piece(lua_State *L);
int dw_stream_close_body(lua_State *L);

/* Generators as bodies (generator.c). Whether the value at index is one. */
bool dw_generator_test(lua_State *L, int index);
/* Lets the cleanup of one that has not begun wait; of others it does nothing. */
void dw_generator_guard(lua_State *L, int index);
/* Closes the one at index 2, above which nothing stays; sets x->called. */
int dw_generator_close(lua_State *L, dw_exchange *x);
/* Goes on behind a coroutine.yield: raises in the one that is being closed. */
int dw_generator_yielded(lua_State *L, int status, lua_KContext ctx);

#endif
