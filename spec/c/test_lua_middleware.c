/* SPDX-License-Identifier: MIT */
/* Middleware and signals with failing allocations: a request fails or is
 * answered, and nothing stays behind. What they do is in spec/dewar. */
#include "unit.h"

#include "support/host.h"

static host h;

/* What comes before is tested elsewhere: it only has to be there. */
#define BEFORE                                                                 \
  "local dewar = require 'dewar'\n"                                            \
  "require 'dewar.testing'\n"                                                  \
  "local app = dewar.app { config = { TESTING = true, SECRET_KEY = 'k' } }\n"  \
  "app:get('/', { endpoint = 'home' }, function(req)\n"                        \
  "  return dewar.url_for('home', { _external = true }) end)\n"

#define GET                                                                    \
  "local client <close> = app:test_client()\n"                                 \
  "local res = client:get('/')\n"

#define AFTER "return app\n"

static const char nothing[] = BEFORE GET AFTER;

static const char rewriting[] = BEFORE
    "app:use { request = function(req)\n"
    "  req.method, req.scheme, req.host = 'GET', 'https', 'A.example:1'\n"
    "  req.path, req.script_root = '/%2F x', '/root'\n"
    "  req.raw_path, req.remote_addr, req.id = '/', '::1', 'an-id'\n"
    "  dewar.log.error('named', { a = 1 })\n"
    "end }\n" GET "assert(res.body == 'https://A.example:1/root/')\n" AFTER;

static const char of_router[] =
    BEFORE "app:use { request = function(req) req.script_root = '/r' end }\n"
           "app:get('/d/', function() return 'd' end)\n" GET
           "assert(client:get('/d').headers.location == '/r/d/')\n" AFTER;

static const char hosts[] =
    BEFORE "app.config.TRUSTED_HOSTS = { 'example.com', '.localhost' }\n" GET
           "assert(res.status == 200)\n" AFTER;

static const char heard[] = BEFORE
    "local seen = 0\n"
    "local function hear() dewar.sleep(0) seen = seen + 1 end\n"
    "for _, name in ipairs { 'started', 'finished', 'tearing_down' } do\n"
    "  dewar.signals['request_' .. name]:connect(hear)\n"
    "end\n" GET "assert(seen == 3)\n" AFTER;

/* Every allocation from where an app without it has served its first request
 * at the latest. */
static void live_with_every_failure(const char *script) {
  size_t from = host_live(&h, BEFORE AFTER, 0, false);
  size_t least = host_live(&h, nothing, 0, false);
  size_t to = host_live(&h, script, 0, false);
  CHECK(to > least);
  for (size_t n = from - 8; n <= to + 8; n++) host_live(&h, script, n, false);
  for (size_t n = from - 8; n <= to + 8; n += 7) host_live(&h, script, n, true);
}

TEST(rewriting_a_request_survives_every_failure) {
  live_with_every_failure(rewriting);
}

TEST(a_redirect_behind_a_script_root_survives_every_failure) {
  live_with_every_failure(of_router);
}

TEST(trusted_hosts_survive_every_failure) { live_with_every_failure(hosts); }

TEST(signals_survive_every_failure) { live_with_every_failure(heard); }
