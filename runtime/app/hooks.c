/* SPDX-License-Identifier: MIT */
/* Scopes: lists of handlers, and the two orders in which they are walked. */
#include "app/hooks.h"

#include "base/error.h"

int dw_scope_new(dw_scope **out, dw_allocator *a, dw_scope *parent,
                 dw_slice name) {
  dw_scope *s = dw_zalloc(a, sizeof *s + name.len + 1);
  *out = s;
  if (!s) return DW_ENOMEM;
  char *copy = (char *)(s + 1);
  memcpy(copy, name.ptr, name.len);
  s->name = dw_slice_of(copy, name.len);
  s->parent = parent;
  s->depth = parent ? (uint8_t)(parent->depth + 1) : 0;
  dw_list_init(&s->node);
  return 0;
}

void dw_scope_free(dw_scope *s, dw_allocator *a) {
  if (!s) return;
  dw_list_remove(&s->node);
  for (int hook = 0; hook < DW_HOOK_COUNT; hook++) {
    dw_handlers *list = &s->hooks[hook];
    for (uint32_t i = 0; i < list->count; i++)
      list->items[i]->free(list->items[i], a);
    dw_free(a, list->items, list->cap * sizeof *list->items);
  }
  for (uint32_t i = 0; i < s->nerrors; i++)
    s->errors[i].handler->free(s->errors[i].handler, a);
  dw_free(a, s->errors, s->errors_cap * sizeof *s->errors);
  dw_free(a, s, sizeof *s + s->name.len + 1);
}

/* Room for one more item; 0 or DW_ENOMEM. */
static int grow(dw_allocator *a, void *items, uint32_t count, uint32_t *cap,
                size_t size) {
  void **list = items;
  if (count < *cap) return 0;
  uint32_t more = *cap ? *cap * 2 : 4;
  void *grown = dw_realloc(a, *list, *cap * size, more * size);
  if (!grown) return DW_ENOMEM;
  *list = grown;
  *cap = more;
  return 0;
}

int dw_scope_add(dw_scope *s, dw_allocator *a, dw_hook hook, dw_handler *h) {
  dw_handlers *list = &s->hooks[hook];
  if (grow(a, &list->items, list->count, &list->cap, sizeof *list->items) < 0) {
    h->free(h, a);
    return DW_ENOMEM;
  }
  uint32_t i = list->count++;
  list->items[i] = h;
  if (list->last_stays) {
    list->items[i] = list->items[i - 1];
    list->items[i - 1] = h;
  }
  return 0;
}

int dw_scope_add_last(dw_scope *s, dw_allocator *a, dw_hook hook,
                      dw_handler *h) {
  int code = dw_scope_add(s, a, hook, h);
  if (code == 0) s->hooks[hook].last_stays = true;
  return code;
}

int dw_scope_add_error(dw_scope *s, dw_allocator *a, const dw_error_class *cls,
                       dw_handler *h) {
  for (uint32_t i = 0; i < s->nerrors; i++) {
    if (s->errors[i].cls != cls) continue;
    s->errors[i].handler->free(s->errors[i].handler, a);
    s->errors[i].handler = h;
    return 0;
  }
  if (grow(a, &s->errors, s->nerrors, &s->errors_cap, sizeof *s->errors) < 0) {
    h->free(h, a);
    return DW_ENOMEM;
  }
  s->errors[s->nerrors++] = (dw_error_handler){cls, h};
  return 0;
}

static dw_handler *find_class(const dw_scope *s, const dw_error_class *cls) {
  for (uint32_t i = 0; i < s->nerrors; i++)
    if (s->errors[i].cls == cls) return s->errors[i].handler;
  return NULL;
}

/* The nearest class of the chain with this status, or none, that the scope has
 * a handler for. */
static dw_handler *find_chain(const dw_scope *s, const dw_error_class *cls,
                              int status) {
  for (; cls; cls = cls->parent) {
    if (cls->status != status || cls == &dw_error_base) continue;
    dw_handler *h = find_class(s, cls);
    if (h) return h;
  }
  return NULL;
}

dw_handler *dw_scope_find_error(const dw_scope *scope,
                                const dw_error_class *cls, int status) {
  dw_handler *h;
  if (cls == &dw_error_cancelled) return NULL;
  /* An error with a status counts as one of its class, whatever it extends. */
  const dw_error_class *generic = status ? dw_error_for_status(status) : NULL;
  for (const dw_scope *s = scope; s && status; s = s->parent) {
    if ((h = find_chain(s, cls, status))) return h;
    if (generic && (h = find_class(s, generic))) return h;
  }
  for (const dw_scope *s = scope; s; s = s->parent) {
    if ((h = find_chain(s, cls, 0))) return h;
    if (status && (h = find_class(s, &dw_error_http))) return h;
    if ((h = find_class(s, &dw_error_base))) return h;
  }
  return NULL;
}

/* The scope of a chain at a depth. */
static dw_scope *scope_at(dw_scope *s, uint8_t depth) {
  while (s->depth > depth) s = s->parent;
  return s;
}

dw_handler *dw_hook_next(dw_scope *scope, dw_hook hook, bool reverse,
                         dw_hook_cursor *c) {
  if (!c->started) {
    c->started = true;
    c->level = 0;
    c->index = 0;
  }
  while (c->level <= scope->depth) {
    uint8_t depth = reverse ? (uint8_t)(scope->depth - c->level) : c->level;
    dw_handlers *list = &scope_at(scope, depth)->hooks[hook];
    if (c->index < list->count) {
      uint32_t i = c->index++;
      return list->items[reverse ? list->count - 1 - i : i];
    }
    c->level++;
    c->index = 0;
  }
  return NULL;
}
