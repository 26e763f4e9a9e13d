-- So many requests in such a time: lua/dewar/middleware/rate_limit.lua.

local dewar = require "dewar"
local refuses = require("spec.support.caller").refuses
local rate_limit = dewar.middleware.rate_limit

describe("rate_limit", function()
  local client
  after_each(function() client:close() end)

  local function use(options, f)
    local app = dewar.app()
    if f then f(app) end
    app:use(rate_limit(options))
    app:get("/<name>", function() return "ok" end)
    client = app:test_client { clock = "virtual" }
  end

  local function by_path(req) return req.path end

  local function statuses(n, path)
    local list = {}
    for i = 1, n do list[i] = client:get(path or "/a").status end
    return table.concat(list, " ")
  end

  it("answers 429 beyond the limit, and fills up again as time goes by", function()
    use { limit = 3, per = 60 }
    assert.are.equal("200 200 200 429 429", statuses(5))
    client.clock:advance(20)
    assert.are.equal("200 429", statuses(2))
    client.clock:advance(19)
    assert.are.equal("429", statuses(1))
    client.clock:advance(1000)
    assert.are.equal("200 200 200 429", statuses(4))
  end)

  it("tells the client how things stand", function()
    use { limit = 2, per = 10 }
    local res = client:get "/a"
    assert.are.equal("2", res.headers["RateLimit-Limit"])
    assert.are.equal("1", res.headers["RateLimit-Remaining"])
    assert.are.equal("5", res.headers["RateLimit-Reset"])
    assert.is_nil(res.headers["Retry-After"])
    client:get "/a"
    client.clock:advance(2)
    res = client:get "/a"
    assert.are.equal(429, res.status)
    assert.are.equal("0", res.headers["RateLimit-Remaining"])
    assert.are.equal("8", res.headers["RateLimit-Reset"])
    assert.are.equal("3", res.headers["Retry-After"])
    assert.matches("try again in 3 s", res.body)
    client.clock:advance(3)
    assert.are.equal(200, client:get("/a").status)
  end)

  it("counts by the key it is given, and not at all where that is nil", function()
    use {
      limit = 1, per = 60,
      key = function(req)
        dewar.sleep(0)
        if req.path ~= "/free" then return req.path end
      end,
    }
    assert.are.equal("200 429", statuses(2, "/a"))
    assert.are.equal("200 429", statuses(2, "/b"))
    assert.are.equal("200 200", statuses(2, "/free"))
    assert.is_nil(client:get("/free").headers["RateLimit-Limit"])
  end)

  it("counts by address, of IPv6 by network", function()
    local app = dewar.app()
    app:use(dewar.middleware.proxy_fix())
    app:use(rate_limit { limit = 1, per = 60 })
    app:get("/", function() return "ok" end)
    client = app:test_client { clock = "virtual" }
    local function status(address)
      return client:get("/", { headers = { ["X-Forwarded-For"] = address } }).status
    end
    local cases = {
      { "192.0.2.1", 200 }, { "192.0.2.2", 200 }, { "192.0.2.1", 429 },
      { "2001:db8:1:2::1", 200 }, { "2001:db8:1:2:ffff::9", 429 }, { "2001:db8:1:2:3:4:5:6", 429 },
      { "2001:db8:1:3::1", 200 }, { "2001:db8::1", 200 }, { "2001:db8::2:1", 429 }, { "::1", 200 }, { "::2", 429 },
      { "::ffff:192.0.2.3", 200 }, { "::ffff:192.0.2.4", 200 },
    }
    for _, case in ipairs(cases) do assert.are.equal(case[2], status(case[1]), case[1]) end
  end)

  it("remembers no more keys than it may, and first forgets who has asked least", function()
    use { limit = 4, per = 60, key = by_path, max_keys = 8 }
    assert.are.equal("200 200 200 200 429", statuses(5, "/greedy"))
    for i = 1, 100 do assert.are.equal(200, client:get("/p" .. i).status) end
    assert.are.equal("429", statuses(1, "/greedy"))
  end)

  it("lets an error handler make the page, with the same headers", function()
    use({ limit = 1, per = 60, message = "slowly" }, function(app)
      app:errorhandler(429, function(_, err) return "handled: " .. err.message, 429 end)
    end)
    client:get "/a"
    local res = client:get "/a"
    assert.are.equal("handled: slowly", res.body)
    assert.are.equal("60", res.headers["Retry-After"])
  end)

  it("is exact where time is no whole number", function()
    use { limit = 10, per = 1 }
    assert.are.equal("200 200 200 200 200 200 200 200 200 200 429", statuses(11))
    for _ = 1, 5 do
      client.clock:advance(0.3)
      assert.are.equal("200 200 200 429", statuses(4))
    end
  end)

  it("tells who misuses it what is wrong", function()
    client = dewar.app():test_client()
    refuses(function() rate_limit() end, "'limit' is a number of requests; got nil")
    refuses(function() rate_limit { limit = 0, per = 1 } end, "'limit' is a number of requests; got 0")
    refuses(function() rate_limit { limit = 1.5, per = 1 } end, "'limit' is a number of requests; got 1.5")
    refuses(function() rate_limit { limit = 1 } end, "'per' is a number of seconds; got nil")
    refuses(function() rate_limit { limit = 1, per = math.huge } end, "'per' is a number of seconds")
    refuses(function() rate_limit { limit = 1, per = 1, max_keys = 0 } end, "'max_keys' is a number of keys")
    refuses(function() rate_limit { limit = 1, per = 1, key = "ip" } end, "'key' must be a function")
    refuses(function() rate_limit { limits = 1, per = 1 } end, "unknown option 'limits'; did you mean 'limit'%?")
  end)
end)
