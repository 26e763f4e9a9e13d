-- How the command loads an app, and what it says where that fails; `dewar
-- routes`.
local process = require "spec.support.process"

describe("an app's file", function()
  local folder

  before_each(function() folder = process.folder() end)

  after_each(function()
    process.stop_all()
    os.execute("rm -r " .. folder)
  end)

  local function file(name, text)
    return process.write(folder .. "/" .. name, text)
  end

  local function routes(path)
    return process.run { process.dewar(), "routes", path }
  end

  local function fails(path)
    local code, out, err = process.run { process.dewar(), "run", path, "--port", "0" }
    assert.are.equal(1, code)
    assert.are.equal("", out)
    return err
  end

  it("that raises is told with the line and a traceback", function()
    local err = fails(file("app.lua", 'local x\nlocal function f() return x.y end\nf()\n'))
    assert.is_truthy(err:find("app.lua:2: attempt to index a nil value", 1, true), err)
    assert.is_truthy(err:find("stack traceback:", 1, true), err)
    assert.is_truthy(err:find("app.lua:3: in main chunk", 1, true), err)
    assert.is_nil(err:find("cli.lua", 1, true), err)
  end)

  it("that raises no string is told as well", function()
    local err = fails(file("app.lua",
      'local dewar = require "dewar"\nerror(dewar.Error("no database"))\n'))
    assert.is_truthy(err:find("no database", 1, true), err)
    assert.is_truthy(err:find("app.lua:2: in main chunk", 1, true), err)
  end)

  it("with an error of syntax is told with the line", function()
    local err = fails(file("app.lua", "local x =\nreturn x = 1\n"))
    assert.is_truthy(err:find "app%.lua:2: .*return", err)
  end)

  it("that isn't there is named, with what may have been meant", function()
    file("app.lua", "")
    local err = fails(folder .. "/other.lua")
    assert.is_truthy(err:find("other.lua: No such file", 1, true), err)
    err = fails(folder .. "/app")
    assert.is_truthy(err:find("did you mean '" .. folder .. "/app.lua'?", 1, true), err)
    err = fails(folder)
    assert.is_truthy(err:find("did you mean '" .. folder .. "/app.lua'?", 1, true), err)
  end)

  it("must return an app", function()
    local err = fails(file("app.lua", 'local app = require "dewar".app()\n'))
    assert.is_truthy(err:find("returned nil, which is no app", 1, true), err)
    assert.is_truthy(err:find("return app", 1, true), err)
    err = fails(file("app.lua", "return {}\n"))
    assert.is_truthy(err:find("returned a table, which is no app", 1, true), err)
  end)

  it("finds its siblings, wherever the command is called", function()
    file("greeting.lua", 'return { rule = "/hello" }')
    os.execute("mkdir " .. folder .. "/part")
    file("part/init.lua", 'return "/part"')
    local code, out, err = routes(file("app.lua", [[
      local app = require "dewar".app()
      app:get(require "greeting".rule, print)
      app:get(require "part", print)
      return app
    ]]))
    assert.are.equal(0, code, err)
    assert.is_truthy(out:find("/hello", 1, true))
    assert.is_truthy(out:find("/part", 1, true))
  end)

  it("has its folders, though its last call makes the app", function()
    os.execute("mkdir " .. folder .. "/static")
    local code, out, err = routes(file("app.lua", 'return require "dewar".app()'))
    assert.are.equal(0, code, err)
    assert.is_truthy(out:find("/static/<path:filename>", 1, true), out)
  end)

  it("gets its own path, and may end with app:run", function()
    local path = file("app.lua", [[
      local app = require "dewar".app()
      app:get("/" .. select("#", ...), print)
      assert((...):find "app%.lua$")
      app:run{ port = 0 }
      return app
    ]])
    local code, out, err = routes(path)
    assert.are.equal(0, code, err)
    assert.is_truthy(out:find("/1", 1, true))
    assert.is_truthy(err:find("app:run does nothing here", 1, true), err)
  end)

  it("has its routes listed in columns", function()
    local code, out = routes(file("app.lua", [[
      local app = require "dewar".app()
      app:get("/", { endpoint = "home" }, print)
      app:route("/things/<int:id>", { endpoint = "a-thing", methods = { "PUT", "DELETE" } }, print)
      return app
    ]]))
    assert.are.equal(0, code)
    local lines = {}
    for line in out:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.are.equal(3, #lines)
    local methods, rule = lines[1]:find("Methods", 1, true), lines[1]:find("Rule", 1, true)
    assert.are.equal(1, lines[1]:find("Endpoint", 1, true))
    assert.is_nil(lines[1]:find "Host")
    assert.are.equal(methods, lines[2]:find("GET", 1, true))
    assert.are.equal("home", lines[2]:match "^%S+")
    assert.are.equal("a-thing", lines[3]:match "^%S+")
    assert.is_truthy(lines[3]:find("DELETE", 1, true))
    assert.is_truthy(lines[3]:find("PUT", 1, true))
    assert.are.equal("/things/<int:id>", lines[3]:sub(rule))
  end)

  it("has the routes of mounted apps listed, where they are, with the apps' names", function()
    local _, out = routes(file("app.lua", [[
      local dewar = require "dewar"
      local app, admin, deep = dewar.app(), dewar.app { name = "admin" }, dewar.app { name = "deep" }
      app:get("/", { endpoint = "home" }, print)
      admin:get("/", { endpoint = "home" }, print)
      deep:get("/<int:id>", { endpoint = "item" }, print)
      admin:mount("/deep/", deep)
      app:mount("/admin", admin)
      return app
    ]]))
    local lines = {}
    for line in out:gmatch "[^\n]+" do lines[#lines + 1] = line:gsub("%s+", " ") end
    assert.are.same({
      "Endpoint Methods Rule App",
      "home GET, HEAD, OPTIONS /",
      "home GET, HEAD, OPTIONS /admin/ admin",
      "item GET, HEAD, OPTIONS /admin/deep/<int:id> deep",
    }, lines)
  end)

  it("has the hosts of its routes listed where there are some", function()
    local _, out = routes(file("app.lua", [[
      local app = require "dewar".app()
      app:get("/", { host = "a.example" }, print)
      app:get("/b", print)
      return app
    ]]))
    assert.is_truthy(out:find "Host\n")
    assert.is_truthy(out:find "a%.example\n")
    assert.is_truthy(out:find "/b\n")
  end)

  it("may have no routes", function()
    local code, out = routes(file("app.lua", 'return require "dewar".app()'))
    assert.are.equal(0, code)
    assert.is_truthy(out:find "has no routes")
  end)
end)
