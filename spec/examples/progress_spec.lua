-- examples/progress: counting that can be watched, resumed and stopped.
local dewar = require "dewar"
local example = require "spec.support.example"

describe("the progress example", function()
  local app, client, forget

  before_each(function()
    app, forget = example.load "progress/app.lua"
    app.config.TESTING = true
    client = app:test_client()
  end)
  after_each(function()
    client:close()
    forget()
  end)

  local function watch(below, headers)
    local part = client:get("/primes", { query = { below = below }, stream = true, headers = headers })
    return part, part:events()
  end

  it("has a page", function()
    local page = client:get "/"
    assert.matches('max="50000000"', page.body)
    assert.are.equal(200, client:get("/static/progress.css").status)
  end)

  it("counts primes, and says how far it is", function()
    for below, primes in pairs { [2] = 0, [3] = 1, [30] = 10, [1000] = 168, [10007] = 1229 } do
      local _, events = watch(below)
      local percent, found, event = 0, 0, nil
      for each in events do
        event = each
        local data = dewar.json.decode(each.data)
        if each.event == "progress" then
          assert.is_true(data.percent > percent and data.found >= found)
          percent = data.percent
        end
        found = data.found
      end
      assert.are.equal("result", event.event)
      assert.are.same({ 100, primes }, { percent, found })
    end
  end)

  it("goes on where a client was that comes again", function()
    local part, events = watch(1000)
    local last
    for _ = 1, 40 do last = events() end
    part:close()
    local _, rest = watch(1000, { ["Last-Event-ID"] = last.id })
    local event, count = nil, 0
    for each in rest do event, count = each, count + 1 end
    assert.are.equal(61, count)
    assert.are.equal('{"found":168}', event.data)
  end)

  it("begins anew for a client that makes up where it was", function()
    for _, id in ipairs { "99 999999999999999999999999", "999999999999999999999999 5", "x", "1", "" } do
      local _, rest = watch(1000, { ["Last-Event-ID"] = id })
      local event
      for each in rest do event = each end
      assert.are.equal('{"found":168}', event.data, id)
    end
  end)

  it("stops when its client leaves, wherever it is", function()
    local part, events = watch(50000000)
    assert.are.equal(1, client:get("/running"):json().running)
    part:close()
    assert.are.equal(0, client:get("/running"):json().running)
    assert.is_not_nil(events)
  end)

  it("refuses what it won't count", function()
    assert.are.equal(400, client:get("/primes").status)
    assert.are.equal(400, client:get("/primes?below=many").status)
    for _, below in ipairs { 1, -5, 50000001 } do
      assert.are.equal(422, client:get("/primes", { query = { below = below } }).status)
    end
  end)
end)
