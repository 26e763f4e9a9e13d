/* SPDX-License-Identifier: MIT */
/* A response before it is sent: status, headers, and a body that is bytes, a
 * file or a stream. It owns what it holds and lives outside any request's
 * arena, so that it can be made, kept and changed before it is sent. A plain
 * one (a status, a content type, borrowed bytes) allocates nothing. */
#ifndef DW_HTTP_RESPONSE_H
#define DW_HTTP_RESPONSE_H

#include "base/file.h"
#include "http/headers.h"
#include "http/tokens.h"

typedef enum dw_body_kind {
  DW_BODY_NONE,
  DW_BODY_BYTES, /* body; released by release */
  DW_BODY_FILE,  /* owner is a dw_file, of which length bytes from offset on */
  DW_BODY_STREAM /* whoever set it produces the bytes: see app/dispatch.h */
} dw_body_kind;

typedef struct dw_response dw_response;
struct dw_response {
  dw_headers headers;
  int status;
  int8_t compress; /* 1: whatever its type and size; -1: never; 0: as the app
                      says (app/compress.h) */
  dw_body_kind kind;
  dw_slice reason;  /* owned; "" stands for the registered phrase */
  const char *type; /* a static content type, sent unless headers has one */
  dw_slice body;    /* BYTES */
  void *owner;      /* of the body, or of the stream */
  void (*release)(dw_response *r); /* of owner and body; may be NULL */
  uint64_t offset, length; /* FILE; of a ranged STREAM what is sent of it */
  bool ranged;             /* STREAM: the rest of it is left out */
};

void dw_response_init(dw_response *r, dw_allocator *a); /* 200, no body */
void dw_response_deinit(dw_response *r);
/* Drops the body and what it holds. */
void dw_response_clear_body(dw_response *r);
/* Copies; 0 or DW_ENOMEM. */
int dw_response_set_body(dw_response *r, dw_slice bytes);
/* Takes over one reference of the file; all of it is the body. */
void dw_response_set_file(dw_response *r, dw_file *file);
/* The bytes of a body that is in memory; "" of others. */
dw_slice dw_response_bytes(const dw_response *r);
/* Leaves a part of the body, whichever kind it is. */
void dw_response_narrow(dw_response *r, uint64_t offset, uint64_t length);
/* 100..999; reason "" or without CR, LF, NUL; 0, DW_ENOMEM, DEWAR_EINVAL. */
int dw_response_set_status(dw_response *r, int status, dw_slice reason);
/* The content type that will be sent; "" for none. */
dw_slice dw_response_type(const dw_response *r);

#endif
