/* SPDX-License-Identifier: MIT */
/* Header fields, borrowed and owned. */
#include "unit.h"

#include "base/error.h"
#include "http/headers.h"

#define L DW_LITERAL

static dw_allocator memory;
static dw_headers h;

static void begin(void) {
  dw_allocator_init(&memory, NULL, NULL);
  dw_headers_init(&h, &memory);
}

static void end(void) {
  dw_headers_deinit(&h);
  CHECK_INT(memory.used, 0);
}

/* "Name: value\n" of each field. */
static const char *all(const dw_headers *headers) {
  static char text[1024];
  size_t len = 0;
  text[0] = '\0';
  for (uint32_t i = 0; i < headers->count; i++)
    len += (size_t)snprintf(text + len, sizeof text - len, "%.*s: %.*s\n",
                            DW_FMT(headers->items[i].name),
                            DW_FMT(headers->items[i].value));
  return text;
}

/* --- Borrowed lists --------------------------------------------------------*/

static const dw_header list[] = {
    {{"Host", 4}, {"a", 1}},      {{"accept", 6}, {"x", 1}},
    {{"Cookie", 6}, {"a=b", 3}},  {{"Accept", 6}, {"", 0}},
    {{"ACCEPT", 6}, {"y, z", 4}}, {{"cookie", 6}, {"c=d", 3}}};
enum { COUNT = 6 };

TEST(finds_a_field_in_any_case) {
  const dw_header *found = dw_header_find(list, COUNT, L("ACCEPT"));
  REQUIRE(found);
  CHECK_SLICE(found->value, "x");
  CHECK(!dw_header_find(list, COUNT, L("Accep")));
  CHECK(!dw_header_find(list, 1, L("Accept")));
  CHECK(!dw_header_find(NULL, 0, L("Accept")));
  CHECK_INT(dw_header_count(list, COUNT, L("Accept")), 3);
  CHECK_INT(dw_header_count(list, COUNT, L("X")), 0);
}

TEST(joins_lines_of_a_name) {
  dw_arena arena;
  dw_slice joined;
  bool failed;
  begin();
  dw_arena_init(&arena, &memory, NULL, 0);
  CHECK(dw_header_join(list, COUNT, L("Accept"), &arena, &joined, &failed));
  CHECK_SLICE(joined, "x, , y, z");
  CHECK(dw_header_join(list, COUNT, L("Cookie"), &arena, &joined, &failed));
  CHECK_SLICE(joined, "a=b; c=d");
  CHECK(!dw_header_join(list, COUNT, L("X"), &arena, &joined, &failed));
  CHECK(!failed);
  dw_arena_deinit(&arena);
  end();
}

TEST(copies_nothing_to_join_one_line) {
  dw_arena arena;
  dw_slice joined;
  bool failed;
  begin();
  dw_arena_init(&arena, &memory, NULL, 0);
  CHECK(dw_header_join(list, COUNT, L("host"), &arena, &joined, &failed));
  CHECK(joined.ptr == list[0].value.ptr);
  CHECK_INT(memory.calls, 0);
  dw_arena_deinit(&arena);
  end();
}

TEST(says_when_joining_found_no_memory) {
  dw_arena arena;
  dw_slice joined;
  bool failed;
  begin();
  memory.fail_at = 1;
  dw_arena_init(&arena, &memory, NULL, 0);
  CHECK(!dw_header_join(list, COUNT, L("Accept"), &arena, &joined, &failed));
  CHECK(failed);
  dw_arena_deinit(&arena);
  end();
}

TEST(takes_lists_apart) {
  dw_slice rest = L("a, b ,,\tc"), element;
  CHECK(dw_list_next(&rest, &element));
  CHECK_SLICE(element, "a");
  CHECK(dw_list_next(&rest, &element));
  CHECK_SLICE(element, "b");
  CHECK(dw_list_next(&rest, &element));
  CHECK_SLICE(element, "");
  CHECK(dw_list_next(&rest, &element));
  CHECK_SLICE(element, "c");
  CHECK(!dw_list_next(&rest, &element));
}

TEST(takes_the_empty_element_behind_a_comma) {
  dw_slice rest = L("a,"), element;
  CHECK(dw_list_next(&rest, &element));
  CHECK(dw_list_next(&rest, &element));
  CHECK_SLICE(element, "");
  CHECK(!dw_list_next(&rest, &element));
}

/* --- The owned list --------------------------------------------------------*/

TEST(allocates_nothing_while_empty) {
  begin();
  CHECK(!dw_headers_find(&h, L("X")));
  CHECK(!dw_headers_remove(&h, L("X")));
  CHECK_INT(memory.calls, 0);
  end();
}

TEST(adds_and_keeps_what_is_there) {
  begin();
  CHECK_INT(dw_headers_add(&h, L("Set-Cookie"), L("a=b")), 0);
  CHECK_INT(dw_headers_add(&h, L("X"), L("")), 0);
  CHECK_INT(dw_headers_add(&h, L("set-cookie"), L(" c=d\t")), 0);
  CHECK_STR(all(&h), "Set-Cookie: a=b\nX: \nset-cookie: c=d\n");
  CHECK_SLICE(dw_headers_find(&h, L("SET-COOKIE"))->value, "a=b");
  end();
}

TEST(copies_what_it_is_given) {
  char name[] = "Name", value[] = "value";
  begin();
  CHECK_INT(dw_headers_add(&h, dw_slice_str(name), dw_slice_str(value)), 0);
  name[0] = value[0] = '!';
  CHECK_STR(all(&h), "Name: value\n");
  end();
}

TEST(sets_in_place_of_all_of_a_name) {
  begin();
  dw_headers_add(&h, L("A"), L("1"));
  dw_headers_add(&h, L("B"), L("2"));
  dw_headers_add(&h, L("a"), L("3"));
  dw_headers_add(&h, L("C"), L("4"));
  CHECK_INT(dw_headers_set(&h, L("a"), L("5")), 0);
  CHECK_STR(all(&h), "a: 5\nB: 2\nC: 4\n");
  CHECK_INT(dw_headers_set(&h, L("D"), L("6")), 0);
  CHECK_STR(all(&h), "a: 5\nB: 2\nC: 4\nD: 6\n");
  end();
}

TEST(sets_a_field_from_its_own_name_and_value) {
  begin();
  dw_headers_add(&h, L("Name"), L("value"));
  dw_headers_add(&h, L("Name"), L("other"));
  const dw_header *own = dw_headers_find(&h, L("Name"));
  CHECK_INT(dw_headers_set(&h, own->name, own->value), 0);
  CHECK_STR(all(&h), "Name: value\n");
  end();
}

TEST(removes_all_of_a_name) {
  begin();
  dw_headers_add(&h, L("A"), L("1"));
  dw_headers_add(&h, L("B"), L("2"));
  dw_headers_add(&h, L("a"), L("3"));
  CHECK(dw_headers_remove(&h, L("A")));
  CHECK(!dw_headers_remove(&h, L("A")));
  CHECK_STR(all(&h), "B: 2\n");
  end();
}

TEST(grows) {
  begin();
  for (int i = 0; i < 100; i++) {
    char name[16];
    snprintf(name, sizeof name, "X-%d", i);
    CHECK_INT(dw_headers_add(&h, dw_slice_str(name), L("v")), 0);
  }
  CHECK_INT(h.count, 100);
  CHECK(dw_headers_find(&h, L("x-99")));
  end();
}

TEST(refuses_what_would_split_a_message) {
  static const dw_slice bad_names[] = {{"", 0},      {"a b", 3}, {"a:", 2},
                                       {"a\r\n", 3}, {"a\0", 2}, {"\xe9", 1}};
  static const dw_slice bad_values[] = {{"a\rb", 3}, {"a\nb", 3}, {"a\0b", 3},
                                        {"\x01", 1}, {"\x7f", 1}, {"a\r\n", 3}};
  begin();
  for (size_t i = 0; i < sizeof bad_names / sizeof *bad_names; i++) {
    CHECK_INT(dw_headers_add(&h, bad_names[i], L("v")), DEWAR_EINVAL);
    CHECK_INT(dw_headers_set(&h, bad_names[i], L("v")), DEWAR_EINVAL);
  }
  dw_headers_add(&h, L("X"), L("old"));
  for (size_t i = 0; i < sizeof bad_values / sizeof *bad_values; i++) {
    CHECK_INT(dw_headers_add(&h, L("X"), bad_values[i]), DEWAR_EINVAL);
    CHECK_INT(dw_headers_set(&h, L("X"), bad_values[i]), DEWAR_EINVAL);
  }
  CHECK_STR(all(&h), "X: old\n");
  end();
}

TEST(adds_a_token_once) {
  begin();
  CHECK_INT(dw_headers_add_token(&h, L("Vary"), L("Cookie")), 0);
  CHECK_INT(dw_headers_add_token(&h, L("vary"), L("cookie")), 0);
  CHECK_INT(dw_headers_add_token(&h, L("Vary"), L("Accept")), 0);
  CHECK_INT(h.count, 1);
  CHECK_SLICE(h.items[0].value, "Cookie, Accept");
  end();
}

TEST(takes_no_part_of_a_token_for_it) {
  begin();
  dw_headers_add(&h, L("Vary"), L("Accept-Encoding"));
  CHECK_INT(dw_headers_add_token(&h, L("Vary"), L("Accept")), 0);
  CHECK_STR(all(&h), "Vary: Accept-Encoding, Accept\n");
  end();
}

TEST(adds_no_token_to_a_star) {
  begin();
  dw_headers_add(&h, L("Vary"), L("*"));
  CHECK_INT(dw_headers_add_token(&h, L("Vary"), L("Cookie")), 0);
  CHECK_STR(all(&h), "Vary: *\n");
  end();
}

TEST(adds_a_token_to_the_first_of_several_lines) {
  begin();
  dw_headers_add(&h, L("Vary"), L("A"));
  dw_headers_add(&h, L("Vary"), L("B"));
  CHECK_INT(dw_headers_add_token(&h, L("Vary"), L("b")), 0);
  CHECK_STR(all(&h), "Vary: A\nVary: B\n");
  CHECK_INT(dw_headers_add_token(&h, L("Vary"), L("C")), 0);
  CHECK_STR(all(&h), "Vary: A, C\nVary: B\n");
  end();
}

TEST(adds_a_token_to_an_empty_line) {
  begin();
  dw_headers_add(&h, L("Vary"), L(""));
  CHECK_INT(dw_headers_add_token(&h, L("Vary"), L("A")), 0);
  CHECK_STR(all(&h), "Vary: A\n");
  end();
}

TEST(copies_all_values_of_each_name) {
  dw_headers from;
  begin();
  dw_headers_init(&from, &memory);
  dw_headers_add(&from, L("Set-Cookie"), L("a"));
  dw_headers_add(&from, L("X"), L("1"));
  dw_headers_add(&from, L("set-cookie"), L("b"));
  dw_headers_add(&h, L("set-cookie"), L("old"));
  dw_headers_add(&h, L("Y"), L("2"));
  CHECK_INT(dw_headers_copy(&h, &from), 0);
  CHECK_STR(all(&h), "Set-Cookie: a\nY: 2\nX: 1\nset-cookie: b\n");
  dw_headers_deinit(&from);
  end();
}

static int change(dw_allocator *a, void *data) {
  dw_headers one, two;
  (void)data;
  dw_headers_init(&one, a);
  dw_headers_init(&two, a);
  int err = dw_headers_add(&one, L("A"), L("1"));
  if (err == 0) err = dw_headers_add(&one, L("A"), L("2"));
  if (err == 0) err = dw_headers_set(&one, L("a"), L("3"));
  if (err == 0) err = dw_headers_add_token(&one, L("A"), L("4"));
  for (int i = 0; i < 6 && err == 0; i++)
    err = dw_headers_add(&one, L("B"), L("5"));
  if (err == 0) err = dw_headers_copy(&two, &one);
  dw_headers_deinit(&one);
  dw_headers_deinit(&two);
  return err;
}

TEST(leaks_nothing_when_memory_is_short) {
  unit_failing_allocations(change, NULL);
}
