/* SPDX-License-Identifier: MIT */
/* Answers that need no script: default error pages, redirects, OPTIONS. */
#include "app/exchange.h"

#include <stdio.h>
#include <stdlib.h>

#include "app/default_page.h"
#include "app/server.h"
#include "base/error.h"
#include "http/conditional.h"

dw_response *dw_answer_fresh(dw_exchange *x, int status) {
  dw_response_deinit(&x->plain);
  dw_response_init(&x->plain, x->server->http.alloc);
  x->response = &x->plain;
  x->plain.status = status;
  return &x->plain;
}

int dw_answer_error(dw_exchange *x) {
  dw_response *r = dw_answer_fresh(x, x->error.status);
  dw_slice text = DW_EMPTY;
  if (x->error.message) text = dw_slice_str(x->error.message);
  if (x->error.script && x->script)
    x->server->runner->describe(x, &text, r);
  if (text.len == 0)
    text = dw_slice_str(dw_error_description(x->error.status));
  dw_request *request = &x->http.request;
  bool json = dw_accepts_only_json(dw_request_header(request, "Accept"));
  dw_buffer page;
  dw_buffer_init(&page, x->server->http.alloc, 0);
  const dw_error_page debug = {text, json, r, &page};
  const dw_runner *runner = x->server->runner;
  int code = 0;
  if (!runner || !runner->error_page || !runner->error_page(x, &debug))
    code = dw_default_page(&page, x->error.status, text, json);
  if (code == 0) code = dw_response_set_body(r, dw_buffer_slice(&page));
  dw_buffer_deinit(&page);
  r->type = json ? "application/json" : "text/html; charset=utf-8";
  return code;
}

static int compare_names(const void *a, const void *b) {
  return dw_slice_compare(*(const dw_slice *)a, *(const dw_slice *)b);
}

int dw_allow_text(uint64_t methods, dw_buffer *out) {
  dw_slice names[DW_METHOD_COUNT];
  size_t n = 0;
  for (int m = 0; m < DW_METHOD_COUNT; m++)
    if (methods & DW_METHOD_BIT(m)) names[n++] = dw_method_name((dw_method)m);
  qsort(names, n, sizeof names[0], compare_names);
  int code = 0;
  for (size_t i = 0; i < n && code == 0; i++) {
    if (i) code = dw_buffer_append(out, ", ", 2);
    if (code == 0) code = dw_buffer_append_slice(out, names[i]);
  }
  return code;
}

int dw_answer_allow(dw_exchange *x) {
  dw_slice name = DW_LITERAL("Allow");
  if (dw_headers_find(&x->response->headers, name)) return 0;
  dw_buffer text;
  dw_buffer_init(&text, x->server->http.alloc, 0);
  int code = dw_allow_text(x->match.allowed, &text);
  if (code == 0)
    code = dw_headers_set(&x->response->headers, name, dw_buffer_slice(&text));
  dw_buffer_deinit(&text);
  return code;
}

dw_verdict dw_exchange_unsatisfiable(dw_exchange *x, uint64_t length) {
  x->whole = length;
  x->has_whole = true;
  return dw_exchange_fail(x, 416, NULL);
}

int dw_answer_whole(dw_exchange *x) {
  if (dw_headers_find(&x->response->headers, DW_LITERAL("Content-Range")))
    return 0;
  return dw_unsatisfiable(&x->response->headers, x->whole);
}

int dw_answer_upgrade(dw_exchange *x) {
  dw_headers *h = &x->response->headers;
  if (dw_headers_find(h, DW_LITERAL("Upgrade"))) return 0;
  int code = dw_headers_set(h, DW_LITERAL("Upgrade"), DW_LITERAL("websocket"));
  if (code == 0)
    code = dw_headers_set(h, DW_LITERAL("Sec-WebSocket-Version"),
                          DW_LITERAL("13"));
  return code;
}

int dw_answer_options(dw_exchange *x) {
  dw_answer_fresh(x, 200)->type = "text/html; charset=utf-8";
  return dw_answer_allow(x);
}

int dw_answer_redirect(dw_exchange *x) {
  dw_response *r = dw_answer_fresh(x, 308);
  dw_slice name = DW_LITERAL("Location"), to = x->match.location;
  dw_slice root = x->http.request.root;
  r->type = "text/html; charset=utf-8";
  if (root.len == 0 || to.len == 0 || to.ptr[0] != '/')
    return dw_headers_set(&r->headers, name, to);
  dw_buffer url;
  dw_buffer_init(&url, x->server->http.alloc, 0);
  int code = dw_buffer_append_slice(&url, root);
  if (code == 0) code = dw_buffer_append_slice(&url, to);
  if (code == 0)
    code = dw_headers_set(&r->headers, name, dw_buffer_slice(&url));
  dw_buffer_deinit(&url);
  return code;
}
