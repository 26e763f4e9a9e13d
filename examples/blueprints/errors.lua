-- An error in two formats. The headers that come with it, such as Allow, are
-- sent along.

local html = require "html"

local M = {}

function M.page(_, err)
  local page = ("<h1>%d</h1>\n<p>%s\n"):format(err.status, html.escape(err.message))
  return page, err.status, err.headers
end

function M.json(_, err)
  return { error = err.message, status = err.status }, err.status, err.headers
end

return M
