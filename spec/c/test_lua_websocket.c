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
  size_t from = load(without_socket, 0, false);
  size_t to = load(script, 0, false);
  CHECK(to > from);
  for (int after = 0; after < 2; after++)
    for (size_t n = from; n <= to + 8; n++) load(script, n, after);
}

TEST(messages_that_run_out_of_memory_leave_nothing) {
  live_with_every_failure(echo);
}

TEST(a_client_that_vanishes_leaves_nothing) {
  live_with_every_failure(vanishing);
}
