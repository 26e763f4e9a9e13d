/* SPDX-License-Identifier: MIT */
/* Converters at work: a text becomes a variable's value, or is refused so that
 * the next rule may try; and the way back for URLs, where what would not match
 * again is refused with a reason. */
#include "app/router_private.h"

#include <math.h>

/* --- From text -------------------------------------------------------------*/

static bool string_fits(const dw_rule_var *v, dw_slice text) {
  if (v->least <= 1 && v->most == INT64_MAX) return text.len > 0;
  int64_t length = (int64_t)dw_text_length(text);
  return length >= v->least && length <= v->most;
}

static bool int_value(const dw_rule_var *v, dw_slice text, dw_value *out) {
  int64_t n;
  if (!dw_number_int(text, v->is_signed, &n)) return false;
  if (v->digits && text.len - (text.ptr[0] == '-') != v->digits) return false;
  *out = (dw_value){.kind = DW_VALUE_INT, .as.integer = n};
  return n >= v->least && n <= v->most;
}

static bool float_value(const dw_rule_var *v, dw_slice text, dw_value *out) {
  double n;
  if (!dw_number_float(text, v->is_signed, &n)) return false;
  *out = (dw_value){.kind = DW_VALUE_FLOAT, .as.number = n};
  return n >= v->floor && n <= v->ceiling;
}

static bool is_item(const dw_rule_var *v, dw_slice text) {
  size_t low = 0, high = v->nitems;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int order = dw_slice_compare(v->items[middle], text);
    if (order == 0) return true;
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return false;
}

static bool is_uuid(dw_slice text, bool *upper) {
  *upper = false;
  if (text.len != 36) return false;
  for (size_t i = 0; i < 36; i++) {
    char c = text.ptr[i];
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    bool digit = c >= '0' && c <= '9', small = c >= 'a' && c <= 'f';
    bool capital = c >= 'A' && c <= 'F';
    *upper |= capital;
    if (dash ? c != '-' : !(digit || small || capital)) return false;
  }
  return true;
}

static void lower(char *text, size_t len) {
  for (size_t i = 0; i < len; i++)
    if (text[i] >= 'A' && text[i] <= 'Z') text[i] += 'a' - 'A';
}

static int uuid_value(dw_slice text, dw_arena *arena, dw_value *out) {
  bool upper;
  if (!is_uuid(text, &upper)) return 0;
  if (upper) {
    char *copy = dw_arena_copy(arena, text.ptr, text.len);
    if (!copy) return DW_ENOMEM;
    lower(copy, text.len);
    text.ptr = copy;
  }
  *out = (dw_value){.kind = DW_VALUE_STRING, .as.string = text};
  return 1;
}

static int custom_value(const dw_rule_var *v, dw_slice text, dw_value *out) {
  *out = (dw_value){.kind = DW_VALUE_NONE};
  int rc = v->converter->to_value(v->converter, text, v->args, v->nargs, out);
  if (rc > 0 && out->kind == DW_VALUE_HANDLE) out->converter = v->converter;
  return rc > 0 ? 1 : rc;
}

int dw_converter_to_value(const dw_rule_var *v, dw_slice text, dw_arena *arena,
                          dw_value *out) {
  if (text.len == 0 || (v->slashes && text.ptr[0] == '/')) return 0;
  *out = (dw_value){.kind = DW_VALUE_STRING, .as.string = text};
  switch (v->kind) {
  case DW_VAR_STRING:
    return string_fits(v, text);
  case DW_VAR_INT:
    return int_value(v, text, out);
  case DW_VAR_FLOAT:
    return float_value(v, text, out);
  case DW_VAR_PATH:
    return 1;
  case DW_VAR_UUID:
    return uuid_value(text, arena, out);
  case DW_VAR_ANY:
    return is_item(v, text);
  case DW_VAR_CUSTOM:
    break;
  }
  return custom_value(v, text, out);
}

/* --- Values ----------------------------------------------------------------*/

int dw_value_text(const dw_value *value, dw_buffer *out) {
  switch (value->kind) {
  case DW_VALUE_STRING:
    return dw_buffer_append_slice(out, value->as.string);
  case DW_VALUE_INT:
    return dw_buffer_printf(out, "%lld", (long long)value->as.integer);
  case DW_VALUE_FLOAT:
    return dw_number_append_float(out, value->as.number);
  case DW_VALUE_BOOL:
    return dw_buffer_printf(out, "%s", value->as.integer ? "true" : "false");
  case DW_VALUE_NONE:
    return 0;
  case DW_VALUE_HANDLE:
    break;
  }
  return DEWAR_EINVAL;
}

static bool is_number(const dw_value *v) {
  return v->kind == DW_VALUE_INT || v->kind == DW_VALUE_FLOAT;
}

static double number(const dw_value *v) {
  return v->kind == DW_VALUE_INT ? (double)v->as.integer : v->as.number;
}

bool dw_value_equal(const dw_value *a, const dw_value *b) {
  if (a->kind != b->kind)
    return is_number(a) && is_number(b) && number(a) == number(b);
  switch (a->kind) {
  case DW_VALUE_NONE:
    return true;
  case DW_VALUE_STRING:
    return dw_slice_equal(a->as.string, b->as.string);
  case DW_VALUE_FLOAT:
    return a->as.number == b->as.number;
  case DW_VALUE_HANDLE:
    return a->as.integer == b->as.integer && a->converter == b->converter;
  default:
    return a->as.integer == b->as.integer;
  }
}

/* --- To text ---------------------------------------------------------------*/

/* A refusal: its reason reads behind the variable's name. */
#define REFUSE(why, ...) DW_ROUTER_FAIL(why, 0, __VA_ARGS__)

/* A string that looks like what the converter wants is as good. */
static bool whole_number(const dw_value *value, int64_t *out) {
  if (value->kind == DW_VALUE_STRING)
    return dw_number_int(value->as.string, true, out);
  if (value->kind == DW_VALUE_INT) *out = value->as.integer;
  if (value->kind != DW_VALUE_FLOAT) return value->kind == DW_VALUE_INT;
  double n = value->as.number;
  if (n != floor(n) || n < -0x1p63 || n >= 0x1p63) return false;
  *out = (int64_t)n;
  return true;
}

static int int_text(const dw_rule_var *v, const dw_value *value, dw_buffer *out,
                    dw_buffer *why) {
  int64_t n = 0;
  if (!whole_number(value, &n)) return REFUSE(why, "must be an integer");
  long long shown = n;
  if (n < 0 && !v->is_signed)
    return REFUSE(why, "must not be negative: %lld", shown);
  if (n < v->least)
    return REFUSE(why, "must be at least %lld: %lld", (long long)v->least,
                  shown);
  if (n > v->most)
    return REFUSE(why, "must be at most %lld: %lld", (long long)v->most, shown);
  int width = (int)v->digits + (v->digits > 0 && n < 0);
  size_t start = out->len;
  int rc = dw_buffer_printf(out, "%0*lld", width, shown);
  if (rc < 0) return rc;
  if (v->digits && out->len - start > (size_t)width)
    return REFUSE(why, "must have %zu digits: %lld", v->digits, shown);
  return 1;
}

static bool any_number(const dw_value *value, double *out) {
  int64_t whole;
  if (value->kind != DW_VALUE_STRING) {
    *out = is_number(value) ? number(value) : 0;
    return is_number(value) && isfinite(*out);
  }
  if (dw_number_float(value->as.string, true, out)) return true;
  if (!dw_number_int(value->as.string, true, &whole)) return false;
  *out = (double)whole;
  return true;
}

static int float_text(const dw_rule_var *v, const dw_value *value,
                      dw_buffer *out, dw_buffer *why) {
  double n;
  if (!any_number(value, &n)) return REFUSE(why, "must be a finite number");
  if (n < 0 && !v->is_signed) return REFUSE(why, "must not be negative: %g", n);
  if (n < v->floor) return REFUSE(why, "must be at least %g: %g", v->floor, n);
  if (n > v->ceiling)
    return REFUSE(why, "must be at most %g: %g", v->ceiling, n);
  int rc = dw_number_append_float(out, n == 0 ? 0 : n);
  return rc < 0 ? rc : 1;
}

static int check_string(const dw_rule_var *v, dw_slice text, dw_buffer *why) {
  if (text.len == 0) return REFUSE(why, "must not be empty");
  if (string_fits(v, text)) return 1;
  if (v->least == v->most)
    return REFUSE(why, "must have %lld characters: '%.*s'", (long long)v->least,
                  DW_FMT(text));
  if (v->most == INT64_MAX)
    return REFUSE(why, "must have %lld characters or more: '%.*s'",
                  (long long)v->least, DW_FMT(text));
  return REFUSE(why, "must have %lld to %lld characters: '%.*s'",
                (long long)v->least, (long long)v->most, DW_FMT(text));
}

static int check_item(const dw_rule_var *v, dw_slice text, dw_buffer *why) {
  if (is_item(v, text)) return 1;
  int rc = REFUSE(why, "is '%.*s', but must be one of", DW_FMT(text));
  for (size_t i = 0; why && i < v->nitems && rc == 0; i++)
    if (dw_buffer_printf(why, "%s '%.*s'", i ? "," : "", DW_FMT(v->items[i])) ==
        DW_ENOMEM)
      rc = DW_ENOMEM;
  return rc;
}

/* What a text must be for the kinds whose values are texts. */
static int check_text(const dw_rule_var *v, dw_slice text, dw_buffer *why) {
  bool upper;
  if (text.len > 0 && memchr(text.ptr, 0, text.len))
    return REFUSE(why, "must not have a NUL, which no path may have");
  switch (v->kind) {
  case DW_VAR_STRING:
    return check_string(v, text, why);
  case DW_VAR_ANY:
    return check_item(v, text, why);
  case DW_VAR_UUID:
    if (is_uuid(text, &upper)) return 1;
    return REFUSE(why, "must be a UUID: '%.*s'", DW_FMT(text));
  default: /* paths, and what custom converters made */
    if (text.len == 0) return REFUSE(why, "must not be empty");
    if (!v->slashes || text.ptr[0] != '/') return 1;
    return REFUSE(why, "must not start with '/': '%.*s'", DW_FMT(text));
  }
}

static int plain_text(const dw_value *value, dw_buffer *out, dw_buffer *why) {
  if (value->kind == DW_VALUE_BOOL) return REFUSE(why, "must not be a boolean");
  if (value->kind == DW_VALUE_HANDLE)
    return REFUSE(why, "must be a string or a number");
  int rc = dw_value_text(value, out);
  return rc < 0 ? rc : 1;
}

static int custom_text(const dw_rule_var *v, const dw_value *value,
                       dw_buffer *out, dw_buffer *why) {
  const dw_converter *c = v->converter;
  if (!c->to_text) return plain_text(value, out, why);
  int rc = c->to_text(c, value, v->args, v->nargs, out);
  if (rc != 0) return rc < 0 ? rc : 1;
  return REFUSE(why, "is refused by the converter '%.*s'", DW_FMT(c->name));
}

int dw_converter_to_text(const dw_rule_var *v, const dw_value *value,
                         dw_buffer *out, dw_buffer *why) {
  size_t start = out->len;
  if (v->kind == DW_VAR_INT) return int_text(v, value, out, why);
  if (v->kind == DW_VAR_FLOAT) return float_text(v, value, out, why);
  int rc = v->kind == DW_VAR_CUSTOM ? custom_text(v, value, out, why)
                                    : plain_text(value, out, why);
  if (rc <= 0) return rc;
  dw_slice text =
      dw_slice_of(dw_buffer_slice(out).ptr + start, out->len - start);
  rc = check_text(v, text, why);
  if (rc > 0 && v->kind == DW_VAR_UUID) lower(out->ptr + start, text.len);
  return rc;
}
