-- send_file, send_from_directory and guess_type.
local dewar = require "dewar"
local clean = require "spec.support.clean"
local process = require "spec.support.process"

local folder, app, client, view

local function put(name, text)
  return process.write(folder .. "/" .. name, text)
end

--- What the view's function answers.
local function get(f, headers)
  view = f
  return client:get("/", { headers = headers or {} })
end

local function send(opts, headers)
  return get(function() return dewar.send_file(folder .. "/a.txt", opts) end, headers)
end

before_each(function()
  folder = process.folder()
  put("a.txt", "hello")
  app = dewar.app { config = { TESTING = true } }
  app:get("/", function(...) return view(...) end)
  client = app:test_client()
end)
after_each(function()
  client:close()
  os.execute(("rm -rf '%s'"):format(folder))
end)
clean.watch(before_each, after_each)

describe("send_file", function()
  it("sends a file with what is known of it", function()
    local res = send()
    assert.are.equal(200, res.status)
    assert.are.equal("hello", res.body)
    assert.are.equal("text/plain; charset=utf-8", res.headers.content_type)
    assert.are.equal('inline; filename="a.txt"', res.headers.content_disposition)
    assert.are.equal("no-cache", res.headers.cache_control)
    assert.are.equal("bytes", res.headers.accept_ranges)
    assert.is_truthy(res.headers.etag)
    assert.is_truthy(res.headers.last_modified)
  end)

  it("answers conditions and ranges, unless it is told not to", function()
    local tag = send().headers.etag
    assert.are.equal(304, send({}, { ["If-None-Match"] = tag }).status)
    assert.are.equal("el", send({}, { Range = "bytes=1-2" }).body)
    assert.are.equal(412, send({}, { ["If-Match"] = '"other"' }).status)
    local res = send({ conditional = false }, { ["If-None-Match"] = tag, Range = "bytes=1-2" })
    assert.are.equal("hello", res.body)
    assert.is_nil(res.headers.accept_ranges)
  end)

  it("tells how long the whole is to who asks beyond it", function()
    app:errorhandler(416, function(_, err) return "beyond " .. err.headers["Content-Range"], 416 end)
    local res = send({}, { Range = "bytes=9-" })
    assert.are.equal(416, res.status)
    assert.are.equal("beyond bytes */5", res.body)
  end)

  it("takes a path that is relative to the app's folder", function()
    app.root_path = folder
    assert.are.equal("hello", get(function() return dewar.send_file "a.txt" end).body)
    assert.are.equal("hello", get(function() return dewar.send_file(folder .. "/a.txt") end).body)
  end)

  it("takes an open file, from where it stands", function()
    local handle = io.open(folder .. "/a.txt")
    handle:read(2)
    local res = get(function() return dewar.send_file(handle, { mimetype = "text/x" }) end)
    assert.are.equal("llo", res.body)
    assert.are.equal("text/x; charset=utf-8", res.headers.content_type)
    assert.is_nil(res.headers.content_disposition)
    assert.are.equal("llo", handle:read "a")
    handle:close()
    local temporary = io.tmpfile()
    temporary:write "new words"
    temporary:seek "set"
    res = get(function() return dewar.send_file(temporary, { download_name = "n.csv" }) end)
    assert.are.equal("new words", res.body)
    assert.are.equal("text/csv; charset=utf-8", res.headers.content_type)
    temporary:close()
  end)

  it("names what is to be saved, in letters of all tongues", function()
    local function name(text)
      return send({ as_attachment = true, download_name = text }).headers.content_disposition
    end
    assert.are.equal('attachment; filename="a.txt"', send({ as_attachment = true }).headers.content_disposition)
    assert.are.equal('attachment; filename="two words.txt"', name "two words.txt")
    assert.are.equal([[attachment; filename="a\"b\\c"; filename*=UTF-8''a%22b%5Cc]], name [[a"b\c]])
    assert.are.equal([[attachment; filename="_bersicht_.pdf"; filename*=UTF-8''%C3%9Cbersicht%E2%82%AC.pdf]],
      name "Übersicht€.pdf")
    assert.are.equal([[attachment; filename="a%41.txt"; filename*=UTF-8''a%2541.txt]], name "a%41.txt")
    assert.are.equal('attachment; filename="caf_.txt"', name "caf\xe9.txt")
    assert.are.equal([[attachment; filename="a;b.txt"]], name "a;b.txt")
    assert.are.equal("attachment", name "")
  end)

  it("takes the type from the name it is saved as", function()
    assert.are.equal("text/csv; charset=utf-8", send({ download_name = "a.csv" }).headers.content_type)
    assert.are.equal("application/json",
      send({ download_name = "a.csv", mimetype = "application/json" }).headers.content_type)
    put("odd", "x")
    assert.are.equal("application/octet-stream",
      get(function() return dewar.send_file(folder .. "/odd") end).headers.content_type)
  end)

  it("has a tag and a date of one's own, or none", function()
    local res = send { etag = "v1", last_modified = 784111777 }
    assert.are.equal('"v1"', res.headers.etag)
    assert.are.equal("Sun, 06 Nov 1994 08:49:37 GMT", res.headers.last_modified)
    assert.are.equal(304, send({ etag = "v1" }, { ["If-None-Match"] = '"v1"' }).status)
    assert.is_nil(send({ etag = false }).headers.etag)
  end)

  it("says how long it may be kept", function()
    assert.are.equal("public, max-age=60", send({ max_age = 60.5 }).headers.cache_control)
    assert.are.equal("no-cache", send({ max_age = 0 }).headers.cache_control)
    local names = {}
    local res = send { max_age = function(name) names[#names + 1] = name return 5 end }
    assert.are.equal("public, max-age=5", res.headers.cache_control)
    assert.are.same({ folder .. "/a.txt" }, names)
    local ok, err = pcall(send, { max_age = function() return "5" end })
    assert.is_false(ok)
    assert.matches("the function that is 'max_age' gives a number of seconds or nil; it gave a string", err, 1, true)
    app.config.SEND_FILE_MAX_AGE_DEFAULT = 9
    assert.are.equal("public, max-age=9", send().headers.cache_control)
  end)

  it("gives a response that may be changed", function()
    local res = get(function()
      local made = dewar.send_file(folder .. "/a.txt")
      assert(made.body.size == 5 and made.body.modified > 1e9)
      made.headers.x_mine = "1"
      made.status = 203
      return made
    end)
    assert.are.equal(203, res.status)
    assert.are.equal("hello", res.body)
    assert.are.equal("1", res.headers.x_mine)
    res = get(function()
      local made = dewar.response "text"
      made.body = dewar.send_file(folder .. "/a.txt").body
      return made
    end)
    assert.are.equal("hello", res.body)
  end)

  it("works outside of a request", function()
    local res = dewar.send_file(folder .. "/a.txt")
    assert.are.equal(200, res.status)
    assert.are.equal(5, res.body.size)
  end)

  it("raises where the file can't be opened", function()
    for path, code in pairs {
      [folder .. "/nothing"] = "ENOENT", [folder] = "EISDIR", [folder .. "/a.txt/x"] = "ENOTDIR",
    } do
      local err = select(2, pcall(dewar.send_file, path))
      assert.are.equal(code, err.code)
      assert.is_truthy(err.message:find("send_file: " .. path .. ": ", 1, true))
    end
    os.execute(("mkfifo '%s/pipe'"):format(folder))
    local message = select(2, pcall(dewar.send_file, folder .. "/pipe")).message
    assert.matches("no regular file; return an iterator", message, 1, true)
    message = select(2, pcall(dewar.send_file, folder)).message
    assert.matches("it is a folder; app:static serves one", message, 1, true)
  end)

  it("gives its memory back", function()
    put("large", ("x"):rep(200000))
    clean.keeps_memory(function()
      send()
      get(function() return dewar.send_file(folder .. "/large") end)
      get(function() return pcall(dewar.send_file, folder .. "/nothing") and "" or "none" end)
    end)
  end)

  it("tells of misuse", function()
    local closed = io.open(folder .. "/a.txt")
    closed:close()
    local opened <close> = io.open(folder .. "/a.txt")
    local pipe <close> = io.popen "true"
    for message, call in pairs {
      ["send_file takes a path or an open file; got a nil"] = function() dewar.send_file() end,
      ["send_file takes a path or an open file; got a path with a NUL in it"] =
        function() dewar.send_file "a\0b" end,
      ["send_file: unknown option 'attachment'; did you mean 'as_attachment'?"] =
        function() dewar.send_file("a", { attachment = true }) end,
      ["send_file: the option 'mimetype' is a string; got a number"] =
        function() dewar.send_file("a", { mimetype = 1 }) end,
      ["send_file: the option 'etag' is a tag, true or false; got a number"] =
        function() dewar.send_file("a", { etag = 1 }) end,
      ["send_file: the option 'max_age' is a number of seconds, or a function that gives it; got a string"] =
        function() dewar.send_file("a", { max_age = "1" }) end,
      ["send_file: the option 'download_name' has a control character"] =
        function() dewar.send_file("a", { download_name = "a\r\nb" }) end,
      ["send_file: an open file has no name to tell its type by; give the option 'mimetype' or 'download_name'"] =
        function() dewar.send_file(opened) end,
      ["send_file: an open file that is to be saved needs the option 'download_name'"] =
        function() dewar.send_file(opened, { mimetype = "a/b", as_attachment = true }) end,
      ["send_file: this file is closed"] = function() dewar.send_file(closed, { mimetype = "a/b" }) end,
      ["send_file: this is no regular file; return an iterator that reads it instead"] =
        function() dewar.send_file(pipe, { mimetype = "a/b" }) end,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.are.equal(message, (tostring(err):gsub("^.-files_spec.lua:%d+: ", "")))
    end
  end)
end)

describe("send_from_directory", function()
  local function from(path, opts, headers)
    return get(function() return dewar.send_from_directory(folder, path, opts) end, headers)
  end

  it("sends what lies below a folder", function()
    local res = from("a.txt", { as_attachment = true })
    assert.are.equal("hello", res.body)
    assert.are.equal('attachment; filename="a.txt"', res.headers.content_disposition)
    assert.are.equal(304, from("a.txt", {}, { ["If-None-Match"] = res.headers.etag }).status)
    app.root_path = folder:match "^(.*)/"
    local name = folder:match "[^/]*$"
    assert.are.equal("hello", get(function() return dewar.send_from_directory(name, "a.txt") end).body)
  end)

  it("is a 404 for what isn't there, or leads out", function()
    os.execute(("mkdir '%s/sub'; ln -s /etc/passwd '%s/link'"):format(folder, folder))
    for _, path in ipairs {
      "nothing", "sub", "sub/", "link", "../" .. folder:match "[^/]*$" .. "/a.txt", "/etc/passwd", "", ".", "..",
      "a.txt\0", "sub/../a.txt", "sub\\..\\a.txt", "./a.txt", "a.txt/",
    } do
      assert.are.equal(404, from(path).status, path)
    end
  end)

  it("tells of misuse", function()
    assert.has_error(function() dewar.send_from_directory(nil, "a") end,
      "send_from_directory takes a folder first; got a nil")
    assert.has_error(function() dewar.send_from_directory("", "a") end,
      "send_from_directory takes a folder first; got none")
    assert.has_error(function() dewar.send_from_directory("a", 1) end,
      "send_from_directory takes a path below the folder; got a number")
    assert.has_error(function() dewar.send_from_directory("a", "b", { x = 1 }) end)
  end)
end)

describe("guess_type", function()
  it("knows types by the last suffix", function()
    assert.are.equal("text/css", dewar.guess_type "a/b.css")
    assert.are.equal("image/png", dewar.guess_type "B.PNG")
    assert.are.equal("application/gzip", dewar.guess_type "a.tar.gz")
    assert.is_nil(dewar.guess_type "css")
    assert.is_nil(dewar.guess_type ".css")
    assert.is_nil(dewar.guess_type "a.unheard-of")
  end)

  it("takes a name", function()
    assert.has_error(function() dewar.guess_type(nil) end, "guess_type takes a file's name; got a nil")
  end)
end)
