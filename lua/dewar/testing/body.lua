--- Bodies of requests for the test client: JSON, forms, files, or as given.

local core = require "dewar.core"
local options = require "dewar.options"
local target = require "dewar.testing.target"

local M = {}

local KINDS = { "json", "form", "body" }
local FILE_OPTIONS = { "filename", "content", "content_type" }

---@class dewar.TestFile
---@field filename? string
---@field content string
---@field content_type? string "application/octet-stream" by default

--- The text of a form's value.
local function scalar(name, value)
  local kind = type(value)
  if kind ~= "string" and kind ~= "number" and kind ~= "boolean" then
    error(("form: '%s' must be a string, a number or a list of them; got a %s")
      :format(name, kind), 0)
  end
  return tostring(value)
end

-- --- Multipart ------------------------------------------------------------------

--- A name between quotes, as browsers write it.
local function quoted(text)
  local names = { ['"'] = "%22", ["\r"] = "%0D", ["\n"] = "%0A" }
  return '"' .. text:gsub('["\r\n]', names) .. '"'
end

--- One file of the list; a string is short for its content.
local function file(name, value)
  if type(value) == "string" then value = { content = value } end
  if type(value) ~= "table" then
    error(("files: '%s' must be { filename =, content =, content_type = }; got a %s")
      :format(name, type(value)), 0)
  end
  for key in pairs(value) do
    local known = key == "filename" or key == "content" or key == "content_type"
    if not known then
      local near = type(key) == "string" and options.nearest(key, FILE_OPTIONS)
      error(("files: '%s' has an unknown field '%s'%s"):format(name, tostring(key),
        near and "; did you mean '" .. near .. "'?" or ""), 0)
    end
    if type(value[key]) ~= "string" then
      error(("files: the %s of '%s' must be a string; got a %s")
        :format(key, name, type(value[key])), 0)
    end
  end
  if not value.content then
    error(("files: '%s' has no content"):format(name), 0)
  end
  return value
end

local function file_part(name, value)
  return ('Content-Disposition: form-data; name=%s; filename=%s\r\nContent-Type: %s\r\n\r\n%s')
    :format(quoted(name), quoted(value.filename or name),
      value.content_type or "application/octet-stream", value.content)
end

--- A list of files is one that has items; { content = ... } is a single one.
local function file_parts(files, parts)
  for _, pair in ipairs(target.sorted(files, file)) do
    parts[#parts + 1] = file_part(pair[1], pair[2])
  end
end

--- A boundary that none of the parts contains.
local function boundary_for(parts)
  local whole = table.concat(parts, "\r\n")
  local n = 0
  while whole:find("dewar-boundary-" .. n, 1, true) do n = n + 1 end
  return "dewar-boundary-" .. n
end

local function multipart(form, files)
  local parts = {}
  for _, pair in ipairs(target.sorted(form or {}, scalar)) do
    parts[#parts + 1] = ("Content-Disposition: form-data; name=%s\r\n\r\n%s")
      :format(quoted(pair[1]), pair[2])
  end
  file_parts(files, parts)
  local boundary = boundary_for(parts)
  local text = {}
  for _, part in ipairs(parts) do
    text[#text + 1] = "--" .. boundary .. "\r\n" .. part .. "\r\n"
  end
  return table.concat(text) .. "--" .. boundary .. "--\r\n",
    "multipart/form-data; boundary=" .. boundary
end

-- --- All kinds ------------------------------------------------------------------

local function callable(value)
  if type(value) == "function" then return true end
  local mt = getmetatable(value)
  return type(mt) == "table" and mt.__call ~= nil
end

local function json(value)
  local ok, text = pcall(core.json.encode, value)
  if not ok then error("json: " .. text:gsub("^[^:]+:%d+: ", ""), 0) end
  return text, "application/json"
end

local function check_table(name, value)
  if value ~= nil and type(value) ~= "table" then
    error(("%s must be a table; got a %s"):format(name, type(value)), 0)
  end
end

local function form(values, files)
  check_table("form", values)
  check_table("files", files)
  if files then return multipart(values, files) end
  return target.join(target.sorted(values, scalar)), "application/x-www-form-urlencoded"
end

local function check_single(opts)
  local given
  for _, kind in ipairs(KINDS) do
    if opts[kind] ~= nil then
      if given then
        error(("a request has one body; both %s and %s were given"):format(given, kind), 0)
      end
      given = kind
    end
  end
  if opts.files ~= nil and given and given ~= "form" then
    error(("files go with a form, not with %s"):format(given), 0)
  end
end

--- The body that the options of a request ask for, and its content type; a
--- function gives the body in pieces. Raises a text where they can't be.
---@param opts table json, form, files or body
---@return string|function|nil body
---@return string? content_type
function M.make(opts)
  check_single(opts)
  if opts.json ~= nil then return json(opts.json) end
  if opts.form ~= nil or opts.files ~= nil then return form(opts.form, opts.files) end
  local body = opts.body
  if body ~= nil and type(body) ~= "string" and not callable(body) then
    error(("body must be a string, or a function that gives it in pieces; got a %s")
      :format(type(body)), 0)
  end
  return body
end

return M
