/* SPDX-License-Identifier: MIT */
/* Error classes and objects for Lua: dewar.Error, HTTPError, errors[404],
 * TimeoutError, Cancelled, and what scripts extend from them. A class is a
 * table whose dw_error_class (app/errors.h) dispatch knows; an error object is
 * a table { message=, status=, ... } whose metatable is its class. */
#ifndef DW_BINDINGS_ERRORS_H
#define DW_BINDINGS_ERRORS_H

#include "app/errors.h"
#include "bindings/script.h"

/* Adds Error, HTTPError, TimeoutError, Cancelled, errors, abort, is_cancelled
 * to the module table on top. */
void dw_errors_open(lua_State *L, dw_script *s);
/* The part of it that is in abort.c: errors, abort, is_cancelled. */
void dw_abort_functions(lua_State *L, dw_script *s);

/* Pushes the class table of a built-in class. */
void dw_errors_push_class(lua_State *L, dw_script *s,
                          const dw_error_class *cls);
/* Pushes a new error object of a built-in class; message NULL: the class's
 * description. */
void dw_errors_push(lua_State *L, dw_script *s, const dw_error_class *cls,
                    const char *message);
/* Raises one; returns only for `return`. */
int dw_errors_raise(lua_State *L, dw_script *s, const dw_error_class *cls,
                    const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* An I/O failure: an Error (a TimeoutError where it ran out of time) with code
 * ("ECONNREFUSED") and message. DW_ENOMEM: Lua's own memory error. */
int dw_errors_raise_code(lua_State *L, dw_script *s, int code,
                         const char *what);

/* The class of the value at index: that of an error object; dw_error_base for
 * any other value (a plain Lua error). *status: the object's status field, or
 * its class's, 0 for none. Never raises, allocates nothing; takes six slots of
 * the stack meanwhile. */
const dw_error_class *dw_errors_class(lua_State *L, dw_script *s, int index,
                                      int *status);
/* The class behind a class table at index (an argument of errorhandler), or
 * NULL if it is none. From now on the class lives as long as the script. */
const dw_error_class *dw_errors_check_class(lua_State *L, int index);

#endif
