-- require "dewar.core" in a stock Lua: opening, closing, what require finds.
local function sh(command)
  local pipe = assert(io.popen(command .. " 2>&1; echo $?"))
  local text, status = pipe:read("a"):match("^(.-)(%d+)\n$")
  pipe:close()
  return text, tonumber(status)
end

local function run(script, environment)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(script)
  file:close()
  local text, status = sh((environment or "") .. " lua5.4 " .. path)
  os.remove(path)
  return text, status
end

describe("dewar.core", function()
  it("isn't asked for where Lua is too old", function()
    local env = setmetatable({ _VERSION = "Lua 5.1" }, { __index = _G })
    local ok, err = pcall(assert(loadfile("lua/dewar/init.lua", "t", env)))
    assert.is_false(ok)
    assert.matches("Dewar needs Lua 5.4; this is Lua 5.1", err, 1, true)
  end)

  it("is the same table however often it is required", function()
    local text = run [[
      local a = require "dewar.core"
      package.loaded["dewar.core"] = nil
      local b = coroutine.wrap(function() return require "dewar.core" end)()
      print(a == b, a.version)
    ]]
    assert.matches("^true\t%d+%.%d+%.%d+\n$", text)
  end)

  it("takes Dewar's Lua files from package.path where they are", function()
    local text = run [[
      require "dewar.core"
      print(package.searchpath("dewar", package.path) ~= nil)
      print(package.preload.dewar, package.preload["dewar.app"])
    ]]
    assert.are.equal("true\nnil\tnil\n", text)
  end)

  it("brings its own Lua files where there are none", function()
    local text = run [[
      package.path = ""
      require "dewar.core"
      local dewar = require "dewar"
      local app = dewar.app()
      app:get("/", function() return "hello" end)
      print(app:test_client():get("/").body)
      print(debug.getinfo(dewar.app, "S").source)
    ]]
    assert.are.equal("hello\n@dewar/init.lua\n", text)
  end)

  it("leaves generational collection, in which some 5.4 free what is in use", function()
    local text = run [[
      collectgarbage("generational")
      require "dewar.core"
      print(collectgarbage("incremental"))
    ]]
    assert.are.equal("incremental\n", text)
  end)

  it("ends tasks and closes what they hold when the script ends", function()
    local text, status = run [[
      local dewar = require "dewar.core"
      dewar.spawn(function()
        local _ <close> = setmetatable({}, { __close = function() print("closed") end })
        dewar.sleep(3600)
      end)
      dewar.sleep(0)
      print("end")
    ]]
    assert.are.equal("end\nclosed\n", text)
    assert.are.equal(0, status)
  end)

  it("closes a server that still listens when the script ends", function()
    local text, status = run [[
      local dewar = require "dewar"
      local app = dewar.app()
      app:get("/", function() dewar.sleep(3600) end)
      print(app._core:listen("127.0.0.1", 0) > 0)
    ]]
    assert.are.equal("true\n", text)
    assert.are.equal(0, status)
  end)

  it("survives os.exit that closes the state, from anywhere", function()
    for _, where in ipairs { "os.exit(3, true)", "dewar.run(function() os.exit(3, true) end)",
      "dewar.spawn(dewar.sleep, 3600) dewar.sleep(0) os.exit(3, true)" } do
      local text, status = run('local dewar = require "dewar.core" ' .. where)
      assert.are.equal("", text)
      assert.are.equal(3, status)
    end
  end)

  it("still logs an error that nobody saw when the script ends", function()
    local text = run [[
      local dewar = require "dewar.core"
      dewar.spawn(function() error("unseen") end)
      dewar.sleep(0)
    ]]
    assert.matches("unseen", text, 1, true)
    assert.matches("stack traceback", text, 1, true)
  end)
end)
