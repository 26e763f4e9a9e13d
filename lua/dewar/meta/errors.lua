---@meta dewar.errors
-- Error classes and objects (bindings/errors.c, bindings/abort.c). Each class
-- is a table, the metatable and __index of its objects.

---An error object.
---@class dewar.Error
---@field message string what happened; the class's where none was given
---@field name string the name of its class
---@field status integer? 400 to 599: makes it an HTTP error
---@field code string? of a failure of I/O: "ECONNREFUSED"
---@field headers dewar.HeadersLike? what `abort` was given, sent with the answer
---@field original any of an InternalServerError: the error that nobody handled
---@field [string] any the fields that it was made with
local error_object = {}

---A class of errors. Calling it makes an object, to be raised with `error`:
---
---    local PaymentError = dewar.Error:extend("PaymentError", { status = 402 })
---    error(PaymentError("no funds", { account = 7 }))
---
---Methods may be added to the table, and subclasses have them, too.
---Metamethods, `__tostring` among them, must be there before `extend`.
---@class dewar.ErrorClass
---@field name string
---@field status integer? what its objects' status is by default
---@field message string what its objects' message is by default
---@field [string] any defaults of its objects' fields, and methods
---@overload fun(message?: string, fields?: table<string, any>): dewar.Error
local ErrorClass = {}

---Makes a subclass. Fields are defaults for its objects; a `status` makes them
---HTTP errors, whatever the class extends.
---@param name string not empty; `tostring` of its objects starts with it
---@param fields table<string, any>? `status` from 400 to 599, `message` a string, others free
---@return dewar.ErrorClass
function ErrorClass:extend(name, fields) end

---Whether a value is an object of this class or of a subclass. As for
---`errorhandler`, whatever has a status is an HTTPError, and one of
---`dewar.errors[status]`.
---@param value any
---@return boolean
function ErrorClass:is(value) end

---@class dewar
local dewar = {}

---The base of all errors but Cancelled. As a handler's class it stands for
---everything that can be raised, plain Lua errors included.
---@type dewar.ErrorClass
dewar.Error = nil

---The base of `dewar.errors`. Whatever has a status counts as one.
---@type dewar.ErrorClass
dewar.HTTPError = nil

---Raised where time runs out.
---@type dewar.ErrorClass
dewar.TimeoutError = nil

---Raised in code that has run for longer than config.CPU_LIMIT without a wait.
---@type dewar.ErrorClass
dewar.CPULimitError = nil

---Raised at the wait of a task that is cancelled. It is no dewar.Error, no
---error handler sees it, and it can't be extended.
---@class dewar.CancelledClass
---@field name string
---@overload fun(message?: string, fields?: table<string, any>): dewar.Error
dewar.Cancelled = {}

---Whether a value is a Cancelled; also `dewar.is_cancelled(value)`.
---@param value any
---@return boolean
function dewar.Cancelled:is(value) end

---The class of every registered 4xx and 5xx status: `dewar.errors[404]` is
---NotFound. nil for others; `pairs` goes through them in order.
---@type table<integer, dewar.ErrorClass>
dewar.errors = nil

---Ends the request with an error: raises `dewar.errors[status]`, or a response
---as it is. A status without a class is misuse: raise a response then.
---@param status integer
---@param description string? for the visitor
---@param headers dewar.HeadersLike? sent with the answer
---@overload fun(status: integer, headers: dewar.HeadersLike)
---@overload fun(response: dewar.Response)
function dewar.abort(status, description, headers) end

---Whether a value that was caught is a cancellation, which should be raised
---again after cleaning up.
---@param value any
---@return boolean
function dewar.is_cancelled(value) end

return dewar
