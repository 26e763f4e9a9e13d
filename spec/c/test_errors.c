/* SPDX-License-Identifier: MIT */
/* The built-in error classes: the tree, the statuses, the descriptions. */
#include "app/errors.h"

#include <stdio.h>
#include <string.h>

#include "http/tokens.h"

static int failures;

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);          \
      failures++;                                                              \
    }                                                                          \
  } while (0)

static void roots_of_the_tree(void) {
  CHECK(dw_error_base.parent == NULL);
  CHECK(dw_error_http.parent == &dw_error_base);
  CHECK(dw_error_timeout.parent == &dw_error_base);
  CHECK(dw_error_cancelled.parent == NULL);
  CHECK(dw_error_base.status == 0 && dw_error_http.status == 0);
  CHECK(strcmp(dw_error_base.name, "Error") == 0);
  CHECK(strcmp(dw_error_http.name, "HTTPError") == 0);
  CHECK(strcmp(dw_error_timeout.name, "TimeoutError") == 0);
  CHECK(strcmp(dw_error_cancelled.name, "Cancelled") == 0);
}

static void is_follows_the_parents(void) {
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
static void every_registered_status_has_a_class(void) {
  int count = 0;
  for (int status = -1; status <= 700; status++) {
    const dw_error_class *c = dw_error_for_status(status);
    bool registered =
        status >= 400 && status < 600 && dw_status_phrase(status).len > 0;
    CHECK((c != NULL) == registered);
    if (!c) continue;
    count++;
    CHECK(c->status == status);
    CHECK(c->parent == &dw_error_http);
    CHECK(c == dw_error_for_status(status));
  }
  CHECK(count == 40);
}

static void names_are_those_people_know(void) {
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
    CHECK(strcmp(dw_error_for_status(known[i].status)->name, known[i].name) ==
          0);
}

static void names_and_descriptions_differ(void) {
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

static void every_status_has_a_sentence(void) {
  for (int status = 0; status <= 700; status++) {
    const char *text = dw_error_description(status);
    size_t len = strlen(text);
    CHECK(len > 10 && len < 200);
    CHECK(text[0] >= 'A' && text[0] <= 'Z' && text[len - 1] == '.');
  }
  CHECK(strcmp(dw_error_description(499), dw_error_description(599)) != 0);
}

int main(void) {
  roots_of_the_tree();
  is_follows_the_parents();
  every_registered_status_has_a_class();
  names_are_those_people_know();
  names_and_descriptions_differ();
  every_status_has_a_sentence();
  return failures ? 1 : 0;
}
