-- Views of another kind: functions for cqueues (Debian: lua-cqueues), which has
-- a loop of its own. An app that overrides ensure_sync decides how every view,
-- hook and error handler is called.
--
--   dewar run examples/async/with_cqueues.lua
--   curl http://127.0.0.1:5000/nap

local cqueues = require "cqueues"
local condition = require "cqueues.condition"
local dewar = require "dewar"

local app = dewar.app()

-- Functions that are to run in a controller of cqueues.
local marked = setmetatable({}, { __mode = "k" })

local function in_cqueues(f)
  marked[f] = true
  return f
end

--- Runs f in a controller to its end. While that waits, so does this task, for
--- what the controller waits for; Dewar's loop goes on.
local function run(f, ...)
  local args, results = table.pack(...), nil
  local controller = cqueues.new()
  local _ <close> = setmetatable({}, { __close = function() controller:close() end })
  controller:wrap(function()
    results = table.pack(f(table.unpack(args, 1, args.n)))
  end)
  repeat
    local ok, err = controller:step(0)
    if not ok then error(err, 0) end
    if not controller:empty() then
      local timeout = controller:timeout()
      local waited, why = pcall(dewar.poll, controller:pollfd(), "r", timeout)
      if not waited and not dewar.TimeoutError:is(why) then error(why, 0) end
    end
  until controller:empty()
  return table.unpack(results, 1, results.n)
end

function app:ensure_sync(f)
  if not marked[f] then return dewar.App.ensure_sync(self, f) end
  return function(...) return run(f, ...) end
end

app:get("/nap", in_cqueues(function()
  cqueues.sleep(0.05)
  return { slept = "in cqueues" }
end))

-- Two coroutines of one controller, one of which waits for the other.
app:get("/relay", in_cqueues(function(req)
  local handed_over, baton = condition.new(), nil
  local inner = cqueues.running()
  inner:wrap(function()
    cqueues.sleep(0.02)
    baton = req.args.baton or "stick"
    handed_over:signal()
  end)
  handed_over:wait()
  return { baton = baton }
end))

-- Those that aren't marked are Dewar's, as ever.
app:get("/plain", function()
  dewar.sleep(0.01)
  return { slept = "in dewar" }
end)

app:errorhandler(404, in_cqueues(function(_, err)
  cqueues.sleep(0.01)
  return { error = err.message }, 404
end))

return app
