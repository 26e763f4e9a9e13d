/* SPDX-License-Identifier: MIT */
/* dewar_request: a request from inside the process, over an in-memory pair. It
 * is collected whole, and told to the host when the server has done with it.
 * Owner: the runtime's list, until the client is closed. */
#include "runtime.h"

#include "app/client.h"
#include "base/error.h"

typedef struct local_request {
  dw_list node;
  dewar_runtime *runtime;
  dw_client *client;
  dewar_response_cb cb;
  void *data;
  dw_buffer headers, body;
  int failed; /* collecting it has */
} local_request;

static void local_free(local_request *l) {
  dw_list_remove(&l->node);
  dw_buffer_deinit(&l->headers);
  dw_buffer_deinit(&l->body);
  dw_free(&l->runtime->alloc, l, sizeof *l);
}

/* --- The answer ------------------------------------------------------------*/

static int collect_headers(local_request *l) {
  const dw_answer *a = &l->client->answer;
  for (size_t i = 0; i < a->nheaders; i++) {
    const dw_header *h = &a->headers[i];
    int code = dw_buffer_append_slice(&l->headers, h->name);
    if (code == 0) code = dw_buffer_append(&l->headers, ": ", 2);
    if (code == 0) code = dw_buffer_append_slice(&l->headers, h->value);
    if (code == 0) code = dw_buffer_append(&l->headers, "\r\n", 2);
    if (code < 0) return code;
  }
  /* A NUL behind each, for who prints them. */
  int code = dw_buffer_append_char(&l->headers, '\0');
  return code < 0 ? code : dw_buffer_append_char(&l->body, '\0');
}

static void data_cb(dw_client *c, dw_slice bytes) {
  local_request *l = c->data;
  if (l->failed == 0) l->failed = dw_buffer_append_slice(&l->body, bytes);
}

static void done_cb(dw_client *c, int status) {
  local_request *l = c->data;
  if (status == 0) status = l->failed;
  if (status == 0) status = collect_headers(l);
  if (status == 0) {
    dewar_response response = {.status = c->answer.status,
                               .headers = l->headers.ptr,
                               .headers_len = l->headers.len - 1,
                               .body = l->body.ptr,
                               .body_len = l->body.len - 1};
    l->cb(l->data, 0, &response);
  } else {
    l->cb(l->data, status, NULL);
  }
  dw_client_close(c, false);
}

static void closed_cb(dw_client *c) { local_free(c->data); }

static const dw_client_events events = {
    .data_cb = data_cb, .done_cb = done_cb, .closed_cb = closed_cb};

/* --- The request -----------------------------------------------------------*/

/* Lines that all end in CR LF, none of them empty: what follows the head is the
 * body, and nothing else. */
static bool are_lines(dw_slice s) {
  bool in_line = false;
  for (size_t i = 0; i < s.len; i++) {
    char c = s.ptr[i];
    if (c == '\r' && i + 1 < s.len && s.ptr[i + 1] == '\n') {
      if (!in_line) return false;
      in_line = false;
      i++;
    } else if (c == '\r' || c == '\n') {
      return false;
    } else {
      in_line = true;
    }
  }
  return !in_line;
}

static int check(dewar_runtime *rt, const dw_client_request *r,
                 dewar_response_cb cb) {
  if (!cb) return dw_runtime_fail(rt, DEWAR_EINVAL, "the callback is NULL");
  if (!dw_is_token(r->method))
    return dw_runtime_fail(rt, DEWAR_EINVAL, "'%s' is no method",
                           r->method.ptr);
  if (r->target.len == 0 || !dw_is_all(r->target, DW_CHAR_TARGET))
    return dw_runtime_fail(rt, DEWAR_EINVAL,
                           "'%s' is no target; it is a path and a query, in "
                           "which other characters are written as %%20",
                           r->target.ptr);
  if (!are_lines(r->fields))
    return dw_runtime_fail(rt, DEWAR_EINVAL,
                           "the headers must be lines that end in \\r\\n, and "
                           "none of them empty");
  if (!r->body.ptr && r->body.len > 0)
    return dw_runtime_fail(rt, DEWAR_EINVAL, "the body is NULL");
  if (rt->state != DW_RUNTIME_OPEN)
    return dw_runtime_fail(rt, DEWAR_EMISUSE, "the runtime is being freed");
  return 0;
}

static int start(local_request *l, const dw_client_request *r) {
  dewar_runtime *rt = l->runtime;
  int code = dw_runtime_activate(rt);
  if (code == 0) code = dw_client_connect(&l->client, rt->server, &events, l);
  if (code < 0) {
    local_free(l);
    return dw_runtime_fail_code(rt, code, "connecting to the app");
  }
  code = dw_client_start(l->client, r);
  if (code < 0) {
    dw_client_close(l->client, false);
    return dw_runtime_fail_code(rt, code, "sending the request");
  }
  return 0;
}

int dewar_request(dewar_runtime *rt, const char *method, const char *target,
                  const char *headers, const void *body, size_t len,
                  dewar_response_cb cb, void *data) {
  if (!rt) return DEWAR_EINVAL;
  if (!method || !target)
    return dw_runtime_fail(rt, DEWAR_EINVAL, "the %s is NULL",
                           method ? "target" : "method");
  dw_client_request r = {.method = dw_slice_str(method),
                         .target = dw_slice_str(target),
                         .fields = dw_slice_str(headers ? headers : ""),
                         .body = dw_slice_of(body, len),
                         .has_body = body != NULL};
  int code = check(rt, &r, cb);
  if (code < 0) return code;
  local_request *l = dw_zalloc(&rt->alloc, sizeof *l);
  if (!l) return dw_runtime_fail_code(rt, UV_ENOMEM, "dewar_request");
  l->runtime = rt;
  l->cb = cb;
  l->data = data;
  dw_buffer_init(&l->headers, &rt->alloc, 0);
  dw_buffer_init(&l->body, &rt->alloc, 0);
  dw_list_push(&rt->requests, &l->node);
  return start(l, &r);
}
