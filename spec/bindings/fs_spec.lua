-- dewar.fs: files and folders.
local dewar = require "dewar"
local lfs = require "lfs"
local clean = require "spec.support.clean"

local fs = dewar.fs

local function descriptors()
  local n = 0
  for _ in lfs.dir "/proc/self/fd" do n = n + 1 end
  return n
end

local function fails(code, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.is_true(dewar.Error:is(err), tostring(err))
  assert.are.equal(code, err.code)
  return err
end

describe("fs", function()
  local folder, before

  clean.watch(before_each, after_each)

  before_each(function()
    folder = fs.mkdtemp()
    collectgarbage()
    before = descriptors()
  end)

  after_each(function()
    fs.remove(folder, { recursive = true })
    collectgarbage()
    assert.are.equal(before, descriptors())
  end)

  it("reads what it has written", function()
    local path = folder .. "/a"
    for _, data in ipairs { "", "x", "a\0b", ("line\n"):rep(200000) } do
      fs.write(path, data)
      assert.are.equal(data, fs.read(path))
    end
  end)

  it("appends, and takes pieces from an iterator", function()
    local path = folder .. "/a"
    fs.write(path, "one")
    fs.write(path, ("-two-three"):gmatch "%-%l+", { append = true })
    assert.are.equal("one-two-three", fs.read(path))
  end)

  it("says what failed and why", function()
    local err = fails("ENOENT", fs.read, folder .. "/none")
    assert.are.equal("open " .. folder .. "/none: no such file or directory", err.message)
    err = fails("ENOENT", fs.rename, folder .. "/none", folder .. "/more")
    assert.are.equal(("rename %s/none to %s/more: no such file or directory"):format(folder, folder), err.message)
    fails("EISDIR", fs.read, folder)
    fails("ENOENT", fs.stat, folder .. "/none")
    fails("ENOTDIR", fs.readdir, "/etc/passwd")
  end)

  it("reads no more than it may", function()
    fs.write(folder .. "/a", "12345")
    assert.are.equal("12345", fs.read(folder .. "/a", { max = 5 }))
    fails("ETOOBIG", fs.read, folder .. "/a", { max = 4 })
    fails("ETOOBIG", fs.read, "/dev/zero", { max = 1000000 })
  end)

  it("replaces a file at once, and keeps the old one where that fails", function()
    local path = folder .. "/a"
    fs.write(path, "old", { mode = "600" })
    fs.symlink("a", folder .. "/link")
    fs.write(folder .. "/link", "new", { atomic = true })
    assert.are.equal("new", fs.read(path))
    assert.are.equal(tonumber("600", 8), fs.stat(path).mode)
    assert.are.equal("link", fs.stat(folder .. "/link", { follow = false }).type)
    local ok = pcall(fs.write, path, function() error "no more" end, { atomic = true })
    assert.is_false(ok)
    assert.are.equal("new", fs.read(path))
    assert.are.equal(2, #fs.readdir(folder))
  end)

  it("leaves no half of a replaced file when its task is cancelled", function()
    local task = dewar.spawn(fs.write, folder .. "/a", function() dewar.sleep(100) end, { atomic = true })
    while #fs.readdir(folder) == 0 do dewar.sleep(0.001) end
    task:cancel()
    pcall(dewar.await, task)
    assert.are.same({}, fs.readdir(folder))
  end)

  it("tells about files", function()
    fs.write(folder .. "/a", "12345", { mode = 384 })
    local stat = fs.stat(folder .. "/a")
    assert.are.equal("file", stat.type)
    assert.are.equal(5, stat.size)
    assert.are.equal(384, stat.mode)
    assert.is_true(math.abs(os.time() - stat.mtime) < 100)
    assert.are.equal("directory", fs.stat(folder).type)
    assert.is_true(fs.exists(folder))
    assert.is_false(fs.exists(folder .. "/none"))
    assert.is_false(fs.exists(folder .. "/a/b"))
  end)

  it("lists folders by name", function()
    for _, name in ipairs { "c", "a", "b" } do fs.write(folder .. "/" .. name, "") end
    fs.mkdir(folder .. "/d")
    fs.symlink("a", folder .. "/e")
    assert.are.same({
      { name = "a", type = "file" }, { name = "b", type = "file" }, { name = "c", type = "file" },
      { name = "d", type = "directory" }, { name = "e", type = "link" },
    }, fs.readdir(folder))
  end)

  it("makes and removes folders", function()
    local deep = folder .. "/x/y/z"
    fails("ENOENT", fs.mkdir, deep)
    fs.mkdir(deep .. "/", { parents = true })
    fs.mkdir(deep, { parents = true })
    fails("EEXIST", fs.mkdir, deep)
    fs.write(deep .. "/file", "")
    fs.symlink(folder, deep .. "/up")
    fails("ENOTEMPTY", fs.remove, deep)
    fs.remove(folder .. "/x", { recursive = true })
    assert.are.same({}, fs.readdir(folder))
    fs.write(folder .. "/a", "")
    fails("ENOTDIR", fs.mkdir, folder .. "/a/b", { parents = true })
    fails("EEXIST", fs.mkdir, folder .. "/a", { parents = true })
  end)

  it("renames, copies and links", function()
    local a, b, c = folder .. "/a", folder .. "/b", folder .. "/c"
    fs.write(a, "text")
    fs.rename(a, b)
    assert.is_false(fs.exists(a))
    fs.copy(b, a)
    assert.are.equal("text", fs.read(a))
    fails("EEXIST", fs.copy, b, a, { replace = false })
    fs.symlink("b", c)
    assert.are.equal("b", fs.readlink(c))
    assert.are.equal(fs.realpath(b), fs.realpath(c))
    fs.chmod(b, "600")
    assert.are.equal(384, fs.stat(b).mode)
  end)

  it("lets other tasks run meanwhile", function()
    local order = {}
    dewar.gather(function()
      fs.write(folder .. "/a", ("x"):rep(1000000))
      order[#order + 1] = "written"
    end, function()
      order[#order + 1] = "other"
    end)
    assert.are.same({ "other", "written" }, order)
  end)

  it("ends when time runs out, or its task, and what was opened is closed", function()
    os.execute("mkfifo " .. folder .. "/fifo")
    local ok, err = pcall(fs.read, folder .. "/fifo", { timeout = 0.01 })
    assert.is_false(ok)
    assert.is_true(dewar.TimeoutError:is(err))
    local task = dewar.spawn(fs.open, folder .. "/fifo", "r", { timeout = 50 })
    dewar.sleep(0.01)
    task:cancel()
    assert.is_false((pcall(dewar.await, task)))
    assert.are.equal("cancelled", task.status)
    -- The calls in the pool open it, and close it again.
    local writer = assert(io.open(folder .. "/fifo", "w"))
    writer:close()
    for _ = 1, 1000 do
      if descriptors() == before then break end
      dewar.sleep(0.001)
    end
    assert.are.equal(before, descriptors())
  end)

  it("says which file it was, when it is open, too", function()
    local ok, err = pcall(fs.read, folder)
    assert.is_false(ok)
    assert.are.equal("EISDIR", err.code)
    assert.are.equal(("read %s: illegal operation on a directory"):format(folder), err.message)
    local full <close> = fs.open("/dev/full", "w")
    ok, err = pcall(full.write, full, "x")
    assert.is_false(ok)
    assert.are.equal("write /dev/full: no space left on device", err.message)
    ok, err = pcall(fs.write, folder .. "/new", function() return {} end)
    assert.is_false(ok)
    assert.are.equal(("write %s/new: the iterator gives strings; it gave a table"):format(folder), err)
  end)

  it("names the option that was probably meant", function()
    local ok, err = pcall(function() fs.read("x", { tiemout = 1 }) end)
    assert.is_false(ok)
    assert.truthy(err:find("^spec/bindings/fs_spec.lua:%d+: read: unknown option 'tiemout'"), err)
    assert.truthy(err:find("did you mean 'timeout'?", 1, true), err)
  end)

  it("raises at the line of a wrong call", function()
    for message, call in pairs {
      ["read: a path is a string; got a nil"] = function() fs.read() end,
      ["open: the mode is one of"] = function() fs.open("/etc/passwd", "q") end,
      ["stat: a path has no NUL in it"] = function() fs.stat "a\0b" end,
      ["write: what to write is a string or an iterator"] = function() fs.write("x", {}) end,
      ["the option 'mode' is permissions"] = function() fs.mkdir("x", { mode = "rwx" }) end,
      ["append and atomic don't go together"] = function() fs.write("x", "", { append = true, atomic = true }) end,
      ["chmod: permissions are expected"] = function() fs.chmod "x" end,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(message, 1, true), err)
    end
  end)
end)

describe("an open file", function()
  local folder, path, before

  clean.watch(before_each, after_each)

  before_each(function()
    before = descriptors()
    folder = fs.mkdtemp()
    path = folder .. "/file"
    fs.write(path, "one\ntwo\r\n\nlast")
  end)

  after_each(function()
    fs.remove(folder, { recursive = true })
    collectgarbage()
    assert.are.equal(before, descriptors())
  end)

  it("reads lines, bytes and the rest", function()
    local file <close> = fs.open(path)
    assert.are.equal("one", file:read "l")
    assert.are.equal("tw", file:read(2))
    assert.are.equal("o\r\n", file:read "L")
    assert.are.equal("", file:read_line())
    assert.are.equal("la", file:read_some(2))
    assert.are.equal("st", file:read "a")
    assert.are.equal("", file:read "a")
    assert.is_nil(file:read "l")
    assert.is_nil(file:read(1))
    assert.is_nil(file:read_some())
  end)

  it("goes over lines and pieces", function()
    local lines = {}
    local file <close> = fs.open(path)
    for line in file:lines() do lines[#lines + 1] = line end
    assert.are.same({ "one", "two", "", "last" }, lines)
    file:seek("set", 4)
    local text = ""
    for piece in file:chunks(3) do
      assert.is_true(#piece <= 3)
      text = text .. piece
    end
    assert.are.equal("two\r\n\nlast", text)
  end)

  it("finds lines that lie across pieces", function()
    local long = ("x"):rep(70000)
    fs.write(path, long .. "\n" .. long .. "--end--" .. long)
    local file <close> = fs.open(path)
    assert.are.equal(long, file:read_line(80000))
    assert.are.equal(long, file:read_until("--end--", 80000))
    fails("ETOOBIG", file.read_line, file, 100)
    assert.is_nil(file:read_until("--end--", 80000))
    assert.are.equal(#long, #file:read_all())
  end)

  it("writes where it stands", function()
    local file <close> = fs.open(path, "r+")
    assert.are.equal("one", file:read "l")
    file:write("TWO", 5)
    assert.are.equal("\n", file:read(1))
    assert.are.equal(9, file:seek())
    file:seek("end", -4)
    file:write "LAST"
    file:sync()
    file:truncate(12)
    assert.are.equal(12, file:stat().size)
    file:close()
    assert.are.equal("one\nTWO5\n\nLA", fs.read(path))
  end)

  it("appends, whatever was read", function()
    local file <close> = fs.open(path, "a+")
    assert.are.equal("one", file:read "l")
    file:write "!"
    file:close()
    assert.are.equal("one\ntwo\r\n\nlast!", fs.read(path))
  end)

  it("is made only where there is none, if so wanted", function()
    fails("EEXIST", fs.open, path, "wx")
    local file <close> = fs.open(path .. "2", "wx", { mode = "600" })
    assert.are.equal(384, file:stat().mode)
  end)

  it("can't be used once it is closed", function()
    local file = fs.open(path)
    file:close()
    file:close()
    assert.are.equal("file " .. path .. " (closed)", tostring(file))
    for _, call in ipairs { "read", "write", "sync", "seek", "stat" } do
      local ok, err = pcall(file[call], file, call == "write" and "x" or nil)
      assert.is_false(ok)
      assert.truthy(tostring(err):find("this file is closed", 1, true), err)
    end
  end)

  it("is read by one task at a time", function()
    os.execute("mkfifo " .. folder .. "/fifo")
    local file <close> = fs.open(folder .. "/fifo", "r+")
    local task = dewar.spawn(file.read, file, "l")
    dewar.yield()
    local ok, err = pcall(function() file:read "l" end)
    assert.is_false(ok)
    assert.truthy(err:find("another task is reading here", 1, true), err)
    file:write "a line\n"
    assert.are.equal("a line", dewar.await(task))
  end)

  it("stays open for a call whose task was cancelled, and no longer", function()
    os.execute("mkfifo " .. folder .. "/fifo")
    local file = fs.open(folder .. "/fifo", "r+")
    local ok, err = pcall(file.read, file, "l", 0.01)
    assert.is_false(ok)
    assert.is_true(dewar.TimeoutError:is(err))
    local writer = assert(io.open(folder .. "/fifo", "w"))
    writer:write "x"
    writer:close()
    file:close()
    for _ = 1, 1000 do
      if descriptors() == before then break end
      dewar.sleep(0.001)
    end
  end)

  it("is closed by the collector", function()
    fs.open(path)
    collectgarbage()
    collectgarbage()
    assert.are.equal(before, descriptors())
  end)
end)
