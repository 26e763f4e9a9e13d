/* SPDX-License-Identifier: MIT */
/* The default error page. Nothing in it comes from elsewhere: no script, no
 * font, no image. Thread: any. */
#include "app/default_page.h"

#include "base/html.h"
#include "base/utf8.h"
#include "http/headers.h"
#include "http/tokens.h"

/* --- Text ------------------------------------------------------------------*/

/* Takes the next character off the text: a well-formed one, or a byte that
 * isn't part of one. */
static dw_slice next_character(dw_slice *text, bool *wellformed) {
  size_t len = dw_utf8_length(text->ptr, text->ptr + text->len);
  *wellformed = len > 0;
  dw_slice c = {text->ptr, len > 0 ? len : 1};
  *text = (dw_slice){c.ptr + c.len, text->len - c.len};
  return c;
}

static bool is_control(char c) {
  return ((unsigned char)c < 32 && c != '\t' && c != '\n' && c != '\r') ||
         c == 127;
}

static const char *json_escape(char c) {
  switch (c) {
  case '"':
    return "\\\"";
  case '\\':
    return "\\\\";
  case '\n':
    return "\\n";
  case '\r':
    return "\\r";
  case '\t':
    return "\\t";
  default:
    return NULL;
  }
}

/* What is no character, or none to be shown, becomes U+FFFD. */
static int append_text(dw_buffer *out, dw_slice text, bool json) {
  int err = 0;
  while (text.len > 0 && err == 0) {
    bool wellformed;
    dw_slice c = next_character(&text, &wellformed);
    const char *escape = json ? json_escape(*c.ptr) : dw_html_entity(*c.ptr);
    if (!wellformed || is_control(*c.ptr)) escape = "\xEF\xBF\xBD";
    if (escape) c = dw_slice_str(escape);
    err = dw_buffer_append_slice(out, c);
  }
  return err;
}

/* --- The page --------------------------------------------------------------*/

static const char html_head[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n"
    "<title>%d %.*s</title>\n"
    "<style>\n"
    ":root{color-scheme:light dark;font:1.1rem/1.5 system-ui,sans-serif}\n"
    "body{display:grid;place-content:center;min-height:90vh;margin:0 8vw}\n"
    "b{font-size:5em;line-height:1;letter-spacing:-.05em;color:#e0592a}\n"
    "h1{margin:.2em 0 0;font-size:1.6em}\n"
    "p{margin:.5em 0;max-width:34em;white-space:pre-line;"
    "overflow-wrap:anywhere;opacity:.8}\n"
    "</style>\n"
    "<b>%d</b>\n"
    "<h1>%.*s</h1>\n"
    "<p>";

static int append_html(dw_buffer *out, int status, dw_slice name,
                       dw_slice description) {
  int err = dw_buffer_printf(out, html_head, status, DW_FMT(name), status,
                             DW_FMT(name));
  if (err == 0) err = append_text(out, description, false);
  if (err == 0) err = dw_buffer_append_slice(out, DW_LITERAL("</p>\n"));
  return err;
}

static int append_json(dw_buffer *out, int status, dw_slice name,
                       dw_slice description) {
  int err = dw_buffer_printf(
      out, "{\"error\":{\"status\":%d,\"name\":\"%.*s\",\"description\":\"",
      status, DW_FMT(name));
  if (err == 0) err = append_text(out, description, true);
  if (err == 0) err = dw_buffer_append_slice(out, DW_LITERAL("\"}}\n"));
  return err;
}

int dw_default_page(dw_buffer *out, int status, dw_slice description,
                    bool json) {
  size_t before = out->len;
  dw_slice name = dw_status_phrase(status);
  if (name.len == 0) name = DW_LITERAL("Error");
  int err = json ? append_json(out, status, name, description)
                 : append_html(out, status, name, description);
  if (err < 0) out->len = before;
  return err;
}

/* --- Accept ----------------------------------------------------------------*/

/* Takes what is in front of the next ";" off *rest, trimmed. */
static dw_slice take_parameter(dw_slice *rest) {
  const char *end = rest->len > 0 ? memchr(rest->ptr, ';', rest->len) : NULL;
  size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
  dw_slice part = dw_slice_trim(dw_slice_of(rest->ptr, len));
  size_t skip = end ? len + 1 : len;
  *rest = dw_slice_of(rest->ptr + skip, rest->len - skip);
  return part;
}

/* Whether a media range's parameters rule it out: a weight of zero. */
static bool is_ruled_out(dw_slice parameters) {
  while (parameters.len > 0) {
    dw_slice p = take_parameter(&parameters);
    if (p.len < 3 || (p.ptr[0] != 'q' && p.ptr[0] != 'Q') || p.ptr[1] != '=')
      continue;
    for (size_t i = 2; i < p.len; i++)
      if (p.ptr[i] != '0' && p.ptr[i] != '.') return false;
    return true;
  }
  return false;
}

static bool is_json(dw_slice type) {
  dw_slice suffix = DW_LITERAL("+json");
  if (dw_slice_equal_nocase(type, DW_LITERAL("application/json"))) return true;
  if (type.len <= suffix.len) return false;
  dw_slice end = {type.ptr + type.len - suffix.len, suffix.len};
  return dw_slice_equal_nocase(end, suffix);
}

/* How closely a media range stands for HTML; 0: not at all. */
static int closeness_to_html(dw_slice type) {
  if (dw_slice_equal_nocase(type, DW_LITERAL("text/html"))) return 3;
  if (dw_slice_equal_nocase(type, DW_LITERAL("text/*"))) return 2;
  return dw_slice_equal(type, DW_LITERAL("*/*"));
}

bool dw_accepts_only_json(dw_slice accept) {
  bool json = false, html = false;
  int closest = 0; /* the closest range decides: RFC 9110, 12.5.1 */
  dw_slice range;
  while (dw_list_next(&accept, &range)) {
    dw_slice type = take_parameter(&range);
    bool admitted = !is_ruled_out(range);
    int closeness = closeness_to_html(type);
    if (closeness > closest) html = false;
    if (closeness > 0 && closeness >= closest) {
      closest = closeness;
      html = html || admitted;
    }
    if (admitted && is_json(type)) json = true;
  }
  return json && !html;
}
