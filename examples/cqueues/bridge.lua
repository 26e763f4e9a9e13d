--- cqueues (Debian: lua-cqueues) on Dewar's loop. cqueues waits with a
--- descriptor of its own, for which Dewar can wait; so a controller takes a step
--- whenever it has something to do, and nobody blocks. Copy this file.

local cqueues = require "cqueues"
local dewar = require "dewar"

local bridge = {}

-- Of each controller: whether somebody drives it, and who waits for a call in it.
local records = setmetatable({}, { __mode = "k" })

local function record(controller)
  local found = records[controller] or { waiting = {} }
  records[controller] = found
  return found
end

--- Suspends this task until the controller has something to do.
local function await_work(controller)
  local timeout = controller:timeout()
  if timeout == 0 then return dewar.yield() end
  local ok, err = pcall(dewar.poll, controller:pollfd(), "r", timeout)
  if not ok and not dewar.TimeoutError:is(err) then error(err, 0) end
end

--- Calls f as a coroutine of cqueues and returns what that does; the task waits
--- meanwhile. f has a controller of its own, `cqueues.running()`. When the task is
--- cancelled, f's to-be-closed variables are closed.
function bridge.run(f, ...)
  local controller = cqueues.new()
  local thread, results
  local _ <close> = setmetatable({}, {
    __close = function()
      if thread and coroutine.status(thread) == "suspended" then coroutine.close(thread) end
      controller:close()
    end,
  })
  local args = table.pack(...)
  controller:wrap(function()
    thread = coroutine.running()
    results = table.pack(f(table.unpack(args, 1, args.n)))
  end)
  while not controller:empty() do
    local ok, err = controller:step(0)
    if not ok then error(err, 0) end
    if not controller:empty() then await_work(controller) end
  end
  return table.unpack(results, 1, results.n)
end

--- Steps a controller that lives for long, such as one whose coroutines serve
--- connections, until this task is cancelled. What fails in it is logged. Who waits
--- for a call in it then gets an error.
function bridge.drive(controller)
  local driven = record(controller)
  if driven.taken then error("somebody drives this controller already", 2) end
  driven.taken = true
  local _ <close> = setmetatable({}, {
    __close = function()
      controller:close()
      for done in pairs(driven.waiting) do done(false, "the controller is driven no more") end
    end,
  })
  while true do
    local ok, err, _, thread = controller:step(0)
    if not ok then
      local text = tostring(err)
      dewar.log.error("error in cqueues: " .. (thread and debug.traceback(thread, text) or text))
    end
    await_work(controller)
  end
end

--- Calls f as a coroutine of a controller that somebody drives, and waits for what
--- it returns. It isn't this task's: when that is cancelled, f goes on.
function bridge.call(controller, f, ...)
  local args, waiting = table.pack(...), record(controller).waiting
  local results = table.pack(dewar.await_callback(function(done)
    waiting[done] = true
    controller:wrap(function()
      local values = table.pack(pcall(f, table.unpack(args, 1, args.n)))
      waiting[done] = nil
      done(table.unpack(values, 1, values.n))
    end)
  end))
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

return bridge
