/* SPDX-License-Identifier: MIT */
/* Work on threads with failing allocations: whatever fails raises in the
 * script, and neither memory nor a thread stays behind. */
#include "unit.h"

#include "support/host.h"

static host h;

#define BEFORE                                                                 \
  "local dewar = require 'dewar'\n"                                            \
  "local app = dewar.app()\n"

static const char without_work[] = BEFORE "return app\n";

static const char with_work[] = BEFORE
    "app.config.WORK_THREADS = 1\n"
    "local up = { 1, { 2 } }\n"
    "local ok, err = pcall(dewar.work, function(t) return { t, up } end, "
    "{ x = 'y' })\n"
    "assert(ok and err[1].x == 'y' and err[2][2][1] == 2\n"
    "  or err == 'not enough memory', err)\n"
    "ok, err = pcall(dewar.work, function() error 'no' end)\n"
    "assert(not ok)\n"
    "dewar.spawn(dewar.work, function() while true do end end)\n"
    "dewar.spawn(dewar.work, function() return 1 end)\n"
    "pcall(dewar.yield)\n"
    "return app\n";

TEST(work_that_runs_out_of_memory_leaves_nothing) {
  size_t from = host_live(&h, without_work, 0, false);
  size_t to = host_live(&h, with_work, 0, false);
  CHECK(to > from);
  for (int after = 0; after < 2; after++)
    for (size_t n = from; n <= to + 8; n++) host_live(&h, with_work, n, after);
}

/* Each has threads and states of its own. */
TEST(several_runtimes_work_at_once) {
  static host other;
  host_init(&h);
  host_init(&other);
  CHECK_INT(dewar_new(&h.rt, &h.options), 0);
  CHECK_INT(dewar_new(&other.rt, &other.options), 0);
  CHECK_INT(host_load(&h, with_work), 0);
  CHECK_INT(host_load(&other, with_work), 0);
  CHECK_INT(dewar_free(h.rt), 0);
  CHECK_INT(dewar_free(other.rt), 0);
  CHECK_INT(h.used, 0);
  CHECK_INT(other.used, 0);
}
