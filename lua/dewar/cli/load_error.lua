--- What live reload serves while an app can't be loaded: the error on every page,
--- until a change brings a new worker.

local core = require "dewar.core"
local App = require "dewar.app"

local M = {}

local AROUND = 5 -- lines of source on both sides

local STYLE = [[
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; color: #20242c; background: #f5f6f8; }
header { padding: 2rem max(1.5rem, calc(50vw - 30rem)); color: #fff; background: #a3212f; }
h1 { margin: 0 0 .4rem; font-size: 1rem; font-weight: 500; opacity: .85; }
header p { margin: 0; font: 600 1.15rem/1.45 ui-monospace, monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
main { max-width: 60rem; margin: 0 auto; padding: 1.5rem; }
h2 { margin: 1.5rem 0 .5rem; font-size: .95rem; }
pre { margin: 0; padding: .8rem 0; overflow-x: auto; border: 1px solid #dcdfe5; border-radius: .5rem; background: #fff;
  font: .875rem/1.6 ui-monospace, monospace; }
pre span { display: block; padding: 0 1rem; }
pre i { display: inline-block; width: 3em; color: #8a909c; font-style: normal; user-select: none; }
pre .here { background: #fde8ea; }
.trace { padding: .8rem 1rem; }
footer { color: #6b7280; font-size: .9rem; }
@media (prefers-color-scheme: dark) {
  body { color: #e4e6eb; background: #16181d; } pre { background: #1d2026; border-color: #333842; }
  pre .here { background: #4a1f26; }
}
]]

-- Asks now and then whether another worker answers.
local SCRIPT = [[
setInterval(function () {
  fetch(location.href, { method: "HEAD", cache: "no-store" }).then(function (res) {
    if (res.headers.get("X-Dewar-Load-Error") !== "%s") location.reload();
  }, function () {});
}, 700);
]]

--- The first line of the traceback's code that is in a file which can be read.
local function place(problem)
  for path, line in problem:gmatch "([^%s:'\"]+):(%d+):" do
    local file = io.open(path)
    if file then return path, math.tointeger(tonumber(line)), file end
  end
end

--- The source around where it went wrong, as a list of { number, text, here }.
local function excerpt(problem)
  local path, line, file = place(problem)
  if not path then return nil end
  local lines, number = {}, 0
  for text in file:lines() do
    number = number + 1
    if number >= line - AROUND and number <= line + AROUND then
      lines[#lines + 1] = { number = number, text = text, here = number == line }
    end
  end
  file:close()
  return { path = path, line = line, lines = lines }
end

local function source_html(source)
  local parts = { ("<h2>%s:%d</h2>\n<pre>"):format(core.escape(source.path), source.line) }
  for _, line in ipairs(source.lines) do
    parts[#parts + 1] = ('<span%s><i>%d</i>%s</span>'):format(line.here and ' class="here"' or "", line.number,
      core.escape(line.text))
  end
  parts[#parts + 1] = "</pre>\n"
  return table.concat(parts)
end

local function page(path, message, trace, source, id)
  return table.concat {
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>", core.escape(path),
    " can't be loaded</title>\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<style>\n",
    STYLE, "</style>\n<header><h1>", core.escape(path), " can't be loaded</h1>\n<p>", core.escape(message),
    "</p></header>\n<main>\n", source and source_html(source) or "",
    trace and "<h2>Traceback</h2>\n<pre class=\"trace\">" .. core.escape(trace) .. "</pre>\n" or "",
    "<footer><p>This page goes away when the file is changed and can be loaded.</p></footer>\n</main>\n<script>\n",
    SCRIPT:format(id), "</script>\n</html>\n",
  }
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
  local html = page(path, message, trace, excerpt(problem), id)
  app:use {
    request = function(req)
      local res
      if wants_json(req) then
        res = app:make_response({ error = message, traceback = trace, app = path }, 500)
      else
        res = app:make_response(html, 500)
      end
      res.headers["X-Dewar-Load-Error"] = id
      res.headers["Cache-Control"] = "no-store"
      return res
    end,
  }
  return app
end

return M
