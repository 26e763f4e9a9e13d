/* SPDX-License-Identifier: MIT */
/* Parameters of header values. */
#include "http/parameters.h"

#include "base/error.h"
#include "http/tokens.h"

static dw_slice after(dw_slice s, size_t n) {
  return dw_slice_of(s.ptr + n, s.len - n);
}

dw_slice dw_parameters_begin(dw_slice *rest) {
  dw_slice value = *rest;
  const char *end = value.len ? memchr(value.ptr, ';', value.len) : NULL;
  if (end) value.len = (size_t)(end - value.ptr);
  *rest = after(*rest, value.len);
  return dw_slice_trim(value);
}

/* --- Splitting -------------------------------------------------------------*/

static bool is_escape(dw_slice s, size_t i) {
  return s.ptr[i] == '\\' && i + 1 < s.len &&
         (s.ptr[i + 1] == '"' || s.ptr[i + 1] == '\\');
}

/* Where the quote behind the first byte is closed, or s.len. */
static size_t find_quote(dw_slice s) {
  for (size_t i = 1; i < s.len; i++) {
    if (s.ptr[i] == '"') return i;
    if (is_escape(s, i)) i++;
  }
  return s.len;
}

/* A browser doesn't escape the backslash that a filename ends in, so a quote
 * that nothing else closes is closed by the last one. */
static int take_quoted(dw_slice *rest, dw_parameter *out) {
  size_t end = find_quote(*rest);
  out->quoted = true;
  if (end == rest->len) {
    *rest = dw_slice_trim(*rest);
    end = rest->len - 1;
    if (end < 2 || rest->ptr[end] != '"') return DEWAR_EPARSE;
    out->literal = true;
  }
  out->raw = dw_slice_of(rest->ptr + 1, end - 1);
  *rest = dw_slice_trim(after(*rest, end + 1));
  return rest->len == 0 || *rest->ptr == ';' ? 1 : DEWAR_EPARSE;
}

static int take_plain(dw_slice *rest, dw_parameter *out) {
  out->raw = dw_parameters_begin(rest);
  for (size_t i = 0; i < out->raw.len; i++) {
    unsigned char c = (unsigned char)out->raw.ptr[i];
    if (c <= ' ' || c == '"' || c == 127) return DEWAR_EPARSE;
  }
  return out->raw.len > 0 ? 1 : DEWAR_EPARSE;
}

int dw_parameters_next(dw_slice *rest, dw_parameter *out) {
  *out = (dw_parameter){0};
  while (rest->len > 0 && strchr("; \t", *rest->ptr)) *rest = after(*rest, 1);
  if (rest->len == 0) return 0;
  const char *equals = memchr(rest->ptr, '=', rest->len);
  if (!equals) return DEWAR_EPARSE;
  out->name = dw_slice_of(rest->ptr, (size_t)(equals - rest->ptr));
  if (!dw_is_token(out->name)) return DEWAR_EPARSE;
  *rest = after(*rest, out->name.len + 1);
  if (rest->len > 0 && *rest->ptr == '"') return take_quoted(rest, out);
  return take_plain(rest, out);
}

/* --- Values ----------------------------------------------------------------*/

size_t dw_parameter_unquote(char *out, const dw_parameter *p) {
  size_t len = 0;
  bool escapes = p->quoted && !p->literal;
  for (size_t i = 0; i < p->raw.len; i++) {
    if (escapes && is_escape(p->raw, i)) i++;
    out[len++] = p->raw.ptr[i];
  }
  return len;
}

/* The byte that the three at i stand for, or -1. */
static int escaped_byte(dw_slice s, size_t i) {
  if (s.ptr[i] != '%' || s.len - i < 3) return -1;
  int high = dw_hex_digit((unsigned char)s.ptr[i + 1]);
  int low = dw_hex_digit((unsigned char)s.ptr[i + 2]);
  return high < 0 || low < 0 ? -1 : high << 4 | low;
}

size_t dw_parameter_form_text(char *out, const dw_parameter *p) {
  dw_slice text = {out, dw_parameter_unquote(out, p)};
  if (!p->quoted) return text.len;
  size_t len = 0;
  for (size_t i = 0; i < text.len; i++) {
    int c = escaped_byte(text, i);
    if (c == '"' || c == '\r' || c == '\n') {
      out[len++] = (char)c;
      i += 2;
    } else {
      out[len++] = text.ptr[i];
    }
  }
  return len;
}

/* Takes what comes before the next "'" off *rest. */
static bool take_section(dw_slice *rest, dw_slice *out) {
  const char *end = rest->len ? memchr(rest->ptr, '\'', rest->len) : NULL;
  if (!end) return false;
  *out = dw_slice_of(rest->ptr, (size_t)(end - rest->ptr));
  *rest = after(*rest, out->len + 1);
  return true;
}

/* What needs two bytes in UTF-8 was three bytes of an escape. */
static size_t put_latin1(char *out, int c) {
  if (c < 0x80) {
    *out = (char)c;
    return 1;
  }
  out[0] = (char)(0xc0 | c >> 6);
  out[1] = (char)(0x80 | (c & 0x3f));
  return 2;
}

bool dw_parameter_extended(char *out, size_t *len, const dw_parameter *p) {
  dw_slice rest = p->raw, charset, language;
  if (p->quoted || !take_section(&rest, &charset) ||
      !take_section(&rest, &language))
    return false;
  bool latin1 = dw_slice_equal_nocase(charset, DW_LITERAL("ISO-8859-1"));
  if (!latin1 && !dw_slice_equal_nocase(charset, DW_LITERAL("UTF-8")))
    return false;
  *len = 0;
  for (size_t i = 0; i < rest.len; i++) {
    int c = (unsigned char)rest.ptr[i];
    if (c == '%') {
      c = escaped_byte(rest, i);
      if (c <= 0) return false;
      i += 2;
    } else if (!dw_is_tchar((unsigned char)c)) {
      return false;
    }
    if (latin1)
      *len += put_latin1(out + *len, c);
    else
      out[(*len)++] = (char)c;
  }
  return true;
}
