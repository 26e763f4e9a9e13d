--- What people type: read, trimmed, and looked at.

local M = {}

---@class blog.Field
---@field label string
---@field required? boolean
---@field min? integer characters
---@field max? integer characters
---@field raw? boolean as it is, with its white space: a password
---@field check? fun(value: string): string? what is wrong, or nil

local function fault(field, value)
  if value == "" then
    return field.required and field.label .. " is missing." or nil
  end
  local length = utf8.len(value)
  if not length then return field.label .. " has characters that are none." end
  if field.min and length < field.min then
    return ("%s needs %d characters at least."):format(field.label, field.min)
  end
  if field.max and length > field.max then
    return ("%s may have %d characters; these are %d."):format(field.label, field.max, length)
  end
  return field.check and field.check(value)
end

--- The values of a form (or of JSON), and what is wrong with them, by name; nil
--- if nothing is.
---@param form table
---@param fields table<string, blog.Field>
---@return table<string, string> values, table<string, string>? errors
function M.read(form, fields)
  local values, errors = {}, {}
  for name, field in pairs(fields) do
    local value = form[name]
    value = type(value) == "string" and value:gsub("\r\n?", "\n") or ""
    if not field.raw then value = value:match "^%s*(.-)%s*$" end
    values[name], errors[name] = value, fault(field, value)
  end
  return values, next(errors) and errors or nil
end

return M
