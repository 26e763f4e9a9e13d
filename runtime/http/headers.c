/* SPDX-License-Identifier: MIT */
/* Header fields, borrowed and owned. Each item of the owned list is one block
 * of name and value, so a field costs one allocation. Owner: of the owned list,
 * whoever holds the struct. Thread: the loop's. */
#include "http/headers.h"

#include "base/error.h"
#include "http/tokens.h"

/* --- Borrowed lists --------------------------------------------------------*/

const dw_header *dw_header_find(const dw_header *list, size_t n,
                                dw_slice name) {
  for (size_t i = 0; i < n; i++) {
    if (dw_slice_equal_nocase(list[i].name, name)) return &list[i];
  }
  return NULL;
}

size_t dw_header_count(const dw_header *list, size_t n, dw_slice name) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++)
    count += dw_slice_equal_nocase(list[i].name, name);
  return count;
}

/* Cookie is the one list that is not separated by commas (RFC 9113, 8.2.3). */
static dw_slice separator_of(dw_slice name) {
  return dw_slice_equal_nocase(name, DW_LITERAL("Cookie")) ? DW_LITERAL("; ")
                                                           : DW_LITERAL(", ");
}

bool dw_header_join(const dw_header *list, size_t n, dw_slice name,
                    dw_arena *arena, dw_slice *out, bool *failed) {
  *failed = false;
  const dw_header *first = dw_header_find(list, n, name);
  if (!first) return false;
  const dw_header *end = list + n;
  dw_slice separator = separator_of(name);
  size_t size = 0, count = 0;
  for (const dw_header *h = first; h < end; h++) {
    if (!dw_slice_equal_nocase(h->name, name)) continue;
    size += h->value.len + separator.len;
    count++;
  }
  if (count == 1) {
    *out = first->value;
    return true;
  }

  char *text = dw_arena_alloc(arena, size);
  if (!text) {
    *failed = true;
    return false;
  }
  char *at = text;
  for (const dw_header *h = first; h < end; h++) {
    if (!dw_slice_equal_nocase(h->name, name)) continue;
    if (at > text) {
      memcpy(at, separator.ptr, separator.len);
      at += separator.len;
    }
    if (h->value.len > 0) memcpy(at, h->value.ptr, h->value.len);
    at += h->value.len;
  }
  *out = dw_slice_of(text, (size_t)(at - text));
  return true;
}

/* --- The owned list --------------------------------------------------------*/

void dw_headers_init(dw_headers *h, dw_allocator *a) {
  *h = (dw_headers){.alloc = a};
}

static void free_item(dw_headers *h, dw_header *item) {
  dw_free(h->alloc, (char *)item->name.ptr, item->name.len + item->value.len);
}

void dw_headers_deinit(dw_headers *h) {
  for (uint32_t i = 0; i < h->count; i++) free_item(h, &h->items[i]);
  dw_free(h->alloc, h->items, h->cap * sizeof *h->items);
  dw_headers_init(h, h->alloc);
}

static int grow(dw_headers *h) {
  if (h->count < h->cap) return 0;
  if (h->cap > UINT32_MAX / 2) return DW_ENOMEM;
  uint32_t cap = h->cap ? h->cap * 2 : 4;
  dw_header *items = dw_realloc(h->alloc, h->items, h->cap * sizeof *items,
                                cap * sizeof *items);
  if (!items) return DW_ENOMEM;
  h->items = items;
  h->cap = cap;
  return 0;
}

/* A checked copy of the field in a block of its own. */
static int make_item(dw_headers *h, dw_slice name, dw_slice value,
                     dw_header *out) {
  value = dw_slice_trim(value);
  if (!dw_is_token(name) || !dw_is_field_value(value)) return DEWAR_EINVAL;
  char *block = dw_alloc(h->alloc, name.len + value.len);
  if (!block) return DW_ENOMEM;
  memcpy(block, name.ptr, name.len);
  if (value.len > 0) memcpy(block + name.len, value.ptr, value.len);
  out->name = dw_slice_of(block, name.len);
  out->value = dw_slice_of(block + name.len, value.len);
  return 0;
}

int dw_headers_add(dw_headers *h, dw_slice name, dw_slice value) {
  dw_header item;
  int err = make_item(h, name, value, &item);
  if (err < 0) return err;
  err = grow(h);
  if (err < 0) {
    free_item(h, &item);
    return err;
  }
  h->items[h->count++] = item;
  return 0;
}

/* Drops the fields of that name from index `from` on; whether there were any.
 */
static bool remove_from(dw_headers *h, uint32_t from, dw_slice name) {
  uint32_t kept = from;
  for (uint32_t i = from; i < h->count; i++) {
    if (dw_slice_equal_nocase(h->items[i].name, name))
      free_item(h, &h->items[i]);
    else
      h->items[kept++] = h->items[i];
  }
  bool any = kept < h->count;
  h->count = kept;
  return any;
}

int dw_headers_set(dw_headers *h, dw_slice name, dw_slice value) {
  const dw_header *found = dw_headers_find(h, name);
  if (!found) return dw_headers_add(h, name, value);

  dw_header item;
  int err = make_item(h, name, value, &item);
  if (err < 0) return err;
  uint32_t index = (uint32_t)(found - h->items);
  free_item(h, &h->items[index]);
  h->items[index] = item;
  /* The new item's name: the caller's may have been in what was just freed. */
  remove_from(h, index + 1, item.name);
  return 0;
}

bool dw_headers_remove(dw_headers *h, dw_slice name) {
  return remove_from(h, 0, name);
}

const dw_header *dw_headers_find(const dw_headers *h, dw_slice name) {
  return dw_header_find(h->items, h->count, name);
}

/* --- Lists of tokens -------------------------------------------------------*/

bool dw_header_may_trail(dw_slice name) {
  static const char *const refused[] = {"Age",
                                        "Authorization",
                                        "Cache-Control",
                                        "Connection",
                                        "Content-Encoding",
                                        "Content-Length",
                                        "Content-Range",
                                        "Content-Type",
                                        "Cookie",
                                        "Date",
                                        "Expect",
                                        "Expires",
                                        "Host",
                                        "Keep-Alive",
                                        "Location",
                                        "Max-Forwards",
                                        "Pragma",
                                        "Proxy-Authenticate",
                                        "Proxy-Authorization",
                                        "Range",
                                        "Retry-After",
                                        "Set-Cookie",
                                        "TE",
                                        "Trailer",
                                        "Transfer-Encoding",
                                        "Upgrade",
                                        "Vary",
                                        "WWW-Authenticate"};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
    if (dw_slice_equal_nocase(name, dw_slice_str(refused[i]))) return false;
  return name.len < 3 ||
         !dw_slice_equal_nocase(dw_slice_of(name.ptr, 3), DW_LITERAL("If-"));
}

/* Takes the next element of a comma-separated list off *rest, trimmed. */
bool dw_list_next(dw_slice *rest, dw_slice *element) {
  if (!rest->ptr) return false;
  const char *comma = memchr(rest->ptr, ',', rest->len);
  size_t len = comma ? (size_t)(comma - rest->ptr) : rest->len;
  *element = dw_slice_trim(dw_slice_of(rest->ptr, len));
  if (comma)
    *rest = dw_slice_of(comma + 1, rest->len - len - 1);
  else
    *rest = (dw_slice){NULL, 0};
  return true;
}

bool dw_headers_has_token(const dw_headers *h, dw_slice name, dw_slice token) {
  for (uint32_t i = 0; i < h->count; i++) {
    if (!dw_slice_equal_nocase(h->items[i].name, name)) continue;
    dw_slice rest = h->items[i].value, element;
    while (dw_list_next(&rest, &element)) {
      if (dw_slice_equal_nocase(element, token)) return true;
    }
  }
  return false;
}

int dw_headers_add_token(dw_headers *h, dw_slice name, dw_slice token) {
  if (dw_headers_has_token(h, name, token) ||
      dw_headers_has_token(h, name, DW_LITERAL("*")))
    return 0;
  const dw_header *found = dw_headers_find(h, name);
  if (!found || found->value.len == 0) return dw_headers_set(h, name, token);

  dw_buffer joined;
  dw_buffer_init(&joined, h->alloc, 0);
  int err = dw_buffer_append_slice(&joined, found->value);
  if (err == 0) err = dw_buffer_append(&joined, ", ", 2);
  if (err == 0) err = dw_buffer_append_slice(&joined, token);
  dw_header item;
  if (err == 0) err = make_item(h, name, dw_buffer_slice(&joined), &item);
  dw_buffer_deinit(&joined);
  if (err < 0) return err;
  /* In place, so that further lines of that name stay. */
  uint32_t index = (uint32_t)(found - h->items);
  free_item(h, &h->items[index]);
  h->items[index] = item;
  return 0;
}

int dw_headers_copy(dw_headers *to, const dw_headers *from) {
  for (uint32_t i = 0; i < from->count; i++) {
    const dw_header *item = &from->items[i];
    /* The first of a name replaces, the others (Set-Cookie) join it. */
    bool first = dw_header_find(from->items, i, item->name) == NULL;
    int err = first ? dw_headers_set(to, item->name, item->value)
                    : dw_headers_add(to, item->name, item->value);
    if (err < 0) return err;
  }
  return 0;
}
