/* SPDX-License-Identifier: MIT */
/* The client's side: reads answers. A head is collected until it is whole, then
 * llhttp sees it; bodies go the same way as a request's. What llhttp tolerates
 * in a head (lines that end in a bare LF, no reason phrase) is tolerated.
 * Owner: whoever sent the request. Thread: the loop's. */
#include "base/error.h"
#include "http/head.h"
#include "http/parser.h"

enum { ANSWER_HEAD_MAX = 256 * 1024 };

typedef enum phase { HEAD, BODY, SWITCHED, OVER, FAILED } phase;

struct dw_answer_parser {
  dw_allocator *alloc;
  dw_answer *answer;
  int *informational;
  dw_message message;
  dw_limits limits;
  dw_buffer head;
  phase phase;
  bool to_head; /* the request was a HEAD */
};

int dw_answer_parser_new(dw_answer_parser **out, dw_allocator *a) {
  dw_answer_parser *p = dw_zalloc(a, sizeof *p);
  *out = p;
  if (!p) return DW_ENOMEM;
  p->alloc = a;
  p->phase = OVER;
  dw_limits_init(&p->limits);
  dw_buffer_init(&p->head, a, ANSWER_HEAD_MAX);
  return 0;
}

void dw_answer_parser_free(dw_answer_parser *p) {
  if (!p) return;
  dw_buffer_deinit(&p->head);
  dw_free(p->alloc, p, sizeof *p);
}

static void clear_answer(dw_answer *answer) {
  dw_arena arena = answer->arena;
  *answer = (dw_answer){.arena = arena, .reason = DW_EMPTY};
}

void dw_answer_parser_start(dw_answer_parser *p, dw_answer *answer,
                            dw_method method, int *informational) {
  p->answer = answer;
  p->informational = informational;
  p->to_head = method == DW_METHOD_HEAD;
  p->phase = HEAD;
  p->head.len = 0;
  if (informational) *informational = 0;
  clear_answer(answer);
  dw_message_init(&p->message, &p->limits);
}

const char *dw_answer_parser_reason(const dw_answer_parser *p) {
  return p->message.fault.reason ? p->message.fault.reason : "";
}

static dw_parse fail(dw_answer_parser *p, const char *reason) {
  if (!p->message.fault.status) p->message.fault = dw_fault_make(400, reason);
  p->phase = FAILED;
  return DW_PARSE_ERROR;
}

/* --- The head --------------------------------------------------------------*/

/* Where the head ends in the collected bytes, or 0; an empty line is an LF with
 * at most a CR between it and the last. */
static size_t find_end(dw_slice head, size_t from) {
  for (size_t i = from; i < head.len; i++) {
    if (head.ptr[i] != '\n' || i == 0) continue;
    size_t before = head.ptr[i - 1] == '\r' ? i - 1 : i;
    if (before > 0 && head.ptr[before - 1] == '\n') return i + 1;
  }
  return 0;
}

/* Collects up to the end of the head; *used of the bytes belong to it. */
static dw_parse collect(dw_answer_parser *p, const char *bytes, size_t len,
                        size_t *used) {
  size_t before = p->head.len;
  size_t room = ANSWER_HEAD_MAX - before;
  int err = dw_buffer_append(&p->head, bytes, len < room ? len : room);
  if (err < 0) return fail(p, "out of memory");
  size_t end = find_end(dw_buffer_slice(&p->head), before);
  if (end == 0) {
    *used = len;
    return len <= room ? DW_PARSE_MORE : fail(p, "head too large");
  }
  *used = end - before;
  p->head.len = end;
  return DW_PARSE_HEAD;
}

static bool skips_body(const dw_answer_parser *p, int status) {
  return p->to_head || dw_status_bodiless(status);
}

/* The status in "HTTP/1.1 200 OK"; 0 where it is something else. */
static int read_status(dw_answer *answer, dw_slice head) {
  const char *s = head.ptr;
  if (head.len < 13 || memcmp(s, "HTTP/1.", 7) != 0) return 0;
  if (s[7] != '0' && s[7] != '1') return 0;
  int status = 0;
  for (int i = 9; i < 12; i++) {
    if (s[i] < '0' || s[i] > '9') return 0;
    status = status * 10 + (s[i] - '0');
  }
  const char *lf = memchr(s, '\n', head.len);
  const char *end = lf && lf[-1] == '\r' ? lf - 1 : lf;
  if (end && end > s + 13)
    answer->reason = dw_slice_of(s + 13, (size_t)(end - s) - 13);
  answer->minor = (uint8_t)(s[7] - '0');
  answer->status = status;
  return status >= 100 ? status : 0;
}

static bool read_fields(dw_answer *answer, const dw_message *m) {
  dw_connection_options connection = {0};
  dw_slice coding = DW_EMPTY;
  answer->headers = m->fields.items;
  answer->nheaders = m->fields.count;
  for (size_t i = 0; i < m->fields.count; i++) {
    const dw_header *h = &m->fields.items[i];
    if (dw_slice_equal_nocase(h->name, DW_LITERAL("Connection")))
      dw_head_connection(h->value, &connection);
    else if (dw_slice_equal_nocase(h->name, DW_LITERAL("Transfer-Encoding")))
      coding = h->value;
    else if (dw_slice_equal_nocase(h->name, DW_LITERAL("Content-Length"))) {
      answer->has_content_length = true;
      if (!dw_head_length(h->value, &answer->content_length)) return false;
    }
  }
  answer->keep_alive =
      !connection.close && (answer->minor > 0 || connection.keep_alive);
  answer->chunked = dw_slice_equal_nocase(coding, DW_LITERAL("chunked"));
  return coding.len == 0 || answer->chunked;
}

static void start_body(dw_answer_parser *p) {
  const dw_answer *answer = p->answer;
  dw_body_mode mode = DW_BODY_MODE_REST;
  if (p->message.bodiless)
    mode = DW_BODY_MODE_NONE;
  else if (answer->chunked)
    mode = DW_BODY_MODE_CHUNKED;
  else if (answer->has_content_length)
    mode = DW_BODY_MODE_LENGTH;
  if (mode == DW_BODY_MODE_REST) p->answer->keep_alive = false;
  dw_message_start_body(&p->message, mode, answer->content_length);
}

static size_t count_lines(dw_slice head) {
  size_t count = 0;
  for (size_t i = 0; i < head.len; i++) count += head.ptr[i] == '\n';
  return count;
}

static dw_parse read_head(dw_answer_parser *p) {
  dw_message *m = &p->message;
  dw_answer *answer = p->answer;
  dw_slice head = dw_buffer_slice(&p->head);
  head.ptr = dw_arena_copy(&answer->arena, head.ptr, head.len);
  p->head.len = 0;
  if (!head.ptr) return fail(p, "out of memory");
  int status = read_status(answer, head);
  if (!status) return fail(p, "malformed status line");
  m->bodiless = skips_body(p, status);
  int err = dw_message_head(m, HTTP_RESPONSE, DW_EMPTY, head, count_lines(head),
                            &answer->arena);
  if (err == DW_ENOMEM) return fail(p, "out of memory");
  if (err < 0 || !read_fields(answer, m)) return fail(p, "malformed head");
  if (status == 101) {
    p->phase = SWITCHED;
    return DW_PARSE_HEAD;
  }
  if (status >= 200) {
    p->phase = BODY;
    start_body(p);
    return DW_PARSE_HEAD;
  }
  if (p->informational) ++*p->informational;
  clear_answer(answer);
  dw_message_init(m, &p->limits);
  return DW_PARSE_MORE;
}

static dw_parse feed_head(dw_answer_parser *p, const char *bytes, size_t len,
                          size_t *used) {
  dw_parse result;
  do {
    size_t taken = 0;
    result = collect(p, bytes + *used, len - *used, &taken);
    *used += taken;
    if (result == DW_PARSE_HEAD) result = read_head(p);
  } while (result == DW_PARSE_MORE && *used < len);
  return result;
}

/* --- The body --------------------------------------------------------------*/

static dw_parse finish(dw_answer_parser *p) {
  p->answer->trailers = p->message.fields.items;
  p->answer->ntrailers = p->message.fields.count;
  p->phase = OVER;
  return DW_PARSE_END;
}

dw_parse dw_answer_parser_feed(dw_answer_parser *p, const char *bytes,
                               size_t len, bool eof, size_t *used,
                               dw_slice *data) {
  *used = 0;
  *data = DW_EMPTY;
  if (len == 0) bytes = "";
  dw_parse result = DW_PARSE_ERROR;
  if (p->phase == HEAD) {
    result = feed_head(p, bytes, len, used);
  } else if (p->phase == SWITCHED) {
    dw_message_start_body(&p->message, DW_BODY_MODE_NONE, 0);
    return finish(p);
  } else if (p->phase == BODY) {
    result = dw_message_body(&p->message, bytes, len, used, data);
    if (result == DW_PARSE_END) return finish(p);
    if (result == DW_PARSE_ERROR) return fail(p, "malformed body");
  }
  if (result != DW_PARSE_MORE || !eof) return result;
  if (p->phase == BODY && dw_guard_ends_at_eof(&p->message.guard))
    return finish(p);
  return fail(p, "the connection ended within the answer");
}
