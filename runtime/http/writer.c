/* SPDX-License-Identifier: MIT */
/* The writer. A head is written in two steps: its greatest size is summed up
 * and reserved once, then bytes are put down without further checks. After a
 * failure the buffer is as before. */
#include "http/writer.h"

#include "base/error.h"

enum {
  DIGITS = 20, /* of any uint64_t */
  HEX_DIGITS = 16,
  /* More than all the lines that put_framing and put_fields make by
   * themselves, without date and type. */
  OWN_LINES = 224
};

/* --- Putting bytes down ----------------------------------------------------*/

static char *put(char *at, dw_slice s) {
  if (s.len > 0) memcpy(at, s.ptr, s.len);
  return at + s.len;
}

#define PUT(at, literal) put(at, DW_LITERAL(literal))

static char *put_decimal(char *at, uint64_t n) {
  char digits[DIGITS];
  size_t i = DIGITS;
  do digits[--i] = (char)('0' + n % 10);
  while (n /= 10);
  return put(at, dw_slice_of(digits + i, DIGITS - i));
}

static char *put_hex(char *at, uint64_t n) {
  char digits[HEX_DIGITS];
  size_t i = HEX_DIGITS;
  do digits[--i] = "0123456789abcdef"[n & 15];
  while (n >>= 4);
  return put(at, dw_slice_of(digits + i, HEX_DIGITS - i));
}

static char *put_field(char *at, dw_slice name, dw_slice value) {
  at = put(at, name);
  at = PUT(at, ": ");
  at = put(at, value);
  return PUT(at, "\r\n");
}

/* --- The head --------------------------------------------------------------*/

/* What the response's fields have a say in. */
typedef struct seen {
  size_t size; /* of all fields as lines */
  bool date, type, upgrade;
} seen;

static bool named(dw_slice name, dw_slice other) {
  return name.len == other.len && dw_slice_equal_nocase(name, other);
}

static seen look_at_fields(const dw_headers *h) {
  seen s = {0};
  for (uint32_t i = 0; i < h->count; i++) {
    dw_slice name = h->items[i].name;
    s.size += name.len + h->items[i].value.len + 4;
    switch (name.len) {
    case 4:
      s.date |= named(name, DW_LITERAL("Date"));
      s.size += 2; /* of a weak ETag */
      break;
    case 7:
      s.upgrade |= named(name, DW_LITERAL("Upgrade"));
      break;
    case 12:
      s.type |= named(name, DW_LITERAL("Content-Type"));
      break;
    default:
      break;
    }
  }
  return s;
}

/* Whether this layer alone writes the field. */
static bool is_framing(dw_slice name, int status) {
  switch (name.len) {
  case 10:
    return status != 101 && named(name, DW_LITERAL("Connection"));
  case 14:
    return named(name, DW_LITERAL("Content-Length"));
  case 17:
    return named(name, DW_LITERAL("Transfer-Encoding"));
  default:
    return false;
  }
}

static char *put_status(char *at, const dw_response *r) {
  if (r->reason.len == 0) {
    dw_slice line = dw_status_line(r->status);
    if (line.len > 0) return put(at, line);
  }
  at = PUT(at, "HTTP/1.1 ");
  at = put_decimal(at, (uint64_t)r->status);
  at = PUT(at, " ");
  at = put(at, r->reason);
  return PUT(at, "\r\n");
}

static char *put_framing(char *at, const dw_head_options *o) {
  if (o->framing == DW_FRAMING_CHUNKED)
    return PUT(at, "Transfer-Encoding: chunked\r\n");
  if (o->framing != DW_FRAMING_LENGTH) return at;
  at = PUT(at, "Content-Length: ");
  at = put_decimal(at, o->length);
  return PUT(at, "\r\n");
}

/* An Upgrade field must be named in Connection (RFC 9110, 7.8); with status
 * 101 the response does so itself. */
static char *put_connection(char *at, int status, bool upgrade,
                            const dw_head_options *o) {
  if (status == 101) return at;
  dw_slice option = DW_EMPTY;
  if (!o->keep_alive)
    option = DW_LITERAL("close");
  else if (o->minor == 0)
    option = DW_LITERAL("keep-alive");
  if (option.len == 0 && !upgrade) return at;
  at = PUT(at, "Connection: ");
  at = put(at, option);
  if (upgrade) at = option.len > 0 ? PUT(at, ", Upgrade") : PUT(at, "Upgrade");
  return PUT(at, "\r\n");
}

static char *put_fields(char *at, const dw_response *r) {
  for (uint32_t i = 0; i < r->headers.count; i++) {
    const dw_header *h = &r->headers.items[i];
    if (!is_framing(h->name, r->status)) at = put_field(at, h->name, h->value);
  }
  return at;
}

/* The same for an answer that isn't quite what the response says. Encoded bytes
 * are another representation, so a strong ETag isn't theirs (RFC 9110, 8.8.3),
 * and ranges of the bytes that weren't sent can't be had. */
static char *put_changed_fields(char *at, const dw_response *r,
                                const dw_head_options *o) {
  for (uint32_t i = 0; i < r->headers.count; i++) {
    const dw_header *h = &r->headers.items[i];
    if (is_framing(h->name, r->status)) continue;
    if (o->coding.len > 0 && named(h->name, DW_LITERAL("Accept-Ranges")))
      continue;
    if (o->weaken && h->value.len > 0 && h->value.ptr[0] == '"' &&
        named(h->name, DW_LITERAL("ETag"))) {
      at = PUT(at, "ETag: W/");
      at = put(at, h->value);
      at = PUT(at, "\r\n");
    } else {
      at = put_field(at, h->name, h->value);
    }
  }
  if (o->vary) at = PUT(at, "Vary: Accept-Encoding\r\n");
  if (o->coding.len > 0)
    at = put_field(at, DW_LITERAL("Content-Encoding"), o->coding);
  return at;
}

int dw_writer_head(dw_buffer *out, const dw_response *response,
                   const dw_head_options *options) {
  seen s = look_at_fields(&response->headers);
  dw_slice type = DW_EMPTY, date = DW_EMPTY;
  if (response->type && !s.type && options->framing != DW_FRAMING_NONE)
    type = dw_slice_str(response->type);
  if (!s.date) date = options->date;

  size_t size = s.size + response->reason.len + type.len + date.len + OWN_LINES;
  int err = dw_buffer_reserve(out, size);
  if (err < 0) return err;
  char *at = out->ptr + out->len;
  at = put_status(at, response);
  if (date.len > 0) at = put_field(at, DW_LITERAL("Date"), date);
  if (type.len > 0) at = put_field(at, DW_LITERAL("Content-Type"), type);
  at = put_framing(at, options);
  at = put_connection(at, response->status, s.upgrade, options);
  at = options->coding.len > 0 || options->vary || options->weaken
           ? put_changed_fields(at, response, options)
           : put_fields(at, response);
  at = PUT(at, "\r\n");
  out->len = (size_t)(at - out->ptr);
  return 0;
}

/* --- Chunks ----------------------------------------------------------------*/

static char *put_chunk_line(char *at, size_t len) {
  at = put_hex(at, len);
  return PUT(at, "\r\n");
}

int dw_writer_chunk_line(dw_buffer *out, size_t len) {
  int err = dw_buffer_reserve(out, HEX_DIGITS + 2);
  if (err < 0) return err;
  char *at = put_chunk_line(out->ptr + out->len, len);
  out->len = (size_t)(at - out->ptr);
  return 0;
}

int dw_writer_chunk(dw_buffer *out, dw_slice bytes) {
  if (bytes.len == 0) return 0; /* it would end the body */
  if (bytes.len > SIZE_MAX - HEX_DIGITS - 4) return DW_ETOOBIG;
  int err = dw_buffer_reserve(out, HEX_DIGITS + 4 + bytes.len);
  if (err < 0) return err;
  char *at = put_chunk_line(out->ptr + out->len, bytes.len);
  at = put(at, bytes);
  at = PUT(at, "\r\n");
  out->len = (size_t)(at - out->ptr);
  return 0;
}

int dw_writer_last_chunk(dw_buffer *out, const dw_headers *trailers) {
  size_t size = 5;
  uint32_t count = trailers ? trailers->count : 0;
  for (uint32_t i = 0; i < count; i++)
    size += trailers->items[i].name.len + trailers->items[i].value.len + 4;
  int err = dw_buffer_reserve(out, size);
  if (err < 0) return err;
  char *at = PUT(out->ptr + out->len, "0\r\n");
  for (uint32_t i = 0; i < count; i++)
    at = put_field(at, trailers->items[i].name, trailers->items[i].value);
  at = PUT(at, "\r\n");
  out->len = (size_t)(at - out->ptr);
  return 0;
}
