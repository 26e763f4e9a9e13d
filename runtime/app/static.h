/* SPDX-License-Identifier: MIT */
/* A view that sends the files of a folder. It takes the path from the rule's
 * variable "filename", "" where the rule has none, and sees to conditions,
 * ranges, compressed siblings, indexes. Owner: the app, as of all handlers. */
#ifndef DW_APP_STATIC_H
#define DW_APP_STATIC_H

#include "app/app.h"
#include "base/file.h"
#include "http/headers.h"
#include "http/mime.h"

enum { DW_AGE_NONE = -1, DW_AGE_OF_APP = -2 };

typedef struct dw_static_options {
  dw_slice root;      /* copied; relative to the working folder, or not */
  dw_slice index;     /* copied; "" : folders aren't shown */
  bool precompressed; /* NAME.br and NAME.gz stand for NAME */
  int64_t max_age;    /* seconds, or one of the above */
  dw_mime *mime;      /* lives as long as the app */
} dw_static_options;

/* 0 or DW_ENOMEM. */
int dw_static_new(dw_handler **out, dw_allocator *a,
                  const dw_static_options *options);

/* --- Shared with views of scripts that send files --------------------------*/

/* Codings of siblings by their number, which files have as suffixes of the
 * same number. */
extern const char *const dw_sibling_suffixes[];
extern const char *const dw_sibling_codings[];
/* Which of them an Accept-Encoding wants, a bit each. */
unsigned dw_siblings_wanted(dw_slice accept_encoding);

/* Whether a path lies below where it starts: its segments aren't empty (but the
 * last may be), "." or "..", and there is no "\" and no NUL in it. */
bool dw_path_is_below(dw_slice path);

/* The fields that tell of a file: ETag, Last-Modified, and of a sibling its
 * coding. 0 or DW_ENOMEM. */
int dw_describe_file(dw_headers *h, const dw_file_found *found);
int dw_describe_etag(dw_headers *h, const dw_file *file, int sibling);
int dw_describe_date(dw_headers *h, dw_slice name, int64_t seconds);
/* Cache-Control; max_age below 1: no-cache. */
int dw_describe_age(dw_headers *h, int64_t max_age);

#endif
