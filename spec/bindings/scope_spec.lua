-- dewar.scope: a stretch of a task that owns tasks.
local dewar = require "dewar"
local clean = require "spec.support.clean"

local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it raised nothing")
  return err
end

local function is_timeout(err) return dewar.TimeoutError:is(err) end

--- Runs fn and returns the texts that were logged meanwhile.
local function logged(fn)
  local records, sink = {}, dewar.log.sink
  dewar.log.sink = function(_, text) records[#records + 1] = text end
  local ok, err = pcall(fn)
  collectgarbage() collectgarbage()
  dewar.log.sink = sink
  assert(ok, err)
  return records
end

--- A task's function that sleeps, and says in `list` how that ended.
local function sleeper(list, name)
  return function()
    local ok = pcall(dewar.sleep, 9)
    dewar.shield(dewar.yield)
    list[#list + 1] = name .. (ok and " slept" or " cancelled")
  end
end

describe("a scope", function()
  clean.watch(before_each, after_each)

  -- Inside of a task and outside of any.
  for where, within in pairs { ["a task"] = dewar.run, ["a main chunk"] = function(f) return f() end } do
    describe("in " .. where, function()
      it("waits for its tasks, and gives the results of its function", function()
        local seen = {}
        local results = within(function()
          return table.pack(dewar.scope(function(scope, ...)
            for i = 1, 3 do
              scope:spawn(function(...)
                dewar.yield()
                seen[#seen + 1] = ...
              end, i)
            end
            return ..., nil, "c"
          end, "a"))
        end)
        assert.are.same({ "a", nil, "c", n = 3 }, results)
        assert.are.same({ 1, 2, 3 }, seen)
      end)

      it("ends with the first error of a task, when all others have ended", function()
        local seen = {}
        local err = within(function()
          return raised(dewar.scope, function(scope)
            scope:spawn(sleeper(seen, "a"))
            scope:spawn(function() dewar.yield() error("first", 0) end)
            scope:spawn(sleeper(seen, "b"))
            sleeper(seen, "body")()
          end)
        end)
        assert.are.equal("first", err)
        table.sort(seen)
        assert.are.same({ "a cancelled", "b cancelled", "body cancelled" }, seen)
      end)

      it("ends with an error of its function, when its tasks have ended", function()
        local seen = {}
        local err = within(function()
          return raised(dewar.scope, function(scope)
            scope:spawn(sleeper(seen, "a"))
            dewar.yield() dewar.yield()
            error({ code = 7 })
          end)
        end)
        assert.are.same({ code = 7 }, err)
        assert.are.same({ "a cancelled" }, seen)
      end)

      it("is cancelled by itself without an error, its function included", function()
        local seen = {}
        local count = within(function()
          return select("#", dewar.scope(function(scope)
            scope:spawn(sleeper(seen, "a"))
            dewar.yield() dewar.yield()
            scope:cancel()
            scope:cancel()
            dewar.sleep(9)
            seen[#seen + 1] = "not reached"
            return 1
          end))
        end)
        assert.are.equal(0, count)
        assert.are.same({ "a cancelled" }, seen)
        dewar.yield() -- what is outside goes on
      end)

      it("has a time limit of its own", function()
        local seen = {}
        local err = within(function()
          return raised(dewar.scope, { timeout = 0.01 }, function(scope)
            scope:spawn(sleeper(seen, "a"))
            return "returned before"
          end)
        end)
        assert.is_true(is_timeout(err))
        assert.are.same({ "a cancelled" }, seen)
        assert.is_true(is_timeout(within(function()
          return raised(dewar.scope, { timeout = 0 }, function() dewar.sleep(9) end)
        end)))
        assert.are.equal(1, within(function()
          return dewar.scope({ timeout = 9 }, function(scope) scope:spawn(dewar.yield) return 1 end)
        end))
      end)
    end)
  end

  it("never starts what is spawned when it has been cancelled", function()
    local started, task = false, nil
    dewar.scope(function(scope)
      scope:cancel()
      task = scope:spawn(function() started = true end)
    end)
    assert.are.equal("cancelled", task.status)
    assert.is_false(started)
  end)

  it("may be cancelled, and grow, from its tasks and from other ones", function()
    local seen, handle = {}, nil
    local outside = dewar.spawn(function()
      repeat dewar.yield() until handle
      handle:spawn(sleeper(seen, "a guest"))
      dewar.yield() dewar.yield()
      handle:cancel()
    end)
    dewar.scope(function(scope)
      handle = scope
      scope:spawn(function() scope:spawn(sleeper(seen, "a grandchild")) end)
    end)
    table.sort(seen)
    assert.are.same({ "a grandchild cancelled", "a guest cancelled" }, seen)
    dewar.await(outside)
    assert.matches("scope_spec%.lua:%d+: scope:spawn: this scope has ended", raised(handle.spawn, handle, print))
    handle:cancel() -- nothing is left to be cancelled
    assert.matches("^scope: .*%(0 tasks, ended%)$", tostring(handle))
  end)

  it("has its tasks in the tree of who opened it", function()
    local task
    dewar.run(function()
      dewar.spawn(function()
        dewar.scope(function(scope)
          task = scope:spawn(dewar.sleep, 9)
          dewar.sleep(9)
        end)
      end)
      dewar.yield() dewar.yield()
    end)
    assert.are.equal("cancelled", task.status)
  end)

  it("is cancelled with its caller, and that is raised, again at each later wait", function()
    local seen = {}
    local task = dewar.spawn(function()
      local err = raised(dewar.scope, function(scope)
        scope:spawn(sleeper(seen, "a"))
        return "its end"
      end)
      seen[#seen + 1] = dewar.is_cancelled(err)
      -- A scope is a wait like any other, if it has to wait.
      err = raised(dewar.scope, function(scope) scope:spawn(sleeper(seen, "never started")) end)
      seen[#seen + 1] = dewar.is_cancelled(err)
      error(err, 0)
    end)
    for _ = 1, 4 do dewar.yield() end
    task:cancel()
    assert.is_true(dewar.is_cancelled(raised(dewar.await, task)))
    assert.are.same({ "a cancelled", true, true }, seen)
  end)

  it("is interrupted by a timeout around it, and raises that one's error", function()
    local seen = {}
    local err = raised(dewar.timeout, 0.01, dewar.scope, function(scope)
      scope:spawn(sleeper(seen, "a"))
      dewar.sleep(9)
    end)
    assert.is_true(is_timeout(err))
    assert.are.same({ "a cancelled" }, seen)
  end)

  it("knows its own time limit from one around it", function()
    local inner
    local err = raised(dewar.timeout, 0.01, function()
      inner = raised(dewar.scope, { timeout = 5 }, function() dewar.sleep(9) end)
      dewar.sleep(9)
    end)
    assert.is_true(dewar.is_cancelled(inner))
    assert.is_true(is_timeout(err))
    dewar.timeout(5, function()
      inner = raised(dewar.scope, { timeout = 0.01 }, function() dewar.sleep(9) end)
      dewar.yield()
    end)
    assert.is_true(is_timeout(inner))
  end)

  it("nests: an inner error cancels the outer one", function()
    local seen = {}
    local err = raised(dewar.scope, function(outer)
      outer:spawn(sleeper(seen, "outer"))
      outer:spawn(function()
        dewar.scope(function(inner)
          inner:spawn(sleeper(seen, "inner"))
          inner:spawn(function() dewar.yield() error("deep", 0) end)
        end)
      end)
    end)
    assert.are.equal("deep", err)
    assert.are.same({ "inner cancelled", "outer cancelled" }, seen)
  end)

  it("nests: cancelling the inner one leaves the outer one alone", function()
    local seen = {}
    dewar.scope(function(outer)
      local task = outer:spawn(function() for _ = 1, 10 do dewar.yield() end return "whole" end)
      dewar.scope(function(inner)
        inner:spawn(sleeper(seen, "inner"))
        dewar.yield() dewar.yield()
        inner:cancel()
      end)
      assert.are.equal("whole", dewar.await(task))
    end)
    assert.are.same({ "inner cancelled" }, seen)
  end)

  it("takes a task that is cancelled alone for no failure", function()
    dewar.scope(function(scope)
      local task = scope:spawn(dewar.sleep, 9)
      local other = scope:spawn(function() for _ = 1, 5 do dewar.yield() end return "other" end)
      dewar.yield()
      task:cancel()
      assert.are.equal("other", dewar.await(other))
    end)
  end)

  it("waits for what is shielded in it", function()
    local ended = false
    dewar.scope(function(scope)
      scope:spawn(function()
        dewar.shield(function() for _ = 1, 5 do dewar.yield() end ended = true end)
      end)
      dewar.yield() dewar.yield()
      scope:cancel()
    end)
    assert.is_true(ended)
  end)

  it("closes a function that goes on after a hundred cancellations", function()
    local swallowed = 0
    local task
    local texts = logged(function()
      task = dewar.spawn(function()
        dewar.scope(function(scope)
          scope:cancel()
          while true do
            pcall(dewar.yield)
            swallowed = swallowed + 1
          end
        end)
      end)
      pcall(dewar.await, task)
    end)
    assert.are.equal("cancelled", task.status)
    assert.are.equal(100, swallowed)
    assert.matches("100 times", texts[1])
  end)

  it("raises the error of a task that its function has awaited, once", function()
    local texts = logged(function()
      local err = raised(dewar.run, function()
        dewar.scope(function(scope)
          dewar.await(scope:spawn(function() dewar.yield() error("awaited", 0) end))
        end)
      end)
      assert(err == "awaited")
    end)
    assert.are.same({}, texts)
  end)

  it("loses no error: the second one is logged, with its traceback", function()
    local texts = logged(function()
      local err = raised(dewar.run, function()
        dewar.scope(function(scope)
          scope:spawn(function() dewar.yield() error("first", 0) end)
          scope:spawn(function()
            pcall(dewar.sleep, 9)
            error("in a task")
          end)
          pcall(dewar.sleep, 9)
          error("in the function")
        end)
      end)
      assert(err == "first")
    end)
    assert.are.equal(2, #texts)
    local all = table.concat(texts, "\n")
    assert.matches("scope_spec%.lua:%d+: in a task\nstack traceback:\n", all)
    assert.matches("scope_spec%.lua:%d+: in the function\nstack traceback:\n", all)
  end)

  it("gives the traceback of the task, and then its own", function()
    local texts = logged(function()
      dewar.run(function()
        dewar.spawn(function()
          dewar.scope(function(scope)
            scope:spawn(function()
              local function inner_of_task() error("boom") end
              inner_of_task()
            end)
          end)
        end)
        for _ = 1, 6 do dewar.yield() end
      end)
    end)
    assert.matches("inner_of_task.*a task awaited by.*in function 'scope'", texts[1])
  end)

  it("gives the traceback of its function, whatever came between", function()
    local texts = logged(function()
      dewar.run(function()
        dewar.spawn(function()
          dewar.scope(function(scope)
            scope:spawn(function()
              pcall(dewar.sleep, 9)
              dewar.shield(dewar.yield)
              pcall(error, "another one")
            end)
            local function inner_of_scope()
              dewar.yield() dewar.yield()
              error("boom")
            end
            inner_of_scope()
          end)
        end)
        for _ = 1, 12 do dewar.yield() end
      end)
    end)
    assert.matches("boom\nstack traceback:.*inner_of_scope.*in function 'scope'", texts[1])
  end)

  it("waits in generators, and cannot be left by their yield", function()
    local generator = coroutine.wrap(function()
      for i = 1, 2 do
        local sum = 0
        dewar.scope(function(scope)
          for k = 1, 3 do scope:spawn(function() dewar.yield() sum = sum + k * i end) end
        end)
        coroutine.yield(sum)
      end
      dewar.scope(function() coroutine.yield(1) end)
    end)
    assert.are.same({ 6, 12 }, { generator(), generator() })
    assert.matches("scope_spec%.lua:%d+: cannot yield out of dewar.timeout, dewar.shield or dewar.scope",
      raised(generator))
  end)

  it("takes thousands of tasks, and deep trees", function()
    local count = 0
    dewar.scope(function(scope)
      for _ = 1, 3000 do scope:spawn(function() dewar.yield() count = count + 1 end) end
    end)
    assert.are.equal(3000, count)
    local function nest(depth)
      if depth == 0 then error("bottom", 0) end
      dewar.scope(function(scope) scope:spawn(nest, depth - 1) end)
    end
    assert.are.equal("bottom", raised(nest, 500))
  end)

  it("keeps no memory", function()
    clean.keeps_memory(function()
      pcall(dewar.scope, function(scope)
        scope:spawn(dewar.sleep, 9)
        scope:spawn(function() dewar.yield() error {} end)
      end)
      dewar.scope(function(scope) scope:spawn(dewar.yield) end)
    end)
  end)

  it("is misused by what is no function, and by unknown options", function()
    local function misuse(pattern, ...)
      local err = raised(dewar.scope, ...)
      assert.matches("^[^\n]*scope_spec%.lua:%d+: ", err)
      assert.matches(pattern, err)
    end
    misuse "scope: expected a function, got nothing"
    misuse("scope: expected a function, got nothing", {})
    misuse("scope: expected a function, got number", 3)
    misuse("unknown option 'timeot'; did you mean 'timeout'", { timeot = 1 }, print)
    misuse("scope: the time must be 0 or more seconds", { timeout = -1 }, print)
    dewar.scope(function(scope)
      assert.matches("scope_spec%.lua:%d+: scope:spawn: expected a function, got nil", raised(scope.spawn, scope, nil))
    end)
  end)
end)
