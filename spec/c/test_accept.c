/* SPDX-License-Identifier: MIT */
/* What a client accepts: weights, wildcards, parameters, and what is malformed.
 */
#include "http/accept.h"
#include "unit.h"

static int quality(dw_accept_kind kind, const char *header, const char *value) {
  return dw_accept_find(kind, dw_slice_str(header), dw_slice_str(value))
      .quality;
}

static int media(const char *header, const char *value) {
  return quality(DW_ACCEPT_MEDIA, header, value);
}

/* Which of two offers; -1: neither. */
static int best(dw_accept_kind kind, const char *header, const char *a,
                const char *b) {
  dw_slice offers[] = {dw_slice_str(a), dw_slice_str(b)};
  return dw_accept_best(kind, dw_slice_str(header), offers, 2);
}

TEST(gives_the_weights_of_the_closest_range) {
  /* The example of RFC 9110, 12.5.1. */
  static const char header[] =
      "text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, "
      "text/plain;format=fixed;q=0.4, */*;q=0.5";
  CHECK_INT(media(header, "text/plain;format=flowed"), 1000);
  CHECK_INT(media(header, "text/plain"), 700);
  CHECK_INT(media(header, "text/html"), 300);
  CHECK_INT(media(header, "image/jpeg"), 500);
  CHECK_INT(media(header, "text/plain; format=fixed"), 400);
  CHECK_INT(media(header, "text/html;level=3"), 300);
}

TEST(ignores_case_and_space) {
  CHECK_INT(media(" TEXT/HTML ;Q=0.5 ,", "text/html"), 500);
  CHECK_INT(media("text/html;\tLevel = 1 ; q = 0.25", "Text/Html;level=1"),
            250);
  CHECK_INT(quality(DW_ACCEPT_ENCODING, "GZIP;q=0.1", "gzip"), 100);
}

TEST(reads_weights_as_they_come) {
  CHECK_INT(media("a/b;q=1", "a/b"), 1000);
  CHECK_INT(media("a/b;q=1.000", "a/b"), 1000);
  CHECK_INT(media("a/b;q=0", "a/b"), 0);
  CHECK_INT(media("a/b;q=0.001", "a/b"), 1);
  CHECK_INT(media("a/b;q=0.12345", "a/b"), 123);
  CHECK_INT(media("a/b;q=\"0.5\"", "a/b"), 500);
  CHECK_INT(media("a/b;q=00.5", "a/b"), 500);
}

TEST(passes_over_a_range_whose_weight_makes_no_sense) {
  static const char *const weights[] = {"",    "x",    "1.",  ".5",  "-1",
                                        "1.1", "2",    "0,5", "1e0", "0.5x",
                                        "nan", "\"1 ", "0..5"};
  for (size_t i = 0; i < sizeof weights / sizeof *weights; i++) {
    char header[64];
    snprintf(header, sizeof header, "c/d;q=0.5, a/b;q=%s", weights[i]);
    unit_check(media(header, "a/b") == 0, __FILE__, __LINE__,
               "q=%s is a weight", weights[i]);
    CHECK_INT(media(header, "c/d"), 500);
  }
}

TEST(passes_over_what_is_no_range) {
  static const char header[] =
      ",;q=1,text,*/html,a b/c,/,text/, ,a/b;;x;=;q=0.5";
  CHECK_INT(media(header, "a/b"), 0); /* it has no parameter x */
  CHECK_INT(media(header, "a/b;x"), 500);
  CHECK_INT(media(header, "text/html"), 0);
  CHECK_INT(media(header, "x/html"), 0);
}

TEST(a_header_without_a_range_counts_as_none) {
  CHECK_INT(media("", "a/b"), 1000);
  CHECK_INT(media("text", "a/b"), 1000);
  CHECK_INT(best(DW_ACCEPT_MEDIA, ",,;", "a/b", "c/d"), 0);
  CHECK_INT(quality(DW_ACCEPT_LANGUAGE, "", "en"), 1000);
  dw_slice none = {NULL, 0};
  CHECK_INT(dw_accept_find(DW_ACCEPT_MEDIA, none, DW_LITERAL("a/b")).quality,
            1000);
}

TEST(does_not_take_a_quoted_comma_for_the_end) {
  CHECK_INT(media("a/b;t=\"x,y;z\\\",\";q=0.5, c/d;q=0.1", "c/d"), 100);
  CHECK_INT(media("a/b;t=\"x,y;z\\\",\";q=0.5", "a/b;t=\"x,y;z\\\",\""), 500);
  CHECK_INT(media("a/b;t=\"x,c/d", "c/d"), 0);
}

TEST(a_charset_is_not_held_against_a_value_that_names_none) {
  CHECK_INT(media("application/json;charset=utf-8", "application/json"), 1000);
  CHECK_INT(media("text/html;charset=latin1", "text/html;charset=utf-8"), 0);
}

TEST(prefers_by_quality_then_closeness_then_order) {
  CHECK_INT(best(DW_ACCEPT_MEDIA, "a/b;q=0.1,c/d", "a/b", "c/d"), 1);
  CHECK_INT(best(DW_ACCEPT_MEDIA, "*/*,c/d", "a/b", "c/d"), 1);
  CHECK_INT(best(DW_ACCEPT_MEDIA, "*/*,c/*", "a/b", "c/d"), 1);
  CHECK_INT(best(DW_ACCEPT_MEDIA, "c/d,a/b", "a/b", "c/d"), 0);
  CHECK_INT(best(DW_ACCEPT_MEDIA, "x/y", "a/b", "c/d"), -1);
  CHECK_INT(best(DW_ACCEPT_MEDIA, "*/*;q=0", "a/b", "c/d"), -1);
  /* A close range with a low weight is a low weight. */
  CHECK_INT(best(DW_ACCEPT_MEDIA, "a/*, a/b;q=0.1", "a/b", "a/c"), 1);
}

TEST(languages_stand_for_narrower_and_broader_ones) {
  CHECK_INT(quality(DW_ACCEPT_LANGUAGE, "en;q=0.8", "en-GB"), 800);
  CHECK_INT(quality(DW_ACCEPT_LANGUAGE, "en-GB;q=0.8", "en"), 800);
  CHECK_INT(quality(DW_ACCEPT_LANGUAGE, "en-GB", "en-US"), 0);
  CHECK_INT(quality(DW_ACCEPT_LANGUAGE, "en", "eng"), 0);
  CHECK_INT(quality(DW_ACCEPT_LANGUAGE, "zh-Hant-TW", "zh_hant"), 1000);
  CHECK_INT(quality(DW_ACCEPT_LANGUAGE, "en-GB;q=0, *;q=0.5", "en"), 500);
  CHECK_INT(quality(DW_ACCEPT_LANGUAGE, "en, en-GB;q=0", "en-gb"), 0);
  CHECK_INT(best(DW_ACCEPT_LANGUAGE, "de-CH, en;q=0.5", "en", "de"), 1);
  CHECK_INT(best(DW_ACCEPT_LANGUAGE, "en, *;q=0.5", "fr", "en-US"), 1);
  CHECK_INT(best(DW_ACCEPT_LANGUAGE, "en", "en-US", "en"), 1);
}

TEST(codings_are_named_but_for_identity) {
  CHECK_INT(quality(DW_ACCEPT_ENCODING, "", "gzip"), 0);
  CHECK_INT(quality(DW_ACCEPT_ENCODING, "", "identity"), 1000);
  CHECK_INT(quality(DW_ACCEPT_ENCODING, "gzip", "identity"), 1);
  CHECK_INT(quality(DW_ACCEPT_ENCODING, "gzip, *;q=0", "identity"), 0);
  CHECK_INT(quality(DW_ACCEPT_ENCODING, "x-gzip", "gzip"), 1000);
  CHECK_INT(quality(DW_ACCEPT_ENCODING, "*;q=0.5", "br"), 500);
  CHECK_INT(
      best(DW_ACCEPT_ENCODING, "identity, gzip;q=0.5", "gzip", "identity"), 1);
  CHECK_INT(best(DW_ACCEPT_ENCODING, "gzip;q=0.5", "identity", "gzip"), 1);
}

TEST(charsets_are_compared_without_hyphens) {
  CHECK_INT(quality(DW_ACCEPT_CHARSET, "utf8;q=0.5", "UTF-8"), 500);
  CHECK_INT(quality(DW_ACCEPT_CHARSET, "iso-8859-1", "iso-8859-15"), 0);
}

TEST(gives_parameters_without_the_weight) {
  dw_slice rest = dw_slice_str("text/html;a=1;Q=0.5; b=\"x;y\" ;;c"), got;
  dw_accept_range r;
  REQUIRE(dw_accept_next(DW_ACCEPT_MEDIA, &rest, &r));
  CHECK_SLICE(r.value, "text/html");
  CHECK_INT(r.quality, 500);
  REQUIRE(dw_accept_parameter(&r.parameters, &got));
  CHECK_SLICE(got, "a=1");
  REQUIRE(dw_accept_parameter(&r.parameters, &got));
  CHECK_SLICE(got, "b=\"x;y\"");
  REQUIRE(dw_accept_parameter(&r.parameters, &got));
  CHECK_SLICE(got, "c");
  CHECK(!dw_accept_parameter(&r.parameters, &got));
  CHECK(!dw_accept_next(DW_ACCEPT_MEDIA, &rest, &r));
}

TEST(tells_values_from_ranges) {
  CHECK(dw_accept_is_value(DW_ACCEPT_MEDIA, DW_LITERAL("a/b;c=d")));
  CHECK(!dw_accept_is_value(DW_ACCEPT_MEDIA, DW_LITERAL("a")));
  CHECK(!dw_accept_is_value(DW_ACCEPT_MEDIA, DW_LITERAL("a/*")));
  CHECK(!dw_accept_is_value(DW_ACCEPT_MEDIA, DW_EMPTY));
  CHECK(dw_accept_is_value(DW_ACCEPT_LANGUAGE, DW_LITERAL("en-GB")));
  CHECK(!dw_accept_is_value(DW_ACCEPT_ENCODING, DW_LITERAL("*")));
}

static int specificity(dw_accept_kind kind, const char *header) {
  dw_slice rest = dw_slice_str(header);
  dw_accept_range r;
  return dw_accept_next(kind, &rest, &r) ? dw_accept_specificity(kind, &r) : -1;
}

TEST(a_range_that_says_more_is_more_specific) {
  CHECK_INT(specificity(DW_ACCEPT_MEDIA, "*/*"), 0);
  CHECK_INT(specificity(DW_ACCEPT_MEDIA, "a/*"), 1);
  CHECK_INT(specificity(DW_ACCEPT_MEDIA, "a/b;q=1"), 2);
  CHECK_INT(specificity(DW_ACCEPT_MEDIA, "a/b;c=d;q=0;e=f"), 4);
  CHECK_INT(specificity(DW_ACCEPT_LANGUAGE, "*"), 0);
  CHECK_INT(specificity(DW_ACCEPT_LANGUAGE, "en-GB"), 2);
  CHECK_INT(specificity(DW_ACCEPT_ENCODING, "*"), 0);
  CHECK_INT(specificity(DW_ACCEPT_ENCODING, "br"), 1);
}
