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
  r->offset = r->length = 0;
  r->ranged = false;
}

/* A body made by set_body, of which r->body may be a part. */
typedef struct body_copy {
  size_t len;
  char bytes[];
} body_copy;

static void free_copy(dw_response *r) {
  body_copy *c = r->owner;
  dw_free(r->headers.alloc, c, sizeof *c + c->len);
}

int dw_response_set_body(dw_response *r, dw_slice bytes) {
  body_copy *c = NULL;
  if (bytes.len > 0) {
    c = dw_alloc(r->headers.alloc, sizeof *c + bytes.len);
    if (!c) return DW_ENOMEM;
    c->len = bytes.len;
    memcpy(c->bytes, bytes.ptr, bytes.len);
  }
  dw_response_clear_body(r);
  r->kind = DW_BODY_BYTES;
  if (!c) return 0;
  r->body = dw_slice_of(c->bytes, c->len);
  r->owner = c;
  r->release = free_copy;
  return 0;
}

static void free_file(dw_response *r) { dw_file_unref(r->owner); }

void dw_response_set_file(dw_response *r, dw_file *file) {
  dw_response_clear_body(r);
  r->kind = DW_BODY_FILE;
  r->owner = file;
  r->release = free_file;
  r->length = file->size;
}

dw_slice dw_response_bytes(const dw_response *r) {
  const dw_file *file = r->owner;
  if (r->kind == DW_BODY_BYTES) return r->body;
  if (r->kind != DW_BODY_FILE || !file->bytes) return DW_EMPTY;
  return dw_slice_of(file->bytes + r->offset, (size_t)r->length);
}

void dw_response_narrow(dw_response *r, uint64_t offset, uint64_t length) {
  if (r->kind == DW_BODY_BYTES)
    r->body = dw_slice_of(r->body.ptr + offset, (size_t)length);
  r->offset += offset;
  r->length = length;
  r->ranged = r->kind == DW_BODY_STREAM;
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
