--- Names and addresses, as the system resolves them, on threads of libuv's pool.

local core = require "dewar.core"
local options = require "dewar.options"

---@class dewar.dns
local dns = {}

---@class dewar.LookupOptions
---@field family? 4|6 only such addresses
---@field all? boolean a list of all of them
---@field timeout? number

--- The address of a name: the first, or with `all` a list of them.
---@param host string
---@param opts? dewar.LookupOptions
---@return string|string[]
function dns.lookup(host, opts)
  if type(host) ~= "string" then error("lookup: a name is a string; got a " .. type(host), 2) end
  opts = options.check("lookup", opts, { "family", "all", "timeout" }, 2)
  if opts.family ~= nil and opts.family ~= 4 and opts.family ~= 6 then
    error("lookup: the option 'family' is 4 or 6; got " .. tostring(opts.family), 2)
  end
  local found = core.net.lookup(host, opts.family, opts.timeout)
  if opts.all then return found end
  return found[1]
end

--- The name of an address.
---@param address string
---@param opts? { timeout?: number }
---@return string
function dns.reverse(address, opts)
  if type(address) ~= "string" then error("reverse: an address is a string; got a " .. type(address), 2) end
  opts = options.check("reverse", opts, { "timeout" }, 2)
  return (core.net.reverse(address, opts.timeout))
end

return dns
