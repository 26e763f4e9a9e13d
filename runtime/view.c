/* SPDX-License-Identifier: MIT */
/* C views: a handler that calls the host, and what the host does with an
 * exchange. A call lives in the request's arena from the view's first line to
 * the request's end, so that using an exchange wrongly is noticed until then.
 * An answer that comes after the view has returned moves the request on from
 * the loop's deferred queue, never under the host's feet. */
#include "runtime.h"

#include <stdio.h>

#include "base/error.h"

/* What was registered, to be added to an app that is loaded later. */
typedef struct view_route {
  dw_list node;
  dewar_view_cb view;
  void *data;
  uint64_t methods;
  size_t len;
  char rule[];
} view_route;

typedef struct view_handler {
  dw_handler base;
  dewar_runtime *runtime;
  dewar_view_cb view;
  void *data;
} view_handler;

typedef enum call_state {
  CALL_RUNNING,  /* the view is on the stack, nothing has been decided */
  CALL_DEFERRED, /* it will answer later */
  CALL_ANSWERED,
  CALL_FAILED, /* the exchange's error says why */
  CALL_CANCELLED
} call_state;

typedef struct view_call {
  dw_list node; /* of the runtime's, while the request is pending */
  dewar_runtime *runtime;
  dw_exchange *x;
  call_state state;
  bool pending;  /* the view has returned, and dispatch waits for us */
  bool deferred; /* dewar_defer was called */
  void (*cancel)(dewar_exchange *x, void *data);
  void *cancel_data;
  dewar_body_cb body_cb; /* while the body is awaited */
  void *body_data;
  dw_deferred resume;
  const char *path, *query; /* made when asked for */
} view_call;

static view_call *call_of(const dewar_exchange *x) {
  return x ? x->view : NULL;
}

static dw_arena *arena_of(dewar_exchange *x) { return &x->http.request.arena; }

/* --- Moving the request on -------------------------------------------------*/

/* Dispatch doesn't wait for us any more, or is about to be told so. */
static void leave_pending(view_call *call) {
  if (!call->pending) return;
  call->pending = false;
  dw_list_remove(&call->node);
  dw_loop_release(&call->runtime->loop);
}

/* An answer that comes when time was up is not wanted any more: dispatch makes
 * a 503 of it. */
static void resume_cb(dw_deferred *d) {
  view_call *call = d->data;
  dw_exchange *x = call->x;
  leave_pending(call);
  if (x->timed_out) {
    call->state = CALL_FAILED;
    x->error = (dw_error){.cls = &dw_error_cancelled};
  }
  dw_exchange_resume(x, call->state == CALL_ANSWERED ? DW_DONE : DW_FAILED);
}

/* Dispatch's cancel_cb: it resumes the exchange itself. */
static void cancelled_cb(dw_exchange *x, void *data) {
  view_call *call = data;
  dewar_body_cb body_cb = call->body_cb;
  leave_pending(call);
  call->state = CALL_CANCELLED;
  call->body_cb = NULL;
  x->body_cb = NULL;
  if (body_cb) body_cb(x, DEWAR_ECANCELED, NULL, 0, call->body_data);
  if (call->cancel) call->cancel(x, call->cancel_data);
}

/* The request can't be cancelled before its view has returned, nor once it is
 * answered; where the host has not said how, only the runtime's end does it. */
static void update_cancel(view_call *call) {
  bool can = call->pending && call->state == CALL_DEFERRED &&
             (call->cancel || call->body_cb);
  call->x->cancel_cb = can ? cancelled_cb : NULL;
  call->x->cancel_data = call;
}

/* The view, or who answers for it, has decided. */
static void decide(view_call *call, call_state state) {
  call->state = state;
  update_cancel(call);
  if (call->pending) dw_loop_defer(&call->runtime->loop, &call->resume);
}

/* --- Calling ---------------------------------------------------------------*/

/* What the host has said of an answer goes, as another one will be made. */
static void drop_answer(dw_exchange *x) {
  dw_response_deinit(&x->plain);
  dw_response_init(&x->plain, x->server->http.alloc);
  x->response = &x->plain;
}

static dw_verdict fail(view_call *call, const char *format, int code) {
  dw_exchange *x = call->x;
  char text[256];
  int len = snprintf(text, sizeof text, format, code, dw_strerror(code));
  const char *message =
      dw_arena_copy(arena_of(x), text,
                    (size_t)len < sizeof text ? (size_t)len : sizeof text - 1);
  call->state = CALL_FAILED;
  drop_answer(x);
  x->error = (dw_error){
      .cls = &dw_error_base,
      .message = message ? message : "the view failed, and memory is out"};
  return DW_FAILED;
}

static dw_verdict become_pending(view_call *call) {
  call->pending = true;
  dw_list_push(&call->runtime->calls, &call->node);
  dw_loop_hold(&call->runtime->loop);
  update_cancel(call);
  return DW_PENDING;
}

/* What the view has left behind. */
static dw_verdict conclude(view_call *call, int code) {
  if (call->state == CALL_FAILED) return DW_FAILED;
  if (code < 0) return fail(call, "the view returned %d: %s", code);
  if (code > 0)
    return fail(call,
                "the view returned %d, which is neither 0 nor a negative "
                "code",
                code);
  if (call->state == CALL_ANSWERED) return DW_DONE;
  if (call->state == CALL_DEFERRED) return become_pending(call);
  return fail(call,
              "the view returned 0 without having called dewar_respond "
              "or dewar_defer",
              0);
}

static dw_verdict view_handler_call(dw_handler *base, dw_exchange *x) {
  view_handler *h = (view_handler *)base;
  view_call *call = dw_arena_zalloc(arena_of(x), sizeof *call);
  if (!call) return dw_exchange_fail(x, 503, "out of memory");
  dw_list_init(&call->node);
  dw_deferred_init(&call->resume, resume_cb, call);
  call->runtime = h->runtime;
  call->x = x;
  x->view = call;
  return conclude(call, h->view(x, h->data));
}

static void view_handler_free(dw_handler *h, dw_allocator *a) {
  dw_free(a, h, sizeof(view_handler));
}

void dw_views_drop(dewar_runtime *rt) {
  for (dw_list *n = rt->calls.next, *next; n != &rt->calls; n = next) {
    view_call *call = DW_CONTAINER(n, view_call, node);
    next = n->next;
    if (call->state != CALL_DEFERRED) continue;
    fail(call, "the runtime was freed before the view answered", 0);
    decide(call, CALL_FAILED);
  }
}

/* --- Registering -----------------------------------------------------------*/

static int add_to_app(dewar_runtime *rt, dw_app *app, const view_route *route) {
  view_handler *h = dw_alloc(&rt->alloc, sizeof *h);
  if (!h) return dw_runtime_fail_code(rt, UV_ENOMEM, "dewar_route");
  *h = (view_handler){.base = {view_handler_call, view_handler_free},
                      .runtime = rt,
                      .view = route->view,
                      .data = route->data};
  dw_rule_options options = {.rule = dw_slice_of(route->rule, route->len),
                             .endpoint = DW_EMPTY,
                             .methods = route->methods,
                             .strict_slashes = -1,
                             .merge_slashes = -1,
                             .host = DW_EMPTY,
                             .subdomain = DW_EMPTY,
                             .redirect_to = DW_EMPTY,
                             .automatic_options = true};
  dw_buffer message;
  dw_buffer_init(&message, &rt->alloc, 0);
  dw_route *added;
  int code = dw_app_add_route(app, &options, &h->base, NULL, &added, &message);
  if (code == DEWAR_EMISUSE)
    dw_runtime_fail(rt, code, "the route %s comes after the first request",
                    route->rule);
  else if (code < 0 && message.len)
    dw_runtime_fail(rt, code, "%.*s", DW_FMT(dw_buffer_slice(&message)));
  else if (code < 0)
    dw_runtime_fail_code(rt, code, route->rule);
  dw_buffer_deinit(&message);
  return code;
}

int dw_views_add_all(dewar_runtime *rt, dw_app *app) {
  int code = 0;
  for (dw_list *n = rt->routes.next; n != &rt->routes && code == 0; n = n->next)
    code = add_to_app(rt, app, DW_CONTAINER(n, view_route, node));
  return code;
}

static void route_free(dewar_runtime *rt, view_route *route) {
  dw_free(&rt->alloc, route, sizeof *route + route->len + 1);
}

void dw_views_deinit(dewar_runtime *rt) {
  for (dw_list *n; (n = dw_list_shift(&rt->routes));)
    route_free(rt, DW_CONTAINER(n, view_route, node));
}

/* "GET, POST" as a set. 0: there is something in it that is no method. */
static uint64_t read_methods(dw_slice text, dw_slice *bad) {
  uint64_t methods = 0;
  dw_slice name;
  while (dw_list_next(&text, &name)) {
    dw_method m = dw_method_find(name);
    *bad = name;
    if (m == DW_METHOD_UNKNOWN) return 0;
    methods |= DW_METHOD_BIT(m);
  }
  return methods;
}

int dewar_route(dewar_runtime *rt, const char *methods, const char *rule,
                dewar_view_cb view, void *data) {
  if (!rt) return DEWAR_EINVAL;
  if (!rule || !view)
    return dw_runtime_fail(rt, DEWAR_EINVAL, "the %s of a route is NULL",
                           rule ? "view" : "rule");
  if (rt->state != DW_RUNTIME_OPEN)
    return dw_runtime_fail(rt, DEWAR_EMISUSE, "the runtime is being freed");
  dw_slice bad = DW_EMPTY;
  uint64_t set = read_methods(dw_slice_str(methods ? methods : "GET"), &bad);
  if (set == 0)
    return dw_runtime_fail(rt, DEWAR_EINVAL,
                           "'%.*s' in the methods of %s is no method; methods "
                           "are upper case, with commas between them",
                           DW_FMT(bad), rule);
  size_t len = strlen(rule);
  view_route *route = dw_alloc(&rt->alloc, sizeof *route + len + 1);
  if (!route) return dw_runtime_fail_code(rt, UV_ENOMEM, "dewar_route");
  *route = (view_route){.view = view, .data = data, .methods = set, .len = len};
  memcpy(route->rule, rule, len + 1);
  int code = add_to_app(rt, rt->app, route);
  if (code == 0 && !rt->loaded)
    dw_list_push(&rt->routes, &route->node);
  else
    route_free(rt, route);
  return code;
}

int dewar_get(dewar_runtime *rt, const char *rule, dewar_view_cb view,
              void *data) {
  return dewar_route(rt, "GET", rule, view, data);
}

/* --- Answering -------------------------------------------------------------*/

/* Whether the request still waits for an answer: 0, or why not. */
static int check_open(const view_call *call) {
  if (!call) return DEWAR_EINVAL;
  switch (call->state) {
  case CALL_RUNNING:
  case CALL_DEFERRED:
    return 0;
  case CALL_CANCELLED:
    return DEWAR_ECANCELED;
  default:
    return DEWAR_EMISUSE;
  }
}

int dewar_defer(dewar_exchange *x,
                void (*cancel)(dewar_exchange *x, void *data), void *data) {
  view_call *call = call_of(x);
  int code = check_open(call);
  if (code < 0) return code;
  if (call->deferred) return DEWAR_EMISUSE;
  call->deferred = true;
  call->state = CALL_DEFERRED;
  call->cancel = cancel;
  call->cancel_data = data;
  update_cancel(call);
  return 0;
}

int dewar_set_header(dewar_exchange *x, const char *name, const char *value) {
  view_call *call = call_of(x);
  int code = check_open(call);
  if (code < 0) return code;
  if (!name || !value) return DEWAR_EINVAL;
  return dw_headers_set(&x->plain.headers, dw_slice_str(name),
                        dw_slice_str(value));
}

int dewar_add_header(dewar_exchange *x, const char *name, const char *value) {
  view_call *call = call_of(x);
  int code = check_open(call);
  if (code < 0) return code;
  if (!name || !value) return DEWAR_EINVAL;
  return dw_headers_add(&x->plain.headers, dw_slice_str(name),
                        dw_slice_str(value));
}

int dewar_respond(dewar_exchange *x, int status, const char *type,
                  const void *body, size_t len) {
  view_call *call = call_of(x);
  int code = check_open(call);
  if (code < 0) return code;
  /* 1xx are not answers, and nothing else is defined. */
  if (status < 200 || status > 599 || (!body && len > 0)) return DEWAR_EINVAL;
  dw_response *r = &x->plain;
  dw_response_clear_body(r);
  if (type)
    code = dw_headers_set(&r->headers, DW_LITERAL("Content-Type"),
                          dw_slice_str(type));
  if (code == 0) code = dw_response_set_status(r, status, DW_EMPTY);
  if (code == 0 && len > 0)
    code = dw_response_set_body(r, dw_slice_of(body, len));
  if (code < 0) return code;
  r->type = "text/html; charset=utf-8";
  x->response = r;
  decide(call, CALL_ANSWERED);
  return 0;
}

/* --- Looking at the request ------------------------------------------------*/

dewar_runtime *dewar_exchange_runtime(const dewar_exchange *x) {
  view_call *call = call_of(x);
  return call ? call->runtime : NULL;
}

const char *dewar_exchange_method(const dewar_exchange *x) {
  return x ? dw_method_name(x->http.request.method).ptr : NULL;
}

static const char *copy(dewar_exchange *x, dw_slice s) {
  return dw_arena_copy(arena_of(x), s.ptr, s.len);
}

const char *dewar_exchange_path(const dewar_exchange *x) {
  view_call *call = call_of(x);
  if (!call) return NULL;
  if (!call->path) call->path = copy(call->x, x->path);
  return call->path;
}

const char *dewar_exchange_query(const dewar_exchange *x) {
  view_call *call = call_of(x);
  if (!call) return NULL;
  if (!call->query) call->query = copy(call->x, x->http.request.query);
  return call->query;
}

static const char *value_text(dewar_exchange *x, const dw_value *v) {
  char text[40];
  switch (v->kind) {
  case DW_VALUE_STRING:
    return copy(x, v->as.string);
  case DW_VALUE_INT:
    snprintf(text, sizeof text, "%lld", (long long)v->as.integer);
    break;
  case DW_VALUE_FLOAT:
    snprintf(text, sizeof text, "%.17g", v->as.number);
    break;
  case DW_VALUE_BOOL:
    return v->as.integer ? "true" : "false";
  default:
    return NULL;
  }
  return copy(x, dw_slice_str(text));
}

const char *dewar_exchange_arg(dewar_exchange *x, const char *name) {
  if (!call_of(x) || !name || !x->match.rule) return NULL;
  dw_slice wanted = dw_slice_str(name);
  size_t n = dw_rule_values(x->match.rule, NULL);
  for (size_t i = 0; i < n; i++)
    if (dw_slice_equal(dw_rule_value_name(x->match.rule, i), wanted))
      return value_text(x, &x->match.values[i]);
  return NULL;
}

const char *dewar_exchange_header(dewar_exchange *x, const char *name) {
  if (!call_of(x) || !name) return NULL;
  dw_request *r = &x->http.request;
  dw_slice value;
  bool failed = false;
  if (!dw_header_join(r->headers, r->nheaders, dw_slice_str(name), &r->arena,
                      &value, &failed))
    return NULL;
  return copy(x, value);
}

/* --- The body --------------------------------------------------------------*/

/* Fails the request as a Lua view that read too much would. */
static void body_failed(view_call *call, int status, const char *reason,
                        int code) {
  dewar_body_cb cb = call->body_cb;
  call->body_cb = NULL;
  drop_answer(call->x);
  if (status)
    dw_exchange_fail(call->x, status, reason);
  else
    fail(call, "reading the request's body failed with %d: %s", code);
  /* The callback sees a request that is answered already. */
  call->state = CALL_FAILED;
  if (cb) cb(call->x, code, NULL, 0, call->body_data);
  decide(call, CALL_FAILED);
}

static int code_of_status(int status) {
  if (status == 413) return DEWAR_ETOOBIG;
  return status == 408 ? DEWAR_ETIMEOUT : DEWAR_EPARSE;
}

static void body_news_cb(dw_exchange *x) {
  view_call *call = x->view;
  dw_request *r = &x->http.request;
  dw_body *b = &x->http.body;
  uint64_t announced = r->has_content_length ? r->content_length : 0;
  if (announced > x->max_content_length ||
      b->received > x->max_content_length) {
    body_failed(call, 413, "The request's body is larger than allowed.",
                DEWAR_ETOOBIG);
  } else if (b->failed > 0) {
    body_failed(call, b->failed,
                b->reason ? b->reason : "The request's body is malformed.",
                code_of_status(b->failed));
  } else if (b->failed < 0) {
    body_failed(call, 0, NULL, b->failed);
  } else if (b->ended) {
    dewar_body_cb cb = call->body_cb;
    call->body_cb = NULL;
    update_cancel(call);
    dw_slice data = dw_buffer_slice(&b->data);
    cb(x, 0, data.ptr, data.len, call->body_data);
  } else {
    x->body_cb = body_news_cb;
    dw_body_want(&x->http, true);
  }
}

int dewar_exchange_body(dewar_exchange *x, dewar_body_cb cb, void *data) {
  view_call *call = call_of(x);
  int code = check_open(call);
  if (code < 0) return code;
  if (!cb) return DEWAR_EINVAL;
  dw_body *b = &x->http.body;
  /* Somebody reads it, or has taken it: a hook of the Lua app. */
  if (call->body_cb || x->body_cb || b->received > b->data.len)
    return DEWAR_EMISUSE;
  call->state = CALL_DEFERRED;
  call->body_cb = cb;
  call->body_data = data;
  b->touched = true;
  update_cancel(call);
  body_news_cb(x);
  return 0;
}
