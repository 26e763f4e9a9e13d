/* SPDX-License-Identifier: MIT */
/* Stopping Lua from another thread, by lua_sethook, as lua.c does from its
 * signal handler. Lua allows that in the midst of anything, so one question is
 * left: lua_sethook goes down the list of calls, while the other thread goes on
 * making and ending some. What it finds there is memory of calls as long as
 * none is freed, and nothing is: once the brake is pulled, every call of the
 * allocator waits for the lock that lua_sethook is called under. A record may
 * be used for another call meanwhile. Lua sets a flag in it, in the one
 * instruction after it has seen that the record is a Lua function's; only a
 * thread that is put to sleep between the two could do harm.
 *
 * Coroutines have hooks of their own, so one that is entered while the brake is
 * pulled gets it then. Those that are left with a hook find the brake released
 * and take it off. */
#include "bindings/brake.h"

int dw_brake_init(dw_brake *b, lua_Alloc alloc, void *data, lua_Hook hook) {
  *b = (dw_brake){.alloc = alloc, .alloc_data = data, .hook = hook};
  atomic_init(&b->running, NULL);
  atomic_init(&b->pulled, false);
  return uv_mutex_init(&b->lock);
}

void dw_brake_deinit(dw_brake *b) { uv_mutex_destroy(&b->lock); }

static bool is_pulled(dw_brake *b) {
  return atomic_load_explicit(&b->pulled, memory_order_relaxed);
}

void *dw_brake_alloc(void *brake, void *ptr, size_t osize, size_t nsize) {
  dw_brake *b = brake;
  size_t before = ptr ? osize : 0;
  if (is_pulled(b)) {
    uv_mutex_lock(&b->lock);
    uv_mutex_unlock(&b->lock);
  }
  if (b->limit && nsize > before && b->used + (nsize - before) > b->limit) {
    b->refused = b->pressed = true;
    return NULL;
  }
  void *block = b->alloc(b->alloc_data, ptr, osize, nsize);
  if (block || nsize == 0) b->used += nsize - before;
  return block;
}

dw_brake *dw_brake_of(lua_State *L) {
  void *data;
  return lua_getallocf(L, &data) == dw_brake_alloc ? data : NULL;
}

void dw_brake_hook(dw_brake *b, lua_State *L, int instructions) {
  if (instructions > 0)
    lua_sethook(L, b->hook, LUA_MASKCOUNT, instructions);
  else
    lua_sethook(L, NULL, 0, 0);
}

void dw_brake_pull(dw_brake *b) {
  atomic_store(&b->pulled, true);
  uv_mutex_lock(&b->lock);
  lua_State *L = atomic_load(&b->running);
  if (L) dw_brake_hook(b, L, 1);
  uv_mutex_unlock(&b->lock);
}

void dw_brake_release(dw_brake *b) {
  uv_mutex_lock(&b->lock);
  atomic_store(&b->pulled, false);
  uv_mutex_unlock(&b->lock);
}

void dw_brake_enter(dw_brake *b, lua_State *L) {
  atomic_store_explicit(&b->running, L, memory_order_release);
  if (!is_pulled(b)) return;
  uv_mutex_lock(&b->lock);
  if (L && is_pulled(b)) dw_brake_hook(b, L, 1);
  uv_mutex_unlock(&b->lock);
}
