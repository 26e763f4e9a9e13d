-- dewar.gather with limits and lists, dewar.race. What gather does with errors
-- and cancellations is in cancel_spec.lua.
local dewar = require "dewar"
local clean = require "spec.support.clean"

local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it raised nothing")
  return err
end

--- A function that waits so many turns and returns its values.
local function after(turns, ...)
  local values = table.pack(...)
  return function()
    for _ = 1, turns do dewar.yield() end
    return table.unpack(values, 1, values.n)
  end
end

--- Functions that count how many of them run at once.
local function crowd(size, turns)
  local seen = { now = 0, most = 0, order = {} }
  local list = {}
  for i = 1, size do
    list[i] = function()
      seen.now = seen.now + 1
      seen.most = math.max(seen.most, seen.now)
      seen.order[#seen.order + 1] = i
      for _ = 1, turns or 2 do dewar.yield() end
      seen.now = seen.now - 1
      return i
    end
  end
  return list, seen
end

describe("gather", function()
  clean.watch(before_each, after_each)

  it("takes a list and returns one", function()
    local task = dewar.spawn(after(1, "task"))
    local results = dewar.gather { after(3, "a", "more"), task, after(0), after(1, "d") }
    assert.are.same({ "a", "task", nil, "d" }, results)
    assert.are.same({}, dewar.gather {})
    assert.are.equal(1, select("#", dewar.gather {}))
    assert.are.equal("[]", dewar.json.encode(dewar.gather {}))
  end)

  it("takes nil for no options behind a list", function()
    assert.are.same({ 1, 2 }, dewar.gather({ after(1, 1), after(0, 2) }, nil))
    assert.are.same({}, dewar.gather({}, nil))
    assert.are.equal(2, dewar.race({ after(9, 1), after(0, 2) }, nil))
  end)

  it("runs no more at once than its limit says, in order", function()
    local list, seen = crowd(20)
    local results = dewar.gather(list, { limit = 3 })
    assert.are.equal(3, seen.most)
    for i = 1, 20 do assert.are.equal(i, results[i]) assert.are.equal(i, seen.order[i]) end
  end)

  it("takes options behind its functions, or before them", function()
    local list, seen = crowd(4)
    local a, b, c, d = dewar.gather(list[1], list[2], list[3], list[4], { limit = 2 })
    assert.are.same({ 1, 2, 3, 4 }, { a, b, c, d })
    assert.are.equal(2, seen.most)
    assert.are.same({ 1, 2 }, { dewar.gather({ limit = 1 }, after(1, 1), after(1, 2)) })
  end)

  it("needs no more than one at a time", function()
    local list, seen = crowd(5)
    dewar.gather(list, { limit = 1 })
    assert.are.equal(1, seen.most)
  end)

  it("does not count tasks that run already", function()
    local list, seen = crowd(3)
    local slow = dewar.spawn(after(10, "slow"))
    local results = dewar.gather({ slow, list[1], list[2], list[3] }, { limit = 1 })
    assert.are.same({ "slow", 1, 2, 3 }, results)
    assert.are.equal(1, seen.most)
  end)

  it("starts nothing more after an error", function()
    local list, seen = crowd(6, 1)
    list[2] = function() error("second", 0) end
    assert.are.equal("second", raised(dewar.gather, list, { limit = 2 }))
    assert.is_true(#seen.order <= 3, #seen.order)
  end)

  it("starts nothing more when it is cancelled, whatever it was doing", function()
    for turns = 0, 6 do
      local list, seen = crowd(50, 1)
      local task = dewar.spawn(dewar.gather, list, { limit = 2 })
      for _ = 1, turns do dewar.yield() end
      task:cancel()
      assert.is_true(dewar.is_cancelled(raised(dewar.await, task)))
      assert.are.equal("cancelled", task.status)
      assert.is_true(#seen.order < 20, #seen.order)
    end
  end)

  it("runs thousands", function()
    local list, seen = crowd(5000, 1)
    assert.are.equal(5000, #dewar.gather(list, { limit = 50 }))
    assert.are.equal(50, seen.most)
  end)

  it("is misused by what can't be run, and by options that it doesn't know", function()
    local function misuse(pattern, ...)
      local err = raised(dewar.gather, ...)
      assert.matches("^[^\n]*gather_spec%.lua:%d+: ", err)
      assert.matches(pattern, err)
    end
    misuse("gather: item 2 must be a function, a task or an awaitable, not a number", { print, 3 })
    misuse("unknown option 'limt'; did you mean 'limit'%?", print, { limt = 1 })
    misuse("gather: limit is how many", print, { limit = 0 })
    misuse("gather: limit is how many", print, { limit = 1.5 })
    misuse("gather: limit is how many", print, { limit = "2" })
    misuse("gather: a list has no field 'limit'", { print, limit = 2 })
    misuse("gather: behind a list there can only be options", { print }, print, {})
    misuse("gather: argument 2 must be", print, { print }, print)
  end)
end)

describe("race", function()
  clean.watch(before_each, after_each)

  it("gives all results of the first that ends, when the others have ended, too", function()
    local ended = 0
    local function slow()
      pcall(dewar.sleep, 9)
      dewar.shield(dewar.yield)
      ended = ended + 1
    end
    assert.are.same({ "a", nil, "c", n = 3 }, table.pack(dewar.race(slow, after(2, "a", nil, "c"), slow)))
    assert.are.equal(2, ended)
  end)

  it("raises the error of the first that ends", function()
    assert.are.equal("lost", raised(dewar.race, after(9), function() dewar.yield() error("lost", 0) end))
    local cancelled = dewar.spawn(dewar.sleep, 9)
    cancelled:cancel()
    assert.is_true(dewar.is_cancelled(raised(dewar.race, cancelled, after(9))))
  end)

  it("is won by what has ended before, and starts nothing then", function()
    local started = false
    local task = dewar.spawn(after(0, "there"))
    dewar.await(task)
    assert.are.equal("there", dewar.race(function() started = true end, task))
    assert.is_false(started)
  end)

  it("takes a list, too, and any awaitable", function()
    local co = coroutine.create(after(1, "co"))
    assert.are.equal("co", dewar.race { after(9), co })
  end)

  it("cancels all when it is cancelled, and waits for them", function()
    local ended = 0
    local function slow()
      pcall(dewar.sleep, 9)
      dewar.shield(dewar.yield)
      ended = ended + 1
    end
    local task = dewar.spawn(dewar.race, slow, slow)
    dewar.yield() dewar.yield()
    task:cancel()
    assert.is_true(dewar.is_cancelled(raised(dewar.await, task)))
    assert.are.equal(2, ended)
  end)

  describe("for a success", function()
    local SUCCESS = { success = true }
    local function failing(turns, message)
      return function()
        for _ = 1, turns do dewar.yield() end
        error(message, 0)
      end
    end

    local function logged(fn)
      local records, sink = {}, dewar.log.sink
      dewar.log.sink = function(_, text) records[#records + 1] = text end
      local ok, err = pcall(fn)
      collectgarbage() collectgarbage()
      dewar.log.sink = sink
      assert(ok, err)
      return records
    end

    it("passes over errors, which nobody needs to see then", function()
      assert.are.same({}, logged(function()
        dewar.run(function()
          assert(dewar.race(failing(0, "no"), after(3, "yes"), failing(1, "no"), SUCCESS) == "yes")
        end)
      end))
    end)

    it("raises the first error if all fail", function()
      assert.are.same({}, logged(function()
        dewar.run(function()
          assert(raised(dewar.race, failing(2, "late"), failing(1, "first"), SUCCESS) == "first")
        end)
      end))
    end)
  end)

  it("has no winner without a competitor", function()
    assert.matches("gather_spec%.lua:%d+: race: there is nobody who could win", raised(dewar.race))
    assert.matches("gather_spec%.lua:%d+: race: there is nobody who could win", raised(dewar.race, {}))
    assert.matches("race: success is true", raised(dewar.race, print, { success = 1 }))
    assert.matches("unknown option 'limit'", raised(dewar.race, print, { limit = 1 }))
  end)
end)
