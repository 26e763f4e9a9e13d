/* SPDX-License-Identifier: MIT */
/* Trusted hosts. */
#include "app/hosts.h"

#include <string.h>

#include "base/error.h"
#include "http/authority.h"

static bool is_name(dw_slice name) {
  dw_slice host, port;
  if (name.len > 1 && name.ptr[0] == '.')
    name = dw_slice_of(name.ptr + 1, name.len - 1);
  return dw_authority_split(name, &host, &port) && host.len == name.len &&
         host.ptr[0] != '.';
}

static void copy_lower(char *out, dw_slice name) {
  for (size_t i = 0; i < name.len; i++) {
    char c = name.ptr[i];
    out[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
  }
  out[name.len] = '\0';
}

int dw_hosts_set(dw_hosts *h, dw_allocator *a, const dw_slice *names,
                 size_t count, size_t *bad) {
  size_t size = 0, at = 0;
  for (*bad = 0; *bad < count; ++*bad) {
    if (!is_name(names[*bad])) return DEWAR_EINVAL;
    size += names[*bad].len + 1;
  }
  char *text = size > 0 ? dw_alloc(a, size) : NULL;
  if (size > 0 && !text) return DW_ENOMEM;
  for (size_t i = 0; i < count; i++) {
    copy_lower(text + at, names[i]);
    at += names[i].len + 1;
  }
  dw_hosts_deinit(h, a);
  *h = (dw_hosts){text, size};
  return 0;
}

void dw_hosts_deinit(dw_hosts *h, dw_allocator *a) {
  dw_free(a, h->names, h->size);
  *h = (dw_hosts){0};
}

/* ".example.com" is example.com and what ends in it. */
static bool is_meant(dw_slice name, dw_slice host) {
  if (name.ptr[0] != '.') return dw_slice_equal(name, host);
  dw_slice base = dw_slice_of(name.ptr + 1, name.len - 1);
  if (host.len <= name.len) return dw_slice_equal(base, host);
  return memcmp(host.ptr + host.len - name.len, name.ptr, name.len) == 0;
}

bool dw_hosts_trust(const dw_hosts *h, dw_slice host) {
  if (!h->names) return true;
  for (size_t at = 0; at < h->size;) {
    dw_slice name = dw_slice_str(h->names + at);
    if (is_meant(name, host)) return true;
    at += name.len + 1;
  }
  return false;
}
