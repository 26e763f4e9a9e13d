/* SPDX-License-Identifier: MIT */
/* The vocabulary of HTTP as tables. Everything here is constant and may be
 * used from any thread. */
#include "http/tokens.h"

#include <stddef.h>

/* --- Characters ------------------------------------------------------------*/

#define T DW_CHAR_TCHAR
#define F DW_CHAR_FIELD
#define R DW_CHAR_TARGET
#define U DW_CHAR_UNRESERVED
#define X DW_CHAR_HEX

enum {
  NAME = T | F | R | U,     /* letters, digits, - . _ ~ */
  NHEX = T | F | R | U | X, /* hexadecimal digits */
  MARK = T | F | R,         /* other characters of tokens */
  ODD = T | F,              /* # */
  PATH = F | R,             /* delimiters: / ? : @ [ ] ( ) , ; = { } */
  TEXT = F                  /* in field values only */
};

#define FOUR(c) c, c, c, c
#define SIXTEEN(c) FOUR(c), FOUR(c), FOUR(c), FOUR(c)

const unsigned char dw_char_classes[256] = {
    /* 0x00: controls, of which HTAB is the ninth */
    FOUR(0), FOUR(0), 0, TEXT, 0, 0, FOUR(0), SIXTEEN(0),
    /* SP ! " # $ % & ' ( ) * + , - . / */
    TEXT, MARK, TEXT, ODD, MARK, MARK, MARK, MARK, PATH, PATH, MARK, MARK, PATH,
    NAME, NAME, PATH,
    /* 0..9 : ; < = > ? */
    FOUR(NHEX), FOUR(NHEX), NHEX, NHEX, PATH, PATH, TEXT, PATH, TEXT, PATH,
    /* @ A..O */
    PATH, NHEX, NHEX, NHEX, NHEX, NHEX, NHEX, NAME, FOUR(NAME), FOUR(NAME),
    /* P..Z [ \ ] ^ _ */
    FOUR(NAME), FOUR(NAME), NAME, NAME, NAME, PATH, TEXT, PATH, MARK, NAME,
    /* ` a..o */
    MARK, NHEX, NHEX, NHEX, NHEX, NHEX, NHEX, NAME, FOUR(NAME), FOUR(NAME),
    /* p..z { | } ~ DEL */
    FOUR(NAME), FOUR(NAME), NAME, NAME, NAME, PATH, MARK, PATH, NAME, 0,
    /* 0x80..0xff: obs-text */
    SIXTEEN(TEXT), SIXTEEN(TEXT), SIXTEEN(TEXT), SIXTEEN(TEXT), SIXTEEN(TEXT),
    SIXTEEN(TEXT), SIXTEEN(TEXT), SIXTEEN(TEXT)};

#undef T
#undef F
#undef R
#undef U
#undef X

bool dw_is_all(dw_slice s, int classes) {
  for (size_t i = 0; i < s.len; i++) {
    if (!(dw_char_classes[(unsigned char)s.ptr[i]] & classes)) return false;
  }
  return true;
}

bool dw_is_token(dw_slice s) {
  return s.len > 0 && dw_is_all(s, DW_CHAR_TCHAR);
}

int dw_hex_digit(unsigned char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* --- Methods ---------------------------------------------------------------*/

static const dw_slice method_names[] = {
#define NAME_OF(name) {#name, sizeof(#name) - 1},
    DW_METHODS(NAME_OF)
#undef NAME_OF
};

dw_method dw_method_find(dw_slice name) {
  for (size_t i = 0; i < DW_METHOD_COUNT; i++) {
    if (method_names[i].len == name.len &&
        memcmp(method_names[i].ptr, name.ptr, name.len) == 0)
      return (dw_method)i;
  }
  return DW_METHOD_UNKNOWN;
}

dw_slice dw_method_name(dw_method m) {
  return (unsigned)m < DW_METHOD_COUNT ? method_names[m] : DW_EMPTY;
}

/* --- Status codes ----------------------------------------------------------*/

/* The IANA registry, and 418, which everybody knows. */
#define STATUSES(X)                                                            \
  X(100, "Continue")                                                           \
  X(101, "Switching Protocols")                                                \
  X(102, "Processing")                                                         \
  X(103, "Early Hints")                                                        \
  X(200, "OK")                                                                 \
  X(201, "Created")                                                            \
  X(202, "Accepted")                                                           \
  X(203, "Non-Authoritative Information")                                      \
  X(204, "No Content")                                                         \
  X(205, "Reset Content")                                                      \
  X(206, "Partial Content")                                                    \
  X(207, "Multi-Status")                                                       \
  X(208, "Already Reported")                                                   \
  X(226, "IM Used")                                                            \
  X(300, "Multiple Choices")                                                   \
  X(301, "Moved Permanently")                                                  \
  X(302, "Found")                                                              \
  X(303, "See Other")                                                          \
  X(304, "Not Modified")                                                       \
  X(305, "Use Proxy")                                                          \
  X(307, "Temporary Redirect")                                                 \
  X(308, "Permanent Redirect")                                                 \
  X(400, "Bad Request")                                                        \
  X(401, "Unauthorized")                                                       \
  X(402, "Payment Required")                                                   \
  X(403, "Forbidden")                                                          \
  X(404, "Not Found")                                                          \
  X(405, "Method Not Allowed")                                                 \
  X(406, "Not Acceptable")                                                     \
  X(407, "Proxy Authentication Required")                                      \
  X(408, "Request Timeout")                                                    \
  X(409, "Conflict")                                                           \
  X(410, "Gone")                                                               \
  X(411, "Length Required")                                                    \
  X(412, "Precondition Failed")                                                \
  X(413, "Content Too Large")                                                  \
  X(414, "URI Too Long")                                                       \
  X(415, "Unsupported Media Type")                                             \
  X(416, "Range Not Satisfiable")                                              \
  X(417, "Expectation Failed")                                                 \
  X(418, "I'm a teapot")                                                       \
  X(421, "Misdirected Request")                                                \
  X(422, "Unprocessable Content")                                              \
  X(423, "Locked")                                                             \
  X(424, "Failed Dependency")                                                  \
  X(425, "Too Early")                                                          \
  X(426, "Upgrade Required")                                                   \
  X(428, "Precondition Required")                                              \
  X(429, "Too Many Requests")                                                  \
  X(431, "Request Header Fields Too Large")                                    \
  X(451, "Unavailable For Legal Reasons")                                      \
  X(500, "Internal Server Error")                                              \
  X(501, "Not Implemented")                                                    \
  X(502, "Bad Gateway")                                                        \
  X(503, "Service Unavailable")                                                \
  X(504, "Gateway Timeout")                                                    \
  X(505, "HTTP Version Not Supported")                                         \
  X(506, "Variant Also Negotiates")                                            \
  X(507, "Insufficient Storage")                                               \
  X(508, "Loop Detected")                                                      \
  X(510, "Not Extended")                                                       \
  X(511, "Network Authentication Required")

/* One text per code serves as the line and, within it, as the phrase. */
dw_slice dw_status_line(int status) {
  switch (status) {
#define LINE_OF(code, phrase)                                                  \
  case code:                                                                   \
    return DW_LITERAL("HTTP/1.1 " #code " " phrase "\r\n");
    STATUSES(LINE_OF)
#undef LINE_OF
  default:
    return DW_EMPTY;
  }
}

dw_slice dw_status_phrase(int status) {
  const size_t before = sizeof("HTTP/1.1 200 ") - 1;
  dw_slice line = dw_status_line(status);
  if (line.len == 0) return DW_EMPTY;
  return dw_slice_of(line.ptr + before, line.len - before - 2);
}
