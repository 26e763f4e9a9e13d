/* SPDX-License-Identifier: MIT */
/* multipart/form-data. The delimiter is CRLF, two dashes and the boundary; as a
 * boundary has no CR, a match that fails can only begin anew where it failed.
 */
#include "http/multipart.h"

#include "base/error.h"
#include "http/parameters.h"
#include "http/tokens.h"

enum state {
  PREAMBLE,  /* before the first boundary */
  CONTENT,   /* of a part */
  BEHIND,    /* right behind a boundary */
  DASH,      /* ... and one dash */
  PADDING,   /* white space behind a boundary */
  LINE_END,  /* ... and a CR */
  HEAD,      /* headers of a part */
  CLOSED,    /* behind the last boundary */
  CLOSED_CR, /* ... and a CR */
  EPILOGUE,
  FAILED
};

static dw_multipart_event fail(dw_multipart *p, int status,
                               const char *reason) {
  p->fault = dw_fault_make(status, reason);
  p->state = FAILED;
  return DW_MULTIPART_ERROR;
}

static dw_multipart_event bad(dw_multipart *p, const char *reason) {
  return fail(p, 400, reason);
}

/* --- The boundary ----------------------------------------------------------*/

bool dw_multipart_is(dw_slice content_type) {
  return dw_slice_equal_nocase(dw_parameters_begin(&content_type),
                               DW_LITERAL("multipart/form-data"));
}

/* More characters are let through than RFC 2046 allows: "*****" is in use. */
static bool is_boundary(const char *text, size_t len) {
  if (len == 0 || text[len - 1] == ' ') return false;
  for (size_t i = 0; i < len; i++)
    if (text[i] < ' ' || text[i] > '~') return false;
  return true;
}

static void read_boundary(dw_multipart *p, dw_slice type) {
  dw_parameter parameter;
  int more;
  dw_parameters_begin(&type);
  while ((more = dw_parameters_next(&type, &parameter)) > 0) {
    if (!dw_slice_equal_nocase(parameter.name, DW_LITERAL("boundary")))
      continue;
    if (p->len > 4) {
      bad(p, "its Content-Type has two boundaries");
      return;
    }
    if (parameter.raw.len > DW_BOUNDARY_MAX) {
      bad(p, "its boundary is longer than 70 characters");
      return;
    }
    size_t len = dw_parameter_unquote(p->delimiter + 4, &parameter);
    if (!is_boundary(p->delimiter + 4, len)) {
      bad(p, "its boundary has characters that a boundary can't have");
      return;
    }
    p->len = 4 + len;
  }
  if (more < 0)
    bad(p, "its Content-Type is malformed");
  else if (p->len == 4)
    bad(p, "its Content-Type has no boundary");
}

void dw_multipart_init(dw_multipart *p, dw_allocator *a,
                       dw_slice content_type) {
  memset(p, 0, sizeof *p);
  dw_buffer_init(&p->head, a, 0);
  memcpy(p->delimiter, "\r\n--", 4);
  p->len = 4;
  p->matched = p->implied = 2; /* the body begins a line */
  read_boundary(p, content_type);
}

void dw_multipart_deinit(dw_multipart *p) { dw_buffer_deinit(&p->head); }

/* --- The head of a part ----------------------------------------------------*/

/* Decodes behind the head, where read_head has made room. */
static dw_slice put_text(dw_multipart *p, const dw_parameter *parameter) {
  char *out = p->head.ptr + p->head.len;
  size_t len = dw_parameter_form_text(out, parameter);
  p->head.len += len;
  return dw_slice_of(out, len);
}

static bool put_extended(dw_multipart *p, const dw_parameter *parameter) {
  char *out = p->head.ptr + p->head.len;
  size_t len;
  if (!dw_parameter_extended(out, &len, parameter)) return false;
  p->head.len += len;
  p->part.filename = dw_slice_of(out, len);
  return true;
}

static bool has(const dw_parameter *p) { return p->name.len > 0; }

typedef struct disposition {
  dw_parameter name, filename, extended;
} disposition;

/* "filename*0" and so on (RFC 2231): who doesn't know of these takes the file
 * for a field. */
static bool is_piece(dw_slice name) {
  dw_slice start = DW_LITERAL("filename*");
  return name.len > start.len &&
         dw_slice_equal_nocase(dw_slice_of(name.ptr, start.len), start);
}

static const char *read_disposition(disposition *d, dw_slice value) {
  static const dw_slice names[] = {
      {"name", 4}, {"filename", 8}, {"filename*", 9}};
  dw_parameter *to[] = {&d->name, &d->filename, &d->extended};
  dw_parameter parameter;
  int more;
  if (!dw_slice_equal_nocase(dw_parameters_begin(&value),
                             DW_LITERAL("form-data")))
    return "the Content-Disposition of a part is not form-data";
  while ((more = dw_parameters_next(&value, &parameter)) > 0) {
    if (is_piece(parameter.name)) return "a filename is in pieces (filename*0)";
    for (size_t i = 0; i < 3; i++) {
      if (!dw_slice_equal_nocase(parameter.name, names[i])) continue;
      if (has(to[i])) return "a Content-Disposition has a parameter twice";
      *to[i] = parameter;
    }
  }
  if (more < 0) return "the Content-Disposition of a part is malformed";
  return has(&d->name) ? NULL : "a part has no name";
}

static const char *use_disposition(dw_multipart *p, dw_slice value) {
  disposition d = {0};
  const char *reason = read_disposition(&d, value);
  if (reason) return reason;
  p->part.name = put_text(p, &d.name);
  p->part.is_file = has(&d.filename) || has(&d.extended);
  if (has(&d.extended))
    return put_extended(p, &d.extended)
               ? NULL
               : "a filename* is malformed, or in another charset than UTF-8";
  if (has(&d.filename)) p->part.filename = put_text(p, &d.filename);
  return NULL;
}

static const char *read_header(dw_part *part, dw_slice line) {
  const char *colon = memchr(line.ptr, ':', line.len);
  if (*line.ptr == ' ' || *line.ptr == '\t')
    return "a header of a part is folded";
  if (!colon) return "a header of a part has no colon";
  dw_header h = {.name = {line.ptr, (size_t)(colon - line.ptr)}};
  h.value = dw_slice_trim(dw_slice_of(colon + 1, line.len - h.name.len - 1));
  if (!dw_is_token(h.name)) return "the name of a part's header is malformed";
  if (!dw_is_field_value(h.value))
    return "a header of a part has a control character";
  part->headers[part->nheaders++] = h;
  return NULL;
}

static dw_multipart_event use_headers(dw_multipart *p) {
  static const dw_slice wanted = {"Content-Disposition", 19};
  static const dw_slice type = {"Content-Type", 12};
  dw_part *part = &p->part;
  if (dw_header_count(part->headers, part->nheaders, wanted) > 1)
    return bad(p, "a part has two Content-Dispositions");
  if (dw_header_count(part->headers, part->nheaders, type) > 1)
    return bad(p, "a part has two Content-Types");
  const dw_header *h = dw_header_find(part->headers, part->nheaders, wanted);
  if (!h) return bad(p, "a part has no Content-Disposition");
  const char *reason = use_disposition(p, h->value);
  if (reason) return bad(p, reason);
  h = dw_header_find(part->headers, part->nheaders, type);
  part->has_content_type = h != NULL;
  part->content_type = h ? h->value : DW_EMPTY;
  p->state = CONTENT;
  p->matched = p->implied = 2; /* an empty line begins one as well */
  return DW_MULTIPART_PART;
}

/* The head is complete. What names decode to has room behind it, so that
 * slices of it stay good. */
static dw_multipart_event read_head(dw_multipart *p) {
  if (dw_buffer_reserve(&p->head, p->head.len) < 0)
    return fail(p, 503, "out of memory");
  dw_slice rest = dw_buffer_slice(&p->head);
  memset(&p->part, 0, sizeof p->part);
  p->part.filename = DW_EMPTY;
  for (;;) {
    const char *end = memchr(rest.ptr, '\n', rest.len);
    dw_slice line = {rest.ptr, (size_t)(end - rest.ptr) - 1};
    if (line.len == 0) return use_headers(p);
    if (p->part.nheaders == DW_PART_HEADERS_MAX)
      return fail(p, 413, "a part has more than 32 headers");
    const char *reason = read_header(&p->part, line);
    if (reason) return bad(p, reason);
    rest = dw_slice_of(end + 1, rest.len - line.len - 2);
  }
}

static dw_multipart_event feed_head(dw_multipart *p, const char *bytes,
                                    size_t len, size_t *used) {
  while (*used < len) {
    const char *at = bytes + *used;
    const char *end = memchr(at, '\n', len - *used);
    size_t more = end ? (size_t)(end - at) + 1 : len - *used;
    if (p->head.len + more > DW_PART_HEAD_MAX)
      return fail(p, 413, "the headers of a part are larger than 8 KiB");
    if (dw_buffer_append(&p->head, at, more) < 0)
      return fail(p, 503, "out of memory");
    *used += more;
    if (!end) break;
    const char *line = p->head.ptr + p->line;
    size_t line_len = p->head.len - p->line;
    if (line_len < 2 || line[line_len - 2] != '\r')
      return bad(p, "a line ends in LF alone, not in CRLF");
    p->line = p->head.len;
    if (line_len == 2) return read_head(p);
  }
  return DW_MULTIPART_MORE;
}

/* --- Boundaries and what is between them -----------------------------------*/

/* How many bytes of the delimiter's rest stand at bytes. */
static size_t match(const dw_multipart *p, const char *bytes, size_t len) {
  const char *delimiter = p->delimiter + p->matched;
  size_t most = p->len - p->matched, n = 0;
  if (len < most) most = len;
  while (n < most && bytes[n] == delimiter[n]) n++;
  return n;
}

/* The content in front of what is a delimiter, or of what may become one;
 * p->matched is how much of it is there. */
static size_t scan(dw_multipart *p, const char *bytes, size_t len) {
  const char *at = bytes, *end = bytes + len;
  while ((at = memchr(at, '\r', (size_t)(end - at)))) {
    size_t n = match(p, at, (size_t)(end - at));
    if (n == p->len || at + n == end) {
      p->matched = n;
      return (size_t)(at - bytes);
    }
    at += n;
  }
  return len;
}

static dw_multipart_event found(dw_multipart *p) {
  bool content = p->state == CONTENT;
  p->state = BEHIND;
  p->matched = p->implied = 0;
  return content ? DW_MULTIPART_PART_END : DW_MULTIPART_MORE;
}

/* It wasn't a delimiter that has begun: what was held of it is content. */
static dw_multipart_event release(dw_multipart *p, dw_slice *data) {
  *data = dw_slice_of(p->delimiter + p->implied, p->matched - p->implied);
  p->matched = p->implied = 0;
  return data->len > 0 ? DW_MULTIPART_DATA : DW_MULTIPART_MORE;
}

static dw_multipart_event feed_content(dw_multipart *p, const char *bytes,
                                       size_t len, size_t *used,
                                       dw_slice *data) {
  if (p->matched > 0) {
    *used = match(p, bytes, len);
    p->matched += *used;
    if (p->matched == p->len) return found(p);
    return *used == len ? DW_MULTIPART_MORE : release(p, data);
  }
  *used = scan(p, bytes, len);
  if (*used > 0) {
    *data = dw_slice_of(bytes, *used);
    p->matched = 0; /* the next call finds it again */
    return DW_MULTIPART_DATA;
  }
  *used = p->matched;
  return p->matched == p->len ? found(p) : DW_MULTIPART_MORE;
}

static dw_multipart_event go(dw_multipart *p, enum state next) {
  p->state = (uint8_t)next;
  return DW_MULTIPART_MORE;
}

static dw_multipart_event begin_head(dw_multipart *p) {
  p->head.len = p->line = 0;
  return go(p, HEAD);
}

/* A byte of a line that begins with a boundary. */
static dw_multipart_event feed_line(dw_multipart *p, char c) {
  bool closed = p->state == CLOSED || p->state == CLOSED_CR;
  if (p->state == LINE_END || p->state == CLOSED_CR) {
    if (c != '\n') return bad(p, "a CR stands alone behind a boundary");
    return closed ? go(p, EPILOGUE) : begin_head(p);
  }
  if (c == '\n') return bad(p, "a line ends in LF alone, not in CRLF");
  if (p->state == DASH) {
    if (c != '-') return bad(p, "a boundary's line goes on behind it");
    p->state = CLOSED;
    return DW_MULTIPART_END;
  }
  if (c == '-' && p->state == BEHIND) return go(p, DASH);
  if (c == '\r') return go(p, closed ? CLOSED_CR : LINE_END);
  if (c == ' ' || c == '\t') return go(p, closed ? CLOSED : PADDING);
  return bad(p, "a boundary's line goes on behind it");
}

static dw_multipart_event feed(dw_multipart *p, const char *bytes, size_t len,
                               size_t *used, dw_slice *data) {
  switch ((enum state)p->state) {
  case PREAMBLE:
  case CONTENT:
    return feed_content(p, bytes, len, used, data);
  case HEAD:
    return feed_head(p, bytes, len, used);
  case EPILOGUE:
    *used = len;
    return DW_MULTIPART_MORE;
  case FAILED:
    return DW_MULTIPART_ERROR;
  default:
    *used = 1;
    return feed_line(p, *bytes);
  }
}

dw_multipart_event dw_multipart_feed(dw_multipart *p, const char *bytes,
                                     size_t len, size_t *used, dw_slice *data) {
  *used = 0;
  *data = DW_EMPTY;
  if (p->state == FAILED) return DW_MULTIPART_ERROR;
  while (*used < len) {
    size_t n = 0;
    bool preamble = p->state == PREAMBLE;
    dw_multipart_event event = feed(p, bytes + *used, len - *used, &n, data);
    *used += n;
    if (event == DW_MULTIPART_DATA && preamble) continue;
    if (event != DW_MULTIPART_MORE) return event;
  }
  return DW_MULTIPART_MORE;
}

dw_multipart_event dw_multipart_finish(dw_multipart *p) {
  if (p->state == CLOSED || p->state == EPILOGUE) return DW_MULTIPART_END;
  if (p->state == FAILED) return DW_MULTIPART_ERROR;
  if (p->state == PREAMBLE) return bad(p, "its boundary begins no line of it");
  if (p->state == CLOSED_CR)
    return bad(p, "a CR stands alone behind a boundary");
  return bad(p, "it ends before its last boundary");
}
