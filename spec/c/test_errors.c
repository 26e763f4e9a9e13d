/* SPDX-License-Identifier: MIT */
/* The built-in error classes: the tree, the statuses, the descriptions. */
#include "app/errors.h"

#include "http/tokens.h"
#include "unit.h"

TEST(roots_of_the_tree) {
  CHECK(dw_error_base.parent == NULL);
  CHECK(dw_error_http.parent == &dw_error_base);
  CHECK(dw_error_timeout.parent == &dw_error_base);
  CHECK(dw_error_cancelled.parent == NULL);
  CHECK(dw_error_base.status == 0 && dw_error_http.status == 0);
  CHECK_STR(dw_error_base.name, "Error");
  CHECK_STR(dw_error_http.name, "HTTPError");
  CHECK_STR(dw_error_timeout.name, "TimeoutError");
  CHECK_STR(dw_error_cancelled.name, "Cancelled");
}

TEST(is_follows_the_parents) {
  const dw_error_class *gone = dw_error_for_status(410);
  dw_error_class mine = {gone, "Mine", 410};
  CHECK(dw_error_class_is(&mine, &mine));
  CHECK(dw_error_class_is(&mine, gone));
  CHECK(dw_error_class_is(&mine, &dw_error_http));
  CHECK(dw_error_class_is(&mine, &dw_error_base));
  CHECK(!dw_error_class_is(&mine, dw_error_for_status(404)));
  CHECK(!dw_error_class_is(gone, &mine));
  CHECK(!dw_error_class_is(&dw_error_http, gone));
  CHECK(!dw_error_class_is(&dw_error_cancelled, &dw_error_base));
  CHECK(!dw_error_class_is(&dw_error_base, &dw_error_cancelled));
}

/* The phrases of tokens.c come from the same registry. */
TEST(every_registered_status_has_a_class) {
  int count = 0;
  for (int status = -1; status <= 700; status++) {
    const dw_error_class *c = dw_error_for_status(status);
    bool registered =
        status >= 400 && status < 600 && dw_status_phrase(status).len > 0;
    CHECK((c != NULL) == registered);
    if (!c) continue;
    count++;
    CHECK_INT(c->status, status);
    CHECK(c->parent == &dw_error_http);
    CHECK(c == dw_error_for_status(status));
  }
  CHECK_INT(count, 40);
}

TEST(names_are_those_people_know) {
  static const struct {
    int status;
    const char *name;
  } known[] = {
      {400, "BadRequest"},
      {401, "Unauthorized"},
      {403, "Forbidden"},
      {404, "NotFound"},
      {405, "MethodNotAllowed"},
      {409, "Conflict"},
      {413, "RequestEntityTooLarge"},
      {418, "ImATeapot"},
      {422, "UnprocessableEntity"},
      {429, "TooManyRequests"},
      {500, "InternalServerError"},
      {503, "ServiceUnavailable"},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    CHECK_STR(dw_error_for_status(known[i].status)->name, known[i].name);
}

TEST(names_and_descriptions_differ) {
  for (int a = 400; a < 600; a++) {
    const dw_error_class *first = dw_error_for_status(a);
    for (int b = a + 1; first && b < 600; b++) {
      const dw_error_class *second = dw_error_for_status(b);
      if (!second) continue;
      CHECK(strcmp(first->name, second->name) != 0);
      CHECK(strcmp(dw_error_description(a), dw_error_description(b)) != 0);
    }
  }
}

TEST(every_status_has_a_sentence) {
  for (int status = 0; status <= 700; status++) {
    const char *text = dw_error_description(status);
    size_t len = strlen(text);
    CHECK(len > 10 && len < 200);
    CHECK(text[0] >= 'A' && text[0] <= 'Z' && text[len - 1] == '.');
  }
  CHECK(strcmp(dw_error_description(499), dw_error_description(599)) != 0);
}
