/* SPDX-License-Identifier: MIT */
/* Header fields: the borrowed list of a request, and the owned, changeable one
 * of a response. Names compare without case (RFC 9110, 5.1). */
#ifndef DW_HTTP_HEADERS_H
#define DW_HTTP_HEADERS_H

#include "base/buffer.h"
#include "base/memory.h"
#include "base/slice.h"

typedef struct dw_header {
  dw_slice name, value;
} dw_header;

/* The first field of that name, or NULL. "_" in name reads as "-" only in the
 * Lua layer, not here. */
const dw_header *dw_header_find(const dw_header *list, size_t n,
                                dw_slice name);
size_t dw_header_count(const dw_header *list, size_t n, dw_slice name);
/* All values of that name joined by ", " ("; " for Cookie), in the arena
 * unless there is only one. false: none (or no memory: *failed is set). */
bool dw_header_join(const dw_header *list, size_t n, dw_slice name,
                    dw_arena *arena, dw_slice *out, bool *failed);

/* Takes the next element of a comma-separated list off *rest, trimmed; empty
 * elements too. false: there is none left. Quoted strings are not looked at. */
bool dw_list_next(dw_slice *rest, dw_slice *element);

/* Whether a field may come behind a body: not what frames a message, routes it,
 * controls or authenticates, or says what the content is (RFC 9110, 6.5.1). */
bool dw_header_may_trail(dw_slice name);

/* The owned list. Slices that are read from it are borrowed until it changes.
 * Common names ("Content-Type"...) and small lists must be cheap. */
typedef struct dw_headers {
  dw_allocator *alloc;
  dw_header *items; /* name and value lie in one block per item */
  uint32_t count, cap;
} dw_headers;

void dw_headers_init(dw_headers *h, dw_allocator *a); /* allocates nothing */
void dw_headers_deinit(dw_headers *h);
/* 0, DW_ENOMEM, or DEWAR_EINVAL: the name is no token, or the value has CR, LF,
 * NUL or another control character. Values are trimmed. add keeps what is
 * there, set replaces the first of that name and removes the others. */
int dw_headers_add(dw_headers *h, dw_slice name, dw_slice value);
int dw_headers_set(dw_headers *h, dw_slice name, dw_slice value);
bool dw_headers_remove(dw_headers *h, dw_slice name); /* all of them */
const dw_header *dw_headers_find(const dw_headers *h, dw_slice name);
/* Whether a comma-separated field has that element. */
bool dw_headers_has_token(const dw_headers *h, dw_slice name, dw_slice token);
/* Vary and the like: adds token to the comma-separated value if neither it nor
 * "*" is there. */
int dw_headers_add_token(dw_headers *h, dw_slice name, dw_slice token);
/* Sets each name of from in to, with all its values. to != from. A failure may
 * leave a part of them set. */
int dw_headers_copy(dw_headers *to, const dw_headers *from);

#endif
