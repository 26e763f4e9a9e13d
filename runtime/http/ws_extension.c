/* SPDX-License-Identifier: MIT */
/* Offers and answers: "permessage-deflate; client_max_window_bits=12, ...". */
#include "http/ws_extension.h"

#include "base/error.h"
#include "http/ws_deflate.h"

enum { CONTEXT_BITS = 12 }; /* windows that a connection has for itself */

/* One element: what was said of each parameter. */
typedef struct offer {
  bool known; /* permessage-deflate, with parameters as they must be */
  bool server_alone, client_alone;
  bool has_server_bits, has_client_bits;
  uint8_t server_bits, client_bits; /* 0: no value */
} offer;

/* Cuts the text in front of the first separator that isn't quoted. */
static dw_slice cut(dw_slice *text, char separator) {
  bool quoted = false;
  size_t i = 0;
  for (; i < text->len; i++) {
    if (text->ptr[i] == '"') quoted = !quoted;
    if (text->ptr[i] == separator && !quoted) break;
  }
  dw_slice first = dw_slice_of(text->ptr, i);
  size_t skip = i < text->len ? i + 1 : i;
  *text = dw_slice_of(text->ptr + skip, text->len - skip);
  return dw_slice_trim(first);
}

/* "8" to "15", quoted or not; 0: something else. */
static uint8_t read_bits(dw_slice v) {
  if (v.len >= 2 && v.ptr[0] == '"' && v.ptr[v.len - 1] == '"')
    v = dw_slice_of(v.ptr + 1, v.len - 2);
  if (v.len == 1 && (v.ptr[0] == '8' || v.ptr[0] == '9'))
    return (uint8_t)(v.ptr[0] - '0');
  if (v.len == 2 && v.ptr[0] == '1' && v.ptr[1] >= '0' && v.ptr[1] <= '5')
    return (uint8_t)(10 + v.ptr[1] - '0');
  return 0;
}

static bool read_flag(bool *flag, bool has_value) {
  if (*flag || has_value) return false;
  *flag = true;
  return true;
}

static bool read_window(bool *has, uint8_t *bits, dw_slice value,
                        bool has_value) {
  if (*has) return false;
  *has = true;
  *bits = has_value ? read_bits(value) : 0;
  return !has_value || *bits > 0;
}

static bool read_parameter(offer *o, dw_slice text) {
  dw_slice value = text, name = cut(&value, '=');
  bool has_value = name.len < text.len;
  value = dw_slice_trim(value);
  if (dw_slice_equal_nocase(name, DW_LITERAL("server_no_context_takeover")))
    return read_flag(&o->server_alone, has_value);
  if (dw_slice_equal_nocase(name, DW_LITERAL("client_no_context_takeover")))
    return read_flag(&o->client_alone, has_value);
  if (dw_slice_equal_nocase(name, DW_LITERAL("server_max_window_bits")))
    return read_window(&o->has_server_bits, &o->server_bits, value,
                       has_value) &&
           has_value;
  if (dw_slice_equal_nocase(name, DW_LITERAL("client_max_window_bits")))
    return read_window(&o->has_client_bits, &o->client_bits, value, has_value);
  return false;
}

static offer read_offer(dw_slice text) {
  offer o = {0};
  dw_slice name = cut(&text, ';');
  if (!dw_slice_equal_nocase(name, DW_LITERAL("permessage-deflate"))) return o;
  while (text.len > 0)
    if (!read_parameter(&o, cut(&text, ';'))) return o;
  o.known = true;
  return o;
}

/* --- The server's part -----------------------------------------------------*/

static uint8_t least(uint8_t a, uint8_t b) { return a < b ? a : b; }

/* zlib can't write for a window of 2^8 bytes. */
static bool can_serve(const offer *o) {
  return o->known && (!o->has_server_bits || o->server_bits >= DW_WS_BITS_MIN);
}

/* What is written for a small window is right for a large one, so ours may be
 * as small as we like; the client's only if it says that it can do so. */
static dw_ws_terms terms_for(const offer *o, dw_ws_compress how) {
  bool alone = how == DW_WS_COMPRESS_ALONE;
  dw_ws_terms t = {.on = true,
                   .server_alone = alone || o->server_alone,
                   .client_alone = alone || o->client_alone,
                   .server_bits = DW_WS_BITS_MAX,
                   .client_bits = DW_WS_BITS_MAX};
  if (!t.server_alone) t.server_bits = CONTEXT_BITS;
  if (o->has_server_bits) t.server_bits = least(t.server_bits, o->server_bits);
  if (o->has_client_bits && !t.client_alone) t.client_bits = CONTEXT_BITS;
  if (o->client_bits) t.client_bits = least(t.client_bits, o->client_bits);
  return t;
}

static int write_answer(const dw_ws_terms *t, const offer *o, dw_buffer *out) {
  int code =
      dw_buffer_printf(out, "permessage-deflate%s%s",
                       t->server_alone ? "; server_no_context_takeover" : "",
                       t->client_alone ? "; client_no_context_takeover" : "");
  if (code == 0 && o->has_server_bits)
    code = dw_buffer_printf(out, "; server_max_window_bits=%d", t->server_bits);
  if (code == 0 && o->has_client_bits && t->client_bits < DW_WS_BITS_MAX)
    code = dw_buffer_printf(out, "; client_max_window_bits=%d", t->client_bits);
  return code;
}

int dw_ws_negotiate(dw_slice offers, dw_ws_compress how, dw_ws_terms *terms,
                    dw_buffer *answer) {
  *terms = (dw_ws_terms){0};
  while (how != DW_WS_COMPRESS_NEVER && offers.len > 0) {
    offer o = read_offer(cut(&offers, ','));
    if (!can_serve(&o)) continue;
    dw_ws_terms t = terms_for(&o, how);
    int code = write_answer(&t, &o, answer);
    if (code == 0) *terms = t;
    return code;
  }
  return 0;
}

/* --- The client's part -----------------------------------------------------*/

bool dw_ws_agree(dw_slice answer, dw_ws_terms *terms) {
  *terms = (dw_ws_terms){0};
  if (answer.len == 0) return true;
  offer o = read_offer(answer);
  if (!o.known || (o.has_client_bits && o.client_bits < DW_WS_BITS_MIN))
    return false;
  *terms = (dw_ws_terms){
      .on = true,
      .server_alone = o.server_alone,
      .client_alone = o.client_alone,
      .server_bits = o.server_bits ? o.server_bits : DW_WS_BITS_MAX,
      .client_bits = o.client_bits ? o.client_bits : DW_WS_BITS_MAX};
  return true;
}
