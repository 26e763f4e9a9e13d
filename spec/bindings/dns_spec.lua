-- dewar.dns: names and addresses.
local dewar = require "dewar"
local clean = require "spec.support.clean"

describe("dns", function()
  clean.watch(before_each, after_each)

  it("finds the addresses of a name", function()
    assert.are.equal("127.0.0.1", dewar.dns.lookup("localhost", { family = 4 }))
    assert.are.same({ "127.0.0.1" }, dewar.dns.lookup("127.0.0.1", { all = true }))
    assert.are.equal("::1", dewar.dns.lookup("::1", { timeout = 10 }))
  end)

  it("finds the name of an address", function()
    assert.are.equal("string", type(dewar.dns.reverse "127.0.0.1"))
  end)

  it("says what there is not", function()
    local ok, err = pcall(dewar.dns.lookup, "::1", { family = 4 })
    assert.is_false(ok)
    assert.truthy(err.code:find "^EAI_", err.code)
    assert.truthy(err.message:find "^lookup ::1: ", err.message)
  end)

  it("ends with its task", function()
    local task = dewar.spawn(dewar.dns.lookup, "localhost")
    dewar.spawn(function() task:cancel() end) -- begins right after it
    assert.is_false((pcall(dewar.await, task)))
    assert.are.equal("cancelled", task.status)
  end)

  it("raises at the line of a wrong call", function()
    for message, call in pairs {
      ["a name is a string; got a nil"] = function() dewar.dns.lookup() end,
      ["the option 'family' is 4 or 6"] = function() dewar.dns.lookup("x", { family = 5 }) end,
      ["a name has 1 to"] = function() dewar.dns.lookup "" end,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.truthy(tostring(err):find(message, 1, true), err)
    end
  end)
end)
