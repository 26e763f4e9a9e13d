-- Events, semaphores and locks.
local dewar = require "dewar"

local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it raised nothing")
  return err
end

local function misuse(pattern, fn, ...)
  local err = raised(fn, ...)
  assert.is_string(err)
  assert.matches("^[^\n]*sync_spec%.lua:%d+: ", err)
  assert.matches(pattern, err)
end

local function is_timeout(err) return dewar.TimeoutError:is(err) end

--- Starts n tasks of fn(i), each up to its first wait.
local function start(n, fn)
  local tasks = {}
  for i = 1, n do tasks[i] = dewar.spawn(fn, i) end
  dewar.yield()
  return tasks
end

describe("an event", function()
  it("wakes everybody who waits, and lets through who comes later", function()
    local event, seen = dewar.event(), {}
    assert.is_false(event:is_set())
    local tasks = start(3, function(i) event:wait() seen[#seen + 1] = i end)
    assert.are.same({}, seen)
    event:set()
    assert.is_true(event:is_set())
    for i = 1, 3 do dewar.await(tasks[i]) end
    assert.are.same({ 1, 2, 3 }, seen)
    event:wait()
    assert.matches("^event: .*%(set%)$", tostring(event))
  end)

  it("makes wait again when it was cleared, but not those it has woken", function()
    local event = dewar.event()
    local task = start(1, function() event:wait() return "woken" end)[1]
    event:set()
    event:clear()
    assert.are.equal("woken", dewar.await(task))
    assert.is_true(is_timeout(raised(event.wait, event, 0.001)))
  end)

  it("may be set by a task while the main chunk waits", function()
    local event = dewar.event()
    dewar.spawn(function() dewar.sleep(0.001) event:set() end)
    event:wait()
    event:wait(0)
  end)

  it("is misused by times that are none", function()
    local event = dewar.event()
    misuse("event:wait: the time must be", event.wait, event, -1)
    misuse("event:wait: the time must be", event.wait, event, "soon")
  end)
end)

describe("a semaphore", function()
  it("lets so many in at once, in the order in which they came", function()
    local semaphore, inside, most, order = dewar.semaphore(2), 0, 0, {}
    local tasks = start(6, function(i)
      semaphore:acquire()
      order[#order + 1] = i
      inside = inside + 1
      most = math.max(most, inside)
      dewar.yield()
      inside = inside - 1
      semaphore:release()
    end)
    for i = 1, 6 do dewar.await(tasks[i]) end
    assert.are.equal(2, most)
    assert.are.same({ 1, 2, 3, 4, 5, 6 }, order)
  end)

  it("hands a permit on directly: nobody can come between", function()
    local lock, order = dewar.lock(), {}
    lock:acquire()
    local function enter(name)
      lock:acquire()
      order[#order + 1] = name
      lock:release()
    end
    local waiter = start(1, function() enter "waiter" end)[1]
    lock:release()
    local late = dewar.spawn(enter, "late")
    assert.is_true(is_timeout(raised(lock.acquire, lock, 0)))
    dewar.await(waiter)
    dewar.await(late)
    assert.are.same({ "waiter", "late" }, order)
  end)

  it("loses no permit to those who give up", function()
    local lock = dewar.lock()
    lock:acquire()
    local tasks = start(3, function(i)
      if i == 1 then return is_timeout(raised(lock.acquire, lock, 0.01)) end
      lock:acquire()
      return "got it"
    end)
    tasks[2]:cancel()
    assert.is_true(dewar.await(tasks[1]))
    pcall(dewar.await, tasks[2])
    lock:release()
    assert.are.equal("got it", dewar.await(tasks[3]))
  end)

  it("lets a task that was handed a permit before its cancellation have it", function()
    local lock = dewar.lock()
    lock:acquire()
    local task = start(1, function()
      lock:acquire()
      lock:release()
      return "released"
    end)[1]
    lock:release()
    task:cancel()
    assert.are.equal("released", dewar.await(task))
    lock:acquire(0)
  end)

  it("is held by with for as long as the function runs, whatever its end", function()
    local lock = dewar.lock()
    assert.are.same({ 1, nil, 3, n = 3 }, table.pack(lock:with(function(...)
      assert.is_true(is_timeout(raised(lock.acquire, lock, 0)))
      dewar.yield()
      return ...
    end, 1, nil, 3)))
    assert.are.equal("x", raised(lock.with, lock, error, "x"))
    local task = start(1, function() lock:with(dewar.sleep, 9) end)[1]
    task:cancel()
    pcall(dewar.await, task)
    assert.are.equal("free", lock:with(function() return "free" end))
    assert.matches("^lock: .*%(0 of 1 held%)$", tostring(lock))
  end)

  it("is given back by with when a coroutine is closed or dropped inside of it", function()
    local lock = dewar.lock()
    local co = coroutine.create(function() lock:with(coroutine.yield) end)
    coroutine.resume(co)
    assert.matches("1 of 1 held", tostring(lock))
    coroutine.close(co)
    assert.matches("0 of 1 held", tostring(lock))
    coroutine.wrap(function() lock:with(coroutine.yield) end)()
    collectgarbage() collectgarbage()
    assert.matches("0 of 1 held", tostring(lock))
  end)

  it("waits in with for its turn", function()
    local lock, order = dewar.lock(), {}
    local tasks = start(3, function(i)
      lock:with(function()
        order[#order + 1] = i
        dewar.yield()
        order[#order + 1] = -i
      end)
    end)
    for i = 1, 3 do dewar.await(tasks[i]) end
    assert.are.same({ 1, -1, 2, -2, 3, -3 }, order)
  end)

  it("refuses to be released more often than it was acquired", function()
    local semaphore = dewar.semaphore(2)
    misuse("release: it is not held", semaphore.release, semaphore)
    semaphore:acquire()
    semaphore:release()
    misuse("release: it is not held", semaphore.release, semaphore)
  end)

  it("is misused by numbers that are none", function()
    for _, n in ipairs { 0, -1, 1.5, "2" } do misuse("semaphore: expected", dewar.semaphore, n) end
    misuse("semaphore: expected", dewar.semaphore)
    local lock = dewar.lock()
    misuse("acquire: the time", lock.acquire, lock, 0 / 0)
    misuse("with: expected a function", lock.with, lock, 1)
  end)
end)
