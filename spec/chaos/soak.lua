-- Lets chaos loose on a server in a process of its own, and looks at what is left
-- of it.
--
--     local soak = Soak.start(seed)
--     local before = soak:state()
--     soak:round(seed, seconds)          -- raises what clients have found wrong
--     local after = soak:settle(before)  -- raises what was left behind
--     soak:stop()                        -- raises unless it ends as it should

local cqueues = require "cqueues"
local dewar = require "dewar"

local clients = require "spec.chaos.clients"
local process = require "spec.support.process"
local requests = require "spec.chaos.requests"
local tcp = require "spec.support.tcp"
local tree = require "spec.support.tree"
local websocket = require "spec.support.websocket"

local CLIENTS = 16

-- What may be logged beside what was provoked.
local EXPECTED = {
  "chaos: ", "^a request ran out of memory: ",
  "while streaming the body of .*: ServiceUnavailable", -- where another has left little memory
  "408 Request Timeout: the request's body did not arrive in time", -- in a stream that reads it
  "nobody awaited: TimeoutError: ", "cannot wait across a C function", -- in trees
}

local characters, weight = {}, 0
local function add(list)
  for _, character in ipairs(list) do
    characters[#characters + 1] = character
    weight = weight + character[1]
  end
end
add(clients.plain)
if require("dewar.core").websocket_codec then add(require "spec.chaos.sockets") end

--- One that has time enough.
local function pick(random, seconds)
  local at = random(weight)
  for _, character in ipairs(characters) do
    at = at - character[1]
    if at <= 0 then
      if (character[4] or 0) > seconds then return pick(random, seconds) end
      return character
    end
  end
end

local Soak = {}
Soak.__index = Soak

--- Serves the app.
function Soak.start(seed)
  local folder = process.folder()
  os.execute(("mkdir %s/static %s/tmp"):format(folder, folder))
  process.write(folder .. "/static/large.txt", requests.static)
  process.write(folder .. "/static/small.txt", "small")
  local server = process.start { "env", "TMPDIR=" .. folder .. "/tmp", "CHAOS_FOLDER=" .. folder,
    "CHAOS_SEED=" .. seed, process.dewar(), "run", "spec/chaos/app.lua", "--port", "0", "--log-format", "json" }
  local self = setmetatable({ folder = folder, server = server }, Soak)
  self.stats = setmetatable({}, { __index = function() return 0 end })
  self.url = server:expect "(http://[%d.]+:%d+)"
  return self
end

--- One client that plays its characters until the time is over.
function Soak:play(random, deadline)
  while cqueues.monotime() < deadline and not self.wrong do
    local character = pick(random, deadline - cqueues.monotime())
    local conn, why = tcp.connect(self.url)
    if not conn then
      self.wrong = "no connection: " .. why
      return
    end
    local ok, err = pcall(character[2], conn, random, self.stats)
    clients.close(conn)
    self.stats.connections = self.stats.connections + 1
    if not ok then self.wrong = self.wrong or ("a %s client: %s"):format(character[3], err) end
  end
end

--- So many seconds of chaos.
function Soak:round(seed, seconds)
  local loop = cqueues.new()
  local deadline = cqueues.monotime() + seconds
  for i = 1, CLIENTS do
    loop:wrap(function() self:play(tree.randoms(seed * 1000 + i), deadline) end)
  end
  local ok, err = loop:loop()
  if not ok then error(err, 0) end
  if self.wrong then self:fail(self.wrong) end
end

--- What the server says of itself.
function Soak:state()
  local text, code = process.get(self.url .. "/state")
  if code ~= 0 then self:fail("it doesn't answer: " .. code) end
  local state = dewar.json.decode(text)
  state.fds = self.server:fds()
  return state
end

local KINDS = { "tasks", "timers", "connections", "clients", "fds" }

--- What there is more of than before, as a list of texts.
local function left_behind(state, before)
  local left = {}
  for _, kind in ipairs(KINDS) do
    local more = state[kind] - before[kind]
    if more > 0 then left[#left + 1] = ("%d %s"):format(more, kind) end
  end
  if state.began ~= state.ended then left[#left + 1] = ("%d requests"):format(state.began - state.ended) end
  if state.opened ~= state.closed then left[#left + 1] = ("%d things"):format(state.opened - state.closed) end
  return left
end

--- Waits until all has come to its end, compared with how it was before; how it
--- is then.
function Soak:settle(before)
  local state, left
  for _ = 1, 300 do
    state = self:state()
    left = left_behind(state, before)
    if #left == 0 then return state end
    cqueues.sleep(0.05)
  end
  self:fail("left behind: " .. table.concat(left, ", ") .. "\n" .. state.list)
end

local function is_expected(text)
  for _, pattern in ipairs(EXPECTED) do
    if text:find(pattern) then return true end
  end
end

--- What the log has that wasn't provoked.
function Soak:surprises()
  local list = {}
  for line in self.server:err():gmatch "[^\n]+" do
    local ok, record = pcall(dewar.json.decode, line)
    if not ok or record.level ~= "INFO" and not is_expected(record.text) then list[#list + 1] = line end
  end
  return list
end

function Soak:fail(text)
  error(("%s\n%s\n%s"):format(text, self:report(), table.concat(self:surprises(), "\n")), 0)
end

--- Stops it while there is something to do. What hangs in there sees an end.
function Soak:stop()
  local open = {}
  for i, target in ipairs { "/endless/1", "/push/2", "/sleep/60000", "/news", "/ws/echo", "/ws/push/1", "/ws/deaf" } do
    open[i] = assert(tcp.connect(self.url))
    open[i]:send(target:find "^/ws" and websocket.request(target) or requests.get(target).bytes)
  end
  self.server:signal "USR1"
  cqueues.sleep(0.2)
  self.server:signal "TERM"
  local code = self.server:wait()
  for _, conn in ipairs(open) do
    local _, why = conn:read_all()
    if why == "timeout" then self:fail "a connection outlives the server" end
    conn:close()
  end
  if code ~= 0 then self:fail("it ended with " .. code) end
  local list = self:surprises()
  if #list > 0 then self:fail "it has logged what wasn't provoked" end
  local left = io.popen("ls -A " .. self.folder .. "/tmp"):read "a"
  if left ~= "" then self:fail("temporary files: " .. left) end
end

--- What has happened, as a text.
function Soak:report()
  local names = {}
  for name in pairs(self.stats) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do names[i] = ("%d %s"):format(self.stats[name], name) end
  return table.concat(names, ", ")
end

function Soak:close()
  process.stop_all()
  os.execute("rm -r " .. self.folder)
end

return Soak
