--- Text as people write it, as HTML: paragraphs, `## ` headings, `> ` quotes,
--- `- ` lists; *emphasis*, **more of it**, `code` and links that stand for
--- themselves. Everything else is text.

local dewar = require "dewar"

local M = {}

local function marks(text)
  text = dewar.escape(text)
  text = text:gsub("`([^`\n]+)`", "<code>%1</code>")
  text = text:gsub("%*%*([^*\n]+)%*%*", "<strong>%1</strong>")
  text = text:gsub("%*([^*\n]+)%*", "<em>%1</em>")
  return text
end

local function link(url)
  local text = url:gsub("^https?://", "")
  return ('<a href="%s" rel="nofollow ugc">%s</a>'):format(dewar.escape(url), dewar.escape(text))
end

--- Links are cut out before the rest is escaped and marked.
local function inline(text)
  local out, at = {}, 1
  while true do
    local from, to = text:find("https?://[^%s<>\"']+", at)
    if not from then break end
    local url = text:sub(from, to):gsub("[.,;:!?)]+$", "")
    out[#out + 1] = marks(text:sub(at, from - 1))
    out[#out + 1] = link(url)
    at = from + #url
  end
  out[#out + 1] = marks(text:sub(at))
  return table.concat(out)
end

--- A block whose lines all begin with `mark`, without it; or nil.
local function marked(block, mark)
  local lines = {}
  for line in (block .. "\n"):gmatch "(.-)\n" do
    if line:sub(1, #mark) ~= mark then return nil end
    lines[#lines + 1] = line:sub(#mark + 1)
  end
  return lines
end

local function block_html(block)
  local heading = block:match "^## ([^\n]+)$"
  if heading then return "<h2>" .. inline(heading) .. "</h2>" end
  local quote = marked(block, "> ")
  if quote then return "<blockquote><p>" .. inline(table.concat(quote, "\n")) .. "</p></blockquote>" end
  local items = marked(block, "- ")
  if items then
    for i, item in ipairs(items) do items[i] = "<li>" .. inline(item) .. "</li>" end
    return "<ul>" .. table.concat(items) .. "</ul>"
  end
  return "<p>" .. inline(block):gsub("\n", "<br>\n") .. "</p>"
end

local function blocks(text)
  return (text .. "\n\n"):gmatch "%s*(%S.-)%s-\n%s*\n"
end

--- The text as HTML, safe to be shown.
---@param text string
---@return dewar.Markup
function M.html(text)
  local out = {}
  for block in blocks(text) do out[#out + 1] = block_html(block) end
  return dewar.markup(table.concat(out, "\n"))
end

--- How it begins: words of its first paragraph, without marks.
---@param text string
---@param length? integer
---@return string
function M.excerpt(text, length)
  length = length or 220
  local first = ""
  for block in blocks(text) do
    first = block
    if not block:find "^## " then break end
  end
  local plain = ("\n" .. first):gsub("\n[->] ", "\n"):gsub("[*`]", ""):gsub("%s+", " "):gsub("^ ", "")
  if utf8.len(plain) <= length then return plain end
  local cut = plain:sub(1, utf8.offset(plain, length + 1) - 1)
  return (cut:gsub("%s+%S*$", "")) .. "…"
end

return M
