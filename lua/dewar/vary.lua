--- The header Vary: what of a request another answer would depend on.

local M = {}

--- Adds a name, unless it is there already.
---@param res dewar.Response
---@param name string
function M.add(res, name)
  local vary = res.headers.Vary
  if not vary or vary == "" then
    res.headers.Vary = name
    return
  end
  for item in vary:gmatch "[^,%s]+" do
    if item == "*" or item:lower() == name:lower() then return end
  end
  res.headers.Vary = vary .. ", " .. name
end

return M
