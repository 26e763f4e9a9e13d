/* SPDX-License-Identifier: MIT */
/* Sessions with failing allocations: a request fails or is answered, and
 * nothing stays behind. */
#include "unit.h"

#include "support/host.h"

static host h;

/* What comes before the sessions is tested elsewhere: it only has to be there.
 */
#define BEFORE                                                                 \
  "local dewar = require 'dewar'\n"                                            \
  "require 'dewar.testing'\n"                                                  \
  "local app = dewar.app { config = { TESTING = true, SECRET_KEY = 'k' } }\n"  \
  "app:get('/', function(req)\n"                                               \
  "  req.session.n = (req.session.n or 0) + 1\n"                               \
  "  dewar.session.list = { 'a', '\\255', { x = 1.5 } }\n"                     \
  "  dewar.flash(('long '):rep(100))\n"                                        \
  "  return tostring(req.session.n) end)\n"                                    \
  "local client <close> = app:test_client()\n"

static const char without_session[] = BEFORE "return app\n";

static const char in_cookies[] = BEFORE "assert(client:get('/').body == '1')\n"
                                        "assert(client:get('/').body == '2')\n"
                                        "return app\n";

static const char own[] =
    BEFORE "app.session_interface = {\n"
           "  open = function() dewar.sleep(0) return {} end,\n"
           "  save = function(_, _, _, res) dewar.sleep(0)\n"
           "    res:set_cookie('a', 'b') end }\n"
           "assert(client:get('/').body == '1')\n"
           "return app\n";

static const char of_client[] =
    BEFORE "client:session(function(session) session.n = 5 end)\n"
           "return app\n";

static void live_with_every_failure(const char *script) {
  size_t from = host_live(&h, without_session, 0, false);
  size_t to = host_live(&h, script, 0, false);
  CHECK(to > from);
  for (size_t n = from - 8; n <= to + 8; n++) host_live(&h, script, n, false);
  for (size_t n = from - 8; n <= to + 8; n += 7) host_live(&h, script, n, true);
}

TEST(sessions_in_cookies_survive_every_failure) {
  live_with_every_failure(in_cookies);
}

TEST(sessions_of_the_apps_own_survive_every_failure) {
  live_with_every_failure(own);
}

TEST(the_clients_session_survives_every_failure) {
  live_with_every_failure(of_client);
}
