---@meta dewar.template
-- What templates need of C (bindings/escape.c).

---@class dewar
local dewar = {}

---A value as text for HTML, between tags or in quoted attributes: `& < > " '` are
---escaped. nil is nothing; a value whose metatable has `__html`, such as a
---`dewar.markup`, is what that returns, as it is.
---@param value any
---@return string
---@nodiscard
function dewar.escape(value) end

return dewar
