-- SPDX-License-Identifier: MIT
-- The views that every server of the benchmark has.
local dewar = require "dewar"

local app = dewar.app()

app:get("/plaintext", function()
  return "Hello, World!"
end)

app:get("/json", function()
  return { message = "Hello, World!" }
end)

app:get("/sleep/<int:ms>", function(_, ms)
  dewar.sleep(ms / 1000)
  return "slept"
end)

app:post("/echo", function(req)
  return req:json()
end)

return app
