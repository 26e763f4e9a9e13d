---@meta dewar.scaffold
-- What an app and a blueprint have in common and scaffold.lua makes in loops:
-- routes of one method, hooks. Those of blueprints for the whole app.

---@alias dewar.AnyView function | table | userdata a function, or what can be called like one
---@alias dewar.Handler function | table | userdata

---@class dewar.Scaffold
local Scaffold = {}

---Adds a route for GET, which answers HEAD, too.
---@param rule string
---@param options dewar.RouteOptions
---@param view dewar.AnyView view(req, ...) with the rule's values
---@return dewar.AnyView view
---@overload fun(self, rule: string, view: dewar.AnyView): dewar.AnyView
function Scaffold:get(rule, options, view) end

---Adds a route for POST.
---@param rule string
---@param options dewar.RouteOptions
---@param view dewar.AnyView
---@return dewar.AnyView view
---@overload fun(self, rule: string, view: dewar.AnyView): dewar.AnyView
function Scaffold:post(rule, options, view) end

---Adds a route for PUT.
---@param rule string
---@param options dewar.RouteOptions
---@param view dewar.AnyView
---@return dewar.AnyView view
---@overload fun(self, rule: string, view: dewar.AnyView): dewar.AnyView
function Scaffold:put(rule, options, view) end

---Adds a route for PATCH.
---@param rule string
---@param options dewar.RouteOptions
---@param view dewar.AnyView
---@return dewar.AnyView view
---@overload fun(self, rule: string, view: dewar.AnyView): dewar.AnyView
function Scaffold:patch(rule, options, view) end

---Adds a route for DELETE.
---@param rule string
---@param options dewar.RouteOptions
---@param view dewar.AnyView
---@return dewar.AnyView view
---@overload fun(self, rule: string, view: dewar.AnyView): dewar.AnyView
function Scaffold:delete(rule, options, view) end

---Before the view: f(req). A result that isn't nil is the answer.
---@param f dewar.Handler
---@return dewar.Handler f
function Scaffold:before_request(f) end

---After it: f(req, res) returns the response from here on.
---@param f dewar.Handler
---@return dewar.Handler f
function Scaffold:after_request(f) end

---When all is over: f(req, err), with the error that nobody handled, or nil.
---@param f dewar.Handler
---@return dewar.Handler f
function Scaffold:teardown_request(f) end

---Before the before_request hooks: f(req, endpoint, values), which may change the
---values.
---@param f dewar.Handler
---@return dewar.Handler f
function Scaffold:url_value_preprocessor(f) end

---When a URL is built: f(endpoint, values), which may add values.
---@param f dewar.Handler
---@return dewar.Handler f
function Scaffold:url_defaults(f) end

---What templates find beside the values that they are given: f(req) returns a
---table. A blueprint's is for the templates that its own requests render. Outside
---of a request req is nil.
---@param f dewar.Handler
---@return dewar.Handler f
function Scaffold:context_processor(f) end

---@class dewar.App
local App = {}

---Before serving is announced: f(), which may wait. An error ends the start, with
---its traceback.
---@param f dewar.Handler
---@return dewar.Handler f
function App:before_serving(f) end

---Around all of serving: f(serve) calls serve() once, which returns when the app
---has been stopped and its requests and background tasks are over.
---@param f dewar.Handler
---@return dewar.Handler f
function App:while_serving(f) end

---After it: f(), which may wait, for config.SHUTDOWN_TIMEOUT at most.
---@param f dewar.Handler
---@return dewar.Handler f
function App:after_serving(f) end

---@class dewar.Blueprint
local Blueprint = {}

---before_serving of the app.
---@param f dewar.Handler
---@return dewar.Handler f
function Blueprint:before_app_serving(f) end

---while_serving of the app.
---@param f dewar.Handler
---@return dewar.Handler f
function Blueprint:while_app_serving(f) end

---after_serving of the app.
---@param f dewar.Handler
---@return dewar.Handler f
function Blueprint:after_app_serving(f) end

---before_request of the whole app.
---@param f dewar.Handler
---@return dewar.Handler f
function Blueprint:before_app_request(f) end

---after_request of the whole app.
---@param f dewar.Handler
---@return dewar.Handler f
function Blueprint:after_app_request(f) end

---context_processor of the whole app.
---@param f dewar.Handler
---@return dewar.Handler f
function Blueprint:app_context_processor(f) end

---teardown_request of the whole app.
---@param f dewar.Handler
---@return dewar.Handler f
function Blueprint:teardown_app_request(f) end

return Scaffold
