--- Signals: what happens in an app is told to functions that nobody has to know
--- where it happens. Dewar's own are sent by C, and only while somebody listens.

local core = require "dewar.core"
local options = require "dewar.options"
local Scaffold = require "dewar.scaffold"
local views = require "dewar.views"

local M = {}

--- A signal. Its receivers are held until they are disconnected.
---@class dewar.Signal
---@field name string
local Signal = {}
Signal.__index = Signal
Signal.__name = "dewar.Signal"

--- Those that a request sends, as the core knows them, and what else the
--- receivers find in `fields` beside the request.
local OF_REQUESTS = {
  request_started = false,
  request_finished = "response",
  got_request_exception = "exception",
  request_tearing_down = "exc",
}

--- The apps whose cores must know what is listened to.
local apps = setmetatable({}, { __mode = "k" })

--- A proxy of the app stands for the app.
local function resolved(sender)
  if type(sender) == "userdata" and rawequal(sender, core.current_app) then return sender() end
  return sender
end

local function hears(receiver, sender)
  return receiver.sender == nil or rawequal(receiver.sender, sender)
end

local function has_receiver(signal, sender)
  for _, receiver in ipairs(signal._list) do
    if hears(receiver, sender) then return true end
  end
  return false
end

--- What the core calls for a request. The error that got_request_exception tells
--- of is on its way, so one of a receiver can't take its place.
local function sender_of(app, signal)
  local field = OF_REQUESTS[signal.name]
  local function send(req, value)
    local fields = { request = req }
    if field then fields[field] = value end
    signal:send(app, fields)
  end
  if signal.name ~= "got_request_exception" then return send end
  return function(req, value)
    local ok, err = xpcall(send, debug.traceback, req, value)
    if not ok then core.log.error("A receiver of got_request_exception failed: " .. tostring(err)) end
  end
end

--- Tells the app's core whether anybody listens.
local function update(app, signal)
  local on, sends = has_receiver(signal, app), apps[app]
  if on and not sends[signal.name] then sends[signal.name] = sender_of(app, signal) end
  app._core:listen_to(signal.name, on, sends[signal.name])
end

--- The list is never changed but replaced, as it may be walked just now.
local function replace(signal, list)
  signal._list = list
  if OF_REQUESTS[signal.name] == nil then return end
  for app in pairs(apps) do update(app, signal) end
end

local function check_receiver(method, f, level)
  Scaffold._check_callable(method, "the receiver", f, level + 1)
end

local function without(list, f, sender)
  local rest = {}
  for _, receiver in ipairs(list) do
    if not (rawequal(receiver.f, f) and rawequal(receiver.sender, sender)) then
      rest[#rest + 1] = receiver
    end
  end
  return rest
end

--- From now on f(sender, fields) is called when the signal is sent; with a
--- sender, only by that one. Connecting the same twice is connecting it once.
---@param f fun(sender: any, fields: table): any it may wait
---@param sender? any an app, for the signals of requests
---@return function f
function Signal:connect(f, sender)
  check_receiver("connect", f, 2)
  sender = resolved(sender)
  for _, receiver in ipairs(self._list) do
    if rawequal(receiver.f, f) and rawequal(receiver.sender, sender) then return f end
  end
  local list = table.move(self._list, 1, #self._list, 1, {})
  list[#list + 1] = { f = f, sender = sender }
  replace(self, list)
  return f
end

--- Undoes a connect with the same arguments; it is no error if there was none.
---@param f function
---@param sender? any
function Signal:disconnect(f, sender)
  check_receiver("disconnect", f, 2)
  replace(self, without(self._list, f, resolved(sender)))
end

--- A receiver, once it passed the ensure_sync of the app that it runs for.
local function callable(f, sender)
  local app = apps[sender] and sender or core.current_app()
  if app then return views.ensure_sync(app, f) end
  return core.ensure_sync(nil, f)
end

--- Calls the receivers in the order in which they were connected, in the running
--- task; the first error ends it and is raised here.
---@param sender any
---@param fields? table what there is to know; the same table for all receivers
function Signal:send(sender, fields)
  local list = self._list
  if #list == 0 then return end
  sender = resolved(sender)
  if fields == nil then
    fields = {}
  elseif type(fields) ~= "table" then
    error(("send: the fields are a table; got a %s"):format(type(fields)), 2)
  end
  for _, receiver in ipairs(list) do
    if hears(receiver, sender) then callable(receiver.f, sender)(sender, fields) end
  end
end

--- Calls f with the receiver connected: for specs.
---@param receiver fun(sender: any, fields: table): any
---@param f function its results are returned
---@param sender? any
---@return any ...
function Signal:connected_to(receiver, f, sender)
  check_receiver("connected_to", receiver, 2)
  Scaffold._check_callable("connected_to", "what is called", f, 2)
  sender = resolved(sender)
  local before = self._list
  self:connect(receiver, sender)
  local new = self._list ~= before
  local results = table.pack(pcall(f))
  if new then self:disconnect(receiver, sender) end
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

--- The connected functions, in order; those that would hear a sender, if given.
---@param sender? any
---@return function[]
function Signal:receivers(sender)
  sender = resolved(sender)
  local found = {}
  for _, receiver in ipairs(self._list) do
    if sender == nil or hears(receiver, sender) then found[#found + 1] = receiver.f end
  end
  return found
end

function Signal:__tostring()
  return "dewar.Signal: " .. self.name
end

-- --- All of them ---------------------------------------------------------------------

local by_name = {}

local function new(name)
  local signal = setmetatable({ name = name, _list = {} }, Signal)
  by_name[name] = signal
  return signal
end

for name in pairs(OF_REQUESTS) do new(name) end
for _, name in ipairs { "before_render_template", "template_rendered", "message_flashed" } do
  new(name)
end

--- The signal of a name, the same wherever it is asked for; made at the first
--- time.
---@param name string
---@return dewar.Signal
function M.signal(name)
  if type(name) ~= "string" or name == "" then
    error(("signal takes a name such as \"user-signed-in\"; got %s")
      :format(name == "" and "''" or "a " .. type(name)), 2)
  end
  return by_name[name] or new(name)
end

local function no_signal(name)
  local names = {}
  for known in pairs(by_name) do names[#names + 1] = known end
  table.sort(names)
  local near = type(name) == "string" and options.nearest(name, names)
  error(("there is no signal '%s'%s"):format(tostring(name),
    near and "; did you mean '" .. near .. "'?" or "; dewar.signal makes new ones"), 3)
end

--- All signals by name: Dewar's own and those that dewar.signal has made.
M.signals = setmetatable({}, {
  __index = function(_, name) return by_name[name] or no_signal(name) end,
  __newindex = function(_, name)
    error(("signals can't be assigned; dewar.signal(%q) makes one"):format(tostring(name)), 2)
  end,
  __pairs = function() return next, by_name end,
})

--- Makes signals reach the app's requests.
---@param app dewar.App
function M.attach(app)
  apps[app] = {}
  for name in pairs(OF_REQUESTS) do update(app, by_name[name]) end
end

return M
