-- SPDX-License-Identifier: MIT
-- A tree of tasks: each spawns the next and awaits it, down to a depth.
local dewar = require "dewar"

local app = dewar.app()

local function descend(depth)
  if depth == 0 then return 0 end
  return 1 + dewar.await(dewar.spawn(descend, depth - 1))
end

app:get("/tree/<int:depth>", function(_, depth)
  return "depth " .. descend(depth)
end)

return app
