/* SPDX-License-Identifier: MIT */
/* A router under test, and its answers as short texts, so that a test reads as
 * a list of requests and what becomes of them:
 *
 *     "user id=7"             found, with the values in their order
 *     "page n=1 | host=x"     behind the bar: not passed to the view
 *     "404", "405 GET HEAD"   with what is allowed
 *     "OPTIONS GET HEAD"      answered automatically
 *     "-> /d/?q=1"            redirected
 *     "400", "400 websocket", "failed -7"
 *
 * Include it behind unit.h. */
#ifndef DW_SPEC_ROUTER_FIXTURE_H
#define DW_SPEC_ROUTER_FIXTURE_H

#include "app/router.h"
#include "base/error.h"

/* The macros below set defaults that a test may override. */
#pragma GCC diagnostic ignored "-Woverride-init"

typedef struct fixture {
  dw_allocator alloc;
  dw_router *router;
  dw_buffer message;
  dw_buffer text; /* the last answer */
} fixture;

static inline void setup(fixture *f) {
  dw_allocator_init(&f->alloc, NULL, NULL);
  dw_buffer_init(&f->message, &f->alloc, 0);
  dw_buffer_init(&f->text, &f->alloc, 0);
  CHECK_INT(dw_router_new(&f->router, &f->alloc), 0);
}

static inline void teardown(fixture *f) {
  dw_router_free(f->router);
  dw_buffer_deinit(&f->message);
  dw_buffer_deinit(&f->text);
  CHECK_INT(f->alloc.used, 0);
}

/* What most rules of a test are. */
#define RULE(rule_text, ...)                                                   \
  ((dw_rule_options){.rule = dw_slice_str(rule_text),                          \
                     .methods = DW_METHOD_BIT(DW_METHOD_GET),                  \
                     .strict_slashes = -1,                                     \
                     .merge_slashes = -1,                                      \
                     .automatic_options = true,                                \
                     __VA_ARGS__})
#define NAMED(name) .endpoint = dw_slice_str(name)
#define METHODS(...) .methods = methods_of(__VA_ARGS__, DW_METHOD_UNKNOWN)

__attribute__((unused)) static uint64_t methods_of(int first, ...) {
  uint64_t set = 0;
  va_list args;
  va_start(args, first);
  for (int m = first; m != DW_METHOD_UNKNOWN; m = va_arg(args, int))
    set |= DW_METHOD_BIT(m);
  va_end(args);
  return set;
}

static inline int add_rule(fixture *f, dw_rule_options options) {
  const dw_rule *rule;
  return dw_router_add(f->router, &options, &rule, &f->message);
}

/* Adds a rule that is fine. */
#define ADD(f, ...)                                                            \
  unit_check(add_rule((f), RULE(__VA_ARGS__)) == 0, __FILE__, __LINE__,        \
             "refused: %.*s", DW_FMT(dw_buffer_slice(&(f)->message)))

/* Adds a rule that isn't, and compares the message. */
#define CHECK_REFUSED(f, want, ...)                                            \
  do {                                                                         \
    CHECK_INT(add_rule((f), RULE(__VA_ARGS__)), DEWAR_EINVAL);                 \
    CHECK_SLICE(dw_buffer_slice(&(f)->message), want);                         \
  } while (0)

/* --- Answers ---------------------------------------------------------------*/

#define say(f, ...) dw_buffer_printf(&(f)->text, __VA_ARGS__)

static inline void say_value(fixture *f, const dw_value *v) {
  if (v->kind == DW_VALUE_STRING)
    say(f, "'%.*s'", DW_FMT(v->as.string));
  else if (v->kind == DW_VALUE_INT)
    say(f, "%lld", (long long)v->as.integer);
  else if (v->kind == DW_VALUE_FLOAT)
    say(f, "%.17g", v->as.number);
  else if (v->kind == DW_VALUE_BOOL)
    say(f, "%s", v->as.integer ? "true" : "false");
  else if (v->kind == DW_VALUE_HANDLE)
    say(f, "#%lld", (long long)v->as.integer);
  else
    say(f, "none");
}

static inline void say_methods(fixture *f, uint64_t methods) {
  for (int m = 0; m < DW_METHOD_COUNT; m++)
    if (methods & DW_METHOD_BIT(m))
      say(f, " %.*s", DW_FMT(dw_method_name((dw_method)m)));
}

static inline void say_match(fixture *f, const dw_match *m) {
  size_t passed, count = m->rule ? dw_rule_values(m->rule, &passed) : 0;
  switch (m->kind) {
  case DW_MATCH_FOUND:
    say(f, "%.*s", DW_FMT(dw_rule_endpoint(m->rule)));
    for (size_t i = 0; i < count; i++) {
      say(f, "%s %.*s=", i == passed ? " |" : "",
          DW_FMT(dw_rule_value_name(m->rule, i)));
      say_value(f, &m->values[i]);
    }
    return;
  case DW_MATCH_OPTIONS:
    say(f, "OPTIONS");
    say_methods(f, m->allowed);
    return;
  case DW_MATCH_REDIRECT:
    say(f, "-> %.*s", DW_FMT(m->location));
    return;
  case DW_MATCH_NOT_FOUND:
    say(f, "404");
    return;
  case DW_MATCH_NOT_ALLOWED:
    say(f, "405");
    say_methods(f, m->allowed);
    return;
  case DW_MATCH_BAD_PATH:
    say(f, "400");
    return;
  case DW_MATCH_WEBSOCKET:
    say(f, "400 websocket");
    return;
  case DW_MATCH_FAILED:
    say(f, "failed %d", m->code);
  }
}

/* A request is "METHOD target" or "METHOD host target"; the method WEBSOCKET is
 * a GET that wants to upgrade. */
static inline dw_match_query parse_request(const char *request) {
  dw_match_query q = {.host = DW_EMPTY, .query = DW_EMPTY};
  const char *target = strchr(request, ' ');
  dw_slice method = {request, (size_t)(target - request)};
  q.websocket = dw_slice_equal(method, DW_LITERAL("WEBSOCKET"));
  q.method = q.websocket ? DW_METHOD_GET : dw_method_find(method);
  const char *behind_host = strchr(++target, ' ');
  if (behind_host) {
    q.host = dw_slice_of(target, (size_t)(behind_host - target));
    target = behind_host + 1;
  }
  const char *mark = strchr(target, '?');
  q.raw_path = dw_slice_str(target);
  if (mark) {
    q.raw_path.len = (size_t)(mark - target);
    q.query = dw_slice_str(mark + 1);
  }
  return q;
}

/* The answer to a request, until the next one. */
static inline dw_slice answer_to(fixture *f, const char *request) {
  char block[2048];
  dw_arena arena;
  dw_match match;
  dw_match_query q = parse_request(request);
  dw_arena_init(&arena, &f->alloc, block, sizeof block);
  f->text.len = 0;
  int rc = dw_router_match(f->router, &q, &arena, &match);
  if (rc < 0)
    say(f, "code %d", rc);
  else
    say_match(f, &match);
  dw_match_release(&match);
  dw_arena_deinit(&arena);
  return dw_buffer_slice(&f->text);
}

#define CHECK_ROUTE(f, request, want)                                          \
  do {                                                                         \
    dw_slice route_got = answer_to((f), (request));                            \
    unit_check(dw_slice_equal(route_got, dw_slice_str(want)), __FILE__,        \
               __LINE__, "%s: \"%.*s\", not \"%s\"", (request),                \
               DW_FMT(route_got), (want));                                     \
  } while (0)

/* --- Values ----------------------------------------------------------------*/

#define STRING_VALUE(text)                                                     \
  ((dw_value){.kind = DW_VALUE_STRING, .as.string = dw_slice_str(text)})
#define INT_VALUE(n) ((dw_value){.kind = DW_VALUE_INT, .as.integer = (n)})
#define FLOAT_VALUE(n) ((dw_value){.kind = DW_VALUE_FLOAT, .as.number = (n)})
#define BOOL_VALUE(b) ((dw_value){.kind = DW_VALUE_BOOL, .as.integer = (b)})
#define NO_VALUE ((dw_value){.kind = DW_VALUE_NONE})
#define PAIR(name_text, given)                                                 \
  ((dw_named_value){dw_slice_str(name_text), (given)})
/* Options of a rule, and of a URL. */
#define DEFAULTS(...)                                                          \
  .defaults = (dw_named_value[]){__VA_ARGS__},                                 \
  .ndefaults =                                                                 \
      sizeof((dw_named_value[]){__VA_ARGS__}) / sizeof(dw_named_value)
#define VALUES(...)                                                            \
  .values = (dw_named_value[]){__VA_ARGS__},                                   \
  .nvalues = sizeof((dw_named_value[]){__VA_ARGS__}) / sizeof(dw_named_value)

/* --- URLs ------------------------------------------------------------------*/

#define URL(name, ...)                                                         \
  ((dw_url_options){.endpoint = dw_slice_str(name),                            \
                    .method = DW_METHOD_UNKNOWN,                               \
                    .external = -1,                                            \
                    __VA_ARGS__})

/* The URL, or "<code>: <message>". */
static inline dw_slice url_of(fixture *f, dw_url_options options) {
  f->text.len = 0;
  int rc = dw_router_build(f->router, &options, &f->text, &f->message);
  if (rc < 0) {
    CHECK_INT(f->text.len, 0);
    say(f, "%s: %.*s",
        rc == DEWAR_EINVAL      ? "EINVAL"
        : rc == DEWAR_ENOTFOUND ? "ENOTFOUND"
                                : "other",
        DW_FMT(dw_buffer_slice(&f->message)));
  }
  return dw_buffer_slice(&f->text);
}

#define CHECK_URL(f, want, ...)                                                \
  do {                                                                         \
    dw_slice url_got = url_of((f), URL(__VA_ARGS__));                          \
    unit_check(dw_slice_equal(url_got, dw_slice_str(want)), __FILE__,          \
               __LINE__, "\"%.*s\", not \"%s\"", DW_FMT(url_got), (want));     \
  } while (0)

#endif
