/* SPDX-License-Identifier: MIT */
/* The urlencoded form (WHATWG URL, 5.1): query strings and small bodies. Pure
 * functions; what they make lies in the caller's arena or buffer. */
#ifndef DW_HTTP_FORM_H
#define DW_HTTP_FORM_H

#include "base/buffer.h"
#include "base/memory.h"
#include "base/slice.h"

typedef struct dw_pair {
  dw_slice name, value;
} dw_pair;

typedef struct dw_pairs {
  dw_pair *items; /* in the arena, in order */
  size_t count;
} dw_pairs;

/* Whether a Content-Type is that of an urlencoded form. */
bool dw_form_is(dw_slice content_type);
/* Splits a query string or an urlencoded body; "+" is a space; an invalid
 * escape is kept as it is. In the arena, or borrowed from text where nothing
 * needs decoding. 0, DW_ENOMEM, or DEWAR_ETOOBIG past max pairs (0: none). */
int dw_form_parse(dw_slice text, dw_arena *arena, size_t max, dw_pairs *out);
/* Appends name=value, with "&" in front if out isn't empty. */
int dw_form_append(dw_buffer *out, dw_slice name, dw_slice value);

#endif
