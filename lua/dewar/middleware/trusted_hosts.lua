--- Hosts that the app goes by; requests for others are refused. Who can make an
--- app believe in another host can make it write links to there.

local core = require "dewar.core"
local options = require "dewar.options"

--- Sets config.TRUSTED_HOSTS, and looks already where the middleware stands.
---@param hosts string[] "example.com"; ".example.com" is that and all below it
---@return dewar.Middleware
return function(hosts)
  if type(hosts) ~= "table" or #hosts == 0 then
    error("trusted_hosts takes a list of hosts such as { \"example.com\", \".example.org\" }", 2)
  end
  return {
    name = "trusted_hosts",
    setup = function(app)
      options.call(3, function() app.config.TRUSTED_HOSTS = hosts end)
    end,
    request = function(req)
      if not req.app._core:trusts(req) then core.abort(400, "This host is none of ours.") end
    end,
  }
end
