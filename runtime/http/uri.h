/* SPDX-License-Identifier: MIT */
/* Percent-encoding (RFC 3986). Pure functions over borrowed bytes. */
#ifndef DW_HTTP_URI_H
#define DW_HTTP_URI_H

#include "base/buffer.h"
#include "base/slice.h"

/* Appends, leaving unreserved characters and those in keep as they are. 0 or
 * DW_ENOMEM; then out is as before. */
int dw_percent_encode(dw_buffer *out, dw_slice text, const char *keep);
/* Undoes every escape into out, which has room for text.len bytes and may be
 * text's own; an invalid escape stays as it is. plus: "+" is a space. Returns
 * the length. */
size_t dw_percent_decode(char *out, dw_slice text, bool plus);
/* Like fetch does with a URL that has characters a request line can't carry:
 * encodes only those (controls, space, quotes, <>, non-ASCII...), leaving "%". */
int dw_target_encode(dw_buffer *out, dw_slice target);

#endif
