-- examples/async: waiting views.
local dewar = require "dewar"
local example = require "spec.support.example"

describe("the async example", function()
  local client

  before_each(function() client = example.load("async/app.lua"):test_client() end)
  after_each(function() client:close() end)

  it("gathers the weather of all cities, in the order asked for", function()
    local cities = client:get("/weather", { query = { city = { "Oslo", "Rome", "Lima" } } }):json()
    local names = {}
    for i, weather in ipairs(cities) do names[i] = weather.city end
    assert.are.same({ "Oslo", "Rome", "Lima" }, names)
    assert.are.equal("[]\n", client:get("/weather").body)
  end)

  it("waits for all cities at once", function()
    local order = {}
    dewar.gather(function()
      client:get("/weather?city=Oslo&city=Rome&city=Lima&city=Bonn&city=Kiel&city=Turku")
      order[#order + 1] = "six cities"
    end, function()
      dewar.sleep(0.4)
      order[#order + 1] = "the time for four, one after another"
    end)
    assert.are.equal("six cities", order[1])
  end)

  it("stops the heart when the marathon is over", function()
    local during = client:get("/marathon"):json()
    assert.is_true(during.alive)
    assert.is_true(during.beats > 1)
    local after = client:get("/heart"):json()
    assert.is_false(after.alive)
    assert.are.equal(1, after.stopped)
    client:get("/marathon")
    assert.are.equal(2, client:get("/heart"):json().stopped)
  end)

  it("decorates plain and async views alike", function()
    for _, kind in ipairs { "plain", "async" } do
      assert.are.equal("HELLO", client:get("/shout/" .. kind).body)
      local res = client:get("/private/" .. kind)
      assert.are.equal("between us", res.body)
      assert.are.equal("no-store", res.headers.cache_control)
    end
  end)

  it("counts down", function()
    assert.are.equal("3\n2\n1\nlift-off\n", client:get("/countdown/3").body)
    assert.are.equal(404, client:get("/countdown/11").status)
  end)
end)
