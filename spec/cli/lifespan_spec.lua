-- An app's life in `dewar run` and app:run: what runs before and after serving,
-- how signals change that, the tree of tasks on SIGUSR1.
local process = require "spec.support.process"

--- Runs in turn; what each says goes to the log. FAIL names who raises, HANG who
--- never ends.
local APP = [[
local dewar = require "dewar"
local app = dewar.app { config = { SHUTDOWN_TIMEOUT = LIMIT } }

local function say(what)
  dewar.log.info("says " .. what)
  if what == "HANG" then
    local ok = pcall(dewar.sleep, 1000)
    dewar.log.info("says " .. what .. (ok and " slept" or " cancelled"))
    dewar.yield()
  end
  if what == "FAIL" then error("it failed in " .. what) end
end

app:before_serving(function() dewar.sleep(0.01) say "before" end)
app:while_serving(function(serve)
  say "in"
  serve()
  say "out"
end)
app:after_serving(function() dewar.sleep(0.01) say "after" end)
app:after_serving(function() say "after that" end)

app:get("/", function() return "Hello, World!" end)

app:get("/slow", function()
  dewar.log.info "says view"
  app:add_background_task(function()
    local _ <close> = setmetatable({}, { __close = function() dewar.log.info("says background ended") end })
    dewar.sleep(SLEEP)
  end)
  dewar.spawn(dewar.sleep, 1000)
  dewar.sleep(SLEEP)
  return "slow"
end)
app:teardown_request(function() dewar.log.info("says teardown") end)

return app
]]

describe("an app's life", function()
  local folder, path

  --- The app with some text replaced.
  local function write(changes)
    local text = APP
    changes = changes or {}
    changes.LIMIT = changes.LIMIT or "1000"
    changes.SLEEP = changes.SLEEP or "0.2"
    for what, by in pairs(changes) do
      local count
      text, count = text:gsub(what:gsub("%p", "%%%0"), (by:gsub("%%", "%%%%")))
      assert(count > 0, what)
    end
    return process.write(path, text)
  end

  --- What was said, in order.
  local function said(server)
    local list = {}
    for what in server:err():gmatch "INFO +says ([%w ]+)\n" do list[#list + 1] = what end
    return table.concat(list, ", ")
  end

  local function start(...) return process.start { process.dewar(), "run", path, "--port", "0", ... } end

  before_each(function()
    folder = process.folder()
    path = folder .. "/app.lua"
  end)

  after_each(function()
    process.stop_all()
    os.execute("rm -r " .. folder)
  end)

  it("begins before serving is announced, and ends after it, with 0", function()
    local server = process.serve(write())
    assert.are.equal("before, in", said(server))
    assert.are.equal("Hello, World!", (process.get(server.url .. "/")))
    server:signal "TERM"
    assert.are.equal(0, server:wait())
    assert.are.equal("before, in, teardown, out, after, after that", said(server))
  end)

  it("lets clients wait in line until it has begun", function()
    local port = process.serve(write()).url:match "%d+$"
    process.stop_all()
    write { ["dewar.sleep(0.01) say \"before\""] = "dewar.sleep(0.3) say 'before'" }
    local server = process.start { process.dewar(), "run", path, "--port", port }
    local body
    process.eventually("an answer", function()
      body = process.get("http://127.0.0.1:" .. port .. "/")
      return body ~= ""
    end)
    assert.are.equal("Hello, World!", body)
    assert.are.equal("before, in, teardown", said(server))
  end)

  it("comes after requests and background tasks at its end", function()
    local server = process.serve(write())
    local slow = process.start { "curl", "-s", server.url .. "/slow" }
    server:expect "says view"
    server:signal "INT"
    assert.are.equal(0, server:wait())
    slow:wait()
    assert.are.equal("slow", slow:out())
    local order = said(server)
    assert.matches("^before, in, view, .*, out, after, after that$", order)
    assert.matches("teardown", order)
    assert.matches("background ended", order)
  end)

  it("comes after those that are cancelled, too", function()
    local server = process.serve(write { LIMIT = "0.2", SLEEP = "1000" })
    local slow = process.start { "curl", "-s", server.url .. "/slow" }
    server:expect "says view"
    server:signal "TERM"
    assert.are.equal(0, server:wait())
    slow:wait()
    assert.are.equal("before, in, view, teardown, background ended, out, after, after that", said(server))
  end)

  it("fails at its start with the traceback and 1, and goes back", function()
    write { ["app:get(\"/\","] = [[app:while_serving(function()
      local function connect() error "no database" end
      connect()
    end)
    app:get("/",]] }
    local server = start()
    assert.are.equal(1, server:wait())
    local err = server:err()
    assert.matches("dewar: can't start: while_serving failed: [^\n]*app.lua:%d+: no database\nstack traceback:\n", err)
    assert.matches("in [^\n]*'connect'", err)
    assert.is_nil(err:find("Serving", 1, true))
    assert.are.equal("before, in, out", said(server))
  end)

  it("finds out first that the port is taken", function()
    local port = process.serve(write()).url:match "%d+$"
    local server = process.start { process.dewar(), "run", path, "--port", port }
    assert.are.equal(1, server:wait())
    assert.are.equal("", said(server))
    assert.matches("dewar: cannot listen on 127.0.0.1:%d+: address already in use", server:err())
  end)

  it("ends with 1 where its end fails, which is in the log", function()
    local server = process.serve(write { ["say \"after\""] = "say 'FAIL'" })
    server:signal "TERM"
    assert.are.equal(1, server:wait())
    assert.are.equal("before, in, out, FAIL, after that", said(server))
    assert.matches("ERROR after_serving failed: [^\n]*app.lua:%d+: it failed in FAIL\n  stack traceback:", server:err())
  end)

  it("ends the server with 1 where while_serving ends too early", function()
    local server = process.serve(write { ["  serve()"] = [[  dewar.race(serve, function()
      dewar.sleep(0.1)
      error "lost the database"
    end)]] })
    assert.are.equal(1, server:wait())
    assert.matches("ERROR while_serving failed: [^\n]*app.lua:%d+: lost the database", server:err())
    local _, times = server:err():gsub("while_serving failed", "")
    assert.are.equal(1, times)
    assert.are.equal("before, in, after, after that", said(server))
  end)

  it("has SHUTDOWN_TIMEOUT for its end", function()
    local server = process.serve(write { LIMIT = "0.1", ["say \"after\""] = "say 'HANG'" })
    server:signal "TERM"
    assert.are.equal(0, server:wait())
    assert.are.equal("before, in, out, HANG, HANG cancelled, after that", said(server))
    assert.matches("WARN +what runs after serving was cancelled after 0.1 s", server:err())
  end)

  it("waits no more at its end after a second signal", function()
    local server = process.serve(write { ["say \"after\""] = "say 'HANG'" })
    server:signal "TERM"
    server:expect "says HANG"
    server:expect "a second signal stops at once"
    server:signal "TERM"
    assert.are.equal(0, server:wait())
    assert.are.equal("before, in, out, HANG, HANG cancelled, after that", said(server))
  end)

  it("waits no more at its end after a second signal while requests run", function()
    local server = process.serve(write { SLEEP = "1000", ["say \"after\""] = "say 'HANG'" })
    local slow = process.start { "curl", "-s", server.url .. "/slow" }
    server:expect "says view"
    server:signal "TERM"
    server:expect "a second signal stops at once"
    server:signal "INT"
    assert.are.equal(0, server:wait())
    slow:wait()
    local order = said(server)
    assert.matches("^before, in, view, ", order)
    assert.matches("teardown", order)
    assert.matches("background ended", order)
    -- The first wait of `after` was cancelled before it said anything.
    assert.matches("after that$", order)
  end)

  it("goes back where a signal comes before it has begun, with 0", function()
    local change = { ["app:get(\"/\","] = "app:while_serving(function() say 'HANG' end)\napp:get(\"/\"," }
    write(change)
    local server = start()
    server:expect "says HANG"
    server:signal "TERM"
    assert.are.equal(0, server:wait())
    assert.are.equal("before, in, HANG, HANG cancelled, out", said(server))
    assert.is_nil(server:err():find("Serving", 1, true))
  end)

  it("is the same with app:run in a stock Lua, which fails as scripts do", function()
    write { ["say \"after\""] = "say 'FAIL'" }
    local script = process.write(folder .. "/script.lua", ("dofile(%q):run{ port = 0 }"):format(path))
    local server = process.start { "lua5.4", script }
    server:expect "Serving"
    server:signal "TERM"
    assert.are.equal(1, server:wait())
    assert.are.equal("before, in, out, FAIL, after that", said(server))
    assert.matches("script.lua:1: the app was stopped by an error, or had one at its end", server:err())
    write { ["say \"before\""] = "say 'FAIL'" }
    server = process.start { "lua5.4", script }
    assert.are.equal(1, server:wait())
    assert.matches("can't start: before_serving failed: [^\n]*app.lua:%d+: it failed in FAIL\nstack traceback",
      server:err())
  end)

  describe("with workers", function()
    it("is each worker's own", function()
      local server = process.serve(write(), "--workers", "2")
      process.eventually("both", function()
        local _, both = said(server):gsub("%f[%w]in%f[%W]", "")
        return both == 2 or server:code()
      end)
      server:signal "TERM"
      assert.are.equal(0, server:wait())
      for _, what in ipairs { "before", "in", "out", "after", "after that" } do
        local _, times = server:err():gsub("INFO +says " .. what .. "\n", "")
        assert.are.equal(2, times, what)
      end
    end)

    it("fails at its start with 1", function()
      write { ["say \"before\""] = "say 'FAIL'" }
      local server = start("--workers", "2")
      assert.are.equal(1, server:wait())
      assert.matches("can't start: before_serving failed: [^\n]*app.lua:%d+: it failed in FAIL", server:err())
    end)

    it("shows its failure in place of the app while that is being written", function()
      write { ["say \"before\""] = "say 'FAIL'" }
      local server = process.serve(path, "--debug")
      local page = process.get(server.url .. "/")
      assert.matches("before_serving failed", page)
      assert.matches("it failed in FAIL", page)
    end)

    it("has the trees of all of them shown on SIGUSR1", function()
      local server = process.serve(write(), "--workers", "2")
      process.eventually("two trees", function()
        server:signal "USR1"
        local _, trees = server:err():gsub("INFO +2 tasks\n +#1 the service of app", "")
        return trees >= 3 or server:code()
      end)
      assert.is_nil(server:code())
    end)
  end)

  describe("on SIGUSR1", function()
    it("shows the tree of tasks, whatever the log's level, and goes on", function()
      local server = process.serve(write { SLEEP = "1000" }, "--log-level", "error")
      local slow = process.start { "curl", "-s", "--max-time", "20", server.url .. "/slow" }
      local line
      process.eventually("the request in the tree", function()
        server:signal "USR1"
        line = server:err():match("(#%d+ [^\n]*app.lua:%d+ %[GET /slow%] [^\n]*)\n"
          .. " +#%d+ dewar.sleep %[GET /slow%] waits")
        return line or server:code()
      end)
      assert.matches("waits %d+%.%d+ s: sleep at [^\n]*app.lua:%d+$", line)
      local err = server:err()
      assert.matches("INFO +%d+ tasks\n", err)
      assert.matches("#%d+ background [^\n]*app.lua:%d+ waits", err)
      assert.matches("#%d+ the service of app waits [%d.]+ s: event", err)
      assert.matches("\n +#%d+ while_serving at [^\n]*app.lua:%d+ waits [%d.]+ s: event", err)
      assert.are.equal("Hello, World!", (process.get(server.url .. "/")))
      for _ = 1, 2 do server:signal "TERM" os.execute "sleep 0.3" end
      assert.are.equal(0, server:wait())
      slow:wait()
    end)

    it("shows it in one record of JSON", function()
      local server = process.serve(write(), "--log-format", "json")
      process.eventually("the tree", function()
        server:signal "USR1"
        return server:err():find('"%d+ tasks\\n') or server:code()
      end)
      assert.is_nil(server:code())
    end)
  end)
end)
