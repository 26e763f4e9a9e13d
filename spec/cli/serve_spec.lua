-- `dewar run` and app:run at work: where they serve, what they log, how they
-- stop.
local dewar = require "dewar"
local process = require "spec.support.process"

local APP = [[
local dewar = require "dewar"
local app = dewar.app{ config = { SHUTDOWN_TIMEOUT = %s } }

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

app:get("/", function() return "Hello, World!" end)

-- Answers when there is a file of that name.
app:get("/until", function(req)
  dewar.log.info("a view waits")
  repeat dewar.sleep(0.01) until exists(req.args.file)
  return "released"
end)

app:get("/for-ever", function()
  dewar.log.info("a view waits")
  while true do dewar.sleep(1000) end
end)

app:get("/spin", function()
  dewar.log.info("a view computes")
  while true do end
end)

app:get("/background", function(req)
  app:add_background_task(function(path)
    repeat dewar.sleep(0.01) until exists(path)
    dewar.log.info("the background task is over")
  end, req.args.file)
  app:add_background_task(function()
    local _ <close> = setmetatable({}, { __close = function()
      dewar.log.info("the other one is cancelled")
    end })
    dewar.sleep(1000)
  end)
  return "started"
end)

local room = dewar.room()
app:get("/news", function(req)
  if req.args.late then
    dewar.log.info("a view waits")
    dewar.sleep(0.2)
  end
  return dewar.sse(function(send)
    send "hello"
    room:join(send)
    dewar.log.info("somebody listens")
  end)
end)

app:get("/debug", function() return { debug = app.config.DEBUG } end)

app:get("/stop", function()
  app:stop()
  return "stopping"
end)

app:teardown_request(function(_, err)
  if err then dewar.log.info("teardown with " .. tostring(err)) end
end)

return app
]]

describe("serving", function()
  local folder, path

  before_each(function()
    folder = process.folder()
    path = process.write(folder .. "/app.lua", APP:format("1000"))
  end)

  after_each(function()
    process.stop_all()
    os.execute("rm -r " .. folder)
  end)

  local function serve(...) return process.serve(path, ...) end

  -- A request whose answer is waited for later.
  local function request(url) return process.start { "curl", "-sS", "-i", url } end

  local function refuses_connections(url)
    local _, code = process.get(url)
    return code == 7
  end

  it("says where, and answers there", function()
    local server = serve()
    local line = server:err():match "^[^\n]*\n"
    assert.are.equal(("Serving %s on %s (Ctrl-C stops)\n"):format(path, server.url), line)
    assert.are.equal("Hello, World!", (process.get(server.url .. "/")))
  end)

  it("goes over a unix socket", function()
    local socket = folder .. "/app.sock"
    local server = process.start { process.dewar(), "run", path, "--unix", socket }
    server:expect("on unix:" .. socket:gsub("%p", "%%%0"))
    local body = process.get("http://unix/", "--unix-socket", socket)
    assert.are.equal("Hello, World!", body)
    server:signal "TERM"
    assert.are.equal(0, server:wait())
    assert.are.equal(1, (process.run { "test", "-e", socket }))
  end)

  it("fails where the port is taken, and names it", function()
    local port = serve().url:match "%d+$"
    local code, _, err = process.run { process.dewar(), "run", path, "--port", port }
    assert.are.equal(1, code)
    assert.is_truthy(err:find("127.0.0.1:" .. port .. ": address already in use; is it served already? --port takes",
      1, true), err)
  end)

  it("warns where others can reach an app that runs with DEBUG", function()
    local function said(...)
      local server = process.start { process.dewar(), "run", path, "--port", "0", ... }
      server:expect "Serving"
      return server:err()
    end
    assert.is_truthy(said("--debug", "--no-reload", "--host", "0.0.0.0"):find("DEBUG shows code .* 0.0.0.0"))
    assert.is_truthy(said("--debug", "--host", "0.0.0.0"):find("DEBUG shows code .* 0.0.0.0"))
    assert.is_nil(said("--debug", "--host", "127.0.0.2"):find("DEBUG shows", 1, true))
    assert.is_nil(said("--host", "0.0.0.0"):find("DEBUG shows", 1, true))
  end)

  it("goes on where nobody reads its log any more", function()
    -- The reader ends behind the first line.
    local server = process.start { "sh", "-c", '"$0" run "$1" --port 0 2>&1 >/dev/null | head -n 1 >&2',
      process.dewar(), path }
    local url = server:expect "(http://[%d.]+:%d+)"
    for _ = 1, 3 do assert.are.equal("Hello, World!", (process.get(url .. "/"))) end
    assert.are.equal("stopping", (process.get(url .. "/stop")))
    assert.are.equal(0, server:wait())
  end)

  it("serves without stdin, stdout and stderr", function()
    local socket = folder .. "/app.sock"
    local server = process.start { "sh", "-c", 'exec "$0" run "$1" --unix "$2" <&- >&- 2>&-',
      process.dewar(), path, socket }
    process.eventually("the socket", function()
      return process.run { "test", "-S", socket } == 0 or server:code()
    end)
    assert.are.equal("stopping", (process.get("http://unix/stop", "--unix-socket", socket)))
    assert.are.equal(0, server:wait())
  end)

  it("takes DEBUG from the command line", function()
    assert.are.equal('{"debug":false}\n', (process.get(serve().url .. "/debug")))
    assert.are.equal('{"debug":true}\n', (process.get(serve("--debug").url .. "/debug")))
  end)

  describe("logs requests", function()
    it("as text", function()
      local server = serve()
      process.get(server.url .. "/nowhere?a=b")
      local line = server:expect "[^\n]+/nowhere[^\n]+\n"
      assert.is_truthy(line:find "^%d%d:%d%d:%d%d INFO ", line)
      for _, field in ipairs { "method=GET", "path=/nowhere", "status=404", "remote=127.0.0.1" } do
        assert.is_truthy(line:find(field, 1, true), line)
      end
    end)

    it("as JSON, one object a line", function()
      local server = serve("--log-format", "json")
      process.get(server.url .. "/")
      server:expect '"status":200'
      local records = {}
      for line in server:err():gmatch "[^\n]+" do
        records[#records + 1] = dewar.json.decode(line)
      end
      assert.is_truthy(records[1].text:find "^Serving ")
      local record = records[2]
      assert.are.equal("INFO", record.level)
      assert.are.equal("GET", record.method)
      assert.are.equal("/", record.path)
      assert.are.equal(200, record.status)
      assert.are.equal(13, record.size)
      assert.are.equal("number", type(record.seconds))
      assert.are.equal("127.0.0.1", record.remote)
    end)

    it("from level info on only", function()
      local server = serve("--log-level", "warn")
      process.get(server.url .. "/")
      server:signal "TERM"
      assert.are.equal(0, server:wait())
      assert.is_nil(server:err():find("GET", 1, true), server:err())
    end)

    it("unless the app says no", function()
      path = process.write(folder .. "/app.lua", [[
        local app = require "dewar".app{ config = { ACCESS_LOG = false } }
        app:get("/", function() return "" end)
        return app
      ]])
      local server = serve()
      process.get(server.url .. "/")
      server:signal "TERM"
      assert.are.equal(0, server:wait())
      assert.is_nil(server:err():find("GET", 1, true), server:err())
    end)
  end)

  for _, signal in ipairs { "TERM", "INT" } do
    it("stops on SIG" .. signal .. ", when requests under way have been answered", function()
      local server = serve()
      local file = folder .. "/release"
      local waiting = request(server.url .. "/until?file=" .. file)
      server:expect "a view waits"
      server:signal(signal)
      process.eventually("the end of listening", function()
        return refuses_connections(server.url)
      end)
      assert.is_nil(server:code())
      assert.is_nil(waiting:code())
      process.write(file, "")
      assert.are.equal(0, waiting:wait())
      assert.is_truthy(waiting:out():find("^HTTP/1.1 200"), waiting:out())
      assert.is_truthy(waiting:out():find "released$")
      assert.are.equal(0, server:wait())
    end)

    it("stops at once on a second SIG" .. signal, function()
      local server = serve()
      local waiting = request(server.url .. "/for-ever")
      server:expect "a view waits"
      server:signal(signal)
      server:expect "a second signal stops at once"
      assert.is_nil(server:code())
      server:signal(signal)
      assert.are.equal(0, server:wait())
      assert.are_not.equal(0, waiting:wait())
      assert.are.equal("", waiting:out())
      local _, teardowns = server:err():gsub("teardown with Cancelled", "")
      assert.are.equal(1, teardowns)
    end)
  end

  it("doesn't wait for those who only listen to a room", function()
    local server = serve()
    local listener = request(server.url .. "/news")
    server:expect "somebody listens"
    local late = request(server.url .. "/news?late=1")
    server:expect "a view waits"
    server:signal "TERM"
    assert.are.equal(0, server:wait())
    for _, client in ipairs { listener, late } do
      assert.are.equal(0, client:wait()) -- the answer is complete
      assert.matches("data: hello\n\n$", client:out())
    end
    assert.is_nil(server:err():find("teardown with", 1, true))
  end)

  it("takes two signals of different kinds for two", function()
    local server = serve()
    local waiting = request(server.url .. "/for-ever")
    server:expect "a view waits"
    server:signal "INT"
    server:expect "a second signal stops at once"
    server:signal "TERM"
    assert.are.equal(0, server:wait())
    waiting:wait()
  end)

  it("is ended by signals where Lua computes without end", function()
    local server = serve()
    request(server.url .. "/spin")
    server:expect "a view computes"
    process.eventually("the end", function()
      server:signal "TERM"
      return server:code()
    end)
    assert.are.equal(128 + 15, server:wait())
  end)

  it("cancels what doesn't end within SHUTDOWN_TIMEOUT", function()
    path = process.write(folder .. "/app.lua", APP:format("0.1"))
    local server = serve()
    local waiting = request(server.url .. "/for-ever")
    server:expect "a view waits"
    server:signal "TERM"
    assert.are.equal(0, server:wait())
    assert.is_truthy(server:err():find("teardown with Cancelled", 1, true))
    waiting:wait()
  end)

  it("waits for background tasks, and cancels those that go on too long", function()
    path = process.write(folder .. "/app.lua", APP:format("1"))
    local server = serve()
    local file = folder .. "/release"
    assert.are.equal("started", (process.get(server.url .. "/background?file=" .. file)))
    server:signal "TERM"
    process.eventually("the end of listening", function()
      return refuses_connections(server.url)
    end)
    process.write(file, "")
    assert.are.equal(0, server:wait())
    local err = server:err()
    local over = err:find("the background task is over", 1, true)
    local cancelled = err:find("the other one is cancelled", 1, true)
    assert.is_truthy(over and cancelled and over < cancelled, err)
  end)

  it("ends by app:stop", function()
    local server = serve()
    assert.are.equal("stopping", (process.get(server.url .. "/stop")))
    assert.are.equal(0, server:wait())
  end)

  describe("with app:run, in a stock Lua", function()
    local function run(options)
      local script = process.write(folder .. "/script.lua", ([[
        local app = dofile(%q)
        app:run(%s)
        print("after")
      ]]):format(path, options))
      return process.start { "lua5.4", script }, script
    end

    it("serves, logs and stops as the command does", function()
      local server, script = run "{ port = 0 }"
      local url = server:expect("Serving " .. script:gsub("%p", "%%%0") .. " on (http://%S+)")
      assert.are.equal("Hello, World!", (process.get(url)))
      server:expect "method=GET"
      server:signal "TERM"
      assert.are.equal(0, server:wait())
      assert.are.equal("after\n", server:out())
    end)

    it("takes a second signal for an end at once", function()
      local server = run "{ port = 0 }"
      local waiting = request(server:expect "http://[%d.:]+" .. "/for-ever")
      server:expect "a view waits"
      server:signal "TERM"
      server:expect "a second signal stops at once"
      server:signal "TERM"
      assert.are.equal(0, server:wait())
      assert.are.equal("after\n", server:out())
      waiting:wait()
    end)

    it("raises at its line where an option is wrong", function()
      for options, message in pairs {
        ["{ prot = 1 }"] = "unknown option 'prot'; did you mean 'port'?",
        ["{ port = '80' }"] = "the port is a number from 0 to 65535; got 80",
        ["{ host = 1 }"] = "the host is an address such as 127.0.0.1",
        ["{ workers = 2 }"] = "app:run serves with one worker; dewar run --workers starts more",
        ["{ unix = '/tmp/x', port = 1 }"] = "a unix socket takes the place of host and port",
      } do
        local server = run(options)
        assert.are.equal(1, server:wait())
        local err = server:err()
        assert.is_truthy(err:find("script.lua:2: run: " .. message, 1, true), err)
      end
    end)

    it("raises an error with a code where the port is taken", function()
      local port = serve().url:match "%d+$"
      path = process.write(folder .. "/taken.lua", ([[
        local app = dofile(%q)
        local run = app.run
        function app:run(opts)
          local ok, err = pcall(run, self, opts)
          print(ok, err.code)
        end
        return app
      ]]):format(path))
      local server = run("{ port = " .. port .. " }")
      assert.are.equal(0, server:wait())
      assert.are.equal("false\tEADDRINUSE\nafter\n", server:out())
    end)
  end)
end)
