/* SPDX-License-Identifier: MIT */
/* Joins: tasks that somebody waits for together, and owns. It is what gather,
 * race, run, ensure_sync's wrappers (gather.c) and dewar.scope (group.c) have
 * in common: whatever comes between, all of the tasks have ended before the
 * owner goes on. Owner: theirs. Thread: the loop's. */
#include "bindings/task_private.h"

static void ended_cb(dw_waiter *w, const dw_task_object *o) {
  dw_member *m = DW_CONTAINER(w, dw_member, waiter);
  dw_join *j = m->join;
  dw_list_remove(&m->node);
  j->running--;
  j->ended_cb(m, o);
}

void dw_join_init(dw_join *j,
                  void (*cb)(dw_member *m, const dw_task_object *o)) {
  *j = (dw_join){.ended_cb = cb};
  dw_list_init(&j->members);
}

void dw_join_add(dw_join *j, dw_member *m, dw_task *task) {
  dw_waiter_init(&m->waiter);
  m->waiter.ended_cb = ended_cb;
  m->join = j;
  m->task = task;
  dw_list_push(&task->waiters, &m->waiter.node);
  dw_list_push(&j->members, &m->node);
  j->running++;
}

void dw_join_drop(dw_member *m) {
  dw_list_remove(&m->waiter.node);
  dw_list_remove(&m->node);
  m->task = NULL;
  m->join->running--;
}

void dw_join_cancel(dw_join *j, const dw_task *t) {
  if (j->ending) return;
  j->ending = true;
  for (dw_list *n = j->members.next; n != &j->members; n = n->next)
    dw_task_cancel(DW_CONTAINER(n, dw_member, node)->task, false);
  for (dw_list *n = j->members.next, *next; n != &j->members; n = next) {
    dw_member *m = DW_CONTAINER(n, dw_member, node);
    next = n->next;
    if (!dw_task_reaches(m->task, t, NULL)) continue;
    dw_join_drop(m);
    j->ended_cb(m, NULL);
  }
}

bool dw_join_reaches(const dw_join *j, const dw_task *t, int *budget) {
  for (const dw_list *n = j->members.next; n != &j->members; n = n->next)
    if (dw_task_reaches(DW_CONTAINER(n, dw_member, node)->task, t, budget))
      return true;
  return false;
}

int dw_join_wait(lua_State *L, dw_script *s, dw_join *j, const char *name,
                 lua_KFunction k, lua_KContext ctx) {
  dw_task *t = dw_task_here(s);
  j->wake = dw_wait_begin_raw(s, j->ending);
  dw_wait_name(j->wake, name);
  t->join = dw_scopes_limit(t) && !j->ending ? NULL : j;
  return dw_wait(L, j->wake, -1, k, ctx);
}

void dw_join_notice(dw_join *j, const dw_task *t, bool more) {
  if ((j->running > 0 || more) && dw_task_interrupted(t)) j->interrupted = true;
}
