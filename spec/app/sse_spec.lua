-- Server-sent events: dewar.sse, req.last_event_id, and the client's events().

local caller = require "spec.support.caller"
local clean = require "spec.support.clean"
local dewar = require "dewar"

local app, client, log

before_each(function()
  log = {}
  app = dewar.app { config = { TESTING = true } }
  client = app:test_client()
end)
after_each(function() client:close() end)
clean.watch(before_each, after_each)

--- What a view's events are as bytes.
local function bytes(source, opts)
  app:get("/", function() return dewar.sse(source, opts) end)
  return client:get("/").body
end

--- The messages of what sending these events raises.
local function refusals(events)
  local messages = {}
  bytes(function(send)
    for i, event in ipairs(events) do
      local ok, err = pcall(send, event)
      messages[i] = not ok and err or "it was sent"
    end
  end)
  return messages
end

describe("an event", function()
  it("has a name, data, an id and a time to come again, in seconds", function()
    assert.are.equal("event: tick\ndata: 1\nid: 7\nretry: 5000\n\n", bytes(function(send)
      send { event = "tick", data = "1", id = 7, retry = 5 }
    end))
  end)

  it("may be a text, or a number", function()
    assert.are.equal("data: hello\n\ndata: 42\n\n", bytes(function(send)
      send "hello"
      send(42)
    end))
  end)

  it("has a line of data for each line of the text, however that ends", function()
    assert.are.equal("data: a\ndata: b\ndata: c\ndata: \ndata: d\ndata: \n\n", bytes(function(send)
      send "a\nb\r\nc\r\rd\n"
    end))
  end)

  it("has empty data where it has a name only, as browsers drop one without data", function()
    assert.are.equal("event: ping\ndata: \n\ndata: \n\n", bytes(function(send)
      send { event = "ping" }
      send ""
    end))
  end)

  it("has what is no text as JSON", function()
    assert.are.equal('data: {"a":[1,2],"b":"x\\ny"}\n\ndata: true\n\n', bytes(function(send)
      send { data = { a = { 1, 2 }, b = "x\ny" } }
      send { data = true }
    end))
  end)

  it("may say only what the client should remember", function()
    assert.are.equal("id: \n\nretry: 1500\n\n", bytes(function(send)
      send { id = "" }
      send { retry = 1.5 }
    end))
  end)

  it("is refused where it would break the stream", function()
    local events = { { event = "\xff" } }
    for _, bad in ipairs { "a\nb", "a\rb", "a\0b" } do
      events[#events + 1] = { event = bad }
      events[#events + 1] = { data = "x", id = bad }
    end
    for i, message in ipairs(refusals(events)) do
      assert.matches(("the %s is one line of UTF%%-8"):format(events[i].id and "id" or "event"), message)
    end
  end)

  it("is refused where it is none", function()
    local messages = refusals {
      {}, { evnt = "x" }, true, { id = {} }, { retry = -1 }, { retry = "soon" },
      { retry = math.huge }, { data = { print } }, "\xff",
    }
    for i, pattern in ipairs {
      "an empty event can't be sent", "unknown option 'evnt'; did you mean 'event'",
      "an event is a string, or a table .* got a boolean", "the id is a string; got a table",
      "retry: the time must be 0 or more", "retry: the time must be a number",
      "retry is a number of seconds that a client can wait", "cannot encode",
      "data is not valid UTF%-8",
    } do
      assert.matches(pattern, messages[i])
    end
  end)

  it("is refused at the line that sends it", function()
    bytes(function(send)
      caller.refuses(function() send { data = "x", id = "\n" } end, "one line")
    end)
  end)
end)

describe("a comment", function()
  it("is what clients ignore", function()
    assert.are.equal(": hi\n\n: a\n: b\n\n", bytes(function(send)
      send.comment "hi"
      send:comment "a\nb"
    end))
  end)

  it("is a text", function()
    bytes(function(send)
      caller.refuses(function() send.comment {} end, "send.comment takes a string; got a table")
      caller.refuses(function() send.comment "\xff" end, "not valid UTF%-8")
      caller.refuses(function() return send.coment end, "no field 'coment'; there are send.comment and send.request")
    end)
  end)
end)

describe("the answer", function()
  it("says what it is, and that nobody may keep it or hold it back", function()
    app:get("/", function() return dewar.sse(function() end) end)
    local res = client:get "/"
    assert.are.equal("text/event-stream; charset=utf-8", res.headers.content_type)
    assert.are.equal("no-cache", res.headers.cache_control)
    assert.are.equal("no", res.headers.x_accel_buffering)
    assert.is_nil(res.headers.content_length)
  end)

  it("may have a status and headers of its own", function()
    app:get("/", function() return dewar.sse(function() end), 203, { ["X-Own"] = "yes" } end)
    local res = client:get "/"
    assert.are.equal(203, res.status)
    assert.are.equal("yes", res.headers.x_own)
    assert.are.equal("text/event-stream; charset=utf-8", res.headers.content_type)
  end)

  it("to HEAD doesn't run the function", function()
    app:get("/", function() return dewar.sse(function() log[#log + 1] = "run" end) end)
    assert.are.equal(200, client:head("/").status)
    assert.are.same({}, log)
  end)

  it("may be the same for several requests", function()
    local shared = dewar.sse(function(send)
      send "a"
      dewar.yield()
      send "b"
    end)
    app:get("/", function() return shared end)
    local one, two = dewar.gather(function() return client:get "/" end, function() return client:get "/" end)
    assert.are.equal("data: a\n\ndata: b\n\n", one.body)
    assert.are.equal(one.body, two.body)
  end)

  it("begins at once, though its view has waited and no event is there yet", function()
    local gate = dewar.event()
    app:get("/", function()
      dewar.sleep(0)
      return dewar.sse(function(send)
        gate:wait()
        send "late"
      end)
    end)
    local part = client:get("/", { stream = true })
    assert.are.equal(200, part.status)
    gate:set()
    assert.are.equal("data: late\n\n", part:chunks()())
    part:close()
  end)

  it("goes out event by event", function()
    local gate = dewar.event()
    app:get("/", function()
      return dewar.sse(function(send)
        send "first"
        gate:wait()
        send "second"
      end)
    end)
    local part = client:get("/", { stream = true })
    local chunks = part:chunks()
    assert.are.equal("data: first\n\n", chunks())
    gate:set()
    assert.are.equal("data: second\n\n", chunks())
    assert.is_nil(chunks())
  end)
end)

describe("a compressed answer", function()
  it("goes out event by event, too", function()
    if not require("dewar.core").crypto.can_deflate then return pending "this Dewar was built without zlib" end
    local gate = dewar.event()
    app:get("/", function()
      return dewar.sse(function(send)
        send "first"
        gate:wait()
        send "second"
      end)
    end)
    local part = client:get("/", { stream = true, headers = { ["Accept-Encoding"] = "gzip" } })
    assert.are.equal("gzip", part.headers.content_encoding)
    local chunks = part:chunks()
    local first = chunks()
    assert.are.equal("\x1f\x8b", first:sub(1, 2))
    assert.is_true(#first > 18, "more than a head")
    gate:set()
    local rest = {}
    for chunk in chunks do rest[#rest + 1] = chunk end
    local path = os.tmpname()
    local file <close> = assert(io.open(path, "wb"))
    file:write(first, table.concat(rest))
    file:flush()
    local pipe <close> = assert(io.popen("gzip -dc <" .. path))
    assert.are.equal("data: first\n\ndata: second\n\n", pipe:read "a")
    os.remove(path)
  end)
end)

describe("a source", function()
  it("may be an iterator of events", function()
    local i = 0
    assert.are.equal("data: 1\n\nid: 2\n\ndata: 3\n\n", bytes(function()
      i = i + 1
      if i == 2 then return { id = 2 } end
      if i < 4 then return tostring(i) end
    end))
  end)

  it("may be a generator, which waits, and is closed", function()
    assert.are.equal("data: 1\n\ndata: 2\n\n", bytes(coroutine.wrap(function()
      local _ <close> = setmetatable({}, { __close = function() log[#log + 1] = "closed" end })
      for i = 1, 2 do
        dewar.sleep(0.001)
        coroutine.yield { data = i }
      end
    end)))
    assert.are.same({ "closed" }, log)
  end)

  it("may be an async function", function()
    assert.are.equal("data: x\n\n", bytes(dewar.async(function(send)
      dewar.sleep(0.001)
      send "x"
    end)))
  end)

  it("may be an object that can be called, which is closed", function()
    assert.are.equal("data: x\n\n", bytes(setmetatable({}, {
      __call = function(_, send) send "x" end,
      __close = function() log[#log + 1] = "closed" end,
    })))
    assert.are.same({ "closed" }, log)
  end)

  it("that gives something else cuts the stream", function()
    app:get("/", function() return dewar.sse(function() return true end) end)
    assert.has_error(function() client:get "/" end)
  end)

  it("is checked, and so are the options", function()
    caller.refuses(function() dewar.sse "text" end, "or a room; got a string")
    caller.refuses(function() dewar.sse(print, { hartbeat = 1 }) end, "did you mean 'heartbeat'")
    for _, bad in ipairs { 0, -1, 0 / 0, math.huge } do
      caller.refuses(function() dewar.sse(print, { heartbeat = bad }) end, "number of seconds above 0")
    end
    caller.refuses(function() dewar.sse(print, { heartbeat = "1" }) end, "above 0; got a string")
  end)
end)

describe("send", function()
  it("works until the stream has ended", function()
    local kept
    bytes(function(send) kept = send end)
    caller.refuses(function() kept "late" end, "this stream has ended")
  end)

  it("may be used by tasks of the request", function()
    assert.are.equal("data: a\n\ndata: b\n\n", bytes(function(send)
      dewar.gather(function() send "a" end, function()
        dewar.yield()
        send "b"
      end)
    end))
  end)
end)

describe("a client that goes away", function()
  before_each(function()
    app:teardown_request(function(_, err) log[#log + 1] = "teardown " .. tostring(dewar.is_cancelled(err)) end)
  end)

  local function leaves(source)
    app:get("/", function() return dewar.sse(source, { heartbeat = 10 }) end)
    local part = client:get("/", { stream = true })
    assert.are.equal("data: hi\n\n", part:chunks()())
    part:close()
  end

  it("ends one that waits for something else", function()
    local queue = dewar.queue()
    leaves(function(send)
      local _ <close> = setmetatable({}, {
        __close = function(_, err) log[#log + 1] = "closed " .. tostring(dewar.is_cancelled(err)) end,
      })
      send "hi"
      queue:get()
    end)
    assert.are.same({ "closed true", "teardown true" }, log)
  end)

  it("ends one that sends on", function()
    leaves(function(send)
      while true do
        send "hi"
        dewar.sleep(0.001)
      end
    end)
    assert.are.same({ "teardown true" }, log)
  end)

  it("ends one that doesn't want to know", function()
    local sink, said = dewar.log.sink, nil
    dewar.log.sink = function(_, text) said = text end
    leaves(function(send)
      while true do
        pcall(function()
          send "hi"
          dewar.sleep(0.001)
        end)
      end
    end)
    dewar.log.sink = sink
    assert.matches("went on after its cancellation had been raised 100 times", said)
    assert.are.same({ "teardown true" }, log)
  end)

  it("ends one that iterates", function()
    leaves(coroutine.wrap(function()
      while true do
        coroutine.yield "hi"
        dewar.sleep(0.001)
      end
    end))
    assert.are.same({ "teardown true" }, log)
  end)

  it("is an error for a task of somebody else that writes to it", function()
    local kept, gone = nil, dewar.event()
    app:get("/", function()
      return dewar.sse(function(send)
        kept = send
        send "hi"
        pcall(dewar.sleep, 100)
        dewar.shield(function() gone:wait() end)
      end)
    end)
    local part = client:get("/", { stream = true })
    part:chunks()()
    local closer = dewar.spawn(function() part:close() end)
    dewar.sleep(0.005)
    local outcome = table.pack(pcall(kept, "late"))
    gone:set()
    dewar.await(closer)
    assert.is_false(outcome[1])
    assert.is_false(dewar.is_cancelled(outcome[2]))
    assert.are.equal("ECLOSED", outcome[2].code)
  end)
end)

describe("the client's events", function()
  it("are what a browser would see", function()
    app:get("/", function()
      return coroutine.wrap(function()
        coroutine.yield "\u{feff}: hi\nevent: tick\r\nid: 7\rdata:1\ndata:  2\nretry: 2500\n\n"
        local rest = "data\n\nid: 8\n\nnothing: x\n\nretry: x\ndata: \r\n\r\n"
          .. "id: a\0b\ndata: z\n\ndata: lost\n"
        for c in rest:gmatch "." do coroutine.yield(c) end
      end), { ["Content-Type"] = "text/event-stream" }
    end)
    local part, got = client:get("/", { stream = true }), {}
    for event in part:events() do got[#got + 1] = event end
    assert.are.same({
      { event = "tick", id = "7", data = "1\n 2", retry = 2.5 },
      { event = "message", data = "" },
      { event = "message", data = "" },
      { event = "message", data = "z" },
    }, got)
  end)

  it("come as they are sent", function()
    app:get("/", function()
      return dewar.sse(function(send)
        for i = 1, 3 do
          send { event = "tick", data = { i }, id = i }
          dewar.sleep(0.001)
        end
      end)
    end)
    local part, ids = client:get("/", { stream = true }), {}
    for event in part:events() do ids[#ids + 1] = event.id .. event.data end
    assert.are.same({ "1[1]", "2[2]", "3[3]" }, ids)
  end)

  it("are refused of another answer", function()
    app:get("/", function() return "text" end)
    local part = client:get("/", { stream = true })
    caller.refuses(function() part:events() end, "this answer has no events: it is text/html")
    part:close()
  end)
end)

describe("Last-Event-ID", function()
  it("is what a client has got before", function()
    app:get("/", function(req) return tostring(req.last_event_id) end)
    assert.are.equal("nil", client:get("/").body)
    assert.are.equal("7", client:get("/", { headers = { ["Last-Event-ID"] = "7" } }).body)
  end)
end)

describe("memory", function()
  it("is given back", function()
    app:get("/", function()
      return dewar.sse(function(send)
        send "hi"
        dewar.sleep(100)
      end, { heartbeat = 5 })
    end)
    clean.keeps_memory(function()
      local part = client:get("/", { stream = true })
      part:chunks()()
      part:close()
    end)
  end)
end)
