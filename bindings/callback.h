/* SPDX-License-Identifier: MIT */
/* Waiting for functions of others that call back. */
#ifndef DW_BINDINGS_CALLBACK_H
#define DW_BINDINGS_CALLBACK_H

#include "bindings/script.h"

/* Adds await_callback(start [, options]) to the module table on top. */
void dw_callback_open(lua_State *L, dw_script *s);

#endif
