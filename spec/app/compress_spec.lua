-- Compressed answers: runtime/app/compress.c, http/encoder.c, the streams of
-- http/reply.c. What was compressed is decoded by others: gzip, and curl.

local dewar = require "dewar"
local process = require "spec.support.process"

local LINE = "All work and no play makes Jack a dull boy.\n"
local TEXT = LINE:rep(100)
local LONG = LINE:rep(8000)

--- What `gzip -dc` makes of bytes; with half, of what is there of them.
local function gunzip(bytes, half)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
  local pipe = assert(io.popen(("gzip -dc <%s 2>%s"):format(path, half and "/dev/null" or "&1"), "r"))
  local text = pipe:read "a"
  pipe:close()
  os.remove(path)
  return text
end

local client
after_each(function()
  if client then client:close() client = nil end
end)

--- The answer of an app that gives what a view gives, to a client that accepts.
local function get(accept, view, options)
  options = options or {}
  local app = dewar.app { config = options.config }
  app:route("/", { methods = { "GET", "POST" } }, view)
  if client then client:close() end
  client = app:test_client()
  local headers = { accept_encoding = accept }
  for name, value in pairs(options.headers or {}) do headers[name] = value end
  return client:request(options.method or "GET", "/", { headers = headers })
end

local function text(...)
  local values = table.pack(...)
  return function() return TEXT, table.unpack(values, 1, values.n) end
end

describe("a whole body", function()
  it("is encoded for who can decode it", function()
    local res = get("gzip", text())
    assert.are.equal("gzip", res.headers.content_encoding)
    assert.are.equal("Accept-Encoding", res.headers.vary)
    assert.are.equal(tostring(#res.body), res.headers.content_length)
    assert.is_true(#res.body < #TEXT / 4)
    assert.are.equal(TEXT, gunzip(res.body))
  end)

  it("is sent as it is to others, and says that it depends", function()
    for _, accept in ipairs { "", "identity", "deflate", "gzip;q=0", "zstd, *;q=0", "gzip;q=0.5, identity;q=0.9" } do
      local res = get(accept, text())
      assert.is_nil(res.headers.content_encoding, accept)
      assert.are.equal("Accept-Encoding", res.headers.vary, accept)
      assert.are.equal(TEXT, res.body)
    end
    assert.are.equal("Accept-Encoding", get(nil, text()).headers.vary)
  end)

  it("is encoded as the client likes best", function()
    local function coding(accept) return get(accept, text()).headers.content_encoding end
    assert.are.equal("br", coding "gzip, deflate, br")
    assert.are.equal("gzip", coding "gzip, br;q=0.9")
    assert.are.equal("gzip", coding "br;q=0, gzip;q=0.1")
    assert.are.equal("gzip", coding "*")
    assert.are.equal("gzip", coding "X-GZIP")
    assert.are.equal("br", coding "br")
  end)

  it("that is short stays as it is", function()
    local short = ("x"):rep(1023)
    local res = get("gzip", function() return short end)
    assert.are.equal(short, res.body)
    assert.is_nil(res.headers.vary)
    assert.are.equal("gzip", get("gzip", function() return short .. "x" end).headers.content_encoding)
    assert.are.equal("gzip", get("gzip", function() return short end, { config = { COMPRESS_MIN_SIZE = 0 } })
      .headers.content_encoding)
    assert.is_nil(get("gzip", function() return "" end, { config = { COMPRESS_MIN_SIZE = 0 } }).headers.vary)
  end)

  it("that gets no smaller stays as it is", function()
    local noise = {}
    for i = 1, 2000 do noise[i] = string.char(math.random(0, 255)) end
    noise = table.concat(noise)
    local res = get("gzip", function() return noise end)
    assert.is_nil(res.headers.content_encoding)
    assert.are.equal("Accept-Encoding", res.headers.vary)
    assert.are.equal(noise, res.body)
  end)

  it("is encoded if its type is worth it", function()
    local function coding(kind, config)
      return get("gzip", text(200, { content_type = kind }), { config = config }).headers.content_encoding
    end
    for _, kind in ipairs { "text/css", "TEXT/plain;charset=utf-8", "application/json", "application/vnd.api+json",
      "application/javascript", "image/svg+xml", "application/wasm" } do
      assert.are.equal("gzip", coding(kind), kind)
    end
    for _, kind in ipairs { "image/png", "application/octet-stream", "application/zip", "video/mp4", "font/woff2",
      "applicationxjson", "text" } do
      assert.is_nil(coding(kind), kind)
    end
    assert.are.equal("gzip", coding("image/png", { COMPRESS_TYPES = { "image/*" } }))
    assert.is_nil(coding("text/html", { COMPRESS_TYPES = { "image/*", "text/h" } }))
    assert.is_nil(coding("text/html", { COMPRESS_TYPES = {} }))
  end)

  it("of JSON is encoded, too", function()
    local list = {}
    for i = 1, 300 do list[i] = { number = i } end
    local res = get("gzip", function() return list end)
    assert.are.same(list, dewar.json.decode(gunzip(res.body)))
  end)

  it("of an error is encoded, too", function()
    local res = get("gzip", function() dewar.abort(404, ("no such page "):rep(200)) end)
    assert.are.equal("gzip", res.headers.content_encoding)
    assert.matches("no such page", gunzip(res.body))
  end)

  it("that is long comes in pieces, and arrives", function()
    local res = get("gzip", function() return LONG end)
    assert.is_nil(res.headers.content_length)
    assert.are.equal("chunked", res.headers.transfer_encoding)
    assert.are.equal(LONG, gunzip(res.body))
  end)
end)

describe("compression", function()
  it("is switched off and on for a response", function()
    local function with(compress, kind, body)
      return function()
        local res = dewar.response(body or TEXT, 200, { content_type = kind or "text/plain" })
        res.compress = compress
        assert.are.equal(compress, res.compress)
        return res
      end
    end
    local off = get("gzip", with(false))
    assert.is_nil(off.headers.content_encoding)
    assert.is_nil(off.headers.vary)
    local on = get("gzip", with(true, "image/png", ("y"):rep(100)), { config = { COMPRESS = false } })
    assert.are.equal("gzip", on.headers.content_encoding)
    assert.is_nil(get("", with(true)).headers.content_encoding)
    assert.are.equal("gzip", get("gzip", with(nil)).headers.content_encoding)
  end)

  it("is switched off and on for an app", function()
    local res = get("gzip", text(), { config = { COMPRESS = false } })
    assert.are.equal(TEXT, res.body)
    assert.is_nil(res.headers.vary)
  end)

  it("leaves alone what has been encoded, or must not be changed", function()
    assert.are.equal("deflate", get("gzip", text(200, { content_encoding = "deflate" })).headers.content_encoding)
    local kept = get("gzip", text(200, { cache_control = "public, No-Transform" }))
    assert.is_nil(kept.headers.content_encoding)
    assert.is_nil(get("gzip", text(206, { content_range = "bytes 0-9/10" })).headers.content_encoding)
    for _, status in ipairs { 204, 304 } do
      local res = get("gzip", text(status))
      assert.is_nil(res.headers.content_encoding)
      assert.are.equal("", res.body)
    end
  end)

  it("says the same to HEAD as to GET", function()
    for _, body in ipairs { TEXT, LONG } do
      local got = get("gzip", function() return body end)
      local head = get("gzip", function() return body end, { method = "HEAD" })
      assert.are.equal("", head.body)
      for _, name in ipairs { "content_encoding", "content_length", "vary", "transfer_encoding", "content_type" } do
        assert.are.equal(got.headers[name], head.headers[name], name)
      end
    end
  end)

  it("adds to Vary what is not in it", function()
    assert.are.equal("Cookie, Accept-Encoding", get("gzip", text(200, { vary = "Cookie" })).headers.vary)
    assert.are.equal("accept-encoding", get("gzip", text(200, { vary = "accept-encoding" })).headers.vary)
    assert.are.equal("*", get("gzip", text(200, { vary = "*" })).headers.vary)
  end)

  it("weakens an ETag, and knows it again", function()
    local view = text(200, { etag = '"v1"', accept_ranges = "bytes" })
    local res = get("gzip", view)
    assert.are.equal('W/"v1"', res.headers.etag)
    assert.is_nil(res.headers.accept_ranges)
    res = get(nil, view)
    assert.are.equal('"v1"', res.headers.etag)
    assert.are.equal("bytes", res.headers.accept_ranges)
    assert.are.equal('W/"w"', get("gzip", text(200, { etag = 'W/"w"' })).headers.etag)
    local same = function() return "", 304, { etag = '"v1"' } end
    res = get("gzip", same, { headers = { if_none_match = '"x", W/"v1"' } })
    assert.are.equal('W/"v1"', res.headers.etag)
    assert.are.equal("Accept-Encoding", res.headers.vary)
    assert.are.equal('"v1"', get("gzip", same, { headers = { if_none_match = '"v1"' } }).headers.etag)
  end)

  it("doesn't change a response that is sent again", function()
    local app = dewar.app()
    local shared = dewar.response(TEXT, 200, { etag = '"v1"' })
    app:get("/", function() return shared end)
    client = app:test_client()
    for _ = 1, 2 do
      local res = client:get("/", { headers = { accept_encoding = "gzip" } })
      assert.are.equal(TEXT, gunzip(res.body))
      assert.are.equal(TEXT, client:get("/").body)
    end
    assert.are.same({ TEXT, '"v1"' }, { shared.body, shared.headers.etag })
    assert.is_nil(shared.headers.vary)
  end)

  it("has settings that are checked", function()
    local app = dewar.app()
    local function fails(pattern, key, value)
      local ok, message = pcall(function() app.config[key] = value end)
      assert.is_false(ok)
      assert.matches(pattern, message)
      assert.matches("compress_spec.lua", message)
    end
    fails("COMPRESS is true or false; got gzip", "COMPRESS", "gzip")
    fails("COMPRESS_LEVEL is a whole number from 1 to 9; got 10", "COMPRESS_LEVEL", 10)
    fails("COMPRESS_BR_LEVEL is a whole number from 1 to 9; got 0", "COMPRESS_BR_LEVEL", 0)
    fails("COMPRESS_MIN_SIZE is a number of bytes; got %-1", "COMPRESS_MIN_SIZE", -1)
    fails("COMPRESS_TYPES is a list of types", "COMPRESS_TYPES", "text/*")
    fails("COMPRESS_TYPES is a list of types .*; got text", "COMPRESS_TYPES", { "text" })
    fails("COMPRESS_TYPES is a list of types", "COMPRESS_TYPES", { "*/*" })
    fails("COMPRESS_TYPES is a list of types", "COMPRESS_TYPES", { 1 })
    app.config.COMPRESS_LEVEL = 9
    assert.are.equal(9, app.config.COMPRESS_LEVEL)
  end)
end)

describe("a stream", function()
  local function lines(count)
    return function()
      return dewar.stream(function(write)
        for i = 1, count do write(i .. LINE) end
      end), 200, { content_type = "text/plain" }
    end
  end

  it("is encoded by gzip", function()
    local res = get("gzip, br", lines(1000))
    assert.are.equal("gzip", res.headers.content_encoding)
    local decoded = gunzip(res.body)
    assert.are.equal("1" .. LINE, decoded:sub(1, #LINE + 1))
    assert.are.equal(1000, select(2, decoded:gsub("\n", "")))
    assert.is_true(#res.body < 20000)
  end)

  it("is left alone where only brotli is known", function()
    local res = get("br", lines(3))
    assert.is_nil(res.headers.content_encoding)
    assert.are.equal("Accept-Encoding", res.headers.vary)
  end)

  it("is encoded if a generator gives it, however short", function()
    local res = get("gzip", function()
      return coroutine.wrap(function() coroutine.yield "a" coroutine.yield "" coroutine.yield "b" end)
    end)
    assert.are.equal("ab", gunzip(res.body))
    assert.are.equal("", gunzip(get("gzip", function() return function() end end).body))
  end)

  it("lets each piece arrive before the next is written", function()
    local asked = dewar.event()
    local app = dewar.app()
    app:get("/", function()
      return dewar.stream(function(write)
        for i = 1, 3 do
          write("piece " .. i .. "\n")
          asked:wait()
          asked:clear()
        end
      end), 200, { content_type = "text/event-stream" }
    end)
    client = app:test_client()
    local res = client:get("/", { stream = true, headers = { accept_encoding = "gzip" } })
    assert.are.equal("gzip", res.headers.content_encoding)
    local got = ""
    local next_chunk = res:chunks()
    for i = 1, 3 do
      repeat got = got .. next_chunk() until gunzip(got, true):find("piece " .. i .. "\n", 1, true)
      assert.is_nil(gunzip(got, true):find("piece " .. i + 1, 1, true))
      asked:set()
    end
    for piece in next_chunk do got = got .. piece end
    assert.are.equal("piece 1\npiece 2\npiece 3\n", gunzip(got))
  end)

  it("that fails gives what came before", function()
    local app = dewar.app()
    app:get("/", function()
      return coroutine.wrap(function()
        coroutine.yield "before"
        error "broken"
      end)
    end)
    client = app:test_client()
    local sink = dewar.log.sink
    dewar.log.sink = function() end
    local got = ""
    local ok = pcall(function()
      local part = client:get("/", { stream = true, headers = { accept_encoding = "gzip" } })
      for piece in part:chunks() do got = got .. piece end
    end)
    dewar.log.sink = sink
    assert.is_false(ok)
    assert.are.equal("before", gunzip(got, true))
  end)

  it("that fails is cut", function()
    local app = dewar.app()
    app:get("/", function()
      return coroutine.wrap(function()
        coroutine.yield "a"
        error "broken"
      end)
    end)
    client = app:test_client()
    local sink = dewar.log.sink
    dewar.log.sink = function() end
    local ok = pcall(function() return client:get("/", { headers = { accept_encoding = "gzip" } }).body end)
    dewar.log.sink = sink
    assert.is_false(ok)
  end)

  it("keeps a promise of its length, too", function()
    local function promised(length)
      return function()
        return dewar.stream(function(write) write "abc" end), 200, { content_length = length }
      end
    end
    local res = get("gzip", promised(3))
    assert.is_nil(res.headers.content_length)
    assert.are.equal("abc", gunzip(res.body))
    local sink = dewar.log.sink
    dewar.log.sink = function() end
    assert.is_false((pcall(function() return get("gzip", promised(2)).body end)))
    assert.is_false((pcall(function() return get("gzip", promised(4)).body end)))
    dewar.log.sink = sink
  end)

  it("waits for a client that reads slowly", function()
    local written, app = 0, dewar.app()
    app:get("/", function()
      return dewar.stream(function(write)
        for _ = 1, 2000 do
          local noise = {}
          for i = 1, 256 do noise[i] = string.pack("I8", math.random(0)) end
          write(table.concat(noise))
          written = written + 1
        end
      end), 200, { content_type = "text/plain" }
    end)
    client = app:test_client()
    local res = client:get("/", { stream = true, headers = { accept_encoding = "gzip" } })
    local next_chunk, got = res:chunks(), {}
    got[1] = next_chunk()
    dewar.run(function() for _ = 1, 200 do dewar.yield() end end)
    assert.is_true(written < 1000, written)
    for piece in next_chunk do got[#got + 1] = piece end
    assert.are.equal(2000 * 2048, #gunzip(table.concat(got)))
  end)
end)

describe("a file", function()
  local folder
  before_each(function()
    folder = process.folder()
    process.write(folder .. "/small.txt", TEXT)
    process.write(folder .. "/large.js", LONG)
    process.write(folder .. "/huge.css", LONG:rep(4))
  end)
  after_each(function() os.execute("rm -r " .. folder) end)

  local function fetch(name, headers, method)
    local app = dewar.app()
    app:static("/files", folder)
    if client then client:close() end
    client = app:test_client()
    return client:request(method or "GET", "/files/" .. name, { headers = headers })
  end

  it("is encoded, be it in memory or not", function()
    for name, text_of in pairs { ["small.txt"] = TEXT, ["large.js"] = LONG, ["huge.css"] = LONG:rep(4) } do
      for _ = 1, 2 do
        local res = fetch(name, { accept_encoding = "gzip" })
        assert.are.equal("gzip", res.headers.content_encoding, name)
        assert.matches("Accept%-Encoding", res.headers.vary)
        assert.matches('^W/"', res.headers.etag)
        assert.is_nil(res.headers.accept_ranges)
        assert.is_true(text_of == gunzip(res.body), name)
        assert.is_true(text_of == fetch(name).body, name)
      end
      assert.are.equal("gzip", fetch(name, { accept_encoding = "gzip" }, "HEAD").headers.content_encoding)
    end
  end)

  it("depends on what the client can decode, also where a part of it or nothing is sent", function()
    local res = fetch "large.js"
    assert.are.equal("Accept-Encoding", res.headers.vary)
    for name, value in pairs {
      if_none_match = res.headers.etag, if_modified_since = res.headers.last_modified, range = "bytes=0-9",
    } do
      for _, accept in ipairs { "gzip", "identity" } do
        res = fetch("large.js", { [name] = value, accept_encoding = accept })
        assert.is_true(res.status == 304 or res.status == 206)
        assert.are.equal("Accept-Encoding", res.headers.vary, name)
      end
    end
    process.write(folder .. "/tiny.txt", "tiny")
    assert.is_nil(fetch("tiny.txt", { range = "bytes=0-1" }).headers.vary)
    local view = function(req)
      local made = dewar.response(TEXT, 200, { etag = '"v1"', vary = "Cookie" })
      return made:make_conditional(req, { accept_ranges = true })
    end
    for name, value in pairs { if_none_match = '"v1"', range = "bytes=0-1" } do
      assert.are.equal("Cookie, Accept-Encoding", get("gzip", view, { headers = { [name] = value } }).headers.vary)
    end
    view = function(req)
      local made = dewar.response(TEXT, 200, { etag = '"v1"' })
      made.compress = false
      return made:make_conditional(req)
    end
    assert.is_nil(get("gzip", view, { headers = { if_none_match = '"v1"' } }).headers.vary)
  end)

  it("is known again by its weak tag, and given in parts as it is", function()
    local etag = fetch("large.js", { accept_encoding = "gzip" }).headers.etag
    local same = fetch("large.js", { accept_encoding = "gzip", if_none_match = etag })
    assert.are.same({ 304, etag }, { same.status, same.headers.etag })
    local part = fetch("large.js", { accept_encoding = "gzip", range = "bytes=0-9" })
    assert.are.same({ 206, LONG:sub(1, 10) }, { part.status, part.body })
    assert.is_nil(part.headers.content_encoding)
  end)
end)

describe("a request's body that is encoded", function()
  -- A thousand times as large when it is decoded.
  local pipe = io.popen("head -c 100000000 /dev/zero | gzip -9", "r")
  local bomb = pipe:read "a"
  pipe:close()

  local function post(content_type, read)
    local app = dewar.app()
    app:post("/", read)
    if client then client:close() end
    client = app:test_client()
    return client:post("/", { body = bomb, headers = { content_type = content_type, content_encoding = "gzip" } })
  end

  it("is refused by who would have to decode it", function()
    for content_type, read in pairs {
      ["application/json"] = function(req) return req:json() end,
      ["text/plain"] = function(req) return req:text() end,
      ["application/octet-stream"] = function(req) return req:body() end,
      ["application/x-www-form-urlencoded"] = function(req) return req.form.a or "none" end,
      ["multipart/form-data; boundary=x"] = function(req) return req.form.a or "none" end,
      ["multipart/form-data; boundary=y"] = function(req) return req:parts()() and "one" or "none" end,
    } do
      local res = post(content_type, read)
      assert.are.equal(415, res.status, content_type)
      assert.are.equal("identity", res.headers.accept_encoding)
      assert.matches("must be sent as it is", res.body)
    end
  end)

  it("is had as it was sent, piece by piece", function()
    local res = post("application/json", function(req)
      local size = 0
      for piece in req:chunks() do size = size + #piece end
      return tostring(size)
    end)
    assert.are.equal(tostring(#bomb), res.body)
  end)

  it("is no JSON, silently", function()
    assert.are.equal("nil", post("application/json", function(req)
      return tostring(req:json { silent = true })
    end).body)
  end)

  it("by identity is not encoded", function()
    local app = dewar.app()
    app:post("/", function(req) return req:json() end)
    client = app:test_client()
    local res = client:post("/", { json = { 1 }, headers = { content_encoding = "identity" } })
    assert.are.equal("[1]\n", res.body)
  end)
end)

describe("over a socket", function()
  local APP = [[
    local dewar = require "dewar"
    local app = dewar.app()
    local text = ("All work and no play makes Jack a dull boy.\n"):rep(8000)
    app:get("/long", function() return text end)
    app:get("/short", function() return text:sub(1, 5000) end)
    app:get("/stream", function()
      return coroutine.wrap(function() for i = 1, 10 do coroutine.yield(text:sub(1, 1000)) dewar.yield() end end)
    end)
    app:get("/other", function() return "other" end)
    return app
  ]]
  after_each(process.stop_all)

  it("curl decodes what it has asked for", function()
    local path = process.write(process.folder() .. "/app.lua", APP)
    local url = process.serve(path).url
    for name, size in pairs { long = #LONG, short = 5000, stream = 10000 } do
      for _, coding in ipairs { "gzip", "br", "gzip, br", "deflate" } do
        local body, code = process.get(url .. "/" .. name, "--compressed", "-H", "Accept-Encoding: " .. coding)
        assert.are.equal(0, code)
        assert.are.equal(size, #body, name .. " " .. coding)
        assert.are.equal(LINE, body:sub(1, #LINE))
      end
      local old, code = process.get(url .. "/" .. name, "--compressed", "-0")
      assert.are.same({ size, 0 }, { #old, code })
    end
    local both = process.get(url .. "/other", "--compressed", "-o", "/dev/null", url .. "/long")
    assert.are.equal("other", both)
  end)
end)
