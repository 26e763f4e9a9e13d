-- examples/chat: names, what was said, who is there.
local core = require "dewar.core"
local dewar = require "dewar"
local example = require "spec.support.example"

if not core.websocket_codec then
  pending "this build has no WebSocket"
  return
end

describe("the chat", function()
  local client, forget

  before_each(function()
    local app
    app, forget = example.load "chat/app.lua"
    app.config.TESTING = true
    app.config.PAUSE = 0
    client = app:test_client()
  end)
  after_each(function()
    client:close()
    forget()
  end)

  local function say(ws, message) ws:send(dewar.json.encode(message)) end
  local function hear(ws) return dewar.json.decode((assert(ws:receive(5)))) end

  --- Somebody who has come in, and its welcome.
  local function enter(name, more)
    local ws = client:websocket "/lobby"
    say(ws, { type = "enter", name = name, since = more and more.since })
    local welcome = hear(ws)
    assert.are.equal("welcome", welcome.type)
    assert.are.equal(name, hear(ws).came)
    return ws, welcome
  end

  it("has a page for each room, and none for others", function()
    assert.are.equal("/lobby", client:get("/").headers.location)
    local page = client:get "/tea"
    assert.matches('data%-socket="/tea"', page.body)
    assert.matches('href="/tea" aria%-current="page"', page.body)
    assert.matches("default%-src 'self'", page.headers.content_security_policy)
    assert.are.equal(404, client:get("/nowhere").status)
    assert.are.equal(200, client:get("/static/chat.js").status)
    local ok, err = pcall(client.websocket, client, "/nowhere")
    assert.is_false(ok)
    assert.are.equal(404, err.status)
  end)

  it("tells everybody who is there, who comes and who leaves", function()
    local ada = enter "Ada"
    local bob = enter "Bob"
    assert.are.same({ type = "people", people = { "Ada", "Bob" }, came = "Bob" }, hear(ada))
    bob:close()
    assert.are.same({ type = "people", people = { "Ada" }, left = "Bob" }, hear(ada))
    local eve = enter "Eve"
    assert.are.equal("Eve", hear(ada).came)
    eve:disconnect()
    assert.are.same({ type = "people", people = { "Ada" }, left = "Eve" }, hear(ada))
    ada:close()
  end)

  it("passes on what is said, in one room only", function()
    local ada, bob = enter "Ada", enter "Bob"
    hear(ada)
    local elsewhere = client:websocket "/tea"
    say(elsewhere, { type = "enter", name = "Ada" })
    hear(elsewhere)
    hear(elsewhere)
    say(ada, { type = "say", text = "  <b>hi</b>\nBob " })
    for _, ws in ipairs { ada, bob } do
      local heard = hear(ws)
      assert.are.equal("said", heard.type)
      local message = heard.message
      assert.are.same({ "Ada", "<b>hi</b> Bob" }, { message.name, message.text })
      assert.are.equal("integer", math.type(message.time))
    end
    assert.has_error(function() elsewhere:receive(0) end)
    for _, ws in ipairs { ada, bob, elsewhere } do ws:close() end
  end)

  it("shows what was said before, or what somebody has missed", function()
    local ada = enter "Ada"
    for i = 1, 60 do
      say(ada, { type = "say", text = "word " .. i })
      hear(ada)
    end
    local bob, welcome = enter "Bob"
    assert.are.equal(50, #welcome.history)
    assert.are.equal("word 11", welcome.history[1].text)
    assert.are.equal("word 60", welcome.history[50].text)
    local eve, other = enter("Eve", { since = welcome.history[48].id })
    assert.are.equal("word 59", other.history[1].text)
    assert.are.equal(2, #other.history)
    for _, ws in ipairs { ada, bob, eve } do ws:close() end
  end)

  it("refuses names that are taken, or none, and asks again", function()
    local ada = enter "Ada"
    local bob = client:websocket "/lobby"
    for name, why in pairs {
      ADA = "ADA is here already.",
      ["  "] = "A name has 1 to 24 characters.",
      [("é"):rep(25)] = "A name has 1 to 24 characters.",
    } do
      say(bob, { type = "enter", name = name })
      assert.are.same({ type = "refused", why = why }, hear(bob))
    end
    say(bob, { type = "say", text = "let me in" })
    assert.are.equal("refused", hear(bob).type)
    say(bob, { type = "enter", name = ("é"):rep(24) })
    assert.are.equal("welcome", hear(bob).type)
    bob:close()
    ada:close()
  end)

  it("says nothing where nothing is said, or too much", function()
    local ada = enter "Ada"
    for _, text in ipairs { "", " ", ("x"):rep(501), 7, {} } do say(ada, { type = "say", text = text }) end
    say(ada, { type = "say", text = "at last" })
    assert.are.equal("at last", hear(ada).message.text)
    ada:close()
  end)

  it("lets go of who talks nonsense", function()
    for _, nonsense in ipairs { "hello", "7" } do
      local ws = client:websocket "/lobby"
      ws:send(nonsense)
      local _, code = ws:receive(5)
      assert.are.equal(1003, code)
      ws:close()
    end
  end)
end)
