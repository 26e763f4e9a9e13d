/* SPDX-License-Identifier: MIT */
/* The Lua module dewar.system, which only the command has: what it needs of the
 * system beyond stock Lua. Its parts add to the table on top of the stack. */
#ifndef DW_CLI_SYSTEM_H
#define DW_CLI_SYSTEM_H

#include "bindings/script.h"

/* The module's opener, for package.preload; its upvalue 1 is the script, 2 the
 * arguments of the process, which are as long-lived as that. */
int dw_system_open(lua_State *L);
/* Adds listen, worker and tell (supervise.c). */
void dw_supervise_open(lua_State *L, dw_script *s, char **args);

/* Adds interrupts, interrupted, forget, and editor where there is libedit. */
void dw_editor_open(lua_State *L, dw_script *s);

#endif
