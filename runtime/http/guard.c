/* SPDX-License-Identifier: MIT */
/* The guard in front, a state machine. States are entered per byte only where
 * lines are short (the method, the version, chunk lines); fields are taken line
 * by line with memchr, data as whole runs. Each function takes input from p and
 * returns how far it got; a fault ends it. Thread: the loop's. */
#include "http/guard.h"

#include <string.h>

#include "http/tokens.h"

enum state {
  /* The head. */
  START,
  EMPTY_LF,
  METHOD,
  TARGET,
  VERSION,
  VERSION_LF,
  /* Fields, of the head or of the trailers. */
  LINE_START,
  LINE,
  LAST_LF,
  /* The body. */
  LENGTH,
  REST,
  SIZE,
  EXTENSION_NAME_START,
  EXTENSION_NAME,
  EXTENSION_VALUE_START,
  EXTENSION_VALUE,
  EXTENSION_QUOTED,
  EXTENSION_ESCAPE,
  EXTENSION_AFTER_QUOTED,
  SIZE_CR,
  SIZE_LF,
  DATA,
  DATA_CR,
  DATA_LF,
  DONE,
  FAULT
};

enum {
  METHOD_MAX = 32,  /* far longer than any that is known */
  VERSION_MAX = 16, /* "HTTP/1.1", with room to tell what else it was */
  SIZE_DIGITS = 16,
  TLS_HANDSHAKE = 0x16
};

void dw_guard_init(dw_guard *g, const dw_limits *limits) {
  *g = (dw_guard){.limits = limits, .state = START};
}

bool dw_guard_started(const dw_guard *g) {
  return g->state != START || g->empty > 0;
}

static bool is(char c, int classes) {
  return dw_char_classes[(unsigned char)c] & classes;
}

static size_t or_none(size_t limit) { return limit ? limit : SIZE_MAX; }

static const char *refuse(dw_guard *g, int status, const char *reason,
                          const char *p) {
  g->state = FAULT;
  g->fault = dw_fault_make(status, reason);
  return p;
}

/* --- The request line ------------------------------------------------------*/

static const char *scan_start(dw_guard *g, const char *p) {
  if (*p == '\n') return refuse(g, 400, "bare LF before the request line", p);
  if (*p != '\r') {
    g->state = METHOD;
    return p;
  }
  if (g->empty == DW_MAX_EMPTY_LINES)
    return refuse(g, 400, "too many empty lines before the request line", p);
  g->empty++;
  g->state = EMPTY_LF;
  return p + 1;
}

static const char *scan_lf(dw_guard *g, const char *p, enum state next) {
  if (*p != '\n') return refuse(g, 400, "CR without LF", p);
  g->state = next;
  return p + 1;
}

static const char *refuse_method(dw_guard *g, const char *p) {
  if (g->line == 0 && *p == TLS_HANDSHAKE)
    return refuse(g, 400, "a TLS handshake on a plain HTTP port", p);
  if (g->line == 0 && (*p == ' ' || *p == '\t'))
    return refuse(g, 400, "white space before the method", p);
  return refuse(g, 400, "bad character in the method", p);
}

static const char *scan_method(dw_guard *g, const char *p, const char *end) {
  for (; p < end; p++) {
    if (*p == ' ' && g->line > 0) {
      g->state = TARGET;
      g->line = 0;
      return p + 1;
    }
    if (!is(*p, DW_CHAR_TCHAR)) return refuse_method(g, p);
    if (++g->line > METHOD_MAX) return refuse(g, 501, "unknown method", p);
  }
  return p;
}

static const char *refuse_target(dw_guard *g, const char *p) {
  if (g->line == 0) return refuse(g, 400, "no target in the request line", p);
  if (*p == '\r' || *p == '\n')
    return refuse(g, 505, "no HTTP version in the request line", p);
  if (*p == '\t') return refuse(g, 400, "a tab in the request line", p);
  return refuse(g, 400, "bad character in the request target", p);
}

static const char *scan_target(dw_guard *g, const char *p, const char *end) {
  const char *from = p;
  while (p < end && is(*p, DW_CHAR_TARGET)) p++;
  g->line += (size_t)(p - from);
  if (g->line > or_none(g->limits->max_target_size))
    return refuse(g, 414, "request target too long", p);
  if (p == end) return p;
  if (*p != ' ' || g->line == 0) return refuse_target(g, p);
  g->state = VERSION;
  g->line = 0;
  return p + 1;
}

static const char *scan_version(dw_guard *g, const char *p, const char *end) {
  for (; p < end; p++) {
    if (*p == '\r') {
      g->state = VERSION_LF;
      return p + 1;
    }
    if (*p == '\n') return refuse(g, 400, "bare LF in the request line", p);
    if (*p == ' ' || *p == '\t')
      return refuse(g, 400, "too much white space in the request line", p);
    if (!is(*p, DW_CHAR_TARGET) || ++g->line > VERSION_MAX)
      return refuse(g, 400, "malformed HTTP version", p);
  }
  return p;
}

/* --- Fields ----------------------------------------------------------------*/

static const char *refuse_name(dw_guard *g, const char *p) {
  if (*p == '\n') return refuse(g, 400, "bare LF among the headers", p);
  if (*p == ':') return refuse(g, 400, "empty header name", p);
  if (*p != ' ' && *p != '\t')
    return refuse(g, 400, "bad character in a header name", p);
  if (g->lines == 0)
    return refuse(g, 400, "white space before the first header", p);
  return refuse(g, 400, "folded header line", p);
}

static const char *scan_line_start(dw_guard *g, const char *p) {
  if (*p == '\r') {
    g->state = LAST_LF;
    return p + 1;
  }
  if (!is(*p, DW_CHAR_TCHAR)) return refuse_name(g, p);
  if (g->lines >= or_none(g->limits->max_headers))
    return refuse(g, 431,
                  g->trailing ? "too many trailers" : "too many headers", p);
  g->lines++;
  g->state = LINE;
  return p;
}

/* CRs elsewhere than before LF, and all else within lines, are llhttp's. */
static const char *scan_line(dw_guard *g, const char *p, const char *end) {
  size_t max = or_none(g->trailing ? g->limits->max_trailer_size
                                   : g->limits->max_header_size);
  size_t room = max > g->size ? max - g->size : 0;
  size_t len = (size_t)(end - p) < room ? (size_t)(end - p) : room;
  if (len == 0)
    return refuse(g, 431,
                  g->trailing ? "trailers too large" : "headers too large", p);
  const char *lf = memchr(p, '\n', len);
  if (lf) len = (size_t)(lf - p) + 1;
  if (lf && !(lf > p ? lf[-1] == '\r' : g->cr))
    return refuse(g, 400, "bare LF among the headers", lf);
  g->size += len;
  g->cr = p[len - 1] == '\r';
  if (lf) g->state = LINE_START;
  return p + len;
}

static const char *scan_fields(dw_guard *g, const char *p, const char *end) {
  while (p < end) {
    switch (g->state) {
    case LINE_START:
      p = scan_line_start(g, p);
      break;
    case LINE:
      p = scan_line(g, p, end);
      break;
    case LAST_LF:
      return scan_lf(g, p, DONE);
    default:
      return p;
    }
  }
  return p;
}

dw_piece dw_guard_head(dw_guard *g, const char *bytes, size_t len,
                       size_t *used) {
  const char *p = bytes, *end = bytes + len;
  while (p < end && g->state <= LAST_LF) {
    switch (g->state) {
    case START:
      p = scan_start(g, p);
      break;
    case EMPTY_LF:
      p = scan_lf(g, p, START);
      break;
    case METHOD:
      p = scan_method(g, p, end);
      break;
    case TARGET:
      p = scan_target(g, p, end);
      break;
    case VERSION:
      p = scan_version(g, p, end);
      break;
    case VERSION_LF:
      p = scan_lf(g, p, LINE_START);
      break;
    default:
      p = scan_fields(g, p, end);
      break;
    }
  }
  *used = (size_t)(p - bytes);
  if (g->state == FAULT) return DW_PIECE_FAULT;
  return g->state == DONE ? DW_PIECE_END : DW_PIECE_MORE;
}

/* --- Chunks ----------------------------------------------------------------*/

void dw_guard_start_body(dw_guard *g, dw_body_mode mode, uint64_t length) {
  static const uint8_t first[] = {[DW_BODY_MODE_NONE] = DONE,
                                  [DW_BODY_MODE_LENGTH] = LENGTH,
                                  [DW_BODY_MODE_CHUNKED] = SIZE,
                                  [DW_BODY_MODE_REST] = REST};
  g->state = first[mode];
  if (mode == DW_BODY_MODE_LENGTH && length == 0) g->state = DONE;
  g->left = mode == DW_BODY_MODE_LENGTH ? length : 0;
  g->digits = 0;
  g->extensions = 0;
}

bool dw_guard_ends_at_eof(const dw_guard *g) { return g->state == REST; }

static const char *scan_size(dw_guard *g, const char *p, const char *end) {
  for (; p < end; p++) {
    int digit = dw_hex_digit((unsigned char)*p);
    if (digit < 0) break;
    if (++g->digits > SIZE_DIGITS)
      return refuse(g, 400, "chunk size too large", p);
    g->left = g->left << 4 | (unsigned)digit;
  }
  if (p == end) return p;
  if (*p == '\n') return refuse(g, 400, "bare LF in a chunk line", p);
  if (g->digits == 0 || (*p != ';' && *p != '\r'))
    return refuse(g, 400, "malformed chunk size", p);
  g->state = *p == ';' ? EXTENSION_AFTER_QUOTED : SIZE_CR;
  return p;
}

/* The state behind c, within an extension; FAULT where c may not stand. */
static enum state next_of_extension(enum state state, char c) {
  bool token = is(c, DW_CHAR_TCHAR);
  bool ends = c == ';' || c == '\r';
  enum state after = c == ';' ? EXTENSION_NAME_START : SIZE_CR;
  switch (state) {
  case EXTENSION_NAME_START:
    return token ? EXTENSION_NAME : FAULT;
  case EXTENSION_NAME:
    if (c == '=') return EXTENSION_VALUE_START;
    return token ? EXTENSION_NAME : ends ? after : FAULT;
  case EXTENSION_VALUE_START:
    return token ? EXTENSION_VALUE : c == '"' ? EXTENSION_QUOTED : FAULT;
  case EXTENSION_VALUE:
    return token ? EXTENSION_VALUE : ends ? after : FAULT;
  case EXTENSION_QUOTED:
    if (c == '"') return EXTENSION_AFTER_QUOTED;
    if (c == '\\') return EXTENSION_ESCAPE;
    return is(c, DW_CHAR_FIELD) ? EXTENSION_QUOTED : FAULT;
  case EXTENSION_ESCAPE:
    return is(c, DW_CHAR_FIELD) ? EXTENSION_QUOTED : FAULT;
  default:
    return ends ? after : FAULT;
  }
}

static const char *scan_extension(dw_guard *g, const char *p, const char *end) {
  for (; p < end; p++) {
    enum state next = next_of_extension(g->state, *p);
    if (next == FAULT) return refuse(g, 400, "malformed chunk extension", p);
    g->state = next;
    if (next == SIZE_CR) return p; /* the CR isn't taken yet */
    if (++g->extensions > DW_MAX_CHUNK_EXTENSIONS)
      return refuse(g, 400, "chunk extensions too long", p);
  }
  return p;
}

static const char *scan_size_lf(dw_guard *g, const char *p) {
  p = scan_lf(g, p, g->left > 0 ? DATA : LINE_START);
  if (g->state != LINE_START) return p;
  g->trailing = true;
  g->lines = 0;
  g->size = 0;
  g->cr = false;
  return p;
}

static const char *scan_data_end(dw_guard *g, const char *p) {
  if (*p != (g->state == DATA_CR ? '\r' : '\n'))
    return refuse(g, 400, "no CRLF behind the data of a chunk", p);
  g->state = g->state == DATA_CR ? DATA_LF : SIZE;
  g->digits = 0;
  return p + 1;
}

static const char *scan_data(dw_guard *g, const char *p, const char *end) {
  uint64_t len = (uint64_t)(end - p);
  if (g->state == REST) return end;
  if (len > g->left) len = g->left;
  g->left -= len;
  if (g->left == 0) g->state = g->state == DATA ? DATA_CR : DONE;
  return p + len;
}

static dw_piece scan_body(dw_guard *g, const char **p, const char *end) {
  switch (g->state) {
  case LENGTH:
  case REST:
  case DATA:
    *p = scan_data(g, *p, end);
    return DW_PIECE_DATA;
  case SIZE:
    *p = scan_size(g, *p, end);
    return DW_PIECE_FRAMING;
  case SIZE_CR:
    g->state = SIZE_LF;
    *p += 1;
    return DW_PIECE_FRAMING;
  case SIZE_LF:
    *p = scan_size_lf(g, *p);
    return DW_PIECE_FRAMING;
  case DATA_CR:
  case DATA_LF:
    *p = scan_data_end(g, *p);
    return DW_PIECE_FRAMING;
  case LINE_START:
  case LINE:
  case LAST_LF:
    *p = scan_fields(g, *p, end);
    return DW_PIECE_FIELDS;
  default:
    *p = scan_extension(g, *p, end);
    return DW_PIECE_SKIP;
  }
}

dw_piece dw_guard_body(dw_guard *g, const char *bytes, size_t len,
                       size_t *used) {
  *used = 0;
  if (g->state == DONE) return DW_PIECE_END;
  if (g->state == FAULT) return DW_PIECE_FAULT;
  if (len == 0) return DW_PIECE_MORE;
  const char *p = bytes;
  dw_piece piece = scan_body(g, &p, bytes + len);
  *used = (size_t)(p - bytes);
  return g->state == FAULT ? DW_PIECE_FAULT : piece;
}
