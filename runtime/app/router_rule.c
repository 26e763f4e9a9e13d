/* SPDX-License-Identifier: MIT */
/* Rules, from text to parts: "/users/<int:id>" becomes the part "users" and a
 * part with one variable. A syntax error names what is wrong and at which
 * column. All results lie in the router's pool. */
#include "app/router_private.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"

/* --- Messages --------------------------------------------------------------*/

static size_t column(dw_slice text, size_t at) {
  return 1 + dw_text_length(dw_slice_of(text.ptr, at));
}

int dw_rule_error(const dw_rule_source *s, ptrdiff_t at, dw_slice nearest,
                  const char *format, ...) {
  if (!s->message) return DEWAR_EINVAL;
  char what[512], where[32] = "";
  va_list args;
  va_start(args, format);
  vsnprintf(what, sizeof what, format, args);
  va_end(args);
  if (at != DW_NO_COLUMN)
    snprintf(where, sizeof where, ", column %zu", column(s->text, (size_t)at));
  const char *hint = nearest.len ? "; did you mean '" : "";
  return DW_ROUTER_FAIL(s->message, DEWAR_EINVAL, "%s in '%.*s'%s%s%.*s%s",
                        what, DW_FMT(s->text), where, hint, DW_FMT(nearest),
                        nearest.len ? "'?" : "");
}

/* --- The parser ------------------------------------------------------------*/

typedef struct parser {
  dw_rule_source *source;
  dw_rule *rule;
  dw_slice text;
  size_t at;
  bool host;
  dw_rule_var *vars; /* room for all variables that may follow */
} parser;

static int fail(const parser *p, size_t at, const char *what) {
  return dw_rule_error(p->source, (ptrdiff_t)at, DW_EMPTY, "%s", what);
}

static bool more(const parser *p) { return p->at < p->text.len; }
static char peek(const parser *p) { return more(p) ? p->text.ptr[p->at] : 0; }

static bool eat(parser *p, char c) {
  if (peek(p) != c || !more(p)) return false;
  p->at++;
  return true;
}

static void skip_spaces(parser *p) {
  while (peek(p) == ' ') p->at++;
}

static dw_slice rest(const parser *p) {
  return dw_slice_of(p->text.ptr + p->at, p->text.len - p->at);
}

static dw_slice since(const parser *p, size_t start) {
  return dw_slice_of(p->text.ptr + start, p->at - start);
}

size_t dw_rule_name_length(dw_slice text) {
  size_t i = 0;
  for (; i < text.len; i++) {
    char c = text.ptr[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    if (!letter && (i == 0 || c < '0' || c > '9')) break;
  }
  return i;
}

static dw_slice take_name(parser *p) {
  size_t start = p->at;
  p->at += dw_rule_name_length(rest(p));
  return since(p, start);
}

/* --- Arguments: (min=1, "c d") ---------------------------------------------*/

static int parse_quoted(parser *p, dw_rule_arg *arg) {
  size_t start = p->at;
  char quote = p->text.ptr[p->at++];
  while (more(p) && peek(p) != quote) p->at++;
  if (!more(p)) return fail(p, start, "a quote without its end");
  arg->text = since(p, start + 1);
  arg->quoted = true;
  p->at++;
  return 0;
}

static int parse_bare(parser *p, dw_rule_arg *arg) {
  size_t start = p->at;
  while (more(p) && !strchr(" ,()<>=\"'/", peek(p))) p->at++;
  arg->text = since(p, start);
  return arg->text.len ? 0 : fail(p, start, "an argument is missing");
}

static int parse_value(parser *p, dw_rule_arg *arg) {
  bool quoted = peek(p) == '"' || peek(p) == '\'';
  return quoted ? parse_quoted(p, arg) : parse_bare(p, arg);
}

static int parse_arg(parser *p, dw_rule_arg *arg) {
  skip_spaces(p);
  arg->at = p->at;
  int rc = parse_value(p, arg);
  if (rc < 0) return rc;
  skip_spaces(p);
  if (peek(p) != '=') return 0;
  if (arg->quoted || dw_rule_name_length(arg->text) != arg->text.len)
    return fail(p, arg->at, "an argument's name must be a Lua name");
  arg->name = arg->text;
  p->at++;
  skip_spaces(p);
  rc = parse_value(p, arg);
  skip_spaces(p);
  return rc;
}

static size_t count(dw_slice text, char c) {
  size_t n = 0;
  for (size_t i = 0; i < text.len; i++) n += text.ptr[i] == c;
  return n;
}

/* From behind the "(" to behind the ")". */
static int parse_args(parser *p, dw_rule_arg **out, size_t *n) {
  size_t most = count(rest(p), ',') + 1;
  dw_rule_arg *args =
      dw_pool_alloc(&p->source->router->pool, most * sizeof *args);
  if (!args) return DW_ENOMEM;
  *out = args;
  *n = 0;
  skip_spaces(p);
  if (eat(p, ')')) return 0;
  do {
    int rc = parse_arg(p, &args[(*n)++]);
    if (rc < 0) return rc;
  } while (eat(p, ','));
  if (eat(p, ')')) return 0;
  return fail(p, p->at, "expected ',' or ')'");
}

/* --- Variables: <int(min=1):id> --------------------------------------------*/

static bool named(const dw_rule_part *part, dw_slice name) {
  for (size_t i = 0; i < part->nvars; i++)
    if (dw_slice_equal(part->vars[i].name, name)) return true;
  return false;
}

static int check_name(parser *p, const dw_rule_part *part, dw_slice name,
                      size_t at) {
  if (name.len == 0) return fail(p, at, "expected a variable's name");
  bool taken = named(part, name) || named(&p->rule->host_part, name);
  for (size_t i = 0; i < p->rule->nparts; i++)
    taken |= named(&p->rule->parts[i], name);
  if (!taken) return 0;
  return dw_rule_error(p->source, (ptrdiff_t)at, DW_EMPTY,
                       "the variable '%.*s' is there twice", DW_FMT(name));
}

/* From behind the "<" to behind the ">". */
static int parse_var(parser *p, dw_rule_part *part) {
  size_t open = p->at - 1, first_at = p->at, name_at = p->at, nargs = 0;
  dw_rule_arg *args = NULL;
  dw_slice converter = DW_LITERAL("string"), name = take_name(p);
  bool has_args = eat(p, '(');
  if (has_args) {
    int rc = parse_args(p, &args, &nargs);
    if (rc < 0) return rc;
  }
  if (has_args || peek(p) == ':') {
    if (name.len == 0)
      return fail(p, first_at, "a converter's name is missing");
    if (!eat(p, ':'))
      return fail(p, p->at, "expected ':' and a variable's name");
    converter = name;
    name_at = p->at;
    name = take_name(p);
  }
  int rc = check_name(p, part, name, name_at);
  if (rc < 0) return rc;
  if (!more(p)) return fail(p, open, "'<' without its '>'");
  if (!eat(p, '>')) return fail(p, p->at, "expected '>'");

  dw_rule_var *v = &part->vars[part->nvars];
  v->name = name;
  rc = dw_converter_compile(p->source, v, converter, first_at, args, nargs);
  if (rc < 0) return rc;
  if (p->host) v->slashes = false; /* a host has none */
  part->nvars++;
  part->slashes |= v->slashes;
  if (part->nvars == 1 || v->weight > part->weight) part->weight = v->weight;
  return 0;
}

/* --- Parts -----------------------------------------------------------------*/

static int parse_static(parser *p, dw_slice *out) {
  size_t start = p->at;
  for (; more(p) && peek(p) != '<'; p->at++) {
    if (peek(p) == '>') return fail(p, p->at, "'>' without its '<'");
    if (peek(p) != '/') continue;
    if (!p->host) break;
    return fail(p, p->at, "a host has no '/'");
  }
  *out = since(p, start);
  return 0;
}

/* The text as dw_path_decode would leave it: its "%" as "%25". */
static int to_path_form(dw_pool *pool, dw_slice *text) {
  size_t marks = count(*text, '%');
  if (marks == 0) return 0;
  char *out = dw_pool_alloc(pool, text->len + 2 * marks);
  if (!out) return DW_ENOMEM;
  size_t n = 0;
  for (size_t i = 0; i < text->len; i++) {
    out[n++] = text->ptr[i];
    if (text->ptr[i] != '%') continue;
    out[n++] = '2';
    out[n++] = '5';
  }
  *text = dw_slice_of(out, n);
  return 0;
}

static int finish_part(parser *p, dw_rule_part *part) {
  dw_pool *pool = &p->source->router->pool;
  part->fixed = part->prefix.len;
  for (size_t i = 0; i < part->nvars; i++)
    part->fixed += part->vars[i].after.len;
  int rc = part->slashes ? to_path_form(pool, &part->prefix) : 0;
  for (size_t i = 0; i < part->nvars && rc == 0; i++)
    if (part->slashes) rc = to_path_form(pool, &part->vars[i].after);
  return rc;
}

/* Up to the next slash outside of variables, or the end. */
static int parse_part(parser *p, dw_rule_part *part) {
  part->vars = p->vars;
  part->nvars = 0;
  int rc = parse_static(p, &part->prefix);
  while (rc == 0 && eat(p, '<')) {
    rc = parse_var(p, part);
    if (rc == 0) rc = parse_static(p, &part->vars[part->nvars - 1].after);
  }
  p->vars += part->nvars;
  return rc < 0 ? rc : finish_part(p, part);
}

/* Checks what holds for all of a text, and makes room for its variables. */
static int start(parser *p, dw_slice *copy) {
  dw_rule_source *s = p->source;
  dw_pool *pool = &s->router->pool;
  *copy = dw_pool_copy(pool, s->text);
  if (!copy->ptr) return DW_ENOMEM;
  s->text = p->text = *copy;
  if (memchr(copy->ptr, '\0', copy->len)) return fail(p, 0, "there is a NUL");
  if (!dw_is_utf8(*copy)) return fail(p, 0, "bytes that aren't UTF-8");
  size_t most = count(*copy, '<');
  if (most > DW_RULE_VARIABLES)
    return dw_rule_error(s, DW_NO_COLUMN, DW_EMPTY, "more than %d variables",
                         DW_RULE_VARIABLES);
  p->vars = dw_pool_alloc(pool, (most + 1) * sizeof *p->vars);
  return p->vars ? 0 : DW_ENOMEM;
}

static int parse_parts(parser *p) {
  dw_rule *rule = p->rule;
  while (eat(p, '/')) {
    if (!more(p)) {
      rule->slash = true;
      break;
    }
    dw_rule_part *part = &rule->parts[rule->nparts];
    int rc = parse_part(p, part);
    if (rc < 0) return rc;
    if (part->nvars == 0 && part->prefix.len == 0) {
      if (rule->merge_slashes) continue;
      if (rule->nparts == 0)
        return DW_ROUTER_FAIL(
            p->source->message, DEWAR_EINVAL,
            "'%.*s' starts with two slashes, which browsers take for a host",
            DW_FMT(p->text));
    }
    rule->nvars += part->nvars;
    rule->nparts++;
  }
  return 0;
}

int dw_rule_parse_path(dw_rule_source *s, dw_rule *rule) {
  parser p = {.source = s, .rule = rule};
  int rc = start(&p, &rule->text);
  if (rc < 0) return rc;
  if (peek(&p) != '/')
    return DW_ROUTER_FAIL(s->message, DEWAR_EINVAL,
                          "the rule '%.*s' must start with '/'",
                          DW_FMT(p.text));
  size_t most = count(p.text, '/');
  if (most > DW_RULE_SEGMENTS)
    return dw_rule_error(s, DW_NO_COLUMN, DW_EMPTY, "more than %d segments",
                         DW_RULE_SEGMENTS);
  rule->parts = dw_pool_alloc(&s->router->pool, most * sizeof *rule->parts);
  return rule->parts ? parse_parts(&p) : DW_ENOMEM;
}

/* --- Hosts -----------------------------------------------------------------*/

static void lower(dw_slice text) {
  char *bytes = (char *)text.ptr; /* a part of our copy */
  for (size_t i = 0; i < text.len; i++)
    if (bytes[i] >= 'A' && bytes[i] <= 'Z') bytes[i] += 'a' - 'A';
}

int dw_rule_parse_host(dw_rule_source *s, dw_rule *rule) {
  parser p = {.source = s, .rule = rule, .host = true};
  int rc = start(&p, &rule->host);
  if (rc < 0) return rc;
  if (rule->place == DW_RULE_ON_HOST) p.text = dw_host_name(p.text);
  rule->host = rule->shown_host = p.text;
  if (p.text.len == 0) return fail(&p, 0, "no host");
  dw_rule_part part = {0};
  rc = parse_part(&p, &part);
  if (rc < 0) return rc;
  lower(part.prefix);
  for (size_t i = 0; i < part.nvars; i++) lower(part.vars[i].after);
  rule->host_part = part;
  rule->nhost_vars = part.nvars;
  return 0;
}

/* --- redirect_to -----------------------------------------------------------*/

bool dw_rule_next_name(dw_slice text, size_t *at, dw_slice *before,
                       dw_slice *name) {
  dw_slice left = dw_slice_of(text.ptr + *at, text.len - *at);
  const char *open = left.len ? memchr(left.ptr, '<', left.len) : NULL;
  *before = open ? dw_slice_of(left.ptr, (size_t)(open - left.ptr)) : left;
  if (!open) return false;
  size_t inside = (size_t)(open - text.ptr) + 1;
  const char *close = memchr(open, '>', text.len - inside + 1);
  size_t end = close ? (size_t)(close - text.ptr) : text.len;
  *name = dw_slice_of(text.ptr + inside, end - inside);
  *at = close ? end + 1 : end;
  return true;
}

static bool has_value(const dw_rule *rule, dw_slice name) {
  size_t count_of = dw_rule_values(rule, NULL);
  for (size_t i = 0; i < count_of; i++)
    if (dw_slice_equal(rule->names[i], name)) return true;
  return false;
}

static dw_slice nearest_value(const dw_rule *rule, dw_slice name) {
  dw_text_guess guess = {.wanted = name};
  size_t n = dw_rule_values(rule, NULL);
  for (size_t i = 0; i < n; i++) dw_text_guess_offer(&guess, rule->names[i]);
  return guess.best;
}

int dw_rule_check_redirect(dw_rule_source *s, const dw_rule *rule) {
  dw_slice text = s->text, before, name;
  if (text.len > 1 && text.ptr[0] == '/' &&
      (text.ptr[1] == '/' || text.ptr[1] == '\\'))
    return DW_ROUTER_FAIL(s->message, DEWAR_EINVAL,
                          "redirect_to '%.*s' starts with two slashes: to lead "
                          "to another host it needs a scheme",
                          DW_FMT(text));
  for (size_t i = 0; i < text.len; i++)
    if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7f)
      return dw_rule_error(s, (ptrdiff_t)i, DW_EMPTY, "a control character");
  for (size_t at = 0; dw_rule_next_name(text, &at, &before, &name);) {
    ptrdiff_t column_at = name.ptr - text.ptr;
    if (text.ptr[at - 1] != '>' || at == (size_t)column_at)
      return dw_rule_error(s, column_at - 1, DW_EMPTY, "'<' without its '>'");
    if (!has_value(rule, name))
      return dw_rule_error(s, column_at, nearest_value(rule, name),
                           "the rule has no value '%.*s', used", DW_FMT(name));
  }
  return 0;
}

/* --- Equality --------------------------------------------------------------*/

static bool same_items(const dw_rule_var *a, const dw_rule_var *b) {
  if (a->nitems != b->nitems || a->nargs != b->nargs) return false;
  for (size_t i = 0; i < a->nitems; i++)
    if (!dw_slice_equal(a->items[i], b->items[i])) return false;
  for (size_t i = 0; i < a->nargs; i++)
    if (!dw_slice_equal(a->args[i].name, b->args[i].name) ||
        a->args[i].value.kind != b->args[i].value.kind ||
        !dw_value_equal(&a->args[i].value, &b->args[i].value))
      return false;
  return true;
}

static bool same_var(const dw_rule_var *a, const dw_rule_var *b) {
  return a->kind == b->kind && a->converter == b->converter &&
         a->is_signed == b->is_signed && a->least == b->least &&
         a->most == b->most && a->floor == b->floor &&
         a->ceiling == b->ceiling && a->digits == b->digits &&
         dw_slice_equal(a->after, b->after) && same_items(a, b);
}

bool dw_rule_part_equal(const dw_rule_part *a, const dw_rule_part *b) {
  if (a->nvars != b->nvars || !dw_slice_equal(a->prefix, b->prefix))
    return false;
  for (size_t i = 0; i < a->nvars; i++)
    if (!same_var(&a->vars[i], &b->vars[i])) return false;
  return true;
}
