/* SPDX-License-Identifier: MIT */
/* Parts with variables against texts: splits a text among the variables, turns
 * each piece into its value and captures it. The first split that all accept
 * counts. Every try is paid from a budget that no honest path comes near, so
 * that a crafted one ends soon. Owner: the walk of one match. */
#include "app/router_private.h"

enum {
  STEPS = 1 << 17,  /* the budget of one walk */
  CUSTOM_STEPS = 32 /* what a user's converter is counted as */
};

/* --- Captured values -------------------------------------------------------*/

void dw_values_release(dw_value *values, size_t count) {
  for (size_t i = 0; i < count; i++) {
    const dw_converter *c = values[i].converter;
    if (values[i].kind == DW_VALUE_HANDLE && c && c->release)
      c->release(c, &values[i]);
  }
}

void dw_captures_drop(dw_captures *c, size_t mark) {
  if (c->count > mark) dw_values_release(c->values + mark, c->count - mark);
  c->count = mark;
}

bool dw_captures_spend(dw_captures *c, size_t steps) {
  c->steps += steps;
  return c->steps < STEPS && !c->code && !c->no_memory;
}

/* Offers text to a variable and captures the value. form: the text still has
 * its "%2F" and "%25". */
static bool convert(dw_captures *c, const dw_rule_var *v, dw_slice text,
                    bool form) {
  size_t cost = v->kind == DW_VAR_CUSTOM ? CUSTOM_STEPS : 1;
  if (v->kind != DW_VAR_PATH) cost += text.len / 32; /* it is looked at */
  if (!dw_captures_spend(c, cost)) return false;
  if (form && !v->slashes) {
    if (memchr(text.ptr, '/', text.len)) return false;
    dw_slice plain = dw_path_plain(text, c->arena);
    if (!plain.ptr) c->no_memory = true;
    if (!plain.ptr) return false;
    if (plain.ptr != text.ptr) c->steps += text.len / 4;
    text = plain;
  }
  int rc = dw_converter_to_value(v, text, c->arena, &c->values[c->count]);
  if (rc > 0) c->count++;
  if (rc < 0 && v->kind == DW_VAR_CUSTOM) c->code = rc;
  if (rc < 0 && v->kind != DW_VAR_CUSTOM) c->no_memory = true;
  return rc > 0;
}

/* --- Parts with variables --------------------------------------------------*/

/* Whether a variable may end or begin at text[at]: not within an escape that
 * the form has kept, nor within a character. */
static bool is_seam(dw_slice text, size_t at, bool form) {
  if (form && at > 0 && text.ptr[at - 1] == '%') return false;
  if (form && at > 1 && text.ptr[at - 2] == '%') return false;
  return at >= text.len || ((unsigned char)text.ptr[at] & 0xc0) != 0x80;
}

bool dw_slice_has(dw_slice text, size_t at, dw_slice piece) {
  return piece.len == 0 || (text.len - at >= piece.len &&
                            memcmp(text.ptr + at, piece.ptr, piece.len) == 0);
}

static bool take_vars(dw_captures *c, const dw_rule_part *part, size_t k,
                      dw_slice text, size_t at, bool form);

/* Variable k is text[at..end): takes it if the rest fits, too. */
static bool take_until(dw_captures *c, const dw_rule_part *part, size_t k,
                       dw_slice text, size_t at, size_t end, bool form) {
  const dw_rule_var *v = &part->vars[k];
  if (!dw_captures_spend(c, 1) || !dw_slice_has(text, end, v->after))
    return false;
  if (!is_seam(text, end, form)) return false;
  size_t mark = c->count, next = end + v->after.len;
  if (!convert(c, v, dw_slice_of(text.ptr + at, end - at), form)) return false;
  if (k + 1 == part->nvars ? next == text.len
                           : take_vars(c, part, k + 1, text, next, form))
    return true;
  dw_captures_drop(c, mark);
  return false;
}

/* Variables from k on take text[at..], the whole of it. A variable takes as
 * much as it can, one that takes slashes as little as it can. */
static bool take_vars(dw_captures *c, const dw_rule_part *part, size_t k,
                      dw_slice text, size_t at, bool form) {
  size_t behind = 0; /* the least that must be left behind variable k */
  for (size_t i = k; i < part->nvars; i++)
    behind += part->vars[i].after.len + (i > k);
  if (text.len < at + 1 + behind) return false;
  size_t first = at + 1, last = text.len - behind;
  if (k + 1 == part->nvars) return take_until(c, part, k, text, at, last, form);
  bool lazy = part->vars[k].slashes;
  for (size_t i = 0; i <= last - first; i++)
    if (take_until(c, part, k, text, at, lazy ? first + i : last - i, form))
      return true;
  return false;
}

bool dw_captures_take(dw_captures *c, const dw_rule_part *part, dw_slice text,
                      bool form) {
  if (text.len < part->prefix.len || !dw_slice_has(text, 0, part->prefix))
    return false;
  return take_vars(c, part, 0, text, part->prefix.len, form);
}
