-- Names with values as they come with a request: index for one, call for all.
local dewar = require "dewar"

--- What view(req) finds in a request; its assertions count.
local function visit(target, options, view)
  local app = dewar.app()
  app.config.TESTING = true
  local visited = false
  local function handler(req)
    view(req)
    visited = true
    return "ok"
  end
  app:get("/", handler)
  app:post("/", handler)
  local client <close> = app:test_client()
  client:request(options.form and "POST" or "GET", target, options)
  assert.is_true(visited)
end

local function lines(values)
  local list = {}
  for name, value in pairs(values) do list[#list + 1] = name .. "=" .. value end
  return list
end

local function misuse(pattern, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it raised nothing")
  assert.matches("^[^\n]*values_spec%.lua:%d+: ", err)
  assert.matches(pattern, err)
end

describe("values of a request", function()
  it("give the first value by index and all by a call", function()
    visit("/?tag=a&n=1&tag=b", {}, function(req)
      assert.are.equal("a", req.args.tag)
      assert.are.same({ "a", "b" }, req.args("tag"))
      assert.are.same({ "1" }, req.args("n"))
    end)
  end)

  it("give nil and an empty list for a name that isn't there", function()
    visit("/?tag=a", {}, function(req)
      assert.is_nil(req.args.none)
      assert.is_nil(req.args.TAG)
      assert.is_nil(req.args[1])
      assert.is_nil(req.args.__index)
      assert.are.same({}, req.args("none"))
    end)
  end)

  it("give every name and value in order to pairs", function()
    visit("/?b=1&a=2&b=3&c", {}, function(req)
      assert.are.same({ "b=1", "a=2", "b=3", "c=" }, lines(req.args))
      assert.are.same({ "b=1", "a=2", "b=3", "c=" }, lines(req.args))
      assert.are.equal(4, #req.args)
    end)
  end)

  it("give fresh lists, which the view may change", function()
    visit("/?tag=a", {}, function(req)
      req.args("tag")[1] = "x"
      assert.are.same({ "a" }, req.args("tag"))
    end)
  end)

  it("hold any bytes", function()
    visit("/?a%00b=c%00d&%C3%A9=%FF", {}, function(req)
      assert.are.equal("c\0d", req.args["a\0b"])
      assert.are.equal("\xFF", req.args["é"])
    end)
  end)

  it("can't be changed", function()
    visit("/?tag=a", {}, function(req)
      misuse("came with a request can't be changed", function() req.args.tag = "b" end)
      misuse("came with a request", function() req.headers.x_a = "b" end)
      assert.are.equal("a", req.args.tag)
    end)
  end)

  it("are called with a name", function()
    visit("/", {}, function(req)
      misuse("takes a name, a string, not a number", function() req.args(1) end)
      misuse("takes a name, a string, not a nil", function() req.args() end)
    end)
  end)

  it("outlive their request", function()
    local args, headers
    visit("/?tag=a&tag=b", { headers = { ["X-A"] = "c" } }, function(req)
      args, headers = req.args, req.headers
    end)
    collectgarbage()
    assert.are.same({ "a", "b" }, args("tag"))
    assert.are.equal("c", headers["X-A"])
  end)

  it("show themselves, long values and long lists cut", function()
    visit("/?a=1&b=%22%0A&c=" .. ("x"):rep(500), {}, function(req)
      local text = tostring(req.args)
      assert.matches('^dewar%.values { a = "1", b = "\\"\\010", c = "xxx', text)
      assert.is_true(#text < 200)
    end)
    visit("/?" .. ("a=1&"):rep(50), {}, function(req)
      assert.matches(", %.%.%. }$", tostring(req.args))
    end)
  end)

  it("are the same for forms and cookies", function()
    visit("/", { form = { tag = { "a", "b" } } }, function(req)
      assert.are.equal("a", req.form.tag)
      assert.are.same({ "a", "b" }, req.form("tag"))
    end)
    visit("/", { headers = { Cookie = "id=7; theme=dark" } }, function(req)
      assert.are.equal("7", req.cookies.id)
      assert.are.same({ "id=7", "theme=dark" }, lines(req.cookies))
      assert.is_nil(req.cookies.ID)
    end)
  end)
end)

describe("headers of a request", function()
  it("ignore case and read an underscore as a hyphen", function()
    visit("/", { headers = { ["X-Request-Id"] = "7" } }, function(req)
      assert.are.equal("7", req.headers["X-Request-Id"])
      assert.are.equal("7", req.headers["x-request-id"])
      assert.are.equal("7", req.headers.X_Request_Id)
      assert.are.same({ "7" }, req.headers("x_request_id"))
      assert.are.equal("localhost", req.headers.host)
      assert.is_nil(req.headers.x_none)
    end)
  end)

  it("join repeated lines as RFC 9110 says", function()
    visit("/", { headers = { ["X-A"] = { "1", "2, 3" } } }, function(req)
      assert.are.equal("1, 2, 3", req.headers["X-A"])
      assert.are.same({ "1", "2, 3" }, req.headers("X-A"))
    end)
  end)

  it("join Cookie lines with a semicolon", function()
    visit("/", { headers = { Cookie = { "a=1", "b=2" } } }, function(req)
      assert.are.equal("a=1; b=2", req.headers.cookie)
    end)
  end)

  it("never take a name with an underscore for one with a hyphen", function()
    visit("/", { headers = { ["X_Real_IP"] = "6.6.6.6" } }, function(req)
      assert.is_nil(req.headers.x_real_ip)
      assert.is_nil(req.headers["X-Real-IP"])
    end)
  end)
end)
