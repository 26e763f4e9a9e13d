-- Settings: lua/dewar/config.lua.

local dewar = require "dewar"
local process = require "spec.support.process"
local refuses = require("spec.support.caller").refuses

describe("app.config", function()
  it("has defaults and takes keys of one's own", function()
    local app = dewar.app { config = { OWN = { 1 }, DEBUG = true } }
    assert.are.equal(16 * 1024 * 1024, app.config.MAX_CONTENT_LENGTH)
    assert.are.same({ 1 }, app.config.OWN)
    assert.is_true(app.config.DEBUG)
    assert.is_nil(app.config.NOTHING)
    local seen = {}
    for key, value in pairs(app.config) do seen[key] = value end
    assert.are.equal("/", seen.APPLICATION_ROOT)
    assert.are.same({ 1 }, seen.OWN)
  end)

  it("belongs to one app", function()
    local one, two = dewar.app(), dewar.app()
    one.config.HEADER_TIMEOUT = 3
    assert.are.equal(10, two.config.HEADER_TIMEOUT)
  end)

  it("takes no limit for nil where there may be none", function()
    local config = dewar.app().config
    for _, key in ipairs { "MAX_CONTENT_LENGTH", "REQUEST_TIMEOUT", "SERVER_NAME", "SECRET_KEY", "TRUSTED_HOSTS" } do
      config[key] = nil
      assert.is_nil(config[key])
    end
  end)

  it("reports a value of the wrong type where it is set, with its key and what it should be", function()
    local config = dewar.app().config
    local cases = {
      { "DEBUG", 1, "config.DEBUG is a boolean; got a number" },
      { "TESTING", "yes", "config.TESTING is a boolean; got a string" },
      { "PROPAGATE_EXCEPTIONS", 1, "is a boolean" },
      { "ACCESS_LOG", "off", "is a boolean" },
      { "CSRF_ENABLED", 0, "is a boolean" },
      { "PROVIDE_AUTOMATIC_OPTIONS", 0, "is a boolean" },
      { "SECRET_KEY", 7, "config.SECRET_KEY is a string; got a number" },
      { "SERVER_NAME", {}, "is a string; got a table" },
      { "HEADER_TIMEOUT", "10", "config.HEADER_TIMEOUT is a number of seconds" },
      { "HEADER_TIMEOUT", -1, "is a number of seconds, or nil for none; got %-1" },
      { "KEEP_ALIVE_TIMEOUT", true, "is a number of seconds" },
      { "MAX_HEADERS", 1.5, "config.MAX_HEADERS is a positive whole number; got 1.5" },
      { "MAX_HEADERS", 0, "is a positive whole number" },
      { "MAX_CONTENT_LENGTH", -1, "is a whole number, or nil for none" },
      { "MAX_CONNECTIONS", "1", "is a whole number, or nil for none" },
      { "MAX_COOKIE_SIZE", 1.5, "is a number of bytes; 0 or nil for none; got 1.5" },
      { "CANCEL_ON_DISCONNECT", 1, "is true or false; got 1" },
      { "JSON_EMPTY_TABLE", "list", 'is "object" or "array"; got list' },
      { "PREFERRED_URL_SCHEME", "https://", 'is a scheme such as "https"; got "https://"' },
      { "PREFERRED_URL_SCHEME", 7, "is a scheme .* got 7" },
      { "APPLICATION_ROOT", "app", 'a path that starts with "/", percent%-encoded; got "app"' },
      { "APPLICATION_ROOT", "//evil.example", "a path" },
      { "APPLICATION_ROOT", "/a?b", "a path" },
      { "APPLICATION_ROOT", nil, "a path .* got nil" },
    }
    for _, case in ipairs(cases) do
      local before = config[case[1]]
      refuses(function() config[case[1]] = case[2] end, case[3])
      assert.are.same(before, config[case[1]])
    end
    refuses(function() config.lower = 1 end, "a config key is UPPERCASE; got 'lower'")
    refuses(function() config[1] = 1 end, "a config key is UPPERCASE; got '1'")
    refuses(function()
      local app = dewar.app { config = { DEBUG = 1 } }
      return app
    end, "config.DEBUG is a boolean")
  end)

  it("takes a table of settings", function()
    local config = dewar.app().config
    config:from_mapping { DEBUG = true, OWN = 1 }
    assert.is_true(config.DEBUG)
    assert.are.equal(1, config.OWN)
    refuses(function() config:from_mapping { DEBUG = 1 } end, "config.DEBUG is a boolean")
    refuses(function() config:from_mapping { debug = true } end, "UPPERCASE; got 'debug'")
    refuses(function() config:from_mapping "x" end, "from_mapping takes a table; got a string")
  end)

  it("gives the settings of a namespace as a table", function()
    local config = dewar.app { config = { MAIL_HOST = "h", MAIL_PORT = 25, MAILER = 1 } }.config
    assert.are.same({ host = "h", port = 25 }, config:get_namespace "MAIL_")
    assert.are.same({ HOST = "h", PORT = 25 }, config:get_namespace("MAIL_", { lowercase = false }))
    assert.are.same({ mail_host = "h", mail_port = 25 }, config:get_namespace("MAIL_", { trim_namespace = false }))
    assert.are.same({ MAIL_HOST = "h", MAIL_PORT = 25 },
      config:get_namespace("MAIL_", { trim_namespace = false, lowercase = false }))
    assert.are.same({}, config:get_namespace "NOTHING_")
    refuses(function() config:get_namespace() end, "get_namespace takes a prefix; got a nil")
    refuses(function() config:get_namespace("A_", { lower = true }) end, "unknown option 'lower'")
    refuses(function() config:get_namespace("A_", { lowercase = 1 }) end, "'lowercase' is a boolean")
  end)
end)

describe("app.config:from_file", function()
  local folder
  before_each(function() folder = process.folder() end)
  after_each(function() os.execute("rm -r " .. folder) end)

  local function write(name, text) return process.write(folder .. "/" .. name, text) end

  it("reads JSON, whose nulls are nil", function()
    local config = dewar.app { config = { A = 0, N = 0 } }.config
    assert.is_true(config:from_file(write("c.json", '{"A":1,"lower":2,"N":null,"T":{"x":[1,2]},"DEBUG":true}')))
    assert.are.equal(1, config.A)
    assert.is_nil(config.lower)
    assert.is_nil(config.N)
    assert.are.equal(2, config.T.x[2])
    assert.is_true(config.DEBUG)
  end)

  it("reads Lua, globals or a table", function()
    local config = dewar.app().config
    config:from_file(write("c.lua", "local n = 1\nB = n + 1\nc = 3\nSTRING_LIST = { string.rep('x', 2) }"))
    config:from_file(write("d.lua", "return { D = 4, d = 5 }"))
    assert.are.same({ 2, 4, "xx" }, { config.B, config.D, config.STRING_LIST[1] })
    assert.is_nil(config.c)
    assert.is_nil(rawget(_G, "B"))
  end)

  it("looks for a relative path where the app is", function()
    write("app.lua", [[
      local app = require("dewar").app()
      app.config:from_file "settings.json"
      return app]])
    write("settings.json", '{"FOUND":"beside the app"}')
    local app = dofile(folder .. "/app.lua")
    assert.are.equal("beside the app", app.config.FOUND)
    assert.are.equal(folder, app.root_path)
  end)

  it("passes by a file that isn't there, where that is wanted", function()
    local config = dewar.app().config
    assert.is_false(config:from_file(folder .. "/none.json", { silent = true }))
    refuses(function() config:from_file(folder .. "/none.json") end, "none.json: No such file")
    local bad = write("bad.json", "{")
    refuses(function() config:from_file(bad, { silent = true }) end, "bad.json: .*JSON")
  end)

  it("tells what is wrong with a file, and with a setting in it", function()
    local config = dewar.app().config
    local number, syntax = write("n.json", "7"), write("s.lua", "A = = 1")
    local wrong, fails = write("w.json", '{"DEBUG":1}'), write("f.lua", "\nerror 'own'")
    refuses(function() config:from_file(number) end, "n.json: the file must hold an object")
    refuses(function() config:from_file(write("l.json", "[1]")) end, "l.json: the file must hold an object")
    refuses(function() config:from_file(write("b.json", "{bad")) end, "b.json: invalid JSON at line 1")
    refuses(function() config:from_file(write("r.lua", "return 5")) end, "r.lua: the file returns a number")
    refuses(function() config:from_file(wrong) end, "w.json: config.DEBUG is a boolean; got a number")
    refuses(function() config:from_file "x.ini" end, "x.ini: a config file is a .json or a .lua file")
    refuses(function() config:from_file(7) end, "from_file takes a path; got a number")
    refuses(function() config:from_file(wrong, { quiet = true }) end, "unknown option 'quiet'")
    refuses(function() config:from_file(folder .. "/dir.lua/x.lua") end, "No such file")
    refuses(function() config:from_file(syntax) end, "s.lua:1: unexpected symbol")
    refuses(function() config:from_file(fails) end, "f.lua:2: own")
  end)
end)

describe("app.config:from_prefixed_env", function()
  local folder
  before_each(function() folder = process.folder() end)
  after_each(function() os.execute("rm -r " .. folder) end)

  --- The lines that a script prints with these variables.
  local function lines_of(variables, script)
    local path = process.write(folder .. "/script.lua", 'local dewar = require "dewar"\n' .. script)
    local pipe = assert(io.popen("env " .. variables .. " lua5.4 " .. path .. " 2>&1"))
    local lines = {}
    for line in pipe:lines() do lines[#lines + 1] = line end
    pipe:close()
    return lines
  end

  it("takes variables that start with the prefix, as JSON or as text", function()
    local lines = lines_of("EYES_DEBUG=true EYES_BODY_TIMEOUT=2.5 EYES_NAME='no json' EYES_LIST='[1,2]' EYES_lower=1 "
      .. "EYES_MAX_CONTENT_LENGTH=null EYESX=1 EYES_QUOTED='\"7\"' DEWAR_OWN=7 EYES_=1", [[
      local c = dewar.app().config
      c:from_prefixed_env "EYES"
      print(c.DEBUG, c.BODY_TIMEOUT, c.NAME, c.LIST[2], c.lower, c.MAX_CONTENT_LENGTH, c.X, c.QUOTED .. "!")
      c:from_prefixed_env()
      print(c.OWN)]])
    assert.are.same({ "true\t2.5\tno json\t2\tnil\tnil\tnil\t7!", "7" }, lines)
  end)

  it("takes a number for text where the setting is a string", function()
    local lines = lines_of("DEWAR_SECRET_KEY=123456 DEWAR_SERVER_NAME='\"a.example\"'", [[
      local c = dewar.app().config
      c:from_prefixed_env()
      print(math.type(c.SECRET_KEY), c.SECRET_KEY, c.SERVER_NAME)]])
    assert.are.same({ "nil\t123456\ta.example" }, lines)
  end)

  it("takes 1, yes and their like where the setting is true or false", function()
    local lines = lines_of("DEWAR_DEBUG=1 DEWAR_TESTING=Yes DEWAR_COMPRESS=0 DEWAR_ACCESS_LOG=off DEWAR_MINE=1", [[
      local c = dewar.app().config
      c:from_prefixed_env()
      print(c.DEBUG, c.TESTING, c.COMPRESS, c.ACCESS_LOG, c.MINE)]])
    assert.are.same({ "true\ttrue\tfalse\tfalse\t1" }, lines)
  end)

  it("takes a field of a table after two underscores, in any case", function()
    local lines = lines_of("E_MAIL__PORT=25 E_DEEP__A__b=x E_MAIL__user=ada E_OVER__X=1", [[
      local mail = { HOST = "here", PORT = 1 }
      local app, other = dewar.app { config = { MAIL = mail, OVER = 7 } }, dewar.app { config = { MAIL = mail } }
      app.config:from_prefixed_env "E"
      local c = app.config
      print(c.MAIL.HOST, c.MAIL.PORT, c.MAIL.user, c.DEEP.A.b, c.OVER.X, other.config.MAIL.PORT)]])
    assert.are.same({ "here\t25\tada\tx\t1\t1" }, lines)
  end)

  it("names the variable that has a wrong value", function()
    local lines = lines_of("BAD_TESTING=2", [[
      local app = dewar.app()
      print(select(2, pcall(function() app.config:from_prefixed_env "BAD" end)))
      print(select(2, pcall(function() app.config:from_prefixed_env(5) end)))
      print(select(2, pcall(function() app.config:from_prefixed_env "" end)))]])
    assert.matches("script.lua:3: BAD_TESTING in the environment: config.TESTING is a boolean; got a number", lines[1])
    assert.matches("script.lua:4: from_prefixed_env takes a prefix .* got a number", lines[2])
    assert.matches("script.lua:5: .* got ''", lines[3])
  end)
end)

describe("settings of an app", function()
  it("can turn automatic OPTIONS off, but for routes that want it", function()
    local app = dewar.app { config = { PROVIDE_AUTOMATIC_OPTIONS = false } }
    app:get("/", function() return "ok" end)
    app:get("/on", { provide_automatic_options = true }, function() return "ok" end)
    local client <close> = app:test_client()
    assert.are.equal(405, client:request("OPTIONS", "/").status)
    assert.are.equal(200, client:request("OPTIONS", "/on").status)
  end)

  it("say how large a cookie may be before there is a warning", function()
    local warnings = 0
    dewar.log.sink = function(_, text) if text:find "browsers drop" then warnings = warnings + 1 end end
    for size, max in pairs { [5000] = 4093, [5001] = 6000, [5002] = 0, [101] = 100 } do
      local app = dewar.app { config = { MAX_COOKIE_SIZE = max } }
      app:get("/", function()
        local res = dewar.response "ok"
        res:set_cookie("c", ("x"):rep(size))
        return res
      end)
      local client <close> = app:test_client()
      client:get "/"
    end
    dewar.log.sink = nil
    assert.are.equal(2, warnings)
  end)
end)
