-- What Dewar's own Lua files sign, code and compress with.
local crypto = require "dewar.core".crypto

local function hex(bytes)
  return (bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end))
end

describe("core.crypto", function()
  it("signs by HMAC", function()
    assert.are.equal("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
      hex(crypto.hmac("sha1", "Jefe", "what do ya want for nothing?")))
    assert.are.equal(32, #crypto.hmac("sha256", "", ""))
    assert.has_error(function() crypto.hmac("md5", "key", "data") end)
  end)

  it("digests", function()
    assert.are.equal("a9993e364706816aba3e25717850c26c9cd0d89d", hex(crypto.digest("sha1", "abc")))
  end)

  it("compares what is the same, and tells what isn't", function()
    assert.is_true(crypto.equal("a\0b", "a\0b"))
    assert.is_false(crypto.equal("a\0b", "a\0c"))
    assert.is_false(crypto.equal("a", "aa"))
  end)

  it("gives random bytes, as many as asked for", function()
    assert.are.equal(0, #crypto.random(0))
    assert.are.equal(1024, #crypto.random(1024))
    assert.are_not.equal(crypto.random(16), crypto.random(16))
    assert.has_error(function() crypto.random(1025) end)
    assert.has_error(function() crypto.random(-1) end)
  end)

  it("codes in base 64, both kinds", function()
    local bytes = ""
    for i = 0, 255 do
      bytes = bytes .. string.char(i)
      assert.are.equal(bytes, crypto.base64_decode(crypto.base64_encode(bytes)))
      local text = crypto.base64url_encode(bytes)
      assert.is_nil(text:find "[^%w_-]")
      assert.are.equal(bytes, crypto.base64url_decode(text))
    end
    assert.is_nil(crypto.base64_decode "a")
    assert.is_nil(crypto.base64url_decode "a+b/")
  end)

  it("compresses, and refuses to grow beyond a limit", function()
    local text = ("all work and no play "):rep(1000)
    local small = crypto.deflate(text)
    assert.is_true(#small < #text / 50)
    assert.are.equal(text, crypto.inflate(small, #text))
    assert.are.same({ nil, "too large" }, { crypto.inflate(small, #text - 1) })
    assert.are.same({ nil, "malformed" }, { crypto.inflate(small:sub(1, -2), #text) })
    assert.are.same({ nil, "malformed" }, { crypto.inflate("", 0) })
    assert.are.equal("", crypto.inflate(crypto.deflate "", 0))
  end)
end)
