--- url_for: from an endpoint to a URL.

local core = require "dewar.core"
local views = require "dewar.views"

local M = {}

--- What url_for raises where no rule fits; build-error handlers get it.
M.BuildError = core.Error:extend("BuildError", {})

local OPTIONS = { _anchor = "anchor", _method = "method", _scheme = "scheme", _external = "external" }

local OPTION_TYPES = { _method = "string", _scheme = "string", _external = "boolean" }

local function check_option(key, value, level)
  local wanted = OPTION_TYPES[key]
  if wanted and type(value) ~= wanted then
    error(("url_for: %s is a %s; got a %s"):format(key, wanted, type(value)), level + 1)
  end
end

local function split(values, level)
  local plain, opts = {}, {}
  if values ~= nil and type(values) ~= "table" then
    error("url_for: the values are a table by name; got a " .. type(values), level + 1)
  end
  for key, value in pairs(values or {}) do
    local option = OPTIONS[key]
    if option then
      check_option(key, value, level + 1)
      opts[option] = value
    elseif type(key) ~= "string" then
      error(("url_for: a URL's values have names; got a %s as a name"):format(type(key)), level + 1)
    elseif key:sub(1, 1) == "_" then
      error(("url_for: unknown option '%s'; there are _anchor, _method, _scheme and _external")
        :format(key), level + 1)
    else
      plain[key] = value
    end
  end
  if opts.scheme and opts.external == false then
    error("url_for: _scheme makes the URL external, so _external can't be false", level + 1)
  end
  if opts.scheme then opts.external = true end
  return plain, opts
end

--- ".name" is relative to the blueprint of the current request.
local function absolute(endpoint, req, level)
  if endpoint:sub(1, 1) ~= "." then return endpoint end
  local blueprint = req and req.blueprint
  if blueprint then return blueprint .. endpoint end
  if not req then
    error(("url_for: '%s' is relative to a blueprint, which needs a request"):format(endpoint), level + 1)
  end
  return endpoint:sub(2)
end

--- A message without the line in front, which is ours.
local function plain_message(message)
  return (message:gsub("^[^:\n]+:%d+: ", "", 1))
end

local function scopes_of(endpoint)
  local name = endpoint:match "^(.*)%.[^.]*$"
  local names = {}
  while name do
    table.insert(names, 1, name)
    name = name:match "^(.*)%.[^.]*$"
  end
  return names
end

local function add_defaults(app, endpoint, values)
  for _, f in ipairs(app._url_defaults[""] or {}) do
    views.ensure_sync(app, f)(endpoint, values)
  end
  for _, name in ipairs(scopes_of(endpoint)) do
    for _, f in ipairs(app._url_defaults[name] or {}) do
      views.ensure_sync(app, f)(endpoint, values)
    end
  end
end

--- The URL of an endpoint of the app. Values that the rule has no variable for
--- become the query.
function M.build(app, endpoint, values, level)
  if type(endpoint) ~= "string" then
    error("url_for takes an endpoint's name; got a " .. type(endpoint), level + 1)
  end
  if type(app) == "userdata" then app = app() end -- the proxy's target
  local req = core.has_request() and core.request() or nil
  local root = req and app._core:root()
  if not root then req = nil end -- of an app that is neither around this one nor in it
  local plain, opts = split(values, level + 1)
  endpoint = absolute(endpoint, req and req.app == app and req or nil, level + 1)
  add_defaults(app, endpoint, plain)
  opts.default_scheme = req and req.scheme or app.config.PREFERRED_URL_SCHEME
  opts.host = req and req.host or nil
  opts.server_name = app.config.SERVER_NAME
  opts.root = root or app.config.APPLICATION_ROOT:gsub("/+$", "")
  local ok, url, message = pcall(app._core.build, app._core, endpoint, plain, opts)
  if not ok then error(type(url) == "string" and "url_for: " .. plain_message(url) or url, level + 1) end
  if url then return url end
  local err = M.BuildError("url_for: " .. message, { endpoint = endpoint, values = plain })
  for _, f in ipairs(app._url_build_error_handlers) do
    local result = views.ensure_sync(app, f)(err, endpoint, plain)
    if result ~= nil then return result end
  end
  error(err, level + 1)
end

return M
