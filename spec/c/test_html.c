/* SPDX-License-Identifier: MIT */
/* Text as a part of HTML. */
#include "base/html.h"
#include "unit.h"

static char out[256];

static const char *escaped(const char *text) {
  dw_slice slice = dw_slice_str(text);
  size_t len = dw_html_escaped_length(slice);
  CHECK(len < sizeof out);
  memset(out, '#', sizeof out);
  dw_html_escape(out, slice);
  CHECK(out[len] == '#'); /* nothing behind its end */
  out[len] = '\0';
  return out;
}

TEST(escapes_what_means_something) {
  CHECK_STR(escaped("<a href=\"x\">Q&A's</a>"),
            "&lt;a href=&quot;x&quot;&gt;Q&amp;A&#39;s&lt;/a&gt;");
  CHECK_STR(escaped("&amp;"), "&amp;amp;");
}

TEST(leaves_all_other_bytes_alone) {
  char all[2] = {0};
  for (int c = 1; c < 256; c++) {
    all[0] = (char)c;
    if (strchr("&<>\"'", c)) continue;
    CHECK_STR(escaped(all), all);
    CHECK(dw_html_entity((char)c) == NULL);
  }
  CHECK_STR(escaped(""), "");
}

TEST(knows_the_length_beforehand) {
  CHECK_INT(dw_html_escaped_length(dw_slice_str("plain")), 5);
  CHECK_INT(dw_html_escaped_length(DW_LITERAL("a\0<")), 6);
  CHECK_INT(dw_html_escaped_length(DW_EMPTY), 0);
}
