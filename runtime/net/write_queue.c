/* SPDX-License-Identifier: MIT */
/* The write queue: a singly linked list of blocks, each with its bytes behind
 * it. A write of no bytes is a block too, since its callback waits its turn.
 * Owner: the stream. Thread: the loop's. */
#include "net/write_queue.h"

#include <stdint.h>
#include <string.h>

struct dw_write_node {
  dw_write_node *next;
  size_t len, sent;
  char bytes[];
};

size_t dw_bufs_len(const uv_buf_t *bufs, unsigned n) {
  size_t len = 0;
  for (unsigned i = 0; i < n; i++) {
    if (bufs[i].len > SIZE_MAX - len) return SIZE_MAX;
    len += bufs[i].len;
  }
  return len;
}

int dw_write_queue_push(dw_write_queue *q, dw_allocator *a,
                        const uv_buf_t *bufs, unsigned n, size_t len) {
  if (len > SIZE_MAX - sizeof(dw_write_node)) return UV_ENOMEM;
  dw_write_node *node = dw_alloc(a, sizeof(*node) + len);
  if (!node) return UV_ENOMEM;
  *node = (dw_write_node){.len = len};
  char *at = node->bytes;
  for (unsigned i = 0; i < n; i++) {
    if (bufs[i].len > 0) memcpy(at, bufs[i].base, bufs[i].len);
    at += bufs[i].len;
  }
  if (q->last)
    q->last->next = node;
  else
    q->first = node;
  q->last = node;
  return 0;
}

unsigned dw_write_queue_peek(const dw_write_queue *q, uv_buf_t *bufs,
                             unsigned max) {
  unsigned n = 0;
  for (dw_write_node *node = q->first; node && n < max; node = node->next) {
    if (node->sent == node->len) continue;
    bufs[n].base = node->bytes + node->sent;
    bufs[n].len = node->len - node->sent;
    n++;
  }
  return n;
}

void dw_write_queue_sent(dw_write_queue *q, size_t len) {
  for (dw_write_node *node = q->first; node && len > 0; node = node->next) {
    size_t rest = node->len - node->sent;
    size_t part = len < rest ? len : rest;
    node->sent += part;
    len -= part;
  }
}

bool dw_write_queue_pop(dw_write_queue *q, dw_allocator *a) {
  dw_write_node *node = q->first;
  if (!node) return false;
  q->first = node->next;
  if (!q->first) q->last = NULL;
  dw_free(a, node, sizeof(*node) + node->len);
  return true;
}

bool dw_write_queue_pop_sent(dw_write_queue *q, dw_allocator *a) {
  if (!q->first || q->first->sent < q->first->len) return false;
  return dw_write_queue_pop(q, a);
}
