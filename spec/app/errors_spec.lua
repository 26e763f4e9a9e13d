-- Errors and their handlers: runtime/app/hooks.c, dispatch.c, answer.c.

local dewar = require "dewar"

describe("an error", function()
  local app, client
  before_each(function() app = dewar.app() end)
  after_each(function()
    if client then client:close() client = nil end
  end)

  local function get(path, options)
    client = client or app:test_client()
    return client:get(path, options)
  end

  local Payment = dewar.Error:extend("Payment", { status = 402 })
  local Card = Payment:extend("Card", {})
  local Own = dewar.Error:extend("Own", {})
  local Sub = Own:extend("Sub", {})

  local function raising(value)
    app:get("/", function() error(value, 0) end)
  end

  it("is handled by its status", function()
    raising(Payment "no funds")
    app:errorhandler(402, function(_, err) return "402: " .. err.message, 402 end)
    local res = get "/"
    assert.are.equal("402: no funds", res.body)
    assert.are.equal(402, res.status)
  end)

  it("is handled by the nearest class up its parent chain", function()
    raising(Sub "x")
    app:errorhandler(dewar.Error, function() return "root" end)
    app:errorhandler(Own, function() return "own" end)
    assert.are.equal("own", get("/").body)
  end)

  it("prefers a handler for a subclass of a status over the one for the status", function()
    raising(Card "x")
    app:errorhandler(402, function() return "status" end)
    app:errorhandler(Card, function() return "card" end)
    assert.are.equal("card", get("/").body)
  end)

  it("prefers an app's handler for its status over a blueprint's for HTTPError", function()
    local bp = dewar.blueprint "bp"
    bp:get("/x", function() dewar.abort(403) end)
    bp:errorhandler(dewar.HTTPError, function() return "blueprint" end)
    app:errorhandler(403, function() return "app" end)
    app:register_blueprint(bp)
    assert.are.equal("app", get("/x").body)
  end)

  it("is sought from the inner blueprint outwards", function()
    local outer, inner = dewar.blueprint "outer", dewar.blueprint "inner"
    inner:get("/in", function() error(Own "x") end)
    outer:get("/out", function() error(Own "x") end)
    app:get("/app", function() error(Own "x") end)
    inner:errorhandler(Own, function() return "inner" end)
    outer:errorhandler(Own, function() return "outer" end)
    app:errorhandler(Own, function() return "app" end)
    outer:register_blueprint(inner)
    app:register_blueprint(outer)
    assert.are.equal("inner", get("/in").body)
    assert.are.equal("outer", get("/out").body)
    assert.are.equal("app", get("/app").body)
  end)

  it("with a status counts as an HTTPError, whatever it extends", function()
    raising(Payment "x")
    app:errorhandler(dewar.HTTPError, function(_, err) return "http " .. err.status end)
    assert.are.equal("http 402", get("/").body)
  end)

  it("of any kind is caught by dewar.Error's handler, as it was raised", function()
    local value = setmetatable({}, { __tostring = function() return "odd" end })
    raising(value)
    local seen
    app:errorhandler(dewar.Error, function(_, err) seen = err return "caught" end)
    assert.are.equal("caught", get("/").body)
    assert.are.equal(value, seen)
  end)

  it("of routing is caught by dewar.Error's handler, too", function()
    app:errorhandler(dewar.Error, function(_, err) return "status " .. err.status, err.status end)
    local res = get "/nowhere"
    assert.are.equal("status 404", res.body)
    assert.are.equal(404, res.status)
  end)

  it("gives its handler the traceback of where it was raised", function()
    local function deep() error "down here" end
    app:get("/", function() deep() return "never" end)
    local traceback
    app:errorhandler(dewar.Error, function(req) traceback = req.traceback return "x" end)
    get "/"
    assert.matches("down here", traceback)
    assert.matches("'deep'", traceback)
  end)

  it("that nobody handles is a 500 with .original for the handler of 500", function()
    raising "plain"
    app:errorhandler(500, function(_, err)
      return tostring(dewar.errors[500]:is(err)) .. " " .. tostring(err.original), 500
    end)
    local res = get "/"
    assert.are.equal("true plain", res.body)
    assert.are.equal(500, res.status)
  end)

  it("that nobody handles is logged with its path, its method and its traceback", function()
    local records = {}
    local sink = dewar.log.sink
    dewar.log.sink = function(level, text) records[#records + 1] = level .. " " .. text end
    finally(function() dewar.log.sink = sink end)
    app:get("/x", function() error "boom" end)
    assert.are.equal(500, get("/x").status)
    assert.are.equal(1, #records)
    assert.matches("^error Exception on /x %[GET%]", records[1])
    assert.matches("errors_spec.lua:%d+: boom", records[1])
    assert.matches("stack traceback:", records[1])
  end)

  it("of an abort is not logged", function()
    local records = 0
    local sink = dewar.log.sink
    dewar.log.sink = function() records = records + 1 end
    finally(function() dewar.log.sink = sink end)
    app:get("/x", function() dewar.abort(404) end)
    get "/x"
    assert.are.equal(0, records)
  end)

  it("propagates to the test client with TESTING, and teardown still runs", function()
    app.config.TESTING = true
    local torn
    app:teardown_request(function(_, err) torn = err end)
    app:get("/", function() error(Own "mine") end)
    local ok, err = pcall(get, "/")
    assert.is_false(ok)
    assert.is_true(Own:is(err))
    assert.are.equal(err, torn)
  end)

  it("propagates with PROPAGATE_EXCEPTIONS alone", function()
    app.config.PROPAGATE_EXCEPTIONS = true
    raising(Own "mine")
    assert.is_false((pcall(get, "/")))
  end)

  it("of the kind that has a handler does not propagate", function()
    app.config.TESTING = true
    raising(Own "mine")
    app:errorhandler(Own, function() return "handled" end)
    assert.are.equal("handled", get("/").body)
  end)

  it("of a handler goes the way of 500", function()
    raising(Own "first")
    app:errorhandler(Own, function() error "second" end)
    app:errorhandler(500, function(_, err) return tostring(err.original), 500 end)
    assert.matches("second", get("/").body)
  end)

  it("of the 500 handler ends in a bare 500", function()
    raising "first"
    app:errorhandler(500, function() error "second" end)
    local res = get "/"
    assert.are.equal(500, res.status)
    assert.matches("500 Internal Server Error", res.body)
  end)

  it("may wait in its handler", function()
    raising(Own "x")
    app:errorhandler(Own, function() dewar.sleep(0.001) return "waited" end)
    assert.are.equal("waited", get("/").body)
  end)

  it("may be a response", function()
    app:get("/", function() dewar.abort(dewar.response("teapot", 418, { ["X-Tea"] = "green" })) end)
    local res = get "/"
    assert.are.equal(418, res.status)
    assert.are.equal("teapot", res.body)
    assert.are.equal("green", res.headers["X-Tea"])
  end)

  it("of an abort has its description and headers in the default page, escaped", function()
    app:get("/", function() dewar.abort(401, "no <b>way</b>", { ["WWW-Authenticate"] = "Basic" }) end)
    local res = get "/"
    assert.are.equal(401, res.status)
    assert.are.equal("Basic", res.headers["WWW-Authenticate"])
    assert.matches("no &lt;b&gt;way&lt;/b&gt;", res.body)
    assert.are.equal("text/html; charset=utf-8", res.headers["Content-Type"])
  end)

  it("is JSON for a client that accepts only that", function()
    local res = get("/nowhere", { headers = { Accept = "application/json" } })
    assert.are.equal("application/json", res.headers["Content-Type"])
    assert.are.equal(404, res:json().error.status)
  end)

  it("405 carries Allow, from the default page and from a handler's answer", function()
    app:route("/x", { methods = { "PUT", "DELETE" } }, function() return "x" end)
    assert.are.equal("DELETE, OPTIONS, PUT", get("/x").headers.Allow)
    client:close()
    client, app = nil, dewar.app()
    app:put("/x", function() return "x" end)
    local err
    app:errorhandler(405, function(_, e) err = e return "no", 405 end)
    assert.are.equal("OPTIONS, PUT", get("/x").headers.Allow)
    assert.are.equal("OPTIONS, PUT", err.headers.Allow)
  end)
end)

describe("errorhandler", function()
  local app
  before_each(function() app = dewar.app() end)

  local function message(...)
    local ok, err = pcall(...)
    assert.is_false(ok)
    return err
  end

  it("refuses what is neither an error status nor an error class", function()
    assert.matches("errors_spec.lua:%d+: errorhandler: 200 is no error status",
      message(function() app:errorhandler(200, print) end))
    assert.matches("499", message(function() app:errorhandler(499, print) end))
    assert.matches("error class", message(function() app:errorhandler({}, print) end))
    assert.matches("error class", message(function() app:errorhandler("404", print) end))
  end)

  it("refuses a handler that can't be called", function()
    assert.matches("the handler must be a function; got nil",
      message(function() app:errorhandler(404) end))
    assert.matches("could run only once",
      message(function() app:errorhandler(404, coroutine.create(print)) end))
  end)
end)
