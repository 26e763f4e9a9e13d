/* SPDX-License-Identifier: MIT */
/* Compressed answers to a C host: what a view gave comes back when it is
 * decoded, and every allocation may fail. */
#include "unit.h"

#include "support/host.h"

#ifdef DEWAR_WITH_ZLIB
#include <zlib.h>
#endif

enum { SHORT = 5000, LONG = 200000 };

static host h;
static char text[LONG];

/* Words that repeat, not too evenly. */
static void fill(void) {
  unsigned seed = 1;
  for (size_t i = 0; i + 8 <= sizeof text; i += 8) {
    seed = seed * 1103515245u + 12345u;
    memcpy(text + i, seed >> 24 & 63 ? "a word, " : "another ", 8);
  }
}

static int text_view(dewar_exchange *x, void *data) {
  return dewar_respond(x, 200, "text/plain", text, *(const size_t *)data);
}

static const size_t short_size = SHORT, long_size = LONG;

static bool open_host(void) {
  return dewar_new(&h.rt, &h.options) == 0 &&
         dewar_get(h.rt, "/short", text_view, (void *)&short_size) == 0 &&
         dewar_get(h.rt, "/long", text_view, (void *)&long_size) == 0;
}

#ifdef DEWAR_WITH_ZLIB
static bool decodes_to(const reply *r, size_t size) {
  static unsigned char out[LONG + 1];
  z_stream z = {.next_in = (unsigned char *)(uintptr_t)r->body,
                .avail_in = (unsigned)r->body_len,
                .next_out = out,
                .avail_out = sizeof out};
  if (inflateInit2(&z, 31) != Z_OK) return false;
  int result = inflate(&z, Z_FINISH);
  inflateEnd(&z);
  return result == Z_STREAM_END && z.total_out == size &&
         memcmp(out, text, size) == 0;
}

static void check_coded(const char *path, size_t size) {
  reply r = ask_with(&h, "GET", path, "Accept-Encoding: gzip\r\n", NULL);
  CHECK_INT(r.status, 200);
  CHECK(strstr(r.headers, "Content-Encoding: gzip\r\n"));
  CHECK(strstr(r.headers, "Vary: Accept-Encoding\r\n"));
  CHECK(r.body_len < size / 4 && decodes_to(&r, size));
}

TEST(a_view_in_c_is_compressed_like_others) {
  host_init(&h);
  fill();
  REQUIRE(open_host());
  check_coded("/short", SHORT);
  check_coded("/long", LONG);
  CHECK_INT(ask(&h, "/short").body_len, SHORT);
  host_close(&h);
}
#endif

/* One life with requests for both; whether the n-th allocation was reached. */
static bool live(const char *accept, size_t fail_at, bool fail_after) {
  static const char *const paths[] = {"/short", "/long"};
  host_init(&h);
  h.fail_at = fail_at;
  h.fail_after = fail_after;
  unit.failing = fail_at;
  int code = open_host() ? 0 : -1;
  reply r = {0};
  for (size_t i = 0; i < 2 && code == 0; i++) {
    r = ask_with(&h, "GET", paths[i], accept, NULL);
    code = r.code;
    if (code == 0) CHECK(r.status == 200 || r.status >= 500);
  }
  if (h.rt) CHECK_INT(dewar_free(h.rt), 0);
  CHECK_INT(h.used, 0);
  bool reached = h.calls >= fail_at;
  if (!reached) CHECK(code == 0 && r.status == 200);
  unit.failing = 0;
  return reached;
}

static void live_with_every_failure(const char *accept) {
  for (int after = 0; after < 2; after++)
    for (size_t n = 1; live(accept, n, after); n++)
      if (!CHECK(n < UNIT_ALLOCATIONS)) return;
}

TEST(no_failing_allocation_leaks_or_crashes_where_gzip_is_wanted) {
  fill();
  live_with_every_failure("Accept-Encoding: gzip\r\n");
}

TEST(no_failing_allocation_leaks_or_crashes_where_br_is_wanted) {
  fill();
  live_with_every_failure("Accept-Encoding: br\r\n");
}
