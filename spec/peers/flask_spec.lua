-- The real Flask as a peer: both get the same, and what they make of it is the
-- same. Where Dewar means to be better, it says so here.
local dewar = require "dewar"
local Peer = require "spec.support.peer"
local signing = require "dewar.signing"

local SECRET = "dev"
local SALT = "cookie-session"

--- A Python that has Flask: Debian's, or the first one on the path.
local function find_python()
  for _, python in ipairs { os.getenv "DEWAR_PYTHON" or "/usr/bin/python3", "python3" } do
    if os.execute(python .. " -c 'import flask' 2>/dev/null") then return python end
  end
end

local python = find_python()

if not python then
  describe("Flask as a peer", function()
    it("is asked", function() pending "no python3 here can import flask (python3-flask)" end)
  end)
  return
end

-- --- Values in both languages ---------------------------------------------------

local function d(kind, value) return { ["$"] = kind, v = value } end

--- What Lua sees of a described value.
local function in_lua(value)
  if type(value) ~= "table" then return value end
  local kind, inner = value["$"], value.v
  if kind == "markup" then return dewar.markup(inner) end
  if kind == "bytes" then return (inner:gsub("%x%x", function(h) return string.char(tonumber(h, 16)) end)) end
  if kind == "uuid" or kind == "datetime" then return inner end
  local made = {}
  if kind == "dict" then
    for _, pair in ipairs(inner) do made[pair[1]] = in_lua(pair[2]) end
    return made
  end
  for i, item in ipairs(kind == "tuple" and inner or value) do made[i] = in_lua(item) end
  return made
end

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

--- What Flask should see of a Lua value.
local function described(value)
  if type(value) == "string" and not utf8.len(value) then return d("bytes", hex(value)) end
  if type(value) ~= "table" then return value end
  local made = dewar.array()
  if dewar.json.is_array(value) or #value > 0 then
    for i, item in ipairs(value) do made[i] = described(item) end
    return made
  end
  local keys = {}
  for key in pairs(value) do keys[#keys + 1] = key end
  table.sort(keys)
  for i, key in ipairs(keys) do made[i] = { key, described(value[key]) } end
  return d("dict", made)
end

local TEXTS = {
  "", "a", "text", "é", "日本", "\u{1F600}", "\0\1\31\127", '"quoted"', "back\\slash", "</script>", " t",
  " di", "line\nbreak\t", "\u{2028}", "a__", "0123456789abcdef0123456789abcdef",
}
local KEYS = { "a", "b", " t", " b", " di", " u", " d", " m", "x__", " t__", "é", "", "key", "_", "0", "1" }

--- Random values: only what has the same form in both.
local Random = {}
Random.__index = Random

function Random:pick(list) return list[math.random(#list)] end

function Random:bytes(n)
  local bytes = {}
  for i = 1, n do bytes[i] = string.char(math.random(0, 255)) end
  return table.concat(bytes)
end

local SCALARS = {
  function() return dewar.null end,
  function() return math.random(2) == 1 end,
  function() return math.random(-1000, 1000) end,
  function(self) return self:pick { math.maxinteger, math.mininteger, 2 ^ 53 | 0, -1, 0 } end,
  function() return (math.random() - 0.5) * 10 ^ math.random(-20, 20) end,
  function(self) return self:pick { 0.0, -0.0, 1e15, 1e16, 1e-4, 1e-5, 5e-324, 1.7976931348623157e308, 0.1 } end,
  function(self) return self:pick(TEXTS) end,
  function(self) return self:pick(TEXTS) .. self:pick(TEXTS) end,
}

local TAGGED = {
  function(self) return d("bytes", hex(self:bytes(math.random(0, 20)))) end,
  function(self) return d("bytes", hex(self:pick(TEXTS))) end,
  function(self) return d("markup", self:pick(TEXTS)) end,
  function(self)
    return d("uuid", ("%s-%s-%s-%s-%s"):format(hex(self:bytes(4)), hex(self:bytes(2)),
      hex(self:bytes(2)), hex(self:bytes(2)), hex(self:bytes(6))))
  end,
  function() return d("datetime", math.random(0, 4102444800)) end,
}

--- A described value; `tagged`: also what Lua lacks.
function Random:value(depth, tagged)
  local kind = math.random(depth > 0 and 10 or 6)
  if kind <= 4 then return self:pick(SCALARS)(self) end
  if kind <= 6 then return self:pick(tagged and TAGGED or SCALARS)(self) end
  local items = dewar.array()
  if kind <= 8 then
    for i = 1, math.random(0, 4) do items[i] = self:value(depth - 1, tagged) end
    return tagged and math.random(2) == 1 and d("tuple", items) or items
  end
  return self:dict(depth - 1, tagged)
end

function Random:dict(depth, tagged)
  local taken, items = {}, dewar.array()
  for _ = 1, math.random(0, 3) do
    local key = self:pick(KEYS)
    if not taken[key] then
      taken[key] = true
      items[#items + 1] = { key, self:value(depth, tagged) }
    end
  end
  table.sort(items, function(a, b) return a[1] < b[1] end)
  return d("dict", items)
end

local SEEDS = tonumber(os.getenv "DEWAR_SEED") and { tonumber(os.getenv "DEWAR_SEED") } or nil

--- Calls f with a source of values for each of many seeds; a failure names its own.
local function each_seed(count, f)
  for i = 1, SEEDS and 1 or count do
    local seed = SEEDS and SEEDS[1] or i
    math.randomseed(seed)
    local ok, err = pcall(f, setmetatable({}, Random))
    if not ok then
      if type(err) == "table" and err.message then err = err.message end
      error(("with DEWAR_SEED=%d: %s"):format(seed, tostring(err)), 0)
    end
  end
end

-- --- Both of them ---------------------------------------------------------------

describe("Flask and Dewar", function()
  local peer, app, client

  setup(function() peer = Peer.start(python .. " spec/peers/flask_peer.py") end)
  teardown(function() peer:close() end)
  before_each(function() peer:ask { ["do"] = "time" } end)
  after_each(function() if client then client:close() end client = nil end)

  --- Both with these settings and routes; a route's view in Lua says what it was
  --- called with, unless it is given.
  local function both(config, routes)
    config.SECRET_KEY = config.SECRET_KEY or SECRET
    app = dewar.app { config = config }
    app.config.TESTING = true
    for _, route in ipairs(routes) do
      local opts = {}
      for key, value in pairs(route.options or {}) do opts[key] = value end
      app:route(route.rule, opts, route.view or function(req)
        return { endpoint = req.endpoint, values = req.view_args }
      end)
      route.view = nil
    end
    client = app:test_client { cookies = false }
    peer:ask { ["do"] = "app", config = config, routes = routes }
  end

  --- What Flask answers; with the results of the steps.
  local function flask(request)
    request["do"] = "request"
    local answer = peer:ask(request)
    answer.lists = {}
    for _, pair in ipairs(answer.headers) do
      local name = pair[1]:lower()
      answer.lists[name] = answer.lists[name] or {}
      table.insert(answer.lists[name], pair[2])
    end
    answer.results = request.steps and dewar.json.decode(answer.body)
    return answer
  end

  --- The value of the cookie that a Set-Cookie line sets.
  local function cookie_in(line)
    return line and assert(line:match "^%w+=([^;]*)")
  end

  describe("share a session", function()
    local view

    before_each(function()
      both({}, {
        { rule = "/steps", options = { endpoint = "steps" }, view = function(req) view(req) return "" end },
      })
    end)

    --- A request to Flask with this cookie: what the steps give, the new cookie.
    local function in_flask(cookie, ...)
      local answer = flask {
        path = "/steps", steps = { ... }, headers = { cookie and { "Cookie", "session=" .. cookie } },
      }
      return answer.results, cookie_in((answer.lists["set-cookie"] or {})[1]), answer
    end

    --- The same to Dewar, whose view is f.
    local function in_dewar(cookie, f)
      view = f
      local res = client:get("/steps", { headers = { Cookie = cookie and "session=" .. cookie } })
      return cookie_in(res.headers.set_cookie), res
    end

    local function timestamp(cookie)
      return select(2, assert(signing.unsign({ SECRET }, SALT, cookie)))
    end

    local function set(values)
      local steps = {}
      for _, pair in ipairs(values.v) do steps[#steps + 1] = { "set", pair[1], pair[2] } end
      return table.unpack(steps)
    end

    it("byte for byte, at the same second", function()
      peer:ask { ["do"] = "time", time = 1700000000 }
      local _, cookie = in_flask(nil, { "set", "a", 1 })
      assert.are.equal("eyJhIjoxfQ.ZVPxAA.D3QXMI0ZQYNZDxORB__kVZyT7hk", cookie)
      local payload = dewar.json.encode { a = 1 }
      payload = require "dewar.core".crypto.base64url_encode(payload)
      assert.are.equal(cookie, signing.sign(SECRET, SALT, payload, 1700000000))
    end)

    it("that Flask has begun, with all that Lua lacks, and it comes back as it was", function()
      each_seed(150, function(random)
        local values = random:dict(4, true)
        local function add(key, value)
          table.insert(values.v, { key, value })
          table.sort(values.v, function(a, b) return a[1] < b[1] end)
        end
        add("FIRST", random:value(5, true))
        local _, cookie = in_flask(nil, set(values))
        local seen
        assert.is_nil(in_dewar(cookie, function(req) seen = req.session end), "read only")
        assert.are.same(in_lua(values), seen)
        local returned = in_dewar(cookie, function(req) req.session.LATER = true end)
        add("LATER", true)
        assert.are.same(values, in_flask(returned, { "session" })[1])
        peer:ask { ["do"] = "time", time = timestamp(returned) }
        local _, same = in_flask(nil, set(values))
        assert.are.equal(same, returned)
        peer:ask { ["do"] = "time" }
      end)
    end)

    it("that Dewar has begun", function()
      each_seed(150, function(random)
        local values = in_lua(random:dict(4, false))
        values.FIRST = random:bytes(math.random(0, 40))
        local cookie = in_dewar(nil, function(req)
          for key, value in pairs(values) do req.session[key] = value end
        end)
        assert.are.same(described(values), in_flask(cookie, { "session" })[1])
        local _, returned = in_flask(cookie, { "set", "LATER", 1.5 })
        values.LATER = 1.5
        in_dewar(returned, function(req) assert.are.same(values, req.session) end)
      end)
    end)

    it("that is long, and is compressed alike", function()
      local values = { text = ("all work and no play "):rep(200), noise = Random:bytes(500) }
      local cookie = in_dewar(nil, function(req) for k, v in pairs(values) do req.session[k] = v end end)
      assert.are.equal(".", cookie:sub(1, 1))
      peer:ask { ["do"] = "time", time = timestamp(cookie) }
      assert.are.same(described(values), in_flask(cookie, { "session" })[1])
      local _, same = in_flask(nil, { "set", "text", values.text }, { "set", "noise", described(values.noise) })
      assert.are.equal(same, cookie)
    end)

    it("in which values have moved, as long as they are told apart", function()
      local uuids = {}
      for i = 1, 4 do uuids[i] = d("uuid", ("0000000%d-0000-0000-0000-000000000000"):format(i)) end
      local pair = d("tuple", { 1, 2 })
      local _, cookie = in_flask(nil, { "set", "list", uuids }, { "set", "pair", pair })
      local returned = in_dewar(cookie, function(req)
        table.remove(req.session.list, 1)
        req.session.list[1], req.session.list[3] = req.session.list[3], req.session.list[1]
        req.session.other, req.session.pair = req.session.pair, nil
      end)
      assert.are.same(d("dict", {
        { "list", { uuids[4], uuids[3], uuids[2] } },
        { "other", pair },
      }), in_flask(returned, { "session" })[1])
    end)

    it("with its flashed messages", function()
      local _, cookie = in_flask(nil, { "flash", "one", "message" }, { "flash", d("markup", "<b>two</b>"), "error" })
      local returned = in_dewar(cookie, function()
        dewar.flash("three", "error")
        dewar.flash(dewar.markup "<i>four</i>")
      end)
      local results = in_flask(returned, { "session" }, { "messages", { with_categories = true } })
      assert.are.same({
        d("tuple", { "message", "one" }), d("tuple", { "error", d("markup", "<b>two</b>") }),
        d("tuple", { "error", "three" }), d("tuple", { "message", d("markup", "<i>four</i>") }),
      }, results[2])
      assert.are.same(d("dict", { { "_flashes", results[2] } }), results[1])
      in_dewar(returned, function()
        local messages = dewar.get_flashed_messages { category_filter = { "error" } }
        assert.are.same({ dewar.markup "<b>two</b>", "three" }, messages)
      end)
      assert.are.same({ "one", d("markup", "<i>four</i>") },
        in_flask(returned, { "messages", { category_filter = { "message" } } })[1])
    end)

    it("whose key has changed", function()
      app.config.SECRET_KEY, app.config.SECRET_KEY_FALLBACKS = "new", { "older", SECRET }
      local _, cookie = in_flask(nil, { "set", "a", 1 })
      local returned = in_dewar(cookie, function(req)
        assert.are.same({ a = 1 }, req.session)
        req.session.b = 2
      end)
      assert.are.same(d("dict", dewar.array()), in_flask(returned, { "session" })[1])
      peer:ask { ["do"] = "app", config = { SECRET_KEY = "new" }, routes = {
        { rule = "/steps", options = { endpoint = "steps" } },
      } }
      assert.are.same(d("dict", { { "a", 1 }, { "b", 2 } }), in_flask(returned, { "session" })[1])
    end)

    it("but neither believes what was changed", function()
      local _, cookie = in_flask(nil, { "set", "user", "ada" })
      for at = 1, #cookie do
        local letter = cookie:sub(at, at) == "A" and "B" or "A"
        local changed = cookie:sub(1, at - 1) .. letter .. cookie:sub(at + 1)
        in_dewar(changed, function(req) assert.is_nil(next(req.session), at) end)
        -- Better: the last letter of a signature has bits that mean nothing, and
        -- Flask takes them for what they like; Dewar knows one form of each.
        if at < #cookie then
          assert.are.same(d("dict", dewar.array()), in_flask(changed, { "session" })[1])
        end
      end
    end)

    it("but neither believes what is too old, or of the future", function()
      local now = os.time()
      local month = 31 * 24 * 3600
      for age, believed in pairs { [0] = true, [month - 60] = true, [month + 60] = false, [-3600] = false } do
        peer:ask { ["do"] = "time", time = now - age }
        local _, cookie = in_flask(nil, { "set", "a", 1 })
        peer:ask { ["do"] = "time", time = now }
        local expected = believed and { { "a", 1 } } or dewar.array()
        assert.are.same(d("dict", expected), in_flask(cookie, { "session" })[1])
        in_dewar(cookie, function(req) assert.are.equal(believed and 1 or nil, req.session.a, age) end)
      end
    end)

    it("but what is signed is no session where it isn't one", function()
      -- Better: Flask answers 500 to these, which only who has the key can make.
      for _, payload in ipairs { "e30", "W10", "bnVsbA", "eyIgdCI6WzFdfQ", "!", "", ".", ".AAAA", "e30=" } do
        in_dewar(signing.sign(SECRET, SALT, payload), function(req)
          assert.is_nil(next(req.session), payload)
        end)
      end
    end)
  end)

  describe("send a session's cookie", function()
    local view

    --- What both answer: the lines, without the cookie's value and the time.
    local function lines(config, steps, f, cookie)
      both(config, {
        { rule = "/app/steps", options = { endpoint = "steps" }, view = function(req) view(req) return "" end },
      })
      view = f
      local headers = { cookie and { "Cookie", (config.SESSION_COOKIE_NAME or "session") .. "=" .. cookie } }
      local theirs = flask { path = "/app/steps", steps = steps, headers = headers }
      local ours = client:get("/app/steps", { headers = headers[1] and { Cookie = headers[1][2] } })
      local function plain(list)
        local found = {}
        for i, line in ipairs(list or {}) do
          found[i] = line:gsub("=[%w_.-]+%.[%w_-]+%.[%w_-]+;", "=...;")
            :gsub("Expires=%a+, %d+ %a+ %d+ %d+:%d+:%d+ GMT", function(date)
              return date:find " 1970 " and date or "Expires=..."
            end)
        end
        return found
      end
      return {
        cookies = plain(theirs.lists["set-cookie"]), vary = theirs.lists.vary or {},
      }, {
        cookies = plain(ours.headers "Set-Cookie"), vary = ours.headers "Vary",
      }
    end

    local full = signing.sign(SECRET, SALT, "eyJhIjoxfQ")
    local permanent = signing.sign(SECRET, SALT, "eyJfcGVybWFuZW50Ijp0cnVlfQ")

    local CASES = {
      { "when it is new", {}, { { "set", "a", 1 } }, function(req) req.session.a = 1 end },
      { "not when it is only read", {}, { { "get", "a" } }, function(req) return req.session.a end, full },
      { "not when nobody looks", {}, {}, function() end, full },
      { "not when it is empty", {}, { { "get", "a" } }, function(req) return req.session.a end },
      { "not when it is bad", {}, { { "get", "a" } }, function(req) return req.session.a end, full .. "x" },
      { "when it is emptied", {}, { { "clear" } }, function(req) req.session.a = nil end, full },
      { "when it is permanent", {}, { { "set", "a", 1 }, { "permanent", true } },
        function(req) req.session.a, req.session._permanent = 1, true end },
      { "to prolong it", {}, { { "get", "a" } }, function(req) return req.session.a end, permanent },
      { "not to prolong it where that is off", { SESSION_REFRESH_EACH_REQUEST = false }, { { "get", "a" } },
        function(req) return req.session.a end, permanent },
      { "with attributes", {
        SESSION_COOKIE_NAME = "sid", SESSION_COOKIE_PATH = "/app", SESSION_COOKIE_DOMAIN = "example.com",
        SESSION_COOKIE_SECURE = true, SESSION_COOKIE_HTTPONLY = false, SESSION_COOKIE_SAMESITE = "Lax",
      }, { { "set", "a", 1 } }, function(req) req.session.a = 1 end },
      { "with attributes, to delete it", {
        SESSION_COOKIE_NAME = "sid", SESSION_COOKIE_PATH = "/app", SESSION_COOKIE_DOMAIN = "example.com",
        SESSION_COOKIE_SECURE = true, SESSION_COOKIE_SAMESITE = "Strict",
      }, { { "clear" } }, function(req) req.session.a = nil end, full },
    }

    for _, case in ipairs(CASES) do
      it(case[1], function()
        local theirs, ours = lines(table.unpack(case, 2, 5))
        assert.are.same(theirs, ours)
      end)
    end

    it("but Dewar doesn't prolong one that nobody looks at", function()
      -- Better: pages that don't depend on the session stay cacheable.
      local theirs, ours = lines({}, {}, function() end, permanent)
      assert.are.equal(1, #theirs.cookies)
      assert.are.same({ cookies = {}, vary = {} }, ours)
    end)
  end)

  describe("set and read cookies", function()
    before_each(function()
      both({}, { { rule = "/steps", options = { endpoint = "steps" }, view = function() return "" end } })
    end)

    -- Flask adds Expires to a Max-Age of its own accord, and before 3 it quoted what
    -- needs no quotes.
    local function plain(lines)
      for i, line in ipairs(lines) do
        if line:find "Max%-Age=" then line = line:gsub(" Expires=[^;]*;", "") end
        lines[i] = line:gsub('^c="([^%s",;\\%c\128-\255]*)"', "c=%1")
      end
      return lines
    end

    it("alike, whatever is in them", function()
      local OPTIONS = {
        {}, { max_age = 60 }, { expires = 1700000000 }, { path = "/a b" }, { domain = "example.com" },
        { secure = true, httponly = true, samesite = "None" }, { max_age = 0, path = "/x", samesite = "Lax" },
      }
      local VALUES = {
        "", "plain", "two words", "a=b", 'say "hi"', "semi;colon", "com,ma", "back\\slash", "é", "日本",
        "\u{1F600}", "tab\t", "!#$%&'()*+-./:<=>?@[]^_`{|}~",
      }
      client:close()
      app = dewar.app()
      app:get("/", function()
        local res = dewar.response ""
        for _, options in ipairs(OPTIONS) do
          for _, value in ipairs(VALUES) do res:set_cookie("c", value, options) end
          res:delete_cookie("c", { path = options.path, domain = options.domain })
        end
        return res
      end)
      client = app:test_client { cookies = false }
      local steps = {}
      for _, options in ipairs(OPTIONS) do
        for _, value in ipairs(VALUES) do steps[#steps + 1] = { "set_cookie", "c", value, options } end
        steps[#steps + 1] = { "delete_cookie", "c", { path = options.path or "/", domain = options.domain } }
      end
      local answer = flask { path = "/steps", steps = steps }
      assert.are.same(plain(answer.lists["set-cookie"]), plain(client:get("/").headers "Set-Cookie"))
    end)

    it("alike, whatever is sent", function()
      client:close()
      app = dewar.app()
      app:get("/", function(req)
        local pairs_sent = dewar.array()
        for name, value in pairs(req.cookies) do table.insert(pairs_sent, { name, value }) end
        return pairs_sent
      end)
      client = app:test_client { cookies = false }
      for _, header in ipairs {
        "a=1", "a=1; b=2", "a=1;b=2", " a = 1 ; b = 2 ", "a=1; a=2", 'a="quoted"', 'a="say \\"hi\\""',
        'a="\\303\\251"', 'a="semi\\073colon"', "a=b=c", "a=", "a=1;;b=2", "a=1; ; b=2;", "$Version=1; a=1",
        "a=x y", 'a="', "a=%41", "a=1, b=2",
      } do
        local theirs = flask { path = "/steps", steps = { { "cookies" } }, headers = { { "Cookie", header } } }
        assert.are.same(theirs.results[1], client:get("/", { headers = { Cookie = header } }):json(), header)
      end
    end)
  end)

  local ROUTES = {
    { rule = "/", options = { endpoint = "home" } },
    { rule = "/users/<int:id>", options = { endpoint = "user" } },
    { rule = "/users/<int:id>/posts/", options = { endpoint = "posts" } },
    { rule = "/names/<name>", options = { endpoint = "name" } },
    { rule = "/files/<path:path>", options = { endpoint = "file" } },
    { rule = "/ratio/<float:x>", options = { endpoint = "ratio" } },
    { rule = "/kind/<any(red, green):kind>", options = { endpoint = "kind" } },
    { rule = "/d/", options = { endpoint = "folder" } },
    { rule = "/leaf", options = { endpoint = "leaf" } },
    { rule = "/loose/", options = { endpoint = "loose", strict_slashes = false } },
    { rule = "/all/", options = { endpoint = "all", defaults = { page = 1 } } },
    { rule = "/all/page/<int:page>", options = { endpoint = "all" } },
    { rule = "/old/<int:id>", options = { endpoint = "old", redirect_to = "/users/<id>" } },
    { rule = "/form", options = { endpoint = "form", methods = { "GET", "POST" } } },
    { rule = "/v<int:major>.<int:minor>", options = { endpoint = "version" } },
  }

  local function routes()
    local list = {}
    for i, route in ipairs(ROUTES) do list[i] = { rule = route.rule, options = route.options } end
    return list
  end

  describe("build URLs", function()
    before_each(function() both({ SERVER_NAME = "localhost" }, routes()) end)

    -- Letters that may stand there as they are, and which versions of Flask escape,
    -- or don't, as they like.
    local function unescape(text, letters)
      return (text:gsub("%%(%x%x)", function(code)
        local letter = string.char(tonumber(code, 16))
        if letters:find(letter, 1, true) then return letter end
      end))
    end

    local function same_path(url)
      local path, query = url:match "^([^?]*)(.*)$"
      return unescape(path, "@&=;") .. unescape(query, "/*!'():@?")
    end

    local function theirs(endpoint, values)
      local answer = peer:ask { ["do"] = "url_for", endpoint = endpoint, values = values }
      return answer.url and same_path(answer.url) or "BuildError"
    end

    local function ours(endpoint, values)
      local ok, url = pcall(app.url_for, app, endpoint, values)
      return ok and same_path(url) or "BuildError"
    end

    it("of the same letters", function()
      for _, case in ipairs {
        { "home" }, { "user", { id = 7 } }, { "user", { id = 7, q = "a b&c/é", z = { 1, 2 } } }, { "user" },
        { "user", { id = "x" } }, { "user", { id = 7, none = dewar.null } }, { "name", { name = "é ü" } },
        { "name", { name = "a+b:@!$&'()*,;=~-._" } }, { "name", { name = "100%" } }, { "name", { name = "a?b#c" } },
        { "file", { path = "a/b c/é" } }, { "ratio", { x = 1.5 } }, { "kind", { kind = "red" } },
        { "kind", { kind = "blue" } }, { "folder", { a = 1 } }, { "posts", { id = 3 } },
        { "all", { page = 1 } }, { "all", { page = 2 } }, { "all" }, { "version", { major = 1, minor = 2 } },
        { "nothing" }, { "user", { id = 7, _anchor = "top here" } }, { "user", { id = 7, _external = true } },
        { "user", { id = 7, _external = true, _scheme = "https", q = 1 } }, { "form", { _method = "POST" } },
        { "user", { id = 7, q = { "x", "y", "z" } } }, { "user", { id = 7, ["é"] = "ü", ["a b"] = "c+d" } },
        { "user", { id = 7, q = "" } }, { "user", { id = 7, q = "~-._*!'()" } },
      } do
        local values = {}
        for key, value in pairs(case[2] or {}) do
          if value ~= dewar.null then values[key] = value end
        end
        local expected = theirs(case[1], case[2])
        -- Debian's Flask gives "http://localhost/..." where there is an anchor.
        if case[2] and case[2]._anchor then expected = expected:gsub("^http://localhost", "") end
        assert.are.equal(expected, ours(case[1], values))
      end
    end)

    it("but Dewar's lead back to where they were built for", function()
      -- Better: a "/" in a value is encoded, so that it stays one value.
      assert.are.equal("/names/a/b", theirs("name", { name = "a/b" }))
      assert.are.equal("/names/a%2Fb", ours("name", { name = "a/b" }))
      assert.are.same({ name = "a/b" }, client:get(ours("name", { name = "a/b" })):json().values)
      -- Better: what would not match again isn't built.
      for _, value in ipairs { "", ".", ".." } do
        assert.are.equal("BuildError", ours("name", { name = value }))
      end
    end)
  end)

  describe("find their way", function()
    before_each(function() both({}, routes()) end)

    local function outcome(status, headers, body)
      local location = headers.location and headers.location:gsub("^http://localhost", "")
      local allow = {}
      for method in (headers.allow or ""):gmatch "%a+" do allow[#allow + 1] = method end
      table.sort(allow)
      return { status = status, location = location, allow = allow, found = body }
    end

    local function theirs(method, path)
      local answer = flask { path = path, method = method }
      local headers = {}
      for name, list in pairs(answer.lists) do headers[name] = list[1] end
      local ok, body = pcall(dewar.json.decode, answer.body)
      return outcome(answer.status, headers, ok and answer.status == 200 and body or nil)
    end

    local function ours(method, path)
      local res = client:request(method, path)
      local ok, body = pcall(dewar.json.decode, res.body)
      return outcome(res.status, { location = res.headers.location, allow = res.headers.allow },
        ok and res.status == 200 and body or nil)
    end

    it("to the same views and redirects", function()
      for _, path in ipairs {
        "/", "/users/7", "/users/007", "/users/-7", "/users/x", "/users/7/", "/users/7/posts", "/users/7/posts/",
        "/users/7/posts?a=1&b=%20", "/names/x", "/names/%C3%A9%20x", "/names/", "/names", "/files/a/b/c",
        "/files/a", "/files/", "/ratio/1.5", "/ratio/1", "/kind/red", "/kind/blue", "/d", "/d/", "/d?x=1",
        "/d/x", "/leaf", "/leaf/", "/loose", "/loose/", "/all/", "/all", "/all/page/1", "/all/page/2",
        "/all/page/1?q=x", "/d//", "/users//7", "/users//7?a=1", "/old/7", "/old/x", "/nowhere",
        "/v1.2", "/v1", "/form", "/names/a+b", "/names/a;b=c",
      } do
        for _, method in ipairs { "GET", "HEAD", "POST", "OPTIONS" } do
          local expected = theirs(method, path)
          local own
          if method == "OPTIONS" then
            -- Dewar's own way: OPTIONS asks what the address itself takes, be it a
            -- redirect.
            own = theirs("GET", path).status == 308
          elseif method == "POST" then
            -- Dewar's own way: an address with too many slashes is none.
            own = path:find "//"
          end
          -- Better: with strict_slashes = false Flask forgets that the path is known.
          if path == "/loose" then expected = theirs(method, "/loose/") end
          if not own then
            assert.are.same(expected, ours(method, path), method .. " " .. path)
          end
        end
      end
    end)
  end)
end)
