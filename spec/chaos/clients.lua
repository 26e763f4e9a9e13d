-- Clients, well and badly behaved, as coroutines of one controller of cqueues.
-- Each plays against the server for a while and raises what is wrong: a text.

local cqueues = require "cqueues"

local requests = require "spec.chaos.requests"

local clients = {}

local function fail(...) error((...):format(select(2, ...)), 0) end

local function nap(random, most) cqueues.sleep(random(most or 30) / 1000) end

-- --- Reading answers --------------------------------------------------------------

--- What is read from a connection, answer by answer. `ended` says how it ended:
--- "end" or "reset". Whoever is kept waiting for long fails.
local Reader = {}
Reader.__index = Reader

local function reader(conn) return setmetatable({ conn = conn, buffer = "" }, Reader) end

function Reader:more()
  if self.ended then return false end
  local bytes, why = self.conn:read()
  if why == "timeout" then fail "the server says nothing, and stays" end
  if not bytes then
    self.ended = why
    return false
  end
  self.buffer = self.buffer .. bytes
  return true
end

function Reader:line()
  local from = 1
  while true do
    local at = self.buffer:find("\r\n", from, true)
    if at then
      local line = self.buffer:sub(1, at - 1)
      self.buffer = self.buffer:sub(at + 2)
      return line
    end
    from = math.max(#self.buffer, 1)
    if not self:more() then return nil end
  end
end

--- Up to `size` bytes, fewer at the end only.
function Reader:take(size)
  local parts, left = {}, size
  while true do
    local part = self.buffer:sub(1, left)
    self.buffer = self.buffer:sub(left + 1)
    parts[#parts + 1] = part
    left = left - #part
    if left == 0 or not self:more() then return table.concat(parts), left == 0 end
  end
end

function Reader:headers()
  local headers = {}
  while true do
    local line = self:line()
    if not line then return nil end
    if line == "" then return headers end
    local name, value = line:match "^([^:%s]+): (.*)$"
    if not name then fail("no header: %q", line) end
    headers[name:lower()] = value
  end
end

--- A chunked body, at most `most` bytes of it, and whether that is all.
function Reader:chunks(most)
  local parts, total = {}, 0
  while true do
    local line = self:line()
    if not line then return table.concat(parts), false end
    local size = tonumber(line, 16)
    if not size then fail("no size of a chunk: %q", line) end
    if size == 0 then return table.concat(parts), self:headers() ~= nil end
    local data, whole = self:take(size)
    parts[#parts + 1] = data
    total = total + #data
    if not whole or self:line() ~= "" or total >= most then return table.concat(parts), false end
  end
end

--- The next answer: { status=, headers=, body=, whole= }; nil where there is none.
---@param most? integer bytes of the body beyond which it isn't read
function Reader:answer(method, most)
  local line = self:line()
  if not line then return nil end
  local status = tonumber(line:match "^HTTP/1%.1 (%d%d%d) ")
  if not status then fail("no answer: %q", line) end
  local headers = self:headers()
  if not headers then return { status = status, headers = {}, body = "", whole = false } end
  if status == 100 then return self:answer(method, most) end
  local answer = { status = status, headers = headers, body = "", whole = true }
  local length = tonumber(headers["content-length"])
  if method == "HEAD" or status == 101 or status == 204 or status == 304 then return answer end
  if headers["transfer-encoding"] then
    answer.body, answer.whole = self:chunks(most or math.huge)
  elseif length then
    answer.body, answer.whole = self:take(math.min(length, most or length))
    answer.whole = answer.whole and #answer.body == length
  elseif self.old then
    answer.body = self:take(1 << 40)
    answer.whole = self.ended == "end"
  else
    fail("an answer of no length, %d", status)
  end
  return answer
end

-- --- Writing ----------------------------------------------------------------------

--- Runs f, which sends, while somebody reads.
local function beside(conn, f)
  conn.senders = (conn.senders or 0) + 1
  cqueues.running():wrap(function()
    f()
    conn.senders = conn.senders - 1
  end)
end

local function send_beside(conn, bytes)
  beside(conn, function() conn:send(bytes) end)
end

local function wait_until_sent(conn)
  while conn.senders and conn.senders > 0 do cqueues.sleep(0.001) end
end

--- Closes a connection when nobody sends any more.
function clients.close(conn)
  if conn.senders and conn.senders > 0 then conn.socket:shutdown "rw" end
  wait_until_sent(conn)
  conn:close()
end

local function dribble(conn, bytes, random)
  local at = 1
  while at <= #bytes do
    local size = random(random(3) == 1 and 20 or 3000)
    if conn:send(bytes:sub(at, at + size - 1)) < math.min(size, #bytes - at + 1) then return end
    at = at + size
    if random(3) == 1 then nap(random, 5) end
  end
end

-- --- Well behaved -----------------------------------------------------------------

local function check(stats, request, answer)
  local wrong = requests.wrong(request, answer)
  if wrong then error(wrong, 0) end
  local kind = answer.whole and "whole" or "cut"
  stats[kind] = stats[kind] + 1
end

--- Whether the server may close behind this answer: where nobody has read the
--- body it does so once that is too long.
local function is_last(request, answer)
  return answer.headers.connection == "close" or not answer.whole or request.unread
end

--- The answers to what a connection has sent, all of which are to come, as far as
--- no answer ends it.
local function expect(self, list, stats)
  for i, request in ipairs(list) do
    local answer = self:answer(request.method)
    local what = ("%s %s (%d of %d)"):format(request.method, request.target, i, #list)
    if not answer then fail("no answer to %s, behind %s, but %s", what, self.last, self.ended) end
    if not answer.whole and not request.cut then
      fail("%s was cut after %d bytes: %s", what, #answer.body, self.ended)
    end
    self.last = what
    check(stats, request, answer)
    if is_last(request, answer) then return false end
  end
  return true
end

--- Asks, reads, asks again.
local function polite(conn, random, stats)
  local self = reader(conn)
  for _ = 1, random(6) do
    local request = requests.random(random)
    if random(3) == 1 then
      beside(conn, function() dribble(conn, request.bytes, random) end)
    else
      send_beside(conn, request.bytes)
    end
    if not expect(self, { request }, stats) then return end
    wait_until_sent(conn)
    if random(4) == 1 then nap(random) end
  end
end

--- Asks several times before it reads.
local function pipelines(conn, random, stats)
  local self, list, bytes = reader(conn), {}, {}
  for i = 1, random(8) + 1 do
    list[i] = requests.random(random)
    while list[i].sent do list[i] = requests.random(random) end
    bytes[i] = list[i].bytes
  end
  send_beside(conn, table.concat(bytes))
  if random(3) == 1 then nap(random, 100) end
  expect(self, list, stats)
end

--- Asks as clients did in the last century: what has no length ends with the
--- connection, and is cut by a reset.
local function is_old(conn, random, stats)
  local request
  repeat request = requests.random(random) until not request.bytes:find "\r\nTransfer%-Encoding"
  send_beside(conn, (request.bytes:gsub("HTTP/1%.1", "HTTP/1.0", 1)))
  local self = reader(conn)
  self.old = true
  expect(self, { request }, stats)
  if not self.ended and self:more() then fail("more than an answer to %s", request.target) end
end

-- --- Badly behaved ----------------------------------------------------------------

local function several(random)
  local list, bytes = {}, {}
  for i = 1, random(3) do
    list[i] = requests.random(random)
    bytes[i] = list[i].bytes
  end
  return list, table.concat(bytes)
end

--- What comes must be right, but needn't come.
local function read_some(self, list, stats, most)
  for _, request in ipairs(list) do
    local answer = self:answer(request.method, most)
    if not answer then return end
    local refused = answer.status == 400 or answer.status == 408
    if not refused and answer.headers.connection ~= "close" or answer.status == request.status then
      if answer.whole or not most then check(stats, request, answer) end
    end
    if not answer.whole then return end
  end
end

--- Sends a part, and leaves.
local function leaves(conn, random, stats)
  local _, bytes = several(random)
  conn:send(bytes:sub(1, random(#bytes)), 2)
  stats.left = stats.left + 1
  if random(2) == 1 then nap(random, 60) end
  if random(3) == 1 then conn:read(0.01) end
end

--- Ends its side, and reads.
local function half_closes(conn, random, stats)
  local list, bytes = several(random)
  local ends = random(2) == 1 and #bytes or random(#bytes)
  beside(conn, function()
    conn:send(bytes:sub(1, ends))
    conn:shutdown()
  end)
  stats.half = stats.half + 1
  local self = reader(conn)
  if ends == #bytes then
    read_some(self, list, stats)
  else
    while self:more() do self.buffer = "" end
  end
end

--- Asks for much, and doesn't read it, or for a while.
local function does_not_read(conn, random, stats)
  local seed = random(1000)
  local target = (random(2) == 1 and "/endless/%d" or "/push/%d"):format(seed)
  local request = requests.get(target, { seed = seed, cut = true })
  conn:send(request.bytes)
  stats.full = stats.full + 1
  nap(random, random(5) == 1 and 4500 or 500)
  if random(2) == 1 then
    local answer = reader(conn):answer("GET", random(1 << 20))
    if answer then check(stats, request, answer) end
  end
end

--- Sends bytes that some mishap has changed. What comes back is HTTP still.
local function mutates(conn, random, stats)
  local _, bytes = several(random)
  bytes = bytes:sub(1, 4000)
  for _ = 1, random(5) do
    local at = random(random(2) == 1 and math.min(#bytes, 100) or #bytes)
    bytes = bytes:sub(1, at - 1) .. string.char(random(256) - 1) .. bytes:sub(at + random(3) - 1)
  end
  conn:send(bytes, 2)
  stats.mutated = stats.mutated + 1
  conn:shutdown()
  local self = reader(conn)
  while self:line() do end
end

--- Begins, and goes silent until it is cut off.
local function stalls(conn, random, stats)
  local request = requests.random(random)
  while not request.sent do request = requests.random(random) end
  conn:send(request.bytes:sub(1, random(#request.bytes - 1)))
  stats.stalled = stats.stalled + 1
  local self = reader(conn)
  while self:more() do end
end

--- Reads events, and may leave.
local function hears(conn, random, stats)
  local target = random(2) == 1 and "/news" or "/room"
  conn:send(requests.get(target).bytes)
  stats.heard = stats.heard + 1
  local self = reader(conn)
  local answer = self:answer("GET", target == "/news" and random(60) or random(2000))
  if not answer or answer.status ~= 200 then fail("no events of %s: %s", target, self.ended) end
  for line in answer.body:gmatch "[^\n]+" do
    if not line:find "^data: %l*$" and line ~= "event: told" and not line:find "^:" then fail("an event: %q", line) end
  end
end

local SAID = { put = true, full = true, told = true }

local function tells(conn, random, stats)
  local target = random(2) == 1 and "/news" or "/room/" .. random(1000)
  conn:send(requests.get(target, { method = "POST" }).bytes)
  local answer = reader(conn):answer "POST"
  if not answer or not SAID[answer.body] then fail("no answer to %s", target) end
  stats.whole = stats.whole + 1
end

clients.reader = reader

--- How often each comes, what it does, how it is called, and the seconds that it
--- takes where that is long.
clients.plain = {
  { 12, polite, "polite" }, { 6, pipelines, "pipelining" }, { 3, is_old, "old" }, { 6, leaves, "leaving" },
  { 4, half_closes, "half closing" }, { 1, does_not_read, "full", 4.5 }, { 3, mutates, "mutating" },
  { 1, stalls, "stalling", 3 }, { 1, hears, "hearing" }, { 3, tells, "telling" },
}

return clients
