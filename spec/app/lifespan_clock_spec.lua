-- An app's life on a virtual clock: `every` keeps its time to the second. The
-- clock stays virtual for the whole runtime, so this is a file of its own.
local dewar = require "dewar"

describe("every, on a virtual clock,", function()
  local app, client, runs, started

  local function serve()
    client = app:test_client { lifespan = true, clock = "virtual" }
    app:get("/", function() return "Hello" end)
    client:get "/"
    started = started or dewar.now()
  end

  before_each(function()
    app, runs, started = dewar.app(), {}, nil
    app:before_serving(function() started = dewar.now() end)
  end)

  after_each(function() client:close() end)

  -- To the millisecond.
  local function at() runs[#runs + 1] = math.floor((dewar.now() - started) * 1000 + 0.5) / 1000 end

  it("runs first after its interval, and then at multiples of it", function()
    app:every(60, at)
    serve()
    client.clock:advance(59)
    assert.are.same({}, runs)
    client.clock:advance(1)
    assert.are.same({ 60 }, runs)
    client.clock:advance(180)
    assert.are.same({ 60, 120, 180, 240 }, runs)
  end)

  it("runs at once with `now`", function()
    app:every(60, { now = true }, at)
    serve()
    client.clock:advance(61)
    assert.are.same({ 0, 60 }, runs)
  end)

  it("never overlaps itself: what falls into a run is left out, and nothing drifts", function()
    app:every(10, function()
      at()
      dewar.sleep(25)
    end)
    serve()
    client.clock:advance(100)
    assert.are.same({ 10, 40, 70, 100 }, runs)
  end)

  it("keeps its time where it takes some itself", function()
    app:every(10, function()
      at()
      dewar.sleep(10)
    end)
    serve()
    client.clock:advance(35)
    assert.are.same({ 10, 20, 30 }, runs)
  end)

  it("goes on after an error, which is logged with its traceback", function()
    app:every(10, function()
      at()
      error "oops"
    end)
    serve()
    local texts, sink = {}, dewar.log.sink
    dewar.log.sink = function(level, text) texts[#texts + 1] = level .. " " .. text end
    client.clock:advance(20)
    dewar.log.sink = sink
    assert.are.same({ 10, 20 }, runs)
    assert.are.equal(2, #texts)
    assert.matches("^error Exception in every%(10%) at [^\n]*lifespan_clock_spec%.lua:%d+: "
      .. "[^\n]*lifespan_clock_spec%.lua:%d+: oops\nstack traceback:\n", texts[1])
  end)

  it("ends tasks that a run leaves behind", function()
    local ended = 0
    app:every(10, function()
      dewar.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() ended = ended + 1 end })
        dewar.sleep(1000)
      end)
      dewar.sleep(1)
    end)
    serve()
    client.clock:advance(25)
    assert.are.equal(2, ended)
  end)

  it("lets the time pass that the app's start and end need", function()
    local seen = {}
    app:before_serving(function() dewar.sleep(3600) seen[1] = "started" end)
    app:while_serving(function(serving) serving() dewar.sleep(2) seen[2] = "ended" end)
    serve()
    app:add_background_task(function() dewar.sleep(5) seen[3] = "done" end)
    client:close()
    assert.are.same({ "started", "ended", "done" }, seen)
  end)
end)
