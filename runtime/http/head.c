/* SPDX-License-Identifier: MIT */
/* The guard behind. It doesn't lean on llhttp's opinion: versions differ in
 * what they let through, the verdicts here must not. */
#include "http/head.h"

#include "http/authority.h"

static const dw_fault fine = {0, NULL};

static dw_fault bad(const char *reason) { return dw_fault_make(400, reason); }

/* --- The target ------------------------------------------------------------*/

static void split_query(dw_request *r, dw_slice path) {
  const char *mark = path.len > 0 ? memchr(path.ptr, '?', path.len) : NULL;
  if (mark) {
    size_t before = (size_t)(mark - path.ptr);
    r->has_query = true;
    r->query = dw_slice_of(mark + 1, path.len - before - 1);
    path.len = before;
  }
  r->raw_path = path.len > 0 ? path : DW_LITERAL("/");
}

/* "http://host/path": the length of what stands before the host, or 0. */
static size_t scheme_length(dw_request *r) {
  static const dw_slice schemes[] = {{"http", 4}, {"https", 5}};
  dw_slice t = r->target;
  for (size_t i = 0; i < 2; i++) {
    size_t len = schemes[i].len;
    if (t.len < len + 3 || memcmp(t.ptr + len, "://", 3) != 0) continue;
    if (!dw_slice_equal_nocase(dw_slice_of(t.ptr, len), schemes[i])) continue;
    r->scheme = schemes[i];
    return len + 3;
  }
  return 0;
}

static dw_fault read_absolute(dw_request *r) {
  size_t before = scheme_length(r);
  if (before == 0) return bad("the request target is neither a path nor a URL");
  const char *at = r->target.ptr + before;
  const char *end = r->target.ptr + r->target.len;
  const char *stop = at;
  while (stop < end && *stop != '/' && *stop != '?') stop++;
  r->authority = dw_slice_of(at, (size_t)(stop - at));
  split_query(r, dw_slice_of(stop, (size_t)(end - stop)));
  return fine;
}

static dw_fault read_target(dw_request *r) {
  if (*r->target.ptr == '/') {
    split_query(r, r->target);
    return fine;
  }
  if (dw_slice_equal(r->target, DW_LITERAL("*"))) {
    if (r->method != DW_METHOD_OPTIONS)
      return bad("the target * is for OPTIONS only");
    r->asterisk = true;
    r->raw_path = r->target;
    return fine;
  }
  return read_absolute(r);
}

/* --- The request line ------------------------------------------------------*/

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* "NAME/1.2" in another protocol or version is well-formed, and unsupported. */
static dw_fault read_version(dw_request *r, dw_slice v) {
  if (dw_slice_equal(v, DW_LITERAL("HTTP/1.1"))) {
    r->minor = 1;
    return fine;
  }
  if (dw_slice_equal(v, DW_LITERAL("HTTP/1.0"))) {
    r->minor = 0;
    return fine;
  }
  bool formed = v.len > 4 && v.ptr[v.len - 4] == '/' &&
                is_digit(v.ptr[v.len - 3]) && v.ptr[v.len - 2] == '.' &&
                is_digit(v.ptr[v.len - 1]);
  for (size_t i = 0; formed && i < v.len - 4; i++)
    formed = v.ptr[i] >= 'A' && v.ptr[i] <= 'Z';
  return formed ? dw_fault_make(505, "only HTTP/1.0 and HTTP/1.1 are served")
                : bad("malformed HTTP version");
}

static dw_slice until_space(dw_slice *rest) {
  const char *space = rest->len > 0 ? memchr(rest->ptr, ' ', rest->len) : NULL;
  dw_slice part = *rest;
  if (space) part.len = (size_t)(space - rest->ptr);
  size_t taken = part.len + (space != NULL);
  *rest = dw_slice_of(rest->ptr + taken, rest->len - taken);
  return part;
}

dw_fault dw_head_line(dw_request *r, dw_slice line) {
  dw_slice name = until_space(&line);
  r->method = dw_method_find(name);
  r->target = until_space(&line);
  if (name.len == 0 || r->target.len == 0) return bad("malformed request line");
  dw_fault fault = read_version(r, line);
  if (fault.status) return fault;
  if (r->method == DW_METHOD_UNKNOWN)
    return dw_fault_make(501, "unknown method");
  if (r->method == DW_METHOD_CONNECT)
    return dw_fault_make(501, "CONNECT: this is no proxy");
  return read_target(r);
}

/* --- Fields ----------------------------------------------------------------*/

/* The fields that matter here. */
typedef struct view {
  dw_header *host;
  const dw_header *length, *coding;
  int hosts, lengths, codings;
  bool upgrade;
  bool continues, expects_more; /* 100-continue, and something else */
  dw_connection_options connection;
} view;

static bool named(const dw_header *h, const char *name) {
  return dw_slice_equal_nocase(h->name, dw_slice_of(name, h->name.len));
}

void dw_head_connection(dw_slice value, dw_connection_options *options) {
  dw_slice option;
  while (dw_list_next(&value, &option)) {
    if (dw_slice_equal_nocase(option, DW_LITERAL("close")))
      options->close = true;
    else if (dw_slice_equal_nocase(option, DW_LITERAL("keep-alive")))
      options->keep_alive = true;
    else if (dw_slice_equal_nocase(option, DW_LITERAL("upgrade")))
      options->upgrade = true;
  }
}

static void look_at_expect(view *v, dw_slice value) {
  dw_slice expectation;
  while (dw_list_next(&value, &expectation)) {
    if (dw_slice_equal_nocase(expectation, DW_LITERAL("100-continue")))
      v->continues = true;
    else if (expectation.len > 0)
      v->expects_more = true;
  }
}

static void look_at(view *v, dw_header *h) {
  switch (h->name.len) {
  case 4:
    if (!named(h, "Host")) break;
    v->host = h;
    v->hosts++;
    break;
  case 6:
    if (named(h, "Expect")) look_at_expect(v, h->value);
    break;
  case 7:
    if (named(h, "Upgrade")) v->upgrade = true;
    break;
  case 10:
    if (named(h, "Connection")) dw_head_connection(h->value, &v->connection);
    break;
  case 14:
    if (!named(h, "Content-Length")) break;
    v->length = h;
    v->lengths++;
    break;
  case 17:
    if (!named(h, "Transfer-Encoding")) break;
    v->coding = h;
    v->codings++;
    break;
  default:
    break;
  }
}

/* --- Framing ---------------------------------------------------------------*/

bool dw_head_length(dw_slice value, uint64_t *length) {
  uint64_t n = 0;
  if (value.len == 0) return false;
  for (size_t i = 0; i < value.len; i++) {
    if (!is_digit(value.ptr[i])) return false;
    unsigned digit = (unsigned)(value.ptr[i] - '0');
    if (n > (UINT64_MAX - digit) / 10) return false;
    n = n * 10 + digit;
  }
  *length = n;
  return true;
}

/* Of several codings the last must be chunked, and only it, for the body to
 * have an end (RFC 9112, 6.3); those before it nobody here undoes. */
static dw_fault check_coding(dw_slice value) {
  const char *not_chunked = "Transfer-Encoding is not chunked";
  dw_slice coding = DW_EMPTY;
  bool chunked = false, others = false;
  while (dw_list_next(&value, &coding)) {
    if (chunked || !dw_is_token(coding)) return bad(not_chunked);
    chunked = dw_slice_equal_nocase(coding, DW_LITERAL("chunked"));
    others |= !chunked;
  }
  if (!chunked) return bad(not_chunked);
  if (others) return dw_fault_make(501, "a transfer coding besides chunked");
  return fine;
}

static dw_fault read_framing(dw_request *r, const view *v) {
  if (v->codings + v->lengths > 1)
    return bad("more than one Content-Length or Transfer-Encoding");
  if (v->length) {
    r->has_content_length = true;
    if (!dw_head_length(v->length->value, &r->content_length))
      return bad("malformed Content-Length");
  }
  if (!v->coding) return fine;
  if (r->minor == 0) return bad("Transfer-Encoding in HTTP/1.0");
  r->chunked = true;
  return check_coding(v->coding->value);
}

/* --- Host ------------------------------------------------------------------*/

static dw_fault lower_host(dw_request *r, dw_slice host) {
  size_t i = 0;
  r->host = host;
  while (i < host.len && !(host.ptr[i] >= 'A' && host.ptr[i] <= 'Z')) i++;
  if (i == host.len) return fine;
  char *copy = dw_arena_copy(&r->arena, host.ptr, host.len);
  if (!copy) return dw_fault_make(503, "out of memory");
  for (; i < host.len; i++) {
    if (copy[i] >= 'A' && copy[i] <= 'Z') copy[i] |= 0x20;
  }
  r->host.ptr = copy;
  return fine;
}

/* The authority of an absolute target takes the place of Host, for those too
 * who look at the header (RFC 9112, 3.2.2). */
static dw_fault read_host(dw_request *r, const view *v) {
  dw_slice host, port;
  if (v->hosts > 1) return bad("repeated Host");
  if (v->hosts == 0 && r->minor > 0) return bad("no Host");
  bool given = v->host && (v->host->value.len > 0 || r->minor > 0);
  if (given && !dw_authority_split(v->host->value, &host, &port))
    return bad("invalid Host");
  if (r->scheme.len > 0) {
    if (!dw_authority_split(r->authority, &host, &port))
      return bad("invalid host in the request target");
    if (v->host) v->host->value = r->authority;
    return lower_host(r, host);
  }
  r->scheme = DW_LITERAL("http");
  if (!given) return fine;
  r->authority = v->host->value;
  return lower_host(r, host);
}

/* --- All together ----------------------------------------------------------*/

static dw_fault read_expect(dw_request *r, const view *v) {
  if (r->minor == 0) return fine; /* no such thing there */
  if (v->expects_more)
    return dw_fault_make(417, "an expectation other than 100-continue");
  r->expects_continue = v->continues && (r->chunked || r->content_length > 0);
  return fine;
}

static void read_connection(dw_request *r, const view *v) {
  const dw_connection_options *c = &v->connection;
  r->keep_alive = !c->close && (r->minor > 0 || c->keep_alive);
  r->upgrade = r->minor > 0 && c->upgrade && v->upgrade;
}

dw_fault dw_head_fields(dw_request *r) {
  view v = {0};
  for (size_t i = 0; i < r->nheaders; i++) {
    if (!dw_is_token(r->headers[i].name)) return bad("malformed header name");
    look_at(&v, &r->headers[i]);
  }
  read_connection(r, &v);
  dw_fault fault = read_framing(r, &v);
  if (!fault.status) fault = read_host(r, &v);
  if (!fault.status) fault = read_expect(r, &v);
  return fault;
}
