/* SPDX-License-Identifier: MIT */
/* Blocking calls that Lua waits for: they run on a thread of libuv's pool. One
 * whose wait ends early runs to its end by itself, and what it has opened is
 * closed. Also the list of what scripts have open, which the runtime's end
 * closes. Thread: the loop's, but for run. */
#ifndef DW_BINDINGS_OFFLOAD_H
#define DW_BINDINGS_OFFLOAD_H

#include "base/work.h"
#include "bindings/task.h"

typedef struct dw_offload dw_offload;

typedef struct dw_offload_type {
  const char *name; /* of the wait, in the list of tasks */
  /* In the pool: sets code, and what it came to. Uses no allocator. */
  void (*run)(dw_offload *o);
  /* Gives up what it holds, a result that nobody took included. */
  void (*deinit)(dw_offload *o);
  /* Pushes the results, with code >= 0, and returns their number. */
  int (*push)(lua_State *L, dw_offload *o);
  /* Pushes what failed, with code < 0: "open /etc/passwd". */
  void (*describe)(lua_State *L, const dw_offload *o);
} dw_offload_type;

/* The first member of what a call needs. Belongs to the userdata on the stack
 * of the call, or to the pool once that has let go. */
struct dw_offload {
  dw_work work;
  const dw_offload_type *type;
  dw_allocator *alloc;
  size_t size;
  dw_wake wake;
  struct dw_offload_box *box; /* NULL: nobody waits for it any more */
  int code;
};

/* Pushes its userdata; all zero but for its own part. Raises where nothing can
 * wait, and without memory. */
void *dw_offload_new(lua_State *L, dw_script *s, const dw_offload_type *type,
                     size_t size);
/* Its userdata is on top. As `return dw_offload_start(...)`. */
int dw_offload_start(lua_State *L, dw_script *s, dw_offload *o, double seconds);
void dw_offload_open(lua_State *L, dw_script *s);

/* --- What is open ----------------------------------------------------------*/

typedef struct dw_handle dw_handle;
struct dw_handle {
  dw_list node; /* in no list: closed */
  void (*close)(dw_handle *h);
};

void dw_handle_open(dw_script *s, dw_handle *h, void (*close)(dw_handle *h));
/* Idempotent. The handle may be gone afterwards. */
void dw_handle_close(dw_handle *h);
/* At the runtime's end. */
void dw_handles_close(dw_script *s);

#endif
