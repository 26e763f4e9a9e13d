/* SPDX-License-Identifier: MIT */
/* Values as the debug page shows them: see capture.h for the form. */
#ifndef DW_BINDINGS_SNAPSHOT_H
#define DW_BINDINGS_SNAPSHOT_H

#include "bindings/script.h"

/* Adds snapshot to the module table on top. */
void dw_snapshot_open(lua_State *L, dw_script *s);
/* Pushes the description of the value at index; *left is how many values all of
 * them together may still have. Raises only for want of memory or stack. */
void dw_snapshot_push(lua_State *L, int index, int *left);

#endif
