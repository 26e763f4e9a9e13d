-- Random trees of tasks (spec/support/tree.lua): each must end, and nothing may
-- be left. DEWAR_CHAOS_SEED runs another range of seeds, DEWAR_CHAOS_COUNT more.
local dewar = require "dewar"
local clean = require "spec.support.clean"
local tree = require "spec.support.tree"

local FIRST = tonumber(os.getenv "DEWAR_CHAOS_SEED") or 1
local COUNT = tonumber(os.getenv "DEWAR_CHAOS_COUNT") or 200
local DEPTH = 6

--- Lets one world live, and says what is wrong at its end, or nil.
local function live(seed)
  local w = tree.world(seed)
  local task = dewar.spawn(function()
    for _ = 1, 5 do pcall(w.node, DEPTH) end
    return w.node(DEPTH)
  end)
  local killer
  if w.random(2) == 1 then
    killer = dewar.spawn(function()
      dewar.sleep(w.random(30) / 1000)
      task:cancel()
    end)
  end
  local ok, err = pcall(dewar.await, task, 20)
  if not ok and dewar.TimeoutError:is(err) and task.status == "running" then
    return "it hangs:\n" .. tostring(dewar.tasks())
  end
  if killer then killer:cancel() pcall(dewar.await, killer) end
  return w:wrong()
end

describe("chaos", function()
  local sink

  before_each(function()
    sink = dewar.log.sink
    dewar.log.sink = function() end -- errors that nobody has awaited are plenty
  end)

  after_each(function() dewar.log.sink = sink end)

  it("ends, each time, and leaves nothing", function()
    for seed = FIRST, FIRST + COUNT - 1 do
      local before = clean.counts()
      local wrong = live(seed) or clean.left(before)
      assert.is_nil(wrong, wrong and ("seed %d: %s"):format(seed, wrong))
    end
  end)

  it("gives its memory back", function()
    for seed = FIRST, FIRST + 19 do live(seed) end
    local before = clean.counts().memory
    for _ = 1, 3 do
      for seed = FIRST, FIRST + 19 do live(seed) end
    end
    local more = clean.counts().memory - before
    assert.is_true(more < 64 * 1024, more .. " bytes more")
  end)
end)
