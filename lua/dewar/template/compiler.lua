--- Makes a Lua function of a template. Its lines are the template's, so that
--- errors and tracebacks need no translation.
--
-- The function gets, by names that no template uses: `_out`, the list of pieces
-- that were given out so far; `_esc` and `_raw`, which make text of values;
-- `_tpl` and `_lvl`, the state of the rendering and the template's place in it
-- (see runtime.lua); `_flush`, if it is for a stream. An expression is worked out
-- before the place of its text is known, as it may give something out itself.

local core = require "dewar.core"
local errors = require "dewar.template.errors"
local lexer = require "dewar.template.lexer"

local M = {}

--- Functions that are bound to a rendering, and made where they are mentioned.
local BOUND = { "include", "import", "extends", "capture" }

---@class dewar.Template
---@field name string
---@field blocks table<string, integer> the lines where its blocks start
---@field uses table<string, boolean> the bound functions that it mentions
---@field stateful boolean whether it needs a state to run
---@field escaping boolean
---@field escape fun(value: any): string
---@field main function
local Template = {}
Template.__index = Template

--- Raises an error of the template at a line.
local function failing(name, where)
  return function(line, message)
    error(errors.SyntaxError(("%s:%d: %s"):format(where, line, message),
      { template = name, line = line }), 0)
  end
end

-- --- Blocks -----------------------------------------------------------------------

local BLOCK_TAG = "a block's tag holds its name, as it is, and nothing else: <% block \"name\" %>"

--- The name of the block that the code of a tag opens, or nil. A block is a
--- function behind the scenes, so a tag may hold nothing else.
local function block_name(piece, fail)
  if not (piece.text:find "^%s*block%s*[%(\"'%[]" or piece.text:find "^%s*block%s+[%a_]") then return nil end
  local _, _, open, _, name, close = piece.text:find "^%s*block%s*(%(?)%s*([\"'])([^\"'\\\n]+)%2%s*(%)?)%s*$"
  if not name or #open ~= #close then
    fail(piece.line, BLOCK_TAG)
  end
  return name
end

--- Follows what the code opens and closes, as far as it ends in `end` or `until`.
--- `misplaced` is the line of what looks like a block among other code.
local Nesting = {}
Nesting.__index = Nesting

local OPENS = { ["function"] = true, ["do"] = true, ["if"] = true, ["repeat"] = true }

function Nesting:open(what, line)
  self[#self + 1] = { what = what, line = line }
end

function Nesting:close(word, line)
  local top = table.remove(self)
  if not top then
    if self.misplaced then self.fail(self.misplaced, BLOCK_TAG) end
    self.fail(line, ("this '%s' closes nothing"):format(word))
  elseif (word == "until") ~= (top.what == "'repeat'") then
    self.fail(line, ("this '%s' can't close the %s of line %d"):format(word, top.what, top.line))
  end
  return top
end

--- The code with what the ends of blocks need.
function Nesting:follow(piece)
  local code, added, line, pos = piece.text, 0, piece.line, 1
  for _, word in ipairs(piece.words) do
    local text, first, last = word[1], word[2], word[3]
    local _, lines = piece.text:sub(pos, first):gsub("\n", "")
    line, pos = line + lines, first + 1
    if OPENS[text] then
      self:open("'" .. text .. "'", line)
    elseif text == "end" or text == "until" then
      if self:close(text, line).block then
        code = code:sub(1, last + added) .. ")" .. code:sub(last + added + 1)
        added = added + 1
      end
    end
  end
  return code
end

function Nesting:finish()
  local top = self[#self]
  if top then
    self.fail(top.line, ("the %s that starts here isn't closed: its <%% end %%> is missing"):format(top.what))
  end
end

-- --- Generating -------------------------------------------------------------------

local GIVE = "_out[#_out+1]="

local function text_literal(text)
  return (("%q"):format(text):gsub("\\\n", "\\n"))
end

--- What becomes of `<%= code %>`.
local function expression(piece, nesting, streamed, fail)
  if not piece.text:find "%S" then
    fail(piece.line, "this tag gives nothing: it needs an expression")
  end
  local depth = #nesting
  nesting:follow(piece)
  if #nesting ~= depth then
    fail(piece.line, "an expression must be whole within its tag; use <% %> for what goes on behind it")
  end
  local call = (piece.kind == "raw" and "_raw(" or "_esc(") .. piece.text .. ")"
  if not piece.calls then return GIVE .. call .. ";" end
  return (streamed and "_flush();" or "") .. "_v=" .. call .. " " .. GIVE .. "_v;"
end

--- The code of a tag. Whatever stands behind the tag, it may return.
local function statements(piece, nesting)
  local depth = #nesting
  local lua = nesting:follow(piece)
  local first = piece.words[1]
  local returns = first and first[1] == "return" and lua:find "^%s*return" and #nesting == depth
  return returns and "do " .. lua .. " end" or lua
end

local function code(piece, nesting, blocks, fail)
  local name = block_name(piece, fail)
  if not name then
    if piece.text:find "%f[%w_]block%s*%(?%s*[\"']" then nesting.misplaced = nesting.misplaced or piece.line end
    return statements(piece, nesting) .. ";"
  end
  if blocks[name] then
    fail(piece.line, ("there is a block '%s' already, at line %d"):format(name, blocks[name]))
  end
  blocks[name] = piece.line
  nesting[#nesting + 1] = { what = ("block '%s'"):format(name), line = piece.line, block = true }
  return ("_tpl:block(%q,_lvl,function(super)"):format(name)
    .. ("\n"):rep(select(2, piece.text:gsub("\n", "")))
end

local function prelude(uses, streamed)
  local names = {}
  for _, name in ipairs(BOUND) do
    if uses[name] then names[#names + 1] = name end
  end
  local head = "return function(_ENV,_out,_esc,_raw,_tpl,_lvl" .. (streamed and ",_flush" or "") .. ")local _v;"
  if #names == 0 then return head end
  return head .. "local " .. table.concat(names, ",") .. "=_tpl." .. table.concat(names, ",_tpl.") .. ";"
end

local function generate(template, streamed)
  local fail, blocks = template._fail, {}
  local nesting = setmetatable({ fail = fail }, Nesting)
  local parts, line = { prelude(template.uses, streamed) }, 1
  for _, piece in ipairs(template._pieces) do
    if piece.kind == "text" then
      parts[#parts + 1] = piece.text ~= "" and GIVE .. text_literal(piece.text) .. ";" or ""
    else
      parts[#parts + 1] = ("\n"):rep(piece.line - line)
      local is_code = piece.kind == "code"
      if is_code and streamed and not piece.text:find "^%s*$" then parts[#parts + 1] = "_flush();" end
      parts[#parts + 1] = is_code and code(piece, nesting, blocks, fail)
        or expression(piece, nesting, streamed, fail)
      line = piece.line + select(2, piece.text:gsub("\n", ""))
    end
  end
  nesting:finish()
  parts[#parts + 1] = " end"
  return table.concat(parts), blocks
end

--- What Lua says of the code, in terms of the template.
local function refuse(template, message)
  local line, text = message:match "^.-:(%d+): (.*)$"
  text = text or message
  text = text:gsub("near ';'$", "near '%%>'")
  template._fail(tonumber(line) or 1, text)
end

local function load_main(template, streamed)
  local lua
  lua, template.blocks = generate(template, streamed)
  local factory, message = load(lua, template.chunkname, "t", {})
  if not factory then return refuse(template, message) end
  return factory()
end

--- The function for a body in pieces.
function Template:stream_main()
  self._streamed = self._streamed or load_main(self, true)
  return self._streamed
end

--- Compiles a template, or raises a TemplateSyntaxError.
---@param source string
---@param name string
---@param where string for messages: the path, or what else it is
---@param escaping boolean
---@return dewar.Template
function M.compile(source, name, where, escaping)
  local template = setmetatable({
    name = name,
    where = where,
    -- "=" is for what is no file.
    chunkname = (where:sub(1, 1) == "<" and "=" or "@") .. where,
    escaping = escaping,
    escape = escaping and core.escape or core.plain_text,
    uses = {},
    _fail = failing(name, where),
  }, Template)
  template._pieces = lexer.split(source, template._fail)
  local bound = {}
  for _, word in ipairs(BOUND) do bound[word] = true end
  for _, piece in ipairs(template._pieces) do
    for _, word in ipairs(piece.words or {}) do
      if bound[word[1]] then template.uses[word[1]] = true end
    end
  end
  template.main = load_main(template, false)
  template.stateful = next(template.blocks) ~= nil or next(template.uses) ~= nil
  return template
end

return M
