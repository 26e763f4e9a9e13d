/* SPDX-License-Identifier: MIT */
/* Waiting for file descriptors that belong to somebody else. */
#ifndef DW_BINDINGS_POLL_H
#define DW_BINDINGS_POLL_H

#include "bindings/script.h"

/* Adds poll(fd, "r" | "w" | "rw" [, seconds]) to the module table on top. */
void dw_poll_functions(lua_State *L, dw_script *s);

#endif
