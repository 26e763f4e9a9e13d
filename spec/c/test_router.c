/* SPDX-License-Identifier: MIT */
/* The router: which rule a path finds, in which order rules are tried, methods,
 * hosts, and what a match costs. */
#include "unit.h"

#include "router_fixture.h"

/* --- Order -----------------------------------------------------------------*/

TEST(finds_static_rules_and_the_root) {
  fixture f;
  setup(&f);
  CHECK_ROUTE(&f, "GET /", "404");
  ADD(&f, "/", NAMED("index"));
  ADD(&f, "/users", NAMED("users"));
  ADD(&f, "/users/new", NAMED("new"));
  ADD(&f, "/unnamed");
  CHECK_ROUTE(&f, "GET /", "index");
  CHECK_ROUTE(&f, "GET /users", "users");
  CHECK_ROUTE(&f, "GET /users/new", "new");
  CHECK_ROUTE(&f, "GET /unnamed", "/unnamed");
  CHECK_ROUTE(&f, "GET /user", "404");
  CHECK_ROUTE(&f, "GET /users/new/x", "404");
  CHECK_ROUTE(&f, "GET /Users", "404");
  teardown(&f);
}

TEST(prefers_a_static_segment_over_a_parameter) {
  fixture f;
  setup(&f);
  ADD(&f, "/<name>", NAMED("any"));
  ADD(&f, "/me", NAMED("me"));
  CHECK_ROUTE(&f, "GET /me", "me");
  CHECK_ROUTE(&f, "GET /you", "any name='you'");
  teardown(&f);
}

/* Such a path isn't walked; whatever it can't decide alone must be. */
TEST(finds_a_path_that_is_a_rules_own_text_as_a_walk_would) {
  fixture f;
  setup(&f);
  ADD(&f, "/a/b", NAMED("get"));
  ADD(&f, "/a/b", NAMED("put"), METHODS(DW_METHOD_PUT));
  ADD(&f, "/a/<x>", NAMED("any"), METHODS(DW_METHOD_POST));
  ADD(&f, "/a/b/", NAMED("folder"), METHODS(DW_METHOD_DELETE));
  ADD(&f, "/loose/", NAMED("loose"), .strict_slashes = 0);
  ADD(&f, "/50%", NAMED("half"));
  ADD(&f, "/x//y", NAMED("merged"));
  ADD(&f, "/p//q", NAMED("double"), .merge_slashes = 0);
  ADD(&f, "/socket", NAMED("socket"), .websocket = true);
  CHECK_ROUTE(&f, "GET /a/b", "get");
  CHECK_ROUTE(&f, "HEAD /a/b", "get");
  CHECK_ROUTE(&f, "PUT /a/b", "put");
  CHECK_ROUTE(&f, "POST /a/b", "any x='b'");
  CHECK_ROUTE(&f, "DELETE /a/b", "-> /a/b/");
  CHECK_ROUTE(&f, "PATCH /a/b", "405 GET HEAD POST PUT OPTIONS");
  CHECK_ROUTE(&f, "OPTIONS /a/b", "OPTIONS GET HEAD POST PUT OPTIONS");
  CHECK_ROUTE(&f, "GET /loose", "loose");
  CHECK_ROUTE(&f, "GET /loose/", "loose");
  CHECK_ROUTE(&f, "GET /50%25", "half");
  CHECK_ROUTE(&f, "GET /50%", "400");
  CHECK_ROUTE(&f, "GET /x//y", "-> /x/y");
  CHECK_ROUTE(&f, "GET /p//q", "double");
  CHECK_ROUTE(&f, "GET /%61/b", "get");
  CHECK_ROUTE(&f, "GET /socket", "400 websocket");
  ADD(&f, "/<x>/b", NAMED("there"), .host = dw_slice_str("there"));
  CHECK_ROUTE(&f, "GET /a/b", "get");
  CHECK_ROUTE(&f, "GET there /a/b", "there x='a'");
  teardown(&f);
}

TEST(turns_back_from_a_static_segment_that_leads_nowhere) {
  fixture f;
  setup(&f);
  ADD(&f, "/users/me/edit", NAMED("me"));
  ADD(&f, "/users/<name>/posts", NAMED("posts"));
  ADD(&f, "/<a>/<b>/<c>", NAMED("any"));
  CHECK_ROUTE(&f, "GET /users/me/posts", "posts name='me'");
  CHECK_ROUTE(&f, "GET /users/me/x", "any a='users' b='me' c='x'");
  CHECK_ROUTE(&f, "GET /users/me/edit", "me");
  teardown(&f);
}

TEST(prefers_more_static_text_then_weight_then_registration) {
  fixture f;
  setup(&f);
  ADD(&f, "/<path:rest>", NAMED("path"));
  ADD(&f, "/<text>", NAMED("string"));
  ADD(&f, "/<any(a,b):x>", NAMED("any"));
  ADD(&f, "/<int:n>", NAMED("int"));
  ADD(&f, "/<float:n>", NAMED("float"));
  ADD(&f, "/v<x>", NAMED("v"));
  ADD(&f, "/v<int:n>", NAMED("v int"));
  ADD(&f, "/v<path:x>", NAMED("v path"));
  CHECK_ROUTE(&f, "GET /7", "int n=7");
  CHECK_ROUTE(&f, "GET /7.5", "float n=7.5");
  CHECK_ROUTE(&f, "GET /a", "string text='a'");
  CHECK_ROUTE(&f, "GET /v7", "v int n=7");
  CHECK_ROUTE(&f, "GET /v7a", "v x='7a'");
  CHECK_ROUTE(&f, "GET /v7/a", "v path x='7/a'");
  CHECK_ROUTE(&f, "GET /w/a", "path rest='w/a'");
  teardown(&f);
}

TEST(keeps_the_order_of_registration_among_equals) {
  fixture f;
  setup(&f);
  ADD(&f, "/<any(a,b):x>", NAMED("any"));
  ADD(&f, "/<text>", NAMED("string"));
  CHECK_ROUTE(&f, "GET /a", "any x='a'");
  CHECK_ROUTE(&f, "GET /c", "string text='c'");
  teardown(&f);
}

TEST(lets_the_next_rule_try_where_a_converter_refuses) {
  fixture f;
  setup(&f);
  ADD(&f, "/<int(max=9):n>/edit", NAMED("small"));
  ADD(&f, "/<int:n>/edit", NAMED("int"));
  ADD(&f, "/<text>/edit", NAMED("text"));
  CHECK_ROUTE(&f, "GET /7/edit", "small n=7");
  CHECK_ROUTE(&f, "GET /10/edit", "int n=10");
  CHECK_ROUTE(&f, "GET /99999999999999999999/edit",
              "text text='99999999999999999999'");
  CHECK_ROUTE(&f, "GET /-1/edit", "text text='-1'");
  teardown(&f);
}

TEST(splits_a_segment_among_several_variables) {
  fixture f;
  setup(&f);
  ADD(&f, "/v<int:major>.<int:minor>", NAMED("version"));
  ADD(&f, "/<a>-<b>", NAMED("pair"));
  ADD(&f, "/<int:n><any(px,em):unit>", NAMED("size"));
  ADD(&f, "/x/<string(length=2):a><string:b>", NAMED("runs"));
  CHECK_ROUTE(&f, "GET /v1.20", "version major=1 minor=20");
  CHECK_ROUTE(&f, "GET /v1.x", "404");
  CHECK_ROUTE(&f, "GET /1-2-3", "pair a='1-2' b='3'");
  CHECK_ROUTE(&f, "GET /-", "404");
  CHECK_ROUTE(&f, "GET /a-", "404");
  CHECK_ROUTE(&f, "GET /12px", "size n=12 unit='px'");
  CHECK_ROUTE(&f, "GET /12pt", "404");
  CHECK_ROUTE(&f, "GET /x/%C3%A9%C3%A8abc",
              "runs a='\xc3\xa9\xc3\xa8' b='abc'");
  CHECK_ROUTE(&f, "GET /x/ab", "404");
  teardown(&f);
}

/* --- Paths -----------------------------------------------------------------*/

TEST(lets_a_path_span_segments_at_the_end_and_in_the_middle) {
  fixture f;
  setup(&f);
  ADD(&f, "/wiki/<path:page>", NAMED("show"));
  ADD(&f, "/wiki/<path:page>/edit", NAMED("edit"));
  ADD(&f, "/wiki/<path:page>/<int:revision>", NAMED("revision"));
  ADD(&f, "/<path:a>/to/<path:b>", NAMED("two"));
  ADD(&f, "/Talk:<path:page>.html", NAMED("talk"));
  CHECK_ROUTE(&f, "GET /wiki/a", "show page='a'");
  CHECK_ROUTE(&f, "GET /wiki/a/b/c", "show page='a/b/c'");
  CHECK_ROUTE(&f, "GET /wiki/a/b/edit", "edit page='a/b'");
  CHECK_ROUTE(&f, "GET /wiki/edit", "show page='edit'");
  CHECK_ROUTE(&f, "GET /wiki/a/7", "revision page='a' revision=7");
  CHECK_ROUTE(&f, "GET /wiki/a/7/x", "show page='a/7/x'");
  CHECK_ROUTE(&f, "GET /wiki/a/edit/x", "show page='a/edit/x'");
  CHECK_ROUTE(&f, "GET /x/to/to/y", "two a='x' b='to/y'");
  CHECK_ROUTE(&f, "GET /Talk:a/b.html", "talk page='a/b'");
  CHECK_ROUTE(&f, "GET /Talk:.html", "404");
  CHECK_ROUTE(&f, "GET /Talk:/a.html", "404");
  CHECK_ROUTE(&f, "GET /wiki", "404");
  CHECK_ROUTE(&f, "GET /wiki/", "404");
  teardown(&f);
}

TEST(prefers_what_stands_behind_a_path_over_what_it_could_swallow) {
  fixture f;
  setup(&f);
  ADD(&f, "/<path:all>", NAMED("all"));
  ADD(&f, "/<path:p>/<a>/<b>", NAMED("complex"));
  ADD(&f, "/<path:p>/c", NAMED("simple"));
  CHECK_ROUTE(&f, "GET /a/b/c", "simple p='a/b'");
  CHECK_ROUTE(&f, "GET /a/b/d", "complex p='a' a='b' b='d'");
  CHECK_ROUTE(&f, "GET /a/b", "all all='a/b'");
  teardown(&f);
}

TEST(keeps_slashes_within_a_path) {
  fixture f;
  setup(&f);
  ADD(&f, "/with/<path:p>", NAMED("with"));
  ADD(&f, "/dir/<path:p>/", NAMED("dir"));
  CHECK_ROUTE(&f, "GET /with/http://example.com/",
              "with p='http://example.com/'");
  CHECK_ROUTE(&f, "GET /with/x//y", "with p='x//y'");
  CHECK_ROUTE(&f, "GET /dir/x//y/", "dir p='x//y'");
  CHECK_ROUTE(&f, "GET /dir/x//", "dir p='x/'");
  teardown(&f);
}

TEST(mixes_a_path_and_other_variables_in_one_part) {
  fixture f;
  setup(&f);
  ADD(&f, "/f/<path:file>.<ext>", NAMED("file"));
  ADD(&f, "/g/<path:a>:<path:b>", NAMED("two"));
  CHECK_ROUTE(&f, "GET /f/a/b.tar.gz", "file file='a/b' ext='tar.gz'");
  CHECK_ROUTE(&f, "GET /f/a.b/c.d%2Fe", "file file='a.b/c' ext='d/e'");
  CHECK_ROUTE(&f, "GET /f/a.b/c", "404");
  CHECK_ROUTE(&f, "GET /g/a:b/c:d", "two a='a' b='b/c:d'");
  teardown(&f);
}

/* --- Encoding --------------------------------------------------------------*/

TEST(splits_before_it_decodes) {
  fixture f;
  setup(&f);
  ADD(&f, "/a b", NAMED("static"));
  ADD(&f, "/\xc3\xa9t\xc3\xa9/100%", NAMED("summer"));
  ADD(&f, "/s/<x>", NAMED("string"));
  ADD(&f, "/p/<path:x>", NAMED("path"));
  ADD(&f, "/any/<any('a/b',c):x>", NAMED("any"));
  CHECK_ROUTE(&f, "GET /a%20b", "static");
  CHECK_ROUTE(&f, "GET /%C3%A9t%c3%a9/100%25", "summer");
  CHECK_ROUTE(&f, "GET /s/a%2Fb%25", "string x='a/b%'");
  CHECK_ROUTE(&f, "GET /s/%252F", "string x='%2F'");
  CHECK_ROUTE(&f, "GET /p/a%2fb/%25%20", "path x='a%2fb/%25 '");
  CHECK_ROUTE(&f, "GET /any/a%2Fb", "any x='a/b'");
  CHECK_ROUTE(&f, "GET /%73/x", "string x='x'");
  CHECK_ROUTE(&f, "GET /s%2Fx", "404");
  CHECK_ROUTE(&f, "GET /s/..", "string x='..'");
  CHECK_ROUTE(&f, "GET /p/../x", "path x='../x'");
  teardown(&f);
}

TEST(compares_static_text_around_a_path_with_whole_escapes) {
  fixture f;
  setup(&f);
  ADD(&f, "/<path:p>5", NAMED("five"));
  ADD(&f, "/100%<path:p>", NAMED("percent"));
  CHECK_ROUTE(&f, "GET /a%25", "404");
  CHECK_ROUTE(&f, "GET /a%255", "five p='a%25'");
  CHECK_ROUTE(&f, "GET /100%25/a", "404");
  CHECK_ROUTE(&f, "GET /100%25a/b", "percent p='a/b'");
  teardown(&f);
}

TEST(calls_a_path_bad_even_where_nothing_would_match) {
  fixture f;
  setup(&f);
  CHECK_ROUTE(&f, "GET /%", "400");
  CHECK_ROUTE(&f, "GET /a/%4", "400");
  CHECK_ROUTE(&f, "GET /a/%4g", "400");
  CHECK_ROUTE(&f, "GET /a/%00", "400");
  CHECK_ROUTE(&f, "GET /a%2", "400");
  CHECK_ROUTE(&f, "GET *", "400");
  CHECK_ROUTE(&f, "GET /a/%41", "404");
  teardown(&f);
}

TEST(decodes_a_path_but_keeps_what_would_look_like_a_separator) {
  dw_allocator a;
  dw_arena arena;
  dw_slice out;
  dw_allocator_init(&a, NULL, NULL);
  dw_arena_init(&arena, &a, NULL, 0);
  dw_slice same = DW_LITERAL("/a/%2F/%25");
  CHECK_INT(dw_path_decode(same, &arena, &out), 0);
  CHECK(out.ptr == same.ptr && out.len == same.len);
  CHECK_INT(dw_path_decode(DW_LITERAL("/%41%2f%20%252F"), &arena, &out), 0);
  CHECK_SLICE(out, "/A%2f %252F");
  CHECK_INT(dw_path_decode(DW_LITERAL("/%zz"), &arena, &out), DEWAR_EPARSE);
  CHECK_INT(dw_path_decode(DW_LITERAL("/%00"), &arena, &out), DEWAR_EPARSE);
  dw_arena_deinit(&arena);
  CHECK_INT(a.used, 0);
}

/* --- Methods ---------------------------------------------------------------*/

TEST(answers_a_wrong_method_with_what_all_rules_of_the_path_allow) {
  fixture f;
  setup(&f);
  ADD(&f, "/users/me", NAMED("me"));
  ADD(&f, "/users/<name>", NAMED("put"), METHODS(DW_METHOD_PUT));
  ADD(&f, "/<path:all>", NAMED("all"), METHODS(DW_METHOD_DELETE),
      .automatic_options = false);
  CHECK_ROUTE(&f, "PUT /users/me", "put name='me'");
  CHECK_ROUTE(&f, "DELETE /users/me", "all all='users/me'");
  CHECK_ROUTE(&f, "POST /users/me", "405 GET HEAD PUT DELETE OPTIONS");
  CHECK_ROUTE(&f, "POST /users/you", "405 PUT DELETE OPTIONS");
  CHECK_ROUTE(&f, "POST /x", "405 DELETE");
  CHECK_ROUTE(&f, "BREW /x", "405 DELETE");
  CHECK_ROUTE(&f, "OPTIONS /users/me", "OPTIONS GET HEAD PUT DELETE OPTIONS");
  CHECK_ROUTE(&f, "OPTIONS /x", "405 DELETE");
  teardown(&f);
}

TEST(lets_an_explicit_head_or_options_beat_the_automatic_one) {
  fixture f;
  setup(&f);
  ADD(&f, "/x", NAMED("get"));
  CHECK_ROUTE(&f, "HEAD /x", "get");
  ADD(&f, "/x", NAMED("head"), METHODS(DW_METHOD_HEAD));
  ADD(&f, "/<y>", NAMED("options"), METHODS(DW_METHOD_OPTIONS));
  CHECK_ROUTE(&f, "HEAD /x", "head");
  CHECK_ROUTE(&f, "GET /x", "get");
  CHECK_ROUTE(&f, "OPTIONS /x", "options y='x'");
  teardown(&f);
}

TEST(keeps_websocket_rules_and_others_apart) {
  fixture f;
  setup(&f);
  ADD(&f, "/ws", NAMED("ws"), .websocket = true);
  ADD(&f, "/both", NAMED("plain"));
  ADD(&f, "/both", NAMED("socket"), .websocket = true);
  ADD(&f, "/plain", NAMED("only"));
  CHECK_ROUTE(&f, "WEBSOCKET /ws", "ws");
  CHECK_ROUTE(&f, "GET /ws", "400 websocket");
  CHECK_ROUTE(&f, "POST /ws", "400 websocket");
  CHECK_ROUTE(&f, "GET /both", "plain");
  CHECK_ROUTE(&f, "WEBSOCKET /both", "socket");
  CHECK_ROUTE(&f, "WEBSOCKET /plain", "400 websocket");
  CHECK_ROUTE(&f, "POST /both", "405 GET HEAD OPTIONS");
  CHECK_REFUSED(&f, "'/w' is a WebSocket rule: its method is GET", "/w",
                METHODS(DW_METHOD_POST), .websocket = true);
  teardown(&f);
}

/* --- Values ----------------------------------------------------------------*/

TEST(gives_variables_then_defaults_by_name_then_the_hosts) {
  fixture f;
  setup(&f);
  ADD(&f, "/<b>/<a>", NAMED("x"), .host = dw_slice_str("<sub>.example.com"),
      DEFAULTS(PAIR("z", INT_VALUE(1)), PAIR("c", STRING_VALUE("hi"))));
  CHECK_ROUTE(&f, "GET s.example.com /1/2",
              "x b='1' a='2' c='hi' z=1 | sub='s'");
  teardown(&f);
}

TEST(has_room_for_many_variables) {
  fixture f;
  setup(&f);
  char rule[512] = "", path[256] = "", want[1024] = "many";
  for (int i = 0; i < 40; i++) {
    sprintf(rule + strlen(rule), "/<int:v%d>", i);
    sprintf(path + strlen(path), "/%d", i);
    sprintf(want + strlen(want), " v%d=%d", i, i);
  }
  ADD(&f, rule, NAMED("many"));
  char request[300];
  sprintf(request, "GET %s", path);
  CHECK_ROUTE(&f, request, want);
  teardown(&f);
}

/* --- Hosts -----------------------------------------------------------------*/

TEST(tries_rules_of_the_host_before_others) {
  fixture f;
  setup(&f);
  ADD(&f, "/", NAMED("any"));
  ADD(&f, "/only", NAMED("only"), METHODS(DW_METHOD_PUT));
  ADD(&f, "/", NAMED("api"), .host = dw_slice_str("API.Example.com:8080"));
  ADD(&f, "/only", NAMED("api only"), .host = dw_slice_str("api.example.com"));
  ADD(&f, "/", NAMED("sub"), .host = dw_slice_str("<sub>.example.com"));
  ADD(&f, "/", NAMED("num"), .host = dw_slice_str("n<int:n>.example.com"));
  CHECK_ROUTE(&f, "GET /", "any");
  CHECK_ROUTE(&f, "GET example.org /", "any");
  CHECK_ROUTE(&f, "GET api.example.com /", "api");
  CHECK_ROUTE(&f, "GET x.example.com /", "sub | sub='x'");
  CHECK_ROUTE(&f, "GET n7.example.com /", "num | n=7");
  CHECK_ROUTE(&f, "GET nx.example.com /", "sub | sub='nx'");
  CHECK_ROUTE(&f, "GET .example.com /", "any");
  CHECK_ROUTE(&f, "POST api.example.com /only", "405 GET HEAD PUT OPTIONS");
  CHECK_ROUTE(&f, "POST x.example.com /only", "405 PUT OPTIONS");
  CHECK_SLICE(dw_rule_host(dw_router_rule(f.router, 2)), "api.example.com");
  CHECK_SLICE(dw_rule_host(dw_router_rule(f.router, 0)), "");
  teardown(&f);
}

TEST(puts_subdomain_rules_in_front_of_the_server_name) {
  fixture f;
  setup(&f);
  ADD(&f, "/", NAMED("api"), .subdomain = dw_slice_str("api"));
  ADD(&f, "/", NAMED("user"), .subdomain = dw_slice_str("<user>.u"));
  CHECK_ROUTE(&f, "GET api.example.com /", "404");
  CHECK_SLICE(dw_rule_host(dw_router_rule(f.router, 0)), "api");
  CHECK_INT(dw_router_set_server_name(f.router, DW_LITERAL("Example.com:80")),
            0);
  ADD(&f, "/", NAMED("late"), .subdomain = dw_slice_str("late"));
  CHECK_ROUTE(&f, "GET api.example.com /", "api");
  CHECK_ROUTE(&f, "GET ada.u.example.com /", "user | user='ada'");
  CHECK_ROUTE(&f, "GET late.example.com /", "late");
  CHECK_ROUTE(&f, "GET api.example.org /", "404");
  CHECK_ROUTE(&f, "GET apixexample.com /", "404");
  CHECK_ROUTE(&f, "GET example.com /", "404");
  CHECK_SLICE(dw_rule_host(dw_router_rule(f.router, 0)), "api.example.com");
  CHECK_SLICE(dw_rule_host(dw_router_rule(f.router, 1)),
              "<user>.u.example.com");
  CHECK_SLICE(dw_rule_host(dw_router_rule(f.router, 2)), "late.example.com");
  CHECK_REFUSED(&f, "'/x' has both a host and a subdomain; give one", "/x",
                .host = dw_slice_str("a"), .subdomain = dw_slice_str("b"));
  teardown(&f);
}

/* --- Cost ------------------------------------------------------------------*/

/* Fills a path of `count` segments "/a" and one more. */
static char *long_request(size_t count, const char *last) {
  char *text = malloc(count * 2 + 64);
  char *p = text + sprintf(text, "GET ");
  for (size_t i = 0; i < count; i++) p += sprintf(p, "/a");
  strcpy(p, last);
  return text;
}

TEST(ends_soon_on_paths_made_to_be_tried_in_many_ways) {
  fixture f;
  setup(&f);
  ADD(&f, "/<path:x>/a/<path:y>/b", NAMED("two"));
  ADD(&f, "/<path:x>/a/<path:y>/a/<path:z>/a/<path:w>/c", NAMED("four"));
  ADD(&f, "/s/<a>-<b>-<c>-<d>-<int:e>", NAMED("parts"));
  char *request = long_request(4000, "/x");
  CHECK_ROUTE(&f, request, "404");
  free(request);
  request = long_request(4000, "/b");
  dw_slice answer = answer_to(&f, request);
  CHECK(answer.len > 8000 && memcmp(answer.ptr, "two x='a' y='a/a/", 17) == 0);
  free(request);
  request = long_request(4000, "/c");
  answer = answer_to(&f, request);
  CHECK(answer.len > 7900 && memcmp(answer.ptr, "four x='a' y='a'", 16) == 0);
  free(request);
  char dashes[4100] = "GET /s/";
  memset(dashes + 7, '-', 4000);
  CHECK_ROUTE(&f, dashes, "404");
  teardown(&f);
}

static int count_calls(const dw_converter *c, dw_slice text,
                       const dw_converter_arg *args, size_t nargs,
                       dw_value *out) {
  (void)text, (void)args, (void)nargs, (void)out;
  ++*(size_t *)c->data;
  return 0;
}

TEST(offers_a_crafted_path_to_a_converter_a_bounded_number_of_times) {
  fixture f;
  setup(&f);
  size_t calls = 0;
  dw_converter c = {.name = DW_LITERAL("deep"),
                    .weight = 200,
                    .slashes = true,
                    .data = &calls,
                    .to_value = count_calls};
  CHECK_INT(dw_router_add_converter(f.router, &c, &f.message), 0);
  ADD(&f, "/<deep:x>/a/<deep:y>/a/<deep:z>/b", NAMED("deep"));
  ADD(&f, "/<path:x>/a/<deep:y>/a/<path:z>/b", NAMED("mixed"));
  char *request = long_request(2000, "/b");
  CHECK_ROUTE(&f, request, "404");
  CHECK(calls > 0 && calls < 10000);
  free(request);
  teardown(&f);
}

TEST(needs_no_memory_for_a_plain_match) {
  fixture f;
  setup(&f);
  ADD(&f, "/a/b/c", NAMED("x"));
  ADD(&f, "/<path:p>/b/<path:q>", NAMED("y"));
  uint64_t calls = f.alloc.calls;
  dw_arena arena;
  dw_match match;
  dw_match_query q = parse_request("GET /a/b/c");
  dw_arena_init(&arena, &f.alloc, NULL, 0);
  CHECK_INT(dw_router_match(f.router, &q, &arena, &match), 0);
  CHECK_INT(match.kind, DW_MATCH_FOUND);
  CHECK(match.values == NULL);
  CHECK_INT(f.alloc.calls, calls);
  dw_arena_deinit(&arena);
  teardown(&f);
}

TEST(finds_each_of_ten_thousand_rules) {
  fixture f;
  setup(&f);
  char text[64], want[64];
  for (int i = 0; i < 5000; i++) {
    sprintf(text, "/static/r%d/x", i);
    ADD(&f, text);
    sprintf(text, "/dynamic/r%d/<int:n>", i);
    ADD(&f, text);
  }
  CHECK_INT(dw_router_count(f.router), 10000);
  for (int i = 0; i < 5000; i += 7) {
    sprintf(text, "GET /static/r%d/x", i);
    sprintf(want, "/static/r%d/x", i);
    CHECK_ROUTE(&f, text, want);
    sprintf(text, "GET /dynamic/r%d/%d", i, i);
    sprintf(want, "/dynamic/r%d/<int:n> n=%d", i, i);
    CHECK_ROUTE(&f, text, want);
  }
  CHECK_ROUTE(&f, "GET /static/r5000/x", "404");
  teardown(&f);
}
