-- The cleanup of generators that give a body: bindings/generator.c.

local dewar = require "dewar"

local function closing(f)
  return setmetatable({}, { __close = f })
end

describe("a generator that gives a body", function()
  local app, client, log
  before_each(function()
    app, log = dewar.app(), {}
    app:teardown_request(function() log[#log + 1] = "teardown" end)
    client = app:test_client()
  end)
  after_each(function() client:close() end)

  --- A cleanup that waits, and says what came of it.
  local function cleanup()
    return closing(function(_, err)
      dewar.shield(dewar.sleep, 0.001)
      log[#log + 1] = "cleaned " .. tostring(dewar.is_cancelled(err))
    end)
  end

  --- Reads one piece of the answer and goes away.
  local function leave()
    local part = client:get("/", { stream = true })
    assert.is_string(part:chunks()())
    dewar.sleep(0.005)
    part:close()
  end

  it("waits in its cleanup when the client goes away in a wait of it", function()
    app:get("/", function()
      return coroutine.wrap(function()
        local _ <close> = cleanup()
        coroutine.yield "x"
        dewar.sleep(100)
      end)
    end)
    leave()
    assert.are.same({ "cleaned true", "teardown" }, log)
  end)

  it("waits in its cleanup when the client goes away while it gives a piece", function()
    app:get("/", function()
      return coroutine.wrap(function()
        local _ <close> = cleanup()
        while true do coroutine.yield(("x"):rep(100000)) end
      end)
    end)
    leave()
    assert.are.same({ "cleaned true", "teardown" }, log)
  end)

  it("waits in its cleanup when it fails, with the traceback of its failure", function()
    app.config.TESTING = true
    app:get("/", function()
      local function deep() error "in the generator" end
      return coroutine.wrap(function()
        local _ <close> = cleanup()
        coroutine.yield "x"
        deep()
      end)
    end)
    local ok, err = pcall(client.get, client, "/")
    assert.is_false(ok)
    assert.matches("generator_spec.lua:%d+: in the generator", err)
    assert.matches("'deep'", err)
    assert.are.same({ "cleaned false", "teardown" }, log)
  end)

  it("waits in its cleanup when it gave something that is no piece", function()
    app.config.TESTING = true
    app:get("/", function()
      return coroutine.wrap(function()
        local _ <close> = cleanup()
        coroutine.yield {}
      end)
    end)
    local _, err = pcall(client.get, client, "/")
    assert.matches("consists of strings", err)
    assert.are.same({ "cleaned true", "teardown" }, log)
  end)

  it("finds at its yield that the stream is over, once; then it is closed", function()
    app:get("/", function()
      return coroutine.wrap(function()
        local _ <close> = closing(function() log[#log + 1] = "closed" end)
        while true do
          local ok, err = pcall(coroutine.yield, ("x"):rep(100000))
          if not ok then log[#log + 1] = tostring(dewar.is_cancelled(err)) end
        end
      end)
    end)
    leave()
    assert.are.same({ "true", "closed", "teardown" }, log)
  end)

  it("may fail in its cleanup, which is logged", function()
    local records, sink = {}, dewar.log.sink
    dewar.log.sink = function(_, text) records[#records + 1] = text end
    finally(function() dewar.log.sink = sink end)
    app:get("/", function()
      return coroutine.wrap(function()
        local _ <close> = closing(function() dewar.yield() error "cleaning" end)
        while true do coroutine.yield(("x"):rep(100000)) end
      end)
    end)
    leave()
    assert.matches("Closing the body failed on / %[GET%]", records[1])
    assert.matches("generator_spec.lua:%d+: cleaning", records[1])
    assert.are.same({ "teardown" }, log)
  end)

  it("is closed without having begun where nobody wants its pieces", function()
    app:get("/", function()
      return coroutine.wrap(function()
        log[#log + 1] = "begun"
        coroutine.yield "x"
      end)
    end)
    assert.are.equal("", client:head("/").body)
    assert.are.same({ "teardown" }, log)
  end)

  it("may be one that has begun, which is closed without waiting", function()
    app:get("/", function()
      local generator = coroutine.wrap(function()
        local _ <close> = closing(function() log[#log + 1] = "closed" end)
        for i = 1, 3 do coroutine.yield(tostring(i)) end
      end)
      generator()
      return generator
    end)
    assert.are.equal("23", client:get("/").body)
    assert.are.same({ "closed", "teardown" }, log)
  end)
end)
