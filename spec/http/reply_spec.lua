-- Answers: HEAD, answers without a body, streams, and what a client sees of one
-- that was cut.
local dewar = require "dewar"
local clean = require "spec.support.clean"
local http = require "spec.support.http"

local app, client, gate, seen, logged

local function note(text) seen[#seen + 1] = text end

local KIB = 1024

local sink = dewar.log.sink
before_each(function()
  gate, seen, logged = dewar.event(), {}, {}
  dewar.log.sink = function(_, text) logged[#logged + 1] = text end
  app = dewar.app()
  app:get("/", function() return "next" end)
  client = app:test_client()
end)
after_each(function()
  client:close()
  dewar.log.sink = sink
end)
clean.watch(before_each, after_each)

local function exchange(bytes, opts)
  local text, state = client:send_raw(bytes, opts)
  return http.answers(text), state, text
end

local function settle()
  for _ = 1, 200 do dewar.yield() end
end

--- Whether the end of what has come was a reset.
local function was_reset(conn)
  local ok, err = pcall(conn._conn.outcome, conn._conn)
  return not ok and err.code == "ECONNRESET"
end

local function head(path, ...) return http.request("HEAD", path, { ... }) end

--- A HEAD's answer as http.answers reads it, which doesn't know the method.
local function read_head(text)
  return http.answers((text:gsub("\r\n\r\n", "\r\nX-Method: HEAD\r\n\r\n", 1)))[1]
end

describe("HEAD", function()
  it("gets the headers of GET, Content-Length included, and no body", function()
    app:get("/text", function() return "some text", 200, { ["X-More"] = "y" } end)
    local get = exchange(http.get "/text")[1]
    local text, state = client:send_raw(head "/text")
    local answer = read_head(text)
    get.headers.date, answer.headers.date = nil, nil
    assert.matches("\r\n\r\n$", text)
    get.headers["x-method"] = "HEAD"
    assert.are.same(get.headers, answer.headers)
    assert.are.equal("9", answer.headers["content-length"])
    assert.are.equal("idle", state)
  end)

  it("does not run a stream's generator", function()
    app:get("/stream", function()
      note "view"
      return coroutine.wrap(function()
        note "generator"
        coroutine.yield "x"
      end)
    end)
    local text, state = client:send_raw(head "/stream" .. http.get "/")
    assert.are.same({ "view" }, seen)
    assert.are.equal("idle", state)
    assert.are.equal("chunked", read_head(text).headers["transfer-encoding"])
    assert.matches("\r\n\r\nHTTP/1.1 200 OK\r\n.*next$", text)
  end)

  it("has the Content-Length that the stream was given", function()
    app:get("/stream", function()
      return coroutine.wrap(function() note "generator" end), 200, { ["Content-Length"] = "5" }
    end)
    local text = client:send_raw(head "/stream")
    assert.are.equal("5", read_head(text).headers["content-length"])
    assert.are.same({}, seen)
  end)

  it("gets no body of an error either", function()
    local text, state = client:send_raw(head "/nothing" .. http.get "/")
    assert.matches("^HTTP/1.1 404 ", text)
    assert.matches("\r\n\r\nHTTP/1.1 200 OK\r\n.*next$", text)
    assert.are.equal("idle", state)
  end)
end)

describe("204 and 304", function()
  it("have no body, no Content-Length and no Content-Type", function()
    app:get("/status/<int:n>", function(_, n) return "a body", n end)
    for _, status in ipairs { 204, 304 } do
      local answers, state = exchange(http.get("/status/" .. status) .. http.get "/")
      assert.are.equal(status, answers[1].status)
      assert.is_nil(answers[1].headers["content-length"])
      assert.is_nil(answers[1].headers["transfer-encoding"])
      assert.are.equal("next", answers[2].body)
      assert.are.equal("idle", state)
    end
  end)

  it("don't run a stream's generator", function()
    app:get("/stream/<int:n>", function(_, n)
      return coroutine.wrap(function() note "generator" end), n
    end)
    for _, status in ipairs { 204, 304 } do
      local answers = exchange(http.get("/stream/" .. status) .. http.get "/")
      assert.is_nil(answers[1].headers["transfer-encoding"])
      assert.are.equal("next", answers[2].body)
    end
    assert.are.same({}, seen)
  end)

  it("are the only ones: an empty body says that it is", function()
    app:get("/empty/<int:n>", function(_, n) return "", n end)
    for _, status in ipairs { 200, 201, 205, 404 } do
      local answer = exchange(http.get("/empty/" .. status))[1]
      assert.are.equal("0", answer.headers["content-length"])
    end
  end)
end)

describe("a status that is no answer", function()
  it("becomes a 500 that says so in the log", function()
    app:get("/status/<int:n>", function(_, n) return "x", n end)
    for _, status in ipairs { 100, 101, 103, 199 } do
      local answers, state = exchange(http.get("/status/" .. status) .. http.get "/")
      assert.are.equal(500, answers[1].status)
      assert.are.equal("next", answers[2].body)
      assert.are.equal("idle", state)
      assert.matches(tostring(status), table.concat(logged, "\n"))
    end
  end)
end)

describe("headers of an answer", function()
  it("never frame it: that is the server's part", function()
    app:get("/framed", function()
      return "12345", 200, { ["Content-Length"] = "3", ["Transfer-Encoding"] = "chunked" }
    end)
    local answers, state = exchange(http.get "/framed" .. http.get "/")
    assert.are.equal("5", answers[1].headers["content-length"])
    assert.is_nil(answers[1].headers["transfer-encoding"])
    assert.are.equal("next", answers[2].body)
    assert.are.equal("idle", state)
  end)
end)

describe("a stream", function()
  it("arrives piece by piece", function()
    app:get("/stream", function()
      return coroutine.wrap(function()
        coroutine.yield "one"
        gate:wait()
        coroutine.yield "two"
      end)
    end)
    local conn <close> = client:connect()
    conn._conn:send(http.get "/stream")
    assert.matches("\r\n\r\n3\r\none\r\n$", (conn._conn:read()))
    gate:set()
    assert.are.equal("3\r\ntwo\r\n0\r\n\r\n", (conn:receive()))
  end)

  it("skips empty pieces, which would end it", function()
    app:get("/stream", function()
      return coroutine.wrap(function()
        for _, piece in ipairs { "", "a", "", "", "b", "" } do coroutine.yield(piece) end
      end)
    end)
    local answers = exchange(http.get "/stream" .. http.get "/")
    assert.are.equal("ab", answers[1].body)
    assert.is_true(answers[1].whole)
    assert.are.equal("next", answers[2].body)
  end)

  it("with a Content-Length has no chunks", function()
    app:get("/stream", function()
      return coroutine.wrap(function()
        coroutine.yield "ab"
        coroutine.yield "cde"
      end), 200, { ["Content-Length"] = "5" }
    end)
    local answers = exchange(http.get "/stream" .. http.get "/")
    assert.is_nil(answers[1].headers["transfer-encoding"])
    assert.are.equal("abcde", answers[1].body)
    assert.are.equal("next", answers[2].body)
  end)

  it("waits for a client that reads slowly", function()
    local given = 0
    app:get("/stream", function()
      return coroutine.wrap(function()
        for _ = 1, 500 do
          given = given + 1
          coroutine.yield(("x"):rep(10 * KIB))
        end
      end)
    end)
    local conn <close> = client:connect()
    conn:send(http.get "/stream")
    settle()
    assert.is_true(given < 40, given .. " pieces of 10 KiB")
    local answer = http.answers((conn:receive()))[1]
    assert.are.equal(500 * 10 * KIB, #answer.body)
    assert.is_true(answer.whole)
  end)

  it("waits for it in the push form as well", function()
    local given = 0
    app:get("/stream", function()
      return dewar.stream(function(write)
        for _ = 1, 500 do
          given = given + 1
          write(("x"):rep(10 * KIB))
        end
      end)
    end)
    local conn <close> = client:connect()
    conn:send(http.get "/stream")
    settle()
    assert.is_true(given < 40, given .. " pieces of 10 KiB")
    local answer = http.answers((conn:receive()))[1]
    assert.are.equal(500 * 10 * KIB, #answer.body)
    assert.is_true(answer.whole)
  end)

  it("may be written by several tasks at once, however slow its client", function()
    app:get("/stream", function()
      return dewar.stream(function(write)
        local function writer(c)
          return function()
            for _ = 1, 100 do write(c:rep(5 * KIB)) end
          end
        end
        dewar.gather(writer "a", writer "b", writer "c")
      end)
    end)
    local conn <close> = client:connect()
    conn:send(http.get "/stream")
    settle()
    local answer = http.answers((conn:receive()))[1]
    assert.is_true(answer.whole)
    for c in ("abc"):gmatch "." do
      assert.are.equal(500 * KIB, select(2, answer.body:gsub(c, "")))
    end
  end)

  it("lets a background task's write end with it", function()
    local write_on
    app:get("/stream", function()
      return dewar.stream(function(write)
        app:add_background_task(function()
          local ok, err
          repeat ok, err = pcall(write, ("x"):rep(100 * KIB)) until not ok
          note(tostring(err):match "this stream has ended" or tostring(err))
        end)
        write_on = dewar.event()
        write_on:wait()
      end)
    end)
    local conn <close> = client:connect()
    conn:send(http.get "/stream")
    settle()
    write_on:set()
    settle()
    conn:receive()
    assert.are.same({ "this stream has ended" }, seen)
  end)

  it("may give up a write that takes too long", function()
    app:get("/stream", function()
      return dewar.stream(function(write)
        local piece = ("x"):rep(100 * KIB)
        local ok, err
        for _ = 1, 10 do
          ok, err = pcall(dewar.timeout, 0.01, write, piece)
          if not ok then break end
        end
        note(tostring(not ok and dewar.TimeoutError:is(err)))
        gate:wait()
        note "goes on"
        write "end"
      end)
    end)
    local conn <close> = client:connect()
    conn:send(http.get "/stream")
    while not seen[1] do dewar.yield() end
    local reader = dewar.spawn(conn.receive, conn)
    settle()
    assert.are.same({ "true" }, seen)
    gate:set()
    local answer = http.answers((dewar.await(reader)))[1]
    assert.are.same({ "true", "goes on" }, seen)
    assert.is_true(answer.whole)
    assert.matches("xend$", answer.body)
  end)

  it("whose client goes away after such a write is cancelled where it waits", function()
    app:get("/stream", function()
      return dewar.stream(function(write)
        for _ = 1, 10 do
          if not pcall(dewar.timeout, 0.01, write, ("x"):rep(100 * KIB)) then break end
        end
        note "waits"
        local _, err = pcall(gate.wait, gate)
        note(tostring(dewar.is_cancelled(err)))
        error(err, 0)
      end)
    end)
    local conn <close> = client:connect()
    conn:send(http.get "/stream")
    while not seen[1] do dewar.yield() end
    conn._conn:drop(true)
    conn:close()
    assert.are.same({ "waits", "true" }, seen)
  end)

  --- Pieces that a stream writes until somebody else had five turns.
  local function pieces_between(stream)
    local turns, pieces = 0, 0
    local function go_on()
      pieces = pieces + 1
      return turns < 5
    end
    app:get("/stream", function()
      dewar.spawn(function()
        for i = 1, 5 do
          dewar.yield()
          turns = i
        end
      end)
      return stream(go_on)
    end)
    assert.is_true(exchange(http.get "/stream")[1].whole)
    return pieces
  end

  it("that never waits leaves the others their turn", function()
    local pieces = pieces_between(function(go_on)
      return coroutine.wrap(function()
        while go_on() do coroutine.yield "x" end
      end)
    end)
    assert.is_true(pieces < 500, pieces .. " pieces")
  end)

  it("that never waits leaves them their turn in the push form, too", function()
    local pieces = pieces_between(function(go_on)
      return dewar.stream(function(write)
        while go_on() do write "x" end
      end)
    end)
    assert.is_true(pieces < 500, pieces .. " pieces")
  end)

  it("that never ends leaves them their turn where nobody is there to cancel it", function()
    app.config.CANCEL_ON_DISCONNECT = false
    local stop = false
    app:get("/stream", function()
      return coroutine.wrap(function()
        while not stop do coroutine.yield "x" end
        note "stopped"
      end)
    end)
    local conn <close> = client:connect()
    conn._conn:send(http.get "/stream")
    conn._conn:drop(true)
    settle()
    stop = true
    conn:close()
    assert.are.same({ "stopped" }, seen)
  end)

  it("behind pipelined answers comes in order", function()
    app:get("/stream/<int:n>", function(_, n)
      return coroutine.wrap(function()
        for i = 1, 40 do
          coroutine.yield(n .. "." .. i .. " ")
          if i % 7 == 0 then dewar.yield() end
        end
      end)
    end)
    local answers = exchange(http.get "/stream/1" .. http.get "/" .. http.get "/stream/2")
    assert.matches("^1%.1 1%.2 .* 1%.40 $", answers[1].body)
    assert.are.equal("next", answers[2].body)
    assert.matches("^2%.1 2%.2 .* 2%.40 $", answers[3].body)
  end)
end)

describe("an answer that is cut", function()
  local function fails(body, headers)
    app:get("/cut", function() return body(), 200, headers end)
  end

  local function generator(...)
    local pieces = { ... }
    return function()
      return coroutine.wrap(function()
        for _, piece in ipairs(pieces) do coroutine.yield(piece) end
        error("it broke", 0)
      end)
    end
  end

  local function is_seen_to_be_cut(request, body)
    local conn <close> = client:connect()
    conn:send((request or http.get "/cut") .. http.get "/")
    local text, state = conn:receive()
    local answers = http.answers(text)
    assert.are.equal(1, #answers)
    assert.are.equal(200, answers[1].status)
    assert.are.equal("closed", state)
    assert.are.equal(body, answers[1].body)
    return answers[1], was_reset(conn)
  end

  it("has no final chunk", function()
    fails(generator("one,", "two"))
    local answer, reset = is_seen_to_be_cut(nil, "one,two")
    assert.is_false(answer.whole)
    assert.is_false(reset)
    assert.matches("it broke", table.concat(logged))
  end)

  it("has no final chunk if it fails before its first piece", function()
    fails(generator())
    assert.is_false(is_seen_to_be_cut(nil, "").whole)
  end)

  it("has no final chunk in the push form", function()
    fails(function()
      return dewar.stream(function(write)
        write "one,"
        error("it broke", 0)
      end)
    end)
    assert.is_false(is_seen_to_be_cut(nil, "one,").whole)
  end)

  it("is shorter than its Content-Length", function()
    fails(generator("one,", "two"), { ["Content-Length"] = "10" })
    assert.is_false(is_seen_to_be_cut(nil, "one,two").whole)
  end)

  it("is shorter than its Content-Length if it just ends", function()
    fails(function()
      return coroutine.wrap(function() coroutine.yield "one" end)
    end, { ["Content-Length"] = "10" })
    assert.is_false(is_seen_to_be_cut(nil, "one").whole)
    assert.matches("shorter than its Content%-Length", table.concat(logged))
  end)

  it("never is longer than its Content-Length", function()
    fails(function()
      return coroutine.wrap(function()
        coroutine.yield "one"
        coroutine.yield "two"
      end)
    end, { ["Content-Length"] = "4" })
    assert.is_false(is_seen_to_be_cut(nil, "one").whole)
    assert.matches("longer than its Content%-Length", table.concat(logged))
  end)

  it("ends in a reset where the connection's end would complete it", function()
    fails(generator("one,", "two"))
    local conn <close> = client:connect()
    conn:send "GET /cut HTTP/1.0\r\n\r\n"
    local _, state = conn:receive()
    assert.are.equal("closed", state)
    assert.is_true(was_reset(conn))
  end)

  it("ends so, too, when its client has ended its side", function()
    app:get("/wait", function()
      return coroutine.wrap(function()
        coroutine.yield "one"
        gate:wait()
      end)
    end)
    local conn <close> = client:connect()
    conn:send "GET /wait HTTP/1.0\r\n\r\n"
    conn:shutdown()
    local _, state = conn:receive()
    assert.are.equal("closed", state)
    assert.is_true(was_reset(conn))
  end)

  it("runs the teardown with what was raised, once", function()
    app:teardown_request(function(_, err) note("teardown " .. tostring(err)) end)
    fails(generator("one"))
    is_seen_to_be_cut(nil, "one")
    assert.are.same({ "teardown it broke" }, seen)
  end)
end)
