-- Bodies in pieces, both ways: dewar.stream, trailers, and gigabytes in little
-- memory.

local caller = require "spec.support.caller"
local clean = require "spec.support.clean"
local core = require "dewar.core"
local dewar = require "dewar"
local http = require "spec.support.http"

local app, client, log, sink

before_each(function()
  log, sink = {}, dewar.log.sink
  dewar.log.sink = function(_, text) log[#log + 1] = text end
  app = dewar.app()
  client = app:test_client()
end)
after_each(function()
  client:close()
  dewar.log.sink = sink
end)
clean.watch(before_each, after_each)

local function answer(bytes)
  return http.answers((client:send_raw(bytes)))[1]
end

describe("write", function()
  it("works until the function has returned", function()
    local kept
    app:get("/", function() return dewar.stream(function(write) kept = write end) end)
    client:get "/"
    caller.refuses(function() kept "late" end, "this stream has ended")
  end)

  it("works until the function has returned, also while the request goes on", function()
    local kept, late
    app:get("/", function() return dewar.stream(function(write) kept = write end) end)
    app:teardown_request(function() late = table.pack(pcall(kept, "late")) end)
    assert.are.equal("", client:get("/").body)
    assert.is_false(late[1])
    assert.matches("this stream has ended; write works until its function returns", late[2])
  end)

  it("ends a task that goes on after the client has left, wherever it is", function()
    local function forever(write)
      while true do pcall(write, ("x"):rep(1000)) end
    end
    local ways = {
      forever,
      function(write) dewar.gather(dewar.async(forever)(write), dewar.async(forever)(write)) end,
      function(write)
        dewar.spawn(forever, write)
        dewar.sleep(100)
      end,
      function(write) dewar.shield(forever, write) end,
    }
    local torn = 0
    app:teardown_request(function(_, err) if dewar.is_cancelled(err) then torn = torn + 1 end end)
    app:get("/<int:way>", function(_, way) return dewar.stream(ways[way]) end)
    for way = 1, #ways do
      local part = client:get("/" .. way, { stream = true })
      assert.are.equal("x", part:chunks()():sub(1, 1))
      part:close()
      assert.are.equal(way, torn)
      assert.matches("went on after its cancellation had been raised 100 times", log[#log])
    end
  end)

  it("takes strings", function()
    app:get("/", function()
      return dewar.stream(function(write)
        caller.refuses(function() write {} end, "consists of strings; it gave a table")
        write "ok"
      end)
    end)
    assert.are.equal("ok", client:get("/").body)
  end)

  it("gathers the pieces of a turn, and holds none back longer", function()
    local gate = dewar.event()
    app:get("/", function()
      return dewar.stream(function(write)
        for i = 1, 5 do write(tostring(i)) end
        gate:wait()
        write "6"
      end)
    end)
    local pieces = client:get("/", { stream = true }):chunks()
    assert.are.equal("12345", pieces())
    gate:set()
    assert.are.equal("6", pieces())
    assert.is_nil(pieces())
  end)
end)

describe("what a stream's function returns", function()
  it("is nothing, or trailers", function()
    app:get("/", function() return dewar.stream(function(write) return write "a" or "b" end) end)
    local cut = answer(http.get "/")
    assert.is_false(cut.whole)
    assert.matches("the function of a stream returned a string", table.concat(log))
  end)
end)

describe("trailers of an answer", function()
  local function stream(trailers, wrap)
    local function fn(write)
      write "body"
      return trailers
    end
    app:get("/", function() return dewar.stream(wrap and wrap(fn) or fn) end)
  end

  it("come behind the last chunk for a client that wants them", function()
    stream { ["X-Checksum"] = "abc", ["X-Two"] = { "1", "2" } }
    for _, te in ipairs { "trailers", "gzip, trailers", "TRAILERS" } do
      local text = client:send_raw(http.get("/", "TE: " .. te))
      local tail = text:match "\r\n\r\n4\r\nbody\r\n0\r\n(.*)\r\n$"
      assert.matches("X%-Checksum: abc\r\n", tail)
      assert.matches("X%-Two: 1\r\nX%-Two: 2\r\n", tail)
    end
  end)

  it("are left out for others", function()
    stream { ["X-Checksum"] = "abc" }
    for _, lines in ipairs { {}, { "TE: gzip" }, { "TE: nontrailers" } } do
      local text = client:send_raw(http.get("/", table.unpack(lines)))
      assert.matches("\r\n\r\n4\r\nbody\r\n0\r\n\r\n$", text)
    end
    local text = client:send_raw "GET / HTTP/1.0\r\nTE: trailers\r\n\r\n"
    assert.matches("\r\n\r\nbody$", text)
  end)

  it("are for the client to read", function()
    stream { ["X-Checksum"] = "abc" }
    local res = client:get("/", { headers = { TE = "trailers" } })
    assert.are.equal("abc", res.trailers.x_checksum)
    assert.is_nil(client:get("/").trailers.x_checksum)
    local part = client:get("/", { headers = { TE = "trailers" }, stream = true })
    assert.is_nil(part.trailers)
    for _ in part:chunks() do assert.is_nil(part.trailers) end
    assert.are.equal("abc", part.trailers.x_checksum)
  end)

  it("come behind a compressed body as well", function()
    if not require("dewar.core").crypto.can_deflate then return pending "this Dewar was built without zlib" end
    stream { ["X-Checksum"] = "abc" }
    local res = client:get("/", { headers = { TE = "trailers", ["Accept-Encoding"] = "gzip" } })
    assert.are.equal("gzip", res.headers.content_encoding)
    assert.are.equal("abc", res.trailers.x_checksum)
  end)

  it("may be given by an async function", function()
    stream({ ["X-Checksum"] = "abc" }, dewar.async)
    assert.are.equal("abc", client:get("/", { headers = { TE = "trailers" } }).trailers.x_checksum)
  end)

  it("can be nothing that a message is read by", function()
    for _, name in ipairs { "Content-Length", "transfer-encoding", "Set-Cookie", "If-Match", "Host" } do
      local other = dewar.app()
      other:get("/", function()
        return dewar.stream(function(write)
          write "body"
          return { [name] = "1" }
        end)
      end)
      local c <close> = other:test_client()
      assert.is_false(http.answers((c:send_raw(http.get "/")))[1].whole)
      assert.matches(name:gsub("%p", "%%%0") .. " can't be a trailer", log[#log])
    end
  end)

  it("can have no line breaks", function()
    stream { ["X-Checksum"] = "a\nb" }
    assert.is_false(answer(http.get("/", "TE: trailers")).whole)
  end)
end)

describe("trailers of a request", function()
  local BODY = "2\r\nhi\r\n0\r\nX-Checksum: abc\r\nX-Two: 1\r\nX-Two: 2\r\n\r\n"

  local function send(split)
    local text = client:send_raw(http.request("POST", "/", { "Transfer-Encoding: chunked" }, BODY),
      { split = split })
    return http.answers(text)[1]
  end

  it("are there once the body was read", function()
    app:post("/", function(req)
      local ok, err = pcall(function() return req.trailers end)
      assert(not ok and err:find "the trailers come behind the body; read that first", err)
      for _ in req:chunks() do end
      return { req.trailers.x_checksum, req.trailers.x_two, #req.trailers "X-Two" }
    end)
    for _, split in ipairs { 1, 7, 1000 } do
      assert.are.equal('["abc","1, 2",2]\n', send(split).body)
    end
  end)

  it("are none where there are none", function()
    app:post("/", function(req)
      req:body()
      return tostring(req.trailers.x_checksum)
    end)
    assert.are.equal("nil", client:post("/", { body = "x" }).body)
  end)
end)

describe("gigabytes", function()
  local PIECE, COUNT = ("x"):rep(256 * 1024), 8192

  --- Whether Dewar and Lua hold little at the moment; Lua's garbage isn't counted.
  local peak
  local function sample(i, base)
    if i % 256 > 0 then return end
    collectgarbage()
    peak = math.max(peak, core.debug_counts().memory - base)
  end

  before_each(function()
    peak = 0
    collectgarbage "stop" -- it goes by what is held, and samples collect
  end)
  after_each(function() collectgarbage "restart" end)

  it("go to a slow reader in little memory", function()
    local written = 0
    app:get("/", function()
      return dewar.stream(function(write)
        for i = 1, COUNT do
          write(PIECE)
          written = i
        end
      end)
    end)
    local part = client:get("/", { stream = true })
    for _ = 1, 200 do dewar.yield() end
    assert.is_true(written < 20, "the writer has waited")
    local base = clean.counts().memory
    local bytes, chunks = 0, 0
    for chunk in part:chunks() do
      bytes, chunks = bytes + #chunk, chunks + 1
      sample(chunks, base)
    end
    assert.are.equal(#PIECE * COUNT, bytes)
    assert.is_true(peak < 8 * 1024 * 1024, ("%d bytes more"):format(peak))
  end)

  it("come to a slow view in little memory", function()
    local sent, ahead = 0, 0
    app:post("/", function(req)
      req.max_content_length = 1 << 40
      local bytes, n = 0, 0
      local base = clean.counts().memory
      for chunk in req:chunks() do
        bytes, n = bytes + #chunk, n + 1
        if n % 100 == 0 then for _ = 1, 5 do dewar.yield() end end
        ahead = math.max(ahead, sent * #PIECE - bytes)
        sample(n, base)
      end
      return tostring(bytes)
    end)
    local res = client:post("/", { body = function()
      if sent == COUNT then return nil end
      sent = sent + 1
      return PIECE
    end })
    assert.are.equal(tostring(#PIECE * COUNT), res.body)
    assert.is_true(ahead < 4 * 1024 * 1024, ("%d bytes ahead"):format(ahead))
    assert.is_true(peak < 8 * 1024 * 1024, ("%d bytes more"):format(peak))
  end)
end)
