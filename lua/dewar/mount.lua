--- Apps in apps: `app:mount` hands what is below a path to another app. C sends
--- requests there (runtime/app/mount.c); what knows of all of them is here.

local options = require "dewar.options"

local M = {}

local OPTIONS = { "host" }

---@class dewar.MountOptions
---@field host? string|string[] only for these hosts; ".example.com" is that one and all below it

local function check(prefix, other, opts, level)
  if type(prefix) ~= "string" or prefix:sub(1, 1) ~= "/" then
    error(("mount: the path to mount at starts with '/'; got %s"):format(
      type(prefix) == "string" and "'" .. prefix .. "'" or "a " .. type(prefix)), level + 1)
  elseif type(other) ~= "table" or not rawget(other, "_core") then
    error(("mount takes an app, made by dewar.app(); got %s"):format(
      other == nil and "nil" or "a " .. type(other)), level + 1)
  end
  -- What `require "admin"` gives beside the app: where it was found.
  if type(opts) == "string" then opts = nil end
  opts = options.check("mount", opts, OPTIONS, level + 1)
  local hosts = opts.host
  if hosts == nil then return {} end
  if type(hosts) == "string" then hosts = { hosts } end
  if type(hosts) ~= "table" or #hosts == 0 then
    error(("mount: the option 'host' is a host or a list of them; got %s"):format(
      type(hosts) == "table" and "an empty table" or "a " .. type(hosts)), level + 1)
  end
  for _, host in ipairs(hosts) do
    if type(host) ~= "string" then
      error("mount: the option 'host' has a list of strings; one is a " .. type(host), level + 1)
    end
  end
  return hosts
end

--- Mounts an app in another one; errors are the caller's at `level`.
---@param app dewar.App
---@param prefix string
---@param other dewar.App
---@param opts? dewar.MountOptions
---@param level integer
function M.add(app, prefix, other, opts, level)
  local hosts = check(prefix, other, opts, level + 1)
  options.call(level + 1, app._core.mount, app._core, prefix, other._core, hosts)
  local mounts = app._mounts
  mounts[#mounts + 1] = { prefix = prefix:gsub("/$", ""), app = other, hosts = hosts }
end

--- The app, and all that are mounted in it, each once: outer ones first.
---@param app dewar.App
---@return dewar.App[]
function M.all(app)
  local list, seen = {}, {}
  local function add(one)
    if seen[one] then return end
    seen[one] = true
    list[#list + 1] = one
    for _, mount in ipairs(one._mounts) do add(mount.app) end
  end
  add(app)
  return list
end

--- The rules of all of them, in the order in which they were added: with the paths
--- that they have from outside, `app`, and `hosts` where a mount is for some.
---@param app dewar.App
---@param root? string where the app itself is
---@return table[]
function M.rules(app, root)
  local list = {}
  local function add(one, prefix, hosts)
    for _, rule in ipairs(one._core:rules()) do
      rule.app, rule.rule, rule.hosts = one, prefix .. rule.rule, hosts
      list[#list + 1] = rule
    end
    for _, mount in ipairs(one._mounts) do
      add(mount.app, prefix .. mount.prefix, mount.hosts[1] and mount.hosts or hosts)
    end
  end
  add(app, root or "")
  return list
end

return M
