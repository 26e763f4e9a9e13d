-- Clients of websockets, well and badly behaved; see clients.lua.

local cqueues = require "cqueues"

local clients = require "spec.chaos.clients"
local pattern = require "spec.chaos.pattern"
local websocket = require "spec.support.websocket"

local TEXT, BINARY, CLOSE, PING = 0x81, 0x82, 0x88, 0x89

local function fail(...) error((...):format(select(2, ...)), 0) end

--- The next frame: its opcode and payload; nil at the end.
local function read_frame(self)
  local head, whole = self:take(2)
  if not whole then return nil end
  local first, length = head:byte(1, 2)
  if first & 0x70 ~= 0 or length > 127 then fail("no frame of a server: %02x%02x", first, length) end
  if length > 125 then
    local size = length == 126 and 2 or 8
    local text = self:take(size)
    if #text < size then return nil end
    length = string.unpack(">I" .. size, text)
  end
  local payload, complete = self:take(length)
  if not complete then return nil end
  return first & 15, payload
end

--- The next one that isn't about the connection itself.
local function read_message(self)
  local opcode, payload
  repeat opcode, payload = read_frame(self) until opcode ~= 9 and opcode ~= 10
  return opcode, payload
end

local function open(conn, target, status)
  conn:send(websocket.request(target))
  local self = clients.reader(conn)
  local answer = self:answer "GET"
  if not answer then fail("no answer of %s: %s", target, self.ended) end
  if answer.status ~= (status or 101) then fail("%s: %d %s", target, answer.status, answer.body) end
  return self
end

local function close_code(payload)
  return #payload >= 2 and string.unpack(">I2", payload) or 1005
end

--- Reads up to the close, and the connection's end.
local function read_close(self, code, what)
  local opcode, payload
  repeat opcode, payload = read_message(self) until not opcode or opcode == 8
  if not opcode then fail("%s without a close, after %q", self.ended, what or "") end
  if code and close_code(payload) ~= code then fail("closed with %d, not %d", close_code(payload), code) end
end

--- A message in frames, with pings between.
local function frames(bytes, opcode, random)
  local parts, at = {}, 1
  while true do
    local size = random(4) == 1 and random(3000) or #bytes
    local last = at + size > #bytes
    parts[#parts + 1] = websocket.frame((last and 0x80 or 0) | (at == 1 and opcode or 0), bytes:sub(at, at + size - 1))
    if last then return table.concat(parts) end
    at = at + size
    if random(3) == 1 then parts[#parts + 1] = websocket.frame(PING, "ping") end
  end
end

local function echoes(conn, random, stats)
  local self = open(conn, "/ws/echo")
  for _ = 1, random(10) do
    local bytes = pattern.bytes(random(10000), random(random(5) == 1 and 70000 or 500))
    local opcode = random(2)
    conn:send(frames(bytes, opcode, random))
    local got, payload = read_message(self)
    if got ~= opcode or payload ~= bytes then fail("no echo: %s %s", got, payload or self.ended) end
    stats.messages = stats.messages + 1
    if random(4) == 1 then cqueues.sleep(random(30) / 1000) end
  end
  if random(3) == 1 then return end -- without a word
  conn:send(websocket.frame(CLOSE, string.pack(">I2", 4000)))
  read_close(self, 4000)
end

local function meets(conn, random, stats)
  local self = open(conn, "/ws/room")
  for i = 1, random(8) do
    local bytes = pattern.bytes(i, random(2000))
    conn:send(websocket.frame(TEXT, bytes))
    repeat
      local opcode, payload = read_message(self)
      if opcode ~= 1 then fail("the room has ended: %s", opcode or self.ended) end
      stats.messages = stats.messages + 1
    until payload == bytes
  end
  if random(2) == 1 then return end
  conn:send(websocket.frame(CLOSE, ""))
  read_close(self)
end

local BAD = {
  "\x81\x05hello", "\xf1\x80\0\0\0\0", "\x83\x80\0\0\0\0", "\x80\x80\0\0\0\0", "\x09\x80\0\0\0\0",
  websocket.frame(TEXT, "\xff\xfe"), websocket.frame(CLOSE, "\3"), websocket.frame(CLOSE, "\0\1"),
  "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0x", websocket.frame(0x89, ("x"):rep(126)),
  websocket.frame(BINARY, ("x"):rep(100001)),
}

local function breaks(conn, random, stats)
  local self = open(conn, "/ws/echo")
  stats.broken = stats.broken + 1
  if random(2) == 1 then conn:send(websocket.frame(TEXT, "first")) end
  local bad = BAD[random(#BAD)]
  conn:send(bad)
  read_close(self, nil, bad:sub(1, 20))
end

local function is_deaf(conn, random, stats)
  local target = random(2) == 1 and "/ws/push/7" or "/ws/deaf"
  local self = open(conn, target)
  if random(2) == 1 then conn:send(websocket.frame(TEXT, ("x"):rep(50000)):rep(20), 0.2) end
  cqueues.sleep(random(200) / 1000)
  stats.left = stats.left + 1
  for i = 1, target == "/ws/deaf" and 0 or random(50) do
    local opcode, payload = read_message(self)
    if opcode ~= 1 or payload ~= pattern.bytes(7 + i, 1000) then fail("other news: %s", opcode) end
  end
end

local function fails(conn)
  read_close(open(conn, "/ws/error"), 1011)
end

local function is_refused(conn)
  open(conn, "/ws/refused", 403)
end

return {
  { 4, echoes, "echoing" }, { 3, meets, "meeting" }, { 2, breaks, "breaking" }, { 2, is_deaf, "deaf" },
  { 1, fails, "failing" }, { 1, is_refused, "refused" },
}
