/* SPDX-License-Identifier: MIT */
/* Server-sent events as bytes (the HTML standard, 9.2): events and comments,
 * each ended by an empty line. It only appends to a buffer. */
#ifndef DW_HTTP_EVENT_STREAM_H
#define DW_HTTP_EVENT_STREAM_H

#include "base/buffer.h"

typedef struct dw_event {
  dw_slice name;  /* ptr NULL: the client takes it for "message" */
  dw_slice data;  /* ptr NULL: none; of any lines */
  dw_slice id;    /* ptr NULL: none; "" makes the client forget the last one */
  uint64_t retry; /* ms, with ... */
  bool has_retry;
} dw_event;

/* What a name and an id may be: no CR, LF or NUL, which would end the line, or
 * make the client ignore it. */
bool dw_event_is_line(dw_slice text);
/* 0, or DW_ENOMEM and out is as before. A named event without data gets empty
 * data, as clients drop one that has none. */
int dw_event_write(const dw_event *e, dw_buffer *out);
/* A comment, which clients ignore. */
int dw_event_comment(dw_slice text, dw_buffer *out);

#endif
