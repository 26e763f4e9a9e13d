/* SPDX-License-Identifier: MIT */
/* Mounted apps with failing allocations: mounting raises, a request fails or is
 * answered, and nothing stays behind. What they do is in spec/app. */
#include "unit.h"

#include "support/host.h"

static host h;

/* What comes before is tested elsewhere: it only has to be there. */
#define BEFORE                                                                 \
  "local dewar = require 'dewar'\n"                                            \
  "require 'dewar.testing'\n"                                                  \
  "local app = dewar.app { config = { TESTING = true, SECRET_KEY = 'k' } }\n"  \
  "local inner = dewar.app { config = { TESTING = true, SECRET_KEY = 'i' } "   \
  "}\n"                                                                        \
  "app:get('/', function() return 'outer' end)\n"                              \
  "inner:get('/', { endpoint = 'home' }, function(req)\n"                      \
  "  req.session.n = (req.session.n or 0) + 1\n"                               \
  "  return dewar.url_for('home', { _external = true })\n"                     \
  "end)\n"

#define AFTER "return app\n"

static const char mounting[] =
    BEFORE "app:mount('/a b', inner)\n"
           "app:mount('/c', inner, { host = { 'x.example', '.y.example' } })\n"
           "assert(not pcall(app.mount, app, '/a b', inner))\n"
           "assert(not pcall(inner.mount, inner, '/', app))\n" AFTER;

static const char asking[] = BEFORE
    "inner:use { response = function(_, res) res.headers.x = 'i' end }\n"
    "app:use { request = function(req) req.session.o = 1 end,\n"
    "  response = function(req) assert(req.session.o == 1) end }\n"
    "local deep = dewar.app()\n"
    "deep:get('/', function() return 'deep' end)\n"
    "inner:mount('/deep', deep)\n"
    "app:mount('/admin', inner)\n"
    "local client <close> = app:test_client()\n"
    "assert(client:get('/').body == 'outer')\n"
    "assert(client:get('/admin?x=1').headers.location == '/admin/?x=1')\n"
    "assert(client:get('/admin/').body == 'http://localhost/admin/')\n"
    "assert(client:get('/admin/deep/').body == 'deep')\n" AFTER;

static const char living[] =
    BEFORE "inner:before_serving(function() dewar.sleep(0) end)\n"
           "inner:while_serving(function(serve) serve() end)\n"
           "app:mount('/admin', inner)\n"
           "local client <close> = app:test_client { lifespan = true }\n"
           "assert(client:get('/').body == 'outer')\n" AFTER;

/* Every allocation from where both apps are there. */
static void live_with_every_failure(const char *script) {
  size_t from = host_live(&h, BEFORE AFTER, 0, false);
  size_t to = host_live(&h, script, 0, false);
  CHECK(to > from);
  for (size_t n = from - 8; n <= to + 8; n++) host_live(&h, script, n, false);
  for (size_t n = from - 8; n <= to + 8; n += 7) host_live(&h, script, n, true);
}

TEST(mounting_survives_every_failure) { live_with_every_failure(mounting); }

TEST(requests_of_mounted_apps_survive_every_failure) {
  live_with_every_failure(asking);
}

TEST(lives_of_mounted_apps_survive_every_failure) {
  live_with_every_failure(living);
}
