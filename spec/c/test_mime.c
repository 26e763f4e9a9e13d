/* SPDX-License-Identifier: MIT */
/* Media types by suffix, from a list of the system's kind and without one. */
#include "unit.h"

#include "base/error.h"
#include "http/mime.h"

#define L DW_LITERAL

static dw_allocator memory;
static dw_mime mime;

static void begin(const char *list) {
  static const char path[] = "dewar-mime.types";
  dw_allocator_init(&memory, NULL, NULL);
  dw_mime_init(&mime, &memory);
  if (list) {
    FILE *f = fopen(path, "wb");
    REQUIRE(f);
    fputs(list, f);
    fclose(f);
  }
  dw_mime_load(&mime, list ? path : "/nothing/there");
  if (list) remove(path);
}

static void end(void) {
  dw_mime_deinit(&mime);
  CHECK_INT(memory.used, 0);
}

static const char list[] = "# a comment\n"
                           "\n"
                           "application/nothing\n"
                           "Text/X-One\tone UNO # two\n"
                           "image/x-one one x1\r\n"
                           "application/x-two+xml   two\n"
                           "nonsense odd\n"
                           "application/x-last last";

TEST(reads_types_and_their_suffixes) {
  begin(list);
  CHECK_STR(dw_mime_find(&mime, L("a.one")), "text/x-one; charset=utf-8");
  CHECK_STR(dw_mime_find(&mime, L("a.x1")), "image/x-one");
  CHECK_STR(dw_mime_find(&mime, L("a.uno")), "text/x-one; charset=utf-8");
  CHECK_STR(dw_mime_find(&mime, L("a.two")),
            "application/x-two+xml; charset=utf-8");
  CHECK_STR(dw_mime_find(&mime, L("a.last")), "application/x-last");
  CHECK_STR(dw_mime_find(&mime, L("a.odd")), NULL);
  CHECK_STR(dw_mime_find(&mime, L("a.#")), NULL);
  end();
}

TEST(falls_back_to_what_the_web_is_made_of) {
  begin(list);
  CHECK_STR(dw_mime_find(&mime, L("a.css")), "text/css; charset=utf-8");
  end();
  begin(NULL);
  CHECK_STR(dw_mime_find(&mime, L("a.js")), "text/javascript; charset=utf-8");
  CHECK_STR(dw_mime_find(&mime, L("a.json")), "application/json");
  CHECK_STR(dw_mime_find(&mime, L("a.svg")), "image/svg+xml; charset=utf-8");
  CHECK_STR(dw_mime_find(&mime, L("a.one")), NULL);
  end();
}

TEST(looks_at_the_last_suffix_whatever_its_case) {
  begin(NULL);
  CHECK_STR(dw_mime_find(&mime, L("dir.css/a.PNG")), "image/png");
  CHECK_STR(dw_mime_find(&mime, L("a.tar.gz")), "application/gzip");
  CHECK_STR(dw_mime_find(&mime, L(".css")), NULL);
  CHECK_STR(dw_mime_find(&mime, L("dir/.css")), NULL);
  CHECK_STR(dw_mime_find(&mime, L("dir.css/a")), NULL);
  CHECK_STR(dw_mime_find(&mime, L("a.")), NULL);
  CHECK_STR(dw_mime_find(&mime, L("css")), NULL);
  CHECK_STR(dw_mime_find(&mime, L("")), NULL);
  CHECK_STR(
      dw_mime_find(&mime,
                   L("a.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")),
      NULL);
  end();
}

TEST(tells_what_is_text) {
  CHECK(dw_mime_is_text(L("text/plain")));
  CHECK(dw_mime_is_text(L("application/javascript")));
  CHECK(dw_mime_is_text(L("application/atom+xml")));
  CHECK(!dw_mime_is_text(L("application/json")));
  CHECK(!dw_mime_is_text(L("image/png")));
  CHECK(!dw_mime_is_text(L("text/")));
}

static int scenario(dw_allocator *a, void *data) {
  (void)data;
  dw_mime m;
  dw_mime_init(&m, a);
  dw_mime_load(&m, NULL);
  CHECK_STR(dw_mime_find(&m, L("a.css")), "text/css; charset=utf-8");
  dw_mime_deinit(&m);
  return 0;
}

TEST(survives_failing_allocations) { unit_failing_allocations(scenario, NULL); }
