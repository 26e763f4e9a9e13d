-- A stock Lua that has only what is installed: stock.lua LMOD CMOD
local lmod, cmod = arg[1], arg[2]
package.path = ("%s/?.lua;%s/?/init.lua"):format(lmod, lmod)
package.cpath = cmod .. "/?.so"

local dewar = require "dewar"
local core = package.searchpath("dewar.core", package.cpath)
assert(core == cmod .. "/dewar/core.so", core)

local app = dewar.app()
app:get("/<name>", function(_, name) return "Hello, " .. name end)
local client <close> = app:test_client()
local res = client:get("/Ada")
assert(res.status == 200 and res.body == "Hello, Ada", res.body)
print(res.body)
