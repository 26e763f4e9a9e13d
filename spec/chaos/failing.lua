-- Requests of all kinds to the app inside the process, each while some allocation
-- fails: it may be refused, cut or answered by an error, but what comes must be
-- right, and the next request must be answered as ever. spec/c/test_chaos.c runs
-- this, and gives `fail(n, all_later)`: the n-th allocation from now on fails.

local fail = fail -- luacheck: globals fail
local core = require "dewar.core"
local dewar = require "dewar"
require "dewar.testing"
local http = require "spec.support.http"
local requests = require "spec.chaos.requests"
local tree = require "spec.support.tree"
local app = require "spec.chaos.app"

local COUNT = tonumber(os.getenv "DEWAR_CHAOS_COUNT") or 400
local SEED = tonumber(os.getenv "DEWAR_CHAOS_SEED") or os.time() % 1000000

for name, text in pairs { large = requests.static, small = "small" } do
  dewar.fs.write(("%s/static/%s.txt"):format(os.getenv "CHAOS_FOLDER", name), text)
end
dewar.log.sink = function() end -- plenty goes wrong

local random = tree.randoms(SEED)
local client = app:test_client()

-- What the lack of memory may make of an answer.
local REFUSED = { [500] = true, [503] = true }

--- One request with a failing allocation; what is wrong, or nil.
local function ask(request, n, all_later)
  local connection = client:connect()
  local ok, text = pcall(function()
    fail(n, all_later)
    connection:send(request.bytes)
    return (connection:receive())
  end)
  fail(0)
  pcall(connection.close, connection)
  if not ok then return end
  local answer = http.answers(text)[1]
  if answer and answer.status == 100 then answer = http.answers(text)[2] end
  if not answer or not answer.status or REFUSED[answer.status] then return end
  return requests.wrong(request, answer)
end

local function state()
  for _ = 1, 10 do dewar.sleep(0.001) end
  return client:get("/state"):json()
end

--- Waits until all has come to its end.
local function settle(before)
  local now
  for _ = 1, 400 do
    now = state()
    if now.tasks <= before.tasks and now.timers <= before.timers and now.opened == now.closed then return end
    dewar.sleep(0.01)
  end
  error(("left behind: %d tasks, %d timers, %d things\n%s"):format(now.tasks - before.tasks,
    now.timers - before.timers, now.opened - now.closed, now.list))
end

local before = state()
for i = 1, COUNT do
  local request = requests.random(random)
  local n, all_later = random(random(2) == 1 and 40 or 1500), random(4) == 1
  local wrong = ask(request, n, all_later)
  if not wrong then
    local ok, answer = pcall(client.get, client, "/plain/3/10")
    if not ok then wrong = tostring(answer)
    elseif answer.status ~= 200 then wrong = "then it answers " .. answer.status end
  end
  if wrong then
    error(("seed %d, %d, %s %s, allocation %d%s: %s"):format(SEED, i, request.method, request.target, n,
      all_later and " and later" or "", wrong))
  end
end
settle(before)
client:close()
assert(core.debug_counts().connections == 0)
return app
