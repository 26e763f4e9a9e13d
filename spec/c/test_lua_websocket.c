/* SPDX-License-Identifier: MIT */
/* WebSockets of apps with failing allocations: whatever fails raises in the
 * script or closes, and nothing stays behind. */
#include "unit.h"

#include "support/host.h"

static host h;

/* What comes before is tested elsewhere: it only has to be there. */
#define BEFORE                                                                 \
  "local dewar = require 'dewar'\n"                                            \
  "require 'dewar.testing'\n"                                                  \
  "local app = dewar.app()\n"                                                  \
  "local room = dewar.room()\n"                                                \
  "app:websocket('/', function(ws)\n"                                          \
  "  room:join(ws)\n"                                                          \
  "  for message, kind in ws:messages() do\n"                                  \
  "    if kind == 'text' then ws:send(message) else room:send(message) end\n"  \
  "  end\n"                                                                    \
  "end)\n"

static const char without_socket[] = BEFORE "return app\n";

static const char echo[] =
    BEFORE "local client <close> = app:test_client()\n"
           "local ws <close> = client:websocket('/')\n"
           "local text = ('x'):rep(500)\n"
           "ws:send(text)\n"
           "local message, code, reason = ws:receive()\n"
           "if not message then error('closed with ' .. code) end\n"
           "assert(message == text)\n"
           "ws:send_binary('to all')\n"
           "message, code = ws:receive()\n"
           "if not message then error('closed with ' .. code) end\n"
           "assert(message == 'to all')\n"
           "return app\n";

static const char vanishing[] =
    BEFORE "local client <close> = app:test_client()\n"
           "local ws = client:websocket('/')\n"
           "ws:disconnect()\n"
           "return app\n";

static void live_with_every_failure(const char *script) {
  host_live_with_failures(&h, without_socket, script);
}

TEST(messages_that_run_out_of_memory_leave_nothing) {
  live_with_every_failure(echo);
}

TEST(a_client_that_vanishes_leaves_nothing) {
  live_with_every_failure(vanishing);
}
