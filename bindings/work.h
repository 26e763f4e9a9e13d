/* SPDX-License-Identifier: MIT */
/* dewar.work: Lua that computes for long, on threads of its own. */
#ifndef DW_BINDINGS_WORK_H
#define DW_BINDINGS_WORK_H

#include "bindings/script.h"

/* work(fn, ...), to the module table on top. */
void dw_work_functions(lua_State *L, dw_script *s);
/* The value at index is config.WORK_THREADS, or config.WORK_MEMORY_LIMIT. */
void dw_work_set_threads(lua_State *L, dw_script *s, int index);
void dw_work_set_memory(lua_State *L, dw_script *s, int index);
/* Stops all work and joins the threads; idempotent. */
void dw_work_close(dw_script *s);

#endif
