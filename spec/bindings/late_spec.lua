-- What a dewar.TimeoutError says: what took too long, and how long it had.
local dewar = require "dewar"
local clean = require "spec.support.clean"

describe("running out of time", function()
  local folder, fifo, server, client

  clean.watch(before_each, after_each)

  before_each(function()
    folder = dewar.fs.mkdtemp()
    fifo = folder .. "/fifo"
    assert(os.execute("mkfifo " .. fifo))
    server = dewar.tcp.listen("127.0.0.1", 0)
    client = dewar.tcp.connect("127.0.0.1", server.port)
  end)

  after_each(function()
    client:close()
    server:close()
    io.open(fifo, "r+"):close() -- lets go who waits for the other side
    dewar.fs.remove(folder, { recursive = true })
  end)

  --- Each case: what is said, and the call. Inside of a task and outside.
  local function check(cases)
    for _, case in ipairs(cases) do
      local expected, f = table.unpack(case)
      for _, run in ipairs { function(g, ...) return g(...) end, dewar.run } do
        local ok, err = run(pcall, f)
        assert.is_false(ok, "in time: " .. expected)
        assert.is_true(dewar.TimeoutError:is(err), tostring(err))
        assert.are.equal(expected, err.message)
      end
    end
  end

  it("says what of a connection was waited for", function()
    local address = "127.0.0.1:" .. server.port
    check {
      { ("read from %s took longer than 0.01 s"):format(address), function() client:read_line(nil, 0.01) end },
      { ("read from %s took longer than 0 s"):format(address), function() client:read(5, 0) end },
      { "accept took longer than 0.01 s", function()
        local idle <close> = dewar.tcp.listen("127.0.0.1", 0)
        idle:accept(0.01)
      end },
    }
  end)

  it("tells the limit of the call, not what was left of it", function()
    local peer <close> = server:accept(1)
    local writer <close> = dewar.spawn(function()
      while true do
        peer:write "x"
        dewar.sleep(0.002)
      end
    end)
    assert.is_truthy(writer)
    local ok, err = pcall(client.read_line, client, nil, 0.05)
    assert.is_false(ok)
    assert.matches("took longer than 0.05 s$", err.message)
  end)

  it("names files, programs and names", function()
    check {
      { ("read %s took longer than 0.01 s"):format(fifo), function() dewar.fs.read(fifo, { timeout = 0.01 }) end },
      { ("open %s took longer than 0.01 s"):format(fifo), function() dewar.fs.open(fifo, "r", { timeout = 0.01 }) end },
      { "stat /tmp took longer than 0 s", function() dewar.fs.stat("/tmp", { timeout = 0 }) end },
      { "run sleep took longer than 0.01 s", function() dewar.process.run { "sleep", "9", timeout = 0.01 } end },
      { "lookup localhost took longer than 0 s", function() dewar.dns.lookup("localhost", { timeout = 0 }) end },
    }
    local sleep <close> = dewar.process.spawn { "sleep", "9" }
    check { { ("wait for process %d took longer than 0.01 s"):format(sleep.pid), function() sleep:wait(0.01) end } }
  end)

  it("names what tasks wait for", function()
    local full = dewar.queue(1)
    full:put(1)
    check {
      { "queue get took longer than 0.01 s", function() dewar.queue():get(0.01) end },
      { "queue put took longer than 0.01 s", function() full:put(2, 0.01) end },
      { "event took longer than 0.01 s", function() dewar.event():wait(0.01) end },
      { "await took longer than 0.01 s", function()
        local task <close> = dewar.spawn(dewar.sleep, 9)
        dewar.await(task, 0.01)
      end },
      { "await took longer than 0.01 s", function()
        dewar.await(coroutine.create(function() dewar.sleep(9) end), 0.01)
      end },
    }
  end)

  it("names the wait that a timeout has interrupted", function()
    check {
      { "the function of dewar.timeout took longer than 0.01 s (in: sleep)",
        function() dewar.timeout(0.01, dewar.sleep, 9) end },
      { "the function of dewar.timeout took longer than 0.01 s (in: queue get)",
        function() dewar.timeout(0.01, function() dewar.queue():get() end) end },
      { "dewar.scope took longer than 0.01 s", function()
        dewar.scope({ timeout = 0.01 }, function(scope) scope:spawn(dewar.sleep, 9) end)
      end },
    }
  end)
end)
