/* SPDX-License-Identifier: MIT */
/* Entity tags, preconditions, ranges. */
#include "unit.h"

#include "base/error.h"
#include "http/conditional.h"

#define L DW_LITERAL

static dw_allocator memory;
static dw_request request;
static dw_header fields[8];
static dw_response response;
static uint64_t length;

static void begin(dw_method method) {
  dw_allocator_init(&memory, NULL, NULL);
  memset(&request, 0, sizeof request);
  dw_arena_init(&request.arena, &memory, NULL, 0);
  request.method = method;
  request.headers = fields;
  dw_response_init(&response, &memory);
  length = 0;
}

static void end(void) {
  dw_response_deinit(&response);
  dw_arena_deinit(&request.arena);
  CHECK_INT(memory.used, 0);
}

static void ask(const char *name, const char *value) {
  fields[request.nheaders++] =
      (dw_header){dw_slice_str(name), dw_slice_str(value)};
}

static void set(const char *name, const char *value) {
  dw_headers_set(&response.headers, dw_slice_str(name), dw_slice_str(value));
}

static dw_slice field(const char *name) {
  const dw_header *h = dw_headers_find(&response.headers, dw_slice_str(name));
  return h ? h->value : L("(none)");
}

static int condition(void) {
  dw_conditional options = {.ranges = true};
  return dw_response_condition(&response, &request, &options, &length);
}

/* A document of ten bytes. */
static void document(void) {
  set("ETag", "\"v2\"");
  set("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT");
  set("Cache-Control", "max-age=60");
  response.type = "text/plain";
  dw_response_set_body(&response, L("0123456789"));
}

/* --- Entity tags -----------------------------------------------------------*/

TEST(reads_strong_and_weak_tags) {
  dw_etag tag;
  CHECK(dw_etag_read(L("\"abc\""), &tag));
  CHECK_SLICE(tag.opaque, "abc");
  CHECK(!tag.weak);
  CHECK(dw_etag_read(L(" W/\"a,b\" "), &tag));
  CHECK_SLICE(tag.opaque, "a,b");
  CHECK(tag.weak);
  CHECK(dw_etag_read(L("\"\""), &tag));
  CHECK_SLICE(tag.opaque, "");
}

TEST(refuses_what_is_no_tag) {
  static const char *const bad[] = {"",       "abc",       "\"abc", "abc\"",
                                    "W/abc",  "w/\"abc\"", "W/",    "\"a b\"",
                                    "\"a\"b", "*",         "\"",    "W/\""};
  dw_etag tag;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
    unit_check(!dw_etag_read(dw_slice_str(bad[i]), &tag), __FILE__, __LINE__,
               "%s was read", bad[i]);
}

TEST(knows_what_can_stand_between_quotes) {
  CHECK(dw_etag_is_opaque(L("")));
  CHECK(dw_etag_is_opaque(L("a-b,c\xe9")));
  CHECK(!dw_etag_is_opaque(L("a\"b")));
  CHECK(!dw_etag_is_opaque(L("a b")));
  CHECK(!dw_etag_is_opaque(L("a\x7f")));
  CHECK(!dw_etag_is_opaque(L("a\n")));
}

TEST(walks_a_list_past_what_is_malformed) {
  dw_slice list = L(" \"a,b\" , nonsense,, W/\"c\",\"d\"e, \"f\"\t");
  dw_etag tag;
  CHECK(dw_etag_next(&list, &tag));
  CHECK_SLICE(tag.opaque, "a,b");
  CHECK(dw_etag_next(&list, &tag));
  CHECK_SLICE(tag.opaque, "c");
  CHECK(tag.weak);
  CHECK(dw_etag_next(&list, &tag));
  CHECK_SLICE(tag.opaque, "f");
  CHECK(!dw_etag_next(&list, &tag));
  CHECK(!dw_etag_next(&list, &tag));
}

TEST(compares_as_the_table_of_the_rfc_says) {
  dw_etag w1 = {L("1"), true}, w2 = {L("2"), true}, s1 = {L("1"), false};
  CHECK(!dw_etag_same(w1, w1, true) && dw_etag_same(w1, w1, false));
  CHECK(!dw_etag_same(w1, w2, true) && !dw_etag_same(w1, w2, false));
  CHECK(!dw_etag_same(w1, s1, true) && dw_etag_same(w1, s1, false));
  CHECK(dw_etag_same(s1, s1, true) && dw_etag_same(s1, s1, false));
  CHECK(dw_etags_have(L("\"0\", W/\"1\""), s1, false));
  CHECK(!dw_etags_have(L("\"0\", W/\"1\""), s1, true));
  CHECK(dw_etags_have(L(" * "), s1, true));
}

/* --- Preconditions ---------------------------------------------------------*/

TEST(answers_a_plain_get_as_it_is) {
  begin(DW_METHOD_GET);
  document();
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 200);
  CHECK_SLICE(response.body, "0123456789");
  CHECK_SLICE(field("Accept-Ranges"), "bytes");
  end();
}

TEST(tells_who_has_the_tag_that_nothing_changed) {
  begin(DW_METHOD_GET);
  document();
  set("Content-Language", "en");
  ask("If-None-Match", "\"v1\", W/\"v2\"");
  ask("If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT");
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 304);
  CHECK_INT(response.kind, DW_BODY_NONE);
  CHECK_SLICE(field("ETag"), "\"v2\"");
  CHECK_SLICE(field("Cache-Control"), "max-age=60");
  CHECK_SLICE(field("Content-Language"), "(none)");
  CHECK(response.type == NULL);
  end();
}

TEST(prefers_tags_to_dates) {
  begin(DW_METHOD_GET);
  document();
  ask("If-None-Match", "\"v1\"");
  ask("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT");
  ask("If-Match", "\"v2\"");
  ask("If-Unmodified-Since", "Sun, 06 Nov 1993 08:49:37 GMT");
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 200);
  end();
}

TEST(compares_dates) {
  begin(DW_METHOD_HEAD);
  document();
  ask("If-Modified-Since", "Sun, 06 Nov 1994 08:49:37 GMT");
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 304);
  end();
  begin(DW_METHOD_GET);
  document();
  ask("If-Modified-Since", "Sun, 06 Nov 1994 08:49:36 GMT");
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 200);
  end();
  begin(DW_METHOD_GET);
  document();
  ask("If-Unmodified-Since", "Sun, 06 Nov 1994 08:49:36 GMT");
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 412);
  end();
}

TEST(takes_dates_that_make_no_sense_for_none) {
  begin(DW_METHOD_GET);
  document();
  ask("If-Modified-Since", "yesterday");
  ask("If-Unmodified-Since", "0");
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 200);
  end();
}

TEST(fails_a_match_that_is_only_weak) {
  begin(DW_METHOD_GET);
  document();
  ask("If-Match", "W/\"v2\"");
  ask("If-None-Match", "\"v2\"");
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 412);
  CHECK_SLICE(field("Cache-Control"), "(none)");
  CHECK_SLICE(dw_response_bytes(&response), "");
  end();
}

TEST(takes_a_star_for_anything_there_is) {
  begin(DW_METHOD_GET);
  document();
  ask("If-Match", "*");
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 200);
  ask("If-None-Match", "*");
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 304);
  end();
}

TEST(knows_no_condition_of_what_is_no_success) {
  begin(DW_METHOD_GET);
  document();
  response.status = 404;
  ask("If-None-Match", "\"v2\"");
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 404);
  end();
}

TEST(leaves_other_methods_to_the_view) {
  begin(DW_METHOD_PUT);
  document();
  ask("If-None-Match", "\"v2\"");
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 200);
  dw_validators v = dw_response_validators(&response);
  CHECK_INT(dw_preconditions(&request, &v), DW_PRECONDITION_FAILED);
  request.method = DW_METHOD_GET;
  CHECK_INT(dw_preconditions(&request, &v), DW_PRECONDITION_NOT_MODIFIED);
  end();
}

TEST(joins_tags_of_several_lines) {
  begin(DW_METHOD_GET);
  document();
  ask("If-None-Match", "\"v1\"");
  ask("If-None-Match", "\"v2\"");
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 304);
  end();
}

/* --- Ranges ----------------------------------------------------------------*/

TEST(chooses_what_a_range_asks_for) {
  static const struct {
    const char *field;
    dw_range_choice choice;
    uint64_t first, last;
  } cases[] = {
      {"bytes=0-4", DW_RANGE_PART, 0, 4},
      {"bytes=5-", DW_RANGE_PART, 5, 9},
      {"bytes=-3", DW_RANGE_PART, 7, 9},
      {"bytes=-30", DW_RANGE_PART, 0, 9},
      {"bytes=0-99", DW_RANGE_PART, 0, 9},
      {"BYTES=9-9", DW_RANGE_PART, 9, 9},
      {"bytes= , 2-3 ,", DW_RANGE_PART, 2, 3},
      {"bytes=0-99999999999999999999999", DW_RANGE_PART, 0, 9},
      {"bytes=10-", DW_RANGE_UNSATISFIABLE, 0, 0},
      {"bytes=10-20", DW_RANGE_UNSATISFIABLE, 0, 0},
      {"bytes=99999999999999999999999-", DW_RANGE_UNSATISFIABLE, 0, 0},
      {"bytes=-0", DW_RANGE_UNSATISFIABLE, 0, 0},
      {"bytes=0-1,3-4", DW_RANGE_WHOLE, 0, 0},
      {"bytes=0-1,x", DW_RANGE_WHOLE, 0, 0},
      {"bytes=4-2", DW_RANGE_WHOLE, 0, 0},
      {"bytes=", DW_RANGE_WHOLE, 0, 0},
      {"bytes=-", DW_RANGE_WHOLE, 0, 0},
      {"bytes", DW_RANGE_WHOLE, 0, 0},
      {"bytes=1", DW_RANGE_WHOLE, 0, 0},
      {"bytes=1-2-3", DW_RANGE_WHOLE, 0, 0},
      {"bytes=+1-2", DW_RANGE_WHOLE, 0, 0},
      {"bytes=0x1-2", DW_RANGE_WHOLE, 0, 0},
      {"bytes=1 - 2", DW_RANGE_WHOLE, 0, 0},
      {"bytes =1-2", DW_RANGE_WHOLE, 0, 0},
      {"lines=1-2", DW_RANGE_WHOLE, 0, 0},
      {"=1-2", DW_RANGE_WHOLE, 0, 0},
      {"", DW_RANGE_WHOLE, 0, 0},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    dw_range range;
    dw_range_choice choice =
        dw_range_choose(dw_slice_str(cases[i].field), 10, &range);
    unit_check(choice == cases[i].choice, __FILE__, __LINE__, "%s is %d",
               cases[i].field, choice);
    if (choice != DW_RANGE_PART) continue;
    unit_check(range.first == cases[i].first && range.last == cases[i].last,
               __FILE__, __LINE__, "%s is another range", cases[i].field);
  }
}

TEST(finds_no_range_in_nothing_but_its_end) {
  dw_range range;
  CHECK_INT(dw_range_choose(L("bytes=0-"), 0, &range), DW_RANGE_UNSATISFIABLE);
  CHECK_INT(dw_range_choose(L("bytes=-1"), 0, &range), DW_RANGE_WHOLE);
  CHECK_INT(dw_range_choose(L("bytes=-0"), 0, &range), DW_RANGE_UNSATISFIABLE);
}

TEST(sends_a_part) {
  begin(DW_METHOD_GET);
  document();
  ask("Range", "bytes=2-5");
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 206);
  CHECK_SLICE(field("Content-Range"), "bytes 2-5/10");
  CHECK_SLICE(dw_response_bytes(&response), "2345");
  end();
}

TEST(takes_a_range_of_a_get_only) {
  begin(DW_METHOD_HEAD);
  document();
  ask("Range", "bytes=2-5");
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 200);
  CHECK_SLICE(dw_response_bytes(&response), "0123456789");
  end();
}

TEST(tells_the_length_to_who_asks_beyond_it) {
  begin(DW_METHOD_GET);
  document();
  ask("Range", "bytes=10-");
  CHECK_INT(condition(), 416);
  CHECK_INT(length, 10);
  CHECK_INT(dw_unsatisfiable(&response.headers, length), 0);
  CHECK_SLICE(field("Content-Range"), "bytes */10");
  end();
}

TEST(lets_a_range_count_where_if_range_holds) {
  static const struct {
    const char *value;
    int status;
  } cases[] = {
      {"\"v2\"", 206},   {"\"v1\"", 200},
      {"W/\"v2\"", 200}, {"Sun, 06 Nov 1994 08:49:37 GMT", 206},
      {"nonsense", 200}, {"Sun, 06 Nov 1994 08:49:38 GMT", 200},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    begin(DW_METHOD_GET);
    document();
    ask("Range", "bytes=0-0");
    ask("If-Range", cases[i].value);
    CHECK_INT(condition(), 0);
    CHECK_INT(response.status, cases[i].status);
    end();
  }
}

TEST(asks_preconditions_before_the_range) {
  begin(DW_METHOD_GET);
  document();
  ask("Range", "bytes=99-");
  ask("If-None-Match", "\"v2\"");
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 304);
  end();
}

TEST(ranges_a_stream_whose_length_is_told) {
  begin(DW_METHOD_GET);
  response.kind = DW_BODY_STREAM;
  ask("Range", "bytes=2-5");
  CHECK_INT(condition(), 0);
  CHECK_INT(response.status, 200);
  dw_conditional options = {.ranges = true, .has_length = true, .length = 10};
  CHECK_INT(dw_response_condition(&response, &request, &options, &length), 0);
  CHECK_INT(response.status, 206);
  CHECK(response.ranged);
  CHECK_INT(response.offset, 2);
  CHECK_INT(response.length, 4);
  end();
}

static int scenario(dw_allocator *a, void *data) {
  (void)data;
  memset(&request, 0, sizeof request);
  dw_arena_init(&request.arena, a, NULL, 0);
  request.method = DW_METHOD_GET;
  request.headers = fields;
  ask("Range", "bytes=2-5");
  dw_response_init(&response, a);
  int code = dw_response_set_body(&response, L("0123456789"));
  if (code == 0) code = condition();
  if (code == 0) CHECK_SLICE(dw_response_bytes(&response), "2345");
  dw_response_deinit(&response);
  dw_arena_deinit(&request.arena);
  return code;
}

TEST(survives_failing_allocations) { unit_failing_allocations(scenario, NULL); }
