--- So many requests in such a time for each client, and 429 beyond. It counts in
--- memory: each worker for itself.

local core = require "dewar.core"
local options = require "dewar.options"
local Scaffold = require "dewar.scaffold"
local views = require "dewar.views"

local OPTIONS = { "limit", "per", "key", "max_keys", "message" }

-- --- Keys -----------------------------------------------------------------------------

--- The first half of an IPv6 address: what one customer has.
local function network(address)
  local head, tail = address:match "^(.-)::(.*)$"
  local groups = {}
  for group in (head or address):gmatch "[^:]+" do groups[#groups + 1] = group end
  local behind = 0
  for _ in (tail or ""):gmatch "[^:]+" do behind = behind + 1 end
  if head then
    for _ = #groups + 1, 8 - behind do groups[#groups + 1] = "0" end
  end
  return table.concat(groups, ":", 1, math.min(4, #groups)) .. "::/64"
end

--- Whom a request is counted for, unless somebody says otherwise.
local function by_address(req)
  local address = req.remote_addr
  if not address then return "local" end
  return address:find(":", 1, true) and not address:find "^::ffff:" and network(address) or address
end

-- --- Buckets --------------------------------------------------------------------------

--- Each key is a bucket of `limit` tokens, filled evenly within `per` seconds.
--- It is kept as one number: when it will be full again. A key whose bucket is full
--- need not be known.
local Buckets = {}
Buckets.__index = Buckets

local function new_buckets(limit, per, max_keys)
  return setmetatable({ limit = limit, step = per / limit, per = per, max_keys = max_keys, full_at = {}, count = 0 },
    Buckets)
end

--- Forgets those that are full, and if that isn't enough the half of the keys that
--- would be first.
function Buckets:make_room(now)
  local kept = {}
  for key, at in pairs(self.full_at) do
    if at > now then kept[#kept + 1] = key end
  end
  local full_at, first = self.full_at, 1
  if #kept > self.max_keys // 2 then
    table.sort(kept, function(a, b) return full_at[a] < full_at[b] end)
    first = #kept - self.max_keys // 2 + 1
  end
  local new = {}
  for i = first, #kept do new[kept[i]] = full_at[kept[i]] end
  self.full_at, self.count = new, #kept - first + 1
end

--- Takes a token: whether there was one, how many are left, the seconds until
--- there is one again, and until all are.
function Buckets:take(key)
  local now = core.now()
  local known = self.full_at[key]
  local at = math.max(known or now, now) + self.step
  -- A hair's breadth for what additions of fractions add up to.
  local ok = at - now <= self.per + self.step * 1e-6
  if ok then
    if not known then
      if self.count >= self.max_keys then self:make_room(now) end
      self.count = self.count + 1
    end
    self.full_at[key] = at
  else
    at = known
  end
  local left = math.max(0, math.floor((self.per - (at - now)) / self.step + 1e-6))
  return ok, left, at + self.step - self.per - now, at - now
end

-- --- The middleware -------------------------------------------------------------------

local function check_number(opts, name, test, what)
  local value = opts[name]
  if type(value) ~= "number" or not test(value) then
    error(("rate_limit: the option '%s' is %s; got %s"):format(name, what, tostring(value)), 4)
  end
end

local function is_count(n) return math.type(n) == "integer" and n > 0 end

local function read_options(opts)
  opts = options.check("rate_limit", opts, OPTIONS, 3)
  opts.max_keys = opts.max_keys == nil and 100000 or opts.max_keys
  check_number(opts, "limit", is_count, "a number of requests")
  check_number(opts, "per", function(n) return n > 0 and n < math.huge end, "a number of seconds")
  check_number(opts, "max_keys", is_count, "a number of keys to remember")
  if opts.key ~= nil then Scaffold._check_callable("rate_limit", "the option 'key'", opts.key, 3) end
  options.check_type("rate_limit", opts, "message", "string", 3)
  return opts
end

local function ceil(seconds) return math.max(0, math.ceil(seconds - 1e-6)) end

---@class dewar.RateLimitOptions
---@field limit integer requests
---@field per number seconds in which a client gets that many anew, evenly
---@field key? fun(req: dewar.Request): any who is counted; nil: the request isn't. Default the address
---@field max_keys? integer how many are remembered; 100000
---@field message? string for the visitor who has to wait

--- Answers 429 to whoever asks too often.
---@param opts dewar.RateLimitOptions
---@return dewar.Middleware
return function(opts)
  opts = read_options(opts)
  local buckets = new_buckets(opts.limit, opts.per, opts.max_keys)
  local key = opts.key or by_address
  local seen = setmetatable({}, { __mode = "k" })
  return {
    name = "rate_limit",
    request = function(req)
      local who = views.ensure_sync(req.app, key)(req)
      if who == nil then return end
      local ok, left, wait, full = buckets:take(who)
      seen[req] = { left = left, wait = not ok and wait, full = full }
      if not ok then core.abort(429, opts.message or ("Too many requests; try again in %d s."):format(ceil(wait))) end
    end,
    response = function(req, res)
      local state = seen[req]
      if not state then return end
      res.headers["RateLimit-Limit"] = opts.limit
      res.headers["RateLimit-Remaining"] = state.left
      res.headers["RateLimit-Reset"] = ceil(state.full)
      if state.wait then res.headers["Retry-After"] = math.max(1, ceil(state.wait)) end
    end,
  }
end
