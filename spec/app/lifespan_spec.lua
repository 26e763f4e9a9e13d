-- before_serving, while_serving, every and after_serving, seen through a client
-- with a lifespan; background tasks at the end. The command is in spec/cli.
local dewar = require "dewar"
local clean = require "spec.support.clean"

local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it raised nothing")
  return err
end

--- Runs fn and returns the texts that were logged meanwhile.
local function logged(fn)
  local records, sink = {}, dewar.log.sink
  dewar.log.sink = function(_, text) records[#records + 1] = text end
  local ok, err = pcall(fn)
  dewar.log.sink = sink
  assert(ok, err)
  return records
end

--- An app with a route, and a list of what happens.
local function new(config)
  local app, seen = dewar.app { config = config }, {}
  app:get("/", function() seen[#seen + 1] = "view" return "Hello" end)
  local function note(what)
    return function() seen[#seen + 1] = what end
  end
  return app, seen, note
end

local function order(seen) return table.concat(seen, ", ") end

describe("an app's life", function()
  clean.watch(before_each, after_each)

  it("goes round its requests, in the order of registration and back", function()
    local app, seen, note = new()
    local function around(name)
      return function(serve)
        seen[#seen + 1] = name .. " in"
        serve()
        seen[#seen + 1] = name .. " out"
      end
    end
    app:before_serving(note "before 1")
    app:while_serving(around "around 1")
    app:after_serving(note "after 1")
    app:before_serving(note "before 2")
    app:while_serving(around "around 2")
    app:after_serving(note "after 2")
    local client = app:test_client { lifespan = true }
    assert.are.equal("", order(seen))
    assert.are.equal("Hello", client:get("/").body)
    client:get("/")
    assert.are.equal("before 1, before 2, around 1 in, around 2 in, view, view", order(seen))
    client:close()
    client:close()
    assert.are.equal("before 1, before 2, around 1 in, around 2 in, view, view, "
      .. "around 2 out, around 1 out, after 1, after 2", order(seen))
  end)

  it("is none without the option", function()
    local app, seen, note = new()
    app:before_serving(note "before")
    app:every(0.001, { now = true }, note "every")
    local client <close> = app:test_client()
    client:get "/"
    dewar.sleep(0.01)
    assert.are.equal("view", order(seen))
  end)

  it("may wait everywhere, and knows its app", function()
    local app, seen = new()
    local function wait(what)
      return function()
        dewar.sleep(0.002)
        seen[#seen + 1] = ("%s of %s"):format(what, dewar.current_app.name)
      end
    end
    app:before_serving(wait "before")
    app:before_serving(dewar.async(wait "async"))
    app:while_serving(function(serve)
      wait "in" ()
      serve()
      wait "out" ()
    end)
    app:after_serving(wait "after")
    do
      local client <close> = app:test_client { lifespan = true }
      client:get "/"
    end
    assert.are.equal("before of app, async of app, in of app, view, out of app, after of app", order(seen))
  end)

  it("belongs to all clients that use it", function()
    local app, seen, note = new()
    app:before_serving(note "before")
    app:after_serving(note "after")
    local one, other = app:test_client { lifespan = true }, app:test_client { lifespan = true }
    one:get "/"
    other:get "/"
    one:close()
    assert.are.equal("before, view, view", order(seen))
    other:close()
    assert.are.equal("before, view, view, after", order(seen))
  end)

  it("comes again for the next client", function()
    local app, seen, note = new()
    app:before_serving(note "before")
    app:after_serving(note "after")
    for _ = 1, 2 do
      local client <close> = app:test_client { lifespan = true }
      client:get "/"
    end
    assert.are.equal("before, view, after, before, view, after", order(seen))
  end)

  it("works in tasks as well, and outlives the one that began it", function()
    local app, seen, note = new()
    app:before_serving(note "before")
    app:while_serving(function(serve) serve() seen[#seen + 1] = "out" end)
    app:after_serving(note "after")
    local client
    dewar.run(function()
      client = app:test_client { lifespan = true }
      client:get "/"
    end)
    client:get "/"
    dewar.run(function() client:close() end)
    assert.are.equal("before, view, view, out, after", order(seen))
  end)

  it("starts for bytes, too", function()
    local app, seen, note = new()
    app:before_serving(note "before")
    local client <close> = app:test_client { lifespan = true }
    client:send_raw("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert.are.equal("before, view", order(seen))
  end)

  it("keeps tasks that before_serving spawns until it ends", function()
    local app, seen = new()
    app:before_serving(function()
      dewar.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() seen[#seen + 1] = "poller ends" end })
        while true do dewar.sleep(0.001) end
      end)
    end)
    app:after_serving(function() seen[#seen + 1] = "after" end)
    local client = app:test_client { lifespan = true }
    client:get "/"
    collectgarbage() collectgarbage()
    dewar.sleep(0.003)
    assert.are.equal("view", order(seen))
    client:close()
    assert.are.equal("view, after, poller ends", order(seen))
  end)

  it("has hooks of blueprints", function()
    local app, seen, note = new()
    local api = dewar.blueprint "api"
    api:before_app_serving(note "before")
    api:while_app_serving(function(serve) seen[#seen + 1] = "in" serve() seen[#seen + 1] = "out" end)
    api:after_app_serving(note "after")
    app:register_blueprint(api)
    do
      local client <close> = app:test_client { lifespan = true }
      client:get "/"
    end
    assert.are.equal("before, in, view, out, after", order(seen))
  end)

  it("asks the app's ensure_sync", function()
    local app, seen, note = new()
    function app:ensure_sync(f)
      return function(...)
        seen[#seen + 1] = "wrapped"
        return dewar.App.ensure_sync(self, f)(...)
      end
    end
    app:before_serving(note "before")
    app:while_serving(function(serve) serve() seen[#seen + 1] = "out" end)
    app:after_serving(note "after")
    do
      local client <close> = app:test_client { lifespan = true }
      client:get "/"
    end
    assert.are.equal("wrapped, before, wrapped, wrapped, view, out, wrapped, after", order(seen))
  end)

  describe("whose start fails", function()
    it("raises the error with its traceback at the first request, and starts again at the next", function()
      local app, seen, note = new()
      local fails = true
      app:before_serving(note "first")
      app:before_serving(function()
        local function connect() error "no database" end
        if fails then coroutine.wrap(function() dewar.yield() connect() end)() end
      end)
      app:after_serving(note "after")
      local client <close> = app:test_client { lifespan = true }
      local err = raised(client.get, client, "/")
      assert.matches("lifespan_spec%.lua:%d+: no database\n\nview traceback:\n.*connect.*a coroutine resumed by", err)
      assert.are.equal("first", order(seen))
      fails = false
      client:get "/"
      assert.are.equal("first, first, view", order(seen))
    end)

    it("raises a value as it is", function()
      local app = new()
      local oops = { code = 7 }
      app:before_serving(function() error(oops) end)
      local client <close> = app:test_client { lifespan = true }
      assert.are.equal(oops, raised(client.get, client, "/"))
    end)

    it("lets those of while_serving that had come in go out", function()
      local app, seen = new()
      app:while_serving(function(serve)
        seen[#seen + 1] = "in"
        serve()
        dewar.sleep(0.001)
        seen[#seen + 1] = "out"
      end)
      app:while_serving(function() error("broken", 0) end)
      app:while_serving(function() seen[#seen + 1] = "never" end)
      app:after_serving(function() seen[#seen + 1] = "after" end)
      local client <close> = app:test_client { lifespan = true }
      assert.matches("^broken", raised(client.get, client, "/"))
      assert.are.equal("in, out", order(seen))
    end)

    it("since while_serving doesn't call serve, or calls it twice", function()
      local app = new()
      app:while_serving(function() end)
      local client <close> = app:test_client { lifespan = true }
      assert.matches("^while_serving at [^\n]*lifespan_spec%.lua:%d+ ended without having called serve%(%)",
        raised(client.get, client, "/"))
      local other = new()
      other:while_serving(function(serve) serve() serve() end)
      local second = other:test_client { lifespan = true }
      second:get "/"
      assert.matches("lifespan_spec%.lua:%d+: serve was called twice", raised(second.close, second))
    end)
  end)

  describe("whose end fails", function()
    it("does all of it, and raises the first error", function()
      local app, seen, note = new()
      app:while_serving(function(serve) serve() error("first", 0) end)
      app:after_serving(function() error("second", 0) end)
      app:after_serving(note "after")
      local client = app:test_client { lifespan = true }
      client:get "/"
      assert.matches("^first", raised(client.close, client))
      assert.are.equal("view, after", order(seen))
    end)

    it("hides no error that is on its way", function()
      local app = new()
      app:after_serving(function() error("of the end", 0) end)
      local err
      local texts = logged(function()
        err = raised(function()
          local client <close> = app:test_client { lifespan = true }
          client:get "/"
          error("of the spec", 0)
        end)
      end)
      assert.are.equal("of the spec", err)
      assert.matches("after_serving failed: of the end", table.concat(texts, "\n"))
    end)
  end)

  it("ends when one of while_serving ends in the midst of it", function()
    local app = new()
    local go = dewar.event()
    app:while_serving(function(serve)
      dewar.gather(serve, function() go:wait() error("lost the database", 0) end)
    end)
    local client = app:test_client { lifespan = true }
    client:get "/"
    local texts = logged(function()
      go:set()
      for _ = 1, 9 do dewar.yield() end
    end)
    assert.matches("while_serving failed: lost the database\nstack traceback", texts[1])
    assert.matches("^lost the database", raised(client.close, client))
  end)

  it("has a limit at its end", function()
    local app, seen = new { SHUTDOWN_TIMEOUT = 0.01 }
    app:while_serving(function(serve)
      serve()
      local ok, err = pcall(dewar.sleep, 9)
      seen[#seen + 1] = not ok and dewar.is_cancelled(err) and "cancelled"
    end)
    app:after_serving(function()
      seen[#seen + 1] = "after"
      dewar.sleep(9)
      seen[#seen + 1] = "not reached"
    end)
    app:after_serving(function() seen[#seen + 1] = "last" end)
    local client = app:test_client { lifespan = true }
    client:get "/"
    local texts = logged(function() client:close() end)
    assert.are.equal("view, cancelled, after, last", order(seen))
    assert.matches("cancelled after 0.01 s %(SHUTDOWN_TIMEOUT%)", texts[1])
  end)

  describe("with background tasks", function()
    it("waits for them before its end", function()
      local app, seen = new()
      app:get("/start", function()
        app:add_background_task(function()
          dewar.sleep(0.01)
          collectgarbage() collectgarbage()
          seen[#seen + 1] = "task"
          app:add_background_task(function() dewar.yield() seen[#seen + 1] = "its task" end)
        end)
        return "started"
      end)
      app:while_serving(function(serve) serve() seen[#seen + 1] = "out" end)
      app:after_serving(function() seen[#seen + 1] = "after" end)
      local client = app:test_client { lifespan = true }
      client:get "/start"
      client:close()
      assert.are.equal("task, its task, out, after", order(seen))
    end)

    it("cancels them when their time is up", function()
      local app, seen = new { SHUTDOWN_TIMEOUT = 0.01 }
      app:get("/start", function()
        app:add_background_task(function()
          local _ <close> = setmetatable({}, { __close = function() seen[#seen + 1] = "cleaned up" end })
          while true do pcall(dewar.sleep, 9) end
        end)
        return "started"
      end)
      app:after_serving(function() seen[#seen + 1] = "after" end)
      local client = app:test_client { lifespan = true }
      client:get "/start"
      local texts = logged(function() client:close() end)
      assert.are.equal("cleaned up, after", order(seen))
      assert.are.equal("a background task was cancelled after 0.01 s (SHUTDOWN_TIMEOUT)", texts[1])
    end)

    it("loses no error of them", function()
      local app = new()
      app:get("/start", function()
        app:add_background_task(function() dewar.yield() error "in the background" end)
        return "started"
      end)
      local client = app:test_client { lifespan = true }
      local texts = logged(function()
        client:get "/start"
        client:close()
      end)
      assert.matches("in the background\nstack traceback:", texts[1])
    end)
  end)

  describe("with every", function()
    it("runs it again and again until the end", function()
      local app, seen, note = new()
      assert.is_function(app:every(0.002, note "tick"))
      local client = app:test_client { lifespan = true }
      client:get "/"
      for _ = 1, 500 do
        if #seen > 3 then break end
        dewar.sleep(0.002)
      end
      assert.is_true(#seen > 3)
      client:close()
      local ticks = #seen
      dewar.sleep(0.01)
      assert.are.equal(ticks, #seen)
    end)

    it("takes its options before the function or behind it", function()
      local app, seen, note = new()
      app:every(100, { now = true }, note "tick")
      app:every(100, note "tock", { now = true })
      local client <close> = app:test_client { lifespan = true }
      client:get "/"
      for _ = 1, 9 do dewar.yield() end
      table.sort(seen)
      assert.are.equal("tick, tock, view", order(seen))
    end)

    it("waits for a run that is under way", function()
      local app, seen = new()
      app:every(100, { now = true }, function()
        seen[#seen + 1] = "tick"
        dewar.sleep(0.01)
        seen[#seen + 1] = "tock"
      end)
      app:after_serving(function() seen[#seen + 1] = "after" end)
      local client = app:test_client { lifespan = true }
      client:get "/"
      client:close()
      assert.are.equal("after", seen[#seen])
      table.sort(seen)
      assert.are.equal("after, tick, tock, view", order(seen))
    end)

    it("shows in the list of tasks", function()
      local app = new()
      app:every(100, { now = true }, function() dewar.sleep(0.01) end)
      local client = app:test_client { lifespan = true }
      client:get "/"
      local text = tostring(dewar.tasks())
      assert.matches("the service of app waits [%d.]+ s: event", text)
      assert.matches("\n    #%d+ every 100 s waits [%d.]+ s: await", text)
      assert.matches("background every 100 s at [^\n]*lifespan_spec%.lua:%d+ waits [%d.]+ s: sleep", text)
      client:close()
    end)

    it("is misused by what is no time, no function, no option", function()
      local app = new()
      local function misuse(pattern, ...)
        local args = table.pack(...)
        local err = raised(function() app:every(table.unpack(args, 1, args.n)) end)
        assert.matches("^[^\n]*lifespan_spec%.lua:%d+: ", err)
        assert.matches(pattern, err)
      end
      misuse("every: the time between two runs is a number of seconds above 0; got 0", 0, print)
      misuse("every: the time between two runs .* got a string", "1", print)
      misuse("every: what is to be run must be a function", 1)
      misuse("every: what is to be run must be a function", 1, {})
      misuse("every: unknown option 'nwo'; did you mean 'now'", 1, { nwo = true }, print)
      misuse("every: the option 'now' is a boolean", 1, { now = 1 }, print)
    end)
  end)

  it("is set up before it begins", function()
    local app = new()
    local during
    app:before_serving(function()
      during = pcall(app.after_serving, app, print)
    end)
    local client <close> = app:test_client { lifespan = true }
    client:connect():close() -- it has started, without a request
    assert.is_true(during)
    assert.matches("lifespan_spec%.lua:%d+: before_serving was called after the app had been started",
      raised(function() app:before_serving(print) end))
    client:get "/"
    assert.matches("lifespan_spec%.lua:%d+: every was called after the app had handled its first request",
      raised(function() app:every(1, print) end))
    for _, name in ipairs { "before_serving", "while_serving", "after_serving" } do
      local other = dewar.app()
      assert.matches("lifespan_spec%.lua:%d+: " .. name .. ": its argument must be a function",
        raised(function() other[name](other, 3) end))
    end
  end)

  it("keeps no memory", function()
    clean.keeps_memory(function()
      local app = dewar.app()
      app:while_serving(function(serve) serve() end)
      app:every(1, print)
      app:get("/", function() return "x" end)
      local client <close> = app:test_client { lifespan = true }
      client:get "/"
    end, 400)
  end)
end)
