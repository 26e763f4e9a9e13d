/* SPDX-License-Identifier: MIT */
/* The router's redirects: slashes, defaults, aliases, redirect_to; and that
 * none of them leads to another host. */
#include "unit.h"

#include "router_fixture.h"

/* --- A slash at the end ----------------------------------------------------*/

TEST(adds_a_missing_slash_where_the_method_would_match) {
  fixture f;
  setup(&f);
  ADD(&f, "/d/", NAMED("d"));
  ADD(&f, "/leaf", NAMED("leaf"));
  CHECK_ROUTE(&f, "GET /d/", "d");
  CHECK_ROUTE(&f, "GET /d", "-> /d/");
  CHECK_ROUTE(&f, "GET /d?a=1&b=%zz", "-> /d/?a=1&b=%zz");
  CHECK_ROUTE(&f, "HEAD /d", "-> /d/");
  CHECK_ROUTE(&f, "POST /d", "404");
  CHECK_ROUTE(&f, "POST /d/", "405 GET HEAD OPTIONS");
  CHECK_ROUTE(&f, "GET /leaf/", "404");
  teardown(&f);
}

TEST(adds_no_slash_where_another_rule_has_the_path) {
  fixture f;
  setup(&f);
  ADD(&f, "/bar/", NAMED("get"));
  ADD(&f, "/bar", NAMED("post"), METHODS(DW_METHOD_POST));
  CHECK_ROUTE(&f, "POST /bar", "post");
  CHECK_ROUTE(&f, "GET /bar/", "get");
  CHECK_ROUTE(&f, "GET /bar", "-> /bar/");
  CHECK_ROUTE(&f, "POST /bar/", "405 GET HEAD OPTIONS");
  CHECK_ROUTE(&f, "PUT /bar", "405 POST OPTIONS");
  teardown(&f);
}

TEST(adds_no_slash_for_a_value_that_is_refused) {
  fixture f;
  setup(&f);
  ADD(&f, "/n/<int:n>/", NAMED("n"));
  ADD(&f, "/p/<path:p>/", NAMED("p"));
  CHECK_ROUTE(&f, "GET /n/7", "-> /n/7/");
  CHECK_ROUTE(&f, "GET /n/x", "404");
  CHECK_ROUTE(&f, "GET /p/a%2Fb/c", "-> /p/a%2Fb/c/");
  teardown(&f);
}

TEST(accepts_both_forms_where_slashes_are_not_strict) {
  fixture f;
  setup(&f);
  ADD(&f, "/leaf", NAMED("leaf"), .strict_slashes = 0);
  ADD(&f, "/branch/", NAMED("branch"), .strict_slashes = 0);
  ADD(&f, "/both", NAMED("both leaf"), .strict_slashes = 0);
  ADD(&f, "/both/", NAMED("both branch"));
  ADD(&f, "/path/<path:p>", NAMED("path"), .strict_slashes = 0);
  ADD(&f, "/html/<path:p>.html", NAMED("html"), .strict_slashes = 0);
  CHECK_ROUTE(&f, "GET /leaf", "leaf");
  CHECK_ROUTE(&f, "GET /leaf/", "leaf");
  CHECK_ROUTE(&f, "GET /branch", "branch");
  CHECK_ROUTE(&f, "GET /branch/", "branch");
  CHECK_ROUTE(&f, "GET /both", "both leaf");
  CHECK_ROUTE(&f, "GET /both/", "both branch");
  CHECK_ROUTE(&f, "GET /path/a/", "path p='a/'");
  CHECK_ROUTE(&f, "GET /html/a.html/", "html p='a'");
  CHECK_ROUTE(&f, "POST /leaf/", "405 GET HEAD OPTIONS");
  CHECK_ROUTE(&f, "POST /branch", "405 GET HEAD OPTIONS");
  teardown(&f);
}

/* --- Several slashes -------------------------------------------------------*/

TEST(merges_slashes_where_that_matches) {
  fixture f;
  setup(&f);
  ADD(&f, "/a/b", NAMED("leaf"));
  ADD(&f, "/c/<x>/", NAMED("branch"));
  ADD(&f, "/", NAMED("root"));
  CHECK_ROUTE(&f, "GET //a///b", "-> /a/b");
  CHECK_ROUTE(&f, "GET //a///b?q=1", "-> /a/b?q=1");
  CHECK_ROUTE(&f, "GET /a//b//", "404");
  CHECK_ROUTE(&f, "GET //c//%2F//", "-> /c/%2F/");
  CHECK_ROUTE(&f, "GET //", "-> /");
  CHECK_ROUTE(&f, "GET ///", "-> /");
  CHECK_ROUTE(&f, "GET //nothing", "404");
  CHECK_ROUTE(&f, "POST //a//b", "404");
  teardown(&f);
}

TEST(merges_slashes_and_adds_one_at_once) {
  fixture f;
  setup(&f);
  ADD(&f, "/c/<x>/", NAMED("branch"));
  ADD(&f, "/loose", NAMED("loose"), .strict_slashes = 0);
  CHECK_ROUTE(&f, "GET //c//x", "-> /c/x/");
  CHECK_ROUTE(&f, "GET /loose//", "-> /loose/");
  CHECK_ROUTE(&f, "GET /loose/", "loose");
  teardown(&f);
}

TEST(merges_no_slashes_within_a_path) {
  fixture f;
  setup(&f);
  ADD(&f, "/with/<path:p>", NAMED("with"));
  ADD(&f, "/wiki/<path:p>/edit", NAMED("edit"));
  CHECK_ROUTE(&f, "GET //with//x//y", "-> /with/x//y");
  CHECK_ROUTE(&f, "GET /with//x//y/", "-> /with/x//y/");
  CHECK_ROUTE(&f, "GET /with/x//y", "with p='x//y'");
  CHECK_ROUTE(&f, "GET //wiki/a//b///edit", "-> /wiki/a//b/edit");
  CHECK_ROUTE(&f, "GET /wiki/a//b///edit", "edit p='a//b//'");
  teardown(&f);
}

TEST(leaves_rules_alone_that_don_t_merge) {
  fixture f;
  setup(&f);
  ADD(&f, "/no//merge", NAMED("double"), .merge_slashes = 0);
  ADD(&f, "/no/merging", NAMED("single"), .merge_slashes = 0);
  CHECK_ROUTE(&f, "GET /no//merge", "double");
  CHECK_ROUTE(&f, "GET /no/merge", "404");
  CHECK_ROUTE(&f, "GET /no/merging", "single");
  CHECK_ROUTE(&f, "GET /no//merging", "404");
  ADD(&f, "/<a>/merging", NAMED("other"));
  CHECK_ROUTE(&f, "GET /no//merging", "-> /no/merging");
  teardown(&f);
}

TEST(merges_slashes_on_hosts) {
  fixture f;
  setup(&f);
  ADD(&f, "/a/", NAMED("a"), .host = dw_slice_str("<h>.x"));
  CHECK_ROUTE(&f, "GET s.x //a", "-> /a/");
  CHECK_ROUTE(&f, "GET y //a", "404");
  teardown(&f);
}

/* --- Other hosts -----------------------------------------------------------*/

TEST(never_redirects_to_another_host) {
  fixture f;
  setup(&f);
  ADD(&f, "/<x>/", NAMED("one"));
  ADD(&f, "/<path:x>/", NAMED("path"));
  ADD(&f, "/", NAMED("root"));
  CHECK_ROUTE(&f, "GET //evil.com", "-> /evil.com/");
  CHECK_ROUTE(&f, "GET //evil.com/..", "-> /evil.com/../");
  CHECK_ROUTE(&f, "GET ///evil.com//", "-> /evil.com/");
  CHECK_ROUTE(&f, "GET /\\evil.com", "-> /%5Cevil.com/");
  CHECK_ROUTE(&f, "GET /%5Cevil.com", "-> /%5Cevil.com/");
  CHECK_ROUTE(&f, "GET /%2Fevil.com", "-> /%2Fevil.com/");
  CHECK_ROUTE(&f, "GET //\\evil.com/x", "-> /%5Cevil.com/x/");
  CHECK_ROUTE(&f, "GET /\xc3\xa9\"<>", "-> /%C3%A9%22%3C%3E/");
  teardown(&f);
}

TEST(keeps_values_in_redirect_to_from_naming_a_host) {
  fixture f;
  setup(&f);
  ADD(&f, "/a/<path:p>", NAMED("a"), .redirect_to = dw_slice_str("<p>"));
  ADD(&f, "/b/<path:p>", NAMED("b"), .redirect_to = dw_slice_str("/<p>"));
  ADD(&f, "/c/<path:p>", NAMED("c"),
      .redirect_to = dw_slice_str("https://<p>.example.com/<p>"));
  ADD(&f, "/d/<x>", NAMED("d"), .redirect_to = dw_slice_str("https:<x>"));
  CHECK_ROUTE(&f, "GET /a/http://evil.com", "-> /http://evil.com");
  CHECK_ROUTE(&f, "GET /a/%2F%2Fevil.com", "-> /%2F%2Fevil.com");
  CHECK_ROUTE(&f, "GET /b/%5Cevil.com", "-> /%5Cevil.com");
  CHECK_ROUTE(&f, "GET /c/evil.com/@x",
              "-> https://evil.com%2F%40x.example.com/evil.com/@x");
  CHECK_ROUTE(&f, "GET /d/%2F%2Fevil.com", "-> https:%2F%2Fevil.com");
  CHECK_REFUSED(&f,
                "redirect_to '//evil.com' starts with two slashes: to lead to "
                "another host it needs a scheme",
                "/e", .redirect_to = dw_slice_str("//evil.com"));
  CHECK_REFUSED(&f, "a control character in '/x\r\ny', column 3", "/e",
                .redirect_to = dw_slice_str("/x\r\ny"));
  teardown(&f);
}

/* --- redirect_to -----------------------------------------------------------*/

TEST(redirects_to_a_url_with_the_values) {
  fixture f;
  setup(&f);
  ADD(&f, "/old/<int:id>/<name>", NAMED("old"),
      .redirect_to = dw_slice_str("/new/<name>/<id>/<kind>?from=old#top"),
      DEFAULTS(PAIR("kind", STRING_VALUE("a b"))));
  ADD(&f, "/files/<path:p>", NAMED("files"),
      .redirect_to = dw_slice_str("https://cdn.example.com/f/<p>"));
  ADD(&f, "/rel", NAMED("rel"), .redirect_to = dw_slice_str("there"));
  CHECK_ROUTE(&f, "GET /old/007/a%2Fb%20c?q=1",
              "-> /new/a%2Fb%20c/7/a%20b?from=old#top");
  CHECK_ROUTE(&f, "GET /files/a/b%2Fc", "-> https://cdn.example.com/f/a/b%2Fc");
  CHECK_ROUTE(&f, "GET /rel", "-> /there");
  CHECK_ROUTE(&f, "POST /rel", "405 GET HEAD OPTIONS");
  CHECK_ROUTE(&f, "OPTIONS /rel", "OPTIONS GET HEAD OPTIONS");
  CHECK_REFUSED(&f,
                "the rule has no value 'nme', used in '/new/<nme>', column "
                "7; did you mean 'name'?",
                "/x/<name>", .redirect_to = dw_slice_str("/new/<nme>"));
  CHECK_REFUSED(&f, "'<' without its '>' in '/new/<name', column 6",
                "/x/<name>", .redirect_to = dw_slice_str("/new/<name"));
  CHECK_INT(dw_router_count(f.router), 3);
  teardown(&f);
}

/* --- Defaults --------------------------------------------------------------*/

TEST(redirects_a_default_value_to_the_shorter_rule) {
  fixture f;
  setup(&f);
  ADD(&f, "/", NAMED("list"), DEFAULTS(PAIR("page", INT_VALUE(1))));
  ADD(&f, "/page/<int:page>", NAMED("list"));
  CHECK_ROUTE(&f, "GET /", "list page=1");
  CHECK_ROUTE(&f, "GET /page/1", "-> /");
  CHECK_ROUTE(&f, "GET /page/01?a=b", "-> /?a=b");
  CHECK_ROUTE(&f, "GET /page/2", "list page=2");
  CHECK_ROUTE(&f, "OPTIONS /page/1", "OPTIONS GET HEAD OPTIONS");
  teardown(&f);
}

TEST(redirects_only_where_the_shorter_rule_has_the_method_and_values) {
  fixture f;
  setup(&f);
  ADD(&f, "/", NAMED("list"), DEFAULTS(PAIR("page", INT_VALUE(1))));
  ADD(&f, "/page/<int:page>", NAMED("list"),
      METHODS(DW_METHOD_GET, DW_METHOD_POST));
  ADD(&f, "/<kind>/page/<int:page>", NAMED("list"));
  ADD(&f, "/built", NAMED("x"), DEFAULTS(PAIR("n", INT_VALUE(1))),
      .build_only = true);
  ADD(&f, "/x/<int:n>", NAMED("x"));
  CHECK_ROUTE(&f, "POST /page/1", "list page=1");
  CHECK_ROUTE(&f, "GET /a/page/1", "list kind='a' page=1");
  CHECK_ROUTE(&f, "GET /x/1", "x n=1");
  CHECK_ROUTE(&f, "GET /built", "404");
  teardown(&f);
}

TEST(redirects_along_several_defaults) {
  fixture f;
  setup(&f);
#define BOTH(n, yes)                                                           \
  DEFAULTS(PAIR("foo", INT_VALUE(n)), PAIR("bar", BOOL_VALUE(yes)))
  ADD(&f, "/", NAMED("x"), BOTH(1, false));
  ADD(&f, "/<int:foo>", NAMED("x"), DEFAULTS(PAIR("bar", BOOL_VALUE(false))));
  ADD(&f, "/bar/", NAMED("x"), BOTH(1, true));
  ADD(&f, "/bar/<int:foo>", NAMED("x"),
      DEFAULTS(PAIR("bar", BOOL_VALUE(true))));
  CHECK_ROUTE(&f, "GET /", "x bar=false foo=1");
  CHECK_ROUTE(&f, "GET /2", "x foo=2 bar=false");
  CHECK_ROUTE(&f, "GET /1", "-> /");
  CHECK_ROUTE(&f, "GET /bar/1", "-> /bar/");
  CHECK_ROUTE(&f, "GET /bar/2", "x foo=2 bar=true");
  teardown(&f);
}

TEST(redirects_defaults_only_within_the_host) {
  fixture f;
  setup(&f);
  ADD(&f, "/<int:n>", NAMED("x"), .host = dw_slice_str("<h>.a"));
  ADD(&f, "/one", NAMED("x"), .host = dw_slice_str("<h>.a"),
      DEFAULTS(PAIR("n", INT_VALUE(1))));
  ADD(&f, "/<int:n>", NAMED("y"), .host = dw_slice_str("<h>.b"));
  ADD(&f, "/one", NAMED("y"), .host = dw_slice_str("<h>.c"),
      DEFAULTS(PAIR("n", INT_VALUE(1))));
  CHECK_ROUTE(&f, "GET s.a /1", "-> /one");
  CHECK_ROUTE(&f, "GET s.b /1", "y n=1 | h='s'");
  teardown(&f);
}

/* --- Aliases ---------------------------------------------------------------*/

TEST(redirects_an_alias_to_the_main_rule) {
  fixture f;
  setup(&f);
  ADD(&f, "/index.html", NAMED("index"), .alias = true);
  ADD(&f, "/", NAMED("index"));
  ADD(&f, "/users/", NAMED("users"), DEFAULTS(PAIR("page", INT_VALUE(1))));
  ADD(&f, "/users/index.html", NAMED("users"), .alias = true,
      DEFAULTS(PAIR("page", INT_VALUE(1))));
  ADD(&f, "/users/page/<int:page>", NAMED("users"));
  ADD(&f, "/users/page-<int:page>.html", NAMED("users"), .alias = true);
  CHECK_ROUTE(&f, "GET /index.html", "-> /");
  CHECK_ROUTE(&f, "GET /users/index.html", "-> /users/");
  CHECK_ROUTE(&f, "GET /users/page-2.html", "-> /users/page/2");
  CHECK_ROUTE(&f, "GET /users/page-1.html?foo=bar", "-> /users/?foo=bar");
  teardown(&f);
}

TEST(answers_an_alias_itself_where_there_is_no_url_to_go_to) {
  fixture f;
  setup(&f);
  ADD(&f, "/alone/<x>", NAMED("alone"), .alias = true);
  ADD(&f, "/a/<x>", NAMED("method"), METHODS(DW_METHOD_GET, DW_METHOD_POST),
      .alias = true);
  ADD(&f, "/b/<x>", NAMED("method"));
  CHECK_ROUTE(&f, "GET /alone/1", "alone x='1'");
  CHECK_ROUTE(&f, "POST /a/1", "method x='1'");
  CHECK_ROUTE(&f, "GET /a/1", "-> /b/1");
  CHECK_ROUTE(&f, "GET /a/..", "method x='..'");
  ADD(&f, "/c/", NAMED("built"), .alias = true);
  ADD(&f, "/c", NAMED("built"), .build_only = true);
  CHECK_ROUTE(&f, "GET /c", "-> /c/");
  CHECK_ROUTE(&f, "GET /c/", "built");
  teardown(&f);
}
