/* SPDX-License-Identifier: MIT */
/* Files that responses send, for Lua. */
#ifndef DW_BINDINGS_FILE_H
#define DW_BINDINGS_FILE_H

#include "app/app.h"
#include "base/file.h"
#include "bindings/script.h"

/* "dewar.file_body": an open file, as a search found it. */
typedef struct dw_lua_file {
  dw_file_found found; /* found.file NULL: closed */
} dw_lua_file;

/* Adds open_file, find_file, adopt_file, content_type and guess_type to the
 * module table on top, and the type. */
void dw_files_open(lua_State *L, dw_script *s);
/* NULL where the value is no file. */
dw_lua_file *dw_lua_file_test(lua_State *L, int index);
/* Pushes an object with a reference of its own. */
void dw_lua_file_push(lua_State *L, dw_file *file);

/* A view of C's that serves a folder, as the table at index says: root, index,
 * precompressed, max_age; raises. */
dw_handler *dw_static_view_new(lua_State *L, dw_script *s, int index);

#endif
