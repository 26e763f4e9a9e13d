--- One exchange with a server, by HTTP/1.1 over `dewar.tcp`: what a proxy needs of
--- a client, and no more. It is strict: what could be read in two ways is an
--- error, since whoever comes behind might read it the other way.

local dewar = require "dewar"

local M = {}

local LINE_MAX, HEAD_MAX, PIECE = 8 * 1024, 64 * 1024, 64 * 1024

--- What is wrong with the server: a 502. Running out of time is a 504.
M.Error = dewar.errors[502]:extend("UpstreamError")
M.Timeout = dewar.errors[504]:extend("UpstreamTimeout")

local function bad(text) error(M.Error("The server behind this one " .. text .. ".")) end

--- Calls a method of the connection; its failures become ours.
local function io(conn, method, ...)
  local ok, result = pcall(conn[method], conn, ...)
  if ok then return result end
  if dewar.is_cancelled(result) then error(result, 0) end
  if dewar.TimeoutError:is(result) then
    error(M.Timeout("The server behind this one took too long.", { cause = result }))
  end
  error(M.Error("The connection to the server behind this one failed.", { cause = result }))
end

--- Connects within some seconds, and gives each later wait the others.
function M.connect(host, port, connect_timeout, timeout)
  local ok, conn = pcall(dewar.tcp.connect, host, port, { timeout = connect_timeout })
  if not ok then
    if dewar.is_cancelled(conn) then error(conn, 0) end
    local class = dewar.TimeoutError:is(conn) and M.Timeout or M.Error
    error(class("The server behind this one can't be reached.", { cause = conn }))
  end
  conn:set_timeout(timeout)
  return conn
end

-- --- The request ------------------------------------------------------------------

--- Sends the head: a list of { name, value }.
function M.send_head(conn, method, target, fields)
  local lines = { ("%s %s HTTP/1.1"):format(method, target) }
  for _, field in ipairs(fields) do lines[#lines + 1] = field[1] .. ": " .. field[2] end
  io(conn, "write", table.concat(lines, "\r\n") .. "\r\n\r\n")
end

--- Sends a body as it comes: with the length that the head has told, or chunked.
function M.send_body(conn, pieces, chunked)
  for piece in pieces do
    io(conn, "write", chunked and ("%x\r\n%s\r\n"):format(#piece, piece) or piece)
  end
  if chunked then io(conn, "write", "0\r\n\r\n") end
end

-- --- The answer -------------------------------------------------------------------

local function read_line(conn)
  local line = io(conn, "read_until", "\r\n", LINE_MAX)
  if not line then bad "ended in the middle of its answer" end
  if line:find "[%z\1-\8\10-\31\127]" then bad "sent a control character" end
  return line
end

local function read_fields(conn)
  local fields, size = {}, 0
  for line in function() return read_line(conn) end do
    if line == "" then return fields end
    size = size + #line
    if size > HEAD_MAX then bad "sent too many fields" end
    local name, value = line:match "^([%w!#$%%&'*+.^_`|~-]+):[ \t]*(.-)[ \t]*$"
    if not name then bad "sent a malformed field" end
    fields[#fields + 1] = { name, value }
  end
end

local function values_of(fields, wanted)
  local values = {}
  for _, field in ipairs(fields) do
    if field[1]:lower() == wanted then values[#values + 1] = field[2] end
  end
  return values
end

--- How long the body is: a number, "chunked", or "close" for all there is.
local function framing_of(answer, method)
  local coding = values_of(answer.fields, "transfer-encoding")
  local lengths = values_of(answer.fields, "content-length")
  if #coding > 0 and (#lengths > 0 or #coding > 1 or answer.minor == 0 or coding[1]:lower() ~= "chunked") then
    bad "doesn't say where its answer ends"
  end
  for _, length in ipairs(lengths) do
    if length ~= lengths[1] or not length:find "^%d+$" or #length > 18 then bad "told no proper length" end
  end
  local bodiless = method == "HEAD" or answer.status == 204 or answer.status == 304
  answer.length = math.tointeger(lengths[1])
  if bodiless then return 0 end
  return coding[1] and "chunked" or answer.length or "close"
end

--- The first line. As long as the request is on its way, that may take its time.
local function read_first(conn, is_sending)
  while true do
    local ok, line = pcall(read_line, conn)
    if ok then return line end
    if not (M.Timeout:is(line) and is_sending()) then error(line, 0) end
  end
end

--- Reads the head of the answer, not those of what is only on its way (1xx).
---@return { status: integer, fields: string[][], length: integer?, framing: integer|string }
function M.read_head(conn, method, is_sending)
  while true do
    local minor, status = read_first(conn, is_sending):match "^HTTP/1%.([01]) ([1-5]%d%d) ?"
    if not status then bad "answers with something that isn't HTTP/1" end
    local answer = { minor = tonumber(minor), status = math.tointeger(status), fields = read_fields(conn) }
    if answer.status == 101 then bad "changed the protocol" end
    if answer.status >= 200 then
      answer.framing = framing_of(answer, method)
      return answer
    end
  end
end

local function of_length(conn, length)
  return function()
    if length == 0 then return nil end
    local piece = io(conn, "read_some", math.min(length, PIECE))
    if not piece then bad "ended in the middle of its answer" end
    length = length - #piece
    return piece
  end
end

local function chunked(conn)
  local left, begun = 0, false
  return function()
    if not left then return nil end
    if left == 0 then
      if begun and read_line(conn) ~= "" then bad "sent a malformed chunk" end
      begun = true
      -- Extensions are passed over (RFC 9112, 7.1.1).
      local line = read_line(conn)
      local size = line:match "^(%x+)[ \t]*$" or line:match "^(%x+)[ \t]*;" or bad "sent a malformed chunk"
      if #size > 15 then bad "sent a chunk without measure" end
      left = tonumber(size, 16)
      if left == 0 then
        left = nil
        read_fields(conn) -- trailers, which go no further
        return nil
      end
    end
    local piece = io(conn, "read_some", math.min(left, PIECE))
    if not piece then bad "ended in the middle of its answer" end
    left = left - #piece
    return piece
  end
end

--- The answer's body, piece by piece; one that is cut off is an error.
---@return fun(): string?
function M.pieces(conn, answer)
  if answer.framing == "chunked" then return chunked(conn) end
  if answer.framing == "close" then
    return function() return io(conn, "read_some", PIECE) end
  end
  return of_length(conn, answer.framing)
end

return M
