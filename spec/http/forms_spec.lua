-- Forms: their fields and files, what is refused, what is kept where, and that
-- nothing is left of it.
local core = require "dewar.core"
local dewar = require "dewar"
local lfs = require "lfs"
local clean = require "spec.support.clean"
local http = require "spec.support.http"
local process = require "spec.support.process"

local app, client, folder, view

local KIB = 1024

local function descriptors()
  local n = 0
  for _ in lfs.dir "/proc/self/fd" do n = n + 1 end
  return n
end

local function settle()
  for _ = 1, 500 do dewar.yield() end
end

--- Turns the loop until f gives something.
local function eventually(f)
  for _ = 1, 10000 do
    local result = f()
    if result then return result end
    dewar.sleep(0.001)
  end
  error("waited in vain", 2)
end

before_each(function()
  folder = process.folder()
  app = dewar.app { config = { TESTING = true } }
  app:post("/ask", function(req) return view(req) end)
  client = app:test_client()
end)
after_each(function()
  client:close()
  os.execute("rm -r " .. folder)
end)
clean.watch(before_each, after_each)

--- What f(req) returned for a POST of that kind.
local function ask(f, options)
  local results
  view = function(req)
    results = table.pack(f(req))
    return "fine"
  end
  assert.are.equal("fine", client:post("/ask", options).body)
  return table.unpack(results, 1, results.n)
end

--- The error that f(req) raised for one.
local function refused(f, options)
  return ask(function(req)
    local ok, err = pcall(f, req)
    assert(not ok, "it was not refused")
    return err
  end, options)
end

local function form_of(req) return req.form end

local function read_file(path)
  local file = assert(io.open(path, "rb"))
  local bytes = file:read "a"
  file:close()
  return bytes
end

--- Bytes that tell where they are.
local function bytes(size)
  local out = {}
  for i = 1, size // 8 do out[i] = ("%07x\n"):format(i) end
  return table.concat(out) .. ("z"):rep(size % 8)
end

local TYPE = "multipart/form-data; boundary=b"

--- A form from parts as { head, content }.
local function multipart(parts)
  local out = {}
  for i, part in ipairs(parts) do
    out[i] = ("--b\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n"):format(part[1], part[2])
  end
  return { headers = { content_type = TYPE }, body = table.concat(out) .. "--b--\r\n" }
end

-- --- Fields -----------------------------------------------------------------------

describe("the fields of a form", function()
  local function all(req)
    local list = {}
    for name, value in pairs(req.form) do list[#list + 1] = name .. "=" .. value end
    return { first = req.form.a, all = req.form "a", none = req.form.zz, list = list, count = #req.form,
      same = rawequal(req.form, req.form) }
  end

  local EXPECTED = { first = "1", all = { "1", "\0\xff\r\n" }, list = { "a=1", "a=\0\xff\r\n", "b=" }, count = 3,
    same = true }

  it("are there of an urlencoded one", function()
    assert.are.same(EXPECTED, ask(all, { form = { a = { "1", "\0\xff\r\n" }, b = "" } }))
  end)

  it("are there of a multipart one", function()
    assert.are.same(EXPECTED, ask(all, { form = { a = { "1", "\0\xff\r\n" }, b = "" }, files = {} }))
  end)

  it("are there for the proxy as well", function()
    assert.are.equal("1", ask(function() return dewar.request.form.a end, { form = { a = "1" }, files = {} }))
  end)

  it("are none of what is no form", function()
    local function count(req) return #req.form, #req.files, req:body() end
    assert.are.same({ 0, 0, "a=1" }, { ask(count, { body = "a=1" }) })
    assert.are.same({ 0, 0, "a=1" }, { ask(count, { body = "a=1", headers = { content_type = "text/plain" } }) })
    assert.are.same({ 0, 0, "{}" }, { ask(count, { body = "{}", headers = { content_type = "application/json" } }) })
    assert.are.same({ 0, 0, "--b--" },
      { ask(count, { body = "--b--", headers = { content_type = "multipart/mixed; boundary=b" } }) })
  end)

  it("are none where there is no body", function()
    local function count(req) return #req.form, #req.files end
    assert.are.same({ 0, 0 }, { ask(count, { headers = { content_type = TYPE } }) })
    assert.are.same({ 0, 0 }, { ask(count, { headers = { content_type = "multipart/form-data" } }) })
  end)

  it("stay readable when the request is over", function()
    local req = ask(function(req)
      local _ = req.form
      return req
    end, { form = { a = "1" }, files = { f = "x" } })
    assert.are.equal("1", req.form.a)
    assert.are.equal("f", req.files.f.filename)
  end)

  it("can be had behind the whole body", function()
    local options = { form = { a = "1" }, files = { f = { content = bytes(700 * KIB) } } }
    local function both(req)
      local body = req:body()
      return req.form.a, req.files.f:read() == bytes(700 * KIB), req:body() == body
    end
    assert.are.same({ "1", true, true }, { ask(both, options) })
  end)

  it("can be waited for by several tasks, one after the other", function()
    local function twice(req)
      local first = dewar.spawn(function() return req.form.a end)
      local a = dewar.await(first)
      return a, req.form.a, dewar.await(dewar.spawn(function() return #req.files end))
    end
    assert.are.same({ "1", "1", 1 }, { ask(twice, { form = { a = "1" }, files = { f = "x" } }) })
  end)
end)

-- --- Files ------------------------------------------------------------------------

describe("a file", function()
  --- Files of these sizes are in memory, or on the disk.
  for _, size in ipairs { 0, 1, 1000, 499999, 500001, 2000003 } do
    describe("of " .. size .. " bytes", function()
      local content = bytes(size)
      local options = { files = { photo = { filename = "cat.png", content = content, content_type = "image/png" } } }

      it("knows what was said of it", function()
        local function about(req)
          local f = req.files.photo
          return { f.name, f.filename, f.content_type, f.size, f.headers.content_type,
            f.headers.Content_Disposition, tostring(f) }
        end
        assert.are.same({ "photo", "cat.png", "image/png", size, "image/png",
          'form-data; name="photo"; filename="cat.png"', ('dewar.file: "cat.png", %d bytes'):format(size) },
          ask(about, options))
      end)

      it("can be read as often as one likes", function()
        assert.are.same({ true, true }, { ask(function(req)
          return req.files.photo:read() == content, req.files.photo:read() == content
        end, options) })
      end)

      it("can be read in pieces", function()
        local function pieces(req)
          local list, most = {}, 0
          for piece in req.files.photo:chunks(30000) do
            list[#list + 1] = piece
            most = math.max(most, #piece)
          end
          return #list, most, table.concat(list) == content
        end
        assert.are.same({ (size + 29999) // 30000, math.min(size, 30000), true }, { ask(pieces, options) })
      end)

      it("can be saved, more than once, over what is there", function()
        local a, b = folder .. "/a", folder .. "/b"
        process.write(a, ("old"):rep(10))
        ask(function(req)
          local photo = req.files.photo
          photo:save(b)
          photo:save(a)
          photo:save(a)
          assert(photo:read() == content)
        end, options)
        assert.is_true(read_file(a) == content)
        assert.is_true(read_file(b) == content)
        assert.are_not.equal(lfs.attributes(a, "ino"), lfs.attributes(b, "ino"))
      end)
    end)
  end

  it("is one of several, each with its own content", function()
    local sizes = { 10, 600000, 0, 300000, 1 }
    local list = {}
    for i, size in ipairs(sizes) do list[i] = { filename = "f" .. i, content = bytes(size) } end
    local function check(req)
      local names = {}
      for name, f in pairs(req.files) do
        names[#names + 1] = name .. f.filename .. (#f:read() == f.size and "" or "!")
      end
      for i, f in ipairs(req.files "many") do
        assert(f:read() == list[i].content)
        f:save(folder .. "/" .. f.filename)
      end
      return names, #req.files "many", req.files.many.filename, #req.files, req.files.none
    end
    assert.are.same({ { "manyf1", "manyf2", "manyf3", "manyf4", "manyf5" }, 5, "f1", 5 },
      { ask(check, { files = { many = list } }) })
    for i, one in ipairs(list) do assert.is_true(read_file(folder .. "/f" .. i) == one.content) end
  end)

  it("isn't there where nobody has chosen one", function()
    local options = multipart { { 'name="none"; filename=""', "" }, { 'name="odd"; filename=""', "x" } }
    assert.are.same({ 1, "" }, { ask(function(req)
      assert(req.files.none == nil)
      return #req.files, req.files.odd.filename
    end, options) })
  end)

  it("may have no type", function()
    assert.is_nil(ask(function(req) return req.files.f.content_type end, multipart { { "name=f; filename=x", "" } }))
  end)

  it("is gone with its request, what was said of it isn't", function()
    for _, size in ipairs { 10, 600000 } do
      local f = ask(function(req) return req.files.f end, { files = { f = { content = bytes(size) } } })
      assert.are.equal("f", f.filename)
      assert.are.equal(size, f.size)
      for _, use in ipairs { f.read, f.chunks, function(it) it:save(folder .. "/x") end } do
        assert.error_matches(function() use(f) end, "this request is over")
      end
    end
  end)

  it("can't be changed, and has no other fields", function()
    local function errors(req)
      local f, list = req.files.f, {}
      for i, try in ipairs {
        function() f.filename = "x" end,
        function() return f.filenam end,
        function() return f.zzzzzz end,
        function() return f[1] end,
        function() f:save() end,
        function() f:save "" end,
        function() f:save "a\0b" end,
        function() f:chunks(0) end,
        function() f:chunks "x" end,
        function() f.read() end,
      } do
        list[i] = select(2, pcall(try)):gsub("^(.-forms_spec%.lua):%d+: ", "HERE ")
      end
      return list
    end
    assert.are.same({
      "HERE what came with a request can't be changed",
      "HERE a file has no field 'filenam'; did you mean 'filename'?",
      "HERE a file has no field 'zzzzzz'",
      "HERE the fields of a file have names; got a number",
      "HERE save takes the path of a file; got a nil",
      "HERE save: a path is not empty, and has no NUL in it",
      "HERE save: a path is not empty, and has no NUL in it",
      "HERE chunks: the size of a piece is a positive whole number of bytes",
      "HERE chunks: the size of a piece is a positive whole number of bytes",
      "bad argument #1 to 'read' (dewar.file expected, got no value)",
    }, (function(list)
      list[10] = list[10]:gsub("^HERE ", "")
      return list
    end)(ask(errors, { files = { f = "x" } })))
  end)

  it("says with a code why it can't be saved", function()
    for _, size in ipairs { 10, 600000 } do
      local function save(req)
        local list = {}
        for i, path in ipairs { "/no/such/folder/x", folder, "/dev/full" } do
          local ok, err = pcall(req.files.f.save, req.files.f, path)
          list[i] = not ok and err.code
          assert(tostring(err):find("saving a file as '" .. path, 1, true), tostring(err))
        end
        return list
      end
      assert.are.same({ "ENOENT", "EISDIR", "ENOSPC" }, ask(save, { files = { f = { content = bytes(size) } } }))
    end
  end)

  it("lets others run while it is saved", function()
    local order = {}
    ask(function(req)
      local f = req.files.f
      local other = dewar.spawn(function()
        dewar.yield()
        order[#order + 1] = "other"
      end)
      f:save(folder .. "/x")
      order[#order + 1] = "saved"
      dewar.await(other)
    end, { files = { f = { content = bytes(3000000) } } })
    assert.are.same({ "other", "saved" }, order)
  end)

  it("can be saved and read by several tasks at once", function()
    local content = bytes(900000)
    ask(function(req)
      local f = req.files.f
      local a, b, c = dewar.gather(
        function() f:save(folder .. "/a") return true end,
        function() f:save(folder .. "/b") return true end,
        function() return f:read() == content end)
      assert(a and b and c)
    end, { files = { f = { content = content } } })
    assert.is_true(read_file(folder .. "/a") == content)
    assert.is_true(read_file(folder .. "/b") == content)
  end)
end)

-- --- What is refused --------------------------------------------------------------

describe("a malformed form", function()
  for _, name in ipairs { "boundaries", "content", "headers", "names" } do
    for _, case in ipairs(http.cases(("spec/fixtures/forms/%s.form"):format(name))) do
      local status, reason = case.lines[#case.lines]:match "^(%d+) (.*)$"
      local kind, body = case.bytes:match "^([^\n]*)\n(.*)$"
      if #body > 0 and #body < 3000 then
        it(("(%s) %s"):format(name, case.title), function()
          app.config.TESTING = false
          app:post("/", function(req) return ("%d fields, %d files"):format(#req.form, #req.files) end)
          app:post("/parts", function(req)
            for part in req:parts() do part:read() end
            return "fine"
          end)
          for _, path in ipairs { "/", "/parts" } do
            for _, split in ipairs { 1, #body + 1000 } do
              local text = client:send_raw(
                http.post(path, body, "Content-Type: " .. kind, "Accept: application/json"), { split = split })
              local answer = http.answers(text)[1]
              assert.are.equal(tonumber(status or 200), answer.status)
              if status then
                local what = status == "413" and "too large" or "malformed"
                assert.is_truthy(answer.body:find(("The form is %s: %s."):format(what, reason), 1, true), answer.body)
              end
            end
          end
        end)
      end
    end
  end

  it("is as malformed when it is asked for again", function()
    assert.are.same({ 400, 400, 400 }, ask(function(req)
      local list = {}
      for i, name in ipairs { "form", "files", "form" } do
        list[i] = select(2, pcall(function() return req[name] end)).status
      end
      return list
    end, { body = "--b\n", headers = { content_type = TYPE } }))
  end)

  it("is malformed behind the whole body, too", function()
    local err = refused(function(req)
      req:body()
      return req.files
    end, { body = "--b\r\n", headers = { content_type = TYPE } })
    assert.are.equal(400, err.status)
    assert.are.equal("The form is malformed: it ends before its last boundary.", err.message)
  end)

  it("of which the rest never comes ends with its connection", function()
    local failed
    app:post("/", function(req) return req.files end)
    app:teardown_request(function(_, err) failed = err end)
    local conn = client:connect()
    conn:send(http.request("POST", "/", { "Content-Type: " .. TYPE, "Content-Length: 1000" },
      "--b\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nhalf"))
    settle()
    conn:close()
    assert.is_true(dewar.is_cancelled(failed))
  end)
end)

describe("a limit of forms", function()
  local function status(f, options)
    local ok, err = true, nil
    ask(function(req)
      ok, err = pcall(f, req)
    end, options)
    return ok and 200 or err.status, not ok and err.message or nil
  end

  local function read_parts(req)
    for part in req:parts() do part:read() end
  end

  describe("on the memory of fields", function()
    local MESSAGE = "The form is too large: its fields are larger than MAX_FORM_MEMORY_SIZE allows."

    it("is 500000 bytes", function()
      assert.are.equal(500000, app.config.MAX_FORM_MEMORY_SIZE)
      assert.are.equal(500000, ask(function(req) return req.max_form_memory_size end))
      for _, f in ipairs { form_of, read_parts } do
        assert.are.equal(200, (status(f, { form = { a = ("x"):rep(500000) }, files = {} })))
        assert.are.same({ 413, MESSAGE }, { status(f, { form = { a = ("x"):rep(500001) }, files = {} }) })
      end
    end)

    it("is for all of them together", function()
      app.config.MAX_FORM_MEMORY_SIZE = 10
      for _, f in ipairs { form_of, read_parts } do
        assert.are.equal(200, (status(f, { form = { a = "12345", b = "67890" }, files = {} })))
        assert.are.same({ 413, MESSAGE }, { status(f, { form = { a = "12345", b = "678901" }, files = {} }) })
      end
    end)

    it("isn't for files", function()
      app.config.MAX_FORM_MEMORY_SIZE = 10
      local options = { form = { a = "1" }, files = { f = { content = bytes(1000) } } }
      assert.are.equal(200, (status(form_of, options)))
      assert.are.equal(200, (status(read_parts, options)))
    end)

    it("is for an urlencoded form, too", function()
      app.config.MAX_FORM_MEMORY_SIZE = 10
      local message = "The form is too large: it is larger than MAX_FORM_MEMORY_SIZE allows."
      assert.are.equal(200, (status(form_of, { form = { a = "12345678" } })))
      assert.are.same({ 413, message }, { status(form_of, { form = { a = "123456789" } }) })
      assert.are.same({ 413, message }, { status(function(req)
        req:body()
        return req.form
      end, { form = { a = "123456789" } }) })
    end)

    it("has one of 10000 fields for company, where a form is urlencoded", function()
      local function fields(n)
        return { body = ("a&"):rep(n), headers = { content_type = "application/x-www-form-urlencoded" } }
      end
      assert.are.equal(200, (status(form_of, fields(10000))))
      assert.are.same({ 413, "The form is too large: it has more than 10000 fields." },
        { status(form_of, fields(10001)) })
    end)

    it("holds for an urlencoded form in chunks, however long that is", function()
      app.config.MAX_FORM_MEMORY_SIZE = 100 * KIB
      local sent, piece = 0, ("p"):rep(KIB)
      local body = function()
        if sent == 2000 * KIB then return nil end
        sent = sent + KIB
        return piece
      end
      assert.are.equal(413, (status(form_of,
        { body = body, headers = { content_type = "application/x-www-form-urlencoded" } })))
      assert.is_true(sent < 1000 * KIB, sent .. " bytes were taken")
    end)

    it("may be a request's own", function()
      local function own(n)
        return function(req)
          req.max_form_memory_size = n
          assert(req.max_form_memory_size == n)
          return req.form
        end
      end
      local options = { form = { a = ("x"):rep(600000) }, files = {} }
      assert.are.equal(200, (status(own(600000), options)))
      assert.are.equal(200, (status(own(nil), options)))
      assert.are.equal(413, (status(own(599999), options)))
      assert.are.equal(413, (status(own(0), { form = { a = "1" } })))
    end)
  end)

  describe("on the number of parts", function()
    local function parts(n)
      local list = {}
      for i = 1, n do list[i] = "x" end
      return { form = { a = list }, files = {} }
    end

    local MESSAGE = "The form is too large: it has more parts than MAX_FORM_PARTS allows."

    it("is 1000", function()
      for _, f in ipairs { form_of, read_parts } do
        assert.are.equal(200, (status(f, parts(1000))))
        assert.are.same({ 413, MESSAGE }, { status(f, parts(1001)) })
      end
    end)

    it("is for fields and files together, and may be a request's own", function()
      local options = { form = { a = "1", b = "2" }, files = { c = "3" } }
      local function own(n)
        return function(req)
          req.max_form_parts = n
          assert(req.max_form_parts == n)
          return req.files
        end
      end
      assert.are.equal(200, (status(own(3), options)))
      assert.are.equal(413, (status(own(2), options)))
      assert.are.equal(200, (status(own(nil), parts(5000))))
    end)
  end)

  it("on the body comes first", function()
    app.config.MAX_CONTENT_LENGTH = 100
    for _, f in ipairs { form_of, read_parts } do
      local code, message = status(f, { files = { f = bytes(200) } })
      assert.are.equal(413, code)
      assert.is_truthy(message:find("MAX_CONTENT_LENGTH", 1, true))
    end
  end)

  it("has a type, in the config and in a request", function()
    local function message(f) return (select(2, pcall(f)):gsub("^.-forms_spec%.lua:%d+: ", "")) end
    for _, name in ipairs { "MAX_FORM_MEMORY_SIZE", "MAX_FORM_PARTS", "FORM_SPOOL_SIZE" } do
      for _, bad in ipairs { "x", -1, 1.5, true } do
        assert.are.equal(("config.%s is a whole number, or nil for none; got %s"):format(name, bad),
          message(function() app.config[name] = bad end))
      end
      app.config[name] = nil
    end
    ask(function(req)
      assert.are.equal("max_form_parts is a number of parts or nil",
        message(function() req.max_form_parts = -1 end))
      assert.are.equal("max_form_memory_size is a number of bytes or nil",
        message(function() req.max_form_memory_size = "1" end))
    end)
  end)
end)

-- --- Where files are --------------------------------------------------------------

describe("the files of a request", function()
  --- How many more descriptors there are in the view.
  local function held(options)
    local before = descriptors()
    return ask(function(req)
      local _ = req.files
      return descriptors() - before
    end, options)
  end

  it("are in memory up to FORM_SPOOL_SIZE, in one file beyond", function()
    app.config.FORM_SPOOL_SIZE = 1000
    assert.are.equal(0, held { files = { a = bytes(600), b = bytes(400) } })
    assert.are.equal(1, held { files = { a = bytes(600), b = bytes(401) } })
    assert.are.equal(1, held { files = { a = bytes(600000), b = bytes(600000), c = "x" } })
  end)

  it("are on the disk at once where that is 0, in memory where it is nil", function()
    app.config.FORM_SPOOL_SIZE = 0
    assert.are.equal(1, held { files = { a = "x" } })
    assert.are.equal(0, held { files = { a = "" } })
    app.config.FORM_SPOOL_SIZE = nil
    assert.are.equal(0, held { files = { a = bytes(3000000) } })
  end)

  --- Whether all descriptors of an upload are closed again.
  local function closes(f)
    local before = descriptors()
    f()
    eventually(function() return descriptors() == before end)
  end

  local LARGE = { files = { f = { content = bytes(3000000) } } }

  it("are gone after the request", function()
    closes(function() ask(function(req) return req.files.f end, LARGE) end)
  end)

  it("are gone after an error", function()
    app.config.TESTING = false
    app:post("/fail", function(req) error(req.files.f) end)
    local sink = dewar.log.sink
    dewar.log.sink = function() end
    closes(function() assert.are.equal(500, client:post("/fail", LARGE).status) end)
    dewar.log.sink = sink
  end)

  it("are gone where the form is refused in the middle", function()
    local options = { headers = { content_type = TYPE }, body = multipart({ { "name=a; filename=x", bytes(3000000) } })
      .body:gsub("%-%-b%-%-\r\n$", "--b--x") }
    closes(function() assert.are.equal(400, refused(form_of, options).status) end)
  end)

  it("are gone where the client goes away in the middle", function()
    local seen
    app.config.MAX_CONTENT_LENGTH = nil
    app:post("/", function(req) return req.files end)
    app:teardown_request(function() seen = descriptors() end)
    closes(function()
      local before = descriptors()
      local conn = client:connect()
      conn:send(http.request("POST", "/", { "Content-Type: " .. TYPE, "Content-Length: 100000000" },
        "--b\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n" .. bytes(3000000)), { split = 100000 })
      eventually(function() return descriptors() > before end)
      conn:close()
      assert.is_true(seen > before)
    end)
  end)

  it("are gone where time runs out in the middle, and the view may go on", function()
    local caught
    closes(function()
      app.config.MAX_CONTENT_LENGTH = nil
      app:post("/", function(req)
        caught = select(2, pcall(dewar.timeout, 0.02, function() return req.files end))
        local rest = req.files
        return rest.a:read() == bytes(1000000) and "whole" or "broken"
      end)
      local body = multipart({ { "name=a; filename=x", bytes(1000000) } }).body
      local conn <close> = client:connect()
      conn:send(http.request("POST", "/", { "Content-Type: " .. TYPE, "Content-Length: " .. #body },
        body:sub(1, 700000)))
      eventually(function() return caught end)
      conn:send(body:sub(700001))
      assert.are.equal("whole", http.answers((conn:receive()))[1].body)
    end)
    assert.is_true(dewar.TimeoutError:is(caught))
  end)

  it("keep nothing of a job that was given up", function()
    closes(function()
      ask(function(req)
        local f = req.files.f
        for _ = 1, 20 do
          local task = dewar.spawn(function() f:save(folder .. "/x") end)
          local other = dewar.spawn(function() return f:read() end)
          dewar.yield()
          task:cancel()
          other:cancel()
        end
      end, LARGE)
    end)
  end)

  it("are an error with a code where there is no folder for them", function()
    local path = process.write(folder .. "/app.lua", [[
      local dewar = require "dewar"
      local app = dewar.app { config = { TESTING = true } }
      app:post("/", function(req)
        local ok, err = pcall(function() return req.files end)
        return ok and "kept" or err.code .. " " .. tostring(err)
      end)
      local client <close> = app:test_client()
      print(client:post("/", { files = { f = ("x"):rep(600000) } }).body)
    ]])
    local code, out, err = process.run { "env", "TMPDIR=/no/such/folder", "lua5.4", path }
    assert.are.equal(0, code, err)
    assert.are.equal("ENOENT Error: keeping an uploaded file: no such file or directory\n", out)
  end)
end)

describe("memory", function()
  it("is bounded, however large a form is", function()
    app.config.MAX_CONTENT_LENGTH = nil
    local piece, count = bytes(1000000), 0
    local head = "--b\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n"
    local function body()
      count = count + 1
      if count == 1 then return head end
      if count == 52 then return "\r\n--b--" end
      return count < 52 and piece or nil
    end
    local options = { headers = { content_type = TYPE }, body = body }
    ask(function(req) return req.files.a end, { files = { a = "x" } })
    local before = core.debug_counts().peak
    assert.are.equal(50000000, ask(function(req) return req.files.a.size end, options))
    local more = core.debug_counts().peak - before
    assert.is_true(more < 8000000, more .. " bytes more")
  end)

  it("is given back", function()
    local gate
    app:post("/", function(req) return tostring(#req.files) .. req.form.a end)
    app:post("/parts", function(req)
      for part in req:parts() do gate = part:read() end
      return gate
    end)
    clean.keeps_memory(function()
      client:post("/", { form = { a = "1" }, files = { f = bytes(1000) } })
      client:post("/parts", { form = { a = "1" }, files = { f = bytes(1000) } })
    end, 256)
  end)

  it("has back-pressure: what the disk hasn't taken isn't read", function()
    -- The view that doesn't read stands for a disk that doesn't write.
    local gate = dewar.event()
    app.config.MAX_CONTENT_LENGTH = nil
    app:post("/", function(req)
      for part in req:parts() do
        part:chunks()()
        gate:wait()
      end
      return "read"
    end)
    local sent, piece = 0, bytes(KIB)
    local head = "--b\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n"
    local function body()
      sent = sent + KIB
      if sent == KIB then return head end
      if sent == 3000 * KIB then return "\r\n--b--" end
      return sent < 3000 * KIB and piece or nil
    end
    local task = dewar.spawn(client.post, client, "/", { headers = { content_type = TYPE }, body = body })
    settle()
    assert.is_true(sent < 500 * KIB, sent .. " bytes were taken")
    gate:set()
    assert.are.equal("read", dewar.await(task).body)
  end)
end)

-- --- Part by part -----------------------------------------------------------------

describe("parts", function()
  local options = { form = { a = "1", b = { "2", "" } },
    files = { f = { filename = "x.bin", content = bytes(300000), content_type = "a/b" } } }

  it("come in their order, with what was said of them", function()
    local function all(req)
      local list = {}
      for part in req:parts() do
        list[#list + 1] = { part.name, part.filename or false, part.content_type or false,
          part.headers.content_disposition, #part:read() }
      end
      return list
    end
    assert.are.same({
      { "a", false, false, 'form-data; name="a"', 1 },
      { "b", false, false, 'form-data; name="b"', 1 },
      { "b", false, false, 'form-data; name="b"', 0 },
      { "f", "x.bin", "a/b", 'form-data; name="f"; filename="x.bin"', 300000 },
    }, ask(all, options))
  end)

  it("can be read in pieces, and the rest at once", function()
    local function read(req)
      for part in req:parts() do
        if part.name == "f" then
          local first = part:chunks()()
          local rest = part:read()
          assert(part:read() == "" and part:chunks()() == nil)
          return first ~= "" and first .. rest == bytes(300000)
        end
      end
    end
    assert.is_true(ask(read, options))
  end)

  it("that weren't read are skipped", function()
    local function names(req)
      local list = {}
      for part in req:parts() do
        list[#list + 1] = part.name
        if part.name == "f" then part:chunks()() end
      end
      return list
    end
    assert.are.same({ "a", "b", "b", "f" }, ask(names, options))
    assert.are.same({ "a", "b", "b", "f" }, ask(names, options))
  end)

  it("are over when the next one has come", function()
    local function kept(req)
      local next_part = req:parts()
      local first = next_part()
      local chunks = first:chunks()
      next_part()
      local list = {}
      for i, f in ipairs { first.read, first.chunks, chunks } do
        list[i] = select(2, pcall(f, first)):gsub("^.-: ", "")
      end
      return first.name, list
    end
    local name, list = ask(kept, options)
    local message = "this part is over: parts() has gone on to the next one; read it before"
    assert.are.equal("a", name)
    for _, text in ipairs(list) do assert.is_truthy(text:find(message, 1, true), text) end
  end)

  it("come by the proxy, too", function()
    assert.are.equal("a", ask(function() return dewar.request:parts()().name end, options))
  end)

  it("arrive before the body has ended", function()
    local first
    app:post("/", function(req)
      for part in req:parts() do
        first = first or part:chunks()()
      end
      return "done"
    end)
    local conn <close> = client:connect()
    local body = multipart({ { "name=a", "begin--end" } }).body
    local head, rest = body:match "^(.*begin)(.*)$"
    conn:send(http.request("POST", "/", { "Content-Type: " .. TYPE, "Content-Length: " .. #body }, head))
    settle()
    assert.are.equal("begin", first)
    conn:send(rest)
    assert.are.equal("done", http.answers((conn:receive()))[1].body)
  end)

  it("are none of an empty body, and a 415 of what is no form", function()
    assert.is_nil(ask(function(req) return req:parts()() end, { headers = { content_type = TYPE } }))
    for _, other in ipairs { { body = "x" }, { form = { a = "1" } }, { json = {} } } do
      local err = refused(function(req) req:parts() end, other)
      assert.are.equal(415, err.status)
      assert.is_truthy(err.message:find("multipart/form-data", 1, true))
    end
  end)

  it("and files have no other fields, and can't be changed", function()
    ask(function(req)
      local part = req:parts()()
      assert.error_matches(function() return part.nam end, "a part has no field 'nam'; did you mean 'name'%?")
      assert.error_matches(function() part.name = "x" end, "can't be changed")
      assert.is_nil(part.filename)
    end, options)
  end)

  it("can't be read by two tasks at once", function()
    local message
    app:post("/", function(req)
      local part = req:parts()()
      local other = dewar.spawn(function() return part:read() end)
      dewar.yield()
      message = select(2, pcall(part.read, part))
      other:cancel()
      return "done"
    end)
    local conn <close> = client:connect()
    conn:send(http.request("POST", "/", { "Content-Type: " .. TYPE, "Content-Length: 1000" },
      "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n"))
    assert.are.equal("done", http.answers((conn:receive()))[1].body)
    assert.is_truthy(message:find("another task is reading this request's body", 1, true))
  end)
end)

describe("a body", function()
  local function whole(req) return req:body() end
  local function chunks(req) return req:chunks()() end
  local function parts(req) return req:parts()() end
  local function files(req) return #req.files end

  local PARTS = "this body is read by parts%(%), so it can't be had in another way"
  local CHUNKS = "this body is read by chunks%(%), so it can't be had in another way"
  local FORM = "this body has been read as a form; use req.form and req.files"
  local WHOLE = "the body has been read whole; use what body%(%), text%(%), json%(%) or form gave"

  for _, case in ipairs {
    { "parts, then the form", parts, form_of, PARTS }, { "parts, then the files", parts, files, PARTS },
    { "parts, then the whole", parts, whole, PARTS }, { "parts, then chunks", parts, chunks, PARTS },
    { "the form, then parts", form_of, parts, FORM }, { "the form, then the whole", form_of, whole, FORM },
    { "the form, then chunks", form_of, chunks, FORM }, { "chunks, then the form", chunks, files, CHUNKS },
    { "chunks, then parts", chunks, parts, CHUNKS }, { "chunks, then the whole", chunks, whole, CHUNKS },
    { "the whole, then parts", whole, parts, WHOLE }, { "the whole, then chunks", whole, chunks, WHOLE },
  } do
    it("is read in one way: no " .. case[1], function()
      local err = refused(function(req)
        case[2](req)
        case[3](req)
      end, { form = { a = "1" }, files = { f = "x" } })
      assert.matches("^.-:%d+: " .. case[4], err)
    end)
  end
end)

describe("a task of somebody else", function()
  --- What f(req) raises in a background task while the body is on its way.
  local function outside(f)
    local raised
    app:post("/", function(req)
      local task = app:add_background_task(function() raised = select(2, pcall(f, req)) end)
      dewar.await(task)
      return req.form.a
    end)
    local conn <close> = client:connect()
    local body = multipart({ { "name=a", "1" } }).body
    conn:send(http.request("POST", "/", { "Content-Type: " .. TYPE, "Content-Length: " .. #body }))
    settle()
    conn:send(body)
    assert.are.equal("1", http.answers((conn:receive()))[1].body)
    return raised
  end

  it("can't wait for a body, since the request won't wait for it", function()
    local message = "this task doesn't belong to the request, so it can't wait for its body; "
      .. "read it in the view, and pass it on"
    assert.is_truthy(outside(function(req) return req.form end):find(message, 1, true))
  end)

  it("may still save a file when the request ends", function()
    local content, saved, started = bytes(5000000), nil, dewar.event()
    ask(function(req)
      local f = req.files.f
      app:add_background_task(function()
        started:set()
        f:save(folder .. "/late")
        saved = true
      end)
      started:wait()
    end, { files = { f = { content = content } } })
    eventually(function() return saved end)
    assert.is_true(read_file(folder .. "/late") == content)
  end)
end)

-- --- Names ------------------------------------------------------------------------

describe("secure_filename", function()
  local function check(name, safe)
    assert.are.equal(safe, dewar.secure_filename(name))
  end

  it("keeps what is harmless", function()
    check("photo.png", "photo.png")
    check("a-b_c.TAR.gz", "a-b_c.TAR.gz")
  end)

  it("leads to no other folder", function()
    check("../../../etc/passwd", "etc_passwd")
    check("/etc/passwd", "etc_passwd")
    check("C:\\Users\\ada\\notes.txt", "C_Users_ada_notes.txt")
    check("..", "")
    check("././.", "")
    check("\u{FF0E}\u{FF0E}\u{FF0F}etc", "etc")
    check("a/../b", "a_.._b")
  end)

  it("hides nothing", function()
    check(".htaccess", "htaccess")
    check("__init__.py", "init__.py")
    check("name.", "name")
  end)

  it("joins words", function()
    check("My cool movie.mov", "My_cool_movie.mov")
    check("  a \t b\r\nc\u{A0}d ", "a_b_c_d")
  end)

  it("leaves out what isn't needed", function()
    check("foo$&^*)bar\0.txt", "foobar.txt")
    check("\xff\xfe.txt", "txt")
    check("", "")
    check("\u{6587}\u{4EF6}", "")
  end)

  it("finds a stand-in for letters with marks", function()
    check("Z\u{FC}rich \u{C5}rsrapport.pdf", "Zurich_Arsrapport.pdf")
    check("cafe\u{301}.txt", "cafe.txt")
    check("\u{FB01}le \u{FF11}\u{BD}", "file_112")
    check("\u{1EC7}\u{2026}x", "e...x")
  end)

  it("takes a string", function()
    assert.has_error(function() dewar.secure_filename(nil) end, "secure_filename takes a filename; got a nil")
  end)
end)
