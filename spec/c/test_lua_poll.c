/* SPDX-License-Identifier: MIT */
/* Waits for descriptors with failing allocations: whatever fails raises in the
 * script, and neither memory nor a handle stays behind. */
#include <stdio.h>
#include <unistd.h>

#include "unit.h"

#include "support/host.h"

static host h;

#define BEFORE                                                                 \
  "local dewar = require 'dewar'\n"                                            \
  "local app = dewar.app()\n"

static const char without_poll[] = BEFORE "return app\n";

/* %d: one end of a pipe that nothing is written to, and the other. */
static const char format[] =
    BEFORE "local ok, err = pcall(dewar.poll, %d, 'r', 0)\n"
           "assert(not ok)\n"
           "assert(dewar.TimeoutError:is(err) or err == 'not enough memory')\n"
           "local task = dewar.spawn(dewar.poll, %d, 'r')\n"
           "assert(dewar.poll(%d, 'w') == 'w')\n"
           "return app\n";

/* Loads it with the n-th allocation failing, and frees the runtime while a task
 * waits; the number of calls. */
static size_t load(const char *script, size_t fail_at, bool fail_after) {
  host_init(&h);
  h.fail_at = fail_at;
  h.fail_after = fail_after;
  unit.failing = fail_at;
  int code = dewar_new(&h.rt, &h.options);
  if (code == 0) {
    code = host_load(&h, script);
    CHECK_INT(dewar_free(h.rt), 0);
  }
  CHECK_INT(h.used, 0);
  if (h.calls < fail_at || fail_at == 0) CHECK_INT(code, 0);
  unit.failing = 0;
  return h.calls;
}

TEST(waits_that_run_out_of_memory_leave_nothing) {
  int ends[2];
  char script[sizeof format + 32];
  CHECK_INT(pipe(ends), 0);
  snprintf(script, sizeof script, format, ends[0], ends[0], ends[1]);
  size_t from = load(without_poll, 0, false);
  size_t to = load(script, 0, false);
  CHECK(to > from);
  for (int after = 0; after < 2; after++)
    for (size_t n = from; n <= to + 8; n++) load(script, n, after);
  close(ends[0]);
  close(ends[1]);
}
