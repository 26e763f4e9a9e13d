/* SPDX-License-Identifier: MIT */
/* Percent-encoding, forms, cookies and dates. */
#include "unit.h"

#include "base/error.h"
#include "http/authority.h"
#include "http/cookie.h"
#include "http/date.h"
#include "http/form.h"
#include "http/uri.h"

#define L DW_LITERAL

static dw_allocator memory;
static dw_buffer out;
static dw_arena arena;

static void begin(void) {
  dw_allocator_init(&memory, NULL, NULL);
  dw_buffer_init(&out, &memory, 0);
  dw_arena_init(&arena, &memory, NULL, 0);
}

static void end(void) {
  dw_buffer_deinit(&out);
  dw_arena_deinit(&arena);
  CHECK_INT(memory.used, 0);
}

/* --- Percent-encoding ------------------------------------------------------*/

static void check_encoded(const char *text, const char *keep,
                          const char *want) {
  out.len = 0;
  CHECK_INT(dw_percent_encode(&out, dw_slice_str(text), keep), 0);
  CHECK_SLICE(dw_buffer_slice(&out), want);
}

TEST(encodes_all_but_unreserved_characters) {
  begin();
  check_encoded("azAZ09-._~", "", "azAZ09-._~");
  check_encoded("a b/c%\xc3\xa9?", NULL, "a%20b%2Fc%25%C3%A9%3F");
  check_encoded("", "", "");
  check_encoded("a/b@c:d", "/@", "a/b@c%3Ad");
  out.len = 0;
  CHECK_INT(dw_percent_encode(&out, L("\0\x7f"), ""), 0);
  CHECK_SLICE(dw_buffer_slice(&out), "%00%7F");
  end();
}

TEST(encodes_only_what_a_request_line_cannot_carry) {
  begin();
  CHECK_INT(
      dw_target_encode(&out, L("/a b\"<>\\#\x01\x7f\xc3\xa9%41?x=[|^{}`]")), 0);
  CHECK_SLICE(dw_buffer_slice(&out),
              "/a%20b%22%3C%3E%5C%23%01%7F%C3%A9%41?x=[|^{}`]");
  end();
}

static void check_decoded(const char *text, bool plus, const char *want) {
  char bytes[64];
  size_t len = dw_percent_decode(bytes, dw_slice_str(text), plus);
  CHECK_SLICE(dw_slice_of(bytes, len), want);
}

TEST(decodes_escapes_and_keeps_invalid_ones) {
  check_decoded("a%20b%2f%2F+", false, "a b//+");
  check_decoded("a+b%2B", true, "a b+");
  check_decoded("%", false, "%");
  check_decoded("%4", false, "%4");
  check_decoded("%zz%4g%g4%%41", false, "%zz%4g%g4%A");
  check_decoded("%2541", false, "%41");
  check_decoded("", false, "");
}

TEST(decodes_in_place) {
  char text[] = "a%41+";
  size_t len = dw_percent_decode(text, dw_slice_str(text), true);
  CHECK_SLICE(dw_slice_of(text, len), "aA ");
}

/* --- Forms -----------------------------------------------------------------*/

/* "name=value;" of each pair. */
static const char *all(const dw_pairs *pairs) {
  static char text[512];
  size_t len = 0;
  text[0] = '\0';
  for (size_t i = 0; i < pairs->count; i++)
    len += (size_t)snprintf(text + len, sizeof text - len, "%.*s=%.*s;",
                            DW_FMT(pairs->items[i].name),
                            DW_FMT(pairs->items[i].value));
  return text;
}

static void check_form(const char *text, const char *want) {
  dw_pairs pairs;
  CHECK_INT(dw_form_parse(dw_slice_str(text), &arena, 0, &pairs), 0);
  CHECK_STR(all(&pairs), want);
}

TEST(parses_forms) {
  begin();
  check_form("a=1&b=2&a=3", "a=1;b=2;a=3;");
  check_form("a+b=c+d&e%3D=%26f", "a b=c d;e==&f;");
  check_form("a&b=&=c&=", "a=;b=;=c;=;");
  check_form("&&a=1&&b=2&", "a=1;b=2;");
  check_form("a=b=c", "a=b=c;");
  check_form("a=%zz&b=%", "a=%zz;b=%;");
  check_form("a=%C3%A9&b=\xff", "a=\xc3\xa9;b=\xff;");
  check_form("a=1;b=2", "a=1;b=2;");
  check_form("", "");
  check_form("&&&", "");
  end();
}

TEST(borrows_what_needs_no_decoding) {
  const char *text = "name=value";
  dw_pairs pairs;
  begin();
  CHECK_INT(dw_form_parse(dw_slice_str(text), &arena, 0, &pairs), 0);
  CHECK(pairs.items[0].name.ptr == text);
  CHECK(pairs.items[0].value.ptr == text + 5);
  end();
}

TEST(refuses_more_pairs_than_allowed) {
  dw_pairs pairs;
  begin();
  CHECK_INT(dw_form_parse(L("a&b&&c"), &arena, 3, &pairs), 0);
  CHECK_INT(pairs.count, 3);
  CHECK_INT(dw_form_parse(L("a&b&c&d"), &arena, 3, &pairs), DEWAR_ETOOBIG);
  CHECK_INT(pairs.count, 0);
  end();
}

TEST(writes_an_empty_pair) {
  begin();
  CHECK_INT(dw_form_append(&out, L(""), L("")), 0);
  CHECK_SLICE(dw_buffer_slice(&out), "=");
  end();
}

TEST(writes_forms_that_it_can_read) {
  dw_pairs pairs;
  begin();
  CHECK_INT(dw_form_append(&out, L("a b"), L("c&d=e+f")), 0);
  CHECK_INT(dw_form_append(&out, L("\xc3\xa9*"), L("")), 0);
  CHECK_SLICE(dw_buffer_slice(&out), "a+b=c%26d%3De%2Bf&%C3%A9*=");
  CHECK_INT(dw_form_parse(dw_buffer_slice(&out), &arena, 0, &pairs), 0);
  CHECK_STR(all(&pairs), "a b=c&d=e+f;\xc3\xa9*=;");
  end();
}

/* --- Reading cookies -------------------------------------------------------*/

static void check_cookies(const char *text, const char *want) {
  dw_pairs pairs;
  CHECK_INT(dw_cookie_parse(dw_slice_str(text), &arena, &pairs), 0);
  CHECK_STR(all(&pairs), want);
}

TEST(parses_cookies) {
  begin();
  check_cookies("a=b; c=d", "a=b;c=d;");
  check_cookies(" a = b ;c=d;", "a=b;c=d;");
  check_cookies("a=b=c; d==", "a=b=c;d==;");
  check_cookies("a; =b; ; c=", "a=;c=;");
  check_cookies("a=1; a=2", "a=1;a=2;");
  check_cookies("", "");
  check_cookies(";", "");
  check_cookies("a=%20+", "a=%20+;");
  end();
}

TEST(undoes_quotes_in_cookies) {
  begin();
  check_cookies("a=\"b c\"", "a=b c;");
  check_cookies("a=\"\"", "a=;");
  check_cookies("a=\"", "a=\";");
  check_cookies("a=\"b", "a=\"b;");
  check_cookies("a=\"b\\054c\\073d\\\"e\\\\f\"", "a=b,c;d\"e\\f;");
  check_cookies("a=\"\\303\\251\"", "a=\xc3\xa9;");
  check_cookies("a=\"\\400\\08\\9\"", "a=400089;");
  check_cookies("a=\"b\\\"", "a=b\\;");
  end();
}

/* --- Writing cookies -------------------------------------------------------*/

static dw_cookie cookie(dw_slice name, dw_slice value) {
  return (dw_cookie){
      .name = name, .value = value, .max_age = INT64_MIN, .expires = INT64_MIN};
}

static void check_cookie(dw_cookie c, const char *want) {
  const char *what = "?";
  out.len = 0;
  CHECK_INT(dw_cookie_format(&out, &c, &what), 0);
  CHECK_STR(what, NULL);
  CHECK_SLICE(dw_buffer_slice(&out), want);
}

static void check_bad_cookie(dw_cookie c, const char *want) {
  const char *what = NULL;
  out.len = 0;
  dw_buffer_append(&out, "x", 1);
  CHECK_INT(dw_cookie_format(&out, &c, &what), DEWAR_EINVAL);
  CHECK_STR(what, want);
  CHECK_SLICE(dw_buffer_slice(&out), "x");
}

TEST(writes_a_bare_cookie) {
  begin();
  check_cookie(cookie(L("a"), L("b")), "a=b");
  check_cookie(cookie(L("a"), L("")), "a=");
  check_cookie(cookie(L("a"), L("!#$%&'()*+-./:<=>?@[]^_`{|}~")),
               "a=!#$%&'()*+-./:<=>?@[]^_`{|}~");
  end();
}

TEST(quotes_values_where_needed) {
  begin();
  check_cookie(cookie(L("a"), L("b c")), "a=\"b c\"");
  check_cookie(cookie(L("a"), L("b,c;d\"e\\f")),
               "a=\"b\\054c\\073d\\\"e\\\\f\"");
  check_cookie(cookie(L("a"), L("\xc3\xa9\x01\x7f\t")),
               "a=\"\\303\\251\\001\\177\\011\"");
  end();
}

TEST(reads_what_it_has_quoted) {
  dw_pairs pairs;
  const char *what;
  dw_cookie c = cookie(L("a"), L("b,c;d\"e\\f \xc3\xa9\x01"));
  begin();
  CHECK_INT(dw_cookie_format(&out, &c, &what), 0);
  CHECK_INT(dw_cookie_parse(dw_buffer_slice(&out), &arena, &pairs), 0);
  CHECK_INT(pairs.count, 1);
  CHECK(dw_slice_equal(pairs.items[0].value, c.value));
  end();
}

TEST(writes_every_attribute) {
  dw_cookie c = cookie(L("a"), L("b"));
  begin();
  c.domain = L(".example.com:80");
  c.expires = 784111777;
  c.max_age = -1;
  c.secure = c.http_only = c.partitioned = true;
  c.path = L("/a b;c/\xc3\xa9%20");
  c.same_site = L("lax");
  check_cookie(c, "a=b; Domain=example.com"
                  "; Expires=Sun, 06 Nov 1994 08:49:37 GMT; Max-Age=-1"
                  "; Secure; HttpOnly; Path=/a%20b%3Bc/%C3%A9%20"
                  "; SameSite=Lax; Partitioned");
  end();
}

TEST(makes_partitioned_cookies_secure) {
  dw_cookie c = cookie(L("a"), L("b"));
  begin();
  c.partitioned = true;
  check_cookie(c, "a=b; Secure; Partitioned");
  end();
}

TEST(names_the_part_of_a_cookie_that_is_bad) {
  dw_cookie c;
  begin();
  check_bad_cookie(cookie(L(""), L("b")), "name");
  check_bad_cookie(cookie(L("a=b"), L("c")), "name");
  check_bad_cookie(cookie(L("a;b"), L("c")), "name");
  check_bad_cookie(cookie(L("a\r\n"), L("c")), "name");
  check_bad_cookie(cookie(L("a"), L("b\r")), "value");
  check_bad_cookie(cookie(L("a"), L("b\nc")), "value");
  check_bad_cookie(cookie(L("a"), L("b\0")), "value");
  c = cookie(L("a"), L("b"));
  c.path = L("/\r\nSet-Cookie: x");
  check_bad_cookie(c, "path");
  c = cookie(L("a"), L("b"));
  c.domain = L("a;b");
  check_bad_cookie(c, "domain");
  c.domain = L("...");
  check_bad_cookie(c, "domain");
  c.domain = L("");
  check_bad_cookie(c, "domain");
  c = cookie(L("a"), L("b"));
  c.same_site = L("Sometimes");
  check_bad_cookie(c, "samesite");
  end();
}

/* --- Dates -----------------------------------------------------------------*/

static void check_date(int64_t seconds, const char *want) {
  char text[32];
  int64_t back;
  CHECK_INT(dw_http_date(seconds, text), strlen(want));
  CHECK_STR(text, want);
  CHECK(dw_http_date_parse(dw_slice_str(text), &back));
  CHECK_INT(back, seconds);
}

TEST(writes_dates_and_reads_them_back) {
  check_date(0, "Thu, 01 Jan 1970 00:00:00 GMT");
  check_date(784111777, "Sun, 06 Nov 1994 08:49:37 GMT");
  check_date(951782400, "Tue, 29 Feb 2000 00:00:00 GMT");
  check_date(951868799, "Tue, 29 Feb 2000 23:59:59 GMT");
  check_date(951868800, "Wed, 01 Mar 2000 00:00:00 GMT");
  check_date(1700000000, "Tue, 14 Nov 2023 22:13:20 GMT");
  check_date(4107542400, "Mon, 01 Mar 2100 00:00:00 GMT");
  check_date(4107542399, "Sun, 28 Feb 2100 23:59:59 GMT");
  check_date(-1, "Wed, 31 Dec 1969 23:59:59 GMT");
  check_date(INT64_C(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT");
  check_date(-INT64_C(62167219200), "Sat, 01 Jan 0000 00:00:00 GMT");
}

TEST(writes_every_day_of_four_centuries) {
  int64_t back;
  char text[32];
  for (int64_t day = -36525; day < 4 * 36525; day++) {
    dw_http_date(day * 86400 + 3661, text);
    if (!dw_http_date_parse(dw_slice_str(text), &back) ||
        back != day * 86400 + 3661) {
      unit_check(false, __FILE__, __LINE__, "day %lld: %s", (long long)day,
                 text);
      return;
    }
  }
  unit.checks++;
}

TEST(clamps_dates_that_have_no_four_digits) {
  char text[32];
  dw_http_date(INT64_MAX, text);
  CHECK_STR(text, "Fri, 31 Dec 9999 23:59:59 GMT");
  dw_http_date(INT64_MIN, text);
  CHECK_STR(text, "Sat, 01 Jan 0000 00:00:00 GMT");
}

TEST(reads_obsolete_dates) {
  int64_t seconds = 0;
  CHECK(dw_http_date_parse(L("Sunday, 06-Nov-94 08:49:37 GMT"), &seconds));
  CHECK_INT(seconds, 784111777);
  CHECK(dw_http_date_parse(L("Sun Nov  6 08:49:37 1994"), &seconds));
  CHECK_INT(seconds, 784111777);
  CHECK(dw_http_date_parse(L("Sun Nov 06 08:49:37 1994"), &seconds));
  CHECK_INT(seconds, 784111777);
  CHECK(dw_http_date_parse(L("Tuesday, 14-Nov-23 22:13:20 GMT"), &seconds));
  CHECK_INT(seconds, 1700000000);
  CHECK(dw_http_date_parse(L(" Sun, 06 Nov 1994 08:49:37 GMT "), &seconds));
}

TEST(refuses_what_is_no_date) {
  static const char *const bad[] = {"",
                                    "0",
                                    "Sun",
                                    "Sun, ",
                                    "now",
                                    "Sun, 06 Nov 1994 08:49:37",
                                    "Sun, 06 Nov 1994 08:49:37 UTC",
                                    "Sun, 06 Nov 1994 08:49:37 GMT+1",
                                    "sun, 06 Nov 1994 08:49:37 GMT",
                                    "Sun, 06 nov 1994 08:49:37 GMT",
                                    "Sun, 6 Nov 1994 08:49:37 GMT",
                                    "Sun, 31 Feb 1994 08:49:37 GMT",
                                    "Sun, 29 Feb 1900 08:49:37 GMT",
                                    "Sun, 00 Nov 1994 08:49:37 GMT",
                                    "Sun, 06 Xyz 1994 08:49:37 GMT",
                                    "Sun, 06 Nov 1994 24:49:37 GMT",
                                    "Sun, 06 Nov 1994 08:60:37 GMT",
                                    "Sun, 06 Nov 1994 08:49:61 GMT",
                                    "Sun, +6 Nov 1994 08:49:37 GMT",
                                    "Sunday, 06-Nov-1994 08:49:37 GMT",
                                    "Sun Nov    08:49:37 1994",
                                    "1994-11-06T08:49:37Z"};
  int64_t seconds;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    unit_check(!dw_http_date_parse(dw_slice_str(bad[i]), &seconds), __FILE__,
               __LINE__, "took \"%s\" for a date", bad[i]);
}

/* --- Authorities -----------------------------------------------------------*/

TEST(splits_authorities) {
  dw_slice host, port;
  CHECK(dw_authority_split(L("a.b-c_d~:80"), &host, &port));
  CHECK_SLICE(host, "a.b-c_d~");
  CHECK_SLICE(port, "80");
  CHECK(dw_authority_split(L("[::1]"), &host, &port));
  CHECK_SLICE(host, "[::1]");
  CHECK_SLICE(port, "");
  CHECK(!dw_authority_split(L(""), &host, &port));
  CHECK(!dw_authority_split(L("[::1"), &host, &port));
  CHECK(!dw_authority_split(L("["), &host, &port));
  CHECK(!dw_authority_split(L("]"), &host, &port));
  CHECK(!dw_authority_split(L("[::1\0]"), &host, &port));
  CHECK(!dw_authority_split(L("a@b"), &host, &port));
}

/* --- Without memory --------------------------------------------------------*/

static int use_all(dw_allocator *a, void *data) {
  (void)data;
  dw_buffer b;
  dw_arena block;
  dw_pairs pairs;
  const char *what;
  dw_cookie c = cookie(L("a"), L("b c"));
  c.path = c.domain = c.same_site = L("lax");
  c.max_age = c.expires = 1;
  dw_buffer_init(&b, a, 0);
  dw_arena_init(&block, a, NULL, 0);
  int err = dw_form_parse(L("a=%41&b+c=d"), &block, 0, &pairs);
  if (err == 0) err = dw_cookie_parse(L("a=\"\\054\"; b=c"), &block, &pairs);
  if (err == 0) err = dw_cookie_format(&b, &c, &what);
  if (err == 0) err = dw_form_append(&b, L("a b"), L("c d"));
  if (err == 0) err = dw_target_encode(&b, L("/a b"));
  dw_buffer_deinit(&b);
  dw_arena_deinit(&block);
  return err;
}

TEST(leaks_nothing_when_memory_is_short) {
  unit_failing_allocations(use_all, NULL);
}
