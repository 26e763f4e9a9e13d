--- Dewar: a flask for Lua. Apps are Lua scripts, views may wait; the runtime is
--- C. This module is what `require "dewar"` gives.

-- Before anything that an older Lua would stumble over.
if _VERSION ~= "Lua 5.4" then
  error("Dewar needs Lua 5.4; this is " .. _VERSION, 2)
end

local core = require "dewar.core"
core.own_files()
local App = require "dewar.app"
local Blueprint = require "dewar.blueprint"
local csrf = require "dewar.csrf"
local filename = require "dewar.filename"
local files = require "dewar.files"
local flash = require "dewar.flash"
local dns = require "dewar.dns"
local fs = require "dewar.fs"
local header_text = require "dewar.headers.text"
local markup = require "dewar.markup"
local middleware = require "dewar.middleware"
local nonce = require "dewar.nonce"
local options = require "dewar.options"
local process = require "dewar.process"
local password = require "dewar.password"
local Scaffold = require "dewar.scaffold"
local signals = require "dewar.signals"
local sse = require "dewar.sse"
local tcp = require "dewar.tcp"
local template_errors = require "dewar.template.errors"
local url = require "dewar.url"
local views = require "dewar.views"

require "dewar.request" -- what they add to requests and responses
require "dewar.response"

---@class dewar
local dewar = {}

for name, value in pairs(core) do dewar[name] = value end
for _, internal in ipairs {
  "disk", "net", "processes",
  "adopt_file", "app_new", "attempt", "client_open", "clock_advance", "clock_virtual", "content_type",
  "crypto", "debug_counts", "describe_file", "ensure_sync", "environ", "event_stream", "find_file",
  "has_request", "http_date", "is_error_class", "is_file", "is_room", "limit", "luv_open",
  "make_response", "mounted_at", "open_file", "own_files", "plain_text",
  "read_only", "request_fields", "response_fields", "setenv", "snapshot", "time", "websocket_codec",
} do
  dewar[internal] = nil
end

--- The class of apps, to be called from methods that override its own.
dewar.App = App
--- A view as a class: `extend` it and define dispatch_request(req, ...).
dewar.View = views.View
--- A view as a class with a method for each HTTP method: get(req, ...)...
dewar.MethodView = views.MethodView
--- A response that is a file: see docs/static.md.
dewar.send_file = files.send_file
--- A response that is a file below a folder, or a 404.
dewar.send_from_directory = files.send_from_directory
--- What url_for raises: no such endpoint, or values that don't fit.
dewar.BuildError = url.BuildError
--- What render_template raises where there is no such template.
dewar.TemplateNotFound = template_errors.NotFound
--- What it raises for one that can't be compiled: `template` and `line` say where.
dewar.TemplateSyntaxError = template_errors.SyntaxError

--- Server-sent events as a response: see docs/streaming.md.
dewar.sse = sse.respond

--- Ready middleware for `app:use`: `dewar.middleware.proxy_fix { proto = 1 }`.
---@type dewar.middleware
dewar.middleware = middleware

--- What a request without a good CSRF token is refused with: a 400 with `reason`.
---@type dewar.ErrorClass
dewar.CSRFError = csrf.CSRFError

--- A CSRF token for forms and scripts, with `dewar.middleware.csrf` in use.
---@type fun(): string
dewar.csrf_token = csrf.token

--- The same as a hidden field of a form.
---@type fun(): dewar.Markup
dewar.csrf_field = csrf.field

--- A word for the running request's Content-Security-Policy, to be given to its
--- own scripts and styles: `<script nonce="...">`.
---@type fun(): string
dewar.csp_nonce = nonce.current

--- Files and folders, without holding anything up: docs/io.md.
---@type dewar.fs
dewar.fs = fs

--- Other programs: docs/io.md.
---@type dewar.process
dewar.process = process

--- Names and addresses: docs/io.md.
---@type dewar.dns
dewar.dns = dns

--- Connections: docs/io.md.
---@type dewar.tcp
dewar.tcp = tcp

--- Dewar's own signals, and those that `signal` has made, by name.
---@type table<string, dewar.Signal>
dewar.signals = signals.signals

--- The signal of a name, the same wherever it is asked for; made at the first
--- time.
---@type fun(name: string): dewar.Signal
dewar.signal = signals.signal

--- Keeps a message for the next page that asks: in the session, to be shown once.
---@type fun(message: any, category?: string)
dewar.flash = flash.flash

--- The messages that were flashed, now taken out of the session: a list, which is
--- the same however often this request asks. See dewar.FlashOptions.
---@type fun(options?: dewar.FlashOptions): any[]
dewar.get_flashed_messages = flash.get_flashed_messages

--- A name for a file of one's own, made of what a client has sent: nothing in
--- it leads to another folder. It may be empty.
---@type fun(name: string): string
dewar.secure_filename = filename.secure

--- A hash to be stored in the place of a password, as Werkzeug makes it; waits.
---@type async fun(password: string, method?: string): string
dewar.generate_password_hash = password.generate

--- Whether a password is the one that a hash was made of; waits.
---@type async fun(hash: string, password: string): boolean
dewar.check_password_hash = password.check

--- Every live task and what it is doing, by age; as a string, a tree of them.
---@return dewar.TaskInfo[]
function dewar.tasks()
  return require("dewar.tasks").list()
end

--- A new app: `local app = dewar.app()`.
---@param opts? dewar.AppOptions
---@return dewar.App
function dewar.app(opts)
  return App.new(opts)
end

--- A new blueprint: `local api = dewar.blueprint("api", { url_prefix = "/api" })`.
---@param name string
---@param opts? dewar.BlueprintOptions
---@return dewar.Blueprint
function dewar.blueprint(name, opts)
  return Blueprint.new(name, opts)
end

--- The URL of an endpoint of the current app.
---@param endpoint string
---@param values? table
---@return string
function dewar.url_for(endpoint, values)
  local app = core.current_app()
  if not app then
    error("url_for was used outside of an app's task; call app:url_for instead", 2)
  end
  return (url.build(app, endpoint, values, 2)) -- no tail call: levels count
end

--- Renders for the current app; levels count here, so nothing is a tail call.
local function render(method, source, values, level)
  local app = core.current_app()
  if not app then
    error(("%s was used outside of an app's task; call app:%s instead"):format(method, method), level)
  end
  return (require("dewar.template").call(app, method, source, values, level))
end

--- Renders a template of the current app: docs/templates.md.
---@param name string|string[] of a list the first that there is
---@param values? table
---@return string
function dewar.render_template(name, values)
  return (render("render_template", name, values, 3))
end

--- Renders a template that is a text.
---@param text string
---@param values? table
---@return string
function dewar.render_template_string(text, values)
  return (render("render_template_string", text, values, 3))
end

--- Renders a template piece by piece, as a body: what is ready is sent before the
--- template waits.
---@param name string|string[]
---@param values? table
---@return fun(): string?
function dewar.stream_template(name, values)
  return (render("stream_template", name, values, 3))
end

--- Renders a template that is a text piece by piece.
---@param text string
---@param values? table
---@return fun(): string?
function dewar.stream_template_string(text, values)
  return (render("stream_template_string", text, values, 3))
end

--- Marks a text as HTML, which templates give out as it is. Only for what no
--- visitor has written.
---@param text any a string, or what has a text
---@return dewar.Markup
function dewar.markup(text)
  return markup.new(text)
end

local REDIRECTS = { [301] = true, [302] = true, [303] = true, [305] = true, [307] = true, [308] = true }

--- A redirect: 302, or another of 301, 303, 305, 307, 308.
---@param location string
---@param status? integer
---@return dewar.Response
function dewar.redirect(location, status)
  if type(location) ~= "string" then
    error("redirect takes a URL; got a " .. type(location), 2)
  end
  status = status or 302
  if not REDIRECTS[status] then
    error("redirect's status is one of 301, 302, 303, 305, 307 and 308; got " .. tostring(status), 2)
  end
  location = header_text.uri(location)
  local link = core.escape(location)
  local page = "<!doctype html>\n<title>Redirecting</title>\n<p>Go to <a href=\"" .. link .. "\">" .. link .. "</a>.\n"
  return (options.call(2, core.response, page, status, { Location = location }))
end

--- The field's value in what may come from anybody's JSON, or nil.
local function field(values, name)
  if type(values) ~= "table" and (type(values) ~= "userdata" or values == core.null) then return nil end
  local value = values[name]
  if value ~= core.null then return value end
end

--- The value of a field that a request must have, converted; else a 400 that
--- names it. JSON's null is no value.
---@param values any req.args, req.form, req:json()...
---@param name string
---@param convert? fun(text: string): any nil or an error means that it doesn't fit
---@return any
function dewar.required(values, name, convert)
  if type(name) ~= "string" then error("required takes a field's name; got a " .. type(name), 2) end
  Scaffold._check_callable("required", "what converts", convert or tostring, 2)
  local value = field(values, name)
  if value == nil then core.abort(400, ("The field '%s' is missing."):format(name)) end
  if convert == nil then return value end
  local ok, converted = pcall(convert, value)
  if not ok and (core.is_cancelled(converted) or converted == "not enough memory") then error(converted, 0) end
  if not ok or converted == nil then
    core.abort(400, ("The field '%s' has a value that doesn't fit."):format(name))
  end
  return converted
end

return dewar
