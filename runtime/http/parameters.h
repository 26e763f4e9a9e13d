/* SPDX-License-Identifier: MIT */
/* Parameters behind a media type or a disposition (RFC 9110, 5.6.6; RFC 7578,
 * 4.2): "form-data; name=\"a\"; filename=b". Pure functions over borrowed
 * bytes. */
#ifndef DW_HTTP_PARAMETERS_H
#define DW_HTTP_PARAMETERS_H

#include <stdbool.h>

#include "base/slice.h"

typedef struct dw_parameter {
  dw_slice name;
  dw_slice raw; /* the value as it stands there, without its quotes */
  bool quoted;
  bool literal; /* quoted, with backslashes that stand for themselves */
} dw_parameter;

/* Takes what comes before the first ";" off *rest, trimmed. */
dw_slice dw_parameters_begin(dw_slice *rest);
/* Takes the next parameter off *rest: 1, 0 where there is none left, or
 * DEWAR_EPARSE. Empty ones are skipped. */
int dw_parameters_next(dw_slice *rest, dw_parameter *out);

/* The value without what quoting has added, into out, which has room for
 * raw.len bytes; returns the length. Only a quote and a backslash count as
 * escaped: browsers write the paths of Windows as they are. */
size_t dw_parameter_unquote(char *out, const dw_parameter *p);
/* The same of a form's name or filename: browsers write a quote as %22, a line
 * break as %0D%0A, and percent signs as they are (WHATWG HTML, 4.10.21.8). */
size_t dw_parameter_form_text(char *out, const dw_parameter *p);
/* The value of "filename*" and the like (RFC 8187): UTF-8 or ISO-8859-1, as
 * UTF-8. False: malformed, another charset, or a NUL. */
bool dw_parameter_extended(char *out, size_t *len, const dw_parameter *p);

#endif
