-- dewar.tasks: what every live task is doing, and the tree of it.
local dewar = require "dewar"
local clean = require "spec.support.clean"

local FILE = debug.getinfo(1, "S").short_src

local function line() return debug.getinfo(2, "l").currentline end
local function at(number) return FILE .. ":" .. number end

--- The tasks that are not there without `fn`'s: what it returns is cancelled.
local function during(fn, look)
  local before = {}
  for _, task in ipairs(dewar.tasks()) do before[task.id] = true end
  local started <close> = dewar.spawn(fn)
  for _ = 1, 5 do dewar.yield() end
  local all = dewar.tasks()
  local list = {}
  for _, task in ipairs(all) do
    if not before[task.id] then list[#list + 1] = task end
  end
  look(list, started)
end

describe("the list of tasks", function()
  clean.watch(before_each, after_each)

  it("says of each what it is, what it waits for, where, and since when", function()
    local defined, waits
    local start = dewar.now()
    during(function() defined = line()
      waits = line() dewar.sleep(9)
    end, function(list, task)
      assert.are.equal(1, #list)
      local one = list[1]
      assert.are.equal(task.id, one.id)
      assert.are.equal(at(defined), one.name)
      assert.are.equal(at(defined), task.name)
      assert.are.equal("running", one.status)
      assert.are.equal("sleep", one.wait)
      assert.are.equal(at(waits), one.where)
      assert.matches("^stack traceback:\n.*in function 'sleep'\n\t" .. at(waits):gsub("%p", "%%%0"), one.traceback)
      assert.is_true(one.since >= start - 0.01 and one.since <= dewar.now(), one.since)
      assert.is_nil(one.parent)
      assert.is_nil(one.request)
      assert.is_nil(one.background)
      assert.is_nil(one.cancelled)
    end)
  end)

  it("finds the line of the app that waits, not that of Dewar", function()
    local server <close> = dewar.tcp.listen("127.0.0.1", 0)
    local client <close> = dewar.tcp.connect("127.0.0.1", server.port)
    local waits
    during(function()
      waits = line() client:read_line()
    end, function(list)
      assert.are.equal("socket read", list[1].wait)
      assert.are.equal(at(waits), list[1].where)
    end)
  end)

  it("finds the wait through nested coroutines, however they are resumed", function()
    local deep
    local function sleep() deep = line() dewar.sleep(9) end
    during(function()
      local generator = coroutine.wrap(function()
        assert(coroutine.resume(coroutine.create(function()
          dewar.await(coroutine.create(function()
            coroutine.yield(coroutine.create(function() pcall(sleep) end))
          end))
        end)))
      end)
      generator()
    end, function(list)
      assert.are.equal(at(deep), list[1].where)
      local _, links = list[1].traceback:gsub("%(a coroutine resumed by%)", "")
      assert.are.equal(4, links)
      assert.are.equal("sleep", list[1].wait)
    end)
  end)

  it("names each wait", function()
    local queue, full, lock, semaphore = dewar.queue(), dewar.queue(1), dewar.lock(), dewar.semaphore(2)
    full:put(1) lock:acquire() semaphore:acquire() semaphore:acquire()
    local event = dewar.event()
    local waits = {
      ["sleep"] = function() dewar.sleep(9) end,
      ["yield"] = function() while true do dewar.yield() end end,
      ["queue get"] = function() queue:get() end,
      ["queue put"] = function() full:put(2) end,
      ["event"] = function() event:wait(9) end,
      ["lock"] = function() lock:with(print) end,
      ["semaphore"] = function() semaphore:acquire() end,
      ["await"] = function() dewar.await(dewar.spawn(dewar.sleep, 9)) end,
      ["gather"] = function() dewar.gather(function() dewar.sleep(9) end) end,
      ["race"] = function() dewar.race(function() dewar.sleep(9) end) end,
      ["scope"] = function() dewar.scope(function(scope) scope:spawn(dewar.sleep, 9) end) end,
      ["end of its tasks"] = function() dewar.spawn(dewar.shield, event.wait, event) dewar.yield() end,
    }
    for name, fn in pairs(waits) do
      during(fn, function(list)
        assert.are.equal(name, list[1].wait)
        assert.are.equal(name ~= "end of its tasks" and FILE or nil, list[1].where and list[1].where:match "^(.*):%d+$")
        event:set()
      end)
      event:clear()
    end
  end)

  it("calls a function of C by its name, and a task by the one it was given", function()
    local task
    during(function()
      task = dewar.spawn(dewar.sleep, 9)
      dewar.sleep(9)
    end, function(list)
      assert.are.equal("dewar.sleep", list[2].name)
      task.name = "the sleeper"
      assert.are.equal("the sleeper", task.name)
      for _, one in ipairs(dewar.tasks()) do
        if one.id == task.id then assert.are.equal("the sleeper", one.name) end
      end
    end)
    assert.are.equal("the sleeper", task.name)
  end)

  it("has those that have not started, those that are to end, and the one that asks", function()
    local asked
    during(function()
      dewar.spawn(function() dewar.sleep(9) end):cancel()
      asked = dewar.tasks()
      dewar.sleep(9)
    end, function() end)
    local here, pending = asked[#asked - 1], asked[#asked]
    assert.are.equal("running", here.status)
    assert.is_nil(here.wait)
    assert.are.equal("pending", pending.status)
    assert.is_nil(pending.wait)
    assert.is_nil(pending.where)
    assert.matches("^" .. FILE:gsub("%p", "%%%0") .. ":%d+$", pending.name)
    assert.is_true(pending.cancelled)
    assert.are.equal(here.id, pending.parent)
  end)

  it("tells where the one that asks stands, in a generator", function()
    local list, where
    dewar.run(function()
      coroutine.wrap(function() where = line() list = dewar.tasks() end)()
    end)
    local here = list[#list]
    assert.matches(at(where):gsub("%p", "%%%0") .. ":", here.traceback)
    assert.matches("a coroutine resumed by", here.traceback)
  end)

  it("says for which request a task works, and which are in the background", function()
    local app = dewar.app()
    local go = dewar.event()
    app:get("/slow/<name>", function()
      dewar.spawn(function() go:wait() end)
      app:add_background_task(function() go:wait() end)
      go:wait()
      return "done"
    end)
    local client <close> = app:test_client()
    during(function() client:get("/slow/down?a=b") end, function(list)
      local seen = {}
      for _, task in ipairs(list) do
        seen[#seen + 1] = (task.request or "-") .. (task.background and " background" or "")
          .. (task.parent and " child" or "") .. " " .. task.wait
      end
      table.sort(seen)
      assert.are.same({ "- background event", "- test client", "GET /slow/down child event",
        "GET /slow/down event" }, seen)
      go:set()
    end)
    dewar.yield()
  end)

  it("goes by the generator of a body that is streamed", function()
    local app, defined = dewar.app(), nil
    app:get("/", function()
      defined = line() + 1
      return coroutine.wrap(function()
        coroutine.yield "x"
        dewar.sleep(9)
      end)
    end)
    local client <close> = app:test_client()
    during(function()
      local part <close> = client:get("/", { stream = true })
      part:chunks()()
      dewar.sleep(9)
    end, function(list)
      for _, task in ipairs(list) do
        if task.request then assert.are.equal(at(defined), task.name) end
      end
      assert.are.equal(2, #list)
    end)
  end)

  it("reads as a tree", function()
    during(function()
      dewar.scope(function(scope)
        scope:spawn(function() dewar.await(dewar.spawn(dewar.sleep, 9)) end).name = "inner"
      end)
    end, function(list, task)
      local text = tostring(setmetatable(list, getmetatable(dewar.tasks())))
      local id = task.id
      assert.matches(("^3 tasks\n  #%d [^\n]+ waits %%d+%%.%%d+ s: scope at [^\n]+tasks_spec.lua:%%d+\n"
        .. "    #%d inner waits [^\n]+: await at [^\n]+\n"
        .. "      #%d dewar.sleep waits [^\n]+: sleep$"):format(id, id + 1, id + 2), text)
    end)
    assert.are.equal("0 tasks", tostring(setmetatable({}, getmetatable(dewar.tasks()))))
  end)

  it("can be answered as JSON, also in deep trees", function()
    local function nest(depth)
      if depth > 0 then dewar.await(dewar.spawn(nest, depth - 1)) else dewar.sleep(9) end
    end
    during(function() nest(300) end, function()
      for _ = 1, 310 do dewar.yield() end
      local list = dewar.tasks()
      assert.are.equal(#list, #dewar.json.decode(dewar.json.encode(list)))
      assert.is_true(#list > 300)
      assert.matches("^%d+ tasks\n", tostring(list))
    end)
  end)

  it("keeps no memory", function()
    during(function() dewar.scope(function(scope) scope:spawn(dewar.sleep, 9) end) end, function()
      clean.keeps_memory(function() tostring(dewar.tasks()) end)
    end)
  end)

  it("lets nothing but the name of a task be set", function()
    local task <close> = dewar.spawn(dewar.sleep, 9)
    local ok, err = pcall(function() task.status = "done" end)
    assert.is_false(ok)
    assert.matches("tasks_spec%.lua:%d+: of a task only the name can be set, not 'status'", err)
    ok, err = pcall(function() task.name = 7 end)
    assert.is_false(ok)
    assert.matches("tasks_spec%.lua:%d+: a task's name is a string, not a number", err)
  end)
end)
