/* SPDX-License-Identifier: MIT */
/* Cookies. A value that a cookie can't carry as it is goes in quotes, with
 * octal escapes, as Flask writes and reads it. */
#include "http/cookie.h"

#include <inttypes.h>

#include "base/error.h"
#include "http/date.h"
#include "http/tokens.h"
#include "http/uri.h"

/* --- Reading ---------------------------------------------------------------*/

static bool is_octal(char c, char max) { return c >= '0' && c <= max; }

/* Undoes \" and \054 in what was between quotes; out may be text's own. */
static size_t unquote(char *out, dw_slice text) {
  char *at = out;
  for (size_t i = 0; i < text.len; i++) {
    char c = text.ptr[i];
    if (c == '\\' && i + 1 < text.len) {
      const char *e = text.ptr + i + 1;
      if (text.len - i > 3 && is_octal(e[0], '3') && is_octal(e[1], '7') &&
          is_octal(e[2], '7')) {
        c = (char)((e[0] - '0') << 6 | (e[1] - '0') << 3 | (e[2] - '0'));
        i += 3;
      } else {
        c = *e;
        i++;
      }
    }
    *at++ = c;
  }
  return (size_t)(at - out);
}

static bool read_value(dw_slice *value, dw_arena *arena) {
  const char *text = value->ptr;
  size_t len = value->len;
  if (len < 2 || text[0] != '"' || text[len - 1] != '"') return true;
  *value = dw_slice_of(text + 1, len - 2);
  if (len == 2 || !memchr(value->ptr, '\\', value->len)) return true;
  char *copy = dw_arena_copy(arena, value->ptr, value->len);
  if (!copy) return false;
  *value = dw_slice_of(copy, unquote(copy, *value));
  return true;
}

static size_t count_items(dw_slice text) {
  size_t count = text.len > 0;
  for (size_t i = 0; i < text.len; i++) count += text.ptr[i] == ';';
  return count;
}

int dw_cookie_parse(dw_slice text, dw_arena *arena, dw_pairs *out) {
  *out = (dw_pairs){0};
  size_t max = count_items(text);
  if (max == 0) return 0;
  if (max > SIZE_MAX / sizeof *out->items) return DW_ENOMEM;
  dw_pair *items = dw_arena_alloc(arena, max * sizeof *items);
  if (!items) return DW_ENOMEM;

  size_t count = 0;
  const char *at = text.ptr, *end = text.ptr + text.len;
  while (at < end) {
    const char *stop = memchr(at, ';', (size_t)(end - at));
    if (!stop) stop = end;
    const char *equals = memchr(at, '=', (size_t)(stop - at));
    const char *name_end = equals ? equals : stop;
    const char *value = equals ? equals + 1 : stop;
    dw_pair pair = {dw_slice_trim(dw_slice_of(at, (size_t)(name_end - at))),
                    dw_slice_trim(dw_slice_of(value, (size_t)(stop - value)))};
    at = stop < end ? stop + 1 : end;
    if (pair.name.len == 0) continue;
    if (!read_value(&pair.value, arena)) return DW_ENOMEM;
    items[count++] = pair;
  }
  *out = (dw_pairs){items, count};
  return 0;
}

/* --- Writing ---------------------------------------------------------------*/

/* Of bytes that may stand in a value without quotes: Werkzeug's choice. */
static bool is_plain(unsigned char c) {
  return c > 0x20 && c < 0x7f && !strchr("\",;\\", c);
}

static bool all_plain(dw_slice s) {
  for (size_t i = 0; i < s.len; i++) {
    if (!is_plain((unsigned char)s.ptr[i])) return false;
  }
  return true;
}

static bool has_line_break(dw_slice s) {
  for (size_t i = 0; i < s.len; i++) {
    if (s.ptr[i] == '\r' || s.ptr[i] == '\n' || s.ptr[i] == '\0') return true;
  }
  return false;
}

static int append_quoted(dw_buffer *out, dw_slice s) {
  int err = dw_buffer_append_char(out, '"');
  for (size_t i = 0; i < s.len && err == 0; i++) {
    unsigned char c = (unsigned char)s.ptr[i];
    if (c == '"' || c == '\\')
      err = dw_buffer_append(out, (char[]){'\\', (char)c}, 2);
    else if (c == ' ' || is_plain(c))
      err = dw_buffer_append_char(out, (char)c);
    else
      err = dw_buffer_append(out,
                             (char[]){'\\', (char)('0' + (c >> 6)),
                                      (char)('0' + (c >> 3 & 7)),
                                      (char)('0' + (c & 7))},
                             4);
  }
  return err ? err : dw_buffer_append_char(out, '"');
}

static int append_text(dw_buffer *out, const char *text) {
  return dw_buffer_append(out, text, strlen(text));
}

static int append_pair(dw_buffer *out, const dw_cookie *c) {
  int err = dw_buffer_append_slice(out, c->name);
  if (err == 0) err = dw_buffer_append_char(out, '=');
  if (err) return err;
  return all_plain(c->value) ? dw_buffer_append_slice(out, c->value)
                             : append_quoted(out, c->value);
}

/* A domain is sent without a port and without the dot that old rules wanted. */
static dw_slice bare_domain(dw_slice domain) {
  const char *colon =
      domain.len > 0 ? memchr(domain.ptr, ':', domain.len) : NULL;
  if (colon) domain.len = (size_t)(colon - domain.ptr);
  while (domain.len > 0 && *domain.ptr == '.') {
    domain.ptr++;
    domain.len--;
  }
  return domain;
}

static const char *same_site_of(dw_slice name) {
  static const char *const names[] = {"Strict", "Lax", "None"};
  for (size_t i = 0; i < 3; i++) {
    if (dw_slice_equal_nocase(name, dw_slice_str(names[i]))) return names[i];
  }
  return NULL;
}

/* The part that can't be sent, or NULL. */
static const char *find_fault(const dw_cookie *c) {
  if (!dw_is_token(c->name)) return "name";
  if (has_line_break(c->value)) return "value";
  if (c->path.ptr && has_line_break(c->path)) return "path";
  if (c->domain.ptr) {
    dw_slice domain = bare_domain(c->domain);
    if (domain.len == 0 || !dw_is_all(domain, DW_CHAR_HOST)) return "domain";
  }
  if (c->same_site.ptr && !same_site_of(c->same_site)) return "samesite";
  return NULL;
}

static int append_times(dw_buffer *out, const dw_cookie *c) {
  int err = 0;
  if (c->expires != INT64_MIN) {
    char date[32];
    dw_http_date(c->expires, date);
    err = append_text(out, "; Expires=");
    if (err == 0) err = append_text(out, date);
  }
  if (err == 0 && c->max_age != INT64_MIN)
    err = dw_buffer_printf(out, "; Max-Age=%" PRId64, c->max_age);
  return err;
}

static int append_scope(dw_buffer *out, const dw_cookie *c) {
  int err = 0;
  if (c->secure || c->partitioned) err = append_text(out, "; Secure");
  if (err == 0 && c->http_only) err = append_text(out, "; HttpOnly");
  if (err == 0 && c->path.ptr) {
    err = append_text(out, "; Path=");
    if (err == 0) err = dw_percent_encode(out, c->path, "%!$&'()*+,/:=@");
  }
  if (err == 0 && c->same_site.ptr) {
    err = append_text(out, "; SameSite=");
    if (err == 0) err = append_text(out, same_site_of(c->same_site));
  }
  if (err == 0 && c->partitioned) err = append_text(out, "; Partitioned");
  return err;
}

static int append_cookie(dw_buffer *out, const dw_cookie *c) {
  int err = append_pair(out, c);
  if (err == 0 && c->domain.ptr) {
    err = append_text(out, "; Domain=");
    if (err == 0) err = dw_buffer_append_slice(out, bare_domain(c->domain));
  }
  if (err == 0) err = append_times(out, c);
  return err ? err : append_scope(out, c);
}

int dw_cookie_format(dw_buffer *out, const dw_cookie *cookie,
                     const char **what) {
  *what = find_fault(cookie);
  if (*what) return DEWAR_EINVAL;
  size_t before = out->len;
  int err = append_cookie(out, cookie);
  if (err < 0) out->len = before;
  return err;
}
