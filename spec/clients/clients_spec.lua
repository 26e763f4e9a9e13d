-- Real clients against a real server: curl, wrk, ab, siege, and slowhttptest,
-- which plays slow ones. Each is left out where it isn't installed.
local process = require "spec.support.process"

local APP = [[
local core = require "dewar.core"
local dewar = require "dewar"
local app = dewar.app { config = { HEADER_TIMEOUT = 2, BODY_TIMEOUT = 2, WRITE_TIMEOUT = 2,
  KEEP_ALIVE_TIMEOUT = 2, ACCESS_LOG = false } }
app:get("/", function() return "hello" end)
app:post("/echo", function(req) return req:body() end)
app:put("/size", function(req)
  local size = 0
  for chunk in req:chunks() do size = size + #chunk end
  return tostring(size)
end)
app:post("/refuse", { max_content_length = 10 }, function(req) return req:body() end)
app:get("/connections", function() return ("%d"):format(core.debug_counts().connections) end)
app:get("/wait", function()
  dewar.sleep(0.01)
  return "waited"
end)
app:get("/stream", function()
  return coroutine.wrap(function()
    for i = 1, 100 do
      coroutine.yield(("%d,"):format(i))
      if i % 10 == 0 then dewar.sleep(0.001) end
    end
  end)
end)
app:get("/large", function() return ("x"):rep(1000000) end)
return app
]]

local folder, server

--- Leaves a spec out where a program is missing.
local function need(name)
  local found = os.execute("command -v " .. name .. " >/dev/null")
  if not found then pending(name .. " is not installed") end
  return found
end

local function run(...)
  local code, out, err = process.run { ... }
  assert.are.equal(0, code, out .. err)
  return out, err
end

before_each(function()
  folder = process.folder()
  server = process.serve(process.write(folder .. "/app.lua", APP))
end)
after_each(function()
  server:signal "TERM"
  local code, err = server:wait(), server:err()
  process.stop_all()
  os.execute("rm -r " .. folder)
  assert.are.equal(0, code, err)
end)

describe("curl", function()
  local function curl(...) return (run("curl", "-sS", "--max-time", "20", ...)) end

  --- A file of so many bytes.
  local function file(size)
    return process.write(folder .. "/body", ("0123456789abcdef"):rep(size // 16))
  end

  it("keeps its connection", function()
    local out = curl("-w", "%{num_connects} ", server.url, server.url .. "/wait",
      server.url .. "/stream", "-o", "/dev/null", "-o", "/dev/null", "-o", "/dev/null")
    assert.are.equal("1 0 0 ", out)
  end)

  it("speaks HTTP/1.0", function()
    assert.are.equal("hello", curl("--http1.0", server.url))
    assert.matches("^1,2,.*,99,100,$", curl("--http1.0", server.url .. "/stream"))
  end)

  it("sends HEAD", function()
    local out = curl("-I", server.url .. "/large", server.url)
    assert.matches("Content%-Length: 1000000\r\n", out)
    assert.matches("Content%-Length: 5\r\n", out)
  end)

  it("reads streams", function()
    assert.matches("^1,2,.*,99,100,$", curl(server.url .. "/stream"))
  end)

  it("waits for 100 Continue and gets it at once", function()
    local out = curl("-T", file(2 * 1024 * 1024), "-H", "Expect: 100-continue",
      "--expect100-timeout", "15", "-w", " %{time_total}", server.url .. "/size")
    local size, seconds = out:match "^(%d+) ([%d.]+)$"
    assert.are.equal("2097152", size)
    assert.is_true(tonumber(seconds) < 10)
  end)

  it("sends chunks", function()
    assert.are.equal("2097152", curl("-T", file(2 * 1024 * 1024), "-H",
      "Transfer-Encoding: chunked", server.url .. "/size"))
  end)

  it("gets a refusal in place of 100 Continue", function()
    assert.are.equal("413", curl("--data-binary", "@" .. file(2 * 1024 * 1024), "-o", "/dev/null",
      "-H", "Expect: 100-continue", "-w", "%{http_code}", server.url .. "/refuse"))
  end)

  it("gets a refusal while it sends", function()
    assert.are.equal("413", curl("--data-binary", "@" .. file(8 * 1024 * 1024), "-o", "/dev/null",
      "-H", "Expect:", "-w", "%{http_code}", server.url .. "/refuse"))
  end)
end)

describe("wrk", function()
  local function wrk(...)
    if not need "wrk" then return end
    local out = run("wrk", "-t", "1", "-c", "32", "-d", "1s", ...)
    assert.is_nil(out:match "Socket errors.*", out)
    assert.is_nil(out:match "Non%-2xx.*", out)
    assert.is_true(tonumber(out:match "(%d+) requests in") > 100, out)
  end

  it("meets no error", function() wrk(server.url) end)

  it("meets none with views that wait", function() wrk(server.url .. "/wait") end)

  it("meets none with streams", function() wrk(server.url .. "/stream") end)

  it("meets none with bodies in a pipeline", function()
    local script = process.write(folder .. "/pipeline.lua", [[
      init = function(args)
        local one = wrk.format("POST", "/echo", nil, ("b"):rep(100))
        local two = wrk.format("GET", "/wait")
        requests = (one .. two):rep(8)
      end
      request = function() return requests end
    ]])
    wrk("-s", script, server.url)
  end)
end)

describe("ab", function()
  local function ab(...)
    if not need "ab" then return end
    local out = run("ab", "-q", "-n", "500", "-c", "20", ...)
    assert.matches("Complete requests: +500\n", out)
    assert.matches("Failed requests: +0\n", out)
    assert.is_nil(out:match "Non%-2xx", out)
    return out
  end

  it("meets no error", function() ab(server.url .. "/") end)

  it("keeps connections alive in HTTP/1.0", function()
    local out = ab("-k", server.url .. "/")
    assert.matches("Keep%-Alive requests: +500\n", out or "Keep-Alive requests: 500\n")
  end)

  it("meets none with streams, which the connection's end ends", function()
    ab("-k", server.url .. "/stream")
  end)

  it("meets none with bodies", function()
    local body = process.write(folder .. "/body", ("b"):rep(50000))
    ab("-k", "-p", body, "-T", "text/plain", server.url .. "/echo")
  end)
end)

describe("siege", function()
  it("finds all of it available", function()
    if not need "siege" then return end
    local urls = process.write(folder .. "/urls", table.concat({
      server.url .. "/", server.url .. "/wait", server.url .. "/stream", server.url .. "/large",
      server.url .. "/echo POST some=body",
    }, "\n") .. "\n")
    local config = process.write(folder .. "/siegerc", "verbose = false\njson_output = true\n")
    local out = run("env", "HOME=" .. folder, "siege", "-R", config, "-b", "-c", "10", "-r", "20",
      "-f", urls)
    assert.matches('"availability":%s*100%.00', out)
    assert.matches('"failed_transactions":%s*0,', out)
  end)
end)

describe("slowhttptest", function()
  --- How many connections the server has besides the one that asks.
  local function connections()
    local count = process.get(server.url .. "/connections", "--max-time", "10")
    return assert(tonumber(count), "the service is not available") - 1
  end

  --- Sixty slow clients, which would stay for half a minute.
  local function attack(path, ...)
    if not need "slowhttptest" then return end
    local slow = process.start { "slowhttptest", "-c", "60", "-r", "200", "-l", "30", "-p", "10",
      "-i", "10", "-u", server.url .. path, ... }
    process.eventually("most of them", function() return connections() > 30 end)
    process.eventually("their end", function() return connections() == 0 end)
    assert.is_nil((slow:out():gsub("\27%[[%d;]*m", ""):match "service available:%s*NO"))
    slow:signal "INT"
    slow:wait()
  end

  it("has its slow headers closed by their timeout", function() attack("/", "-H") end)

  it("has its slow bodies closed by their timeout", function() attack("/echo", "-B") end)

  it("has its slow readers closed by their timeout", function()
    attack("/large", "-X", "-k", "5", "-n", "3", "-z", "16", "-w", "16", "-y", "32")
  end)
end)
