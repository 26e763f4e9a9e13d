-- The test client with bodies that go both ways at once.

local dewar = require "dewar"

describe("a body that is answered while it comes", function()
  local app, client
  before_each(function()
    app = dewar.app()
    client = app:test_client()
  end)
  after_each(function() client:close() end)

  --- Pieces of together `total` bytes, which take their time.
  local function pieces(total)
    local left = total
    return function()
      if left == 0 then return nil end
      local n = math.min(left, 50000)
      left = left - n
      dewar.yield()
      return ("a"):rep(n)
    end
  end

  local TOTAL = 2000000

  local function check(path)
    local got = client:post(path, { body = pieces(TOTAL) }).body
    assert.are.equal(TOTAL, #got)
    assert.are.equal(TOTAL, #client:post(path, { body = ("a"):rep(TOTAL) }).body)
  end

  it("may be given back by a generator", function()
    app:post("/", function(req)
      return coroutine.wrap(function()
        for piece in req:chunks() do coroutine.yield(piece) end
      end)
    end)
    check "/"
  end)

  it("may be given back by its own iterator", function()
    app:post("/", function(req) return req:chunks() end)
    check "/"
  end)

  it("may be given back by dewar.stream", function()
    app:post("/", function(req)
      return dewar.stream(function(write)
        for piece in req:chunks() do write(piece) end
      end)
    end)
    check "/"
  end)
end)
