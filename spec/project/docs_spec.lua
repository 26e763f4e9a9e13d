-- The pages: what they show works, where they point to is something.
--
-- A block that begins with ```lua is run, with `dewar` and a new `app` at hand;
-- if it returns something, that is an app. One that begins with ```lua compile
-- is only compiled. ```c is compiled against the public header, and ```python is
-- run with what Flask exports, and a new Flask app, at hand.
local dewar = require "dewar"
local lfs = require "lfs"
local process = require "spec.support.process"

local function read(path)
  local file = assert(io.open(path))
  local text = file:read "a"
  file:close()
  return text
end

local function pages()
  local found = { "README.md" }
  local pipe = io.popen "ls docs/*.md"
  for path in pipe:lines() do found[#found + 1] = path end
  pipe:close()
  return found
end

-- The blocks of a page: language, mode, text, and the line where it starts.
local function blocks(path)
  local found, block, number = {}, nil, 0
  for line in io.lines(path) do
    number = number + 1
    local info = line:match "^```(.*)$"
    if info and block then
      block.text = table.concat(block, "\n") .. "\n"
      found[#found + 1], block = block, nil
    elseif info then
      block = { language = info:match "^%S*", mode = info:match "^%S+%s+(.*)$", line = number }
    elseif block then
      block[#block + 1] = line
    end
  end
  assert(not block, path .. ": a block isn't closed")
  return found
end

-- A page without its blocks.
local function prose(path)
  return (("\n" .. read(path)):gsub("\n```.-\n```", "\n"))
end

-- What a page's headings are called in links, as GitHub makes it of them.
local known_anchors = {}
local function anchors(path)
  local found = known_anchors[path]
  if found then return found end
  found = {}
  for heading in prose(path):gmatch "\n#+ ([^\n]+)" do
    local text = heading:gsub("%[(.-)%]%(.-%)", "%1"):lower()
    local slug = text:gsub("[^%w%s_\128-\255-]", ""):gsub("%s", "-")
    local name, count = slug, 0
    while found[name] do
      count = count + 1
      name = slug .. "-" .. count
    end
    found[name] = true
  end
  known_anchors[path] = found
  return found
end

local function run(path, block)
  local app = dewar.app()
  local env = setmetatable({ dewar = dewar, app = app }, { __index = _G })
  -- Lines as on the page.
  local text = ("\n"):rep(block.line) .. block.text
  local chunk = assert(load(text, "@" .. path, "t", env))
  if block.mode == "compile" then return end
  assert(block.mode == nil, ("%s:%d: what is '%s'?"):format(path, block.line, block.mode or ""))
  local result = chunk()
  if result ~= nil then
    assert.is_truthy(rawget(result, "_core"), path .. ": a block returned no app")
  end
end

--- A Python that has Flask: Debian's, or the first one on the path.
local function find_python()
  for _, python in ipairs { os.getenv "DEWAR_PYTHON" or "/usr/bin/python3", "python3" } do
    if os.execute(python .. " -c 'import flask' 2>/dev/null") then return python end
  end
end

-- Each argument is a line number and, behind a space, a block that starts there.
local RUNNER = [[
import sys

for argument in sys.argv[2:]:
    line, text = argument.split(" ", 1)
    names = {"__name__": "__main__"}
    exec("from flask import *; app = Flask('page')", names)
    exec(compile("\n" * int(line) + text, sys.argv[1], "exec"), names)
]]

local function run_python(path, list)
  local python = find_python()
  if not python then return pending "no python3 here can import flask (python3-flask)" end
  local command = { python, "-c", RUNNER, path }
  for _, block in ipairs(list) do command[#command + 1] = block.line .. " " .. block.text end
  local code, _, err = process.run(command)
  process.stop_all()
  assert.are.equal(0, code, err)
end

-- First: a page on tests may stop the clock.
describe("the hello of the README", function()
  it("greets", function()
    local first = blocks("README.md")[1]
    local app = assert(load(first.text))()
    local client = app:test_client()
    assert.are.same({ greeting = "Hello, Ada!" }, client:get("/hello/Ada"):json())
    client:close()
  end)
end)

for _, path in ipairs(pages()) do
  describe(path, function()
    for _, block in ipairs(blocks(path)) do
      if block.language == "lua" then
        it(("works at line %d"):format(block.line), function() run(path, block) end)
      elseif block.language == "c" then
        it(("compiles at line %d"):format(block.line), function()
          local folder = process.folder()
          local file = process.write(folder .. "/block.c", block.text)
          local code, _, err = process.run { "cc", "-std=c11", "-Wall", "-Wextra", "-Werror",
            "-fsyntax-only", "-Iinclude", file }
          process.stop_all()
          os.execute("rm -r " .. folder)
          assert.are.equal(0, code, err)
        end)
      end
    end

    local python = {}
    for _, block in ipairs(blocks(path)) do
      if block.language == "python" then python[#python + 1] = block end
    end
    if #python > 0 then
      it("shows Python that Flask runs", function() run_python(path, python) end)
    end

    it("has links that lead somewhere", function()
      local folder = path:match "^(.*/)" or ""
      for target in prose(path):gmatch "%]%(([^)]+)%)" do
        local file, anchor = target:match "^([^#]*)#?(.*)$"
        if not target:find "^%a+:" then
          local there = file == "" and path or folder .. file
          assert.is_truthy(lfs.attributes(there), target)
          if anchor ~= "" then assert.is_true(anchors(there)[anchor], target .. ": there is no such heading") end
        end
      end
    end)
  end)
end

describe("the page on configuration", function()
  it("has every setting", function()
    local page = read "docs/configuration.md"
    for name in pairs(dewar.app().config) do
      assert.is_truthy(page:find("| `" .. name .. "` |", 1, true), name .. " isn't in it")
    end
  end)
end)

describe("the index of pages", function()
  it("has every page", function()
    local index = read "docs/README.md"
    for _, path in ipairs(pages()) do
      local name = path:match "^docs/(.*)$"
      if name and name ~= "README.md" then
        assert.is_truthy(index:find("](" .. name .. ")", 1, true), name .. " isn't in it")
      end
    end
  end)
end)
