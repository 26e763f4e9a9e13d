/* SPDX-License-Identifier: MIT */
/* What a client accepts. A header is read anew for each question: it is short,
 * and mostly nobody asks. */
#include "http/accept.h"

#include "http/tokens.h"

/* How closely a range means a value. Media ranges with parameters are closer
 * than CLOSE_NAME by the number of these, languages than CLOSE_PART by that of
 * their subtags. */
enum {
  CLOSE_ANY = 1,  /* the wildcard */
  CLOSE_PART = 2, /* "text/" and a wildcard; a language that is a broader one */
  CLOSE_NAME = 100
};

static const dw_slice any = {"*", 1};

/* --- Taking apart ----------------------------------------------------------*/

/* Takes what is in front of the next separator that isn't quoted off *rest,
 * trimmed. false: there is nothing left. */
static bool take(dw_slice *rest, char separator, dw_slice *out) {
  if (rest->len == 0) return false;
  bool quoted = false;
  size_t i = 0;
  for (; i < rest->len && (quoted || rest->ptr[i] != separator); i++) {
    if (rest->ptr[i] == '"')
      quoted = !quoted;
    else if (quoted && rest->ptr[i] == '\\' && i + 1 < rest->len)
      i++;
  }
  *out = dw_slice_trim(dw_slice_of(rest->ptr, i));
  size_t used = i < rest->len ? i + 1 : i;
  *rest = dw_slice_of(rest->ptr + used, rest->len - used);
  return true;
}

/* "name = value" in its parts; a value between quotes is without them. */
static void split(dw_slice parameter, dw_slice *name, dw_slice *value) {
  const char *equals =
      parameter.len ? memchr(parameter.ptr, '=', parameter.len) : NULL;
  *name = parameter;
  *value = DW_EMPTY;
  if (!equals) return;
  size_t len = (size_t)(equals - parameter.ptr);
  *name = dw_slice_trim(dw_slice_of(parameter.ptr, len));
  dw_slice v = dw_slice_trim(dw_slice_of(equals + 1, parameter.len - len - 1));
  if (v.len > 1 && v.ptr[0] == '"' && v.ptr[v.len - 1] == '"')
    v = dw_slice_of(v.ptr + 1, v.len - 2);
  *value = v;
}

/* "0.5" as thousandths: digits, and others behind a point; -1: no weight. More
 * digits than are allowed do no harm. */
static int read_weight(dw_slice text) {
  int n = 0, unit = DW_QUALITY_MAX;
  size_t i = 0;
  for (; i < text.len && text.ptr[i] != '.'; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') return -1;
    n = n * 10 + (text.ptr[i] - '0');
    if (n > 1) return -1;
  }
  if (i == 0 || i + 1 == text.len) return -1;
  n *= DW_QUALITY_MAX;
  for (i++; i < text.len; i++) {
    if (text.ptr[i] < '0' || text.ptr[i] > '9') return -1;
    unit /= 10;
    n += (text.ptr[i] - '0') * unit;
    if (n > DW_QUALITY_MAX) return -1;
  }
  return n;
}

/* The two halves of "type/subtype"; false: it isn't that. */
static bool split_type(dw_slice value, dw_slice *type, dw_slice *subtype) {
  const char *slash = value.len ? memchr(value.ptr, '/', value.len) : NULL;
  if (!slash) return false;
  size_t len = (size_t)(slash - value.ptr);
  *type = dw_slice_of(value.ptr, len);
  *subtype = dw_slice_of(slash + 1, value.len - len - 1);
  return dw_is_token(*type) && dw_is_token(*subtype);
}

static bool is_range(dw_accept_kind kind, dw_slice value) {
  dw_slice type, subtype;
  if (kind != DW_ACCEPT_MEDIA) return dw_is_token(value);
  if (!split_type(value, &type, &subtype)) return false;
  return !dw_slice_equal(type, any) || dw_slice_equal(subtype, any);
}

static bool read_range(dw_accept_kind kind, dw_slice element,
                       dw_accept_range *out) {
  dw_slice parameter, name, value;
  if (!take(&element, ';', &out->value) || !is_range(kind, out->value))
    return false;
  out->parameters = element;
  out->quality = DW_QUALITY_MAX;
  while (take(&element, ';', &parameter)) {
    split(parameter, &name, &value);
    if (!dw_slice_equal_nocase(name, DW_LITERAL("q"))) continue;
    out->quality = read_weight(value);
    return out->quality >= 0;
  }
  return true;
}

bool dw_accept_next(dw_accept_kind kind, dw_slice *rest, dw_accept_range *out) {
  dw_slice element;
  while (take(rest, ',', &element))
    if (read_range(kind, element, out)) return true;
  return false;
}

bool dw_accept_parameter(dw_slice *rest, dw_slice *out) {
  dw_slice name, value;
  while (take(rest, ';', out)) {
    split(*out, &name, &value);
    if (dw_is_token(name) && !dw_slice_equal_nocase(name, DW_LITERAL("q")))
      return true;
  }
  return false;
}

/* --- Media types -----------------------------------------------------------*/

/* The value of a parameter; false: there is none of that name. */
static bool find_parameter(dw_slice parameters, dw_slice wanted,
                           dw_slice *out) {
  dw_slice parameter, name;
  while (dw_accept_parameter(&parameters, &parameter)) {
    split(parameter, &name, out);
    if (dw_slice_equal_nocase(name, wanted)) return true;
  }
  return false;
}

/* How many parameters of the range the value has; -1: not all of them. */
static int match_parameters(dw_slice range, dw_slice value) {
  int count = 0;
  dw_slice parameter, name, wanted, got;
  while (dw_accept_parameter(&range, &parameter)) {
    split(parameter, &name, &wanted);
    if (find_parameter(value, name, &got)) {
      if (!dw_slice_equal_nocase(wanted, got)) return -1;
      if (count < CLOSE_NAME) count++;
    } else if (!dw_slice_equal_nocase(name, DW_LITERAL("charset"))) {
      return -1;
    }
  }
  return count;
}

static int close_media(const dw_accept_range *r, dw_slice value) {
  dw_slice type, subtype, wanted_type, wanted_subtype, name;
  if (!take(&value, ';', &name) || !split_type(name, &type, &subtype) ||
      !split_type(r->value, &wanted_type, &wanted_subtype))
    return 0;
  int parameters = match_parameters(r->parameters, value);
  if (parameters < 0) return 0;
  if (dw_slice_equal(wanted_type, any)) return CLOSE_ANY;
  if (!dw_slice_equal_nocase(type, wanted_type)) return 0;
  if (dw_slice_equal(wanted_subtype, any)) return CLOSE_PART;
  return dw_slice_equal_nocase(subtype, wanted_subtype)
             ? CLOSE_NAME + parameters
             : 0;
}

/* --- Words -----------------------------------------------------------------*/

static char fold(char c) {
  if (c == '_') return '-';
  return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* How many subtags `part` has, if `whole` starts with them; else 0. */
static int count_common(dw_slice part, dw_slice whole) {
  int count = 1;
  if (part.len > whole.len) return 0;
  for (size_t i = 0; i < part.len; i++) {
    if (fold(part.ptr[i]) != fold(whole.ptr[i])) return 0;
    count += fold(part.ptr[i]) == '-';
  }
  return part.len == whole.len || fold(whole.ptr[part.len]) == '-' ? count : 0;
}

/* RFC 4647: a range stands for what it is the beginning of (3.3.1), and, cut
 * down from behind, for something broader (3.4), which refusing it doesn't
 * refuse. */
static int close_language(const dw_accept_range *r, dw_slice value) {
  int common = count_common(r->value, value);
  if (common && r->value.len == value.len) return CLOSE_NAME;
  if (common) return CLOSE_PART + (common < 50 ? common : 50);
  return r->quality > 0 && count_common(value, r->value) ? CLOSE_PART : 0;
}

/* Without what some leave out: "utf8" and "UTF-8" are the same. */
static bool same_charset(dw_slice a, dw_slice b) {
  size_t i = 0, j = 0;
  for (;;) {
    while (i < a.len && fold(a.ptr[i]) == '-') i++;
    while (j < b.len && fold(b.ptr[j]) == '-') j++;
    if (i == a.len || j == b.len) return i == a.len && j == b.len;
    if (fold(a.ptr[i++]) != fold(b.ptr[j++])) return false;
  }
}

/* RFC 9110, 8.4.1: "x-gzip" is "gzip", "x-compress" is "compress". */
static dw_slice plain_coding(dw_slice name) {
  dw_slice old = DW_LITERAL("x-");
  if (name.len <= old.len ||
      !dw_slice_equal_nocase(dw_slice_of(name.ptr, old.len), old))
    return name;
  return dw_slice_of(name.ptr + old.len, name.len - old.len);
}

static int close_word(dw_accept_kind kind, const dw_accept_range *r,
                      dw_slice value) {
  bool same =
      kind == DW_ACCEPT_CHARSET
          ? same_charset(r->value, value)
          : dw_slice_equal_nocase(plain_coding(r->value), plain_coding(value));
  return same ? CLOSE_NAME : 0;
}

int dw_accept_specificity(dw_accept_kind kind, const dw_accept_range *range) {
  dw_slice rest = range->parameters, type, subtype;
  int count = 0;
  if (dw_slice_equal(range->value, any)) return 0;
  if (kind == DW_ACCEPT_LANGUAGE)
    return count_common(range->value, range->value);
  if (kind != DW_ACCEPT_MEDIA) return 1;
  split_type(range->value, &type, &subtype);
  if (dw_slice_equal(type, any)) return 0;
  if (dw_slice_equal(subtype, any)) return 1;
  while (dw_accept_parameter(&rest, &type)) count++;
  return 2 + count;
}

/* --- Questions -------------------------------------------------------------*/

static int closeness_of(dw_accept_kind kind, const dw_accept_range *r,
                        dw_slice value) {
  if (kind == DW_ACCEPT_MEDIA) return close_media(r, value);
  if (dw_slice_equal(r->value, any)) return CLOSE_ANY;
  return kind == DW_ACCEPT_LANGUAGE ? close_language(r, value)
                                    : close_word(kind, r, value);
}

dw_accept_match dw_accept_find(dw_accept_kind kind, dw_slice header,
                               dw_slice value) {
  dw_accept_match best = {0, 0};
  dw_accept_range r;
  bool some = false;
  while (dw_accept_next(kind, &header, &r)) {
    int closeness = closeness_of(kind, &r, value);
    some = true;
    if (closeness == 0) continue;
    if (closeness > best.closeness ||
        (closeness == best.closeness && r.quality > best.quality))
      best = (dw_accept_match){r.quality, closeness};
  }
  if (best.closeness > 0) return best;
  if (kind == DW_ACCEPT_ENCODING) {
    /* Always acceptable, if it isn't refused; but what is named comes first. */
    if (dw_slice_equal_nocase(value, DW_LITERAL("identity")))
      return (dw_accept_match){some ? 1 : DW_QUALITY_MAX, CLOSE_ANY};
    return best;
  }
  return some ? best : (dw_accept_match){DW_QUALITY_MAX, CLOSE_ANY};
}

int dw_accept_best(dw_accept_kind kind, dw_slice header, const dw_slice *offers,
                   int n) {
  int best = -1;
  dw_accept_match best_match = {0, 0};
  for (int i = 0; i < n; i++) {
    dw_accept_match m = dw_accept_find(kind, header, offers[i]);
    if (m.quality < best_match.quality || m.quality == 0) continue;
    if (m.quality == best_match.quality && m.closeness <= best_match.closeness)
      continue;
    best = i;
    best_match = m;
  }
  return best;
}

bool dw_accept_is_value(dw_accept_kind kind, dw_slice value) {
  dw_slice type, subtype, name;
  if (kind != DW_ACCEPT_MEDIA)
    return dw_is_token(value) && !dw_slice_equal(value, any);
  return take(&value, ';', &name) && split_type(name, &type, &subtype) &&
         !dw_slice_equal(type, any) && !dw_slice_equal(subtype, any);
}
