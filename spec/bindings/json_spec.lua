-- JSON from Lua values: exact, sorted, and clear about what can't be written.
local json = require("dewar.core").json
local encoded, null, array = json.encode, json.null, json.array

--- The error of a call, without its position, which is in this file.
local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it raised nothing")
  local message, n = err:gsub("^[^\n]-json_spec%.lua:%d+: ", "")
  assert.are.equal(1, n, "not at the caller's line: " .. err)
  return message
end

local function refusal(value)
  return failure(json.encode, value)
end

--- Equal, and floats where there are floats, arrays where there are arrays.
local function same(a, b)
  if math.type(a) ~= math.type(b) or type(a) ~= type(b) then return false end
  if type(a) ~= "table" then return rawequal(a, b) or a == b end
  if json.is_array(a) ~= json.is_array(b) then return false end
  for k, v in pairs(a) do
    if not same(v, b[k]) then return false end
  end
  for k in pairs(b) do
    if a[k] == nil then return false end
  end
  return true
end

describe("encode", function()
  it("writes every kind of value, compact", function()
    assert.are.equal("null", encoded(null))
    assert.are.equal("true", encoded(true))
    assert.are.equal("false", encoded(false))
    assert.are.equal('"a"', encoded "a")
    assert.are.equal('""', encoded "")
    assert.are.equal("[1,2,3]", encoded { 1, 2, 3 })
    assert.are.equal('{"a":[true,{"b":null}],"c":"d"}',
      encoded { c = "d", a = { true, { b = null } } })
  end)

  it("sorts keys by their bytes", function()
    assert.are.equal('{"":0,"A":1,"B":2,"_":3,"a":4,"aa":5,"ab":6,"b":7,"é":8}',
      encoded { b = 7, aa = 5, a = 4, ab = 6, A = 1, B = 2, _ = 3, [""] = 0, ["é"] = 8 })
    assert.are.equal([[{"a":1,"a\u0000":2,"a\u0001":3,"b":4}]],
      encoded { b = 4, ["a\1"] = 3, a = 1, ["a\0"] = 2 })
    assert.are.equal('{"same start 1":1,"same start 10":2,"same start 2":3}',
      encoded { ["same start 10"] = 2, ["same start 2"] = 3, ["same start 1"] = 1 })
  end)

  it("sorts any number of keys", function()
    for _, n in ipairs { 1, 2, 7, 8, 9, 16, 17, 31, 32, 33, 34, 65, 128, 129, 1000 } do
      local object, keys, parts = {}, {}, {}
      for i = 1, n do
        local key = ("%d key %d"):format(i * 7919 % 101, i)
        keys[i] = key
        object[key] = i
      end
      table.sort(keys)
      for i, key in ipairs(keys) do parts[i] = ('"%s":%d'):format(key, object[key]) end
      assert.are.equal("{" .. table.concat(parts, ",") .. "}", encoded(object))
    end
  end)

  it("sorts the keys of objects within objects", function()
    local expected, object = '{"z":1}', { z = 1 }
    for _ = 1, 60 do
      expected = '{"a":1,"b":' .. expected .. ',"c":2,"d":3}'
      object = { d = 3, b = object, a = 1, c = 2 }
    end
    assert.are.equal(expected, encoded(object))
  end)

  it("keeps integers integers and floats floats", function()
    for text, value in pairs {
      ["0"] = 0, ["-1"] = -1, ["10"] = 10, ["99"] = 99, ["100"] = 100,
      ["1234567890123"] = 1234567890123,
      ["9223372036854775807"] = math.maxinteger, ["-9223372036854775808"] = math.mininteger,
      ["1.0"] = 1.0, ["-1.0"] = -1.0, ["0.0"] = 0.0, ["-0.0"] = -0.0, ["0.5"] = 0.5, ["0.1"] = 0.1,
      ["123.456"] = 123.456, ["100.0"] = 1e2, ["1e+16"] = 1e16, ["1e-05"] = 1e-5, ["0.0001"] = 1e-4,
      ["1e+100"] = 1e100, ["1.5e+300"] = 1.5e300, ["9007199254740992.0"] = 2.0 ^ 53,
      ["0.3333333333333333"] = 1 / 3, ["0.30000000000000004"] = 0.1 + 0.2,
      ["1.7976931348623157e+308"] = 1.7976931348623157e308, ["5e-324"] = 0x1p-1074,
      ["2.2250738585072014e-308"] = 0x1p-1022, ["123456789.123"] = 123456789.123,
      ["9.223372036854776e+18"] = 2.0 ^ 63, ["1e+22"] = 1e22, ["1.478e+22"] = 1.478e22,
    } do
      assert.are.equal(text, encoded(value))
      assert.are.equal(math.type(value), math.type(json.decode(text)))
      assert.are.equal(("%a"):format(value), ("%a"):format(json.decode(text)))
    end
  end)

  it("writes floats that read back the same, no longer than need be", function()
    local random = 88172645463325252
    for i = 1, 20000 do
      random = random ~ random << 13
      random = random ~ random >> 7
      random = random ~ random << 17
      local x = string.unpack("d", string.pack("j", random))
      if i % 4 == 0 then x = (random >> 40) / 1000 end
      if i % 4 == 1 then x = 2.0 ^ (random % 2000 - 1000) end
      if x == x and x - x == 0 then
        local text = encoded(x)
        assert.are.equal(x, json.decode(text))
        assert.are.equal("float", math.type(json.decode(text)))
        assert.are.equal(x, tonumber(text))
        local digits = 14
        while tonumber(("%%.%dg"):format(digits):format(x)) ~= x do digits = digits + 1 end
        local shortest = #("%%.%dg"):format(digits):format(x):gsub("e.*", ""):gsub("[-.]", "")
          :gsub("^0+", "")
        local ours = #text:gsub("e.*", ""):gsub("[-.]", ""):gsub("^0+", ""):gsub("0+$", "")
        assert.is_true(ours <= shortest, text)
      end
    end
  end)

  it("refuses what is no number", function()
    assert.are.equal("cannot encode the value: NaN has no JSON form", refusal(0 / 0))
    assert.are.equal("cannot encode a[2]: an infinite number has no JSON form",
      refusal { a = { 1, 1 / 0 } })
    assert.are.equal("cannot encode a.b: an infinite number has no JSON form",
      refusal { a = { b = -1 / 0 } })
  end)

  it("doesn't mind the locale, nor does decode", function()
    local before = os.setlocale(nil, "numeric")
    finally(function() os.setlocale(before, "numeric") end)
    local found
    for _, name in ipairs { "de_DE.UTF-8", "fr_FR.UTF-8", "es_ES.UTF-8", "pt_BR.UTF-8",
      "ru_RU.UTF-8", "de_DE", "fr_FR" } do
      found = found or os.setlocale(name, "numeric")
    end
    if not found then return pending "there is no locale with a decimal comma here" end
    assert.are.equal("0,5", ("%g"):format(0.5))
    for text, value in pairs { ["1.5"] = 1.5, ["0.1"] = 0.1, ["1e-05"] = 1e-5,
      ["0.30000000000000004"] = 0.1 + 0.2, ["1.2345678901234567e+300"] = 1.2345678901234567e300,
      ["1.0715086071862673e+301"] = 2.0 ^ 1000 } do
      assert.are.equal(text, encoded(value))
      assert.are.equal(value, json.decode(text))
    end
    assert.are.equal(1.5, json.decode("1.5" .. ("0"):rep(900)))
    assert.is_false(pcall(json.decode, "1,5"))
  end)

  it("escapes what must be escaped, and no more", function()
    assert.are.equal([["\"\\/\b\f\n\r\t"]], encoded "\"\\/\b\f\n\r\t")
    assert.are.equal([["\u0000\u0001\u000b\u001f"]] .. "", encoded "\0\1\v\x1F")
    assert.are.equal('"\x7F é \u{2028}\u{2029} \u{10FFFF} <&>\'"',
      encoded "\x7F é \u{2028}\u{2029} \u{10FFFF} <&>'")
    for c = 0, 127 do
      for padding = 0, 17 do
        local text = ("x"):rep(padding) .. string.char(c) .. ("y"):rep(17 - padding)
        assert.are.equal(text, json.decode(encoded(text)))
      end
    end
  end)

  it("refuses strings and keys that are not UTF-8, naming them", function()
    assert.are.equal("cannot encode the value: the string is not valid UTF-8 (byte 3)",
      refusal "ab\xFFcd")
    assert.are.equal("cannot encode a[1]: the string is not valid UTF-8 (byte 1)",
      refusal { a = { "\xED\xA0\x80" } })
    assert.are.equal([[cannot encode a["b\xff"]: the key is not valid UTF-8 (byte 2)]],
      refusal { a = { ["b\xFF"] = 1 } })
  end)

  describe("tables", function()
    it("are arrays with the keys 1 to n", function()
      assert.are.equal("[1]", encoded { 1 })
      assert.are.equal("[[1],[[2]]]", encoded { { 1 }, { { 2 } } })
      local backwards = {}
      for i = 20, 1, -1 do backwards[i] = i end
      assert.are.equal("[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]", encoded(backwards))
      assert.are.equal("[1,2]", encoded { [2] = 2, [1] = 1 })
      assert.are.equal("[1,2,3]", encoded { [3] = 3, [2] = 2, [1] = 1 })
      assert.are.equal("[1,[2],3,4,5]",
        encoded { 1, { [1] = 2 }, [5] = 5, [3] = 3, [4] = 4 })
      assert.are.equal("[1,2,3,4,5,6,7]",
        encoded(array { [7] = 7, [6] = 6, [5] = 5, [4] = 4, [3] = 3, [2] = 2, [1] = 1 }))
      for n = 1, 40 do
        local list, texts = {}, {}
        for i = 1, n do
          local k = (i * 7919) % n + 1
          while list[k] do k = k % n + 1 end
          list[k] = k
          texts[i] = tostring(i)
        end
        assert.are.equal("[" .. table.concat(texts, ",") .. "]", encoded(list))
      end
    end)

    it("without anything are objects, or as told", function()
      assert.are.equal("{}", encoded {})
      assert.are.equal('{"a":{}}', encoded { a = {} })
      assert.are.equal("[]", encoded({}, { empty_table = "array" }))
      assert.are.equal('{"a":[]}', encoded({ a = {} }, { empty_table = "array" }))
      assert.are.equal("{}", encoded({}, { empty_table = "object" }))
      assert.are.equal("[]", encoded(array {}))
      assert.are.equal('{"a":[]}', encoded { a = array() })
      assert.are.equal('{"a":[],"b":{}}', encoded(json.decode '{"b":{},"a":[]}'))
    end)

    it("with holes are refused, naming what follows the hole", function()
      local message = "the list has no item %d (numbers as the keys of an object must be "
        .. "made strings)"
      assert.are.equal("cannot encode [3]: " .. message:format(2), refusal { 1, nil, 3 })
      assert.are.equal("cannot encode user.tags[5]: " .. message:format(4),
        refusal { user = { tags = { 1, 2, 3, nil, 5, 6 } } })
      assert.are.equal("cannot encode [2]: " .. message:format(1), refusal { [2] = 1 })
      assert.are.equal("cannot encode users[1000]: " .. message:format(1),
        refusal { users = { [2000] = 1, [1000] = 1 } })
      assert.are.equal("cannot encode [7]: " .. message:format(1), refusal(array { [7] = 1 }))
      assert.are.equal("cannot encode [0]: the keys of a list begin at 1",
        refusal { [0] = 0, 1, 2 })
      assert.are.equal("cannot encode a[-5]: the keys of a list begin at 1",
        refusal { a = { [-5] = 0 } })
    end)

    it("with both kinds of keys are refused, naming the exception", function()
      assert.are.equal("cannot encode a: a list can't have string keys as well",
        refusal { 1, 2, a = 3, b = 4 })
      assert.are.equal("cannot encode user.tags.n: a list can't have string keys as well",
        refusal { user = { tags = { "a", "b", n = 2 } } })
      assert.are.equal("cannot encode user[5]: a table with string keys can't have numbers as keys",
        refusal { user = { name = "Ada", [5] = true } })
      assert.are.equal("cannot encode x: a table marked as an array can't have this key",
        refusal(array { x = 1 }))
      assert.are.equal("cannot encode x: a table marked as an array can't have this key",
        refusal(array { 1, 2, x = 1 }))
      local large = { [7] = true }
      for i = 1, 100 do large["k" .. i] = i end
      assert.are.equal("cannot encode [7]: a table with string keys can't have numbers as keys",
        refusal(large))
    end)

    it("with any other key are refused, naming the table", function()
      assert.are.equal("cannot encode the value: a key must be a string, not a boolean (true)",
        refusal { [true] = 1 })
      assert.are.equal("cannot encode a.b: a key must be a string, not a number (1.5)",
        refusal { a = { b = { [1.5] = 1 } } })
      assert.are.equal("cannot encode a[1]: a key must be a string, not a table",
        refusal { a = { { [{}] = 1 } } })
      assert.are.equal("cannot encode the value: a key must be a string, not a function",
        refusal { 1, 2, [print] = 1 })
      assert.are.equal("cannot encode the value: a key must be a string, not a boolean (false)",
        refusal(array { 1, [false] = 1 }))
    end)

    it("are read without their metamethods", function()
      local base = { __index = { hidden = 1 }, __pairs = function() error "not called" end,
        __len = function() return 5 end }
      assert.are.equal('{"a":1}', encoded(setmetatable({ a = 1 }, base)))
      assert.are.equal("[1,2]", encoded(setmetatable({ 1, 2 }, base)))
      assert.are.equal("{}", encoded(setmetatable({}, base)))
    end)

    it("may occur more than once, but not within themselves", function()
      local shared = { 1 }
      assert.are.equal('{"a":[1],"b":[1]}', encoded { a = shared, b = shared })
      local cycle = { name = "loop" }
      cycle.self = { cycle }
      assert.are.equal("cannot encode self[1].self[1] ... self[1].self[1]: nested deeper than 200 "
        .. "(a cycle?)", refusal(cycle))
    end)

    it("go 200 levels deep, or as told", function()
      local deep = {}
      for _ = 2, 200 do deep = { deep } end
      assert.are.equal(("["):rep(199) .. "{}" .. ("]"):rep(199), encoded(deep))
      assert.matches("nested deeper than 200 %(a cycle%?%)$", refusal { deep })
      assert.is_true(pcall(json.encode, { deep }, { max_depth = 201 }))
      assert.matches("nested deeper than 1 ", failure(json.encode, { {} }, { max_depth = 1 }))
      assert.are.equal("{}", encoded({}, { max_depth = 1 }))
      local object = {}
      for _ = 2, 1000 do object = { a = object, b = 1 } end
      assert.is_true(pcall(json.encode, object, { max_depth = 1000 }))
      assert.matches("^cannot encode a%.a%.a%.a %.%.%. a%.a%.a%.a: ", refusal(object))
    end)
  end)

  it("refuses values that have no JSON form, naming key and type", function()
    assert.are.equal("cannot encode the value: a function has no JSON form", refusal(print))
    assert.are.equal("cannot encode users[2].hook: a function has no JSON form",
      refusal { users = { { hook = 1 }, { hook = print } } })
    assert.are.equal("cannot encode a: a thread has no JSON form",
      refusal { a = coroutine.create(print) })
    assert.are.equal("cannot encode file: a FILE* has no JSON form", refusal { file = io.stdout })
    assert.are.equal("cannot encode the value: nil has no JSON form (dewar.null is null)",
      refusal(nil))
    assert.is_false(pcall(json.encode))
  end)

  it("names keys in a way that can be read", function()
    assert.matches('^cannot encode %["a b"%]%["1"%]%[1%]%["q\\"\\\\\\x0a"%]: ',
      refusal { ["a b"] = { ["1"] = { { ["q\"\\\n"] = print } } } })
    assert.matches('^cannot encode %["größe"%]: ', refusal { ["größe"] = print })
    assert.matches('^cannot encode _x1%.class: ', refusal { _x1 = { class = print } })
    for _, start in ipairs { "", "x", "xy" } do
      local long = refusal { [start .. ("é€"):rep(1000)] = print }
      assert.is_true(#long < 120)
      assert.is_truthy(utf8.len(long))
      assert.is_nil(long:find "\\x")
    end
  end)

  describe("with __tojson", function()
    local function with(fn, value)
      return setmetatable(value or {}, { __tojson = fn })
    end

    it("writes what it returns", function()
      assert.are.equal('{"at":"2024-01-15","n":1}', encoded {
        n = 1, at = with(function(self) return self.text end, { text = "2024-01-15" }),
      })
      assert.are.equal("[1,[2,3]]", encoded { 1, with(function() return { 2, 3 } end) })
      assert.are.equal("null", encoded(with(function() return null end)))
      assert.are.equal('"inner"', encoded(with(function()
        return with(function() return "inner" end)
      end)))
    end)

    it("writes userdata as well", function()
      local meta = getmetatable(io.stdout)
      finally(function() meta.__tojson = nil end)
      meta.__tojson = function(file) return { open = io.type(file) == "file" } end
      assert.are.equal('[{"open":true}]', encoded { io.stdout })
      meta.__tojson = function(file) return file end
      assert.matches("nested deeper than 200", refusal(io.stdout))
    end)

    it("refuses what it returns by the same rules", function()
      assert.are.equal("cannot encode a: nil has no JSON form (dewar.null is null)",
        refusal { a = with(function() end) })
      assert.are.equal("cannot encode a.b: a function has no JSON form",
        refusal { a = with(function() return { b = print } end) })
      local forever
      forever = with(function() return forever end)
      assert.matches("nested deeper than 200", refusal(forever))
    end)

    it("passes its errors on", function()
      local err = {}
      local ok, got = pcall(json.encode, { a = with(function() error(err) end) })
      assert.is_false(ok)
      assert.are.equal(err, got)
    end)

    it("may encode, and fail to, on its own", function()
      local inner = with(function()
        pcall(json.encode, { ("x"):rep(5000), print })
        return json.encode { 1, 2 }
      end)
      for _ = 1, 3 do
        assert.are.equal('{"a":"[1,2]","b":{"c":"[1,2]"},"d":true}',
          encoded { a = inner, b = { c = inner }, d = true })
      end
    end)

    it("may change the table that is being encoded", function()
      local object = {}
      for i = 1, 50 do object["k" .. i] = i end
      object.a = with(function()
        for k in pairs(object) do object[k] = nil end
        collectgarbage()
        return 1
      end)
      local ok, err = pcall(json.encode, object)
      assert.is_false(ok)
      assert.matches("nil has no JSON form", err)

      local small = { b = "kept", c = { 1 } }
      small.a = with(function()
        small.b, small.c = nil, nil
        collectgarbage()
        return 1
      end)
      assert.are.equal('{"a":1,"b":"kept","c":[1]}', encoded(small))
    end)
  end)

  it("indents where it is asked to", function()
    assert.are.equal('{\n  "a": [\n    1,\n    {\n      "b": {}\n    }\n  ],\n  "c": []\n}',
      encoded({ a = { 1, { b = {} } }, c = array() }, { indent = 2 }))
    assert.are.equal("[\n 1\n]", encoded({ 1 }, { indent = 1 }))
    assert.are.equal("[1]", encoded({ 1 }, { indent = 0 }))
    assert.are.equal("{}", encoded({}, { indent = 8 }))
    assert.are.equal("1", encoded(1, { indent = 4 }))
    local large = {}
    for i = 1, 100 do large["k" .. i] = { i } end
    assert.is_true(same(json.decode(encoded(large)), json.decode(encoded(large, { indent = 3 }))))
  end)

  it("takes only options that it knows", function()
    assert.matches("unknown option 'indnt'; did you mean 'indent'%?",
      failure(json.encode, 1, { indnt = 2 }))
    assert.matches("unknown option 'emptytable'; did you mean 'empty_table'%?",
      failure(json.encode, 1, { emptytable = "array" }))
    assert.are.equal([[option 'empty_table' must be "object" or "array"]],
      failure(json.encode, 1, { empty_table = "list" }))
    for _, indent in ipairs { -1, 9, 1.5, "2", true } do
      assert.are.equal("option 'indent' must be an integer from 0 to 8",
        failure(json.encode, 1, { indent = indent }))
    end
    assert.is_false(pcall(json.encode, 1, 2))
    assert.are.equal("1", encoded(1, nil))
    assert.are.equal("1", encoded(1, {}))
  end)

  it("brings back what it wrote", function()
    for _, value in ipairs {
      { a = array { 1, 2.0, array(), {} }, b = { c = { d = null } } },
      array { array { array { "x" } }, false, true },
      { ["\0"] = "\0", [""] = "", ["é"] = "\u{1F600}", ["a.b"] = -0.5 },
      array { math.maxinteger, math.mininteger, 2.0 ^ 63, 1e-300, 0 },
    } do
      assert.is_true(same(value, json.decode(encoded(value))))
      assert.are.equal(encoded(value), encoded(json.decode(encoded(value))))
    end
  end)

  it("leaves nothing behind that counts, errors or not", function()
    local value = { list = {} }
    for i = 1, 300 do value.list[i] = { ("k%d"):format(i) } end
    local function repeated(n)
      for _ = 1, n do
        json.encode(value)
        pcall(json.encode, { value, print })
      end
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    local before = repeated(20)
    assert.is_true(repeated(100) < before + 64)
  end)
end)

describe("null", function()
  it("is one value, equal only to itself", function()
    assert.are.equal(null, json.decode "null")
    assert.are.equal(null, json.decode '{"a":null}'.a)
    assert.are.equal(null, json.decode "[null]"[1])
    assert.are_not.equal(null, nil)
    assert.are_not.equal(null, false)
    assert.are_not.equal(null, io.stdout)
  end)

  it("is true in a condition, and reads well", function()
    assert.is_truthy(null)
    assert.are.equal("null", tostring(null))
    local ok, err = pcall(function() return null.name end)
    assert.is_false(ok)
    assert.matches("dewar%.null", err)
  end)
end)

describe("array", function()
  it("marks a table and gives it back", function()
    local t = { 1, 2 }
    assert.is_false(json.is_array(t))
    assert.are.equal(t, array(t))
    assert.is_true(json.is_array(t))
    assert.are.equal(t, array(t))
    assert.are.equal(2, #t)
    t[3] = 3
    assert.are.equal("[1,2,3]", encoded(t))
  end)

  it("makes an empty one without an argument", function()
    assert.are.equal("[]", encoded(array()))
    assert.are_not.equal(array(), array())
  end)

  it("takes only tables, and none with a metatable of another kind", function()
    for _, value in ipairs { 1, "a", true, null } do
      assert.matches("table expected", select(2, pcall(array, value)))
    end
    assert.matches("table expected", select(2, pcall(array, nil)))
    assert.matches("a table that has a metatable can't be marked",
      failure(array, setmetatable({}, {})))
    assert.matches("a table that has a metatable can't be marked",
      failure(array, setmetatable({}, { __metatable = false })))
  end)

  it("is told from other values by is_array", function()
    assert.is_false(json.is_array {})
    assert.is_false(json.is_array(setmetatable({}, {})))
    assert.is_false(json.is_array(null))
    assert.is_false(json.is_array "x")
    assert.is_false(json.is_array(nil))
    assert.is_false(pcall(json.is_array))
  end)
end)
