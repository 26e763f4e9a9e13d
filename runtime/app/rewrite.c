/* SPDX-License-Identifier: MIT */
/* Changing a request before its route is known. */
#include "app/rewrite.h"

#include "app/server.h"
#include "base/buffer.h"
#include "base/error.h"
#include "http/authority.h"
#include "http/tokens.h"
#include "http/uri.h"

enum { REMOTE_MAX = 255, ID_MAX = 255 };

static int keep(dw_exchange *x, dw_slice text, dw_slice *out) {
  char *copy = dw_arena_copy(&x->http.request.arena, text.ptr, text.len);
  if (!copy) return DW_ENOMEM;
  *out = dw_slice_of(copy, text.len);
  return 0;
}

static void lower(dw_slice s, char *out) {
  for (size_t i = 0; i < s.len; i++)
    out[i] =
        (char)(s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? s.ptr[i] | 0x20 : s.ptr[i]);
}

int dw_rewrite_method(dw_exchange *x, dw_slice name) {
  dw_request *r = &x->http.request;
  dw_method m = dw_method_find(name);
  if (m == DW_METHOD_UNKNOWN || m == DW_METHOD_CONNECT) return DEWAR_EINVAL;
  if ((m == DW_METHOD_HEAD) != (r->method == DW_METHOD_HEAD))
    return DEWAR_EINVAL;
  r->method = m;
  return 0;
}

int dw_rewrite_host(dw_exchange *x, dw_slice authority) {
  dw_request *r = &x->http.request;
  dw_slice host, port;
  if (!dw_authority_split(authority, &host, &port)) return DEWAR_EINVAL;
  char *copy = dw_arena_alloc(&r->arena, authority.len + host.len);
  if (!copy) return DW_ENOMEM;
  memcpy(copy, authority.ptr, authority.len);
  lower(host, copy + authority.len);
  r->authority = dw_slice_of(copy, authority.len);
  r->host = dw_slice_of(copy + authority.len, host.len);
  return 0;
}

int dw_rewrite_scheme(dw_exchange *x, dw_slice scheme) {
  static const dw_slice known[] = {{"http", 4}, {"https", 5}};
  for (size_t i = 0; i < 2; i++) {
    if (!dw_slice_equal_nocase(scheme, known[i])) continue;
    x->http.request.scheme = known[i];
    return 0;
  }
  return DEWAR_EINVAL;
}

/* --- Paths -----------------------------------------------------------------*/

/* What can stand in a target in front of its query. */
static bool is_path(dw_slice s) {
  if (s.len == 0 || s.ptr[0] != '/') return false;
  for (size_t i = 0; i < s.len; i++) {
    if (!(dw_char_classes[(unsigned char)s.ptr[i]] & DW_CHAR_TARGET))
      return false;
    if (s.ptr[i] == '?') return false;
  }
  return true;
}

int dw_rewrite_raw_path(dw_exchange *x, dw_slice path) {
  dw_request *r = &x->http.request;
  dw_slice raw, form;
  if (!is_path(path)) return DEWAR_EINVAL;
  if (keep(x, path, &raw) < 0) return DW_ENOMEM;
  int code = dw_path_decode(raw, &r->arena, &form);
  if (code == DW_ENOMEM) return code;
  if (code < 0) return DEWAR_EINVAL;
  r->raw_path = raw;
  r->asterisk = false;
  x->path = form;
  return 0;
}

static bool stays_escape(dw_slice rest) {
  return rest.len >= 3 && rest.ptr[1] == '2' &&
         (rest.ptr[2] == '5' || (rest.ptr[2] | 0x20) == 'f');
}

/* From the form to bytes of a target: the escapes of the form stay as they
 * are. */
static int encode(dw_buffer *out, dw_slice path) {
  static const char *const kept = "/!$&'()*+,;=:@";
  size_t from = 0;
  int code = 0;
  for (size_t i = 0; i < path.len && code == 0; i++) {
    dw_slice rest = dw_slice_of(path.ptr + i, path.len - i);
    if (path.ptr[i] != '%' || !stays_escape(rest)) continue;
    dw_slice before = dw_slice_of(path.ptr + from, i - from);
    code = dw_percent_encode(out, before, kept);
    if (code == 0) code = dw_buffer_append(out, rest.ptr, 3);
    from = i + 3;
    i += 2;
  }
  dw_slice last = dw_slice_of(path.ptr + from, path.len - from);
  return code == 0 ? dw_percent_encode(out, last, kept) : code;
}

int dw_rewrite_path(dw_exchange *x, dw_slice path) {
  if (path.len == 0 || path.ptr[0] != '/') return DEWAR_EINVAL;
  dw_buffer raw;
  dw_buffer_init(&raw, x->server->http.alloc, 0);
  int code = encode(&raw, path);
  if (code == 0) code = dw_rewrite_raw_path(x, dw_buffer_slice(&raw));
  dw_buffer_deinit(&raw);
  return code;
}

int dw_rewrite_root(dw_exchange *x, dw_slice root) {
  while (root.len > 0 && root.ptr[root.len - 1] == '/') root.len--;
  if (root.len == 0) {
    x->http.request.root = DW_EMPTY;
    return 0;
  }
  /* A URL that starts with two slashes would name another host. */
  if (!is_path(root) || root.ptr[1] == '/' || memchr(root.ptr, '#', root.len))
    return DEWAR_EINVAL;
  return keep(x, root, &x->http.request.root);
}

/* --- Names -----------------------------------------------------------------*/

static bool is_visible(dw_slice s, size_t max) {
  if (s.len == 0 || s.len > max) return false;
  for (size_t i = 0; i < s.len; i++)
    if (s.ptr[i] <= ' ' || s.ptr[i] > '~') return false;
  return true;
}

int dw_rewrite_remote(dw_exchange *x, dw_slice address) {
  if (!is_visible(address, REMOTE_MAX)) return DEWAR_EINVAL;
  return keep(x, address, &x->remote);
}

int dw_rewrite_id(dw_exchange *x, dw_slice id) {
  if (!is_visible(id, ID_MAX)) return DEWAR_EINVAL;
  char *copy = dw_arena_alloc(&x->http.request.arena, id.len + 1);
  if (!copy) return DW_ENOMEM;
  memcpy(copy, id.ptr, id.len);
  copy[id.len] = '\0';
  x->id = copy;
  return 0;
}
