/* SPDX-License-Identifier: MIT */
/* The page for an error that nobody handles. Pure functions. Thread: any. */
#ifndef DW_APP_DEFAULT_PAGE_H
#define DW_APP_DEFAULT_PAGE_H

#include <stdbool.h>

#include "base/buffer.h"
#include "base/slice.h"

/* Appends a document of HTML, or of JSON:
 * {"error":{"status":404,"name":"Not Found","description":"..."}} and a line
 * feed. The description may hold anything: it is escaped. 0 or a negative code;
 * then the buffer holds what it held. */
int dw_default_page(dw_buffer *out, int status, dw_slice description,
                    bool json);

/* Whether an Accept header names JSON (application/json or any type that ends
 * in +json) and does not admit text/html (a wildcard admits it). */
bool dw_accepts_only_json(dw_slice accept);

#endif
