/* SPDX-License-Identifier: MIT */
/* Building URLs: which rule is taken, how values are written, what is refused,
 * and what stands around a path. */
#include "unit.h"

#include "router_fixture.h"

#define STR(name, text) PAIR(name, STRING_VALUE(text))
#define INT(name, n) PAIR(name, INT_VALUE(n))
#define FLOAT(name, n) PAIR(name, FLOAT_VALUE(n))

/* --- Values ----------------------------------------------------------------*/

TEST(encodes_values_per_segment) {
  fixture f;
  setup(&f);
  ADD(&f, "/s/<x>", NAMED("s"));
  ADD(&f, "/p/<path:x>/e", NAMED("p"));
  ADD(&f, "/a b/100%/\xc3\xa9", NAMED("static"));
  CHECK_URL(&f, "/s/a%2Fb%20%25%3F%23", "s", VALUES(STR("x", "a/b %?#")));
  CHECK_URL(&f, "/s/-._~!$&'()*+,;=:@", "s",
            VALUES(STR("x", "-._~!$&'()*+,;=:@")));
  CHECK_URL(
      &f, "/s/%C3%A9%5C%22", "s",
      VALUES(PAIR("x", ((dw_value){.kind = DW_VALUE_STRING,
                                   .as.string = {"\xc3\xa9\\\"", 4}}))));
  CHECK_URL(&f, "/p/a/b%2Fc%25%2fd%2541%20/e", "p",
            VALUES(STR("x", "a/b%2Fc%25%2fd%41 ")));
  CHECK_URL(&f, "/a%20b/100%25/%C3%A9", "static");
  teardown(&f);
}

TEST(writes_numbers_as_rules_read_them) {
  fixture f;
  setup(&f);
  ADD(&f, "/i/<int:n>", NAMED("i"));
  ADD(&f, "/d/<int(fixed_digits=3,signed=true):n>", NAMED("d"));
  ADD(&f, "/f/<float(signed=true):n>", NAMED("f"));
  ADD(&f, "/s/<x>", NAMED("s"));
  CHECK_URL(&f, "/i/7", "i", VALUES(INT("n", 7)));
  CHECK_URL(&f, "/i/7", "i", VALUES(FLOAT("n", 7.0)));
  CHECK_URL(&f, "/i/7", "i", VALUES(STR("n", "007")));
  CHECK_URL(&f, "/i/9223372036854775807", "i", VALUES(INT("n", INT64_MAX)));
  CHECK_URL(&f, "/d/007", "d", VALUES(INT("n", 7)));
  CHECK_URL(&f, "/d/-007", "d", VALUES(INT("n", -7)));
  CHECK_URL(&f, "/f/3.0", "f", VALUES(INT("n", 3)));
  CHECK_URL(&f, "/f/-2.5", "f", VALUES(STR("n", "-2.50")));
  CHECK_URL(&f, "/f/0.1", "f", VALUES(FLOAT("n", 0.1)));
  CHECK_URL(&f, "/f/0.00001", "f", VALUES(FLOAT("n", 1e-5)));
  CHECK_URL(&f, "/f/1500000000000000000000000.0", "f",
            VALUES(FLOAT("n", 1.5e24)));
  CHECK_URL(&f, "/f/123456789.125", "f", VALUES(FLOAT("n", 123456789.125)));
  CHECK_URL(&f, "/f/0.0", "f", VALUES(FLOAT("n", -0.0)));
  CHECK_URL(&f, "/s/42", "s", VALUES(INT("x", 42)));
  CHECK_URL(&f, "/s/1.5", "s", VALUES(FLOAT("x", 1.5)));
  teardown(&f);
}

TEST(refuses_numbers_that_would_not_match) {
  fixture f;
  setup(&f);
  ADD(&f, "/i/<int:n>", NAMED("i"));
  ADD(&f, "/r/<int(min=2,max=5):n>", NAMED("r"));
  ADD(&f, "/d/<int(fixed_digits=3):n>", NAMED("d"));
  ADD(&f, "/f/<float:n>", NAMED("f"));
  CHECK_URL(&f, "EINVAL: 'n' of '/i/<int:n>' must not be negative: -1", "i",
            VALUES(INT("n", -1)));
  CHECK_URL(&f, "EINVAL: 'n' of '/i/<int:n>' must be an integer", "i",
            VALUES(FLOAT("n", 7.5)));
  CHECK_URL(&f, "EINVAL: 'n' of '/i/<int:n>' must be an integer", "i",
            VALUES(FLOAT("n", 1e300)));
  CHECK_URL(&f, "EINVAL: 'n' of '/i/<int:n>' must be an integer", "i",
            VALUES(STR("n", "x")));
  CHECK_URL(&f, "EINVAL: 'n' of '/i/<int:n>' must be an integer", "i",
            VALUES(PAIR("n", BOOL_VALUE(true))));
  CHECK_URL(&f,
            "EINVAL: 'n' of '/r/<int(min=2,max=5):n>' must be at least 2: 1",
            "r", VALUES(INT("n", 1)));
  CHECK_URL(&f, "EINVAL: 'n' of '/r/<int(min=2,max=5):n>' must be at most 5: 6",
            "r", VALUES(INT("n", 6)));
  CHECK_URL(&f,
            "EINVAL: 'n' of '/d/<int(fixed_digits=3):n>' must have 3 digits: "
            "1000",
            "d", VALUES(INT("n", 1000)));
  CHECK_URL(&f, "EINVAL: 'n' of '/f/<float:n>' must not be negative: -0.5", "f",
            VALUES(FLOAT("n", -0.5)));
  CHECK_URL(&f, "EINVAL: 'n' of '/f/<float:n>' must be a finite number", "f",
            VALUES(FLOAT("n", 1e308 * 10)));
  teardown(&f);
}

TEST(refuses_texts_that_would_not_match) {
  fixture f;
  setup(&f);
  ADD(&f, "/s/<x>", NAMED("s"));
  ADD(&f, "/l/<string(minlength=2,maxlength=3):x>", NAMED("l"));
  ADD(&f, "/e/<string(length=2):x>", NAMED("e"));
  ADD(&f, "/a/<any(red,\"b c\"):x>", NAMED("a"));
  ADD(&f, "/u/<uuid:x>", NAMED("u"));
  ADD(&f, "/p/<path:x>", NAMED("p"));
  ADD(&f, "/v.<x>", NAMED("v"));
  CHECK_URL(&f, "EINVAL: 'x' of '/s/<x>' must not be empty", "s",
            VALUES(STR("x", "")));
  CHECK_URL(&f, "EINVAL: 'x' of '/s/<x>' must not be a boolean", "s",
            VALUES(PAIR("x", BOOL_VALUE(true))));
  CHECK_URL(&f,
            "EINVAL: 'x' of '/s/<x>' would make the segment '.' or '..', which "
            "clients resolve",
            "s", VALUES(STR("x", "..")));
  CHECK_URL(&f, "/v...", "v", VALUES(STR("x", "..")));
  CHECK_URL(&f, "/s/...", "s", VALUES(STR("x", "...")));
  CHECK_URL(&f,
            "EINVAL: 'x' of '/p/<path:x>' would make the segment '.' or '..', "
            "which clients resolve",
            "p", VALUES(STR("x", "a/./b")));
  CHECK_URL(&f, "EINVAL: 'x' of '/p/<path:x>' must not start with '/': '/a'",
            "p", VALUES(STR("x", "/a")));
  CHECK_URL(&f, "/p/a//b/", "p", VALUES(STR("x", "a//b/")));
  CHECK_URL(&f,
            "EINVAL: 'x' of '/l/<string(minlength=2,maxlength=3):x>' must have "
            "2 to 3 characters: 'a'",
            "l", VALUES(STR("x", "a")));
  CHECK_URL(&f,
            "EINVAL: 'x' of '/e/<string(length=2):x>' must have 2 characters: "
            "'abc'",
            "e", VALUES(STR("x", "abc")));
  CHECK_URL(&f, "/e/%C3%A9%C3%A9", "e", VALUES(STR("x", "\xc3\xa9\xc3\xa9")));
  CHECK_URL(&f,
            "EINVAL: 'x' of '/a/<any(red,\"b c\"):x>' is 'blue', but must be "
            "one of 'b c', 'red'",
            "a", VALUES(STR("x", "blue")));
  CHECK_URL(&f, "/a/b%20c", "a", VALUES(STR("x", "b c")));
  CHECK_URL(&f, "EINVAL: 'x' of '/u/<uuid:x>' must be a UUID: '1'", "u",
            VALUES(INT("x", 1)));
  CHECK_URL(&f, "/u/a8098c1a-f86e-11da-bd1a-00112444be1e", "u",
            VALUES(STR("x", "A8098C1A-f86e-11da-bd1a-00112444be1e")));
  CHECK_URL(&f, "EINVAL: 'x' of '/s/<x>' has several values", "s",
            VALUES(STR("x", "a"), STR("x", "b")));
  teardown(&f);
}

static int hex_value(const dw_converter *c, dw_slice text,
                     const dw_converter_arg *args, size_t nargs,
                     dw_value *out) {
  (void)c, (void)text, (void)args, (void)nargs;
  *out = INT_VALUE(0);
  return 1;
}

static int hex_text(const dw_converter *c, const dw_value *value,
                    const dw_converter_arg *args, size_t nargs,
                    dw_buffer *out) {
  (void)c, (void)args, (void)nargs;
  if (value->kind != DW_VALUE_INT) return 0;
  if (value->as.integer == 13) return -13;
  if (value->as.integer == 14) return 1; /* with no text */
  int rc = dw_buffer_printf(out, "%llx/", (long long)value->as.integer);
  return rc < 0 ? rc : 1;
}

TEST(asks_custom_converters_for_the_text) {
  fixture f;
  setup(&f);
  dw_converter c = {
      .name = DW_LITERAL("hex"), .to_value = hex_value, .to_text = hex_text};
  CHECK_INT(dw_router_add_converter(f.router, &c, &f.message), 0);
  c.name = DW_LITERAL("hexes");
  c.slashes = true;
  CHECK_INT(dw_router_add_converter(f.router, &c, &f.message), 0);
  ADD(&f, "/x/<hex:n>", NAMED("x"));
  ADD(&f, "/y/<hexes:n>", NAMED("y"));
  CHECK_URL(&f, "/x/ff%2F", "x", VALUES(INT("n", 255)));
  CHECK_URL(&f, "/y/ff/", "y", VALUES(INT("n", 255)));
  CHECK_URL(&f, "EINVAL: 'n' of '/x/<hex:n>' is refused by the converter 'hex'",
            "x", VALUES(STR("n", "a")));
  CHECK_URL(&f, "EINVAL: 'n' of '/x/<hex:n>' must not be empty", "x",
            VALUES(INT("n", 14)));
  dw_url_options options = URL("x", VALUES(INT("n", 13)));
  f.text.len = 0;
  CHECK_INT(dw_router_build(f.router, &options, &f.text, &f.message), -13);
  CHECK_INT(f.text.len, 0);
  teardown(&f);
}

/* --- The rule that is taken ------------------------------------------------*/

TEST(takes_the_rule_that_uses_most_values) {
  fixture f;
  setup(&f);
  ADD(&f, "/a", NAMED("x"));
  ADD(&f, "/a/<b>/<c>", NAMED("x"));
  ADD(&f, "/a/<b>", NAMED("x"));
  CHECK_URL(&f, "/a", "x");
  CHECK_URL(&f, "/a/1", "x", VALUES(STR("b", "1")));
  CHECK_URL(&f, "/a/1/2", "x", VALUES(STR("b", "1"), STR("c", "2")));
  CHECK_URL(&f, "/a?c=2", "x", VALUES(STR("c", "2")));
  CHECK_URL(&f, "/a?b=&c=2", "x", VALUES(STR("b", ""), STR("c", "2")));
  teardown(&f);
}

TEST(takes_the_rule_whose_defaults_fit) {
  fixture f;
  setup(&f);
  ADD(&f, "/page/<int:page>", NAMED("list"));
  ADD(&f, "/", NAMED("list"), DEFAULTS(INT("page", 1)));
  ADD(&f, "/only", NAMED("only"), DEFAULTS(STR("kind", "a")));
  ADD(&f, "/x/<int:n>", NAMED("own"), DEFAULTS(INT("n", 3)));
  CHECK_URL(&f, "/", "list");
  CHECK_URL(&f, "/", "list", VALUES(INT("page", 1)));
  CHECK_URL(&f, "/", "list", VALUES(FLOAT("page", 1.0)));
  CHECK_URL(&f, "/page/2", "list", VALUES(INT("page", 2)));
  CHECK_URL(&f, "/only", "only", VALUES(STR("kind", "a")));
  CHECK_URL(&f, "EINVAL: 'kind' is always 'a' in '/only'", "only",
            VALUES(STR("kind", "b")));
  CHECK_URL(&f, "/x/3", "own");
  CHECK_URL(&f, "/x/4", "own", VALUES(INT("n", 4)));
  teardown(&f);
}

TEST(prefers_a_rule_with_the_method) {
  fixture f;
  setup(&f);
  ADD(&f, "/get", NAMED("x"));
  ADD(&f, "/post", NAMED("x"), METHODS(DW_METHOD_POST));
  CHECK_URL(&f, "/get", "x");
  CHECK_URL(&f, "/post", "x", .method = DW_METHOD_POST);
  CHECK_URL(&f, "/get", "x", .method = DW_METHOD_HEAD);
  CHECK_URL(&f, "/get", "x", .method = DW_METHOD_DELETE);
  teardown(&f);
}

TEST(takes_the_text_of_a_rule_for_an_endpoint) {
  fixture f;
  setup(&f);
  ADD(&f, "/users/<int:id>", NAMED("user"));
  ADD(&f, "/unnamed/<x>");
  ADD(&f, "/old/<int:id>", NAMED("user"), .alias = true);
  ADD(&f, "/alone", NAMED("alone"), .alias = true);
  ADD(&f, "/built/<x>", NAMED("built"), .build_only = true);
  CHECK_URL(&f, "/users/7", "/users/<int:id>", VALUES(INT("id", 7)));
  CHECK_URL(&f, "/unnamed/a", "/unnamed/<x>", VALUES(STR("x", "a")));
  CHECK_URL(&f, "/users/7", "/old/<int:id>", VALUES(INT("id", 7)));
  CHECK_URL(&f, "/users/7", "user", VALUES(INT("id", 7)));
  CHECK_URL(&f, "/alone", "alone");
  CHECK_URL(&f, "/built/1", "built", VALUES(INT("x", 1)));
  CHECK_ROUTE(&f, "GET /built/1", "404");
  teardown(&f);
}

TEST(leaves_out_merged_slashes) {
  fixture f;
  setup(&f);
  ADD(&f, "/yes//merge/", NAMED("yes"));
  ADD(&f, "/no//merge", NAMED("no"), .merge_slashes = 0);
  CHECK_URL(&f, "/yes/merge/", "yes");
  CHECK_URL(&f, "/no//merge", "no");
  teardown(&f);
}

TEST(says_what_is_missing_or_which_endpoint_was_meant) {
  fixture f;
  setup(&f);
  ADD(&f, "/users/<int:id>/<name>", NAMED("user"));
  ADD(&f, "/list", NAMED("admin.list"));
  CHECK_URL(&f,
            "EINVAL: '/users/<int:id>/<name>' needs a value for 'id', "
            "'name'",
            "user");
  CHECK_URL(&f, "EINVAL: '/users/<int:id>/<name>' needs a value for 'name'",
            "user", VALUES(INT("id", 1), PAIR("name", NO_VALUE)));
  CHECK_URL(&f, "ENOTFOUND: no endpoint 'usr'; did you mean 'user'?", "usr");
  CHECK_URL(&f, "ENOTFOUND: no endpoint 'list'; did you mean 'admin.list'?",
            "list");
  CHECK_URL(&f, "ENOTFOUND: no endpoint '/lits'; did you mean '/list'?",
            "/lits");
  CHECK_URL(&f, "ENOTFOUND: no endpoint 'nothing'", "nothing");
  CHECK_URL(&f, "ENOTFOUND: no endpoint ''", "");
  teardown(&f);
}

/* --- Query and anchor ------------------------------------------------------*/

TEST(makes_a_query_of_what_is_left) {
  fixture f;
  setup(&f);
  ADD(&f, "/u/<int:id>", NAMED("u"), DEFAULTS(STR("k", "v")));
  CHECK_URL(&f, "/u/1?a=x+y%2Fz&b=2&b=1&c=1.5&d=true&e=&%C3%A9=%26", "u",
            VALUES(INT("id", 1), STR("\xc3\xa9", "&"), INT("b", 2), INT("b", 1),
                   STR("a", "x y/z"), PAIR("n", NO_VALUE), FLOAT("c", 1.5),
                   PAIR("d", BOOL_VALUE(true)), STR("e", ""), STR("k", "v")));
  dw_value handle = {.kind = DW_VALUE_HANDLE};
  CHECK_URL(&f,
            "EINVAL: 'q' is no variable of '/u/<int:id>', and only texts, "
            "numbers and booleans can go into a query",
            "u", VALUES(INT("id", 1), PAIR("q", handle)));
  teardown(&f);
}

TEST(encodes_the_anchor) {
  fixture f;
  setup(&f);
  ADD(&f, "/", NAMED("x"));
  CHECK_URL(&f, "/#a/b?c%20%23%25%C3%A9", "x",
            .anchor = dw_slice_str("a/b?c #%\xc3\xa9"));
  CHECK_URL(&f, "/?q=1#", "x", VALUES(INT("q", 1)), .anchor = dw_slice_str(""));
  teardown(&f);
}

/* --- Scheme and host -------------------------------------------------------*/

#define AT(text) .host = dw_slice_str(text)
#define SERVER(text) .server_name = dw_slice_str(text)
#define SCHEME(text) .scheme = dw_slice_str(text)

TEST(builds_external_urls) {
  fixture f;
  setup(&f);
  ADD(&f, "/x", NAMED("x"));
  ADD(&f, "/ws", NAMED("ws"), .websocket = true);
  CHECK_URL(&f, "http://a.com:8080/x", "x", .external = 1, AT("a.com:8080"),
            SERVER("b.com"));
  CHECK_URL(&f, "http://b.com:99/x", "x", .external = 1, SERVER("b.com:99"));
  CHECK_URL(&f, "https://b.com/x#t", "x", SCHEME("https"), SERVER("b.com"),
            .anchor = dw_slice_str("t"));
  CHECK_URL(&f, "https://b.com/x", "x", .external = 1, SERVER("b.com"),
            .default_scheme = dw_slice_str("https"));
  CHECK_URL(&f, "/x", "x", .external = 0, AT("a.com"));
  CHECK_URL(&f, "/ws", "ws", AT("a.com"));
  CHECK_URL(&f, "wss://a.com/ws", "ws", .external = 1, AT("a.com"),
            .default_scheme = dw_slice_str("https"));
  CHECK_URL(&f,
            "EINVAL: a URL with a scheme is external; it can't be asked not to "
            "be",
            "x", .external = 0, SCHEME("https"), AT("a.com"));
  CHECK_URL(&f, "EINVAL: 'java script' is no scheme", "x",
            SCHEME("java script"), AT("a.com"));
  CHECK_URL(&f,
            "EINVAL: the URL of 'x' needs a host: outside of a request set "
            "SERVER_NAME in the config",
            "x", .external = 1);
  teardown(&f);
}

TEST(names_the_host_of_rules_for_another) {
  fixture f;
  setup(&f);
  ADD(&f, "/x", NAMED("x"), .host = dw_slice_str("<sub>.Example.com"));
  CHECK_URL(&f, "/x", "x", VALUES(STR("sub", "a")), AT("a.example.com:80"));
  CHECK_URL(&f, "/x", "x", VALUES(STR("sub", "A")), AT("a.EXAMPLE.com"));
  CHECK_URL(&f, "http://b.example.com:81/x?q=1", "x",
            VALUES(STR("sub", "b"), INT("q", 1)), AT("a.example.com:81"));
  CHECK_URL(&f, "http://b.example.com/x", "x", VALUES(STR("sub", "b")));
  CHECK_URL(&f, "/x", "x", VALUES(STR("sub", "b")), .external = 0,
            AT("a.example.com"));
  CHECK_URL(&f, "https://a.example.com/x", "x", VALUES(STR("sub", "a")),
            SCHEME("https"), AT("a.example.com"));
  CHECK_URL(&f, "EINVAL: '/x' needs a value for 'sub'", "x");
  CHECK_URL(&f, "EINVAL: 'sub' of '/x' can't stand in a host: 'a/b'", "x",
            VALUES(STR("sub", "a/b")));
  CHECK_URL(&f, "EINVAL: 'sub' of '/x' can't stand in a host: 'evil.com@'", "x",
            VALUES(STR("sub", "evil.com@")));
  teardown(&f);
}

TEST(names_the_subdomain_in_front_of_the_server) {
  fixture f;
  setup(&f);
  ADD(&f, "/x", NAMED("x"), .subdomain = dw_slice_str("<s>.api"));
  CHECK_URL(&f,
            "EINVAL: the URL of 'x' needs a host: outside of a request set "
            "SERVER_NAME in the config",
            "x", VALUES(STR("s", "a")), AT("localhost"));
  CHECK_URL(&f, "http://a.api.example.com:5000/x", "x", VALUES(STR("s", "a")),
            SERVER("example.com:5000"));
  CHECK_INT(dw_router_set_server_name(f.router, DW_LITERAL("example.com")), 0);
  CHECK_URL(&f, "/x", "x", VALUES(STR("s", "a")), AT("a.api.example.com"));
  CHECK_URL(&f, "http://b.api.example.com/x", "x", VALUES(STR("s", "b")),
            AT("a.api.example.com"));
  teardown(&f);
}

TEST(prefers_a_rule_on_the_host_of_the_request) {
  fixture f;
  setup(&f);
  ADD(&f, "/", NAMED("x"), .host = dw_slice_str("alpha.com"));
  ADD(&f, "/", NAMED("x"), .host = dw_slice_str("beta.com"));
  CHECK_URL(&f, "/", "x", AT("alpha.com"));
  CHECK_URL(&f, "/", "x", AT("Beta.com"));
  CHECK_URL(&f, "http://alpha.com/", "x", AT("gamma.com"));
  CHECK_URL(&f, "/", "x", AT("beta.com"), .method = DW_METHOD_GET);
  teardown(&f);
}

/* --- There and back --------------------------------------------------------*/

TEST(takes_back_what_a_match_gave) {
  fixture f;
  setup(&f);
  ADD(&f, "/<path:p>/<int:n>/<x>.<any(a,b):k>/<float(signed=true):f>/",
      NAMED("all"));
  CHECK_ROUTE(&f, "GET /a%2Fb//%25/7/%2F.x.a/-0.25/",
              "all p='a%2Fb//%25' n=7 x='/.x' k='a' f=-0.25");
  CHECK_URL(&f, "/a%2Fb//%25/7/%2F.x.a/-0.25/", "all",
            VALUES(STR("p", "a%2Fb//%25"), INT("n", 7), STR("x", "/.x"),
                   STR("k", "a"), FLOAT("f", -0.25)));
  teardown(&f);
}
