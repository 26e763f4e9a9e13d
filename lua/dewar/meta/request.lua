---@meta dewar.request
-- The request (bindings/request.c, request_fields.c, body.c), and what stands
-- for that of the running task (bindings/context.c).

---A request. It is good until its teardown is over: copy what should outlive it.
---Only its limits can be set; `g` is for values of your own. The `request`
---function of a middleware can also set `method`, `host`, `scheme`,
---`path`, `raw_path`, `script_root`, `remote_addr` and `id`.
---@class dewar.Request
---@field method string "GET"
---Decoded, but for %2F and %25, and without the query.
---@field path string
---@field raw_path string as it was sent
---What URLs have before the path, where a proxy or a mount took it away: "/app".
---@field script_root string
---@field url string whole, with scheme, host and query
---@field base_url string the same without the query
---@field host string with the port, where one was sent
---@field scheme string "http"
---@field query_string string as it was sent; "" without one
---@field args dewar.Values what the query holds
---The fields of a form. Waits for it; empty where the body is none.
---@field form dewar.Values
---The files of a form, in the same way.
---@field files dewar.Files
---@field headers dewar.RequestHeaders
---@field cookies dewar.Values
---@field remote_addr string? of the client; nil over a unix socket
---@field content_type string? with its parameters
---@field content_length integer? nil where none was sent
---@field user_agent string?
---@field trailers dewar.RequestHeaders what came behind a body in chunks, once that was read
---@field last_event_id string? of the last event that an EventSource had before it came again
---What the Authorization header says: `type` in lower case, then `username` and
---`password` of Basic, or the `token` of any other; nil without one that makes sense.
---@field authorization { type: string, username: string?, password: string?, token: string? }?
---@field accept_mimetypes dewar.Accept
---@field accept_languages dewar.Accept
---@field accept_encodings dewar.Accept
---@field accept_charsets dewar.Accept
---@field if_match dewar.ETags what the client has, of which it wants to change it
---@field if_none_match dewar.ETags what the client has already
---@field if_modified_since integer? seconds since 1970
---@field if_unmodified_since integer?
---What a range must still be a part of: a tag, or a date in seconds.
---@field if_range { etag: string?, weak: boolean?, date: integer? }?
---@field range dewar.Range? the parts that are wanted; nil where that can't be read
---@field cache_control dewar.CacheControl read only
---@field values dewar.Values what the query and the form hold, the query first; waits for the body
---@field mimetype string the content type without its parameters, in lower case; "" without one
---@field mimetype_params table<string, string> its parameters, by name in lower case
---@field is_json boolean whether the content type is JSON or a format upon it
---@field is_secure boolean whether it came over TLS
---@field full_path string `raw_path`, and the query where there is one
---@field host_url string "http://localhost:5000/"
---@field root_url string the same, and where the app is below it (`script_root`)
---@field url_root string the same as `root_url`
---Whom it passed: X-Forwarded-For as it was sent, which anybody can do, else
---`remote_addr` alone.
---@field access_route string[]
---@field blueprints string[] the name of the route's blueprint, then those around it
---@field referrer string? what Referer says
---@field origin string?
---@field pragma string?
---@field date integer? seconds since 1970
---@field content_encoding string?
---@field max_forwards integer?
---@field access_control_request_method string?
---@field access_control_request_headers string[]?
---@field id string 32 random hexadecimal digits, the same for as long as the request lives
---@field endpoint string? of the route; its rule where it has no name; nil where none matched
---@field view_args table<string, any>? what the rule's variables are, by name
---@field url_rule string? the rule that matched
---@field blueprint string? the name of the route's blueprint, with those around it
---@field app dewar.App
---@field g table the request's own drawer
---@field session table what follows the browser from request to request; see docs/sessions.md
---In an error handler: where the error came from, whatever value was raised.
---@field traceback string?
---Bytes that the body may have, nil for any number. Set it before the body is
---read.
---@field max_content_length integer?
---Bytes that the fields of its form may have in all, and how many parts it may
---have; nil for any number. Set them before the form is read.
---@field max_form_memory_size integer?
---@field max_form_parts integer?
local Request = {}

---Entity tags, as they were sent: `"abc"`, `W/"abc"`. `res:make_conditional` looks
---at them by itself; a view that changes something asks `contains`.
---@class dewar.ETags
---@field present boolean whether there was such a header
---@field star boolean whether it is `*`, which has every tag
---@field [integer] string
local ETags = {}

---Whether the set has the tag: `abc`, `"abc"` or `W/"abc"`. Weak ones don't count.
---@param tag string
---@return boolean
function ETags:contains(tag) end

---The same, weak ones counted.
---@param tag string
---@return boolean
function ETags:contains_weak(tag) end

---The parts of something that are wanted; positions count from 0.
---@class dewar.Range
---@field units string "bytes"
---@field text string as it was sent
---@field ranges { first: integer?, last: integer?, suffix: integer? }[]
local Range = {}

---The first and the last position that are wanted of so many bytes; nil and
---"whole" where all of them are to be sent, nil and "unsatisfiable" for a 416.
---@param length integer
---@return integer? first, integer|string last
function Range:for_length(length) end

---The whole body. Waits for it, and raises a 413 where it is too large.
---@return string
function Request:body() end

---The same as text, or a 400 where it isn't UTF-8.
---@return string
function Request:text() end

---@class dewar.RequestJsonOptions
---@field force? boolean whatever the content type says
---@field silent? boolean nil in place of an error

---The body as JSON: a 415 where the content type is another one, a 400 where the
---text is none.
---@param options? dewar.RequestJsonOptions
---@return any
function Request:json(options) end

---The body piece by piece: an iterator that waits for the network. Pieces are as
---they come, or of just `size` bytes each, but for the last.
---@param size? integer
---@return fun(): string?
function Request:chunks(size) end

---A form of multipart/form-data part by part, as it comes, without keeping any
---of it: an iterator that waits for the network. What wasn't read of a part is
---skipped when the next one is asked for. Raises a 415 for another content type.
---@return fun(): dewar.Part?
function Request:parts() end

---What a header such as Accept says. The closest range decides: of
---`text/*;q=0.5, text/html` "text/html" gets 1. Without the header everything is
---acceptable (of encodings, only identity is).
---
---    req.accept_mimetypes:best { "application/json", "text/html" }
---    for value, quality in pairs(req.accept_languages) do ... end
---    #req.accept_encodings  -- how many were named
---@class dewar.Accept
---@field accept_html boolean of accept_mimetypes: contains("text/html")
---@field accept_json boolean of accept_mimetypes: contains("application/json")
---@field accept_xhtml boolean of accept_mimetypes
local Accept = {}

---The one of the values that the client likes best; of several, the first one;
---nil, or the default, where none of them is acceptable. Where the client has
---asked for nothing, the default or the first. Without values: what the client
---named as its favourite, a wildcard perhaps.
---@param values? { [integer]: string, default: any }
---@return any
function Accept:best(values) end

---From 0, which is not acceptable, to 1.
---@param value string
---@return number
function Accept:quality(value) end

---Whether it is acceptable.
---@param value string
---@return boolean
function Accept:contains(value) end

---What was named, in order of preference, without the weights.
---@return string[]
function Accept:values() end

---Cache-Control as fields, in step with the header: the number of seconds, true or
---false, or the names of headers. A name of a field is the directive's, with "_"
---for "-"; a typing error is an error that names the nearest one.
---
---    res.cache_control.max_age = 60
---    res.cache_control = { public = true, max_age = 60 }
---    for name, value in pairs(req.cache_control) do ... end
---@class dewar.CacheControl
---@field max_age integer?
---@field s_maxage integer? of a response
---@field stale_while_revalidate integer? of a response
---@field stale_if_error integer?
---@field no_cache boolean | string
---@field private boolean | string of a response
---@field public boolean of a response
---@field no_store boolean
---@field no_transform boolean
---@field must_revalidate boolean of a response
---@field proxy_revalidate boolean of a response
---@field must_understand boolean of a response
---@field immutable boolean of a response
---@field max_stale integer | true | nil of a request
---@field min_fresh integer? of a request
---@field only_if_cached boolean of a request
local CacheControl = {}

---The value of a directive, whatever its name is.
---@param name string
---@return string | integer | boolean | nil
function CacheControl:get(name) end

---Sets a directive of any name; nil and false remove it.
---@param name string
---@param value string | integer | boolean | nil
function CacheControl:set(name, value) end

---@class dewar
local dewar = {}

---The request of the running task, wherever it is asked for: it may be kept in a
---local of a file. Calling it gives the request itself, or nil where there is none.
---@type dewar.Request | fun(): dewar.Request?
dewar.request = nil

---The drawer of that request, in the same way.
---@type table
dewar.g = nil

---The session of that request, in the same way. `pairs` and `#` work; `dewar.session()`
---is the table itself.
---@type table | fun(): table?
dewar.session = nil

---The app of the running task, in the same way.
---@type dewar.App | fun(): dewar.App?
dewar.current_app = nil

---Runs f(req, res) on the response of the current request.
---@param f fun(req: dewar.Request, res: dewar.Response): any
function dewar.after_this_request(f) end

return dewar
