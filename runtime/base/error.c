/* SPDX-License-Identifier: MIT */
/* The text of every code, from the two lists that define them. Texts are
 * static: uv_strerror allocates, and keeps, one for each code it doesn't know.
 * Thread: any. */
#include "base/error.h"

const char *dw_strerror(int code) {
  switch (code) {
  case 0:
    return "success";
#define TEXT(name, number, text)                                               \
  case number:                                                                 \
    return text;
    DEWAR_ERRORS(TEXT)
#undef TEXT
#define TEXT(name, text)                                                       \
  case UV_##name:                                                              \
    return text;
    UV_ERRNO_MAP(TEXT)
#undef TEXT
  default:
    return "unknown error";
  }
}

const char *dw_error_name(int code) {
  switch (code) {
  case 0:
    return "OK";
#define NAME(name, number, text)                                               \
  case number:                                                                 \
    return #name;
    DEWAR_ERRORS(NAME)
#undef NAME
#define NAME(name, text)                                                       \
  case UV_##name:                                                              \
    return #name;
    UV_ERRNO_MAP(NAME)
#undef NAME
  default:
    return "UNKNOWN";
  }
}
