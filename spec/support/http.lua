-- HTTP as bytes: fixtures of requests, and what a server answered.

local http = {}

-- --- Fixtures: see spec/support/fixtures.h for the format --------------------------

local ESCAPES = { r = "\r", n = "\n", t = "\t" }

local function unescape(text)
  local out, at = {}, 1
  while at <= #text do
    local plain = text:match("^[^\\]+", at)
    local repeated, brace = text:match("^\\{(.-)}()", at)
    local hex = text:match("^\\x(%x%x)", at)
    if plain then
      out[#out + 1] = plain
      at = at + #plain
    elseif repeated then
      local once, count = repeated:match "^(.*)%*(%d+)$"
      out[#out + 1] = unescape(once):rep(tonumber(count))
      at = brace
    elseif hex then
      out[#out + 1] = string.char(tonumber(hex, 16))
      at = at + 4
    else
      local char = text:sub(at + 1, at + 1)
      out[#out + 1] = ESCAPES[char] or char
      at = at + 2
    end
  end
  return table.concat(out)
end

--- The cases of a file: { title=, limits= { MAX_HEADERS= }, bytes=, lines= }, where
--- lines are what is expected.
function http.cases(path)
  local cases, case = {}, nil
  for line in io.lines(path) do
    local kind, text = line:match "^(%S*) ?(.*)$"
    if kind == "==" then
      case = { title = text, limits = {}, bytes = {}, lines = {} }
      cases[#cases + 1] = case
    elseif kind == "%" then
      local key, value = text:match "^(%S+) (%d+)$"
      case.limits[key:upper()] = tonumber(value)
    elseif kind == ">" then
      case.bytes[#case.bytes + 1] = unescape(text)
    elseif kind == "<" then
      case.lines[#case.lines + 1] = text
    end
  end
  for _, one in ipairs(cases) do one.bytes = table.concat(one.bytes) end
  assert(#cases > 0, path .. " has no cases")
  return cases
end

--- Those of spec/fixtures/http/NAME.http, with expected= { { verdict=, lines= }... }.
function http.fixtures(name)
  local cases = http.cases(("spec/fixtures/http/%s.http"):format(name))
  for _, case in ipairs(cases) do
    case.expected = {}
    for _, text in ipairs(case.lines) do
      if text == "ok" or text == "more" or text:find "^%d%d%d%f[^%d]" then
        table.insert(case.expected, { verdict = text:match "^%w+", lines = {},
          reason = text:match "^%d+ (.+)" })
      else
        table.insert(case.expected[#case.expected].lines, text)
      end
    end
  end
  return cases
end

http.unescape = unescape

-- --- Answers ----------------------------------------------------------------------

--- The bytes of a chunked body from `at`, where it ends, and whether it does.
local function chunks(bytes, at)
  local body = {}
  while true do
    local size, data = bytes:match("^(%x+)\r\n()", at)
    if not size then return table.concat(body), at, false end
    size = tonumber(size, 16)
    if size == 0 then
      local done = bytes:match("^\r\n()", data)
      return table.concat(body), done or data, done ~= nil
    end
    local done = bytes:match("^\r\n()", data + size)
    body[#body + 1] = bytes:sub(data, data + size - 1)
    if not done then return table.concat(body), #bytes + 1, false end
    at = done
  end
end

local function read_head(head)
  local status, reason, lines = head:match "^HTTP/1%.1 (%d%d%d) ([^\r\n]*)\r\n(.*)$"
  assert(status, "no head of an answer: " .. head)
  local answer = { status = tonumber(status), reason = reason, headers = {} }
  for name, value in lines:gmatch "([^:\r\n]+): ([^\r\n]*)\r\n" do
    name = name:lower()
    assert(not answer.headers[name], "repeated header " .. name)
    answer.headers[name] = value
  end
  return answer
end

--- The answers in bytes, one after another: { status=, reason=, headers= (names in
--- lower case), body=, whole= }. A body that only the connection's end ends is
--- whole. X-Method says what an answer answers, where that matters.
function http.answers(bytes)
  local answers, at = {}, 1
  while at <= #bytes do
    local last = select(2, bytes:find("\r\n\r\n", at, true))
    if not last then
      answers[#answers + 1] = { whole = false, rest = bytes:sub(at) }
      break
    end
    local answer = read_head(bytes:sub(at, last - 2))
    local length = tonumber(answer.headers["content-length"])
    at = last + 1
    answers[#answers + 1] = answer
    answer.whole = true
    if answer.headers["x-method"] == "HEAD" or answer.status < 200 or answer.status == 204
      or answer.status == 304 then
      answer.body = ""
    elseif answer.headers["transfer-encoding"] then
      assert(answer.headers["transfer-encoding"] == "chunked" and not length)
      answer.body, at, answer.whole = chunks(bytes, at)
    elseif length then
      answer.body = bytes:sub(at, at + length - 1)
      answer.whole = #answer.body == length
      at = at + length
    else
      answer.body = bytes:sub(at)
      at = #bytes + 1
    end
  end
  return answers
end

--- Their status codes.
function http.statuses(bytes)
  local list = {}
  for i, answer in ipairs(http.answers(bytes)) do list[i] = answer.status or "half a head" end
  return list
end

--- A request's bytes: method, target, a list of header lines, a body.
function http.request(method, target, lines, body)
  local head = { ("%s %s HTTP/1.1"):format(method, target), "Host: localhost" }
  for _, line in ipairs(lines or {}) do head[#head + 1] = line end
  return table.concat(head, "\r\n") .. "\r\n\r\n" .. (body or "")
end

function http.get(target, ...) return http.request("GET", target, { ... }) end

--- A POST with a Content-Length.
function http.post(target, body, ...)
  return http.request("POST", target, { "Content-Length: " .. #body, ... }, body)
end

--- A body in chunks.
function http.chunked(...)
  local out = {}
  for i, data in ipairs { ... } do out[i] = ("%x\r\n%s\r\n"):format(#data, data) end
  return table.concat(out) .. "0\r\n\r\n"
end

return http
