-- What the apps of the chaos spec have in common: hooks that wait and fail where a
-- request's X-Slow and X-Fail say so, and that count what begins and ends.

local dewar = require "dewar"
local pattern = require "spec.chaos.pattern"
local tree = require "spec.support.tree"

local common = { random = tree.randoms(tonumber(os.getenv "CHAOS_SEED") or 1) }

local random = common.random

--- Waits, or not.
function common.pause()
  local what = random(4)
  if what == 1 then dewar.sleep(random(5) / 1000) elseif what == 2 then dewar.yield() end
end

local pause = common.pause

--- Raises what may be found in the log.
function common.chaos(what) error("chaos: " .. what, 0) end

local chaos = common.chaos

local counts = { began = 0, ended = 0, cancelled = 0, opened = 0, closed = 0 }
common.counts = counts

local Closing = { __close = function() counts.closed = counts.closed + 1 end }

--- A thing to be closed in whatever way its block ends.
function common.opened()
  local thing = setmetatable({}, Closing)
  counts.opened = counts.opened + 1
  return thing
end

local function is_counted(req) return req.path ~= "/state" end

--- Middleware of the app that is served: it sees each request once.
common.middleware = {
  request = function(req)
    if is_counted(req) then counts.began = counts.began + 1 end
    if req.headers.x_fail == "request" then chaos "request" end
  end,
  response = function(req)
    if req.headers.x_fail == "response" then chaos "response" end
  end,
}

--- The hooks of every app.
function common.hooks(app)
  app:before_request(function(req)
    if req.headers.x_slow then pause() end
    if req.headers.x_fail == "before" then chaos "before" end
    if req.headers.x_fail == "short" then return pattern.bytes(1, 10) end
  end)

  app:after_request(function(req, res)
    if req.headers.x_slow then pause() end
    if req.headers.x_fail == "after" then chaos "after" end
    return res
  end)

  app:teardown_request(function(req, err)
    if not is_counted(req) then return end
    counts.ended = counts.ended + 1
    if dewar.is_cancelled(err) then counts.cancelled = counts.cancelled + 1 end
    local world = req.g.world
    if world and world:wrong() then dewar.log.error("a tree: " .. world:wrong()) end
    if req.headers.x_slow then pause() end
    if req.headers.x_fail == "teardown" then chaos "teardown" end
  end)
end

return common
