/* SPDX-License-Identifier: MIT */
/* JSON (RFC 8259), straight between the Lua stack and text. Strict both ways:
 * what decode accepts is well-formed, what encode writes decodes to the same
 * value. Integers stay integers, floats stay floats, the locale is ignored.
 * Nothing is owned here but two values in the registry (dewar.null, the mark
 * of arrays) and a spare buffer. Thread: the Lua state's. */
#ifndef DW_BINDINGS_JSON_H
#define DW_BINDINGS_JSON_H

#include <lua.h>

#include "base/buffer.h"

#define DW_JSON_DEPTH_DEFAULT 200
#define DW_JSON_DEPTH_MAX 1000
#define DW_JSON_INDENT_MAX 8

/* Flags, to be combined; 0 is compact, {} for an empty table, 200 levels. */
#define DW_JSON_EMPTY_ARRAY 1 /* an unmarked empty table is [] */
#define DW_JSON_INDENT(spaces) ((spaces) << 4) /* 1 to DW_JSON_INDENT_MAX */
#define DW_JSON_DEPTH(levels) ((levels) << 8)  /* 1 to DW_JSON_DEPTH_MAX */

/* Pushes the module table: encode, decode, null, array, is_array. Goes before
 * any other call on this Lua state; a second call pushes a table with the same
 * null. */
int dw_json_open(lua_State *L);

/* Marks the new table on top as an array, as dewar.array does; raises nothing. */
void dw_json_mark_array(lua_State *L);

/* Appends the value at index. Raises where it can't be encoded, with a message
 * that names the key ("cannot encode user.tags[3]: ..."), and when memory runs
 * out; out then holds what it held before, or that and some junk behind it: the
 * caller sets out->len back. A __tojson metamethod and finalizers may run Lua
 * meanwhile, so nothing else may use out until this is over. */
void dw_json_encode(lua_State *L, int index, dw_buffer *out, int flags);

/* An empty buffer that can't leak: it belongs to a userdata, which this pushes
 * and which must stay on the stack. dw_json_put_buffer keeps it for the next
 * one to take, so that in the long run nothing is allocated; after an error it
 * is simply left to the collector. */
dw_buffer *dw_json_take_buffer(lua_State *L);
void dw_json_put_buffer(lua_State *L, int index);

/* Pushes the value of the text. Raises "invalid JSON at line 1, column 8 (byte
 * 8): expected ',' or '}', found 'x'". */
void dw_json_decode(lua_State *L, const char *text, size_t len, int flags);
/* The same without raising, but for Lua's own memory error: 0 and the value on
 * the stack, or DEWAR_EPARSE and the message. */
int dw_json_try_decode(lua_State *L, const char *text, size_t len, int flags);

#endif
