-- The life of a request: runtime/app/dispatch.c.

local dewar = require "dewar"

local function join(list) return table.concat(list, " ") end

--- An app that writes down what runs.
local function recorder()
  local app, log = dewar.app(), {}
  local function note(name, result)
    return function() log[#log + 1] = name return result end
  end
  return app, log, note
end

describe("a request's life", function()
  local app, log, note, client
  before_each(function()
    app, log, note = recorder()
  end)
  after_each(function()
    if client then client:close() client = nil end
  end)

  local function get(path, options)
    client = client or app:test_client()
    return client:get(path, options)
  end

  it("runs preprocessors, before, view, after and teardown in that order", function()
    app:url_value_preprocessor(note "preprocess")
    app:before_request(note "before")
    app:get("/", note("view", "ok"))
    app:after_request(function(_, res) log[#log + 1] = "after" return res end)
    app:teardown_request(note "teardown")
    assert.are.equal("ok", get("/").body)
    assert.are.equal("preprocess before view after teardown", join(log))
  end)

  it("calls hooks of the app, the outer and the inner blueprint from the outside in, and back", function()
    local outer, inner = dewar.blueprint("outer"), dewar.blueprint("inner")
    for name, scope in pairs { app = app, outer = outer, inner = inner } do
      for i = 1, 2 do
        scope:url_value_preprocessor(note("pre-" .. name .. i))
        scope:before_request(note("before-" .. name .. i))
        scope:after_request(function(_, res) log[#log + 1] = "after-" .. name .. i return res end)
        scope:teardown_request(note("teardown-" .. name .. i))
      end
    end
    inner:get("/x", note("view", "ok"))
    outer:register_blueprint(inner, { url_prefix = "/inner" })
    app:register_blueprint(outer, { url_prefix = "/outer" })
    assert.are.equal("ok", get("/outer/inner/x").body)
    assert.are.equal("pre-app1 pre-app2 pre-outer1 pre-outer2 pre-inner1 pre-inner2 "
      .. "before-app1 before-app2 before-outer1 before-outer2 before-inner1 before-inner2 view "
      .. "after-inner2 after-inner1 after-outer2 after-outer1 after-app2 after-app1 "
      .. "teardown-inner2 teardown-inner1 teardown-outer2 teardown-outer1 teardown-app2 teardown-app1",
      join(log))
  end)

  it("answers with the first result of before_request, and still runs after and teardown", function()
    app:before_request(note "one")
    app:before_request(note("two", "early"))
    app:before_request(note "three")
    app:get("/", note("view", "late"))
    app:after_request(function(_, res) log[#log + 1] = "after" return res end)
    app:teardown_request(note "teardown")
    assert.are.equal("early", get("/").body)
    assert.are.equal("one two after teardown", join(log))
  end)

  it("runs before_request for 404 and 405, without endpoint and view_args", function()
    app:post("/x", note("view", "ok"))
    app:before_request(function(req)
      log[#log + 1] = tostring(req.endpoint) .. "/" .. tostring(req.view_args)
    end)
    assert.are.equal(404, get("/nowhere").status)
    assert.are.equal(405, get("/x").status)
    assert.are.equal("nil/nil nil/nil", join(log))
  end)

  it("lets before_request answer where nothing matched", function()
    app:before_request(function(req) if req.path == "/old" then return "moved" end end)
    assert.are.equal("moved", get("/old").body)
    assert.are.equal(404, get("/other").status)
  end)

  it("keeps a blueprint's hooks and handlers to its own endpoints", function()
    local bp = dewar.blueprint("bp")
    bp:before_request(note "before")
    bp:teardown_request(note "teardown")
    bp:errorhandler(404, function() return "bp's", 404 end)
    bp:get("/here", function() return "here" end)
    app:register_blueprint(bp, { url_prefix = "/bp" })
    app:get("/", function() return "root" end)
    get("/")
    assert.are_not.equal("bp's", get("/bp/nowhere").body)
    assert.are.equal("", join(log))
    get("/bp/here")
    assert.are.equal("before teardown", join(log))
  end)

  it("runs app-wide hooks that a blueprint registers for every request", function()
    local bp = dewar.blueprint("bp")
    bp:before_app_request(note "before")
    bp:after_app_request(function(_, res) log[#log + 1] = "after" return res end)
    bp:teardown_app_request(note "teardown")
    bp:app_errorhandler(404, function() return "nope", 404 end)
    app:register_blueprint(bp)
    assert.are.equal("nope", get("/nowhere").body)
    assert.are.equal("before after teardown", join(log))
  end)

  it("lets any hook before the view answer by aborting with a response", function()
    local hooks = { "url_value_preprocessor", "before_request" }
    for _, hook in ipairs(hooks) do
      local other <const> = dewar.app()
      other[hook](other, function() dewar.abort(dewar.response("early", 203)) end)
      other[hook](other, function() error "the next one ran" end)
      other:get("/", function() error "the view ran" end)
      other:after_request(function(_, res) res.headers["X-After"] = "ran" return res end)
      local own <close> = other:test_client()
      local res = own:get "/"
      assert.are.equal("early", res.body)
      assert.are.equal(203, res.status)
      assert.are.equal("ran", res.headers["X-After"])
    end
  end)

  it("lets a preprocessor take values from the view's arguments", function()
    app:url_value_preprocessor(function(req, endpoint, values)
      log[#log + 1] = endpoint
      req.g.lang = values.lang
      values.lang = nil
    end)
    app:get("/<lang>/<int:id>", { endpoint = "item" }, function(req, id, more)
      return req.g.lang .. id .. tostring(more)
    end)
    assert.are.equal("de7nil", get("/de/7").body)
    assert.are.equal("item", join(log))
  end)

  it("runs after_this_request before after_request, in the order of registration", function()
    app:after_request(function(_, res) log[#log + 1] = "after" return res end)
    app:get("/", function()
      app:after_this_request(function(_, res) log[#log + 1] = "this1" return res end)
      dewar.after_this_request(function(_, res)
        log[#log + 1] = "this2"
        res.headers["X-This"] = "2"
        return res
      end)
      return "ok"
    end)
    assert.are.equal("2", get("/").headers["X-This"])
    assert.are.equal("this1 this2 after", join(log))
    assert.is_nil(get("/").headers["X-Other"])
    assert.are.equal("this1 this2 after this1 this2 after", join(log))
  end)

  it("lets an after_request replace the response", function()
    app:after_request(function() return dewar.response("new", 201, { ["X-A"] = "b" }) end)
    app:get("/", function() return "old" end)
    local res = get("/")
    assert.are.equal("new", res.body)
    assert.are.equal(201, res.status)
    assert.are.equal("b", res.headers["X-A"])
  end)

  it("answers 500 where an after_request returns nothing", function()
    app:after_request(function() end)
    app:get("/", function() return "ok" end)
    assert.are.equal(500, get("/").status)
  end)

  it("turns a failing after_request into a 500 that passes the hooks that have not run yet, once each", function()
    app:after_request(function(_, res) log[#log + 1] = "last" .. res.status return res end)
    app:after_request(function() log[#log + 1] = "boom" error "boom" end)
    app:after_request(function(_, res) log[#log + 1] = "first" .. res.status return res end)
    app:errorhandler(500, function(_, err)
      log[#log + 1] = "handler"
      return "sorry: " .. tostring(err.original), 500
    end)
    app:get("/", function() return "ok" end)
    local res = get("/")
    assert.are.equal(500, res.status)
    assert.matches("sorry: .*boom", res.body)
    assert.are.equal("first200 boom handler last500", join(log))
  end)

  it("still sends the 500 when a further after_request fails", function()
    app:after_request(function() error "two" end)
    app:after_request(function() error "one" end)
    app:get("/", function() return "ok" end)
    assert.are.equal(500, get("/").status)
  end)

  it("runs every teardown function, whatever they raise", function()
    app:teardown_request(note "first")
    app:teardown_request(function() log[#log + 1] = "boom" error "boom" end)
    app:teardown_request(note "last")
    app:get("/", function() return "ok" end)
    assert.are.equal(200, get("/").status)
    assert.are.equal("last boom first", join(log))
  end)

  it("gives teardown the unhandled error, and nil where a handler dealt with it or it was an abort", function()
    local seen
    app:teardown_request(function(_, err) seen = tostring(err) end)
    local Own = dewar.Error:extend("Own", {})
    app:errorhandler(Own, function() return "handled" end)
    app:get("/own", function() error(Own("mine")) end)
    app:get("/abort", function() dewar.abort(403) end)
    app:get("/plain", function() error("plain", 0) end)
    get("/own")
    assert.are.equal("nil", seen)
    get("/abort")
    assert.are.equal("nil", seen)
    get("/plain")
    assert.are.equal("plain", seen)
  end)

  it("keeps the request's context through a streamed body and tears down after its end", function()
    app:get("/", function()
      dewar.g.n = 3
      return coroutine.wrap(function()
        for i = 1, dewar.g.n do
          dewar.yield()
          coroutine.yield(dewar.request.path .. i)
        end
        log[#log + 1] = "streamed"
      end)
    end)
    app:teardown_request(note "teardown")
    assert.are.equal("/1/2/3", get("/").body)
    assert.are.equal("streamed teardown", join(log))
  end)

  it("refuses to be set up after its first request, naming the method", function()
    app:get("/", function() return "ok" end)
    get("/")
    local calls = {
      before_request = function() app:before_request(print) end,
      after_request = function() app:after_request(print) end,
      teardown_request = function() app:teardown_request(print) end,
      errorhandler = function() app:errorhandler(404, print) end,
      get = function() app:get("/x", print) end,
      route = function() app:route("/x", print) end,
      add_url_rule = function() app:add_url_rule("/x", print) end,
      register_blueprint = function() app:register_blueprint(dewar.blueprint("late")) end,
      url_value_preprocessor = function() app:url_value_preprocessor(print) end,
      url_defaults = function() app:url_defaults(print) end,
    }
    for name, call in pairs(calls) do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.matches("dispatch_spec.lua:%d+: " .. name .. " was called after", err)
    end
  end)

  it("has the request at hand where nothing takes it as an argument", function()
    local seen = {}
    app:url_value_preprocessor(function() seen.endpoint = dewar.request.endpoint end)
    app:before_request(function() dewar.g.before = dewar.request.path end)
    app:get("/<int:n>/<word>", { endpoint = "view" }, function()
      local args = dewar.request.view_args
      return ("%d %s %s"):format(args.n, args.word, dewar.g.before)
    end)
    app:teardown_request(function() seen.torn_down = dewar.request.path end)
    assert.are.equal("7 x /7/x", get("/7/x").body)
    assert.are.same({ endpoint = "view", torn_down = "/7/x" }, seen)
  end)

  it("gives all arguments to a function that takes any number, by whatever name", function()
    app:get("/<a>/<b>", function(...) return tostring(select("#", ...)) end)
    app:get("/c/<a>/<b>", setmetatable({}, {
      __call = function(_, ...) return tostring(select("#", ...)) end,
    }))
    app:get("/k/<a>/<b>", select)
    app:errorhandler(dewar.Error, function() return "called" end)
    assert.are.equal("3", get("/1/2").body)
    assert.are.equal("3", get("/c/1/2").body)
    assert.are.equal("called", get("/k/1/2").body) -- it wants a number, and got a request
  end)

  it("lets every callable wait", function()
    local function waits(name, result)
      return function(_, res)
        dewar.sleep(0.001)
        log[#log + 1] = name
        if result == "response" then return res end
        return result
      end
    end
    app:url_value_preprocessor(waits "preprocess")
    app:before_request(waits "before")
    app:get("/", function()
      app:after_this_request(waits("this", "response"))
      dewar.sleep(0.001)
      dewar.abort(418)
    end)
    app:errorhandler(418, waits("handler", "tea"))
    app:after_request(waits("after", "response"))
    app:teardown_request(waits "teardown")
    assert.are.equal("tea", get("/").body)
    assert.are.equal("preprocess before handler this after teardown", join(log))
  end)

  it("answers 503 where a route's timeout or REQUEST_TIMEOUT is over", function()
    app.config.REQUEST_TIMEOUT = 0.05
    app:get("/own", { timeout = 0.01 }, function() dewar.sleep(10) return "late" end)
    app:get("/app", function() dewar.sleep(10) return "late" end)
    app:get("/quick", function() return "in time" end)
    app:errorhandler(503, function() dewar.sleep(0.001) return "busy", 503 end)
    assert.are.equal(503, get("/own").status)
    assert.are.equal("busy", get("/app").body)
    assert.are.equal("in time", get("/quick").body)
  end)
end)
