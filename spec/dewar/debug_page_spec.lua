-- The pages that developers get with DEBUG: lua/dewar/debug, bindings/capture.c,
-- bindings/snapshot.c.

local dewar = require "dewar"

local KEY = "the-key-of-this-app"
local GENERATION = "in the generator"

describe("the debug page", function()
  local app, client, sink
  before_each(function()
    sink = dewar.log.sink
    dewar.log.sink = function() end
    app = dewar.app { config = { DEBUG = true, SECRET_KEY = KEY } }
  end)
  after_each(function()
    if client then client:close() client = nil end
    dewar.log.sink = sink
  end)

  local function get(path, options)
    client = client or app:test_client()
    return client:get(path, options)
  end

  --- What stands on the page, as text.
  local function text_of(res)
    local text = assert(res.body:match "<textarea[^>]*>\n(.*)</textarea>", res.body)
    return (text:gsub("&(#?%w+);", { lt = "<", gt = ">", quot = '"', ["#39"] = "'", amp = "&" }))
  end

  local function has(text, part)
    assert.is_truthy(text:find(part, 1, true), ("no %q in:\n%s"):format(part, text:sub(1, 3000)))
  end

  local function lacks(text, part)
    local from = text:find(part, 1, true)
    assert.is_nil(from, from and ("%q is in: %s"):format(part, text:sub(math.max(1, from - 300), from + 300)))
  end

  --- The page of a view that is f.
  local function page(f, options)
    app:get("/", f)
    local res = get("/", options)
    assert.are.equal(500, res.status)
    return res
  end

  describe("is only there in debug:", function()
    local function boom() local here = "a local" error("boom" .. #here, 0) end

    it("an app has the plain page by default", function()
      app = dewar.app()
      local res = page(boom)
      lacks(res.body, "boom")
      lacks(res.body, "a local")
      has(res.body, "Internal Server Error")
    end)

    it("no header, query, cookie or host asks for it", function()
      app = dewar.app()
      app:get("/", boom)
      local res = get("/?debug=1&DEBUG=true&__debugger__=yes", { headers = {
        ["X-Debug"] = "1", ["X-Dewar-Debug"] = "true", Debug = "true", Cookie = "debug=1; DEBUG=true",
        Host = "localhost", ["X-Forwarded-For"] = "127.0.0.1" } })
      assert.are.equal(500, res.status)
      lacks(res.body, "boom")
    end)

    it("it is gone once DEBUG is false", function()
      app:get("/", boom)
      has(get("/").body, "boom")
      app.config.DEBUG = false
      lacks(get("/").body, "boom")
    end)

    it("JSON without it says nothing of the error", function()
      app = dewar.app()
      local res = page(boom, { headers = { Accept = "application/json" } })
      lacks(res.body, "boom")
      lacks(res.body, "traceback")
    end)

    it("its routes aren't told of without it", function()
      app = dewar.app()
      app:get("/secret-place", boom)
      lacks(get("/secret-plac").body, "secret-place")
    end)

    it("another app's DEBUG is its own", function()
      local other = dewar.app()
      other:get("/", boom)
      local second <close> = other:test_client()
      has(page(boom).body, "boom")
      lacks(second:get("/").body, "boom")
    end)
  end)

  it("tells the error, the request and the line, with the lines around it", function()
    local res = page(function()
      local before = 1
      error("it went " .. (before and "wrong")) -- this line
    end)
    local text = text_of(res)
    assert.matches("^GET /\n\nError: .-debug_page_spec%.lua:%d+: it went wrong\n", text)
    assert.matches("\n    >%s+%d+ |       error%(\"it went \"[^\n]*this line\n", text)
    assert.matches("\n%s+%d+ |       local before = 1\n", text)
  end)

  it("shows locals, varargs and upvalues, as they were when it was raised", function()
    local outer = { n = 1 }
    local function fail(a, ...)
      local list <const> = { 1, 2, x = "y" }
      outer.n = 2
      error("x" .. #list .. outer.n .. select("#", ...) .. a)
    end
    local text = text_of(page(function()
      local ok <close> = setmetatable({}, { __close = function() outer.n = 3 end }) -- luacheck: ignore
      fail("first", "second", nil)
    end))
    has(text, 'a (string, 5 bytes) = "first"')
    has(text, '... 1 (string, 6 bytes) = "second"')
    has(text, "... 2 (nil) = nil")
    has(text, 'list (table) = { 1, 2, x = "y" }')
    has(text, "outer (table) = { n = 2 }")
  end)

  it("goes through coroutines, with the variables of each", function()
    local text = text_of(page(function()
      local in_view = "in the view"
      local generator = coroutine.wrap(function()
        local in_generator = GENERATION
        error("from " .. #in_generator)
      end)
      generator()
      return in_view
    end))
    local inner = text:find('bytes) = "in the generator"', 1, true)
    local link = text:find("(a coroutine resumed by)", 1, true)
    local outer = text:find('bytes) = "in the view"', 1, true)
    assert.is_true(inner < link and link < outer)
  end)

  it("goes through tasks that were awaited, and resumed coroutines whose error goes on", function()
    local text = text_of(page(function()
      local task = dewar.spawn(function()
        local in_task = "in the task"
        dewar.yield()
        local co = coroutine.create(function()
          local in_coroutine = "in the coroutine"
          error("from " .. #in_coroutine)
        end)
        local _, err = coroutine.resume(co)
        error(err .. #in_task:sub(1, 0):rep(0), 0)
      end)
      dewar.await(task)
    end))
    has(text, '= "in the task"')
    has(text, "(a task awaited by)")
  end)

  it("keeps the calls of an error that is raised again", function()
    local text = text_of(page(function()
      local co = coroutine.create(function()
        local in_coroutine = "in the coroutine"
        error("from " .. #in_coroutine)
      end)
      local _, err = coroutine.resume(co)
      error(err, 0)
    end))
    has(text, '= "in the coroutine"')
  end)

  it("shows an error object's class and fields", function()
    local Payment = dewar.Error:extend("PaymentError", {})
    local text = text_of(page(function() error(Payment("no funds", { account = 7, api_token = "tok-1234567" })) end))
    has(text, "PaymentError: no funds")
    has(text, "account (number) = 7")
    lacks(text, "tok-1234567\"")
  end)

  it("shows an error that is some other value", function()
    has(text_of(page(function() error({ reason = "odd" }) end)), '{ reason = "odd" }')
  end)

  it("shows what an error stands for", function()
    local Wrapped = dewar.Error:extend("Wrapped", {})
    local text = text_of(page(function() error(Wrapped("outer", { original = Wrapped "inner" })) end))
    has(text, "It stands for this error:\nWrapped: inner")
  end)

  it("shows both errors where an error handler fails", function()
    local Own = dewar.Error:extend("Own", {})
    app:errorhandler(Own, function() error("the second") end)
    local text = text_of(page(function() error(Own "the first") end))
    assert.matches("the second.*raised while an error handler dealt with this error:\nOwn: the first", text)
  end)

  it("shows both errors where the handler for 500 fails", function()
    app:errorhandler(500, function() error("the second") end)
    local text = text_of(page(function() error("the first") end))
    assert.matches("the second.*raised while an error handler.*the first", text)
  end)

  it("leaves an answer of the handler for 500 alone", function()
    app:errorhandler(500, function() return "mine", 500 end)
    assert.are.equal("mine", page(function() error "x" end).body)
  end)

  it("leaves aborts to their page", function()
    app:get("/gone", function() dewar.abort(410, "long gone") end)
    local res = get("/gone")
    assert.are.equal(410, res.status)
    has(res.body, "long gone")
    lacks(res.body, "Traceback")
  end)

  it("shows the failure of a hook behind the view", function()
    app:after_request(function() error "in the hook" end)
    has(text_of(page(function() return "x" end)), "in the hook")
  end)

  it("shows what a template did, by its source", function()
    local folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir -p " .. folder .. "/templates"))
    local file = assert(io.open(folder .. "/templates/page.html", "w"))
    file:write "<h1>Hi</h1>\n<p><%= user.name %></p>\n"
    file:close()
    app = dewar.app { root_path = folder, config = { DEBUG = true } }
    local text = text_of(page(function() return dewar.render_template("page.html", {}) end))
    os.execute("rm -r " .. folder)
    assert.matches("templates/page%.html:2", text)
    assert.matches("\n    >%s+2 | <p><%%= user%.name %%></p>\n", text)
  end)

  it("sends a template's syntax error by its line", function()
    local text = text_of(page(function() return dewar.render_template_string("a\n<% if x %>") end))
    has(text, "TemplateSyntaxError")
  end)

  it("tells the request's data", function()
    app:post("/users/<int:id>", function(req)
      req.g.step = "second"
      assert(req.form.nick)
      error "x"
    end)
    client = app:test_client()
    local text = text_of(client:post("/users/7?page=2", {
      form = { nick = "ada" }, headers = { ["X-Trace"] = "abc", Cookie = "theme=dark" } }))
    for _, part in ipairs { "POST /users/7?page=2", "URL = http://localhost/users/7?page=2", "Rule = /users/<int:id>",
      "id (number) = 7", "page = 2", "nick = ada", "X-Trace = abc", "theme = dark", 'step (string, 6 bytes) = "second"',
      "MAX_FORM_PARTS (number) = 1000" } do
      has(text, part)
    end
  end)

  it("reads no body and opens no session to tell of them", function()
    app:post("/", function() error "x" end)
    client = app:test_client()
    local res = client:post("/", { form = { nick = "ada" } })
    lacks(text_of(res), "\nForm\n")
    lacks(text_of(res), "\nSession\n")
  end)

  describe("hides", function()
    it("the app's key wherever it stands", function()
      local res = page(function(req)
        local harmless = "before " .. KEY .. " behind"
        req.g.note = KEY
        error("message with " .. KEY .. #harmless)
      end, { headers = { ["X-Note"] = "has " .. KEY }, query = { q = KEY } })
      lacks(res.body, KEY)
      has(text_of(res), "message with ••••••••")
    end)

    it("the beginning of the key at the end of a text that was cut", function()
      local res = page(function()
        local long = ("x"):rep(1000 - 8) .. KEY .. ("y"):rep(100)
        error("x" .. #long)
      end)
      lacks(res.body, KEY:sub(1, 8))
    end)

    it("values with telling names, in variables, tables, fields and settings", function()
      app.config.DATABASE_PASSWORD = "db-pass-9"
      local res = page(function(req)
        local token, nested = "tok-" .. 12345, { deep = { api_key = "key-" .. 67890 } }
        req.g.Secret_Answer = "blue-" .. 4242
        error("x" .. #token .. #nested.deep.api_key)
      end, { headers = { Authorization = "Bearer bear-1111", Cookie = "session=sess-2222; csrf_token=csrf-3333" },
        query = { password = "pass-4444", page = "3" } })
      for _, secret in ipairs { "db-pass-9", "tok-12345", "key-67890", "blue-4242", "bear-1111", "sess-2222",
        "csrf-3333", "pass-4444" } do
        lacks(res.body, secret)
      end
      has(text_of(res), "page = 3")
    end)

    it("values whose names have a telling word, and no others", function()
      local res = page(function()
        local db_pass, userPin, passenger, bypass = "horse-" .. 1, "1234-" .. 5, "seat-" .. 7, "ring-" .. 8
        error("x" .. #db_pass .. #userPin .. #passenger .. #bypass)
      end)
      lacks(res.body, "horse-1")
      lacks(res.body, "1234-5")
      has(text_of(res), '"seat-7"')
      has(text_of(res), '"ring-8"')
    end)

    it("passwords in URLs, and such a password in other places", function()
      app.config.DATABASE_URL = "postgres://shop:sesame-" .. "9@db.example:5432/shop"
      local res = page(function(req)
        local url = req.app.config.DATABASE_URL
        local inside = url:match ":([^:@]*)@"
        error("no connection to " .. url .. " with " .. inside)
      end, { headers = { Referer = "https://ada:tulip-" .. "77@example.org/" } })
      lacks(res.body, "sesame-9")
      lacks(res.body, "tulip-77")
      has(text_of(res), "no connection to postgres://shop:••••••••@db.example:5432/shop with ••••••••")
    end)

    it("what Authorization says, decoded, too", function()
      local res = page(function(req)
        local given = req.authorization.password
        error("wrong: " .. given)
      end, { auth = { "ada", "violets-are" } })
      lacks(res.body, "violets-are")
    end)

    it("such a value in other places, too", function()
      local res = page(function(req)
        local copy = req.headers.authorization:match "%S+$" -- luacheck: ignore
        error("refused: " .. copy)
      end, { headers = { Authorization = "Bearer bear-1111" } })
      lacks(res.body, "bear-1111")
    end)
  end)

  it("is all escaped, whatever is in it", function()
    local evil = "<script>alert(1)</script>\"'&"
    local folder = os.tmpname()
    local file = assert(io.open(folder, "w"))
    file:write("local evil = ...\nerror(evil, 0) -- ", evil, "\n")
    file:close()
    local chunk = assert(loadfile(folder))
    app:get("/<path:_>", function(req)
      local local_one = evil
      local named = setmetatable({}, { __name = evil })
      req.g[evil] = evil
      chunk(local_one .. tostring(named and ""))
    end)
    local res = get("/%3Cscript%3Ealert(1)%3C/script%3E", { headers = { ["X-Evil"] = evil, Cookie = "a=" .. evil },
      query = { [evil] = evil } })
    os.remove(folder)
    assert.are.equal(500, res.status)
    has(text_of(res), evil)
    lacks(res.body, "<script>alert")
    local scripts = select(2, res.body:gsub("<script", ""))
    assert.are.equal(1, scripts)
  end)

  it("holds for bytes that are no UTF-8", function()
    local res = page(function()
      local bytes = "\xFF\xFE\0\27[31m\xC3"
      error("m\xFF\0sg" .. bytes, 0)
    end)
    assert.is_truthy(utf8.len(res.body))
    has(text_of(res), [[\xFF\xFE\0\x1B[31m\xC3]])
  end)

  it("lets only its own style and script in, and is kept by nobody", function()
    local res = page(function() error "x" end)
    local nonce = assert(res.headers["Content-Security-Policy"]:match "script%-src 'nonce%-([%w_-]+)'")
    assert.is_true(#nonce >= 20)
    has(res.headers["Content-Security-Policy"], "default-src 'none'")
    has(res.body, ('<script nonce="%s">'):format(nonce))
    has(res.body, ('<style nonce="%s">'):format(nonce))
    lacks(res.body, " style=")
    lacks(res.body, " onclick=")
    lacks(res.body, "http://www")
    assert.are.equal("no-store", res.headers["Cache-Control"])
    assert.are.equal("nosniff", res.headers["X-Content-Type-Options"])
    assert.are_not.equal(res.headers["Content-Security-Policy"], get("/").headers["Content-Security-Policy"])
  end)

  it("is JSON for who takes nothing else", function()
    local res = page(function() local x = "here" error("boom " .. x .. " " .. KEY) end,
      { headers = { Accept = "application/json" } })
    assert.are.equal("application/json", res.headers["Content-Type"])
    local err = res:json().error
    assert.are.equal(500, err.status)
    assert.matches("boom here ••", err.message)
    assert.matches("stack traceback:\n.*debug_page_spec", err.traceback)
    lacks(res.body, KEY)
  end)

  it("runs nothing of the values that it shows", function()
    local ran = 0
    local function run() ran = ran + 1 error "never" end
    page(function(req)
      local hostile = setmetatable({ inside = 1 }, { __tostring = run, __index = run, __pairs = run, __len = run,
        __eq = run, __lt = run, __name = setmetatable({}, { __tostring = run }), __metatable = "locked" })
      req.g.hostile = hostile
      error("x" .. type(hostile), 0)
    end)
    assert.are.equal(0, ran)
  end)

  it("is bounded: by a text of many megabytes, tables without end, and a deep recursion", function()
    local res = page(function()
      local huge, endless, wide = ("ab"):rep(1 << 25), {}, {}
      endless[1] = endless
      assert(endless[1][1])
      for i = 1, 100000 do wide[i] = { ("v"):rep(100) } end
      local function deep(n)
        if n == 0 then error("bottom " .. #huge) end
        local r = deep(n - 1)
        return r + #wide
      end
      return deep(1000)
    end)
    local text = text_of(res)
    has(text, "64.0 MiB")
    has(text, "calls more")
    has(text, "n (number) = 0")
    has(text, "n (number) = 1000")
    assert.is_true(#res.body < 400000, tostring(#res.body))
  end)

  it("answers a stack that overflows, with its first and last calls", function()
    local text = text_of(page(function()
      local function deep(n) return 1 + deep(n + 1) end
      return deep(1)
    end))
    has(text, "stack overflow")
    assert.matches("%d+ calls more", text)
    has(text, "n (number) = 1\n")
  end)

  it("answers an error in the making of a message, and errors without one", function()
    app:get("/nil", function() error(nil) end)
    app:get("/bad", function() error(setmetatable({}, { __tostring = function() error "no" end })) end)
    assert.are.equal(500, get("/nil").status)
    assert.are.equal(500, get("/bad").status)
  end)

  it("answers when there is no memory for what was asked", function()
    local res = page(function()
      local parts = {}
      for i = 1, 64 do parts[i] = ("x"):rep(1 << 20) end
      error(#parts > 0 and "not enough memory", 0)
    end)
    has(text_of(res), "not enough memory")
  end)

  it("keeps what TESTING means: the error goes to the client's caller", function()
    app.config.TESTING = true
    app:get("/", function() error("mine", 0) end)
    local ok, err = pcall(get, "/")
    assert.is_false(ok)
    assert.matches("^mine", err)
  end)

  it("has what after_request sees and sets", function()
    app:after_request(function(_, res) res.headers["X-After"] = tostring(res.status) return res end)
    assert.are.equal("500", page(function() error "x" end).headers["X-After"])
  end)

  describe("of a path that leads nowhere", function()
    it("names the nearest routes", function()
      app:get("/users/<int:id>", { endpoint = "user" }, function() end)
      app:get("/about", function() end)
      local res = get("/user/7")
      assert.are.equal(404, res.status)
      local near = res.body:match "Did you mean.-</table>"
      has(near, "/users/&lt;int:id&gt;")
      lacks(near, "/about")
      has(res.body, "/about")
    end)

    it("escapes the path and hides its secrets", function()
      local res = get("/%3Cscript%3E?token=hush-hush")
      assert.are.equal(404, res.status)
      lacks(res.body, "<script>")
      lacks(res.body, "hush-hush")
    end)

    it("is JSON for who takes nothing else", function()
      app:get("/users", function() end)
      local res = get("/usrs", { headers = { Accept = "application/json" } })
      assert.are.same({ "/users" }, res:json().error.did_you_mean)
    end)

    it("leaves the app's own handler alone", function()
      app:errorhandler(404, function() return "mine", 404 end)
      assert.are.equal("mine", get("/nowhere").body)
    end)

    it("costs little with many routes", function()
      for i = 1, 2000 do app:get(("/r%d/<x>/end"):format(i), function() end) end
      assert.are.equal(404, get("/r20/x/ende").status)
    end)
  end)

  it("of a method that a path doesn't take lists those that it does", function()
    app:post("/things", { endpoint = "make" }, function() end)
    local res = get("/things")
    assert.are.equal(405, res.status)
    has(res.body, "OPTIONS, POST")
    assert.are.equal("OPTIONS, POST", res.headers.Allow)
  end)
end)
