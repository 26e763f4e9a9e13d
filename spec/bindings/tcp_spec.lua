-- dewar.tcp: connections.
local dewar = require "dewar"
local lfs = require "lfs"
local clean = require "spec.support.clean"

local tcp = dewar.tcp

local function descriptors()
  local n = 0
  for _ in lfs.dir "/proc/self/fd" do n = n + 1 end
  return n
end

describe("tcp", function()
  local before, server, client, peer

  clean.watch(before_each, after_each)

  before_each(function()
    collectgarbage()
    before = descriptors()
    server = tcp.listen("127.0.0.1", 0)
    client = tcp.connect("127.0.0.1", server.port)
    peer = server:accept(10)
  end)

  after_each(function()
    client:close()
    peer:close()
    server:close()
    dewar.sleep(0.01)
    collectgarbage()
    assert.are.equal(before, descriptors())
  end)

  it("connects, writes and reads", function()
    assert.are.equal("127.0.0.1", peer.remote_addr)
    assert.are.equal(server.port, client.remote_port)
    client:write "GET /\r\nHost: x\r\n\r\n12345rest"
    assert.are.equal("GET /", peer:read_line())
    assert.are.equal("Host: x", peer:read_line())
    assert.are.equal("", peer:read_line())
    assert.are.equal("123", peer:read(3))
    assert.are.equal("45r", peer:read_until "es")
    client:shutdown()
    assert.are.equal("t", peer:read_all())
    assert.is_nil(peer:read_line())
    peer:write "answer"
    peer:close()
    assert.are.equal("answer", client:read_all())
  end)

  it("waits for a reader that is slow", function()
    local data, sent = ("x"):rep(8 * 1024 * 1024), false
    local task = dewar.spawn(function()
      client:write(data)
      sent = true
      client:shutdown()
    end)
    dewar.sleep(0.05)
    assert.is_false(sent)
    assert.are.equal(#data, #peer:read_all())
    dewar.await(task)
    assert.is_true(sent)
  end)

  it("runs out of time and can be read again", function()
    for _, seconds in ipairs { 0, 0.01 } do
      local ok, err = pcall(peer.read_line, peer, nil, seconds)
      assert.is_false(ok)
      assert.is_true(dewar.TimeoutError:is(err))
    end
    client:write "half"
    dewar.sleep(0.01)
    assert.is_false((pcall(peer.read_line, peer, nil, 0.01)))
    client:write " a line\n"
    assert.are.equal("half a line", peer:read_line())
    peer:set_timeout(0.01)
    assert.is_false((pcall(peer.read_line, peer)))
    assert.is_false((pcall(server.accept, server, 0.01)))
  end)

  it("bounds lines", function()
    client:write(("x"):rep(100))
    local ok, err = pcall(peer.read_line, peer, 50)
    assert.is_false(ok)
    assert.are.equal("ETOOBIG", err.code)
  end)

  it("ends with its task", function()
    for _, wait in ipairs { function() peer:read(1) end, function() server:accept() end } do
      local task = dewar.spawn(wait)
      dewar.yield()
      task:cancel()
      assert.is_false((pcall(dewar.await, task)))
      assert.are.equal("cancelled", task.status)
    end
    client:write "x"
    assert.are.equal("x", peer:read(1))
  end)

  it("is read by one task at a time, which a close wakes", function()
    local task = dewar.spawn(peer.read, peer, 1)
    dewar.yield()
    local ok, err = pcall(peer.read, peer, 1)
    assert.is_false(ok)
    assert.truthy(err:find("another task is reading here", 1, true), err)
    peer:close()
    ok, err = pcall(dewar.await, task)
    assert.is_false(ok)
    assert.are.equal("ECANCELED", err.code)
    ok, err = pcall(peer.write, peer, "x")
    assert.is_false(ok)
    assert.truthy(err:find("this connection is closed", 1, true), err)
  end)

  it("says which address refused", function()
    local free = tcp.listen("127.0.0.1", 0)
    local port = free.port
    free:close()
    local ok, err = pcall(tcp.connect, "127.0.0.1", port, { timeout = 10 })
    assert.is_false(ok)
    assert.are.equal("ECONNREFUSED", err.code)
    assert.are.equal(("connect to 127.0.0.1 port %d: connection refused"):format(port), err.message)
    ok, err = pcall(tcp.listen, "127.0.0.1", server.port)
    assert.is_false(ok)
    assert.are.equal("EADDRINUSE", err.code)
  end)

  it("goes over connections until it is closed", function()
    local count = 0
    local task = dewar.spawn(function()
      for conn in server:connections() do
        count = count + 1
        conn:close()
      end
    end)
    for _ = 1, 3 do
      local conn <close> = tcp.connect("localhost", server.port)
      assert.are.equal("", conn:read_all())
    end
    server:close()
    dewar.await(task)
    assert.are.equal(3, count)
    assert.is_nil(server:accept())
  end)

  it("says what it is, and whether it is closed", function()
    local where = "listener at 127.0.0.1:" .. server.port
    assert.are.equal(where, tostring(server))
    assert.are.equal("connection 127.0.0.1:" .. server.port, tostring(client))
    server:close()
    client:close()
    assert.are.equal(where .. " (closed)", tostring(server))
    assert.are.equal("connection 127.0.0.1:" .. server.port .. " (closed)", tostring(client))
  end)

  it("speaks over Unix sockets, too", function()
    local folder = dewar.fs.mkdtemp()
    local path = folder .. "/socket"
    local listener <close> = tcp.listen { unix = path }
    local a <close> = tcp.connect { unix = path, timeout = 10 }
    local b <close> = listener:accept()
    a:write "hello\n"
    assert.are.equal("hello", b:read_line())
    listener:close()
    dewar.fs.remove(folder, { recursive = true })
    local ok, err = pcall(tcp.connect, { unix = path })
    assert.is_false(ok)
    assert.are.equal("ENOENT", err.code)
  end)

  it("raises at the line of a wrong call", function()
    for message, call in pairs {
      ["a host is a string"] = function() tcp.connect() end,
      ["a port is a whole number"] = function() tcp.connect("x", 70000) end,
      ["unknown option 'nodelai'"] = function() tcp.connect("x", 1, { nodelai = true }) end,
      ["a connection takes a string"] = function() client:write {} end,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(message, 1, true), err)
    end
  end)
end)
