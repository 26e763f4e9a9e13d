/* SPDX-License-Identifier: MIT */
/* Forms with failing allocations: whatever fails raises in the script, and
 * neither memory nor a descriptor stays behind. */
#include "unit.h"

#include <dirent.h>

#include "support/host.h"

static host h;

/* What comes before the form is tested elsewhere: it only has to be there. The
 * app's own handlers see what fails; nothing is to be logged. */
#define BEFORE                                                                 \
  "local dewar = require 'dewar'\n"                                            \
  "require 'dewar.testing'\n"                                                  \
  "local app = dewar.app { config = { FORM_SPOOL_SIZE = 1000 } }\n"            \
  "local function file(n)\n"                                                   \
  "  return { filename = 'f', content = ('x'):rep(n) }\n"                      \
  "end\n"                                                                      \
  "app:post('/form', function(req) return req.form.a end)\n"                   \
  "app:post('/files', function(req)\n"                                         \
  "  local f, n = req.files.f, 0\n"                                            \
  "  for piece in f:chunks(60000) do n = n + #piece end\n"                     \
  "  f:save '/dev/null'\n"                                                     \
  "  return ('%d %d %d'):format(n, #f:read(), f.size)\n"                       \
  "end)\n"                                                                     \
  "app:post('/parts', function(req)\n"                                         \
  "  local n = 0\n"                                                            \
  "  for part in req:parts() do n = n + #part:read() end\n"                    \
  "  return tostring(n)\n"                                                     \
  "end)\n"                                                                     \
  "local client <close> = app:test_client()\n"                                 \
  "local function post(path, size)\n"                                          \
  "  return client:post(path, { form = { a = 'b' },\n"                         \
  "    files = { f = file(size) } }).body\n"                                   \
  "end\n"                                                                      \
  "client:post('/', { form = { a = 'b' }, files = { f = file(1) } })\n"

static const char without_forms[] = BEFORE "return app\n";

/* A failure inside of a request is a 503; it is no failure of the script. */
#define CHECKED(path, size, body)                                              \
  BEFORE "local got = post('" path "', " size ")\n"                            \
         "assert(got == '" body "' or got:find '503', got)\n"                  \
         "return app\n"

static const char fields[] = CHECKED("/form", "10", "b");
static const char in_memory[] = CHECKED("/files", "10", "10 10 10");
static const char on_disk[] =
    CHECKED("/files", "140000", "140000 140000 140000");
static const char as_it_comes[] = CHECKED("/parts", "100000", "100001");

static unsigned open_files(void) {
  unsigned n = 0;
  DIR *d = opendir("/proc/self/fd");
  while (d && readdir(d)) n++;
  if (d) closedir(d);
  return n;
}

static void live_with_every_failure(const char *script) {
  size_t from = host_live(&h, without_forms, 0, false);
  unsigned before = open_files();
  size_t to = host_live(&h, script, 0, false);
  CHECK(to > from);
  for (int after = 0; after < 2; after++)
    for (size_t n = from; n <= to + 8; n++) host_live(&h, script, n, after);
  CHECK_INT(open_files(), before);
}

TEST(fields_that_run_out_of_memory_leave_nothing) {
  live_with_every_failure(fields);
}

TEST(files_in_memory_that_run_out_of_it_leave_nothing) {
  live_with_every_failure(in_memory);
}

TEST(files_on_the_disk_that_run_out_of_memory_leave_nothing) {
  live_with_every_failure(on_disk);
}

TEST(parts_that_run_out_of_memory_leave_nothing) {
  live_with_every_failure(as_it_comes);
}
