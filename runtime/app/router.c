/* SPDX-License-Identifier: MIT */
/* The router as a whole: its memory, its converters and names, and what may be
 * asked of its rules. How a rule gets into it: router_add.c. Owner: the app. */
#include "app/router_private.h"

/* --- The pool --------------------------------------------------------------*/

enum { CHUNK_FIRST = 2 * 1024, CHUNK_LAST = 64 * 1024, ALIGNMENT = 16 };

struct dw_pool_chunk {
  dw_pool_chunk *next;
  size_t size, used; /* of the whole block */
};

static size_t aligned(size_t size) {
  return (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static dw_pool_chunk *add_chunk(dw_pool *p, size_t need) {
  size_t size = p->chunks ? p->chunks->size * 2 : CHUNK_FIRST;
  if (size > CHUNK_LAST) size = CHUNK_LAST;
  if (size < need + aligned(sizeof(dw_pool_chunk)))
    size = need + aligned(sizeof(dw_pool_chunk));
  dw_pool_chunk *chunk = dw_alloc(p->alloc, size);
  if (!chunk) return NULL;
  *chunk = (dw_pool_chunk){
      .next = p->chunks, .size = size, .used = aligned(sizeof *chunk)};
  p->chunks = chunk;
  return chunk;
}

void *dw_pool_alloc(dw_pool *p, size_t size) {
  if (size > SIZE_MAX / 2) return NULL;
  size = aligned(size ? size : 1);
  dw_pool_chunk *chunk = p->chunks;
  if (!chunk || chunk->size - chunk->used < size) chunk = add_chunk(p, size);
  if (!chunk) return NULL;
  void *block = (char *)chunk + chunk->used;
  chunk->used += size;
  return memset(block, 0, size);
}

dw_slice dw_pool_copy(dw_pool *p, dw_slice text) {
  char *copy = dw_pool_alloc(p, text.len);
  if (copy && text.len > 0) memcpy(copy, text.ptr, text.len);
  return dw_slice_of(copy, copy ? text.len : 0);
}

dw_pool_mark dw_pool_marked(const dw_pool *p) {
  return (dw_pool_mark){p->chunks, p->chunks ? p->chunks->used : 0};
}

void dw_pool_rollback(dw_pool *p, dw_pool_mark mark) {
  while (p->chunks != mark.chunk) {
    dw_pool_chunk *chunk = p->chunks;
    p->chunks = chunk->next;
    dw_free(p->alloc, chunk, chunk->size);
  }
  if (mark.chunk) mark.chunk->used = mark.used;
}

void *dw_pool_grown(dw_pool *p, void *array, size_t count, size_t *cap,
                    size_t item) {
  if (count < *cap) return array;
  size_t wider = *cap ? *cap * 2 : 1;
  void *copy = dw_pool_alloc(p, wider * item);
  if (!copy) return NULL;
  if (count > 0) memcpy(copy, array, count * item);
  *cap = wider;
  return copy;
}

/* --- The router ------------------------------------------------------------*/

static void init_root(dw_router_node *root) { root->least = UINT32_MAX; }

int dw_router_new(dw_router **out, dw_allocator *a) {
  dw_router *r = *out = dw_zalloc(a, sizeof *r);
  if (!r) return DW_ENOMEM;
  r->alloc = r->pool.alloc = a;
  r->server_name = DW_EMPTY;
  init_root(&r->on_host);
  init_root(&r->on_subdomain);
  init_root(&r->anywhere);
  return 0;
}

void dw_router_free(dw_router *r) {
  if (!r) return;
  dw_pool_rollback(&r->pool, (dw_pool_mark){0});
  dw_free(r->alloc, r, sizeof *r);
}

int dw_router_add_converter(dw_router *r, const dw_converter *c,
                            dw_buffer *message) {
  if (!c->to_value || dw_rule_name_length(c->name) != c->name.len ||
      c->name.len == 0)
    return DW_ROUTER_FAIL(message, DEWAR_EINVAL,
                          "a converter's name must be a Lua name, not '%.*s'",
                          DW_FMT(c->name));
  dw_pool_mark mark = dw_pool_marked(&r->pool);
  size_t cap = r->converters_cap;
  dw_converter *copy = dw_pool_alloc(&r->pool, sizeof *copy);
  dw_slice name = dw_pool_copy(&r->pool, c->name);
  const dw_converter **list = dw_pool_grown(
      &r->pool, r->converters, r->nconverters, &cap, sizeof(dw_converter *));
  if (!copy || !name.ptr || !list) {
    dw_pool_rollback(&r->pool, mark);
    return DW_ENOMEM;
  }
  *copy = *c;
  copy->name = name;
  r->converters = list;
  r->converters_cap = cap;
  r->converters[r->nconverters++] = copy;
  return 0;
}

/* --- The server's name -----------------------------------------------------*/

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

dw_slice dw_router_joined_host(dw_router *r, dw_slice subdomain,
                               dw_slice name) {
  char *text = dw_pool_alloc(&r->pool, subdomain.len + 1 + name.len);
  if (!text) return dw_slice_of(NULL, 0);
  memcpy(text, subdomain.ptr, subdomain.len);
  text[subdomain.len] = '.';
  memcpy(text + subdomain.len + 1, name.ptr, name.len);
  return dw_slice_of(text, subdomain.len + 1 + name.len);
}

/* What each subdomain rule shows as its host from now on. */
static int show_hosts(dw_router *r, dw_slice name, dw_slice *shown) {
  for (size_t i = 0; i < r->nrules; i++) {
    const dw_rule *rule = r->rules[i];
    shown[i] = rule->shown_host;
    if (rule->place != DW_RULE_ON_SUBDOMAIN) continue;
    shown[i] = rule->host;
    if (name.len > 0) shown[i] = dw_router_joined_host(r, rule->host, name);
    if (!shown[i].ptr) return DW_ENOMEM;
  }
  return 0;
}

int dw_router_set_server_name(dw_router *r, dw_slice name) {
  dw_pool_mark mark = dw_pool_marked(&r->pool);
  size_t size = r->nrules * sizeof(dw_slice);
  dw_slice *shown = dw_alloc(r->alloc, size);
  dw_slice copy = dw_pool_copy(&r->pool, dw_host_name(name));
  for (size_t i = 0; i < copy.len; i++)
    ((char *)copy.ptr)[i] = lower(copy.ptr[i]);
  int rc = shown && copy.ptr ? show_hosts(r, copy, shown) : DW_ENOMEM;
  for (size_t i = 0; i < r->nrules && rc == 0; i++)
    r->rules[i]->shown_host = shown[i];
  if (rc == 0)
    r->server_name = copy;
  else
    dw_pool_rollback(&r->pool, mark);
  dw_free(r->alloc, shown, size);
  return rc;
}

/* --- Groups ----------------------------------------------------------------*/

uint32_t dw_router_hash(dw_slice text) {
  uint64_t h = text.len * UINT64_C(0x9e3779b97f4a7c15);
  const char *p = text.ptr;
  size_t left = text.len;
  for (; left >= 8; left -= 8, p += 8) {
    uint64_t word;
    memcpy(&word, p, 8);
    h = (h ^ word) * UINT64_C(0xff51afd7ed558ccd);
    h ^= h >> 32;
  }
  uint64_t rest = 0;
  if (left > 0) memcpy(&rest, p, left);
  h = (h ^ rest) * UINT64_C(0xc4ceb9fe1a85ec53);
  return (uint32_t)(h ^ h >> 32);
}

dw_rule_group **dw_router_group_slot(dw_rule_group **slots, size_t cap,
                                     dw_slice name) {
  size_t i = dw_router_hash(name) & (cap - 1);
  while (slots[i] && !dw_slice_equal(slots[i]->name, name))
    i = (i + 1) & (cap - 1);
  return &slots[i];
}

dw_rule_group *dw_router_find_group(const dw_rule_index *index, dw_slice name) {
  return index->cap ? *dw_router_group_slot(index->slots, index->cap, name)
                    : NULL;
}

/* --- Asking ----------------------------------------------------------------*/

size_t dw_router_count(const dw_router *r) { return r->nrules; }

const dw_rule *dw_router_rule(const dw_router *r, size_t i) {
  return i < r->nrules ? r->rules[i] : NULL;
}

dw_slice dw_rule_text(const dw_rule *rule) { return rule->text; }
dw_slice dw_rule_endpoint(const dw_rule *rule) { return rule->endpoint; }
dw_slice dw_rule_host(const dw_rule *rule) { return rule->shown_host; }
uint64_t dw_rule_methods(const dw_rule *rule) { return rule->methods; }
bool dw_rule_is_build_only(const dw_rule *rule) { return rule->build_only; }

void *dw_rule_data(const dw_rule *rule) { return rule->data; }

size_t dw_rule_values(const dw_rule *rule, size_t *passed) {
  if (passed) *passed = rule->nvars + rule->nextras;
  return rule->nvars + rule->nextras + rule->nhost_vars;
}

dw_slice dw_rule_value_name(const dw_rule *rule, size_t i) {
  return rule->names[i];
}
