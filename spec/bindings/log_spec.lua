-- core.log: records from Lua, sinks in Lua, and where they go without one.
local core = require "dewar.core"
local log = core.log

-- What a script prints to both outputs, in a stock Lua of its own.
local function run(script)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write('local log = require "dewar.core".log\n', script)
  file:close()
  local pipe = assert(io.popen("lua5.4 " .. path .. " 2>&1"))
  local text = pipe:read("a")
  pipe:close()
  os.remove(path)
  return text
end

describe("log", function()
  local records, level

  before_each(function()
    records = {}
    level = log.level
    log.level = "debug"
    log.sink = function(...) records[#records + 1] = { ... } end
  end)

  after_each(function()
    log.sink = nil
    log.level = level
  end)

  it("gives level, text and fields to the sink", function()
    log.info("hello", { user = "ada", tries = 3, ratio = 0.5, ok = true, bad = false })
    assert.are.same({
      { "info", "hello", { user = "ada", tries = 3, ratio = 0.5, ok = true, bad = false } },
    }, records)
    assert.are.equal("integer", math.type(records[1][3].tries))
  end)

  it("has a function for every level", function()
    for _, name in ipairs { "debug", "info", "warn", "error" } do log[name](name .. "!") end
    assert.are.same({
      { "debug", "debug!", {} },
      { "info", "info!", {} },
      { "warn", "warn!", {} },
      { "error", "error!", {} },
    }, records)
  end)

  it("takes any value as the text, an error for one", function()
    log.error(core.Error("broken"))
    log.error(12)
    assert.are.equal("Error: broken", records[1][2])
    assert.are.equal("12", records[2][2])
  end)

  it("drops what is below the level", function()
    log.level = "warn"
    log.info("no")
    log.warn("yes")
    assert.are.equal("warn", log.level)
    assert.are.same({ { "warn", "yes", {} } }, records)
  end)

  it("gives records of C to the sink, too", function()
    core.spawn(error, "lost", 0)
    core.sleep(0)
    collectgarbage()
    collectgarbage()
    assert.are.equal(1, #records)
    assert.matches("lost", records[1][2], 1, true)
  end)

  it("keeps numbers that JSON has no name for as text", function()
    log.info("odd", { inf = math.huge, nan = 0 / 0, big = math.maxinteger })
    assert.are.same({ inf = "inf", big = math.maxinteger, nan = tostring(0 / 0) }, records[1][3])
  end)

  it("can be called from a task, a coroutine and a sort", function()
    core.run(function()
      coroutine.wrap(function() log.info("nested") end)()
      table.sort({ 2, 1 }, function(a, b) log.info("sorting") return a < b end)
    end)
    assert.are.equal("nested", records[1][2])
    assert.are.equal("sorting", records[2][2])
  end)

  it("says what is wrong with fields", function()
    local function message(...)
      local _, text = pcall(...)
      return text
    end
    assert.matches("log_spec.lua:%d+: log.info: the field 'x' is a table",
      message(function() log.info("a", { x = {} }) end))
    assert.matches("the name of a field must be a string, not a number",
      message(function() log.info("a", { "b" }) end), 1, true)
    assert.matches("the fields must be a table, not a string",
      message(function() log.info("a", "b") end), 1, true)
    assert.matches("the text comes first", message(function() log.warn() end), 1, true)
    assert.are.same({}, records)
  end)

  it("refuses settings that it doesn't have", function()
    assert.error_matches(function() log.levle = "info" end, "log has no setting 'levle'", 1, true)
    assert.error_matches(function() log.level = "loud" end,
      'log.level must be "debug", "info", "warn" or "error", not loud', 1, true)
    assert.error_matches(function() log.format = "xml" end, '"text" or "json", not xml', 1, true)
    assert.error_matches(function() log.sink = "stderr" end, "log.sink must be a function", 1, true)
  end)

  it("can be asked for its sink", function()
    local sink = log.sink
    assert.is_function(sink)
    log.sink = nil
    assert.is_nil(log.sink)
    log.sink = sink
    assert.are.equal(sink, log.sink)
  end)
end)

describe("log in a stock Lua", function()
  it("writes lines to stderr from warn on", function()
    local text = run [[
      log.info("quiet")
      log.warn("careful", { b = 2, a = "x y", c = true })
    ]]
    assert.matches("^%d%d:%d%d:%d%d WARN  careful a=\"x y\" b=2 c=true\n$", text)
  end)

  it("writes JSON when told to", function()
    local text = run [[
      assert(log.format == "text")
      log.format = "json"
      assert(log.format == "json")
      log.level = "debug"
      log.debug("seen", { n = 1.5, yes = true, s = "1" })
    ]]
    local record = core.json.decode(text)
    assert.are.equal("seen", record.text)
    assert.are.equal(1.5, record.n)
    assert.is_true(record.yes)
    assert.are.equal("1", record.s)
  end)

  it("falls back where the sink fails", function()
    local text = run [[
      log.sink = function() error("disk full") end
      log.error("important")
    ]]
    assert.matches("ERROR log%.sink failed: [^\n]*disk full", text)
    assert.matches("ERROR important\n", text)
  end)

  it("doesn't call the sink for what the sink logs", function()
    local text = run [[
      local calls = 0
      log.sink = function(level, text)
        calls = calls + 1
        log.error("from inside: " .. text)
      end
      log.error("once")
      print(calls)
    ]]
    assert.matches("ERROR from inside: once\n", text)
    assert.matches("\n1\n", "\n" .. text)
  end)

  it("doesn't let the sink wait", function()
    local text = run [[
      local dewar = require "dewar.core"
      log.sink = function() dewar.sleep(0.001) end
      dewar.run(function() log.error("important") end)
      print("on it goes")
    ]]
    assert.matches("log%.sink failed: ", text)
    assert.matches("ERROR important\n", text)
    assert.matches("on it goes\n", text)
  end)
end)
