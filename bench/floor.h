/* SPDX-License-Identifier: MIT */
/* The floor: what serving HTTP costs with nothing in it but libuv and llhttp.
 * Servers are measured against it. */
#ifndef DW_BENCH_FLOOR_H
#define DW_BENCH_FLOOR_H

#include <stddef.h>

enum { FLOOR_ANSWER_MAX = 512 };

/* Writes the answer to one request to `out`, where FLOOR_ANSWER_MAX bytes are
 * free; returns its end. */
typedef char *(*floor_answer_cb)(void *data, char *out);

/* The second floor: a Lua function that is called in a pooled coroutine with
 * one userdata, and a response formatted from its result. NULL on failure. */
void *floor_lua_new(void);
char *floor_lua_answer(void *data, char *out);

#endif
