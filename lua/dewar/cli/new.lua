--- `dewar new`: a small app to begin with.

local core = require "dewar.core"
local apps = require "dewar.cli.app"

local M = {
  arguments = { { "name", value = "NAME", help = "the folder to make" } },
  help = [[
Usage: dewar new NAME

Makes the folder NAME with a small app in it: a view, a page from a template,
a style, a command, a secret key in .env, and a spec that passes.

  cd NAME
  dewar run --debug    serve it; a change is seen at once
  dewar test           run its spec

NAME begins with a letter and has letters, digits, '_' and '-'; a path in front
of it is fine. What is there already stays as it is.

  --help    show this
]],
}

local FILES = {
  { "app.lua", [==[
local dewar = require "dewar"

local app = dewar.app { name = "$NAME" }
app.config:from_prefixed_env "APP" -- APP_SECRET_KEY sets SECRET_KEY; see .env

app:get("/", { endpoint = "home" }, function()
  return dewar.render_template("home.html", { title = "$NAME" })
end)

app:get("/hello/<name>", { endpoint = "hello" }, function(_, name)
  return { greeting = "Hello, " .. name .. "!" }
end)

-- dewar greet Ada --times 2
app:command("greet", {
  help = "Says hello.",
  { "name", help = "to whom" },
  { "--times", "-n", type = "integer", default = 1, help = "how often" },
}, function(args)
  for _ = 1, args.times do print("Hello, " .. args.name .. "!") end
end)

return app
]==] },
  { "templates/layout.html", [==[
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title><%= title %></title>
<link rel="stylesheet" href="<%= url_for("static", { filename = "style.css" }) %>">
<main>
<% block "content" %><% end %>
</main>
</html>
]==] },
  { "templates/home.html", [==[
<% extends "layout.html" %>
<% block "content" %>
<h1><%= title %></h1>
<p>It works. <a href="<%= url_for("hello", { name = "world" }) %>">Say hello</a>,
then change <code>app.lua</code>.</p>
<% end %>
]==] },
  { "static/style.css", [==[
body { margin: 0; font: 1.1rem/1.6 system-ui, sans-serif; color: #223; background: #f6f7f9; }
main { max-width: 40rem; margin: 12vh auto; padding: 0 1.5rem; }
h1 { font-weight: 650; letter-spacing: -0.02em; }
a { color: #0757c9; }
code { padding: 0.1em 0.3em; border-radius: 0.3em; background: #e6e9ee; }
@media (prefers-color-scheme: dark) {
  body { color: #dfe3ea; background: #16181d; }
  a { color: #7db0ff; }
  code { background: #2a2e37; }
}
]==] },
  { "spec/app_spec.lua", [==[
local app = require "app"

describe("$NAME", function()
  local client

  before_each(function() client = app:test_client() end)
  after_each(function() client:close() end)

  it("has a page to begin with", function()
    local res = client:get "/"
    assert.are.equal(200, res.status)
    assert.is_truthy(res.body:find("<h1>$NAME</h1>", 1, true))
  end)

  it("greets by name", function()
    assert.are.same({ greeting = "Hello, Ada!" }, client:get("/hello/Ada"):json())
  end)

  it("says no to what isn't there", function()
    assert.are.equal(404, client:get("/nowhere").status)
  end)
end)
]==] },
  { "README.md", [==[
# $NAME

    dewar run --debug      # http://127.0.0.1:5000; a change is seen at once
    dewar test             # the specs in spec/
    dewar routes
    dewar shell
    dewar greet Ada

Settings of this machine stand in `.env`, which stays out of git: here it has a secret key of its own. On another
machine begin with a copy of `.env.example`.
]==] },
  { ".env", [==[
# Of this machine alone. What the environment has already wins.
APP_SECRET_KEY=$SECRET
]==] },
  { ".env.example", [==[
# Copy this to .env, which git ignores. What the environment has already wins.
APP_SECRET_KEY="change me: a long random text"
# DEWAR_RUN_PORT=8000
]==] },
  { ".gitignore", [==[
.env
*.log
]==] },
}

local function check(name)
  local last = name:gsub("/+$", ""):match "[^/]*$"
  if not last:find "^%a[%w_-]*$" then
    return nil, ("'%s' is no name for an app: it begins with a letter and has letters, digits, '_' and '-'")
      :format(last)
  end
  return last
end

local function write(path, content)
  local file, problem = io.open(path, "w")
  if not file then return problem end
  local ok
  ok, problem = file:write(content)
  local closed, close_problem = file:close()
  if ok and closed then return nil end
  return ("%s: %s"):format(path, problem or close_problem)
end

--- A key that nobody else has.
local function secret()
  return (core.crypto.random(32):gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

--- Makes the folders and files; what went wrong, or nil.
local function make(system, folder, name)
  local values = { NAME = name, SECRET = secret() }
  local ok, problem = system.mkdir(folder)
  if not ok then return problem end
  for _, each in ipairs { "templates", "static", "spec" } do
    ok, problem = system.mkdir(folder .. "/" .. each)
    if not ok then return problem end
  end
  for _, file in ipairs(FILES) do
    problem = write(folder .. "/" .. file[1], (file[2]:gsub("%$(%u+)", values)))
    if problem then return problem end
  end
end

---@param args table
---@return integer code
function M.main(args)
  local system = require "dewar.system"
  local name, problem = check(args.name)
  if not name then
    apps.complain(problem)
    return 2
  end
  local folder = args.name:gsub("/+$", "")
  if system.kind(folder) then
    apps.complain(("'%s' is there already; another name, or another folder?"):format(folder))
    return 1
  end
  problem = make(system, folder, name)
  if problem then
    apps.complain(problem)
    return 1
  end
  print(("Made %s. Go on with:\n\n  cd %s\n  dewar run --debug"):format(folder, folder))
  return 0
end

return M
