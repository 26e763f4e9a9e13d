/* SPDX-License-Identifier: MIT */
/* Dewar's own Lua files, kept inside the library. The table is made from
 * lua/dewar by cmake/embed.cmake; it never changes. Thread: any. */
#ifndef DW_BINDINGS_EMBEDDED_H
#define DW_BINDINGS_EMBEDDED_H

#include <stddef.h>

typedef struct dw_embedded_module {
  const char *name;           /* as in require: "dewar", "dewar.app" */
  const char *chunkname;      /* for messages: "@dewar/app.lua" */
  const unsigned char *bytes; /* the source; a NUL behind it isn't counted */
  size_t len;
} dw_embedded_module;

/* Ended by a name of NULL. */
extern const dw_embedded_module dw_embedded_modules[];

#endif
