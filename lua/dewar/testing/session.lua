--- client:session: the session is opened and saved by a real request, to an app
--- that stands in for the client's. It is that app in all but its core, which has
--- no routes, hooks or middleware that could mind.

local core = require "dewar.core"
local sessions = require "dewar.session"

local M = {}

--- Where a request must go to be sent the session's cookie.
---@param app dewar.App
---@return string
function M.path(app)
  return app.config.SESSION_COOKIE_PATH or app.config.APPLICATION_ROOT or "/"
end

--- The app's own interface, which gets the app that it knows.
local function interface_for(app)
  local interface = app.session_interface
  return {
    open = function(_, req) return app:ensure_sync(interface.open)(app, req) end,
    save = function(_, req, session, res)
      return app:ensure_sync(interface.save)(app, req, session, res)
    end,
  }
end

local function same_settings(from, to)
  for key, value in pairs(from.config) do to:configure(key, value) end
  to:configure("ACCESS_LOG", false)
  to:configure("PROPAGATE_EXCEPTIONS", true) -- an error of f is the spec's
end

--- An app that answers every request by calling f with its session, and the table
--- that gets what f returns.
---@param app dewar.App
---@param f fun(session: any): any
---@return dewar.App
---@return table
function M.stand_in(app, f)
  local results = {}
  local stand_in = setmetatable({}, {
    __index = app,
    __name = "dewar.App",
    __tostring = function() return tostring(app) end,
  })
  stand_in._core = core.app_new(stand_in)
  stand_in._session_functions = false
  same_settings(app, stand_in._core)
  stand_in.session_interface = interface_for(app)
  sessions.attach(stand_in)
  stand_in._core:add_hook(nil, "before", function(req)
    local returned = table.pack(f(req.session))
    for i = 1, returned.n do results[i] = returned[i] end
    results.n = returned.n
    return ""
  end)
  return stand_in, results
end

return M
