--- `dewar routes`: the routes of an app.

local apps = require "dewar.cli.app"
local mount = require "dewar.mount"

local M = {
  needs_app = true,
  arguments = {},
  help = [[
Usage: dewar routes [APP]

Lists the routes of the app that the Lua file APP returns, in the order in which
they were added: the endpoint, which is what url_for takes, the methods, the
rule, and the host where it is of one only. Behind those of an app come those of
the apps that are mounted in it, with the name of the app.

  --env-file PATH  read variables from this file, too
  --no-env         read no .env and no .dewarenv
  --help           show this

Without APP it is what DEWAR_APP says, or else app.lua or init.lua.
]],
}

--- Rows of texts as lines with columns of one width.
local function aligned(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do
      widths[i] = math.max(widths[i] or 0, utf8.len(cell) or #cell)
    end
  end
  local lines = {}
  for n, row in ipairs(rows) do
    local cells = {}
    for i, cell in ipairs(row) do
      local width = utf8.len(cell) or #cell
      cells[i] = cell .. (" "):rep(widths[i] - width)
    end
    lines[n] = table.concat(cells, "  "):gsub("%s+$", "")
  end
  return table.concat(lines, "\n")
end

--- Without a column that says nothing.
local function drop_empty(rows, column)
  for i = 2, #rows do
    if rows[i][column] ~= "" then return end
  end
  for _, row in ipairs(rows) do table.remove(row, column) end
end

---@param path string
---@param args table
---@return integer code
function M.main(path, args)
  local app = apps.open(path, args.env)
  if not app then return 1 end
  local rows = { { "Endpoint", "Methods", "Rule", "Host", "App" } }
  for _, rule in ipairs(mount.rules(app)) do
    rows[#rows + 1] = {
      rule.endpoint or "",
      rule.websocket and "WebSocket" or table.concat(rule.methods, ", "),
      rule.rule,
      rule.host ~= "" and rule.host or rule.hosts and table.concat(rule.hosts, ", ") or "",
      rule.app ~= app and rule.app.name or "",
    }
  end
  if #rows == 1 then
    print(path .. " has no routes")
    return 0
  end
  drop_empty(rows, 5)
  drop_empty(rows, 4)
  print(aligned(rows))
  return 0
end

return M
