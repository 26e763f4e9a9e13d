-- The lives of mounted apps: before_serving, while_serving, every, after_serving
-- and background tasks, with those of the app around them.
local dewar = require "dewar"
local clean = require "spec.support.clean"
local serve = require "dewar.serve"

local outer, inner, deep, log
local sink = dewar.log.sink

local function note(text)
  return function() log[#log + 1] = text end
end

local function order() return table.concat(log, " ") end

local function give_life(app, name)
  app:before_serving(note(name .. "-before"))
  app:while_serving(function(go_on)
    log[#log + 1] = name .. "-in"
    go_on()
    log[#log + 1] = name .. "-out"
  end)
  app:after_serving(note(name .. "-after"))
  app:get("/", function() return name end)
end

before_each(function()
  log = {}
  dewar.log.sink = function(level, text) log[#log + 1] = level .. ": " .. text end
  outer, inner, deep = dewar.app { name = "outer" }, dewar.app { name = "inner" }, dewar.app { name = "deep" }
  outer:mount("/inner", inner)
  inner:mount("/deep", deep)
end)
after_each(function() dewar.log.sink = sink end)
clean.watch(before_each, after_each)

describe("the life of a mounted app", function()
  it("lies inside that of the app around it", function()
    for app, name in pairs { [outer] = "outer", [inner] = "inner", [deep] = "deep" } do give_life(app, name) end
    local client = outer:test_client { lifespan = true }
    assert.are.equal("deep", client:get("/inner/deep/").body)
    assert.are.equal("outer-before outer-in inner-before inner-in deep-before deep-in", order())
    log = {}
    client:close()
    assert.are.equal("deep-out deep-after inner-out inner-after outer-out outer-after", order())
  end)

  it("is there where the app around it has none", function()
    give_life(deep, "deep")
    local client = outer:test_client { lifespan = true }
    client:get "/inner/deep/"
    client:close()
    assert.are.equal("deep-before deep-in deep-out deep-after", order())
  end)

  it("is one, however often it is mounted", function()
    outer:mount("/again", deep)
    give_life(deep, "deep")
    local client = outer:test_client { lifespan = true }
    client:get "/again/"
    client:close()
    assert.are.equal("deep-before deep-in deep-out deep-after", order())
  end)

  it("goes on while somebody else serves the app", function()
    give_life(inner, "inner")
    give_life(outer, "outer")
    local around, own = outer:test_client { lifespan = true }, inner:test_client { lifespan = true }
    around:get "/"
    own:get "/"
    assert.are.equal("outer-before outer-in inner-before inner-in", order())
    around:close()
    assert.are.equal("outer-before outer-in inner-before inner-in outer-out outer-after", order())
    assert.are.equal("inner", own:get("/").body)
    log = {}
    own:close()
    assert.are.equal("inner-out inner-after", order())
  end)

  it("ends what has begun when it can't begin", function()
    give_life(outer, "outer")
    inner:before_serving(function() error "no database" end)
    give_life(deep, "deep")
    local client = outer:test_client { lifespan = true }
    local ok, err = pcall(client.get, client, "/")
    assert.is_false(ok)
    assert.matches("no database", tostring(err))
    assert.are.equal("outer-before outer-in outer-out outer-after", order())
    client:close()
  end)

  it("tells of failures at its end, and ends the others", function()
    give_life(outer, "outer")
    inner:after_serving(function() error "too late" end)
    give_life(deep, "deep")
    local client = outer:test_client { lifespan = true }
    client:get "/"
    log = {}
    local ok, err = pcall(client.close, client)
    assert.is_false(ok)
    assert.matches("too late", tostring(err))
    assert.are.equal("deep-out deep-after outer-out outer-after", order())
  end)

  it("has its jobs, until the app around it stops", function()
    deep:every(10, function() log[#log + 1] = dewar.current_app.name end)
    local client = outer:test_client { lifespan = true, clock = "virtual" }
    client:get "/"
    client.clock:advance(25)
    client:close()
    assert.are.equal("deep deep", order())
  end)

  it("waits for its background tasks before anything ends", function()
    give_life(outer, "outer")
    give_life(inner, "inner")
    deep:get("/", function()
      deep:add_background_task(function()
        for _ = 1, 50 do dewar.yield() end
        log[#log + 1] = "task"
      end)
      return "deep"
    end)
    local client = outer:test_client { lifespan = true }
    client:get "/inner/deep/"
    log = {}
    client:close()
    assert.are.equal("task inner-out inner-after outer-out outer-after", order())
  end)

  it("cancels background tasks that take longer than the app around it gives them", function()
    outer.config.SHUTDOWN_TIMEOUT = 0.01
    deep:get("/", function()
      deep:add_background_task(function()
        local _ <close> = setmetatable({}, { __close = note "cancelled" })
        dewar.sleep(3600)
      end)
      return "deep"
    end)
    local client = outer:test_client { lifespan = true }
    client:get "/inner/deep/"
    client:close()
    assert.are.equal("warn: a background task was cancelled after 0.01 s (SHUTDOWN_TIMEOUT) cancelled", order())
  end)

  it("makes setting it up too late", function()
    give_life(inner, "inner")
    local client = outer:test_client { lifespan = true }
    inner:before_serving(function()
      local ok = pcall(outer.get, outer, "/late", function() end)
      log[#log + 1] = tostring(ok)
    end)
    client:get "/"
    assert.are.equal("inner-before false inner-in", order())
    client:close()
  end)
end)

describe("an app around others", function()
  it("can be served, and stopped", function()
    give_life(inner, "inner")
    inner:get("/stop", function()
      outer:stop()
      return "stopping"
    end)
    local path, body = os.tmpname(), nil
    os.remove(path)
    dewar.spawn(function()
      while not outer._core:is_listening() do dewar.sleep(0.005) end
      local conn <close> = dewar.tcp.connect { unix = path }
      conn:write "GET /inner/stop HTTP/1.0\r\n\r\n"
      body = conn:read_all()
    end)
    assert.is_true(serve.serve(outer, { unix = path }, "outer"))
    assert.matches("stopping$", body)
    assert.are.equal("inner-before inner-in", order():match "^inner%-before inner%-in")
    assert.matches("inner%-out inner%-after$", order())
  end)
end)
