-- examples/proxy: what passes, what doesn't, and how it ends.
local dewar = require "dewar"
local clean = require "spec.support.clean"
local core = require "dewar.core"
local example = require "spec.support.example"

local app, forget, client, server, logged
local sink = dewar.log.sink

before_each(function()
  logged = {}
  dewar.log.sink = function(_, text) logged[#logged + 1] = text end
  app, forget = example.load "proxy/app.lua"
  client = app:test_client()
end)
after_each(function()
  client:close()
  if server then server.close() end
  server = nil
  forget()
  dewar.log.sink = sink
end)
clean.watch(before_each, after_each)

--- The upstream: each connection is answered by f(conn), and closed.
local function serve(f)
  local listener = dewar.tcp.listen("127.0.0.1", 0)
  app.config.UPSTREAM = "127.0.0.1:" .. listener.port
  local task = dewar.spawn(function()
    for conn in listener:connections() do
      dewar.spawn(function()
        pcall(f, conn)
        conn:close()
      end)
    end
  end)
  server = { close = function()
    listener:close()
    task:cancel()
    pcall(dewar.await, task)
  end }
end

local function head_of(conn) return conn:read_until("\r\n\r\n", 1 << 20) end

--- An upstream that says just this.
local function answers(bytes)
  serve(function(conn)
    head_of(conn)
    conn:write(bytes)
  end)
end

--- The head that came behind.
local function forwarded(method, path, options)
  local head
  serve(function(conn)
    head = head_of(conn)
    conn:write "HTTP/1.1 204 No Content\r\n\r\n"
  end)
  assert.are.equal(204, client:request(method, path, options).status)
  server.close()
  return head .. "\r\n"
end

describe("a request", function()
  it("goes on with its target as it was sent", function()
    for _, target in ipairs { "/", "/a%2Fb//c/../d?x=%20y&x", "/caf%C3%A9" } do
      assert.are.equal("GET " .. target .. " HTTP/1.1", forwarded("GET", target):match "^[^\r]+")
    end
    assert.are.equal("PROPFIND /x HTTP/1.1", forwarded("PROPFIND", "/x"):match "^[^\r]+")
  end)

  it("says who asked, whatever the client has said of that", function()
    local head = forwarded("GET", "/", { headers = {
      Host = "shop.example:81", ["X-Forwarded-For"] = "6.6.6.6", Forwarded = "for=6.6.6.6",
      ["X-Forwarded-Proto"] = "https",
    } })
    assert.is_nil(head:find "6%.6%.6%.6")
    assert.matches("\r\nHost: 127%.0%.0%.1:%d+\r\n", head)
    assert.matches("\r\nX%-Forwarded%-Host: shop%.example:81\r\n", head)
    assert.matches("\r\nX%-Forwarded%-Proto: http\r\n", head)
    assert.matches('\r\nForwarded: for=[^;]+;host="shop%.example:81";proto=http\r\n', head)
  end)

  it("loses what is between neighbours only, and what Connection names", function()
    local head = forwarded("GET", "/", { headers = {
      Connection = "keep-alive, X-Secret", ["X-Secret"] = "1", ["Keep-Alive"] = "300", TE = "trailers",
      Upgrade = "h2c", ["Proxy-Authorization"] = "Basic x", ["X-Kept"] = "2", Cookie = "a=b",
    } }):lower()
    for _, name in ipairs { "x%-secret", "keep%-alive", "te", "upgrade", "proxy%-authorization" } do
      assert.is_nil(head:find("\r\n" .. name .. ":"), name)
    end
    assert.matches("\r\nx%-kept: 2\r\n", head)
    assert.matches("\r\ncookie: a=b\r\n", head)
    assert.matches("\r\nconnection: close\r\n", head)
  end)

  it("takes its body along, with its length or in chunks", function()
    local got = {}
    serve(function(conn)
      got.head = head_of(conn)
      local length = got.head:match "Content%-Length: (%d+)"
      got.body = length and conn:read(tonumber(length)) or conn:read_until("\r\n0\r\n\r\n")
      conn:write "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    end)
    assert.are.equal("ok", client:post("/", { body = "12345" }).body)
    assert.are.equal("12345", got.body)
    local parts = { "abc", "defg" }
    assert.are.equal("ok", client:post("/", { body = function() return table.remove(parts, 1) end }).body)
    assert.matches("Transfer%-Encoding: chunked", got.head)
    assert.is_nil(got.head:find "Content%-Length")
    assert.are.equal("abcdefg", (got.body:gsub("%x+\r\n", ""):gsub("\r\n", "")))
  end)

  it("gets the answer of a server that doesn't read all of it", function()
    serve(function(conn)
      head_of(conn)
      conn:write "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nbig!"
      for _ in conn:chunks() do end
    end)
    local n = 0
    local res = client:post("/", { body = function()
      n = n + 1
      if n <= 50 then return ("x"):rep(4096) end
    end })
    assert.are.same({ 413, "big!" }, { res.status, res.body })
  end)
end)

describe("an answer", function()
  it("comes back with its status, fields and body, however it is framed", function()
    for framed, with in pairs {
      ["Content-Length: 11\r\n\r\nhello world"] = "11",
      ["Content-Length: 11\r\nContent-Length: 11\r\n\r\nhello world"] = "11",
      ["Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nX-T: 1\r\n\r\n"] = false,
      ["\r\nhello world"] = false,
    } do
      answers("HTTP/1.1 201 Made It\r\nX-A: 1\r\nContent-Type: text/x-mine\r\n" .. framed)
      local res = client:get "/"
      assert.are.same({ 201, "hello world", "1", "text/x-mine" },
        { res.status, res.body, res.headers.x_a, res.headers.content_type })
      assert.are.equal(with or nil, res.headers.content_length)
      server.close()
    end
  end)

  it("keeps fields that come several times, and loses those between neighbours", function()
    answers("HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nConnection: X-Hop\r\nX-Hop: 1\r\n"
      .. "Keep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n")
    local res = client:get "/"
    assert.are.same({ "a=1", "b=2" }, { table.unpack(res.headers "Set-Cookie") })
    assert.is_nil(res.headers.x_hop)
    assert.is_nil(res.headers.keep_alive)
  end)

  it("has no body where there can be none", function()
    answers "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    local res = client:head "/"
    assert.are.same({ 200, "", "5" }, { res.status, res.body, res.headers.content_length })
    server.close()
    for _, status in ipairs { 204, 304 } do
      answers(("HTTP/1.1 %d x\r\nETag: \"a\"\r\n\r\n"):format(status))
      res = client:get "/"
      assert.are.same({ status, "", '"a"' }, { res.status, res.body, res.headers.etag })
      server.close()
    end
  end)

  it("comes behind those that are only on their way", function()
    answers "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.0 200 OK\r\n\r\ndone"
    local res = client:get "/"
    assert.are.same({ "done" }, { res.body })
    assert.is_nil(res.headers.link)
  end)

  it("comes as it is made", function()
    local gate = dewar.event()
    serve(function(conn)
      head_of(conn)
      conn:write "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"
      gate:wait()
      conn:write "3\r\ntwo\r\n0\r\n\r\n"
    end)
    local pieces = client:get("/", { stream = true }):chunks()
    assert.are.equal("one", pieces())
    gate:set()
    assert.are.equal("two", pieces())
    assert.is_nil(pieces())
  end)
end)

describe("a server", function()
  it("that nobody reaches is a 502", function()
    local listener = dewar.tcp.listen("127.0.0.1", 0)
    app.config.UPSTREAM = "127.0.0.1:" .. listener.port
    listener:close()
    assert.are.equal(502, client:get("/").status)
    assert.matches("can't be reached", logged[1])
  end)

  it("that can be understood in two ways, or not at all, is a 502", function()
    for _, bytes in ipairs {
      "", "hello\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 099 x\r\n\r\n",
      "HTTP/1.1 101 x\r\nUpgrade: y\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
      "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na",
      "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\na",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: 1\r\n folded\r\n\r\n", "HTTP/1.1 200 OK\r\nX : 1\r\n\r\n",
      "HTTP/1.1 200 OK\nX: 1\n\n", "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
      "HTTP/1.1 200 OK\r\nX: " .. ("x"):rep(9000) .. "\r\n\r\n",
      "HTTP/1.1 200 OK\r\n" .. ("X: " .. ("x"):rep(1000) .. "\r\n"):rep(80) .. "\r\n",
    } do
      answers(bytes)
      assert.are.equal(502, client:get("/").status, bytes:sub(1, 80))
      server.close()
    end
  end)

  it("that takes too long is a 504, at whatever point of its head", function()
    app.config.ANSWER_TIMEOUT = 0.05
    for _, bytes in ipairs { "", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nX: 1" } do
      serve(function(conn)
        head_of(conn)
        conn:write(bytes)
        for _ in conn:chunks() do end
      end)
      assert.are.equal(504, client:get("/").status)
      server.close()
    end
  end)

  it("may take its time as long as the body is on its way", function()
    app.config.ANSWER_TIMEOUT = 0.05
    serve(function(conn)
      head_of(conn)
      conn:read_until "0\r\n\r\n"
      conn:write "HTTP/1.1 200 OK\r\n\r\ngot it"
    end)
    local n = 0
    local res = client:post("/", { body = function()
      n = n + 1
      dewar.sleep(0.03)
      if n < 6 then return "x" end
    end })
    assert.are.equal("got it", res.body)
  end)

  it("that is gone in mid-answer cuts the answer off", function()
    for _, framed in ipairs {
      "Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
      "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\n",
    } do
      answers("HTTP/1.1 200 OK\r\n" .. framed)
      local text = client:send_raw "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
      assert.matches("^HTTP/1.1 200 OK\r\n", text)
      assert.matches("hello", text)
      assert.is_nil(text:find "\r\n0\r\n\r\n")
      server.close()
    end
  end)
end)

describe("a client that goes away", function()
  it("takes the server's connection along, while it waits and in the middle of the answer", function()
    for _, bytes in ipairs { "", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello" } do
      local there, over = dewar.event(), dewar.event()
      serve(function(conn)
        head_of(conn)
        conn:write(bytes)
        there:set()
        pcall(conn.read_some, conn) -- the end, or a reset
        over:set()
      end)
      local conn = client:connect()
      conn:send "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
      there:wait()
      conn:close()
      over:wait(10)
      server.close()
    end
  end)
end)

describe("a large body", function()
  local PIECE, COUNT = ("x"):rep(64 * 1024), 512 -- 32 MiB
  local peak

  local function sample(i, base)
    if i % 64 > 0 then return end
    collectgarbage()
    peak = math.max(peak, core.debug_counts().memory - base)
  end

  before_each(function() peak = 0 end)

  it("passes upwards in little memory, no faster than the server takes it", function()
    local sent, ahead = 0, 0
    serve(function(conn)
      head_of(conn)
      local base, got, n, tail = clean.counts().memory, 0, 0, ""
      while not tail:find "0\r\n\r\n$" do
        local piece = conn:read_some()
        got, n, tail = got + #piece, n + 1, (tail .. piece):sub(-5)
        if n % 50 == 0 then dewar.sleep(0.001) end
        ahead = math.max(ahead, sent * #PIECE - got)
        sample(n, base)
      end
      conn:write "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    end)
    local res = client:post("/", { body = function()
      if sent == COUNT then return nil end
      sent = sent + 1
      return PIECE
    end })
    assert.are.equal("ok", res.body)
    assert.is_true(peak < 8 << 20, ("%d bytes more"):format(peak))
    assert.is_true(ahead < 24 << 20, ("%d bytes ahead"):format(ahead))
  end)

  it("comes back in little memory, no faster than the client takes it", function()
    local written = 0
    serve(function(conn)
      head_of(conn)
      conn:write(("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"):format(#PIECE * COUNT))
      for _ = 1, COUNT do
        conn:write(PIECE)
        written = written + 1
      end
    end)
    local part = client:get("/", { stream = true })
    for _ = 1, 500 do dewar.yield() end
    assert.is_true(written < COUNT * 3 // 4, "the server was held back")
    local base, bytes, n = clean.counts().memory, 0, 0
    for chunk in part:chunks() do
      bytes, n = bytes + #chunk, n + 1
      sample(n, base)
    end
    assert.are.equal(#PIECE * COUNT, bytes)
    assert.is_true(peak < 8 << 20, ("%d bytes more"):format(peak))
  end)
end)

describe("an answer of few words", function()
  it("may have extensions behind the sizes of its chunks", function()
    answers "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2 ; z\r\nde\r\n0;end\r\n\r\n"
    assert.are.equal("abcde", client:get("/").body)
  end)

  it("that has no type isn't taken for HTML", function()
    answers "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<b>"
    local res = client:get "/"
    assert.are.equal("<b>", res.body)
    assert.are.equal("application/octet-stream", res.headers.content_type)
  end)
end)
