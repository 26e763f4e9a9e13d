-- The limits of a head as an app sets them: targets, headers, their number.
local dewar = require "dewar"
local clean = require "spec.support.clean"
local http = require "spec.support.http"

local app, client

local KIB = 1024

before_each(function()
  app = dewar.app()
  app:get("/<path:rest>", function(req) return ("%d"):format(#req.raw_path) end)
  app:get("/", function(req) return req.headers.x or "no x" end)
  client = app:test_client()
end)
after_each(function() client:close() end)
clean.watch(before_each, after_each)

local function exchange(bytes, split)
  local text, state = client:send_raw(bytes, { split = split })
  return http.answers(text), state
end

local function is_refused(status, bytes)
  for _, split in ipairs { 1000, #bytes } do
    local answers, state = exchange(bytes .. http.get "/", split)
    assert.are.equal(1, #answers)
    assert.are.equal(status, answers[1].status)
    assert.are.equal("close", answers[1].headers.connection)
    assert.are.equal("closed", state)
  end
end

describe("MAX_TARGET_SIZE", function()
  it("is 8 KiB", function()
    assert.are.equal("8192", exchange(http.get("/" .. ("t"):rep(8191)))[1].body)
    is_refused(414, http.get("/" .. ("t"):rep(8192)))
  end)

  it("may be small", function()
    app.config.MAX_TARGET_SIZE = 10
    assert.are.equal("10", exchange(http.get "/123456789")[1].body)
    is_refused(414, http.get "/1234567890")
  end)

  it("may be larger than all buffers", function()
    app.config.MAX_TARGET_SIZE = 300 * KIB
    local bytes = http.get("/" .. ("t"):rep(300 * KIB - 1))
    for _, split in ipairs { 1000, #bytes } do
      assert.are.equal("307200", exchange(bytes, split)[1].body)
    end
  end)
end)

describe("MAX_HEADER_SIZE", function()
  it("is 16 KiB, of all headers", function()
    local lines = { "A: " .. ("a"):rep(8 * KIB), "X: " .. ("x"):rep(7 * KIB) }
    assert.are.equal(7 * KIB, #exchange(http.get("/", table.unpack(lines)))[1].body)
    lines[2] = "X: " .. ("x"):rep(8 * KIB)
    is_refused(431, http.get("/", table.unpack(lines)))
  end)

  it("may be larger than all buffers", function()
    app.config.MAX_HEADER_SIZE = 300 * KIB
    local bytes = http.get("/", "X: " .. ("x"):rep(299 * KIB))
    for _, split in ipairs { 1000, #bytes } do
      local answers, state = exchange(bytes .. http.get "/", split)
      assert.are.equal(299 * KIB, #answers[1].body)
      assert.are.equal("no x", answers[2].body)
      assert.are.equal("idle", state)
    end
  end)
end)

describe("MAX_HEADERS", function()
  it("is 100, Host included", function()
    local lines = {}
    for i = 1, 99 do lines[i] = "A: b" end
    assert.are.equal(200, exchange(http.get("/", table.unpack(lines)))[1].status)
    is_refused(431, http.get("/", "A: b", table.unpack(lines)))
  end)
end)

describe("what is refused", function()
  it("is answered by a page that tells why, and escapes what it tells", function()
    local answer = exchange "GET /<script> HTTP/1.1\r\nHost: a\r\n\r\n"[1]
    assert.are.equal(400, answer.status)
    assert.are.equal("text/html; charset=utf-8", answer.headers["content-type"])
    assert.matches("bad character in the request target", answer.body)
    assert.is_nil(answer.body:find("<script>", 1, true))
  end)

  it("asks no hook and no error handler of the app, being nothing it could trust", function()
    local asked = 0
    local function ask() asked = asked + 1 end
    app:before_request(ask)
    app:teardown_request(ask)
    app:errorhandler(400, ask)
    assert.are.equal(400, exchange("GET / HTTP/1.1\r\n\r\n")[1].status)
    assert.are.equal(0, asked)
  end)

  it("is answered without a body where the method is HEAD", function()
    local text = client:send_raw "HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"
    assert.matches("^HTTP/1.1 400 ", text)
    assert.matches("\r\n\r\n$", text)
  end)
end)
