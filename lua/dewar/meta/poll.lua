---@meta dewar.poll
-- Waiting for file descriptors of other libraries (bindings/poll.c).

---@class dewar
local dewar = {}

---Waits until a file descriptor can be read or written without blocking, so
---that a library with a loop of its own goes along with Dewar's: wait for what
---it waits for, then let it take a step. One wait at a time for a descriptor,
---which must stay open meanwhile. Raises dewar.TimeoutError when time runs out.
---@param fd integer
---@param what "r"|"w"|"rw" what it is to be ready for
---@param seconds? number
---@return "r"|"w"|"rw" ready what it is ready for
function dewar.poll(fd, what, seconds) end

return dewar
