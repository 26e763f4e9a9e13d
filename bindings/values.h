/* SPDX-License-Identifier: MIT */
/* Names with values, several to a name, as scripts see them: index for one,
 * call for all. "dewar.values" is the read-only kind that comes with a request
 * (args, form, files, headers, cookies); it has copies of what it was made
 * from. The dw_fields functions are shared with headers.c. */
#ifndef DW_BINDINGS_VALUES_H
#define DW_BINDINGS_VALUES_H

#include "bindings/script.h"
#include "http/form.h"
#include "http/headers.h"

enum {
  /* Names ignore case, "_" in an index reads as "-", and the index joins the
   * lines of a field. */
  DW_VALUES_HEADERS = 1,
  /* The values are Lua values, in a list on top of the stack, which is popped:
   * its i-th belongs to the i-th item, whose own value is not looked at. */
  DW_VALUES_OBJECTS = 2
};

/* Makes the type known; leaves nothing. */
void dw_values_open(lua_State *L, dw_script *s);
/* Pushes a userdata with copies of the items. */
void dw_values_push(lua_State *L, dw_script *s, const dw_pair *items, size_t n,
                    int flags);
void dw_values_push_headers(lua_State *L, dw_script *s, const dw_header *items,
                            size_t n);

/* Its __pairs: the values are at index 1. */
int dw_values_pairs(lua_State *L);

/* --- For both kinds --------------------------------------------------------*/

typedef struct dw_entries {
  const dw_header *items;
  size_t count;
  int objects;  /* index of a list that has the values instead; 0: none */
  bool headers; /* DW_VALUES_HEADERS */
} dw_entries;

/* Pushes one value or nil; key is any value. Returns 1. */
int dw_entries_index(lua_State *L, const dw_entries *f, int key);
/* Pushes a list of all values; raises unless the key is a string. Returns 1. */
int dw_entries_list(lua_State *L, const dw_entries *f, int key);
int dw_entries_tostring(lua_State *L, const dw_entries *f, const char *type);

/* Pushes text between quotes, without controls, cut where it is long. */
void dw_push_quoted(lua_State *L, dw_slice text);

#endif
