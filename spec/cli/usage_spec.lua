-- What the command says, and its exit codes.
local process = require "spec.support.process"

local function dewar(...)
  return process.run { process.dewar(), ... }
end

-- Wrong usage: the exit code, and nothing on stdout.
local function refused(message, ...)
  local code, out, err = dewar(...)
  assert.are.equal(2, code)
  assert.are.equal("", out)
  assert.is_truthy(err:find(message, 1, true), err)
  return err
end

describe("the command", function()
  after_each(process.stop_all)

  it("tells its version", function()
    local code, out, err = dewar("--version")
    assert.are.equal(0, code)
    assert.is_truthy(out:find "^dewar %d+%.%d+%.%d+\n$")
    assert.are.equal("", err)
  end)

  it("shows its help on stdout", function()
    local code, out = dewar("--help")
    assert.are.equal(0, code)
    for _, word in ipairs { "dewar run [APP]", "dewar routes [APP]", "dewar test", "dewar new NAME", "--version" } do
      assert.is_truthy(out:find(word, 1, true), word)
    end
  end)

  it("shows the help of each command", function()
    local code, out = dewar("run", "--help")
    assert.are.equal(0, code)
    for _, option in ipairs { "--host", "--port", "--unix", "--workers", "--debug",
      "--log-level", "--log-format", "--help" } do
      assert.is_truthy(out:find("\n  " .. option, 1, true) or out:find(", " .. option, 1, true), option)
    end
    code, out = dewar("routes", "--help")
    assert.are.equal(0, code)
    assert.is_truthy(out:find("Usage: dewar routes [APP]", 1, true))
  end)

  it("has help that fits a terminal", function()
    for _, words in ipairs { { "--help" }, { "run", "--help" }, { "routes", "--help" },
      { "new", "--help" } } do
      local _, out = dewar(table.unpack(words))
      for line in out:gmatch "[^\n]+" do
        assert.is_true(#line <= 80, line)
      end
    end
  end)

  it("shows its help where nothing is asked, which is wrong", function()
    local code, out, err = dewar()
    assert.are.equal(2, code)
    assert.are.equal("", out)
    assert.is_truthy(err:find("dewar run [APP]", 1, true))
  end)

  it("names the nearest command and the nearest option", function()
    refused("unknown command 'roots'; did you mean 'routes'?", "roots")
    refused("unknown command 'rnu'; did you mean 'run'?", "rnu")
    refused("unknown command 'serve'; there are: new, routes, run, shell", "serve")
    refused("unknown option '--versoin'; did you mean '--version'?", "--versoin")
    refused("unknown option '--prot'; did you mean '--port'?", "run", "app.lua", "--prot", "1")
    refused("unknown option '--log_level'; did you mean '--log-level'?",
      "run", "app.lua", "--log_level=info")
  end)

  it("names the options where none is near", function()
    local err = refused("unknown option '--nope'; there are: --", "run", "app.lua", "--nope")
    assert.is_truthy(err:find("--host", 1, true))
    refused("unknown option '--nope'; there are: --app, ", "--nope")
  end)

  it("takes the beginning of a name for a hint", function()
    refused("unknown option '--reload'; did you mean '--reload-include'?", "run", "app.lua", "--reload")
    refused("unknown option '--work'; did you mean '--workers'?", "run", "app.lua", "--work", "2")
    refused("unknown option '--log'; there are: ", "run", "app.lua", "--log")
  end)

  it("points to the help of the command that was meant", function()
    local err = refused("unknown option", "run", "app.lua", "--nonsense")
    assert.is_truthy(err:find("Try 'dewar run --help'.", 1, true))
  end)

  it("needs one app", function()
    refused("run: APP is missing, a Lua file that returns an app", "run")
    refused("routes: APP is missing", "routes")
    refused("run takes APP and no more; what is 'b.lua'?", "run", "a.lua", "b.lua")
    refused("run takes one APP; it is 'a.lua' or 'b.lua'?", "--app", "a.lua", "run", "b.lua")
  end)

  it("checks the values of options before it loads anything", function()
    refused("--port is a number from 0 to 65535; got '65536'", "run", "no.lua", "--port", "65536")
    refused("--port is a number from 0 to 65535; got 'x'", "run", "no.lua", "--port=x")
    refused("--port needs a value", "run", "no.lua", "--port")
    refused("--host is empty", "run", "no.lua", "--host=")
    refused("--debug takes no value", "run", "no.lua", "--debug=yes")
    refused("did you mean 'warn'?", "run", "no.lua", "--log-level", "warm")
    refused("--log-format is one of text, json; got 'xml'", "run", "no.lua", "--log-format", "xml")
    refused("a unix socket takes the place of host and port",
      "run", "no.lua", "--unix", "/tmp/x", "--port", "1")
  end)

  it("takes a number of workers", function()
    refused("--workers is a number from 1 to 1024, or auto; got '0'", "run", "no.lua", "--workers", "0")
    refused("--workers is a number from 1 to 1024, or auto; got '1025'", "run", "no.lua", "-w1025")
    for _, number in ipairs { "1", "2", "auto" } do
      local code, _, err = dewar("run", "no.lua", "--port", "0", "--workers", number)
      assert.are.equal(1, code)
      assert.is_truthy(err:find("no.lua", 1, true))
    end
  end)
end)
