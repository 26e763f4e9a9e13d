/* SPDX-License-Identifier: MIT */
/* The urlencoded form. */
#include "http/form.h"

#include "base/error.h"
#include "http/parameters.h"
#include "http/uri.h"

bool dw_form_is(dw_slice content_type) {
  return dw_slice_equal_nocase(dw_parameters_begin(&content_type),
                               DW_LITERAL("application/x-www-form-urlencoded"));
}

/* Takes the run up to the next separator off *rest. */
static dw_slice next_run(dw_slice *rest, char separator) {
  const char *end = memchr(rest->ptr, separator, rest->len);
  dw_slice run = *rest;
  if (end) run.len = (size_t)(end - rest->ptr);
  size_t taken = run.len + (end != NULL);
  *rest = dw_slice_of(rest->ptr + taken, rest->len - taken);
  return run;
}

static bool decode(dw_slice *text, dw_arena *arena) {
  if (text->len == 0) return true;
  if (!memchr(text->ptr, '%', text->len) && !memchr(text->ptr, '+', text->len))
    return true;
  char *copy = dw_arena_copy(arena, text->ptr, text->len);
  if (!copy) return false;
  *text = dw_slice_of(copy, dw_percent_decode(copy, *text, true));
  return true;
}

static size_t count_pairs(dw_slice text) {
  size_t count = 0;
  while (text.len > 0) count += next_run(&text, '&').len > 0;
  return count;
}

int dw_form_parse(dw_slice text, dw_arena *arena, size_t max, dw_pairs *out) {
  *out = (dw_pairs){0};
  size_t count = count_pairs(text);
  if (max > 0 && count > max) return DW_ETOOBIG;
  if (count == 0) return 0;
  if (count > SIZE_MAX / sizeof *out->items) return DW_ENOMEM;
  dw_pair *items = dw_arena_alloc(arena, count * sizeof *items);
  if (!items) return DW_ENOMEM;

  dw_pair *at = items;
  while (text.len > 0) {
    dw_slice value = next_run(&text, '&');
    if (value.len == 0) continue;
    at->name = next_run(&value, '=');
    at->value = value;
    if (!decode(&at->name, arena) || !decode(&at->value, arena))
      return DW_ENOMEM;
    at++;
  }
  *out = (dw_pairs){items, count};
  return 0;
}

/* Escapes as forms do: a space is "+", "*" stays. */
static int append_escaped(dw_buffer *out, dw_slice text) {
  size_t start = out->len;
  int err = dw_percent_encode(out, text, "* ");
  if (err < 0) return err;
  for (size_t i = start; i < out->len; i++) {
    if (out->ptr[i] == ' ') out->ptr[i] = '+';
  }
  return 0;
}

int dw_form_append(dw_buffer *out, dw_slice name, dw_slice value) {
  size_t before = out->len;
  int err = before > 0 ? dw_buffer_append_char(out, '&') : 0;
  if (err == 0) err = append_escaped(out, name);
  if (err == 0) err = dw_buffer_append_char(out, '=');
  if (err == 0) err = append_escaped(out, value);
  if (err < 0) out->len = before;
  return err;
}
