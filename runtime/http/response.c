/* SPDX-License-Identifier: MIT */
/* A response before it is sent. body is either empty, borrowed (release NULL),
 * or owned through release; reason is "" or a block of its own. Owner: whoever
 * holds the struct. Thread: the loop's. */
#include "http/response.h"

#include "base/error.h"

void dw_response_init(dw_response *r, dw_allocator *a) {
  *r = (dw_response){.status = 200, .reason = DW_EMPTY, .body = DW_EMPTY};
  dw_headers_init(&r->headers, a);
}

static void clear_reason(dw_response *r) {
  if (r->reason.len > 0)
    dw_free(r->headers.alloc, (char *)r->reason.ptr, r->reason.len);
  r->reason = DW_EMPTY;
}

void dw_response_deinit(dw_response *r) {
  dw_response_clear_body(r);
  clear_reason(r);
  dw_headers_deinit(&r->headers);
}

void dw_response_clear_body(dw_response *r) {
  void (*release)(dw_response *) = r->release;
  r->release = NULL; /* before the call: release may come here again */
  if (release) release(r);
  r->kind = DW_BODY_NONE;
  r->body = DW_EMPTY;
  r->owner = NULL;
}

/* Of a body made by set_body: owner is the block, body all of it. */
static void free_copy(dw_response *r) {
  dw_free(r->headers.alloc, r->owner, r->body.len);
}

int dw_response_set_body(dw_response *r, dw_slice bytes) {
  char *copy = NULL;
  if (bytes.len > 0) {
    copy = dw_alloc(r->headers.alloc, bytes.len);
    if (!copy) return DW_ENOMEM;
    memcpy(copy, bytes.ptr, bytes.len);
  }
  dw_response_clear_body(r);
  r->kind = DW_BODY_BYTES;
  if (!copy) return 0;
  r->body = dw_slice_of(copy, bytes.len);
  r->owner = copy;
  r->release = free_copy;
  return 0;
}

int dw_response_set_status(dw_response *r, int status, dw_slice reason) {
  if (status < 100 || status > 999 || !dw_is_field_value(reason))
    return DEWAR_EINVAL;
  char *copy = NULL;
  if (reason.len > 0) {
    copy = dw_alloc(r->headers.alloc, reason.len);
    if (!copy) return DW_ENOMEM;
    memcpy(copy, reason.ptr, reason.len);
  }
  clear_reason(r);
  if (copy) r->reason = dw_slice_of(copy, reason.len);
  r->status = status;
  return 0;
}

dw_slice dw_response_type(const dw_response *r) {
  const dw_header *h = dw_headers_find(&r->headers, DW_LITERAL("Content-Type"));
  if (h) return h->value;
  return r->type ? dw_slice_str(r->type) : DW_EMPTY;
}
