-- The guards through the whole stack: every fixture of the parser, sent to an app
-- whole, byte by byte and in two pieces, has the outcome that the parser alone has.
local dewar = require "dewar"
local clean = require "spec.support.clean"
local http = require "spec.support.http"

local FILES = {
  "chunks", "connection", "content-length", "fields", "garbage", "host", "limits", "method",
  "pipelining", "request-line", "smuggling", "target", "trailers", "transfer-encoding",
  "version",
}

local BYTEWISE_MAX = 600 -- longer ones are cut at a few places only

-- What must never be answered behind something malformed.
local SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"

local function escape(text)
  return (text:gsub("[%c\\\x7f-\xff]", function(c)
    local short = ({ ["\r"] = "\\r", ["\n"] = "\\n", ["\t"] = "\\t", ["\\"] = "\\\\" })[c]
    return short or ("\\x%02x"):format(c:byte())
  end))
end

--- What the app saw of a request, in the lines of the fixtures.
local function describe_request(req)
  local lines, count = { "method " .. req.method, "path " .. escape(req.raw_path) }, 0
  for name, value in pairs(req.headers) do
    count = count + 1
    lines[#lines + 1] = ("header %s: %s"):format(escape(name), escape(value))
  end
  lines[#lines + 1] = "headers " .. count
  lines[#lines + 1] = "body " .. escape(req:body())
  return table.concat(lines, "\n")
end

--- An app that answers everything in a hook, so that routing has no say.
local function new_app(limits, seen)
  local app = dewar.app()
  app.config.MAX_CONTENT_LENGTH = nil
  for key, value in pairs(limits) do app.config[key] = value > 0 and value or 1 << 30 end
  app:before_request(function(req)
    local text = describe_request(req)
    seen[#seen + 1] = req.raw_path
    return text, 200, { ["X-Method"] = req.method }
  end)
  return app
end

-- Lines of a message that an app can see as well.
local VISIBLE = { method = true, path = true, header = true, headers = true, body = true }

local function check_ok(answer, expected)
  assert.are.equal(200, answer.status)
  assert.is_true(answer.whole)
  if answer.headers["x-method"] == "HEAD" then return end
  for _, line in ipairs(expected.lines) do
    local key = line:match "^%S+"
    -- An absolute target's authority stands in Host's place, which is its header.
    if VISIBLE[key] then
      assert.is_truthy(("\n" .. answer.body .. "\n"):find("\n" .. line .. "\n", 1, true),
        ("'%s' is not in:\n%s"):format(line, answer.body))
    end
  end
end

local function html(text)
  return (text:gsub("&", "&amp;"):gsub("<", "&lt;"):gsub(">", "&gt;"):gsub('"', "&quot;"))
end

local function check_refusal(answer, expected, state)
  assert.are.equal(tonumber(expected.verdict), answer.status)
  assert.are.equal("close", answer.headers.connection)
  assert.is_true(answer.whole)
  if expected.reason then
    assert.is_truthy(answer.body:find(html(expected.reason), 1, true), answer.body)
  end
  assert.are.equal("closed", state)
end

--- Checks one outcome against a case; returns how it went, for comparison.
local function check(case, bytes, state, seen)
  local answers = {}
  for _, answer in ipairs(http.answers(bytes)) do
    if answer.status ~= 100 then answers[#answers + 1] = answer end
  end
  local outcome, ended = {}, false
  for i, expected in ipairs(case.expected) do
    local answer = answers[i]
    if expected.verdict == "more" then
      assert.is_nil(answer)
      assert.are.equal("waiting", state)
      return outcome
    end
    assert.is_table(answer, ("answer %d is missing in: %s"):format(i, bytes))
    outcome[i] = answer.status
    if expected.verdict == "ok" then
      check_ok(answer, expected)
      ended = answer.headers.connection == "close"
    else
      check_refusal(answer, expected, state)
      ended = true
    end
    if ended then break end
  end
  assert.are.equal(#outcome, #answers, "something was answered behind the end: " .. bytes)
  assert.are.equal(ended and "closed" or "idle", state)
  for _, path in ipairs(seen) do assert.are_not.equal("/smuggled", path) end
  return outcome
end

local function is_refused(case)
  return case.expected[#case.expected].verdict:find "^%d" ~= nil
end

local function run(case, bytes, split)
  local seen = {}
  local client <close> = new_app(case.limits, seen):test_client()
  local answer, state = client:send_raw(bytes, { split = split })
  return check(case, answer, state, seen)
end

--- A few places to cut long bytes at: lines' ends and what is around them.
local function places(bytes)
  local list, last = {}, 0
  local function add(at)
    if at > last and at < #bytes then list[#list + 1], last = at, at end
  end
  add(1)
  local ends = 0
  for at in bytes:gmatch "()\r\n" do
    ends = ends + 1
    if ends > 12 then break end
    add(at - 1)
    add(at)
    add(at + 1)
  end
  add(#bytes // 2)
  add(#bytes - 1)
  return list
end

local sink = dewar.log.sink

for _, file in ipairs(FILES) do
  describe("the stack, fed with " .. file, function()
    before_each(function() dewar.log.sink = function() end end)
    after_each(function() dewar.log.sink = sink end)
    clean.watch(before_each, after_each)

    for _, case in ipairs(http.fixtures(file)) do
      it(case.title, function()
        local bytes = case.bytes .. (is_refused(case) and SMUGGLED or "")
        local whole = run(case, bytes)
        local split = #bytes > BYTEWISE_MAX and places(bytes) or 1
        assert.are.same(whole, run(case, bytes, split))
        assert.are.same(whole, run(case, bytes, { (#case.bytes + 1) // 2 }))
      end)
    end
  end)
end
