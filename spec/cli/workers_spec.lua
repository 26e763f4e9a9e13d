-- `dewar run --workers`: several processes on one socket.
local process = require "spec.support.process"

local APP = [[
local dewar = require "dewar"
local app = dewar.app()
app:get("/pid", function() return tostring(io.open("/proc/self/stat"):read "n") end)
app:get("/slow", function() dewar.sleep(0.05) return tostring(io.open("/proc/self/stat"):read "n") end)
app:get("/stop", function() app:stop() return "" end)
return app
]]

describe("dewar run --workers", function()
  local folder, path

  before_each(function()
    folder = process.folder()
    path = process.write(folder .. "/app.lua", APP)
  end)

  after_each(function()
    process.stop_all()
    os.execute("rm -r " .. folder)
  end)

  local function children(server)
    local _, out = process.run { "pgrep", "-P", tostring(server.pid) }
    local pids = {}
    for pid in out:gmatch "%d+" do pids[#pids + 1] = pid end
    return pids
  end

  local function serve(...)
    local server = process.serve(path, "--workers", "3", ...)
    process.eventually("three workers", function() return #children(server) == 3 end)
    return server
  end

  it("serves with so many processes, from one address", function()
    local server = serve()
    local pids = {}
    for _, pid in ipairs(children(server)) do pids[pid] = true end
    for _ = 1, 5 do assert.is_true(pids[(process.get(server.url .. "/pid"))]) end
    server:signal "TERM"
    assert.are.equal(0, server:wait())
    for pid in pairs(pids) do assert.are_not.equal(0, (process.run { "kill", "-0", pid })) end
  end)

  it("serves on a unix socket, too, and removes it", function()
    local socket = folder .. "/sock"
    local server = process.start { process.dewar(), "run", path, "--workers", "2", "--unix", socket }
    server:expect "Serving"
    assert.is_truthy(process.get("http://x/pid", "--unix-socket", socket):find "^%d+$")
    server:signal "INT"
    assert.are.equal(0, server:wait())
    assert.are_not.equal(0, (process.run { "test", "-e", socket }))
  end)

  it("replaces one that dies", function()
    local server = serve()
    local before = {}
    for _, pid in ipairs(children(server)) do before[pid] = true end
    local victim = next(before)
    process.run { "kill", "-KILL", victim }
    server:expect("worker " .. victim .. " was killed by signal 9; another takes its place")
    process.eventually("another one", function()
      local now = children(server)
      for _, pid in ipairs(now) do
        if not before[pid] then return #now == 3 end
      end
    end)
    assert.is_truthy(process.get(server.url .. "/pid"):find "^%d+$")
  end)

  it("replaces all of them on SIGHUP, and refuses nobody", function()
    local server = serve()
    local before = {}
    for _, pid in ipairs(children(server)) do before[pid] = true end
    local script = [[for i in $(seq 60); do
      curl -s --max-time 20 -o /dev/null -w '%{http_code}\n' "$0" || echo failed; done]]
    local requests = process.start { "sh", "-c", script, server.url .. "/slow" }
    server:signal "HUP"
    process.eventually("three new ones", function()
      local now = children(server)
      for _, pid in ipairs(now) do
        if before[pid] then return false end
      end
      return #now == 3
    end)
    requests:wait()
    assert.are.equal(("200\n"):rep(60), requests:out())
  end)

  it("goes on with the old ones where new ones fail", function()
    local server = serve()
    process.write(path, "error 'broken'")
    server:signal "HUP"
    server:expect "broken"
    process.eventually("three workers", function() return #children(server) == 3 end)
    assert.is_truthy(process.get(server.url .. "/pid"):find "^%d+$")
  end)

  it("fails where the app can't be loaded", function()
    process.write(path, "error 'broken'")
    local code, _, err = process.run { process.dewar(), "run", path, "--workers", "2", "--port", "0" }
    assert.are.equal(1, code)
    assert.is_truthy(err:find("broken", 1, true), err)
  end)

  it("fails where the port is taken", function()
    local port = serve().url:match "%d+$"
    local code, _, err = process.run { process.dewar(), "run", path, "--workers", "2", "--port", port }
    assert.are.equal(1, code)
    assert.is_truthy(err:find("127.0.0.1:" .. port .. ": address already in use", 1, true), err)
  end)

  it("stops all of them by app:stop", function()
    local server = serve()
    process.get(server.url .. "/stop")
    assert.are.equal(0, server:wait())
  end)
end)
