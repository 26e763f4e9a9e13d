-- Live reload with real files, processes and sockets.
local dewar = require "dewar"
local process = require "spec.support.process"

local APP = [[
local dewar = require "dewar"
local app = dewar.app()
app:get("/", function() return require "greeting" end)
app:get("/page", function() return dewar.render_template "page.html" end)
app:get("/pid", function() return tostring(io.open("/proc/self/stat"):read "n") end)
app:get("/color", function() return os.getenv "COLOR" or "none" end)
app:get("/extra", function() return io.open(app.root_path .. "/extra/data"):read "a" end)
app:get("/stop", function() app:stop() return "" end)
app:get("/until", function(req)
  dewar.log.info "a view waits"
  local file
  repeat dewar.sleep(0.01) file = io.open(req.args.file) until file
  file:close()
  return "released"
end)
app:get("/spin", function() dewar.log.info "a view computes" while true do end end)
require "greeting"
return app
]]

describe("dewar run --debug", function()
  local folder, path

  before_each(function()
    folder = process.folder()
    os.execute(("mkdir %s/templates %s/extra"):format(folder, folder))
    path = process.write(folder .. "/app.lua", APP)
    process.write(folder .. "/greeting.lua", 'return "one"')
    process.write(folder .. "/templates/page.html", "a page")
    process.write(folder .. "/extra/data", "1")
  end)

  after_each(function()
    process.stop_all()
    os.execute("rm -r " .. folder)
  end)

  local function file(name, text) return process.write(folder .. "/" .. name, text) end

  -- As editors save: all of it, under another name first.
  local function save(name, text)
    file(name .. "~", text)
    os.rename(folder .. "/" .. name .. "~", folder .. "/" .. name)
  end

  local function serve(...) return process.serve(path, "--debug", ...) end

  local function comes(server, where, text)
    process.eventually(text, function()
      return process.get(server.url .. where):find(text, 1, true)
    end)
  end

  local function starts(server)
    return select(2, server:err():gsub("starting anew", ""))
  end

  it("starts anew when a module changes, at the same address", function()
    local server = serve()
    assert.are.equal("one", (process.get(server.url .. "/")))
    file("greeting.lua", 'return "two"')
    comes(server, "/", "two")
    assert.is_truthy(server:err():find("greeting.lua has changed", 1, true), server:err())
  end)

  it("takes a save in several steps for one change", function()
    local server = serve()
    process.get(server.url .. "/")
    save("greeting.lua", 'return "two"')
    file("greeting.lua", "")
    file("greeting.lua", 'return "three"')
    comes(server, "/", "three")
    assert.are.equal(1, starts(server))
  end)

  it("leaves files alone that the app isn't made of", function()
    local server = serve()
    process.get(server.url .. "/")
    file("store.lua", "return {}")
    file("notes.txt", "x")
    file("greeting.lua", 'return "two"')
    comes(server, "/", "two")
    assert.is_nil(server:err():find("store.lua", 1, true))
    assert.are.equal(1, starts(server))
  end)

  it("notices templates, variables and what it is told to include", function()
    local server = serve("--reload-include", folder .. "/extra")
    local pid = process.get(server.url .. "/pid")
    local function is_new(text)
      return process.eventually("a new process after " .. text, function()
        local now = process.get(server.url .. "/pid")
        if now == pid then return nil end
        pid = now
        return true
      end)
    end
    file("templates/page.html", "another page")
    is_new "a template"
    comes(server, "/page", "another page")
    file("templates/new.html", "new")
    is_new "a new template"
    file(".env", "COLOR=green")
    is_new ".env"
    assert.are.equal("green", (process.get(server.url .. "/color")))
    file("extra/data", "2")
    is_new "an included file"
  end)

  it("shows an error of syntax in terminal and browser, and recovers", function()
    local server = serve()
    save("greeting.lua", "local key = 'hush'\nlocal y == <2>\nreturn x")
    comes(server, "/", "greeting.lua:2:")
    local body = process.get(server.url .. "/any/where", "-i")
    assert.is_truthy(body:find "^HTTP/1.1 500 ", body)
    assert.is_truthy(body:find('class="here"><i>2</i>local y == &lt;2&gt;', 1, true), body)
    assert.is_truthy(body:find("Traceback", 1, true), body)
    assert.is_nil(body:find("hush", 1, true), body)
    assert.is_truthy(server:err():find("greeting.lua:2:", 1, true))
    local json = process.get(server.url .. "/", "-H", "Accept: application/json")
    local answer = dewar.json.decode(json)
    assert.is_truthy(answer.error:find("greeting.lua:2:", 1, true))
    save("greeting.lua", 'return "fixed"')
    comes(server, "/", "fixed")
  end)

  it("shows nothing of itself in tracebacks", function()
    file("greeting.lua", "return = 1")
    local server = serve()
    local json = { "-H", "Accept: application/json" }
    local shown = process.get(server.url .. "/", table.unpack(json))
    assert.is_truthy(shown:find("greeting.lua:1: unexpected symbol", 1, true), shown)
    assert.is_nil(shown:find("dewar/", 1, true), shown)
    save("app.lua", 'dofile(... and (...):gsub("app", "greeting"))')
    comes(server, "/", "app.lua:1")
    shown = process.get(server.url .. "/", table.unpack(json))
    assert.is_truthy(shown:find("app.lua:1: in main chunk", 1, true), shown)
    assert.is_nil((shown .. server:err()):find("cli/reload", 1, true), shown)
  end)

  it("begins with an app that can't be loaded, and with a module that is missing", function()
    os.remove(folder .. "/greeting.lua")
    local server = serve()
    comes(server, "/", "module &#39;greeting&#39; not found")
    file("greeting.lua", 'return "there"')
    comes(server, "/", "there")
  end)

  it("shows that the process ended while it was loading", function()
    file("greeting.lua", "os.exit(7)")
    local server = serve()
    comes(server, "/", "ended with exit code 7 while it was loading")
    file("greeting.lua", 'return "fixed"')
    comes(server, "/", "fixed")
  end)

  it("refuses no request meanwhile", function()
    local server = serve()
    local script = [[for i in $(seq 100); do
      curl -s --max-time 20 -o /dev/null -w '%{http_code}\n' "$0" || echo failed; done]]
    local requests = process.start { "sh", "-c", script, server.url .. "/" }
    local n = 0
    while not requests:code() do
      n = n + 1
      save("greeting.lua", ('return "version %d"'):format(n))
      os.execute "sleep 0.1"
    end
    assert.are.equal(("200\n"):rep(100), requests:out())
    comes(server, "/", ("version %d"):format(n))
    assert.is_true(starts(server) > 1)
  end)

  it("lets a request of before finish", function()
    local server = serve()
    local release = folder .. "/release"
    local waiting = process.start { "curl", "-sS", server.url .. "/until?file=" .. release }
    server:expect "a view waits"
    file("greeting.lua", 'return "two"')
    comes(server, "/", "two")
    file("release", "")
    assert.are.equal(0, waiting:wait())
    assert.are.equal("released", waiting:out())
  end)

  it("starts anew though a view computes without end", function()
    local server = serve()
    process.start { "curl", "-s", server.url .. "/spin" }
    server:expect "a view computes"
    file("greeting.lua", 'return "two"')
    comes(server, "/", "two")
  end)

  it("stops on a signal, with all of its processes", function()
    for _, signal in ipairs { "INT", "TERM" } do
      local server = serve()
      local pid = process.get(server.url .. "/pid")
      server:signal(signal)
      assert.are.equal(0, server:wait())
      assert.are_not.equal(0, (process.run { "kill", "-0", pid }))
    end
  end)

  it("stops with app:stop", function()
    local server = serve()
    process.get(server.url .. "/stop")
    assert.are.equal(0, server:wait())
  end)

  it("leaves no orphan where it is killed", function()
    local server = serve()
    local pid = process.get(server.url .. "/pid")
    server:signal "KILL"
    process.eventually("the end of the worker", function()
      return process.run { "kill", "-0", pid } ~= 0
    end)
  end)

  it("keeps no process of before", function()
    local server = serve()
    for n = 1, 3 do
      save("greeting.lua", ('return "version %d"'):format(n))
      comes(server, "/", ("version %d"):format(n))
    end
    process.eventually("one worker only", function()
      local _, out = process.run { "pgrep", "-P", tostring(server.pid) }
      return select(2, out:gsub("%d+", "")) == 1
    end)
  end)

  it("doesn't start anew with --no-reload", function()
    local server = serve "--no-reload"
    file("greeting.lua", 'return "two"')
    local _, out = process.run { "pgrep", "-P", tostring(server.pid) }
    assert.are.equal("", out)
    assert.are.equal(tostring(server.pid), (process.get(server.url .. "/pid")))
  end)
end)
