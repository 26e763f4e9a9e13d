-- Passwords as hashes. The expected ones are made by Werkzeug, or by Python's
-- hashlib in its format.
local dewar = require "dewar"

-- n is small here, so that the specs are quick: it is not for real passwords.
local QUICK = "scrypt:16:8:1"

local MADE_ELSEWHERE = {
  "pbkdf2:sha1:1000$NaClsha1$ddb6a400aed16098e4ff5328ab82b68735a55275",
  "pbkdf2:sha256:1000$NaClsha256$f9fe1ea340a0330e58a2928c355e71e65373501596b2a76793cb73eea16cbe3b",
  "pbkdf2:sha512:1000$NaClsha512$922ebd7acc7d679d3efcfa30633d8bee086152eaa63dc8ce7bf196b8b6fa00f4"
    .. "d1f602e724fcfe8e1c1630a3b2d081ff2db360e211de9e500a2e247a4cbfc9a3",
  "scrypt:32768:8:1$q8Zt2YyF$4826026f52513bee957636bd4180b53574469b522e05ba971cc48379636a969a"
    .. "b8685ddeeeee492d85ad118bcec400e6573c5cea04f4bfb3a7ea22c182b52687",
  "pbkdf2:sha256:1000$P7Asj11CuPL9X48x$b3aba967ab70a7f09a2f15513bbfef9a0025a3bf745fca81ccdc7bdbe6afb6e1",
}

describe("a hash of a password", function()
  it("fits that password alone", function()
    local hash = dewar.generate_password_hash("correct horse", QUICK)
    assert.is_true(dewar.check_password_hash(hash, "correct horse"))
    assert.is_false(dewar.check_password_hash(hash, "correct horsE"))
    assert.is_false(dewar.check_password_hash(hash, ""))
  end)

  it("is never the same twice", function()
    local one, two = dewar.generate_password_hash("a", QUICK), dewar.generate_password_hash("a", QUICK)
    assert.are_not.equal(one, two)
    assert.is_true(dewar.check_password_hash(one, "a"))
    assert.is_true(dewar.check_password_hash(two, "a"))
  end)

  it("says how it was made", function()
    local digits = { scrypt = 128, ["pbkdf2:sha1:1"] = 40, ["pbkdf2:sha256:1"] = 64, ["pbkdf2:sha512:1"] = 128 }
    for method, length in pairs(digits) do
      local full, salt, key = dewar.generate_password_hash("a", method):match "^(.-)%$(%w+)%$(%x+)$"
      assert.are.equal(method == "scrypt" and "scrypt:32768:8:1" or method, full)
      assert.are.equal(16, #salt)
      assert.are.equal(length, #key)
    end
    assert.matches("^pbkdf2:sha256:600000%$", dewar.generate_password_hash("a", "pbkdf2"))
    assert.matches("^scrypt:32768:8:1%$", dewar.generate_password_hash "a")
  end)

  it("takes any bytes", function()
    for _, password in ipairs { "", "\0", "a\0b", "Grüße", ("x"):rep(5000) } do
      local hash = dewar.generate_password_hash(password, QUICK)
      assert.is_true(dewar.check_password_hash(hash, password))
      assert.is_false(dewar.check_password_hash(hash, password .. "x"))
    end
  end)

  it("may be made by Werkzeug", function()
    for _, hash in ipairs(MADE_ELSEWHERE) do
      assert.is_true(dewar.check_password_hash(hash, "Grüße"), hash)
      assert.is_false(dewar.check_password_hash(hash, "Gruss"), hash)
    end
  end)

  it("fits nothing where it is no hash", function()
    for _, text in ipairs {
      "", "plain", "$", "$$", "a$b$c", "md5$salt$00", "scrypt$salt$00", "scrypt:16:8$salt$00",
      "scrypt:15:8:1$salt$00", "scrypt:16:0:1$salt$00", "scrypt:1:8:1$salt$00", "pbkdf2:md5:1$salt$00",
      "pbkdf2:sha256:0$salt$00", "pbkdf2:sha256:-1$salt$00", "pbkdf2:sha256:x$salt$00",
      "pbkdf2:sha256:99999999999999999999$salt$00", "scrypt:1073741824:8:1$salt$00",
      "scrypt:2:4611686018427387904:4$salt$00", "scrypt:16:8:9223372036854775807$salt$00", "$salt$",
    } do
      assert.is_false(dewar.check_password_hash(text, ""), text)
    end
  end)

  it("is refused where it can't be made", function()
    for _, method in ipairs { "md5", "", "scrypt:15:8:1", "scrypt:1:1", "pbkdf2:md5", "pbkdf2:sha256:0", "plain" } do
      assert.has_error(function() dewar.generate_password_hash("a", method) end,
        ("generate_password_hash: '%s' is no method; it is \"scrypt[:n:r:p]\", n being a power of two, or "
          .. "\"pbkdf2[:sha256[:rounds]]\", and bounded"):format(method))
    end
    assert.has_error(function() dewar.generate_password_hash() end,
      "generate_password_hash: the password must be a string; got nil")
    assert.has_error(function() dewar.generate_password_hash("a", {}) end,
      "generate_password_hash: the method must be a string; got a table")
    assert.has_error(function() dewar.check_password_hash(nil, "a") end,
      "check_password_hash: the hash must be a string; got nil")
    assert.has_error(function() dewar.check_password_hash("a", 1) end,
      "check_password_hash: the password must be a string; got a number")
  end)

  it("is made while others run", function()
    local order = {}
    dewar.gather(function()
      dewar.generate_password_hash "a"
      order[#order + 1] = "hash"
    end, function()
      dewar.yield()
      order[#order + 1] = "other"
    end)
    assert.are.same({ "other", "hash" }, order)
  end)

  it("leaves nothing behind where nobody waits for it any more", function()
    local task = dewar.spawn(dewar.generate_password_hash, "a")
    dewar.yield()
    task:cancel()
    local ok, err = pcall(dewar.await, task)
    assert.is_false(ok)
    assert.is_true(dewar.is_cancelled(err))
    local hash = dewar.generate_password_hash("b", QUICK) -- the pool goes on
    assert.is_true(dewar.check_password_hash(hash, "b"))
  end)
end)
