/* SPDX-License-Identifier: MIT */
/* Error codes: 0 is success, libuv's negative codes pass through, Dewar's own
 * lie below -10000 and come from DEWAR_ERRORS in dewar.h, the one list. */
#ifndef DW_BASE_ERROR_H
#define DW_BASE_ERROR_H

#include <uv.h>

#include "dewar.h"

#define DW_ENOMEM UV_ENOMEM
#define DW_ETOOBIG DEWAR_ETOOBIG

/* What a code means ("address already in use"), and its name without a prefix
 * ("EADDRINUSE"). Never NULL, static, from any thread. */
const char *dw_strerror(int code);
const char *dw_error_name(int code);

#endif
