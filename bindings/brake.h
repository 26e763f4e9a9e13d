/* SPDX-License-Identifier: MIT */
/* A brake: how another thread stops Lua that runs. Nothing is spent on it until
 * then: a hook that counted all along would make Lua half as fast. The brake is
 * the data of the state's allocator. Owner: who made the state. */
#ifndef DW_BINDINGS_BRAKE_H
#define DW_BINDINGS_BRAKE_H

#include <stdatomic.h>
#include <stdbool.h>

#include <lua.h>
#include <uv.h>

typedef struct dw_brake {
  lua_Alloc alloc; /* where memory really comes from */
  void *alloc_data;
  size_t used, limit; /* bytes; beyond the limit allocations fail; 0: none */
  bool refused;       /* one has failed so; for the owner to look at */
  bool pressed;       /* ... and there hasn't been room since */
  lua_Hook hook;      /* raises, or calls dw_brake_loosen */
  void *owner;
  uv_mutex_t lock;
  _Atomic(lua_State *) running; /* the innermost coroutine that runs, or NULL */
  atomic_bool pulled;
} dw_brake;

int dw_brake_init(dw_brake *b, lua_Alloc alloc, void *data, lua_Hook hook);
void dw_brake_deinit(dw_brake *b);
/* The lua_Alloc of a state with a brake, which is its data. */
void *dw_brake_alloc(void *brake, void *ptr, size_t osize, size_t nsize);
/* That of the state; only in a hook, or where it is known to have one. */
dw_brake *dw_brake_of(lua_State *L);

/* From any thread: from now on the hook is called at every instruction, until
 * the brake is released. May be called again, which does no harm. */
void dw_brake_pull(dw_brake *b);
/* From the state's thread, as all below. */
void dw_brake_release(dw_brake *b);
/* L runs from now on; NULL: none does. */
void dw_brake_enter(dw_brake *b, lua_State *L);
/* The hook is to be called after so many instructions of L; 0: no more. */
void dw_brake_hook(dw_brake *b, lua_State *L, int instructions);

#endif
