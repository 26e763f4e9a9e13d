/* SPDX-License-Identifier: MIT */
/* What was given to dw_stream_write and could not be sent yet: copies, one per
 * write, in order. Owner: the stream. Thread: the loop's. */
#ifndef DW_NET_WRITE_QUEUE_H
#define DW_NET_WRITE_QUEUE_H

#include <stdbool.h>
#include <uv.h>

#include "base/memory.h"

typedef struct dw_write_node dw_write_node;

/* All zero is empty. */
typedef struct dw_write_queue {
  dw_write_node *first, *last;
} dw_write_queue;

static inline bool dw_write_queue_empty(const dw_write_queue *q) {
  return q->first == NULL;
}

/* The bytes in all of the buffers; SIZE_MAX if there is no such number. */
size_t dw_bufs_len(const uv_buf_t *bufs, unsigned n);

/* Copies len bytes, which is dw_bufs_len of them. 0 or UV_ENOMEM. */
int dw_write_queue_push(dw_write_queue *q, dw_allocator *a,
                        const uv_buf_t *bufs, unsigned n, size_t len);
/* Fills bufs with what is to be sent next; how many were filled. */
unsigned dw_write_queue_peek(const dw_write_queue *q, uv_buf_t *bufs,
                             unsigned max);
/* Marks bytes as sent. */
void dw_write_queue_sent(dw_write_queue *q, size_t len);
/* Drops the first write if all of it was sent, or in any case; whether it
 * did. */
bool dw_write_queue_pop_sent(dw_write_queue *q, dw_allocator *a);
bool dw_write_queue_pop(dw_write_queue *q, dw_allocator *a);

#endif
