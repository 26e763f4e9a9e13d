-- `dewar new` and `dewar test`.
local process = require "spec.support.process"

describe("dewar new", function()
  local folder

  before_each(function() folder = process.folder() end)

  after_each(function()
    process.stop_all()
    os.execute("rm -r " .. folder)
  end)

  local function new(name) return process.run { process.dewar(), "new", folder .. "/" .. name } end

  local function inside(name, ...)
    return process.run { "sh", "-c", 'cd "$0" && exec "$@"', folder .. "/" .. name, process.dewar(), ... }
  end

  it("makes an app whose spec passes", function()
    local code, out, err = new "my-shop"
    assert.are.equal(0, code, err)
    assert.is_truthy(out:find("dewar run --debug", 1, true))
    code, out, err = inside("my-shop", "test")
    assert.are.equal(0, code, out .. err)
    assert.is_truthy(out:find("3 successes / 0 failures / 0 errors", 1, true), out)
  end)

  it("makes an app that serves a page and has a command", function()
    new "shop"
    local server = process.serve(folder .. "/shop/app.lua")
    assert.is_truthy(process.get(server.url .. "/"):find("<h1>shop</h1>", 1, true))
    assert.is_truthy(process.get(server.url .. "/"):find('href="/static/style.css"', 1, true))
    assert.is_truthy(process.get(server.url .. "/static/style.css"):find("font", 1, true))
    local _, out = inside("shop", "greet", "Ada", "--times", "2")
    assert.are.equal("Hello, Ada!\nHello, Ada!\n", out)
  end)

  local function content(path)
    local file <close> = assert(io.open(folder .. "/" .. path))
    return file:read "a"
  end

  it("gives each app a secret key of its own, which git doesn't see", function()
    local keys = {}
    for _, name in ipairs { "one", "two" } do
      new(name)
      keys[name] = content(name .. "/.env"):match "APP_SECRET_KEY=(%x+)\n"
      assert.are.equal(64, #keys[name])
      assert.is_truthy(content(name .. "/.gitignore"):find(".env\n", 1, true))
      local _, out = process.run({ "sh", "-c", 'cd "$0" && echo "app.config.SECRET_KEY" | "$1" shell',
        folder .. "/" .. name, process.dewar() })
      assert.is_truthy(out:find(keys[name], 1, true), out)
    end
    assert.are_not.equal(keys.one, keys.two)
  end)

  it("makes an app that luacheck has nothing to say about", function()
    new "shop"
    local code, out = process.run { "luacheck", "--no-config", "--std", "lua54+busted", folder .. "/shop" }
    assert.are.equal(0, code, out)
  end)

  it("leaves alone what is there", function()
    process.write(folder .. "/shop", "mine")
    local code, _, err = new "shop"
    assert.are.equal(1, code)
    assert.is_truthy(err:find("is there already", 1, true), err)
    os.execute("mkdir " .. folder .. "/other")
    assert.are.equal(1, (new "other"))
  end)

  it("checks the name", function()
    for _, name in ipairs { "1st", "my shop", "-x", "läden", ".hidden" } do
      local code, _, err = process.run { process.dewar(), "new", "--", name }
      assert.are.equal(2, code)
      assert.is_truthy(err:find("is no name for an app", 1, true), err)
    end
    assert.are.equal(2, (process.run { process.dewar(), "new" }))
  end)

  it("says where it can't be made", function()
    local code, _, err = new "no/such/shop"
    assert.are.equal(1, code)
    assert.is_truthy(err:find("No such file", 1, true), err)
  end)

  it("says which spec fails, by its exit code, too", function()
    new "shop"
    process.write(folder .. "/shop/spec/bad_spec.lua", 'it("is bad", function() assert.is_true(false) end)')
    local code, out = inside("shop", "test", "-o", "plainTerminal")
    assert.are_not.equal(0, code)
    assert.is_truthy(out:find("is bad", 1, true), out)
    code, out = inside("shop", "test", "-o", "plainTerminal", "--filter", "greets")
    assert.are.equal(0, code)
    assert.is_truthy(out:find("1 success /", 1, true), out)
  end)

  it("tells how to get busted where it isn't installed", function()
    new "shop"
    local code, _, err = process.run { "sh", "-c", 'cd "$0" && LUA_PATH=./?.lua exec "$@"', folder .. "/shop",
      process.dewar(), "test" }
    assert.are.equal(1, code)
    assert.is_truthy(err:find("busted, which runs specs, isn't installed", 1, true), err)
    assert.is_truthy(err:find("lua-busted", 1, true), err)
  end)
end)
