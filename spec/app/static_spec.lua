-- Folders that are served: what is found in them, what is not, how it is told.
local dewar = require "dewar"
local clean = require "spec.support.clean"
local process = require "spec.support.process"

local folder, app, client
local count = 0

--- Writes a file into the folder.
local function put(name, text)
  count = count + 1
  assert(os.execute(("mkdir -p '%s'"):format((folder .. "/" .. name):match "^(.*)/")))
  return process.write(folder .. "/" .. name, text)
end

local function run(command, ...)
  assert(os.execute(("cd '%s' && "):format(folder) .. command:format(...)))
end

local function get(path, headers)
  return client:get(path, { headers = headers or {} })
end

local function gone(path)
  local res = get(path)
  assert.are.equal(404, res.status, path)
  assert.is_nil(res.body:find("secret", 1, true), path)
end

before_each(function()
  folder = process.folder()
  put("secret", "secret")
  put("rooted/secret", "secret")
  put("root/a.txt", "hello")
  put("root/100%.txt", "percent")
  put("root/a b/ü.css", "b{}")
  put("root/docs/index.html", "<p>index")
  put("root/docs/deep/page.html", "<p>page")
  app = dewar.app { static_folder = folder .. "/root", static_url_path = "/static" }
  app:static("/files/", folder .. "/root", { endpoint = "files" })
  client = app:test_client()
end)
after_each(function()
  client:close()
  os.execute(("rm -rf '%s'"):format(folder))
end)
clean.watch(before_each, after_each)

describe("a folder", function()
  it("sends its files with all that is known of them", function()
    local res = get "/static/a.txt"
    assert.are.equal(200, res.status)
    assert.are.equal("hello", res.body)
    assert.are.equal("text/plain; charset=utf-8", res.headers.content_type)
    assert.are.equal("5", res.headers.content_length)
    assert.are.equal("no-cache", res.headers.cache_control)
    assert.are.equal("bytes", res.headers.accept_ranges)
    assert.is_truthy(res.headers.etag:find '^"[%x.-]+"$')
    assert.is_truthy(res.headers.last_modified:find "GMT$")
    assert.is_nil(res.headers.vary)
  end)

  it("has names with spaces, letters of other tongues and percent signs", function()
    assert.are.equal("b{}", get("/static/a%20b/%C3%BC.css").body)
    assert.are.equal("percent", get("/static/100%25.txt").body)
    assert.are.equal("/static/a%20b/%C3%BC.css", app:url_for("static", { filename = "a b/ü.css" }))
  end)

  it("answers HEAD without the body, and nothing else than GET", function()
    local res = client:head "/static/a.txt"
    assert.are.equal(200, res.status)
    assert.are.equal("5", res.headers.content_length)
    assert.are.equal("", res.body)
    res = client:post "/static/a.txt"
    assert.are.equal(405, res.status)
    assert.are.equal("GET, HEAD, OPTIONS", res.headers.allow)
  end)

  it("sends large files and empty ones", function()
    local large = {}
    for i = 1, 50000 do large[i] = ("%07d,"):format(i) end
    large = table.concat(large)
    put("root/large.bin", large)
    put("root/empty", "")
    assert.is_true(get("/static/large.bin").body == large)
    local res = get "/static/empty"
    assert.are.equal(200, res.status)
    assert.are.equal("0", res.headers.content_length)
    assert.are.equal("application/octet-stream", res.headers.content_type)
    res = get("/static/large.bin", { Range = "bytes=399990-" })
    assert.are.equal(206, res.status)
    assert.are.equal(large:sub(399991), res.body)
    assert.are.equal("bytes 399990-399999/400000", res.headers.content_range)
  end)

  it("shows a change at once", function()
    local before = get("/static/a.txt").headers.etag
    put("root/a.txt", "other words")
    local res = get("/static/a.txt", { ["If-None-Match"] = before })
    assert.are.equal(200, res.status)
    assert.are.equal("other words", res.body)
  end)

  it("tells who has it that nothing changed", function()
    local first = get "/static/a.txt"
    for name, value in pairs { ["If-None-Match"] = first.headers.etag,
      ["If-Modified-Since"] = first.headers.last_modified } do
      local res = get("/static/a.txt", { [name] = value })
      assert.are.equal(304, res.status, name)
      assert.are.equal("", res.body)
      assert.are.equal(first.headers.etag, res.headers.etag)
      assert.is_nil(res.headers.content_length)
      assert.is_nil(res.headers.content_type)
    end
    assert.are.equal(412, get("/static/a.txt", { ["If-Match"] = '"other"' }).status)
  end)

  it("answers what asks beyond the end with a 416 that handlers see", function()
    app:errorhandler(416, function(_, err) return "beyond " .. err.headers["Content-Range"], 416 end)
    local res = get("/static/a.txt", { Range = "bytes=5-" })
    assert.are.equal(416, res.status)
    assert.are.equal("beyond bytes */5", res.body)
    assert.are.equal("bytes */5", res.headers.content_range)
  end)

  it("passes hooks and handlers like any view", function()
    local seen = {}
    app:before_request(function(req) seen[#seen + 1] = req.endpoint end)
    app:after_request(function(_, res)
      res.headers.x_size = tostring(res.body.size)
      return res
    end)
    app:errorhandler(404, function() return "mine", 404 end)
    assert.are.equal("5", get("/static/a.txt").headers.x_size)
    assert.are.same({ "static" }, seen)
  end)

  it("gives its memory back", function()
    put("root/large.bin", ("x"):rep(300000))
    clean.keeps_memory(function()
      get "/static/a.txt"
      get "/static/large.bin"
      get "/static/nothing"
    end)
  end)
end)

describe("nothing leads out of a folder:", function()
  it("neither dots nor what stands for them", function()
    for _, path in ipairs {
      "/../secret", "/%2e%2e/secret", "/..%2fsecret", "/%2e%2e%2fsecret", "/.%2e/secret", "/docs/../../secret",
      "/docs/%2e%2e/%2e%2e/secret", "/%252e%252e/secret", "/..%252fsecret", "/..%5csecret", "/..\\secret",
      "/docs\\..\\..\\secret", "/./a.txt", "/docs/./index.html", "//a.txt", "/docs//index.html",
      "/%2fetc/passwd", "//etc/passwd", "/%2e%2e/rooted/secret", "/a.txt%5c", "/a.txt/", "/a.txt/.",
      "/a.txt/..", "/..", "/.", "/...", "/..;/secret", "/%c0%ae%c0%ae/secret", "/~root/secret",
    } do
      for _, prefix in ipairs { "/static", "/files" } do
        local res = get(prefix .. path)
        local safe = res.status == 404 or res.status == 308
        assert.is_true(safe, prefix .. path .. " gives " .. res.status)
        assert.is_nil(res.body:find("secret", 1, true), prefix .. path)
      end
    end
    assert.are.equal(400, get("/static/a.txt%00.css").status)
    assert.are.equal(400, get("/static/a%zz").status)
  end)

  it("nor links, but for those that stay inside", function()
    run "ln -s ../secret root/outside; ln -s .. root/up; ln -s loop root/loop; ln -s /etc root/etc"
    run "ln -s \"$PWD/rooted/secret\" root/beside; ln -s a.txt root/inside; ln -s docs root/manual"
    run "ln -s \"$PWD/root/a.txt\" root/absolute; ln -s ../root/a.txt root/detour"
    for _, name in ipairs { "outside", "up/secret", "loop", "etc/passwd", "beside", "up/root/../secret" } do
      gone("/static/" .. name)
    end
    for _, name in ipairs { "inside", "absolute", "detour" } do
      assert.are.equal("hello", get("/static/" .. name).body, name)
    end
    assert.are.equal("<p>index", get("/files/manual/").body)
  end)

  it("nor what is no file", function()
    run "mkfifo root/pipe"
    gone "/static/pipe"
    gone "/static/docs"
    gone "/static/docs/"
    gone("/static/" .. ("a"):rep(3000))
    gone("/static/" .. ("a/"):rep(1500))
  end)

  -- Root may read everything, so somebody else has to look.
  it("nor what the server may not read, which the log tells", function()
    run "mkdir root/closed && echo secret >root/closed/a && chmod 755 . root && chmod 000 root/a.txt root/closed"
    local script = process.write(folder .. "/look.lua", ([[
      local dewar = require "dewar"
      local app = dewar.app { static_folder = false }
      app:static("/files", "%s/root")
      app:get("/one", function() return dewar.send_from_directory("%s/root", "a.txt") end)
      local client <close> = app:test_client()
      for _, path in ipairs { "/files/a.txt", "/files/closed/a", "/one" } do print(client:get(path).status) end
    ]]):format(folder, folder))
    local command = { "lua5.4", script }
    if os.execute "test $(id -u) = 0" then
      command = { "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "lua5.4", script }
      if not os.execute "setpriv --reuid=65534 --clear-groups lua5.4 -e 'require \"dewar\"' 2>/dev/null" then
        return pending "nobody else can run this build here"
      end
    end
    local code, out, err = process.run(command)
    process.stop_all()
    assert.are.equal(0, code, err)
    assert.are.equal("404\n404\n404\n", out)
    assert.are.equal(3, select(2, err:gsub("WARN [^\n]*root/[^\n]* can't be sent: permission denied", "")))
  end)

  it("nor a folder that isn't there", function()
    os.execute(("rm -r '%s/root'"):format(folder))
    gone "/static/a.txt"
    gone "/files/"
  end)
end)

describe("the index of a folder", function()
  it("stands for the folder with a slash, to which others are sent", function()
    assert.are.equal("<p>index", get("/files/docs/").body)
    assert.are.equal("text/html; charset=utf-8", get("/files/docs/").headers.content_type)
    local res = get "/files/docs?a=b%20c"
    assert.are.equal(308, res.status)
    assert.are.equal("/files/docs/?a=b%20c", res.headers.location)
  end)

  it("is missing where there is none", function()
    gone "/files/"
    gone "/files/docs/deep"
    gone "/files/docs/deep/"
    put("root/index.html", "root")
    assert.are.equal("root", get("/files/").body)
  end)

  it("can have another name, or be none", function()
    put("root/docs/start", "start")
    local other = dewar.app()
    other:static("/", folder .. "/root", { index = "start" })
    other:static("/none", folder .. "/root", { index = false })
    client:close()
    client = other:test_client()
    assert.are.equal("start", get("/docs/").body)
    assert.are.equal("/docs/", get("/docs").headers.location)
    assert.are.equal(404, get("/none/docs/").status)
    assert.are.equal(404, get("/none/docs").status)
    assert.are.equal("hello", get("/a.txt").body)
  end)

  it("sends nobody to another host", function()
    local other = dewar.app()
    other:static("/", folder)
    put("evil.example/index.html", "x")
    client:close()
    client = other:test_client()
    for _, path in ipairs { "//evil.example", "///evil.example", "/%2fevil.example", "/\\evil.example" } do
      local location = get(path).headers.location
      assert.is_true(location == nil or location:find "^/[^/\\]" ~= nil, path)
    end
  end)
end)

describe("a compressed sibling", function()
  local function compressed()
    put("root/app.js", "let text = 1")
    put("root/app.js.gz", "gzipped")
    put("root/app.js.br", "brotli")
  end

  it("is sent to who takes it, as what it stands for", function()
    compressed()
    local res = get("/static/app.js", { ["Accept-Encoding"] = "gzip, deflate, br" })
    assert.are.equal("brotli", res.body)
    assert.are.equal("br", res.headers.content_encoding)
    assert.are.equal("text/javascript; charset=utf-8", res.headers.content_type)
    assert.are.equal("Accept-Encoding", res.headers.vary)
    assert.are.equal("gzipped", get("/static/app.js", { ["Accept-Encoding"] = "gzip, br;q=0" }).body)
    assert.are.equal("gzipped", get("/static/app.js", { ["Accept-Encoding"] = "gzip" }).body)
  end)

  it("isn't sent to others, who are told that there is one", function()
    compressed()
    for _, accepted in ipairs { "", "identity", "deflate", "gzip;q=0, br;q=0" } do
      local res = get("/static/app.js", { ["Accept-Encoding"] = accepted })
      assert.are.equal("let text = 1", res.body)
      assert.is_nil(res.headers.content_encoding)
      assert.are.equal("Accept-Encoding", res.headers.vary)
    end
  end)

  it("has a tag of its own, and ranges of its own", function()
    compressed()
    local plain = get "/static/app.js"
    local gzip = get("/static/app.js", { ["Accept-Encoding"] = "gzip" })
    assert.are_not.equal(plain.headers.etag, gzip.headers.etag)
    local res = get("/static/app.js", { ["Accept-Encoding"] = "gzip", ["If-None-Match"] = gzip.headers.etag })
    assert.are.equal(304, res.status)
    assert.are.equal("Accept-Encoding", res.headers.vary)
    assert.are.equal(200, get("/static/app.js", { ["If-None-Match"] = gzip.headers.etag }).status)
    res = get("/static/app.js", { ["Accept-Encoding"] = "gzip", Range = "bytes=1-2" })
    assert.are.equal("zi", res.body)
    assert.are.equal("bytes 1-2/7", res.headers.content_range)
    local other = plain.headers.etag
    res = get("/static/app.js", { ["Accept-Encoding"] = "gzip", Range = "bytes=1-2", ["If-Range"] = other })
    assert.are.equal("gzipped", res.body)
  end)

  it("is left alone where it is out of date", function()
    compressed()
    run "touch -d 2001-01-01 root/app.js.br"
    assert.are.equal("gzipped", get("/static/app.js", { ["Accept-Encoding"] = "br, gzip" }).body)
  end)

  it("is itself when it is asked for", function()
    compressed()
    local res = get("/static/app.js.gz", { ["Accept-Encoding"] = "gzip" })
    assert.are.equal("gzipped", res.body)
    assert.is_nil(res.headers.content_encoding)
    assert.are.equal("application/gzip", res.headers.content_type)
  end)

  it("can be switched off", function()
    compressed()
    local other = dewar.app()
    other:static("/files", folder .. "/root", { precompressed = false })
    client:close()
    client = other:test_client()
    local res = get("/files/app.js", { ["Accept-Encoding"] = "gzip" })
    assert.are.equal("let text = 1", res.body)
    assert.is_nil(res.headers.vary)
  end)

  it("stands for the index, too", function()
    put("root/docs/index.html.gz", "gzipped")
    local res = get("/files/docs/", { ["Accept-Encoding"] = "gzip" })
    assert.are.equal("gzipped", res.body)
    assert.are.equal("text/html; charset=utf-8", res.headers.content_type)
  end)
end)

describe("how long a file may be kept", function()
  local function age(opts, config)
    local other = dewar.app { config = config }
    other:static("/files", folder .. "/root", opts)
    local other_client = other:test_client()
    local res = other_client:get("/files/a.txt")
    other_client:close()
    assert.are.equal("hello", res.body)
    return res.headers.cache_control
  end

  it("is said by the option, else by the config", function()
    assert.are.equal("public, max-age=60", age { max_age = 60 })
    assert.are.equal("no-cache", age { max_age = 0 })
    assert.are.equal("public, max-age=7", age({}, { SEND_FILE_MAX_AGE_DEFAULT = 7 }))
    assert.are.equal("public, max-age=60", age({ max_age = 60 }, { SEND_FILE_MAX_AGE_DEFAULT = 7 }))
    assert.are.equal("no-cache", age())
  end)

  it("can be a function of the name, with all else as before", function()
    put("root/a.txt.gz", "gzipped")
    local other = dewar.app()
    other:static("/files", folder .. "/root", { max_age = function(name) return name:find "^a" and 9 or nil end })
    client:close()
    client = other:test_client()
    assert.are.equal("public, max-age=9", get("/files/a.txt").headers.cache_control)
    assert.are.equal("no-cache", get("/files/docs/").headers.cache_control)
    assert.are.equal("percent", get("/files/100%25.txt").body)
    assert.are.equal("text/html; charset=utf-8", get("/files/docs/").headers.content_type)
    assert.are.equal("gzipped", get("/files/a.txt", { ["Accept-Encoding"] = "gzip" }).body)
    local res = get "/files/docs?x=1"
    assert.are.equal(308, res.status)
    assert.are.equal("http://localhost/files/docs/?x=1", res.headers.location)
    for _, path in ipairs { "/..%2fsecret", "/%2e%2e/secret", "/nothing", "/..%5csecret", "/docs//index.html" } do
      gone("/files" .. path)
    end
  end)
end)

describe("static_folder", function()
  local function routes(other)
    local rules = {}
    for _, rule in ipairs(other.url_map.rules()) do rules[#rules + 1] = rule.rule .. " " .. rule.endpoint end
    return rules
  end

  it("is served below its own name, with the endpoint static", function()
    local other = dewar.app { static_folder = folder .. "/root" }
    assert.are.same({ "/root/<path:filename> static" }, routes(other))
    assert.are.equal("/root/a%20b.css", other:url_for("static", { filename = "a b.css" }))
    assert.are.equal(folder .. "/root", other.static_folder)
    assert.are.equal("/root", other.static_url_path)
  end)

  it("is served where static_url_path says, even at the top", function()
    local other = dewar.app { static_folder = folder .. "/root", static_url_path = "" }
    assert.are.same({ "/<path:filename> static" }, routes(other))
    other = dewar.app { static_folder = folder .. "/root", static_url_path = "/assets/" }
    assert.are.same({ "/assets/<path:filename> static" }, routes(other))
  end)

  it("is the folder static beside the app's file, if there is one", function()
    local path = put("site/app.lua", "local app = require('dewar').app()\nreturn app")
    assert.are.same({}, routes(dofile(path)))
    put("site/static/a.css", "b{}")
    local site = dofile(path)
    assert.are.same({ "/static/<path:filename> static" }, routes(site))
    client:close()
    client = site:test_client()
    assert.are.equal("b{}", get("/static/a.css").body)
    path = put("site/app.lua", "local app = require('dewar').app { static_folder = false }\nreturn app")
    assert.are.same({}, routes(dofile(path)))
  end)

  it("is a blueprint's own, below its prefix", function()
    local admin = dewar.blueprint("admin", {
      url_prefix = "/admin", static_folder = folder .. "/root", static_url_path = "/own",
    })
    admin:static("/docs", folder .. "/root/docs", { endpoint = "docs" })
    local other = dewar.app()
    other:register_blueprint(admin)
    other:register_blueprint(admin, { name = "again", url_prefix = "/again" })
    assert.are.equal("/admin/own/a.txt", other:url_for("admin.static", { filename = "a.txt" }))
    assert.are.equal("/again/own/a.txt", other:url_for("again.static", { filename = "a.txt" }))
    client:close()
    client = other:test_client()
    assert.are.equal("hello", get("/admin/own/a.txt").body)
    assert.are.equal("hello", get("/again/own/a.txt").body)
    assert.are.equal("<p>index", get("/admin/docs/").body)
    assert.are.equal("/admin/docs/", get("/admin/docs").headers.location)
  end)
end)

describe("misuse", function()
  local function raises(message, f, ...)
    local ok, err = pcall(f, ...)
    assert.is_false(ok)
    assert.are.equal(message, (tostring(err):gsub("^.-static_spec.lua:%d+: ", "")))
    assert.is_truthy(tostring(err):find "static_spec.lua")
  end

  it("is told at the line that did it", function()
    raises("static: where the files are must be a string that starts with '/'",
      function() app:static("files", "folder") end)
    raises("static: the second argument is a folder's path; got a nil", function() app:static("/x") end)
    raises("static: unknown option 'indx'; did you mean 'index'?",
      function() app:static("/x", "folder", { indx = false }) end)
    raises("static: the option 'index' is a file's name, or false",
      function() app:static("/x", "folder", { index = "../index.html" }) end)
    raises("static: the option 'max_age' is a number of seconds, or a function that gives it; got -1",
      function() app:static("/x", "folder", { max_age = -1 }) end)
    raises("static: the option 'precompressed' is a boolean; got a string",
      function() app:static("/x", "folder", { precompressed = "br" }) end)
    raises("app: static_folder is a folder's path, or false for none",
      function() dewar.app { static_folder = 1 } end)
    raises("app: static_url_path must be a string that starts with '/'",
      function() dewar.app { static_folder = "x", static_url_path = "x" } end)
    raises("blueprint: static_url_path needs a static_folder",
      function() dewar.blueprint("x", { static_url_path = "/x" }) end)
    raises("config.SEND_FILE_MAX_AGE_DEFAULT is a number of seconds, or nil for none; got no",
      function() app.config.SEND_FILE_MAX_AGE_DEFAULT = "no" end)
  end)

  it("of the same place is an error", function()
    assert.has_error(function() app:static("/files", folder) end)
  end)
end)
