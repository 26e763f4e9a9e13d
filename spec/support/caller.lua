-- Misuse is raised at the line that is to blame.

local M = {}

--- Calls f, which must raise at its own line in the file of the spec, with a
--- message that matches the pattern.
function M.refuses(f, pattern)
  local info = debug.getinfo(f, "S")
  local file = info.short_src:match "([^/]+)$"
  local ok, err = pcall(f)
  assert(not ok, "nothing was raised: " .. pattern)
  assert(type(err) == "string", "no message was raised")
  local at, line, message = err:match "^[^:]-([^/:]+):(%d+): (.*)$"
  assert(at == file and tonumber(line) >= info.linedefined and tonumber(line) <= info.lastlinedefined,
    "raised elsewhere: " .. err)
  assert(message:find(pattern), ("'%s' doesn't match '%s'"):format(message, pattern))
end

return M
