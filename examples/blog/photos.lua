--- Photos that come with posts. What one is, its first bytes tell: neither its
--- name nor its type is to be believed, as both are the client's word.

local dewar = require "dewar"

local M = {}

local KINDS = {
  { "png", "^\x89PNG\r\n\x1a\n" },
  { "jpg", "^\xff\xd8\xff" },
  { "gif", "^GIF8[79]a" },
  { "webp", "^RIFF....WEBP" },
}

local function kind_of(file)
  local head = file:chunks(16)() or ""
  for _, kind in ipairs(KINDS) do
    if head:find(kind[2]) then return kind[1] end
  end
end

--- Whether a name is one that `keep` gives.
function M.is_name(name)
  return name:find "^photo%-%x+%.%l+$" ~= nil
end

--- Saves the photo of a form, if there is one.
---@return string? name, table? errors
function M.keep(store, req)
  local file = req.files.photo
  if not file then return nil end
  local kind = kind_of(file)
  if not kind then return nil, { photo = "Photos are PNG, JPEG, GIF or WebP; this is something else." } end
  local name = ("photo-%s.%s"):format(req.id, kind)
  file:save(store:path(name))
  dewar.log.info("a photo was saved", { name = name, size = file.size })
  return name
end

return M
