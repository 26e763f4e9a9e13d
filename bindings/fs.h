/* SPDX-License-Identifier: MIT */
/* Files for scripts. */
#ifndef DW_BINDINGS_FS_H
#define DW_BINDINGS_FS_H

#include "bindings/script.h"

/* Adds the table `disk` to the module table on top. */
void dw_fs_open(lua_State *L, dw_script *s);
/* The part of it that is in fs_file.c: open, into the table on top. */
void dw_fs_file_open(lua_State *L, dw_script *s);

/* The path at index; one with a NUL in it is misuse. */
const char *dw_check_path(lua_State *L, int index, const char *what);
/* A table of what stat found, on top. */
void dw_fs_push_stat(lua_State *L, const void *stat);

#endif
