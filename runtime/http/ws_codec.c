/* SPDX-License-Identifier: MIT */
/* Messages from frames and back: see ws_codec.h. */
#include "http/ws_codec.h"

#include "base/error.h"

enum {
  /* Shorter messages gain nothing: the first number where each is packed by
   * itself, the other where they refer to earlier ones. */
  SMALL_ALONE = 256,
  SMALL_IN_CONTEXT = 16
};

void dw_ws_init(dw_ws *w, dw_ws_pool *pool, const dw_ws_terms *terms,
                uint64_t max_message) {
  *w = (dw_ws){.pool = pool, .max_message = max_message};
  if (terms) w->terms = *terms;
  dw_buffer_init(&w->message, pool->alloc, 0);
}

static void drop_inflater(dw_ws *w) {
  if (!w->inflater) return;
  dw_ws_inflater_drop(&w->pool->flate, w->inflater);
  w->inflater = NULL;
}

static bool keeps_context(const dw_ws *w, bool ours) {
  bool server = ours != w->pool->client;
  return !(server ? w->terms.server_alone : w->terms.client_alone);
}

static int window_bits(const dw_ws *w, bool ours) {
  bool server = ours != w->pool->client;
  return server ? w->terms.server_bits : w->terms.client_bits;
}

static void drop_control(dw_ws *w) {
  dw_free(w->pool->alloc, w->control, DW_WS_CONTROL_MAX);
  w->control = NULL;
}

void dw_ws_deinit(dw_ws *w) {
  dw_buffer_deinit(&w->message);
  dw_ws_reader_drop(w->pool, w->reader);
  w->reader = NULL;
  drop_control(w);
  if (w->terms.on && keeps_context(w, false))
    dw_ws_inflater_free(w->inflater);
  else
    drop_inflater(w);
  w->inflater = NULL;
  dw_ws_deflater_free(w->deflater);
  w->deflater = NULL;
}

/* --- Reading ---------------------------------------------------------------*/

static dw_ws_event fail(dw_ws *w, uint16_t code, const char *reason) {
  w->over = true;
  w->code = code;
  w->data = dw_slice_str(reason);
  return DW_WS_FAILED;
}

static dw_ws_event no_memory(dw_ws *w) {
  return fail(w, DW_WS_ERROR, "out of memory");
}

bool dw_ws_is_code(uint16_t code) {
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && code != 1004 &&
         code != DW_WS_NO_CODE && code != DW_WS_ABNORMAL;
}

/* What a frame's head says that it must not; NULL: nothing. */
static const char *wrong_head(const dw_ws *w, const dw_ws_part *p) {
  bool begins = p->opcode == DW_WS_TEXT || p->opcode == DW_WS_BINARY;
  uint8_t allowed = w->terms.on && begins ? DW_WS_RSV1 : 0;
  if (p->rsv & ~allowed) return "a reserved bit is set";
  if (p->masked == w->pool->client)
    return p->masked ? "a server's frame is masked"
                     : "a client's frame is not masked";
  if (begins && w->opcode) return "a message begins within another";
  if (p->opcode == DW_WS_CONTINUATION && !w->opcode)
    return "there is nothing to go on with";
  if (!begins && p->opcode != DW_WS_CONTINUATION &&
      (p->opcode < DW_WS_OPCODE_CLOSE || p->opcode > DW_WS_OPCODE_PONG))
    return "unknown opcode";
  return NULL;
}

/* Control frames, which may stand between a message's. */
static dw_ws_event end_control(dw_ws *w, const dw_ws_part *p) {
  w->data = dw_slice_of(w->control ? w->control : "", w->held);
  w->held = 0;
  if (p->opcode == DW_WS_OPCODE_PING) return DW_WS_PING;
  if (p->opcode == DW_WS_OPCODE_PONG) return DW_WS_PONG;
  w->code = DW_WS_NO_CODE;
  if (w->data.len == 1)
    return fail(w, DW_WS_PROTOCOL_ERROR, "half a code in a close");
  if (w->data.len >= 2) {
    const unsigned char *code = (const unsigned char *)w->data.ptr;
    w->code = (uint16_t)(code[0] << 8 | code[1]);
    w->data = dw_slice_of(w->data.ptr + 2, w->data.len - 2);
    if (!dw_ws_is_code(w->code))
      return fail(w, DW_WS_PROTOCOL_ERROR, "a close with an invalid code");
    if (!dw_is_utf8(w->data))
      return fail(w, DW_WS_BAD_DATA, "a close's reason is not UTF-8");
  }
  w->over = true;
  return DW_WS_CLOSED;
}

static dw_ws_event take_control(dw_ws *w, const dw_ws_part *p) {
  if (p->data.len > 0) {
    if (!w->control) w->control = dw_alloc(w->pool->alloc, DW_WS_CONTROL_MAX);
    if (!w->control) return no_memory(w);
    memcpy(w->control + w->held, p->data.ptr, p->data.len);
    w->held = (uint8_t)(w->held + p->data.len);
  }
  return dw_ws_part_is_last(p) ? end_control(w, p) : DW_WS_MORE;
}

static bool begin_inflating(dw_ws *w) {
  if (w->inflater) return true;
  w->inflater = keeps_context(w, false)
                    ? dw_ws_inflater_new(w->pool->alloc, window_bits(w, false))
                    : dw_ws_inflater_take(&w->pool->flate);
  return w->inflater != NULL;
}

/* A frame of a message begins. */
static dw_ws_event begin_data(dw_ws *w, const dw_ws_part *p) {
  if (p->opcode != DW_WS_CONTINUATION) {
    w->opcode = p->opcode;
    w->text = p->opcode == DW_WS_TEXT;
    w->compressed = p->rsv & DW_WS_RSV1;
    w->utf8 = (dw_utf8){0};
    dw_buffer_deinit(&w->message);
    if (w->compressed && !begin_inflating(w)) return no_memory(w);
  }
  if (!w->compressed && (p->length > w->max_message ||
                         w->message.len > w->max_message - p->length))
    return fail(w, DW_WS_TOO_BIG, "the message is too big");
  return DW_WS_MORE;
}

static dw_ws_event end_message(dw_ws *w) {
  if (w->compressed && !keeps_context(w, false)) drop_inflater(w);
  w->opcode = 0;
  if (w->text && !dw_utf8_complete(&w->utf8))
    return fail(w, DW_WS_BAD_DATA, "the text ends within a character");
  w->data = dw_buffer_slice(&w->message);
  return DW_WS_MESSAGE;
}

static dw_ws_event take_data(dw_ws *w, const dw_ws_part *p) {
  bool last = p->fin && dw_ws_part_is_last(p);
  size_t before = w->message.len;
  int code = w->compressed ? dw_ws_inflate(w->inflater, p->data, last,
                                           w->max_message, &w->message)
                           : dw_buffer_append_slice(&w->message, p->data);
  if (code == DW_ETOOBIG)
    return fail(w, DW_WS_TOO_BIG, "the message is too big");
  if (code == DEWAR_EPARSE)
    return fail(w, DW_WS_BAD_DATA, "the message can't be inflated");
  if (code < 0) return no_memory(w);
  dw_slice more = dw_buffer_slice(&w->message);
  more = dw_slice_of(more.ptr + before, more.len - before);
  if (w->text && !dw_utf8_feed(&w->utf8, more))
    return fail(w, DW_WS_BAD_DATA, "the text is not UTF-8");
  return last ? end_message(w) : DW_WS_MORE;
}

static dw_ws_event take_part(dw_ws *w, const dw_ws_part *p) {
  const char *wrong = p->offset == 0 ? wrong_head(w, p) : NULL;
  if (wrong) return fail(w, DW_WS_PROTOCOL_ERROR, wrong);
  if (p->opcode >= DW_WS_OPCODE_CLOSE) return take_control(w, p);
  if (p->offset == 0) {
    dw_ws_event e = begin_data(w, p);
    if (e != DW_WS_MORE) return e;
  }
  return take_data(w, p);
}

static dw_ws_event read_parts(dw_ws *w, dw_slice *bytes) {
  for (;;) {
    dw_ws_part part;
    int found = dw_ws_reader_next(w->reader, bytes, &part);
    if (found == 0) return DW_WS_MORE;
    if (found < 0)
      return fail(w, DW_WS_PROTOCOL_ERROR, "this is no WebSocket frame");
    dw_ws_event e = take_part(w, &part);
    if (e != DW_WS_MORE) return e;
  }
}

dw_ws_event dw_ws_read(dw_ws *w, dw_slice *bytes) {
  if (!w->over && !w->reader && bytes->len > 0) {
    w->reader = dw_ws_reader_take(w->pool);
    if (!w->reader) return no_memory(w);
  }
  dw_ws_event e = DW_WS_MORE;
  if (w->over)
    *bytes = dw_slice_of(bytes->ptr + bytes->len, 0);
  else if (w->reader)
    e = read_parts(w, bytes);
  if (e == DW_WS_MORE && w->held == 0) drop_control(w);
  if (e == DW_WS_MORE && w->reader &&
      (w->over || dw_ws_reader_idle(w->reader))) {
    dw_ws_reader_drop(w->pool, w->reader);
    w->reader = NULL;
  }
  return e;
}

/* --- Writing ---------------------------------------------------------------*/

/* Whether what packs our messages is the one that all share. */
static bool packs_by_shared(const dw_ws *w) {
  return !keeps_context(w, true) && window_bits(w, true) == DW_WS_BITS_MAX;
}

/* Packs the message into small, if it gains from that: 1, 0, or a code. */
static int pack(dw_ws *w, dw_slice message, dw_buffer *small) {
  bool context = keeps_context(w, true);
  if (message.len < (context ? SMALL_IN_CONTEXT : SMALL_ALONE)) return 0;
  int code;
  if (packs_by_shared(w)) {
    code = dw_ws_deflate_alone(&w->pool->flate, message, small);
  } else {
    if (!w->deflater)
      w->deflater = dw_ws_deflater_new(w->pool->alloc, window_bits(w, true));
    if (!w->deflater) return DW_ENOMEM;
    if (!context) dw_ws_deflater_reset(w->deflater);
    code = dw_ws_deflate(w->deflater, message, small);
  }
  if (code < 0) return code;
  /* In a context it must go, as later ones refer to it. */
  return context || small->len < message.len;
}

int dw_ws_write(dw_ws *w, bool text, dw_slice message, dw_buffer *out) {
  dw_ws_opcode opcode = text ? DW_WS_TEXT : DW_WS_BINARY;
  if (!w->terms.on) return dw_ws_frame_write(w->pool, opcode, 0, message, out);
  dw_buffer small;
  dw_buffer_init(&small, w->pool->alloc, 0);
  int code = pack(w, message, &small);
  if (code >= 0)
    code = dw_ws_frame_write(w->pool, opcode, code ? DW_WS_RSV1 : 0,
                             code ? dw_buffer_slice(&small) : message, out);
  dw_buffer_deinit(&small);
  return code;
}

int dw_ws_write_control(dw_ws *w, dw_ws_opcode opcode, dw_slice payload,
                        dw_buffer *out) {
  return dw_ws_frame_write(w->pool, opcode, 0, payload, out);
}

int dw_ws_write_close(dw_ws *w, uint16_t code, dw_slice reason,
                      dw_buffer *out) {
  char payload[DW_WS_CONTROL_MAX];
  size_t len = 0;
  if (code != DW_WS_NO_CODE) {
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xff);
    memcpy(payload + 2, reason.ptr, reason.len);
    len = 2 + reason.len;
  }
  return dw_ws_frame_write(w->pool, DW_WS_OPCODE_CLOSE, 0,
                           dw_slice_of(payload, len), out);
}

/* --- For many --------------------------------------------------------------*/

void dw_ws_broadcast_init(dw_ws_broadcast *b, dw_allocator *a, bool text,
                          dw_slice message) {
  *b = (dw_ws_broadcast){.message = message, .text = text};
  dw_buffer_init(&b->plain, a, 0);
  dw_buffer_init(&b->small, a, 0);
}

void dw_ws_broadcast_deinit(dw_ws_broadcast *b) {
  dw_buffer_deinit(&b->plain);
  dw_buffer_deinit(&b->small);
}

int dw_ws_broadcast_for(dw_ws_broadcast *b, dw_ws *w, dw_slice *frame) {
  if (w->terms.on && !packs_by_shared(w)) return 0;
  dw_buffer *out = w->terms.on ? &b->small : &b->plain;
  int code = out->len ? 0 : dw_ws_write(w, b->text, b->message, out);
  *frame = dw_buffer_slice(out);
  return code < 0 ? code : 1;
}
