-- dewar.poll: waiting for the file descriptors of others.
local dewar = require "dewar"
local lfs = require "lfs"

-- The descriptors of pipes that this process has open.
local function pipes()
  local found = {}
  for name in lfs.dir "/proc/self/fd" do
    local target = lfs.symlinkattributes("/proc/self/fd/" .. name, "target")
    if target and target:find "^pipe:" then found[tonumber(name)] = true end
  end
  return found
end

-- A program at the other end of a pipe, and the pipe's number.
local function open(command, mode)
  local before = pipes()
  local pipe = assert(io.popen(command, mode))
  for fd in pairs(pipes()) do
    if not before[fd] then return pipe, fd end
  end
  error "the pipe has no descriptor"
end

describe("poll", function()
  local pipe, fd

  after_each(function()
    if pipe then pipe:close() end
    pipe = nil
  end)

  it("waits until there is something to read", function()
    pipe, fd = open("sleep 0.05; echo something", "r")
    assert.are.equal("r", dewar.poll(fd, "r"))
    assert.are.equal("something", pipe:read "l")
  end)

  it("tells what it is ready for", function()
    pipe, fd = open("cat >/dev/null", "w")
    assert.are.equal("w", dewar.poll(fd, "w"))
    assert.are.equal("w", dewar.poll(fd, "rw"))
  end)

  it("lets other tasks run", function()
    pipe, fd = open("sleep 0.1; echo something", "r")
    local order = {}
    dewar.gather(function()
      dewar.poll(fd, "r")
      order[#order + 1] = "readable"
    end, function()
      dewar.sleep(0.01)
      order[#order + 1] = "slept"
    end)
    assert.are.same({ "slept", "readable" }, order)
  end)

  it("raises when time runs out, and can be called again", function()
    pipe, fd = open("sleep 0.1; echo something", "r")
    local ok, err = pcall(dewar.poll, fd, "r", 0.01)
    assert.is_false(ok)
    assert.is_true(dewar.TimeoutError:is(err))
    assert.are.equal("r", dewar.poll(fd, "r"))
  end)

  it("ends with the task that waits", function()
    pipe, fd = open("sleep 0.1; echo something", "r")
    local task = dewar.spawn(dewar.poll, fd, "r")
    dewar.yield()
    assert.are.equal("running", task.status)
    task:cancel()
    assert.is_false((pcall(dewar.await, task)))
    assert.are.equal("cancelled", task.status)
    assert.are.equal("r", dewar.poll(fd, "r"))
  end)

  it("is for one wait at a time", function()
    pipe, fd = open("sleep 0.1; echo something", "r")
    local first = dewar.spawn(dewar.poll, fd, "r")
    dewar.yield()
    local ok, err = pcall(dewar.poll, fd, "r")
    assert.is_false(ok)
    assert.are.equal("EEXIST", err.code)
    assert.are.equal("r", dewar.await(first))
  end)

  it("raises an error with a code for what can't be waited for", function()
    local ok, err = pcall(dewar.poll, 9999, "r")
    assert.is_false(ok)
    assert.are.equal("EBADF", err.code)
    assert.is_truthy(tostring(err):find("poll: bad file descriptor", 1, true))
  end)

  it("raises at the line of a wrong call", function()
    for message, call in pairs {
      ["the number of a file descriptor comes first"] = function() dewar.poll("x", "r") end,
      ['must be "r", "w" or "rw"'] = function() dewar.poll(0, "x") end,
      ["the time must be a number of seconds"] = function() dewar.poll(0, "r", "1") end,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.is_truthy(err:find("^spec/bindings/poll_spec.lua:%d+: poll: "), err)
      assert.is_truthy(err:find(message, 1, true), err)
    end
  end)
end)
