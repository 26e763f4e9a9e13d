-- What somebody sends who wants to be somebody else, or to do harm: the session is
-- empty, the answer is the same as without a cookie, and nothing grows.
local dewar = require "dewar"
local clean = require "spec.support.clean"
local core = require "dewar.core"
local signing = require "dewar.signing"

local crypto = core.crypto

clean.watch(before_each, after_each)

local KEY = "a key for specs"
local SALT = "cookie-session"

describe("a session's cookie", function()
  local app, client, seen, good

  before_each(function()
    app = dewar.app { config = { TESTING = true, SECRET_KEY = KEY } }
    app.config.MAX_HEADER_SIZE = 1024 * 1024
    app:get("/", function(req)
      seen = {}
      for key, value in pairs(req.session) do seen[key] = value end
      return "seen"
    end)
    client = app:test_client { cookies = false }
    good = signing.sign(KEY, SALT, crypto.base64url_encode '{"user":"ada"}')
  end)
  after_each(function() client:close() end)

  --- What the app sees in the session of this cookie.
  local function session_of(cookie)
    local res = client:get("/", { headers = { Cookie = "session=" .. cookie } })
    assert.are.equal("seen", res.body)
    assert.is_nil(res.headers.set_cookie)
    return seen
  end

  local function refuses(cookie, what)
    assert.are.same({}, session_of(cookie), what)
  end

  it("is believed as it was sent", function()
    assert.are.same({ user = "ada" }, session_of(good))
    assert.are.same({ user = "ada" }, session_of('"' .. good .. '"'))
  end)

  it("is refused with any other byte at any place", function()
    local plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/!~"
    for at = 1, #good do
      for i = 1, #plain do
        local letter = plain:sub(i, i)
        if letter ~= good:sub(at, at) then
          refuses(good:sub(1, at - 1) .. letter .. good:sub(at + 1), letter .. at)
        end
      end
    end
  end)

  it("is refused with a byte too few or too many, wherever that is", function()
    for at = 1, #good do
      refuses(good:sub(1, at - 1), "cut at " .. at)
      refuses(good:sub(at + 1), "begun behind " .. at)
      refuses(good:sub(1, at - 1) .. good:sub(at + 1), "without " .. at)
      refuses(good:sub(1, at) .. "A" .. good:sub(at + 1), "with an A behind " .. at)
    end
    for _, more in ipairs { ".", "..", "=", "A=", "%20", "." .. good } do
      refuses(good .. more)
      refuses(more .. good)
    end
  end)

  it("is refused in parts that belong to others", function()
    local other = signing.sign(KEY, SALT, crypto.base64url_encode '{"user":"eve"}', os.time() - 7)
    local a, b = { good:match "(.*)%.(.*)%.(.*)" }, { other:match "(.*)%.(.*)%.(.*)" }
    for mask = 1, 6 do
      local parts = {}
      for i = 1, 3 do parts[i] = (mask >> (i - 1) & 1 == 1 and b or a)[i] end
      refuses(table.concat(parts, "."))
    end
  end)

  it("is refused where another key or another salt has signed it", function()
    local payload = crypto.base64url_encode '{"user":"eve"}'
    for _, key in ipairs { "", "a key for spec", "a key for specs ", KEY .. KEY, crypto.hmac("sha1", KEY, SALT) } do
      refuses(signing.sign(key, SALT, payload))
    end
    for _, salt in ipairs { "", "cookie", "cookie-session ", "itsdangerous", "itsdangerous.Signer", "csrf" } do
      refuses(signing.sign(KEY, salt, payload))
    end
    refuses(payload .. "." .. crypto.base64url_encode(crypto.hmac("sha1", KEY, payload)))
  end)

  it("is refused without a signature that could be one", function()
    for _, cookie in ipairs {
      "", ".", "..", "...", "....", "a", "a.b", "a.b.c", ".b.c", "a..c", "a.b.", "eyJ1c2VyIjoiYWRhIn0", "null", "{}",
      "eyJ1c2VyIjoiYWRhIn0..", "eyJhbGciOiJub25lIn0.eyJ1c2VyIjoiYWRhIn0.",
    } do refuses(cookie) end
  end)

  it("is refused where it is too old, or of the future", function()
    local payload = crypto.base64url_encode '{"user":"ada"}'
    local now = os.time()
    app.config.PERMANENT_SESSION_LIFETIME = 60
    local function signed(at) return signing.sign(KEY, SALT, payload, at) end
    assert.are.same({ user = "ada" }, session_of(signed(now)))
    assert.are.same({ user = "ada" }, session_of(signed(now - 50)))
    for _, time in ipairs { now - 70, now - 365 * 86400, 1, 0, now + 60, now + 10 ^ 9 // 1, 2 ^ 55 // 1 | 0 } do
      refuses(signed(time // 1 | 0), "at " .. time)
    end
    app.config.PERMANENT_SESSION_LIFETIME = 0.5
    local second, found
    repeat -- within one second: the time is signed in whole ones
      second = os.time()
      found = session_of(signed(second))
    until os.time() == second
    assert.are.same({ user = "ada" }, found)
  end)

  it("is refused with a time that is none, even if it is signed", function()
    local payload = crypto.base64url_encode '{"user":"ada"}'
    local derived = crypto.hmac("sha1", KEY, SALT)
    for _, time in ipairs { "", "!", "A", "====", "AAAAAAAAAAAAAA", ("A"):rep(1000), "______________" } do
      local text = payload .. "." .. time
      refuses(text .. "." .. crypto.base64url_encode(crypto.hmac("sha1", derived, text)), time)
    end
  end)

  it("is refused where what is signed is no object, or no JSON", function()
    for _, text in ipairs {
      "", " ", "null", "true", "5", '"text"', "[]", "[1]", "{", "{]", '{"a":}', '{"a":1}x', "\0", "\255",
      '{"a":"\\ud800"}', '{"a":NaN}', ('{"a":'):rep(1000) .. "1" .. ("}"):rep(1000), ("["):rep(5000),
      '{" t":[1]}', '{" b":"YQ=="}', '{" m":"x"}',
    } do
      refuses(signing.sign(KEY, SALT, crypto.base64url_encode(text)), text)
    end
    for _, payload in ipairs { "", ".", "!", "A", ".AAAA", ".!", "e30=", "+/+/" } do
      refuses(signing.sign(KEY, SALT, payload), payload)
    end
  end)

  it("gives no value of a kind that a tag only claims", function()
    for text, expected in pairs {
      ['{"a":{" t":5}}'] = { a = { [" t"] = 5 } },
      ['{"a":{" t":{"b":1}}}'] = { a = { [" t"] = { b = 1 } } },
      ['{"a":{" b":"*"}}'] = { a = { [" b"] = "*" } },
      ['{"a":{" b":[]}}'] = { a = { [" b"] = {} } },
      ['{"a":{" u":"x"}}'] = { a = { [" u"] = "x" } },
      ['{"a":{" u":"' .. ("g"):rep(32) .. '"}}'] = { a = { [" u"] = ("g"):rep(32) } },
      ['{"a":{" d":"yesterday"}}'] = { a = { [" d"] = "yesterday" } },
      ['{"a":{" d":null}}'] = { a = { [" d"] = dewar.null } },
      ['{"a":{" di":{}}}'] = { a = { [" di"] = {} } },
      ['{"a":{" di":{"x":1}}}'] = { a = { [" di"] = { x = 1 } } },
      ['{"a":{" di":{"x__":1,"y__":2}}}'] = { a = { [" di"] = { x__ = 1, y__ = 2 } } },
      ['{"a":{" t":[1],"b":2}}'] = { a = { [" t"] = { 1 }, b = 2 } },
    } do
      assert.are.same(expected, session_of(signing.sign(KEY, SALT, crypto.base64url_encode(text))), text)
    end
  end)

  it("is refused where it would grow beyond measure", function()
    local function compressed(text)
      return signing.sign(KEY, SALT, "." .. crypto.base64url_encode(crypto.deflate(text)))
    end
    local cookie = compressed('{"a":"' .. ("x"):rep(50 * 1024 * 1024) .. '"}')
    local before = clean.counts().memory
    refuses(cookie)
    assert.is_true(clean.counts().memory - before < 2 * 1024 * 1024)
    local most = '{"a":"' .. ("x"):rep(256 * 1024 - 8) .. '"}'
    assert.are.equal(256 * 1024 - 8, #session_of(compressed(most)).a)
  end)

  it("is refused where it is huge, in time that grows with its length", function()
    for _, text in ipairs { "A", ".", "A.", "..A", "=" } do
      local cookie = text:rep(200 * 1024 // #text)
      refuses(cookie)
      refuses(cookie .. "." .. good)
      refuses(good .. "." .. cookie)
    end
  end)

  it("is the first one of its name that is its own", function()
    local res = client:get("/", { headers = { Cookie = "session=evil; session=" .. good } })
    assert.are.equal("seen", res.body)
    assert.are.same({ user = "ada" }, seen)
    client:get("/", { headers = { Cookie = ("session=evil; "):rep(8) .. "session=" .. good } })
    assert.are.same({}, seen)
    client:get("/", { headers = { Cookie = "sessions=evil; session=" .. good .. "; session=evil" } })
    assert.are.same({ user = "ada" }, seen)
  end)

  it("is refused whatever random bytes it is made of", function()
    math.randomseed(7)
    for _ = 1, 2000 do
      local bytes = {}
      for i = 1, math.random(0, 60) do
        local byte = math.random(0, 255)
        bytes[i] = string.char((byte < 33 or byte == 127 or byte == 59) and 46 or byte)
      end
      refuses(table.concat(bytes))
    end
  end)

  it("leaves nothing behind where it is refused", function()
    local bad = good:sub(1, -2)
    clean.keeps_memory(function() client:get("/", { headers = { Cookie = "session=" .. bad } }) end)
  end)
end)
