/* SPDX-License-Identifier: MIT */
/* Fuzzes what conditions are made of: lists of entity tags, ranges, and what a
 * response makes of a request that has them all. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/conditional.h"
#include "http/range.h"

static dw_allocator memory;

static void need(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "conditional: %s\n", what);
  abort();
}

/* --- Entity tags -----------------------------------------------------------*/

static void check_tag(dw_slice list, dw_etag tag) {
  char text[64];
  dw_etag again;
  need(dw_etag_is_opaque(tag.opaque), "a tag that can't be one");
  need(dw_etags_have(list, tag, false), "a list without its tag");
  need(tag.weak || dw_etags_have(list, tag, true), "a tag grew weak");
  tag.weak = true;
  need(!dw_etags_have(list, tag, true), "a weak tag is strong");
  if (tag.opaque.len > 40) return;
  int n = snprintf(text, sizeof text, "W/\"%.*s\"", DW_FMT(tag.opaque));
  need(dw_etag_read(dw_slice_of(text, (size_t)n), &again) && again.weak &&
           dw_slice_equal(again.opaque, tag.opaque),
       "a tag changed");
}

static void check_tags(dw_slice list) {
  dw_slice rest = list;
  dw_etag tag;
  for (int count = 0; count < 50 && dw_etag_next(&rest, &tag); count++)
    check_tag(list, tag);
  if (dw_etag_read(list, &tag)) check_tag(list, tag);
}

/* --- Ranges ----------------------------------------------------------------*/

static void check_part(const dw_range *range, uint64_t length) {
  char text[64];
  dw_range again;
  need(range->first <= range->last && range->last < length, "a strange part");
  int n = snprintf(text, sizeof text, "bytes=%" PRIu64 "-%" PRIu64,
                   range->first, range->last);
  need(dw_range_choose(dw_slice_of(text, (size_t)n), length, &again) ==
               DW_RANGE_PART &&
           again.first == range->first && again.last == range->last,
       "a part changed");
}

static void check_range(dw_slice field) {
  static const uint64_t lengths[] = {0, 1, 10, 4096, UINT64_MAX};
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    dw_range range;
    if (dw_range_choose(field, lengths[i], &range) == DW_RANGE_PART)
      check_part(&range, lengths[i]);
  }
  dw_slice units, set;
  dw_range range;
  if (!dw_range_split(field, &units, &set)) return;
  need(units.len + set.len + 1 == field.len, "a field lost bytes");
  while (dw_range_next(&set, &range) > 0)
    need(range.suffix || range.first <= range.last, "a range backwards");
}

/* --- A whole answer --------------------------------------------------------*/

static const char *const fields[] = {"If-Match",          "If-None-Match",
                                     "If-Modified-Since", "If-Unmodified-Since",
                                     "If-Range",          "Range"};

enum { FIELDS = sizeof fields / sizeof fields[0] };

/* A line of the text for each field. */
static size_t read_fields(dw_slice text, dw_header *out) {
  size_t count = 0;
  for (size_t i = 0; i < FIELDS && text.len > 0; i++) {
    const char *end = memchr(text.ptr, '\n', text.len);
    size_t len = end ? (size_t)(end - text.ptr) : text.len;
    if (len > 0)
      out[count++] = (dw_header){dw_slice_str(fields[i]),
                                 dw_slice_trim(dw_slice_of(text.ptr, len))};
    len += end != NULL;
    text = dw_slice_of(text.ptr + len, text.len - len);
  }
  return count;
}

static void check_answer(dw_slice text) {
  static const dw_conditional options = {.ranges = true};
  dw_slice body = DW_LITERAL("0123456789");
  dw_header headers[FIELDS];
  dw_request request = {.method = DW_METHOD_GET, .headers = headers};
  dw_response r;
  uint64_t length = 0;
  request.nheaders = read_fields(text, headers);
  dw_response_init(&r, &memory);
  need(dw_response_set_body(&r, body) == 0 &&
           dw_headers_set(&r.headers, DW_LITERAL("ETag"),
                          DW_LITERAL("\"a\"")) == 0 &&
           dw_headers_set(&r.headers, DW_LITERAL("Last-Modified"),
                          DW_LITERAL("Sun, 06 Nov 1994 08:49:37 GMT")) == 0,
       "no memory");
  int code = dw_response_condition(&r, &request, &options, &length);
  size_t sent = dw_response_bytes(&r).len;
  if (code == 416)
    need(r.status == 200 && length == body.len, "a strange refusal");
  else if (r.status == 304 || r.status == 412)
    need(sent == 0, "a body where there is none");
  else if (r.status == 206)
    need(sent > 0 && sent <= body.len, "a strange part");
  else
    need(code == 0 && r.status == 200 && sent == body.len, "a strange answer");
  dw_response_deinit(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dw_slice text = {(const char *)data, size};
  dw_allocator_init(&memory, NULL, NULL);
  if (size == 0) text = DW_EMPTY;
  check_tags(text);
  check_range(text);
  check_answer(text);
  need(memory.used == 0, "memory was leaked");
  return 0;
}
