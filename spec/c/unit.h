/* SPDX-License-Identifier: MIT */
/* The harness of the C units: one file of tests is one program, which includes
 * this header once.
 *
 *     #include "unit.h"
 *
 *     TEST(keeps_what_it_held_after_a_failed_append) {
 *       CHECK(dw_buffer_append(&b, "x", 1) == DW_ETOOBIG);
 *       CHECK_INT(b.len, 3);
 *     }
 *
 * A failed check prints file, line and values, and the test goes on; REQUIRE
 * leaves the function it stands in. With arguments the program runs the tests
 * whose names contain one of them. It exits with 1 if anything failed, and is
 * killed by SIGALRM if it hangs. */
#ifndef DW_SPEC_UNIT_H
#define DW_SPEC_UNIT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/slice.h"

enum { UNIT_SECONDS = 300, UNIT_ALLOCATIONS = 100000 };

typedef struct unit_test unit_test;
struct unit_test {
  const char *name;
  void (*run)(void);
  unit_test *next;
};

static struct {
  unit_test *first, *last;
  const unit_test *current;
  unsigned checks, failures;
  unsigned long long failing; /* the allocation that is made to fail */
} unit;

__attribute__((unused)) static void unit_add(unit_test *test) {
  if (unit.last)
    unit.last->next = test;
  else
    unit.first = test;
  unit.last = test;
}

#define TEST(test_name)                                                        \
  static void test_##test_name(void);                                          \
  __attribute__((constructor)) static void unit_add_##test_name(void) {        \
    static unit_test test = {#test_name, test_##test_name, NULL};              \
    unit_add(&test);                                                           \
  }                                                                            \
  static void test_##test_name(void)

/* --- Checks ----------------------------------------------------------------*/

__attribute__((unused, format(printf, 4, 5))) static bool
unit_check(bool ok, const char *file, int line, const char *format, ...) {
  unit.checks++;
  if (ok) return true;
  unit.failures++;
  fprintf(stderr, "%s:%d: ", file, line);
  if (unit.current) fprintf(stderr, "%s: ", unit.current->name);
  if (unit.failing) fprintf(stderr, "(allocation %llu) ", unit.failing);
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  return false;
}

__attribute__((unused)) static bool unit_check_bytes(const char *file, int line,
                                                     const char *what,
                                                     dw_slice got,
                                                     dw_slice want) {
  return unit_check(dw_slice_equal(got, want), file, line,
                    "%s is \"%.*s\" (%zu), not \"%.*s\" (%zu)", what,
                    DW_FMT(got), got.len, DW_FMT(want), want.len);
}

#define CHECK(...)                                                             \
  unit_check((__VA_ARGS__), __FILE__, __LINE__, "not so: %s", #__VA_ARGS__)

#define REQUIRE(...)                                                           \
  do {                                                                         \
    if (!CHECK(__VA_ARGS__)) return;                                           \
  } while (0)

#define CHECK_INT(got, want)                                                   \
  do {                                                                         \
    long long unit_got = (long long)(got), unit_want = (long long)(want);      \
    unit_check(unit_got == unit_want, __FILE__, __LINE__,                      \
               "%s is %lld, not %lld", #got, unit_got, unit_want);             \
  } while (0)

/* Two strings, either of which may be NULL. */
#define CHECK_STR(got, want)                                                   \
  do {                                                                         \
    const char *unit_got = (got), *unit_want = (want);                         \
    bool unit_same = unit_got && unit_want ? strcmp(unit_got, unit_want) == 0  \
                                           : unit_got == unit_want;            \
    unit_check(unit_same, __FILE__, __LINE__, "%s is \"%s\", not \"%s\"",      \
               #got, unit_got ? unit_got : "(NULL)",                           \
               unit_want ? unit_want : "(NULL)");                              \
  } while (0)

/* A slice against a string. */
#define CHECK_SLICE(got, want)                                                 \
  unit_check_bytes(__FILE__, __LINE__, #got, (got), dw_slice_str(want))

/* --- Failing allocations ---------------------------------------------------*/

/* Returns 0, or a negative code if it could not be done; frees all it took. */
typedef int (*unit_scenario)(dw_allocator *a, void *data);

/* Runs one scenario with a failing allocation; whether that was reached. */
__attribute__((unused)) static bool unit_fail_allocation(unit_scenario fn,
                                                         void *data,
                                                         unsigned long long n,
                                                         bool all_later) {
  dw_allocator a;
  dw_allocator_init(&a, NULL, NULL);
  a.fail_at = n;
  a.fail_after = all_later;
  unit.failing = n;
  int result = fn(&a, data);
  CHECK_INT(a.used, 0);
  bool reached = a.calls >= n;
  if (!reached) CHECK_INT(result, 0);
  unit.failing = 0;
  return reached;
}

/* Runs a scenario with the n-th allocation failing, for n = 1, 2, 3... until it
 * is over before the n-th; then again with all later ones failing too. Memory
 * must be back where it was each time, and the last run must succeed. */
__attribute__((unused)) static void unit_failing_allocations(unit_scenario fn,
                                                             void *data) {
  for (int all_later = 0; all_later <= 1; all_later++) {
    unsigned long long n = 1;
    while (unit_fail_allocation(fn, data, n, all_later)) {
      n++;
      if (!CHECK(n < UNIT_ALLOCATIONS)) return;
    }
  }
}

/* --- Running ---------------------------------------------------------------*/

static bool unit_wanted(const char *name, int argc, char **argv) {
  for (int i = 1; i < argc; i++)
    if (strstr(name, argv[i])) return true;
  return argc < 2;
}

int main(int argc, char **argv) {
  unsigned tests = 0, failed = 0;
  alarm(UNIT_SECONDS);
  for (unit_test *t = unit.first; t; t = t->next) {
    if (!unit_wanted(t->name, argc, argv)) continue;
    unsigned before = unit.failures;
    unit.current = t;
    t->run();
    unit.current = NULL;
    tests++;
    if (unit.failures > before) failed++;
  }
  printf("%u tests, %u failed, %u checks\n", tests, failed, unit.checks);
  return unit.failures > 0 || tests == 0;
}

#endif
