-- Files of variables: how they are written, which of them wins.
local env = require "dewar.cli.env"
local process = require "spec.support.process"

describe("a file of variables", function()
  local function parse(text)
    return env.parse(text, ".env", function(name) return name == "HOME_OF_MINE" and "/home/ada" or nil end)
  end

  local function gives(expected, text)
    local values, problem = parse(text)
    assert.are.equal(nil, problem)
    assert.are.same(expected, values)
  end

  local function refused(message, text)
    local values, problem = parse(text)
    assert.is_nil(values)
    assert.are.equal(message, problem)
  end

  it("has a name and a value on each line", function()
    gives({ A = "1", B_2 = "two words", C = "" }, "A=1\n  B_2 = two words  \r\n\nC=\n")
    gives({ A = "last" }, "A=first\nA=last")
  end)

  it("may say export, and have comments", function()
    gives({ A = "1", B = "x#y", C = "z" }, "# all of it\nexport A=1 # one\nB=x#y\nC='z' # quoted\n")
    gives({ export = "1" }, "export=1")
  end)

  it("takes single quotes as they are", function()
    gives({ A = [[a\n "b" ${X} # c]], B = "two\nlines" }, [[A='a\n "b" ${X} # c']] .. "\nB='two\nlines'\n")
  end)

  it("knows escapes in double quotes", function()
    gives({ A = 'a\n\t"b" \\ $c', B = "two\nlines" }, [[A="a\n\t\"b\" \\ \$c"]] .. '\nB="two\nlines"')
    gives({ A = "one line" }, 'A="one \\\nline"')
  end)

  it("puts in other variables", function()
    gives({ A = "x", B = "x-/home/ada-", C = "none", D = "$A" },
      'A=x\nB=${A}-${HOME_OF_MINE}-${NONE}\nC="${NONE:-none}"\nD=$A')
  end)

  it("may begin with a byte order mark", function() gives({ A = "1" }, "\u{FEFF}A=1") end)

  it("says in which line something is wrong", function()
    refused(".env:2: 'B' has no value; a line is NAME=value", "A=1\nB\n")
    refused(".env:1: a line is NAME=value, where a name has letters, digits and '_'", "1A=x")
    refused(".env:2: the quote that begins here has no end", "A=1\nB=\"x\n\n")
    refused(".env:1: the quote that begins here has no end", "A='x\n\n")
    refused(".env:1: something stands behind the closing quote", 'A="x" y')
    refused([[.env:2: '\q' is no escape; there are \n \r \t \\ \" \$]], 'A="\n\\q"')
    refused(".env:1: ${A B} is no variable; it is written ${NAME} or ${NAME:-instead}", "A=${A B}")
    refused(".env:1: a ${ has no }; write \\$ for a dollar in double quotes", 'A="${A"')
    refused(".env:1: a value can't have a NUL in it", "A=x\0y")
  end)
end)

describe("the command", function()
  local folder

  before_each(function()
    folder = process.folder()
    process.write(folder .. "/app.lua", [[
      local app = require("dewar").app()
      app.config:from_prefixed_env "MY"
      app:command("show", function() print(app.config.COLOR, app.config.DEEP and app.config.DEEP.N) end)
      return app
    ]])
  end)

  after_each(function()
    process.stop_all()
    os.execute("rm -r " .. folder)
  end)

  local function file(name, text) return process.write(folder .. "/" .. name, text) end

  local function show(...)
    local words = { "sh", "-c", 'cd "$0" && exec env "$@"', folder }
    table.move({ ... }, 1, select("#", ...), #words + 1, words)
    local code, out, err = process.run(words)
    return out:gsub("\n$", ""), code, err
  end

  it("reads .env and .dewarenv, of which the first wins", function()
    file(".dewarenv", "MY_COLOR=red\nMY_DEEP__N=7\n")
    assert.are.equal("red\t7", (show(process.dewar(), "show")))
    file(".env", "MY_COLOR=green")
    assert.are.equal("green\t7", (show(process.dewar(), "show")))
  end)

  it("leaves the environment as it is", function()
    file(".env", "MY_COLOR=green")
    assert.are.equal("blue\tnil", (show("MY_COLOR=blue", process.dewar(), "show")))
  end)

  it("reads the file of --env-file first, and none with --no-env", function()
    file(".env", "MY_COLOR=green")
    file("other.env", "MY_COLOR=black")
    assert.are.equal("black\tnil", (show(process.dewar(), "--env-file", "other.env", "show")))
    assert.are.equal("nil\tnil", (show(process.dewar(), "--no-env", "show")))
    local _, code, err = show(process.dewar(), "--env-file", "missing.env", "show")
    assert.are_not.equal(0, code)
    assert.is_truthy(err:find("missing.env: No such file", 1, true), err)
  end)

  it("reads those in the folder of the app, too", function()
    file(".env", "MY_COLOR=green")
    local _, out = process.run { process.dewar(), folder .. "/app.lua", "show" }
    assert.are.equal("green\tnil\n", out)
  end)

  it("takes the app from a file", function()
    os.execute(("mv %s/app.lua %s/other.lua"):format(folder, folder))
    file(".dewarenv", "DEWAR_APP=other.lua\nMY_COLOR=red")
    assert.are.equal("red\tnil", (show(process.dewar(), "show")))
  end)

  it("tells a file that is wrong", function()
    file(".env", "MY_COLOR")
    for _, words in ipairs { { "app.lua", "show" }, { "show" }, { "routes" } } do
      local _, code, err = show(process.dewar(), table.unpack(words))
      assert.are.equal(1, code)
      assert.is_truthy(err:find(".env:1: 'MY_COLOR' has no value", 1, true), err)
      assert.is_nil(err:find("Try", 1, true), err)
    end
  end)
end)
