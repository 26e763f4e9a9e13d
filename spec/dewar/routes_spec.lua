-- Routes, blueprints, views and URLs as an app's author sees them: lua/dewar/.

local dewar = require "dewar"

local function message(f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  return tostring(err)
end

describe("a route", function()
  local app, client
  before_each(function() app = dewar.app() end)
  after_each(function()
    if client then client:close() client = nil end
  end)

  local function get(path, options)
    client = client or app:test_client()
    return client:get(path, options)
  end

  it("passes its values in the order of the rule, then those that only defaults give, by name", function()
    app:get("/<int:b>/<a>", { defaults = { z = 1, y = "q" } }, function(_, ...) return { ... } end)
    assert.are.same({ 7, "x", "q", 1 }, get("/7/x"):json())
  end)

  it("adds HEAD to GET and answers OPTIONS by itself with a sorted Allow", function()
    app:get("/x", function() return "got" end)
    app:post("/x", function() return "posted" end)
    client = app:test_client()
    local res = client:options "/x"
    assert.are.equal(200, res.status)
    assert.are.equal("", res.body)
    assert.are.equal("GET, HEAD, OPTIONS, POST", res.headers.Allow)
    res = client:delete "/x"
    assert.are.equal(405, res.status)
    assert.are.equal("GET, HEAD, OPTIONS, POST", res.headers.Allow)
  end)

  it("leaves OPTIONS alone with provide_automatic_options = false, or if the view has it", function()
    app:get("/off", { provide_automatic_options = false }, function() return "x" end)
    app:route("/own", { methods = { "OPTIONS", "GET" } }, function(req) return req.method end)
    client = app:test_client()
    assert.are.equal(405, client:options("/off").status)
    assert.are.equal("OPTIONS", client:options("/own").body)
  end)

  it("converts: unsigned int, float, uuid, any, path, lengths", function()
    app:get("/i/<int:v>", function(_, v) return math.type(v) .. v end)
    app:get("/f/<float:v>", function(_, v) return math.type(v) .. v end)
    app:get("/a/<any(a,b,\"c d\"):v>", function(_, v) return v end)
    app:get("/s/<string(length=2):v>", function(_, v) return v end)
    app:get("/p/<path:v>/end", function(_, v) return v end)
    assert.are.equal("integer3", get("/i/003").body)
    assert.are.equal(404, get("/i/-1").status)
    assert.are.equal(404, get("/i/99999999999999999999").status)
    assert.are.equal("float1.5", get("/f/1.5").body)
    assert.are.equal(404, get("/f/1").status)
    assert.are.equal("c d", get("/a/c%20d").body)
    assert.are.equal(404, get("/a/x").status)
    assert.are.equal("\u{e9}x", get("/s/%C3%A9x").body)
    assert.are.equal("x/y%2Fz", get("/p/x/y%2Fz/end").body)
  end)

  it("takes converters written in Lua", function()
    app.url_map.converters.hex = {
      weight = 60,
      to_lua = function(text) return tonumber(text, 16) end,
      to_url = function(value) return ("%x"):format(value) end,
    }
    app:get("/<hex:n>", { endpoint = "hex" }, function(_, n) return tostring(n) end)
    app:get("/<word>", function(_, word) return "word " .. word end)
    assert.are.equal("255", get("/ff").body)
    assert.are.equal("word zz", get("/zz").body)
    assert.are.equal("/ff", app:url_for("hex", { n = 255 }))
  end)

  it("answers 500 where a converter raises", function()
    app.url_map.converters.bad = { to_lua = function() error "bad" end }
    app:get("/<bad:x>", function() return "x" end)
    local sink = dewar.log.sink
    dewar.log.sink = function() end
    finally(function() dewar.log.sink = sink end)
    assert.are.equal(500, get("/x").status)
  end)

  it("redirects to the slash, keeping the query, and to a single slash", function()
    app:get("/d/", function() return "d" end)
    app:get("/a/b", function() return "b" end)
    local res = get "/d?x=1"
    assert.are.equal(308, res.status)
    assert.are.equal("/d/?x=1", res.headers.Location)
    assert.are.equal(404, get("/a/b/").status)
    assert.are.equal("/a/b", get("//a///b").headers.Location)
    assert.are.equal("d", get("/d", { follow_redirects = true }).body)
  end)

  it("may redirect by a text or a function", function()
    app:add_url_rule("/old/<int:id>", { redirect_to = "/new/<id>" })
    app:add_url_rule("/fn/<int:id>", { redirect_to = function(req, values)
      dewar.sleep(0.001)
      return req.path .. "/" .. values.id
    end })
    assert.are.equal("/new/7", get("/old/7").headers.Location)
    assert.are.equal("/fn/7/7", get("/fn/7").headers.Location)
    assert.are.equal(308, get("/fn/7").status)
  end)

  it("matches hosts and subdomains before rules without", function()
    app.config.SERVER_NAME = "example.com"
    app:get("/", function() return "any" end)
    app:get("/", { host = "api.example.org" }, function() return "host" end)
    app:get("/", { subdomain = "<user>" }, function(req) return "sub " .. req.view_args.user end)
    assert.are.equal("any", get("/").body)
    assert.are.equal("host", get("/", { headers = { Host = "API.example.org:8000" } }).body)
    assert.are.equal("sub ada", get("/", { headers = { Host = "ada.example.com" } }).body)
  end)

  it("is refused where it is written, with what was wrong", function()
    local here = "routes_spec.lua:%d+: "
    local function view() return "x" end
    assert.matches(here .. ".*did you mean 'int'", message(function() app:get("/<itn:x>", view) end))
    assert.matches(here .. ".*did you mean 'methods'",
      message(function() app:route("/", { method = { "GET" } }, view) end))
    assert.matches(here .. ".*methods", message(function() app:route("/", { methods = "GET" }, view) end))
    assert.matches(here .. ".*no HTTP method", message(function() app:route("/", { methods = { "FETCH" } }, view) end))
    assert.matches(here .. ".*function", message(function() app:get "/" end))
    assert.matches(here .. ".*function; got a string", message(function() app:get("/", "x") end))
    assert.matches(here .. ".*string such as", message(function() app:get(12, view) end))
    assert.matches(here .. ".*endpoint", message(function() app:get("/", { endpoint = "a.b" }, view) end))
    assert.matches(here, message(function() app:get("no-slash", view) end))
    assert.matches(here .. ".*fixed here", message(function() app:get("/", { methods = { "PUT" } }, view) end))
    assert.matches(here .. ".*build_only", message(function() app:add_url_rule "/x" end))
    app:get("/same/<a>", { endpoint = "first" }, view)
    assert.matches(here, message(function() app:get("/same/<b>", view) end))
  end)
end)

describe("url_for", function()
  local app
  before_each(function()
    app = dewar.app()
    app:get("/users/<int:id>", { endpoint = "user" }, function() return dewar.url_for("user", { id = 1 }) end)
    app:get("/<path:p>/edit", { endpoint = "edit" }, function() return "x" end)
    app:get("/no/name", function(req) return req.endpoint end)
  end)

  it("fills in values and makes a sorted query of the others", function()
    assert.are.equal("/users/7?a=1&a=2&b=x+y#top",
      app:url_for("user", { id = 7, b = "x y", a = { 1, 2 }, _anchor = "top" }))
    assert.are.equal("/a/b%2Fc/edit", app:url_for("edit", { p = "a/b%2Fc" }))
    assert.are.equal("/no/name", app:url_for "/no/name")
  end)

  it("makes external URLs with a SERVER_NAME outside of requests, or from the request", function()
    assert.matches("SERVER_NAME", message(app.url_for, app, "user", { id = 1, _external = true }))
    app.config.SERVER_NAME = "example.com"
    assert.are.equal("http://example.com/users/1", app:url_for("user", { id = 1, _external = true }))
    assert.are.equal("https://example.com/users/1", app:url_for("user", { id = 1, _scheme = "https" }))
    app:get("/here", function() return app:url_for("user", { id = 1, _external = true }) end)
    local client <close> = app:test_client()
    assert.are.equal("http://localhost/users/1", client:get("/here").body)
    assert.are.equal("/users/1", client:get("/users/1").body)
  end)

  it("raises a BuildError that says what is missing or was meant, at the caller's line", function()
    assert.matches("did you mean 'user'", message(function() app:url_for "usr" end))
    assert.matches("id", message(function() app:url_for "user" end))
    local _, err = pcall(app.url_for, app, "usr")
    assert.is_true(dewar.BuildError:is(err))
    assert.are.equal("usr", err.endpoint)
    for _, bad in ipairs { { id = -1 }, { id = true }, { id = "x" } } do
      assert.has_error(function() app:url_for("user", bad) end)
    end
    assert.matches("routes_spec.lua:%d+: url_for: unknown option '_anchr'",
      message(function() app:url_for("user", { id = 1, _anchr = "x" }) end))
    assert.matches("routes_spec.lua:%d+:", message(function()
      app:url_for("user", { id = 1, _scheme = "https", _external = false })
    end))
    assert.matches("routes_spec.lua:%d+: url_for takes", message(function() app:url_for(7) end))
    assert.matches("routes_spec.lua:%d+: url_for was used outside", message(function() dewar.url_for "user" end))
  end)

  it("asks url_defaults first, and build-error handlers last", function()
    app:url_defaults(function(_, values)
      if values.id == nil then values.id = 42 end
    end)
    app:url_build_error_handler(function(err, endpoint)
      if endpoint == "external" then return "http://elsewhere/" .. tostring(dewar.BuildError:is(err)) end
    end)
    assert.are.equal("/users/42", app:url_for "user")
    assert.are.equal("http://elsewhere/true", app:url_for "external")
    assert.matches("nothing", message(app.url_for, app, "nothing"))
  end)

  it("refuses values that no path may have", function()
    app:get("/<x>", { endpoint = "text" }, print)
    app:get("/p/<path:x>", { endpoint = "path" }, print)
    for _, endpoint in ipairs { "text", "path" } do
      for _, value in ipairs { "", ".", "..", "a\0b", true, {} } do
        local ok = pcall(app.url_for, app, endpoint, { x = value })
        assert.is_false(ok, endpoint .. " " .. tostring(value))
      end
    end
  end)

  it("is relative to the current blueprint with a dot in front", function()
    local bp = dewar.blueprint("shop", { url_prefix = "/shop" })
    bp:get("/cart", { endpoint = "cart" }, function() return dewar.url_for ".item" end)
    bp:get("/item", { endpoint = "item" }, function() return "x" end)
    app:register_blueprint(bp)
    local client <close> = app:test_client()
    assert.are.equal("/shop/item", client:get("/shop/cart").body)
    assert.are.equal("/shop/item", app:url_for "shop.item")
    assert.matches("needs a request", message(app.url_for, app, ".item"))
  end)
end)

describe("a blueprint", function()
  local app
  before_each(function() app = dewar.app() end)

  it("joins prefixes with one slash, and a prefix at registration replaces its own", function()
    local bp = dewar.blueprint("bp", { url_prefix = "/own/" })
    bp:get("/x", function(req) return req.url_rule end)
    bp:get("/", { endpoint = "root" }, function(req) return req.endpoint end)
    app:register_blueprint(bp)
    app:register_blueprint(bp, { url_prefix = "/other", name = "second" })
    local client <close> = app:test_client()
    assert.are.equal("/own/x", client:get("/own/x").body)
    assert.are.equal("/other/x", client:get("/other/x").body)
    assert.are.equal("bp.root", client:get("/own/").body)
    assert.are.equal("second.root", client:get("/other/").body)
  end)

  it("nests, with names joined by dots, defaults inherited", function()
    local parent = dewar.blueprint("parent", { url_prefix = "/p", url_defaults = { lang = "de" } })
    local child = dewar.blueprint("child", { url_prefix = "/c" })
    child:get("/x", { endpoint = "x" }, function(req, lang) return req.endpoint .. lang .. req.blueprint end)
    parent:register_blueprint(child)
    app:register_blueprint(parent)
    local client <close> = app:test_client()
    assert.are.equal("parent.child.xdeparent.child", client:get("/p/c/x").body)
  end)

  it("has a unique name without dots, is used once it is registered", function()
    assert.matches("routes_spec.lua:%d+: .*no dots", message(function() dewar.blueprint "a.b" end))
    assert.matches("routes_spec.lua:%d+: .*no dots", message(function() dewar.blueprint "" end))
    local bp = dewar.blueprint "bp"
    app:register_blueprint(bp)
    assert.matches("routes_spec.lua:%d+: .*is taken", message(function() app:register_blueprint(bp) end))
    assert.matches("routes_spec.lua:%d+: .*after it had been registered",
      message(function() bp:get("/", function() end) end))
    assert.matches("routes_spec.lua:%d+: .*takes a blueprint", message(function() app:register_blueprint {} end))
    assert.matches("did you mean 'url_prefix'", message(function() dewar.blueprint("x", { url_prefx = "/" }) end))
    assert.matches("on itself", message(function()
      local self = dewar.blueprint "self"
      self:register_blueprint(self)
    end))
  end)
end)

describe("a class-based view", function()
  it("has the fields that extend was given, and keeps its own name", function()
    local function shout(view)
      return function(...) return view(...):upper() end
    end
    local Greeting = dewar.MethodView:extend("Greeting", { decorators = { shout }, word = "hello", __name = "Other" })
    function Greeting:get() return self.word end
    local Parting = Greeting:extend("Parting", { word = "bye" })
    local app = dewar.app()
    app:add_url_rule("/greeting", Greeting:as_view())
    app:add_url_rule("/parting", Parting:as_view())
    local client <close> = app:test_client()
    assert.are.equal("HELLO", client:get("/greeting").body)
    assert.are.equal("BYE", client:get("/parting").body)
    assert.are.equal("view class Greeting", tostring(Greeting))
  end)

  it("makes an instance a request, or one for all with init_every_request = false", function()
    local made = 0
    local Fresh = dewar.View:extend "Fresh"
    function Fresh:init() made = made + 1 end
    function Fresh:dispatch_request() return tostring(self ~= nil) end
    local Single = Fresh:extend "Single"
    Single.init_every_request = false
    local app = dewar.app()
    app:add_url_rule("/fresh", Fresh:as_view())
    app:add_url_rule("/single", Single:as_view())
    assert.are.equal(1, made)
    local client <close> = app:test_client()
    for _ = 1, 2 do
      client:get "/fresh"
      client:get "/single"
    end
    assert.are.equal(3, made)
  end)

  it("applies its decorators in order, and takes methods from what it defines, inherited included", function()
    local function adding(text)
      return function(f) return function(...) return f(...) .. text end end
    end
    local Base = dewar.MethodView:extend "Base"
    function Base:get() return "get" end
    local Derived = Base:extend "Derived"
    Derived.decorators = { adding "1", adding "2" }
    function Derived:delete() return "delete" end
    local app = dewar.app()
    app:add_url_rule("/x", Derived:as_view())
    local client <close> = app:test_client()
    assert.are.equal("get12", client:get("/x").body)
    assert.are.equal("delete12", client:delete("/x").body)
    assert.are.equal("DELETE, GET, HEAD, OPTIONS", client:post("/x").headers.Allow)
  end)

  it("without methods or dispatch_request is an error", function()
    local Empty = dewar.MethodView:extend "Empty"
    assert.matches("routes_spec.lua:%d+: Empty defines no method", message(function() Empty:as_view() end))
    local app = dewar.app { config = { TESTING = true } }
    app:add_url_rule("/", dewar.View:extend("Bare"):as_view())
    local client <close> = app:test_client()
    assert.matches("Bare defines no dispatch_request", message(client.get, client, "/"))
  end)
end)

describe("dewar.app", function()
  it("refuses unknown options, naming the nearest", function()
    assert.matches("routes_spec.lua:%d+: .*did you mean 'name'", message(function() dewar.app { nam = "x" } end))
  end)

  it("is collected when nobody holds it, its views' upvalues notwithstanding", function()
    local weak = setmetatable({}, { __mode = "k" })
    do
      local app = dewar.app()
      weak[app] = true
      app:get("/", function() return app.name end)
      local client <close> = app:test_client()
      assert.are.equal("app", client:get("/").body)
    end
    for _ = 1, 20 do
      dewar.sleep(0.001)
      collectgarbage()
    end
    assert.is_nil(next(weak))
  end)
end)
