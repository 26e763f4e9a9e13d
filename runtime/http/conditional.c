/* SPDX-License-Identifier: MIT */
/* Conditional requests. A field that makes no sense is as good as none; only a
 * condition that is understood can keep a client from its answer. No state; any
 * thread. */
#include "http/conditional.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "http/date.h"

/* --- Entity tags -----------------------------------------------------------*/

static bool is_tag_char(unsigned char c) {
  return c == 0x21 || (c >= 0x23 && c != 0x7f);
}

bool dw_etag_is_opaque(dw_slice text) {
  for (size_t i = 0; i < text.len; i++)
    if (!is_tag_char((unsigned char)text.ptr[i])) return false;
  return true;
}

/* A tag at the front; the bytes that it takes, or 0. */
static size_t take_tag(dw_slice text, dw_etag *out) {
  size_t i = text.len > 2 && memcmp(text.ptr, "W/", 2) == 0 ? 2 : 0;
  if (i >= text.len || text.ptr[i] != '"') return 0;
  size_t first = ++i;
  while (i < text.len && is_tag_char((unsigned char)text.ptr[i])) i++;
  if (i == text.len || text.ptr[i] != '"') return 0;
  *out = (dw_etag){.opaque = dw_slice_of(text.ptr + first, i - first),
                   .weak = first == 3};
  return i + 1;
}

bool dw_etag_read(dw_slice text, dw_etag *out) {
  text = dw_slice_trim(text);
  return text.len > 0 && take_tag(text, out) == text.len;
}

static dw_slice skip(dw_slice s, const char *set) {
  while (s.len > 0 && strchr(set, *s.ptr) && *s.ptr)
    s = dw_slice_of(s.ptr + 1, s.len - 1);
  return s;
}

/* Tags may have commas, so the list can't just be split at them. */
bool dw_etag_next(dw_slice *rest, dw_etag *out) {
  dw_slice s = skip(*rest, ", \t");
  while (s.len > 0) {
    size_t len = take_tag(s, out);
    dw_slice behind = skip(dw_slice_of(s.ptr + len, s.len - len), " \t");
    if (len > 0 && (behind.len == 0 || *behind.ptr == ',')) {
      *rest = behind;
      return true;
    }
    const char *comma = memchr(behind.ptr, ',', behind.len);
    if (!comma) break;
    s = dw_slice_of(comma, (size_t)(behind.ptr + behind.len - comma));
    s = skip(s, ", \t");
  }
  *rest = DW_EMPTY;
  return false;
}

bool dw_etag_same(dw_etag a, dw_etag b, bool strongly) {
  if (strongly && (a.weak || b.weak)) return false;
  return dw_slice_equal(a.opaque, b.opaque);
}

static bool is_any(dw_slice list) {
  return dw_slice_equal(dw_slice_trim(list), DW_LITERAL("*"));
}

bool dw_etags_have(dw_slice list, dw_etag tag, bool strongly) {
  if (is_any(list)) return true;
  dw_etag one;
  while (dw_etag_next(&list, &one))
    if (dw_etag_same(one, tag, strongly)) return true;
  return false;
}

/* --- Preconditions ---------------------------------------------------------*/

static bool find_date(dw_request *request, const char *name, int64_t *out) {
  dw_slice text = dw_request_header(request, name);
  return text.len > 0 && dw_http_date_parse(text, out);
}

dw_validators dw_response_validators(const dw_response *r) {
  dw_validators v = {0};
  const dw_header *tag = dw_headers_find(&r->headers, DW_LITERAL("ETag"));
  const dw_header *date =
      dw_headers_find(&r->headers, DW_LITERAL("Last-Modified"));
  v.has_etag = tag && dw_etag_read(tag->value, &v.etag);
  v.has_modified = date && dw_http_date_parse(date->value, &v.modified);
  return v;
}

static bool is_get(const dw_request *r) {
  return r->method == DW_METHOD_GET || r->method == DW_METHOD_HEAD;
}

/* If-Match, or where there is none If-Unmodified-Since. */
static bool may_be_used(dw_request *request, const dw_validators *v) {
  int64_t date;
  dw_slice tags = dw_request_header(request, "If-Match");
  if (tags.len > 0)
    return is_any(tags) || (v->has_etag && dw_etags_have(tags, v->etag, true));
  if (!v->has_modified || !find_date(request, "If-Unmodified-Since", &date))
    return true;
  return v->modified <= date;
}

/* If-None-Match, or where there is none If-Modified-Since: whether the client
 * has it already. */
static bool is_known(dw_request *request, const dw_validators *v) {
  int64_t date;
  dw_slice tags = dw_request_header(request, "If-None-Match");
  if (tags.len > 0)
    return is_any(tags) || (v->has_etag && dw_etags_have(tags, v->etag, false));
  if (!is_get(request) || !v->has_modified ||
      !find_date(request, "If-Modified-Since", &date))
    return false;
  return v->modified <= date;
}

dw_precondition dw_preconditions(dw_request *request, const dw_validators *v) {
  if (!may_be_used(request, v)) return DW_PRECONDITION_FAILED;
  if (!is_known(request, v)) return DW_PRECONDITION_HOLDS;
  return is_get(request) ? DW_PRECONDITION_NOT_MODIFIED
                         : DW_PRECONDITION_FAILED;
}

bool dw_if_range(dw_request *request, const dw_validators *v) {
  dw_slice text = dw_request_header(request, "If-Range");
  dw_etag tag;
  int64_t date;
  if (text.len == 0) return true;
  if (dw_etag_read(text, &tag))
    return v->has_etag && dw_etag_same(tag, v->etag, true);
  return dw_http_date_parse(text, &date) && v->has_modified &&
         v->modified == date;
}

/* --- Answers ---------------------------------------------------------------*/

/* What tells of a body that is not sent. */
static void drop_body(dw_response *r) {
  static const char *const fields[] = {
      "Content-Type",  "Content-Length",      "Content-Encoding",
      "Content-Range", "Content-Disposition", "Content-Language"};
  dw_response_clear_body(r);
  r->type = NULL;
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    dw_headers_remove(&r->headers, dw_slice_str(fields[i]));
}

static int not_modified(dw_response *r) {
  int code = dw_response_set_status(r, 304, DW_EMPTY);
  drop_body(r);
  return code;
}

/* How long the whole may be kept is not said of the refusal. */
static int failed(dw_response *r) {
  int code = dw_response_set_status(r, 412, DW_EMPTY);
  drop_body(r);
  dw_headers_remove(&r->headers, DW_LITERAL("Cache-Control"));
  dw_headers_remove(&r->headers, DW_LITERAL("Expires"));
  return code;
}

static bool whole_length(const dw_response *r, const dw_conditional *options,
                         uint64_t *out) {
  switch (r->kind) {
  case DW_BODY_NONE:
  case DW_BODY_BYTES:
    *out = r->body.len;
    return true;
  case DW_BODY_FILE:
    *out = r->length;
    return true;
  case DW_BODY_STREAM:
    break;
  }
  *out = options->length;
  return options->has_length;
}

static int set_part(dw_response *r, const dw_range *range, uint64_t length) {
  char text[80];
  int n = snprintf(text, sizeof text, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
                   range->first, range->last, length);
  int code = dw_headers_set(&r->headers, DW_LITERAL("Content-Range"),
                            dw_slice_of(text, (size_t)n));
  if (code == 0) code = dw_response_set_status(r, 206, DW_EMPTY);
  if (code < 0) return code;
  dw_headers_remove(&r->headers, DW_LITERAL("Content-Length"));
  dw_response_narrow(r, range->first, range->last - range->first + 1);
  return 0;
}

static int apply_range(dw_response *r, dw_request *request,
                       const dw_conditional *options, uint64_t *length) {
  if (!options->ranges || r->status != 200) return 0;
  int code = dw_headers_set(&r->headers, DW_LITERAL("Accept-Ranges"),
                            DW_LITERAL("bytes"));
  if (code < 0 || !whole_length(r, options, length)) return code;
  /* Only for GET are ranges defined (RFC 9110, 14.2). */
  if (request->method != DW_METHOD_GET) return 0;
  dw_slice field = dw_request_header(request, "Range");
  dw_validators v = dw_response_validators(r);
  dw_range range;
  if (field.len == 0 || !dw_if_range(request, &v)) return 0;
  switch (dw_range_choose(field, *length, &range)) {
  case DW_RANGE_WHOLE:
    return 0;
  case DW_RANGE_UNSATISFIABLE:
    return 416;
  case DW_RANGE_PART:
    break;
  }
  return set_part(r, &range, *length);
}

int dw_response_condition(dw_response *r, dw_request *request,
                          const dw_conditional *options, uint64_t *length) {
  if (!is_get(request) || r->status < 200 || r->status > 299) return 0;
  dw_validators v = dw_response_validators(r);
  switch (dw_preconditions(request, &v)) {
  case DW_PRECONDITION_FAILED:
    return failed(r);
  case DW_PRECONDITION_NOT_MODIFIED:
    return not_modified(r);
  case DW_PRECONDITION_HOLDS:
    break;
  }
  return apply_range(r, request, options, length);
}

int dw_unsatisfiable(dw_headers *h, uint64_t length) {
  char text[40];
  int n = snprintf(text, sizeof text, "bytes */%" PRIu64, length);
  return dw_headers_set(h, DW_LITERAL("Content-Range"),
                        dw_slice_of(text, (size_t)n));
}
