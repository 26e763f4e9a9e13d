-- What a request accepts: bindings/accept.c.

local dewar = require "dewar"

describe("what a request accepts", function()
  local client
  after_each(function()
    if client then client:close() client = nil end
  end)

  --- What f(req) gives for a request with these headers.
  local function ask(headers, f)
    local app, result = dewar.app { config = { TESTING = true } }, nil
    app:get("/", function(req)
      result = table.pack(f(req))
      return "ok"
    end)
    if client then client:close() end
    client = app:test_client()
    client:get("/", { headers = headers })
    return table.unpack(result, 1, result.n)
  end

  local function accept(text)
    return ask({ accept = text }, function(req) return req.accept_mimetypes end)
  end

  it("is chosen from by quality, then closeness, then order", function()
    local offers = { "application/json", "text/html" }
    assert.are.equal("text/html", accept("text/html"):best(offers))
    assert.are.equal("application/json", accept("application/json, text/html;q=0.9"):best(offers))
    assert.are.equal("text/html", accept("*/*, text/html"):best(offers))
    assert.are.equal("application/json", accept("*/*"):best(offers))
    assert.are.equal("text/html",
      accept("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"):best(offers))
    assert.is_nil(accept("image/png"):best(offers))
    assert.are.equal("none", accept("image/png"):best { "text/html", default = "none" })
    assert.is_nil(accept("text/html;q=0"):best { "text/html" })
  end)

  it("is the default or the first where nothing was asked for", function()
    local none = ask({}, function(req) return req.accept_mimetypes end)
    assert.are.equal("a/b", none:best { "a/b", "c/d" })
    assert.are.equal("c/d", none:best { "a/b", "c/d", default = "c/d" })
    assert.is_nil(none:best())
    assert.are.equal(1, none:quality "a/b")
    assert.are.same({}, none:values())
  end)

  it("has qualities from 0 to 1", function()
    local a = accept "text/html;q=0.5, text/*;q=0.25, */*;q=0"
    assert.are.equal(0.5, a:quality "text/html")
    assert.are.equal(0.25, a:quality "text/plain")
    assert.are.equal(0, a:quality "image/png")
    assert.is_true(a:contains "text/html;charset=utf-8")
    assert.is_false(a:contains "image/png")
  end)

  it("is iterated over in order of preference", function()
    local a = accept "*/*;q=0.1, text/*;q=0.5, text/html;level=1, text/plain, a/b ; q=0.5"
    local list = {}
    for value, quality in pairs(a) do list[#list + 1] = value .. " " .. quality end
    assert.are.same({ "text/html;level=1 1.0", "text/plain 1.0", "a/b 0.5", "text/* 0.5", "*/* 0.1" }, list)
    assert.are.same({ "text/html;level=1", "text/plain", "a/b", "text/*", "*/*" }, a:values())
    assert.are.equal("text/html;level=1", a:best())
    assert.are.equal(5, #a)
  end)

  it("has short names for HTML and JSON", function()
    local a = accept "application/json, text/html;q=0"
    assert.is_true(a.accept_json)
    assert.is_false(a.accept_html)
    assert.is_false(a.accept_xhtml)
  end)

  it("outlives the request and shows the header", function()
    local a = accept "text/html;q=0.5"
    assert.are.equal("text/html;q=0.5", tostring(a))
    assert.are.equal(0.5, a:quality "text/html")
  end)

  it("joins the lines of a header", function()
    local a = ask({ accept = { "a/b;q=0.5", "c/d" } }, function(req) return req.accept_mimetypes end)
    assert.are.same({ "c/d", "a/b" }, a:values())
  end)

  it("is of languages, encodings and charsets, too", function()
    local language, default, encoding, charset, coding = ask({
      accept_language = "de-CH, en;q=0.5", accept_encoding = "gzip", accept_charset = "UTF-8",
    }, function(req)
      return req.accept_languages:best { "en", "de" }, req.accept_languages:best { "fr", default = "en" },
        req.accept_encodings:best { "br", "gzip" }, req.accept_charsets:contains "utf8", req.accept_encodings
    end)
    assert.are.same({ "de", "en", "gzip", true }, { language, default, encoding, charset })
    assert.is_false(coding:contains "br")
    assert.is_true(coding:contains "identity")
    assert.is_false(pcall(function() return coding.accept_json end))
  end)

  it("is malformed in many ways that do no harm", function()
    for _, text in ipairs { ",", ";;;", "text", "*/x", "text/html;q=", "text/html;q=2", "\"", ("a/b,"):rep(2000),
      ("a/b;"):rep(2000) } do
      local a = accept(text)
      assert.is_number(a:quality "text/html")
      assert.is_table(a:values())
    end
    assert.are.equal(0.5, accept("x/y;q=high, text/html;q=0.5"):quality "text/html")
  end)

  it("says what it can't do", function()
    local a = accept "text/html"
    local function fails(pattern, f)
      local ok, message = pcall(f)
      assert.is_false(ok)
      assert.matches(pattern, message)
      assert.matches("accept_spec.lua:%d+: ", message)
    end
    fails('a value such as "text/html" is needed; got "html"', function() a:quality "html" end)
    fails('needed; got "text/%*"', function() a:contains "text/*" end)
    fails("a string such as \"text/html\" is needed; got a nil", function() a:contains() end)
    fails("best takes a list such as { \"text/html\" }; got a string", function() a:best "text/html" end)
    fails("got the key 'defualt'", function() a:best { "text/html", defualt = 1 } end)
    fails("a string such as \"text/html\" is needed; got a number", function() a:best { 1 } end)
    fails("no 'accept_jsn' here; did you mean 'accept_json'", function() return a.accept_jsn end)
    fails("no 'zzz' here", function() return a.zzz end)
  end)
end)

describe("the default page of an error", function()
  it("is what the client likes better", function()
    local client <close> = dewar.app():test_client()
    local function kind(accept)
      return client:get("/no", { headers = { accept = accept } }).headers.content_type:match "^[^;]+"
    end
    assert.are.equal("text/html", kind "text/html,application/json;q=0.9")
    assert.are.equal("text/html", kind "*/*")
    assert.are.equal("application/json", kind "application/json")
    assert.are.equal("application/json", kind "application/problem+json, text/html;q=0")
  end)
end)
