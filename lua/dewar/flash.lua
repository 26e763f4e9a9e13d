--- Flashed messages: kept in the session until a page shows them, in the form in
--- which Flask keeps them.

local core = require "dewar.core"
local options = require "dewar.options"
local signals = require "dewar.signals"
local tagged_json = require "dewar.tagged_json"

local M = {}

local KEY = "_flashes"

--- What requests have taken out of their sessions: lists of { category, message }.
local taken = setmetatable({}, { __mode = "k" })

--- The running request, or an error at the level of the caller's caller.
local function current_request(name, level)
  local req = core.request()
  if not req then error(name .. " works inside a request only", level + 1) end
  return req
end

local function keep(session, list) session[KEY] = list end

--- Keeps a message for the next page that asks for it.
---@param message any a string, as a rule; anything that a session may hold
---@param category? string for the page's design: "message", "error", "success"...
function M.flash(message, category)
  local req = current_request("flash", 2)
  if message == nil then error("flash takes a message; got nil", 2) end
  if type(message) == "function" or type(message) == "thread" then
    error(("flash takes a message that a session can hold; got a %s"):format(type(message)), 2)
  end
  category = category == nil and "message" or category
  if type(category) ~= "string" then
    error(("a flashed message's category is a string; got a %s"):format(type(category)), 2)
  end
  local list = req.session[KEY]
  if type(list) ~= "table" then list = {} end
  list[#list + 1] = tagged_json.tuple { category, message }
  options.call(2, keep, req.session, list) -- one without a key can't be written to
  signals.signals.message_flashed:send(req.app, { request = req, message = message, category = category })
end

---@class dewar.FlashOptions
---@field with_categories? boolean the list holds pairs { category, message }
---@field category_filter? string[] only messages of these

local OPTIONS = { "with_categories", "category_filter" }

--- The options, whose filter has become a set.
local function check(opts, level)
  opts = options.check("get_flashed_messages", opts, OPTIONS, level + 1)
  options.check_type("get_flashed_messages", opts, "with_categories", "boolean", level + 1)
  options.check_type("get_flashed_messages", opts, "category_filter", "table", level + 1)
  if opts.category_filter then
    local wanted = {}
    for _, category in ipairs(opts.category_filter) do wanted[category] = true end
    opts.category_filter = next(wanted) and wanted
  end
  return opts
end

--- Takes the messages out of the session, once.
local function take(req)
  local list = taken[req]
  if list then return list end
  list = {}
  local kept = req.session[KEY]
  for _, pair in ipairs(type(kept) == "table" and kept or {}) do
    if type(pair) == "table" and pair[2] ~= nil then list[#list + 1] = pair end
  end
  if kept ~= nil then req.session[KEY] = nil end
  taken[req] = list
  return list
end

--- The messages that were flashed before, and up to now in this request.
---@param opts? dewar.FlashOptions
---@return any[]
function M.get_flashed_messages(opts)
  local req = current_request("get_flashed_messages", 2)
  opts = check(opts, 2)
  local found = {}
  for _, pair in ipairs(take(req)) do
    if not opts.category_filter or opts.category_filter[pair[1]] then
      found[#found + 1] = opts.with_categories and { pair[1], pair[2] } or pair[2]
    end
  end
  return found
end

return M
