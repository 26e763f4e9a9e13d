/* SPDX-License-Identifier: MIT */
/* Signing, coding and compressing for Dewar's own Lua files. */
#ifndef DW_BINDINGS_CRYPTO_H
#define DW_BINDINGS_CRYPTO_H

#include "bindings/script.h"

/* Adds the table `crypto` to the module table on top. */
void dw_crypto_open(lua_State *L, dw_script *s);
/* Adds derive to the table on top (password.c). */
void dw_password_open(lua_State *L, dw_script *s);

#endif
