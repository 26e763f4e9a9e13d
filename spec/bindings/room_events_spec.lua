-- Rooms: event streams as members.
local caller = require "spec.support.caller"
local clean = require "spec.support.clean"
local core = require "dewar.core"
local dewar = require "dewar"

describe("an event stream in a room", function()
  local app, client, room
  before_each(function()
    app = dewar.app { config = { TESTING = true } }
    client = app:test_client()
    room = dewar.room()
  end)
  after_each(function() client:close() end)
  clean.watch(before_each, after_each)

  --- Opens one; what gives its events.
  local function open(path, headers)
    local part = client:get(path or "/", { stream = true, headers = headers })
    return part, part:events()
  end

  --- Lets what is due happen.
  local function turn()
    for _ = 1, 5 do dewar.sleep(0) end
  end

  local function serve_room(opts)
    app:get("/", function() return dewar.sse(room, opts) end)
  end

  it("gets what is sent to the room, and goes on until its client has enough", function()
    serve_room()
    local parts, events = {}, {}
    for i = 1, 3 do parts[i], events[i] = open() end
    assert.are.equal(3, #room)
    assert.are.equal(3, room:send "hello\nall")
    assert.are.equal(3, room:send { event = "score", data = { 1, 2 }, id = 7 })
    for i = 1, 3 do
      assert.are.same({ event = "message", data = "hello\nall" }, events[i]())
      assert.are.same({ event = "score", data = "[1,2]", id = "7" }, events[i]())
    end
    parts[2]:close()
    assert.are.equal(2, #room)
    assert.are.equal(2, room:send(42))
    assert.are.equal("42", events[3]().data)
    parts[1]:close()
    parts[3]:close()
    assert.are.equal(0, #room)
  end)

  it("is in the list of tasks, though it has no coroutine meanwhile", function()
    serve_room()
    local part = open()
    turn()
    local found
    for _, task in ipairs(dewar.tasks()) do
      if task.request == "GET /" then found = task end
    end
    assert.are.same({ "room", "running" }, { found.wait, found.status })
    assert.is_nil(found.where)
    part:close()
  end)

  it("lets its view, its hooks and its own cleanup wait, as ever", function()
    local log = {}
    app:get("/", function(req)
      req.g.name = "ada"
      dewar.sleep(0.001)
      return dewar.sse(setmetatable({}, {
        __call = function(_, send)
          dewar.sleep(0.001)
          room:join(send)
        end,
        __close = function()
          dewar.sleep(0.001)
          log[#log + 1] = "closed"
        end,
      }))
    end)
    app:teardown_request(function(req)
      dewar.sleep(0.001)
      log[#log + 1] = req.g.name
    end)
    local parts = {}
    for i = 1, 20 do parts[i] = open() end
    while #room < 20 do dewar.sleep(0.001) end
    assert.are.equal(20, room:send "x")
    for i = 1, 20 do
      assert.are.equal("data: x\n\n", parts[i]:chunks()())
      parts[i]:close()
    end
    assert.are.equal(40, #log)
    assert.are.same({ "closed", "ada" }, { log[39], log[40] })
  end)

  it("leaves tasks that its function has started to its end", function()
    local log = {}
    app:get("/", function()
      return dewar.sse(function(send)
        dewar.spawn(function()
          local _ <close> = setmetatable({}, { __close = function() log[#log + 1] = "ended" end })
          for i = 1, math.huge do
            send("tick " .. i)
            dewar.sleep(0.001)
          end
        end)
        room:join(send)
      end)
    end)
    local part, events = open()
    for i = 1, 3 do assert.are.equal("tick " .. i, events().data) end
    assert.are.same({}, log)
    part:close()
    assert.are.same({ "ended" }, log)
  end)

  it("may have had events of its own before", function()
    app:get("/", function()
      return dewar.sse(function(send)
        send { data = "welcome", retry = 2 }
        room:join(send)
        room:join(send)
        room:send("somebody came", send)
      end)
    end)
    local one, first = open()
    assert.are.equal("welcome", first().data)
    local two, second = open()
    assert.are.equal("welcome", second().data)
    assert.are.equal("somebody came", first().data)
    assert.are.equal(2, room:send "both")
    assert.are.equal("both", first().data)
    assert.are.equal("both", second().data)
    one:close()
    two:close()
  end)

  it("ends when it has left all rooms", function()
    local other, kept = dewar.room(), nil
    app:get("/", function()
      return dewar.sse(function(send)
        kept = send
        room:join(send)
        other:join(send)
      end)
    end)
    local _, events = open()
    turn()
    assert.are.same({ true, true }, { room:has(kept), other:has(kept) })
    room:leave(kept)
    room:leave(kept)
    assert.are.same({ false, true }, { room:has(kept), other:has(kept) })
    assert.are.equal(1, other:send "still there")
    other:leave(kept)
    assert.are.equal("still there", events().data)
    assert.is_nil(events())
    assert.is_false(other:has(kept))
    caller.refuses(function() room:join(kept) end, "this stream has ended; it can't join a room")
    room:leave(kept)
    assert.are.equal(0, #room)
  end)

  it("that ends by itself leaves", function()
    app:get("/", function()
      return dewar.sse(coroutine.wrap(function(send)
        room:join(send)
        assert(room:has(send))
        room:leave(send)
        coroutine.yield "only this"
      end))
    end)
    local _, events = open()
    assert.are.equal("only this", events().data)
    assert.is_nil(events())
    assert.are.equal(0, #room)
  end)

  it("that fails leaves, too", function()
    app:get("/", function()
      return dewar.sse(function(send)
        room:join(send)
        error "boom"
      end)
    end)
    assert.has_error(function()
      for _ in client:get("/", { stream = true }):events() do assert(false) end
    end)
    assert.are.equal(0, #room)
  end)

  it("is closed behind its generator, when that is done and the client has gone", function()
    local log = {}
    app:get("/", function()
      return dewar.sse(setmetatable({}, {
        __call = function(_, send) room:join(send) end,
        __close = function() log[#log + 1] = "closed, " .. #room end,
      }))
    end)
    app:teardown_request(function(_, err) log[#log + 1] = tostring(dewar.is_cancelled(err)) end)
    local part = open()
    turn()
    part:close()
    assert.are.same({ "closed, 0", "true" }, log)
  end)

  it("shows its request, and is told apart by it", function()
    app:get("/<name>", function(req, name)
      req.g.name = name
      return dewar.sse(function(send) room:join(send) end)
    end)
    local parts = {}
    for i, name in ipairs { "ada", "bob", "eve" } do parts[i] = open("/" .. name) end
    local names = {}
    for member in room:members() do
      names[#names + 1] = member.request.g.name
      if #names == 1 then parts[2]:close() end
    end
    assert.are.same({ "ada", "eve" }, names)
    parts[1]:close()
    parts[3]:close()
  end)

  it("is one of an HTTP/1.0 client, or compressed, as well", function()
    if not require("dewar.core").crypto.can_deflate then return pending "this Dewar was built without zlib" end
    serve_room()
    local old = client:connect()
    old:send "GET / HTTP/1.0\r\n\r\n"
    turn()
    local packed = client:get("/", { stream = true, headers = { ["Accept-Encoding"] = "gzip" } })
    local _, plain = open()
    assert.are.equal("gzip", packed.headers.content_encoding)
    assert.are.equal(3, room:send "the same")
    assert.are.equal("the same", plain().data)
    assert.is_true(#packed:chunks()() > 10)
    for member in room:members() do room:leave(member) end
    assert.is_nil(plain())
    local got, state = old:receive()
    assert.are.equal("closed", state)
    assert.matches("\r\n\r\ndata: the same\n\n$", got)
    old:close()
    packed:close()
  end)

  it("gets no bytes, which events can't carry", function()
    serve_room()
    local part = open()
    assert.are.equal(0, room:send_binary "\0\255")
    assert.are.equal(1, #room)
    part:close()
  end)

  it("is not ended by a room that nobody has any more, but by its leaving", function()
    app:get("/", function()
      return dewar.sse(dewar.room())
    end)
    local _, events = open()
    turn()
    collectgarbage()
    collectgarbage()
    assert.is_nil(events())
  end)

  it("is sent to while all of it is under way in one turn", function()
    serve_room()
    local part, events = open()
    turn()
    for i = 1, 100 do assert.are.equal(1, room:send(i)) end
    for i = 1, 100 do assert.are.equal(tostring(i), events().data) end
    part:close()
  end)

  describe("which reads too slowly", function()
    --- An answer that nobody reads yet.
    local function sluggard()
      local part = client:get("/", { stream = true })
      turn()
      return part
    end

    it("is cut, and nobody waits for that", function()
      room = dewar.room { backlog = 200 * 1024 }
      serve_room()
      local part, events = open()
      local slow = sluggard()
      assert.are.equal(2, #room)
      local text, count = ("x"):rep(32 * 1024), 0
      while #room == 2 and count < 100 do
        count = count + 1
        room:send(text)
        assert.are.equal(text, events().data)
      end
      assert.is_true(count > 5 and count < 30, count)
      assert.are.equal(1, room:send "after")
      assert.are.equal("after", events().data)
      turn()
      assert.has_error(function()
        for chunk in slow:chunks() do assert.matches("^data: x+\n\n$", chunk) end
      end)
      slow:close()
      part:close()
    end)

    it("misses events where the room skips", function()
      room = dewar.room { backlog = 100 * 1024, slow = "skip" }
      serve_room()
      local slow = sluggard()
      local reached = {}
      for i = 1, 20 do reached[i] = room:send(("x"):rep(32 * 1024)) end
      assert.are.same({ 1, 0, 1 }, { reached[1], reached[20], #room })
      local events = slow:events()
      for i = 1, 20 do
        if reached[i] == 1 then assert.are.equal(32 * 1024, #events().data) end
      end
      assert.are.equal(1, room:send "it is back")
      assert.are.equal("it is back", events().data)
      slow:close()
    end)

    it("may be dropped by what it sends itself", function()
      room = dewar.room { backlog = 1024 }
      local ended
      app:get("/", function()
        return dewar.sse(function(send)
          room:join(send)
          for _ = 1, 100 do room:send(("x"):rep(64 * 1024)) end
          ended = #room
          dewar.sleep(100)
        end)
      end)
      local slow = sluggard()
      turn()
      assert.are.equal(0, ended)
      assert.are.equal(0, #room)
      slow:close()
    end)

    it("may be an iterator that waits to be read, which goes on in a later turn", function()
      room = dewar.room { backlog = 1024 }
      local closed
      app:get("/", function()
        return dewar.sse(setmetatable({}, {
          __call = function(_, send)
            room:join(send)
            return ("x"):rep(64 * 1024)
          end,
          __close = function() closed = true end,
        }))
      end)
      local slow = sluggard()
      assert.are.equal(1, #room)
      assert.are.equal(0, room:send "too much")
      assert.is_nil(closed)
      turn()
      assert.is_true(closed)
      slow:close()
    end)
  end)

  it("stays with CANCEL_ON_DISCONNECT = false until the next message", function()
    app.config.CANCEL_ON_DISCONNECT = false
    serve_room()
    local part = open()
    turn()
    local closer = dewar.spawn(function() part:close() end)
    turn()
    assert.are.equal(1, #room)
    assert.are.equal(0, room:send "hello?")
    assert.are.equal(0, #room)
    dewar.await(closer)
  end)

  it("gets heartbeats, too, when nothing is sent", function()
    serve_room { heartbeat = 0.01 }
    local part = client:get("/", { stream = true })
    local chunks = part:chunks()
    assert.are.equal(":\n\n", chunks())
    room:send "x"
    local got
    repeat got = chunks() until got ~= ":\n\n"
    assert.are.equal("data: x\n\n", got)
    part:close()
  end)

  it("is refused at the caller's line where it is none, and so are events", function()
    caller.refuses(function() room:join {} end,
      "the member of a room is a websocket, or the send of an event stream; got a table")
    caller.refuses(function() room:leave(print) end, "got a function")
    caller.refuses(function() room:send {} end, "an empty event can't be sent")
    caller.refuses(function() room:send { evnt = 1 } end, "did you mean 'event'")
    caller.refuses(function() room:send { data = "x", id = "\n" } end, "room:send: the id is one line")
    caller.refuses(function() room:send { data = "\xff" } end, "room:send: the data is not valid UTF%-8")
  end)

  it("gives its memory back", function()
    serve_room { heartbeat = 5 }
    clean.keeps_memory(function()
      local part, events = open()
      room:send { event = "x", data = ("y"):rep(1000) }
      events()
      part:close()
    end)
  end)

  if not core.websocket_codec then return end

  it("may be among websockets, which get the data", function()
    serve_room()
    app:websocket("/ws", function(ws)
      room:join(ws)
      for message in ws:messages() do room:send(message, ws) end
    end)
    local part, events = open()
    local ws <close> = client:websocket "/ws"
    ws:send "from one to the other"
    assert.are.equal("from one to the other", events().data)
    assert.are.equal(2, room:send { event = "score", data = { home = 1 }, id = 1 })
    assert.are.equal('{"home":1}', ws:receive())
    assert.are.equal("score", events().event)
    assert.are.equal(1, room:send { retry = 3 })
    assert.are.equal(1, room:send_binary "\0")
    assert.are.same({ "\0", "binary" }, { ws:receive() })
    part:close()
    ws:close()
  end)
end)
