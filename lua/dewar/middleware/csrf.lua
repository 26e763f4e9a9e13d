--- Refuses requests that change something unless they come from a page of the
--- app's own: see dewar/csrf.lua.

local csrf = require "dewar.csrf"
local options = require "dewar.options"
local origins = require "dewar.origins"
local Scaffold = require "dewar.scaffold"
local views = require "dewar.views"

local OPTIONS = { "field", "headers", "exempt", "trusted_origins" }

local SAFE = { GET = true, HEAD = true, OPTIONS = true, TRACE = true }

local FORMS = { ["application/x-www-form-urlencoded"] = true, ["multipart/form-data"] = true }

local MESSAGES = {
  missing = "The CSRF token is missing.",
  session = "The session has no CSRF token; load the page again.",
  mismatch = "The CSRF token doesn't match; load the page again.",
  origin = "The request comes from a page of another site.",
  referer = "The request doesn't say which page it comes from.",
}

local function refuse(reason)
  error(csrf.CSRFError(MESSAGES[reason], { reason = reason }), 0)
end

-- --- Exemptions -----------------------------------------------------------------------

local function is_blueprint(value)
  return type(value) == "table" and type(value._register) == "function"
end

--- A function(req) that says whether the request is exempt.
local function exemption(exempt)
  if exempt == nil then return function() return false end end
  if type(exempt) ~= "table" or is_blueprint(exempt) or getmetatable(exempt) then exempt = { exempt } end
  local names, blueprints, asked = {}, {}, {}
  for i, item in ipairs(exempt) do
    if type(item) == "string" then
      names[item] = true
    elseif is_blueprint(item) then
      blueprints[item] = true
    else
      Scaffold._check_callable("csrf", ("exempt[%d], where it is no endpoint and no blueprint,"):format(i), item, 3)
      asked[#asked + 1] = item
    end
  end
  --- A blueprint and all that are nested in it.
  local function within(req)
    local name = req.blueprint
    while name do
      if names[name .. ".*"] or blueprints[req.app.blueprints[name]] then return true end
      name = name:match "^(.*)%.[^.]*$"
    end
    return false
  end
  return function(req)
    if names[req.endpoint] or within(req) then return true end
    for _, f in ipairs(asked) do
      if views.ensure_sync(req.app, f)(req) then return true end
    end
    return false
  end
end

-- --- The check ------------------------------------------------------------------------

--- On https the page must be one of this host: a token could have been planted
--- from http or from a subdomain.
local function check_origin(req, trusted)
  if req.scheme ~= "https" then return end
  local own = ("https://" .. req.host):lower():gsub(":443$", "")
  local from, reason = req.headers.Origin, "origin"
  if not from then
    from, reason = origins.of(req.headers.Referer or ""), "referer"
  end
  if not from then refuse(reason) end
  if from:lower():gsub(":443$", "") ~= own and not trusted(from) then refuse "origin" end
end

local function token_of(req, settings)
  for _, header in ipairs(settings.headers) do
    local token = req.headers[header]
    if token then return token end
  end
  local kind = (req.content_type or ""):match "^%s*([^;%s]*)"
  if FORMS[kind:lower()] then return req.form[settings.field] end
end

local function read_options(opts)
  opts = options.check("csrf", opts, OPTIONS, 3)
  options.check_type("csrf", opts, "field", "string", 3)
  local headers = opts.headers or { "X-CSRF-Token", "X-CSRFToken" }
  if type(headers) == "string" then headers = { headers } end
  if type(headers) ~= "table" then
    error("csrf: the option 'headers' is a list of strings; got a " .. type(headers), 3)
  end
  for _, header in ipairs(headers) do options.check_header_name("csrf", header, 3) end
  return {
    field = opts.field or "csrf_token",
    headers = headers,
    trusted = opts.trusted_origins and origins.matcher("csrf", opts.trusted_origins, 3)
      or function() return false end,
  }
end

---@class dewar.CsrfOptions
---@field field? string of forms; "csrf_token"
---@field headers? string[] default X-CSRF-Token and X-CSRFToken
---@field exempt? (string|dewar.Blueprint|fun(req: dewar.Request): any)[] endpoints, rules, "blueprint.*"...
---@field trusted_origins? string|string[] other sites whose pages may send here

--- Checks a token with each POST, PUT, PATCH and DELETE, before the hooks that
--- are registered later.
---@param opts? dewar.CsrfOptions
---@return dewar.Middleware
return function(opts)
  local settings = read_options(opts)
  local is_exempt = exemption(opts and opts.exempt)
  local function check(req)
    if SAFE[req.method] or not req.endpoint or req.app.config.CSRF_ENABLED == false then return end
    if is_exempt(req) then return end
    check_origin(req, settings.trusted)
    local fault = csrf.fault(req.session, token_of(req, settings))
    if fault then refuse(fault) end
  end
  return {
    name = "csrf",
    setup = function(app)
      app._csrf = settings
      app:before_request(check)
      app:template_global("csrf_token", csrf.token)
      app:template_global("csrf_field", csrf.field)
    end,
  }
end
