-- What event streams do as time passes. The virtual clock stays, so these have a
-- process of their own.

local clean = require "spec.support.clean"
local dewar = require "dewar"

local app, client, got

before_each(function()
  app, got = dewar.app { config = { TESTING = true } }, {}
  client = app:test_client { clock = "virtual" }
end)
after_each(function() client:close() end)
clean.watch(before_each, after_each)

--- What comes in so many seconds: the pieces, and a dot for each second in which
--- there was none.
local function hear(seconds)
  local part <close> = client:get("/", { stream = true })
  local news = false
  local reader = dewar.spawn(function()
    for chunk in part:chunks() do
      got[#got + 1], news = chunk, true
    end
  end)
  for _ = 1, seconds do
    client.clock:advance(1)
    if not news then got[#got + 1] = "." end
    news = false
  end
  reader:cancel()
  return table.concat(got)
end

describe("a heartbeat", function()
  it("is a comment to a client that hears nothing else", function()
    app:get("/", function()
      return dewar.sse(function(send)
        send "start"
        dewar.sleep(6)
        send "middle"
        dewar.sleep(11)
        send "end"
      end, { heartbeat = 4 })
    end)
    assert.are.equal("data: start\n\n..:\n\n.data: middle\n\n...:\n\n...:\n\n..data: end\n\n.", hear(18))
  end)

  it("goes on while an iterator waits", function()
    app:get("/", function()
      return dewar.sse(coroutine.wrap(function()
        dewar.sleep(5)
        coroutine.yield "late"
      end), { heartbeat = 2 })
    end)
    assert.are.equal(".:\n\n.:\n\ndata: late\n\n.", hear(6))
  end)

  it("is not sent unless it is asked for", function()
    app:get("/", function()
      return dewar.sse(function() dewar.sleep(10) end)
    end)
    assert.are.equal("..........", hear(10))
  end)
end)
