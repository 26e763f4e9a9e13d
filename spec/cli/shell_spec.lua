-- `dewar shell`, with lines from a file and from a terminal.
local inspect = require "dewar.cli.inspect"
local process = require "spec.support.process"
local shell = require "dewar.cli.shell"

local APP = [[
local dewar = require "dewar"
local app = dewar.app { name = "shop" }
app:get("/hello/<name>", { endpoint = "hello" }, function(_, name) return { name = name } end)
app:shell_context_processor(function() return { answer = 42 } end)
return app
]]

describe("dewar shell", function()
  local folder, path

  setup(function()
    folder = process.folder()
    path = process.write(folder .. "/app.lua", APP)
  end)

  teardown(function() os.execute("rm -r " .. folder) end)

  after_each(process.stop_all)

  local function run(text)
    local input = process.write(folder .. "/input", text)
    return process.run { "sh", "-c", 'exec "$0" shell "$1" <"$2"', process.dewar(), path, input }
  end

  local function prints(expected, text)
    local code, out, err = run(text)
    assert.are.equal("", err)
    assert.are.equal(expected, out)
    assert.are.equal(0, code)
  end

  it("shows the values of expressions", function()
    prints('2\t"x"\n', '1 + 1, "x"\nlocal y = 1\nnil_value = nil\n')
    prints("{ a = 1, b = { 2, 3 } }\n", "t = { a = 1, b = { 2, 3 } }\nt")
  end)

  it("has the app, a client and more at hand", function()
    prints('"shop"\n{ name = "Ada" }\n"/hello/Bo"\n42\n"shop"\n', [[
app.name
client:get("/hello/Ada"):json()
url_for("hello", { name = "Bo" })
answer
dewar.current_app.name
]])
  end)

  it("shows what stands for the app as the app", function()
    prints("dewar.App: shop\n", "dewar.current_app\n")
  end)

  it("shows the value behind '=', as Lua's own prompt does", function()
    prints("3\n4\t5\n", "=1 + 2\n = 4, 5\n")
  end)

  it("tells what an error that is a table has in it, and nothing of itself", function()
    local _, _, err = run 'error { code = 7 }\nlocal function f() error "deep" end f()\n'
    assert.is_truthy(err:find("an error that is a table: { code = 7 }\nstack traceback:\n", 1, true), err)
    assert.is_truthy(err:find("shell:1: deep\n", 1, true), err)
    assert.is_truthy(err:find("shell:1: in main chunk\n", 1, true), err)
    assert.is_nil(err:find("cli/shell", 1, true), err)
  end)

  it("waits", function()
    prints("3\n", "dewar.sleep(0.001) return dewar.await(dewar.spawn(function() dewar.yield() return 3 end))")
  end)

  it("goes on until what is begun is finished", function()
    prints("1\n2\n", "for i = 1, 2 do\n  print(i)\nend\n")
    prints('"a\\nb"\n', "[[a\nb]]\n")
  end)

  it("tells errors with a traceback, and goes on", function()
    local code, out, err = run('local x\nlocal function f() local s return s.x end f()\n= =\n7\n')
    assert.are.equal(0, code)
    assert.are.equal("7\n", out)
    assert.is_truthy(err:find("attempt to index a nil value (local 's')", 1, true), err)
    assert.is_truthy(err:find("stack traceback:", 1, true), err)
    assert.is_nil(err:find("shell.lua", 1, true), err)
    assert.is_truthy(err:find("unexpected symbol", 1, true), err)
  end)

  describe("in a terminal", function()
    local _, libraries = process.run { "ldd", process.dewar() }
    local edits = libraries:find("libedit", 1, true)

    local function terminal(steps)
      if not edits then steps = steps:gsub("type ", "send ") end
      local input = process.write(folder .. "/steps", steps)
      local code, out, err = process.run { "sh", "-c",
        -- libedit keeps the names of functions that were added to it.
        'export ASAN_OPTIONS="$ASAN_OPTIONS:detect_leaks=0" XDG_STATE_HOME="$3/state"; '
          .. 'exec python3 spec/support/terminal.py "$0" shell "$1" <"$2"',
        process.dewar(), path, input, folder }
      assert.are.equal("0\n", out .. err)
      assert.are.equal(0, code)
    end

    it("reads, shows, and leaves on Ctrl-D", function()
      terminal "expect > \ntype 40 + 2\\r\nexpect 42\nexpect > \ntype \\x04\neof\n"
    end)

    it("interrupts what waits and what computes on Ctrl-C", function()
      terminal [[
expect >
type print("now") dewar.sleep(1000)\r
expect \r\nnow
send \x03
expect interrupted
expect >
type print("now") while true do end\r
expect \r\nnow
send \x03
expect interrupted
expect >
type 40 + 2\r
expect 42
expect >
type \x04
eof
]]
    end)

    it("drops a line on Ctrl-C, completes on Tab, and keeps a history", function()
      if not edits then return pending "built without libedit" end
      terminal [[
expect >
type answ\t
expect er
type \x03
expect >
type answ\t + 8\r
expect 50
expect >
type \x04
eof
]]
      terminal [[
expect >
type \x1b[A\r
expect 50
expect >
type \x04
eof
]]
    end)
  end)
end)

describe("completion", function()
  local env = setmetatable({ app = setmetatable({ name = "x" }, { __index = { url_for = 1, url_map = 2 } }) },
    { __index = { string = string, print = print } })

  it("adds what is missing", function()
    assert.are.equal("nt", (shell.complete(env, "pri")))
    assert.are.equal("se", (shell.complete(env, "x = string.rever")))
    assert.are.equal("ame", (shell.complete(env, "app.n")))
    assert.are.equal("l_", (shell.complete(env, "app:ur")))
  end)

  it("lists what there is where nothing can be added", function()
    local insertion, list = shell.complete(env, "app.url_")
    assert.is_nil(insertion)
    assert.are.equal("url_for  url_map", list)
  end)

  it("knows nothing of what isn't there", function()
    assert.is_nil((shell.complete(env, "nothing.x")))
    assert.is_nil((shell.complete(env, "zz")))
  end)
end)

describe("a shown value", function()
  local show = inspect.show

  it("reads like Lua", function()
    assert.are.equal('"a\\"b\\n"', show 'a"b\n')
    assert.are.equal('{ 1, 2, ["end"] = true, x = {} }', show { 1, 2, ["end"] = true, x = {} })
    assert.are.equal("nil", show(nil))
  end)

  it("is bounded", function()
    local wide, deep = {}, {}
    for i = 1, 1000 do wide[i] = i end
    assert.is_truthy(show(wide):find("... 960 more", 1, true))
    deep.deep = deep
    assert.are.equal("{ deep = (seen above) }", show(deep))
    assert.are.equal("{ a = { a = { a = { a = {...} } } } }", show { a = { a = { a = { a = { 1 } } } } })
    assert.is_true(#show(("x"):rep(10000)) < 1000)
  end)

  it("says itself what it is", function()
    assert.are.equal("me", show(setmetatable({}, { __tostring = function() return "me" end })))
    assert.is_truthy(show(setmetatable({}, { __tostring = function() error "no" end })):find "no text")
  end)
end)
