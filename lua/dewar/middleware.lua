--- Ready middleware for `app:use`. Each lies in a file of its own, which is read
--- when it is first asked for.

local options = require "dewar.options"

---@class dewar.middleware
---@field cors fun(opts: dewar.CorsOptions): dewar.Middleware
---@field csrf fun(opts: dewar.CsrfOptions?): dewar.Middleware
---@field method_override fun(opts: dewar.MethodOverrideOptions?): dewar.Middleware
---@field proxy_fix fun(opts: dewar.ProxyFixOptions?): dewar.Middleware
---@field rate_limit fun(opts: dewar.RateLimitOptions): dewar.Middleware
---@field request_id fun(opts: dewar.RequestIdOptions?): dewar.Middleware
---@field security_headers fun(opts: dewar.SecurityHeadersOptions?): dewar.Middleware
---@field trusted_hosts fun(hosts: string[]): dewar.Middleware
local M = {}

local NAMES = {
  "cors", "csrf", "method_override", "proxy_fix", "rate_limit", "request_id", "security_headers", "trusted_hosts",
}

local known = {}
for _, name in ipairs(NAMES) do known[name] = true end

return setmetatable(M, {
  __index = function(_, name)
    if not known[name] then
      local near = type(name) == "string" and options.nearest(name, NAMES)
      error(("there is no middleware '%s'%s"):format(tostring(name),
        near and "; did you mean '" .. near .. "'?" or "; there are: " .. table.concat(NAMES, ", ")), 2)
    end
    local make = require("dewar.middleware." .. name)
    M[name] = make
    return make
  end,
  __pairs = function(self)
    local i = 0
    return function()
      i = i + 1
      return NAMES[i], NAMES[i] and self[NAMES[i]]
    end
  end,
})
