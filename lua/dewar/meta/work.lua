---@meta dewar.work
-- Lua on threads of its own (bindings/work.c).

---@class dewar
local dewar = {}

--- Calls a function on another thread, in a Lua state of its own, and waits for
--- its results. It takes its upvalues along; what can travel is in docs/work.md.
---
---     local count = dewar.work(function(limit) return count_primes(limit) end, 1000000)
---
---@async
---@param fn function
---@param ... nil|boolean|number|string|table
---@return any ...
function dewar.work(fn, ...) end

return dewar
