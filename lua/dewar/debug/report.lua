--- What is known of a failed request, with its secrets masked: as tables for the
--- page, and as plain text.

local core = require "dewar.core"
local mask = require "dewar.debug.mask"
local source = require "dewar.debug.source"
local value = require "dewar.debug.value"

local M = {}

local MESSAGE_MAX = 8000 -- bytes
local CHAIN_MAX = 8 -- errors
local ROWS_MAX = 200 -- of a section

-- --- The error -------------------------------------------------------------------------------

--- A field of a value or its classes, looked for without calling anything.
local function raw_field(object, name)
  for _ = 1, 20 do
    if type(object) ~= "table" then return nil end
    local found = rawget(object, name)
    if found ~= nil then return found end
    local meta = debug.getmetatable(object)
    object = type(meta) == "table" and rawget(meta, "__index") or nil
  end
end

local function is_error(err)
  local meta = type(err) == "table" and debug.getmetatable(err)
  return meta and core.is_error_class(meta) and meta
end

local function cut_message(text, masks)
  local shown, cut = value.cut(masks:text(text), MESSAGE_MAX)
  return cut and ("%s… (%s)"):format(shown, value.size(#text)) or shown
end

--- What kind of error it is, and what it says.
local function name_error(err, masks)
  if type(err) == "string" then return "Error", cut_message(err, masks) end
  local class = is_error(err)
  local message = raw_field(err, "message")
  if class then
    local name = raw_field(class, "name")
    return masks:text(type(name) == "string" and name or "Error"),
      type(message) == "string" and cut_message(message, masks) or ""
  end
  local node = core.snapshot(err)
  return node.name and masks:text(node.name) or "Error: a " .. type(err) .. " was raised",
    type(message) == "string" and cut_message(message, masks) or value.text(node, masks)
end

local USUAL = { message = true, original = true }

--- The fields of an error object beside its message.
local function fields_of(err, masks)
  if type(err) ~= "table" then return nil end
  local rows = {}
  for _, item in ipairs(core.snapshot(err).items) do
    local key = item[1]
    if not (key.type == "string" and USUAL[key.text]) then
      rows[#rows + 1] = {
        name = key.type == "string" and masks:text(key.text) or value.text(key, masks),
        type = value.type(item[2], key.type == "string" and key.text or nil),
        text = value.text(item[2], masks, key.type == "string" and key.text or nil),
      }
    end
  end
  table.sort(rows, function(a, b) return a.name < b.name end)
  return #rows > 0 and rows or nil
end

-- --- Calls -----------------------------------------------------------------------------------

local VARIABLES = { ["global"] = true, ["local"] = true, ["upvalue"] = true, ["field"] = true, ["method"] = true }

local function function_name(frame)
  if frame.what == "main" then return "main chunk" end
  if frame.name and (frame.what == "C" or VARIABLES[frame.namewhat]) then return frame.name end
  if frame.name and frame.namewhat ~= "" then return frame.namewhat .. " " .. frame.name end
  return "function at line " .. frame.first
end

--- Whether it is a template's code, which has variables of its own.
local function is_template(frame)
  local found = {}
  for _, variable in ipairs(frame.locals or {}) do found[variable.name] = true end
  return found._out and found._esc
end

local function rows_of(variables, masks, template)
  local rows = {}
  for _, variable in ipairs(variables or {}) do
    local own = template and variable.name:sub(1, 1) == "_"
    rows[#rows + 1] = (not own or variable.name == "_ENV") and {
      name = own and "values" or masks:text(variable.name),
      type = value.type(variable.value, variable.name),
      text = value.text(variable.value, masks, variable.name),
    } or nil
  end
  return rows
end

local function call_of(frame, masks, cache)
  local template = is_template(frame)
  local call = {
    owner = source.owner(frame),
    name = template and "template" or masks:text(function_name(frame)),
    file = masks:text(frame.what == "C" and "C" or frame.short),
    line = frame.line > 0 and frame.line or nil,
    tail = frame.tail,
    locals = rows_of(frame.locals, masks, template),
    upvalues = rows_of(frame.upvalues, masks, template),
  }
  call.where = call.line and ("%s:%d"):format(call.file, call.line) or call.file
  local lines = frame.what ~= "C" and call.owner ~= "dewar" and source.lines(frame.source, frame.line, cache)
  for _, line in ipairs(lines or {}) do line.text = masks:text(mask.source(line.text)) end
  call.lines = lines or nil
  return call
end

--- Calls out of the lines of a traceback, where nothing else is known of them.
local function parse(text, add)
  local body = text:match "\nstack traceback:\n(.*)$" or text:match "^stack traceback:\n(.*)$"
  for line in (body or ""):gmatch "[^\n]+" do
    line = line:gsub("^%s+", "")
    local file, number, name = line:match "^(.-):(%d+): in (.*)$"
    local link = line:match "^%((.*)%)$"
    if file then
      add { what = "Lua", source = "@" .. file, short = file, line = math.tointeger(tonumber(number)), first = 0,
        name = name, namewhat = "field" }
    elseif line:find "^%[C%]: in" then
      add { what = "C", name = line:match "'(.*)'" or "?", namewhat = "", source = "=[C]", short = "[C]", line = -1,
        first = -1 }
    elseif link then
      add { link = link }
    end
  end
end

--- The error that a syntax error of a template tells of stands in its message.
local function template_call(err, masks, cache)
  local class = is_error(err)
  local file, line = raw_field(err, "template"), raw_field(err, "line")
  if not class or type(file) ~= "string" or math.type(line) ~= "integer" then return nil end
  local folder_file = (raw_field(err, "message") or ""):match "^(.-):%d+:" or file
  for _, path in ipairs { file, folder_file } do
    local lines = source.lines("@" .. path, line, cache)
    if lines then
      for _, row in ipairs(lines) do row.text = masks:text(mask.source(row.text)) end
      return { owner = "app", name = "template", file = masks:text(path), line = line, where = masks:text(path) .. ":"
        .. line, lines = lines, locals = {}, upvalues = {} }
    end
  end
end

local function calls_of(report, masks, cache)
  local calls = { template_call(report.value, masks, cache) }
  local function add(frame)
    if frame.link then
      calls[#calls + 1] = { link = masks:text(frame.link) }
    elseif frame.skipped then
      calls[#calls + 1] = { skipped = frame.skipped }
    elseif frame.what and (frame.what ~= "C" or frame.name) then
      calls[#calls + 1] = call_of(frame, masks, cache)
    end
  end
  if not report.frames and report.traceback then parse(report.traceback, add) end
  for _, frame in ipairs(report.frames or {}) do
    if frame.text then parse(frame.text, add) else add(frame) end
  end
  return calls
end

-- --- The request -----------------------------------------------------------------------------

local function section(title, rows)
  if rows[ROWS_MAX] then
    for i = #rows, ROWS_MAX + 1, -1 do rows[i] = nil end
  end
  return { title = title, rows = rows }
end

--- Of args, headers and their like, whose order says something.
local function fields_section(title, values, masks)
  local rows = {}
  for name, field in pairs(values) do
    rows[#rows + 1] = { name = masks:text(name), text = value.cut(masks:field(name, field), 2000) }
  end
  return section(title, rows)
end

--- Of a table that may be anything: read raw.
local function table_section(title, values, masks)
  local rows = {}
  for _, item in ipairs(core.snapshot(values).items or {}) do
    local key = item[1]
    rows[#rows + 1] = {
      name = key.type == "string" and masks:text(key.text) or value.text(key, masks),
      type = value.type(item[2], key.type == "string" and key.text or nil),
      text = value.text(item[2], masks, key.type == "string" and key.text or nil),
    }
  end
  table.sort(rows, function(a, b) return a.name < b.name end)
  return section(title, rows)
end

local function config_section(config, masks)
  local rows = {}
  for key, item in pairs(config) do
    local node = core.snapshot(item)
    rows[#rows + 1] = { name = key, type = value.type(node, key), text = value.text(node, masks, key) }
  end
  table.sort(rows, function(a, b) return a.name < b.name end)
  return section("Configuration", rows)
end

local function request_section(app, req, masks)
  local rows = {}
  local function add(name, text)
    if text ~= nil then rows[#rows + 1] = { name = name, text = value.cut(text, 2000) } end
  end
  add("Method", req.method)
  add("URL", masks:url(req.url))
  add("Client", req.remote_addr and masks:text(req.remote_addr))
  add("Rule", req.url_rule)
  add("Endpoint", req.endpoint)
  add("Blueprint", req.blueprint)
  add("App", masks:text(tostring(rawget(app, "name"))))
  return section("Request", rows)
end

--- Files that came in a form.
local function files_section(files, masks)
  local rows = {}
  for name, file in pairs(files) do
    rows[#rows + 1] = {
      name = masks:text(name),
      text = ("%s (%s, %s)"):format(masks:text(file.filename), masks:text(file.content_type or "no type"),
        value.size(file.size)),
    }
  end
  return section("Files", rows)
end

local function sections_of(app, req, made, masks)
  local list = { request_section(app, req, masks) }
  local function add(one)
    if #one.rows > 0 then list[#list + 1] = one end
  end
  if made.view_args or req.view_args then add(table_section("Values of the rule", req.view_args, masks)) end
  add(fields_section("Query", req.args, masks))
  if made.form then add(fields_section("Form", made.form, masks)) end
  if made.files then add(files_section(made.files, masks)) end
  add(fields_section("Headers", req.headers, masks))
  add(fields_section("Cookies", req.cookies, masks))
  if type(made.session) == "table" then add(table_section("Session", made.session, masks)) end
  if made.g then add(table_section("g", made.g, masks)) end
  add(config_section(app.config, masks))
  return list
end

-- --- All of it -------------------------------------------------------------------------------

---@class dewar.debug.Report
---@field request string "GET /path"
---@field errors table[] the last one first
---@field sections table[]
---@field text string all of it as plain text

local function add_error(errors, report, masks, cache, because)
  local kind, message = name_error(report.value, masks)
  errors[#errors + 1] = {
    kind = kind,
    message = message,
    fields = fields_of(report.value, masks),
    stage = report.stage,
    because = because,
    calls = calls_of(report, masks, cache),
    traceback = report.traceback and masks:text(report.traceback),
  }
end

--- The errors of a request, the last one first, each with what it stands for.
local function errors_of(reports, masks, root)
  local errors, cache, seen = {}, { root = root }, {}
  for i = #reports, 1, -1 do
    if #errors == CHAIN_MAX then break end
    local report, later = reports[i], reports[i + 1]
    local because
    if later then
      because = later.stage == "error handler" and "It was raised while an error handler dealt with this error:"
        or ("Before that, this request's %s had raised:"):format(report.stage)
    end
    add_error(errors, report, masks, cache, because)
    local err = report.value
    for _ = 1, CHAIN_MAX do
      if err == nil or seen[err] then break end
      seen[err] = true
      err = raw_field(err, "original")
      if err == nil or #errors == CHAIN_MAX then break end
      add_error(errors, { value = err, stage = report.stage }, masks, cache, "It stands for this error:")
    end
  end
  return errors
end

local function add_rows(out, title, rows)
  if not rows or #rows == 0 then return end
  out[#out + 1] = title
  for _, row in ipairs(rows) do
    out[#out + 1] = ("  %s%s = %s"):format(row.name, row.type and " (" .. row.type .. ")" or "", row.text)
  end
end

local function add_call(out, call)
  if call.link then
    out[#out + 1] = "  (" .. call.link .. ")"
  elseif call.skipped then
    out[#out + 1] = ("  ... %d calls more ..."):format(call.skipped)
  else
    out[#out + 1] = ("  %s: in %s"):format(call.where, call.name)
    if call.tail then out[#out + 1] = "  (...tail calls...)" end
    for _, line in ipairs(call.owner ~= "library" and call.lines or {}) do
      out[#out + 1] = ("    %s %5d | %s"):format(line.here and ">" or " ", line.number, line.text)
    end
    if call.owner == "app" then
      add_rows(out, "    locals:", call.locals)
      add_rows(out, "    upvalues:", call.upvalues)
    end
  end
end

local function text_of(report)
  local out = { report.request }
  for _, err in ipairs(report.errors) do
    out[#out + 1] = ""
    if err.because then out[#out + 1] = err.because end
    out[#out + 1] = err.message ~= "" and err.kind .. ": " .. err.message or err.kind
    add_rows(out, "fields:", err.fields)
    out[#out + 1] = #err.calls > 0 and "calls, the innermost first:" or "There is no traceback."
    for _, call in ipairs(err.calls) do add_call(out, call) end
  end
  for _, one in ipairs(report.sections) do
    out[#out + 1] = ""
    add_rows(out, one.title, one.rows)
  end
  return table.concat(out, "\n") .. "\n"
end

--- All that a page has to show.
---@param app dewar.App
---@param req dewar.Request
---@param made table what of the request has been made, by name
---@return dewar.debug.Report
function M.new(app, req, made)
  local masks = mask.new(app, req, made)
  local target = masks:url(req.raw_path .. (req.query_string ~= "" and "?" .. req.query_string or ""))
  local report = {
    request = req.method .. " " .. value.cut(target, 500),
    errors = errors_of(made["\1reports"] or {}, masks, rawget(app, "root_path")),
    sections = sections_of(app, req, made, masks),
  }
  report.text = text_of(report)
  return report
end

return M
