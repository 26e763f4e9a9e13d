-- dewar.await_callback: waiting for what calls back.
local dewar = require "dewar"
local clean = require "spec.support.clean"

-- In place of a library: calls back in another task, after a while.
local function after(seconds, callback, ...)
  local values = table.pack(...)
  dewar.spawn(function()
    dewar.sleep(seconds)
    callback(table.unpack(values, 1, values.n))
  end)
end

-- The records of the log that fn makes.
local function logged(fn)
  local records, sink = {}, dewar.log.sink
  dewar.log.sink = function(_, text) records[#records + 1] = text end
  local ok, err = pcall(fn)
  dewar.log.sink = sink
  assert(ok, err)
  return records
end

-- What the caller of f, with these arguments, is told; it has to be an error.
local function refusal(...)
  local ok, err = pcall(...)
  assert.is_false(ok)
  return tostring(err)
end

describe("await_callback", function()
  clean.watch(before_each, after_each)

  it("returns what done is given, whatever that is", function()
    for _, values in ipairs { { n = 0 }, { n = 1, "one" }, { n = 1 }, { n = 4, nil, 2, nil, nil } } do
      local got = table.pack(dewar.await_callback(function(done)
        after(0, done, table.unpack(values, 1, values.n))
      end))
      assert.are.same(values, got)
    end
  end)

  it("takes many values", function()
    local list = {}
    for i = 1, 300 do list[i] = i end
    assert.are.same(list, { dewar.await_callback(function(done) done(table.unpack(list)) end) })
  end)

  it("takes an answer before the function has returned", function()
    assert.are.equal("at once", dewar.run(dewar.await_callback, function(done) done "at once" end))
  end)

  it("starts with a function that waits itself", function()
    local function start(done)
      after(0, done, "while it started")
      dewar.sleep(0.01)
    end
    assert.are.equal("while it started", dewar.await_callback(start))
    assert.are.equal("while it started", dewar.run(dewar.await_callback, start))
  end)

  it("takes any value that can be called", function()
    local object = setmetatable({}, { __call = function(_, done) done "object" end })
    assert.are.equal("object", dewar.await_callback(object))
  end)

  it("lets other tasks run", function()
    local order = {}
    dewar.gather(function()
      dewar.await_callback(function(done) after(0.02, done) end)
      order[#order + 1] = "called back"
    end, function()
      dewar.sleep(0.001)
      order[#order + 1] = "slept"
    end)
    assert.are.same({ "slept", "called back" }, order)
  end)

  it("counts the first call only, and tells that", function()
    local later
    assert.are.equal(1, dewar.await_callback(function(done)
      assert.is_true(done(1))
      assert.is_false(done(2))
      later = done
    end))
    assert.is_false(later(3))
  end)

  it("ignores a call that comes after time has run out", function()
    local later
    local ok, err = pcall(dewar.await_callback, function(done) later = done end, { timeout = 0.001 })
    assert.is_false(ok)
    assert.is_true(dewar.TimeoutError:is(err))
    assert.is_false(later "too late")
  end)

  it("is in the list of tasks by its name", function()
    local later
    local task = dewar.spawn(dewar.await_callback, function(done) later = done end)
    dewar.yield()
    assert.are.equal("callback", dewar.tasks()[1].wait)
    later()
    dewar.await(task)
  end)

  it("works in a generator", function()
    local next_value = coroutine.wrap(function()
      for i = 1, 3 do
        coroutine.yield(dewar.await_callback(function(done) after(0.001, done, i) end))
      end
    end)
    dewar.run(function()
      assert.are.same({ 1, 2, 3 }, { next_value(), next_value(), next_value() })
    end)
  end)

  it("raises what the function raises that was to begin it", function()
    local err = {}
    local cancelled = false
    local ok, raised = pcall(dewar.await_callback, function() error(err) end,
      { cancel = function() cancelled = true end })
    assert.is_false(ok)
    assert.are.equal(err, raised)
    assert.is_false(cancelled)
  end)

  it("fails when nobody is left who could call back", function()
    local task = dewar.spawn(dewar.await_callback, function() end)
    dewar.yield()
    collectgarbage()
    local err = refusal(dewar.await, task)
    assert.is_truthy(err:find("nobody will ever call back", 1, true), err)
  end)

  it("fails when nothing runs that could call back", function()
    local kept
    local err = refusal(function()
      return (dewar.await_callback(function(done) kept = done end))
    end)
    assert.is_function(kept)
    assert.is_truthy(err:find "^spec/bindings/callback_spec.lua:%d+: this wait can never end", err)
  end)

  it("gives its memory back, however it ends", function()
    local kept
    local function never(done) kept = done end
    clean.keeps_memory(function()
      dewar.await_callback(function(done) after(0, done, 1, 2, 3) end)
      pcall(dewar.await_callback, never, { timeout = 0, cancel = function() kept = nil end })
      local task = dewar.spawn(dewar.await_callback, never)
      dewar.yield()
      task:cancel()
      pcall(dewar.await, task)
      assert.is_false(kept())
    end)
  end)
end)

describe("what await_callback began", function()
  clean.watch(before_each, after_each)

  it("is ended by cancel, once, when its task is cancelled", function()
    local ended, later = 0, nil
    local task = dewar.spawn(dewar.await_callback, function(done) later = done end,
      { cancel = function() ended = ended + 1 end })
    dewar.yield()
    task:cancel()
    assert.is_false((pcall(dewar.await, task)))
    assert.are.equal("cancelled", task.status)
    assert.are.equal(1, ended)
    assert.is_false(later())
    assert.are.equal(1, ended)
  end)

  it("is ended by cancel when time runs out", function()
    local ended, kept = 0, nil
    local function cancel() ended = ended + 1 end
    local function never(done) kept = done end
    pcall(dewar.run, dewar.await_callback, never, { timeout = 0.001, cancel = cancel })
    pcall(dewar.await_callback, never, { timeout = 0.001, cancel = cancel })
    pcall(dewar.timeout, 0.001, dewar.await_callback, never, { cancel = cancel })
    assert.are.equal(3, ended)
    assert.is_false(kept())
  end)

  it("isn't ended when it has called back", function()
    local ended = false
    assert.are.equal(7, dewar.await_callback(function(done) after(0.001, done, 7) end,
      { timeout = 10, cancel = function() ended = true end }))
    assert.is_false(ended)
  end)

  it("ends with its task, even if cancel fails, which is logged", function()
    local task, later
    local records = logged(function()
      task = dewar.spawn(dewar.await_callback, function(done) later = done end,
        { cancel = function() error "no way" end })
      dewar.yield()
      task:cancel()
      assert.is_true(dewar.is_cancelled(select(2, pcall(dewar.await, task))))
    end)
    assert.are.equal("cancelled", task.status)
    assert.is_truthy(records[1]:find("cancel failed: .*no way"), records[1])
    assert.is_false(later())
  end)
end)

describe("await_callback with error_first", function()
  it("raises the first value unless it is nil, and returns the others", function()
    local function await(...)
      local values = table.pack(...)
      return dewar.await_callback(function(done) done(table.unpack(values, 1, values.n)) end,
        { error_first = true })
    end
    assert.are.same({ 1, 2 }, { await(nil, 1, 2) })
    assert.are.equal(0, select("#", await(nil)))
    assert.are.equal(0, select("#", await()))
    local err = {}
    assert.are.equal(err, select(2, pcall(await, err)))
    assert.are.equal("went wrong", select(2, pcall(await, "went wrong")))
  end)

  it("makes an error with a code of a text that begins with one", function()
    for text, code in pairs {
      ["ECONNREFUSED"] = "ECONNREFUSED",
      ["ENOENT: no such file or directory: /x"] = "ENOENT",
      ["EAI_AGAIN: later"] = "EAI_AGAIN",
    } do
      local _, err = pcall(dewar.await_callback, function(done) done(text) end, { error_first = true })
      assert.is_true(dewar.Error:is(err))
      assert.are.equal(code, err.code)
      assert.are.equal(text, err.message)
    end
    for _, text in ipairs { "Every", "E", "ERROR in line 3", "", "eof" } do
      local _, err = pcall(dewar.await_callback, function(done) done(text) end, { error_first = true })
      assert.are.equal(text, err)
    end
  end)
end)

describe("await_callback raises at the line of a wrong call", function()
  for message, call in pairs {
    ["expected a function that begins something, not a nil"] = function() dewar.await_callback() end,
    ["expected a function that begins something, not a table"] = function() dewar.await_callback {} end,
    ["unknown option 'timout'; did you mean 'timeout'?"] = function()
      dewar.await_callback(print, { timout = 1 })
    end,
    ["the options must be a table, not a number"] = function() dewar.await_callback(print, 1) end,
    ["the time must be a number of seconds, not a string"] = function()
      dewar.await_callback(print, { timeout = "1" })
    end,
    ["the time must be 0 or more seconds, not -1"] = function()
      dewar.await_callback(print, { timeout = -1 })
    end,
    ["cancel is a function that ends what was begun, not a boolean"] = function()
      dewar.await_callback(print, { cancel = true })
    end,
    ["error_first is true (the callback's first value is an error, or nil) or false"] = function()
      dewar.await_callback(print, { error_first = 1 })
    end,
  } do
    it(message, function()
      local err = refusal(call)
      assert.is_truthy(err:find "^spec/bindings/callback_spec.lua:%d+: ", err)
      assert.is_truthy(err:find(message, 1, true), err)
    end)
  end

  it("before anything has begun, where it can't wait", function()
    local begun, err = false, nil
    dewar.run(table.sort, { 2, 1 }, function(a, b)
      err = refusal(function() return (dewar.await_callback(function() begun = true end)) end)
      return a < b
    end)
    assert.is_false(begun)
    assert.is_truthy(err:find "^spec/bindings/callback_spec.lua:%d+: cannot wait across 'table.sort'", err)
  end)
end)
