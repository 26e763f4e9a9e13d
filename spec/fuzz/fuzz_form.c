/* SPDX-License-Identifier: MIT */
/* Fuzzes what reads small texts of requests: forms, cookies, dates,
 * authorities, header values, what is accepted. What was written must be read
 * back as it was. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/accept.h"
#include "http/authority.h"
#include "http/cookie.h"
#include "http/date.h"
#include "http/form.h"
#include "http/headers.h"
#include "http/tokens.h"
#include "http/uri.h"

static dw_allocator memory;

static void need(bool ok, const char *what) {
  if (ok) return;
  fprintf(stderr, "form: %s\n", what);
  abort();
}

static void check_form(dw_slice text) {
  dw_arena arena;
  dw_pairs pairs, again;
  dw_buffer out;
  dw_arena_init(&arena, &memory, NULL, 0);
  dw_buffer_init(&out, &memory, 0);
  need(dw_form_parse(text, &arena, 0, &pairs) == 0, "no memory");
  for (size_t i = 0; i < pairs.count; i++)
    need(dw_form_append(&out, pairs.items[i].name, pairs.items[i].value) == 0,
         "no memory");
  need(dw_form_parse(dw_buffer_slice(&out), &arena, 0, &again) == 0,
       "no memory");
  need(again.count == pairs.count, "a form lost pairs");
  for (size_t i = 0; i < pairs.count; i++)
    need(dw_slice_equal(pairs.items[i].name, again.items[i].name) &&
             dw_slice_equal(pairs.items[i].value, again.items[i].value),
         "a form changed");
  dw_buffer_deinit(&out);
  dw_arena_deinit(&arena);
}

static void check_cookie(dw_slice text) {
  dw_arena arena;
  dw_pairs pairs;
  dw_buffer out;
  const char *what;
  dw_cookie cookie = {.name = DW_LITERAL("name"),
                      .value = text,
                      .max_age = INT64_MIN,
                      .expires = INT64_MIN};
  dw_arena_init(&arena, &memory, NULL, 0);
  dw_buffer_init(&out, &memory, 0);
  need(dw_cookie_parse(text, &arena, &pairs) == 0, "no memory");
  if (dw_cookie_format(&out, &cookie, &what) == 0) {
    need(dw_is_field_value(dw_buffer_slice(&out)), "a cookie splits lines");
    need(dw_cookie_parse(dw_buffer_slice(&out), &arena, &pairs) == 0,
         "no memory");
    need(pairs.count == 1 && dw_slice_equal(pairs.items[0].value, text),
         "a cookie changed");
  }
  cookie.value = DW_EMPTY;
  cookie.path = cookie.domain = cookie.same_site = text;
  out.len = 0;
  if (dw_cookie_format(&out, &cookie, &what) == 0)
    need(dw_is_field_value(dw_buffer_slice(&out)), "a cookie splits lines");
  dw_buffer_deinit(&out);
  dw_arena_deinit(&arena);
}

static void check_date(dw_slice text) {
  int64_t seconds, again;
  char date[32];
  if (!dw_http_date_parse(text, &seconds)) return;
  size_t len = dw_http_date(seconds, date);
  need(dw_http_date_parse(dw_slice_of(date, len), &again) && again == seconds,
       "a date changed");
}

static void check_target(dw_slice text) {
  dw_buffer out;
  dw_buffer_init(&out, &memory, 0);
  need(dw_target_encode(&out, text) == 0, "no memory");
  need(dw_is_all(dw_buffer_slice(&out), DW_CHAR_TARGET), "a bad target");
  out.len = 0;
  need(dw_percent_encode(&out, text, "") == 0, "no memory");
  size_t len =
      out.len ? dw_percent_decode(out.ptr, dw_buffer_slice(&out), false) : 0;
  need(dw_slice_equal(dw_slice_of(out.ptr, len), text), "an escape changed");
  dw_buffer_deinit(&out);
}

static void check_authority(dw_slice text) {
  dw_slice host, port;
  if (!dw_authority_split(text, &host, &port)) return;
  need(host.len > 0 && host.ptr == text.ptr, "a strange host");
  need(host.len + (port.len || host.len < text.len) + port.len == text.len,
       "something is neither host nor port");
}

static void check_fields(dw_slice text) {
  dw_headers h;
  dw_slice name = {text.ptr, text.len < 4 ? text.len : 4};
  dw_headers_init(&h, &memory);
  if (dw_headers_add(&h, name, text) == 0) {
    dw_headers_add_token(&h, name, text);
    need(dw_is_token(h.items[0].name) && dw_is_field_value(h.items[0].value),
         "a header splits lines");
  }
  dw_headers_deinit(&h);
}

/* What is preferred to everything is preferred to what was named. */
static void check_accept(dw_slice text) {
  for (int kind = DW_ACCEPT_MEDIA; kind <= DW_ACCEPT_CHARSET; kind++) {
    dw_accept_kind k = (dw_accept_kind)kind;
    dw_slice rest = text, parameter;
    dw_accept_range r;
    int count = 0;
    while (count++ < 50 && dw_accept_next(k, &rest, &r)) {
      need(r.quality >= 0 && r.quality <= DW_QUALITY_MAX, "a strange weight");
      need(dw_accept_specificity(k, &r) >= 0, "a strange range");
      if (dw_accept_is_value(k, r.value))
        need(dw_accept_find(k, text, r.value).closeness > 0 ||
                 dw_accept_parameter(&r.parameters, &parameter),
             "a range that doesn't mean itself");
    }
    dw_accept_match m = dw_accept_find(k, text, text);
    need(m.quality >= 0 && m.quality <= DW_QUALITY_MAX, "a strange quality");
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dw_slice text = {(const char *)data, size};
  dw_allocator_init(&memory, NULL, NULL);
  if (size == 0) text = DW_EMPTY;
  check_form(text);
  check_cookie(text);
  check_date(text);
  check_target(text);
  check_authority(text);
  check_fields(text);
  check_accept(text);
  need(memory.used == 0, "memory was leaked");
  return 0;
}
