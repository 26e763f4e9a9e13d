-- The writable headers of a response, and headers given as tables.
local dewar = require "dewar"

--- The headers of a new response, without the default Content-Type.
local function headers(fields)
  local list = dewar.response("", 200, fields).headers
  list.Content_Type = nil
  return list
end

local function lines(fields)
  local list = {}
  for name, value in pairs(fields) do list[#list + 1] = name .. ": " .. value end
  return list
end

local function misuse(pattern, fn)
  local ok, err = pcall(fn)
  assert.is_false(ok, "it raised nothing")
  assert.is_string(err)
  assert.matches("^[^\n]*headers_spec%.lua:%d+: ", err)
  assert.matches(pattern, err)
end

describe("the headers of a response", function()
  it("are set and read by index", function()
    local h = headers()
    h["X-A"] = "b"
    assert.are.equal("b", h["X-A"])
    assert.are.equal("b", h["x-a"])
    assert.are.equal("b", h.x_a)
    assert.is_nil(h["X-B"])
    assert.is_nil(h[1])
  end)

  it("read an underscore as a hyphen when they are set, too", function()
    local h = headers()
    h.X_Request_Id = "7"
    assert.are.same({ "X-Request-Id: 7" }, lines(h))
  end)

  it("replace what has the same name in another case", function()
    local h = headers{ ["X-A"] = { "1", "2" } }
    h.x_a = "3"
    assert.are.same({ "3" }, h("X-A"))
  end)

  it("are removed by nil and by an empty list", function()
    local h = headers{ ["X-A"] = { "1", "2" }, ["X-B"] = "3", ["X-C"] = "4" }
    h["X-A"] = nil
    h["X-B"] = {}
    h["X-D"] = nil
    assert.are.same({ "X-C: 4" }, lines(h))
  end)

  it("repeat a header for each item of a list", function()
    local h = headers()
    h.Set_Cookie = { "a=1", "b=2" }
    h["X-A"] = "x"
    assert.are.same({ "Set-Cookie: a=1", "Set-Cookie: b=2", "X-A: x" }, lines(h))
    assert.are.same({ "a=1", "b=2" }, h("set-cookie"))
    assert.are.same({}, h("X-None"))
    assert.are.equal(3, #h)
  end)

  it("join the lines of a header, but not those of Set-Cookie", function()
    local h = headers{ Vary = { "Cookie", "Accept" }, ["Set-Cookie"] = { "a=1", "b=2" } }
    assert.are.equal("Cookie, Accept", h.vary)
    assert.are.equal("a=1", h.set_cookie)
  end)

  it("turn numbers into text, whole ones without a point", function()
    local h = headers()
    h.Retry_After = 10
    assert.are.equal("10", h.Retry_After)
    h.Retry_After = 10.0
    assert.are.equal("10", h.Retry_After)
    h.X_Load = { 0.5, 1 }
    assert.are.equal("0.5, 1", h.X_Load)
  end)

  it("drop spaces around a value", function()
    local h = headers()
    h["X-A"] = " \t b c\t "
    assert.are.equal("b c", h["X-A"])
  end)

  it("say which character of a name can't be sent", function()
    local h = headers()
    misuse('"X A" has a space as character 2', function() h["X A"] = "b" end)
    misuse("has a line feed as character 4", function() h["X-A\n"] = "b" end)
    misuse("has ':' as character 4", function() h["X-A:"] = "b" end)
    misuse("has a NUL byte as character 1", function() h["\0"] = "b" end)
    misuse("the byte 0xC3 as character 1", function() h["é"] = "b" end)
    misuse("can't be empty", function() h[""] = "b" end)
    misuse("must be a string, not a number", function() h[1] = "b" end)
    misuse("has a space as character 2", function() h["X A"] = nil end)
    assert.are.equal(0, #h)
  end)

  it("say which character of a value can't be sent", function()
    local h = headers{ ["X-A"] = "kept" }
    misuse("header X%-A: the value has a carriage return as character 2",
      function() h["X-A"] = "a\r\nX-Evil: 1" end)
    misuse("a line feed as character 1", function() h["X-A"] = "\n" end)
    misuse("a NUL byte as character 3", function() h["X-A"] = "ab\0" end)
    misuse("the byte 0x7F as character 1", function() h["X-A"] = "\127" end)
    misuse("a line feed as character 1", function() h["X-A"] = { "b", "\n" } end)
    assert.are.equal("kept", h["X-A"])
    h["X-A"] = "tab\tand é"
    assert.are.equal("tab\tand é", h["X-A"])
  end)

  it("refuse values that are no text", function()
    local h = headers()
    misuse("header X%-A: a string, a number or a list of them expected, not a boolean",
      function() h["X-A"] = true end)
    misuse("not a table", function() h["X-A"] = { {} } end)
    misuse("takes a name", function() h(1) end)
  end)

  it("keep their response alive", function()
    local h = headers{ ["X-A"] = "b" }
    collectgarbage()
    collectgarbage()
    h["X-C"] = "d"
    assert.are.equal("b", h["X-A"])
  end)

  it("may be changed in a loop over them", function()
    local h = headers{ { "A", 1 }, { "B", 2 }, { "C", 3 } }
    for name, value in pairs(h) do
      h[name] = nil
      h["X-" .. name] = value
    end
    assert.are.same({ "X-A: 1", "X-B: 2", "X-C: 3" }, lines(h))
  end)

  it("show themselves", function()
    assert.are.equal('dewar.headers { X-A = "b", X-C = "say \\"d\\"" }',
      tostring(headers{ { "X-A", "b" }, { "X-C", 'say "d"' } }))
    assert.are.equal("dewar.headers { }", tostring(headers()))
  end)
end)

describe("a table of headers", function()
  it("has names with a value or a list of them", function()
    local h = headers{ ["X-A"] = "1", X_B = { "2", 3 } }
    assert.are.equal("1", h["X-A"])
    assert.are.same({ "2", "3" }, h["X-B"] and h("X-B"))
    assert.are.equal(3, #h)
  end)

  it("may be a list of pairs, which keeps their order", function()
    local h = headers{ { "X-B", "1" }, { "X-A", "2" }, { "x-b", "3" } }
    assert.are.same({ "X-B: 1", "X-A: 2", "x-b: 3" }, lines(h))
  end)

  it("may be both, and may be another response's headers", function()
    local h = headers{ { "X-A", "1" }, ["X-B"] = "2" }
    assert.are.same({ "X-A: 1", "X-B: 2" }, lines(h))
    assert.are.same(lines(h), lines(headers(h)))
  end)

  it("is refused with the reason", function()
    misuse("item 1 of the list is a string", function() headers{ "X-A: b" } end)
    misuse("list of them expected, not a nil", function() headers{ { "X-A" } } end)
    misuse("name must be a string, not a boolean", function() headers{ [true] = "b" } end)
    misuse("name must be a string, not a number", function() headers{ [7] = "b" } end)
    misuse("line feed", function() headers{ { "X-A", "b\nc" } } end)
  end)
end)
