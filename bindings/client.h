/* SPDX-License-Identifier: MIT */
/* The client inside the process for Lua, and the clock of specs. */
#ifndef DW_BINDINGS_CLIENT_H
#define DW_BINDINGS_CLIENT_H

#include "bindings/script.h"

/* Adds client_open, clock_virtual, clock_advance and debug_counts to the module
 * table on top, and the type. */
void dw_client_open(lua_State *L, dw_script *s);
/* Disconnects all clients of the script; they are gone once s->clients is
 * empty. */
void dw_clients_close(dw_script *s);

/* The part of it that is in clock.c. */
void dw_clock_functions(lua_State *L, dw_script *s);

#endif
