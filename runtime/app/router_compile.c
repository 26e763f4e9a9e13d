/* SPDX-License-Identifier: MIT */
/* Converters in rules: finds the one that <int(min=1):n> names and compiles its
 * arguments into a dw_rule_var, so that nothing is left to parse when a request
 * comes. Mistakes name the argument, its column, and the nearest known name. */
#include "app/router_private.h"

#include <math.h>

enum { LIGHT = 50, USUAL = 100, HEAVY = 200 }; /* weights */

static const struct {
  dw_slice name;
  dw_var_kind kind;
  int weight;
  const char *args; /* what it takes, for messages */
} built_in[] = {
    {{"string", 6}, DW_VAR_STRING, USUAL, "minlength maxlength length"},
    {{"int", 3}, DW_VAR_INT, LIGHT, "signed min max fixed_digits"},
    {{"float", 5}, DW_VAR_FLOAT, LIGHT, "signed min max"},
    {{"path", 4}, DW_VAR_PATH, HEAVY, ""},
    {{"uuid", 4}, DW_VAR_UUID, USUAL, ""},
    {{"any", 3}, DW_VAR_ANY, USUAL, NULL},
};
enum { BUILT_IN = sizeof built_in / sizeof *built_in };

typedef struct compiler {
  dw_rule_source *source;
  dw_rule_var *var;
  dw_slice converter;
  const char *known; /* names of arguments */
  const dw_rule_arg *args;
  size_t nargs;
} compiler;

static int wrong(const compiler *c, const dw_rule_arg *arg, const char *what) {
  return dw_rule_error(c->source, (ptrdiff_t)arg->at, DW_EMPTY,
                       "%.*s of '%.*s' %s, not '%.*s',", DW_FMT(arg->name),
                       DW_FMT(c->converter), what, DW_FMT(arg->text));
}

static const dw_rule_arg *find_arg(const compiler *c, const char *name) {
  for (size_t i = 0; i < c->nargs; i++)
    if (dw_slice_equal(c->args[i].name, dw_slice_str(name))) return &c->args[i];
  return NULL;
}

static int flag_arg(const compiler *c, const char *name, bool *out) {
  const dw_rule_arg *arg = find_arg(c, name);
  if (!arg) return 0;
  *out = dw_slice_equal(arg->text, DW_LITERAL("true"));
  bool ok = *out || dw_slice_equal(arg->text, DW_LITERAL("false"));
  return ok && !arg->quoted ? 0 : wrong(c, arg, "is true or false");
}

static int int_arg(const compiler *c, const char *name, int64_t lowest,
                   int64_t *out) {
  const dw_rule_arg *arg = find_arg(c, name);
  if (!arg) return 0;
  if (arg->quoted || !dw_number_int(arg->text, true, out))
    return wrong(c, arg, "is an integer");
  if (*out >= lowest) return 0;
  return wrong(c, arg,
               lowest == 0 ? "is 0 or more without signed=true"
                           : "is 1 or more");
}

static int float_arg(const compiler *c, const char *name, double *out) {
  const dw_rule_arg *arg = find_arg(c, name);
  int64_t whole;
  if (!arg || (!arg->quoted && dw_number_float(arg->text, true, out))) return 0;
  if (arg->quoted || !dw_number_int(arg->text, true, &whole))
    return wrong(c, arg, "is a number");
  *out = (double)whole;
  return 0;
}

static int disordered(const compiler *c) {
  return dw_rule_error(c->source, (ptrdiff_t)c->args[0].at, DW_EMPTY,
                       "'%.*s' accepts nothing: its least is above its most,",
                       DW_FMT(c->converter));
}

static int compile_string(const compiler *c) {
  dw_rule_var *v = c->var;
  int64_t length = 0;
  v->least = 1;
  v->most = INT64_MAX;
  int rc = int_arg(c, "minlength", 1, &v->least);
  if (rc == 0) rc = int_arg(c, "maxlength", 1, &v->most);
  if (rc == 0) rc = int_arg(c, "length", 1, &length);
  if (rc < 0) return rc;
  if (length > 0 && c->nargs > 1)
    return wrong(c, find_arg(c, "length"), "stands alone");
  if (length > 0) v->least = v->most = length;
  return v->least > v->most ? disordered(c) : 0;
}

static int compile_int(const compiler *c) {
  dw_rule_var *v = c->var;
  int64_t digits = 0;
  int rc = flag_arg(c, "signed", &v->is_signed);
  if (rc < 0) return rc;
  int64_t lowest = v->is_signed ? INT64_MIN : 0;
  v->least = lowest;
  v->most = INT64_MAX;
  rc = int_arg(c, "min", lowest, &v->least);
  if (rc == 0) rc = int_arg(c, "max", lowest, &v->most);
  if (rc == 0) rc = int_arg(c, "fixed_digits", 1, &digits);
  if (rc < 0) return rc;
  if (digits > 19)
    return wrong(c, find_arg(c, "fixed_digits"), "is 19 or less");
  v->digits = (size_t)digits;
  return v->least > v->most ? disordered(c) : 0;
}

static int compile_float(const compiler *c) {
  dw_rule_var *v = c->var;
  int rc = flag_arg(c, "signed", &v->is_signed);
  v->floor = v->is_signed ? -INFINITY : 0;
  v->ceiling = INFINITY;
  if (rc == 0) rc = float_arg(c, "min", &v->floor);
  if (rc == 0) rc = float_arg(c, "max", &v->ceiling);
  if (rc < 0) return rc;
  if (!v->is_signed && v->floor < 0)
    return wrong(c, find_arg(c, "min"), "is 0 or more without signed=true");
  return v->floor > v->ceiling ? disordered(c) : 0;
}

static int compile_any(const compiler *c, size_t at) {
  dw_rule_var *v = c->var;
  if (c->nargs == 0)
    return dw_rule_error(c->source, (ptrdiff_t)at, DW_EMPTY,
                         "'any' needs what to choose from, as any(a,b),");
  v->items =
      dw_pool_alloc(&c->source->router->pool, c->nargs * sizeof *v->items);
  if (!v->items) return DW_ENOMEM;
  for (size_t n = 0; n < c->nargs; n++) {
    const dw_rule_arg *arg = &c->args[n];
    if (arg->name.len > 0 || arg->text.len == 0)
      return dw_rule_error(
          c->source, (ptrdiff_t)arg->at, DW_EMPTY,
          "'any' takes texts that aren't empty, without names");
    size_t i = 0;
    while (i < v->nitems && dw_slice_compare(v->items[i], arg->text) < 0) i++;
    if (i < v->nitems && dw_slice_equal(v->items[i], arg->text)) continue;
    memmove(v->items + i + 1, v->items + i,
            (v->nitems++ - i) * sizeof *v->items);
    v->items[i] = arg->text;
  }
  return 0;
}

/* --- Names -----------------------------------------------------------------*/

/* The next of the words that stand in a text; empty at its end. */
static dw_slice next_word(const char **text) {
  const char *word = *text;
  while (**text && **text != ' ') ++*text;
  dw_slice result = dw_slice_of(word, (size_t)(*text - word));
  while (**text == ' ') ++*text;
  return result;
}

static bool is_repeated(const compiler *c, const dw_rule_arg *arg) {
  for (const dw_rule_arg *other = c->args; other < arg; other++)
    if (dw_slice_equal(other->name, arg->name)) return true;
  return false;
}

static int check_named_arg(const compiler *c, const dw_rule_arg *arg) {
  dw_text_guess guess = {.wanted = arg->name};
  bool known = false;
  const char *names = c->known;
  for (dw_slice name; (name = next_word(&names)).len > 0;) {
    known |= dw_slice_equal(name, arg->name);
    dw_text_guess_offer(&guess, name);
  }
  if (!known)
    return dw_rule_error(c->source, (ptrdiff_t)arg->at, guess.best,
                         "unknown argument '%.*s' of '%.*s'", DW_FMT(arg->name),
                         DW_FMT(c->converter));
  if (!is_repeated(c, arg)) return 0;
  return dw_rule_error(c->source, (ptrdiff_t)arg->at, DW_EMPTY,
                       "the argument '%.*s' is there twice", DW_FMT(arg->name));
}

static int check_args(const compiler *c) {
  int rc = 0;
  for (size_t i = 0; i < c->nargs && rc == 0; i++) {
    const dw_rule_arg *arg = &c->args[i];
    if (!*c->known)
      rc = dw_rule_error(c->source, (ptrdiff_t)arg->at, DW_EMPTY,
                         "the converter '%.*s' takes no arguments: '%.*s'",
                         DW_FMT(c->converter), DW_FMT(arg->text));
    else if (arg->name.len == 0)
      rc = dw_rule_error(c->source, (ptrdiff_t)arg->at, DW_EMPTY,
                         "an argument of '%.*s' needs a name (%s): '%.*s'",
                         DW_FMT(c->converter), c->known, DW_FMT(arg->text));
    else
      rc = check_named_arg(c, arg);
  }
  return rc;
}

/* --- Custom converters -----------------------------------------------------*/

static dw_value arg_value(const dw_rule_arg *arg) {
  dw_value v = {.kind = DW_VALUE_STRING, .as.string = arg->text};
  if (arg->quoted) return v;
  bool yes = dw_slice_equal(arg->text, DW_LITERAL("true"));
  if (yes || dw_slice_equal(arg->text, DW_LITERAL("false")))
    v = (dw_value){.kind = DW_VALUE_BOOL, .as.integer = yes};
  else if (dw_number_int(arg->text, true, &v.as.integer))
    v.kind = DW_VALUE_INT;
  else if (dw_number_float(arg->text, true, &v.as.number))
    v.kind = DW_VALUE_FLOAT;
  else
    v.as.string = arg->text;
  return v;
}

/* Positional arguments keep their order, named ones are put behind them, by
 * name: their order has no meaning, and equal rules are found. */
static bool goes_before(const dw_converter_arg *a, const dw_converter_arg *b) {
  if (b->name.len == 0) return false;
  return a->name.len == 0 || dw_slice_compare(a->name, b->name) < 0;
}

static int compile_custom(const compiler *c) {
  dw_rule_var *v = c->var;
  v->args = dw_pool_alloc(&c->source->router->pool, c->nargs * sizeof *v->args);
  if (!v->args) return DW_ENOMEM;
  for (size_t n = 0; n < c->nargs; n++) {
    const dw_rule_arg *arg = &c->args[n];
    dw_converter_arg one = {.name = arg->name, .value = arg_value(arg)};
    if (arg->name.len > 0 && is_repeated(c, arg))
      return dw_rule_error(c->source, (ptrdiff_t)arg->at, DW_EMPTY,
                           "the argument '%.*s' is there twice",
                           DW_FMT(arg->name));
    size_t i = v->nargs++;
    for (; i > 0 && goes_before(&one, &v->args[i - 1]); i--)
      v->args[i] = v->args[i - 1];
    v->args[i] = one;
  }
  return 0;
}

static bool find_custom(const compiler *c) {
  const dw_router *r = c->source->router;
  for (size_t i = r->nconverters; i-- > 0;) { /* the last of a name counts */
    const dw_converter *found = r->converters[i];
    if (!dw_slice_equal(found->name, c->converter)) continue;
    c->var->kind = DW_VAR_CUSTOM;
    c->var->converter = found;
    c->var->slashes = found->slashes;
    c->var->weight = found->weight;
    return true;
  }
  return false;
}

/* --- All of them -----------------------------------------------------------*/

static bool find_built_in(compiler *c) {
  for (size_t i = 0; i < BUILT_IN; i++) {
    if (!dw_slice_equal(built_in[i].name, c->converter)) continue;
    c->var->kind = built_in[i].kind;
    c->var->slashes = built_in[i].kind == DW_VAR_PATH;
    c->var->weight = built_in[i].weight;
    c->known = built_in[i].args;
    return true;
  }
  return false;
}

static int unknown(const compiler *c, size_t at) {
  const dw_router *r = c->source->router;
  dw_text_guess guess = {.wanted = c->converter};
  for (size_t i = 0; i < BUILT_IN; i++)
    dw_text_guess_offer(&guess, built_in[i].name);
  for (size_t i = 0; i < r->nconverters; i++)
    dw_text_guess_offer(&guess, r->converters[i]->name);
  return dw_rule_error(c->source, (ptrdiff_t)at, guess.best,
                       "unknown converter '%.*s'", DW_FMT(c->converter));
}

int dw_converter_compile(dw_rule_source *s, dw_rule_var *v, dw_slice name,
                         size_t name_at, const dw_rule_arg *args,
                         size_t nargs) {
  compiler c = {
      .source = s, .var = v, .converter = name, .args = args, .nargs = nargs};
  if (find_custom(&c)) return compile_custom(&c);
  if (!find_built_in(&c)) return unknown(&c, name_at);
  if (v->kind == DW_VAR_ANY) return compile_any(&c, name_at);
  int rc = check_args(&c);
  if (rc < 0) return rc;
  switch (v->kind) {
  case DW_VAR_STRING:
    return compile_string(&c);
  case DW_VAR_INT:
    return compile_int(&c);
  case DW_VAR_FLOAT:
    return compile_float(&c);
  default:
    return 0;
  }
}
