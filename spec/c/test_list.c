/* SPDX-License-Identifier: MIT */
/* The intrusive list. */
#include "unit.h"

#include "base/list.h"

typedef struct item {
  int value;
  dw_list node;
} item;

static void init(dw_list *head, item *items, int count) {
  dw_list_init(head);
  for (int i = 0; i < count; i++) {
    items[i].value = i;
    dw_list_push(head, &items[i].node);
  }
}

static int shift(dw_list *head) {
  dw_list *node = dw_list_shift(head);
  return node ? DW_CONTAINER(node, item, node)->value : -1;
}

TEST(gives_nodes_back_in_order) {
  dw_list head;
  item items[3];
  init(&head, items, 3);
  CHECK(!dw_list_empty(&head));
  CHECK_INT(shift(&head), 0);
  CHECK_INT(shift(&head), 1);
  CHECK_INT(shift(&head), 2);
  CHECK(dw_list_empty(&head));
  CHECK_INT(shift(&head), -1);
}

TEST(removes_from_anywhere_and_twice) {
  dw_list head;
  item items[4];
  init(&head, items, 4);
  dw_list_remove(&items[1].node);
  dw_list_remove(&items[1].node);
  dw_list_remove(&items[3].node);
  CHECK(dw_list_empty(&items[1].node));
  CHECK_INT(shift(&head), 0);
  CHECK_INT(shift(&head), 2);
  CHECK_INT(shift(&head), -1);
}

TEST(splices_a_list_to_the_end_of_another) {
  dw_list head, other, none;
  item items[2], more[2];
  init(&head, items, 2);
  init(&other, more, 2);
  dw_list_init(&none);
  dw_list_splice(&head, &other);
  dw_list_splice(&head, &none);
  CHECK(dw_list_empty(&other));
  dw_list_remove(&more[0].node);
  CHECK_INT(shift(&head), 0);
  CHECK_INT(shift(&head), 1);
  CHECK_INT(shift(&head), 1);
  CHECK_INT(shift(&head), -1);
}

TEST(splices_into_an_empty_list) {
  dw_list head, other;
  item items[2];
  dw_list_init(&head);
  init(&other, items, 2);
  dw_list_splice(&head, &other);
  CHECK_INT(shift(&head), 0);
  CHECK_INT(shift(&head), 1);
  CHECK_INT(shift(&head), -1);
}
