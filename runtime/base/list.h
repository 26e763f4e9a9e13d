/* SPDX-License-Identifier: MIT */
/* An intrusive doubly linked list: a ring through a head. A node that is in no
 * list points to itself, so removing it twice is harmless. */
#ifndef DW_BASE_LIST_H
#define DW_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct dw_list dw_list;
struct dw_list {
  dw_list *next, *prev;
};

#define DW_CONTAINER(node, type, member)                                       \
  ((type *)((char *)(node)-offsetof(type, member)))

static inline void dw_list_init(dw_list *l) { l->next = l->prev = l; }

static inline bool dw_list_empty(const dw_list *l) { return l->next == l; }

static inline void dw_list_push(dw_list *head, dw_list *node) { /* at the end */
  node->prev = head->prev;
  node->next = head;
  head->prev->next = node;
  head->prev = node;
}

static inline void dw_list_remove(dw_list *node) {
  node->prev->next = node->next;
  node->next->prev = node->prev;
  dw_list_init(node);
}

static inline dw_list *dw_list_shift(dw_list *head) { /* the first, or NULL */
  dw_list *node = head->next;
  if (node == head) return NULL;
  dw_list_remove(node);
  return node;
}

/* Moves all nodes of `from` to the end of `to`. */
static inline void dw_list_splice(dw_list *to, dw_list *from) {
  if (dw_list_empty(from)) return;
  from->next->prev = to->prev;
  to->prev->next = from->next;
  from->prev->next = to;
  to->prev = from->prev;
  dw_list_init(from);
}

#endif
