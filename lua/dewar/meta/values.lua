---@meta dewar.values
-- Names with values, several to a name: index for one, call for all, pairs for
-- everything (bindings/values.c, bindings/headers.c).

---What came with a request: `args`, `form` and `cookies`. It can't be changed
---and outlives the request.
---
---    req.args.tag           -- the first value, or nil
---    req.args("tag")        -- a list of all of them, which may be empty
---    for name, value in pairs(req.args) do ... end
---    #req.args              -- how many there are in all
---@class dewar.Values
---@field [string] string?
---@overload fun(name: string): string[]
---@operator len: integer
local Values = {}

---The files of a form, as `dewar.Values` with files for values.
---@class dewar.Files
---@field [string] dewar.File?
---@overload fun(name: string): dewar.File[]
---@operator len: integer
local Files = {}

---The headers of a request, as `dewar.Values` whose names ignore case and where
---`_` reads as `-`: `req.headers.user_agent`. The index joins the lines of a
---header with ", " (of Cookie with "; "; of Set-Cookie it is the first line).
---@class dewar.RequestHeaders: dewar.Values
local RequestHeaders = {}

---The headers of a response, read like those of a request, and written:
---
---    res.headers["X-A"] = "b"               -- instead of what there was
---    res.headers.retry_after = 10           -- Retry-After: 10
---    res.headers["Link"] = { "</a>", "</b>" }  -- two lines
---    res.headers["X-A"] = nil               -- removes all lines
---
---What can't be sent, such as a line feed in a value, raises at the assignment.
---A loop with `pairs` may change them.
---@class dewar.Headers
---@field [string] string|number|(string|number)[]|nil
---@overload fun(name: string): string[]
---@operator len: integer
local Headers = {}

---Headers as they are given to `dewar.response`, returned by a view or passed
---to `abort`: `{ name = value }`, a list of `{ name, value }`, or a response's.
---A list as a value repeats the header. They replace those of the same name.
---@alias dewar.HeadersLike table<string, string|number|(string|number)[]>|{ [1]: string, [2]: string|number|(string|number)[] }[]|dewar.Headers
