--- Forms and old proxies can only POST. What they mean instead stands in a header
--- or in a field of the form.

local core = require "dewar.core"
local options = require "dewar.options"

local OPTIONS = { "header", "form", "methods" }
local METHODS = { "PUT", "PATCH", "DELETE" }

local FORMS = { ["application/x-www-form-urlencoded"] = true, ["multipart/form-data"] = true }

local function has_form(req)
  local kind = (req.content_type or ""):match "^%s*([^;%s]*)"
  return FORMS[kind:lower()] or false
end

local function set_of(methods)
  local set = {}
  for i, method in ipairs(methods) do
    if type(method) ~= "string" then
      error(("method_override: methods[%d] is a %s; methods are strings"):format(i, type(method)), 3)
    end
    if method:upper() == "HEAD" or method:upper() == "GET" then
      error("method_override: a POST can't stand for " .. method:upper() .. ", which is safe to repeat", 3)
    end
    set[method:upper()] = true
  end
  return set
end

---@class dewar.MethodOverrideOptions
---@field header? string|false default "X-HTTP-Method-Override"
---@field form? string|boolean a form's field; true: "_method". Reading it waits for the body
---@field methods? string[] that a POST may stand for; default PUT, PATCH and DELETE

--- Lets a POST stand for another method.
---@param opts? dewar.MethodOverrideOptions
---@return dewar.Middleware
return function(opts)
  opts = options.check("method_override", opts, OPTIONS, 2)
  options.check_type("method_override", opts, "methods", "table", 2)
  local header = opts.header == nil and "X-HTTP-Method-Override" or opts.header
  local field = opts.form == true and "_method" or opts.form
  if header and type(header) ~= "string" then
    error("method_override: the option 'header' is a string or false; got a " .. type(header), 2)
  elseif field and type(field) ~= "string" then
    error("method_override: the option 'form' is a string or a boolean; got a " .. type(field), 2)
  elseif not (header or field) then
    error("method_override: it needs a header or a form's field to look at", 2)
  end
  if header then options.check_header_name("method_override", header, 2) end
  local allowed = set_of(opts.methods or METHODS)
  return {
    name = "method_override",
    request = function(req)
      if req.method ~= "POST" then return end
      local wanted = header and req.headers[header]
      if not wanted and field and has_form(req) then
        wanted = req.form[field]
        if wanted == "" then return end
      end
      if not wanted then return end
      wanted = wanted:upper()
      if wanted == "POST" then return end
      if not allowed[wanted] then core.abort(400, "A POST can't stand for this method here.") end
      req.method = wanted
    end,
  }
end
