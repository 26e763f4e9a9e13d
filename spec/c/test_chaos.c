/* SPDX-License-Identifier: MIT */
/* spec/chaos/failing.lua: requests of all kinds in a random order, with random
 * allocations failing. DEWAR_CHAOS_SEED and DEWAR_CHAOS_COUNT choose others and
 * more. */
#include "unit.h"

#include <lua.h>
#include <sys/stat.h>

#include "support/host.h"

static host h;

/* fail(n [, all_later]): from now on; 0: none. */
static int fail(lua_State *L) {
  lua_Integer n = lua_tointeger(L, 1);
  h.fail_after = lua_toboolean(L, 2);
  h.fail_at = n ? h.calls + (size_t)n : 0;
  return 0;
}

static void make_folder(const char *folder, const char *name) {
  char path[200];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  CHECK_INT(mkdir(path, 0700), 0);
}

static void remove_folder(const char *folder) {
  char command[200];
  snprintf(command, sizeof command, "rm -r '%s'", folder);
  CHECK_INT(system(command), 0);
}

TEST(requests_of_all_kinds_survive_allocations_that_fail) {
  char folder[] = "/tmp/dewar-chaos-XXXXXX";
  REQUIRE(mkdtemp(folder));
  make_folder(folder, "static");
  make_folder(folder, "tmp");
  setenv("CHAOS_FOLDER", folder, 1);
  REQUIRE(host_open(&h));
  lua_State *L = dewar_lua(h.rt);
  lua_pushcfunction(L, fail);
  lua_setglobal(L, "fail");
  int code = dewar_load_file(h.rt, "spec/chaos/failing.lua");
  h.fail_at = 0;
  if (!CHECK(code == 0)) fprintf(stderr, "%s\n", dewar_error(h.rt));
  host_close(&h);
  remove_folder(folder);
}
