---@meta dewar.callback
-- Waiting for functions of other libraries, which call back (bindings/callback.c).

---@class dewar
local dewar = {}

---@class dewar.CallbackOptions
---@field timeout? number seconds, after which dewar.TimeoutError is raised
---@field cancel? function ends what was begun: called where the wait ends otherwise than by the callback
---@field error_first? boolean the callback's first value is an error to be raised, or nil

---Calls start(done), waits until done is called, and returns what it was called
---with. done may be called at once, later, and from anywhere: from a callback of
---the loop, or from another task. Only its first call counts, and returns true.
---The wait fails if nobody is left who could call it. With `error_first`, a text
---that begins with a code (`"ENOENT: ..."`) becomes a dewar.Error with that code.
---@async
---@param start fun(done: fun(...: any): boolean)
---@param options? dewar.CallbackOptions
---@return any ...
function dewar.await_callback(start, options) end

return dewar
