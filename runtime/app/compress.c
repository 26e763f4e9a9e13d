/* SPDX-License-Identifier: MIT */
/* Which answers are sent encoded. Whole bodies up to SLICE are encoded at once,
 * so that their length is known; longer ones in slices with the loop's other
 * work in between, as a stream. */
#include "app/compress.h"

#include "app/exchange.h"
#include "app/server.h"
#include "base/error.h"
#include "http/accept.h"

enum {
  SLICE = 32 * 1024,        /* bytes that are encoded in one go */
  STREAM_WINDOW = 8 * 1024, /* of a body whose length nobody knows */
  EVENT_WINDOW = 4 * 1024,  /* ... and of which there may be very many */
  WHOLE_WINDOW = 64 * 1024
};

static const char default_types[] =
    "text/*, application/json, application/*+json, application/javascript, "
    "application/x-javascript, application/xml, application/*+xml, "
    "application/wasm, application/x-ndjson, application/jsonl, "
    "application/rtf, application/toml, application/yaml, image/svg+xml, "
    "image/bmp, image/x-icon, image/vnd.microsoft.icon, font/ttf, font/otf";

/* --- Settings --------------------------------------------------------------*/

void dw_compression_init(dw_compression *c) {
  *c = (dw_compression){.on = true,
                        .level = 5,
                        .brotli_level = 4,
                        .min_size = 1024,
                        .types = DW_LITERAL(default_types)};
}

void dw_compression_deinit(dw_compression *c) {
  if (c->alloc) dw_free(c->alloc, (char *)c->types.ptr, c->types.len);
  dw_compression_init(c);
}

static bool is_pattern(dw_slice p) {
  const char *slash = p.len ? memchr(p.ptr, '/', p.len) : NULL;
  size_t stars = 0;
  if (!slash) return false;
  for (size_t i = 0; i < p.len; i++) stars += p.ptr[i] == '*';
  dw_slice type = dw_slice_of(p.ptr, (size_t)(slash - p.ptr));
  dw_slice rest = dw_slice_of(slash + 1, p.len - type.len - 1);
  return stars <= 1 && dw_is_token(type) && dw_is_token(rest);
}

int dw_compression_set_types(dw_compression *c, dw_allocator *a,
                             dw_slice types) {
  dw_slice rest = types, pattern;
  while (types.len > 0 && dw_list_next(&rest, &pattern))
    if (!is_pattern(pattern)) return DEWAR_EINVAL;
  char *copy = NULL;
  if (types.len > 0) {
    copy = dw_alloc(a, types.len);
    if (!copy) return DW_ENOMEM;
    memcpy(copy, types.ptr, types.len);
  }
  if (c->alloc) dw_free(c->alloc, (char *)c->types.ptr, c->types.len);
  c->alloc = copy ? a : NULL;
  c->types = copy ? dw_slice_of(copy, types.len) : DW_EMPTY;
  return 0;
}

/* --- What can be encoded ---------------------------------------------------*/

/* Whether a pattern with a star, or none, is that of a type. */
static bool matches(dw_slice pattern, dw_slice type) {
  const char *star = memchr(pattern.ptr, '*', pattern.len);
  if (!star) return dw_slice_equal_nocase(pattern, type);
  size_t front = (size_t)(star - pattern.ptr);
  size_t back = pattern.len - front - 1;
  if (type.len < front + back) return false;
  return dw_slice_equal_nocase(dw_slice_of(pattern.ptr, front),
                               dw_slice_of(type.ptr, front)) &&
         dw_slice_equal_nocase(dw_slice_of(star + 1, back),
                               dw_slice_of(type.ptr + type.len - back, back));
}

static dw_slice bare_type(const dw_response *r) {
  dw_slice type = dw_response_type(r);
  const char *end = type.len ? memchr(type.ptr, ';', type.len) : NULL;
  if (end) type.len = (size_t)(end - type.ptr);
  return dw_slice_trim(type);
}

static bool has_type(const dw_response *r, dw_slice types) {
  dw_slice type = bare_type(r), pattern;
  if (type.len == 0) return false;
  while (dw_list_next(&types, &pattern))
    if (pattern.len > 0 && matches(pattern, type)) return true;
  return false;
}

/* Whether the app or somebody on the way has said how it is to be sent. */
static bool is_settled(const dw_response *r) {
  const dw_headers *h = &r->headers;
  return dw_headers_find(h, DW_LITERAL("Content-Encoding")) ||
         dw_headers_find(h, DW_LITERAL("Content-Range")) ||
         dw_headers_has_token(h, DW_LITERAL("Cache-Control"),
                              DW_LITERAL("no-transform"));
}

static uint64_t length_of(const dw_response *r) {
  switch (r->kind) {
  case DW_BODY_BYTES:
    return r->body.len;
  case DW_BODY_FILE:
    return r->length;
  case DW_BODY_STREAM:
    return UINT64_MAX;
  default:
    return 0;
  }
}

/* Whether the answer depends on what the client can decode. The cheap questions
 * come first: most answers are short. */
static bool is_candidate(const dw_compression *c, const dw_response *r) {
  bool forced = r->compress > 0;
  uint64_t length = length_of(r);
  if (length == 0 || (length < c->min_size && !forced)) return false;
  if (r->compress < 0 || !(c->on || forced)) return false;
  if (dw_status_bodiless(r->status) || r->status == 206) return false;
  return (forced || has_type(r, c->types)) && !is_settled(r);
}

int dw_compress_condition(const dw_compression *c, dw_response *r,
                          dw_request *request, const dw_conditional *options,
                          uint64_t *length) {
  bool depends = is_candidate(c, r);
  int code = dw_response_condition(r, request, options, length);
  if (code != 0 || !depends || (r->status != 304 && r->status != 206))
    return code;
  return dw_headers_add_token(&r->headers, DW_LITERAL("Vary"),
                              DW_LITERAL("Accept-Encoding"));
}

/* --- What the client can decode --------------------------------------------*/

/* What it thinks of a coding of ours. */
static dw_accept_match ask(dw_slice header, dw_coding coding) {
  if (!dw_coding_is_built(coding)) return (dw_accept_match){0, 0};
  return dw_accept_find(DW_ACCEPT_ENCODING, header, dw_coding_name(coding));
}

/* gzip is the one that everybody knows; br is better for whole bodies, but
 * takes several times the memory, and is meant only by who names it. */
static dw_coding choose(dw_exchange *x) {
  dw_slice header = dw_request_header(&x->http.request, "Accept-Encoding");
  if (header.len == 0) return DW_CODING_NONE;
  dw_accept_match gzip = ask(header, DW_CODING_GZIP);
  dw_accept_match br = ask(header, DW_CODING_BROTLI);
  dw_accept_match none =
      dw_accept_find(DW_ACCEPT_ENCODING, header, DW_LITERAL("identity"));
  if (br.closeness == 1 || x->response->kind == DW_BODY_STREAM) br.quality = 0;
  int best = br.quality > gzip.quality ? br.quality : gzip.quality;
  if (best == 0 || best < none.quality) return DW_CODING_NONE;
  return br.quality == best ? DW_CODING_BROTLI : DW_CODING_GZIP;
}

/* Whether the client has asked with the weak form of this ETag: then it has an
 * encoded answer, and a 304 speaks of that. */
static bool has_weak(dw_exchange *x, dw_slice etag) {
  dw_slice text = dw_request_header(&x->http.request, "If-None-Match");
  for (size_t i = 0; i + 2 + etag.len <= text.len; i++)
    if (memcmp(text.ptr + i, "W/", 2) == 0 &&
        memcmp(text.ptr + i + 2, etag.ptr, etag.len) == 0)
      return true;
  return false;
}

static bool is_strong(const dw_header *etag) {
  return etag && etag->value.len > 1 && etag->value.ptr[0] == '"';
}

static bool varies(const dw_response *r) {
  dw_slice name = DW_LITERAL("Vary");
  return dw_headers_has_token(&r->headers, name,
                              DW_LITERAL("Accept-Encoding")) ||
         dw_headers_has_token(&r->headers, name, DW_LITERAL("*"));
}

static void look_at_304(dw_exchange *x) {
  const dw_response *r = x->response;
  const dw_header *etag = dw_headers_find(&r->headers, DW_LITERAL("ETag"));
  if (!x->app->compression.on || !is_strong(etag)) return;
  x->http.weaken = has_weak(x, etag->value);
  x->http.vary = x->http.weaken && !varies(r);
}

/* --- Sending ---------------------------------------------------------------*/

static int open_encoder(dw_exchange *x, dw_coding coding, dw_encoder **out) {
  const dw_response *r = x->response;
  const dw_compression *c = &x->app->compression;
  size_t window = WHOLE_WINDOW;
  if (r->kind == DW_BODY_STREAM)
    window =
        dw_slice_equal_nocase(bare_type(r), DW_LITERAL("text/event-stream"))
            ? EVENT_WINDOW
            : STREAM_WINDOW;
  else if (length_of(r) < window)
    window = (size_t)length_of(r);
  int level = coding == DW_CODING_BROTLI ? c->brotli_level : c->level;
  return dw_encoder_new(out, x->server->http.alloc, coding, level, window);
}

/* A short body at once; false: it isn't worth it, or memory is short. */
static bool reply_whole(dw_exchange *x, dw_coding coding, int *code) {
  dw_slice body = dw_response_bytes(x->response);
  dw_encoder *e;
  dw_buffer coded;
  if (open_encoder(x, coding, &e) < 0) return false;
  dw_buffer_init(&coded, x->server->http.alloc, 0);
  int err = dw_encoder_write(e, body, DW_ENCODE_END, &coded);
  dw_encoder_free(e);
  bool smaller = err == 0 && coded.len < body.len;
  if (smaller) {
    dw_response encoded = *x->response; /* shares all but the body */
    encoded.kind = DW_BODY_BYTES;
    encoded.body = dw_buffer_slice(&coded);
    x->http.coding = (uint8_t)coding;
    x->http.weaken = true;
    *code = dw_reply(&x->http, &encoded);
  }
  dw_buffer_deinit(&coded);
  return smaller;
}

/* A long one, one that is a file, or one that isn't there yet. */
static bool reply_stream(dw_exchange *x, dw_coding coding, int *code) {
  dw_transaction *t = &x->http;
  if (t->request.method != DW_METHOD_HEAD &&
      open_encoder(x, coding, &t->encoder) < 0)
    return false;
  t->coding = (uint8_t)coding;
  t->weaken = true;
  bool file = x->response->kind == DW_BODY_FILE &&
              dw_response_bytes(x->response).len == 0;
  *code = file ? dw_reply_file(t, x->response) : dw_reply_start(t, x->response);
  return true;
}

bool dw_compress_reply(dw_exchange *x, bool *stream, int *code) {
  const dw_response *r = x->response;
  if (r->status == 304) look_at_304(x);
  if (!is_candidate(&x->app->compression, r)) return false;
  x->http.vary = !varies(r);
  dw_coding coding = choose(x);
  if (coding == DW_CODING_NONE) return false;
  size_t whole = dw_response_bytes(r).len;
  *stream = whole == 0 || whole > SLICE;
  return *stream ? reply_stream(x, coding, code) : reply_whole(x, coding, code);
}

int dw_compress_piece(dw_exchange *x) {
  dw_slice body = dw_response_bytes(x->response);
  size_t at = (size_t)x->http.taken;
  if (at >= body.len) return 1;
  size_t len = body.len - at < SLICE ? body.len - at : SLICE;
  return dw_reply_write(&x->http, dw_slice_of(body.ptr + at, len));
}
