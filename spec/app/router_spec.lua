-- Methods and routing as a client sees them: runtime/app/router*.c.

local dewar = require "dewar"

describe("the router", function()
  local app, client
  before_each(function()
    app = dewar.app { config = { TESTING = true } }
    client = app:test_client()
  end)
  after_each(function() client:close() end)

  --- A view that tells its name and its arguments.
  local function named(name)
    return function(_, ...)
      local list = table.pack(...)
      for i = 1, list.n do list[i] = math.type(list[i]) == "float" and ("%.1f"):format(list[i]) or tostring(list[i]) end
      return ("%s(%s)"):format(name, table.concat(list, ","))
    end
  end

  --- Adds rules that are their own names.
  local function add(...)
    for _, rule in ipairs { ... } do app:get(rule, named(rule)) end
  end

  --- The body of the answer; else its status, with where it redirects to.
  local function got(path, method)
    local res = client:request(method or "GET", path)
    if res.status == 200 then return res.body end
    return res.headers.Location and res.status .. " " .. res.headers.Location or tostring(res.status)
  end

  local function check(answers)
    for path, answer in pairs(answers) do assert.are.equal(answer, got(path), path) end
  end

  it("prefers static segments, then variables by weight, and goes back where it got lost", function()
    add("/<x>", "/<path:x>", "/<uuid:x>", "/<int:x>", "/<float:x>", "/one", "/one/<int:x>/end", "/<x>/2/other")
    check {
      ["/one"] = "/one()",
      ["/1"] = "/<int:x>(1)",
      ["/1.5"] = "/<float:x>(1.5)",
      ["/two"] = "/<x>(two)",
      ["/a/b/c"] = "/<path:x>(a/b/c)",
      ["/one/2/end"] = "/one/<int:x>/end(2)",
      ["/one/2/other"] = "/<x>/2/other(one)",
    }
  end)

  it("finds several variables and static text in one segment, more static text first", function()
    add("/v<int:major>.<int:minor>", "/v<int:n>", "/<x>", "/<a>-<b>")
    check {
      ["/v1.22"] = "/v<int:major>.<int:minor>(1,22)",
      ["/v7"] = "/v<int:n>(7)",
      ["/v"] = "/<x>(v)",
      ["/a-b-c"] = "/<a>-<b>(a-b,c)",
    }
  end)

  it("lets the next rule try where a converter refuses, and redirects nobody then", function()
    add("/<int(min=5):x>", "/<string(length=2):x>", "/only/<int:x>/")
    check {
      ["/7"] = "/<int(min=5):x>(7)",
      ["/03"] = "/<string(length=2):x>(03)",
      ["/4"] = "404",
      ["/only/7"] = "308 /only/7/",
      ["/only/x"] = "404",
    }
  end)

  it("reads integers without a sign, with zeros in front, up to 64 bits, and floats with a dot", function()
    add("/i/<int:x>", "/s/<int(signed=true):x>", "/f/<float:x>")
    check {
      ["/i/003"] = "/i/<int:x>(3)",
      ["/i/-1"] = "404",
      ["/s/-1"] = "/s/<int(signed=true):x>(-1)",
      ["/i/9223372036854775807"] = "/i/<int:x>(9223372036854775807)",
      ["/i/9223372036854775808"] = "404",
      ["/f/1"] = "404",
      ["/f/1.0"] = "/f/<float:x>(1.0)",
    }
  end)

  it("redirects to the slash with the query, if the method would match; never away from it", function()
    add("/d/", "/e")
    app:get("/both/", { strict_slashes = false }, named "both")
    check {
      ["/d"] = "308 /d/",
      ["/d?a=1&b"] = "308 /d/?a=1&b",
      ["/e/"] = "404",
      ["/both"] = "both()",
      ["/both/"] = "both()",
    }
    assert.are.equal("404", got("/d", "POST"))
  end)

  it("redirects repeated slashes to one if that matches, but not inside of a path", function()
    add("/a/b", "/p/<path:x>")
    check {
      ["//a///b"] = "308 /a/b",
      ["//a//c"] = "404",
      ["/p/x//y"] = "/p/<path:x>(x//y)",
    }
  end)

  it("splits the path before it decodes it: an escaped slash stays in its segment", function()
    app:get("/s/<x>", function(req, x) return req.path .. " " .. x end)
    app:get("/p/<path:x>", function(req, x) return req.path .. " " .. x end)
    check {
      ["/s/a%2Fb%25c%20d"] = "/s/a%2Fb%25c d a/b%c d",
      ["/p/a%2Fb/%25c%20d"] = "/p/a%2Fb/%25c d a%2Fb/%25c d",
      ["/s/.."] = "/s/.. ..",
      ["/s/%zz"] = "400",
      ["/s/%0"] = "400",
      ["/s/a%00"] = "400",
    }
    app = dewar.app()
    app:get("/", function(req) return req.args.q end)
    client:close()
    client = app:test_client()
    assert.are.equal("%zz1%", got "/?q=%zz%31%")
  end)

  it("builds for a path what it has matched, unchanged", function()
    app:get("/<path:x>", { endpoint = "path" }, function(_, x) return x end)
    for _, value in ipairs { "a/b", "a%2Fb", "a%25b", "a b/\u{e9}", "a//b", "a%25zz", "a?b#c" } do
      local url = app:url_for("path", { x = value })
      assert.are.equal(value, got(url), url)
    end
  end)

  it("redirects from a default's value and from an alias to the shorter and the main rule", function()
    app:get("/list", { endpoint = "list", defaults = { page = 1 } }, named "list")
    app:get("/list/<int:page>", { endpoint = "list" }, named "list")
    app:get("/old/<x>", { endpoint = "item", alias = true }, named "item")
    app:get("/item/<x>", { endpoint = "item" }, named "item")
    check {
      ["/list"] = "list(1)",
      ["/list/1"] = "308 /list",
      ["/list/2"] = "list(2)",
      ["/old/7"] = "308 /item/7",
      ["/item/7"] = "item(7)",
    }
    assert.are.equal("/item/7", app:url_for("item", { x = 7 }))
    assert.are.equal("/list", app:url_for("list", { page = 1 }))
  end)

  it("never matches what is only for building", function()
    app:add_url_rule("/cdn/<x>", { endpoint = "cdn", build_only = true })
    assert.are.equal("404", got "/cdn/x")
    assert.are.equal("/cdn/x", app:url_for("cdn", { x = "x" }))
  end)

  it("refuses the same rule twice, names of variables apart, where methods overlap", function()
    app:get("/<int:a>", named "a")
    app:post("/<int:b>", named "b")
    app:get("/<int(min=1):c>", named "c")
    local ok, err = pcall(app.get, app, "/<int:d>", named "d")
    assert.is_false(ok)
    assert.matches("is the same rule as", err)
    app:route("/<int:e>", { methods = { "HEAD", "OPTIONS" } }, named "e")
    assert.are.equal("a(0)", got "/0")
    assert.are.equal("b(0)", got("/0", "POST"))
  end)

  it("answers a wrong method by 405 with what is allowed", function()
    app:get("/x/<int:a>", named "a")
    app:put("/x/<b>", named "b")
    local function allowed(path)
      local res = client:delete(path)
      assert.are.equal(405, res.status)
      return res.headers.Allow
    end
    assert.are.equal("GET, HEAD, OPTIONS, PUT", allowed "/x/1")
    assert.are.equal("OPTIONS, PUT", allowed "/x/y")
    assert.are.equal("GET, HEAD, OPTIONS, PUT", client:options("/x/1").headers.Allow)
    assert.are.equal("404", got("/none", "OPTIONS"))
  end)

  it("aborts with each registered status", function()
    app:get("/<int:status>", function(_, status) dewar.abort(status) end)
    local count = 0
    for status, class in pairs(dewar.errors) do
      count = count + 1
      assert.are.equal(status, class.status)
      assert.are.equal(status, client:get("/" .. status).status)
    end
    assert.is_true(count >= 38, count)
  end)
end)
