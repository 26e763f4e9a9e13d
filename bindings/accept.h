/* SPDX-License-Identifier: MIT */
/* What a request accepts, for Lua: req.accept_mimetypes, accept_languages,
 * accept_encodings, accept_charsets. */
#ifndef DW_BINDINGS_ACCEPT_H
#define DW_BINDINGS_ACCEPT_H

#include "bindings/script.h"
#include "http/accept.h"

/* Makes the type known; leaves nothing. */
void dw_accept_open(lua_State *L, dw_script *s);
/* Pushes one, with a copy of the header, which may be "" or NULL. */
void dw_accept_push(lua_State *L, dw_accept_kind kind, dw_slice header);

#endif
