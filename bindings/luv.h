/* SPDX-License-Identifier: MIT */
/* luv, libuv's bindings for Lua, on the loop of the runtime. */
#ifndef DW_BINDINGS_LUV_H
#define DW_BINDINGS_LUV_H

#include "bindings/script.h"

/* Adds luv_open(open, set_loop, set_callback) to the module table on top, and
 * makes `require "luv"` lead to `dewar.luv`, unless somebody else has said
 * already where it leads. */
void dw_luv_functions(lua_State *L, dw_script *s);
/* Closes what luv has open and waits for what is under way; then luv has a loop
 * of its own, as if there had been no Dewar. */
void dw_luv_close(dw_script *s);

#endif
