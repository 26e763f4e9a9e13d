-- SPDX-License-Identifier: MIT
-- BENCH_ROUTES routes with two typed parameters each.
local dewar = require "dewar"

local app = dewar.app()

local function view(_, id, name)
  return id .. " " .. name
end

for i = 1, tonumber(os.getenv "BENCH_ROUTES" or 1000) do
  app:get(("/r%d/users/<int:id>/posts/<string:name>"):format(i), view)
end

return app
