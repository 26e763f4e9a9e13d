--- The list of live tasks, and how it reads as a tree.

local core = require "dewar.core"

local M = {}

---@class dewar.TaskInfo
---@field id integer counted from 1 on
---@field name? string what task.name was set to, else where its function is defined
---@field status "pending"|"running"
---@field wait? string what it waits for: "sleep", "queue get"; nil while it runs
---@field where? string file:line of the innermost Lua function that is not Dewar's
---@field traceback string all of its calls, through nested coroutines
---@field since number when it came to be in this state, on the clock of dewar.now
---@field parent? integer id of the task that it belongs to
---@field request? string "GET /path", of a request's task and those it has made
---@field request_id? string
---@field background? boolean
---@field cancelled? boolean it is to end

--- The tasks below each one, in the order of the list; what has no parent in it
--- stands at the top.
local function grow(list)
  local known, below, top = {}, {}, {}
  for _, task in ipairs(list) do known[task.id] = true end
  for _, task in ipairs(list) do
    local siblings = top
    if task.parent and known[task.parent] then
      siblings = below[task.parent] or {}
      below[task.parent] = siblings
    end
    siblings[#siblings + 1] = task
  end
  return top, below
end

local function describe(task, now)
  local words = { ("#%d"):format(task.id) }
  local function add(format, ...) words[#words + 1] = format:format(...) end
  if task.background then add "background" end
  if task.name then add("%s", task.name) end
  if task.request then
    add("[%s%s]", task.request, task.request_id and " " .. task.request_id or "")
  end
  if task.status == "pending" then
    add "has not started"
  elseif task.wait then
    add("waits %.3f s: %s", now - task.since, task.wait)
  else
    add "runs"
  end
  if task.where then add("at %s", task.where) end
  if task.cancelled then add "(cancelled)" end
  return table.concat(words, " ")
end

--- A line for each task, those below another one indented.
---@param list dewar.TaskInfo[]
---@return string
function M.text(list)
  local now = core.now()
  local top, below = grow(list)
  local lines = { #list == 1 and "1 task" or #list .. " tasks" }
  -- Trees may be deeper than calls: a stack of what is to be written next.
  local stack = {}
  local function push(tasks, depth)
    for i = #tasks, 1, -1 do stack[#stack + 1] = { tasks[i], depth } end
  end
  push(top, 1)
  while #stack > 0 do
    local task, depth = table.unpack(table.remove(stack))
    lines[#lines + 1] = ("  "):rep(depth) .. describe(task, now)
    if below[task.id] then push(below[task.id], depth + 1) end
  end
  return table.concat(lines, "\n")
end

local List = { __name = "dewar.tasks", __tostring = M.text }

---@return dewar.TaskInfo[]
function M.list()
  return setmetatable(core.tasks(), List)
end

return M
