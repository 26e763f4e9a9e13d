-- examples/luv: waiting for luv, and a service of luv's beside the app.
local dewar = require "dewar"
local uv = require "luv"
local clean = require "spec.support.clean"
local example = require "spec.support.example"
local process = require "spec.support.process"

clean.watch(before_each, after_each)

local function open_handles()
  local open = 0
  uv.walk(function() open = open + 1 end)
  return open
end

describe("the luv example", function()
  local folder, client

  before_each(function()
    local app = example.load "luv/app.lua"
    folder = process.folder()
    app.config.WATCHED = folder
    client = app:test_client { lifespan = true }
  end)

  after_each(function()
    client:close()
    dewar.timeout(20, function()
      while open_handles() > 0 do dewar.sleep(0.001) end
    end)
    os.execute("rm -r " .. folder)
  end)

  it("tells which file has changed", function()
    local changed = dewar.spawn(function() return client:get("/changes"):json().changed end)
    while changed.status ~= "done" do
      process.write(folder .. "/news.txt", "new")
      dewar.sleep(0.01)
    end
    assert.are.equal("news.txt", dewar.await(changed))
  end)

  it("stops watching when the client goes away", function()
    assert.is_false((pcall(dewar.timeout, 0.05, client.get, client, "/changes")))
  end)

  it("counts down while the program does", function()
    local part = client:get("/countdown", { stream = true })
    local pieces = {}
    for piece in part:chunks() do pieces[#pieces + 1] = piece end
    assert.are.equal("3\n2\n1\nlift-off\n", table.concat(pieces))
    assert.is_true(#pieces > 1)
  end)

  it("ends the program of a client that goes away, and reaps it", function()
    local function children()
      local file = assert(io.open("/proc/self/task/" .. io.open("/proc/self/stat"):read "n" .. "/children"))
      local text = file:read "a"
      file:close()
      return text
    end
    local before = children()
    local part = client:get("/countdown", { stream = true })
    part:chunks()()
    part:close()
    local tries = 0
    while children() ~= before and tries < 500 do
      tries = tries + 1
      dewar.sleep(0.01)
    end
    assert.are.equal(before, children())
  end)

  it("asks the service beside it, many times at once", function()
    local jobs = {}
    for i = 1, 10 do jobs[i] = function() return client:get("/daytime").body end end
    for _, text in ipairs(dewar.gather(jobs)) do
      assert.is_truthy(text:find "^%d%d%d%d%-%d%d%-%d%d %d%d:%d%d:%d%d\r\n$")
    end
  end)
end)

describe("the luv example as the command serves it", function()
  after_each(process.stop_all)

  it("serves both, and stops", function()
    local server = process.serve "examples/luv/app.lua"
    assert.is_truthy(process.get(server.url .. "/daytime"):find "^%d%d%d%d%-")
    assert.are.equal("3\n2\n1\nlift-off\n", (process.get(server.url .. "/countdown")))
    server:signal "TERM"
    assert.are.equal(0, server:wait())
  end)
end)
