/* SPDX-License-Identifier: MIT */
/* Parcels: values on their way from one Lua state to another, as bytes. nil,
 * booleans, numbers, strings, dewar.null and tables of them travel; tables may
 * be shared and contain themselves, and keep the mark of an array. Where code
 * is allowed, Lua functions travel with their upvalues, C functions of the
 * standard libraries by name, and modules that have been loaded as what
 * `require` gives at the other end. Thread: the state's. */
#ifndef DW_BINDINGS_PARCEL_H
#define DW_BINDINGS_PARCEL_H

#include <stdbool.h>

#include <lua.h>

#include "base/buffer.h"

enum { DW_PARCEL_DEPTH = 200 };
#define DW_PARCEL_MAX ((size_t)1 << 30)

/* Appends the n values on top, which stay. root names them in messages:
 * "argument" for "argument 2.users[3] is a userdata". false: one can't travel,
 * and the message is on the stack. Raises without memory. code: the first value
 * is a function, and may have what only code can bring along. */
bool dw_parcel_pack(lua_State *L, dw_buffer *out, int n, const char *root,
                    bool code);
/* Pushes the values of a parcel, and returns their number. Raises without
 * memory, or where a module can't be loaded. */
int dw_parcel_unpack(lua_State *L, dw_slice bytes);

#endif
