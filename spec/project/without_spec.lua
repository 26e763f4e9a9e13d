-- A Dewar that was built without some library: what still works, and what it
-- says where that library is needed. With all of them there is nothing to ask.
local dewar = require "dewar"
local crypto = require("dewar.core").crypto

local has_openssl = pcall(crypto.hmac, "sha1", "key", "text")
local has_zlib = crypto.can_deflate

--- An answer to a client that accepts these codings.
local function answer(view, accept, cookie)
  local app = dewar.app { config = { SECRET_KEY = "key", TESTING = true } }
  app:get("/", view)
  local client <close> = app:test_client { cookies = false }
  return client:get("/", { headers = { accept_encoding = accept, cookie = cookie } })
end

local function fails(message, f, ...)
  local ok, err = pcall(f, ...)
  assert.is_false(ok)
  assert.matches(message, tostring(err), 1, true)
end

describe("a Dewar", function()
  it("sends a body to who can decode less than it might", function()
    local text = ("the same again "):rep(1000)
    local res = answer(function() return text end, "gzip;q=0.5, br")
    local coding = res.headers.content_encoding
    assert.is_true(coding == nil or coding == "br" or coding == "gzip" and has_zlib)
    assert.is_true(coding ~= nil or res.body == text)
  end)

  if not has_openssl then
    it("without OpenSSL says so where something is signed or hashed, and is whole otherwise", function()
      local message = "this Dewar was built without OpenSSL: install its headers and build with DEWAR_WITH_OPENSSL=ON"
      fails(message, answer, function(req) req.session.a = 1 return "" end)
      fails(message, answer, function(req) return tostring(req.session.a) end, nil, "session=a.b.c")
      fails(message, dewar.generate_password_hash, "secret")
      assert.are.equal("nil", answer(function(req) return tostring(req.session.a) end).body)
    end)
  end

  if not has_zlib then
    it("without zlib sends nothing as gzip", function()
      local text = ("the same again "):rep(1000)
      assert.are.equal(text, answer(function() return text end, "gzip").body)
      assert.are.equal(text, answer(function() return dewar.stream(function(write) write(text) end) end, "gzip").body)
    end)

    if has_openssl then
      it("without zlib writes sessions as they are, and says why it can't read others", function()
        local res = answer(function(req) req.session.a = ("x"):rep(2000) return "" end)
        assert.matches("^session=[^.]", res.headers.set_cookie)
        local signed = require("dewar.signing").sign("key", "cookie-session", ".eJyrVkpUsjKsBQAJGgI4")
        fails("this Dewar was built without zlib: install its headers and build with DEWAR_WITH_ZLIB=ON",
          answer, function(req) return tostring(req.session.a) end, nil, "session=" .. signed)
      end)
    end
  end
end)
