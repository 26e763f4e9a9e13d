/* SPDX-License-Identifier: MIT */
/* Files of a folder as answers. What the system has in memory is found, read
 * and answered in one go; else the request is pending while the pool looks.
 * Owner: see static.h. Thread: the loop's. */
#include "app/static.h"

#include <inttypes.h>
#include <stdio.h>

#include "app/compress.h"
#include "app/exchange.h"
#include "app/server.h"
#include "base/error.h"
#include "http/accept.h"
#include "http/date.h"
#include "http/uri.h"

typedef struct static_view {
  dw_handler base;
  dw_slice root, index; /* in text */
  bool precompressed;
  int64_t max_age;
  dw_mime *mime;
  size_t size;
  char text[];
} static_view;

/* A request whose file is looked for, in its arena. */
typedef struct static_call {
  static_view *view;
  dw_exchange *x;
  dw_file_search *search;
  dw_slice path;
} static_call;

/* --- What tells of a file --------------------------------------------------*/

const char *const dw_sibling_suffixes[] = {".br", ".gz", NULL};
const char *const dw_sibling_codings[] = {"br", "gzip", NULL};

unsigned dw_siblings_wanted(dw_slice accept_encoding) {
  unsigned wanted = 0;
  if (accept_encoding.len == 0) return 0;
  for (unsigned i = 0; dw_sibling_codings[i]; i++) {
    dw_slice coding = dw_slice_str(dw_sibling_codings[i]);
    if (dw_accept_find(DW_ACCEPT_ENCODING, accept_encoding, coding).quality > 0)
      wanted |= 1u << i;
  }
  return wanted;
}

bool dw_path_is_below(dw_slice path) {
  if (memchr(path.ptr, '\\', path.len) || memchr(path.ptr, '\0', path.len))
    return false;
  const char *at = path.ptr, *end = path.ptr + path.len;
  while (at < end) {
    const char *slash = memchr(at, '/', (size_t)(end - at));
    size_t len = (size_t)((slash ? slash : end) - at);
    if (len == 0 || (len <= 2 && memcmp(at, "..", len) == 0)) return false;
    if (!slash) break;
    at = slash + 1;
  }
  return true;
}

int dw_describe_etag(dw_headers *h, const dw_file *file, int sibling) {
  char tag[80];
  int n = snprintf(
      tag, sizeof tag, "\"%" PRIx64 ".%" PRIx32 "-%" PRIx64 "%s%s\"",
      (uint64_t)file->modified, file->fraction, file->size,
      sibling < 0 ? "" : "-", sibling < 0 ? "" : dw_sibling_codings[sibling]);
  return dw_headers_set(h, DW_LITERAL("ETag"), dw_slice_of(tag, (size_t)n));
}

int dw_describe_date(dw_headers *h, dw_slice name, int64_t seconds) {
  char date[32];
  size_t n = dw_http_date(seconds, date);
  return dw_headers_set(h, name, dw_slice_of(date, n));
}

int dw_describe_file(dw_headers *h, const dw_file_found *found) {
  int code = dw_describe_etag(h, found->file, found->sibling);
  if (code == 0)
    code =
        dw_describe_date(h, DW_LITERAL("Last-Modified"), found->file->modified);
  if (code == 0 && found->sibling >= 0)
    code = dw_headers_set(h, DW_LITERAL("Content-Encoding"),
                          dw_slice_str(dw_sibling_codings[found->sibling]));
  if (code == 0 && found->varies)
    code = dw_headers_add_token(h, DW_LITERAL("Vary"),
                                DW_LITERAL("Accept-Encoding"));
  return code;
}

int dw_describe_age(dw_headers *h, int64_t max_age) {
  char text[48] = "no-cache";
  if (max_age > 0)
    snprintf(text, sizeof text, "public, max-age=%" PRId64, max_age);
  return dw_headers_set(h, DW_LITERAL("Cache-Control"), dw_slice_str(text));
}

/* --- Answering -------------------------------------------------------------*/

static dw_verdict out_of_memory(dw_exchange *x) {
  return dw_exchange_fail(x, 503, "out of memory");
}

static int describe(static_call *call, dw_response *r,
                    const dw_file_found *found) {
  static_view *v = call->view;
  int64_t max_age =
      v->max_age == DW_AGE_OF_APP ? call->x->app->file_max_age : v->max_age;
  dw_slice name = call->path;
  if (name.len == 0 || name.ptr[name.len - 1] == '/') name = v->index;
  const char *type = dw_mime_find(v->mime, name);
  r->type = type ? type : "application/octet-stream";
  int code = dw_describe_file(&r->headers, found);
  return code == 0 ? dw_describe_age(&r->headers, max_age) : code;
}

/* Takes the file. */
static dw_verdict answer_file(static_call *call, const dw_file_found *found) {
  static const dw_conditional options = {.ranges = true};
  dw_exchange *x = call->x;
  dw_response *r = dw_answer_fresh(x, 200);
  uint64_t length;
  dw_response_set_file(r, found->file);
  int code = describe(call, r, found);
  if (code == 0)
    code = dw_compress_condition(&x->app->compression, r, &x->http.request,
                                 &options, &length);
  if (code == 416) return dw_exchange_unsatisfiable(x, length);
  if (code < 0) return out_of_memory(x);
  if (r->kind == DW_BODY_FILE && x->http.request.method == DW_METHOD_GET)
    dw_file_load(found->file);
  return DW_DONE;
}

/* What it has is below its own address. */
static dw_verdict redirect_to_folder(dw_exchange *x) {
  dw_request *q = &x->http.request;
  size_t size = q->raw_path.len + q->query.len + 2;
  char *to = dw_arena_alloc(&q->arena, size);
  if (!to) return out_of_memory(x);
  memcpy(to, q->raw_path.ptr, q->raw_path.len);
  size_t len = q->raw_path.len;
  to[len++] = '/';
  if (q->has_query) {
    to[len++] = '?';
    memcpy(to + len, q->query.ptr, q->query.len);
    len += q->query.len;
  }
  x->match.location = dw_slice_of(to, len);
  return dw_answer_redirect(x) < 0 ? out_of_memory(x) : DW_DONE;
}

/* Why a file that is there can't be sent, its owner wants to know. */
static dw_verdict failed(static_call *call, int code) {
  dw_exchange *x = call->x;
  dw_logf(x->server->log, code == UV_EACCES ? DEWAR_WARN : DEWAR_ERROR,
          "%.*s/%.*s can't be sent: %s", DW_FMT(call->view->root),
          DW_FMT(call->path), dw_strerror(code));
  switch (code) {
  case UV_EACCES:
    return dw_exchange_fail(x, 404, NULL);
  case UV_EMFILE:
  case UV_ENFILE:
  case UV_ENOMEM:
    return dw_exchange_fail(x, 503, NULL);
  default:
    return dw_exchange_fail(x, 500, NULL);
  }
}

static dw_verdict answer(static_call *call, const dw_file_found *found) {
  if (found->code == UV_ENOENT) return dw_exchange_fail(call->x, 404, NULL);
  if (found->code < 0) return failed(call, found->code);
  if (!found->file) return redirect_to_folder(call->x);
  return answer_file(call, found);
}

/* --- Being called ----------------------------------------------------------*/

static void found_cb(void *data, dw_file_found *found) {
  static_call *call = data;
  dw_exchange_resume(call->x, answer(call, found));
}

static void cancel_cb(dw_exchange *x, void *data) {
  static_call *call = data;
  (void)x;
  dw_file_search_drop(call->search);
}

/* The rule's "filename", decoded to the end: as a `path` value it has %2F and
 * %25 still. No file's name has a slash. 0, DW_ENOMEM or UV_ENOENT. */
static int read_path(dw_exchange *x, dw_slice *out) {
  *out = DW_EMPTY;
  size_t n = dw_rule_values(x->match.rule, NULL);
  for (size_t i = 0; i < n; i++) {
    const dw_value *v = &x->match.values[i];
    dw_slice name = dw_rule_value_name(x->match.rule, i);
    if (dw_slice_equal(name, DW_LITERAL("filename")) &&
        v->kind == DW_VALUE_STRING)
      *out = v->as.string;
  }
  if (!memchr(out->ptr, '%', out->len)) return 0;
  for (size_t i = 0; i + 2 < out->len; i++)
    if (memcmp(out->ptr + i, "%2", 2) == 0 && (out->ptr[i + 2] | 0x20) == 'f')
      return UV_ENOENT;
  char *text = dw_arena_alloc(&x->http.request.arena, out->len);
  if (!text) return DW_ENOMEM;
  *out = dw_slice_of(text, dw_percent_decode(text, *out, false));
  return 0;
}

static dw_verdict call(dw_handler *h, dw_exchange *x) {
  static_view *v = (static_view *)h;
  dw_request *q = &x->http.request;
  static_call *c = dw_arena_zalloc(&q->arena, sizeof *c);
  if (!c) return out_of_memory(x);
  *c = (static_call){.view = v, .x = x};
  int code = read_path(x, &c->path);
  if (code == DW_ENOMEM) return out_of_memory(x);
  if (code < 0 || !dw_path_is_below(c->path))
    return dw_exchange_fail(x, 404, NULL);
  dw_file_query query = {.root = v->root, .path = c->path, .index = v->index};
  if (v->precompressed) {
    query.siblings = dw_sibling_suffixes;
    query.wanted = dw_siblings_wanted(dw_request_header(q, "Accept-Encoding"));
  }
  dw_file_found found;
  code = dw_file_find(&c->search, x->server->http.loop, &query, &found,
                      found_cb, c);
  if (code < 0) return out_of_memory(x);
  if (code == 1) return answer(c, &found);
  x->cancel_cb = cancel_cb;
  x->cancel_data = c;
  return DW_PENDING;
}

/* --- Making ----------------------------------------------------------------*/

static void free_view(dw_handler *h, dw_allocator *a) {
  static_view *v = (static_view *)h;
  dw_free(a, v, sizeof *v + v->size);
}

int dw_static_new(dw_handler **out, dw_allocator *a,
                  const dw_static_options *o) {
  size_t size = o->root.len + o->index.len;
  static_view *v = dw_alloc(a, sizeof *v + size);
  *out = &v->base;
  if (!v) return DW_ENOMEM;
  *v = (static_view){.base = {call, free_view},
                     .root = dw_slice_of(v->text, o->root.len),
                     .index = dw_slice_of(v->text + o->root.len, o->index.len),
                     .precompressed = o->precompressed,
                     .max_age = o->max_age,
                     .mime = o->mime,
                     .size = size};
  memcpy(v->text, o->root.ptr, o->root.len);
  memcpy(v->text + o->root.len, o->index.ptr, o->index.len);
  dw_mime_load(o->mime, NULL);
  return 0;
}
