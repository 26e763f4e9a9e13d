--- Reports as pages. All that goes into one from outside is escaped, here.

local core = require "dewar.core"
local style = require "dewar.debug.style"

local M = {}

--- Escaped, and without what is no text: browsers would read another page into
--- bytes that aren't UTF-8.
local function esc(text)
  text = tostring(text):gsub("[\0-\8\11\12\14-\31\127]", "\u{FFFD}")
  if not utf8.len(text) then text = text:gsub("[\x80-\xFF]", "?") end
  return core.escape(text)
end

local Page = {}
Page.__index = Page

--- Adds a template with its %s filled in by escaped texts.
function Page:add(template, ...)
  local values = table.pack(...)
  for i = 1, values.n do values[i] = esc(values[i]) end
  self[#self + 1] = values.n > 0 and template:format(table.unpack(values, 1, values.n)) or template
end

local function new_page(title, nonce)
  local page = setmetatable({}, Page)
  page:add("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
    .. "content=\"width=device-width, initial-scale=1\">\n<meta name=\"robots\" content=\"noindex\">\n"
    .. "<title>%s</title>\n", title)
  page:add("<style nonce=\"%s\">\n", nonce)
  page:add(style.css)
  page:add "</style>\n"
  return page
end

local function add_rows(page, title, rows)
  if #rows == 0 then return end
  if title then page:add("<h3>%s</h3>", title) end
  page:add "<dl>"
  for _, row in ipairs(rows) do
    page:add("<dt class=\"name\">%s</dt><dd>%s", row.name, row.text)
    if row.type then page:add("<small>%s</small>", row.type) end
    page:add "</dd>"
  end
  page:add "</dl>\n"
end

local function add_source(page, lines)
  page:add "<pre class=\"source\" tabindex=\"0\"><ol>"
  for _, line in ipairs(lines) do
    page:add(line.here and "<li class=\"here\"><i>%s</i>%s</li>" or "<li><i>%s</i>%s</li>", line.number,
      line.text == "" and " " or line.text)
  end
  page:add "</ol></pre>\n"
end

local function add_call(page, call, open)
  if not call.lines and #call.locals == 0 and #call.upvalues == 0 then
    page:add("<div class=\"card plain\"><b>%s</b><code class=\"where\">%s</code></div>\n", call.name, call.where)
    return
  end
  page:add(open and "<details class=\"card call\" open>" or "<details class=\"card call\">")
  page:add("<summary><b>%s</b><code>%s</code></summary>\n", call.name, call.where)
  if call.lines then add_source(page, call.lines) end
  add_rows(page, "Locals", call.locals)
  add_rows(page, "Upvalues", call.upvalues)
  if call.tail then page:add "<p class=\"link\">by tail calls, which leave no trace</p>" end
  page:add "</details>\n"
end

local OWNERS = { dewar = "Dewar", lua = "Lua", library = "libraries" }

--- Calls that aren't the app's, behind one line.
local function add_others(page, calls)
  local owners, named = {}, {}
  for _, call in ipairs(calls) do
    local owner = OWNERS[call.owner]
    if not named[owner] then
      named[owner] = true
      owners[#owners + 1] = owner
    end
  end
  page:add("<details class=\"card others\"><summary><b>%s %s in %s</b></summary>\n", #calls,
    #calls == 1 and "call" or "calls", table.concat(owners, " and "))
  for _, call in ipairs(calls) do add_call(page, call) end
  page:add "</details>\n"
end

local function add_calls(page, calls)
  local others, opened = {}, false
  local function flush()
    if #others > 0 then add_others(page, others) end
    others = {}
  end
  for _, call in ipairs(calls) do
    if OWNERS[call.owner] then
      others[#others + 1] = call
    else
      flush()
      if call.link then
        page:add("<p class=\"link\">%s</p>\n", call.link)
      elseif call.skipped then
        page:add("<p class=\"link\">%s calls more</p>\n", call.skipped)
      else
        add_call(page, call, not opened)
        opened = true
      end
    end
  end
  flush()
end

local function add_error(page, err, first)
  if not first then
    page:add("<h2>%s</h2>\n<div class=\"card\"><div class=\"plain\"><b>%s</b></div>", err.because, err.kind)
    page:add("<dl><dd>%s</dd></dl></div>\n", err.message)
  end
  if err.fields then
    page:add "<section class=\"card\">"
    add_rows(page, nil, err.fields)
    page:add "</section>\n"
  end
  if #err.calls > 0 then
    page:add(first and "<h2>Traceback <small>innermost call first</small></h2>\n" or "")
    add_calls(page, err.calls)
  elseif first then
    page:add "<p class=\"note\">There is no traceback of this error.</p>\n"
  end
end

local function add_head(page, request, kind, message)
  local method, target = request:match "^(%S+) (.*)$"
  page:add("<header>\n<p class=\"request\"><b>%s</b> %s</p>\n<h1>%s</h1>\n", method, target, kind)
  if message ~= "" then page:add("<p class=\"message\">%s</p>\n", message) end
end

--- The page of an error that nobody handled.
---@param report dewar.debug.Report
---@param nonce string
---@return string
function M.failure(report, nonce)
  local err = report.errors[1]
  local page = new_page(err.kind .. ": " .. err.message:match "^[^\n]*", nonce)
  add_head(page, report.request, err.kind, err.message)
  page:add "<div class=\"bar\"><button id=\"copy\" type=\"button\" hidden>Copy as text</button></div>\n"
  page:add "</header>\n<main>\n"
  for i, one in ipairs(report.errors) do add_error(page, one, i == 1) end
  for i, one in ipairs(report.sections) do
    if i == 1 then page:add "<h2>Request</h2>\n" end
    page:add(i == 1 and "<details class=\"card\" open>" or "<details class=\"card\">")
    page:add("<summary><b>%s</b><small>%s</small></summary>\n<section>", one.title, #one.rows)
    add_rows(page, nil, one.rows)
    page:add "</section></details>\n"
  end
  page:add "<h2>As text</h2>\n<details class=\"card\" id=\"text\"><summary><b>Everything on this page</b></summary>\n"
  page:add "<textarea id=\"all\" readonly spellcheck=\"false\" aria-label=\"Everything on this page\">\n"
  page:add("%s</textarea></details>\n</main>\n", report.text)
  page:add "<footer>This page is there because the app runs with DEBUG. "
  page:add "Values with telling names are hidden.</footer>\n"
  page:add("<script nonce=\"%s\">\n", nonce)
  page:add(style.script)
  page:add "</script>\n</html>\n"
  return table.concat(page)
end

--- The page of an app that can't be loaded, in the place of all of its pages.
---@param view { path: string, message: string, where: string?, lines: table[]?, trace: string?, script: string }
---@param nonce string
---@return string
function M.load_failure(view, nonce)
  local page = new_page(view.path .. " can't be loaded", nonce)
  page:add("<header>\n<p class=\"request\"><b>dewar run</b> %s</p>\n<h1>The app can't be loaded</h1>\n", view.path)
  page:add("<p class=\"message\">%s</p>\n</header>\n<main>\n", view.message)
  if view.lines then
    page:add("<section class=\"card\"><div class=\"plain\"><code class=\"where\">%s</code></div>\n", view.where)
    add_source(page, view.lines)
    page:add "</section>\n"
  end
  if view.trace then
    page:add "<h2>Traceback <small>innermost call first</small></h2>\n<section class=\"card\">"
    page:add("<pre class=\"trace\" tabindex=\"0\">%s</pre></section>\n", view.trace)
  end
  page:add "</main>\n<footer>This page goes away by itself when the file is right again.</footer>\n"
  page:add("<script nonce=\"%s\">\n", nonce)
  page:add(view.script)
  page:add "</script>\n</html>\n"
  return table.concat(page)
end

local function add_route(page, route)
  page:add("<tr><td>%s</td><td>%s</td><td>%s</td></tr>", table.concat(route.methods, ", "), route.rule,
    route.endpoint)
end

local function add_routes(page, title, routes)
  if #routes == 0 then return end
  page:add("<h2>%s</h2>\n<div class=\"card\"><table>", title)
  for _, route in ipairs(routes) do
    add_route(page, route)
  end
  page:add "</table></div>\n"
end

--- The page of a path that leads nowhere, or not by this method.
---@param view { status: string, request: string, message: string, near: table[], all: table[], allowed: string? }
---@param nonce string
---@return string
function M.routing(view, nonce)
  local page = new_page(view.status, nonce)
  add_head(page, view.request, view.status, view.message)
  page:add "</header>\n<main>\n"
  add_routes(page, view.allowed and "Routes of this path" or "Did you mean", view.near)
  if #view.all > 0 then
    page:add("<h2>All routes</h2>\n<details class=\"card\"><summary><b>%s %s</b></summary><table>", #view.all,
      #view.all == 1 and "route" or "routes")
    for _, route in ipairs(view.all) do
      add_route(page, route)
    end
    page:add "</table></details>\n"
  elseif #view.near == 0 then
    page:add "<p class=\"note\">The app has no routes.</p>\n"
  end
  page:add "</main>\n<footer>This page is there because the app runs with DEBUG.</footer>\n</html>\n"
  return table.concat(page)
end

return M
