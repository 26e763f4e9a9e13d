-- The names that apps are written against. What each of them does is told in the
-- specs of its piece; here each is there, so that none goes unnoticed.

local dewar = require "dewar"

local function words(text)
  local list = {}
  for word in text:gmatch "%S+" do list[#list + 1] = word end
  return list
end

local function callable(value)
  local mt = debug.getmetatable(value)
  return type(value) == "function" or type(mt) == "table" and mt.__call ~= nil
end

--- One spec for each name: what `of` gives can be called by it.
local function calls(of, text)
  for _, name in ipairs(words(text)) do
    it(name, function() assert.is_true(callable(of()[name])) end)
  end
end

--- The same for what is no function.
local function has(of, text)
  for _, name in ipairs(words(text)) do
    it(name, function() assert.is_not_nil(of()[name]) end)
  end
end

--- Runs f(req, ...) as a view; its errors are the spec's.
local function in_view(f, rule, send)
  local app = dewar.app { config = { TESTING = true, SECRET_KEY = "a key for specs" } }
  app:route(rule or "/", { methods = { "GET", "POST" } }, function(...) return f(...) or "done" end)
  local client <close> = app:test_client()
  if send then return send(client) end
  return client:get "/"
end

describe("the module has", function()
  local function of() return dewar end

  calls(of, [[
    abort after_this_request app array async await blueprint check_password_hash csp_nonce csrf_field csrf_token event
    flash gather generate_password_hash get_flashed_messages guess_type is_async is_cancelled jsonify lock markup now
    queue race redirect render_template render_template_string required response run scope secure_filename semaphore
    send_file send_from_directory shield signal sleep spawn sse stream stream_template stream_template_string tasks
    timeout url_for work yield
  ]])

  has(of, [[
    App BuildError CSRFError Cancelled Error HTTPError MethodView TimeoutError View current_app dns errors fs g json log
    middleware null process request session signals tcp version
  ]])

  calls(function() return dewar.json end, "encode decode")
  calls(function() return dewar.log end, "debug info warn error")
  calls(function() return dewar.middleware end, [[
    cors csrf method_override proxy_fix rate_limit request_id security_headers trusted_hosts
  ]])

  has(function() return dewar.signals end, [[
    before_render_template got_request_exception message_flashed request_finished request_started request_tearing_down
    template_rendered
  ]])

  calls(function() return dewar.signal "of the api" end, "connect connected_to disconnect receivers send")

  it("a class for each registered status of an error", function()
    for _, status in ipairs { 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417,
      421, 422, 423, 424, 425, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 506, 507, 508, 511 } do
      local err = dewar.errors[status] "why"
      assert.are.equal(status, err.status)
      assert.is_true(dewar.HTTPError:is(err))
      assert.is_true(dewar.Error:is(err))
    end
  end)

  it("a place for where the log goes", function()
    local before, seen = dewar.log.sink, {}
    dewar.log.sink = function(level, text, fields) seen = { level, text, fields.a } end
    dewar.log.error("oh", { a = 1 })
    dewar.log.sink = before
    assert.are.same({ "error", "oh", 1 }, seen)
  end)

  it("what stands for the running request's", function()
    local request, g, session, current_app = dewar.request, dewar.g, dewar.session, dewar.current_app
    in_view(function(req)
      g.seen, session.seen = 1, 2
      assert.are.same({ "/", 1, 2, req.app.name }, { request.path, req.g.seen, req.session.seen, current_app.name })
    end)
  end)
end)

describe("an app has", function()
  local function of() return dewar.app() end

  calls(of, [[
    add_background_task add_url_rule after_request after_serving after_this_request before_request before_serving
    command context_processor delete ensure_sync errorhandler every get make_response patch post put register_blueprint
    render_template render_template_string route run shell_context_processor static stop teardown_request
    template_filter template_global test_client url_build_error_handler url_defaults url_for url_value_preprocessor use
    websocket while_serving
  ]])

  has(of, "blueprints config name root_path session_interface template_folder url_map")
  has(function() return dewar.app().url_map end, "converters rules")
  calls(function() return dewar.app().session_interface end, "open save")
  calls(function() return dewar.app().config end, "from_file from_mapping from_prefixed_env get_namespace")

  it("its options", function()
    local app = dewar.app { name = "shop", config = { A = 1 }, root_path = "spec", static_folder = "fixtures",
      static_url_path = "/files", template_folder = "pages" }
    assert.are.same({ "shop", 1, "spec", "fixtures", "/files", "pages" }, { app.name, app.config.A, app.root_path,
      app.static_folder, app.static_url_path, app.template_folder })
  end)

  it("routes with all of their options", function()
    local app = dewar.app { config = { SERVER_NAME = "example.com" } }
    app:route("/a", {
      methods = { "GET" }, endpoint = "a", defaults = { page = 1 }, strict_slashes = false, merge_slashes = false,
      host = "www.example.com", alias = false, provide_automatic_options = false, max_content_length = 1, timeout = 1,
    }, function() return "" end)
    app:get("/b", { subdomain = "api" }, function() return "" end)
    app:add_url_rule("/c/<x>", { endpoint = "c", build_only = true })
    app:add_url_rule("/d/<x>", { redirect_to = "/e/<x>" })
    app:add_url_rule("/f/<x>", { redirect_to = function(_, values) return "/e/" .. values.x end })
    app:websocket("/g", { endpoint = "g", timeout = 1 }, function() end)
    assert.are.equal("/c/7", app:url_for("c", { x = 7 }))
  end)

  it("converters with all of their arguments, and one's own", function()
    local app = dewar.app()
    app.url_map.converters.hex = {
      weight = 60, slashes = false,
      to_lua = function(text) return tonumber(text, 16) end,
      to_url = function(value) return ("%x"):format(value) end,
    }
    for i, rule in ipairs(words [[
      <string(minlength=1,maxlength=3):a> <string(length=2):a> <int(signed=true,min=-3,max=9):a> <int(fixed_digits=3):a>
      <float(signed=true,min=-1,max=2):a> <path:a> <uuid:a> <any(a,b,"c"):a> <hex:a>
    ]]) do
      app:get("/" .. i .. "/" .. rule, { endpoint = "rule-" .. i }, function() return "" end)
    end
    assert.are.equal("/9/ff", app:url_for("rule-9", { a = 255 }))
  end)

  it("the settings that are there from the start", function()
    local defaults = {
      HEADER_TIMEOUT = 10, BODY_TIMEOUT = 60, KEEP_ALIVE_TIMEOUT = 75, WRITE_TIMEOUT = 60, SHUTDOWN_TIMEOUT = 10,
      MAX_CONTENT_LENGTH = 16 * 1024 * 1024, MAX_TARGET_SIZE = 8 * 1024, MAX_HEADER_SIZE = 16 * 1024,
      MAX_HEADERS = 100, MAX_TRAILER_SIZE = 4 * 1024, CANCEL_ON_DISCONNECT = true, JSON_EMPTY_TABLE = "object",
    }
    local config, found = dewar.app().config, {}
    for name in pairs(defaults) do found[name] = config[name] end
    assert.are.same(defaults, found)
    for _, name in ipairs(words "REQUEST_TIMEOUT MAX_CONNECTIONS CPU_LIMIT MEMORY_LIMIT") do
      assert.is_nil(config[name])
    end
  end)
end)

describe("a blueprint has", function()
  calls(function() return dewar.blueprint "b" end, [[
    add_url_rule after_app_request after_request app_context_processor app_errorhandler before_app_request
    before_request command context_processor delete errorhandler get patch post put register_blueprint route static
    teardown_app_request teardown_request url_defaults url_value_preprocessor websocket
  ]])

  it("its options, and those of being registered", function()
    local api = dewar.blueprint("api", { url_prefix = "/api", static_folder = "s", template_folder = "t",
      url_defaults = { lang = "en" } })
    api:get("/ping", { endpoint = "ping" }, function() return "" end)
    local app = dewar.app { config = { SERVER_NAME = "example.com" } }
    app:register_blueprint(api, { url_prefix = "/v2", name = "other", url_defaults = {} })
    app:register_blueprint(dewar.blueprint("far", { subdomain = "far" }), { subdomain = "near" })
    assert.are.equal("/v2/ping", app:url_for "other.ping")
  end)
end)

describe("a class has", function()
  calls(function() return dewar.View:extend "V" end, "as_view dispatch_request extend init")
  calls(function() return dewar.MethodView:extend "M" end, "as_view dispatch_request extend init")
  calls(function() return dewar.Error:extend "E" end, "extend is")

  it("its fields, of views", function()
    local Users = dewar.MethodView:extend("Users", { methods = { "GET" }, init_every_request = false,
      provide_automatic_options = false, decorators = { function(view) return view end } })
    function Users:get() return "" end
    assert.is_true(callable(Users:as_view()))
  end)

  it("its fields, of errors", function()
    local PaymentError = dewar.Error:extend("PaymentError", { status = 402 })
    local err = PaymentError("no funds", { account = 7 })
    assert.are.same({ "no funds", 402, 7, true }, { err.message, err.status, err.account, PaymentError:is(err) })
  end)
end)

describe("a request has", function()
  it("its fields", function()
    local seen
    in_view(function(req)
      seen = {}
      for _, name in ipairs(words [[
        accept_mimetypes app args authorization base_url content_length content_type cookies endpoint files form g
        headers host id max_content_length method path query_string raw_path remote_addr scheme script_root session
        url url_rule user_agent view_args
      ]]) do
        seen[name] = req[name] ~= nil
      end
      assert.is_nil(req.blueprint)
      req.max_content_length = 10
    end, "/<x>", function(client)
      client:post("/y?q=1", { form = { a = 1 }, auth = { "u", "p" }, headers = { user_agent = "spec" } })
    end)
    for name, is_there in pairs(seen) do assert.is_true(is_there, name) end
  end)

  for _, name in ipairs(words "json body text chunks") do
    it(name, function() in_view(function(req) assert.is_function(req[name]) end) end)
  end

  it("fields that give one value, a list, or all", function()
    in_view(function(req)
      local all = {}
      for key, value in pairs(req.args) do all[#all + 1] = key .. value end
      assert.are.same({ "1", { "1", "2" }, { "a1", "a2" } }, { req.args.a, req.args "a", all })
    end, "/", function(client) client:get "/?a=1&a=2" end)
  end)

  it("files", function()
    in_view(function(req)
      local photo = req.files.photo
      assert.are.same({ "a.png", "image/png", 6 }, { photo.filename, photo.content_type, photo.size })
      for _, name in ipairs(words "read save chunks") do assert.is_function(photo[name]) end
    end, "/", function(client)
      client:post("/", { files = { photo = { filename = "a.png", content = "pixels", content_type = "image/png" } } })
    end)
  end)

  it("a traceback, in an error handler", function()
    local app = dewar.app()
    local kind
    app:get("/", function() error "oh" end)
    app:errorhandler(500, function(req) kind = type(req.traceback) return "" end)
    local before = dewar.log.sink
    dewar.log.sink = function() end
    local client <close> = app:test_client()
    client:get "/"
    dewar.log.sink = before
    assert.are.equal("string", kind)
  end)
end)

describe("a response has", function()
  local function of() return dewar.response("body", 201, { a = "1" }) end
  has(of, "status headers body mimetype cache_control vary")
  calls(of, "set_cookie delete_cookie make_conditional")

  it("options for its cookies", function()
    local res = of()
    res:set_cookie("a", "b", { max_age = 1, expires = 0, path = "/", domain = "example.com", secure = true,
      httponly = true, samesite = "Lax", partitioned = true })
    res:delete_cookie("a", { path = "/" })
    assert.are.equal(2, #res.headers "Set-Cookie")
  end)
end)

describe("for tasks there are", function()
  local ended
  setup(function()
    ended = dewar.spawn(function() end)
    dewar.await(ended)
  end)

  calls(function() return ended end, "cancel")
  calls(function() return dewar.event() end, "clear is_set set wait")
  calls(function() return dewar.queue(1) end, "close get items put")
  calls(function() return dewar.semaphore(1) end, "acquire release with")
  calls(function() return dewar.lock() end, "acquire release with")

  it("statuses", function()
    local waiting = dewar.spawn(dewar.sleep, 60)
    local before = waiting.status
    dewar.yield()
    assert.are.same({ "pending", "running", "done" }, { before, waiting.status, ended.status })
    waiting:cancel()
    pcall(dewar.await, waiting)
    assert.are.equal("cancelled", waiting.status)
    local failing = dewar.spawn(error, "oh")
    pcall(dewar.await, failing)
    assert.are.equal("failed", failing.status)
  end)
end)

describe("in specs there are", function()
  local app, client
  before_each(function()
    app = dewar.app()
    app:get("/", function() return { a = 1 } end)
    client = app:test_client { cookies = true, lifespan = false }
  end)
  after_each(function() client:close() end)

  calls(function() return client end, [[
    close cookie delete get head options patch post put request send_raw connect session websocket
  ]])
  has(function() return client end, "app cookies")
  has(function() return client:get "/" end, "body headers history reason status text")
  calls(function() return client:get "/" end, "json")

  it("pieces of streams", function()
    local part <close> = client:get("/", { stream = true })
    assert.is_function(part.chunks)
    assert.is_function(part.close)
  end)

  it("websockets", function()
    if not dewar.room then return pending "this build has no WebSocket" end
    local seen = {}
    app:websocket("/ws", function(ws)
      for _, name in ipairs(words "accept close messages ping receive send send_binary") do
        seen[name] = type(ws[name])
      end
      ws:accept { subprotocol = ws.subprotocols[1], headers = {} }
      for message in ws:messages() do ws:send(message) end
    end)
    local ws <close> = client:websocket("/ws", { subprotocols = { "p" } })
    ws:send "hi"
    assert.are.equal("hi", (ws:receive()))
    for name, kind in pairs(seen) do assert.are.equal("function", kind, name) end
    for _, name in ipairs(words "close receive send send_binary") do assert.is_function(ws[name]) end
  end)
end)
