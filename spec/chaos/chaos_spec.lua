-- Clients of all kinds, well and badly behaved, all at once against a server that
-- waits, streams, computes and fails: everything that was begun must have ended
-- and gone when they are gone, and nobody may have got what wasn't meant for them.
-- scripts/chaos does so for longer, and says again what a seed has done.

local Soak = require "spec.chaos.soak"

local SECONDS = tonumber(os.getenv "DEWAR_CHAOS_SECONDS") or 8
local SEED = tonumber(os.getenv "DEWAR_CHAOS_SEED")
local ROUND = 10 -- seconds at most

describe("a server in chaos", function()
  local soak
  after_each(function() soak:close() end)

  it("gives each their own, and has nothing left", function()
    local seed = SEED or os.time() % 1000000
    soak = Soak.start(seed)
    local before = soak:state()
    -- A first round fills pools and caches; what more is held later is a leak.
    local rounds = math.max(1, (SECONDS / 2 / ROUND + 0.5) // 1 * 2 - 1)
    local seconds = SECONDS / (rounds + 1)
    soak:round(1, seconds)
    local first, last = soak:settle(before), nil
    for i = 1, rounds do
      soak:round(seed + i, seconds)
      last = soak:settle(before)
    end
    print(("seed %d: %s"):format(seed, soak:report()))
    assert.is_true(last.lua - first.lua < 200000, ("%d bytes, then %d"):format(first.lua, last.lua))
    assert.is_true(last.memory - first.memory < 400000, ("%d bytes, then %d"):format(first.memory, last.memory))
    soak:stop()
  end)
end)
