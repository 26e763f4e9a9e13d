-- Cross-origin resource sharing: lua/dewar/middleware/cors.lua.

local dewar = require "dewar"
local refuses = require("spec.support.caller").refuses
local cors = dewar.middleware.cors

local function client_of(options)
  local app = dewar.app()
  app:use(cors(options))
  app:get("/", function() return "ok" end)
  app:get("/api/x", function() return "ok" end)
  app:get("/boom", function() error "boom" end)
  app:get("/vary", function() return "ok", nil, { Vary = "Accept, origin" } end)
  return app:test_client()
end

local function preflight(client, origin, headers, path)
  local all = { Origin = origin, ["Access-Control-Request-Method"] = "PUT" }
  for name, value in pairs(headers or {}) do all[name] = value end
  return client:request("OPTIONS", path or "/", { headers = all })
end

local function allowed(res) return res.headers["Access-Control-Allow-Origin"] end

describe("cors", function()
  local client
  after_each(function() client:close() end)

  it("lets pages of the listed origins read answers", function()
    client = client_of { origins = { "https://a.example", "http://b.example:8080" } }
    for _, origin in ipairs { "https://a.example", "http://b.example:8080", "HTTPS://A.example" } do
      local res = client:get("/", { headers = { Origin = origin } })
      assert.are.equal(origin, allowed(res))
      assert.are.equal("Origin", res.headers.Vary)
      assert.is_nil(res.headers["Access-Control-Allow-Credentials"])
    end
    local others = { "http://a.example", "https://a.example:444", "https://a.example.evil.net", "https://aXexample",
      "null", "https://a.example/" }
    for _, origin in ipairs(others) do
      local res = client:get("/", { headers = { Origin = origin } })
      assert.is_nil(allowed(res), origin)
      assert.are.equal("Origin", res.headers.Vary)
      assert.are.equal("ok", res.body)
    end
  end)

  it("says that answers depend on the origin also where none came", function()
    client = client_of { origins = "https://a.example" }
    assert.are.equal("Origin", client:get("/").headers.Vary)
    assert.are.equal("Accept, origin", client:get("/vary").headers.Vary)
  end)

  it("lets every page read what is open to all", function()
    client = client_of { origins = "*" }
    local res = client:get("/", { headers = { Origin = "https://any.example" } })
    assert.are.equal("*", allowed(res))
    assert.is_nil(res.headers.Vary)
    assert.is_nil(allowed(client:get "/"))
  end)

  it("takes a star for what is before a host's first dot", function()
    client = client_of { origins = "https://*.a-b.example" }
    local function get(origin) return allowed(client:get("/", { headers = { Origin = origin } })) end
    assert.are.equal("https://x.a-b.example", get "https://x.a-b.example")
    assert.are.equal("https://x.y.a-b.example", get "https://x.y.a-b.example")
    for _, origin in ipairs { "https://a-b.example", "https://x.a-b.example.evil.net", "http://x.a-b.example",
      "https://evil.net/.a-b.example", "https://xa-b.example", "https://x.a-bXexample" } do
      assert.is_nil(get(origin), origin)
    end
  end)

  it("asks a function, which may wait", function()
    client = client_of {
      origins = function(origin, req)
        dewar.sleep(0.001)
        return origin == "https://" .. req.args.who
      end,
    }
    assert.are.equal("https://a", allowed(client:get("/?who=a", { headers = { Origin = "https://a" } })))
    assert.is_nil(allowed(client:get("/?who=b", { headers = { Origin = "https://a" } })))
  end)

  it("answers a preflight before any route is looked for", function()
    client = client_of { origins = "https://a.example", max_age = 600 }
    local res = preflight(client, "https://a.example", { ["Access-Control-Request-Headers"] = "x-a, x-b" }, "/nowhere")
    assert.are.equal(204, res.status)
    assert.are.equal("https://a.example", allowed(res))
    assert.are.equal("GET, HEAD, POST, PUT, PATCH, DELETE", res.headers["Access-Control-Allow-Methods"])
    assert.are.equal("x-a, x-b", res.headers["Access-Control-Allow-Headers"])
    assert.are.equal("600", res.headers["Access-Control-Max-Age"])
    assert.are.equal("Access-Control-Request-Method, Access-Control-Request-Headers, Origin", res.headers.Vary)
  end)

  it("tells a page that isn't welcome nothing", function()
    client = client_of { origins = "https://a.example", credentials = true }
    local res = preflight(client, "https://b.example")
    assert.are.equal(204, res.status)
    for name in pairs(res.headers) do assert.is_nil(name:lower():find "^access%-control") end
  end)

  it("leaves an OPTIONS that is no preflight to the route", function()
    client = client_of { origins = "*" }
    assert.are.equal("GET, HEAD, OPTIONS", client:request("OPTIONS", "/").headers.Allow)
    local res = client:request("OPTIONS", "/", { headers = { Origin = "https://a.example" } })
    assert.are.equal("GET, HEAD, OPTIONS", res.headers.Allow)
    assert.are.equal("*", allowed(res))
  end)

  it("goes by the methods, headers and exposed headers that are given", function()
    client = client_of {
      origins = { "https://a.example" }, methods = { "GET", "PURGE" }, headers = { "X-A", "X-B" },
      expose = { "X-C", "X-D" }, credentials = true,
    }
    local res = preflight(client, "https://a.example", { ["Access-Control-Request-Headers"] = "x-evil" })
    assert.are.equal("GET, PURGE", res.headers["Access-Control-Allow-Methods"])
    assert.are.equal("X-A, X-B", res.headers["Access-Control-Allow-Headers"])
    assert.are.equal("true", res.headers["Access-Control-Allow-Credentials"])
    assert.is_nil(res.headers["Access-Control-Expose-Headers"])
    res = client:get("/", { headers = { Origin = "https://a.example" } })
    assert.are.equal("X-C, X-D", res.headers["Access-Control-Expose-Headers"])
    assert.are.equal("true", res.headers["Access-Control-Allow-Credentials"])
    assert.is_nil(res.headers["Access-Control-Allow-Methods"])
  end)

  it("adds its headers to errors, too", function()
    client = client_of { origins = "*" }
    for path, status in pairs { ["/boom"] = 500, ["/nowhere"] = 404 } do
      local res = client:get(path, { headers = { Origin = "https://a.example" } })
      assert.are.equal(status, res.status)
      assert.are.equal("*", allowed(res))
    end
  end)

  it("keeps to the paths that are given", function()
    client = client_of { origins = "*", paths = { "/api/", "/open" } }
    local headers = { headers = { Origin = "https://a.example" } }
    assert.are.equal("*", allowed(client:get("/api/x", headers)))
    assert.is_nil(allowed(client:get("/", headers)))
    assert.are.equal(204, preflight(client, "https://a.example", nil, "/api/x").status)
    assert.are.equal(200, preflight(client, "https://a.example").status)
  end)

  it("tells who misuses it what is wrong", function()
    client = dewar.app():test_client()
    refuses(function() cors() end, "'origins' is missing")
    refuses(function() cors { origin = "*" } end, "unknown option 'origin'; did you mean 'origins'%?")
    refuses(function() cors { origins = "*", credentials = true } end, "list the origins")
    refuses(function() cors { origins = {} } end, "the list of origins is empty")
    refuses(function() cors { origins = "a.example" } end, "an origin is scheme and host.*got 'a.example'")
    refuses(function() cors { origins = { "https://a.example/" } } end, "without a slash")
    refuses(function() cors { origins = { 7 } } end, "got a number")
    refuses(function() cors { origins = { "*" } } end, "an origin is scheme and host")
    refuses(function() cors { origins = "https://a.*.example" } end, "before the first dot")
    refuses(function() cors { origins = "*", credentials = "yes" } end, "'credentials' is a boolean")
    refuses(function() cors { origins = "*", max_age = "1" } end, "'max_age' is a number of seconds")
    refuses(function() cors { origins = "*", methods = 1 } end, "'methods' is a list of strings; got a number")
    refuses(function() cors { origins = "*", expose = { 1 } } end, "expose%[1%] is a number")
  end)
end)
