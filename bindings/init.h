/* SPDX-License-Identifier: MIT */
/* What opening and closing Lua on a runtime is made of; see also
 * script_engine.h, which init.c and engine.c implement. */
#ifndef DW_BINDINGS_INIT_H
#define DW_BINDINGS_INIT_H

#include "bindings/script.h"
#include "runtime.h"

/* require "dewar.core": the only symbol that dewar/core.so exports. */
DEWAR_API int luaopen_dewar_core(lua_State *L);

/* Pops the error of a protected call and keeps its text for dewar_error;
 * returns the code of the status. */
int dw_engine_failed(dewar_runtime *rt, lua_State *L, int status);

/* Makes `require` find the module table on top of the stack and the embedded
 * files; what was there under these names is kept (preload.c). */
void dw_preload_open(lua_State *L, dw_script *s);
/* Puts that back. Allocates nothing. */
void dw_preload_close(lua_State *L, dw_script *s);
/* Where package.path leads to Dewar's own files, they are the ones to use. */
void dw_preload_prefer_files(lua_State *L, dw_script *s);

#endif
