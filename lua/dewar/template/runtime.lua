--- Templates at work: layouts and their blocks, includes, imports, captures.
--
-- A rendering has one list of pieces, `out`, for all templates that take part,
-- so that a function of one may be called in another. What is not to be shown
-- (yet) is cut off its end again: a capture, the text around the blocks of a
-- template that extends another. `held` counts what is under way of that; until
-- it is over nothing may leave the list for a stream.
--
-- A state is a template at work together with the layouts that it extends. They
-- have levels: 1, its layout 2, the layout of that 3. The main function of level
-- 1 runs first. As soon as it has called `extends`, its blocks are kept as
-- `overrides` instead of being shown. The main function of the last level shows
-- everything: where a block stands, the override of the lowest level takes its
-- place, and `super` in that is the next.

local core = require "dewar.core"
local errors = require "dewar.template.errors"
local markup = require "dewar.markup"
local options = require "dewar.options"

local M = {}

--- An include or a layout beyond this is one without end.
local MAX_DEPTH = 100

---@class dewar.TemplateRendering
---@field load fun(name: string|string[], position: string?): dewar.Template
---@field env table
---@field out string[]
---@field held integer
---@field flush? function of a stream
---@field imports? table<string, table>

local State = {}

-- --- What is not to be shown --------------------------------------------------------

--- When its block is left, by whatever way, the list is cut where the guard was
--- made.
local Guard = { __close = function(self)
  local out = self.rendering.out
  if not self.keeps then
    for i = #out, self.from, -1 do out[i] = nil end
  end
  self.rendering.held = self.rendering.held - 1
end }

local function hold(rendering)
  rendering.held = rendering.held + 1
  return setmetatable({ rendering = rendering, from = #rendering.out + 1 }, Guard)
end

-- --- Running ------------------------------------------------------------------------

local function run_main(template, env, rendering, state, level)
  local main = rendering.flush and template:stream_main() or template.main
  return main(env, rendering.out, template.escape, core.plain_text, state, level, rendering.flush)
end

local function blocks_above(state, level)
  local names = {}
  for i = level + 1, #state.chain do
    for name in pairs(state.chain[i].blocks) do names[#names + 1] = name end
  end
  return names
end

--- A block that no layout has would never be shown.
local function check_overrides(state)
  for name, list in pairs(state.overrides) do
    for _, override in ipairs(list) do
      local above, known = blocks_above(state, override.level), false
      for _, other in ipairs(above) do known = known or other == name end
      if not known then
        local template, near = state.chain[override.level], options.nearest(name, above)
        error(errors.SyntaxError(("%s:%d: there is no block '%s' in '%s'%s"):format(template.where,
          template.blocks[name], name, state.chain[override.level + 1].name,
          near and "; did you mean '" .. near .. "'?" or ""),
          { template = template.name, line = template.blocks[name] }), 0)
      end
    end
  end
end

local function check_chain(state, parent)
  for _, template in ipairs(state.chain) do
    if template == parent then
      local names = {}
      for _, each in ipairs(state.chain) do names[#names + 1] = "'" .. each.name .. "'" end
      error(("templates extend each other in a circle: %s, '%s'")
        :format(table.concat(names, ", "), parent.name), 3)
    end
  end
end

--- Of a template that may extend another; then nothing of it is shown yet.
local function run_extending(state, template, level)
  local guard <close> = hold(state.rendering)
  local result = run_main(template, state.env, state.rendering, state, level)
  guard.keeps = not state.parent
  return result
end

--- Runs the template and what it extends. What the last one's main function
--- returns is returned, for `import`.
local function run_state(state, template)
  while true do
    local level, extends, result = #state.chain + 1, template.uses.extends, nil
    state.chain[level], state.parent, state.shown = template, nil, false
    if extends then result = run_extending(state, template, level) end
    if state.overrides and not state.parent then check_overrides(state) end
    if not extends then result = run_main(template, state.env, state.rendering, state, level) end
    template = state.parent
    if not template then return result end
  end
end

local function new_state(rendering, env, template, depth)
  return setmetatable({
    rendering = rendering, env = env, template = template, depth = depth, chain = {},
  }, State)
end

local function run(template, env, rendering, depth)
  if not template.stateful then return run_main(template, env, rendering) end
  return run_state(new_state(rendering, env, template, depth), template)
end

-- --- Blocks ---------------------------------------------------------------------------

local methods = {}

local function show_block(state, name, level, list, i, body)
  local override = list and list[i]
  if override and override.level < level then
    return override.body(function() return show_block(state, name, level, list, i + 1, body) end)
  end
  return body(function()
    error(("super: no template that this one extends has a block '%s'"):format(name), 2)
  end)
end

--- A block of the template at a level, where it stands.
function methods:block(name, level, body)
  if self.parent then
    self.overrides = self.overrides or {}
    local list = self.overrides[name] or {}
    self.overrides[name] = list
    list[#list + 1] = { level = level, body = body }
    return
  end
  self.shown = true
  show_block(self, name, level, self.overrides and self.overrides[name], 1, body)
end

-- --- The functions that are bound to a state ---------------------------------------------

local function position(level)
  local info = debug.getinfo(level + 1, "Sl")
  return info and info.currentline > 0 and ("%s:%d"):format(info.short_src, info.currentline) or nil
end

local function check_name(method, name, level)
  if type(name) ~= "string" and type(name) ~= "table" then
    error(("%s takes a template's name; got a %s"):format(method, type(name)), level + 1)
  end
end

local bound = {}

function bound.extends(state)
  return function(name)
    check_name("extends", name, 2)
    if state.parent then
      error(("extends: '%s' is extended already"):format(state.parent.name), 2)
    elseif state.shown then
      error("extends must come before the first block", 2)
    end
    local parent = state.rendering.load(name, position(2))
    check_chain(state, parent)
    state.parent = parent
  end
end

local INCLUDE_OPTIONS = { "optional" }

--- Values on top of those that are there.
local function env_over(env, values)
  local own = {}
  for key, value in pairs(values or {}) do own[key] = value end
  return setmetatable(own, { __index = env })
end

local function check_depth(state, method, name)
  if state.depth >= MAX_DEPTH then
    error(("%s: '%s' is %d templates deep; does it include itself without end?")
      :format(method, tostring(name), MAX_DEPTH), 3)
  end
end

function bound.include(state)
  return function(name, values, opts)
    check_name("include", name, 2)
    if values ~= nil and type(values) ~= "table" then
      error(("include: the values are a table by name; got a %s"):format(type(values)), 2)
    end
    check_depth(state, "include", name)
    opts = opts and options.check("include", opts, INCLUDE_OPTIONS, 2)
    local template = state.rendering.load(name, position(2), opts and opts.optional)
    if template then run(template, env_over(state.env, values), state.rendering, state.depth + 1) end
  end
end

function bound.capture(state)
  return function(f, ...)
    local mt = type(f) == "table" and getmetatable(f)
    if type(f) ~= "function" and not (mt and mt.__call) then
      error(("capture takes a function; got a %s"):format(type(f)), 2)
    end
    local _ <close> = hold(state.rendering)
    local from = #state.rendering.out + 1
    f(...)
    local text = table.concat(state.rendering.out, "", from)
    return state.template.escaping and markup.new(text) or text
  end
end

--- The functions and values that a template gives to others: what it returns, or
--- what it has set. It is run once in a rendering.
local function module_of(state, template)
  local rendering = state.rendering
  local _ <close> = hold(rendering)
  local env = setmetatable({}, { __index = rendering.env })
  local result = run(template, env, rendering, state.depth + 1)
  if result ~= nil then return result end
  local module = {}
  for key, value in next, env do module[key] = value end
  return module
end

function bound.import(state)
  return function(name)
    check_name("import", name, 2)
    check_depth(state, "import", name)
    local rendering = state.rendering
    local template = rendering.load(name, position(2))
    rendering.imports = rendering.imports or {}
    local module = rendering.imports[template]
    if module == nil then
      module = module_of(state, template)
      rendering.imports[template] = module
    end
    return module
  end
end

function State:__index(key)
  local make = bound[key]
  if not make then return methods[key] end
  local f = make(self)
  rawset(self, key, f)
  return f
end

-- --- A whole rendering --------------------------------------------------------------------

--- The text of a template.
---@param template dewar.Template
---@param env table
---@param load fun(name: string|string[], position: string?, optional: boolean?): dewar.Template?
---@return string
function M.render(template, env, load)
  local out = {}
  run(template, env, { load = load, env = env, out = out, held = 0 }, 1)
  return table.concat(out)
end

--- A generator of its text, piece by piece: whatever is ready is given out before
--- something is called that might wait.
---@return fun(): string?
function M.stream(template, env, load)
  return coroutine.wrap(function()
    local rendering = { load = load, env = env, out = {}, held = 0 }
    local co = coroutine.running()
    function rendering.flush()
      local out = rendering.out
      -- A generator in the template gives its values to the template, and what
      -- C calls (gsub, sort) can't be left.
      if out[1] == nil or rendering.held > 0 or coroutine.running() ~= co or not coroutine.isyieldable() then
        return
      end
      local piece = table.concat(out)
      for i = #out, 1, -1 do out[i] = nil end
      if piece ~= "" then coroutine.yield(piece) end
    end
    run(template, env, rendering, 1)
    rendering.flush()
  end)
end

return M
