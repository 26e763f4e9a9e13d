-- examples/cqueues: views of another kind, and another loop beside ours.
local cqueues = require "cqueues"
local dewar = require "dewar"
local lfs = require "lfs"
local clean = require "spec.support.clean"
local example = require "spec.support.example"
local process = require "spec.support.process"

local function descriptors()
  local n = 0
  for _ in lfs.dir "/proc/self/fd" do n = n + 1 end
  return n
end

clean.watch(before_each, after_each)

describe("views in cqueues", function()
  local app, client

  before_each(function()
    app = example.load "cqueues/app.lua"
    client = app:test_client { lifespan = true }
  end)
  after_each(function() client:close() end)

  it("sleep there, while Dewar serves others", function()
    local order = {}
    local function get(path)
      return function()
        local res = client:get(path)
        order[#order + 1] = path
        return res:json().slept
      end
    end
    local nap, plain = dewar.gather(get "/nap", get "/plain")
    assert.are.equal("in cqueues", nap)
    assert.are.equal("in dewar", plain)
    assert.are.same({ "/plain", "/nap" }, order)
  end)

  it("wait for each other", function()
    assert.are.same({ baton = "torch" }, client:get("/relay?baton=torch"):json())
  end)

  it("may be error handlers, too", function()
    local res = client:get("/nowhere")
    assert.are.equal(404, res.status)
    assert.are.equal("string", type(res:json().error))
  end)

  it("use sockets, many at once", function()
    local jobs = {}
    for i = 1, 8 do
      jobs[i] = function() return client:get("/whisper/word" .. i):json().heard end
    end
    for i, heard in ipairs(dewar.gather(jobs)) do assert.are.equal("WORD" .. i, heard) end
  end)

  it("are cancelled where they wait", function()
    local ok, err = pcall(dewar.timeout, 0.01, client.get, client, "/nap")
    assert.is_false(ok)
    assert.is_true(dewar.TimeoutError:is(err))
    assert.are.equal("in cqueues", client:get("/nap"):json().slept)
  end)
end)

describe("a server of cqueues' beside an app", function()
  local client

  before_each(function() client = example.load("cqueues/app.lua"):test_client { lifespan = true } end)
  after_each(function() client:close() end)

  it("serves views while those wait", function()
    assert.are.equal("HELLO", client:get("/shout/hello").body)
    local one, two = dewar.gather(
      function() return client:get("/shout/one").body end,
      function() return client:get("/whisper/two"):json().heard end)
    assert.are.equal("ONE TWO", one .. " " .. two)
  end)

  it("leaves no descriptor open, request by request", function()
    client:get "/shout/hello"
    client:get "/whisper/hello"
    collectgarbage()
    local before = descriptors()
    for _ = 1, 5 do
      client:get "/shout/hello"
      client:get "/whisper/hello"
      pcall(dewar.timeout, 0.005, client.get, client, "/nap")
    end
    dewar.sleep(0.02)
    collectgarbage()
    collectgarbage()
    assert.is_true(descriptors() <= before)
  end)

  it("is served by the command, too, and stops", function()
    finally(process.stop_all)
    local server = process.serve "examples/cqueues/app.lua"
    assert.are.equal("HELLO", (process.get(server.url .. "/shout/hello")))
    assert.are.equal('{"slept":"in cqueues"}\n', (process.get(server.url .. "/nap")))
    server:signal "TERM"
    assert.are.equal(0, server:wait())
  end)
end)

describe("the bridge", function()
  local bridge

  before_each(function() bridge = assert(loadfile "examples/cqueues/bridge.lua")() end)

  it("gives all arguments and results, outside of tasks, too", function()
    local function swap(a, b, c)
      cqueues.sleep(0.001)
      return c, b, a, nil
    end
    assert.are.same({ n = 4, 3, nil, 1, nil }, table.pack(bridge.run(swap, 1, nil, 3)))
    assert.are.same({ n = 4, 3, nil, 1, nil }, table.pack(dewar.run(bridge.run, swap, 1, nil, 3)))
  end)

  it("raises what is raised", function()
    local err = {}
    local ok, raised = pcall(bridge.run, function()
      cqueues.sleep(0.001)
      error(err)
    end)
    assert.is_false(ok)
    assert.are.equal(err, raised)
  end)

  it("waits for nothing longer than it must", function()
    local order = {}
    dewar.gather(function()
      bridge.run(function() cqueues.sleep(0.03) end)
      order[#order + 1] = "long"
    end, function()
      bridge.run(function() cqueues.sleep(0.001) end)
      order[#order + 1] = "short"
    end, function()
      bridge.run(function() end)
      order[#order + 1] = "none"
    end)
    assert.are.same({ "none", "short", "long" }, order)
  end)

  it("closes the variables of what is cancelled", function()
    local closed = 0
    local task = dewar.spawn(bridge.run, function()
      local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
      cqueues.sleep(10)
    end)
    dewar.sleep(0.001)
    task:cancel()
    assert.is_false((pcall(dewar.await, task)))
    assert.are.equal("cancelled", task.status)
    assert.are.equal(1, closed)
  end)

  it("knows the request that a view is called for", function()
    local app = dewar.app()
    function app:ensure_sync(f)
      return function(...) return bridge.run(dewar.App.ensure_sync(self, f), ...) end
    end
    app:get("/<name>", function()
      cqueues.sleep(0.001)
      return dewar.request.path
    end)
    local client <close> = app:test_client()
    local one, two = dewar.gather(
      function() return client:get("/one").body end,
      function() return client:get("/two").body end)
    assert.are.equal("/one/two", one .. two)
  end)

  it("refuses a wait of Dewar's inside of cqueues, by name", function()
    local ok, err = pcall(dewar.run, bridge.run, function() dewar.sleep(1) end)
    assert.is_false(ok)
    assert.is_truthy(err:find("cannot wait in this coroutine: what resumed it doesn't know Dewar", 1, true))
  end)

  it("logs what fails in a controller that goes on", function()
    local records, sink = {}, dewar.log.sink
    dewar.log.sink = function(_, text) records[#records + 1] = text end
    finally(function() dewar.log.sink = sink end)
    local controller = cqueues.new()
    local task = dewar.spawn(bridge.drive, controller)
    dewar.yield()
    controller:wrap(function() error "wrong" end)
    local result = dewar.run(bridge.call, controller, function()
      cqueues.sleep(0.001)
      return "goes on"
    end)
    assert.are.equal("goes on", result)
    local ok, err = pcall(bridge.call, controller, function() error({ code = "E" }) end)
    assert.is_false(ok)
    assert.are.equal("E", err.code)
    task:cancel()
    assert.is_false((pcall(dewar.await, task)))
    assert.are.equal(1, #records)
    assert.is_truthy(records[1]:find "^error in cqueues: .*cqueues_spec.lua:%d+: wrong.*stack traceback:")
  end)

  it("ends the calls that wait where the controller is driven no more", function()
    local controller = cqueues.new()
    local driver = dewar.spawn(bridge.drive, controller)
    dewar.sleep(0.005)
    assert.has_error(function() bridge.drive(controller) end, "somebody drives this controller already")
    local call = dewar.spawn(bridge.call, controller, function() cqueues.sleep(100) end)
    dewar.sleep(0.005)
    driver:cancel()
    local ok, err = pcall(dewar.await, call, 5)
    assert.is_false(ok)
    assert.are.equal("the controller is driven no more", err)
  end)

  it("gives its memory back", function()
    clean.keeps_memory(function() bridge.run(cqueues.sleep, 0) end)
  end)
end)
