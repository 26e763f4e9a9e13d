/* SPDX-License-Identifier: MIT */
/* Files with failing allocations: a request fails or is answered, and nothing
 * stays behind, neither memory nor open files. */
#include "unit.h"

#include <dirent.h>
#include <sys/stat.h>

#include "support/host.h"

static host h;
static char folder[64];

/* --- A folder --------------------------------------------------------------*/

static void put(const char *name, size_t size) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "wb");
  if (!CHECK(f)) return;
  for (size_t i = 0; i < size; i++) fputc('x', f);
  fclose(f);
}

static void make_folder(void) {
  char docs[80];
  strcpy(folder, "/tmp/dewar-files-XXXXXX");
  REQUIRE(mkdtemp(folder));
  snprintf(docs, sizeof docs, "%s/docs", folder);
  mkdir(docs, 0755);
  put("small.txt", 10);
  put("small.txt.gz", 5);
  put("large.bin", 150000);
  put("docs/index.html", 10);
}

static void drop_folder(void) {
  char command[100];
  snprintf(command, sizeof command, "rm -r '%s'", folder);
  CHECK_INT(system(command), 0);
}

static size_t count_open_files(void) {
  size_t n = 0;
  DIR *dir = opendir("/proc/self/fd");
  if (!dir) return 0;
  while (readdir(dir)) n++;
  closedir(dir);
  return n;
}

/* --- Scripts ---------------------------------------------------------------*/

/* What comes before the files is tested elsewhere: it only has to be there. */
#define BEFORE                                                                 \
  "local dewar = require 'dewar'\n"                                            \
  "require 'dewar.testing'\n"                                                  \
  "local folder = '%s'\n"                                                      \
  "local app = dewar.app { config = { TESTING = true } }\n"                    \
  "app:static('/f', folder)\n"                                                 \
  "app:get('/s/<name>', function(_, name)\n"                                   \
  "  return dewar.send_file(folder .. '/' .. name) end)\n"                     \
  "app:get('/d/<path:name>', function(_, name)\n"                              \
  "  return dewar.send_from_directory(folder, name) end)\n"                    \
  "local client <close> = app:test_client()\n"                                 \
  "local function get(path, name, value)\n"                                    \
  "  return client:get(path, { headers = { [name or 'X'] = value or 'x' } "    \
  "})\n"                                                                       \
  "end\n"

static const char without_files[] = BEFORE "return app\n";

static const char in_folders[] =
    BEFORE "assert(#get('/f/small.txt').body == 10)\n"
           "assert(#get('/f/small.txt', 'Accept-Encoding', 'gzip').body == 5)\n"
           "assert(get('/f/docs').status == 308)\n"
           "assert(#get('/f/docs/').body == 10)\n"
           "assert(get('/f/none').status == 404)\n"
           "assert(get('/f/small.txt', 'If-None-Match', '*').status == 304)\n"
           "assert(get('/f/small.txt', 'Range', 'bytes=10-').status == 416)\n"
           "return app\n";

static const char in_pieces[] =
    BEFORE "assert(#get('/f/large.bin').body == 150000)\n"
           "assert(#get('/f/large.bin', 'Range', 'bytes=1-9').body == 9)\n"
           "return app\n";

static const char by_views[] =
    BEFORE "assert(#get('/s/large.bin').body == 150000)\n"
           "assert(#get('/d/small.txt', 'Range', 'bytes=1-').body == 9)\n"
           "assert(not pcall(get, '/s/none'))\n"
           "assert(get('/d/none').status == 404)\n"
           "return app\n";

/* Loads a script with the n-th allocation failing; the number of calls. */
static size_t load(const char *script, size_t fail_at, bool fail_after) {
  char text[4096];
  snprintf(text, sizeof text, script, folder);
  return host_live(&h, text, fail_at, fail_after);
}

static void live_with_every_failure(const char *script) {
  make_folder();
  size_t from = load(without_files, 0, false), open = count_open_files();
  size_t to = load(script, 0, false);
  CHECK(to > from);
  for (size_t n = from - 8; n <= to + 8; n++) load(script, n, false);
  for (size_t n = from - 8; n <= to + 8; n += 7) load(script, n, true);
  CHECK_INT(count_open_files(), open);
  drop_folder();
}

TEST(folders_survive_every_failure) { live_with_every_failure(in_folders); }

TEST(pieces_survive_every_failure) { live_with_every_failure(in_pieces); }

TEST(views_survive_every_failure) { live_with_every_failure(by_views); }
