-- What language servers are told is what there is: each public name has a
-- comment in lua/dewar, and each name that is declared there exists.
local dewar = require "dewar"

local function files()
  local found = {}
  local pipe = io.popen "find lua -name '*.lua' | sort"
  for path in pipe:lines() do found[#found + 1] = path end
  pipe:close()
  return found
end

-- What the files declare: `declared["dewar.App"].url_for` is where it stands, or
-- false where no comment goes with it. Names that begin with "_" are private.
local function read_all()
  local declared = {}
  local function declare(class, name, where)
    local names = declared[class] or {}
    declared[class] = names
    if name and name:sub(1, 1) ~= "_" then names[name] = names[name] or where end
  end
  for _, path in ipairs(files()) do
    local classes, class, described, number = {}, nil, false, 0
    for line in io.lines(path) do
      number = number + 1
      local where = ("%s:%d"):format(path, number)
      local started = line:match "^%-%-%-@class ([%w_.]+)"
      local field = line:match "^%-%-%-@field ([%a_][%w_]*)"
      local var, name = line:match "^function ([%a_]%w*)[.:]([%w_]+)"
      if not var then var, name = line:match "^([%a_]%w*)%.([%w_]+) = " end
      local owner = line:match "^local ([%a_]%w*) ="
      if started then
        class = started
        declare(class)
      elseif field and class then
        declare(class, field, where)
      elseif owner and class then
        classes[owner] = class
      end
      if var and classes[var] then declare(classes[var], name, described and where or false) end
      described = line:find "^%-%-%-" ~= nil
      if not described then class = nil end
    end
  end
  return declared
end

local declared = read_all()

local function names(t)
  local list = {}
  for name in pairs(t) do
    if type(name) == "string" and name:sub(1, 1) ~= "_" then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

local function missing(from, known)
  local list = {}
  for _, name in ipairs(from) do
    if not known[name] then list[#list + 1] = name end
  end
  return list
end

local function same(class, there)
  assert.are.same({}, missing(names(there), declared[class]), "without a comment")
  assert.are.same({}, missing(names(declared[class]), there), "declared in vain")
end

-- The names of C tables, `{"name", function},`, of a source file.
local function named_in(path)
  local found = {}
  for line in io.lines(path) do
    local name = line:match '^%s*{"([%l_]+)", '
    if name then found[name] = true end
  end
  return found
end

local function joined(...)
  local all = {}
  for _, t in ipairs { ... } do
    for name, value in pairs(t) do all[name] = value end
  end
  return all
end

describe("what is said of", function()
  it("the module fits", function() same("dewar", dewar) end)

  it("json and the log fits", function()
    same("dewar.json", dewar.json)
    same("dewar.Log", joined(dewar.log, { sink = true, level = true, format = true }))
  end)

  it("apps and blueprints fits", function()
    local Blueprint = getmetatable(dewar.blueprint "some")
    local Scaffold = getmetatable(dewar.App).__index
    same("dewar.Scaffold", Scaffold)
    local app = dewar.app()
    same("dewar.App", joined(app, dewar.App, { static_folder = true, static_url_path = true }))
    same("dewar.Blueprint", joined(Blueprint, { name = true, url_prefix = true, root_path = true,
      static_folder = true, static_url_path = true, template_folder = true }))
  end)

  it("ready middleware fits", function() same("dewar.middleware", dewar.middleware) end)

  it("signals fits", function()
    local signal = dewar.signal "meta-spec"
    same("dewar.Signal", joined(signal, getmetatable(signal)))
  end)

  it("tasks and what synchronises them fits", function()
    for class, object in pairs {
      ["dewar.Event"] = dewar.event(),
      ["dewar.Queue"] = dewar.queue(),
      ["dewar.Semaphore"] = dewar.lock(),
    } do
      same(class, debug.getmetatable(object).__index)
    end
    local task = dewar.spawn(function() end)
    for _, name in ipairs(names(declared["dewar.Task"])) do
      assert.is_not_nil(task[name], name)
    end
    dewar.await(task)
  end)

  it("classes of errors fits", function()
    same("dewar.ErrorClass", joined(dewar.Error, { status = true }))
  end)

  it("a request fits", function()
    local there = joined(named_in "bindings/request_fields.c", named_in "bindings/request.c",
      { session = true, form = true, files = true }, require("dewar.request").fields)
    same("dewar.Request", there)
    local app = dewar.app { config = { TESTING = true } }
    local read = 0
    app:get("/", function(req)
      for _, name in ipairs(names(declared["dewar.Request"])) do
        local _ = req[name] -- raises where there is none
        read = read + 1
      end
      return "read"
    end)
    local client <close> = app:test_client()
    assert.are.equal("read", client:get("/").body)
    assert.is_true(read > 20)
  end)

  it("files and parts of a form fits", function()
    local app, form = dewar.app { config = { TESTING = true } }, { files = { a = "b" } }
    local function read(class, object)
      local there = {}
      for _, name in ipairs(names(declared[class])) do there[name] = object[name] ~= nil end
      return there
    end
    app:post("/file", function(req) return read("dewar.File", req.files.a) end)
    app:post("/part", function(req) return read("dewar.Part", req:parts()()) end)
    local client <close> = app:test_client()
    assert.are.same({ name = true, filename = true, content_type = true, size = true, headers = true,
      read = true, chunks = true, save = true }, client:post("/file", form):json())
    assert.are.same({ name = true, filename = true, content_type = true, headers = true,
      read = true, chunks = true }, client:post("/part", form):json())
  end)

  it("a websocket and a room fits", function()
    if not require("dewar.core").websocket_codec then return end
    same("dewar.WebSocket", named_in "bindings/websocket.c")
    same("dewar.Room", debug.getmetatable(dewar.room()).__index)
  end)

  it("a response fits", function()
    local res = dewar.response()
    res.last_modified, res.expires = 0, 0
    for _, name in ipairs(names(declared["dewar.Response"])) do
      local _ = res[name] -- raises where there is none
    end
    for name in pairs(require("dewar.response").fields) do
      assert.is_truthy(declared["dewar.Response"][name], name)
    end
    assert.has_error(function() local _ = res.nothing end)
  end)

  it("the test client fits", function()
    local client <close> = dewar.app():test_client()
    local there = joined(getmetatable(client), { app = true, cookies = true, clock = true, traceback = true })
    same("dewar.Client", there)
  end)
end)
