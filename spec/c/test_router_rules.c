/* SPDX-License-Identifier: MIT */
/* Rules: their syntax and what is said about mistakes, converters and what they
 * accept, and rules that collide. */
#include "unit.h"

#include "router_fixture.h"

/* --- Syntax ----------------------------------------------------------------*/

TEST(says_what_is_wrong_with_a_rule_and_where) {
  fixture f;
  setup(&f);
  CHECK_REFUSED(&f, "the rule 'users' must start with '/'", "users");
  CHECK_REFUSED(&f, "the rule '' must start with '/'", "");
  CHECK_REFUSED(&f, "'<' without its '>' in '/users/<id', column 8",
                "/users/<id");
  CHECK_REFUSED(&f, "'>' without its '<' in '/users/id>', column 10",
                "/users/id>");
  CHECK_REFUSED(&f, "expected a variable's name in '/<int:>', column 7",
                "/<int:>");
  CHECK_REFUSED(&f, "expected a variable's name in '/<>', column 3", "/<>");
  CHECK_REFUSED(&f, "expected a variable's name in '/<7up>', column 3",
                "/<7up>");
  CHECK_REFUSED(&f, "expected '>' in '/<user-id>', column 7", "/<user-id>");
  CHECK_REFUSED(&f, "a converter's name is missing in '/<:x>', column 3",
                "/<:x>");
  CHECK_REFUSED(&f,
                "expected ':' and a variable's name in '/<int()>', column 8",
                "/<int()>");
  CHECK_REFUSED(&f, "the variable 'a' is there twice in '/<a>/<a>', column 7",
                "/<a>/<a>");
  CHECK_REFUSED(&f, "the variable 'a' is there twice in '/<a>-<a>', column 7",
                "/<a>-<a>");
  CHECK_REFUSED(&f, "'>' without its '<' in '/\xc3\xa9/x>', column 5",
                "/\xc3\xa9/x>");
  CHECK_REFUSED(&f, "bytes that aren't UTF-8 in '/\xc3', column 1", "/\xc3");
  teardown(&f);
}

TEST(says_what_is_wrong_with_arguments) {
  fixture f;
  setup(&f);
  CHECK_REFUSED(&f, "expected ',' or ')' in '/<int(min=1:n>', column 14",
                "/<int(min=1:n>");
  CHECK_REFUSED(&f, "a quote without its end in '/<any(\"a):x>', column 7",
                "/<any(\"a):x>");
  CHECK_REFUSED(&f, "an argument is missing in '/<any(a,):x>', column 9",
                "/<any(a,):x>");
  CHECK_REFUSED(&f,
                "min of 'int' is an integer, not '1.5', in "
                "'/<int(min=1.5):n>', column 7",
                "/<int(min=1.5):n>");
  CHECK_REFUSED(&f,
                "signed of 'int' is true or false, not 'True', in "
                "'/<int(signed=True):n>', column 7",
                "/<int(signed=True):n>");
  CHECK_REFUSED(&f,
                "min of 'int' is 0 or more without signed=true, not '-1', "
                "in '/<int(min=-1):n>', column 7",
                "/<int(min=-1):n>");
  CHECK_REFUSED(&f,
                "length of 'string' stands alone, not '2', in "
                "'/<string(length=2,minlength=1):x>', column 10",
                "/<string(length=2,minlength=1):x>");
  CHECK_REFUSED(&f,
                "minlength of 'string' is 1 or more, not '0', in "
                "'/<string(minlength=0):x>', column 10",
                "/<string(minlength=0):x>");
  CHECK_REFUSED(&f,
                "'int' accepts nothing: its least is above its most, in "
                "'/<int(min=3,max=2):n>', column 7",
                "/<int(min=3,max=2):n>");
  CHECK_REFUSED(&f,
                "the argument 'min' is there twice in "
                "'/<int(min=3,min=2):n>', column 13",
                "/<int(min=3,min=2):n>");
  CHECK_REFUSED(&f,
                "the converter 'path' takes no arguments: '3' in "
                "'/<path(3):n>', column 8",
                "/<path(3):n>");
  CHECK_REFUSED(&f,
                "an argument of 'int' needs a name (signed min max "
                "fixed_digits): '3' in '/<int(3):n>', column 7",
                "/<int(3):n>");
  CHECK_REFUSED(&f,
                "'any' needs what to choose from, as any(a,b), in "
                "'/<any:n>', column 3",
                "/<any:n>");
  CHECK_REFUSED(&f,
                "'any' takes texts that aren't empty, without names in "
                "'/<any(a=b):n>', column 7",
                "/<any(a=b):n>");
  CHECK_REFUSED(&f,
                "fixed_digits of 'int' is 19 or less, not '20', in "
                "'/<int(fixed_digits=20):n>', column 7",
                "/<int(fixed_digits=20):n>");
  CHECK_REFUSED(&f,
                "min of 'float' is a number, not 'x', in "
                "'/<float(min=x):n>', column 9",
                "/<float(min=x):n>");
  teardown(&f);
}

TEST(names_the_nearest_converter_and_argument) {
  fixture f;
  setup(&f);
  CHECK_REFUSED(&f,
                "unknown converter 'itn' in '/users/<itn:id>', column 9; "
                "did you mean 'int'?",
                "/users/<itn:id>");
  CHECK_REFUSED(&f,
                "unknown converter 'strng' in '/<strng:id>', column 3; "
                "did you mean 'string'?",
                "/<strng:id>");
  CHECK_REFUSED(&f, "unknown converter 'wholly' in '/<wholly:id>', column 3",
                "/<wholly:id>");
  CHECK_REFUSED(&f,
                "unknown argument 'mim' of 'int' in '/<int(mim=1):n>', "
                "column 7; did you mean 'min'?",
                "/<int(mim=1):n>");
  CHECK_REFUSED(&f,
                "unknown argument 'max_length' of 'string' in "
                "'/<string(max_length=1):n>', column 10; did you mean "
                "'maxlength'?",
                "/<string(max_length=1):n>");
  teardown(&f);
}

TEST(accepts_spaces_and_quotes_in_arguments) {
  fixture f;
  setup(&f);
  ADD(&f, "/<any( a , \"c d\", 'e/f>)' ):x>", NAMED("any"));
  ADD(&f, "/n/<int( min = 1 ,max= 3 ):n>", NAMED("int"));
  CHECK_ROUTE(&f, "GET /a", "any x='a'");
  CHECK_ROUTE(&f, "GET /c%20d", "any x='c d'");
  CHECK_ROUTE(&f, "GET /e%2Ff%3E)", "any x='e/f>)'");
  CHECK_ROUTE(&f, "GET /n/3", "int n=3");
  CHECK_ROUTE(&f, "GET /n/4", "404");
  teardown(&f);
}

TEST(refuses_rules_that_would_be_taken_for_a_host) {
  fixture f;
  setup(&f);
  CHECK_REFUSED(&f,
                "'//x' starts with two slashes, which browsers take for a host",
                "//x", .merge_slashes = 0);
  ADD(&f, "//x", NAMED("merged"));
  CHECK_ROUTE(&f, "GET /x", "merged");
  teardown(&f);
}

TEST(bounds_the_length_of_a_rule) {
  fixture f;
  setup(&f);
  char rule[2000] = "";
  for (int i = 0; i < 257; i++) strcat(rule, "/a");
  CHECK_INT(add_rule(&f, RULE(rule)), DEWAR_EINVAL);
  rule[0] = '\0';
  for (int i = 0; i < 65; i++) sprintf(rule + strlen(rule), "/<v%d>", i);
  CHECK_INT(add_rule(&f, RULE(rule)), DEWAR_EINVAL);
  CHECK_INT(dw_router_count(f.router), 0);
  teardown(&f);
}

TEST(says_what_is_wrong_with_a_host) {
  fixture f;
  setup(&f);
  CHECK_REFUSED(&f, "a host has no '/' in 'a/b', column 2", "/",
                .host = dw_slice_str("a/b"));
  CHECK_REFUSED(&f, "the variable 'x' is there twice in '<x>.a', column 2",
                "/<x>", .host = dw_slice_str("<x>.a"));
  CHECK_REFUSED(&f, "no host in ':80', column 1", "/",
                .host = dw_slice_str(":80"));
  teardown(&f);
}

/* --- Converters ------------------------------------------------------------*/

TEST(counts_the_characters_of_strings) {
  fixture f;
  setup(&f);
  ADD(&f, "/2/<string(length=2):x>", NAMED("two"));
  ADD(&f, "/3/<string(minlength=2,maxlength=3):x>", NAMED("three"));
  CHECK_ROUTE(&f, "GET /2/%C3%A9%E2%82%AC", "two x='\xc3\xa9\xe2\x82\xac'");
  CHECK_ROUTE(&f, "GET /2/%C3%A9", "404");
  CHECK_ROUTE(&f, "GET /2/%FF%FE", "two x='\xff\xfe'");
  CHECK_ROUTE(&f, "GET /2/abc", "404");
  CHECK_ROUTE(&f, "GET /3/a", "404");
  CHECK_ROUTE(&f, "GET /3/abc", "three x='abc'");
  CHECK_ROUTE(&f, "GET /3/abcd", "404");
  teardown(&f);
}

TEST(reads_integers_of_64_bits) {
  fixture f;
  setup(&f);
  ADD(&f, "/u/<int:n>", NAMED("u"));
  ADD(&f, "/s/<int(signed=true):n>", NAMED("s"));
  ADD(&f, "/r/<int(signed=true,min=-2,max=2):n>", NAMED("r"));
  ADD(&f, "/d/<int(fixed_digits=3,signed=true):n>", NAMED("d"));
  CHECK_ROUTE(&f, "GET /u/003", "u n=3");
  CHECK_ROUTE(&f, "GET /u/9223372036854775807", "u n=9223372036854775807");
  CHECK_ROUTE(&f, "GET /u/9223372036854775808", "404");
  CHECK_ROUTE(&f, "GET /u/-1", "404");
  CHECK_ROUTE(&f, "GET /u/+1", "404");
  CHECK_ROUTE(&f, "GET /u/1.0", "404");
  CHECK_ROUTE(&f, "GET /u/%31", "u n=1");
  CHECK_ROUTE(&f, "GET /s/-9223372036854775808", "s n=-9223372036854775808");
  CHECK_ROUTE(&f, "GET /s/-9223372036854775809", "404");
  CHECK_ROUTE(&f, "GET /s/-", "404");
  CHECK_ROUTE(&f, "GET /r/-2", "r n=-2");
  CHECK_ROUTE(&f, "GET /r/-3", "404");
  CHECK_ROUTE(&f, "GET /r/3", "404");
  CHECK_ROUTE(&f, "GET /d/007", "d n=7");
  CHECK_ROUTE(&f, "GET /d/-007", "d n=-7");
  CHECK_ROUTE(&f, "GET /d/07", "404");
  CHECK_ROUTE(&f, "GET /d/0007", "404");
  teardown(&f);
}

TEST(reads_floats_with_a_dot) {
  fixture f;
  setup(&f);
  ADD(&f, "/u/<float:n>", NAMED("u"));
  ADD(&f, "/s/<float(signed=true,min=-1,max=2.5):n>", NAMED("s"));
  CHECK_ROUTE(&f, "GET /u/1.50", "u n=1.5");
  CHECK_ROUTE(&f, "GET /u/1", "404");
  CHECK_ROUTE(&f, "GET /u/1.", "404");
  CHECK_ROUTE(&f, "GET /u/.5", "404");
  CHECK_ROUTE(&f, "GET /u/1e5.0", "404");
  CHECK_ROUTE(&f, "GET /u/-1.0", "404");
  CHECK_ROUTE(&f, "GET /u/nan", "404");
  CHECK_ROUTE(&f, "GET /s/-1.0", "s n=-1");
  CHECK_ROUTE(&f, "GET /s/2.5", "s n=2.5");
  CHECK_ROUTE(&f, "GET /s/2.6", "404");
  teardown(&f);
}

TEST(reads_uuids_in_either_case) {
  fixture f;
  setup(&f);
  ADD(&f, "/<uuid:id>", NAMED("u"));
  CHECK_ROUTE(&f, "GET /A8098C1A-F86E-11DA-BD1A-00112444BE1E",
              "u id='a8098c1a-f86e-11da-bd1a-00112444be1e'");
  CHECK_ROUTE(&f, "GET /a8098c1a-f86e-11da-bd1a-00112444be1g", "404");
  CHECK_ROUTE(&f, "GET /a8098c1af86e11dabd1a00112444be1e", "404");
  teardown(&f);
}

/* A converter whose values are handles: the number of the text's letters. */
typedef struct letters {
  int made, released, fail;
} letters;

static int letters_value(const dw_converter *c, dw_slice text,
                         const dw_converter_arg *args, size_t nargs,
                         dw_value *out) {
  letters *l = c->data;
  if (dw_slice_equal(text, DW_LITERAL("fail"))) return l->fail;
  int64_t most = nargs ? args[0].value.as.integer : 5;
  if ((int64_t)text.len > most) return 0;
  l->made++;
  *out = (dw_value){.kind = DW_VALUE_HANDLE, .as.integer = (int64_t)text.len};
  return 1;
}

static void letters_release(const dw_converter *c, dw_value *value) {
  (void)value;
  ((letters *)c->data)->released++;
}

static dw_converter letters_converter(letters *l) {
  return (dw_converter){.name = DW_LITERAL("letters"),
                        .weight = 60,
                        .data = l,
                        .to_value = letters_value,
                        .release = letters_release};
}

TEST(asks_custom_converters_and_releases_their_handles) {
  fixture f;
  setup(&f);
  letters l = {.fail = -77};
  dw_converter c = letters_converter(&l);
  CHECK_INT(dw_router_add_converter(f.router, &c, &f.message), 0);
  ADD(&f, "/<letters:a>/<letters(2):b>", NAMED("two"));
  ADD(&f, "/<letters:a>/", NAMED("slash"));
  ADD(&f, "/<x>/<y>", NAMED("text"));
  CHECK_ROUTE(&f, "GET /abc/de", "two a=#3 b=#2");
  CHECK_INT(l.made, 2);
  CHECK_INT(l.released, 2);
  CHECK_ROUTE(&f, "GET /abc/def", "text x='abc' y='def'");
  CHECK_ROUTE(&f, "GET /abc", "-> /abc/");
  CHECK_ROUTE(&f, "GET /abcdef", "404");
  CHECK_ROUTE(&f, "GET /abc/fail", "failed -77");
  CHECK_ROUTE(&f, "POST /abc/d", "405 GET HEAD OPTIONS");
  CHECK_ROUTE(&f, "OPTIONS /abc/d", "OPTIONS GET HEAD OPTIONS");
  CHECK(l.made > 2);
  CHECK_INT(l.made, l.released);
  CHECK_REFUSED(&f,
                "unknown converter 'leters' in '/<leters:x>', column 3; "
                "did you mean 'letters'?",
                "/<leters:x>");
  teardown(&f);
}

TEST(lets_a_custom_converter_replace_a_built_in_one) {
  fixture f;
  setup(&f);
  letters l = {0};
  dw_converter c = letters_converter(&l);
  ADD(&f, "/before/<int:n>", NAMED("before"));
  c.name = DW_LITERAL("int");
  CHECK_INT(dw_router_add_converter(f.router, &c, &f.message), 0);
  ADD(&f, "/after/<int:n>", NAMED("after"));
  CHECK_ROUTE(&f, "GET /before/12", "before n=12");
  CHECK_ROUTE(&f, "GET /after/12", "after n=#2");
  c.name = DW_LITERAL("in-t");
  CHECK_INT(dw_router_add_converter(f.router, &c, &f.message), DEWAR_EINVAL);
  CHECK_SLICE(dw_buffer_slice(&f.message),
              "a converter's name must be a Lua name, not 'in-t'");
  teardown(&f);
}

static int show_args(const dw_converter *c, dw_slice text,
                     const dw_converter_arg *args, size_t nargs,
                     dw_value *out) {
  (void)text;
  fixture *f = c->data;
  for (size_t i = 0; i < nargs; i++) {
    say(f, "%.*s:", DW_FMT(args[i].name));
    say_value(f, &args[i].value);
    say(f, " ");
  }
  *out = INT_VALUE(0);
  return 1;
}

TEST(passes_arguments_to_custom_converters_with_their_kinds) {
  fixture f;
  setup(&f);
  dw_converter c = {
      .name = DW_LITERAL("show"), .data = &f, .to_value = show_args};
  CHECK_INT(dw_router_add_converter(f.router, &c, &f.message), 0);
  ADD(&f, "/<show(b=1, \"7\", a=true, -2.5, word):x>", NAMED("x"));
  CHECK_ROUTE(&f, "GET /1", ":'7' :-2.5 :'word' a:true b:1 x x=0");
  teardown(&f);
}

/* --- Rules that collide ----------------------------------------------------*/

#define CHECK_TAKEN(f, want, ...)                                              \
  do {                                                                         \
    CHECK_INT(add_rule((f), RULE(__VA_ARGS__)), DEWAR_EEXIST);                 \
    CHECK_SLICE(dw_buffer_slice(&(f)->message), want);                         \
  } while (0)

TEST(refuses_the_same_rule_for_the_same_method) {
  fixture f;
  setup(&f);
  ADD(&f, "/u/<int(min=1,max=9):a>", NAMED("one"));
  CHECK_TAKEN(
      &f,
      "'/u/<int(max=9,min=1):b>' of endpoint 'two' is the same rule as "
      "'/u/<int(min=1,max=9):a>' of endpoint 'one', and both answer GET",
      "/u/<int(max=9,min=1):b>", NAMED("two"));
  ADD(&f, "/u/<int(min=1,max=8):a>", NAMED("other arguments"));
  ADD(&f, "/u/<int(min=1,max=9):b>", NAMED("post"), METHODS(DW_METHOD_POST));
  ADD(&f, "/u/<int(min=1,max=9):b>/", NAMED("slash"));
  ADD(&f, "/u/<int(min=1,max=9):b>", NAMED("host"),
      .host = dw_slice_str("a.com"));
  ADD(&f, "/u/<int(min=1,max=9):b>", NAMED("built"), .build_only = true);
  ADD(&f, "/u/<int(min=1,max=9):b>", NAMED("ws"), .websocket = true);
  CHECK_INT(add_rule(&f, RULE("/u/<int(min=1,max=9):c>", NAMED("host 2"),
                              .host = dw_slice_str("A.com:1"))),
            DEWAR_EEXIST);
  CHECK_INT(add_rule(&f, RULE("/u/<int(min=1,max=9):c>", NAMED("ws 2"),
                              .websocket = true)),
            DEWAR_EEXIST);
  CHECK_INT(dw_router_count(f.router), 7);
  teardown(&f);
}

TEST(sees_through_different_spellings_of_the_same_rule) {
  fixture f;
  setup(&f);
  ADD(&f, "/a/<x>", NAMED("1"));
  ADD(&f, "/b/<any(a,b):x>", NAMED("2"));
  ADD(&f, "/c/<string(length=2):x>", NAMED("3"));
  CHECK_INT(add_rule(&f, RULE("/a/<string:y>")), DEWAR_EEXIST);
  CHECK_INT(add_rule(&f, RULE("/b/<any(b,'a',b):y>")), DEWAR_EEXIST);
  CHECK_INT(add_rule(&f, RULE("/c/<string(minlength=2,maxlength=2):y>")),
            DEWAR_EEXIST);
  CHECK_INT(add_rule(&f, RULE("/a//<x>")), DEWAR_EEXIST);
  CHECK_INT(add_rule(&f, RULE("/a/<int:x>")), 0);
  teardown(&f);
}

TEST(counts_automatic_methods_as_free) {
  fixture f;
  setup(&f);
  ADD(&f, "/x", NAMED("get"));
  ADD(&f, "/x", NAMED("head"), METHODS(DW_METHOD_HEAD, DW_METHOD_OPTIONS));
  CHECK_INT(add_rule(&f, RULE("/x", NAMED("again"), METHODS(DW_METHOD_HEAD))),
            DEWAR_EEXIST);
  CHECK_INT(
      add_rule(&f, RULE("/x", NAMED("again"), METHODS(DW_METHOD_OPTIONS))),
      DEWAR_EEXIST);
  CHECK_ROUTE(&f, "HEAD /x", "head");
  CHECK_ROUTE(&f, "OPTIONS /x", "head");
  teardown(&f);
}

/* --- Asking ----------------------------------------------------------------*/

TEST(tells_what_was_added) {
  fixture f;
  setup(&f);
  int data;
  ADD(&f, "/a", .data = &data, METHODS(DW_METHOD_GET, DW_METHOD_PUT));
  ADD(&f, "/w", NAMED("w"), .websocket = true);
  const dw_rule *rule = dw_router_rule(f.router, 0);
  CHECK_SLICE(dw_rule_text(rule), "/a");
  CHECK_SLICE(dw_rule_endpoint(rule), "/a");
  CHECK(dw_rule_data(rule) == &data);
  CHECK(dw_rule_methods(rule) == methods_of(DW_METHOD_GET, DW_METHOD_HEAD,
                                            DW_METHOD_PUT, DW_METHOD_OPTIONS,
                                            DW_METHOD_UNKNOWN));
  CHECK(dw_rule_methods(dw_router_rule(f.router, 1)) ==
        DW_METHOD_BIT(DW_METHOD_GET));
  CHECK(dw_router_rule(f.router, 2) == NULL);
  teardown(&f);
}
