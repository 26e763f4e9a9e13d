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

/* Every allocation from where an app without it has served its first request
 * at the latest. */
static void live_with_every_failure(const char *script) {
  size_t from = load(BEFORE AFTER, 0, false);
  size_t least = load(nothing, 0, false);
  size_t to = load(script, 0, false);
  CHECK(to > least);
  for (size_t n = from - 8; n <= to + 8; n++) load(script, n, false);
  for (size_t n = from - 8; n <= to + 8; n += 7) load(script, n, true);
}

TEST(rewriting_a_request_survives_every_failure) {
  live_with_every_failure(rewriting);
}

TEST(a_redirect_behind_a_script_root_survives_every_failure) {
  live_with_every_failure(of_router);
}

TEST(trusted_hosts_survive_every_failure) { live_with_every_failure(hosts); }

TEST(signals_survive_every_failure) { live_with_every_failure(heard); }
