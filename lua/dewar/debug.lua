--- Error pages for developers, in the place of the default ones: only with
--- config.DEBUG does C ask for them (bindings/handler.c). See docs/errors.md.

local core = require "dewar.core"
local html = require "dewar.debug.html"
local mask = require "dewar.debug.mask"
local mount = require "dewar.mount"
local report = require "dewar.debug.report"
local routes = require "dewar.debug.routes"

local M = {}

---@class dewar.debug.Info
---@field status integer
---@field description string
---@field json boolean the client takes nothing else
---@field unhandled boolean nobody has handled an error of this request
---@field no_route boolean
---@field allowed? string methods that the path has routes for

local function headers_of(json, nonce)
  return {
    ["Cache-Control"] = "no-store",
    ["X-Content-Type-Options"] = "nosniff",
    ["X-Frame-Options"] = "DENY",
    ["Referrer-Policy"] = "no-referrer",
    ["Content-Security-Policy"] = json and "default-src 'none'; frame-ancestors 'none'"
      or ("default-src 'none'; style-src 'nonce-%s'; script-src 'nonce-%s'; base-uri 'none'; form-action 'none'; "
        .. "frame-ancestors 'none'"):format(nonce, nonce),
  }
end

--- Text that JSON can have.
local function clean(text)
  return utf8.len(text) and text or (text:gsub("[\x80-\xFF]", "?"))
end

local function failure_json(info, all)
  local errors = {}
  for i, err in ipairs(all.errors) do
    errors[i] = { type = clean(err.kind), message = clean(err.message),
      traceback = err.traceback and clean(err.traceback) or core.null }
  end
  local first = errors[1]
  return core.json.encode {
    error = {
      status = info.status, name = "Internal Server Error", description = info.description,
      type = first.type, message = first.message, traceback = first.traceback,
      earlier = core.array(table.move(errors, 2, #errors, 1, {})), request = clean(all.request),
    },
  } .. "\n"
end

local function failure(app, req, info, made, nonce)
  local all = report.new(app, req, made)
  if #all.errors == 0 then return nil end
  return info.json and failure_json(info, all) or html.failure(all, nonce)
end

local function routing(app, req, info, made, nonce)
  local root = (core.mounted_at(req) or ""):gsub("/$", "")
  local near, all = (info.allowed and routes.fitting or routes.nearest)(mount.rules(app, root), root .. req.path)
  if info.json then
    local rules = {}
    for i, route in ipairs(near) do rules[i] = clean(route.rule) end
    local name = info.allowed and "Method Not Allowed" or "Not Found"
    return core.json.encode { error = { status = info.status, name = name, description = clean(info.description),
      allowed = info.allowed, did_you_mean = not info.allowed and core.array(rules) or nil } } .. "\n"
  end
  local masks = mask.new(app, req, made)
  local target = root .. req.raw_path .. (req.query_string ~= "" and "?" .. req.query_string or "")
  return html.routing({
    status = info.allowed and "405 Method Not Allowed" or "404 Not Found",
    request = req.method .. " " .. masks:url(target),
    message = info.allowed and ("This path takes %s."):format(info.allowed)
      or "No route leads here.",
    near = near, all = all, allowed = info.allowed,
  }, nonce)
end

--- The page for what the request has come to, and its headers; nil: the default
--- one will do.
---@param app dewar.App
---@param req dewar.Request
---@param info dewar.debug.Info
---@param made table what of the request has been made, by name
---@return string? body, table? headers
function M.page(app, req, info, made)
  local nonce = core.crypto.base64url_encode(core.crypto.random(16))
  local body
  if info.unhandled then
    body = failure(app, req, info, made, nonce)
  elseif info.status == 404 and info.no_route or info.status == 405 and info.allowed then
    body = routing(app, req, info, made, nonce)
  end
  if body then return body, headers_of(info.json, nonce) end
end

return M
