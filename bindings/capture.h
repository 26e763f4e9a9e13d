/* SPDX-License-Identifier: MIT */
/* What the debug page tells of an error's calls: their functions, lines, locals
 * and upvalues, as they were when it was raised. Only the tasks of an app with
 * DEBUG have it taken; others pay for a look at a flag, and only where there is
 * an error. Owner: the script, which keeps those of the last few tracebacks.
 * Thread: the loop's.
 *
 * A list of frames has tables of these kinds:
 *   { what, name, source, short, line, first, tail, locals, upvalues }  a call
 *   { link = "a coroutine resumed by" }    how the next call came to the last
 *   { skipped = 180 }                      calls that were left out
 *   { text = "..." }                       lines of a traceback without more
 * A variable is { name, value }, and a value what snapshot.c makes of it:
 *   { type, text, size, name, items, more }: items are pairs of values. */
#ifndef DW_BINDINGS_CAPTURE_H
#define DW_BINDINGS_CAPTURE_H

#include "bindings/script.h"

/* Whether the running task's app wants it. */
bool dw_capture_wanted(const dw_script *s);
/* Takes the calls of co, from level on, for the traceback on top of L. known:
 * they follow those of the traceback that is kept. Never raises; without memory
 * the page has the traceback alone. */
void dw_capture_take(lua_State *L, dw_script *s, lua_State *co, int level,
                     bool known);
/* Pushes the frames of the traceback at index, or nil. Never raises. */
void dw_capture_push(lua_State *L, dw_script *s, int index);

#endif
