/* SPDX-License-Identifier: MIT */
/* Escapes the five characters that mean something in HTML. Nothing is owned
 * here. Thread: any. */
#include "base/html.h"

const char *dw_html_entity(char c) {
  switch (c) {
  case '&':
    return "&amp;";
  case '<':
    return "&lt;";
  case '>':
    return "&gt;";
  case '"':
    return "&quot;";
  case '\'':
    return "&#39;";
  default:
    return NULL;
  }
}

/* How much longer a byte gets. Most text needs nothing, and is passed over at a
 * look each. */
static const unsigned char longer[256] = {
    ['&'] = 4, ['<'] = 3, ['>'] = 3, ['"'] = 5, ['\''] = 4};

size_t dw_html_escaped_length(dw_slice text) {
  size_t len = text.len;
  for (size_t i = 0; i < text.len; i++)
    len += longer[(unsigned char)text.ptr[i]];
  return len;
}

void dw_html_escape(char *to, dw_slice text) {
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (!longer[(unsigned char)c]) {
      *to++ = c;
      continue;
    }
    size_t len = longer[(unsigned char)c] + 1u;
    memcpy(to, dw_html_entity(c), len);
    to += len;
  }
}
