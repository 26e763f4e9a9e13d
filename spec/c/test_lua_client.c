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

static void live_with_every_failure(const char *script) {
  host_live_with_failures(&h, without_client, script);
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
