--- Headers that tell browsers what a page may not do. What a view has set itself
--- stays as it is.

local nonce = require "dewar.nonce"
local options = require "dewar.options"

local OPTIONS = {
  "hsts", "nosniff", "frame_options", "csp", "csp_report_only", "referrer_policy", "permissions_policy",
  "opener_policy", "resource_policy",
}
local HSTS_OPTIONS = { "max_age", "include_subdomains", "preload" }
local YEAR = 365 * 24 * 60 * 60

--- What nearly every page can live with.
local CSP = { base_uri = "self", object_src = "none", frame_ancestors = "self" }

--- Words of CSP that stand in quotes there.
local WORDS = {}
for word in ("self none unsafe-inline unsafe-eval unsafe-hashes strict-dynamic report-sample wasm-unsafe-eval"):gmatch
"%S+" do
  WORDS[word] = true
end

local DIRECTIVES = {
  "base_uri", "block_all_mixed_content", "child_src", "connect_src", "default_src", "font_src", "form_action",
  "frame_ancestors", "frame_src", "img_src", "manifest_src", "media_src", "object_src", "report_to", "report_uri",
  "require_trusted_types_for", "sandbox", "script_src", "script_src_attr", "script_src_elem", "style_src",
  "style_src_attr", "style_src_elem", "trusted_types", "upgrade_insecure_requests", "worker_src",
}

-- --- Content-Security-Policy ----------------------------------------------------------

local function check_source(name, source)
  if type(source) ~= "string" or source == "" or source:find "[;,%c]" then
    error(("security_headers: csp.%s is a source such as \"self\" or \"https://example.com\", or a list; got %s")
      :format(name, type(source) == "string" and "'" .. source .. "'" or "a " .. type(source)), 6)
  end
end

--- A source as it stands in the header. Hashes and words get their quotes, "nonce"
--- becomes a place for one.
local function source_text(source)
  if source == "nonce" then return "'nonce-%s'" end
  if WORDS[source] or source:find "^sha%d+%-" then source = "'" .. source .. "'" end
  return (source:gsub("%%", "%%%%"))
end

local function directive(name, sources)
  local parts = { (name:gsub("_", "-")) }
  if sources == true then return parts[1] end
  if type(sources) ~= "table" then sources = { sources } end
  for _, source in ipairs(sources) do
    check_source(name, source)
    parts[#parts + 1] = source_text(source)
  end
  return table.concat(parts, " ")
end

--- The policy as a function(req) that gives the header's value, or nil for none.
local function check_line(option, value, level)
  if not value:find "%c" then return end
  error(("security_headers: the option '%s' can't have line feeds or the like in it; got %q"):format(option, value),
    level)
end

local function policy(name, csp)
  if csp == false or csp == nil then return nil end
  if type(csp) == "string" then
    check_line(name, csp, 5)
    return function() return csp end
  end
  if type(csp) ~= "table" then
    error(("security_headers: the option '%s' is a table of directives, a string, or false; got a %s")
      :format(name, type(csp)), 4)
  end
  options.check("security_headers: " .. name, csp, DIRECTIVES, 4)
  local parts = {}
  for _, key in ipairs(DIRECTIVES) do
    if csp[key] ~= nil and csp[key] ~= false then parts[#parts + 1] = directive(key, csp[key]) end
  end
  local format = table.concat(parts, "; ")
  if not format:find("'nonce-%s'", 1, true) then
    local text = format:gsub("%%%%", "%%")
    return function() return text end
  end
  return function(req)
    local word = nonce.of(req)
    return (format:gsub("%%(.)", { s = word, ["%"] = "%" }))
  end
end

-- --- The others -----------------------------------------------------------------------

local function hsts_text(hsts)
  if hsts == false then return nil end
  if hsts == nil or hsts == true then hsts = {} end
  if type(hsts) == "number" then hsts = { max_age = hsts } end
  if type(hsts) ~= "table" then
    error("security_headers: the option 'hsts' is a table, a number of seconds, or false; got a " .. type(hsts), 4)
  end
  hsts = options.check("security_headers: hsts", hsts, HSTS_OPTIONS, 4)
  local age = hsts.max_age or YEAR
  if type(age) ~= "number" or not (age >= 0 and age < 2 ^ 53) then
    error("security_headers: hsts.max_age is a number of seconds; got " .. tostring(age), 4)
  end
  return ("max-age=%d%s%s"):format(math.floor(age), hsts.include_subdomains and "; includeSubDomains" or "",
    hsts.preload and "; preload" or "")
end

--- Whether it is one of the words, or where that is allowed a list of some.
local function is_one_of(words, value, lists)
  if not lists then value = value:gsub(",", "\0") end
  for word in (value .. ","):gmatch "%s*(.-)%s*," do
    if word:find "%s" or not (" " .. words .. " "):find(" " .. word .. " ", 1, true) then return false end
  end
  return true
end

--- A header whose option is its value, false for none, or nil for the default.
local function plain(opts, option, header, default, fixed)
  local value = opts[option]
  if value == nil or value == true then value = default end
  if value == false or value == nil then return nil end
  if type(value) ~= "string" then
    error(("security_headers: the option '%s' is a string or false; got a %s"):format(option, type(value)), 4)
  end
  check_line(option, value, 5)
  if fixed and not is_one_of(fixed, value, option == "referrer_policy") then
    error(("security_headers: the option '%s' can't be '%s'; there are: %s"):format(option, value,
      (fixed:gsub(" ", ", "))), 4)
  end
  return { header, value }
end

local FRAMES = "DENY SAMEORIGIN"
local REFERRERS = "no-referrer no-referrer-when-downgrade origin origin-when-cross-origin same-origin strict-origin "
  .. "strict-origin-when-cross-origin unsafe-url"
local OPENERS = "unsafe-none same-origin-allow-popups same-origin noopener-allow-popups"
local RESOURCES = "same-site same-origin cross-origin"

local function read_options(opts)
  opts = options.check("security_headers", opts, OPTIONS, 3)
  options.check_type("security_headers", opts, "nosniff", "boolean", 3)
  local headers = {
    opts.nosniff ~= false and { "X-Content-Type-Options", "nosniff" } or false,
    plain(opts, "frame_options", "X-Frame-Options", "SAMEORIGIN", FRAMES) or false,
    plain(opts, "referrer_policy", "Referrer-Policy", "strict-origin-when-cross-origin", REFERRERS) or false,
    plain(opts, "permissions_policy", "Permissions-Policy") or false,
    plain(opts, "opener_policy", "Cross-Origin-Opener-Policy", "same-origin", OPENERS) or false,
    plain(opts, "resource_policy", "Cross-Origin-Resource-Policy", nil, RESOURCES) or false,
  }
  local csp = opts.csp
  if csp == nil or csp == true then csp = CSP end
  return headers, policy("csp", csp), policy("csp_report_only", opts.csp_report_only), hsts_text(opts.hsts)
end

---@class dewar.SecurityHeadersOptions
---@field hsts? { max_age: integer?, include_subdomains: boolean?, preload: boolean? }|integer|false over https only
---@field nosniff? boolean
---@field frame_options? "SAMEORIGIN"|"DENY"|false
---@field csp? table<string, string|string[]|true>|string|false
---@field csp_report_only? table<string, string|string[]|true>|string|false
---@field referrer_policy? string|false
---@field permissions_policy? string|false
---@field opener_policy? string|false
---@field resource_policy? string|false

--- Adds the headers to every response that doesn't have them.
---@param opts? dewar.SecurityHeadersOptions
---@return dewar.Middleware
return function(opts)
  local headers, csp, report_only, hsts = read_options(opts)
  return {
    name = "security_headers",
    setup = nonce.attach,
    response = function(req, res)
      local own = res.headers
      for _, header in ipairs(headers) do
        if header and own[header[1]] == nil then own[header[1]] = header[2] end
      end
      if csp and own["Content-Security-Policy"] == nil then own["Content-Security-Policy"] = csp(req) end
      if report_only and own["Content-Security-Policy-Report-Only"] == nil then
        own["Content-Security-Policy-Report-Only"] = report_only(req)
      end
      if hsts and req.scheme == "https" and own["Strict-Transport-Security"] == nil then
        own["Strict-Transport-Security"] = hsts
      end
    end,
  }
end
