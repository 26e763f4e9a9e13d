-- What is JSON and what isn't, by the grammar of RFC 8259, and the values that
-- come of it.
local json = require("dewar.core").json
local null, array = json.null, json.array

--- The error of a call, without its position, which is in this file.
local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it raised nothing")
  local message, n = err:gsub("^[^\n]-json_decode_spec%.lua:%d+: ", "")
  assert.are.equal(1, n, "not at the caller's line: " .. err)
  return message
end

local function complaint(text)
  return failure(json.decode, text)
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

--- Decodes to that value.
local function check(text, value)
  local got = json.decode(text)
  if not same(value, got) then
    error(("%q gave %s"):format(text, tostring(got)), 2)
  end
end

local function refused(text)
  local ok, err = pcall(json.decode, text)
  assert.is_false(ok, ("%q was accepted"):format(text))
  assert.matches("invalid JSON at line %d+, column %d+ %(byte %d+%): ", err)
end

local function nested(open, levels, close)
  return open:rep(levels) .. close:rep(levels)
end

describe("decode", function()
  it("takes any kind of value at the top", function()
    check("null", null)
    check("true", true)
    check("false", false)
    check("0", 0)
    check('""', "")
    check('"a"', "a")
    check("[]", array())
    check("{}", {})
    check("-1.5e3", -1500.0)
  end)

  it("takes the four kinds of white space around every token", function()
    check(" \t\r\n[ \t\r\n1 \t\r\n, \t\r\n2 \t\r\n] \t\r\n", array { 1, 2 })
    check('\n{\n"a"\n:\n1\n,\n"b"\n:\n{\n}\n}\n', { a = 1, b = {} })
    check(" true", true)
    check("null\n", null)
    check(" [] ", array())
  end)

  it("refuses any other white space", function()
    for _, space in ipairs { "\v", "\f", "\0", "\u{A0}", "\u{2028}", "\u{2060}", "\u{FEFF}", "\b",
      "\x7F", "//\n", "/**/", "#\n" } do
      refused("[1" .. space .. "]")
      refused(space .. "1")
      refused("1" .. space)
      refused('{"a"' .. space .. ":1}")
    end
  end)

  it("refuses texts without a value", function()
    for _, text in ipairs { "", " ", "\n", "\u{FEFF}", "\0", ",", ":", "]", "}" } do
      refused(text)
    end
  end)

  it("refuses a byte order mark, and UTF-16", function()
    assert.matches("byte order mark", complaint "\u{FEFF}{}")
    refused("\xFF\xFE[\0]\0")
    refused("\xFE\xFF\0[\0]")
    refused("[\0]\0")
    refused("\xEF\xBB{}")
  end)

  it("refuses anything behind the value", function()
    for _, text in ipairs { "1 2", "1]", "{}}", "{}{", "[]]", "[][]", "[1],", '""x', '"a"/**/',
      "truefalse", "null,", "[]\0", "1\0", "{}#", '{"a":1}"x"', "[1]x", "2@" } do
      refused(text)
    end
  end)

  describe("words", function()
    it("must be whole and in lower case", function()
      for _, text in ipairs { "t", "tru", "truE", "True", "TRUE", "truex", "fals", "fAlse",
        "False", "nul", "nulL", "NULL", "Null", "nil", "undefined", "NaN", "nan", "-NaN", "Inf",
        "Infinity", "-Infinity", "inf", "yes", "none", "a", "\xC3\xA9", "*", "&", "$", "_",
        "\\u0031", "'a'", "`a`" } do
        refused(text)
        refused("[" .. text .. "]")
        refused('{"a":' .. text .. "}")
      end
    end)
  end)

  describe("numbers", function()
    it("are integers where they look like it", function()
      check("[0, -0, 7, -7, 10, 1234567890]", array { 0, 0, 7, -7, 10, 1234567890 })
      check("9223372036854775807", math.maxinteger)
      check("-9223372036854775808", math.mininteger)
      check("9007199254740993", 9007199254740993)
    end)

    it("are floats beyond 64 bits", function()
      check("9223372036854775808", 9223372036854775808.0)
      check("-9223372036854775809", -9223372036854775809.0)
      check("18446744073709551616", 2.0 ^ 64)
      check("18446744073709551615", 2.0 ^ 64)
      check("100000000000000000000", 1e20)
      check("-314159265358979323846264338327950288419716939937",
        -314159265358979323846264338327950288419716939937.0)
      check("1" .. ("0"):rep(300), 1e300)
    end)

    it("are floats with a fraction or an exponent", function()
      for text, value in pairs {
        ["1.0"] = 1.0, ["-1.0"] = -1.0, ["0.5"] = 0.5, ["123.456"] = 123.456, ["1e2"] = 100.0,
        ["1E2"] = 100.0, ["1e+2"] = 100.0, ["1E-2"] = 0.01, ["0e1"] = 0.0, ["0e+1"] = 0.0,
        ["0.0e-1"] = 0.0, ["123e45"] = 123e45, ["123.456e78"] = 123.456e78, ["1e00"] = 1.0,
        ["1e-0007"] = 1e-7, ["1.7976931348623157e308"] = 1.7976931348623157e308,
        ["2.2250738585072014e-308"] = 2.2250738585072014e-308, ["5e-324"] = 0x1p-1074,
        ["-0." .. ("0"):rep(77) .. "1"] = -1e-78,
      } do
        check(text, value)
      end
      assert.are.equal("-0.0", tostring(json.decode "-0.0"))
      assert.are.equal("-0.0", tostring(json.decode "-0e0"))
    end)

    it("are rounded correctly however long they are", function()
      check("9007199254740993.0", 9007199254740992.0)
      check("9007199254740993." .. ("0"):rep(900) .. "1", 9007199254740994.0)
      check("9007199254740993." .. ("0"):rep(900), 9007199254740992.0)
      check("0.1000000000000000055511151231257827021181583404541015625", 0.1)
      check("0." .. ("0"):rep(400) .. "1e401", 1.0)
      check(("1"):rep(400) .. "e-399", 1.1111111111111112)
      check("2.2250738585072011e-308", 2.2250738585072011e-308)
      check("1e-400", 0.0)
      check("1e-99999999999999999999", 0.0)
      check("0e99999999999999999999", 0.0)
    end)

    it("must not be too large for a float", function()
      for _, text in ipairs { "1e309", "-1e309", "1.8e308", "1e99999999999999999999",
        "1" .. ("0"):rep(309) } do
        assert.matches("number is too large", complaint(text))
      end
    end)

    it("have no other form", function()
      for _, text in ipairs { "+1", "+0", "++1", "--1", "-+1", "+-1", "-", "+", "- 1", "01",
        "-01", "00", "-00", "012", "-012", "01.5", ".1", "-.1", ".", "1.", "-1.", "0.e1", "1.e1",
        "7.e+3", "7.e-3", "0.5e", "0.5e+", "1e", "1E", "1e+", "1E-", "0e", "0E+", "1eE2", "1ee2",
        "1e2.5", "1e1.0", "6.1e+", "1.2.3", "1..2", "1+2", "1e2e3", "1.e", ".e1", "e1", "1 000",
        "1,000", "1_000", "1'000", "0x1", "0x", "0xFF", "1x", "1a", "-a", "-1x", "0b1", "0o7",
        "1L", "1.5f", "1/2", "\xEF\xBC\x91", "-\xEF\xBC\x91", "0\xE5", "1e1\xE5", "1\xE5" } do
        refused(text)
        refused('{"a":' .. text .. "}")
        if text ~= "1,000" then
          refused("[" .. text .. "]")
        end
      end
    end)
  end)

  describe("strings", function()
    it("keep plain characters as they are", function()
      check('"abc"', "abc")
      check('"a / b"', "a / b")
      check('"\x7F"', "\x7F")
      check('"\u{80}\u{7FF}\u{800}\u{FFFF}\u{10000}\u{10FFFF}"',
        "\u{80}\u{7FF}\u{800}\u{FFFF}\u{10000}\u{10FFFF}")
      check('"\u{2028}\u{2029}\u{FEFF}\u{FDD0}\u{FFFE}\u{1FFFF}\u{E000}"',
        "\u{2028}\u{2029}\u{FEFF}\u{FDD0}\u{FFFE}\u{1FFFF}\u{E000}")
      check('"/* no comment */ // nor here"', "/* no comment */ // nor here")
      check("\"it's\"", "it's")
    end)

    it("of any length are found to end", function()
      for n = 0, 70 do
        local text = ("x"):rep(n)
        check('"' .. text .. '"', text)
        check('"' .. text .. '\\n"', text .. "\n")
        check('"' .. text .. '\u{E9}' .. text .. '"', text .. "\u{E9}" .. text)
        refused('"' .. text)
        refused('"' .. text .. "\n\"")
        refused('"' .. text .. "\\\"")
      end
    end)

    it("undo the escapes", function()
      check([["\"\\\/\b\f\n\r\t"]], "\"\\/\b\f\n\r\t")
      check([["\u0041\u00e9\u20AC\uFFFF\u0000"]], "A\u{E9}\u{20AC}\u{FFFF}\0")
      check([["\u0022\u005C\u002f\u0061\u30af"]], '"\\/a\u{30AF}')
      check([["\\n\\u0041"]], "\\n\\u0041")
      check([["\uFDD0\uFEFF\u2028\u200b\uDBFF\uDFFE"]],
        "\u{FDD0}\u{FEFF}\u{2028}\u{200B}\u{10FFFE}")
      check('"' .. ("\\u00e9"):rep(1000) .. '"', ("\u{E9}"):rep(1000))
    end)

    it("join surrogate pairs, and refuse a half", function()
      check([["\ud83d\ude00"]], "\u{1F600}")
      check([["\uD800\uDC00\uDBFF\uDFFF"]], "\u{10000}\u{10FFFF}")
      check([["\ud834\udd1e\u0061"]], "\u{1D11E}a")
      for _, half in ipairs { [[\ud83d]], [[\ude00]], [[\ud83dx]], [[\ud83d\n]], [[\ud83d\u0041]],
        [[\ud83d\ud83d]], [[\ude00\ud83d]], [[\ud83d\\ude00]], [[\uD800\uD800\uDC00]],
        [[\uDC00\uDC00]], [[\ud83dude00]] } do
        assert.matches("half of a surrogate pair", complaint('"' .. half .. '"'))
        refused('{"' .. half .. '":1}')
      end
      for _, text in ipairs { [["\uD800\u]], [["\uD800\u"]], [["\uD800\u1"]], [["\uD800\uDC"]],
        [["\uD800\uDCGG"]], [["\uD800\]] } do
        refused(text)
      end
    end)

    it("refuse other escapes", function()
      for c in ("acdeghijklmopqsvwxyzABFNRTU0123'`?_(\n\0 \t\xC3"):gmatch "." do
        refused('"\\' .. c .. '"')
      end
      for _, text in ipairs { [[\u]], [[\u0]], [[\u00]], [[\u00A]], [[\u00AG]], [[\uG000]],
        [[\u 123]], [[\u+123]], [[\u-123]], [[\x41]], [[\u{41}]], [[\U0041]], "\\u00\xC3\xA9",
        "\\\xF0\x9F\x8C\x80", [[\]] } do
        refused('"' .. text .. '"')
      end
    end)

    it("refuse control characters that are not escaped", function()
      for c = 0, 31 do
        local text = ('"a%sb"'):format(string.char(c))
        assert.matches("control character in a string must be escaped", complaint(text))
        check(('"a\\u%04xb"'):format(c), "a" .. string.char(c) .. "b")
      end
    end)

    it("refuse what is not UTF-8", function()
      for _, bytes in ipairs { "\x80", "\xBF", "\xC0\x80", "\xC0\xAF", "\xC1\xBF", "\xC3",
        "\xC3(", "\xC3\xC3\xA9", "\xE0\x80\xAF", "\xE0\x9F\xBF", "\xE2\x82", "\xE2(\xA1",
        "\xE2\x82(", "\xED\xA0\x80", "\xED\xBF\xBF", "\xED\xA0\x80\xED\xB0\x80",
        "\xF0\x80\x80\xAF", "\xF0\x8F\xBF\xBF", "\xF0\x9F\x98", "\xF0\x9F\x98(", "\xF0(\x8C\xBC",
        "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF8\x88\x80\x80\x80",
        "\xFC\x80\x80\x80\x80\x80", "\xFE", "\xFF", "\u{E9}\x80", "\xE9", "\x81\u{E9}" } do
        for padding = 0, 9 do
          local text = ("x"):rep(padding) .. bytes
          assert.matches("not valid UTF%-8", complaint('"' .. text .. '"'))
          refused('{"' .. text .. '":1}')
          assert.matches("not valid UTF%-8", failure(json.encode, text))
        end
      end
    end)

    it("take every character there is", function()
      local all = {}
      for c = 0x20, 0x10FFFF, 13 do
        if c ~= 0x22 and c ~= 0x5C and (c < 0xD800 or c > 0xDFFF) then
          all[#all + 1] = utf8.char(c)
        end
      end
      local text = table.concat(all)
      check('"' .. text .. '"', text)
      assert.are.equal('"' .. text .. '"', json.encode(text))
    end)

    it("must be closed, and quoted in no other way", function()
      for _, text in ipairs { '"', '"a', '"a\\"', "a", "'a'", '"a" "b"', '"a""b"',
        "\u{201C}a\u{201D}", '"""', '"a"b"' } do
        refused(text)
        refused("[" .. text .. "]")
      end
    end)
  end)

  describe("arrays", function()
    it("keep order, and are marked", function()
      check("[1,[2,[3,[]]],{}]", array { 1, array { 2, array { 3, array() } }, {} })
      check("[null,1,null]", array { null, 1, null })
      assert.is_true(json.is_array(json.decode "[]"))
      assert.is_true(json.is_array(json.decode "[1]"))
      assert.is_false(json.is_array(json.decode "{}"))
    end)

    it("of any length are whole", function()
      for _, n in ipairs { 1, 2, 31, 32, 33, 63, 64, 65, 66, 127, 128, 129, 1000 } do
        local values = {}
        for i = 1, n do values[i] = i end
        local got = json.decode("[" .. table.concat(values, ",") .. "]")
        assert.are.equal(n, #got)
        assert.are.same(values, got)
        assert.is_true(json.is_array(got))
      end
    end)

    it("have one comma between two values", function()
      for _, text in ipairs { "[", "[1", "[1,", "[,", "[,]", "[,1]", "[1,]", "[1,,]", "[1,,2]",
        "[1 2]", "[1;2]", "[1:2]", '["a" "b"]', "[1}", "[}", "[[]", "[]]", "[[1]", "[1]]",
        "[1][2]", "[1\n2]", "[,,]", "[ , ]", "[1,\n", '["a",4,1,', "[\"\"", '["x"', "[\"x\",,]",
        "[{}", "[3[4]]", "[a", '["": 1]', "[*]", "[", "[\n", "<null>", "[<null>]", "1]",
        "[\f]" } do
        refused(text)
      end
    end)
  end)

  describe("objects", function()
    it("have strings as keys", function()
      check('{"a":1,"b":{"c":null},"":0}', { a = 1, b = { c = null }, [""] = 0 })
      check([[{"\u0061\n":1,"\u0000":2}]], { ["a\n"] = 1, ["\0"] = 2 })
      check('{"1":1}', { ["1"] = 1 })
      check('{"a":[{"b":[]}]}', { a = array { { b = array() } } })
    end)

    it("of any size are whole", function()
      for _, n in ipairs { 1, 2, 4, 5, 15, 16, 17, 31, 32, 33, 34, 100, 1000 } do
        local values, parts = {}, {}
        for i = 1, n do
          values["k" .. i] = i
          parts[i] = ('"k%d":%d'):format(i, i)
        end
        check("{" .. table.concat(parts, ",") .. "}", values)
      end
    end)

    it("take the last of equal keys", function()
      check('{"a":1,"a":2}', { a = 2 })
      check('{"a":1,"b":0,"a":null}', { a = null, b = 0 })
      check([[{"a":1,"\u0061":[]}]], { a = array() })
      local parts = {}
      for i = 1, 40 do parts[i] = ('"k%d":%d'):format(i % 10, i) end
      local got = json.decode("{" .. table.concat(parts, ",") .. "}")
      for i = 31, 40 do assert.are.equal(i, got["k" .. i % 10]) end
    end)

    it("have one colon in a pair, and one comma between two", function()
      for _, text in ipairs { "{", "{,", "{,}", '{"a"', '{"a"}', '{"a":', '{"a":}', '{"a":1',
        '{"a":1,', '{"a":1,}', '{"a":1,,}', '{"a":1,,"b":2}', '{,"a":1}', '{"a" 1}', '{"a"::1}',
        '{"a":1:2}', '{"a",1}', '{"a"=1}', '{"a":1 "b":2}', '{"a":1;"b":2}', '{"a":1]', '{"a"]',
        "{]", '{"a":1}}', '{{"a":1}}', '{"a":{}', "{a:1}", "{a:\"b\"}", "{'a':1}", "{1:1}", "{1}",
        "{null:1}", "{true:1}", "{[]:1}", "{{}:1}", "{\"a\":\"b\"}/**/", '{"a":"b"}//',
        '{"a":"b"}#', '{"a":1 ,\n}', '{"a":"b', '{"a":a}', '{"a":/*c*/1}', '{"a":1,"b"}',
        '{"a":1,b:2}', '{"a":1,"a b}', '{"x"::"b"}', '{"x", null}', '{"a":"a" 123}', "{k: 'v'}",
        "{1e9:1}", '{"\xE9":1,}', '{"a\0b":1}', '{"\u{E9}:1}' } do
        refused(text)
      end
    end)
  end)

  it("refuses every beginning of a text", function()
    local text = '{"key":[1.5e-3,true,null,{"\\u00e9\\n":"\u{1F600}"}],"b":"c"}'
    for n = 0, #text - 1 do
      refused(text:sub(1, n))
    end
    assert.is_true(pcall(json.decode, text))
  end)

  it("goes 200 levels deep", function()
    local deep = json.decode(nested("[", 200, "]"))
    for _ = 1, 199 do deep = deep[1] end
    assert.are.equal(0, #deep)
    assert.matches("byte 201%): nested too deep$", complaint(nested("[", 201, "]")))
    assert.matches("byte 1001%): nested too deep$",
      complaint(('{"a":'):rep(201) .. "1" .. ("}"):rep(201)))
    assert.is_true(pcall(json.decode, ('{"a":'):rep(200) .. "1" .. ("}"):rep(200)))
    refused(("["):rep(100000))
    refused(('[{"":'):rep(50000))
    assert.is_true(pcall(json.decode, "[" .. ("[],"):rep(300) .. "[]]"))
  end)

  it("goes as deep as max_depth says", function()
    assert.is_true(pcall(json.decode, nested("[", 1000, "]"), { max_depth = 1000 }))
    assert.is_true(pcall(json.decode, "[[1]]", { max_depth = 2 }))
    assert.matches("nested too deep", failure(json.decode, "[[1]]", { max_depth = 1 }))
    assert.is_true(pcall(json.decode, "1", { max_depth = 1 }))
    for _, depth in ipairs { 0, -1, 1001, 1.5, "2", true } do
      assert.matches("option 'max_depth' must be an integer from 1 to 1000",
        failure(json.decode, "1", { max_depth = depth }))
    end
  end)

  it("says what it expected, and where", function()
    for text, message in pairs {
      ['{"a":1x}'] = "1, column 7 (byte 7): expected ',' or '}', found 'x'",
      ["[1 2]"] = "1, column 4 (byte 4): expected ',' or ']', found '2'",
      ["[1,]"] = "1, column 4 (byte 4): expected a value, found ']'",
      ['{"a" 1}'] = "1, column 6 (byte 6): expected ':', found '1'",
      ["{a:1}"] = "1, column 2 (byte 2): expected a key in quotes, found 'a'",
      ["[1"] = "1, column 3 (byte 3): expected ',' or ']', found the end of the text",
      [""] = "1, column 1 (byte 1): expected a value, found the end of the text",
      ["[]\0"] = "1, column 3 (byte 3): expected the end of the text, found byte 0",
      ["nul"] = "1, column 4 (byte 4): expected null, found the end of the text",
      ["[\r\n  1,\n\n é]"] = "4, column 2 (byte 11): expected a value, found 'é'",
      ['["é€", x]'] = "1, column 8 (byte 11): expected a value, found 'x'",
      ['["a'] = "1, column 2 (byte 2): this string has no end",
      ["[01]"] = "1, column 2 (byte 2): a number can't begin with 0",
      ["[1.]"] = "1, column 4 (byte 4): expected a digit, found ']'",
      ['"\\q"'] = "1, column 2 (byte 2): there is no such escape",
      ['"\\u12"'] = "1, column 2 (byte 2): \\u needs four hexadecimal digits",
    } do
      assert.are.equal("invalid JSON at line " .. message, complaint(text))
    end
  end)

  it("takes only strings, and known options", function()
    for _, value in ipairs { 1, true, {}, null } do
      assert.matches("string expected", select(2, pcall(json.decode, value)))
    end
    assert.is_false(pcall(json.decode))
    assert.matches("did you mean 'max_depth'", failure(json.decode, "1", { max_deph = 1 }))
    assert.is_false(pcall(json.decode, "1", { indent = 1 }))
    assert.is_false(pcall(json.decode, "1", "max_depth"))
  end)

  it("leaves nothing behind that counts", function()
    local text = '{"list":[' .. ('{"a":[1,2.5,"x\\ny"]},'):rep(200) .. "null]}"
    local function repeated(n)
      for _ = 1, n do
        json.decode(text)
        pcall(json.decode, text:sub(1, -2))
      end
      collectgarbage()
      collectgarbage()
      return collectgarbage "count"
    end
    local before = repeated(20)
    assert.is_true(repeated(100) < before + 64)
  end)
end)
