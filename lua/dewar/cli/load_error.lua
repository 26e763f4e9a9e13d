--- What live reload serves while an app can't be loaded: the error on every page,
--- until a change brings a new worker.

local App = require "dewar.app"
local apps = require "dewar.cli.app"
local html = require "dewar.debug.html"
local mask = require "dewar.debug.mask"
local source = require "dewar.debug.source"

local M = {}

-- Asks now and then whether another worker answers.
local SCRIPT = [[
setInterval(function () {
  fetch(location.href, { method: "HEAD", cache: "no-store" }).then(function (res) {
    if (res.headers.get("X-Dewar-Load-Error") !== "%s") location.reload();
  }, function () {});
}, 700);
]]

--- The first line that the problem names of a file which can be read, and the
--- source around it.
local function excerpt(problem, folder)
  local cache = { root = folder }
  for path, line in problem:gmatch "([^%s:'\"]+):(%d+):" do
    local lines = source.lines("@" .. path, math.tointeger(tonumber(line)) or 0, cache)
    if lines then
      for _, row in ipairs(lines) do row.text = mask.source(row.text) end
      return path .. ":" .. line, lines
    end
  end
end

--- The message without what the source below it says, too.
local function in_short(message)
  message = message:match "^error loading module '[^\n]*':\n%s*(.+)$" or message
  return (message:gsub("\n\t", "\n"))
end

local function wants_json(req)
  return req.accept_mimetypes:best { "text/html", "application/json" } == "application/json"
end

--- An app that answers all requests with the problem.
---@param path string of the app that can't be loaded
---@param problem string with its traceback
---@return dewar.App
function M.app(path, problem)
  local app = App.new { name = "load-error", config = { ACCESS_LOG = false } }
  local message, trace = problem:match "^(.-)\nstack traceback:\n(.*)$"
  message = message or problem
  trace = trace and trace:gsub("^\t", ""):gsub("\n\t", "\n")
  local id = ("%x"):format(math.random(0))
  local where, lines = excerpt(problem, apps.folder_of(path))
  local page = html.load_failure({
    path = path, message = in_short(message), where = where, lines = lines,
    trace = trace and trace:gsub("%[C%]: in %?\n", ""), script = SCRIPT:format(id),
  }, id)
  app:use {
    request = function(req)
      local res
      if wants_json(req) then
        res = app:make_response({ error = message, traceback = trace, app = path }, 500)
      else
        res = app:make_response(page, 500)
      end
      res.headers["X-Dewar-Load-Error"] = id
      res.headers["Cache-Control"] = "no-store"
      return res
    end,
  }
  return app
end

return M
