-- Rooms: who is in them, what reaches whom, and members that are too slow.
local dewar = require "dewar"
local clean = require "spec.support.clean"
local websocket = require "spec.support.websocket"

if not require("dewar.core").websocket_codec then
  pending "this build has no WebSocket"
  return
end

describe("a room", function()
  clean.watch(before_each, after_each)

  --- An app whose websockets join the room and then tell it what they hear.
  local function new(room, config)
    local app = dewar.app { config = config or {} }
    app.config.TESTING = true
    app:websocket("/<name>", function(ws, name)
      room:join(ws)
      ws:send("hello " .. name)
      for message in ws:messages() do room:send(message) end
    end)
    return app:test_client()
  end

  local function enter(client, name, options)
    local ws = client:websocket("/" .. name, options)
    assert.are.equal("hello " .. name, ws:receive())
    return ws
  end

  it("sends to all of its members", function()
    local room = dewar.room()
    local client <close> = new(room)
    local members = {}
    for i = 1, 5 do members[i] = enter(client, "m" .. i) end
    assert.are.equal(5, #room)
    members[3]:send "to all"
    for i = 1, 5 do assert.are.same({ "to all", "text" }, { members[i]:receive() }) end
    assert.are.equal(5, room:send_binary "\0\255")
    for i = 1, 5 do assert.are.same({ "\0\255", "binary" }, { members[i]:receive() }) end
    for i = 1, 5 do members[i]:close() end
  end)

  it("may leave out one of them", function()
    local room = dewar.room()
    local except
    local app = dewar.app { config = { TESTING = true } }
    app:websocket("/", function(ws)
      room:join(ws)
      except = ws
      for message in ws:messages() do ws:send(tostring(room:send(message, ws))) end
    end)
    local client <close> = app:test_client()
    local a, b = client:websocket "/", client:websocket "/"
    a:send "from a"
    assert.are.equal("1", a:receive())
    assert.are.equal("from a", b:receive())
    assert.are.equal(1, room:send("x", except))
    assert.are.equal("x", a:receive())
    a:close()
    b:close()
  end)

  it("loses those who close, vanish, fail or leave", function()
    local room = dewar.room()
    local app = dewar.app()
    app:websocket("/<how>", function(ws, how)
      room:join(ws)
      assert(room:has(ws))
      ws:receive()
      if how == "leave" then
        room:leave(ws)
        room:leave(ws)
        assert(not room:has(ws))
        ws:receive()
      end
      if how == "fail" then error "boom" end
    end)
    local sink = dewar.log.sink
    dewar.log.sink = function() end
    local client <close> = app:test_client()
    for _, how in ipairs { "close", "vanish", "return", "leave", "fail" } do
      local ws = client:websocket("/" .. how)
      assert.are.equal(1, #room, how)
      if how == "close" then ws:close() elseif how == "vanish" then ws:disconnect() else ws:send "go" end
      assert.are.equal(0, #room, how)
      assert.are.equal(0, room:send "nobody")
      ws:disconnect()
    end
    dewar.log.sink = sink
  end)

  it("takes a member once, and a member several rooms", function()
    local one, other = dewar.room(), dewar.room()
    local app = dewar.app { config = { TESTING = true } }
    app:websocket("/", function(ws)
      one:join(ws)
      one:join(ws)
      other:join(ws)
      ws:receive()
    end)
    local client <close> = app:test_client()
    local ws = client:websocket "/"
    assert.are.same({ 1, 1 }, { #one, #other })
    one:send "one"
    other:send "other"
    assert.are.equal("one", ws:receive())
    assert.are.equal("other", ws:receive())
    ws:close()
    assert.are.same({ 0, 0 }, { #one, #other })
  end)

  it("shows its members in the order in which they came", function()
    local room = dewar.room()
    local client <close> = new(room)
    local sockets = {}
    for _, name in ipairs { "a", "b", "c" } do sockets[#sockets + 1] = enter(client, name) end
    local names = {}
    for member in room:members() do
      names[#names + 1] = member.view_args.name
      if member.view_args.name == "a" then sockets[2]:close() end
    end
    assert.are.same({ "a", "c" }, names)
    assert.are.equal(2, #room)
    assert.matches("^dewar.room: .*%(2 members%)$", tostring(room))
    sockets[1]:close()
    sockets[3]:close()
  end)

  it("may be forgotten while it has members", function()
    local client <close> = new(dewar.room())
    local ws = enter(client, "a")
    collectgarbage()
    collectgarbage()
    ws:close()
  end)

  it("compresses a message once for all who share the terms, and each context for itself", function()
    local text = ("the same words "):rep(100)
    for _, how in ipairs { true, false, "context" } do
      local room = dewar.room()
      local client <close> = new(room, { WEBSOCKET_COMPRESS = how })
      local a, b = enter(client, "a"), enter(client, "b")
      for _ = 1, 3 do
        assert.are.equal(2, room:send(text))
        assert.are.equal(text, (a:receive()))
        assert.are.equal(text, (b:receive()))
      end
      a:close()
      b:close()
    end
  end)

  -- A member that reads nothing: a bare connection of the client.
  local function sluggard(client)
    local connection = client:connect()
    connection:send(websocket.request "/slow")
    return connection
  end

  it("drops who is too far behind, and nobody waits for that", function()
    local room = dewar.room { backlog = 200 * 1024 }
    local client <close> = new(room)
    local quick, slow = enter(client, "quick"), sluggard(client)
    local text = ("x"):rep(32 * 1024)
    local count = 0
    while #room == 2 and count < 100 do
      count = count + 1
      room:send_binary(text)
      assert.are.equal(text, (quick:receive()))
    end
    -- What buffers on the way hold comes on top of the backlog.
    assert.is_true(count > 5 and count < 30, count)
    assert.are.equal(1, room:send "after")
    assert.are.equal("after", quick:receive())
    local bytes = slow:receive()
    local frames = websocket.frames((select(2, websocket.answer(bytes))))
    assert.are.equal("close 1013 too slow", frames[#frames])
    quick:close()
    slow:close()
  end)

  it("or lets it miss what it can't take", function()
    local room = dewar.room { backlog = 100 * 1024, slow = "skip" }
    local client <close> = new(room)
    local quick, slow = enter(client, "quick"), sluggard(client)
    local reached = {}
    for i = 1, 20 do
      reached[i] = room:send_binary(("x"):rep(32 * 1024))
      quick:receive()
    end
    assert.are.equal(2, reached[1])
    assert.are.equal(1, reached[20])
    assert.are.equal(2, #room)
    slow:receive()
    assert.are.equal(2, room:send "it is back")
    quick:receive()
    local _, text = websocket.answer("HTTP/1.1 101 x\r\n\r\n" .. slow:receive())
    assert.are.same({ "text it is back" }, (websocket.frames(text)))
    quick:close()
    slow:close()
  end)

  it("says what is wrong at the caller's line", function()
    local room = dewar.room()
    local cases = {
      { "unknown option 'backlogg'; did you mean 'backlog'?", function() dewar.room { backlogg = 1 } end },
      { "room: the option 'backlog' is a number of bytes above 0", function() dewar.room { backlog = 0 } end },
      { "room: the option 'slow' is \"close\" or \"skip\"", function() dewar.room { slow = "wait" } end },
      { "room:send takes a string; got a nil", function() room:send() end },
      { "room:send: the text is not valid UTF-8; send bytes with send_binary", function() room:send "\xff" end },
    }
    for _, case in ipairs(cases) do
      local ok, err = pcall(case[2])
      assert.is_false(ok)
      assert.matches("^spec/bindings/room_spec.lua:%d+: ", err)
      assert.are.equal(case[1], (err:gsub("^[^ ]+ ", "", 1)))
    end
    assert.has_error(function() room:join {} end)
  end)

  it("takes no one who has closed", function()
    local room = dewar.room()
    local message
    local app = dewar.app { config = { TESTING = true } }
    app:websocket("/", function(ws)
      ws:close()
      local _, err = pcall(room.join, room, ws)
      message = err
    end)
    local client <close> = app:test_client()
    client:websocket("/"):close()
    assert.matches("this websocket was closed with 1000", message)
    assert.are.equal(0, #room)
  end)
end)
