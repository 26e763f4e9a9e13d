/* SPDX-License-Identifier: MIT */
/* Event streams in rooms with failing allocations: whatever fails raises in the
 * script or cuts a stream, and nothing stays behind. */
#include "unit.h"

#include "support/host.h"

static host h;

/* What comes before is tested elsewhere: it only has to be there. */
#define BEFORE                                                                 \
  "local dewar = require 'dewar'\n"                                            \
  "require 'dewar.testing'\n"                                                  \
  "local app = dewar.app()\n"                                                  \
  "local room = dewar.room { backlog = 100 }\n"                                \
  "app:get('/', function() return dewar.sse(room) end)\n"                      \
  "local function open(client, coding)\n"                                      \
  "  local headers = { Accept_Encoding = coding }\n"                           \
  "  return client:get('/', { stream = true, headers = headers })\n"           \
  "end\n"

static const char without_stream[] = BEFORE "return app\n";

static const char sending[] =
    BEFORE "local client <close> = app:test_client()\n"
           "local one = open(client)\n"
           "local other = open(client, 'gzip')\n"
           "dewar.sleep(0)\n"
           "local reached = room:send { event = 'x', data = { 1 }, id = 7 }\n"
           "if reached == 2 then\n"
           "  assert(one:chunks()() == 'event: x\\ndata: [1]\\nid: 7\\n\\n')\n"
           "  assert(#other:chunks()() > 10)\n"
           "end\n"
           "one:close()\n"
           "other:close()\n"
           "return app\n";

static const char dropping[] =
    BEFORE "local client <close> = app:test_client()\n"
           "local slow = client:connect()\n"
           "slow:send 'GET / HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n'\n"
           "dewar.sleep(0)\n"
           "for i = 1, 20 do room:send(('x'):rep(16 * 1024)) end\n"
           "dewar.sleep(0)\n"
           "slow:close()\n"
           "return app\n";

/* The runtime goes while one stays, and one is in the middle of it. */
static const char left_open[] =
    BEFORE "app:get('/waits', function()\n"
           "  return dewar.sse(function(send)\n"
           "    room:join(send)\n"
           "    dewar.sleep(100)\n"
           "  end)\n"
           "end)\n"
           "local client = app:test_client()\n"
           "local one = open(client)\n"
           "local other = client:get('/waits', { stream = true })\n"
           "dewar.sleep(0)\n"
           "return app\n";

static void live_with_every_failure(const char *script) {
  host_live_with_failures(&h, without_stream, script);
}

TEST(events_that_run_out_of_memory_leave_nothing) {
  live_with_every_failure(sending);
}

TEST(a_runtime_that_goes_before_its_streams_leaves_nothing) {
  live_with_every_failure(left_open);
}

TEST(a_stream_that_is_dropped_leaves_nothing) {
  live_with_every_failure(dropping);
}
