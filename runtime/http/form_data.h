/* SPDX-License-Identifier: MIT */
/* A form of multipart/form-data that is read as it comes: its fields in memory,
 * its files in a spool, all within limits. Feed it; where it takes less than it
 * is given, wait for the spool and feed it the rest. Owner: who reads the form.
 * Thread: the loop's. */
#ifndef DW_HTTP_FORM_DATA_H
#define DW_HTTP_FORM_DATA_H

#include "http/form.h"
#include "http/multipart.h"
#include "http/spool.h"

/* UINT64_MAX: none. */
typedef struct dw_form_limits {
  uint64_t memory; /* MAX_FORM_MEMORY_SIZE: bytes of all fields: 413 */
  uint64_t parts;  /* MAX_FORM_PARTS: 413 */
  uint64_t spool;  /* FORM_SPOOL_SIZE: bytes of files kept in memory */
} dw_form_limits;

typedef struct dw_upload dw_upload;
struct dw_upload {
  dw_slice name, filename, content_type;
  bool has_content_type;
  dw_header *headers;
  size_t nheaders;
  dw_extent content; /* in the spool */
  dw_upload *next;
};

typedef struct dw_form_field dw_form_field;
struct dw_form_field {
  dw_pair pair;
  dw_form_field *next;
};

typedef struct dw_form_data {
  dw_fault fault; /* why the form is refused; static texts */
  dw_spool *spool;
  dw_form_field *fields; /* in their order */
  dw_upload *uploads;
  size_t nfields, nuploads;
  /* Private from here on. */
  dw_form_limits limits;
  dw_arena arena; /* of names and values */
  dw_multipart parser;
  int failed; /* for good */
  uint64_t parts, memory;
  dw_form_field **last_field;
  dw_upload **last_upload;
  dw_upload *upload; /* the part is a file */
  dw_form_field *field;
  dw_buffer value; /* of the field */
} dw_form_data;

/* 0 or DW_ENOMEM. */
int dw_form_data_new(dw_form_data **out, dw_loop *loop, dw_slice content_type,
                     const dw_form_limits *limits);
/* Frees all but a spool that was taken. NULL is a no-op. */
void dw_form_data_free(dw_form_data *f);
/* *used of the bytes were taken, all where the spool isn't full. 0,
 * DEWAR_EPARSE with the fault, DW_ENOMEM, or what the disk said. Failures are
 * for good. */
int dw_form_data_feed(dw_form_data *f, dw_slice bytes, size_t *used);
/* The body has ended. 1: wait for the spool, then call it again. */
int dw_form_data_finish(dw_form_data *f);
dw_spool *dw_form_data_take_spool(dw_form_data *f);

#endif
