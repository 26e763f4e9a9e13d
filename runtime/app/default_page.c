/* SPDX-License-Identifier: MIT */
/* The default error page. Nothing in it comes from elsewhere: no script, no
 * font, no image. Thread: any. */
#include "app/default_page.h"

#include "base/html.h"
#include "base/utf8.h"
#include "http/accept.h"
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
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
    "<title>%d %.*s</title>\n"
    "<style>\n"
    ":root{color-scheme:light dark;font:1.1rem/1.55 system-ui,sans-serif;"
    "background:#f7f8fa;color:#1f2430}\n"
    "@media(prefers-color-scheme:dark)"
    "{:root{background:#14161b;color:#e3e6ee}}\n"
    "body{display:grid;place-content:center;min-height:88vh;margin:0 8vw}\n"
    "b{font-size:clamp(4rem,16vw,6.5rem);line-height:1;"
    "letter-spacing:-.05em;color:#d2573f}\n"
    "h1{margin:.4em 0 0;font-size:1.5em;line-height:1.25}\n"
    "p{margin:.5em 0;max-width:33em;white-space:pre-line;"
    "overflow-wrap:anywhere;opacity:.75}\n"
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

static bool is_json(dw_slice type) {
  dw_slice suffix = DW_LITERAL("+json");
  if (dw_slice_equal_nocase(type, DW_LITERAL("application/json"))) return true;
  if (type.len <= suffix.len) return false;
  dw_slice end = {type.ptr + type.len - suffix.len, suffix.len};
  return dw_slice_equal_nocase(end, suffix);
}

bool dw_accepts_only_json(dw_slice accept) {
  dw_slice html = DW_LITERAL("text/html"), rest = accept;
  if (dw_accept_find(DW_ACCEPT_MEDIA, accept, html).quality > 0) return false;
  dw_accept_range range;
  while (dw_accept_next(DW_ACCEPT_MEDIA, &rest, &range))
    if (range.quality > 0 && is_json(range.value)) return true;
  return false;
}
