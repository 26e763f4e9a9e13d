--- luv on Dewar's loop: `local uv = require "dewar.luv"`. Its timers, sockets,
--- files and processes run beside requests; docs/loops.md. When Dewar has been
--- loaded first, `require "luv"` gives the same.

local core = require "dewar.core"

local opened = core.luv_open()
if opened then return opened end

if package.loaded.luv ~= nil then
  error("luv was loaded before Dewar, and has a loop of its own that nobody turns: "
    .. "require \"dewar\" first", 0)
end

local path, tried = package.searchpath("luv", package.cpath)
if not path then
  error("dewar.luv needs luv, which isn't here (Debian: lua-luv):" .. tried, 0)
end

local function symbol(name)
  local fn, why = package.loadlib(path, name)
  if not fn then error(("dewar.luv can't use %s: %s"):format(path, why), 0) end
  return fn
end

-- The last two are no functions for Lua: C takes them out again.
local uv = core.luv_open(symbol "luaopen_luv", symbol "luv_set_loop", symbol "luv_set_callback")

package.loaded.luv = uv
return uv
