-- What may be asked of the app, as bytes, and what is to come back.
--
-- A request: { method=, target=, bytes=, sent= (its body), status=, body= (a text, or
-- nil where anything will do), seed= (of a body without end), cut= (the answer must
-- not look whole), unread= (the server may close behind it) }.

local http = require "spec.support.http"
local pattern = require "spec.chaos.pattern"

local requests = {}

local function sized(path, most)
  return function(random)
    local seed, size = random(100000), random(most)
    return { method = "GET", target = ("/%s/%d/%d"):format(path, seed, size), status = 200,
      body = pattern.bytes(seed, size) }
  end
end

local function get(target, status, body)
  return function() return { method = "GET", target = target, status = status, body = body } end
end

local function post(target, status, body)
  return function(random)
    local seed, size = random(100000), random(3) == 1 and random(200000) or random(2000)
    local sent = pattern.bytes(seed, size)
    local answer = body or sent
    return { method = "POST", target = (target:gsub("SEED", seed):gsub("SIZE", size)), sent = sent,
      status = status, body = answer }
  end
end

--- One whose body isn't read to its end.
local function unread(make)
  return function(random)
    local request = make(random)
    request.unread = true
    return request
  end
end

local function failing(stage, status, body)
  return function(random)
    local target = random(2) == 1 and "/plain/7/100" or "/inner/plain/7/100"
    return { method = "GET", target = target, lines = { "X-Fail: " .. stage }, status = status, body = body }
  end
end

--- A form of fields and files, whose names say what they hold.
local function form(target)
  return function(random)
    local parts, files, fields = {}, random(4) - 1, random(3) - 1
    for _ = 1, fields do
      parts[#parts + 1] = '--XX\r\nContent-Disposition: form-data; name="field"\r\n\r\n'
        .. pattern.bytes(random(100), random(3000)) .. "\r\n"
    end
    for i = 1, files do
      local seed, size = random(100000), random(40000)
      parts[#parts + 1] = ('--XX\r\nContent-Disposition: form-data; name="f%d"; filename="%d-%d"\r\n'
        .. "Content-Type: text/plain\r\n\r\n%s\r\n"):format(i, seed, size, pattern.bytes(seed, size))
    end
    return { method = "POST", target = target, sent = table.concat(parts) .. "--XX--\r\n",
      lines = { "Content-Type: multipart/form-data; boundary=XX" }, status = 200,
      body = ("%d %d"):format(files, fields) }
  end
end

local STATIC = 300000
requests.static = pattern.bytes(5, STATIC)

local function range(random)
  local from = random(STATIC) - 1
  local to = math.min(from + random(100000), STATIC - 1)
  return { method = "GET", target = "/static/large.txt", lines = { ("Range: bytes=%d-%d"):format(from, to) },
    status = 206, body = requests.static:sub(from + 1, to + 1) }
end

local function zipped(random)
  local request = sized(random(2) == 1 and "plain" or "stream", 60000)(random)
  request.lines = { "Accept-Encoding: gzip" }
  return request
end

local function lengthy(random)
  local request = sized("stream", 40000)(random)
  request.target = request.target .. "?length=1"
  return request
end

local function head(make)
  return function(random)
    local request = make(random)
    request.method, request.body = "HEAD", ""
    return request
  end
end

local function cut(random)
  local request = sized("cut", 60000)(random)
  request.cut = true
  return request
end

local function small(random)
  local request = post("/small", 413)(random)
  if #request.sent <= 100 then request.status = 200 else request.body = nil end
  return request
end

local function grown(random) return get("/tree/" .. random(10000), 200, "grown")() end

--- How often each comes, and what makes it.
local KINDS = {
  { 20, sized("plain", 5000) }, { 4, sized("plain", 300000) }, { 3, get("/json/7", 200) },
  { 4, head(sized("plain", 5000)) }, { 2, head(sized("stream", 5000)) },
  { 10, sized("stream", 60000) }, { 4, lengthy }, { 3, cut }, { 4, zipped }, { 2, get("/events/20", 200) },
  { 5, get("/sleep/5", 200, "slept") }, { 2, get("/late", 503) },
  { 2, get("/error", 500) }, { 2, get("/nothing", 404) }, { 1, get("/nowhere", 404) },
  { 1, get("/handled", 418, "handled") }, { 1, get("/twice", 500) }, { 1, get("/after-this", 500) },
  { 2, get("/session", 200, "1") }, { 3, sized("template", 20000) }, { 2, sized("self", 20000) },
  { 3, get("/static/large.txt", 200, requests.static) }, { 3, range },
  { 2, get("/static/small.txt", 200, "small") }, { 1, get("/static/none.txt", 404) },
  { 4, post("/echo", 200) }, { 4, post("/verify/SEED/SIZE", 200, "same") }, { 4, post("/back", 200) },
  { 2, unread(post("/first", 200, "first")) }, { 2, unread(post("/ignored", 200, "ignored")) },
  { 1, post("/swallow", 200, "swallowed") }, { 4, form "/files" }, { 3, form "/parts" },
  { 2, unread(post("/background", 200, "begun")) }, { 2, get("/left", 200, "left") },
  { 2, get("/lock", 200, "locked") },
  { 1, get("/work/1000", 200, "500500") }, { 1, get("/overwork", 200, "stopped") },
  { 2, sized("fs", 100000) }, { 2, sized("tcp", 50000) },
  { 3, sized("inner/plain", 5000) }, { 3, sized("inner/stream", 20000) }, { 2, post("/inner/echo", 200) },
  { 1, get("/inner/error", 500) }, { 1, get("/inner/session", 200, "1") }, { 1, get("/inner/nowhere", 404) },
  { 1, failing("request", 500) }, { 1, failing("before", 500) },
  { 1, failing("short", 200, pattern.bytes(1, 10)) }, { 1, failing("after", 500) },
  { 1, failing("response", 500) }, { 1, failing("teardown", 200, pattern.bytes(7, 100)) },
  { 4, grown }, { 2, unread(small) },
}

--- What holds up all others, or takes a process: seldom.
local RARE = {
  get("/cpu", 503, "too long"), get("/memory", 503), get("/much", 503), get("/work-memory", 200, "stopped"),
  sized("cat", 20000),
}

local WEIGHT = 0
for _, kind in ipairs(KINDS) do WEIGHT = WEIGHT + kind[1] end

local function pick(random)
  if random(400) == 1 then return RARE[random(#RARE)] end
  local at = random(WEIGHT)
  for _, kind in ipairs(KINDS) do
    at = at - kind[1]
    if at <= 0 then return kind[2] end
  end
end

--- The body in chunks of random sizes.
local function chunked(text, random)
  local pieces, at = {}, 1
  local most = random(2) == 1 and 20000 or 1000
  while at <= #text do
    pieces[#pieces + 1] = text:sub(at, at + random(most) - 1)
    at = at + #pieces[#pieces]
  end
  return http.chunked(table.unpack(pieces))
end

--- Completes what a kind has made: bytes.
local function written(request, random)
  local lines = request.lines or {}
  if random(5) == 1 then lines[#lines + 1] = "X-Slow: 1" end
  local body = request.sent
  if body and random(3) == 1 then
    lines[#lines + 1] = "Transfer-Encoding: chunked"
    body = chunked(body, random)
  elseif body then
    lines[#lines + 1] = "Content-Length: " .. #body
  end
  request.bytes = http.request(request.method, request.target, lines, body)
  return request
end

--- One request.
function requests.random(random) return written(pick(random)(random), random) end

--- One of a target, without a body.
function requests.get(target, more)
  local request = { method = "GET", target = target, status = 200 }
  for name, value in pairs(more or {}) do request[name] = value end
  return written(request, function() return 2 end)
end

-- --- What came back ---------------------------------------------------------------

local function gunzip(bytes)
  local path = os.tmpname()
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
  local pipe = assert(io.popen("gzip -dc <" .. path))
  local text = pipe:read "a"
  pipe:close()
  os.remove(path)
  return text
end

--- What is wrong with an answer ({ status=, headers=, body=, whole= }), or nil.
function requests.wrong(request, answer)
  local what = ("%s %s: %d"):format(request.method, request.target, answer.status)
  if answer.status ~= request.status then return ("%s, not %d: %s"):format(what, request.status, answer.body) end
  if request.cut and answer.whole then return what .. ", a cut answer looks whole" end
  local body, wanted = answer.body, request.body
  if request.seed then wanted = pattern.bytes(request.seed, #body) end
  if not wanted then return end
  if answer.headers["content-encoding"] == "gzip" then
    if not answer.whole then return end
    body = gunzip(body)
  end
  if answer.whole and #body ~= #wanted and not request.cut then
    return ("%s, %d bytes, not the %d that were to come"):format(what, #body, #wanted)
  end
  if body ~= wanted:sub(1, #body) then return ("%s, other bytes in %d"):format(what, #body) end
end

return requests
