-- Error classes and objects.
local dewar = require "dewar"

--- What fn raises.
local function raised(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it raised nothing")
  return err
end

--- Misuse is reported at the line of this file where it happened.
local function misuse(pattern, fn)
  local err = raised(fn)
  assert.is_string(err)
  assert.matches("^[^\n]*errors_spec%.lua:%d+: ", err)
  assert.matches(pattern, err)
end

describe("an error class", function()
  local PaymentError = dewar.Error:extend("PaymentError", { status = 402 })

  it("makes objects with a message and fields", function()
    local err = PaymentError("no funds", { account = 7 })
    assert.are.equal("no funds", err.message)
    assert.are.equal(402, err.status)
    assert.are.equal(7, err.account)
    assert.are.equal("PaymentError", err.name)
  end)

  it("lets an object's fields go before the class's", function()
    assert.are.equal(403, PaymentError("x", { status = 403 }).status)
    assert.are.equal(402, PaymentError("x").status)
  end)

  it("takes the message from the fields where there is no other", function()
    assert.are.equal("a", PaymentError(nil, { message = "a" }).message)
    assert.are.equal("b", PaymentError("b", { message = "a" }).message)
  end)

  it("does not change the table of fields", function()
    local fields = { account = 7 }
    local err = PaymentError("no funds", fields)
    assert.are.same({ account = 7 }, fields)
    assert.is_nil(getmetatable(fields))
    assert.are_not.equal(fields, err)
  end)

  it("tells its objects from everything else", function()
    local Other = dewar.Error:extend("Other")
    assert.is_true(PaymentError:is(PaymentError()))
    assert.is_true(dewar.Error:is(PaymentError()))
    assert.is_false(PaymentError:is(Other()))
    assert.is_false(PaymentError:is(dewar.Error("x")))
    for _, value in ipairs{ "x", 1, true, {}, PaymentError, print } do
      assert.is_false(dewar.Error:is(value))
    end
    assert.is_false(dewar.Error:is(nil))
    assert.is_false(dewar.Error:is())
  end)

  it("sees an HTTP error in whatever has a status", function()
    assert.is_true(dewar.HTTPError:is(PaymentError()))
    assert.is_true(dewar.errors[402]:is(PaymentError()))
    assert.is_false(dewar.errors[403]:is(PaymentError()))
    local Plain = dewar.Error:extend("Plain")
    assert.is_false(dewar.HTTPError:is(Plain()))
    assert.is_true(dewar.HTTPError:is(Plain("x", { status = 404 })))
    assert.is_true(dewar.errors[404]:is(Plain("x", { status = 404 })))
  end)

  it("inherits fields and methods, also those that come later", function()
    local Base = dewar.Error:extend("Base", { status = 409, retry = true })
    local Sub = Base:extend("Sub", { retry = false })
    function Base:describe() return self.name .. "/" .. self.status end
    function Sub.twice(self) return self:describe():rep(2) end
    assert.are.equal("Sub/409", Sub():describe())
    assert.are.equal("Sub/409Sub/409", Sub():twice())
    assert.is_false(Sub().retry)
    assert.is_true(Base().retry)
    assert.is_nil(Base().twice)
    assert.is_true(Base:is(Sub()))
    assert.is_false(Sub:is(Base()))
  end)

  it("inherits __tostring", function()
    local Base = dewar.Error:extend("Base")
    function Base:__tostring() return "<" .. self.message .. ">" end
    local Sub = Base:extend("Sub")
    assert.are.equal("<x>", tostring(Sub("x")))
    function Sub:__tostring() return "!" .. Base.__tostring(self) end
    assert.are.equal("!<x>", tostring(Sub("x")))
    assert.are.equal("<x>", tostring(Base("x")))
    assert.are.equal("Error: x", tostring(dewar.Error("x")))
  end)

  it("may get its status after it was made", function()
    local Late = dewar.Error:extend("Late")
    local Sub = Late:extend("Sub")
    assert.is_false(dewar.HTTPError:is(Sub()))
    Late.status = 410
    assert.is_true(dewar.errors[410]:is(Late()))
    assert.is_true(dewar.errors[410]:is(Sub()))
  end)

  it("has a description for a visitor where nobody wrote a message", function()
    local Own = dewar.Error:extend("Own", { status = 404, message = "my own" })
    assert.are.equal(dewar.errors[402]().message, PaymentError().message)
    assert.are.equal("my own", Own().message)
    assert.are.equal("my own", Own:extend("Sub")().message)
    local Gone = dewar.errors[404]:extend("Gone", { status = 410 })
    assert.are.equal(dewar.errors[410]().message, Gone().message)
    assert.are.equal("", dewar.Error().message)
  end)

  it("names itself", function()
    assert.are.equal("error class PaymentError", tostring(PaymentError))
    assert.are.equal("PaymentError", PaymentError.name)
  end)

  it("outlives nothing but its objects need", function()
    local err = dewar.Error:extend("A"):extend("B"):extend("C")("x")
    collectgarbage()
    collectgarbage()
    assert.are.equal("C: x", tostring(err))
    assert.is_true(dewar.Error:is(err))
  end)
end)

describe("misuse of an error class", function()
  it("raises where a constructor gets a message that is no string", function()
    misuse("Error: the message must be a string, not a table",
      function() dewar.Error({}) end)
    misuse("NotFound: the message must be a string, not a number",
      function() dewar.errors[404](7) end)
    misuse("message must be a string, not a boolean",
      function() dewar.Error(nil, { message = true }) end)
  end)

  it("raises where the fields are no table", function()
    misuse("fields must be a table, not a string",
      function() dewar.Error("x", "y") end)
    misuse("Mine: the fields must be a table, not a number",
      function() dewar.Error:extend("Mine", 404) end)
  end)

  it("raises where a status is none of an error", function()
    for _, status in ipairs{ 200, 399, 600, "404", 404.5, true } do
      misuse("integer from 400 to 599, not " .. tostring(status),
        function() dewar.Error:extend("Mine", { status = status }) end)
      misuse("integer from 400 to 599",
        function() dewar.Error("x", { status = status }) end)
    end
  end)

  it("raises where extend has no name or no class", function()
    misuse("name", function() dewar.Error:extend() end)
    misuse("name", function() dewar.Error:extend("") end)
    misuse("name", function() dewar.Error:extend({ status = 404 }) end)
    misuse("with a colon", function() dewar.Error.extend("Mine") end)
    misuse("with a colon", function() dewar.Error.is({}) end)
    misuse("with a colon", function() dewar.Error("x"):is(dewar.Error) end)
  end)
end)

describe("tostring of an error", function()
  it("starts with the class and ends with the message", function()
    local PaymentError = dewar.Error:extend("PaymentError", { status = 402 })
    assert.are.equal("PaymentError: no funds", tostring(PaymentError("no funds")))
  end)

  it("shows status and phrase of the classes that come with Dewar", function()
    assert.are.equal("404 Not Found: no such user",
      tostring(dewar.errors[404]("no such user")))
    assert.are.equal("409 Conflict: x",
      tostring(dewar.HTTPError("x", { status = 409 })))
  end)

  it("leaves the colon out where there is no message", function()
    assert.are.equal("Error", tostring(dewar.Error()))
    assert.are.equal("404 Not Found", tostring(dewar.errors[404]("")))
  end)

  it("keeps every byte of the message", function()
    assert.are.equal("Error: a\0b", tostring(dewar.Error("a\0b")))
  end)
end)

describe("dewar.errors", function()
  it("has a class for every registered error status", function()
    assert.are.equal("NotFound", dewar.errors[404].name)
    assert.are.equal(404, dewar.errors[404].status)
    assert.are.equal("InternalServerError", dewar.errors[500].name)
    assert.are.equal("ServiceUnavailable", dewar.errors[503].name)
    assert.are.equal(dewar.errors[404], dewar.errors[404])
    assert.is_true(dewar.HTTPError:is(dewar.errors[404]()))
    assert.is_true(dewar.Error:is(dewar.errors[404]()))
  end)

  it("has nothing for other keys", function()
    for _, key in ipairs{ 0, 200, 302, 399, 499, 600, 404.5, 2 ^ 70, "404", "x" } do
      assert.is_nil(dewar.errors[key])
    end
  end)

  it("gives its classes to pairs in order", function()
    local last, count = 399, 0
    for status, class in pairs(dewar.errors) do
      assert.is_true(status > last)
      assert.are.equal(status, class.status)
      assert.are.equal(dewar.errors[status], class)
      assert.is_true(#class().message > 10)
      last, count = status, count + 1
    end
    assert.are.equal(511, last)
    assert.are.equal(40, count)
  end)

  it("can't be assigned to", function()
    misuse("can't be assigned to", function() dewar.errors[404] = nil end)
    misuse("extend", function() dewar.errors.mine = {} end)
  end)
end)

describe("dewar.TimeoutError and dewar.Cancelled", function()
  it("are an error and none", function()
    assert.is_true(dewar.Error:is(dewar.TimeoutError()))
    assert.is_false(dewar.HTTPError:is(dewar.TimeoutError()))
    assert.is_false(dewar.Error:is(dewar.Cancelled()))
    assert.is_true(dewar.Cancelled:is(dewar.Cancelled()))
  end)

  it("read well", function()
    assert.are.equal("TimeoutError: out of time", tostring(dewar.TimeoutError()))
    assert.are.equal("Cancelled: cancelled", tostring(dewar.Cancelled()))
  end)

  it("are told apart by is_cancelled", function()
    assert.is_true(dewar.is_cancelled(dewar.Cancelled()))
    for _, value in ipairs{ dewar.TimeoutError(), dewar.Cancelled, "cancelled", {} } do
      assert.is_false(dewar.is_cancelled(value))
    end
    assert.is_false(dewar.is_cancelled(nil))
  end)
end)

describe("dewar.abort", function()
  it("raises the class of the status", function()
    local err = raised(dewar.abort, 404)
    assert.is_true(dewar.errors[404]:is(err))
    assert.are.equal(dewar.errors[404]().message, err.message)
    assert.is_nil(err.headers)
  end)

  it("takes a description and headers, or either", function()
    local err = raised(dewar.abort, 401, "who?", { ["WWW-Authenticate"] = "Basic" })
    assert.are.equal("who?", err.message)
    assert.are.same({ ["WWW-Authenticate"] = "Basic" }, err.headers)
    err = raised(dewar.abort, 401, { ["WWW-Authenticate"] = "Basic" })
    assert.are.equal(dewar.errors[401]().message, err.message)
    assert.are.same({ ["WWW-Authenticate"] = "Basic" }, err.headers)
    err = raised(dewar.abort, 401, nil, { ["WWW-Authenticate"] = { "Basic", "Bearer" } })
    assert.are.same({ "Basic", "Bearer" }, err.headers["WWW-Authenticate"])
    local headers = dewar.response("", 200, { ["X-A"] = "b" }).headers
    assert.are.equal(headers, raised(dewar.abort, 401, headers).headers)
  end)

  it("raises a response as it is", function()
    local res = dewar.response("busy", 503)
    assert.are.equal(res, raised(dewar.abort, res))
  end)

  it("says what to use for other statuses", function()
    misuse("499 is no registered error status; use one such as 404",
      function() dewar.abort(499) end)
    misuse("200 is no registered error status", function() dewar.abort(200) end)
    misuse("404%.5 is no registered error status", function() dewar.abort(404.5) end)
    misuse("302 is no error status; .*dewar%.redirect",
      function() dewar.abort(302) end)
    misuse("or a response, not a string", function() dewar.abort("404") end)
    misuse("or a response, not a nil", function() dewar.abort(nil) end)
  end)

  it("refuses what can't be sent", function()
    misuse("description must be a string, not a number",
      function() dewar.abort(404, 7) end)
    misuse("headers must be a table", function() dewar.abort(404, "x", "y") end)
    misuse("line feed", function() dewar.abort(404, "x", { ["X-A"] = "a\nb" }) end)
    misuse("headers are set on", function() dewar.abort(dewar.response("x"), "y") end)
  end)
end)
