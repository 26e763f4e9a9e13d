-- dewar.luv: luv (Debian: lua-luv) on Dewar's loop.
local dewar = require "dewar"
local clean = require "spec.support.clean"
local process = require "spec.support.process"
local uv = require "luv"

-- The records of the log that fn makes.
local function logged(fn)
  local records, sink = {}, dewar.log.sink
  dewar.log.sink = function(level, text) records[#records + 1] = level .. ": " .. text end
  local ok, err = pcall(fn)
  dewar.log.sink = sink
  assert(ok, err)
  return records
end

local function open_handles()
  local found = 0
  uv.walk(function() found = found + 1 end)
  return found
end

-- Waits by a new timer of luv's.
local function nap(ms)
  local timer <close> = uv.new_timer()
  return dewar.await_callback(function(done) timer:start(ms, 0, done) end)
end

-- Runs a script with a lua5.4 of its own: its exit code, and what it wrote.
local function run(script)
  local code, out, err = process.run { "lua5.4", "-e", script }
  process.stop_all()
  return code, out, err
end

describe("luv", function()
  clean.watch(before_each, after_each)

  after_each(function()
    dewar.sleep(0)
    dewar.sleep(0) -- what was closed has its callback
    assert.are.equal(0, open_handles())
  end)

  it("is one module by either name", function()
    assert.are.equal(uv, require "dewar.luv")
    package.loaded["dewar.luv"], package.loaded.luv = nil, nil
    assert.are.equal(uv, require "luv")
    assert.are.equal(uv, require "dewar.luv")
  end)

  it("has timers that a task can wait for, while others run", function()
    local order = {}
    dewar.gather(function()
      nap(20)
      order[#order + 1] = "luv"
    end, function()
      dewar.sleep(0.001)
      order[#order + 1] = "dewar"
    end)
    assert.are.same({ "dewar", "luv" }, order)
  end)

  it("has timers that can be waited for outside of tasks", function()
    assert.are.equal(0, select("#", nap(1)))
  end)

  it("calls back outside of any task", function()
    local timer <close> = uv.new_timer()
    local task, records
    records = logged(function()
      timer:start(0, 0, function()
        task = dewar.spawn(function() dewar.sleep(0.001) return "spawned" end)
        dewar.sleep(1)
      end)
      while not task do dewar.yield() end
    end)
    assert.are.equal("spawned", dewar.await(task))
    assert.are.equal(1, #records)
    assert.is_truthy(records[1]:find("cannot wait inside a loop callback that is no task", 1, true))
  end)

  it("logs the error of a callback with its traceback, and goes on", function()
    local records = logged(function()
      local timer <close> = uv.new_timer()
      local calls = 0
      dewar.await_callback(function(done)
        timer:start(0, 1, function()
          calls = calls + 1
          if calls == 3 then done() end
          error(calls == 1 and "wrong" or { "no text" })
        end)
      end)
    end)
    assert.are.equal(3, #records)
    assert.is_truthy(records[1]:find "^error: error in a callback of luv: .*luv_spec.lua:%d+: wrong")
    assert.is_truthy(records[1]:find "stack traceback:.*luv_spec.lua")
  end)

  it("reads files", function()
    local function await(f, ...)
      local args = table.pack(...)
      return dewar.await_callback(function(done)
        args[args.n + 1] = done
        assert(f(table.unpack(args, 1, args.n + 1)))
      end, { error_first = true })
    end
    local fd = await(uv.fs_open, "spec/bindings/luv_spec.lua", "r", 438)
    assert.are.equal("-- dewar.luv", await(uv.fs_read, fd, 12, 0))
    await(uv.fs_close, fd)
    local folder, seen = await(uv.fs_scandir, "spec/bindings"), {}
    for name in uv.fs_scandir_next, folder do seen[name] = true end
    assert.is_true(seen["luv_spec.lua"])
    local _, err = pcall(await, uv.fs_stat, "/nowhere")
    assert.are.equal("ENOENT", err.code)
    assert.are.equal("ENOENT: no such file or directory: /nowhere", err.message)
  end)

  it("speaks TCP beside an app", function()
    local server <close> = uv.new_tcp()
    server:bind("127.0.0.1", 0)
    server:listen(8, function()
      local peer = uv.new_tcp()
      server:accept(peer)
      peer:read_start(function(_, data)
        if data then return peer:write(data:upper()) end
        peer:close()
      end)
    end)
    local app = dewar.app()
    app:get("/shout/<word>", function(_, word)
      local socket <close> = uv.new_tcp()
      local with = { error_first = true, timeout = 10 }
      dewar.await_callback(function(done)
        socket:connect("127.0.0.1", server:getsockname().port, done)
      end, with)
      socket:write(word)
      return (dewar.await_callback(function(done) socket:read_start(done) end, with))
    end)
    local client <close> = app:test_client()
    local one, two = dewar.gather(
      function() return client:get("/shout/one").body end,
      function() return client:get("/shout/two").body end)
    assert.are.equal("ONE TWO", one .. " " .. two)
    while open_handles() > 1 do dewar.yield() end
  end)

  it("runs programs", function()
    local out <close> = uv.new_pipe()
    local child
    local status = dewar.await_callback(function(done)
      child = assert(uv.spawn("sh", { args = { "-c", "echo hello; exit 3" }, stdio = { nil, out } }, done))
    end, { timeout = 20 })
    child:close()
    local text = dewar.await_callback(function(done) out:read_start(done) end, { error_first = true })
    assert.are.equal(3, status)
    assert.are.equal("hello\n", text)
  end)

  it("computes in the pool", function()
    local work
    assert.are.equal(42, dewar.await_callback(function(done)
      work = uv.new_work(function(n) return n * 2 end, done)
      work:queue(21)
    end))
  end)

  it("suits libraries that resume coroutines", function()
    local function sleep(ms) -- as such a library would have it
      local thread, timer = coroutine.running(), uv.new_timer()
      timer:start(ms, 0, function()
        timer:close()
        assert(coroutine.resume(thread, "slept"))
      end)
      return coroutine.yield()
    end
    local function await(f, ...)
      local args = table.pack(...)
      return dewar.await_callback(function(done)
        coroutine.wrap(function() done(f(table.unpack(args, 1, args.n))) end)()
      end)
    end
    assert.are.equal("slept", await(sleep, 1))
    assert.are.equal("slept", dewar.run(await, sleep, 1))
  end)

  it("closes handles that are to-be-closed variables", function()
    local kept
    do
      local timer <close> = uv.new_timer()
      kept = timer
      assert.are.equal(1, open_handles())
    end
    assert.is_true(kept:is_closing())
    do
      local closed <close> = uv.new_timer()
      closed:close()
    end
  end)

  it("shows its own handles alone to uv.walk, where they can be closed", function()
    local timer, idle = uv.new_timer(), uv.new_idle()
    local seen = {}
    uv.walk(function(handle)
      seen[handle] = true
      handle:close()
    end)
    assert.are.same({ [timer] = true, [idle] = true }, seen)
    assert.is_false((pcall(uv.walk, function() error "stop" end)))
    assert.is_false((pcall(uv.walk, "no function")))
  end)

  it("turns the loop by uv.run, outside of it", function()
    local timer <close> = uv.new_timer()
    local calls, slept = 0, false
    timer:start(0, 1, function()
      calls = calls + 1
      if calls == 3 then uv.stop() end
    end)
    assert.is_true(uv.run())
    assert.are.equal(3, calls)
    dewar.spawn(function() dewar.sleep(0.001) slept = true end)
    timer:stop()
    assert.is_false(uv.run())
    assert.is_true(slept)
    assert.is_false(uv.run "nowait")
    timer:start(1, 0, function() calls = "done" end)
    while calls ~= "done" do assert.is_boolean(uv.run "once") end
    assert.is_false((pcall(uv.run, "twice")))
  end)

  it("refuses uv.run where the loop is turning", function()
    local ok, err = pcall(dewar.run, function() uv.run() end)
    assert.is_false(ok)
    assert.is_truthy(err:find "^spec/bindings/luv_spec.lua:%d+: uv.run: the loop is Dewar's")
    local records = logged(function()
      local timer <close> = uv.new_timer()
      dewar.await_callback(function(done)
        timer:start(0, 0, function() done() uv.run() end)
      end)
    end)
    assert.is_truthy(records[1]:find("uv.run: the loop is Dewar's", 1, true))
  end)

  it("can't close the loop", function()
    assert.is_nil((uv.loop_close()))
    assert.are.equal(0, select("#", nap(0)))
  end)

  it("leaves nothing of a request that was cancelled", function()
    local app = dewar.app()
    app:get("/", function()
      local timer <close> = uv.new_timer()
      return (dewar.await_callback(function(done) timer:start(60000, 0, done) end))
    end)
    local client <close> = app:test_client()
    assert.is_false((pcall(dewar.timeout, 0.01, client.get, client, "/")))
    dewar.sleep(0.01)
    assert.are.equal(0, open_handles())
  end)

  it("gives its memory back", function()
    clean.keeps_memory(function()
      nap(0)
      local _ <close> = uv.new_tcp()
      pcall(dewar.await_callback, function(done) uv.fs_stat("/nowhere", done) end, { error_first = true })
    end)
  end)
end)

describe("luv in a script", function()
  after_each(process.stop_all)

  it("ends with it, whatever it was about to do", function()
    local code, out, err = run [[
      require "dewar"
      local uv = require "luv"
      local timer, closing = uv.new_timer(), uv.new_timer()
      timer:start(60000, 1, print)
      closing:close(function() print "closed" end)
      local server = uv.new_tcp()
      server:bind("127.0.0.1", 0)
      server:listen(8, print)
      local socket = uv.new_tcp()
      socket:connect("127.0.0.1", server:getsockname().port, function(e) print("connect", e) end)
      uv.fs_stat("/", function(_, stat) print("stat", stat ~= nil) end)
      uv.fs_scandir("/", function() print "scandir" end)
      uv.getaddrinfo("127.0.0.1", nil, nil, function() print "getaddrinfo" end)
      work = uv.new_work(function() return 1 end, function(n) print("work", n) end)
      work:queue()
    ]]
    assert.are.equal("", err)
    assert.are.equal(0, code)
    for _, word in ipairs { "closed", "connect", "stat", "scandir", "getaddrinfo", "work" } do
      assert.is_truthy(out:find(word, 1, true), word)
    end
  end)

  it("ends when the first of its objects is collected", function()
    local code, out, err = run [[
      local dewar = require "dewar"
      local uv = require "luv"
      uv.new_timer():start(60000, 0, print)
      dewar.sleep(0)
      local late = uv.new_timer()
      setmetatable({}, { __gc = function() print(uv.now() > 0, late:is_closing()) end })
      late:close(function() print "closed" end)
    ]]
    assert.are.equal("", err)
    assert.are.equal(0, code)
    assert.are.equal("true\ttrue\nclosed\n", out)
  end)

  it("must not have been loaded before Dewar", function()
    local code, _, err = run [[
      local uv = require "luv"
      require "dewar"
      assert(require "luv" == uv)
      require "dewar.luv"
    ]]
    assert.are.equal(1, code)
    assert.is_truthy(err:find('luv was loaded before Dewar', 1, true), err)
  end)

  it("is a clear error where it isn't installed", function()
    local code, _, err = run [[
      require "dewar"
      package.cpath = "/nowhere/?.so"
      require "luv"
    ]]
    assert.are.equal(1, code)
    assert.is_truthy(err:find("dewar.luv needs luv, which isn't here (Debian: lua-luv)", 1, true), err)
  end)

  it("is what the host has made of it, where that was first", function()
    local code, out = run [[
      package.preload.luv = function() return "the host's" end
      require "dewar"
      print((require "luv"))
    ]]
    assert.are.equal(0, code)
    assert.are.equal("the host's\n", out)
  end)
end)

describe("luv under the command", function()
  local folder

  before_each(function() folder = process.folder() end)
  after_each(function()
    process.stop_all()
    os.execute("rm -r " .. folder)
  end)

  local function write(text) return process.write(folder .. "/app.lua", text) end

  it("stops at once, though its handles are open", function()
    local server = process.serve(write [[
      local dewar = require "dewar"
      local uv = require "luv"
      local app = dewar.app()
      uv.new_timer():start(1, 1, function() end)
      app:get("/", function()
        local timer <close> = uv.new_timer()
        return dewar.await_callback(function(done) timer:start(5, 0, function() done "rested" end) end)
      end)
      return app
    ]])
    assert.are.equal("rested", (process.get(server.url)))
    server:signal "TERM"
    assert.are.equal(0, server:wait())
  end)

  it("ends even if its callbacks open more and more", function()
    local code, out, err = process.run { process.dewar(), "routes", write [[
      local uv = require "luv"
      local function again() uv.new_timer():close(again) end
      again()
      return require "dewar".app()
    ]] }
    assert.are.equal("", err)
    assert.are.equal(0, code)
    assert.is_truthy(out:find "/static" or out:find "no routes")
  end)
end)
