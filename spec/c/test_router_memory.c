/* SPDX-License-Identifier: MIT */
/* The router when memory runs out: a call fails as a whole, says so, and leaves
 * nothing behind. */
#include "unit.h"

#include "router_fixture.h"

/* --- Adding ----------------------------------------------------------------*/

static int take_any(const dw_converter *c, dw_slice text,
                    const dw_converter_arg *args, size_t nargs, dw_value *out) {
  (void)c, (void)text, (void)args, (void)nargs;
  *out = INT_VALUE(0);
  return 1;
}

static int add_many(dw_allocator *a, void *data) {
  (void)data;
  static const char *const rules[] = {
      "/",
      "/users/<int(min=1):id>",
      "/users/<int(min=1):id>/edit",
      "/100%/<path:p>.<any(html,txt):ext>/x/<path:q>",
      "/users/me",
      "/a/b/c/d/e/f/g"};
  dw_router *r;
  dw_buffer message;
  dw_buffer_init(&message, a, 0);
  int rc = dw_router_new(&r, a);
  dw_converter c = {.name = DW_LITERAL("letters"), .to_value = take_any};
  if (rc == 0) rc = dw_router_add_converter(r, &c, &message);
  for (size_t i = 0; i < 30 && rc == 0; i++) {
    char text[100];
    snprintf(text, sizeof text, "%s%s", rules[i % 6],
             i < 6    ? ""
             : i < 12 ? "/more"
                      : "/<letters(b=1,a=2):l>");
    size_t count = dw_router_count(r);
    const dw_rule *rule = NULL;
    rc = dw_router_add(r,
                       &RULE(text, METHODS((int)i / 6), NAMED("e"),
                             .host = dw_slice_str(i % 2 ? "" : "<h>.x"),
                             .redirect_to = dw_slice_str("/<z>"),
                             DEFAULTS(PAIR("z", STRING_VALUE("z")))),
                       &rule, &message);
    CHECK_INT(dw_router_count(r), count + (rc == 0));
    CHECK(rc == 0 || rule == NULL);
  }
  if (rc == 0) rc = dw_router_set_server_name(r, DW_LITERAL("example.com"));
  CHECK(rc == 0 || rc == DW_ENOMEM);
  dw_router_free(r);
  dw_buffer_deinit(&message);
  return rc;
}

TEST(adds_rules_wholly_or_not_at_all_when_memory_runs_out) {
  unit_failing_allocations(add_many, NULL);
}

/* One rule after another, with a failure in each at each allocation: the next
 * try succeeds, and in the end everything is found. */
TEST(is_unchanged_by_a_failed_add) {
  fixture f;
  setup(&f);
  static const char *const rules[] = {"/a/b",       "/a/<x>",     "/a/<x>/c",
                                      "/a/b/<y>/d", "/<path:p>/", "/a/b/c"};
  for (int i = 0; i < 6; i++) {
    for (uint64_t n = 1; n < 20; n++) {
      f.alloc.fail_at = f.alloc.calls + n;
      int rc = add_rule(&f, RULE(rules[i]));
      f.alloc.fail_at = 0;
      CHECK(rc == 0 || rc == DW_ENOMEM);
      if (rc == 0) break;
      CHECK_INT(dw_router_count(f.router), i);
    }
    CHECK_INT(dw_router_count(f.router), i + 1);
    CHECK_INT(add_rule(&f, RULE(rules[i])), DEWAR_EEXIST);
    CHECK_INT(add_rule(&f, RULE("/a/b/<y>/d/<oops")), DEWAR_EINVAL);
  }
  CHECK_ROUTE(&f, "GET /a/b", "/a/b");
  CHECK_ROUTE(&f, "GET /a/x", "/a/<x> x='x'");
  CHECK_ROUTE(&f, "GET /a/b/c", "/a/b/c");
  CHECK_ROUTE(&f, "GET /a/x/c", "/a/<x>/c x='x'");
  CHECK_ROUTE(&f, "GET /a/b/x/d", "/a/b/<y>/d y='x'");
  CHECK_ROUTE(&f, "GET /b/", "/<path:p>/ p='b'");
  teardown(&f);
}

/* --- Matching --------------------------------------------------------------*/

static int match_some(dw_allocator *a, void *data) {
  static const char *const requests[] = {
      "GET a.x /u/1/2", "GET /p/a%20b%2F/c%25.d",
      "GET //u//1/2",   "GET /slash?q=1",
      "GET /page/1",    "GET /old/7",
      "GET /alias",     "OPTIONS /u/1/2",
      "POST /u/1/2",    "GET /UPPER/A8098C1A-F86E-11DA-BD1A-00112444BE1E",
      "GET /x/%2F%2F"};
  dw_router *r = data;
  int rc = 0;
  for (size_t i = 0; i < sizeof requests / sizeof *requests && rc == 0; i++) {
    dw_arena arena;
    dw_match match;
    dw_match_query q = parse_request(requests[i]);
    dw_arena_init(&arena, a, NULL, 0);
    rc = dw_router_match(r, &q, &arena, &match);
    CHECK(rc == 0 || rc == DW_ENOMEM);
    CHECK(rc < 0 || match.kind != DW_MATCH_NOT_FOUND);
    dw_match_release(&match);
    dw_arena_deinit(&arena);
  }
  return rc;
}

TEST(reports_it_when_a_match_runs_out_of_memory) {
  fixture f;
  setup(&f);
  ADD(&f, "/u/<a>/<b>");
  ADD(&f, "/u/<a>/<b>", .host = dw_slice_str("<h>.x"));
  ADD(&f, "/p/<path:p>.<ext>");
  ADD(&f, "/<path:p>/q/<path:r>/s");
  ADD(&f, "/slash/");
  ADD(&f, "/page/<int:n>", NAMED("page"));
  ADD(&f, "/pages", NAMED("page"), DEFAULTS(PAIR("n", INT_VALUE(1))));
  ADD(&f, "/old/<int:n>", .redirect_to = dw_slice_str("/new/<n>"));
  ADD(&f, "/alias", NAMED("page"), .alias = true,
      DEFAULTS(PAIR("n", INT_VALUE(1))));
  ADD(&f, "/UPPER/<uuid:u>");
  ADD(&f, "/x/<x>");
  unit_failing_allocations(match_some, f.router);
  teardown(&f);
}

/* --- Building --------------------------------------------------------------*/

static int build_some(dw_allocator *a, void *data) {
  const dw_url_options options[] = {
      URL("u",
          VALUES(PAIR("id", INT_VALUE(7)), PAIR("q", STRING_VALUE("a b")),
                 PAIR("r", FLOAT_VALUE(0.5))),
          .scheme = dw_slice_str("https"),
          .host = dw_slice_str("localhost:5000")),
      URL("h",
          VALUES(PAIR("p", STRING_VALUE("a/b%2Fc")),
                 PAIR("sub", STRING_VALUE("s"))),
          .host = dw_slice_str("x.a.com")),
      URL("h",
          VALUES(PAIR("p", STRING_VALUE("a/b%2Fc")),
                 PAIR("sub", STRING_VALUE("x"))),
          .host = dw_slice_str("x.a.com")),
      URL("/u/<int:id>", VALUES(PAIR("id", INT_VALUE(-7)))), URL("nothing")};
  int rc = 0;
  for (size_t i = 0; i < sizeof options / sizeof *options && rc == 0; i++) {
    dw_buffer out, message;
    dw_buffer_init(&out, a, 0);
    dw_buffer_init(&message, a, 0);
    rc = dw_router_build(data, &options[i], &out, &message);
    static const char *const urls[] = {"https://localhost:5000/u/7?q=a+b&r=0.5",
                                       "http://s.a.com/a/b%2Fc", "/a/b%2Fc"};
    if (rc == 0) CHECK_SLICE(dw_buffer_slice(&out), urls[i]);
    if (i == 3 && rc == DEWAR_EINVAL) rc = 0;
    if (i == 4 && rc == DEWAR_ENOTFOUND) rc = 0;
    CHECK(rc == 0 || rc == DW_ENOMEM);
    dw_buffer_deinit(&out);
    dw_buffer_deinit(&message);
  }
  return rc;
}

TEST(reports_it_when_building_runs_out_of_memory) {
  fixture f;
  setup(&f);
  ADD(&f, "/u/<int:id>", NAMED("u"));
  ADD(&f, "/<path:p>", NAMED("h"), .host = dw_slice_str("<sub>.a.com"));
  ADD(&f, "/h", NAMED("h"), .host = dw_slice_str("b.com"));
  unit_failing_allocations(build_some, f.router);
  teardown(&f);
}
