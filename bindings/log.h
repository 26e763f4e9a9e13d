/* SPDX-License-Identifier: MIT */
/* The log as scripts see it, and where records go that nobody else takes. */
#ifndef DW_BINDINGS_LOG_H
#define DW_BINDINGS_LOG_H

#include "base/log.h"
#include "bindings/script.h"

/* Adds `log` to the module table on top:
 *
 *   log.debug|info|warn|error(text [, fields])
 *   log.sink = function(level, text, fields) end, or nil for the one before
 *   log.level = "debug" | "info" | "warn" | "error"   what is below is dropped
 *   log.format = "text" | "json"        of what Dewar itself writes to stderr
 *
 * All of these can be read; log.format is nil, and can't be set, where a host
 * has a sink of its own. */
void dw_log_open(lua_State *L, dw_script *s);
/* Puts the host's sink back. */
void dw_log_close(dw_script *s);

/* --- The sink of the command and of a stock Lua ----------------------------*/

typedef struct dw_stderr_log {
  dw_allocator alloc;
  bool json;
} dw_stderr_log;

void dw_stderr_log_init(dw_stderr_log *log);
/* A dewar_log_cb whose data is a dw_stderr_log: a line to stderr per record. */
void dw_stderr_sink(void *data, int level, const char *text,
                    const dewar_log_field *fields, size_t count);
/* Makes one that lasts as long as the state; leaves nothing. */
dw_stderr_log *dw_stderr_log_new(lua_State *L);

/* --- Lua's warnings --------------------------------------------------------*/

/* In a state of ours they are records of level warn. freed after the state. */
typedef struct dw_warnings dw_warnings;
void dw_warnings_open(lua_State *L, dw_script *s);
void dw_warnings_free(dw_warnings *w);

#endif
