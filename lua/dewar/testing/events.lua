--- Reading event streams, as the HTML standard tells browsers to.

local M = {}

---@class dewar.TestEvent
---@field event string "message" where it has no name
---@field data string
---@field id? string
---@field retry? number seconds

--- An iterator over the lines of the chunks, whole ones only. A CR at a chunk's
--- end may be half of a CRLF, so the line goes at once, and an LF that follows is
--- dropped.
local function lines(chunks)
  local rest, after_cr, begun = "", false, false
  return function()
    while true do
      if after_cr and rest ~= "" then
        rest = rest:gsub("^\n", "")
        after_cr = false
      end
      local line, ending, at = rest:match "^([^\r\n]*)([\r\n])()"
      if line then
        rest = rest:sub(at)
        after_cr = ending == "\r"
        if not begun then line = line:gsub("^\u{feff}", "") end
        begun = true
        return line
      end
      local chunk = chunks()
      if not chunk then return nil end
      rest = rest .. chunk
    end
  end
end

local FIELDS = {
  event = function(event, value) event.event = value end,
  data = function(event, value)
    event.data = event.data and event.data .. "\n" .. value or value
  end,
  id = function(event, value)
    if not value:find("\0", 1, true) then event.id = value end
  end,
  retry = function(event, value)
    if value:find "^%d+$" then event.retry = tonumber(value) / 1000 end
  end,
}

--- An iterator over the events in chunks of bytes. One without data isn't shown,
--- and one that isn't ended by an empty line is lost.
---@param chunks fun(): string?
---@return fun(): dewar.TestEvent?
function M.iterate(chunks)
  local next_line = lines(chunks)
  return function()
    local event = {}
    for line in next_line do
      local name, value = line:match "^([^:]*):? ?(.*)$"
      if line == "" then
        if event.data then
          if not event.event or event.event == "" then event.event = "message" end
          return event
        end
        event = {}
      elseif FIELDS[name] then
        FIELDS[name](event, value)
      end
    end
  end
end

return M
