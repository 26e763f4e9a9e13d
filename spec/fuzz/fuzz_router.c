/* SPDX-License-Identifier: MIT */
/* The router: rules up to an empty line, one a line, then requests.
 *
 *     es/users/<int:id>      letters before the "/" are options, see below
 *     P/users/7              likewise: method, WebSocket, host
 *
 * What must hold: a bad rule is refused and changes nothing; a match's values
 * build a URL that matches the rule again with the same values; a location
 * stays on this host and ends somewhere; a refused method isn't among the
 * allowed; handles and memory are given back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/router.h"
#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_RULES = 64, MOST_HOPS = 8 };

static void must(bool condition) {
  if (!condition) abort();
}

/* --- Converters of the user's ----------------------------------------------*/

/* Takes texts of an even length, as they are. */
static int even_value(const dw_converter *c, dw_slice text,
                      const dw_converter_arg *args, size_t nargs,
                      dw_value *out) {
  (void)c, (void)args, (void)nargs;
  must(text.len > 0);
  *out = (dw_value){.kind = DW_VALUE_STRING, .as.string = text};
  return text.len % 2 == 0;
}

static int even_text(const dw_converter *c, const dw_value *value,
                     const dw_converter_arg *args, size_t nargs,
                     dw_buffer *out) {
  (void)c, (void)args, (void)nargs;
  if (value->kind != DW_VALUE_STRING || value->as.string.len % 2) return 0;
  int rc = dw_buffer_append_slice(out, value->as.string);
  return rc < 0 ? rc : 1;
}

/* Takes "xxx" and makes a handle of its length. */
static int xs_value(const dw_converter *c, dw_slice text,
                    const dw_converter_arg *args, size_t nargs, dw_value *out) {
  (void)args, (void)nargs;
  for (size_t i = 0; i < text.len; i++)
    if (text.ptr[i] != 'x') return text.ptr[i] == '!' ? -5 : 0;
  ++*(long *)c->data;
  *out = (dw_value){.kind = DW_VALUE_HANDLE, .as.integer = (int64_t)text.len};
  return 1;
}

static int xs_text(const dw_converter *c, const dw_value *value,
                   const dw_converter_arg *args, size_t nargs, dw_buffer *out) {
  (void)c, (void)args, (void)nargs;
  if (value->kind != DW_VALUE_HANDLE) return 0;
  int rc = 0;
  for (int64_t i = 0; i < value->as.integer && rc == 0; i++)
    rc = dw_buffer_append_char(out, 'x');
  return rc < 0 ? rc : 1;
}

static void xs_release(const dw_converter *c, dw_value *value) {
  must(value->kind == DW_VALUE_HANDLE);
  --*(long *)c->data;
}

/* --- Rules -----------------------------------------------------------------*/

typedef struct fuzz {
  dw_allocator alloc;
  dw_router *router;
  dw_buffer message;
  long handles; /* not yet released */
  dw_rule_options options[MOST_RULES];
  const dw_rule *rules[MOST_RULES];
  size_t nrules;
  bool loops; /* a redirect_to may lead to itself */
} fuzz;

static const dw_named_value page = {{"page", 4},
                                    {.kind = DW_VALUE_INT, .as.integer = 1}};

static dw_router *new_router(fuzz *f) {
  dw_router *r;
  must(dw_router_new(&r, &f->alloc) == 0);
  dw_converter even = {.name = DW_LITERAL("even"),
                       .weight = 90,
                       .to_value = even_value,
                       .to_text = even_text};
  dw_converter evens = even;
  evens.name = DW_LITERAL("evens");
  evens.slashes = true;
  dw_converter xs = {.name = DW_LITERAL("xs"),
                     .weight = 80,
                     .data = &f->handles,
                     .to_value = xs_value,
                     .to_text = xs_text,
                     .release = xs_release};
  must(dw_router_add_converter(r, &even, &f->message) == 0);
  must(dw_router_add_converter(r, &evens, &f->message) == 0);
  must(dw_router_add_converter(r, &xs, &f->message) == 0);
  return r;
}

static void set_option(dw_rule_options *o, char letter) {
  switch (letter) {
  case 's':
    o->strict_slashes = 0;
    break;
  case 'm':
    o->merge_slashes = 0;
    break;
  case 'p':
    o->methods = DW_METHOD_BIT(DW_METHOD_POST);
    break;
  case 'o':
    o->methods |= DW_METHOD_BIT(DW_METHOD_OPTIONS);
    break;
  case 'n':
    o->automatic_options = false;
    break;
  case 'a':
    o->alias = true;
    break;
  case 'b':
    o->build_only = true;
    break;
  case 'w':
    o->websocket = true;
    break;
  case 'h':
    o->host = DW_LITERAL("<h>.x");
    break;
  case 'u':
    o->subdomain = DW_LITERAL("u<int:n>");
    break;
  case 'e':
    o->endpoint = DW_LITERAL("e");
    break;
  case 'd':
    o->defaults = &page;
    o->ndefaults = 1;
    break;
  case 'r':
    o->redirect_to = DW_LITERAL("/to/<page>");
    break;
  case 't':
    o->redirect_to = DW_LITERAL("<p>");
    break;
  default:
    break;
  }
}

static void add(fuzz *f, dw_slice line) {
  dw_rule_options o = {.methods = DW_METHOD_BIT(DW_METHOD_GET),
                       .strict_slashes = -1,
                       .merge_slashes = -1,
                       .automatic_options = true};
  while (line.len > 0 && line.ptr[0] != '/') {
    set_option(&o, line.ptr[0]);
    line.ptr++;
    line.len--;
  }
  o.rule = line;
  if (f->nrules == MOST_RULES) return;
  const dw_rule *rule = NULL;
  int rc = dw_router_add(f->router, &o, &rule, &f->message);
  must(rc == 0 || rc == DEWAR_EINVAL || rc == DEWAR_EEXIST);
  must(rc == 0 ? rule != NULL : f->message.len > 0);
  if (rc == 0) {
    f->loops |= o.redirect_to.len > 0;
    f->options[f->nrules] = o;
    f->rules[f->nrules++] = rule;
  }
  must(dw_router_count(f->router) == f->nrules);
}

/* --- Requests --------------------------------------------------------------*/

static bool is_local(dw_slice location) {
  if (location.len == 0 || location.ptr[0] != '/') return false;
  for (size_t i = 0; i < location.len; i++)
    if (location.ptr[i] <= ' ' || location.ptr[i] == 0x7f) return false;
  return location.len == 1 ||
         (location.ptr[1] != '/' && location.ptr[1] != '\\');
}

static bool same(const dw_value *a, const dw_value *b) {
  if (a->kind != b->kind) return false;
  if (a->kind == DW_VALUE_STRING)
    return dw_slice_equal(a->as.string, b->as.string);
  if (a->kind == DW_VALUE_FLOAT) return a->as.number == b->as.number;
  return a->as.integer == b->as.integer;
}

static bool has_dots(const dw_value *values, size_t count) {
  for (size_t i = 0; i < count; i++) {
    dw_slice s = values[i].as.string;
    if (values[i].kind == DW_VALUE_STRING && memchr(s.ptr, '.', s.len))
      return true;
  }
  return false;
}

/* Builds the URL of a match. False where it is refused. */
static bool build(fuzz *f, const dw_router *r, const dw_match *m,
                  dw_buffer *url) {
  dw_named_value values[128];
  size_t count = dw_rule_values(m->rule, NULL);
  must(count < 128);
  for (size_t i = 0; i < count; i++)
    values[i] = (dw_named_value){dw_rule_value_name(m->rule, i), m->values[i]};
  dw_url_options o = {.endpoint = dw_rule_text(m->rule),
                      .values = values,
                      .nvalues = count,
                      .method = DW_METHOD_UNKNOWN,
                      .external = 0};
  int rc = dw_router_build(r, &o, url, &f->message);
  must(rc == 0 || rc == DEWAR_EINVAL);
  /* The one reason there is: a segment of dots. */
  must(rc == 0 || (f->message.len > 0 && has_dots(m->values, count)));
  return rc == 0;
}

/* With this rule alone, its URL finds it again, with the same values. */
static void check_way_back(fuzz *f, const dw_match_query *q,
                           const dw_match *m) {
  size_t i = 0;
  while (f->rules[i] != m->rule) must(++i < f->nrules);
  const dw_rule *rule;
  dw_router *alone = new_router(f);
  must(dw_router_set_server_name(alone, DW_LITERAL("x")) == 0);
  must(dw_router_add(alone, &f->options[i], &rule, &f->message) == 0);

  dw_buffer url;
  dw_arena arena;
  dw_match again;
  dw_buffer_init(&url, &f->alloc, 0);
  dw_arena_init(&arena, &f->alloc, NULL, 0);
  if (build(f, alone, m, &url)) {
    must(is_local(dw_buffer_slice(&url)));
    dw_match_query back = *q;
    back.raw_path = dw_buffer_slice(&url);
    must(dw_router_match(alone, &back, &arena, &again) == 0);
    must(again.kind == m->kind && again.rule == rule);
    size_t count = dw_rule_values(rule, NULL);
    for (size_t k = 0; k < count; k++)
      must(same(&m->values[k], &again.values[k]));
    dw_match_release(&again);
    /* Among the others it isn't lost either. */
    must(dw_router_match(f->router, &back, &arena, &again) == 0);
    must(again.kind != DW_MATCH_NOT_FOUND && again.kind != DW_MATCH_BAD_PATH);
    dw_match_release(&again);
  }
  dw_arena_deinit(&arena);
  dw_buffer_deinit(&url);
  dw_router_free(alone);
}

static void check_match(fuzz *f, const dw_match_query *q, const dw_match *m) {
  uint64_t method = DW_METHOD_BIT(q->method);
  switch (m->kind) {
  case DW_MATCH_FOUND:
    must(dw_rule_methods(m->rule) & method);
    check_way_back(f, q, m);
    break;
  case DW_MATCH_OPTIONS:
    must(m->rule && m->allowed & DW_METHOD_BIT(DW_METHOD_OPTIONS));
    check_way_back(f, q, m);
    break;
  case DW_MATCH_REDIRECT:
    must(is_local(m->location));
    break;
  case DW_MATCH_NOT_ALLOWED:
    must(m->allowed && !(m->allowed & method));
    break;
  case DW_MATCH_FAILED:
    must(m->code == -5);
    break;
  default:
    break;
  }
}

/* Follows redirects to their end. */
static void request(fuzz *f, dw_match_query q) {
  dw_arena arena;
  dw_arena_init(&arena, &f->alloc, NULL, 0);
  for (int hop = 0;; hop++) {
    dw_match m;
    dw_slice path;
    must(f->loops || hop < MOST_HOPS);
    must(dw_router_match(f->router, &q, &arena, &m) == 0);
    bool bad = dw_path_decode(q.raw_path, &arena, &path) < 0 ||
               q.raw_path.len == 0 || q.raw_path.ptr[0] != '/';
    must(bad == (m.kind == DW_MATCH_BAD_PATH));
    check_match(f, &q, &m);
    dw_match_release(&m);
    if (m.kind != DW_MATCH_REDIRECT || hop == MOST_HOPS) break;
    const char *mark = memchr(m.location.ptr, '?', m.location.len);
    q.raw_path = m.location;
    if (mark) q.raw_path.len = (size_t)(mark - m.location.ptr);
  }
  dw_arena_deinit(&arena);
}

static void parse_request(fuzz *f, dw_slice line) {
  dw_match_query q = {.method = DW_METHOD_GET,
                      .host = DW_LITERAL("localhost"),
                      .query = DW_EMPTY};
  for (; line.len > 0 && line.ptr[0] != '/'; line.ptr++, line.len--) {
    char letter = line.ptr[0];
    if (letter == 'P') q.method = DW_METHOD_POST;
    if (letter == 'H') q.method = DW_METHOD_HEAD;
    if (letter == 'O') q.method = DW_METHOD_OPTIONS;
    if (letter == 'U') q.method = DW_METHOD_UNKNOWN;
    if (letter == 'W') q.websocket = true;
    if (letter == 'h') q.host = DW_LITERAL("s.x");
    if (letter == 'u') q.host = DW_LITERAL("u7.x");
    if (letter == 'q') q.query = DW_LITERAL("a=%zz&\xc3\xa9");
  }
  q.raw_path = line;
  if (!memchr(line.ptr, '?', line.len)) request(f, q);
}

/* --- Input -----------------------------------------------------------------*/

static dw_slice next_line(dw_slice *text) {
  const char *end = text->len ? memchr(text->ptr, '\n', text->len) : NULL;
  dw_slice line = *text;
  if (end) line.len = (size_t)(end - text->ptr);
  size_t used = line.len + (end != NULL);
  text->ptr += used;
  text->len -= used;
  return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0 || size > 8192) return 0;
  fuzz f = {.nrules = 0};
  dw_allocator_init(&f.alloc, NULL, NULL);
  dw_buffer_init(&f.message, &f.alloc, 0);
  f.router = new_router(&f);
  dw_slice text = dw_slice_of((const char *)data, size), line;
  while ((line = next_line(&text)).len > 0) add(&f, line);
  must(dw_router_set_server_name(f.router, DW_LITERAL("X:80")) == 0);
  while (text.len > 0) parse_request(&f, next_line(&text));
  dw_router_free(f.router);
  dw_buffer_deinit(&f.message);
  must(f.handles == 0);
  must(f.alloc.used == 0);
  return 0;
}
