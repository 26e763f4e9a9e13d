/* SPDX-License-Identifier: MIT */
/* The client of specs with failing allocations: whatever fails raises in the
 * script, and nothing stays behind. */
#include "unit.h"

#include "support/host.h"

static host h;

/* What comes before the client is tested elsewhere: it only has to be there. */
#define BEFORE                                                                 \
  "local dewar = require 'dewar'\n"                                            \
  "require 'dewar.testing'\n"                                                  \
  "local app = dewar.app()\n"                                                  \
  "app.config.TESTING = true\n"                                                \
  "app:get('/', function() return 'hi' end)\n"                                 \
  "app:get('/fail', function() error({}) end)\n"                               \
  "app:get('/count', function() return coroutine.wrap(function()\n"            \
  "  for i = 1, 3 do coroutine.yield(i .. '') end end) end)\n"

static const char without_client[] = BEFORE "return app\n";

static const char whole[] =
    BEFORE "local client <close> = app:test_client()\n"
           "assert(client:get('/').body == 'hi')\n"
           "assert(client:get('/count').body == '123')\n"
           "assert(not pcall(client.get, client, '/fail'))\n"
           "return app\n";

static const char part[] =
    BEFORE "local client = app:test_client()\n"
           "local part <close> = client:get('/count', { stream = true })\n"
           "for piece in part:chunks() do break end\n"
           "part:close()\n"
           "return app\n";

static const char raw[] = BEFORE
    "local client <close> = app:test_client()\n"
    "local text = client:send_raw('GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n')\n"
    "assert(#text > 0)\n"
    "return app\n";

/* Loads a script with the n-th allocation failing; the number of calls. */
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

static void live_with_every_failure(const char *script) {
  size_t from = load(without_client, 0, false);
  size_t to = load(script, 0, false);
  CHECK(to > from);
  for (int after = 0; after < 2; after++)
    for (size_t n = from; n <= to + 8; n++) load(script, n, after);
}

TEST(requests_that_run_out_of_memory_leave_nothing) {
  live_with_every_failure(whole);
}

TEST(streams_that_run_out_of_memory_leave_nothing) {
  live_with_every_failure(part);
}

TEST(raw_bytes_that_run_out_of_memory_leave_nothing) {
  live_with_every_failure(raw);
}
