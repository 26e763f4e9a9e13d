-- SPDX-License-Identifier: MIT
-- A plain view between BENCH_HOOKS hooks, "BEFORE,AFTER,TEARDOWN,KIND": they
-- are plain functions, or wait on a bare yield.
local dewar = require "dewar"

local kinds = {
  plain = {
    before = function() end,
    after = function(_, res) return res end,
    teardown = function() end,
  },
  waiting = {
    before = function() coroutine.yield() end,
    after = function(_, res)
      coroutine.yield()
      return res
    end,
    teardown = function() coroutine.yield() end,
  },
}

local app = dewar.app()
local before, after, teardown, kind =
  (os.getenv "BENCH_HOOKS" or "3,3,1,plain"):match "^(%d+),(%d+),(%d+),(%a+)$"
local hooks = kinds[kind]

for _ = 1, tonumber(before) do app:before_request(hooks.before) end
for _ = 1, tonumber(after) do app:after_request(hooks.after) end
for _ = 1, tonumber(teardown) do app:teardown_request(hooks.teardown) end

app:get("/plaintext", function()
  return "Hello, World!"
end)

return app
