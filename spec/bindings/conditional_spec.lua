-- Conditions and ranges: what a request has of them, what a response makes of
-- them.
local dewar = require "dewar"
local clean = require "spec.support.clean"

local app, client, view

before_each(function()
  app = dewar.app { config = { TESTING = true } }
  app:route("/", { methods = { "GET", "PUT" } }, function(...) return view(...) end)
  client = app:test_client()
end)
after_each(function() client:close() end)
clean.watch(before_each, after_each)

--- The answer of a view, to a request with headers.
local function get(headers, f)
  view = f
  return client:get("/", { headers = headers })
end

--- What f makes of the request.
local function ask(headers, f)
  local result
  get(headers, function(req)
    result = table.pack(f(req))
    return ""
  end)
  return table.unpack(result, 1, result.n)
end

describe("a request", function()
  it("has the tags of If-Match and If-None-Match", function()
    ask({ ["If-Match"] = '"a", W/"b"', ["If-None-Match"] = "*" }, function(req)
      local match = req.if_match
      assert.is_true(match.present)
      assert.is_false(match.star)
      assert.are.same({ '"a"', 'W/"b"' }, { match[1], match[2], match[3] })
      assert.is_true(match:contains "a" and match:contains '"a"')
      assert.is_false(match:contains 'W/"a"')
      assert.is_true(match:contains_weak 'W/"a"')
      assert.is_false(match:contains "b")
      assert.is_true(match:contains_weak "b")
      assert.is_false(match:contains_weak "c")
      assert.is_true(rawequal(match, req.if_match))
      assert.is_true(req.if_none_match.star)
      assert.is_true(req.if_none_match:contains "anything")
    end)
    ask({}, function(req)
      assert.is_false(req.if_match.present)
      assert.is_false(req.if_match:contains "a")
      assert.are.equal(0, #req.if_none_match)
    end)
  end)

  it("has dates as seconds", function()
    ask({ ["If-Modified-Since"] = "Sun, 06 Nov 1994 08:49:37 GMT",
      ["If-Unmodified-Since"] = "Sunday, 06-Nov-94 08:49:38 GMT" }, function(req)
      assert.are.equal(784111777, req.if_modified_since)
      assert.are.equal(784111778, req.if_unmodified_since)
    end)
    ask({ ["If-Modified-Since"] = "yesterday" }, function(req)
      assert.is_nil(req.if_modified_since)
      assert.is_nil(req.if_unmodified_since)
    end)
  end)

  it("has the tag or the date of If-Range", function()
    local function if_range(value)
      return ask({ ["If-Range"] = value }, function(req) return req.if_range end)
    end
    assert.are.same({ etag = "a", weak = false }, if_range '"a"')
    assert.are.same({ etag = "a", weak = true }, if_range 'W/"a"')
    assert.are.same({ date = 784111777 }, if_range "Sun, 06 Nov 1994 08:49:37 GMT")
    assert.is_nil(if_range "nonsense")
    assert.is_nil(if_range(nil))
  end)

  it("has ranges", function()
    ask({ Range = "bytes=0-4, 7-, -3" }, function(req)
      assert.are.equal("bytes", req.range.units)
      assert.are.same({ { first = 0, last = 4 }, { first = 7 }, { suffix = 3 } }, req.range.ranges)
      assert.are.same({ nil, "whole" }, { req.range:for_length(10) })
    end)
    local function for_length(range, length)
      return ask({ Range = range }, function(req) return req.range:for_length(length) end)
    end
    assert.are.same({ 2, 9 }, { for_length("bytes=2-", 10) })
    assert.are.same({ 7, 9 }, { for_length("bytes=-3", 10) })
    assert.are.same({ nil, "unsatisfiable" }, { for_length("bytes=10-", 10) })
    assert.are.same({ nil, "whole" }, { for_length("lines=1-2", 10) })
    for _, text in ipairs { "bytes", "bytes=", "bytes=x", "bytes=2-1", "=1-2" } do
      assert.is_nil(ask({ Range = text }, function(req) return req.range end), text)
    end
    assert.is_nil(ask({}, function(req) return req.range end))
  end)

  it("tells how its sets are called", function()
    ask({ Range = "bytes=0-1" }, function(req)
      assert.has_error(function() req.if_match:contains(1) end, "a tag is a string; got a number")
      assert.has_error(function() req.if_match.contains "a" end, "call it as req.if_match:contains(tag)")
      assert.has_error(function() req.range:for_length "x" end, "for_length takes a number of bytes")
    end)
  end)
end)

describe("a response", function()
  it("has a tag", function()
    local res = dewar.response "hello"
    assert.is_nil(res:get_etag())
    res:add_etag()
    local tag, weak = res:get_etag()
    assert.are.equal(32, #tag)
    assert.is_false(weak)
    assert.are.equal('"' .. tag .. '"', res.headers.etag)
    local other = dewar.response "hellp"
    other:add_etag(false, true)
    assert.are_not.equal(tag, (other:get_etag()))
    assert.is_true(select(2, other:get_etag()))
    res.body = "changed"
    res:add_etag()
    assert.are.equal(tag, (res:get_etag()))
    res:add_etag(true)
    assert.are_not.equal(tag, (res:get_etag()))
    res:set_etag "v1"
    assert.are.equal('"v1"', res.headers.etag)
    res:set_etag("v2", true)
    assert.are.equal('W/"v2"', res.headers.etag)
    assert.are.same({ "v2", true }, { res:get_etag() })
  end)

  it("gives the same bytes the same tag", function()
    local function tag(body)
      local res = dewar.response(body)
      res:add_etag()
      return (res:get_etag())
    end
    assert.are.equal(tag "a", tag "a")
    local seen = {}
    for i = 1, 1000 do
      local one = tag(("x"):rep(i))
      assert.is_nil(seen[one])
      seen[one] = true
    end
  end)

  it("has dates in seconds, which go out as HTTP's", function()
    local res = dewar.response ""
    assert.is_nil(res.last_modified)
    res.last_modified = 784111777
    res.expires = 784111777.9
    assert.are.equal(784111777, res.last_modified)
    assert.are.equal("Sun, 06 Nov 1994 08:49:37 GMT", res.headers["Last-Modified"])
    assert.are.equal(784111777, res.expires)
    assert.are.equal("Sun, 06 Nov 1994 08:49:37 GMT", res.headers.expires)
    res.expires = nil
    assert.is_nil(res.headers.expires)
  end)

  it("refuses what can't be sent", function()
    local res = dewar.response ""
    assert.has_error(function() res:set_etag 'a"b' end)
    assert.has_error(function() res:set_etag "a\r\nb" end)
    assert.has_error(function() res:set_etag(1) end, "set_etag takes a tag; got a number")
    assert.has_error(function() res:set_etag() end, "set_etag takes a tag; got a nil")
    assert.has_error(function() res.last_modified = "now" end,
      "last_modified is a time in seconds since 1970, or nil for none; got now")
    assert.has_error(function() res.expires = 0 / 0 end)
    local stream = dewar.response(function() end)
    assert.has_error(function() stream:add_etag() end)
  end)
end)

describe("make_conditional", function()
  local function document(req, opts)
    local res = dewar.response "0123456789"
    res:set_etag "v2"
    res.last_modified = 784111777
    return res:make_conditional(req, opts)
  end

  it("answers 304 to who has it, and 412 to who wants another", function()
    local res = get({ ["If-None-Match"] = '"v1", "v2"' }, document)
    assert.are.equal(304, res.status)
    assert.are.equal("", res.body)
    assert.are.equal('"v2"', res.headers.etag)
    assert.are.equal(304, get({ ["If-Modified-Since"] = "Sun, 06 Nov 1994 08:49:37 GMT" }, document).status)
    assert.are.equal(412, get({ ["If-Match"] = '"v1"' }, document).status)
    assert.are.equal(200, get({ ["If-None-Match"] = '"v1"' }, document).status)
  end)

  it("sends parts where ranges are accepted", function()
    local function ranged(req) return document(req, { accept_ranges = true }) end
    local res = get({ Range = "bytes=2-5" }, ranged)
    assert.are.equal(206, res.status)
    assert.are.equal("2345", res.body)
    assert.are.equal("bytes 2-5/10", res.headers.content_range)
    assert.are.equal("bytes", res.headers.accept_ranges)
    assert.are.equal("0123456789", get({ Range = "bytes=2-5" }, document).body)
    assert.are.equal(200, get({ Range = "bytes=2-5", ["If-Range"] = '"v1"' }, ranged).status)
    res = get({ Range = "bytes=10-" }, ranged)
    assert.are.equal(416, res.status)
    assert.are.equal("bytes */10", res.headers.content_range)
  end)

  it("sends parts of a stream whose length is told, and stops it there", function()
    local pieces, closed
    local function stream(req)
      pieces = 0
      local res = dewar.response(coroutine.wrap(function()
        local _ <close> = setmetatable({}, { __close = function() closed = true end })
        for i = 0, 9 do
          pieces = pieces + 1
          coroutine.yield(tostring(i):rep(2))
        end
      end))
      return res:make_conditional(req, { accept_ranges = true, complete_length = 20 })
    end
    local res = get({ Range = "bytes=3-6" }, stream)
    assert.are.equal(206, res.status)
    assert.are.equal("1223", res.body)
    assert.are.equal("4", res.headers.content_length)
    assert.are.equal(4, pieces)
    assert.is_true(closed)
    assert.are.equal("0011", get({ Range = "bytes=0-3" }, stream).body)
    assert.are.equal("9", get({ Range = "bytes=-1" }, stream).body)
    assert.are.equal(20, #get({}, stream).body)
  end)

  it("sends parts of what is pushed", function()
    local res = get({ Range = "bytes=3-6" }, function(req)
      return dewar.response(dewar.stream(function(write)
        for i = 0, 9 do write(tostring(i):rep(2)) end
      end)):make_conditional(req, { accept_ranges = true, complete_length = 20 })
    end)
    assert.are.equal("1223", res.body)
  end)

  it("cuts a part that the stream doesn't reach", function()
    view = function(req)
      local once = true
      return dewar.response(function()
        if once then
          once = false
          return "0011"
        end
      end):make_conditional(req, { accept_ranges = true, complete_length = 20 })
    end
    app.config.TESTING = false
    assert.has_error(function() client:get("/", { headers = { Range = "bytes=3-6" } }) end)
  end)

  it("leaves what isn't a GET or a success alone", function()
    view = function(req) return document(req) end
    assert.are.equal(200, client:put("/", { headers = { ["If-None-Match"] = '"v2"' } }).status)
    local res = get({ ["If-None-Match"] = '"v2"' }, function(req)
      local made = dewar.response("none", 404)
      made:set_etag "v2"
      return made:make_conditional(req)
    end)
    assert.are.equal(404, res.status)
    assert.are.equal("none", res.body)
  end)

  it("gives the response back, and takes the proxy of a request", function()
    local res = get({ ["If-None-Match"] = '"v2"' }, function() return document(dewar.request) end)
    assert.are.equal(304, res.status)
  end)

  it("tells of misuse", function()
    get({}, function(req)
      local res = dewar.response ""
      assert.has_error(function() res:make_conditional(req, { ranges = true }) end)
      assert.has_error(function() res:make_conditional(req, { accept_ranges = "lines" }) end,
        'make_conditional: accept_ranges is true, false or "bytes"')
      assert.has_error(function() res:make_conditional(req, { complete_length = -1 }) end,
        "make_conditional: complete_length is a number of bytes")
      assert.has_error(function() res:make_conditional() end)
      return ""
    end)
  end)
end)
