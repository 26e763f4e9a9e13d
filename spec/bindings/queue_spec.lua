-- Queues.
local dewar = require "dewar"

local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it raised nothing")
  return err
end

local function misuse(pattern, fn, ...)
  local err = raised(fn, ...)
  assert.is_string(err)
  assert.matches("^[^\n]*queue_spec%.lua:%d+: ", err)
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

describe("a queue", function()
  it("hands values on in order", function()
    local queue, got = dewar.queue(), {}
    for i = 1, 5 do queue:put(i) end
    assert.are.equal(5, #queue)
    for i = 1, 5 do got[i] = queue:get() end
    assert.are.same({ 1, 2, 3, 4, 5 }, got)
    assert.are.equal(0, #queue)
    queue:put(false)
    assert.is_false(queue:get())
  end)

  it("makes putting wait when it is full", function()
    local queue, events = dewar.queue(2), {}
    dewar.gather(function()
      for i = 1, 5 do
        queue:put(i)
        events[#events + 1] = "put" .. i
      end
    end, function()
      for _ = 1, 5 do
        dewar.yield()
        assert.is_true(#queue <= 2)
        events[#events + 1] = "got" .. queue:get()
      end
    end)
    assert.are.equal("put1 put2 got1", table.concat(events, " ", 1, 3))
    assert.are.equal(10, #events)
    assert.are.equal("got5", events[10])
  end)

  it("serves getters in the order in which they came", function()
    local queue, got = dewar.queue(), {}
    local tasks = start(4, function(i) got[i] = queue:get() end)
    for i = 1, 4 do queue:put("v" .. i) end
    for i = 1, 4 do dewar.await(tasks[i]) end
    assert.are.same({ "v1", "v2", "v3", "v4" }, got)
  end)

  it("promises an item to a getter that was woken: nobody can come between", function()
    local queue = dewar.queue()
    local task = start(1, function() return queue:get() end)[1]
    queue:put("first")
    assert.is_true(is_timeout(raised(queue.get, queue, 0)))
    assert.are.equal("first", dewar.await(task))
  end)

  it("keeps a place for a putter that was woken", function()
    local queue = dewar.queue(1)
    queue:put(1)
    local task = start(1, function() queue:put(2) end)[1]
    assert.are.equal(1, queue:get())
    assert.is_true(is_timeout(raised(queue.put, queue, 3, 0)))
    dewar.await(task)
    assert.are.equal(2, queue:get())
    queue:put(4)
    assert.are.equal(4, queue:get())
  end)

  it("loses no item to those who give up", function()
    local queue = dewar.queue()
    local tasks = start(3, function(i)
      if i == 1 then return is_timeout(raised(queue.get, queue, 0.01)) end
      return queue:get()
    end)
    tasks[2]:cancel()
    assert.is_true(dewar.await(tasks[1]))
    queue:put("item")
    assert.are.equal("item", dewar.await(tasks[3]))
    local task = start(1, function() return queue:get() end)[1]
    queue:put("handed over")
    task:cancel()
    assert.are.equal("handed over", dewar.await(task))
  end)

  it("drops what a putter that gave up would have put", function()
    local queue = dewar.queue(1)
    queue:put(1)
    local task = start(1, function() queue:put(2) end)[1]
    task:cancel()
    pcall(dewar.await, task)
    assert.are.equal(1, queue:get())
    assert.are.equal(0, #queue)
  end)

  it("gives what is left when it was closed, then nil, and refuses more", function()
    local queue = dewar.queue(2)
    queue:put(1)
    queue:put(2)
    local putter = start(1, function() queue:put(3) end)[1]
    queue:close()
    queue:close()
    assert.matches("the queue is closed", tostring(raised(queue.put, queue, 4)))
    assert.is_true(dewar.Error:is(raised(dewar.await, putter)))
    assert.are.same({ 1, 2 }, { queue:get(), queue:get() })
    assert.is_nil(queue:get())
    assert.is_nil(queue:get())
    assert.matches("closed", tostring(queue))
  end)

  it("wakes waiting getters when it is closed", function()
    local queue = dewar.queue()
    local tasks = start(3, function() return "woken", queue:get() end)
    queue:put(1)
    queue:close()
    assert.are.same({ "woken", 1 }, { dewar.await(tasks[1]) })
    assert.are.same({ "woken" }, { dewar.await(tasks[2]) })
    assert.are.same({ "woken" }, { dewar.await(tasks[3]) })
  end)

  it("is iterated until it is closed", function()
    local queue, sum = dewar.queue(2), 0
    dewar.gather(function()
      for i = 1, 100 do queue:put(i) end
      queue:close()
    end, function()
      for value in queue:items() do sum = sum + value end
    end, function()
      for value in queue:items() do sum = sum + value end
    end)
    assert.are.equal(5050, sum)
  end)

  it("gives an iterator that can be a body, or events", function()
    local app = dewar.app()
    local function filled()
      local queue = dewar.queue()
      for _, piece in ipairs { "a", "b" } do queue:put(piece) end
      queue:close()
      return queue
    end
    app:get("/body", function() return filled():items() end)
    app:get("/events", function() return dewar.sse(filled():items()) end)
    local client <close> = app:test_client()
    assert.are.equal("ab", client:get("/body").body)
    assert.are.equal("data: a\n\ndata: b\n\n", client:get("/events").body)
  end)

  it("works between a task and the main chunk", function()
    local queue = dewar.queue(1)
    dewar.spawn(function()
      for i = 1, 3 do queue:put(i) end
      queue:close()
    end)
    local got = {}
    for value in queue:items() do got[#got + 1] = value end
    assert.are.same({ 1, 2, 3 }, got)
  end)

  it("does not grow with what has passed through it", function()
    local queue = dewar.queue()
    for _ = 1, 10 do queue:put(0) end
    local function pass(n)
      for i = 1, n do
        queue:put(i)
        queue:get()
      end
      collectgarbage() collectgarbage()
      return collectgarbage "count"
    end
    pass(1000)
    assert.is_true(pass(100000) - pass(1000) < 64)
  end)

  it("is misused by limits, values and times that are none", function()
    for _, n in ipairs { 0, -1, 1.5, "2" } do misuse("queue: expected how many", dewar.queue, n) end
    local queue = dewar.queue()
    misuse("queue:put: nil can't be put", queue.put, queue, nil)
    misuse("queue:get: the time", queue.get, queue, -1)
    misuse("queue:put: the time", queue.put, queue, 1, {})
  end)
end)
