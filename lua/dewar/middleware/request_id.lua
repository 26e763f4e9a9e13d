--- A name for each request, in the response, in the log, and from the proxy if
--- that has given one.

local options = require "dewar.options"
local Scaffold = require "dewar.scaffold"
local views = require "dewar.views"

local OPTIONS = { "header", "trust" }

--- What may be taken over: it will stand in logs.
local function is_plain(id)
  return #id <= 128 and id:find "^[%w._:/+=@-]+$" ~= nil
end

---@class dewar.RequestIdOptions
---@field header? string default "X-Request-ID"
---@field trust? boolean|fun(req: dewar.Request): any take over the id that came with the request

--- Gives `req.id` to the log and to the client.
---@param opts? dewar.RequestIdOptions
---@return dewar.Middleware
return function(opts)
  opts = options.check("request_id", opts, OPTIONS, 2)
  options.check_type("request_id", opts, "header", "string", 2)
  local header, trust = opts.header or "X-Request-ID", opts.trust
  options.check_header_name("request_id", header, 2)
  if trust ~= nil and type(trust) ~= "boolean" then
    Scaffold._check_callable("request_id", "the option 'trust'", trust, 2)
  end
  local function trusts(req)
    if type(trust) == "boolean" or trust == nil then return trust end
    return views.ensure_sync(req.app, trust)(req)
  end
  return {
    name = "request_id",
    request = function(req)
      local given = req.headers[header]
      if not (given and is_plain(given) and trusts(req)) then given = req.id end
      req.id = given
    end,
    response = function(req, res) res.headers[header] = req.id end,
  }
end
