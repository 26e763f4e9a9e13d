-- dewar.process: other programs.
local dewar = require "dewar"
local lfs = require "lfs"
local clean = require "spec.support.clean"

local process = dewar.process

local function descriptors()
  local n = 0
  for _ in lfs.dir "/proc/self/fd" do n = n + 1 end
  return n
end

-- A zombie is there, too.
local function is_there(pid) return lfs.attributes("/proc/" .. pid) ~= nil end

describe("process", function()
  local before

  clean.watch(before_each, after_each)

  before_each(function()
    process.run { "true" } -- libuv opens what it keeps
    collectgarbage()
    before = descriptors()
  end)

  after_each(function()
    dewar.sleep(0.01)
    collectgarbage()
    assert.are.equal(before, descriptors())
  end)

  it("runs a program and tells how it ended", function()
    local result = process.run { "sh", "-c", "echo out; echo err >&2; exit 3" }
    assert.are.same({ status = 3, stdout = "out\n", stderr = "err\n" }, result)
    result = process.run { "sh", "-c", "kill -9 $$" }
    assert.is_nil(result.status)
    assert.are.equal("SIGKILL", result.signal)
  end)

  it("gives it input, a folder and variables", function()
    assert.are.equal("abc", process.run { "cat", stdin = "abc" }.stdout)
    assert.are.equal("a-b", process.run { "cat", stdin = ("a-b"):gmatch "." }.stdout)
    assert.are.equal("/\n", process.run { "pwd", cwd = "/" }.stdout)
    local result = process.run { "sh", "-c", "echo $ONE$HOME", env = { ONE = 1, HOME = false } }
    assert.are.equal("1\n", result.stdout)
    local data = ("x"):rep(2000000)
    assert.are.equal(data, process.run { "cat", stdin = data }.stdout)
    assert.are.equal(0, process.run { "true", stdin = data }.status)
  end)

  it("sends output elsewhere", function()
    local pieces = {}
    local result = process.run { "echo", "x", stdout = function(piece) pieces[#pieces + 1] = piece end }
    assert.are.equal("x\n", table.concat(pieces))
    assert.is_nil(result.stdout)
    result = process.run { "sh", "-c", "echo a; echo b >&2", stderr = "stdout" }
    assert.are.equal("a\nb\n", result.stdout)
    assert.is_nil(process.run { "echo", "x", stdout = "null" }.stdout)
  end)

  it("says that there is no such program", function()
    local ok, err = pcall(process.run, { "/no/such/program" })
    assert.is_false(ok)
    assert.are.equal("ENOENT", err.code)
    assert.are.equal("spawn /no/such/program: no such file or directory", err.message)
  end)

  it("says in which folder a program was to run", function()
    local ok, err = pcall(process.run, { "ls", cwd = "/no/such/folder" })
    assert.is_false(ok)
    assert.are.equal("spawn ls in /no/such/folder: no such file or directory", err.message)
  end)

  it("raises for a bad end, if so wanted", function()
    local ok, err = pcall(process.run, { "sh", "-c", "echo why >&2; exit 2", check = true })
    assert.is_false(ok)
    assert.are.equal(2, err.exit_status)
    assert.are.equal("why\n", err.stderr)
    assert.are.equal("sh ended with status 2", err.message)
  end)

  it("takes no more output than it may", function()
    local ok, err = pcall(process.run, { "yes", max_output = 100000 })
    assert.is_false(ok)
    assert.are.equal("ETOOBIG", err.code)
    assert.are.equal("run yes: its stdout is longer than 100000 bytes", err.message)
    assert.are.equal("x\n", process.run { "echo", "x", max_output = 2 }.stdout)
  end)

  it("ends a program when time runs out, or its task", function()
    local ok, err = pcall(process.run, { "sleep", "100", timeout = 0.02 })
    assert.is_false(ok)
    assert.is_true(dewar.TimeoutError:is(err))
    local pid
    local task = dewar.spawn(process.run, { "sh", "-c", "echo $$; exec sleep 100", stdout = function(text)
      pid = tonumber(text)
    end })
    while not pid do dewar.sleep(0.001) end
    assert.is_true(is_there(pid))
    task:cancel()
    assert.is_false((pcall(dewar.await, task)))
    assert.are.equal("cancelled", task.status)
    assert.is_false(is_there(pid))
  end)

  it("talks with a program", function()
    local cat <close> = process.spawn { "cat", stdin = true }
    cat.stdin:write "one\ntwo\n"
    assert.are.equal("one", cat.stdout:read_line())
    assert.are.equal("two", cat.stdout:read_line())
    assert.is_false((pcall(cat.wait, cat, 0.01)))
    cat.stdin:close()
    assert.are.equal("", cat.stdout:read_all())
    assert.are.equal(0, cat:wait())
    assert.are.equal(0, cat:wait())
    assert.is_false(cat:kill())
  end)

  it("sends signals", function()
    local sleep <close> = process.spawn { "sleep", "100" }
    assert.is_true(sleep:kill "HUP")
    assert.are.same({ nil, "SIGHUP" }, { sleep:wait() })
  end)

  it("kills what is left behind, and leaves no zombie", function()
    local pid = process.spawn({ "sleep", "100" }).pid
    collectgarbage()
    collectgarbage()
    for _ = 1, 1000 do
      if not is_there(pid) then break end
      dewar.sleep(0.001)
    end
    assert.is_false(is_there(pid))
  end)

  it("raises at the line of a wrong call", function()
    for message, call in pairs {
      ["run takes a table"] = function() process.run "ls" end,
      ["the program comes first"] = function() process.run {} end,
      ["argument 2 is a string"] = function() process.run { "ls", {} } end,
      ["unknown option 'cdw'"] = function() process.run { "ls", cdw = "/" } end,
      ["the option 'stdout' is"] = function() process.run { "ls", stdout = "file" } end,
      ["the option 'stdin' is"] = function() process.run { "ls", stdin = 1 } end,
      ["argument 2 is nil"] = function() process.run { "ls", nil, "x" } end,
      ["run: argument 2 has a NUL"] = function() process.run { "ls", "a\0b" } end,
      ["'max_output' is a whole number"] = function() process.run { "ls", max_output = -1 } end,
      ["'A=B' is no name"] = function() process.run { "ls", env = { ["A=B"] = "x" } } end,
      ["'1' is no name"] = function() process.run { "ls", env = { "A=B" } } end,
      ["the variable A is a string"] = function() process.run { "ls", env = { A = true } } end,
      ["the variable A has a NUL"] = function() process.run { "ls", env = { A = "a\0b" } } end,
      ["spawn: the option 'timeout' is for `run`"] = function() process.spawn { "ls", timeout = 1 } end,
      ["run: the option 'check' is for `run`"] = function()
        process.run { "ls", stdout = "stream", check = true }
      end,
      ["a string is for `run`"] = function() process.spawn { "cat", stdin = "x" } end,
      ["a function is for `run`"] = function() process.spawn { "ls", stdout = print } end,
      ["there is no signal 'NONE'"] = function()
        local sleep <close> = process.spawn { "sleep", "9" }
        sleep:kill "NONE"
      end,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.truthy(err:find("^spec/bindings/process_spec.lua:%d+: "), err)
      assert.truthy(tostring(err):find(message, 1, true), err)
    end
  end)
end)
