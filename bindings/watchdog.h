/* SPDX-License-Identifier: MIT */
/* The limits of the runtime's own Lua: config.CPU_LIMIT, for one run of it
 * without a wait, and config.MEMORY_LIMIT. Without them there is neither a
 * thread nor a brake. Thread: the loop's. */
#ifndef DW_BINDINGS_WATCHDOG_H
#define DW_BINDINGS_WATCHDOG_H

#include "bindings/script.h"

typedef struct dw_watchdog dw_watchdog;

/* 0: no limit. Raise without memory; the size also where it is used already. */
void dw_watchdog_limit_time(lua_State *L, dw_script *s, double seconds);
void dw_watchdog_limit_memory(lua_State *L, dw_script *s, size_t bytes);
/* Takes the brake off the state and joins the thread; idempotent. */
void dw_watchdog_close(dw_script *s);

/* Around each lua_resume, where s->watchdog is there: co runs, resumed by what
 * enter returns, which leave is given. */
lua_State *dw_watchdog_enter(dw_watchdog *w, lua_State *co);
void dw_watchdog_leave(dw_watchdog *w, lua_State *outer);
/* At the beginning of a request. Lua collects before it gives up, but for the
 * buffers of its string functions: what the last request couldn't have for
 * them, this one shall not lack. */
void dw_watchdog_relieve(dw_watchdog *w);
bool dw_watchdog_limited(const dw_watchdog *w); /* in memory */
/* Whether the memory limit has been reached since this was asked, and is to be
 * logged: at most once a second. */
bool dw_watchdog_refused(dw_watchdog *w, size_t *used, size_t *limit);

#endif
