-- Tracebacks of tasks: those of the coroutine that failed, through all that
-- resumed or awaited it.
local dewar = require "dewar"

local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it raised nothing")
  return err
end

--- The traceback that is logged for a task of fn, which fails.
local function traceback_of(fn)
  local text
  local sink = dewar.log.sink
  dewar.log.sink = function(_, record) text = record end
  dewar.run(function()
    dewar.spawn(fn)
    dewar.sleep(0.01)
  end)
  dewar.log.sink = sink
  return (text:gsub("^error in a task that nobody awaited: ", ""))
end

local function boom() error("boom", 0) end

-- Not a tail call, so that it is seen.
local function outer(fn, ...)
  local result = fn(...)
  return result
end

describe("a traceback", function()
  it("begins with the message and names the calls", function()
    local text = traceback_of(function() outer(boom) end)
    assert.matches("^boom\nstack traceback:\n\t%[C%]: in function 'error'\n", text)
    assert.matches("'fn'.*'outer'.*: in function <[^\n]*>$", text)
  end)

  it("leaves out what would only be more of the same, in coroutines, too", function()
    local function dig(depth)
      if depth == 0 then error("bottom", 0) end
      coroutine.wrap(function() dig(depth - 1) end)()
    end
    local text = traceback_of(function() dig(150) end)
    local lines = select(2, text:gsub("\n", ""))
    assert.matches("^bottom\n.*\n\t%.%.%. %(more%)$", text)
    assert.is_true(lines > 100 and lines < 400, lines)
    assert.are.equal(1, select(2, text:gsub("%(more%)", "")))
  end)

  it("goes through wrapped and resumed coroutines", function()
    local text = traceback_of(function()
      outer(coroutine.wrap(function()
        local co = coroutine.create(function() outer(boom) end)
        local _, err = coroutine.resume(co)
        error(err, 0)
      end))
    end)
    local first = text:find("(a coroutine resumed by)", 1, true)
    local second = text:find("(a coroutine resumed by)", first + 1, true)
    assert.is_truthy(first and second)
    assert.matches("'outer'", text:sub(1, first))
    assert.matches("'error'.*traceback_spec", text:sub(first, second))
    assert.matches("'outer'", text:sub(second))
    assert.are.equal("boom", text:match("^[^\n]*"))
  end)

  it("goes through awaited tasks, gather, timeout and shield", function()
    local text = traceback_of(function()
      outer(dewar.gather, function()
        outer(dewar.timeout, 1, function()
          dewar.yield()
          outer(dewar.shield, function()
            dewar.await(dewar.spawn(function() dewar.yield() outer(boom) end))
          end)
        end)
      end)
    end)
    local first = text:find("(a task awaited by)", 1, true)
    local second = text:find("(a task awaited by)", first + 1, true)
    assert.is_truthy(first and second)
    assert.is_nil(text:find("(a task awaited by)", second + 1, true))
    assert.matches("'outer'", text:sub(1, first))
    local middle = text:sub(first, second)
    assert.matches("await.*shield.*timeout", middle)
    assert.matches("gather", text:sub(second))
  end)

  it("is that of a new error with an equal message", function()
    local text = traceback_of(function()
      for _ = 1, 50 do pcall(dewar.await, dewar.spawn(boom)) end
      for _ = 1, 50 do pcall(coroutine.wrap(boom)) end
      for _ = 1, 50 do pcall(dewar.timeout, 1, boom) end
      outer(boom)
    end)
    assert.is_nil(text:find("awaited by", 1, true))
    assert.is_nil(text:find("resumed by", 1, true))
    assert.matches("'outer'", text)
  end)

  it("survives any value as an error", function()
    local odd = setmetatable({}, { __tostring = function() error("no text") end })
    assert.matches("^%(the error is a table that has no text%)\nstack",
      traceback_of(function() error(odd) end))
    assert.matches("^nil\nstack", traceback_of(function() error() end))
    assert.matches("^stack overflow", (traceback_of(function()
      local function deep() return 1 + deep() end
      return deep()
    end):gsub("^[^\n]*: stack", "stack")))
  end)

  it("leaves out the middle of a deep one", function()
    local function deep(n)
      if n == 0 then error("bottom", 0) end
      local result = deep(n - 1)
      return result
    end
    local text = traceback_of(function() deep(100) end)
    assert.matches("\n\t%.%.%. %(%d+ calls more%)\n", text)
    assert.is_true(select(2, text:gsub("\n", "")) < 30)
  end)
end)

describe("misuse", function()
  it("is reported at the innermost line of Lua", function()
    local line = debug.getinfo(1, "l").currentline + 1
    local err = raised(function() dewar.sleep("x") end)
    assert.matches("traceback_spec%.lua:" .. line .. ": sleep", err)
    assert.matches("traceback_spec%.lua:%d+: sleep", raised(dewar.sleep, "x"))
  end)
end)
