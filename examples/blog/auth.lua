--- Accounts: register, log in, log out.

local dewar = require "dewar"
local forms = require "forms"

local ACCOUNT = {
  name = {
    label = "A name",
    required = true,
    min = 3,
    max = 20,
    check = function(name)
      if not name:find "^[%w_-]+$" then return "A name has letters, digits, _ and - only." end
    end,
  },
  password = { label = "A password", required = true, min = 8, max = 200, raw = true },
}

local LOGIN = {
  name = { label = "Your name", required = true },
  password = { label = "Your password", required = true, raw = true },
}

--- Where to go on: a path of this blog, whatever the link says.
local function next_url(req)
  local path = req.args.next
  if path and path:find "^/[^/\\]" and not path:find "[%c\\]" then return path end
  return dewar.url_for "posts.index"
end

---@param store blog.Store
return function(store, login)
  local auth = dewar.blueprint "auth"

  auth:route("/register", { endpoint = "register", methods = { "GET", "POST" } }, function(req)
    if req.method ~= "POST" then return dewar.render_template "auth/register.html" end
    local values, errors = forms.read(req.form, ACCOUNT)
    local user
    if not errors then
      local hash = dewar.generate_password_hash(values.password, req.app.config.PASSWORD_METHOD)
      -- Others ran meanwhile: only now is it known whether the name is free.
      user = store:add_user(values.name, hash)
      if not user then errors = { name = "Somebody has this name already." } end
    end
    if not user then
      return dewar.render_template("auth/register.html", { values = values, errors = errors }), 422
    end
    login.enter(req, user)
    dewar.flash(("Welcome, %s! This is the place for your first post."):format(user.name), "success")
    return dewar.redirect(dewar.url_for "posts.create", 303)
  end)

  auth:route("/login", { endpoint = "login", methods = { "GET", "POST" } }, function(req)
    if req.method ~= "POST" then return dewar.render_template "auth/login.html" end
    local values, errors = forms.read(req.form, LOGIN)
    local user = not errors and login.check(values.name, values.password)
    if not user then
      errors = errors or { password = "Name and password don't fit." }
      return dewar.render_template("auth/login.html", { values = values, errors = errors }), 422
    end
    login.enter(req, user, req.form.remember ~= nil)
    dewar.flash(("Good to see you, %s."):format(user.name), "success")
    return dewar.redirect(next_url(req), 303)
  end)

  auth:post("/logout", { endpoint = "logout" }, function(req)
    login.leave(req)
    dewar.flash("You are logged out.", "notice")
    return dewar.redirect(dewar.url_for "posts.index", 303)
  end)

  -- A page that was made for somebody isn't shown again by the back button when
  -- they have left.
  auth:after_app_request(function(req, res)
    if req.g.user and not res.headers.cache_control then
      res.headers.cache_control = "no-store"
    end
    return res
  end)

  return auth
end
