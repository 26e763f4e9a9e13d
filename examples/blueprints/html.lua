-- Text as HTML.

local M = {}

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

function M.escape(text)
  return (text:gsub('[&<>"]', ESCAPES))
end

function M.link(url, text)
  return ('<a href="%s">%s</a>'):format(M.escape(url), M.escape(text))
end

function M.list(items)
  local lines = {}
  for i, item in ipairs(items) do lines[i] = "<li>" .. item .. "\n" end
  return "<ul>\n" .. table.concat(lines) .. "</ul>\n"
end

return M
