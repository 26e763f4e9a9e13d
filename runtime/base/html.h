/* SPDX-License-Identifier: MIT */
/* Text as a part of HTML: between tags and in quoted attributes. Nothing is
 * owned here. Thread: any. */
#ifndef DW_BASE_HTML_H
#define DW_BASE_HTML_H

#include "base/slice.h"

/* What stands for a byte of text; NULL: the byte itself. */
const char *dw_html_entity(char c);

/* How long the text is once it is escaped: text.len if there is nothing to
 * escape. */
size_t dw_html_escaped_length(dw_slice text);
/* Writes that many bytes. */
void dw_html_escape(char *to, dw_slice text);

#endif
