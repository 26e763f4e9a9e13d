/* SPDX-License-Identifier: MIT */
/* Files, connections and processes with failing allocations: whatever fails
 * raises in the script, and neither memory nor a descriptor stays behind. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "unit.h"

#include "support/host.h"

static host h;

static int next_fd(void) {
  int fd = dup(0);
  close(fd);
  return fd;
}

/* Loads it with the n-th allocation failing; the number of calls. */
static size_t load(const char *script, size_t fail_at) {
  host_init(&h);
  h.fail_at = fail_at;
  unit.failing = fail_at;
  int fd = next_fd();
  int code = dewar_new(&h.rt, &h.options);
  if (code == 0) {
    code = host_load(&h, script);
    CHECK_INT(dewar_free(h.rt), 0);
  }
  CHECK_INT(h.used, 0);
  CHECK_INT(next_fd(), fd);
  if (h.calls < fail_at || fail_at == 0) CHECK_INT(code, 0);
  unit.failing = 0;
  return h.calls;
}

#define BEFORE                                                                 \
  "local dewar = require 'dewar'\n"                                            \
  "local app = dewar.app()\n"                                                  \
  "local function try(f, ...)\n"                                               \
  "  local ok, err = pcall(f, ...)\n"                                          \
  "  err = tostring(err)\n"                                                    \
  "  assert(ok or err:find 'not enough memory' or err:find 'took longer', "    \
  "    err)\n"                                                                 \
  "end\n"

/* Who accepts drops a connection that there is no memory for: then time runs
 * out. */
static const char nothing[] = BEFORE "return app\n";

static void fail_each(const char *script) {
  size_t from = load(nothing, 0);
  size_t to = load(script, 0);
  CHECK(to > from);
  for (size_t n = from; n <= to + 8; n++) load(script, n);
}

TEST(files_that_run_out_of_memory_leave_nothing) {
  fail_each(BEFORE "try(function()\n"
                   "  local file <close> = dewar.fs.open('/etc/passwd')\n"
                   "  file:read_line()\n"
                   "  dewar.fs.stat('/etc')\n"
                   "end)\n"
                   "return app\n");
}

TEST(connections_that_run_out_of_memory_leave_nothing) {
  fail_each(BEFORE
            "try(function()\n"
            "  local server <close> = dewar.tcp.listen('127.0.0.1', 0)\n"
            "  local a <close> = dewar.tcp.connect('127.0.0.1', server.port)\n"
            "  local b <close> = server:accept(0.1)\n"
            "  a:write('x\\n')\n"
            "  b:read_line(nil, 0.1)\n"
            "end)\n"
            "return app\n");
}

/* Neither closed nor waited for. */
TEST(the_end_closes_what_is_open) {
  load("local dewar = require 'dewar'\n"
       "file = dewar.fs.open('/etc/passwd')\n"
       "dewar.spawn(dewar.fs.read, '/etc/passwd')\n"
       "server = dewar.tcp.listen('127.0.0.1', 0)\n"
       "conn = dewar.tcp.connect('127.0.0.1', server.port)\n"
       "dewar.spawn(conn.read, conn)\n"
       "cat = dewar.process.spawn { 'cat', stdin = true }\n"
       "dewar.spawn(cat.wait, cat)\n"
       "return dewar.app()\n",
       0);
}
