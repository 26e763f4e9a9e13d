/* SPDX-License-Identifier: MIT */
/* Paths as they were sent, from raw bytes to segments. A path is split first
 * and each segment decoded once, so that "%2F" never becomes a separator. Where
 * nothing is encoded, nothing is copied. */
#include "app/router_private.h"

/* What one pass over a path finds. */
typedef struct survey {
  size_t slashes;
  size_t escapes; /* other than %2F and %25 */
  size_t kept;    /* %2F and %25 */
} survey;

/* The byte that the escape at the start of p stands for; -1: it is invalid. */
static int escaped(const char *p, const char *end) {
  if (end - p < 3) return -1;
  int high = dw_hex_digit((unsigned char)p[1]);
  int low = dw_hex_digit((unsigned char)p[2]);
  return high < 0 || low < 0 ? -1 : high << 4 | low;
}

static bool stays(int byte) { return byte == '/' || byte == '%'; }

static int look(dw_slice raw, survey *s) {
  *s = (survey){0};
  const char *end = raw.ptr + raw.len;
  for (const char *p = raw.ptr; p < end; p++) {
    if (*p == '/') {
      s->slashes++;
    } else if (*p == '%') {
      int byte = escaped(p, end);
      if (byte <= 0) return DEWAR_EPARSE;
      if (stays(byte))
        s->kept++;
      else
        s->escapes++;
    } else if (*p == '\0') {
      return DEWAR_EPARSE;
    }
  }
  return 0;
}

/* Decodes valid text into out; all: also what stays in the form. Returns the
 * end of what was written. */
static char *decode(char *out, dw_slice text, bool all) {
  const char *end = text.ptr + text.len;
  for (const char *p = text.ptr; p < end; p++) {
    int byte = *p == '%' ? escaped(p, end) : -1;
    if (byte < 0 || (stays(byte) && !all)) {
      *out++ = *p;
    } else {
      *out++ = (char)byte;
      p += 2;
    }
  }
  return out;
}

int dw_path_decode(dw_slice raw, dw_arena *arena, dw_slice *out) {
  survey s;
  *out = raw;
  if (look(raw, &s) < 0) return DEWAR_EPARSE;
  if (s.escapes == 0) return 0;
  char *text = dw_arena_alloc(arena, raw.len);
  if (!text) return DW_ENOMEM;
  *out = dw_slice_of(text, (size_t)(decode(text, raw, false) - text));
  return 0;
}

dw_slice dw_path_plain(dw_slice form, dw_arena *arena) {
  if (!memchr(form.ptr, '%', form.len)) return form;
  char *text = dw_arena_alloc(arena, form.len);
  if (!text) return dw_slice_of(NULL, 0);
  return dw_slice_of(text, (size_t)(decode(text, form, true) - text));
}

/* Cuts the form of a path into segments; their text is the form, too. */
static void cut(dw_slice form, dw_path *out) {
  const char *p = form.ptr + 1, *end = form.ptr + form.len;
  out->end = end;
  out->count = 0;
  out->empties = false;
  for (;;) {
    const char *start = p;
    while (p < end && *p != '/') p++;
    dw_slice text = dw_slice_of(start, (size_t)(p - start));
    if (p == end) {
      out->slash = text.len == 0;
      if (!out->slash)
        out->segments[out->count++] = (dw_path_segment){text, text};
      return;
    }
    out->empties |= text.len == 0;
    out->segments[out->count++] = (dw_path_segment){text, text};
    p++;
  }
}

int dw_path_split(dw_slice raw, dw_arena *arena, dw_path_segment *local,
                  dw_path *out) {
  survey s;
  if (look(raw, &s) < 0 || raw.len == 0 || raw.ptr[0] != '/')
    return DEWAR_EPARSE;
  out->segments = local;
  if (s.slashes > DW_PATH_LOCAL)
    out->segments = dw_arena_alloc(arena, s.slashes * sizeof *local);
  if (!out->segments) return DW_ENOMEM;
  dw_slice form = raw;
  if (s.escapes > 0 && dw_path_decode(raw, arena, &form) < 0) return DW_ENOMEM;
  cut(form, out);
  for (size_t i = 0; s.kept > 0 && i < out->count; i++) {
    out->segments[i].text = dw_path_plain(out->segments[i].form, arena);
    if (!out->segments[i].text.ptr) return DW_ENOMEM;
  }
  return 0;
}
