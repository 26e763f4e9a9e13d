/* SPDX-License-Identifier: MIT */
/* Lua functions as dispatch's handlers, and the script's part in an exchange:
 * each stage is one run of a C function in the request's task, which pushes the
 * arguments, calls the Lua function, waits if that waits, and converts what it
 * returns. All of Lua's errors, memory included, stay inside of that run. */
#ifndef DW_BINDINGS_HANDLER_H
#define DW_BINDINGS_HANDLER_H

#include "bindings/app.h"
#include "bindings/task.h"

/* The function at index as a handler of the app at core_index; raises. */
dw_handler *dw_handler_new(lua_State *L, int core_index, int index);

/* The same for a function of Dewar's, which the app's ensure_sync doesn't see. */
dw_handler *dw_handler_new_own(lua_State *L, int core_index, int index);

extern const dw_runner dw_lua_runner;

/* The request object of x on the stack (made at the first call); raises. */
void dw_request_push(lua_State *L, dw_exchange *x);
/* Cuts the object's tie to x, which is over; never raises. */
void dw_request_detach(dw_exchange *x);
/* Adds the type, the proxies request, g, session and current_app, after_this_request,
 * has_request to the module table on top. */
void dw_request_open(lua_State *L, dw_script *s);
/* The proxies (context.c), and replacing the one at index by what it stands for;
 * raises where that isn't there. */
#define DW_REQUEST_PROXY "dewar.proxy_request"
void dw_context_open(lua_State *L, dw_script *s);
void dw_context_resolve(lua_State *L, dw_script *s, int index);
/* The exchange that the running task works for, or NULL. */
dw_exchange *dw_current_exchange(dw_script *s);
/* Whether there is a request object at index, over or not; a proxy is replaced
 * by it. */
bool dw_request_test(lua_State *L, int index);
/* The exchange of the request object at index; raises where it is over. */
dw_exchange *dw_request_check(lua_State *L, int index);
/* The same, NULL where it is over. */
dw_exchange *dw_request_peek(lua_State *L, int index);
/* The object's table of made values, by name; made if need be. */
void dw_request_push_cache(lua_State *L, int index);
/* Whether there is an after_this_request function left; pushes the next one, or
 * returns false. */
bool dw_request_has_after(const dw_exchange *x);
bool dw_request_next_after(lua_State *L, dw_exchange *x);
/* "view", "before_request function"...: what runs, for messages. */
const char *dw_stage_name(const dw_exchange *x);
/* "users.show", or the path where no route matched; on L's stack or borrowed. */
const char *dw_endpoint_name(lua_State *L, dw_exchange *x);
/* Values of the matched rule on the stack, as they are passed; their number. */
int dw_request_push_args(lua_State *L, dw_exchange *x);

/* Waits until the client has taken of what was sent to it, where dw_reply_full
 * says so: as `return dw_drain_wait(L, x)` (stream.c). */
int dw_drain_wait(lua_State *L, dw_exchange *x);

/* body, text, json, chunks (body.c): methods of the request. */
int dw_request_body(lua_State *L);
int dw_request_text(lua_State *L);
int dw_request_json(lua_State *L);
int dw_request_chunks(lua_State *L);
/* Pushes the session; may wait: as `return dw_request_session(L)`, object at 1
 * (session.c). */
int dw_request_session(lua_State *L);
void dw_session_open(lua_State *L, dw_script *s);
/* Pushes the form; may wait: as `return dw_request_form(L)`, object at 1. */
int dw_request_form(lua_State *L);

/* An anchor of the exchange's task; setting pops the value. */
static inline void dw_slot_push(lua_State *L, dw_exchange *x,
                                enum dw_slot slot) {
  dw_task_push_slot(L, x->script, slot);
}

static inline void dw_slot_set(lua_State *L, dw_exchange *x,
                               enum dw_slot slot) {
  dw_task_set_slot(L, x->script, slot);
}

#endif
