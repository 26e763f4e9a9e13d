-- What happens to arguments of the wrong kind: an error at the line of the call
-- that says what was wrong.

local dewar = require "dewar"

local function nothing() end

--- Each case: what the message must contain, and the call.
local function check(cases)
  for _, case in ipairs(cases) do
    local ok, err = pcall(case[2])
    assert.is_false(ok, "accepted, though it should say: " .. case[1])
    err = tostring(err)
    assert.matches("^spec/dewar/misuse_spec.lua:%d+: ", err)
    assert.is_truthy(err:find(case[1], 1, true), err .. "\nshould contain: " .. case[1])
  end
end

describe("misuse raises at the caller's line", function()
  local app
  before_each(function() app = dewar.app() end)

  it("of an app's options", function()
    check {
      { "the options must be a table", function() dewar.app(5) end },
      { "'name' is a string; got a table", function() local _ = dewar.app { name = {} } end },
      { "'config' is a table; got a number", function() local _ = dewar.app { config = 5 } end },
      { "'root_path' is a string; got a number", function() local _ = dewar.app { root_path = 5 } end },
      { "'template_folder' is a string; got a number",
        function() local _ = dewar.app { template_folder = 5 } end },
    }
  end)

  it("of a route", function()
    check {
      { "the rule must be a string", function() app:get() end },
      { "must start with '/'", function() app:get("x", nothing) end },
      { "the view must be a function; got nil", function() app:get "/x" end },
      { "give what its as_view() returns", function() app:get("/x", dewar.View:extend "V") end },
      { "methods are fixed", function() app:get("/x", { methods = { "GET" } }, nothing) end },
      { "'methods' is a list", function() app:route("/x", { methods = "GET" }, nothing) end },
      { "methods[1] is a number", function() app:route("/x", { methods = { 5 } }, nothing) end },
      { "'FOO' is no HTTP method", function() app:route("/x", { methods = { "FOO" } }, nothing) end },
      { "an endpoint is a name", function() app:get("/x", { endpoint = "a.b" }, nothing) end },
      { "'max_content_length' is a number",
        function() app:get("/x", { max_content_length = "5" }, nothing) end },
      { "'timeout' is a number of seconds above 0",
        function() app:get("/x", { timeout = 0 }, nothing) end },
    }
    for _, flag in ipairs {
      "strict_slashes", "merge_slashes", "alias", "build_only", "provide_automatic_options",
    } do
      check { { ("'%s' is a boolean; got a string"):format(flag),
        function() app:get("/x", { [flag] = "no" }, nothing) end } }
    end
    assert.are.same({}, app.url_map:rules())
  end)

  it("of what Dewar does for a call", function()
    check {
      { "open: a path has no NUL in it", function() dewar.fs.read "a\0b" end },
      { "the time must be 0 or more seconds", function() dewar.fs.read("/etc/passwd", { timeout = -1 }) end },
      { "the time must be 0 or more seconds",
        function() dewar.tcp.connect("127.0.0.1", 9, { timeout = -1 }) end },
      { "a name has 1 to", function() local _ = dewar.dns.lookup "" end },
    }
  end)

  it("of a converter", function()
    local converters = app.url_map.converters
    check {
      { "a converter is a table", function() converters.x = 5 end },
      { "needs to_lua", function() converters.x = {} end },
      { "to_url is a function", function() converters.x = { to_lua = nothing, to_url = 5 } end },
      { "weight is a whole number", function() converters.x = { to_lua = nothing, weight = "x" } end },
    }
  end)

  it("of a hook or a handler", function()
    check {
      { "must be a function; got nil", function() app:before_request() end },
      { "could run only once", function() app:teardown_request(coroutine.create(nothing)) end },
      { "is a status such as 404", function() app:errorhandler("404", nothing) end },
      { "200 is no error status", function() app:errorhandler(200, nothing) end },
      { "a Cancelled never reaches handlers", function() app:errorhandler(dewar.Cancelled, nothing) end },
      { "works inside a request only", function() app:after_this_request(nothing) end },
    }
  end)

  it("of a blueprint", function()
    local bp = dewar.blueprint "bp"
    check {
      { "no dots", function() local _ = dewar.blueprint "a.b" end },
      { "'subdomain' is a string", function() local _ = dewar.blueprint("a", { subdomain = 5 }) end },
      { "'url_defaults' is a table", function() local _ = dewar.blueprint("a", { url_defaults = 5 }) end },
      { "'root_path' is a string", function() local _ = dewar.blueprint("a", { root_path = 5 }) end },
      { "'template_folder' is a string", function() local _ = dewar.blueprint("a", { template_folder = 5 }) end },
      { "'subdomain' is a string", function() app:register_blueprint(bp, { subdomain = 5 }) end },
      { "'url_defaults' is a table", function() app:register_blueprint(bp, { url_defaults = 5 }) end },
    }
  end)

  it("of a class-based view", function()
    local View = dewar.View:extend "Own"
    check {
      { "extend takes the name", function() dewar.View:extend() end },
      { "extend takes the fields of the class in a table; got a number", function() dewar.View:extend("V", 5) end },
    }
    View.decorators = 5
    check { { "the decorators of Own are a list", function() View:as_view() end } }
    View.decorators = { nothing }
    check { { "decorator 1 of Own returned nil", function() View:as_view() end } }
    local view = dewar.View:extend("Bare"):as_view()
    check {
      { "a view of Bare takes a request, or a table with an app in it; got nil", function() view() end },
      { "a view of Bare takes a request, or a table with an app in it; got one without", function() view {} end },
      { "a view of Bare takes a request, or a table with an app in it; got a number", function() view(7) end },
    }
  end)

  it("of url_for", function()
    app:get("/item/<int:id>", { endpoint = "item" }, nothing)
    local function build(values)
      return function() app:url_for("item", values) end
    end
    check {
      { "takes an endpoint's name", function() app:url_for() end },
      { "the values are a table by name; got a number", build(5) },
      { "got a number as a name", build { 1 } },
      { "unknown option '_x'", build { id = 1, _x = 1 } },
      { "_scheme is a string", build { id = 1, _scheme = 5 } },
      { "_method is a string", build { id = 1, _method = {} } },
      { "_external is a boolean", build { id = 1, _external = "yes" } },
      { "is a list that has a table", build { id = 1, q = { {} } } },
    }
  end)

  it("of a response", function()
    local res = dewar.response "x"
    check {
      { "got a number", function() local _ = dewar.response(5) end },
      { "got 4 values", function() local _ = dewar.response("x", 200, {}, 5) end },
      { "got a nil", function() app:make_response(nil, 404) end },
      { "needs what a view may return", function() app:make_response() end },
      { "a status is a number or a string", function() app:make_response("x", {}, {}) end },
      { "headers must be a table", function() res.headers = 5 end },
      { "a mimetype is not empty", function() res.mimetype = "" end },
      { "samesite is one of Strict, Lax and None",
        function() res:set_cookie("a", "b", { samesite = "some" }) end },
      { "'secure' is a boolean", function() res:set_cookie("a", "b", { secure = 1 }) end },
      { "redirect's status is one of", function() local _ = dewar.redirect("/", 306) end },
      { "redirect takes a URL", function() local _ = dewar.redirect() end },
      { "dewar.stream takes a function", function() local _ = dewar.stream {} end },
    }
  end)

  it("of a required field", function()
    check {
      { "takes a field's name", function() dewar.required({}, nil) end },
      { "what converts must be a function; got a number", function() dewar.required({ x = 1 }, "x", 5) end },
    }
  end)
end)
