-- Uploads by curl to a real server: what arrives is what was sent, memory stays
-- flat, and nothing is left of those that are cut off.
local process = require "spec.support.process"

local APP = [[
local core = require "dewar.core"
local dewar = require "dewar"
local lfs = require "lfs"
local app = dewar.app { config = { MAX_CONTENT_LENGTH = 1 << 40, ACCESS_LOG = false } }
local folder = os.getenv "SPEC_FOLDER"

app:post("/save", function(req)
  local lines = {}
  for name, file in pairs(req.files) do
    local path = ("%s/saved-%d"):format(folder, #lines + 1)
    file:save(path)
    lines[#lines + 1] = table.concat({ name, file.filename, file.content_type, file.size, path }, " ")
  end
  for name, value in pairs(req.form) do lines[#lines + 1] = name .. "=" .. value end
  return table.concat(lines, "\n")
end)
app:post("/size", function(req) return tostring(req.files.f.size) end)
app:post("/parts", function(req)
  local size = 0
  for part in req:parts() do
    for chunk in part:chunks() do size = size + #chunk end
  end
  return tostring(size)
end)
app:get("/peak", function() return tostring(core.debug_counts().peak) end)
app:get("/descriptors", function()
  local n = 0
  for _ in lfs.dir "/proc/self/fd" do n = n + 1 end
  return tostring(n)
end)
return app
]]

local folder, server

before_each(function()
  folder = process.folder()
  local path = process.write(folder .. "/app.lua", APP)
  os.execute("mkdir " .. folder .. "/tmp")
  server = process.start { "env", "SPEC_FOLDER=" .. folder, "TMPDIR=" .. folder .. "/tmp",
    process.dewar(), "run", path, "--port", "0" }
  server.url = server:expect "(http://[%d.]+:%d+)"
end)
after_each(function()
  server:signal "TERM"
  local code, err = server:wait(), server:err()
  process.stop_all()
  os.execute("rm -r " .. folder)
  assert.are.equal(0, code, err)
end)

local function curl(...)
  local code, out, err = process.run { "curl", "-sS", "--max-time", "100", ... }
  assert.are.equal(0, code, out .. err)
  return out
end

local function number(path) return tonumber(curl(server.url .. path)) end

--- A file of random bytes.
local function random(name, size)
  local path = folder .. "/" .. name
  os.execute(("head -c %d /dev/urandom >'%s'"):format(size, path))
  return path
end

local function checksum(path)
  local _, out = process.run { "sha256sum", path }
  return out:match "^%x+"
end

describe("curl -F", function()
  it("sends files that arrive as they are", function()
    local large, small, odd = random("large", 5000003), random("small", 1000), random('a "b".txt', 100000)
    local out = curl("-F", "one=@" .. large, "-F", "two=@" .. small .. ";type=image/png;filename=cat.png",
      "-F", "title=A \"cat\"", "-F", 'three=@"' .. odd:gsub('"', '\\"') .. '"', server.url .. "/save")
    assert.are.equal(table.concat({
      "one large application/octet-stream 5000003 " .. folder .. "/saved-1",
      "two cat.png image/png 1000 " .. folder .. "/saved-2",
      'three a "b".txt text/plain 100000 ' .. folder .. "/saved-3",
      'title=A "cat"',
    }, "\n"), out)
    assert.are.equal(checksum(large), checksum(folder .. "/saved-1"))
    assert.are.equal(checksum(small), checksum(folder .. "/saved-2"))
    assert.are.equal(checksum(odd), checksum(folder .. "/saved-3"))
  end)

  it("sends one that is given its name rather than copied, and is the same", function()
    local path = random("large", 3000000)
    curl("-F", "f=@" .. path, server.url .. "/save")
    curl("-F", "f=@" .. path, server.url .. "/save") -- over the first
    assert.are.equal(checksum(path), checksum(folder .. "/saved-1"))
    local _, listed = process.run { "ls", "-A", folder .. "/tmp" }
    assert.are.equal("", listed)
  end)

  it("sends 200 MB through little memory", function()
    local path = folder .. "/huge"
    os.execute(("truncate -s 200000000 '%s'"):format(path))
    local before, open = number "/peak", number "/descriptors"
    assert.are.equal("200000000", curl("-F", "f=@" .. path, server.url .. "/size"))
    assert.are.equal("200000000", curl("-F", "f=@" .. path, server.url .. "/parts"))
    local more = number "/peak" - before
    assert.is_true(more < 8000000, more .. " bytes more")
    assert.are.equal(open, number "/descriptors")
  end)

  it("leaves nothing where it is killed in the middle", function()
    local open = number "/descriptors"
    local path = random("large", 20000000)
    local sending = process.start { "curl", "-sS", "--limit-rate", "4M", "-F", "f=@" .. path, server.url .. "/size" }
    process.eventually("a temporary file", function() return number "/descriptors" > open + 1 end)
    sending:signal "KILL"
    sending:wait()
    process.eventually("its end", function() return number "/descriptors" == open end)
    local _, listed = process.run { "ls", "-A", folder .. "/tmp" }
    assert.are.equal("", listed)
  end)
end)
