--- Files as answers: send_file, send_from_directory, and folders that are served
--- whole. Opening and reading is C's, in a pool of threads.

local core = require "dewar.core"
local options = require "dewar.options"

local M = {}

local OPTIONS = {
  "mimetype", "as_attachment", "download_name", "conditional", "etag", "last_modified", "max_age",
}

local TYPES = {
  mimetype = "string", as_attachment = "boolean", download_name = "string", conditional = "boolean",
  last_modified = "number",
}

---@class dewar.SendFileOptions
---@field mimetype? string else what the name's suffix says
---@field as_attachment? boolean to be saved rather than shown
---@field download_name? string what it is to be saved as; default: its own name
---@field conditional? boolean answers conditions and ranges; default true
---@field etag? boolean|string a tag of one's own, or false for none
---@field last_modified? number seconds since 1970, in place of the file's own
---@field max_age? number|fun(name: string): number? seconds that it may be kept without asking

local function check_max_age(method, value, level)
  if value == nil or type(value) == "function" then return end
  if type(value) ~= "number" or value < 0 or value ~= value then
    error(("%s: the option 'max_age' is a number of seconds, or a function that gives it; got %s")
      :format(method, type(value) == "number" and tostring(value) or "a " .. type(value)), level + 1)
  end
end

local function check_options(method, opts, level)
  opts = options.check(method, opts, OPTIONS, level + 1)
  for name, wanted in pairs(TYPES) do options.check_type(method, opts, name, wanted, level + 1) end
  if opts.etag ~= nil and type(opts.etag) ~= "boolean" and type(opts.etag) ~= "string" then
    error(("%s: the option 'etag' is a tag, true or false; got a %s"):format(method, type(opts.etag)),
      level + 1)
  end
  check_max_age(method, opts.max_age, level + 1)
  if opts.download_name and opts.download_name:find "%c" then
    error(method .. ": the option 'download_name' has a control character", level + 1)
  end
  return opts
end

-- --- What is said of a file -----------------------------------------------------

local function percent(char)
  return ("%%%02X"):format(char:byte())
end

--- Content-Disposition: a name in ASCII for all, and beside it, where that says
--- less, the whole one (RFC 6266).
local function disposition(kind, name)
  if name == "" then return kind end
  local plain = name:gsub(utf8.len(name) and utf8.charpattern or ".", function(char)
    return char:byte() > 127 and "_" or nil
  end)
  local value = ('%s; filename="%s"'):format(kind, (plain:gsub('[\\"]', "\\%0")))
  if utf8.len(name) and name:find '[^\32-\126]' or name:find '[\\"%%]' then
    value = value .. "; filename*=UTF-8''" .. name:gsub("[^%w!#$&+.^_`|~-]", percent)
  end
  return value
end

local function max_age_of(opts, name, app)
  local max_age = opts.max_age
  if type(max_age) == "function" then
    max_age = max_age(name)
    if max_age ~= nil and type(max_age) ~= "number" then
      error(("the function that is 'max_age' gives a number of seconds or nil; it gave a %s")
        :format(type(max_age)), 0)
    end
    return max_age
  end
  if max_age == nil and app then return app.config.SEND_FILE_MAX_AGE_DEFAULT end
  return max_age
end

local function cache_control(max_age)
  if not max_age or max_age < 1 then return "no-cache" end
  return ("public, max-age=%d"):format(max_age // 1)
end

--- The response that sends an open file.
---@param name string? of the file, if it has one
local function respond(file, name, opts, app)
  local res = core.response(file)
  local shown = opts.download_name or (name and name:match "[^/]*$")
  res.mimetype = opts.mimetype or core.content_type(shown or "") or "application/octet-stream"
  core.describe_file(res, file)
  if opts.etag == false then
    res.headers.etag = nil
  elseif type(opts.etag) == "string" then
    res:set_etag(opts.etag)
  end
  if opts.last_modified then res.last_modified = opts.last_modified end
  res.headers["Cache-Control"] = cache_control(max_age_of(opts, name or shown, app))
  if shown and (shown ~= "" or opts.as_attachment) and opts.disposition ~= false then
    res.headers["Content-Disposition"] = disposition(opts.as_attachment and "attachment" or "inline", shown)
  end
  local req = core.request()
  if req and opts.conditional ~= false then res:make_conditional(req, { accept_ranges = true }) end
  return res
end

--- What the system calls these says little of files.
local REASONS = {
  EINVAL = "it is no regular file; return an iterator that reads it instead",
  EISDIR = "it is a folder; app:static serves one",
}

local function failure(what, path, code, text)
  text = REASONS[code] or text
  return core.Error(("%s: %s: %s"):format(what, path, text), { code = code })
end

--- A path that is relative to the app's folder.
local function full_path(app, path)
  return app and options.join_path(app.root_path, path) or path
end

-- --- Sending one ------------------------------------------------------------------

local function open_handle(handle, opts, level)
  if not (opts.mimetype or opts.download_name) then
    error("send_file: an open file has no name to tell its type by; give the option 'mimetype' or "
      .. "'download_name'", level + 1)
  end
  if opts.as_attachment and not opts.download_name then
    error("send_file: an open file that is to be saved needs the option 'download_name'", level + 1)
  end
  return (options.call(level + 1, core.adopt_file, handle))
end

--- A response that is a file: a path, relative to the app's folder, or what
--- io.open gave. Waits until it is open; raises where it can't be.
---@param file string|file*
---@param opts? dewar.SendFileOptions
---@return dewar.Response
function M.send_file(file, opts)
  opts = check_options("send_file", opts, 2)
  local app = core.current_app()
  if io.type(file) then return respond(open_handle(file, opts, 2), nil, opts, app) end
  if type(file) ~= "string" or file:find "\0" then
    error("send_file takes a path or an open file; got " .. (type(file) == "string"
      and "a path with a NUL in it" or "a " .. type(file)), 2)
  end
  local path = full_path(app, file)
  local opened, code, text = core.open_file(path)
  if not opened then error(failure("send_file", path, code, text), 2) end
  return respond(opened, path, opts, app)
end

--- The file below a folder, or a 404 where it isn't there; what is no file's
--- fault is raised.
local function find_below(what, root, path, index, encodings)
  local file, code, text = core.find_file(root, path, index, encodings)
  if file or code == "folder" then return file end
  if code == "EACCES" then
    core.log.warn(("%s/%s can't be sent: %s"):format(root, path, text))
  elseif code ~= "ENOENT" then
    error(failure(what, root .. "/" .. path, code, text))
  end
  core.abort(404)
end

--- A response that is a file below a folder, wherever the path comes from: what
--- isn't there, or leads out of the folder, is a 404.
---@param directory string relative to the app's folder
---@param path string
---@param opts? dewar.SendFileOptions
---@return dewar.Response
function M.send_from_directory(directory, path, opts)
  if type(directory) ~= "string" or directory == "" or directory:find "\0" then
    error("send_from_directory takes a folder first; got " .. (type(directory) == "string"
      and "none" or "a " .. type(directory)), 2)
  end
  if type(path) ~= "string" then
    error("send_from_directory takes a path below the folder; got a " .. type(path), 2)
  end
  opts = check_options("send_from_directory", opts, 2)
  local app = core.current_app()
  local file = find_below("send_from_directory", full_path(app, directory), path)
  return respond(file or core.abort(404), path, opts, app)
end

-- --- Folders ------------------------------------------------------------------------

local FOLDER_OPTIONS = { "index", "max_age", "precompressed", "endpoint" }

---@class dewar.StaticOptions
---@field index? string|false what stands for a folder; default "index.html"
---@field max_age? number|fun(name: string): number? default config.SEND_FILE_MAX_AGE_DEFAULT
---@field precompressed? boolean NAME.br and NAME.gz stand for NAME; default true
---@field endpoint? string for url_for, with the value `filename`

--- Checked options of a folder.
function M.check_folder(method, opts, level)
  opts = options.check(method, opts, FOLDER_OPTIONS, level + 1)
  if opts.index == nil then opts.index = "index.html" end
  if opts.index and (type(opts.index) ~= "string" or not opts.index:find "^[^/\\%z]+$"
    or opts.index:find "^%.%.?$") then
    error(method .. ": the option 'index' is a file's name, or false", level + 1)
  end
  options.check_type(method, opts, "precompressed", "boolean", level + 1)
  check_max_age(method, opts.max_age, level + 1)
  return opts
end

--- A view that does what C's does, for what only Lua can tell.
local function folder_view(root, opts)
  local sent = { max_age = opts.max_age, disposition = false }
  return function(req, name)
    -- A path's value has these escapes still; no file's name has a slash.
    name = name or ""
    if name:find "%%2[Ff]" then core.abort(404) end
    name = name:gsub("%%25", "%%")
    local encodings = opts.precompressed ~= false and (req.headers.accept_encoding or "") or nil
    local file = find_below("static", root, name, opts.index or nil, encodings)
    if not file then
      local query = req.query_string
      return core.response("", 308, { Location = req.base_url .. "/" .. (query ~= "" and "?" .. query or "") })
    end
    if name == "" or name:find "/$" then name = name .. opts.index end
    return respond(file, name, sent, req.app)
  end
end

--- Adds the rules of a folder to an app or a blueprint.
---@param owner dewar.Scaffold
---@param prefix string where its files are, without a slash at the end
---@param folder string relative to the owner's folder
---@param opts dewar.StaticOptions
---@param level integer
function M.mount(owner, prefix, folder, opts, level)
  local root = options.join_path(owner.root_path, folder)
  local view, static
  if type(opts.max_age) == "function" then
    view = folder_view(root, opts)
  else
    static = {
      root = root, index = opts.index or nil, max_age = opts.max_age,
      precompressed = opts.precompressed ~= false,
    }
  end
  local function add(rule)
    owner:_add_rule(rule, { endpoint = opts.endpoint, static = static }, view, level + 1)
  end
  add(prefix .. "/<path:filename>")
  if opts.index then add(prefix .. "/") end
end

--- Whether there is such a folder now.
local function is_folder(path)
  local file = io.open(path .. "/.", "r")
  if file then file:close() end
  return file ~= nil
end

--- Mounts the folder that the options static_folder and static_url_path of an
--- app or a blueprint name; without them, `default` if it is there.
---@param owner dewar.Scaffold
---@param opts { static_folder: string|false|nil, static_url_path: string? }
---@param default string?
---@param method string
---@param level integer
function M.mount_own(owner, opts, default, method, level)
  local folder, prefix = opts.static_folder, opts.static_url_path
  if folder ~= nil and folder ~= false and (type(folder) ~= "string" or folder == "") then
    error(method .. ": static_folder is a folder's path, or false for none", level + 1)
  end
  if prefix ~= nil and (type(prefix) ~= "string" or not (prefix == "" or prefix:find "^/")) then
    error(method .. ": static_url_path must be a string that starts with '/'", level + 1)
  end
  if folder == nil and default and (prefix or is_folder(options.join_path(owner.root_path, default))) then
    folder = default
  end
  if not folder then
    if prefix then error(method .. ": static_url_path needs a static_folder", level + 1) end
    return
  end
  prefix = (prefix or "/" .. folder:match "([^/]*)/*$"):gsub("/+$", "")
  owner.static_folder, owner.static_url_path = folder, prefix
  M.mount(owner, prefix, folder, { endpoint = "static", index = false }, level + 1)
end

return M
