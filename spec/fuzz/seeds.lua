-- Writes a seed for each case of the fixtures of messages:
--     lua5.4 spec/fuzz/seeds.lua spec/fuzz/corpus/parser spec/fixtures/http/*
--     lua5.4 spec/fuzz/seeds.lua spec/fuzz/corpus/multipart spec/fixtures/forms/*
--     lua5.4 spec/fuzz/seeds.lua spec/fuzz/corpus/websocket spec/fixtures/websocket/*
-- A seed is the fuzzer's prefix of four bytes and the bytes of the case. Large
-- cases are left out: small ones teach a fuzzer as much.
local LARGEST = 400
local PREFIX = "\0abc"

local controls = { r = "\r", n = "\n", t = "\t" }

-- What stands for at `i` in text, and where the text goes on.
local function unescape_one(text, i, unescape)
  local part, count, stop = text:match("^\\{(.-)%*(%d+)}()", i)
  if part then return unescape(part):rep(tonumber(count)), stop end
  local hex, after = text:match("^\\x(%x%x)()", i)
  if hex then return string.char(tonumber(hex, 16)), after end
  local escaped = text:match("^\\(.)", i)
  if escaped then return controls[escaped] or escaped, i + 2 end
  return text:sub(i, i), i + 1
end

local function unescape(text)
  local out, i = {}, 1
  while i <= #text do
    out[#out + 1], i = unescape_one(text, i, unescape)
  end
  return table.concat(out)
end

-- Title to bytes, of one file.
local function read_cases(path)
  local cases, title = {}, nil
  local websocket = path:match "websocket/([^/]+)%.ws$"
  if websocket then
    package.path = "./?.lua;" .. package.path
    for _, case in ipairs(require "spec.support.websocket".fixtures(websocket)) do
      cases[case.title] = case.bytes
    end
    return cases
  end
  for line in io.lines(path) do
    title = line:match("^== (.*)") or title
    local bytes = line:match("^> (.*)")
    if bytes then cases[title] = (cases[title] or "") .. unescape(bytes) end
  end
  return cases
end

local function write(path, bytes)
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
end

local folder = arg[1]
for i = 2, #arg do
  local group = arg[i]:match("([^/]+)%.%a+$")
  for title, bytes in pairs(read_cases(arg[i])) do
    if #bytes <= LARGEST then
      local slug = title:gsub("%W+", "-"):lower()
      write(("%s/%s-%s"):format(folder, group, slug), PREFIX .. bytes)
    end
  end
end
