-- Files over real sockets: what curl gets, slow clients, clients that go, files
-- that change meanwhile, and memory.
local http = require "spec.support.http"
local process = require "spec.support.process"
local tcp = require "spec.support.tcp"

local APP = [[
local core = require "dewar.core"
local dewar = require "dewar"
local app = dewar.app { static_folder = "files", config = { ACCESS_LOG = false, %s } }
app:get("/memory", function()
  collectgarbage()
  return ("%%d"):format(core.debug_counts().memory)
end)
app:get("/connections", function() return ("%%d"):format(core.debug_counts().connections) end)
app:get("/send", function() return dewar.send_file "files/large" end)
app:teardown_request(function(req, err)
  dewar.log.warn("over " .. req.path, { cancelled = dewar.is_cancelled(err) })
end)
return app
]]

local MIB = 1024 * 1024
local folder, server

local function shell(command, ...)
  assert(os.execute(("cd '%s' && "):format(folder) .. command:format(...)))
end

local function serve(config, ...)
  local path = process.write(folder .. "/app.lua", APP:format(config or ""))
  server = process.serve(path, ...)
  return server
end

local function logs(pattern) server:expect(pattern) end

local function number(path) return tonumber((process.get(server.url .. path))) end

local function curl(path, ...)
  local code, out, err = process.run { "curl", "-sS", "--max-time", "60", server.url .. path, ... }
  assert.are.equal(0, code, err)
  return out
end

--- The greatest number of KiB that the server has ever held in memory.
local function peak()
  local file <close> = assert(io.open(("/proc/%d/status"):format(server.pid)))
  return tonumber(file:read("a"):match "VmHWM:%s*(%d+) kB")
end

--- Connects and asks; what has arrived by the end of the head.
local function ask(path, ...)
  local conn = assert(tcp.connect(server.url))
  conn:send(http.get(path, ...))
  return conn, conn:read_until "\r\n\r\n"
end

local function body_of(text) return text:match "\r\n\r\n(.*)$" end

before_each(function()
  folder = process.folder()
  shell "mkdir files; head -c 5000000 /dev/urandom >files/large; echo small >files/small"
end)
after_each(function()
  server:signal "TERM"
  local code, err = server:wait(), server:err()
  process.stop_all()
  os.execute("rm -rf " .. folder)
  assert.are.equal(0, code, err)
end)

describe("curl", function()
  it("gets the file as it is", function()
    serve()
    for _, path in ipairs { "/files/large", "/send" } do
      curl(path, "-o", folder .. "/got")
      shell "cmp files/large got"
    end
  end)

  it("gets ranges, and goes on where it was cut", function()
    serve()
    curl("/files/large", "-r", "1000000-3999999", "-o", folder .. "/part")
    shell "tail -c +1000001 files/large | head -c 3000000 | cmp - part"
    curl("/files/large", "-r", "-1000000", "-o", folder .. "/part")
    shell "tail -c 1000000 files/large | cmp - part"
    shell "head -c 1234567 files/large >got"
    curl("/files/large", "-C", "-", "-o", folder .. "/got")
    shell "cmp files/large got"
    local head = curl("/files/large", "-I")
    assert.is_truthy(head:find "Content%-Length: 5000000")
  end)

  it("keeps its connection for the next file", function()
    serve()
    local out = curl("/files/small", "-o", "/dev/null", "-w", "%{num_connects}",
      server.url .. "/files/large", "-o", folder .. "/got", server.url .. "/send", "-o", folder .. "/other")
    shell "cmp files/large got && cmp files/large other"
    assert.are.equal("100", out)
  end)

  it("gets it over a unix socket", function()
    local path = process.write(folder .. "/app.lua", APP:format "")
    server = process.start { process.dewar(), "run", path, "--unix", folder .. "/socket" }
    server:expect "socket"
    local code = process.run { "curl", "-sS", "--unix-socket", folder .. "/socket", "http://x/files/large", "-o",
      folder .. "/got" }
    assert.are.equal(0, code)
    shell "cmp files/large got"
  end)

  it("gets a gigabyte, which the server never holds", function()
    serve()
    shell "truncate -s 1G files/sparse"
    curl("/files/small")
    local before, held = peak(), number "/memory"
    local size = curl("/files/sparse", "-o", "/dev/null", "-w", "%{size_download}")
    assert.are.equal(1024 * MIB, tonumber(size))
    local more = peak() - before
    assert.is_true(more < 16 * 1024, more .. " KiB more at the peak")
    more = number "/memory" - held
    assert.is_true(more < 64 * 1024, more .. " bytes more afterwards")
  end)
end)

describe("requests in a row", function()
  it("are answered in order, files among them", function()
    serve()
    local conn = assert(tcp.connect(server.url))
    conn:send(http.get "/files/small" .. http.get "/files/large" .. http.get "/files/small" ..
      http.get("/files/large", "Range: bytes=0-99999") .. http.get("/files/none", "Connection: close"))
    local answers = http.answers((conn:read_all()))
    local lengths = {}
    for i, one in ipairs(answers) do lengths[i] = one.status .. " " .. #one.body end
    assert.are.equal("200 6, 200 5000000, 200 6, 206 100000, 404", table.concat(lengths, ", "):match "^(.-404)")
    local file <close> = io.open(folder .. "/files/large", "rb")
    assert.is_true(file:read "a" == answers[2].body)
    conn:close()
  end)
end)

describe("slow clients", function()
  it("hold next to nothing of the server's memory", function()
    serve()
    shell "truncate -s 100M files/sparse"
    curl("/files/sparse", "-r", "0-9")
    local before, conns = number "/memory", {}
    for i = 1, 40 do conns[i] = ask(i % 2 == 0 and "/files/sparse" or "/send") end
    os.execute "sleep 0.3"
    local each = (number "/memory" - before) / #conns
    assert.is_true(each < 8 * 1024, each .. " bytes for each of them")
    for _, conn in ipairs(conns) do conn:close() end
    process.eventually("the end of all", function() return number "/connections" == 1 end)
  end)

  it("are cut where they take nothing in time", function()
    serve "WRITE_TIMEOUT = 1"
    shell "truncate -s 100M files/sparse"
    local conn = ask "/files/sparse"
    logs "over /files/sparse cancelled=true"
    assert.is_true(#(conn:read_all()) < 100 * MIB)
    conn:close()
  end)

  it("get it whole where they take some in time", function()
    serve "WRITE_TIMEOUT = 1"
    shell "truncate -s 8M files/sparse"
    local conn, text = ask "/files/sparse"
    local size = #body_of(text)
    for _ = 1, 4 do
      os.execute "sleep 0.5"
      local more = 0
      while more < MIB do more = more + #assert(conn:read()) end
      size = size + more
    end
    while size < 8 * MIB do size = size + #assert(conn:read()) end
    assert.are.equal(8 * MIB, size)
    conn:close()
  end)

  it("don't keep others from their files", function()
    serve()
    shell "truncate -s 100M files/sparse"
    local conns = {}
    for i = 1, 20 do conns[i] = ask "/files/sparse" end
    curl("/files/large", "-o", folder .. "/got")
    shell "cmp files/large got"
    for _, conn in ipairs(conns) do conn:close() end
  end)
end)

describe("a client that goes", function()
  it("ends its request", function()
    serve()
    shell "truncate -s 100M files/sparse"
    local conn = ask "/files/sparse"
    conn:close()
    logs "over /files/sparse cancelled=true"
    conn = ask "/files/sparse"
    conn:shutdown()
    conn:close()
    process.eventually("the end", function() return number "/connections" == 1 end)
  end)

  it("ends the sending where its request goes on", function()
    serve "CANCEL_ON_DISCONNECT = false"
    shell "truncate -s 100M files/sparse"
    ask "/files/sparse":close()
    logs "over /files/sparse cancelled=false"
    assert.is_nil(server:err():find "shorter")
    process.eventually("the end", function() return number "/connections" == 1 end)
  end)
end)

describe("a file that changes while it is sent", function()
  it("is visibly cut where it has become shorter", function()
    serve()
    shell "truncate -s 64M files/sparse"
    local conn, text = ask "/files/sparse"
    shell "truncate -s 1M files/sparse"
    local rest = conn:read_all()
    assert.is_true(#text + #rest < 64 * MIB)
    assert.is_truthy(text:find "Content%-Length: 67108864")
    logs "Exception while streaming the body of /files/sparse %[GET%]: the file has become shorter"
    logs "over /files/sparse cancelled=false"
    conn:close()
    assert.are.equal("small\n", curl "/files/small")
  end)

  it("is sent as long as it was where it has grown", function()
    serve()
    shell "truncate -s 16M files/sparse"
    local conn, text = ask("/files/sparse", "Connection: close")
    shell "truncate -s 32M files/sparse"
    local rest = conn:read_all()
    assert.are.equal(16 * MIB, #body_of(text) + #rest)
    conn:close()
  end)

  it("is sent to its end where it is removed", function()
    serve()
    shell "truncate -s 16M files/sparse"
    local conn, text = ask("/files/sparse", "Connection: close")
    shell "rm files/sparse"
    local rest = conn:read_all()
    assert.are.equal(16 * MIB, #body_of(text) + #rest)
    conn:close()
  end)
end)

describe("a server that stops", function()
  it("sends first what it has begun", function()
    serve()
    shell "truncate -s 16M files/sparse"
    local conn, text = ask "/files/sparse"
    server:signal "TERM"
    local rest = conn:read_all()
    assert.are.equal(16 * MIB, #body_of(text) + #rest)
    conn:close()
    assert.are.equal(0, server:wait())
  end)
end)
