/* SPDX-License-Identifier: MIT */
/* The default error page, in HTML and JSON, and who gets which. */
#include "app/default_page.h"
#include "app/errors.h"
#include "unit.h"

static dw_allocator allocator;
static dw_buffer page;

static void make(int status, const char *description, bool json) {
  dw_allocator_init(&allocator, NULL, NULL);
  dw_buffer_init(&page, &allocator, 0);
  CHECK_INT(dw_default_page(&page, status, dw_slice_str(description), json), 0);
  CHECK_INT(dw_buffer_append_char(&page, '\0'), 0);
}

static bool has(const char *text) { return strstr(page.ptr, text) != NULL; }

static void drop(void) {
  dw_buffer_deinit(&page);
  CHECK_INT(allocator.used, 0);
}

TEST(is_a_small_document_of_its_own) {
  make(404, "no such user", false);
  CHECK(strncmp(page.ptr, "<!doctype html>\n", 16) == 0);
  CHECK(has("<title>404 Not Found</title>"));
  CHECK(has("<h1>Not Found</h1>"));
  CHECK(has("<p>no such user</p>"));
  CHECK(has("charset=\"utf-8\""));
  CHECK(has("color-scheme:light dark"));
  CHECK(!has("http:") && !has("https:") && !has("<script") && !has("url("));
  drop();
}

TEST(is_below_a_kilobyte_for_every_status) {
  for (int status = 400; status < 600; status++) {
    make(status, dw_error_description(status), false);
    CHECK(page.len < 1024);
    drop();
  }
}

TEST(escapes_the_description_in_html) {
  make(400, "<script>alert('&\"1')</script>", false);
  CHECK(has("<p>&lt;script&gt;alert(&#39;&amp;&quot;1&#39;)&lt;/script&gt;"
            "</p>"));
  CHECK(!has("<script>"));
  drop();
}

TEST(escapes_the_description_in_json) {
  make(400, "a\"b\\c\n\r\t<\x01\x7F", true);
  CHECK_STR(page.ptr,
            "{\"error\":{\"status\":400,\"name\":\"Bad Request\","
            "\"description\":\"a\\\"b\\\\c\\n\\r\\t<\xEF\xBF\xBD\xEF\xBF\xBD\""
            "}}\n");
  drop();
}

TEST(is_utf_8_whatever_the_description) {
  make(400, "gr\xC3\xBC\xC3\x9F \xFF\xC3", true);
  CHECK(has("\"gr\xC3\xBC\xC3\x9F \xEF\xBF\xBD\xEF\xBF\xBD\""));
  drop();
  make(400, "gr\xC3\xBC\xC3\x9F \xED\xA0\x80", false);
  CHECK(has("<p>gr\xC3\xBC\xC3\x9F \xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD</p>"));
  drop();
}

TEST(names_a_status_without_a_phrase_too) {
  make(499, "x", false);
  CHECK(has("<title>499 Error</title>"));
  drop();
  make(499, "x", true);
  CHECK(has("{\"status\":499,\"name\":\"Error\",\"description\":\"x\"}"));
  drop();
}

TEST(leaves_the_buffer_as_it_was_when_it_is_full) {
  for (int json = 0; json <= 1; json++) {
    for (size_t room = 0; room < 50; room++) {
      dw_allocator_init(&allocator, NULL, NULL);
      dw_buffer_init(&page, &allocator, 4 + room);
      CHECK_INT(dw_buffer_append(&page, "kept", 4), 0);
      CHECK(dw_default_page(&page, 404, DW_LITERAL("x"), json) < 0);
      CHECK_SLICE(dw_buffer_slice(&page), "kept");
      drop();
    }
  }
}

static int append_both(dw_allocator *a, void *data) {
  (void)data;
  dw_buffer b;
  dw_buffer_init(&b, a, 0);
  int err = dw_default_page(&b, 404, DW_LITERAL("<a>"), false);
  if (err == 0) err = dw_default_page(&b, 404, DW_LITERAL("\"a\""), true);
  dw_buffer_deinit(&b);
  return err;
}

TEST(nothing_leaks_where_memory_runs_out) {
  unit_failing_allocations(append_both, NULL);
}

TEST(only_a_client_without_html_gets_json) {
  static const char *const json[] = {
      "application/json",
      "Application/JSON",
      "application/json;charset=utf-8",
      "application/json; q=0.5",
      "application/problem+json",
      "text/plain, application/vnd.api+json;q=0.1",
      "application/json, text/html;q=0",
      "application/json, text/html; q=0.000, */*",
      "application/json, */*;q=0",
      "application/json, text/*;q=0, */*;q=1",
      "application/json,,text/plain",
  };
  static const char *const html[] = {
      "",
      ",",
      "*/*",
      "text/html",
      "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
      "application/json, text/html",
      "application/json, text/html;q=0.1",
      "application/json, text/plain, */*",
      "application/json, text/*;q=0.1",
      "application/json, */*;q=0, TEXT/HTML",
      "application/json;q=0",
      "application/json; Q=0.0",
      "text/plain",
      "application/jsonp",
      "+json",
      ";;=;q=,q=0;",
  };
  for (size_t i = 0; i < sizeof json / sizeof *json; i++)
    unit_check(dw_accepts_only_json(dw_slice_str(json[i])), __FILE__, __LINE__,
               "HTML for \"%s\"", json[i]);
  for (size_t i = 0; i < sizeof html / sizeof *html; i++)
    unit_check(!dw_accepts_only_json(dw_slice_str(html[i])), __FILE__, __LINE__,
               "JSON for \"%s\"", html[i]);
  CHECK(!dw_accepts_only_json((dw_slice){NULL, 0}));
}
