---@meta dewar.response
-- Responses and what bodies are made of (bindings/response.c,
-- response_cookie.c, stream.c).

---A response. All of its fields can be set; what can't be sent raises there.
---@class dewar.Response
---@field status integer
---Assigning a table replaces all of them.
---@field headers dewar.Headers
---@field body string | function | table | userdata a string, a file, or what is streamed
---@field last_modified integer? seconds since 1970; nil for none
---@field expires integer? likewise
---@field mimetype string without parameters; set, text gets charset=utf-8
---Whether the body is compressed for who can decode it: false never, true
---whatever its type and size, nil as the app's configuration says.
---@field compress boolean?
---Can be set to a table such as `{ max_age = 60 }`, a string or nil.
---@field cache_control dewar.CacheControl
---These three can be set to a list, a string or nil.
---@field vary dewar.HeaderSet
---@field allow dewar.HeaderSet
---@field content_language dewar.HeaderSet
---@field location string?
---@field content_type string? with its parameters
---@field content_encoding string?
---@field content_length integer? of a stream whose length is known; others need none
---@field age integer? seconds
---@field retry_after integer | string | nil seconds, or a date
---@field mimetype_params table<string, string> read only
---@field is_json boolean read only
---A string, `{ type = "basic", realm = "staff" }`, or a list of such; reads as the
---text that is sent.
---@field www_authenticate any
local Response = {}

---@class dewar.CookieOptions
---@field max_age? number seconds
---@field expires? number seconds since 1970
---@field path? string "/" by default; false for none
---@field domain? string
---@field secure? boolean
---@field httponly? boolean
---@field samesite? "Strict"|"Lax"|"None"
---@field partitioned? boolean

---Adds a Set-Cookie.
---@param name string
---@param value string | number
---@param options? dewar.CookieOptions
function Response:set_cookie(name, value, options) end

---Tells the client to drop a cookie: path and domain must be those it has.
---@param name string
---@param options? dewar.CookieOptions
function Response:delete_cookie(name, options) end

---Adds an ETag that is made of the body, which is bytes or a file.
---@param overwrite? boolean also where there is one; default false
---@param weak? boolean
function Response:add_etag(overwrite, weak) end

---Sets the ETag.
---@param tag string without quotes
---@param weak? boolean
function Response:set_etag(tag, weak) end

---The ETag without its quotes, and whether it is weak; or nil.
---@return string? tag, boolean? weak
function Response:get_etag() end

---@class dewar.ConditionalOptions
---@field accept_ranges? boolean|"bytes" sends parts of the body to who asks for them
---@field complete_length? integer of a streamed body, without which it has no parts

---Makes of it what a GET or HEAD deserves by its ETag and Last-Modified: a 304, a
---412, a part with 206. Raises a 416 where the range lies beyond the end.
---@param req dewar.Request
---@param options? dewar.ConditionalOptions
---@return dewar.Response itself
function Response:make_conditional(req, options) end

---A file that a response sends; what `dewar.send_file` gives has one as its body.
---@class dewar.FileBody
---@field size integer bytes, when it was opened
---@field modified integer seconds since 1970
local FileBody = {}

---Closes it, unless a response still needs it.
function FileBody:close() end
---A header that is a set of words, in step with it. Case is ignored.
---
---    res.vary:add("Accept", "Cookie")
---    for word in pairs(res.vary) do ... end
---    #res.vary, tostring(res.vary)
---@class dewar.HeaderSet
---@operator len: integer
local HeaderSet = {}

---Adds words that aren't there yet.
---@param ... string
function HeaderSet:add(...) end

---Removes words, if they are there.
---@param ... string
function HeaderSet:remove(...) end

---Removes all of them, and so the header.
function HeaderSet:clear() end

---Whether a word is there; "*" stands for all of them.
---@param word string
---@return boolean
function HeaderSet:contains(word) end

---The words, in their order.
---@return string[]
function HeaderSet:values() end

---@class dewar
local dewar = {}

---The media type that a name's suffix stands for, "text/css"; nil if it is unknown.
---@param name string
---@return string?
function dewar.guess_type(name) end

---Makes a response of what a view may return.
---@param body? any "" by default
---@param status? integer 200 by default
---@param headers? dewar.HeadersLike
---@return dewar.Response
function dewar.response(body, status, headers) end

---A response that is a value as JSON, strings and numbers included.
---@param value any
---@return dewar.Response
function dewar.jsonify(value) end

---A body in pieces: fn(write) is called once the head is on its way, and
---write(text) waits while the client doesn't keep up.
---@param fn fun(write: fun(text: string))
---@return table | userdata body for a view to return
function dewar.stream(fn) end

---Marks a table as a JSON array and returns it; `dewar.json.array`.
---@generic T
---@param list? T[]
---@return dewar.Array<T>
function dewar.array(list) end

---JSON's null; `dewar.json.null`.
---@type dewar.null
dewar.null = nil

---@type dewar.json
dewar.json = nil

---The log; see `dewar.Log`.
---@type dewar.Log
dewar.log = nil

---"0.1.0".
---@type string
dewar.version = nil

return dewar
