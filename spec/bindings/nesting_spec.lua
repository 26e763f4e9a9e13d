-- dewar.timeout, dewar.shield and dewar.scope inside of each other, each that
-- can be, firing in every order: what comes out is compared with a model. The
-- clock is virtual, which it stays, so this is a file of its own.
local dewar = require "dewar"

local app = dewar.app()
local client = app:test_client { clock = "virtual" }

--- What a chain of stretches, outermost first, makes of a wait: each is "shield"
--- or the seconds it has. Returns the outcome, and when it comes.
local function predict(chain, seconds, swallows)
  local now, outcome, told = seconds, "done", {}
  local function below_shield(from, f)
    for i = from, 1, -1 do
      if chain[i] == "shield" then return end
      if f(i) then return true end
    end
  end
  below_shield(#chain, function(i)
    if chain[i] < now then now, outcome = chain[i], "cancelled" end
  end)
  local function tell(from)
    below_shield(from, function(i) told[i] = told[i] or chain[i] <= now end)
  end
  if outcome == "cancelled" then tell(#chain) end
  if swallows then outcome = "done" end
  for i = #chain, 1, -1 do
    local outer = i - 1
    if chain[i] == "shield" then
      local news = below_shield(outer, function(k) return chain[k] <= now and not told[k] end)
      if outcome == "done" and news then outcome = "cancelled" tell(outer) end
    elseif outcome == "done" and told[i] or outcome == "cancelled" and chain[i] <= now then
      local interrupted = below_shield(outer, function(k) return chain[k] <= now end)
      outcome = interrupted and "cancelled" or "timeout"
      if interrupted then tell(outer) end
    end
  end
  return outcome, now
end

local function in_generator(fn)
  return coroutine.wrap(function() return fn() end)()
end

--- Runs it for real; `make(i)` says how the i-th one is made.
local function perform(chain, seconds, swallows, make)
  local function inner()
    if not swallows then return dewar.sleep(seconds) end
    pcall(dewar.sleep, seconds)
  end
  for i = #chain, 1, -1 do
    local body, limit, how = inner, chain[i], make(i)
    if how == "generator" then
      local wrapped = body
      body = function() return in_generator(wrapped) end
    end
    if limit == "shield" then
      inner = function() return dewar.shield(body) end
    elseif how == "scope" then
      inner = function() return dewar.scope({ timeout = limit }, body) end
    else
      inner = function() return dewar.timeout(limit, body) end
    end
  end
  local outcome, at
  local start = dewar.now()
  local task = dewar.spawn(function()
    local ok, err = pcall(inner)
    outcome = ok and "done" or dewar.is_cancelled(err) and "cancelled" or dewar.TimeoutError:is(err) and "timeout"
      or tostring(err)
    at = math.floor((dewar.now() - start) * 1000 + 0.5) / 1000
    dewar.yield() -- what was raised stays where it was
    return outcome
  end)
  client.clock:advance(10)
  assert(task.status == "done", task.status)
  return outcome, at
end

--- Calls f with each chain of so many.
local function each_chain(length, f, chain)
  chain = chain or {}
  if #chain == length then return f(chain) end
  for _, item in ipairs { "shield", 1, 2, 3 } do
    chain[#chain + 1] = item
    each_chain(length, f, chain)
    chain[#chain] = nil
  end
end

describe("nested stretches", function()
  local variants = {
    ["in place"] = function() return "timeout" end,
    ["in generators"] = function() return "generator" end,
    ["as scopes"] = function() return "scope" end,
    ["in turn"] = function(i) return ({ "scope", "generator", "timeout" })[i % 3 + 1] end,
  }

  for name, make in pairs(variants) do
    it("do what the model says, " .. name, function()
      local seen = {}
      for length = 1, name == "in place" and 4 or 3 do
        each_chain(length, function(chain)
          for _, seconds in ipairs { 0.5, 1.5, 2.5, 3.5 } do
            for _, swallows in ipairs { false, true } do
              local outcome, at = predict(chain, seconds, swallows)
              local got, got_at = perform(chain, seconds, swallows, make)
              local case = ("%s: %g s%s"):format(table.concat(chain, " "), seconds, swallows and ", swallowed" or "")
              local format = case .. " -> %s at %g"
              assert.are.equal(format:format(outcome, at), format:format(got, got_at))
              seen[outcome] = true
            end
          end
        end)
      end
      assert.is_true(seen.done and seen.timeout)
    end)
  end

  it("go a hundred deep", function()
    local chain = {}
    for i = 1, 100 do chain[i] = i % 10 == 0 and "shield" or 5 - i / 50 end
    for _, seconds in ipairs { 0.5, 4.5, 9 } do
      local outcome, at = predict(chain, seconds, false)
      local got, got_at = perform(chain, seconds, false, variants["in turn"])
      assert.are.equal(outcome, got)
      assert.are.equal(math.floor(at * 1000 + 0.5), math.floor(got_at * 1000 + 0.5))
    end
  end)
end)
