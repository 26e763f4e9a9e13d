/* SPDX-License-Identifier: MIT */
/* Header fields that a script may change: "dewar.headers", a view of a list
 * that another userdata owns, and tables of headers. What can't be sent is
 * refused where it is written. */
#ifndef DW_BINDINGS_HEADERS_H
#define DW_BINDINGS_HEADERS_H

#include "bindings/script.h"
#include "http/headers.h"

/* Makes the type known; leaves nothing. */
void dw_headers_open(lua_State *L, dw_script *s);
/* Pushes a view of headers, which live in the userdata at owner_index and are
 * valid as long as that is. */
void dw_headers_push(lua_State *L, dw_script *s, dw_headers *headers,
                     int owner_index);
/* Sets in `out` what the table at index says: { name = value }, a list of
 * { name, value }, both in one table, or another "dewar.headers". A value is a
 * string, a number, or a list of them, which repeats the header. Everything is
 * checked before anything is changed. Raises as dw_misuse does. out NULL:
 * checks only. */
void dw_headers_from_table(lua_State *L, int index, dw_headers *out);
/* The same in place of all that *to had. */
void dw_headers_assign(lua_State *L, int index, dw_headers *to);

#endif
