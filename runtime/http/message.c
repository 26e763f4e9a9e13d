/* SPDX-License-Identifier: MIT */
/* The adapter of llhttp. Its callbacks only note what they are told: what that
 * means is decided after it returned, so no decision is made in its frames. */
#include "http/message.h"

#include "base/error.h"

/* --- Callbacks -------------------------------------------------------------*/

/* The guard counted the lines, so there is room; a second span for one name
 * would be a surprise, and ends the message. */
static int name_cb(llhttp_t *llhttp, const char *at, size_t len) {
  dw_message *m = llhttp->data;
  if (m->fields.count == m->room) return HPE_USER;
  dw_header *h = &m->fields.items[m->fields.count++];
  h->name = dw_slice_of(at, len);
  h->value = dw_slice_of(at + len, 0);
  return 0;
}

/* llhttp leaves out white space in front, not the one behind. */
static int value_cb(llhttp_t *llhttp, const char *at, size_t len) {
  dw_message *m = llhttp->data;
  if (m->fields.count == 0) return HPE_USER;
  while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t')) len--;
  m->fields.items[m->fields.count - 1].value = dw_slice_of(at, len);
  return 0;
}

/* What follows is this protocol's as long as nobody switched: llhttp shall not
 * stop for an Upgrade. */
static int head_cb(llhttp_t *llhttp) {
  const dw_message *m = llhttp->data;
  llhttp->upgrade = 0;
  return m->bodiless ? 1 : 0;
}

static int data_cb(llhttp_t *llhttp, const char *at, size_t len) {
  dw_message *m = llhttp->data;
  if (m->run.len > 0) return HPE_USER;
  m->run = dw_slice_of(at, len);
  return 0;
}

static int complete_cb(llhttp_t *llhttp) {
  dw_message *m = llhttp->data;
  m->complete = true;
  return 0;
}

static const llhttp_settings_t settings = {
    .on_header_field = name_cb,
    .on_header_value = value_cb,
    .on_headers_complete = head_cb,
    .on_body = data_cb,
    .on_message_complete = complete_cb,
};

/* --- Verdicts --------------------------------------------------------------*/

static const char *reason_of(llhttp_errno_t err) {
  switch (err) {
  case HPE_INVALID_HEADER_TOKEN:
    return "bad character in a header";
  case HPE_INVALID_CONTENT_LENGTH:
    return "malformed Content-Length";
  case HPE_UNEXPECTED_CONTENT_LENGTH:
    return "more than one Content-Length or Transfer-Encoding";
  case HPE_INVALID_TRANSFER_ENCODING:
    return "Transfer-Encoding is not chunked";
  case HPE_STRICT:
  case HPE_LF_EXPECTED:
  case HPE_CR_EXPECTED:
    return "CR without LF";
  default:
    return "malformed message";
  }
}

static void refuse(dw_message *m, int status, const char *reason) {
  m->fault = dw_fault_make(status, reason);
}

/* Shows llhttp bytes that the guard let pass; whether it had nothing against
 * them and saw `data` bytes of data at their beginning. */
static bool show(dw_message *m, const char *bytes, size_t len, size_t data) {
  m->run = DW_EMPTY;
  if (len == 0) return true;
  llhttp_errno_t err = llhttp_execute(&m->llhttp, bytes, len);
  if (err != HPE_OK) {
    refuse(m, 400, reason_of(err));
    return false;
  }
  if (m->run.len != data || (data > 0 && m->run.ptr != bytes)) {
    refuse(m, 400, "malformed body framing");
    return false;
  }
  return true;
}

/* --- The head --------------------------------------------------------------*/

void dw_message_init(dw_message *m, const dw_limits *limits) {
  *m = (dw_message){.run = DW_EMPTY};
  dw_guard_init(&m->guard, limits);
}

static bool make_room(dw_message *m, size_t max) {
  m->fields = (dw_fields){NULL, 0};
  m->room = 0;
  if (max == 0) return true;
  if (max > SIZE_MAX / sizeof(dw_header)) return false;
  m->fields.items = dw_arena_alloc(m->arena, max * sizeof(dw_header));
  if (!m->fields.items) return false;
  m->room = max;
  return true;
}

int dw_message_head(dw_message *m, llhttp_type_t type, dw_slice first,
                    dw_slice rest, size_t max, dw_arena *arena) {
  m->arena = arena;
  m->trailers = NULL;
  m->trailers_len = m->trailers_cap = 0;
  m->complete = false;
  if (!make_room(m, max)) return DW_ENOMEM;
  llhttp_init(&m->llhttp, type, &settings);
  m->llhttp.data = m;
  if (first.len > 0 && !show(m, first.ptr, first.len, 0)) return DEWAR_EPARSE;
  return show(m, rest.ptr, rest.len, 0) ? 0 : DEWAR_EPARSE;
}

void dw_message_start_body(dw_message *m, dw_body_mode mode, uint64_t length) {
  dw_guard_start_body(&m->guard, mode, length);
  m->fields = (dw_fields){NULL, 0};
  m->room = 0;
}

/* --- Trailers --------------------------------------------------------------*/

/* They may arrive in pieces, and llhttp is to see them whole. */
static bool collect(dw_message *m, const char *bytes, size_t len) {
  if (len > m->trailers_cap - m->trailers_len) {
    size_t cap = m->trailers_cap ? m->trailers_cap * 2 : 256;
    while (cap < m->trailers_len + len) cap *= 2;
    char *copy = dw_arena_alloc(m->arena, cap);
    if (!copy) return false;
    if (m->trailers_len > 0) memcpy(copy, m->trailers, m->trailers_len);
    m->trailers = copy;
    m->trailers_cap = cap;
  }
  memcpy(m->trailers + m->trailers_len, bytes, len);
  m->trailers_len += len;
  return true;
}

/* What would move the end of a message, or where it goes, is an attack when it
 * comes behind the body. */
static bool may_trail(dw_slice name) {
  static const char *const refused[] = {"Content-Length", "Transfer-Encoding",
                                        "Host"};
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    if (dw_slice_equal_nocase(name, dw_slice_str(refused[i]))) return false;
  }
  return true;
}

static bool finish_trailers(dw_message *m) {
  if (m->trailers_len == 0) return true;
  if (!make_room(m, m->guard.lines)) {
    refuse(m, 503, "out of memory");
    return false;
  }
  if (!show(m, m->trailers, m->trailers_len, 0)) return false;
  for (size_t i = 0; i < m->fields.count; i++) {
    if (may_trail(m->fields.items[i].name)) continue;
    refuse(m, 400, "a header that must not be a trailer");
    return false;
  }
  return true;
}

/* --- The body --------------------------------------------------------------*/

static bool take_fields(dw_message *m, const char *bytes, size_t len) {
  if (m->guard.lines == 0) return show(m, bytes, len, 0); /* CR, LF */
  if (collect(m, bytes, len)) return true;
  refuse(m, 503, "out of memory");
  return false;
}

/* Whether the piece is in order; DATA is left in m->run. */
static bool take_piece(dw_message *m, dw_piece piece, const char *bytes,
                       size_t len) {
  switch (piece) {
  case DW_PIECE_FRAMING:
    return show(m, bytes, len, 0);
  case DW_PIECE_DATA:
    return show(m, bytes, len, len);
  case DW_PIECE_FIELDS:
    return take_fields(m, bytes, len);
  case DW_PIECE_FAULT:
    m->fault = m->guard.fault;
    return false;
  default:
    return true;
  }
}

static bool take_end(dw_message *m) {
  if (!finish_trailers(m)) return false;
  if (m->complete) return true;
  refuse(m, 400, "malformed body framing");
  return false;
}

dw_parse dw_message_body(dw_message *m, const char *bytes, size_t len,
                         size_t *used, dw_slice *data) {
  size_t done = 0;
  dw_piece piece;
  *data = DW_EMPTY;
  *used = 0;
  if (m->fault.status) return DW_PARSE_ERROR;
  if (len == 0) bytes = "";
  do {
    size_t taken;
    piece = dw_guard_body(&m->guard, bytes + done, len - done, &taken);
    if (!take_piece(m, piece, bytes + done, taken)) return DW_PARSE_ERROR;
    done += taken;
  } while (piece != DW_PIECE_MORE && piece != DW_PIECE_DATA &&
           piece != DW_PIECE_END);
  *used = done;
  if (piece == DW_PIECE_MORE) return DW_PARSE_MORE;
  if (piece == DW_PIECE_DATA) {
    *data = m->run;
    return DW_PARSE_DATA;
  }
  return take_end(m) ? DW_PARSE_END : DW_PARSE_ERROR;
}
