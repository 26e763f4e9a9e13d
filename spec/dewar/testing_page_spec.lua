-- What docs/testing.md shows is true. One of its blocks turns the clock by hand,
-- so this file has a process to itself, too.
local dewar = require "dewar"

local function page()
  local file = assert(io.open("docs/testing.md"))
  local text = file:read "a"
  file:close()
  return text
end

--- The app that the page's blocks are about.
local function app_of_page()
  local app = dewar.app()
  app.config.TESTING = true
  app.config.SECRET_KEY = "for specs"
  app:get("/", function()
    local res = dewar.response("home")
    res:set_cookie("session", "x", { httponly = true })
    return res
  end)
  app:get("/users/<int:id>", function(_, id) return { id = id, name = "Ada" } end)
  app:post("/login", function() return dewar.redirect("/") end)
  app:post("/photos", function(req) return req:body() end)
  app:get("/search", function(req) return req.args.q end)
  app:route("/upload", { methods = { "PUT", "POST" } }, function(req) return req:body() end)
  app:get("/count", function()
    return coroutine.wrap(function()
      for i = 1, 3 do coroutine.yield(i .. "\n") end
    end)
  end)
  app:get("/broken", function() error("no such table") end)
  app:get("/report", function() dewar.sleep(50) return "report" end)
  return app
end

describe("the page about testing", function()
  it("has examples that run", function()
    local app, blocks, specs = app_of_page(), 0, 0
    local sink, loaded = dewar.log.sink, package.loaded.app
    dewar.log.sink = function() end
    package.loaded.app = app
    local before, after
    local env = setmetatable({
      dewar = dewar, app = app, assert = assert, png = "PNG", print = function() end,
      describe = function(_, fn) fn() end,
      before_each = function(fn) before = fn end,
      after_each = function(fn) after = fn end,
      it = function(_, fn)
        before() fn() after()
        specs = specs + 1
      end,
    }, { __index = _G })
    for block in page():gmatch "```lua[^\n]*\n(.-)```" do
      assert(load(block, "=docs/testing.md", "t", env))()
      blocks = blocks + 1
      env.client = env.client or app:test_client()
    end
    env.client:close()
    dewar.log.sink, package.loaded.app = sink, loaded
    assert.is_true(blocks >= 7)
    assert.are.equal(1, specs)
  end)
end)
