-- An app that is mounted in the one of the chaos spec.

local common = require "spec.chaos.common"
local dewar = require "dewar"
local pattern = require "spec.chaos.pattern"
local streams = require "spec.chaos.streams"

local inner = dewar.app { name = "inner", config = { SECRET_KEY = "inner", BODY_TIMEOUT = 3, WRITE_TIMEOUT = 3 } }
common.hooks(inner)

inner:get("/plain/<int:seed>/<int:size>", function(_, seed, size)
  common.pause()
  return pattern.bytes(seed, size)
end)
inner:get("/stream/<int:seed>/<int:size>", function(_, seed, size)
  return common.random(2) == 1 and streams.generator(seed, size) or streams.stream(seed, size)
end)
inner:post("/echo", function(req)
  common.pause()
  return req:body()
end)
inner:get("/session", function(req)
  req.session.n = (req.session.n or 0) + 1
  return tostring(req.session.n)
end)
inner:get("/error", function() common.chaos "inner" end)

return inner
