---@meta dewar.json
-- JSON, straight between Lua values and text (bindings/json.c).

---JSON's null, a value of its own since nil can't stand in a table. It is equal
---only to itself, true in a condition, and reads "null".
---@class dewar.null

---A table that is written as `[...]`, whatever is in it: made by `dewar.array`,
---or decoded from one.
---@class dewar.Array<T>: { [integer]: T }

---`dewar.json`. Integers stay integers and floats floats, arrays stay arrays:
---what was encoded decodes to the same.
---
---    dewar.json.encode { id = 7, tags = dewar.array {} }   -- {"id":7,"tags":[]}
---    dewar.json.decode('{"ok":null}').ok == dewar.null     -- true
---@class dewar.json
local json = {}

---@class dewar.JsonEncodeOptions
---@field empty_table? "object"|"array" what an unmarked empty table is: "object" by default
---@field indent? integer 1 to 8: spaces per level, and a line for each value; 0, the default: compact
---@field max_depth? integer 1 to 1000 tables within each other, 200 by default

---@class dewar.JsonDecodeOptions
---@field max_depth? integer 1 to 1000 arrays and objects within each other, 200 by default

---Writes a value as JSON, with sorted keys.
---
---A table with the keys 1 to n is an array, one with strings as keys an object,
---an empty one an object unless it is marked as an array. Of its metatable only
---`__tojson(value)` counts, which userdata may have as well: what that returns
---is written instead. It can't wait.
---
---Raises, and names the key (`user.tags[3]`), where keys are mixed, numbers have
---gaps, or there is a value that JSON doesn't have: nil, NaN and infinities,
---functions, strings that aren't UTF-8, tables within themselves.
---@param value any
---@param options? dewar.JsonEncodeOptions
---@return string
function json.encode(value, options) end

---Reads JSON by the letter of RFC 8259: nothing before or after it but white
---space, no commas too many, no comments, no byte order mark, valid UTF-8 only.
---
---Numbers without a fraction and an exponent are integers, or floats if they
---don't fit into 64 bits. null is `dewar.null`. Of equal keys the last counts.
---
---Raises, and says where, if the text is anything else: `invalid JSON at line 1,
---column 8 (byte 8): expected ',' or '}', found 'x'`.
---@param text string
---@param options? dewar.JsonDecodeOptions
---@return any
function json.decode(text, options) end

---Marks a table as an array and returns it; without an argument, a new one. A
---table that has a metatable of another kind can't be marked.
---@generic T
---@param list? T[]
---@return dewar.Array<T>
function json.array(list) end

---Tells if a value is a table that is marked as an array.
---@param value any
---@return boolean
function json.is_array(value) end

---@type dewar.null
json.null = nil

return json
