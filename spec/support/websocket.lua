-- WebSockets as bytes: frames as a client sends them, what a server sent, and
-- fixtures of both.

local http = require "spec.support.http"

local websocket = {}

local OPCODES = { more = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 }
local NAMES = {}
for name, opcode in pairs(OPCODES) do NAMES[opcode] = name end

local KEY = "dGhlIHNhbXBsZSBub25jZQ=="

--- The bytes of a request that asks for a websocket.
function websocket.request(target, ...)
  return http.get(target or "/", "Upgrade: websocket", "Connection: Upgrade",
    "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " .. KEY, ...)
end

local MASK = "\x37\xfa\x21\x3d"

--- A masked frame.
---@param first integer its first byte: fin, reserved bits, opcode
function websocket.frame(first, payload)
  local length = #payload
  local head
  if length < 126 then
    head = string.pack("BB", first, 0x80 | length)
  elseif length < 65536 then
    head = string.pack(">BBI2", first, 0xFE, length)
  else
    head = string.pack(">BBI8", first, 0xFF, length)
  end
  local masked = payload:gsub("()(.)", function(at, c)
    return string.char(c:byte() ~ MASK:byte((at - 1) % 4 + 1))
  end)
  return head .. MASK .. masked
end

-- --- Fixtures ---------------------------------------------------------------------
-- spec/fixtures/websocket/NAME.ws: `== title`, `% SETTING number`, what the client
-- sends and what the server answers:
--
--     > text Hello          a frame; `text-` is one that others follow
--     > close 1000 reason
--     > bits 4 text Hello   with reserved bits
--     > opcode 3 Hello
--     > bytes close \x03    a frame with this payload
--     > raw \x81...         bytes as they are
--     < text Hello

local function opcode_of(word)
  local name, follows = word:match "^(%l+)(%-?)$"
  return OPCODES[name] | (follows == "-" and 0 or 0x80)
end

local function close_payload(text)
  local code, reason = text:match "^(%d+) ?(.*)$"
  return code and string.pack(">I2", tonumber(code)) .. reason or ""
end

local function frame_of(text)
  local word, rest = text:match "^(%S+) ?(.*)$"
  if word == "raw" then return http.unescape(rest) end
  local bits, bytes = 0, false
  if word == "bits" then
    bits, word, rest = rest:match "^(%d) (%S+) ?(.*)$"
  elseif word == "bytes" then
    word, rest = rest:match "^(%S+) ?(.*)$"
    bytes = true
  elseif word == "opcode" then
    word, rest = rest:match "^(%d+) ?(.*)$"
  end
  local first = tonumber(word) and 0x80 | tonumber(word) or opcode_of(word)
  local payload = http.unescape(rest)
  if not bytes and first & 15 == 8 then payload = close_payload(payload) end
  return websocket.frame(first | tonumber(bits) << 4, payload)
end

--- The cases: { title=, settings=, bytes=, expected= { "text Hello", ... } }.
function websocket.fixtures(name)
  local cases, case = {}, nil
  for line in io.lines(("spec/fixtures/websocket/%s.ws"):format(name)) do
    local kind, text = line:match "^(%S*) ?(.*)$"
    if kind == "==" then
      case = { title = text, settings = {}, bytes = {}, expected = {} }
      cases[#cases + 1] = case
    elseif kind == "%" then
      local key, value = text:match "^(%S+) (%d+)$"
      case.settings[key] = tonumber(value)
    elseif kind == ">" then
      case.bytes[#case.bytes + 1] = frame_of(text)
    elseif kind == "<" then
      case.expected[#case.expected + 1] = http.unescape(text)
    end
  end
  for _, one in ipairs(cases) do one.bytes = table.concat(one.bytes) end
  assert(#cases > 0, name .. " has no cases")
  return cases
end

-- --- What a server sent -----------------------------------------------------------

local function describe_frame(opcode, payload)
  local name = assert(NAMES[opcode], "unknown opcode " .. opcode)
  if opcode == 8 and #payload >= 2 then
    local code = string.unpack(">I2", payload)
    payload = code .. (#payload > 2 and " " .. payload:sub(3) or "")
  end
  return payload == "" and name or name .. " " .. payload
end

--- The frames in bytes as in fixtures, and how many bytes are left.
function websocket.frames(bytes)
  local list, at = {}, 1
  while at + 1 <= #bytes do
    local first, length, next_at = string.unpack("BB", bytes, at)
    assert(first & 0xF0 == 0x80, "not a whole frame without reserved bits")
    assert(length < 128, "a server's frame is masked")
    local format = ({ [126] = ">I2", [127] = ">I8" })[length]
    if format then length, next_at = string.unpack(format, bytes, next_at) end
    if next_at + length - 1 > #bytes then break end
    list[#list + 1] = describe_frame(first & 15, bytes:sub(next_at, next_at + length - 1))
    at = next_at + length
  end
  return list, #bytes - at + 1
end

--- The status of an answer and what follows its head.
function websocket.answer(bytes)
  local status, rest = bytes:match "^HTTP/1%.1 (%d%d%d) .-\r\n\r\n(.*)$"
  return tonumber(status), rest
end

return websocket
