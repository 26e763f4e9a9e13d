/* SPDX-License-Identifier: MIT */
/* The request parser: the guard in front while a head arrives, then llhttp and
 * the guard behind over one copy of it, then the body. Owner: the connection.
 * Thread: the loop's. */
#include "http/parser.h"

#include "base/error.h"
#include "http/head.h"

static void reset(dw_parser *p) {
  p->request = NULL;
  dw_message_init(&p->message, p->limits);
}

void dw_parser_init(dw_parser *p, const dw_limits *limits) {
  *p = (dw_parser){.limits = limits, .reason = ""};
  reset(p);
}

bool dw_parser_started(const dw_parser *p) {
  return dw_guard_started(&p->message.guard);
}

static dw_parse refuse(dw_parser *p, dw_fault fault) {
  p->status = fault.status;
  p->reason = fault.reason;
  p->message.fault = fault; /* for good */
  return DW_PARSE_ERROR;
}

dw_parse dw_parser_scan(dw_parser *p, const char *bytes, size_t len,
                        size_t *used) {
  *used = 0;
  if (p->status) return DW_PARSE_ERROR;
  if (len == 0) return DW_PARSE_MORE;
  switch (dw_guard_head(&p->message.guard, bytes, len, used)) {
  case DW_PIECE_END:
    return DW_PARSE_HEAD;
  case DW_PIECE_FAULT:
    return refuse(p, p->message.guard.fault);
  default:
    return DW_PARSE_MORE;
  }
}

/* --- The head --------------------------------------------------------------*/

static void clear_request(dw_request *r) {
  dw_arena arena = r->arena;
  *r = (dw_request){.arena = arena,
                    .method = DW_METHOD_UNKNOWN,
                    .target = DW_EMPTY,
                    .raw_path = DW_EMPTY,
                    .query = DW_EMPTY,
                    .scheme = DW_EMPTY,
                    .authority = DW_EMPTY,
                    .host = DW_EMPTY};
}

/* The head without the empty lines in front, copied. */
static bool copy_head(dw_slice *head, dw_arena *arena) {
  while (head->len > 0 && (*head->ptr == '\r' || *head->ptr == '\n')) {
    head->ptr++;
    head->len--;
  }
  head->ptr = dw_arena_copy(arena, head->ptr, head->len);
  return head->ptr != NULL;
}

/* llhttp has no QUERY yet; POST stands in for it, being framed alike. */
static int show_head(dw_parser *p, dw_slice head, dw_request *r) {
  dw_slice first = DW_EMPTY;
  if (r->method == DW_METHOD_QUERY) {
    first = DW_LITERAL("POST");
    head.ptr += sizeof("QUERY") - 1;
    head.len -= sizeof("QUERY") - 1;
  }
  dw_message *m = &p->message;
  int err =
      dw_message_head(m, HTTP_REQUEST, first, head, m->guard.lines, &r->arena);
  r->headers = m->fields.items;
  r->nheaders = m->fields.count;
  return err;
}

static dw_fault read_line(dw_slice head, dw_request *r) {
  const char *cr = head.len > 0 ? memchr(head.ptr, '\r', head.len) : NULL;
  if (!cr) return dw_fault_make(400, "malformed request line");
  return dw_head_line(r, dw_slice_of(head.ptr, (size_t)(cr - head.ptr)));
}

static int give_up(dw_parser *p, dw_fault fault) {
  refuse(p, fault);
  return fault.status == 503 ? DW_ENOMEM : DEWAR_EPARSE;
}

static void start_body(dw_parser *p, const dw_request *r) {
  dw_body_mode mode = DW_BODY_MODE_NONE;
  if (r->chunked)
    mode = DW_BODY_MODE_CHUNKED;
  else if (r->content_length > 0)
    mode = DW_BODY_MODE_LENGTH;
  dw_message_start_body(&p->message, mode, r->content_length);
}

int dw_parser_head(dw_parser *p, const char *head, size_t len,
                   dw_request *request) {
  const dw_fault no_memory = {503, "out of memory"};
  dw_slice copy = {head, len};
  clear_request(request);
  if (p->status) return DEWAR_EPARSE;
  if (!copy_head(&copy, &request->arena)) return give_up(p, no_memory);
  dw_fault fault = read_line(copy, request);
  if (fault.status) return give_up(p, fault);
  int err = show_head(p, copy, request);
  if (err == DW_ENOMEM) return give_up(p, no_memory);
  if (err < 0) return give_up(p, p->message.fault);
  fault = dw_head_fields(request);
  if (fault.status) return give_up(p, fault);
  p->request = request;
  start_body(p, request);
  return 0;
}

/* --- The body --------------------------------------------------------------*/

dw_parse dw_parser_body(dw_parser *p, const char *bytes, size_t len,
                        size_t *used, dw_slice *data) {
  dw_message *m = &p->message;
  dw_parse result = dw_message_body(m, bytes, len, used, data);
  if (result == DW_PARSE_ERROR && !p->status) refuse(p, m->fault);
  if (result != DW_PARSE_END) return result;
  p->request->trailers = m->fields.items;
  p->request->ntrailers = m->fields.count;
  reset(p);
  return result;
}
