-- Commands of apps: how they are found, what they are given, how they end.
local dewar = require "dewar"
local process = require "spec.support.process"

local APP = [[
local dewar = require "dewar"
local app = dewar.app { name = "shop", config = { CPU_LIMIT = 0.25 } }

app:command("hello", function() print("hello from " .. dewar.current_app.name) end)

app:command("seed", {
  help = "Fills the shop with what a file says.",
  { "file", help = "where the goods are" },
  { "count", type = "integer", default = 10, help = "how many" },
  { "tags", repeated = true, optional = true },
  { "--price", "-p", type = "number", default = 1.5 },
  { "--kind", "-k", type = { "fruit", "fish" } },
  { "--only", repeated = true, help = "these shelves" },
  { "--dry-run", "-n", flag = true, help = "changes nothing" },
}, function(args)
  print(args.file, args.count, #args.tags, table.concat(args.tags, "+"), args.price, args.kind,
    table.concat(args.only, "+"), args.dry_run)
end)

app:command("waits", function()
  local done = 0
  dewar.gather(function() dewar.sleep(0.01) done = done + 1 end, function() dewar.yield() done = done + 1 end)
  print("waited for " .. done)
end)

app:command("starts", function()
  dewar.spawn(function()
    local _ <close> = setmetatable({}, { __close = function() print "its task has ended" end })
    dewar.sleep(1000)
  end)
  dewar.yield()
end)

app:command("later", dewar.async(function() dewar.sleep(0.001) print "later" end))
app:command("code", { { "code", type = "integer" } }, function(args) return args.code end)
app:command("refuses", function() return false end)
app:command("fails", function()
  dewar.sleep(0.001)
  local shelf
  return shelf.fruit
end)
app:command("sleeps", function()
  local _ <close> = setmetatable({}, { __close = function() print "cleaned up" end })
  io.stderr:write "ready\n"
  dewar.sleep(1000)
end)
app:command("computes", function()
  local started = os.clock()
  while os.clock() - started < 0.6 do end
  print "computed"
end)
app:command("spins", function() io.stderr:write "ready\n" while true do end end)
app:command("cleans", function()
  io.stderr:write "ready\n"
  pcall(dewar.sleep, 1000)
  dewar.shield(function() io.stderr:write "cleaning\n" dewar.sleep(1000) end)
end)
app:command("raises", function() error(dewar.Error("no shelf is left")) end)
app:command("even", { { "n", type = function(text)
  local n = math.tointeger(tonumber(text))
  if n and n % 2 == 0 then return n end
  return nil, "is even; got " .. text
end } }, function(args) print(args.n) end)

local cellar = dewar.blueprint "cellar"
cellar:command("count", { "what" }, function(args) print("counting " .. args.what) end)
app:register_blueprint(cellar)

return app
]]

describe("a command of an app", function()
  local folder, path

  setup(function()
    folder = process.folder()
    path = process.write(folder .. "/app.lua", APP)
  end)

  teardown(function() os.execute("rm -r " .. folder) end)

  after_each(process.stop_all)

  local function dewar_run(...) return process.run { process.dewar(), ... } end

  -- In the folder of the app.
  local function inside(...)
    return process.run { "sh", "-c", 'cd "$0" && exec "$@"', folder, process.dewar(), ... }
  end

  local function prints(expected, ...)
    local code, out, err = dewar_run(path, ...)
    assert.are.equal("", err)
    assert.are.equal(expected, out)
    assert.are.equal(0, code)
  end

  local function refused(message, ...)
    local code, out, err = dewar_run(path, ...)
    assert.are.equal("", out)
    assert.is_truthy(err:find(message, 1, true), err)
    assert.are.equal(2, code)
  end

  it("runs with the app at hand", function() prints("hello from shop\n", "hello") end)

  it("is found by name alone in the folder of the app", function()
    local code, out, err = inside("hello")
    assert.are.equal("hello from shop\n", out, err)
    assert.are.equal(0, code)
    code, out = inside("seed", "a.csv")
    assert.are.equal(0, code)
    assert.is_truthy(out:find "^a.csv")
  end)

  it("is found in the app of --app, and of DEWAR_APP", function()
    for _, name in ipairs { "--app", "-A" } do
      local _, out = dewar_run(name, path, "hello")
      assert.are.equal("hello from shop\n", out)
    end
    local _, out = process.run { "env", "DEWAR_APP=" .. path, process.dewar(), "hello" }
    assert.are.equal("hello from shop\n", out)
  end)

  it("of a blueprint begins with its name", function() prints("counting jars\n", "cellar.count", "jars") end)

  it("gets its arguments by name, with their types and defaults", function()
    prints("a.csv\t10\t0\t\t1.5\tnil\t\tfalse\n", "seed", "a.csv")
    prints("a.csv\t3\t2\tred+green\t2.25\tfish\tx+y\ttrue\n", "seed", "a.csv", "3", "red", "green",
      "--price", "2.25", "--kind=fish", "--only", "x", "--only=y", "--dry-run")
  end)

  it("takes short options, together and with their values", function()
    prints("a.csv\t10\t0\t\t7.0\tfruit\t\ttrue\n", "seed", "-np7.0", "-k", "fruit", "a.csv")
  end)

  it("takes what follows -- as it is, and numbers below zero", function()
    prints("--dry-run\t-4\t0\t\t1.5\tnil\t\tfalse\n", "seed", "--", "--dry-run", "-4")
    prints("a\t-4\t0\t\t-2.5\tnil\t\tfalse\n", "seed", "a", "-4", "--price", "-2.5")
  end)

  it("may wait", function() prints("waited for 2\n", "waits") end)

  it("may be an async function", function() prints("later\n", "later") end)

  it("ends the tasks that it has started", function() prints("its task has ended\n", "starts") end)

  it("says by a number how it ended", function()
    assert.are.equal(7, (dewar_run(path, "code", "7")))
    assert.are.equal(0, (dewar_run(path, "code", "0")))
    assert.are.equal(1, (dewar_run(path, "refuses")))
  end)

  it("is cancelled by Ctrl-C, whether it waits or computes", function()
    for name, cleaned in pairs { sleeps = "cleaned up\n", spins = "" } do
      local command = process.start { process.dewar(), path, name }
      command:expect "ready"
      command:signal "INT"
      assert.are.equal(130, command:wait())
      assert.are.equal(cleaned, command:out())
      assert.are.equal("ready\ndewar: interrupted\n", command:err())
    end
  end)

  it("may compute for longer than a request may", function()
    local code, out, err = dewar_run(path, "computes")
    assert.are.equal("", err)
    assert.are.equal("computed\n", out)
    assert.are.equal(0, code)
  end)

  it("is ended by a second Ctrl-C", function()
    local command = process.start { process.dewar(), path, "cleans" }
    command:expect "ready"
    command:signal "INT"
    command:expect "cleaning"
    command:signal "INT"
    assert.are.equal(130, command:wait())
    assert.are.equal("ready\ncleaning\n", command:err())
  end)

  it("fails with a number that is no exit code", function()
    for _, number in ipairs { "300", "-1" } do
      local code, _, err = dewar_run(path, "code", number)
      assert.are.equal(1, code)
      assert.is_truthy(err:find("the command returned " .. number .. "; an exit code is", 1, true), err)
    end
  end)

  it("that fails is told with a traceback, and is a failure", function()
    local code, _, err = dewar_run(path, "fails")
    assert.are.equal(1, code)
    assert.is_truthy(err:find "app%.lua:%d+: attempt to index a nil value %(local 'shelf'%)", err)
    assert.is_truthy(err:find("stack traceback:", 1, true), err)
    assert.is_nil(err:find("cli.lua", 1, true), err)
    code, _, err = dewar_run(path, "raises")
    assert.are.equal(1, code)
    assert.is_truthy(err:find("no shelf is left", 1, true), err)
  end)

  it("refuses wrong usage, and says what is right", function()
    refused("seed needs FILE, where the goods are", "seed")
    refused("COUNT is a whole number; got 'many'", "seed", "a", "many")
    refused("--price is a number; got '0x10'", "seed", "a", "--price", "0x10")
    refused("--kind is one of fruit, fish; got 'frut'; did you mean 'fruit'?", "seed", "a", "--kind", "frut")
    refused("unknown option '--dry-ran'; did you mean '--dry-run'?", "seed", "a", "--dry-ran")
    refused("unknown option '-z'", "seed", "a", "-z")
    refused("--dry-run takes no value", "seed", "a", "--dry-run=yes")
    refused("--price needs a value", "seed", "a", "--price")
    refused("hello takes no arguments; what is 'x'?", "hello", "x")
    refused("N is even; got 3", "even", "3")
    refused("unknown command 'sead'; did you mean 'seed'?", "sead")
  end)

  it("has help", function()
    local code, out = dewar_run(path, "seed", "--help")
    assert.are.equal(0, code)
    for _, text in ipairs {
      "seed FILE [COUNT] [TAGS...] [options]", "Fills the shop", "where the goods are", "how many (10)",
      "-p, --price PRICE", "one of fruit, fish", "these shelves; may be repeated", "-n, --dry-run",
      "-h, --help",
    } do
      assert.is_truthy(out:find(text, 1, true), text .. " in:\n" .. out)
    end
  end)

  it("is listed by its app, and by the help in its folder", function()
    local code, out = dewar_run(path)
    assert.are.equal(0, code)
    assert.is_truthy(out:find "seed +Fills the shop")
    code, out = inside("--help")
    assert.are.equal(0, code)
    assert.is_truthy(out:find "Commands of app.lua:\n.* seed +Fills the shop")
  end)
end)

describe("app:command", function()
  local function raises(message, ...)
    local app = dewar.app()
    local ok, err = pcall(app.command, app, ...)
    assert.is_false(ok)
    assert.is_truthy(err:find(message, 1, true), err)
  end

  local function f() end

  it("raises at its line where something is wrong", function()
    local app = dewar.app()
    local _, err = pcall(function() app:command("a b", f) end)
    assert.is_truthy(err:find("command_spec.lua", 1, true), err)
    raises("a name has letters", "-x", f)
    raises("what it runs must be a function; got nil", "x", {})
    raises("the arguments are a list; got a string", "x", "file", f)
    raises("unknown key 'hlep'; did you mean 'help'?", "x", { hlep = "" }, f)
    raises("argument 'file': unknown key 'typ'; did you mean 'type'?", "x", { { "file", typ = "integer" } }, f)
    raises("argument 'file': its type is", "x", { { "file", type = "integr" } }, f)
    raises("did you mean 'integer'?", "x", { { "file", type = "integr" } }, f)
    raises("argument '-f': an option's name is like --force", "x", { { "-f" } }, f)
    raises("argument number 1: its name comes first", "x", { {} }, f)
    raises("argument 'a': a flag is an option", "x", { { "a", flag = true } }, f)
    raises("argument '--a': the name is there twice", "x", { "--a", "--a" }, f)
    raises("argument '--b': the name -x is taken", "x", { { "--a", "-x" }, { "--b", "-x" } }, f)
    raises("argument 'b': it can't be required where 'a' is not", "x", { { "a", default = 1 }, "b" }, f)
    raises("argument 'b': nothing comes behind a repeated argument", "x", { { "a", repeated = true }, "b" }, f)
    raises("argument '--a': what has a default can't be required", "x", { { "--a", required = true, default = 1 } }, f)
  end)

  it("refuses a name that is taken", function()
    local app = dewar.app()
    app:command("x", f)
    assert.has_error(function() app:command("x", f) end)
  end)
end)
