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

TEST(waits_that_run_out_of_memory_leave_nothing) {
  int ends[2];
  char script[sizeof format + 32];
  CHECK_INT(pipe(ends), 0);
  snprintf(script, sizeof script, format, ends[0], ends[0], ends[1]);
  size_t from = host_live(&h, without_poll, 0, false);
  size_t to = host_live(&h, script, 0, false);
  CHECK(to > from);
  for (int after = 0; after < 2; after++)
    for (size_t n = from; n <= to + 8; n++) host_live(&h, script, n, after);
  close(ends[0]);
  close(ends[1]);
}
